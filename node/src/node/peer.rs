//! What linked peers say. Whoever breaks the protocol is hung up on.

use bitters_wire::{
    codec,
    id::{LinkId, PersonaId, TopicId},
    limits::{MAX_LINK, MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::{Control, LinkMessage, Signal},
    time::Instant,
    topic::TopicMessage,
};

use super::Node;
use crate::{
    links::{Pair, Way},
    quotas::MAX_MEMBERSHIPS,
    topics::Place,
};

/// What a peer did wrong.
type Offence = &'static str;

impl Node {
    pub(super) fn on_received(&mut self, link: LinkId, pair: Pair, bytes: &[u8], now: Instant) {
        if self.links.standby(link).is_some() {
            self.follow_switch(link, pair, now);
        }
        let Some(up) = self.links.up_mut(link) else { return };
        up.answer_until = None;
        let done = match codec::decode::<LinkMessage>(bytes, MAX_LINK) {
            Ok(LinkMessage::Control(message)) => self.on_control(link, pair, message, now),
            Ok(LinkMessage::Packet(packet)) => {
                self.on_link_packet(link, pair, packet, now);
                Ok(())
            }
            Ok(LinkMessage::Topic(message)) => self.on_topic(link, pair, message, now),
            Err(_) => Err("an undecodable message"),
        };
        if let Err(offence) = done {
            self.punish(link, pair, offence, now);
        }
    }

    fn on_control(&mut self, link: LinkId, pair: Pair, message: Control, now: Instant) -> Result<(), Offence> {
        self.takes_control(link, now)?;
        match message {
            Control::Address(address) => self.on_peer_address(pair, address, now),
            Control::FrameGone(frame) => {
                self.tell_of_death(pair, frame);
                Ok(())
            }
            Control::Idle => {
                self.on_idle(link, pair, now);
                Ok(())
            }
            Control::Relay { to, signal } => self.on_relay(link, pair, to, signal, now),
            Control::Relayed { from, signal } => self.on_relayed(link, pair, from, signal, now),
            Control::Resume => self.on_resume(link, pair, now),
            Control::Signal(signal) => self.on_link_signal(link, pair, signal, now),
            Control::StandbyGone { attempt } => {
                self.on_standby_gone(pair, attempt, now);
                Ok(())
            }
            Control::Switch => {
                self.tell_peer(link, Control::Switched);
                Ok(())
            }
            // Any word is the answer that is waited for.
            Control::Switched => Ok(()),
            Control::Unreachable(peer) => {
                self.on_no_relay(pair.peer, Pair { peer, ..pair }, now);
                Ok(())
            }
        }
    }

    fn on_topic(&mut self, link: LinkId, pair: Pair, message: TopicMessage, now: Instant) -> Result<(), Offence> {
        if let TopicMessage::Publish { topic, sealed } = message {
            let told = self.links.up(link).is_some_and(|up| up.is_in(topic) || up.is_lenient(now));
            if !told {
                return Err("a message of a topic that it isn't in");
            }
            self.on_topic_message(link, pair, topic, &sealed, now);
            return Ok(());
        }
        self.takes_control(link, now)?;
        match message {
            TopicMessage::Joined(topic) => self.on_peer_joined(link, pair, topic, now),
            TopicMessage::Left(topic) => {
                self.on_peer_left(link, pair, topic, now);
                Ok(())
            }
            TopicMessage::Members { topic, members } => {
                self.on_members(Place { own: pair.own, topic }, &members, Some(pair.peer))
            }
            TopicMessage::Publish { .. } => Ok(()),
        }
    }

    fn takes_control(&mut self, link: LinkId, now: Instant) -> Result<(), Offence> {
        let takes = self.links.up_mut(link).is_some_and(|up| up.budget.control.take(now));
        if takes { Ok(()) } else { Err("too many messages") }
    }

    fn on_peer_joined(&mut self, link: LinkId, pair: Pair, topic: TopicId, now: Instant) -> Result<(), Offence> {
        let Some(up) = self.links.up_mut(link) else { return Ok(()) };
        if up.joined.len() >= MAX_MEMBERSHIPS {
            return Err("more topics than a persona may be in");
        }
        let new_here = up.joined.insert(topic);
        let place = Place { own: pair.own, topic };
        self.topics.linger_ends(place, pair.peer);
        self.changed.topics.insert(place);
        if new_here {
            self.on_neighbour(link, pair, place, now);
        }
        self.changed.status = true;
        Ok(())
    }

    /// A linked peer came to a topic: it hears what is being said and who else is there.
    fn on_neighbour(&mut self, link: LinkId, pair: Pair, place: Place, now: Instant) {
        let topic = place.topic;
        self.topics.introduce(place, pair.peer, None);
        self.topics.search_ends(place);
        for sealed in self.topics.recent(place, now) {
            self.tell_topic(link, TopicMessage::Publish { topic, sealed });
        }
        let others = self.links.in_topic(pair.own, topic).map(|(_, other, _)| other.peer);
        let mut members: Vec<PersonaId> = others.filter(|other| *other != pair.peer).collect();
        self.rng.shuffle(&mut members);
        members.truncate(TOPIC_NEIGHBOURS);
        let Some(up) = self.links.up_mut(link) else { return };
        if !members.is_empty() && up.hinted.insert(topic) {
            self.tell_topic(link, TopicMessage::Members { topic, members });
        }
    }

    fn on_peer_left(&mut self, link: LinkId, pair: Pair, topic: TopicId, now: Instant) {
        let Some(up) = self.links.up_mut(link) else { return };
        if !up.joined.remove(&topic) {
            return;
        }
        up.hinted.remove(&topic);
        up.want(now);
        let place = Place { own: pair.own, topic };
        self.topics.left(place, pair.peer);
        self.topics.linger_ends(place, pair.peer);
        self.changed.topics.insert(place);
        self.changed.plans = true;
        self.changed.status = true;
    }

    /// A peer, or the rendezvous, names members of a topic to one of our personas in it.
    pub(super) fn on_members(
        &mut self,
        place: Place,
        members: &[PersonaId],
        via: Option<PersonaId>,
    ) -> Result<(), Offence> {
        if members.len() > TOPIC_NEIGHBOURS {
            return Err("more members at once than allowed");
        }
        for member in members.iter().filter(|member| **member != place.own) {
            self.topics.introduce(place, *member, via);
        }
        self.changed.plans = true;
        Ok(())
    }

    /// A peer has a signal for another peer of the same persona of ours. Those who aren't linked to that persona get none.
    fn on_relay(
        &mut self,
        link: LinkId,
        pair: Pair,
        to: PersonaId,
        signal: Signal,
        now: Instant,
    ) -> Result<(), Offence> {
        if !self.takes_signal(link, &signal, now)? {
            return Ok(());
        }
        match self.links.up_to(Pair { peer: to, ..pair }).filter(|onward| *onward != link) {
            Some(onward) => self.tell_peer(onward, Control::Relayed { from: pair.peer, signal }),
            None => self.tell_peer(link, Control::Unreachable(to)),
        }
        Ok(())
    }

    fn on_link_signal(&mut self, link: LinkId, pair: Pair, signal: Signal, now: Instant) -> Result<(), Offence> {
        if self.takes_signal(link, &signal, now)? {
            self.on_signal(pair, signal, Way::Link, now);
        }
        Ok(())
    }

    fn on_relayed(
        &mut self,
        link: LinkId,
        pair: Pair,
        from: PersonaId,
        signal: Signal,
        now: Instant,
    ) -> Result<(), Offence> {
        if self.takes_signal(link, &signal, now)? && from != pair.peer {
            self.on_signal(Pair { peer: from, ..pair }, signal, Way::Relay(pair.peer), now);
        }
        Ok(())
    }

    /// Whether the link may bring a signal now.
    fn takes_signal(&mut self, link: LinkId, signal: &Signal, now: Instant) -> Result<bool, Offence> {
        if signal.blob.len() > MAX_SIGNAL {
            return Err("a signal that is too long");
        }
        Ok(self.links.up_mut(link).is_some_and(|up| up.budget.signals.take(now)))
    }

    /// The peer's leader is new: it tells its topics again, and so do we. It lingers in them meanwhile. What was said lately
    /// is said again, should the leader before have taken it along; frames know what they heard.
    fn on_resume(&mut self, link: LinkId, pair: Pair, now: Instant) -> Result<(), Offence> {
        let Some(up) = self.links.up_mut(link) else { return Ok(()) };
        if !up.budget.resumes.take(now) {
            return Err("more changes of leader than there can be");
        }
        let joined = std::mem::take(&mut up.joined);
        up.hinted.clear();
        up.want(now);
        up.be_lenient(now);
        for topic in joined {
            let place = Place { own: pair.own, topic };
            self.topics.linger(place, pair.peer, now);
            self.changed.topics.insert(place);
        }
        self.introduce_ourselves(link, pair.own);
        Ok(())
    }
}
