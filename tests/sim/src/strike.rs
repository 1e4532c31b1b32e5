//! What hostile nodes do, as fast as the server lets them: they signal, dial, link, speak and ask, and nothing comes of it.

use bitters_wire::{
    address::{Address, Owner},
    codec,
    id::{FrameId, PersonaId, SessionId, TopicId},
    keys::PersonaSecret,
    limits::TOPIC_NEIGHBOURS,
    link::{Control, LinkMessage, Signal},
    local::Door,
    packet::{Body, Packet, Service},
    rendezvous::{Gone, ToServer},
    sealed::{ForMembers, Fresh, Said, SealedSignal},
    topic::{TAGS_AT_ONCE, TopicMessage},
};

use crate::{
    World,
    connection::{Connection, End, Phase, identity},
    event::{Event, Turn},
    host::PROTOCOL,
    proxy::PROXY,
    stranger::lobby,
};

/// Connections that one node holds at a time. The first goes for one more.
const HELD: usize = 12;

impl World {
    /// It is a hostile node's turn.
    pub(crate) fn strike(&mut self, node: usize) {
        self.later(30, 130, Event::Turn(Turn::Strikes(node)));
        let stranger = &self.strangers.nodes[node];
        if stranger.socket.is_none() {
            return self.enter_as(node);
        }
        if stranger.keys.is_empty() {
            return self.register_as(node);
        }
        let dials = !self.strangers.patient || self.chance(20);
        match self.rng.u8(0..100) {
            0..38 => self.flood(node),
            38..52 if dials => self.occupy_door(node),
            52..76 if dials => self.link_as(node, true),
            38..76 => {}
            76..90 => self.babble(node),
            90 => self.let_go(node),
            91..94 => self.register_as(node),
            94 => self.leave_as(node),
            _ => self.pester(node),
        }
    }

    fn some_victim(&mut self) -> PersonaId {
        self.strangers.victims[self.rng.usize(0..self.strangers.victims.len())]
    }

    fn some_key(&mut self, node: usize) -> (PersonaId, PersonaSecret) {
        let keys = &self.strangers.nodes[node].keys;
        keys[self.rng.usize(0..keys.len())].clone()
    }

    /// What costs the server, and fills what it remembers.
    fn pester(&mut self, node: usize) {
        let ((key, secret), victim) = (self.some_key(node), self.some_victim());
        let topic = TopicId(self.bytes());
        let message = match self.rng.u8(0..4) {
            0 => ToServer::Advertise { topic, key },
            1 => ToServer::Discover { topic: lobby().id(), key },
            2 => ToServer::Gone(Gone::sign(&secret, victim, self.strangers.nodes[node].frame)),
            _ => ToServer::Lookup(victim),
        };
        for _ in 0..4 {
            self.say_as(node, &message);
        }
    }

    /// It sends a few signals to one of those whom they turn to.
    fn flood(&mut self, node: usize) {
        let to = self.some_victim();
        for _ in 0..5 {
            let ((key, secret), dice) = (self.some_key(node), self.rng.u8(0..40));
            let from = if dice == 0 { self.some_victim() } else { key };
            let signal = match dice {
                0..34 => self.junk(),
                34..37 => self.rng.choice(&self.strangers.signals).cloned().unwrap_or_else(|| self.junk()),
                _ => self.seal_as(node, (key, &secret), to),
            };
            self.evidence.strangers_signals += 1;
            self.say_as(node, &ToServer::Signal { from, to, signal });
        }
    }

    fn junk(&mut self) -> SealedSignal {
        let bytes: Vec<u8> = (0..self.rng.usize(0..48)).map(|_| self.rng.u8(..)).collect();
        codec::decode(&codec::encode(&(self.rng.bool(), bytes)), 512).expect("a signal is a flag and bytes")
    }

    /// A knock, an offer, an offer to members, a packet, or a door where nobody listens: of all that nothing comes.
    fn seal_as(&mut self, node: usize, (key, secret): (PersonaId, &PersonaSecret), to: PersonaId) -> SealedSignal {
        let fresh = self.fresh();
        let said = match self.rng.u8(0..8) {
            0 | 1 => Said::Knock,
            6 | 7 => {
                let (fingerprint, proxy) = (self.rng.u128(..), [PROXY.parse().expect("an address")]);
                let fingerprint = std::array::from_fn(|at| fingerprint.to_le_bytes()[at % 16]);
                let owner = Owner::Persona(key);
                Said::Door(Box::new(Address::sign(owner, fingerprint, &proxy, u64::MAX, None, |text| {
                    secret.sign(text)
                })))
            }
            2 => Said::Packets(vec![self.opening(node, key, to)]),
            3 => Said::Signal(self.offer(node)),
            _ => {
                let signal = self.offer(node);
                let ends = [key, to];
                let members = ForMembers::seal(&signal, &[lobby().matching()], ends, &fresh.nonce, || self.bytes());
                Said::Topics(Box::new(members))
            }
        };
        let minute = u32::try_from(self.unix_ms() / 60_000).expect("a few million");
        let signal = SealedSignal::seal(&said, secret, to, minute, &fresh).expect("it is somebody's key");
        self.keep(signal.clone());
        signal
    }

