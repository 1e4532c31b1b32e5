//! What all sessions of an endpoint share.

use std::collections::VecDeque;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    id::{FrameId, PersonaId, SessionId},
    packet::Service,
};

use crate::{
    Output,
    keys::{CallKey, StreamKey},
    shares::Streams,
    talk::Stray,
};

/// The side of a session. A frame that calls itself has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Listener,
    Opener,
}

/// A session here.
pub type SessionKey = (SessionId, Role);

/// Where a stream or call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub session: SessionKey,
    pub stream: u64,
}

/// A call that waits for its outcome, here or at its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub place: Place,
    /// When this side gives it up; the caller's side only.
    pub deadline: Option<Instant>,
}

/// What all sessions of an endpoint share.
#[derive(Debug)]
pub struct Context {
    pub persona: PersonaId,
    pub frame: FrameId,
    /// The latest time that was handed in.
    pub now: Instant,
    pub served: Set<Service>,
    pub streams: Map<StreamKey, Place>,
    pub calls: Map<CallKey, Call>,
    /// Streams and calls that are open in all sessions: of this side's opening, and of the peers'.
    pub ours: usize,
    pub theirs: Streams,
    /// Streams that are to be opened again, in another session.
    pub strays: VecDeque<Stray>,
    pub outbox: VecDeque<Output>,
    keys: u64,
}

impl Context {
    pub const fn new(persona: PersonaId, frame: FrameId) -> Self {
        Self {
            persona,
            frame,
            now: Instant::START,
            served: Set::new(),
            streams: Map::new(),
            calls: Map::new(),
            ours: 0,
            theirs: Streams::new(),
            strays: VecDeque::new(),
            outbox: VecDeque::new(),
            keys: 0,
        }
    }

    /// Names a stream.
    pub fn new_stream(&mut self, place: Place) -> StreamKey {
        let key = StreamKey(self.new_key());
        self.streams.insert(key, place);
        key
    }

    /// Names a call.
    pub fn new_call(&mut self, call: Call) -> CallKey {
        let key = CallKey(self.new_key());
        self.calls.insert(key, call);
        key
    }

    /// To the shell.
    pub fn tell(&mut self, output: Output) {
        self.outbox.push_back(output);
    }

    const fn new_key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }
}
