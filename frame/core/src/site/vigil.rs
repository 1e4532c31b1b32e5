//! Is the leader there?
//!
//! A leader that dies gives its life lock back, and frames hear of that at once. One that hangs doesn't. So when something was said
//! to the leader and nothing was heard for a while, it is pinged; when it doesn't answer that either, the frame calls out to
//! all contexts of the island. A leader that answers there lives, and it is our way to it that is dead: that is opened again,
//! and again with ever longer pauses, and the leader is never replaced. One that doesn't is wedged, and the frame turns to a
//! successor. Nothing of this runs while nothing is outstanding.
//!
//! A timer that fires late shows that this page was throttled, frozen or busy, and what the leader said may wait behind it:
//! then the frame asks anew, once. Judging wrongly does no harm: a successor steals nothing from a leader that answers.

use std::time::Duration;

use bitters_machine::time::Instant;

/// Leaders answer within milliseconds; a busy machine takes a second.
const SILENCE: Duration = Duration::from_secs(2);

/// A leader that our lock doesn't tell of pings us every 5 s; two of those may be lost in a busy moment.
const REMOTE_SILENCE: Duration = Duration::from_secs(12);

/// The answer to a ping or a call.
const ANSWER: Duration = Duration::from_secs(3);

/// A worker that starts, opens its database (given up after 3 s) and reads its files (likewise), on a busy machine.
const GREETING: Duration = Duration::from_secs(10);

/// A worker whose module is on its way over a slow network: as long as a site waits for a node that has begun.
const LOADING: Duration = Duration::from_secs(45);

/// A leader that answered a call is there: our hello reached it within that time, or never will.
const HEARING: Duration = Duration::from_secs(2);

/// The pause before the line is opened for the second time.
const RETRY: Duration = Duration::from_secs(1);

/// Doublings of [`RETRY`] and [`GREETING`]: up to 8 s and 80 s.
const MAX_DOUBLINGS: u32 = 3;

/// A timer that fires that late was held up.
const LATE: Duration = Duration::from_secs(1);

/// What is outstanding with the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vigil {
    stage: Stage,
    /// The leader is reached over a bridge.
    remote: bool,
    /// Its life lock doesn't tell whether it is there, but it says something every few seconds.
    listens: bool,
    /// Something was said since the machine was entered.
    said: bool,
    /// Whether this stage was entered anew because its timer was late.
    again: bool,
    /// Lines and successors tried since the leader was heard.
    tried: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// All contexts were asked who leads.
    Called(Instant),
    /// A hello was said, or nobody is there to say it to.
    Greeted(Instant),
    /// The leader was pinged.
    Pinged(Instant),
    /// Nothing is outstanding.
    #[default]
    Quiet,
    /// The line is dead; it is opened again then.
    Resting(Instant),
    /// Something was said.
    Spoke(Instant),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Ask all contexts who leads.
    Call,
    /// Ping the leader.
    Ping,
    /// Open the line again: the leader lives.
    Reconnect,
    /// Turn to a successor: the leader doesn't answer.
    Succeed,
}

impl Vigil {
    /// Nothing is outstanding.
    pub(super) fn new(remote: bool) -> Self {
        Self { remote, listens: remote, ..Self::default() }
    }

    /// Whether the leader is reached over a bridge.
    pub(super) const fn is_remote(&self) -> bool {
        self.remote
    }

    /// The life lock of the leader that took us in doesn't tell: its silence does.
    pub(super) const fn listen(&mut self) {
        self.listens = true;
    }

    /// Another leader took us in, whose life lock may tell.
    pub(super) const fn trust(&mut self) {
        self.listens = self.remote;
    }

    /// Something was said to the leader that took us in.
    pub(super) const fn said(&mut self) {
        self.said = true;
    }

    /// All that an input brings was said.
    pub(super) fn settle(&mut self, now: Instant) {
        let said = std::mem::take(&mut self.said);
        match self.stage {
            Stage::Quiet if said => self.enter(Stage::Spoke(now + SILENCE)),
            Stage::Spoke(due) if said => self.stage = Stage::Spoke(due.min(now + SILENCE)),
            _ => {}
        }
    }

