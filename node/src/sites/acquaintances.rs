//! Peers that sites accepted: these may know the network addresses of the browser.
//!
//! A site accepts a peer when it uses a stream of the peer's, answers one of its calls, or when the peer does so with one of the
//! site's. That is stored with the site, and forgotten with it.

use bitters_machine::map::Map;
use bitters_wire::id::PersonaId;
use serde::{Deserialize, Serialize};

use crate::pair::Pair;

/// Peers of one site. The one that was accepted longest ago goes first.
pub const MAX_ACCEPTED: usize = 256;

/// For how long a peer is accepted, in milliseconds: 30 days since the last time.
const ACCEPTED_MS: u64 = 30 * DAY_MS;

/// The last time is noted once a day.
const NOTE_EVERY_MS: u64 = DAY_MS;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A peer that a site accepted, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acquaintance {
    /// Whom.
    pub peer: PersonaId,
    /// When last, in milliseconds since 1970.
    pub at: u64,
}

/// Those of the personas that are here.
#[derive(Debug, Default)]
pub struct Acquaintances(Map<PersonaId, Map<PersonaId, u64>>);

impl Acquaintances {
    /// Whether a site of the persona accepted the peer within 30 days. A node that wasn't told the time believes so.
    pub fn includes(&self, Pair { own, peer }: Pair, unix_ms: Option<u64>) -> bool {
        let at = self.0.get(&own).and_then(|peers| peers.get(&peer));
        at.is_some_and(|at| unix_ms.is_none_or(|now| now.saturating_sub(*at) <= ACCEPTED_MS))
    }

    /// A persona has these.
    pub fn add(&mut self, own: PersonaId, peers: impl IntoIterator<Item = Acquaintance>) {
        let known = self.0.entry(own).or_default();
        for Acquaintance { peer, at } in peers {
            let latest = known.entry(peer).or_insert(at);
            *latest = at.max(*latest);
        }
        known.shed(MAX_ACCEPTED, |at| *at);
    }

    /// The last page of a persona is gone.
    pub fn forget(&mut self, own: PersonaId) {
        self.0.remove(&own);
    }
}

/// Notes in a site's list that it accepted a peer; tells whether that is to be stored.
#[must_use]
pub fn note(list: &mut Vec<Acquaintance>, peer: PersonaId, at: u64) -> bool {
    if list.iter().any(|it| it.peer == peer && at.saturating_sub(it.at) < NOTE_EVERY_MS) {
        return false;
    }
    list.retain(|it| it.peer != peer && at.saturating_sub(it.at) <= ACCEPTED_MS);
    list.push(Acquaintance { peer, at });
    if list.len() > MAX_ACCEPTED {
        list.remove(0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_accepted_for_a_month() {
        let mut accepted = Acquaintances::default();
        accepted.add(US, [Acquaintance { peer: peer(1), at: DAY_MS }]);
        let includes = |accepted: &Acquaintances, n, days| accepted.includes(pair(n), Some(days * DAY_MS));
        assert!(includes(&accepted, 1, 31) && !includes(&accepted, 1, 32) && !includes(&accepted, 2, 2));
        assert!(accepted.includes(pair(1), None) && !accepted.includes(Pair { own: peer(9), ..pair(1) }, None));
        accepted.add(US, [Acquaintance { peer: peer(1), at: 2 * DAY_MS }, Acquaintance { peer: peer(1), at: 0 }]);
        assert!(includes(&accepted, 1, 32), "the last time counts");
        accepted.forget(US);
        assert!(!accepted.includes(pair(1), None));
    }

    #[test]
    fn the_one_accepted_longest_ago_goes_first() {
        let (mut accepted, mut list) = (Acquaintances::default(), Vec::new());
        for n in 0..=u16::try_from(MAX_ACCEPTED).unwrap() {
            assert!(note(&mut list, numbered(n), n.into()));
        }
        accepted.add(US, list.clone());
        accepted.add(US, [Acquaintance { peer: peer(255), at: 9999 }]);
        assert_eq!((list.len(), list[0].peer), (MAX_ACCEPTED, numbered(1)));
        let kept = &accepted.0.get(&US).unwrap();
        assert_eq!(kept.len(), MAX_ACCEPTED);
        assert!(!kept.contains_key(&numbered(1)) && kept.contains_key(&numbered(2)));
    }

    #[test]
    fn what_is_accepted_again_is_stored_once_a_day() {
        let mut list = Vec::new();
        assert!(note(&mut list, peer(1), 5));
        assert!(!note(&mut list, peer(1), 5 + NOTE_EVERY_MS - 1));
        assert!(note(&mut list, peer(1), 5 + NOTE_EVERY_MS));
        assert!(note(&mut list, peer(2), 6 + NOTE_EVERY_MS + ACCEPTED_MS));
        assert_eq!(list.len(), 1, "what is over isn't kept");
    }

    const US: PersonaId = PersonaId([7; 32]);

    fn pair(n: u8) -> Pair {
        Pair { own: US, peer: peer(n) }
    }

    fn peer(n: u8) -> PersonaId {
        PersonaId([n; 32])
    }

    fn numbered(n: u16) -> PersonaId {
        let [a, b] = n.to_be_bytes();
        PersonaId(std::array::from_fn(|at| if at == 0 { a } else { b }))
    }
}
