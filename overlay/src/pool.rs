//! Nodes that others spoke of, and that aren't in any neighbour's list: whom to dial, perhaps.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::id::NodeId;

use crate::{message::Card, neighbours::Place};

/// Nodes in the pool.
const SIZE: usize = 64;
/// Of these, from one answer.
const FROM_ONE: usize = 16;
/// How long somebody is believed to be there.
const LIFE: Duration = Duration::from_secs(120);

/// Nodes that others spoke of.
#[derive(Debug, Default)]
pub struct Pool {
    places: Map<NodeId, (Place, Instant)>,
}

impl Pool {
    /// Somebody speaks of nodes.
    pub fn add(&mut self, cards: impl Iterator<Item = Card>, now: Instant) {
        for card in cards.take(FROM_ONE) {
            self.places.insert(card.node, (card.into(), now));
        }
        self.places.shed(SIZE, |(_, at)| *at);
    }

    /// Forgets who wasn't spoken of for long.
    pub fn forget(&mut self, now: Instant) {
        self.places.retain(|_, (_, at)| now.since(*at) < LIFE);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Place> + Clone {
        self.places.values().map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Reach;

    #[test]
    fn no_answer_fills_more_than_a_quarter_and_nobody_stays_for_good() {
        let mut pool = Pool::default();
        pool.add((0..100).map(card), Instant::START);
        assert_eq!(pool.iter().count(), SIZE / 4);
        for start in 1..10 {
            pool.add((start * 20..start * 20 + 16).map(card), Instant::from_millis(u64::from(start)));
        }
        assert_eq!(pool.iter().count(), SIZE);
        pool.forget(Instant::from_millis(9) + LIFE);
        assert_eq!(pool.iter().count(), 0);
    }

    fn card(byte: u8) -> Card {
        Card { node: NodeId([byte; 32]), reach: Reach::Easy, light: false }
    }
}
