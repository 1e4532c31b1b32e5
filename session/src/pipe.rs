//! Seals what one side of a session says, and opens what it is told.

use bitters_wire::{
    codec,
    id::{FrameId, PersonaId, SessionId},
    packet::{Body, Packet},
};

use crate::{
    Output,
    context::{Context, Role, SessionKey},
    message::{Message, Plain, Say},
    noise::Transport,
};

/// The sealed way to the peer's frame. The opener's counters are even, the listener's odd: where a frame calls itself, they say
/// for which of its two sides a packet is.
pub struct Pipe {
    session: SessionId,
    peer: (PersonaId, FrameId),
    transport: Transport,
    /// The next counter to seal under.
    counter: u64,
    /// The highest counter opened, plus one.
    opened: u64,
}

/// The side that is to receive a packet with this counter.
pub const fn receiver(counter: u64) -> Role {
    if counter.is_multiple_of(2) { Role::Listener } else { Role::Opener }
}

impl Pipe {
    pub const fn new(key: SessionKey, peer: (PersonaId, FrameId), transport: Transport) -> Self {
        let counter = match key.1 {
            Role::Listener => 1,
            Role::Opener => 0,
        };
        Self { session: key.0, peer, transport, counter, opened: 0 }
    }

    /// The persona and frame that this is bound to.
    pub const fn peer(&self) -> (PersonaId, FrameId) {
        self.peer
    }

    /// Seals and sends.
    pub fn say(&mut self, acked: u64, say: Say<&Message>, ctx: &mut Context) {
        let counter = self.counter;
        self.counter += 2;
        let sealed = self.transport.seal(counter, &codec::encode(&Plain { acked, say }));
        self.send(Body::Sealed { counter, sealed }, ctx);
    }

    /// Sends.
    pub fn send(&self, body: Body, ctx: &mut Context) {
        let (to, to_frame) = self.peer;
        let (from, from_frame) = (ctx.persona, ctx.frame);
        ctx.tell(Output::Packet(Packet {
            to,
            to_frame: Some(to_frame),
            from,
            from_frame,
            session: self.session,
            body,
        }));
    }

    /// What was sealed, and whether it was sealed after all that was opened before: repetitions weren't.
    pub fn open(&mut self, counter: u64, sealed: &[u8]) -> Option<(Vec<u8>, bool)> {
        let plain = self.transport.open(counter, sealed)?;
        let fresh = counter >= self.opened;
        self.opened = self.opened.max(counter.saturating_add(1));
        Some((plain, fresh))
    }
}
