//! Frames that say nothing, and machines that slept or changed their network.
//!
//! A dead frame's lock tells. A frozen one keeps its lock and says nothing: links in it are of no use, and other frames carry
//! them on. Nothing is asked as long as nothing is expected, so that an idle node rests.

use std::time::Duration;

use bitters_wire::{
    id::{FrameId, LinkId},
    local::{DownReason, LinkCommand, ToFrame},
    time::Instant,
};

use super::Node;

/// A frame that was told something answers within that time, most of the time: what it was told has consequences.
const QUIET: Duration = Duration::from_secs(2);

/// A page that is busy for longer than that is as good as frozen.
const PONG_WITHIN: Duration = Duration::from_secs(3);

/// Who wakes up later than that slept, or was busy: what others said meanwhile hasn't been read yet.
const LATE: Duration = Duration::from_secs(1);

/// A clock that jumps further tells of a machine that slept.
const SLEPT: Duration = Duration::from_secs(5);

/// A link is probed again at the earliest after that time.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// A frame in another partition has no lock that we could ask for: it is asked that often whether it is there.
const REMOTE_PING: Duration = Duration::from_secs(5);

/// It is gone when that many were asked in vain and it is time for the next.
const REMOTE_PINGS: u32 = 2;

/// A page that said that it is frozen may be thawed: a minute.
const FROZEN_PINGS: u32 = 11;

/// A frame whose lock doesn't tell: it is in another partition, or the browser gave its page another namespace of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    asked: u32,
    due: Instant,
}

impl Remote {
    /// It spoke.
    pub fn heard(now: Instant) -> Self {
        Self { asked: 0, due: now + REMOTE_PING }
    }

    /// Nobody holds its lock, as far as we can see: it may be dead, and answers soon if it isn't.
    fn doubted(now: Instant) -> Self {
        Self { asked: REMOTE_PINGS, due: now + PONG_WITHIN }
    }

    /// It is asked. Who slept asks once on waking, however long that was, and counts what was asked before for nothing new.
    fn ask(&mut self, now: Instant) {
        let asked = if self.is_late(now) { self.asked } else { self.asked + 1 };
        *self = Self { asked, due: now + REMOTE_PING };
    }

    /// Whether we were held up, and an answer may wait to be read.
    fn is_late(self, now: Instant) -> bool {
        now.since(self.due) > LATE
    }

    /// Whether it was asked in vain for too long.
    const fn is_silent(self, frozen: bool) -> bool {
        self.asked >= if frozen { FROZEN_PINGS } else { REMOTE_PINGS }
    }
}

/// Whether a frame is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It was asked.
    Asked(Instant),
    /// It owes nothing.
    #[default]
    Here,
    /// It doesn't answer.
    Silent,
    /// It was told something.
    Told(Instant),
}

impl Presence {
    /// Something is told to the frame.
    pub const fn told(&mut self, now: Instant) {
        if matches!(self, Self::Here) {
            *self = Self::Told(now);
        }
    }

    /// When to ask, or to judge.
    pub fn due(self) -> Option<Instant> {
        match self {
            Self::Asked(at) => Some(at + PONG_WITHIN),
            Self::Told(at) => Some(at + QUIET),
            Self::Here | Self::Silent => None,
        }
    }
}

impl Node {
    /// A frame spoke: it is there.
    pub(super) fn hear(&mut self, id: FrameId, now: Instant) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.remote = frame.remote.map(|_| Remote::heard(now));
            let was_silent = std::mem::take(&mut frame.presence) == Presence::Silent;
            self.changed.plans |= was_silent;
            self.changed.status |= was_silent;
        }
    }

    /// Asks frames that owe an answer, and does without those that don't give it.
    pub(super) fn watch_frames(&mut self, now: Instant) {
        let due = |presence: Presence| presence.due().is_some_and(|at| at <= now);
        let late: Vec<(FrameId, Presence)> =
            self.frames.iter().filter(|(_, it)| due(it.presence)).map(|(id, it)| (id, it.presence)).collect();
        for (id, presence) in late {
            match presence {
                Presence::Asked(at) if now.since(at) < PONG_WITHIN + LATE => self.do_without(id, now),
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
                self.drop_frame(id, now);
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

    fn do_without(&mut self, id: FrameId, now: Instant) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.presence = Presence::Silent;
        }
        self.relieve(id, now);
    }

    /// The page was frozen, or thawed.
    pub(super) fn on_frozen(&mut self, id: FrameId, frozen: bool, now: Instant) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.frozen = frozen;
        }
        if frozen {
            self.relieve(id, now);
        }
        self.changed.plans = true;
        self.changed.status = true;
    }

    /// Other frames of the persona carry on what this one carried, if there are any.
    fn relieve(&mut self, id: FrameId, now: Instant) {
        self.changed.status = true;
        if self.frames.frame(id).is_some_and(|frame| self.frames.any_usable(frame.persona())) {
            self.end_links_of(id, DownReason::FrameSilent, now);
        }
    }

    /// The network changed: what was a way may be none now, and what was none a way.
    pub(super) fn on_network_change(&mut self, now: Instant) {
        self.doubt_links(&LinkCommand::Restart, now);
    }

    fn doubt_links(&mut self, command: &LinkCommand, now: Instant) {
        let is_due = |probed: Option<Instant>| probed.is_none_or(|at| now.since(at) >= PROBE_EVERY);
        let used: Vec<LinkId> =
            self.links.ups().filter(|(_, _, _, up)| is_due(up.probed)).map(|(id, _, _, _)| id).collect();
        let standbys: Vec<LinkId> = self.links.standbys().map(|(id, _)| id).collect();
        for link in used.into_iter().chain(standbys) {
            if let Some(up) = self.links.up_mut(link) {
                up.probed = Some(now);
            }
            self.command(link, command.clone());
        }
        self.redials.hurry(now);
        self.refresh_uplink(now);
        self.changed.plans = true;
    }

    /// The timer fired: much too late if the machine slept.
    pub(super) fn notice_sleep(&mut self, now: Instant) {
        if self.due.is_some_and(|due| now.since(due) > SLEPT) {
            self.doubt_links(&LinkCommand::Probe, now);
        }
    }

    /// The time of day: it goes on while the machine sleeps, our own time may not.
    pub(super) fn on_wall_clock(&mut self, ms: u64, now: Instant) {
        let expected = self.wall_clock(now);
        self.wall_clock = Some((ms, now));
        let slept = expected.is_some_and(|expected| u128::from(ms.saturating_sub(expected)) > SLEPT.as_millis());
        if slept {
            self.doubt_links(&LinkCommand::Probe, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owes_nothing_is_not_asked() {
        let mut presence = Presence::default();
        assert_eq!(presence.due(), None);
        presence.told(Instant::START);
        presence.told(Instant::from_millis(1000));
        assert_eq!(presence.due(), Some(Instant::START + QUIET));
        assert_eq!(Presence::Asked(Instant::START).due(), Some(Instant::START + PONG_WITHIN));
        assert_eq!(Presence::Silent.due(), None);
    }
}
