//! What linked nodes say. Whoever breaks the protocol is hung up on.

use bitters_wire::{
    claim::Claim,
    codec,
    id::{LinkId, NodeId, PersonaId, TopicId},
    limits::{MAX_LINK, MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::{LinkMessage, Signal},
    time::Instant,
};

use super::Node;
use crate::{
    links::{Up, Way},
    quotas::MAX_MEMBERSHIPS,
};

/// What a peer did wrong.
type Offence = &'static str;

impl Node {
    pub(super) fn on_received(&mut self, link: LinkId, peer: NodeId, bytes: &[u8], now: Instant) {
        let stands_by = self.links.standby(link).is_some();
        let chosen = if stands_by { self.chosen(link, peer, now) } else { None };
        if stands_by && chosen.is_none() {
            self.follow_switch(link, peer, now);
        }
        let link = chosen.unwrap_or(link);
        let Some(up) = self.links.up_mut(link) else { return };
        up.answer_until = None;
        up.heard |= chosen.is_none();
        let done = match codec::decode::<LinkMessage>(bytes, MAX_LINK) {
            Ok(message) => self.on_link_message(link, peer, message, now),
            Err(_) => Err("an undecodable message"),
        };
        if let Err(offence) = done {
            self.punish(link, peer, offence, now);
        }
    }

    fn on_link_message(
        &mut self,
        link: LinkId,
        peer: NodeId,
        message: LinkMessage,
        now: Instant,
    ) -> Result<(), Offence> {
        match message {
            LinkMessage::Packet(packet) => {
                self.on_link_packet(link, packet, now);
                return Ok(());
            }
            LinkMessage::Publish { topic, sealed } => {
                let told = self.links.up(link).is_some_and(|up| up.is_in(topic) || up.is_lenient(now));
                if !told {
                    return Err("a message of a topic that it isn't in");
                }
                self.on_topic_message(link, topic, &sealed, now);
                return Ok(());
            }
            _ => {}
        }
        if !self.links.up_mut(link).is_some_and(|up| up.budget.control.take(now)) {
            return Err("too many messages");
        }
        match message {
            LinkMessage::Address(address) => self.on_peer_address(peer, address, now),
            LinkMessage::Claim(claim) => self.on_claim(link, peer, &claim),
            LinkMessage::FrameGone { persona, frame } => {
                self.on_peer_frame_gone(peer, persona, frame);
                Ok(())
            }
            LinkMessage::Joined { topic, persona } => self.on_peer_joined(link, peer, topic, persona, now),
            LinkMessage::Left { topic, persona } => {
                self.on_peer_left(link, peer, topic, persona);
                Ok(())
            }
            LinkMessage::Members { topic, nodes } => self.on_members(topic, &nodes, Some(peer)),
            LinkMessage::Packet(_) | LinkMessage::Publish { .. } => Ok(()),
            LinkMessage::Relay { to, signal } => self.on_relay(link, peer, to, signal, now),
            LinkMessage::Relayed { from, signal } => self.on_relayed(link, peer, from, signal, now),
            LinkMessage::Resume => self.on_resume(link, now),
            LinkMessage::Signal(signal) => self.on_link_signal(link, peer, signal, now),
            LinkMessage::StandbyGone { attempt } => {
                self.on_standby_gone(peer, attempt, now);
                Ok(())
            }
            LinkMessage::Switch => {
                self.tell_peer(link, &LinkMessage::Switched);
                Ok(())
            }
            // Any word is the answer that is waited for.
            LinkMessage::Switched => Ok(()),
            LinkMessage::Unreachable(node) => {
                self.on_no_relay(peer, node, now);
                Ok(())
            }
        }
    }

    fn on_claim(&mut self, link: LinkId, peer: NodeId, claim: &Claim) -> Result<(), Offence> {
        let was_known = self.routes.home(claim.persona) == Some(peer);
        if claim.node != peer || self.routes.learn(claim).is_err() {
            return Err("a claim that doesn't hold");
        }
        if let Some(up) = self.links.up_mut(link) {
            Up::note(&mut up.claims, claim.persona);
        }
        if !was_known {
            self.path_is_there(|persona| persona == claim.persona);
        }
        self.finish_dial(claim.persona);
        Ok(())
    }

    fn on_peer_joined(
        &mut self,
        link: LinkId,
        peer: NodeId,
        topic: TopicId,
        persona: PersonaId,
        now: Instant,
    ) -> Result<(), Offence> {
        let Some(up) = self.links.up_mut(link) else { return Ok(()) };
        if !up.claims.contains(&persona) {
            return Err("a member that it didn't claim");
        }
        if up.memberships().count() >= MAX_MEMBERSHIPS {
            return Err("more members than a node may have");
        }
        let new_here = !up.is_in(topic);
        up.joined.entry(topic).or_default().insert(persona);
        self.topics.linger_ends(topic, persona);
        self.changed.topics.insert(topic);
        if new_here {
            self.on_neighbour(link, peer, topic, now);
        }
        self.changed.status = true;
        Ok(())
    }

    /// A linked node came to a topic: it hears what is being said and who else is there.
    fn on_neighbour(&mut self, link: LinkId, peer: NodeId, topic: TopicId, now: Instant) {
        self.topics.introduce(topic, peer, None);
        self.topics.search_ends(topic);
        for sealed in self.topics.recent(topic, now) {
            self.tell_peer(link, &LinkMessage::Publish { topic, sealed });
        }
        let others = self.links.in_topic(topic).map(|(_, other, _)| other.peer).filter(|node| *node != peer);
        let mut nodes: Vec<NodeId> = others.collect();
        self.rng.shuffle(&mut nodes);
        nodes.truncate(TOPIC_NEIGHBOURS);
        let Some(up) = self.links.up_mut(link) else { return };
        if !nodes.is_empty() && up.hinted.insert(topic) {
            self.tell_peer(link, &LinkMessage::Members { topic, nodes });
        }
    }

    fn on_peer_left(&mut self, link: LinkId, peer: NodeId, topic: TopicId, persona: PersonaId) {
        let Some(up) = self.links.up_mut(link) else { return };
        let Some(personas) = up.joined.get_mut(&topic) else { return };
        personas.remove(&persona);
        if personas.is_empty() {
            up.joined.remove(&topic);
            up.hinted.remove(&topic);
            self.topics.left(topic, peer);
        }
        self.topics.linger_ends(topic, persona);
        self.changed.topics.insert(topic);
        self.changed.plans = true;
        self.changed.status = true;
    }

    /// A peer, or the rendezvous, names nodes in a topic.
    pub(super) fn on_members(&mut self, topic: TopicId, nodes: &[NodeId], via: Option<NodeId>) -> Result<(), Offence> {
        if nodes.len() > TOPIC_NEIGHBOURS {
            return Err("more members at once than allowed");
        }
        for node in nodes.iter().filter(|node| **node != self.id) {
            self.topics.introduce(topic, *node, via);
        }
        self.changed.plans = true;
        Ok(())
    }

    /// A peer has a signal for another of our peers. Those who aren't linked here get none.
    fn on_relay(
        &mut self,
        link: LinkId,
        peer: NodeId,
        to: NodeId,
        signal: Signal,
        now: Instant,
    ) -> Result<(), Offence> {
        if !self.takes_signal(link, &signal, now)? {
            return Ok(());
        }
        match self.links.up_to(to).filter(|onward| *onward != link) {
            Some(onward) => self.tell_peer(onward, &LinkMessage::Relayed { from: peer, signal }),
            None => self.tell_peer(link, &LinkMessage::Unreachable(to)),
        }
        Ok(())
    }

    fn on_link_signal(&mut self, link: LinkId, peer: NodeId, signal: Signal, now: Instant) -> Result<(), Offence> {
        if self.takes_signal(link, &signal, now)? {
            self.on_signal(peer, signal, Way::Link, now);
        }
        Ok(())
    }

    fn on_relayed(
        &mut self,
        link: LinkId,
        peer: NodeId,
        from: NodeId,
        signal: Signal,
        now: Instant,
    ) -> Result<(), Offence> {
        if self.takes_signal(link, &signal, now)? && from != peer {
            self.on_signal(from, signal, Way::Relay(peer), now);
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

    /// The peer's leader is new: it tells all of its own again, and so do we. Its topic members linger meanwhile. What was said lately
    /// is said again, should the leader before have taken it along; frames know what they heard.
    fn on_resume(&mut self, link: LinkId, now: Instant) -> Result<(), Offence> {
        let Some(up) = self.links.up_mut(link) else { return Ok(()) };
        if !up.budget.resumes.take(now) {
            return Err("more changes of leader than there can be");
        }
        let told = std::mem::take(&mut up.told);
        let members: Vec<(TopicId, PersonaId)> = up.memberships().collect();
        up.claims.clear();
        up.joined.clear();
        up.hinted.clear();
        up.be_lenient(now);
        for (topic, persona) in members {
            self.topics.linger(topic, persona, now);
            self.changed.topics.insert(topic);
        }
        for persona in told {
            self.claim_on(link, persona);
        }
        self.introduce_ourselves(link);
        Ok(())
    }
}
