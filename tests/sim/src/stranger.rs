//! Hostile nodes. Each has a socket at the real rendezvous, keys that it makes and drops, and ends of connections; none has a page. They work
//! together: what one is told all know. What they do is in `strike`.

use std::{collections::BTreeMap, net::IpAddr};

use bitters_machine::Machine;
use bitters_revproxy_core::rendezvous::{ConnId, Input};
use bitters_wire::{
    WIRE,
    address::Token,
    codec,
    id::{Epoch, FrameId, LinkId, PersonaId},
    keys::PersonaSecret,
    rendezvous::{ToNode, ToServer, register_text},
    sealed::{Said, SealedSignal},
    topic::TopicKey,
};

use crate::{
    World,
    connection::{Connection, End, Phase},
    event::{Event, Fact, Pipe, Turn},
    host::LOBBY,
    uplink::NAME,
};

/// All hostile nodes, and what they know.
#[derive(Debug, Default)]
pub struct Strangers {
    pub nodes: Vec<Stranger>,
    sockets: BTreeMap<ConnId, usize>,
    /// Whom they turn to.
    pub victims: Vec<PersonaId>,
    /// Whether they dial only so fast that all their dials wait. Whoever dials faster pushes its own out of the queue.
    pub patient: bool,
    /// Where the victims listen.
    pub doors: BTreeMap<PersonaId, Token>,
    /// Signals that one of them sent or was sent, to be sent again.
    pub signals: Vec<SealedSignal>,
    /// Their ends of connections that they mean to make, or have.
    pub ends: BTreeMap<End, Connection>,
}

/// A hostile node.
#[derive(Debug)]
pub struct Stranger {
    pub at: IpAddr,
    /// By this its ends are known.
    pub frame: FrameId,
    pub socket: Option<ConnId>,
    /// The server's challenge, until it is met.
    nonce: [u8; 32],
    /// Keys that are registered, the latest last.
    pub keys: Vec<(PersonaId, PersonaSecret)>,
    links: u32,
}

/// Addresses of a network that nodes are at.
const ADDRESSES: usize = 6;

/// Keys that one node has registered at a time.
const KEYS: usize = 8;

/// Signals that are kept, to be sent again.
const KEPT: usize = 64;

impl Strangers {
    /// Whether there are any.
    pub const fn is_here(&self) -> bool {
        !self.nodes.is_empty()
    }
}

impl World {
    /// So many hostile nodes come, from so many networks, and turn to all that have a page.
    pub(crate) fn beset(&mut self, nodes: usize, networks: usize, patient: bool) {
        self.strangers.patient = patient;
        let ids = self.tabs.values().map(|it| self.browsers[it.browser].persona(it.origin));
        self.strangers.victims = ids.collect();
        for node in 0..nodes {
            let byte = |n: usize| u8::try_from(n).expect("they are few");
            let at = IpAddr::from([198, 18, byte(node % networks), byte(node / networks % ADDRESSES)]);
            let frame = FrameId::from_random(self.bytes());
            let (socket, nonce, keys) = (None, [0; 32], Vec::new());
            self.strangers.nodes.push(Stranger { at, frame, socket, nonce, keys, links: 0 });
            self.later(0, 200, Event::Turn(Turn::Strikes(node)));
        }
    }

    pub(crate) fn say_as(&mut self, node: usize, message: &ToServer) {
        if let Some(conn) = self.strangers.nodes[node].socket.filter(|_| self.server.answers()) {
            self.evidence.strangers_messages += 1;
            self.server.rendezvous.handle_input(Input::Received(conn, codec::encode(message)), self.now);
            self.serve();
        }
    }

    pub(crate) fn enter_as(&mut self, node: usize) {
        if !self.server.answers() {
            return;
        }
        self.server.connected += 1;
        let conn = ConnId(self.server.connected);
        let stranger = &mut self.strangers.nodes[node];
        stranger.socket = Some(conn);
        let addr = stranger.at;
        self.strangers.sockets.insert(conn, node);
        self.open_socket(conn, addr);
        self.say_as(node, &ToServer::Enter(WIRE));
    }

