//! Another build's worker leads next: a planned move.
//!
//! When a worker of another build waits to lead and no frame of ours is left, an update has come to all pages. The leader takes no
//! new service requests, lets those that it took end, tells all frames to be silent, hears their last words and hands over.
//! What frames have to say meanwhile they hold for the next leader.
//!
//! A leader that hears of a later one does the same, whatever the builds are.

use std::time::Duration;

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    failure::{Code, Executed, Failure},
    id::{Boot, Epoch, FrameId},
    local::{ServiceReply, ToFrame},
};

use super::Node;
use crate::api::Output;

/// Service calls that were taken may end in that time; sequences that last don't.
const FINISHING: Duration = Duration::from_secs(5);

/// A frame that lives has said its last word by then; one that doesn't has none.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A planned move.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// Whether a worker of another build waits.
    awaited: bool,
    /// Whether a later leadership said that it leads: all frames turn to it.
    surpassed: bool,
    stage: Stage,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Services end.
    Finishing(Instant),
    /// These frames are to say their last words.
    Leaving(Instant, Set<FrameId>),
    /// We hand over.
    Over,
    /// We lead.
    #[default]
    Staying,
}

impl Node {
    /// A worker of `build` waits to lead.
    pub(super) fn on_candidate(&mut self, build: &str) {
        self.reign.handover.awaited |= build != self.reign.leader.build;
    }

    /// A leadership of this epoch and boot says that it leads. The leader lock lets one lead in each namespace of locks: a later leader is in
    /// another one, or has stolen our lock.
    pub(super) fn on_leader_up(&mut self, epoch: Epoch, boot: Boot) {
        self.reign.handover.surpassed |= (epoch, boot) > (self.reign.leader.epoch, self.reign.leader.boot);
    }

    /// The frame's last word to us.
    pub(super) fn on_last_word(&mut self, frame: FrameId) {
        if let Stage::Leaving(_, speaking) = &mut self.reign.handover.stage {
            speaking.remove(&frame);
        }
    }

    /// Whether new service requests are for the next leader.
    pub(super) fn is_handing_over(&self) -> bool {
        self.reign.handover.stage != Stage::Staying
    }

    /// When the move goes on at the latest.
    pub(super) const fn handover_due(&self) -> Option<Instant> {
        match &self.reign.handover.stage {
            Stage::Finishing(due) | Stage::Leaving(due, _) => Some(*due),
            Stage::Over | Stage::Staying => None,
        }
    }

    /// Begins a move, or goes on with it, if it is time.
    pub(super) fn hand_over(&mut self) {
        let now = self.clock.now;
        if self.reign.handover.stage == Stage::Staying && self.is_superseded() {
            self.reign.handover.stage = Stage::Finishing(now + FINISHING);
        }
        if let Stage::Finishing(due) = self.reign.handover.stage {
            if !self.is_superseded() {
                self.reign.handover.stage = Stage::Staying;
            } else if due <= now || self.frames.iter().all(|(_, frame)| frame.services.is_empty()) {
                self.say_farewell(now);
            }
        }
        if let Stage::Leaving(due, speaking) = &mut self.reign.handover.stage {
            speaking.retain(|frame| self.frames.frame(*frame).is_some());
            if *due <= now || speaking.is_empty() {
                self.reign.handover.stage = Stage::Over;
                self.act(Output::HandOver);
            }
        }
    }

    /// A frame that says hello in the middle of a move is to move, too.
    pub(super) fn hand_over_along(&mut self, id: FrameId) {
        if let Stage::Leaving(_, speaking) = &mut self.reign.handover.stage {
            speaking.insert(id);
            self.tell(id, ToFrame::HandingOver);
        }
    }

    /// Whether another leads already; or all frames are of other builds, and a worker that isn't ours waits.
    fn is_superseded(&self) -> bool {
        let is_ours = |build: &str| build == self.reign.leader.build;
        let is_left = self.frames.len() > 0 && !self.frames.iter().any(|(_, frame)| is_ours(&frame.build));
        self.reign.handover.surpassed || self.reign.handover.awaited && is_left
    }

    fn say_farewell(&mut self, now: Instant) {
        let frames: Set<FrameId> = self.frames.iter().map(|(id, _)| id).collect();
        for id in &frames {
            self.lose_services(*id);
            self.tell(*id, ToFrame::HandingOver);
        }
        self.reign.handover.stage = Stage::Leaving(now + LAST_WORDS, frames);
    }

    fn lose_services(&mut self, id: FrameId) {
        let services = self.frames.frame_mut(id).map(|frame| std::mem::take(&mut frame.services));
        for request in services.into_iter().flatten() {
            let failure = Failure::new(Code::LeaderLost, "the node's leader was replaced").executed(Executed::Unknown);
            self.act(Output::ServiceCancel { frame: id, request });
            self.tell(id, ToFrame::Service { request, reply: ServiceReply::Failed(failure) });
        }
    }
}
