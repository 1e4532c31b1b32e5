//! Knocks that may still be answered.

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{id::PersonaId, limits::DIAL_TIMEOUT};

use super::table::Way;
use crate::pair::Pair;

/// Pairs kept in mind; the one that knocked longest ago goes first.
const CAPACITY: usize = 256;

/// Whom we asked for a door, how, and when last.
#[derive(Debug, Default)]
pub struct Knocks(Map<Pair, (Way, Instant)>);

impl Knocks {
    /// None yet.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// We knocked.
    pub fn note(&mut self, pair: Pair, way: Way, now: Instant) {
        self.0.insert(pair, (way, now));
        self.0.shed(CAPACITY, |(_, at)| *at);
    }

    /// The peer told us where its door is. Tells whether we asked, no longer ago than a dial takes.
    pub fn answered(&mut self, pair: Pair, now: Instant) -> bool {
        self.0.remove(&pair).is_some_and(|(_, at)| now.since(at) <= DIAL_TIMEOUT)
    }

    /// How we knocked last, if nobody answered.
    pub fn way(&self, pair: Pair) -> Option<Way> {
        self.0.get(&pair).map(|(way, _)| *way)
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
        knocks.note(pair(0), Way::Uplink, Instant::START);
        knocks.note(pair(1), Way::Uplink, Instant::START);
        assert!(knocks.answered(pair(0), Instant::START + DIAL_TIMEOUT));
        assert!(!knocks.answered(pair(0), Instant::START) && !knocks.answered(pair(1), late));
    }

    #[test]
    fn the_latest_are_kept_in_mind_while_their_persona_is_here() {
        let mut knocks = Knocks::new();
        for n in 0..=CAPACITY {
            knocks.note(pair(n), Way::Uplink, Instant::from_millis(n as u64));
        }
        assert_eq!((knocks.0.len(), knocks.way(pair(0)), knocks.way(pair(1))), (CAPACITY, None, Some(Way::Uplink)));
        knocks.leave(pair(0).own);
        assert_eq!(knocks.0.len(), 0);
    }

    fn pair(n: usize) -> Pair {
        let mut peer = [1; 32];
        peer[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Pair { own: PersonaId([7; 32]), peer: PersonaId(peer) }
    }
}
