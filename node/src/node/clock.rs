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
    /// The same by the server's clock, and when it told. It counts more: a browser's clock may be wrong by days.
    server: Option<(u64, Instant)>,
    /// By how many milliseconds the server's clock was ahead of the wall's then. After a sleep that is what is left of it, and after a change of
    /// leader what frames tell of it.
    ahead: Option<i64>,
}

impl Clock {
    pub(super) const fn new(now: Instant) -> Self {
        Self { now, due: None, wall: None, server: None, ahead: None }
    }

    /// Milliseconds since 1970, as far as the node was told.
    pub(super) fn unix_ms(&self) -> Option<u64> {
        self.wall.map(|told| self.since(told))
    }

    /// Milliseconds since 1970, as peers count them: by the server's clock, if a server told its time since the machine last slept.
    fn told_ms(&self) -> Option<u64> {
        let corrected = || Some(self.unix_ms()?.saturating_add_signed(self.ahead.unwrap_or_default()));
        self.server.map(|told| self.since(told)).or_else(corrected)
    }

    /// The same; zero if the node was told nothing.
    pub(super) fn common_ms(&self) -> u64 {
        self.told_ms().unwrap_or_default()
    }

    /// How many milliseconds ago that was, as peers count them.
    pub(super) fn ago_ms(&self, time: u64) -> u32 {
        u32::try_from(self.common_ms().saturating_sub(time)).unwrap_or(u32::MAX)
    }

    /// The same in minutes.
    pub(super) fn minute(&self) -> Option<u32> {
        u32::try_from(self.told_ms()? / 60_000).ok()
    }

    /// A server tells its time. Tells by how many milliseconds that is ahead of the browser's, which may be less than nothing.
    pub(super) fn hear_server(&mut self, ms: u64) -> Option<i64> {
        self.server = Some((ms, self.now));
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        self.ahead = self.unix_ms().map(|wall| signed(ms).saturating_sub(signed(wall)));
        self.ahead
    }

    /// An earlier leader heard from a server by how many milliseconds its clock is ahead of the browser's.
    pub(super) fn learn(&mut self, ahead: i64) {
        if ahead != 0 {
            self.ahead.get_or_insert(ahead);
        }
    }

    /// By how many milliseconds a server's clock is ahead of the browser's, as far as the node knows.
    pub(super) fn ahead(&self) -> i64 {
        self.ahead.unwrap_or_default()
    }

    /// The machine slept: the node's own clock may have stood still since the server told its time.
    pub(super) const fn slept(&mut self) {
        self.server = None;
    }

    fn since(&self, (ms, told): (u64, Instant)) -> u64 {
        ms.saturating_add(self.now.millis_since(told))
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
