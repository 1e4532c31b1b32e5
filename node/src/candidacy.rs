//! From a worker's start to its leadership, and to its loss.
//!
//! A leader holds the island's leader lock (architecture: "Leader and frames"). Every worker queues for it, and waits for ever: a
//! waiting candidate is healthy. One that frames opened because their leader fell silent is a *successor*. It knows which
//! leadership fell silent, and gives the lock time to come free; then it asks for it anew, which puts a page out of the
//! back/forward cache that keeps the lock; then it steals the lock, if the store says that nobody stole from this leadership and
//! none began since. So a leadership is stolen once at most, however many frames complain of it. Whoever leads answers
//! [`Announcement::Candidate`], and from a leader that says a word nothing is stolen.
//!
//! That the lock is granted doesn't prove that nobody leads: the leader may hold it in another namespace of locks (browser-facts:
//! "Locks and the person's data"). So a worker with the lock that hears a leader, other than the one whose end it waited for, *doubts*: it
//! keeps the lock, asks that leader now and then, and leads when it isn't answered any more. A worker that heard several leaders while it waited doesn't know whose lock it has. Should both lead, the earlier stands down.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    announce::Announcement,
    id::{Boot, Epoch},
};

/// A leader's worker that is gone gives its lock back within half a second, however it died (browser-facts: "Life and death").
const PATIENCE: Duration = Duration::from_secs(3);

/// A fresh request puts a page out of the back/forward cache at once; its renderer may be busy.
const INSISTENCE: Duration = Duration::from_secs(2);

/// A leader answers within milliseconds; a busy machine takes a second.
const ANSWER: Duration = Duration::from_secs(2);

/// How often a leader elsewhere is asked whether it is there. Frames that miss it come to us, and then it is asked at once.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// A timer that fires that late says that this worker was suspended or stuck, and perhaps the leader with it.
const LATE: Duration = Duration::from_secs(1);

/// A worker that leads or wants to.
#[derive(Debug)]
pub struct Candidacy {
    build: String,
    after: Option<Epoch>,
    /// Nothing is stolen from a leadership that is later.
    limit: Option<Epoch>,
    stage: Stage,
    /// The leader of another build that was told of us last.
    told: Option<Boot>,
    /// The leader that was heard first while we had no lock, and whether another was since.
    heard: Option<Boot>,
    several: bool,
    /// The latest leadership that was heard of.
    latest: Epoch,
    /// Whether the lock was held by somebody before us: then whoever was heard held it, and is gone.
    waited: bool,
    /// Whether a leader was heard since we have the lock that isn't gone.
    elsewhere: bool,
    outbox: VecDeque<CandidacyOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The store is asked whether the lock may be stolen.
    Claiming,
    /// It has the lock, and another leads. That is asked then, or was, and has until then to answer.
    Doubting { due: Instant, asked: bool },
    /// A successor asked for the lock anew.
    Insisting(Instant),
    /// It leads.
    Leading,
    /// It has the lock, and isn't ready yet.
    Opening,
    /// It had the lock, or can't have it.
    Over,
    /// A successor gives the lock time to come free.
    Patient(Instant),
    /// It steals the lock.
    Stealing,
    /// It is queued for the lock, for as long as that takes.
    Waiting,
}

/// A fact, in the order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidacyInput {
    /// Another context of the island announced something.
    Announced(Announcement),
    /// A frame came to this worker: it found no leader.
    Asked,
    /// The lock is ours; and whether somebody else was seen to hold it before.
    Granted {
        /// Whether somebody was.
        waited: bool,
    },
    /// The lock was stolen from us, or can't be asked for.
    Lost,
    /// What [`CandidacyOutput::Open`] asked for is done.
    Opened,
    /// The worker runs.
    Started,
    /// The answer to [`CandidacyOutput::ClaimSteal`].
    StealAllowed(bool),
    /// The answer to [`CandidacyOutput::ReadEpoch`].
    Stored(Epoch),
    /// It is as late as [`poll_timeout`](Candidacy::poll_timeout) said.
    Timeout,
}

