//! Pings: they measure the round trip, and notice a peer that is silently gone before its browser does.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::local::DownReason;

/// From one ping to the next.
const EVERY: Duration = Duration::from_secs(15);

/// How long a pong may take. Chromium says `failed` after 15 s without a working path.
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// How long a pong may take when there is reason to doubt: ten slow round trips.
const DOUBTED_WITHIN: Duration = Duration::from_secs(3);

/// Probes of an honest peer are that far apart, whatever its leader wants.
const PROBE_EVERY: Duration = Duration::from_secs(3);

/// Of an honest peer's pings, which can take 20 s to arrive, no more than this come within [`WINDOW`]: two of its own
/// time, and a probe every 3 s.
const MAX_PINGS: usize = 16;
const WINDOW: Duration = Duration::from_secs(10);

/// Our pings, one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    number: u32,
    sent: Instant,
    answered: bool,
    /// The pong is due earlier than usual.
    doubted: Option<Instant>,
    /// The next one is due as soon as this one is answered.
    again: bool,
}

impl Heartbeat {
    /// The number is of the first ping, sent now.
    pub(crate) const fn start(now: Instant) -> (Self, u32) {
        (Self { number: 0, sent: now, answered: false, doubted: None, again: false }, 0)
    }

    /// The number of a ping to be sent now, if one is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Result<Option<u32>, DownReason> {
        match (now < self.poll_timeout(), self.answered) {
            (true, _) => Ok(None),
            (false, false) => Err(DownReason::Closed),
            (false, true) => {
                let number = self.number.wrapping_add(1);
                *self = Self { number, sent: now, answered: false, doubted: None, again: false };
                Ok(Some(number))
            }
        }
    }

    /// The number of a ping to be sent at once, if none is under way. The one that is under way is to be answered soon.
    pub(crate) fn probe(&mut self, now: Instant) -> Option<u32> {
        if self.answered && now.since(self.sent) < PROBE_EVERY {
            return None;
        }
        let doubted = Some(self.doubted.unwrap_or(now + DOUBTED_WITHIN));
        if !self.answered {
            self.doubted = doubted;
            return None;
        }
        let number = self.number.wrapping_add(1);
        *self = Self { number, sent: now, answered: false, doubted, again: false };
        Some(number)
    }

    /// A ping is wanted soon, for itself.
    pub(crate) const fn again(&mut self) {
        self.again = true;
    }

    /// The round trip. A pong that answers nothing breaks the protocol.
    pub(crate) fn on_pong(&mut self, number: u32, now: Instant) -> Result<Duration, DownReason> {
        if self.answered || number != self.number {
            return Err(DownReason::Protocol);
        }
        self.answered = true;
        self.doubted = None;
        Ok(now.since(self.sent))
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        let due = match (self.answered, self.again) {
            (true, true) => self.sent,
            (true, false) => self.sent + EVERY,
            (false, _) => self.sent + PONG_WITHIN,
        };
        self.doubted.map_or(due, |doubted| due.min(doubted))
    }
}

/// When the peer's last pings came, the oldest first: nobody is to keep us busy with pongs.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerPings([Option<Instant>; MAX_PINGS]);

impl PeerPings {
    pub(crate) fn on_ping(&mut self, now: Instant) -> Result<(), DownReason> {
        if self.0[0].is_some_and(|at| now.since(at) < WINDOW) {
            return Err(DownReason::Protocol);
        }
        self.0.rotate_left(1);
        self.0[MAX_PINGS - 1] = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_goes_out_every_15_seconds_and_measures() {
        let (mut heartbeat, first) = Heartbeat::start(at(1));

        assert_eq!(heartbeat.on_pong(first, at(3)), Ok(Duration::from_secs(2)));
        assert_eq!(heartbeat.poll_timeout(), at(16));
        assert_eq!(heartbeat.poll(at(15)), Ok(None));
        assert_eq!(heartbeat.poll(at(16)), Ok(Some(1)));
    }

    #[test]
    fn a_missing_pong_ends_it() {
        let (mut heartbeat, _) = Heartbeat::start(at(1));

        assert_eq!(heartbeat.poll(at(20)), Ok(None));
        assert_eq!(heartbeat.poll(at(21)), Err(DownReason::Closed));
    }

    #[test]
    fn a_pong_answers_one_ping_once() {
        let (mut heartbeat, first) = Heartbeat::start(at(1));

        assert_eq!(heartbeat.on_pong(first + 1, at(2)), Err(DownReason::Protocol));
        assert_eq!(heartbeat.on_pong(first, at(2)), Ok(Duration::from_secs(1)));
        assert_eq!(heartbeat.on_pong(first, at(3)), Err(DownReason::Protocol));
    }

    #[test]
    fn honest_pings_pass_and_a_flood_does_not() {
        let mut pings = PeerPings::default();
        // The first took 20 s to arrive, the others nothing.
        for arrival in [20, 20, 30, 45, 60] {
            assert_eq!(pings.on_ping(at(arrival)), Ok(()), "at {arrival} s");
        }
        for _ in 1..MAX_PINGS {
            assert_eq!(pings.on_ping(at(60)), Ok(()));
        }
        assert_eq!(pings.on_ping(at(60)), Err(DownReason::Protocol));
    }

    #[test]
    fn a_probe_is_answered_soon_or_it_is_the_end() {
        let (mut heartbeat, first) = Heartbeat::start(at(1));
        assert_eq!(heartbeat.on_pong(first, at(2)), Ok(Duration::from_secs(1)));

        assert_eq!(heartbeat.probe(at(10)), Some(1));
        assert_eq!((heartbeat.probe(at(11)), heartbeat.poll_timeout()), (None, at(13)));
        assert_eq!(heartbeat.on_pong(1, at(12)), Ok(Duration::from_secs(2)));
        assert_eq!((heartbeat.probe(at(12)), heartbeat.poll_timeout()), (None, at(25)));

        assert_eq!(heartbeat.probe(at(20)), Some(2));
        assert_eq!(heartbeat.poll(at(23)), Err(DownReason::Closed));
    }

    #[test]
    fn a_ping_that_is_under_way_answers_for_the_probe() {
        let (mut heartbeat, _) = Heartbeat::start(at(1));

        assert_eq!((heartbeat.probe(at(5)), heartbeat.poll_timeout()), (None, at(8)));
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }
}