    /// The leader that took us in said something.
    pub(super) fn heard(&mut self, now: Instant) {
        let stage = if self.listens { Stage::Spoke(now + REMOTE_SILENCE) } else { Stage::Quiet };
        *self = Self { said: self.said, stage, listens: self.listens, ..Self::new(self.remote) };
    }

    /// The leader may be gone: it is asked at once.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.enter(Stage::Pinged(now + ANSWER));
    }

    /// Nobody leads, and no worker can be loaded: all contexts are asked who leads, or with the answer false they were before, in vain.
    pub(super) fn lost(&mut self, now: Instant) -> bool {
        let is_first = self.tried == 0;
        if is_first {
            self.enter(Stage::Called(now + ANSWER));
        }
        is_first
    }

    /// Whether several workers were tried since a leader was heard, for half a minute.
    pub(super) const fn has_long_tried(&self) -> bool {
        self.tried > 1
    }

    /// A hello was said, or will be as soon as somebody leads.
    pub(super) fn greeted(&mut self, now: Instant) {
        self.enter(Stage::Greeted(now + GREETING * (1 << self.tried.min(MAX_DOUBLINGS))));
    }

    /// The worker that was said hello to is still being loaded: another would be loaded beside it, and take twice as long.
    pub(super) fn loads(&mut self, now: Instant) {
        if let Stage::Greeted(due) = self.stage {
            self.stage = Stage::Greeted(due.max(now + LOADING));
        }
    }

    /// The leader at the end of our line told all contexts that it leads.
    pub(super) fn lives(&mut self, now: Instant) -> Option<Act> {
        match self.stage {
            Stage::Called(_) if self.tried == 0 => Some(self.reconnect(now)),
            Stage::Called(_) => {
                let pause = RETRY * (1 << (self.tried - 1).min(MAX_DOUBLINGS));
                self.enter(Stage::Resting(now + pause));
                None
            }
            Stage::Greeted(due) => {
                self.stage = Stage::Greeted(due.min(now + HEARING));
                None
            }
            Stage::Pinged(_) | Stage::Quiet | Stage::Resting(_) | Stage::Spoke(_) => None,
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Called(due) | Stage::Greeted(due) | Stage::Pinged(due) | Stage::Resting(due) | Stage::Spoke(due) => {
                Some(due)
            }
            Stage::Quiet => None,
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant) -> Option<Act> {
        let due = self.poll_timeout().filter(|due| *due <= now)?;
        let late = now.since(due) > LATE && !std::mem::replace(&mut self.again, true);
        match self.stage {
            Stage::Called(_) if late => {
                self.stage = Stage::Called(now + ANSWER);
                Some(Act::Call)
            }
            Stage::Called(_) => {
                self.tried = self.tried.saturating_add(1);
                self.greeted(now);
                Some(Act::Succeed)
            }
            Stage::Greeted(_) if late => {
                self.stage = Stage::Greeted(now + HEARING);
                None
            }
            Stage::Pinged(_) if late => {
                self.stage = Stage::Pinged(now + ANSWER);
                Some(Act::Ping)
            }
            Stage::Greeted(_) | Stage::Pinged(_) => {
                self.enter(Stage::Called(now + ANSWER));
                Some(Act::Call)
            }
            Stage::Quiet => None,
            Stage::Resting(_) => Some(self.reconnect(now)),
            Stage::Spoke(_) => {
                self.enter(Stage::Pinged(now + ANSWER));
                Some(Act::Ping)
            }
        }
    }

    fn reconnect(&mut self, now: Instant) -> Act {
        self.tried = self.tried.saturating_add(1);
        self.greeted(now);
        Act::Reconnect
    }

    const fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.again = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_answers_is_left_alone_and_nothing_runs() {
        let mut watch = Watch::default();
        assert_eq!(watch.vigil.poll_timeout(), None);
        watch.say();
        watch.vigil.heard(watch.now);
        assert_eq!(watch.vigil.poll_timeout(), None);

        watch.say();
        assert_eq!(watch.next(), (2000, Some(Act::Ping)));
        watch.vigil.heard(watch.now);
        assert_eq!(watch.vigil.poll_timeout(), None);
    }

    #[test]
    fn a_silent_leader_is_pinged_called_and_succeeded() {
        let mut watch = Watch::default();
        watch.say();
        assert_eq!(watch.next(), (2000, Some(Act::Ping)));
        watch.say();
        assert_eq!(watch.next(), (5000, Some(Act::Call)));
        assert_eq!(watch.next(), (8000, Some(Act::Succeed)));
        assert_eq!(watch.next(), (28_000, Some(Act::Call)), "the successor had twice the patience");
        assert_eq!(watch.next(), (31_000, Some(Act::Succeed)));
    }

    #[test]
    fn an_unanswered_hello_has_more_time() {
        let mut watch = Watch::default();
        watch.vigil.greeted(watch.now);
        assert_eq!(watch.next(), (10_000, Some(Act::Call)));
        assert_eq!(watch.next(), (13_000, Some(Act::Succeed)));
    }

    #[test]
    fn a_worker_that_is_being_loaded_has_as_long_as_sites_wait() {
        let mut watch = Watch::default();
        watch.vigil.loads(watch.now);
        assert_eq!(watch.vigil.poll_timeout(), None, "nobody waits");
        watch.vigil.greeted(watch.now);
        watch.vigil.loads(watch.now);
        assert_eq!(watch.next(), (45_000, Some(Act::Call)));
        watch.vigil.loads(watch.now);
        assert_eq!(watch.next(), (48_000, Some(Act::Succeed)));
    }

    #[test]
    fn a_leader_that_lives_is_never_replaced_however_often_the_line_fails() {
        let mut watch = Watch::default();
        watch.say();
        watch.next();
        watch.next();
        assert_eq!(watch.vigil.lives(watch.now), Some(Act::Reconnect), "at once the first time");
        let mut acts = Vec::new();
        for _ in 0..5 {
            assert_eq!(watch.next().1, Some(Act::Call));
            assert_eq!(watch.vigil.lives(watch.now), None);
            let called = watch.now;
            assert_eq!(watch.next().1, Some(Act::Reconnect));
            acts.push(watch.now.since(called).as_secs());
            watch.vigil.greeted(watch.now);
        }
        assert_eq!(acts, [1, 2, 4, 8, 8]);
    }

    #[test]
    fn a_leader_that_says_it_leads_while_our_hello_waits_has_little_time_to_answer_it() {
        let mut watch = Watch::default();
        watch.vigil.greeted(watch.now);
        assert_eq!(watch.vigil.lives(watch.now), None);
        assert_eq!(watch.next(), (2000, Some(Act::Call)));
        assert_eq!(watch.vigil.lives(watch.now), Some(Act::Reconnect));
    }

    #[test]
    fn who_was_held_up_asks_anew_once() {
        let mut watch = Watch::default();
        watch.say();
        watch.next();
        assert_eq!(watch.late(), Some(Act::Ping), "not yet a call");
        assert_eq!(watch.late(), Some(Act::Call), "a throttled page judges, too");
        assert_eq!(watch.late(), Some(Act::Call));
        assert_eq!(watch.late(), Some(Act::Succeed));

        let mut watch = Watch::default();
        watch.vigil.greeted(watch.now);
        assert_eq!(watch.late(), None);
        assert_eq!(watch.next(), (3_612_000, Some(Act::Call)));
    }

    #[derive(Default)]
    struct Watch {
        vigil: Vigil,
        now: Instant,
    }

    impl Watch {
        fn say(&mut self) {
            self.vigil.said();
            self.vigil.settle(self.now);
        }

        /// When something is to be done next, and what.
        fn next(&mut self) -> (u64, Option<Act>) {
            self.now = self.vigil.poll_timeout().expect("something is due");
            (self.now.as_millis(), self.vigil.on_timeout(self.now))
        }

        /// The same an hour late.
        fn late(&mut self) -> Option<Act> {
            self.now = self.vigil.poll_timeout().expect("something is due") + Duration::from_secs(3600);
            self.vigil.on_timeout(self.now)
        }
    }
}