/// An act for the shell, in the order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidacyOutput {
    /// Tell all contexts of the island.
    Announce(Announcement),
    /// Claim the one steal of the stored leadership, unless that is later than this one or was stolen from before; answered
    /// with [`CandidacyInput::StealAllowed`].
    ClaimSteal(Epoch),
    /// Announce the leadership and take frames in.
    Lead,
    /// Read the store and name the leadership, later than what is stored and than `after`, which is zero if none was ever heard of; answered
    /// with [`CandidacyInput::Opened`].
    Open {
        /// The latest leadership that is known.
        after: Epoch,
    },
    /// Read which leadership is stored; answered with [`CandidacyInput::Stored`] if that can be read.
    ReadEpoch,
    /// Queue for the leader lock; answered with [`CandidacyInput::Granted`], sooner or later, or [`CandidacyInput::Lost`].
    Request,
    /// Close everything, and the worker.
    StandDown,
    /// Take the leader lock from whoever holds it; answered like [`Request`](Self::Request).
    Steal,
    /// Take the request back. A grant of it that wasn't told is not to be told any more, and the lock given back.
    Withdraw,
}

impl Candidacy {
    /// A worker of `build`; a successor if it takes over from the leadership `after`, which is zero if it was never heard of.
    #[must_use]
    pub const fn new(build: String, after: Option<Epoch>) -> Self {
        Self {
            build,
            after,
            limit: None,
            stage: Stage::Waiting,
            told: None,
            heard: None,
            several: false,
            latest: Epoch(0),
            waited: false,
            elsewhere: false,
            outbox: VecDeque::new(),
        }
    }
}

impl Machine for Candidacy {
    type Input = CandidacyInput;
    type Output = CandidacyOutput;

    /// Takes a fact.
    fn handle_input(&mut self, input: CandidacyInput, now: Instant) {
        match input {
            CandidacyInput::Announced(announcement) => self.on_announced(&announcement, now),
            CandidacyInput::Asked => self.on_asked(now),
            CandidacyInput::Granted { waited } => self.on_granted(waited, now),
            CandidacyInput::Lost => self.on_lost(),
            CandidacyInput::Opened => self.on_opened(now),
            CandidacyInput::Started => {
                self.act(CandidacyOutput::Request);
                self.present();
                self.hope(now);
            }
            CandidacyInput::StealAllowed(allowed) => self.on_claimed(allowed),
            CandidacyInput::Stored(epoch) => self.limit = self.limit.or(Some(epoch)),
            CandidacyInput::Timeout => self.on_time(now),
        }
    }

    /// The next act, until there is none.
    fn poll_output(&mut self) -> Option<CandidacyOutput> {
        self.outbox.pop_front()
    }

    /// When [`CandidacyInput::Timeout`] is due, if at all.
    fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Doubting { due, .. } | Stage::Insisting(due) | Stage::Patient(due) => Some(due),
            _ => None,
        }
    }
}

impl Candidacy {
    /// A successor begins to wait for its predecessor's lock.
    fn hope(&mut self, now: Instant) {
        let Some(after) = self.after else { return };
        self.stage = Stage::Patient(now + PATIENCE);
        self.limit = (after > Epoch::default()).then_some(after);
        if self.limit.is_none() {
            self.act(CandidacyOutput::ReadEpoch);
        }
    }

    fn on_announced(&mut self, announcement: &Announcement, now: Instant) {
        let Announcement::LeaderUp { epoch, boot, build, .. } = announcement else { return };
        self.latest = self.latest.max(*epoch);
        match self.stage {
            Stage::Doubting { .. } => self.stage = Stage::Doubting { due: now + ASK_EVERY, asked: false },
            Stage::Opening if !(self.waited && self.heard == Some(*boot)) => self.elsewhere = true,
            _ => {}
        }
        if !self.is_queued() {
            return;
        }
        self.several |= self.heard.is_some_and(|heard| heard != *boot);
        self.heard = self.heard.or(Some(*boot));
        // One that is earlier than our predecessor lost its lock long ago and doesn't know it.
        if self.after.is_some_and(|after| *epoch >= after) {
            self.stage = Stage::Waiting;
        }
        if *build != self.build && self.told != Some(*boot) {
            self.told = Some(*boot);
            self.present();
        }
    }

    /// Frames found no leader again, and this worker had made its peace with one.
    fn on_asked(&mut self, now: Instant) {
        if matches!(self.stage, Stage::Doubting { asked: false, .. }) {
            self.doubt(now);
        }
        if self.stage == Stage::Waiting && self.after.is_some() {
            self.present();
            self.hope(now);
        }
    }

    fn on_granted(&mut self, waited: bool, now: Instant) {
        if !self.is_queued() {
            return;
        }
        self.waited = waited;
        if self.several || self.heard.is_some() && !waited {
            self.doubt(now);
        } else {
            self.open();
        }
    }

