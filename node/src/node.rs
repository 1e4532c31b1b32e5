//! The machine itself.

use std::collections::VecDeque;

use bitters_wire::{id::NodeId, time::Instant};

use crate::api::{Config, Input, Output};

/// One node's leader.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    outbox: VecDeque<Output>,
}

impl Node {
    /// A node that leads from now on.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "the node keeps it")]
    pub fn new(config: Config, _now: Instant) -> Self {
        Self { id: config.secret.id(), outbox: VecDeque::new() }
    }

    /// Who this node is to other nodes.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Takes a fact in.
    pub fn handle_input(&mut self, _input: Input, _now: Instant) {}

    /// The next act, until there is none.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is due, if at all.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
