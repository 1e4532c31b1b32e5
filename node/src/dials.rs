//! Peers that sites want to be reachable, until they are or can't be.
//!
//! All pages of one persona that wait for the same peer share one look-up and one attempt. Each gets exactly one answer. Who isn't at the
//! rendezvous may be about to come, and is looked up again until the time is over.

use std::time::Duration;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    id::{FrameId, PersonaId},
    limits::{CALL_TIMEOUT, DIAL_TIMEOUT},
};

use crate::{
    limits::{MAX_DIALS, MAX_DIALS_PER_GROUP, MAX_DIALS_PER_ORIGIN},
    pair::Pair,
};

/// Who asked: a frame, and its request.
pub type Asker = (FrameId, u32);

/// What a peer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A link to it connects.
    Link,
    /// The rendezvous looks it up.
    Lookup,
}

/// How long a site waits for a peer: a little less than it waits for a call, so that it learns why the peer can't be called.
pub const PATIENCE: Duration = CALL_TIMEOUT.saturating_sub(Duration::from_secs(1));

/// A peer that wasn't at the rendezvous is looked up again after that time, then after twice that, up to the cap: a page that opens is
/// registered within some hundred milliseconds.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_CAP: Duration = Duration::from_secs(4);

/// Sessions ask about as often whether there is a way (`session::recovery`).
const SEEK_EVERY: Duration = Duration::from_secs(4);

/// Peers of one persona that are sought within that time, and that are looked up for it at once. Strangers can open sessions and go: what one site's
/// sessions seek has room of its own.
const SOUGHT_OF_EACH: usize = 32;

#[derive(Debug)]
struct Waiting {
    deadline: Instant,
    stage: Stage,
    askers: Vec<Asker>,
    /// Frames that were told to speak already.
    early: Set<FrameId>,
    /// Whether the rendezvous said that the peer isn't there.
    is_missed: bool,
    /// Whether the peer was knocked on.
    is_knocked: bool,
    /// How often it was asked, or the peer knocked on, in vain.
    tries: u32,
    /// When that is done again.
    again: Option<Instant>,
}

impl Waiting {
    const fn new(deadline: Instant, stage: Stage, askers: Vec<Asker>) -> Self {
        Self { deadline, stage, askers, early: Set::new(), is_missed: false, is_knocked: false, tries: 0, again: None }
    }

    fn try_again(&mut self, now: Instant) {
        let pause = AGAIN.saturating_mul(1 << self.tries.min(4)).min(AGAIN_CAP);
        self.tries += 1;
        self.again = Some(now + pause);
    }

    /// Whether only sessions wait for it, and nobody for an answer.
    const fn is_sought(&self) -> bool {
        self.askers.is_empty()
    }

    fn is_of(&self, frames: &Set<FrameId>) -> bool {
        self.askers.iter().any(|(asker, _)| frames.contains(asker))
    }
}

/// All dials that wait.
#[derive(Debug, Default)]
pub struct Dials {
    waiting: Map<Pair, Waiting>,
    /// When peers were sought last, for the sake of sessions.
    sought: Map<Pair, Instant>,
    /// When those were hung up on that aren't sought for a while.
    ended: Map<Pair, Instant>,
}

impl Dials {
    /// Whether there is room for one more of a site, which has these frames, and whose group has those.
    pub fn has_room(&self, of_site: &Set<FrameId>, of_group: &Set<FrameId>) -> bool {
        let waits = |frames: &Set<FrameId>| self.waiting.values().filter(|it| it.is_of(frames)).count();
        let dialled = self.waiting.values().filter(|it| !it.is_sought()).count();
        dialled < MAX_DIALS && waits(of_site) < MAX_DIALS_PER_ORIGIN && waits(of_group) < MAX_DIALS_PER_GROUP
    }

    /// Adds an asker to those who wait for the peer already, if any do.
    #[must_use]
    pub fn share(&mut self, pair: Pair, asker: Asker) -> bool {
        let Some(waiting) = self.waiting.get_mut(&pair) else { return false };
        waiting.askers.push(asker);
        true
    }

