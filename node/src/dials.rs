//! Personas that sites want to be reachable, until they are or can't be.
//!
//! All who wait for the same persona share one look-up and one attempt. Each gets exactly one answer.

use std::time::Duration;

use bitters_wire::{
    id::{FrameId, LinkId, NodeId, PersonaId},
    limits::DIAL_TIMEOUT,
    map::{Map, Set},
    time::Instant,
};

use crate::quotas::{MAX_DIALS, MAX_DIALS_PER_GROUP, MAX_DIALS_PER_ORIGIN};

/// Who asked: a frame, and its request.
pub type Asker = (FrameId, u32);

/// What a persona waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its address is dialled, by this link; then its node is to claim it.
    Address(LinkId),
    /// The rendezvous looks it up.
    Lookup,
    /// A link to its node connects.
    Node(NodeId),
}

/// Sessions ask about as often whether there is a way (`session::recovery`).
const SEEK_EVERY: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct Waiting {
    deadline: Instant,
    stage: Stage,
    askers: Vec<Asker>,
}

/// All dials that wait.
#[derive(Debug, Default)]
pub struct Dials {
    waiting: Map<PersonaId, Waiting>,
    /// When personas were sought last, for the sake of sessions.
    sought: Map<PersonaId, Instant>,
}

impl Dials {
    /// Whether there is room for one more of a site, which has these frames, and whose group has those.
    pub fn has_room(&self, of_site: &Set<FrameId>, of_group: &Set<FrameId>) -> bool {
        let waits = |frames: &Set<FrameId>| {
            self.waiting.values().flat_map(|it| &it.askers).filter(|(asker, _)| frames.contains(asker)).count()
        };
        self.waiting.len() < MAX_DIALS && waits(of_site) < MAX_DIALS_PER_ORIGIN && waits(of_group) < MAX_DIALS_PER_GROUP
    }

    /// Adds an asker to those who wait for `persona` already, if any do.
    #[must_use]
    pub fn share(&mut self, persona: PersonaId, asker: Asker) -> bool {
        let Some(waiting) = self.waiting.get_mut(&persona) else { return false };
        waiting.askers.push(asker);
        true
    }

    /// The first asker waits for `persona`.
    pub fn wait(&mut self, persona: PersonaId, stage: Stage, asker: Asker, now: Instant) {
        self.waiting.insert(persona, Waiting { deadline: now + DIAL_TIMEOUT, stage, askers: vec![asker] });
    }

    /// Whether `persona` may be sought again, for the sake of sessions.
    pub fn may_seek(&mut self, persona: PersonaId, now: Instant) -> bool {
        self.sought.retain(|_, at| now.since(*at) < SEEK_EVERY);
        let may = !self.sought.contains_key(&persona) && self.waiting.len().max(self.sought.len()) < MAX_DIALS;
        if may {
            self.sought.insert(persona, now);
        }
        may
    }

    /// Sessions wait for `persona` to be looked up, and nobody for the answer.
    pub fn seek(&mut self, persona: PersonaId, now: Instant) {
        let waiting = Waiting { deadline: now + DIAL_TIMEOUT, stage: Stage::Lookup, askers: Vec::new() };
        self.waiting.insert(persona, waiting);
    }

    /// What `persona` waits for.
    pub fn stage(&self, persona: PersonaId) -> Option<Stage> {
        self.waiting.get(&persona).map(|waiting| waiting.stage)
    }

    /// `persona` waits for something else now.
    pub fn advance(&mut self, persona: PersonaId, stage: Stage) {
        if let Some(waiting) = self.waiting.get_mut(&persona) {
            waiting.stage = stage;
        }
    }

    /// Nobody waits for `persona` any longer; these did.
    pub fn end(&mut self, persona: PersonaId) -> Vec<Asker> {
        self.waiting.remove(&persona).map_or_else(Vec::new, |waiting| waiting.askers)
    }

    /// Personas at a stage.
    pub fn at(&self, stage: Stage) -> Vec<PersonaId> {
        self.waiting.iter().filter(|(_, waiting)| waiting.stage == stage).map(|(persona, _)| *persona).collect()
    }

    /// Personas whose time is over.
    pub fn overdue(&self, now: Instant) -> Vec<PersonaId> {
        self.waiting.iter().filter(|(_, waiting)| waiting.deadline <= now).map(|(persona, _)| *persona).collect()
    }

    /// When the first time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.deadline).min()
    }

    /// A frame is gone and waits for nothing.
    pub fn forget(&mut self, frame: FrameId) {
        self.waiting.retain(|_, waiting| {
            let sought = waiting.askers.is_empty();
            waiting.askers.retain(|(asker, _)| *asker != frame);
            sought || !waiting.askers.is_empty()
        });
    }
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

        dials.advance(ALICE, Stage::Node(NODE));
        assert_eq!(dials.stage(ALICE), Some(Stage::Node(NODE)));
        assert_eq!(dials.deadline(), Some(Instant::START + DIAL_TIMEOUT));
        assert_eq!(dials.overdue(Instant::START), []);
        assert_eq!(dials.overdue(Instant::START + DIAL_TIMEOUT), [ALICE]);

        assert_eq!(dials.end(ALICE), [(TAB, 1), (OTHER, 2)]);
        assert_eq!(dials.end(ALICE), []);
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
            dials.wait(PersonaId([n; 32]), Stage::Lookup, (TAB, 1), Instant::START);
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
                dials.wait(PersonaId([*n; 32]), Stage::Lookup, (frame, 1), Instant::START);
            }
            has_room
        });
        assert_eq!(waits.count(), 192);
        let other = Set::from_iter([OTHER]);
        assert!(dials.has_room(&other, &other));
    }

    const TAB: FrameId = FrameId::from_random([1; 16]);
    const OTHER: FrameId = FrameId::from_random([2; 16]);
    const ALICE: PersonaId = PersonaId([0xa1; 32]);
    const NODE: NodeId = NodeId([1; 32]);
}
