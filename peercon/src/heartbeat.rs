//! Pings: they measure the round trip, and notice a peer that is silently gone before its browser does.

use std::time::Duration;

use bitters_wire::{local::DownReason, time::Instant};

/// From one ping to the next.
const EVERY: Duration = Duration::from_secs(15);

/// How long a pong may take. Chromium says `failed` after 15 s without a working path.
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// An honest peer's ping is sent 30 s after its last but one, which took 20 s at most.
const LAST_BUT_ONE: Duration = Duration::from_secs(10);

/// Our pings, one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    number: u32,
    sent: Instant,
    answered: bool,
}

impl Heartbeat {
    /// The number is of the first ping, sent now.
    pub(crate) const fn start(now: Instant) -> (Self, u32) {
        (Self { number: 0, sent: now, answered: false }, 0)
    }

    /// The number of a ping to be sent now, if one is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Result<Option<u32>, DownReason> {
        match (now < self.poll_timeout(), self.answered) {
            (true, _) => Ok(None),
            (false, false) => Err(DownReason::Closed),
            (false, true) => {
                let number = self.number.wrapping_add(1);
                *self = Self { number, sent: now, answered: false };
                Ok(Some(number))
            }
        }
    }

    /// The round trip. A pong that answers nothing breaks the protocol.
    pub(crate) fn on_pong(&mut self, number: u32, now: Instant) -> Result<Duration, DownReason> {
        if self.answered || number != self.number {
            return Err(DownReason::Protocol);
        }
        self.answered = true;
        Ok(now.since(self.sent))
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.sent + if self.answered { EVERY } else { PONG_WITHIN }
    }
}

/// When the peer's last two pings came, the older first: nobody is to keep us busy with pongs.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerPings([Option<Instant>; 2]);

impl PeerPings {
    pub(crate) fn on_ping(&mut self, now: Instant) -> Result<(), DownReason> {
        let [last_but_one, last] = self.0;
        if last_but_one.is_some_and(|at| now.since(at) < LAST_BUT_ONE) {
            return Err(DownReason::Protocol);
        }
        self.0 = [last, Some(now)];
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
        assert_eq!(pings.on_ping(at(60)), Ok(()));
        assert_eq!(pings.on_ping(at(60)), Err(DownReason::Protocol));
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }
}