    /// There is a way for what is said first: frames that wait for the peer, and haven't heard of that.
    pub fn hear_early(&mut self, pair: Pair) -> Vec<FrameId> {
        let Some(waiting) = self.waiting.get_mut(&pair) else { return Vec::new() };
        let askers = Set::from_iter(waiting.askers.iter().map(|(frame, _)| *frame));
        askers.iter().filter(|frame| waiting.early.insert(**frame)).copied().collect()
    }

    /// The first asker waits for the peer.
    pub fn wait(&mut self, pair: Pair, stage: Stage, asker: Asker, now: Instant) {
        self.waiting.insert(pair, Waiting::new(now + PATIENCE, stage, vec![asker]));
    }

    /// Whether the peer may be sought again, for the sake of sessions.
    pub fn may_seek(&mut self, pair: Pair, now: Instant) -> bool {
        for times in [&mut self.sought, &mut self.ended] {
            times.retain(|_, at| now.since(*at) < SEEK_EVERY);
        }
        let is_sought = self.sought.contains_key(&pair) || self.ended.contains_key(&pair);
        let may = !is_sought && of_own(&self.sought, pair.own).count() < SOUGHT_OF_EACH;
        if may {
            self.sought.insert(pair, now);
        }
        may
    }

    /// The peer isn't sought for a while.
    pub fn seeks_not(&mut self, pair: Pair, now: Instant) {
        self.ended.insert(pair, now);
        if of_own(&self.ended, pair.own).count() > SOUGHT_OF_EACH
            && let Some(first) = of_own(&self.ended, pair.own).min_by_key(|(_, at)| *at).map(|(first, _)| *first)
        {
            self.ended.remove(&first);
        }
    }

    /// Sessions wait for the peer to be looked up, and nobody for the answer. Of too many the one gives way that was sought first.
    pub fn seek(&mut self, pair: Pair, now: Instant) {
        let sought = || of_own(&self.waiting, pair.own).filter(|(_, it)| it.is_sought());
        if sought().count() >= SOUGHT_OF_EACH
            && let Some(first) = sought().min_by_key(|(_, it)| it.deadline).map(|(first, _)| *first)
        {
            self.waiting.remove(&first);
        }
        self.waiting.insert(pair, Waiting::new(now + DIAL_TIMEOUT, Stage::Lookup, Vec::new()));
    }

    /// The rendezvous doesn't know the peer. Tells whether it is to be asked again: if a site waits.
    #[must_use]
    pub fn missed(&mut self, pair: Pair, now: Instant) -> bool {
        let Some(waiting) = self.waiting.get_mut(&pair).filter(|it| !it.is_sought()) else { return false };
        waiting.is_missed = true;
        if waiting.again.is_none() {
            waiting.try_again(now);
        }
        true
    }

    /// The peer was knocked on. It is knocked on again, should it not answer.
    pub fn knocked(&mut self, pair: Pair, now: Instant) {
        if let Some(waiting) = self.waiting.get_mut(&pair) {
            waiting.is_knocked = true;
            waiting.try_again(now);
        }
    }

    /// Whether the peer was knocked on.
    pub fn is_knocked(&self, pair: Pair) -> bool {
        self.waiting.get(&pair).is_some_and(|waiting| waiting.is_knocked)
    }

    /// Whether the rendezvous said that the peer isn't there.
    pub fn is_missed(&self, pair: Pair) -> bool {
        self.waiting.get(&pair).is_some_and(|waiting| waiting.is_missed)
    }

    /// Whether only sessions wait for the peer.
    pub fn is_sought(&self, pair: Pair) -> bool {
        self.waiting.get(&pair).is_some_and(Waiting::is_sought)
    }

