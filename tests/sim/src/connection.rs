//! A simulated RTCPeerConnection: up when both ends were given each other's signals.

use bitters_wire::{
    id::{FrameId, LinkId, PersonaId},
    limits::DRAIN_REPORT,
    local::{Door, IdentityEnd, IdentityText},
};

/// One end: which frame, which link.
pub type End = (FrameId, LinkId);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Signals are exchanged.
    New,
    /// The connection stands; the frame wants its identity signed.
    Proving,
    /// Messages pass.
    Up,
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who is at this end.
    pub own: PersonaId,
    /// Who is to be at the other end, as soon as that is known.
    pub peer: Option<PersonaId>,
    /// The way in.
    pub door: Door,
    /// Whether the peer may know where this end is.
    pub direct: bool,
    /// Whose signal was given to this end.
    pub remote: Option<End>,
    /// How far it is.
    pub phase: Phase,
    /// What came before it was up.
    pub early: Vec<Vec<u8>>,
    /// Messages sent on it.
    pub sent: usize,
    /// What is sent gets lost from now on, and ICE hasn't noticed.
    pub hung: bool,
    /// What was sent while the ends were apart, to be sent again by the transport.
    pub held: Vec<Vec<u8>>,
    /// Bytes sent of which the leader hasn't been told.
    pub drained: Drained,
}

impl Connection {
    /// One that was just asked for.
    pub const fn new(own: PersonaId, peer: Option<PersonaId>, door: Door, direct: bool) -> Self {
        Self {
            own,
            peer,
            door,
            direct,
            remote: None,
            phase: Phase::New,
            early: Vec::new(),
            sent: 0,
            hung: false,
            held: Vec::new(),
            drained: Drained::new(),
        }
    }
}

/// Bytes sent of which the leader hasn't been told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drained(u32);

impl Drained {
    /// None.
    pub const fn new() -> Self {
        Self(0)
    }

    /// So many more; returns what is to be told now.
    pub fn add(&mut self, bytes: usize) -> Option<u32> {
        self.0 += u32::try_from(bytes).expect("messages are small");
        (self.0 >= DRAIN_REPORT).then(|| std::mem::take(&mut self.0))
    }
}

/// What the first of these has signed: who is at its end, and at the other.
pub fn identity(own: (PersonaId, End), peer: (PersonaId, End)) -> IdentityText {
    let signer_is_a = own <= peer;
    let (a, b) = if signer_is_a { (own, peer) } else { (peer, own) };
    IdentityText { signer_is_a, a: end_of(a), b: end_of(b) }
}

fn end_of((id, (frame, link)): (PersonaId, End)) -> IdentityEnd {
    let mut nonce = *frame.0.as_bytes();
    let number = link.epoch.0.to_be_bytes().into_iter().chain(link.number.to_be_bytes());
    nonce.iter_mut().zip(number).for_each(|(byte, of_link)| *byte ^= of_link);
    IdentityEnd { id, fingerprint: [0; 32], nonce }
}
