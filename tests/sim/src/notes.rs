//! What nosy browsers are told: by peers on their links, by the server on their sockets, and by their own leaders that have their frames
//! connect. Beside it stands what is true in the world: it explains what two peers may both tell though they have nothing in common.
//!
//! A message is noted field by field, and a message that gets another field doesn't compile here until that is noted, too. Left out are
//! network addresses and signals' blobs: the former aren't secret (`docs/trust.md`), the latter aren't real here.

use std::collections::{BTreeMap, BTreeSet};

use bitters_wire::{
    address::{Address, Owner},
    codec,
    id::{FrameId, PersonaId, TopicId},
    keys::PersonaSecret,
    limits::MAX_LINK,
    link::{Control, LinkMessage, Signal},
    local::{Dial, Door, ToLeader},
    packet::{Body, Packet},
    rendezvous::{Gone, ToNode},
    sealed::{Opened, Said, SealedSignal},
    topic::TopicMessage,
};

use crate::browser::Browser;

/// What is noted in a world.
#[derive(Debug, Default)]
pub struct Notes {
    /// The browsers that are nosy.
    pub nosy: BTreeSet<usize>,
    /// What they were told, in order.
    pub told: Vec<Told>,
    /// What of it a persona had been told by nobody, or was told of a persona that it isn't true of.
    pub unfounded: Vec<Told>,
    /// Keys and frames of the nosy browsers.
    own: Vec<Vec<u8>>,
    /// Who was asked to pass a signal on to whom.
    asked: BTreeSet<(PersonaId, PersonaId)>,
    /// Who was in which topic at any time.
    joined: BTreeSet<(PersonaId, TopicId)>,
    /// Who was linked to whom at any time.
    met: BTreeSet<(PersonaId, PersonaId)>,
    /// What was said in topics, as it is on the wire.
    said: BTreeMap<Vec<u8>, TopicId>,
}

/// One field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose peer was told, and by which persona.
    pub by: PersonaId,
    /// Which message and field.
    pub field: &'static str,
    /// What it said; a number has eight bytes.
    pub value: Vec<u8>,
}

/// What is compared: values that are shorter are equal by chance.
pub type Window = [u8; 8];