    /// It has a further key, and is in the lobby with it. The oldest goes.
    pub(crate) fn register_as(&mut self, node: usize) {
        let secret = PersonaSecret::new(self.bytes());
        let stranger = &mut self.strangers.nodes[node];
        let key = secret.id();
        let signature = secret.sign(&register_text(&stranger.nonce, NAME, key));
        stranger.keys.push((key, secret));
        let oldest = (stranger.keys.len() > KEYS).then(|| stranger.keys.remove(0));
        if let Some((oldest, _)) = oldest {
            self.say_as(node, &ToServer::Unregister(oldest));
        }
        self.say_as(node, &ToServer::Register { key, signature });
        self.say_as(node, &ToServer::Advertise { topic: lobby().id(), key });
    }

    /// It comes again.
    pub(crate) fn leave_as(&mut self, node: usize) {
        if let Some(conn) = self.strangers.nodes[node].socket {
            self.forget_stranger(conn);
            self.server.rendezvous.handle_input(Input::Closed(conn), self.now);
            self.serve();
        }
    }

    /// The server closed a socket of theirs, or one of them did.
    pub(crate) fn forget_stranger(&mut self, conn: ConnId) {
        if let Some(node) = self.strangers.sockets.remove(&conn) {
            let stranger = &mut self.strangers.nodes[node];
            stranger.socket = None;
            stranger.keys.clear();
        }
    }

    pub(crate) fn keep(&mut self, signal: SealedSignal) {
        if self.strangers.signals.len() < KEPT {
            return self.strangers.signals.push(signal);
        }
        let at = self.rng.usize(0..KEPT);
        self.strangers.signals[at] = signal;
    }

    pub(crate) fn next_end(&mut self, node: usize) -> End {
        let stranger = &mut self.strangers.nodes[node];
        stranger.links += 1;
        (stranger.frame, LinkId { epoch: Epoch(1), number: stranger.links })
    }

    pub(crate) fn ends_of_stranger(&self, node: usize) -> Vec<End> {
        let frame = self.strangers.nodes[node].frame;
        self.strangers.ends.keys().filter(|end| end.0 == frame).copied().collect()
    }

    pub(crate) fn hang_up_as(&mut self, end: End) {
        if let Some(remote) = self.strangers.ends.remove(&end).and_then(|it| it.remote) {
            self.through(Pipe::Channel(remote), 5, 60, Event::Frame(remote.0, Fact::Bye(remote.1, end)));
        }
    }

    /// What comes to an end of theirs.
    pub(crate) fn on_strangers_fact(&mut self, frame: FrameId, fact: &Fact) {
        match *fact {
            Fact::Bye(link, _) => drop(self.strangers.ends.remove(&(frame, link))),
            Fact::Stands(link) => {
                let victim = self.strangers.ends.get(&(frame, link)).and_then(|it| it.remote);
                if let Some(own) = victim.and_then(|it| self.end(it)).map(|it| it.own)
                    && let Some(connection) = self.strangers.ends.get_mut(&(frame, link))
                {
                    (connection.phase, connection.peer) = (Phase::Up, Some(own));
                    self.evidence.strangers_links += 1;
                }
            }
            _ => {}
        }
    }

    /// The server tells one of them something.
    pub(crate) fn on_stranger_told(&mut self, conn: ConnId, message: ToNode) {
        let Some(node) = self.strangers.sockets.get(&conn).copied() else { return };
        match message {
            ToNode::Challenge { nonce, .. } => self.strangers.nodes[node].nonce = nonce,
            ToNode::Refused { .. } => self.evidence.strangers_refused += 1,
            ToNode::Signal { from, to, signal } if !self.strangers.doors.contains_key(&from) => {
                let secret = self.strangers.nodes[node].keys.iter().find(|(key, _)| *key == to);
                if let Some(Said::Door(door)) = secret.and_then(|(_, it)| signal.open(it).ok()).map(|it| it.said) {
                    self.strangers.doors.insert(from, door.token());
                }
            }
            ToNode::Signal { signal, .. } => self.keep(signal),
            _ => {}
        }
    }
}

/// A name that is easy to guess.
pub fn lobby() -> TopicKey {
    TopicKey::of(&LOBBY.try_into().expect("it is short"))
}
