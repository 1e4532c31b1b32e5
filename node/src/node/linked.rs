//! Links: what became of them, and what of that others are told.

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    id::{FrameId, LinkId, PersonaId, TopicId},
    keys::PersonaSecret,
    limits::TOPIC_NEIGHBOURS,
    local::ToFrame,
    rendezvous::{Gone, ToServer},
    topic::TopicMessage,
};

use super::Node;
use crate::{
    dials::Stage,
    links::{Around, Links, LinksInput, LinksOutput},
    pair::Pair,
    server::{saying::What, seeds::SeedId},
    topics::{Introducer, Place},
};

/// What links of a node depend on, while they are being changed themselves.
macro_rules! around {
    ($node:ident) => {
        Around {
            frames: &$node.frames,
            topics: &$node.topics,
            dials: &$node.dials,
            acquaintances: &$node.acquaintances,
            blocks: &$node.blocks,
            hides: $node.sites.hiding().hides,
            proxies: $node.addresses.proxies(),
            is_registered: $node.uplink.is_registered(),
            clock: &$node.clock,
            now: $node.clock.now,
        }
    };
}

impl Node {
    /// Gives links a fact, and does what follows.
    pub(super) fn link(&mut self, input: LinksInput) {
        self.with_links(|links, around| links.handle_input(input, around));
    }

