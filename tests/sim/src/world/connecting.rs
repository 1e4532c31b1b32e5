//! Connections between frames of the world.

use bitters_wire::{
    codec,
    id::PersonaId,
    keys::Signature,
    limits::DIAL_TIMEOUT,
    link::{Control, LinkMessage},
    local::{DownReason, LinkCommand, LinkEvent, ToLeader},
};

use super::{Event, Pipe, World};
use crate::connection::{Connection, End, Phase, identity};

impl World {
    pub(super) fn end_mut(&mut self, (id, link): End) -> Option<&mut Connection> {
        self.pages.get_mut(&id)?.connections.get_mut(&link)
    }

    pub(super) fn on_link_command(&mut self, end: End, command: LinkCommand) {
        match command {
            LinkCommand::Dial(dial) => self.on_dial(end, dial.own, dial.peer.expect("there are no addresses here")),
            LinkCommand::HangUp => self.hang_up(end),
            LinkCommand::Probe | LinkCommand::Restart => {}
            LinkCommand::Send(bytes) => {
                let drained = self.end_mut(end).and_then(|it| it.drained.add(bytes.len()));
                self.send(end, bytes);
                if let Some(drained) = drained {
                    self.say(end.0, ToLeader::Link(end.1, LinkEvent::Drained(drained)));
                }
            }
            LinkCommand::Signal(blob) => self.on_signal(end, &blob),
            LinkCommand::Signed(signature) => self.on_signed(end, &signature),
        }
    }

    pub(super) fn on_dial(&mut self, end: End, own: PersonaId, peer: PersonaId) {
        self.evidence.dials += 1;
        let Some(page) = self.pages.get_mut(&end.0) else { return };
        page.connections.insert(end.1, Connection::new(own, peer));
        self.agenda.at(self.now + DIAL_TIMEOUT, Event::Deadline(end));
        if self.chance(self.faults.signal_is_missing) {
            return;
        }
        let times = if self.chance(self.faults.signal_is_double) { 2 } else { 1 };
        for _ in 0..times {
            let at = self.now + self.millis(20, 150);
            let signal = LinkEvent::Signal(codec::encode(&end));
            self.agenda.at(at, Event::FrameActs(end.0, ToLeader::Link(end.1, signal)));
        }
    }

    pub(super) fn on_signal(&mut self, end: End, blob: &[u8]) {
        let remote: End = codec::decode(blob, 64).expect("signals of this world are ends");
        let Some(connection) = self.end_mut(end) else { return };
        assert_eq!(connection.remote.replace(remote), None, "a connection is given one signal");
        let mutual = self.end_mut(remote).is_some_and(|it| it.remote == Some(end) && it.phase == Phase::New);
        if !mutual {
            return;
        }
        let fails = self.chance(self.faults.connection_fails);
        for (end, other) in [(end, remote), (remote, end)] {
            let at = self.now + self.millis(30, 400);
            self.agenda.at(at, if fails { Event::Bye(end, other) } else { Event::ConnectionStands(end) });
        }
    }

    pub(super) fn on_connection_stands(&mut self, end: End) {
        let Some(connection) = self.end_mut(end) else { return };
        connection.phase = Phase::Proving;
        let (own, peer) = (connection.own, connection.peer);
        self.say(end.0, ToLeader::Link(end.1, LinkEvent::Sign(identity(own, peer))));
    }

    pub(super) fn on_signed(&mut self, end: End, signature: &Signature) {
        let Some(connection) = self.end_mut(end).filter(|it| it.phase == Phase::Proving) else { return };
        let (own, peer) = (connection.own, connection.peer);
        connection.phase = Phase::Up;
        let early = std::mem::take(&mut connection.early);
        own.verify(&identity(own, peer).to_bytes(), signature).expect("the leader signs as the persona");
        self.evidence.ups += 1;
        let events = [LinkEvent::Up(peer)].into_iter().chain(early.into_iter().map(LinkEvent::Received));
        for event in events {
            self.say(end.0, ToLeader::Link(end.1, event));
        }
    }

    pub(super) fn send(&mut self, end: End, bytes: Vec<u8>) {
        let Some(remote) = self.end_mut(end).filter(|it| it.phase == Phase::Up).and_then(|it| it.remote) else {
            return;
        };
        let relays = codec::decode(&bytes, bytes.len())
            .is_ok_and(|message: LinkMessage| matches!(message, LinkMessage::Control(Control::PassedOn { .. })));
        self.evidence.relayed += usize::from(relays);
        let latency = self.millis(5, 80);
        self.agenda.through(Pipe::Channel(remote.0, remote.1), self.now, latency, Event::Data(remote, bytes));
    }

    pub(super) fn on_data(&mut self, end: End, bytes: Vec<u8>) {
        let Some(connection) = self.end_mut(end) else { return };
        if connection.phase == Phase::Up {
            self.say(end.0, ToLeader::Link(end.1, LinkEvent::Received(bytes)));
        } else {
            connection.early.push(bytes);
        }
    }

    pub(super) fn hang_up(&mut self, end: End) {
        let Some(page) = self.pages.get_mut(&end.0) else { return };
        let Some(remote) = page.connections.remove(&end.1).and_then(|it| it.remote) else { return };
        let latency = self.millis(5, 80);
        self.agenda.through(Pipe::Channel(remote.0, remote.1), self.now, latency, Event::Bye(remote, end));
    }

    /// A connection took too long. The other end hears that it is closed.
    pub(super) fn give_up(&mut self, end: End) {
        let remote = self.end_mut(end).and_then(|it| it.remote);
        self.close_end(end, DownReason::DialTimeout);
        if let Some(remote) = remote {
            let latency = self.millis(5, 80);
            self.agenda.through(Pipe::Channel(remote.0, remote.1), self.now, latency, Event::Bye(remote, end));
        }
    }

    pub(super) fn close_end(&mut self, end: End, reason: DownReason) {
        let Some(page) = self.pages.get_mut(&end.0) else { return };
        if page.connections.remove(&end.1).is_some() {
            self.evidence.downs += 1;
            self.say(end.0, ToLeader::Link(end.1, LinkEvent::Down(reason)));
        }
    }
}
