//! Whether a frame is there.
//!
//! A dead frame's lock tells. A frozen one keeps its lock and says nothing. Nothing is asked as long as nothing is expected, so that an
//! idle node rests.

use std::time::Duration;

use bitters_machine::time::Instant;

/// A frame that was told something answers within that time, most of the time: what it was told has consequences.
const QUIET: Duration = Duration::from_secs(2);

/// A page that is busy for longer than that is as good as frozen.
pub const PONG_WITHIN: Duration = Duration::from_secs(3);

/// Who wakes up later than that slept, or was busy: what others said meanwhile hasn't been read yet.
pub const LATE: Duration = Duration::from_secs(1);

/// A frame in another partition has no lock that we could ask for: it is asked that often whether it is there.
const REMOTE_PING: Duration = Duration::from_secs(5);

/// It is gone when that many were asked in vain and it is time for the next.
const REMOTE_PINGS: u32 = 2;

/// A page that said that it is frozen may be thawed: a minute.
const FROZEN_PINGS: u32 = 11;

/// A frame whose lock doesn't tell: it is in another partition, or the browser gave its page another namespace of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    asked: u32,
    /// When it is asked next, or judged.
    pub due: Instant,
}

impl Remote {
    /// It spoke.
    pub fn heard(now: Instant) -> Self {
        Self { asked: 0, due: now + REMOTE_PING }
    }

    /// Nobody holds its lock, as far as we can see: it may be dead, and answers soon if it isn't.
    pub fn doubted(now: Instant) -> Self {
        Self { asked: REMOTE_PINGS, due: now + PONG_WITHIN }
    }

    /// It is asked. Who slept asks once on waking, however long that was, and counts what was asked before for nothing new.
    pub fn ask(&mut self, now: Instant) {
        let asked = if self.is_late(now) { self.asked } else { self.asked + 1 };
        *self = Self { asked, due: now + REMOTE_PING };
    }

    /// Whether we were held up, and an answer may wait to be read.
    pub fn is_late(self, now: Instant) -> bool {
        now.since(self.due) > LATE
    }

    /// Whether it was asked in vain for too long.
    pub const fn is_silent(self, frozen: bool) -> bool {
        self.asked >= if frozen { FROZEN_PINGS } else { REMOTE_PINGS }
    }
}

/// Whether a frame is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It was asked.
    Asked(Instant),
    /// It owes nothing.
    #[default]
    Here,
    /// It doesn't answer.
    Silent,
    /// It was told something.
    Told(Instant),
}

impl Presence {
    /// Something is told to the frame.
    pub const fn told(&mut self, now: Instant) {
        if matches!(self, Self::Here) {
            *self = Self::Told(now);
        }
    }

    /// When to ask, or to judge.
    pub fn due(self) -> Option<Instant> {
        match self {
            Self::Asked(at) => Some(at + PONG_WITHIN),
            Self::Told(at) => Some(at + QUIET),
            Self::Here | Self::Silent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owes_nothing_is_not_asked() {
        let mut presence = Presence::default();
        assert_eq!(presence.due(), None);
        presence.told(Instant::START);
        presence.told(Instant::from_millis(1000));
        assert_eq!(presence.due(), Some(Instant::START + QUIET));
        assert_eq!(Presence::Asked(Instant::START).due(), Some(Instant::START + PONG_WITHIN));
        assert_eq!(Presence::Silent.due(), None);
    }
}