    fn on_opened(&mut self, now: Instant) {
        if self.stage != Stage::Opening {
            return;
        }
        if self.elsewhere {
            return self.doubt(now);
        }
        self.stage = Stage::Leading;
        self.act(CandidacyOutput::Lead);
    }

    fn open(&mut self) {
        self.elsewhere = false;
        self.stage = Stage::Opening;
        self.act(CandidacyOutput::Open { after: self.latest.max(self.after.unwrap_or_default()) });
    }

    /// Another leads, though we have the lock: is it still there?
    fn doubt(&mut self, now: Instant) {
        self.present();
        self.stage = Stage::Doubting { due: now + ANSWER, asked: true };
    }

    fn on_lost(&mut self) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.act(CandidacyOutput::StandDown);
        }
    }

    fn on_claimed(&mut self, allowed: bool) {
        if self.stage != Stage::Claiming {
            return;
        }
        self.stage = if allowed { Stage::Stealing } else { Stage::Waiting };
        if allowed {
            // What is still queued would wait for ourselves.
            self.act(CandidacyOutput::Withdraw);
            self.act(CandidacyOutput::Steal);
        }
    }

    fn on_time(&mut self, now: Instant) {
        match self.stage {
            Stage::Doubting { due, asked: true } if due + LATE < now => self.doubt(now),
            Stage::Doubting { due, asked: true } if due <= now => self.open(),
            Stage::Doubting { due, asked: false } if due <= now => self.doubt(now),
            Stage::Patient(due) if due <= now => {
                self.act(CandidacyOutput::Withdraw);
                self.act(CandidacyOutput::Request);
                self.insist(now);
            }
            Stage::Insisting(due) if due + LATE < now => self.insist(now),
            Stage::Insisting(due) if due <= now => match self.limit {
                Some(limit) => {
                    self.stage = Stage::Claiming;
                    self.act(CandidacyOutput::ClaimSteal(limit));
                }
                // Without the store nobody knows who stole before.
                None => self.stage = Stage::Waiting,
            },
            _ => {}
        }
    }

    fn insist(&mut self, now: Instant) {
        self.present();
        self.stage = Stage::Insisting(now + INSISTENCE);
    }

    /// Whether the lock may be granted to us.
    const fn is_queued(&self) -> bool {
        !matches!(self.stage, Stage::Doubting { .. } | Stage::Leading | Stage::Opening | Stage::Over)
    }

    fn present(&mut self) {
        self.act(CandidacyOutput::Announce(Announcement::Candidate { build: self.build.clone() }));
    }

    fn act(&mut self, output: CandidacyOutput) {
        self.outbox.push_back(output);
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::{announce::LeaderKind, id::FrameId};

    use super::{CandidacyInput as Input, CandidacyOutput as Output, *};

    #[test]
    fn a_candidate_waits_for_ever_and_leads_when_its_turn_comes() {
        let mut worker = Worker::new(None);
        assert_eq!(worker.start(), [Output::Request, candidate()]);
        assert_eq!(worker.machine.poll_timeout(), None);

        assert_eq!(worker.input(Input::Granted { waited: true }), [open(0)]);
        assert_eq!(worker.input(Input::Opened), [Output::Lead]);
    }

    #[test]
    fn a_candidate_tells_each_leader_of_another_build_once() {
        let mut worker = Worker::new(None);
        worker.start();
        assert_eq!(worker.input(leader_up(5, "b1")), []);
        assert_eq!(worker.input(leader_up(6, "b0")), [candidate()]);
        assert_eq!(worker.input(leader_up(6, "b0")), [], "its answer isn't answered");
        assert_eq!(worker.input(leader_up(7, "b0")), [candidate()]);

        worker.input(Input::Granted { waited: true });
        assert_eq!(worker.input(leader_up(8, "b0")), [], "it doesn't wait any longer");
    }

    #[test]
    fn a_candidate_doesn_t_mind_being_asked() {
        let mut worker = Worker::new(None);
        worker.start();
        assert_eq!(worker.input(Input::Asked), []);
        assert_eq!(worker.machine.poll_timeout(), None);
    }

    #[test]
    fn a_successor_waits_insists_claims_and_steals() {
        let mut worker = Worker::new(Some(5));
        assert_eq!(worker.start(), [Output::Request, candidate()]);
        assert_eq!(worker.machine.poll_timeout(), Some(Instant::from_millis(3000)));

        assert_eq!(worker.timeout(), [Output::Withdraw, Output::Request, candidate()]);
        assert_eq!(worker.machine.poll_timeout(), Some(Instant::from_millis(5000)));

        assert_eq!(worker.timeout(), [Output::ClaimSteal(Epoch(5))]);
        assert_eq!(worker.input(Input::StealAllowed(true)), [Output::Withdraw, Output::Steal]);
        assert_eq!(worker.input(Input::Granted { waited: true }), [open(5)]);
    }

    #[test]
    fn a_successor_that_gets_the_lock_in_time_steals_nothing() {
        for waits in 0..3 {
            let mut worker = Worker::new(Some(5));
            worker.start();
            for _ in 0..waits {
                worker.timeout();
            }
            assert_eq!(worker.input(Input::Granted { waited: true }), [open(5)]);
            assert_eq!(worker.machine.poll_timeout(), None);
            assert_eq!(worker.input(Input::StealAllowed(true)), [], "after {waits} waits");
        }
    }

    #[test]
    fn a_successor_that_is_refused_the_steal_waits_on() {
        let mut worker = Worker::claiming(5);
        assert_eq!(worker.input(Input::StealAllowed(false)), []);
        assert_eq!(worker.machine.poll_timeout(), None);
        assert_eq!(worker.input(Input::Granted { waited: true }), [open(5)], "its request stands");
    }

    #[test]
    fn nothing_is_stolen_from_a_leader_that_says_a_word() {
        for waits in 0..3 {
            let mut worker = Worker::new(Some(5));
            worker.start();
            for _ in 0..waits {
                worker.timeout();
            }
            worker.input(leader_up(5, "b1"));
            assert_eq!(worker.machine.poll_timeout(), None, "after {waits} waits");
            assert_eq!(worker.input(Input::StealAllowed(true)), [], "after {waits} waits");
        }
    }

    #[test]
    fn one_that_lost_its_lock_long_ago_is_no_leader() {
        let mut worker = Worker::new(Some(5));
        worker.start();
        worker.input(leader_up(4, "b1"));
        assert_eq!(worker.timeout(), [Output::Withdraw, Output::Request, candidate()]);
    }

    #[test]
    fn a_successor_that_made_its_peace_tries_again_when_frames_complain_again() {
        let mut worker = Worker::new(Some(5));
        worker.start();
        worker.input(leader_up(5, "b1"));
        assert_eq!(worker.input(Input::Asked), [candidate()]);
        assert_eq!(worker.timeout(), [Output::Withdraw, Output::Request, candidate()]);
        assert_eq!(worker.input(Input::Asked), [], "it is at it");
    }

    #[test]
    fn a_successor_of_a_leader_unheard_of_steals_from_whom_it_found_at_its_start() {
        let mut worker = Worker::new(Some(0));
        assert_eq!(worker.start(), [Output::Request, candidate(), Output::ReadEpoch]);
        worker.input(Input::Stored(Epoch(9)));
        worker.timeout();
        assert_eq!(worker.timeout(), [Output::ClaimSteal(Epoch(9))]);
    }

    #[test]
    fn without_the_store_nothing_is_stolen() {
        let mut worker = Worker::new(Some(0));
        worker.start();
        worker.timeout();
        assert_eq!(worker.timeout(), []);
        assert_eq!(worker.machine.poll_timeout(), None);
    }

    #[test]
    fn a_successor_that_was_suspended_insists_anew() {
        let mut worker = Worker::new(Some(5));
        worker.start();
        worker.timeout();
        worker.now = worker.now + Duration::from_secs(3600);
        assert_eq!(worker.input(Input::Timeout), [candidate()]);
        assert_eq!(worker.timeout(), [Output::ClaimSteal(Epoch(5))]);
    }

    #[test]
    fn a_worker_whose_lock_is_stolen_stands_down_once_and_for_good() {
        let mut worker = Worker::new(None);
        worker.start();
        worker.input(Input::Granted { waited: true });
        assert_eq!(worker.input(Input::Lost), [Output::StandDown]);
        assert_eq!(worker.input(Input::Opened), [], "it was stolen while it opened: it doesn't come up");
        assert_eq!(worker.input(Input::Lost), []);

        let mut worker = Worker::new(None);
        worker.start();
        worker.input(Input::Granted { waited: true });
        worker.input(Input::Opened);
        assert_eq!(worker.input(Input::Lost), [Output::StandDown]);
        assert_eq!(worker.input(Input::Granted { waited: true }), []);
    }

    #[test]
    fn a_lock_that_is_free_while_somebody_leads_is_kept_and_doubted() {
        let mut worker = Worker::new(None);
        worker.start();
        worker.input(leader_up(5, "b1"));
        assert_eq!(worker.input(Input::Granted { waited: false }), [candidate()], "it isn't opened");
        assert_eq!(worker.input(Input::Opened), []);
        for _ in 0..3 {
            assert_eq!(worker.input(leader_up(5, "b1")), []);
            assert_eq!(worker.timeout(), [candidate()]);
        }
        assert_eq!(worker.timeout(), [open(5)], "nobody answers any longer");
        assert_eq!(worker.input(Input::Opened), [Output::Lead]);
    }

    #[test]
    fn a_leader_elsewhere_may_be_heard_as_late_as_we_are_ready() {
        for waited in [true, false] {
            let mut worker = Worker::new(None);
            worker.start();
            assert_eq!(worker.input(Input::Granted { waited }), [open(0)]);
            worker.input(leader_up(5, "b1"));
            assert_eq!(worker.input(Input::Opened), [candidate()], "waited: {waited}");
            assert_eq!(worker.timeout(), [open(5)]);
            assert_eq!(worker.input(Input::Opened), [Output::Lead]);
        }
    }

    #[test]
    fn the_last_word_of_the_leader_that_we_waited_for_keeps_nobody_from_leading() {
        let mut worker = Worker::new(None);
        worker.start();
        worker.input(leader_up(5, "b1"));
        assert_eq!(worker.input(Input::Granted { waited: true }), [open(5)]);
        worker.input(leader_up(5, "b1"));
        assert_eq!(worker.input(Input::Opened), [Output::Lead]);
    }

    #[test]
    fn frames_that_miss_the_leader_elsewhere_have_it_asked_at_once() {
        let mut worker = Worker::new(None);
        worker.start();
        worker.input(leader_up(5, "b1"));
        worker.input(Input::Granted { waited: false });
        assert_eq!(worker.input(Input::Asked), [], "it is being asked");
        worker.input(leader_up(5, "b1"));
        assert_eq!(worker.input(Input::Asked), [candidate()]);
        assert_eq!(worker.timeout(), [open(5)]);
    }

    #[test]
    fn who_doubts_and_was_suspended_asks_again_and_who_loses_the_lock_stands_down() {
        let mut worker = Worker::new(None);
        worker.start();
        worker.input(leader_up(5, "b1"));
        worker.input(Input::Granted { waited: false });
        worker.now = worker.now + Duration::from_secs(3600);
        assert_eq!(worker.input(Input::Timeout), [candidate()]);
        assert_eq!(worker.input(Input::Lost), [Output::StandDown]);
        assert_eq!(worker.machine.poll_timeout(), None);
    }

    #[test]
    fn who_heard_several_leaders_while_it_waited_doesn_t_know_whose_lock_it_has() {
        let mut worker = Worker::new(None);
        worker.start();
        worker.input(leader_up(5, "b1"));
        worker.input(leader_up(6, "b1"));
        assert_eq!(worker.input(Input::Granted { waited: true }), [candidate()]);
        assert_eq!(worker.timeout(), [open(6)]);
    }

    struct Worker {
        machine: Candidacy,
        now: Instant,
    }

    impl Worker {
        fn new(after: Option<u64>) -> Self {
            Self { machine: Candidacy::new("b1".into(), after.map(Epoch)), now: Instant::START }
        }

        fn claiming(after: u64) -> Self {
            let mut worker = Self::new(Some(after));
            worker.start();
            worker.timeout();
            assert_eq!(worker.timeout(), [Output::ClaimSteal(Epoch(after))]);
            worker
        }

        fn start(&mut self) -> Vec<Output> {
            self.input(Input::Started)
        }

        fn timeout(&mut self) -> Vec<Output> {
            self.now = self.machine.poll_timeout().expect("something is due");
            self.input(Input::Timeout)
        }

        fn input(&mut self, input: Input) -> Vec<Output> {
            self.machine.handle_input(input, self.now);
            std::iter::from_fn(|| self.machine.poll_output()).collect()
        }
    }

    fn open(after: u64) -> Output {
        Output::Open { after: Epoch(after) }
    }

    fn candidate() -> Output {
        Output::Announce(Announcement::Candidate { build: "b1".into() })
    }

    fn leader_up(epoch: u64, build: &str) -> Input {
        Input::Announced(Announcement::LeaderUp {
            epoch: Epoch(epoch),
            boot: Boot(FrameId::from_random([u8::try_from(epoch).unwrap(); 16]).0),
            build: build.into(),
            worker: "/leader.js".into(),
            name: "bitters/2/b0".into(),
            kind: LeaderKind::Shared,
            heard: None,
        })
    }
}
