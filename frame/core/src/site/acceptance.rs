//! Peers that the site accepts: these may know the network addresses of the browser.
//!
//! A site accepts a peer when it uses a stream that the peer opened: gives credit, writes or finishes. A handler that gives the stream up at
//! once doesn't. It accepts a peer whose call it answers without a failure, and one that so accepts a stream or a call of the site's. What
//! is served with `direct: false` accepts nobody.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
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

/// Peers that are remembered, as many as the leader does. The one that was accepted longest ago goes first.
const MAX_ACCEPTED: usize = 256;

/// The leader is told so often at most; it may have forgotten the peer for others.
const TELL_EVERY: Duration = Duration::from_secs(60 * 60);

/// Peers that the site accepted, and when the leader was told.
#[derive(Debug, Default)]
pub(super) struct Accepted(Map<PersonaId, Instant>);

impl Accepted {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self(Map::new())
    }

    /// The site accepts a peer. Tells whether the leader is to be told.
    fn accept(&mut self, peer: PersonaId, now: Instant) -> bool {
        if self.0.get(&peer).is_some_and(|told| now.since(*told) < TELL_EVERY) {
            return false;
        }
        self.0.insert(peer, now);
        self.0.shed(MAX_ACCEPTED, |told| *told);
        true
    }

    /// All of them, for another leader.
    pub(super) fn again(&self, now: Instant) -> impl Iterator<Item = ToLeader> {
        self.0.iter().map(move |(peer, told)| ToLeader::Accepted { peer: *peer, ago_ms: now.millis_since(*told) })
    }

    /// The site's persona is another.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Site {
    /// The site accepts a peer.
    pub(super) fn accept(&mut self, peer: PersonaId) {
        if self.accepted.accept(peer, self.now) {
            self.send(ToLeader::Accepted { peer, ago_ms: 0 });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_told_once_an_hour_and_the_next_one_since_when() {
        let mut accepted = Accepted::new();
        let at = |seconds| Instant::START + Duration::from_secs(seconds);
        assert!(accepted.accept(peer(1), at(5)));
        assert!(!accepted.accept(peer(1), at(5 + 3599)));
        assert_eq!(told(&accepted, at(65)), [(peer(1), 60_000)]);
        assert!(accepted.accept(peer(1), at(5 + 3600)), "the leader may have forgotten it");
        assert_eq!(told(&accepted, at(5 + 3600)), [(peer(1), 0)]);
    }

    #[test]
    fn the_one_accepted_longest_ago_goes_first() {
        let mut accepted = Accepted::new();
        for n in 0..=u16::try_from(MAX_ACCEPTED).unwrap() {
            assert!(accepted.accept(peer(n), Instant::from_millis(n.into())));
        }
        let told = told(&accepted, Instant::from_millis(1000));
        assert_eq!(told.len(), MAX_ACCEPTED);
        assert!(!told.iter().any(|(it, _)| *it == peer(0)) && told.contains(&(peer(1), 999)));
    }

    fn told(accepted: &Accepted, now: Instant) -> Vec<(PersonaId, u64)> {
        let told = accepted.again(now).map(|it| match it {
            ToLeader::Accepted { peer, ago_ms } => (peer, ago_ms),
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    fn peer(n: u16) -> PersonaId {
        let [high, low] = n.to_be_bytes();
        PersonaId(std::array::from_fn(|at| if at == 0 { high } else { low }))
    }
}
