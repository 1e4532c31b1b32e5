//! What time it is: by the node's own clock, which may stand still while the machine sleeps, and by the wall's.

mod neighbours;

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::id::PersonaId;

use crate::{deadline::Deadline, pair::Pair};

use neighbours::Clocks;

/// Both clocks, and when the timer is to fire.
#[derive(Debug)]
pub struct Clock {
    /// When the last input came.
    pub now: Instant,
    /// When the timer is to fire since, and what for.
    pub due: Option<Deadline>,
    /// Milliseconds since 1970, and when the node was told.
    wall: Option<(u64, Instant)>,
    /// The same by the server's clock, and when it told. It counts more: a browser's clock may be wrong by days.
    server: Option<(u64, Instant)>,
    /// By how many milliseconds the server's clock was ahead of the wall's then. After a sleep that is what is left of it, and after a change of
    /// leader what frames tell of it.
    ahead: Option<i64>,
    /// By how much the clocks of personas are ahead of the wall's, if no server told the time.
    pub neighbours: Clocks,
}

impl Clock {
    pub fn new(now: Instant) -> Self {
        Self { now, due: None, wall: None, server: None, ahead: None, neighbours: Clocks::default() }
    }

    /// Milliseconds since 1970, as far as the node was told.
    pub fn unix_ms(&self) -> Option<u64> {
        self.wall.map(|told| self.since(told))
    }

    /// Milliseconds since 1970, as a persona's peers count them: by the server's clock, if a server told its time since the machine last slept, else
    /// by the wall's and by how much that is off, as a server said or the persona's neighbours say.
    fn told_ms(&self, own: PersonaId) -> Option<u64> {
        let ahead = || self.ahead.unwrap_or_else(|| self.neighbours.ahead(own));
        let corrected = || Some(self.unix_ms()?.saturating_add_signed(ahead()));
        self.server.map(|told| self.since(told)).or_else(corrected)
    }

    /// The same; zero if the node was told nothing.
    pub fn common_ms(&self, own: PersonaId) -> u64 {
        self.told_ms(own).unwrap_or_default()
    }

    /// How many milliseconds ago that was, as a persona's peers count them.
    pub fn ago_ms(&self, own: PersonaId, time: u64) -> u32 {
        u32::try_from(self.common_ms(own).saturating_sub(time)).unwrap_or(u32::MAX)
    }

    /// In which minute a persona's peers take it to be.
    pub fn minute(&self, own: PersonaId) -> Option<u32> {
        u32::try_from(self.told_ms(own)? / 60_000).ok()
    }

    /// A neighbour of a persona's takes it to be this time. That counts if no server said anything.
    pub fn hear_neighbour(&mut self, pair: Pair, ms: u64, rng: &mut fastrand::Rng) {
        if let (None, Some(wall)) = (self.ahead, self.unix_ms()) {
            self.neighbours.hear(pair, signed(ms).saturating_sub(signed(wall)), self.now, rng);
        }
    }

    /// A server tells its time. Tells by how many milliseconds that is ahead of the browser's, which may be less than nothing.
    pub fn hear_server(&mut self, ms: u64) -> Option<i64> {
        self.server = Some((ms, self.now));
        self.neighbours.end();
        self.ahead = self.unix_ms().map(|wall| signed(ms).saturating_sub(signed(wall)));
        self.ahead
    }

    /// An earlier leader heard from a server by how many milliseconds its clock is ahead of the browser's.
    pub fn learn(&mut self, ahead: i64) {
        if ahead != 0 {
            self.ahead.get_or_insert(ahead);
        }
    }

    /// By how many milliseconds a server's clock is ahead of the browser's, as far as the node knows.
    pub fn ahead(&self) -> i64 {
        self.ahead.unwrap_or_default()
    }

    /// The machine slept: the node's own clock may have stood still since the server told its time.
    pub const fn slept(&mut self) {
        self.server = None;
    }

    fn since(&self, (ms, told): (u64, Instant)) -> u64 {
        ms.saturating_add(self.now.millis_since(told))
    }

    /// The node is told the time of day. Tells whether that is later than expected by more than so much.
    pub fn set_wall(&mut self, ms: u64, slack: Duration) -> bool {
        let expected = self.unix_ms();
        self.wall = Some((ms, self.now));
        expected.is_some_and(|expected| u128::from(ms.saturating_sub(expected)) > slack.as_millis())
    }

    /// Whether the timer should have fired earlier by more than so much.
    pub fn is_late(&self, slack: Duration) -> bool {
        self.due.is_some_and(|(due, _)| self.now.since(due) > slack)
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
