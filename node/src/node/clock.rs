//! What time it is: by the node's own clock, which may stand still while the machine sleeps, and by the wall's.

use std::time::Duration;

use bitters_machine::time::Instant;

use crate::deadline::Deadline;

/// Both clocks, and when the timer is to fire.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the last input came.
    pub(super) now: Instant,
    /// When the timer is to fire since, and what for.
    pub(super) due: Option<Deadline>,
    /// Milliseconds since 1970, and when the node was told.
    wall: Option<(u64, Instant)>,
}

impl Clock {
    pub(super) const fn new(now: Instant) -> Self {
        Self { now, due: None, wall: None }
    }

    /// Milliseconds since 1970, as far as the node was told.
    pub(super) fn unix_ms(&self) -> Option<u64> {
        let (ms, told) = self.wall?;
        let elapsed = u64::try_from(self.now.since(told).as_millis()).unwrap_or(u64::MAX);
        Some(ms.saturating_add(elapsed))
    }

    /// The node is told the time of day. Tells whether that is later than expected by more than so much.
    pub(super) fn set_wall(&mut self, ms: u64, slack: Duration) -> bool {
        let expected = self.unix_ms();
        self.wall = Some((ms, self.now));
        expected.is_some_and(|expected| u128::from(ms.saturating_sub(expected)) > slack.as_millis())
    }

    /// Whether the timer should have fired earlier by more than so much.
    pub(super) fn is_late(&self, slack: Duration) -> bool {
        self.due.is_some_and(|(due, _)| self.now.since(due) > slack)
    }
}
