//! How far a neighbour is trusted with routes, by what became of those it was given.
//!
//! A *black hole* acknowledges routes and drops them. Only replies show that a neighbour passes routes on. So each neighbour is tested by a
//! question to one of its own neighbours: soon after the link is up, soon after it lost something, and when it has shown nothing for a while.

use std::time::Duration;

use bitters_machine::time::Instant;

/// From a link that is up to its first test: its list has come by then.
const FIRST_TEST: Duration = Duration::from_secs(2);
/// From a loss to the next test.
const NEXT_TEST: Duration = Duration::from_secs(1);
/// How long a reply shows that a neighbour passes routes on.
const PROVEN: Duration = Duration::from_secs(180);
/// Tests that fail one after the other until the link is given up.
const FAILURES: u8 = 3;

/// What is known of a neighbour. The better ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It passed something on lately.
    Proven,
    /// Nothing is known.
    Untried,
    /// What it had last was lost.
    Silent,
}

/// One neighbour's standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    passed: Option<Instant>,
    losses: u8,
    failures: u8,
    test: Instant,
}

impl Standing {
    /// Of one whose link is just up.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { passed: None, losses: 0, failures: 0, test: now + FIRST_TEST }
    }

    /// What it is trusted with.
    #[must_use]
    pub fn rank(&self, now: Instant) -> Rank {
        match self.passed {
            _ if self.losses > 0 => Rank::Silent,
            Some(at) if now.since(at) < PROVEN => Rank::Proven,
            _ => Rank::Untried,
        }
    }

    /// When to test it.
    #[must_use]
    pub const fn test_at(&self) -> Instant {
        self.test
    }

    /// A test begins: the next one is due when its outcome says so, or after a while.
    pub fn on_test(&mut self, now: Instant) {
        self.test = now + PROVEN;
    }

    /// A reply came by it.
    pub fn on_reply(&mut self, now: Instant) {
        *self = Self { passed: Some(now), losses: 0, failures: 0, test: now + PROVEN };
    }

    /// It was given a route, and neither a reply nor an end came. It may not be its own fault, so it is tested.
    pub fn on_loss(&mut self, now: Instant) {
        self.losses = self.losses.saturating_add(1);
        self.test = self.test.min(now + NEXT_TEST);
    }

    /// A test failed. Whether the link is to be given up.
    #[must_use]
    pub fn on_failed_test(&mut self, now: Instant) -> bool {
        self.on_loss(now);
        self.failures = self.failures.saturating_add(1);
        self.failures >= FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_proves_for_three_minutes_and_a_loss_takes_that_back() {
        let mut standing = Standing::new(Instant::START);
        assert_eq!((standing.rank(Instant::START), standing.test_at()), (Rank::Untried, Instant::START + FIRST_TEST));

        standing.on_reply(at(10));
        assert_eq!((standing.rank(at(189)), standing.rank(at(190))), (Rank::Proven, Rank::Untried));
        assert_eq!(standing.test_at(), at(190));

        standing.on_loss(at(20));
        assert_eq!((standing.rank(at(20)), standing.test_at()), (Rank::Silent, at(21)));

        standing.on_reply(at(22));
        assert_eq!(standing.rank(at(22)), Rank::Proven);
    }

    #[test]
    fn the_third_failed_test_in_a_row_ends_the_link() {
        let mut standing = Standing::new(Instant::START);
        assert!(!standing.on_failed_test(at(1)) && !standing.on_failed_test(at(2)));
        standing.on_reply(at(3));
        assert!(!standing.on_failed_test(at(4)) && !standing.on_failed_test(at(5)) && standing.on_failed_test(at(6)));
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }
}
