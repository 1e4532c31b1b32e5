//! Peers that the site accepts: these may know the network addresses of the browser.
//!
//! A site accepts a peer when it uses a stream that the peer opened: gives credit, writes or finishes. A handler that gives the stream up at
//! once doesn't. It accepts a peer whose call it answers without a failure, and one that so accepts a stream or a call of the site's. What
//! is served with `direct: false` accepts nobody.

use bitters_wire::{id::PersonaId, local::ToLeader, packet::Service};

use super::{
    Site,
    requests::{Pending, StreamState},
};

/// When the peer of a stream is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Not by this stream, or it is already.
    Never,
    /// When it accepts the stream.
    OnceOpened(PersonaId),
    /// When the site uses the stream.
    OnceUsed(PersonaId),
}

/// Peers that are remembered, as many as the leader does.
const MAX_ACCEPTED: usize = 256;

impl Site {
    /// The site accepts a peer. The leader is told once.
    pub(super) fn accept(&mut self, peer: PersonaId) {
        if self.accepted.len() >= MAX_ACCEPTED {
            self.accepted.clear();
        }
        if self.accepted.insert(peer) {
            self.send(ToLeader::Accepted(peer));
        }
    }

    /// Whoever uses what is served so is accepted, unless the site said no.
    pub(super) fn accepts_by(&self, service: &Service) -> bool {
        let mut served = self.requests.values();
        served.any(|pending| matches!(pending, Pending::Serve { service: it, direct: true } if it == service))
    }

    /// The peer of a stream opened it, or the site uses it.
    pub(super) fn accept_by_stream(&mut self, id: u32, when: fn(PersonaId) -> Accepts) {
        let Some(Pending::Stream(StreamState::Made { accepts, .. })) = self.requests.get_mut(&id) else { return };
        let peer = match *accepts {
            Accepts::OnceOpened(peer) | Accepts::OnceUsed(peer) => peer,
            Accepts::Never => return,
        };
        if *accepts == when(peer) {
            *accepts = Accepts::Never;
            self.accept(peer);
        }
    }
}