    /// The server isn't asked for the peer now: its persona has asked for many.
    pub fn look_up_later(&mut self, pair: Pair, now: Instant) {
        if let Some(waiting) = self.waiting.get_mut(&pair) {
            waiting.again = Some(now + AGAIN);
        }
    }

    /// Pairs whose peer is to be looked up again. Those that were tried least come first.
    pub fn take_again(&mut self, now: Instant) -> Vec<Pair> {
        let due = self.waiting.iter_mut().filter(|(_, it)| it.again.is_some_and(|at| at <= now));
        let again = due.map(|(pair, waiting)| {
            waiting.again = None;
            (waiting.tries, *pair)
        });
        again.collect::<Set<(u32, Pair)>>().into_iter().map(|(_, pair)| pair).collect()
    }

    /// What the peer waits for.
    pub fn stage(&self, pair: Pair) -> Option<Stage> {
        self.waiting.get(&pair).map(|waiting| waiting.stage)
    }

    /// Whether a site waits for the peer, not its sessions alone.
    pub fn is_asked_for(&self, pair: Pair) -> bool {
        self.waiting.get(&pair).is_some_and(|waiting| !waiting.is_sought())
    }

    /// The peer waits for something else now.
    pub fn advance(&mut self, pair: Pair, stage: Stage) {
        if let Some(waiting) = self.waiting.get_mut(&pair) {
            waiting.stage = stage;
            waiting.again = None;
        }
    }

    /// Nobody waits for the peer any longer; these did.
    pub fn end(&mut self, pair: Pair) -> Vec<Asker> {
        self.waiting.remove(&pair).map_or_else(Vec::new, |waiting| waiting.askers)
    }

    /// Pairs at a stage.
    pub fn at(&self, stage: Stage) -> Vec<Pair> {
        self.waiting.iter().filter(|(_, waiting)| waiting.stage == stage).map(|(pair, _)| *pair).collect()
    }

    /// Pairs whose time is over.
    pub fn overdue(&self, now: Instant) -> Vec<Pair> {
        self.waiting.iter().filter(|(_, waiting)| waiting.deadline <= now).map(|(pair, _)| *pair).collect()
    }

    /// When the first time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.deadline).min()
    }

    /// When the first peer is to be looked up again.
    pub fn again(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|waiting| waiting.again).min()
    }

    /// A frame is gone and waits for nothing.
    pub fn forget(&mut self, frame: FrameId) {
        self.waiting.retain(|_, waiting| {
            let was_sought = waiting.is_sought();
            waiting.askers.retain(|(asker, _)| *asker != frame);
            was_sought || !waiting.is_sought()
        });
    }
}

