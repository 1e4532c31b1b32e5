//! When a node is to look for others from outside, as the overlay it sees may be an island.

use std::time::Duration;

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::id::NodeId;

use crate::{
    neighbours::{Neighbours, Place},
    standing::Rank,
};

/// Who knows so many others isn't alone.
const ENOUGH: usize = 32;
/// How long it takes to get to know others.
const SETTLING: Duration = Duration::from_secs(20);
/// The first search of who has no link.
const LONELY: Duration = Duration::from_secs(1);
/// The longest pause between two searches. Who isn't alone seeks, too: two islands may know much and nothing of each other.
const LAST: Duration = Duration::from_secs(300);

/// A node's searches.
#[derive(Debug)]
pub struct Seeking {
    count: u32,
    sought: Instant,
    due: Instant,
}

impl Seeking {
    /// Of a node that begins.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { count: 0, sought: now, due: now + SETTLING }
    }

    /// When to see to it again.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// The last link is gone: it doesn't have to settle.
    pub fn on_lonely(&mut self, now: Instant) {
        self.due = self.due.min(now + self.pause(LONELY));
    }

    /// Whether to seek now: few others are known, no neighbour passes anything on, or the last search was long ago.
    pub fn is_due<'a>(
        &mut self,
        neighbours: &Neighbours,
        known: impl Iterator<Item = &'a Place>,
        now: Instant,
    ) -> bool {
        if self.due > now {
            return false;
        }
        let nodes: Set<NodeId> = known.map(|place| place.card.node).collect();
        let is_alone = nodes.len() < ENOUGH || !neighbours.iter().any(|other| other.standing.rank(now) == Rank::Proven);
        self.count = if is_alone { self.count + 1 } else { 0 };
        self.due = now + self.pause(SETTLING);
        let seeks = is_alone || now.since(self.sought) >= LAST;
        if seeks {
            self.sought = now;
        }
        seeks
    }

    /// A pause that doubles with each search in vain.
    fn pause(&self, first: Duration) -> Duration {
        first.saturating_mul(2_u32.saturating_pow(self.count.min(8))).min(LAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_alone_seeks_less_and_less_often() {
        let mut seeking = Seeking::new(Instant::START);
        let neighbours = Neighbours::default();
        assert!(!seeking.is_due(&neighbours, [].into_iter(), Instant::START));
        let mut at = Vec::new();
        for _ in 0..5 {
            let now = seeking.due();
            assert!(seeking.is_due(&neighbours, [].into_iter(), now));
            at.push(now.as_millis() / 1000);
        }
        assert_eq!(at, [20, 60, 140, 300, 600]);
    }

    #[test]
    fn who_loses_the_last_link_seeks_at_once() {
        let mut seeking = Seeking::new(Instant::START);
        seeking.on_lonely(Instant::START);
        assert_eq!(seeking.due(), Instant::START + LONELY);
        let now = seeking.due();
        assert!(seeking.is_due(&Neighbours::default(), [].into_iter(), now));
        seeking.on_lonely(now);
        assert_eq!(seeking.due(), now + LONELY * 2, "but not again and again");
    }
}
