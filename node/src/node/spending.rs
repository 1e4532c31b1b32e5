//! What sites may ask of the node, each within its own bounds, and what is said to one that asks for more.

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    failure::{Code, Failure},
    id::FrameId,
};

use super::Node;
use crate::{frames::Frame, groups::group_of, sites::accounts::Spend};

impl Node {
    /// Whether the frame's site may spend this now.
    #[must_use]
    pub(super) fn spend(&mut self, id: FrameId, what: Spend, now: Instant) -> bool {
        self.frames.frame(id).is_some_and(|frame| self.traffic.accounts.spend(&frame.origin, what, now))
    }

    /// What a site is told that asks for too much; that is counted.
    pub(super) fn quota(&mut self, id: FrameId, what: &str, now: Instant) -> Failure {
        self.count_refusal(id, now);
        Failure::new(Code::Quota, what)
    }

    pub(super) fn count_refusal(&mut self, id: FrameId, now: Instant) {
        if let Some(frame) = self.frames.frame(id) {
            self.traffic.accounts.refuse(&frame.origin, now);
            self.changed.sites = true;
        }
    }

    /// The frames of a frame's site, and of its site's group.
    pub(super) fn kin_and_clan(&self, id: FrameId) -> (Set<FrameId>, Set<FrameId>) {
        let kin = self.kin(id).map(|(kin, _)| kin).collect();
        (kin, self.clan(id).map(|(kin, _)| kin).collect())
    }

    /// The frame and all others of its site's group.
    pub(super) fn clan(&self, id: FrameId) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.frames.frame(id).into_iter().flat_map(|frame| self.frames.of_group(group_of(&frame.origin)))
    }

    /// The frame and all others of its site.
    pub(super) fn kin(&self, id: FrameId) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.frames.frame(id).into_iter().flat_map(|frame| self.frames.of_origin(&frame.origin))
    }
}