impl Notes {
    /// What one persona told, window by window, and in which fields.
    #[must_use]
    pub fn windows_of(&self, by: PersonaId) -> BTreeMap<Window, BTreeSet<&'static str>> {
        let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for told in self.told.iter().filter(|it| it.by == by) {
            for window in windows(&told.value) {
                found.entry(window).or_default().insert(told.field);
            }
        }
        found
    }

    /// The numbers in a field that both personas told, in order, and by which of the two.
    #[must_use]
    pub fn numbers(&self, field: &str, both: [PersonaId; 2]) -> Vec<(PersonaId, u64)> {
        let told = self.told.iter().filter(|it| it.field == field && both.contains(&it.by));
        told.map(|it| (it.by, u64_of(&it.value))).collect()
    }

    /// What both personas may tell though they are strangers: the nosy side's own keys and frames, topics that both are in, what is said there,
    /// and whom of `everybody` both have met.
    #[must_use]
    pub fn explained(&self, both: [PersonaId; 2], everybody: &[PersonaId]) -> BTreeSet<Window> {
        let are_in = |topic: TopicId| both.iter().all(|it| self.joined.contains(&(*it, topic)));
        let know = |of: PersonaId| both.iter().all(|it| *it == of || self.met.contains(&(*it, of)));
        let met = everybody.iter().filter(|it| know(**it)).map(|it| it.0.as_slice());
        let topics = self.joined.iter().filter(|(_, topic)| are_in(*topic)).map(|(_, topic)| topic.0.as_slice());
        let said = self.said.iter().filter(|(_, topic)| are_in(**topic)).map(|(sealed, _)| sealed.as_slice());
        let own = self.own.iter().map(Vec::as_slice);
        own.chain(met).chain(topics).chain(said).flat_map(windows).collect()
    }

    /// A page of a site's says something to its leader.
    pub(crate) fn on_said(&mut self, browser: usize, persona: PersonaId, frame: FrameId, message: &ToLeader) {
        match message {
            ToLeader::Hello(hello) => {
                self.joined.extend(hello.joined.iter().map(|it| (persona, it.topic)));
                if self.nosy.contains(&browser) {
                    self.own.extend([persona.0.to_vec(), frame.0.as_bytes().to_vec()]);
                }
            }
            ToLeader::Join { topic, .. } => drop(self.joined.insert((persona, *topic))),
            _ => {}
        }
    }

    /// A link is up at one of its ends.
    pub(crate) fn on_up(&mut self, own: PersonaId, peer: PersonaId) {
        self.met.insert((own, peer));
    }

    /// A message comes on a link, to a nosy browser or to another.
    pub(crate) fn on_link(&mut self, own: PersonaId, by: PersonaId, bytes: &[u8], nosy: Option<&PersonaSecret>) {
        let message = codec::decode(bytes, MAX_LINK).expect("nodes say what can be decoded");
        match message {
            LinkMessage::Control(Control::PassOn { to, .. }) => drop(self.asked.insert((own, to))),
            LinkMessage::Topic(TopicMessage::Publish { topic, ref published }) => {
                self.said.insert(codec::encode(published), topic);
            }
            LinkMessage::Topic(TopicMessage::Here { topic, ref words }) => {
                // Who is in a topic is told to its members.
                self.met.extend(words.iter().map(|word| (own, word.from)));
                self.said.extend(words.iter().map(|word| (codec::encode(word), topic)));
            }
            _ => {}
        }
        if let Some(secret) = nosy {
            self.on_message(by, &message, secret);
        }
    }

    fn on_message(&mut self, by: PersonaId, message: &LinkMessage, nosy: &PersonaSecret) {
        match message {
            LinkMessage::Control(control) => self.on_control(by, control, nosy),
            LinkMessage::Packet(packet) => self.on_packet(by, packet),
            LinkMessage::Topic(message) => self.on_topic(by, message),
        }
    }

    fn on_control(&mut self, by: PersonaId, control: &Control, nosy: &PersonaSecret) {
        match control {
            Control::Address(address) => self.on_address(by, address),
            Control::FrameGone(frame) => self.note(by, "FrameGone", frame.0.as_bytes()),
            Control::HungUp | Control::Idle | Control::Resume | Control::Switch | Control::Switched => {}
            Control::PassOn { to, signal } => {
                self.note(by, "PassOn.to", &to.0);
                self.note(by, "PassOn.signal", &codec::encode(signal));
            }
            // The relay tells from whom, and the signal is theirs.
            Control::PassedOn { from, signal } => {
                self.note(by, "PassedOn.from", &from.0);
                self.on_sealed(*from, signal, nosy);
            }
            Control::Signal(signal) => self.on_signal(by, signal),
            Control::StandbyGone { attempt } => self.note_number(by, ATTEMPT, (*attempt).into()),
            // An echo tells nothing.
            Control::Unreachable(peer) if self.asked.contains(&(by, *peer)) => {}
            Control::Unreachable(peer) => {
                self.note(by, "Unreachable", &peer.0);
                self.doubt();
            }
        }
    }

    fn on_address(&mut self, by: PersonaId, address: &Address) {
        let owner = match address.owner() {
            Owner::Node(node) => node.0,
            Owner::Persona(persona) => persona.0,
        };
        self.note(by, "Address.owner", &owner);
        self.note(by, FINGERPRINT, address.fingerprint());
        self.note_number(by, "Address.expires", address.expires());
        let text = address.to_string();
        self.note(by, "Address.signature", &text.as_bytes()[text.len() - SIGNATURE..]);
    }

    fn on_packet(&mut self, by: PersonaId, Packet { to, to_frame, from, from_frame, session, body }: &Packet) {
        self.note(by, "Packet.to", &to.0);
        if let Some(frame) = to_frame {
            self.note(by, "Packet.to_frame", frame.0.as_bytes());
        }
        self.note(by, "Packet.from", &from.0);
        self.note(by, "Packet.from_frame", from_frame.0.as_bytes());
        self.note(by, "Packet.session", session.0.as_bytes());
        match body {
            Body::Accept { handshake } => self.note(by, "Accept.handshake", handshake),
            Body::Open { tag, handshake } => {
                self.note(by, "Open.tag", &tag.0);
                self.note(by, "Open.handshake", handshake);
            }
            Body::Refused { .. } => {}
            Body::Sealed { counter, sealed } => {
                self.note_number(by, COUNTER, *counter);
                self.note(by, "Sealed.sealed", sealed);
            }
        }
    }

    fn on_topic(&mut self, by: PersonaId, message: &TopicMessage) {
        match message {
            TopicMessage::Tags(tags) => tags.iter().for_each(|tag| self.note(by, "Tags", &tag.0)),
            TopicMessage::Left(tag) => self.note(by, "Left", &tag.0),
            TopicMessage::Here { topic, words } => {
                self.note_own_topic(by, "Here.topic", *topic);
                for word in words {
                    self.note(by, "Here.from", &word.from.0);
                    // Others say it themselves, of two topics maybe at the same time, and sign it.
                    if word.from == by {
                        self.note(by, "Here.word", &codec::encode(word));
                    }
                }
            }
            TopicMessage::Members { topic, members } => {
                self.note(by, "Members.topic", &topic.0);
                for member in members {
                    self.note(by, "Members.members", &member.0);
                    if !self.met.contains(&(by, *member)) || !self.joined.contains(&(*member, *topic)) {
                        self.doubt();
                    }
                }
            }
            TopicMessage::Publish { topic, published } => {
                self.note_own_topic(by, "Publish.topic", *topic);
                self.note(by, "Publish.published", &codec::encode(published));
            }
        }
    }

    /// A persona is in the topics that it is named with.
    fn note_own_topic(&mut self, by: PersonaId, field: &'static str, topic: TopicId) {
        self.note(by, field, &topic.0);
        if !self.joined.contains(&(by, topic)) {
            self.doubt();
        }
    }

    fn on_sealed(&mut self, by: PersonaId, sealed: &SealedSignal, nosy: &PersonaSecret) {
        self.note(by, "Signal.sealed", &codec::encode(sealed));
        if let Ok(Opened { from, said, minute: _, nonce }) = sealed.open(nosy) {
            self.note(by, "Signal.from", &from.0);
            self.note(by, "Signal.nonce", &nonce);
            match said {
                Said::Door(address) => self.on_address(by, &address),
                Said::HungUp | Said::Knock => {}
                Said::Members(sealed) => self.note(by, "Signal.packets", &codec::encode(&sealed)),
                Said::Published(sealed) => self.note(by, "Signal.published", &codec::encode(&sealed)),
                Said::Packets(packets) => packets.iter().for_each(|packet| self.on_packet(by, packet)),
                Said::Signal(signal) => self.on_signal(by, &signal),
                // Its blob isn't real here, and its attempt is noted when it is opened.
                Said::Topics(sealed) => self.note(by, "Signal.members", &codec::encode(&sealed)),
            }
        }
    }

    fn on_signal(&mut self, by: PersonaId, Signal { attempt, answers, blob: _ }: &Signal) {
        self.note_number(by, ATTEMPT, (*attempt).into());
        if let Some(answers) = answers {
            self.note_number(by, "Signal.answers", (*answers).into());
        }
    }

    /// The server says something. What names no peer is the server's own, and so is the number of a passage.
    pub(crate) fn on_server(&mut self, message: &ToNode, nosy: &Browser) {
        match message {
            ToNode::Challenge { .. } | ToNode::Entered { .. } | ToNode::Listening(_) | ToNode::Refused { .. } => {}
            ToNode::Dialled { passage: _, token: _, signal: _ } => {}
            ToNode::Gone(gone) => {
                let Gone { from, to, frame, .. } = gone;
                self.note(*from, "Gone.to", &to.0);
                self.note(*from, "Gone.frame", frame.0.as_bytes());
                let signed = codec::encode(gone);
                self.note(*from, "Gone.signature", &signed[signed.len() - SIGNED..]);
            }
            ToNode::Door(door) => {
                if let Owner::Persona(peer) = door.owner() {
                    self.on_address(peer, door);
                }
            }
            ToNode::Here(peer) | ToNode::Missing(peer) => self.note(*peer, "Here", &peer.0),
            ToNode::Members { topic, key, members } => {
                for member in members {
                    self.note_own_topic(*member, "Introduced.topic", *topic);
                    self.note(*member, "Introduced.to", &key.0);
                }
            }
            ToNode::Signal { from, to, signal } => {
                self.note(*from, "Signal.to", &to.0);
                if let Some(secret) = nosy.secret_of(*to) {
                    self.on_sealed(*from, signal, &secret);
                }
            }
            ToNode::Unreachable { from, to } => self.note(*to, "Unreachable.from", &from.0),
        }
    }

    /// A frame is told to connect.
    pub(crate) fn on_dial(&mut self, Dial { own, peer, door, .. }: &Dial) {
        let Some(peer) = peer else { return };
        self.note(*peer, "Dial.own", &own.0);
        if let Door::Address { fingerprint, token, proxies: _, proof: _ } = door {
            self.note(*peer, FINGERPRINT, fingerprint);
            self.note_number(*peer, "Address.token", u64_of(&token.0));
        }
    }

    fn note(&mut self, by: PersonaId, field: &'static str, value: &[u8]) {
        self.told.push(Told { by, field, value: value.to_vec() });
    }

    /// What was just noted is unfounded.
    fn doubt(&mut self) {
        self.unfounded.extend(self.told.last().cloned());
    }

    fn note_number(&mut self, by: PersonaId, field: &'static str, value: u64) {
        self.note(by, field, &value.to_be_bytes());
    }
}

/// The field of an attempt's number.
pub const ATTEMPT: &str = "Signal.attempt";
/// The field of a cipher's counter.
pub const COUNTER: &str = "Sealed.counter";
const FINGERPRINT: &str = "Address.fingerprint";

/// Characters at the end of an address that are its signature's alone.
const SIGNATURE: usize = 84;
/// Bytes of a signature.
const SIGNED: usize = 64;

fn windows(value: &[u8]) -> impl Iterator<Item = Window> + '_ {
    value.windows(size_of::<Window>()).map(|it| it.try_into().expect("a window is as long as all"))
}

fn u64_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
