//! Which way to the leader.
//!
//! A frame opens its own build's SharedWorker and says hello into its port, where that waits until the worker leads. When
//! another worker leads, an announcement says so and the frame turns to it. Where there is no SharedWorker, or a dedicated
//! worker leads, the way is a BroadcastChannel, which holds nothing back for a late listener: the frame speaks only when
//! the leader has answered that it listens. Everybody hears every announcement, so a frame asks each leader once: would it
//! ask whenever it hears of the leader, many frames that start at once would ask in answer to each other's answers, forever.

use bitters_wire::{
    announce::{Announcement, LeaderKind, worker_name},
    id::{Boot, Epoch},
};

use super::{Line, Output, Site};

/// A leader that this frame asked to listen to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calling {
    leader: (Epoch, Boot),
    /// Whether it does.
    heard: bool,
}

impl Site {
    pub(super) fn on_started(&mut self) {
        match self.config.worker.clone() {
            Some(worker) => self.connect(Line::Port { name: worker_name(&self.config.build), worker }),
            None => self.outbox.push_back(Output::Contend),
        }
        self.announce(self.config.worker.is_none());
    }

    pub(super) fn on_announced(&mut self, announcement: Announcement) {
        let Announcement::LeaderUp { epoch, boot, build: _, worker, name, kind, heard } = announcement else { return };
        let leader = (epoch, boot);
        if epoch < self.standing.0 || (leader == self.standing && self.welcomed) {
            return;
        }
        let by_port = kind == LeaderKind::Shared && self.config.worker.is_some();
        let line = if by_port { Line::Port { name, worker } } else { Line::Channel };
        match line {
            // Our hello waits in the port of the worker that leads now.
            Line::Port { .. } if !self.welcomed && self.line.as_ref() == Some(&line) => {}
            Line::Port { .. } => self.connect(line),
            Line::Channel if heard == Some(self.config.frame) => self.on_heard(leader),
            Line::Channel => self.ask_for_channel(leader),
        }
    }

    /// The leader listens to this frame's channel.
    fn on_heard(&mut self, leader: (Epoch, Boot)) {
        if self.calling != Some(Calling { leader, heard: true }) {
            self.calling = Some(Calling { leader, heard: true });
            self.connect(Line::Channel);
        }
    }

    fn ask_for_channel(&mut self, leader: (Epoch, Boot)) {
        if self.calling.is_none_or(|calling| calling.leader != leader) {
            self.calling = Some(Calling { leader, heard: false });
            self.announce(true);
        }
    }

    fn announce(&mut self, channel: bool) {
        let frame = self.config.frame;
        self.outbox.push_back(Output::Announce(Announcement::FrameUp { frame, channel }));
    }

    fn connect(&mut self, line: Line) {
        self.line = Some(line.clone());
        self.outbox.push_back(Output::Connect(line));
    }
}