/// Those of one persona.
fn of_own<T>(of: &Map<Pair, T>, own: PersonaId) -> impl Iterator<Item = (&Pair, &T)> {
    of.iter().filter(move |(pair, _)| pair.own == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_for_one_persona_share_its_end() {
        let mut dials = Dials::default();
        dials.wait(ALICE, Stage::Lookup, (TAB, 1), Instant::START);
        assert!(dials.share(ALICE, (OTHER, 2)));
        assert_eq!(dials.at(Stage::Lookup), [ALICE]);

        dials.advance(ALICE, Stage::Link);
        assert_eq!(dials.stage(ALICE), Some(Stage::Link));
        assert_eq!(dials.deadline(), Some(Instant::START + PATIENCE));
        assert_eq!(dials.overdue(Instant::START), []);
        assert_eq!(dials.overdue(Instant::START + PATIENCE), [ALICE]);

        assert_eq!(dials.end(ALICE), [(TAB, 1), (OTHER, 2)]);
        assert_eq!(dials.end(ALICE), []);
    }

    #[test]
    fn a_peer_that_is_missed_is_looked_up_again_less_and_less_often() {
        let mut dials = Dials::default();
        dials.wait(ALICE, Stage::Lookup, (TAB, 1), Instant::START);
        let (mut now, mut asked) = (Instant::START, Vec::new());
        while dials.overdue(now).is_empty() {
            assert!(dials.missed(ALICE, now));
            assert_eq!(dials.take_again(now), []);
            now = dials.again().min(dials.deadline()).unwrap();
            asked.push(now.as_millis());
            assert_eq!(dials.take_again(now).len(), usize::from(dials.overdue(now).is_empty()));
        }
        assert_eq!(asked, [250, 750, 1750, 3750, 7750, 11750, 14000]);
    }

    #[test]
    fn a_peer_that_only_sessions_seek_is_not_looked_up_again() {
        let mut dials = Dials::default();
        dials.seek(ALICE, Instant::START);
        assert!(!dials.missed(ALICE, Instant::START));
        assert!(!dials.missed(pair(7), Instant::START), "nobody waits for it");
    }

    #[test]
    fn what_sessions_of_one_persona_seek_is_bounded_and_takes_nobody_else_s_room() {
        let mut dials = Dials::default();
        let (site, other) = (Set::from_iter([TAB]), Pair { own: PersonaId([2; 32]), ..ALICE });
        for round in 0..4 {
            let now = Instant::START + SEEK_EVERY * round;
            let sought: Vec<u8> = (0..=255).filter(|n| dials.may_seek(pair(*n), now)).collect();
            assert_eq!(sought.len(), SOUGHT_OF_EACH);
            sought.into_iter().for_each(|n| dials.seek(pair(n), now));
            dials.seeks_not(pair(255), now);
        }
        assert_eq!(dials.waiting.len(), SOUGHT_OF_EACH);
        assert!(dials.may_seek(other, Instant::START + SEEK_EVERY * 3), "another persona has its own");
        assert!(!dials.may_seek(pair(255), Instant::START + SEEK_EVERY * 4 - Duration::from_millis(1)));
        dials.wait(pair(255), Stage::Lookup, (TAB, 1), Instant::START);
        assert!(dials.has_room(&site, &site));
    }

    #[test]
    fn a_frame_that_is_gone_waits_for_nothing() {
        let mut dials = Dials::default();
        dials.wait(ALICE, Stage::Lookup, (TAB, 1), Instant::START);
        dials.forget(OTHER);
        assert_eq!(dials.stage(ALICE), Some(Stage::Lookup));
        dials.forget(TAB);
        assert_eq!(dials.stage(ALICE), None);
    }

    #[test]
    fn one_site_cannot_wait_for_everybody() {
        let mut dials = Dials::default();
        let (site, other) = (Set::from_iter([TAB]), Set::from_iter([OTHER]));
        for n in 0..64 {
            assert!(dials.has_room(&site, &site));
            dials.wait(pair(n), Stage::Lookup, (TAB, 1), Instant::START);
            assert!(dials.share(pair(n), (TAB, 2)), "what is dialled already costs nothing more");
        }
        assert!(!dials.has_room(&site, &site));
        assert!(dials.has_room(&other, &other));
    }

    #[test]
    fn one_group_leaves_a_quarter_of_the_dials_to_others() {
        let mut dials = Dials::default();
        let frames: Vec<FrameId> = (10..16).map(|n| FrameId::from_random([n; 16])).collect();
        let group: Set<FrameId> = frames.iter().copied().collect();
        let waits = (0..=255_u8).filter(|n| {
            let frame = frames[usize::from(*n) / 48];
            let has_room = dials.has_room(&Set::from_iter([frame]), &group);
            if has_room {
                dials.wait(pair(*n), Stage::Lookup, (frame, 1), Instant::START);
            }
            has_room
        });
        assert_eq!(waits.count(), 192);
        let other = Set::from_iter([OTHER]);
        assert!(dials.has_room(&other, &other));
    }

    const fn pair(peer: u8) -> Pair {
        Pair { own: PersonaId([1; 32]), peer: PersonaId([peer; 32]) }
    }

    const TAB: FrameId = FrameId::from_random([1; 16]);
    const OTHER: FrameId = FrameId::from_random([2; 16]);
    const ALICE: Pair = pair(0xa1);
}
