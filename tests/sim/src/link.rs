//! Connections between frames: made of two signals, ordered, and now and then broken.

use bitters_wire::{
    codec,
    id::{FrameId, PersonaId},
    keys::{GrantProof, Signature},
    limits::{DIAL_TIMEOUT, MAX_SEALED_SIGNAL},
    link::{Control, LinkMessage},
    local::{Dial, Door, DownReason, LinkCommand, LinkEvent},
};

use crate::{
    World,
    connection::{Connection, End, Phase, identity},
    event::{Event, Fact, Pipe},
    fault::Pair,
    proxy::home,
};

/// One that is used, one that stands by, an attempt at either that crosses with the peer's, and what frames that stand still
/// haven't let go of yet.
const MAX_SAME: usize = 8;

/// What nodes say about links is no longer.
const CONTROL: usize = MAX_SEALED_SIGNAL + 64;

impl World {
    pub(crate) fn end(&self, (frame, link): End) -> Option<&Connection> {
        self.tabs.get(&frame).map_or_else(|| self.strangers.ends.get(&(frame, link)), |tab| tab.links.get(&link))
    }

    pub(crate) fn end_mut(&mut self, (frame, link): End) -> Option<&mut Connection> {
        match self.tabs.get_mut(&frame) {
            Some(tab) => tab.links.get_mut(&link),
            None => self.strangers.ends.get_mut(&(frame, link)),
        }
    }

    /// Whether a leader has told any frame of its to connect, and nothing came of it yet.
    pub(crate) fn is_dialling(&self, browser: usize) -> bool {
        let tabs = self.tabs.values().filter(|it| it.browser == browser);
        tabs.flat_map(|it| it.links.values()).any(|it| it.phase != Phase::Up)
    }

    fn pair_of(&self, one: FrameId, other: FrameId) -> Option<Pair> {
        Some(Pair::of(self.tabs.get(&one)?.browser, self.tabs.get(&other)?.browser))
    }

    fn are_apart(&self, one: FrameId, other: FrameId) -> bool {
        self.pair_of(one, other).is_some_and(|pair| self.apart.contains(&pair))
    }

    pub(crate) fn on_link_command(&mut self, end: End, command: LinkCommand) {
        match command {
            LinkCommand::Dial(dial) => self.on_dial(end, dial),
            LinkCommand::GoDirect => {
                if let Some(connection) = self.end_mut(end) {
                    connection.direct = true;
                }
            }
            LinkCommand::HangUp => self.close_well(end, DownReason::HungUp),
            LinkCommand::Probe | LinkCommand::Restart => self.later(2000, 4000, Event::Frame(end.0, Fact::Lost(end.1))),
            LinkCommand::Send(bytes) => {
                let drained =
                    self.tabs.get_mut(&end.0).and_then(|tab| tab.links.get_mut(&end.1)?.drained.add(bytes.len()));
                if !self.keeps_back(end, &bytes) {
                    self.send(end, bytes);
                }
                if let Some(drained) = drained {
                    self.report(end, LinkEvent::Drained(drained));
                }
            }
            LinkCommand::Signal(blob) => self.on_signal(end, &blob),
            LinkCommand::Signed(signature) => self.on_signed(end, &signature),
        }
    }

    fn on_dial(&mut self, end: End, dial: Dial) {
        let Some(tab) = self.tabs.get_mut(&end.0) else { return };
        let browser = tab.browser;
        if self.notes.nosy.contains(&browser) {
            self.notes.on_dial(&dial);
        }
        let Dial { own, peer, door, direct, .. } = dial;
        tab.links.insert(end.1, Connection::new(own, peer, door.clone(), direct));
        let is_own = self.browsers[browser].persona(self.tabs[&end.0].origin) == own;
        self.must(is_own, || format!("{} carries a link of another site's persona", end.0));
        let tabs = self.tabs.values().filter(|it| it.browser == browser);
        let same = tabs
            .flat_map(|it| it.links.values())
            .filter(|it| peer.is_some() && it.peer == peer && it.own == own)
            .count();
        self.must(same <= MAX_SAME, || format!("{browser} holds {same} links of one pair"));
        self.evidence.dials += 1;
        self.agenda.at(self.now + DIAL_TIMEOUT, Event::Frame(end.0, Fact::Deadline(end.1)));
        if self.mishap(3) {
            return;
        }
        if let Door::Address { token, .. } = door {
            self.evidence.dials_at_addresses += 1;
            return self.dial_at(end, token, home(browser));
        }
        let times = if self.mishap(10) { 2 } else { 1 };
        for _ in 0..times {
            self.later(20, 150, Event::Frame(end.0, Fact::Signal(end.1)));
        }
    }

