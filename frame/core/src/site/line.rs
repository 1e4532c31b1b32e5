//! Which way to the leader.
//!
//! A frame opens its own build's SharedWorker and says hello into its port, where that waits until the worker leads. When
//! another worker leads, an announcement says so and the frame turns to it. Where there is no SharedWorker, or a dedicated
//! worker leads, the way is a BroadcastChannel, which holds nothing back for a late listener: the frame speaks only when
//! the leader has answered that it listens. Everybody hears every announcement, so a frame asks each leader once: would it
//! ask whenever it hears of the leader, many frames that start at once would ask in answer to each other's answers, forever.
//!
//! The frame waits for its leader's life lock, and opens its own build's worker again when that is free. A leader that hangs is
//! found out by the [`vigil`](super::vigil).

use bitters_machine::time::Instant;
use bitters_wire::{
    announce::{Announcement, LeaderKind, predecessor, successor_name},
    failure::Code,
    id::{Boot, Epoch},
    local::ToLeader,
};

use super::{Line, Output, Site, vigil::Act};

/// A leader that this frame asked to listen to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Calling {
    leader: (Epoch, Boot),
    /// Whether it does.
    heard: bool,
}

impl Site {
    pub(super) fn on_started(&mut self, now: Instant) {
        if self.config.worker.is_none() {
            self.outbox.push_back(Output::Contend { after: None });
        }
        self.open_own(now);
        self.announce(self.wants_channel());
    }

    pub(super) fn on_announced(&mut self, announcement: Announcement, now: Instant) {
        if announcement == Announcement::Granted {
            return self.on_granted_elsewhere();
        }
        let Announcement::LeaderUp { epoch, boot, build, worker, name, kind, heard } = announcement else { return };
        let leader = (epoch, boot);
        if self.is_over(epoch) {
            return;
        }
        if leader == self.standing && self.welcomed {
            return self.on_alive(now);
        }
        if build == self.config.build && predecessor(&name).is_some() {
            self.own_name.clone_from(&name);
        }
        let by_port = kind == LeaderKind::Shared && self.config.worker.is_some();
        let line = if by_port { Line::Port { name, worker } } else { Line::Channel };
        match line {
            // Our hello waits in the port of the worker that leads now.
            Line::Port { .. } if !self.welcomed && self.line.as_ref() == Some(&line) => {
                self.leads = Some(leader);
                self.on_alive(now);
            }
            Line::Port { .. } => {
                self.leads = Some(leader);
                self.connect(line);
            }
            Line::Channel if heard == Some(self.config.frame) && self.wants_channel() => self.on_heard(leader, now),
            Line::Channel => self.ask_for_channel(leader),
        }
    }

    /// Whether a leader that says this epoch is one from before the present one, and doesn't know it yet. Once the present one is known to be gone
    /// any may be the next: that counts from what is stored, which may be lost, and from a clock, which may have been put back.
    pub(super) fn is_over(&self, epoch: Epoch) -> bool {
        epoch < self.standing.0 && !self.bereft
    }

    /// The leader gave its life lock back: it is dead, or handed over.
    pub(super) fn on_leader_gone(&mut self, boot: Boot, now: Instant) {
        if self.leads.is_some_and(|(_, leads)| leads == boot) {
            self.leads = None;
            self.bereft = true;
            self.welcomed = false;
            self.open_own(now);
        }
    }

    /// The leader's life lock doesn't tell whether it lives: it is asked, and from now on told from its silence.
    pub(super) fn on_leader_unseen(&mut self, boot: Boot, now: Instant) {
        if self.standing.1 != boot {
            return;
        }
        self.vigil.listen();
        if self.welcomed {
            self.vigil.doubt(now);
            self.post(ToLeader::Ping);
        }
    }

    /// A worker of this build can't be loaded. If nobody leads in this island, it is of no use; where there is no other, the person is told, and
    /// a worker of another build is called out to, which may lead. When no worker can be loaded after that either, the site is told, if
    /// it still waits.
    pub(super) fn on_worker_failed(&mut self, now: Instant) {
        if self.welcomed || self.leads.is_some() {
            return;
        }
        if self.may_return() {
            return self.on_island_lost();
        }
        self.show_failure("the node's leader can't be loaded here");
        if self.vigil.lost(now) {
            self.announce(self.wants_channel());
        } else {
            self.refuse_host(Code::NoNode, "the node's leader can't be loaded here");
        }
    }

    /// The leader hands over: what is said from now on is for the next.
    pub(super) fn on_handing_over(&mut self, now: Instant) {
        self.post(ToLeader::LastWord);
        self.welcomed = false;
        self.vigil.greeted(now);
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        match self.vigil.on_timeout(now) {
            None => {}
            Some(Act::Call | Act::Reconnect | Act::Succeed) if self.unbridged => self.on_island_lost(),
            Some(Act::Call) => self.announce(self.wants_channel()),
            Some(Act::Ping) => self.post(ToLeader::Ping),
            Some(Act::Reconnect) => self.reconnect(),
            Some(Act::Succeed) => self.succeed(),
        }
    }

    /// The leader at the end of our line lives.
    fn on_alive(&mut self, now: Instant) {
        if self.vigil.lives(now) == Some(Act::Reconnect) {
            self.reconnect();
        }
    }

    fn reconnect(&mut self) {
        match self.line.clone() {
            Some(line) => self.connect(line),
            // No leader answered yet that it listens to our channel.
            None => self.calling = None,
        }
    }

    /// Turns to a worker that takes over from the leader that doesn't answer. Under its own name the browser would give us the
    /// worker that hangs.
    fn succeed(&mut self) {
        let heard_of = self.leads.map_or(Epoch::default(), |(epoch, _)| epoch);
        let after = self.standing.0.max(heard_of);
        self.leads = None;
        self.calling = None;
        self.welcomed = false;
        match self.config.worker.clone() {
            Some(worker) => {
                self.own_name = successor_name(&self.config.build, after);
                self.connect(Line::Port { name: self.own_name.clone(), worker });
            }
            None => self.outbox.push_back(Output::Contend { after: Some(after) }),
        }
        if self.vigil.has_long_tried() && self.persona.is_none() {
            self.show_failure("the node's leader doesn't start");
        }
    }

    /// Opens our own build's worker; without one, another context's will announce itself.
    fn open_own(&mut self, now: Instant) {
        self.calling = None;
        self.vigil.greeted(now);
        if let Some(worker) = self.config.worker.clone() {
            self.connect(Line::Port { name: self.own_name.clone(), worker });
        }
    }

    /// The leader listens to this frame's channel.
    fn on_heard(&mut self, leader: (Epoch, Boot), now: Instant) {
        if self.calling == Some(Calling { leader, heard: true }) {
            self.on_alive(now);
        } else {
            self.calling = Some(Calling { leader, heard: true });
            self.leads = Some(leader);
            self.connect(Line::Channel);
        }
    }

    /// Whether announcements of ours ask the leader to listen to our channel.
    const fn wants_channel(&self) -> bool {
        self.config.worker.is_none() || self.calling.is_some()
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
        self.welcomed = false;
        self.line = Some(line.clone());
        self.outbox.push_back(Output::Connect(line));
    }
}

#[cfg(test)]
mod tests;
