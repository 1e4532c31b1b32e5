//! Frames that say nothing, and machines that slept or changed their network.
//!
//! A dead frame's lock tells. A frozen one keeps its lock and says nothing: links in it are of no use, and other frames carry
//! them on. Nothing is asked as long as nothing is expected, so that an idle node rests.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    id::FrameId,
    local::{DownReason, ToFrame},
};

use super::Node;
use crate::{
    frames::presence::{LATE, PONG_WITHIN, Presence, Remote},
    links::LinksInput,
};

/// A clock that jumps further tells of a machine that slept.
const SLEPT: Duration = Duration::from_secs(5);

impl Node {
    /// A frame spoke: it is there.
    pub(super) fn hear(&mut self, id: FrameId, now: Instant) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.remote = frame.remote.map(|_| Remote::heard(now));
            let was_silent = std::mem::take(&mut frame.presence) == Presence::Silent;
            self.changed.plans |= was_silent;
            self.changed.status |= was_silent;
            self.changed.addresses |= was_silent;
        }
    }

    /// Asks frames that owe an answer, and does without those that don't give it.
    pub(super) fn watch_frames(&mut self) {
        let now = self.clock.now;
        let due = |presence: Presence| presence.due().is_some_and(|at| at <= now);
        let late: Vec<(FrameId, Presence)> =
            self.frames.iter().filter(|(_, it)| due(it.presence)).map(|(id, it)| (id, it.presence)).collect();
        for (id, presence) in late {
            match presence {
                Presence::Asked(at) if now.since(at) < PONG_WITHIN + LATE => self.do_without(id),
                _ => self.ask_presence(id, now),
            }
        }
        self.watch_remote_frames(now);
    }

    /// From now on the frame is asked whether it is there, as its lock doesn't tell.
    pub(super) fn on_frame_unseen(&mut self, id: FrameId, now: Instant) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        frame.remote = Some(Remote::doubted(now));
        self.tell(id, ToFrame::Ping);
    }

    fn watch_remote_frames(&mut self, now: Instant) {
        let is_due = |remote: Option<Remote>| remote.is_some_and(|remote| remote.due <= now);
        let due: Vec<FrameId> = self.frames.iter().filter(|(_, it)| is_due(it.remote)).map(|(id, _)| id).collect();
        for id in due {
            let Some(frame) = self.frames.frame_mut(id) else { continue };
            let Some(remote) = &mut frame.remote else { continue };
            if remote.is_silent(frame.frozen) && !remote.is_late(now) {
                self.drop_frame(id);
            } else {
                remote.ask(now);
                self.tell(id, ToFrame::Ping);
            }
        }
    }

    /// When a frame is to be asked or judged.
    pub(super) fn frames_due(&self) -> Option<Instant> {
        let remote = self.frames.iter().filter_map(|(_, frame)| Some(frame.remote?.due));
        self.frames.iter().filter_map(|(_, frame)| frame.presence.due()).chain(remote).min()
    }

    fn ask_presence(&mut self, id: FrameId, now: Instant) {
        self.tell(id, ToFrame::Ping);
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.presence = Presence::Asked(now);
        }
    }

    fn do_without(&mut self, id: FrameId) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.presence = Presence::Silent;
        }
        self.relieve(id);
    }

    /// The page was frozen, or thawed.
    pub(super) fn on_frozen(&mut self, id: FrameId, frozen: bool) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.frozen = frozen;
        }
        if frozen {
            self.relieve(id);
        }
        self.changed.plans = true;
        self.changed.status = true;
        self.changed.addresses = true;
    }

    /// Other frames of the persona carry on what this one carried, if there are any.
    fn relieve(&mut self, id: FrameId) {
        self.changed.status = true;
        self.changed.addresses = true;
        self.addresses.excuse(id);
        if self.frames.frame(id).is_some_and(|frame| self.frames.any_usable(frame.persona())) {
            self.link(LinksInput::Ended(id, DownReason::FrameSilent));
        }
    }

    /// The network changed: what was a way may be none now, and what was none a way.
    pub(super) fn on_network_change(&mut self) {
        self.link(LinksInput::NetworkChanged);
        self.refresh_uplink();
    }

    fn on_sleep(&mut self) {
        self.clock.slept();
        self.link(LinksInput::Slept);
        self.refresh_uplink();
    }

    /// The timer fired: much too late if the machine slept.
    pub(super) fn notice_sleep(&mut self) {
        if self.clock.is_late(SLEPT) {
            self.on_sleep();
        }
    }

    /// The time of day: it goes on while the machine sleeps, our own time may not.
    pub(super) fn on_wall_clock(&mut self, ms: u64) {
        if self.clock.set_wall(ms, SLEPT) {
            self.on_sleep();
        }
    }
}