    fn fresh(&mut self) -> Fresh {
        let ephemeral: [u8; 32] = self.bytes();
        Fresh { ephemeral: ephemeral.into(), nonce: self.bytes() }
    }

    fn offer(&mut self, node: usize) -> Signal {
        let end = self.next_end(node);
        Signal { attempt: self.rng.u32(..), answers: None, blob: codec::encode(&end) }
    }

    /// A session's opening that opens none.
    fn opening(&mut self, node: usize, from: PersonaId, to: PersonaId) -> Packet {
        let tag = Service::Protocol(PROTOCOL.try_into().expect("it is short")).tag();
        let handshake = (0..96).map(|_| self.rng.u8(..)).collect();
        let session = SessionId(FrameId::from_random(self.bytes()).0);
        let from_frame = self.strangers.nodes[node].frame;
        Packet { to, to_frame: None, from, from_frame, session, body: Body::Open { tag, handshake } }
    }

    /// A few dials of a door that are never finished.
    fn occupy_door(&mut self, node: usize) {
        for _ in 0..2 {
            self.link_as(node, false);
        }
    }

    /// It dials a door, and has an end there if it means to come through.
    fn link_as(&mut self, node: usize, comes: bool) {
        let ((key, _), to) = (self.some_key(node), self.some_victim());
        let Some(token) = self.strangers.doors.get(&to).copied() else { return };
        let end = self.next_end(node);
        if comes {
            let door = Door::Address { fingerprint: [0; 32], token, proxies: Vec::new(), proof: None };
            self.strangers.ends.insert(end, Connection::new(key, Some(to), door, false));
            let held: Vec<End> = self.ends_of_stranger(node);
            if held.len() > HELD {
                self.hang_up_as(held[0]);
            }
        }
        self.evidence.strangers_dials += 1;
        let at = self.strangers.nodes[node].at;
        self.dial_at(end, token, at);
    }

    fn let_go(&mut self, node: usize) {
        let held = self.ends_of_stranger(node);
        if let Some(end) = self.rng.choice(held) {
            self.hang_up_as(end);
        }
    }

    /// It speaks on its links.
    fn babble(&mut self, node: usize) {
        for end in self.ends_of_stranger(node) {
            let Some(Connection { own, peer: Some(to), remote: Some(there), phase: Phase::Up, .. }) =
                self.strangers.ends.get(&end)
            else {
                continue;
            };
            let (own, to) = ((*own, end), (*to, *there));
            let message = self.nonsense(node, own, to);
            self.evidence.strangers_said += 1;
            self.send(end, codec::encode(&message));
        }
    }

    fn nonsense(&mut self, node: usize, (own, end): (PersonaId, End), (to, there): (PersonaId, End)) -> LinkMessage {
        let topic = lobby().id();
        match self.rng.u8(0..10) {
            0..4 => LinkMessage::Packet(self.opening(node, own, to)),
            4 => {
                let tag = lobby().matching().tag(&identity((own, end), (to, there)).bond(), own);
                LinkMessage::Topic(TopicMessage::Tags(vec![tag; TAGS_AT_ONCE]))
            }
            5 => {
                let members = (0..TOPIC_NEIGHBOURS).map(|_| PersonaId(self.bytes())).collect();
                LinkMessage::Topic(TopicMessage::Members { topic, members })
            }
            6 => {
                let members = (0..TOPIC_NEIGHBOURS).map(|_| self.some_victim()).collect();
                LinkMessage::Topic(TopicMessage::Members { topic, members })
            }
            7 => LinkMessage::Control(Control::PassOn { to: self.some_victim(), signal: self.junk() }),
            8 => LinkMessage::Control(Control::PassedOn { from: self.some_victim(), signal: self.junk() }),
            _ => LinkMessage::Control(Control::Signal(self.offer(node))),
        }
    }
}