    pub(crate) fn on_own_signal(&mut self, end: End) {
        match self.end(end).map(|it| &it.door) {
            Some(Door::Introduced { .. }) => self.tell_credentials(end),
            Some(_) => self.report(end, LinkEvent::Signal(codec::encode(&end))),
            None => {}
        }
    }

    fn on_signal(&mut self, end: End, blob: &[u8]) {
        let Some(connection) = self.end_mut(end) else { return };
        if matches!(connection.door, Door::Introduced { .. }) {
            return self.on_introduced(end, blob);
        }
        let remote: End = codec::decode(blob, 64).expect("signals of this world are ends");
        let before = connection.remote.replace(remote);
        self.must(before.is_none(), || format!("{end:?} is given a second signal"));
        self.connect(end, remote);
    }

    /// Both ends have each other's signals, and there is a way between them.
    pub(crate) fn connect(&mut self, end: End, remote: End) {
        let fresh = |it: &Connection, other| it.remote == Some(other) && it.phase == Phase::New;
        let mutual =
            self.end(end).is_some_and(|it| fresh(it, remote)) && self.end(remote).is_some_and(|it| fresh(it, end));
        if !mutual || self.are_apart(end.0, remote.0) {
            return;
        }
        let fails = self.mishap(4);
        for (end, other) in [(end, remote), (remote, end)] {
            let fact = if fails { Fact::Bye(end.1, other) } else { Fact::Stands(end.1) };
            self.later(30, 300, Event::Frame(end.0, fact));
        }
    }

    pub(crate) fn on_stands(&mut self, end: End) {
        let Some(there) = self.end(end).and_then(|it| it.remote) else { return };
        let Some(remote) = self.end(there) else { return };
        let (far, proven) = (remote.own, proof_of(&remote.door));
        let Some(connection) = self.end_mut(end).filter(|it| it.phase == Phase::New) else { return };
        connection.phase = Phase::Proving;
        let (own, peer) = (connection.own, *connection.peer.get_or_insert(far));
        let proof = proven.filter(|_| matches!(connection.door, Door::Introduced { .. }));
        self.report(end, LinkEvent::Sign { text: identity((own, end), (peer, there)), proof });
    }

    fn on_signed(&mut self, end: End, signature: &Signature) {
        let Some(connection) = self.end_mut(end).filter(|it| it.phase == Phase::Proving) else { return };
        connection.phase = Phase::Up;
        let (own, peer) = (connection.own, connection.peer.expect("it was proven"));
        let there = connection.remote.expect("it was proven to somebody");
        let early = std::mem::take(&mut connection.early);
        own.verify(&identity((own, end), (peer, there)).to_bytes(), signature)
            .expect("the leader signs as the persona");
        self.evidence.ups += 1;
        self.report(end, LinkEvent::Up(peer));
        for bytes in early {
            self.report(end, LinkEvent::Received(bytes));
        }
    }

    pub(crate) fn send(&mut self, end: End, bytes: Vec<u8>) {
        let remote = self.end(end).filter(|it| it.phase == Phase::Up && !it.hung).and_then(|it| it.remote);
        let Some(remote) = remote else { return };
        let apart = self.are_apart(end.0, remote.0);
        let Some(connection) = self.end_mut(end) else { return };
        connection.sent += 1;
        if apart {
            return connection.held.push(bytes);
        }
        self.through(Pipe::Channel(remote), 5, 60, Event::Frame(remote.0, Fact::Data(remote.1, bytes)));
    }

    pub(crate) fn on_data(&mut self, end: End, bytes: Vec<u8>) {
        let Some(connection) = self.end_mut(end) else { return };
        if connection.phase == Phase::Up {
            self.count(&bytes);
            self.remember_as(end, &bytes);
            self.report(end, LinkEvent::Received(bytes));
        } else {
            connection.early.push(bytes);
        }
    }

    /// What arrived shows that a node took to another link, or passed a signal on.
    fn count(&mut self, bytes: &[u8]) {
        match codec::decode(bytes, CONTROL) {
            Ok(LinkMessage::Control(Control::Switch)) => self.evidence.switches += 1,
            Ok(LinkMessage::Control(Control::PassedOn { .. })) => self.evidence.passed_on += 1,
            _ => {}
        }
    }

