//! One connection: challenged, then registered as a node.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use bitters_wire::{
    address::Token,
    id::{NodeId, PersonaId, TopicId},
    time::Instant,
};

use super::Config;
use crate::{rate::Bucket, source::Source};

#[derive(Debug)]
pub(super) struct Connection {
    source: Source,
    challenge: Challenge,
    bytes: Bucket,
    messages: Bucket,
    state: State,
}

/// What all signatures on a connection are over, and what it is told in return.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) nonce: [u8; 32],
    pub(super) server: String,
    pub(super) proxies: Arc<[SocketAddr]>,
}

#[derive(Debug)]
enum State {
    Challenged { deadline: Instant },
    Registered(Registration),
}

/// What a registered node said.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) node: NodeId,
    pub(super) personas: BTreeSet<PersonaId>,
    /// Signals that others send it.
    pub(super) signals: Bucket,
    /// Addresses that it listens at.
    pub(super) tokens: BTreeSet<Token>,
    pub(super) topics: BTreeSet<TopicId>,
}

impl Connection {
    pub(super) fn challenged(source: Source, challenge: Challenge, deadline: Instant) -> Self {
        let state = State::Challenged { deadline };
        Self { source, challenge, bytes: Bucket::default(), messages: Bucket::default(), state }
    }

    /// Counts a message of `len` bytes, unless too much came.
    #[must_use]
    pub(super) fn take(&mut self, len: usize, config: &Config, now: Instant) -> bool {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.messages.take(1, config.messages, now) && self.bytes.take(len, config.bytes, now)
    }

    /// Makes it the connection of `node`, and returns the deadline that it met.
    pub(super) fn register(&mut self, node: NodeId) -> Option<Instant> {
        let deadline = self.deadline();
        self.state = State::Registered(Registration {
            node,
            personas: BTreeSet::new(),
            signals: Bucket::default(),
            tokens: BTreeSet::new(),
            topics: BTreeSet::new(),
        });
        deadline
    }

    pub(super) const fn source(&self) -> Source {
        self.source
    }

    pub(super) const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Challenged { deadline } => Some(deadline),
            State::Registered(_) => None,
        }
    }

    pub(super) const fn node(&self) -> Option<NodeId> {
        match &self.state {
            State::Challenged { .. } => None,
            State::Registered(registration) => Some(registration.node),
        }
    }

    pub(super) const fn registration(&mut self) -> Option<&mut Registration> {
        match &mut self.state {
            State::Challenged { .. } => None,
            State::Registered(registration) => Some(registration),
        }
    }

    pub(super) fn into_registration(self) -> Option<Registration> {
        match self.state {
            State::Challenged { .. } => None,
            State::Registered(registration) => Some(registration),
        }
    }
}