    /// Has links do something, and does what follows.
    pub(super) fn with_links<T>(&mut self, act: impl FnOnce(&mut Links, &Around<'_>) -> T) -> T {
        let around = around!(self);
        let done = act(&mut self.links, &around);
        self.follow_links();
        done
    }

    fn follow_links(&mut self) {
        while let Some(output) = self.links.poll_output() {
            self.on_links(output);
        }
    }

    /// Asks links something.
    pub(super) fn of_links<T>(&self, ask: impl FnOnce(&Links, &Around<'_>) -> T) -> T {
        ask(&self.links, &around!(self))
    }

    fn on_links(&mut self, output: LinksOutput) {
        let now = self.clock.now;
        match output {
            LinksOutput::AddressFailed(peer) => self.seed_failed(&SeedId::Persona(peer)),
            LinksOutput::Adopted(link, pair) => {
                self.with_links(|links, around| links.show_topics(link, around));
                self.link_is_there(pair);
            }
            LinksOutput::Command(frame, link, command) => self.tell(frame, ToFrame::Link(link, command)),
            LinksOutput::Dials(pair) => self.dials.advance(pair, Stage::Link),
            LinksOutput::DialFailed { pair, code, text } => self.fail_dial(pair, code, text),
            LinksOutput::DoorFailed(pair) => {
                self.dials.advance(pair, Stage::Lookup);
                self.dials.knocked(pair, now);
            }
            LinksOutput::Down { pair, joined } => {
                self.clock.neighbours.forget(pair);
                self.miss_members(pair, &joined, now);
            }
            LinksOutput::Early(pair, packets) => self.on_early_packets(pair, packets, now),
            LinksOutput::ForgetWays(pair) => self.topics.forget_ways(pair),
            LinksOutput::FrameGone(pair, frame) => self.tell_of_death(pair, frame),
            LinksOutput::GivenUp(pair) => self.topics.give_up(pair, now, &mut self.rng),
            LinksOutput::HungUp(pair) => self.on_hung_up(pair, now),
            LinksOutput::Joined { link, pair, topic } => self.on_peer_joined(link, pair, topic),
            LinksOutput::Knocked(pair, way) => self.on_knock(pair, way),
            LinksOutput::Left { pair, topic } => self.on_peer_left(pair, topic),
            LinksOutput::Lost(lost) => self.say_again(lost),
            LinksOutput::Members { pair, topic, members } => {
                self.on_members(Place { own: pair.own, topic }, &members, Introducer::Peer(pair.peer));
            }
            LinksOutput::Needless { pair, joined } => self.topics.is_only_in(pair, &joined),
            LinksOutput::Packet(link, packet) => self.on_link_packet(link, packet, now),
            LinksOutput::Plans => self.changed.plans = true,
            LinksOutput::Publish { link, pair, topic, published, beyond } => {
                self.on_topic_message((link, beyond), pair, topic, published);
            }
            LinksOutput::Reached(peer, took) => self.seed_succeeded(SeedId::Persona(peer), took),
            LinksOutput::Resumed { link, pair, joined } => self.on_resumed(link, pair, &joined, now),
            LinksOutput::Server(own, message) => {
                let answers = matches!(&message, ToServer::Signal { signal, .. } if signal.answers);
                self.tell_server(own, if answers { What::Answer } else { What::Word }, message);
            }
            LinksOutput::Status => {
                self.changed.status = true;
                self.changed.sites = true;
            }
            LinksOutput::Words { link, pair, topic, words } => self.on_words(link, pair, topic, words),
            LinksOutput::Up(link, pair) => {
                self.with_links(|links, around| links.show_topics(link, around));
                self.tell_own_address(link, pair.own);
                self.link_is_there(pair);
            }
            LinksOutput::Warning(audience, text) => self.warn(audience, &text),
        }
    }

    fn link_is_there(&mut self, pair: Pair) {
        self.finish_dial(pair);
        self.path_is_there(pair);
        self.changed.status = true;
    }

    fn miss_members(&mut self, pair: Pair, joined: &Set<TopicId>, now: Instant) {
        for topic in joined {
            let place = Place { own: pair.own, topic: *topic };
            self.topics.linger(place, pair.peer, now);
            self.topics.search_soon(place, now, &mut self.rng);
            self.changed.topics.insert(place);
        }
    }

    /// A linked peer came to a topic, or we to one in which it is: it hears what is being said and who else is there.
    fn on_peer_joined(&mut self, link: LinkId, pair: Pair, topic: TopicId) {
        let place = Place { own: pair.own, topic };
        self.topics.linger_ends(place, pair.peer);
        self.topics.find(place, pair.peer);
        self.changed.topics.insert(place);
        self.topics.introduce(place, pair.peer, Introducer::Itself, &mut self.rng);
        self.topics.search_ends(place);
        let recent = self.topics.recent_for(place, pair.peer, self.clock.now);
        self.with_links(|links, around| links.replay(link, topic, recent, around));
        self.greet_neighbour(link, place);
        let others = self.links.table().in_topic(pair.own, topic).map(|(_, other, _)| other.peer);
        let mut members: Vec<PersonaId> = others.filter(|other| *other != pair.peer).collect();
        self.rng.shuffle(&mut members);
        members.truncate(TOPIC_NEIGHBOURS);
        if !members.is_empty() && self.links.hints(link, topic) {
            self.tell_topic(link, TopicMessage::Members { topic, members });
        }
    }

    fn on_peer_left(&mut self, pair: Pair, topic: TopicId) {
        let place = Place { own: pair.own, topic };
        self.topics.left(place, pair.peer, self.clock.now);
        self.topics.linger_ends(place, pair.peer);
        self.changed.topics.insert(place);
    }

    /// A peer, or the rendezvous, names members of a topic to one of our personas in it.
    pub(super) fn on_members(&mut self, place: Place, members: &[PersonaId], by: Introducer) {
        for member in members.iter().filter(|member| **member != place.own) {
            self.topics.introduce(place, *member, by, &mut self.rng);
            if let Some(link) = self.links.table().up_to(Pair { own: place.own, peer: *member }) {
                self.with_links(|links, around| links.show_topics(link, around));
            }
        }
        self.changed.plans = true;
    }

    /// The peer's leader is new: it tells its topics again, and so do we. It lingers in them meanwhile. What was said lately
    /// is said again, should the leader before have taken it along; frames know what they heard.
    fn on_resumed(&mut self, link: LinkId, pair: Pair, joined: &Set<TopicId>, now: Instant) {
        for topic in joined {
            let place = Place { own: pair.own, topic: *topic };
            self.topics.linger(place, pair.peer, now);
            self.changed.topics.insert(place);
        }
        self.with_links(|links, around| links.show_topics(link, around));
    }

    /// There is a way to a peer again: frames whose sessions talk with it are told.
    pub(super) fn path_is_there(&mut self, Pair { own, peer }: Pair) {
        self.tell_each(own, &|_, frame| frame.talks.contains_key(&peer), &ToFrame::PathRestored(peer));
    }

    /// A frame of a persona is gone: those whose sessions talk with it are told, here and at its peers.
    pub(super) fn mourn(&mut self, own: &PersonaSecret, frame: FrameId, talks: &[PersonaId]) {
        let id = own.id();
        self.tell_of_death(Pair { own: id, peer: id }, frame);
        for peer in talks.iter().filter(|peer| **peer != id) {
            if let Some(link) = self.links.table().up_to(Pair { own: id, peer: *peer }) {
                self.with_links(|links, around| links.tell_death(link, frame, around));
            } else if self.uplink.is_registered() {
                self.tell_server(id, What::Word, ToServer::Gone(Gone::sign(own, *peer, frame)));
            }
        }
    }

    /// A peer says by way of the server that a frame of its is gone.
    pub(super) fn on_gone(&mut self, gone: &Gone) {
        if gone.verify().is_ok() {
            self.tell_of_death(Pair { own: gone.to, peer: gone.from }, gone.frame);
        }
    }

    /// A peer's frame is gone.
    pub(super) fn tell_of_death(&mut self, Pair { own, peer }: Pair, frame: FrameId) {
        self.tell_each(own, &|_, it| it.talks.contains_key(&peer), &ToFrame::FrameGone { persona: peer, frame });
    }
}
