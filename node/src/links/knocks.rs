//! Knocks that may still be answered.

use std::cmp::Reverse;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{id::PersonaId, limits::DIAL_TIMEOUT};

use super::table::Way;
use crate::{pair::Pair, topics::Introducer};

/// Knocks of one persona that are kept in mind: so many on those whom its site waits for, and as many on those who are said to be in its topics.
/// A persona has fewer links than that.
const OF_EACH: usize = 32;

/// How we asked for a door, and when last.
#[derive(Clone, Copy, Debug)]
struct Knock {
    way: Way,
    at: Instant,
    /// Who named the peer; nobody, if a site or its sessions wait for it.
    by: Option<Introducer>,
}

/// Whom we asked for a door. Anybody can invent members of a topic, so those who name more of them lose their own places first.
#[derive(Debug, Default)]
pub struct Knocks(Map<Pair, Knock>);

impl Knocks {
    /// None yet.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// We knocked on a peer, whom somebody named or a site waits for.
    pub fn note(&mut self, pair: Pair, by: Option<Introducer>, way: Way, now: Instant) {
        self.0.insert(pair, Knock { way, at: now, by });
        if let Some(surplus) = self.surplus(pair.own, by.is_some()) {
            self.0.remove(&surplus);
        }
    }

    /// Of too many knocks the oldest of those whom the busiest introducer named.
    fn surplus(&self, own: PersonaId, is_named: bool) -> Option<Pair> {
        let these = || self.0.iter().filter(|(pair, knock)| pair.own == own && knock.by.is_some() == is_named);
        let named_by = |by: Option<Introducer>| these().filter(|(_, knock)| knock.by == by).count();
        let oldest = || these().max_by_key(|(_, knock)| (named_by(knock.by), Reverse(knock.at))).map(|(pair, _)| *pair);
        if these().count() > OF_EACH { oldest() } else { None }
    }

    /// The peer told us where its door is. Tells whether we asked, no longer ago than a dial takes.
    pub fn answered(&mut self, pair: Pair, now: Instant) -> bool {
        self.0.remove(&pair).is_some_and(|knock| now.since(knock.at) <= DIAL_TIMEOUT)
    }

    /// How we knocked last, if nobody answered.
    pub fn way(&self, pair: Pair) -> Option<Way> {
        self.0.get(&pair).map(|knock| knock.way)
    }

    /// The last frame of a persona is gone.
    pub fn leave(&mut self, own: PersonaId) {
        self.0.retain(|pair, _| pair.own != own);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_knock_is_answered_once_and_soon() {
        let mut knocks = Knocks::new();
        let late = Instant::START + DIAL_TIMEOUT + Duration::from_millis(1);
        assert!(!knocks.answered(pair(0), Instant::START));
        knocks.note(pair(0), None, Way::Uplink, Instant::START);
        knocks.note(pair(1), None, Way::Uplink, Instant::START);
        assert!(knocks.answered(pair(0), Instant::START + DIAL_TIMEOUT));
        assert!(!knocks.answered(pair(0), Instant::START) && !knocks.answered(pair(1), late));
    }

    #[test]
    fn the_latest_are_kept_in_mind_while_their_persona_is_here() {
        let mut knocks = Knocks::new();
        for n in 0..=OF_EACH {
            knocks.note(pair(n), None, Way::Uplink, Instant::from_millis(n as u64));
        }
        assert_eq!((knocks.0.len(), knocks.way(pair(0)), knocks.way(pair(1))), (OF_EACH, None, Some(Way::Uplink)));
        knocks.leave(pair(0).own);
        assert_eq!(knocks.0.len(), 0);
    }

    #[test]
    fn who_names_many_takes_the_place_of_nobody_else() {
        let other = Pair { own: PersonaId([8; 32]), ..pair(0) };
        let (few, many) = (Some(Introducer::Peer(pair(901).peer)), Some(Introducer::Peer(pair(902).peer)));
        let mut knocks = Knocks::new();
        let mut kept = vec![other, pair(1), pair(2), pair(3)];
        for (of, by) in kept.iter().zip([many, None, few, Some(Introducer::Server)]) {
            knocks.note(*of, by, Way::Uplink, Instant::START);
        }
        for n in 100..400 {
            knocks.note(pair(n), many, Way::Uplink, Instant::from_millis(n as u64));
        }
        kept.push(pair(399));
        assert!(kept.into_iter().all(|of| knocks.way(of).is_some()));
        assert_eq!(knocks.0.len(), 2 + OF_EACH);
    }

    fn pair(n: usize) -> Pair {
        let mut peer = [1; 32];
        peer[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Pair { own: PersonaId([7; 32]), peer: PersonaId(peer) }
    }
}
