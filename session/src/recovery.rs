//! When to ask what has arrived, and when to give up.
//!
//! Hops are reliable and ordered until they say that they broke, so there is no estimate of round trips here: after a break
//! ([`crate::Input::PathRestored`]), at a gap in what arrives, and when nothing is acknowledged for [`PROBE_EVERY`], a side
//! asks. Whatever the answer doesn't acknowledge of what was sent before the question was lost, and is sent again.

use std::time::Duration;

use bitters_machine::time::Instant;

/// The questions of one side of an open session.
#[derive(Debug)]
pub struct Recovery {
    /// When the peer was heard last, and when it last acknowledged something (or had nothing to acknowledge).
    heard: Instant,
    progress: Instant,
    asked: Instant,
    /// The last number sent before the question that waits for its answer.
    awaiting: Option<u64>,
    /// A question that is due, but not too soon after the last.
    planned: Option<Planned>,
    /// Probes since the peer was heard.
    unheard: u32,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    at: Instant,
    mutual: bool,
}

/// How much there is to lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stake {
    /// Streams are open, nothing is under way.
    Alive,
    /// Messages wait to be acknowledged.
    InFlight,
    /// No stream is open.
    Nothing,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Ask, and have the peer ask in turn if `mutual`.
    Ask { mutual: bool },
    /// Nobody was heard for a minute of asking.
    Silent,
}

impl Recovery {
    pub const fn new(now: Instant) -> Self {
        Self { heard: now, progress: now, asked: now, awaiting: None, planned: None, unheard: 0 }
    }

    /// A packet came that is no repetition.
    pub const fn on_heard(&mut self, now: Instant) {
        self.heard = now;
        self.unheard = 0;
    }

    /// Something was acknowledged, or is the first to wait for it.
    pub const fn on_progress(&mut self, now: Instant) {
        self.progress = now;
    }

    /// A question is to be asked soon; at most one every [`ASK_EVERY`].
    pub fn plan(&mut self, mutual: bool, now: Instant) {
        let at = (self.asked + ASK_EVERY).max(now);
        let planned = self.planned.get_or_insert(Planned { at, mutual });
        planned.mutual |= mutual;
    }

    /// A question goes out, after number `sent`.
    pub const fn on_ask(&mut self, sent: u64, now: Instant) {
        self.asked = now;
        self.awaiting = Some(sent);
        self.planned = None;
    }

    /// Whether this is the answer to the question that was asked last.
    pub fn on_answer(&mut self, sent: u64) -> bool {
        self.awaiting.take_if(|awaiting| *awaiting == sent).is_some()
    }

    pub fn poll_timeout(&self, stake: Stake) -> Option<Instant> {
        let planned = self.planned.map(|planned| planned.at);
        self.probe_at(stake).into_iter().chain(planned).min()
    }

    pub fn on_timeout(&mut self, stake: Stake, now: Instant) -> Option<Due> {
        if self.probe_at(stake).is_some_and(|at| at <= now) {
            self.unheard += 1;
            return Some(if self.unheard > MAX_UNHEARD { Due::Silent } else { Due::Ask { mutual: false } });
        }
        self.planned(now).map(|mutual| Due::Ask { mutual })
    }

    /// Whether a planned question is to be asked now, and if so whether a mutual one.
    pub fn planned(&self, now: Instant) -> Option<bool> {
        self.planned.filter(|planned| planned.at <= now).map(|planned| planned.mutual)
    }

    fn probe_at(&self, stake: Stake) -> Option<Instant> {
        match stake {
            Stake::Nothing => None,
            Stake::Alive if self.unheard == 0 => Some(self.heard.max(self.asked) + ALIVE_EVERY),
            Stake::Alive => Some(self.asked + PROBE_EVERY),
            Stake::InFlight => Some(self.progress.max(self.asked) + PROBE_EVERY),
        }
    }
}

/// The hop that drops in silence is rare; five seconds are long for a round trip over any relay.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// A minute, in probes: an interval during which the machine slept counts as one.
const MAX_UNHEARD: u32 = 11;

/// Streams that are open and quiet.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

/// A gap is noticed at each packet that follows it; one question is enough.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_silence_is_the_end() {
        let mut recovery = Recovery::new(Instant::START);
        let mut asked = 0;
        loop {
            let now = recovery.poll_timeout(Stake::InFlight).unwrap();
            match recovery.on_timeout(Stake::InFlight, now).unwrap() {
                Due::Ask { .. } => recovery.on_ask(1, now),
                Due::Silent => break assert_eq!((now, asked), (Instant::from_millis(60_000), 11)),
            }
            asked += 1;
        }
    }

    #[test]
    fn a_sleep_is_not_a_minute_of_silence() {
        let mut recovery = Recovery::new(Instant::START);
        let woken = Instant::from_millis(10 * 3600 * 1000);

        assert_eq!(recovery.on_timeout(Stake::InFlight, woken), Some(Due::Ask { mutual: false }));
    }

    #[test]
    fn quiet_streams_are_looked_after_now_and_then() {
        let mut recovery = Recovery::new(Instant::START);
        recovery.on_heard(Instant::from_millis(1000));

        assert_eq!(recovery.poll_timeout(Stake::Alive), Some(Instant::from_millis(21_000)));
        assert_eq!(recovery.poll_timeout(Stake::Nothing), None);
    }

    #[test]
    fn questions_keep_their_distance() {
        let now = Instant::from_millis(10_000);
        let mut recovery = Recovery::new(Instant::START);
        recovery.on_heard(now);
        recovery.plan(true, now);
        assert_eq!(recovery.on_timeout(Stake::Alive, now), Some(Due::Ask { mutual: true }));
        recovery.on_ask(7, now);
        recovery.plan(true, now);

        assert_eq!(recovery.on_timeout(Stake::Alive, now), None);
        assert_eq!(recovery.poll_timeout(Stake::Alive), Some(now + ASK_EVERY));
        assert!(!recovery.on_answer(6));
        assert!(recovery.on_answer(7));
        assert!(!recovery.on_answer(7));
    }
}
