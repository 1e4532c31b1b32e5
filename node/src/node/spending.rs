//! What sites may ask of the node, each within its own bounds, and what is said to one that asks for more.

use bitters_wire::{
    failure::{Code, Failure},
    id::FrameId,
    time::Instant,
};

use super::Node;
use crate::{accounts::Spend, frames::Frame};

impl Node {
    /// Whether the frame's site may spend this now.
    #[must_use]
    pub(super) fn spend(&mut self, id: FrameId, what: Spend, now: Instant) -> bool {
        self.frames.frame(id).is_some_and(|frame| self.accounts.spend(&frame.origin, what, now))
    }

    /// What a site is told that asks for too much; that is counted.
    pub(super) fn quota(&mut self, id: FrameId, what: &str, now: Instant) -> Failure {
        self.count_refusal(id, now);
        Failure::new(Code::Quota, what)
    }

    pub(super) fn count_refusal(&mut self, id: FrameId, now: Instant) {
        if let Some(frame) = self.frames.frame(id) {
            self.accounts.refuse(&frame.origin, now);
            self.changed.sites = true;
        }
    }

    /// The frame and all others of its site.
    pub(super) fn kin(&self, id: FrameId) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.frames.frame(id).into_iter().flat_map(|frame| self.frames.of_origin(&frame.origin))
    }
}
