//! Application bytes, which wait on both sides until the two ends have proven themselves.

use bitters_machine::time::Instant;
use bitters_wire::{limits::MAX_LINK, local::DownReason};

use crate::{heartbeat::Heartbeat, parts::Reassembly};

/// Bytes that may wait for the connection, each way. The control channel's messages may be overtaken by the data channel's
/// (they are two SCTP streams), but not by many.
const MAX_WAITING: usize = 1024 * 1024;

/// What a message costs in memory besides its bytes.
const OVERHEAD: usize = 64;

/// Before and after both ends have proven themselves.
#[derive(Clone, Debug)]
pub(crate) enum Traffic {
    /// Nothing passes.
    Held {
        /// Whole messages of ours.
        outgoing: Held,
        /// Parts of the peer's.
        incoming: Held,
    },
    /// All passes.
    Up { heartbeat: Heartbeat, reassembly: Reassembly },
}

/// What is to be done first when all may pass.
pub(crate) struct Opened {
    /// Whole messages of ours that waited.
    pub(crate) outgoing: Vec<Vec<u8>>,
    /// Parts of the peer's that waited.
    pub(crate) incoming: Vec<Vec<u8>>,
    /// The first ping's number.
    pub(crate) ping: u32,
}

/// Messages that wait, in order, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    messages: Vec<Vec<u8>>,
    cost: usize,
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self::Held { outgoing: Held::default(), incoming: Held::default() }
    }

    /// Lets all pass from now on, if it doesn't already.
    pub(crate) fn open(&mut self, now: Instant) -> Option<Opened> {
        let Self::Held { outgoing, incoming } = self else { return None };
        let (outgoing, incoming) = (std::mem::take(outgoing), std::mem::take(incoming));
        let (heartbeat, ping) = Heartbeat::start(now);
        *self = Self::Up { heartbeat, reassembly: Reassembly::default() };
        Some(Opened { outgoing: outgoing.messages, incoming: incoming.messages, ping })
    }
}

impl Held {
    pub(crate) fn push(&mut self, message: Vec<u8>) -> Result<(), DownReason> {
        self.cost += message.len() + OVERHEAD;
        if self.cost > MAX_WAITING {
            return Err(DownReason::Protocol);
        }
        self.messages.push(message);
        Ok(())
    }
}

/// Whether the peer's end could put this message together.
pub(crate) const fn is_sendable(message: &[u8]) -> bool {
    !message.is_empty() && message.len() <= MAX_LINK
}