    pub(crate) fn on_bye(&mut self, end: End, remote: End) {
        if self.end(end).is_some_and(|it| it.remote == Some(remote)) {
            self.close(end, DownReason::Closed);
        }
    }

    pub(crate) fn on_deadline(&mut self, end: End) {
        if self.end(end).is_some_and(|it| it.phase != Phase::Up) {
            self.close_well(end, DownReason::DialTimeout);
        }
    }

    /// ICE gives up, or a probe: unless the other end answers.
    pub(crate) fn on_lost(&mut self, end: End) {
        let Some(connection) = self.end(end).filter(|it| it.phase == Phase::Up) else { return };
        let answers = connection.remote.filter(|_| !connection.hung).is_some_and(|remote| {
            let asleep = self.tabs.get(&remote.0).is_some_and(|it| self.browsers[it.browser].asleep);
            self.end(remote).is_some() && !asleep && !self.are_apart(end.0, remote.0)
        });
        if !answers {
            self.close(end, DownReason::Closed);
        }
    }

    /// The other end hears that ours is closed.
    fn close_well(&mut self, end: End, reason: DownReason) {
        let remote = self.end(end).and_then(|it| it.remote);
        self.close(end, reason);
        if let Some(remote) = remote.filter(|it| !self.are_apart(end.0, it.0)) {
            self.through(Pipe::Channel(remote), 5, 60, Event::Frame(remote.0, Fact::Bye(remote.1, end)));
        }
    }

    pub(crate) fn close(&mut self, end: End, reason: DownReason) {
        let Some(tab) = self.tabs.get_mut(&end.0) else { return };
        let browser = tab.browser;
        let Some(gone) = tab.links.remove(&end.1) else { return };
        if let Some(peer) = gone.peer.filter(|_| gone.phase == Phase::Up) {
            self.evidence.downs += 1;
            self.mark_broken(browser, peer);
        }
        self.report(end, LinkEvent::Down(reason));
    }

    /// The browser that a persona lives in.
    pub(crate) fn browser_of(&self, persona: PersonaId) -> Option<usize> {
        self.browsers.iter().position(|it| it.personas.values().any(|of| *of == persona))
    }

    /// Streams between two browsers must go another way now.
    pub(crate) fn mark_broken(&mut self, browser: usize, peer: PersonaId) {
        let Some(other) = self.browser_of(peer) else { return };
        let pair = Pair::of(browser, other);
        self.model.broke(pair);
    }

    /// A connection breaks: one end knows at once.
    pub fn break_link(&mut self, end: End) {
        let Some(remote) = self.end(end).filter(|it| it.phase == Phase::Up).and_then(|it| it.remote) else { return };
        self.evidence.links_broken += 1;
        let soon = self.rng.bool();
        let (from, to) = if soon { (0, 50) } else { (5_000, 15_000) };
        self.later(from, to, Event::Frame(remote.0, Fact::Bye(remote.1, end)));
        self.close(end, DownReason::Closed);
    }

    /// A connection takes everything and delivers nothing.
    pub fn hang_link(&mut self, end: End) {
        let Some(remote) = self.end(end).filter(|it| it.phase == Phase::Up).and_then(|it| it.remote) else { return };
        self.evidence.links_hung += 1;
        for end in [end, remote] {
            if let Some(connection) = self.end_mut(end) {
                connection.hung = true;
            }
            self.later(5_000, 15_000, Event::Frame(end.0, Fact::Lost(end.1)));
        }
    }

    /// The transport sends again what it held while the ends were apart; those that waited for each other meet.
    pub(crate) fn rejoin(&mut self, pair: Pair) {
        let ends: Vec<(End, End)> = (self.tabs.iter())
            .flat_map(|(frame, tab)| tab.links.iter().map(|(link, it)| ((*frame, *link), it.remote)))
            .filter_map(|(end, remote)| remote.map(|remote| (end, remote)))
            .filter(|(end, remote)| self.pair_of(end.0, remote.0) == Some(pair))
            .collect();
        for (end, remote) in ends {
            let held = self.end_mut(end).map(|it| std::mem::take(&mut it.held)).unwrap_or_default();
            for bytes in held {
                self.through(Pipe::Channel(remote), 5, 60, Event::Frame(remote.0, Fact::Data(remote.1, bytes)));
            }
            if end < remote {
                self.connect(end, remote);
            }
        }
    }
}

/// What the end that dials an address proves.
const fn proof_of(door: &Door) -> Option<GrantProof> {
    match door {
        Door::Address { proof, .. } => *proof,
        Door::Introduced { .. } | Door::Signals => None,
    }
}
