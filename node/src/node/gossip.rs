//! Topics: joined and left, published to, and told of.

use bitters_wire::{
    failure::{Code, Failure},
    id::{FrameId, LinkId, NodeId, PersonaId, TopicId},
    limits::{MAX_LINK, MAX_MESSAGE, MAX_TOPICS_PER_FRAME, TOPIC_NEIGHBOURS},
    link::LinkMessage,
    local::ToFrame,
    map::Set,
    rendezvous::ToServer,
    time::Instant,
};

use super::Node;
use crate::{
    accounts::Spend,
    frames::Frame,
    quotas::{MAX_MEMBERSHIPS, MAX_TOPICS_PER_GROUP, MAX_TOPICS_PER_ORIGIN},
};

/// What a link message adds to a sealed message, with room.
const WRAPPING: usize = 64;

impl Node {
    pub(super) fn on_join(&mut self, id: FrameId, request: u32, topic: TopicId, now: Instant) {
        let outcome = self.may_join(id, topic, now);
        let joins = outcome.is_ok();
        self.asked(id, request, outcome);
        if joins && self.join_topic(id, topic) {
            if let Some(frame) = self.frames.frame_mut(id) {
                frame.peers_told.insert(topic, Vec::new());
            }
            self.changed.plans = true;
        }
    }

    fn may_join(&mut self, id: FrameId, topic: TopicId, now: Instant) -> Result<(), Failure> {
        if !self.spend(id, Spend::Join, now) {
            return Err(self.quota(id, "this site joins topics too often", now));
        }
        self.has_room_for(id, topic, now)
    }

    /// Whether a frame's site may be in a topic. One membership is left for a persona that takes another's place.
    pub(super) fn has_room_for(&mut self, id: FrameId, topic: TopicId, now: Instant) -> Result<(), Failure> {
        let joined = self.frames.topics_of(id);
        let of_site: Set<TopicId> = self.kin(id).flat_map(|(_, frame)| frame.joined.iter().copied()).collect();
        let members = |(_, frame): (FrameId, &Frame)| {
            let persona = frame.persona();
            frame.joined.iter().map(|topic| (*topic, persona)).collect::<Vec<_>>()
        };
        let of_group: Set<(TopicId, PersonaId)> = self.clan(id).flat_map(members).collect();
        let refusal = if joined.contains(&topic) {
            return Ok(());
        } else if joined.len() >= MAX_TOPICS_PER_FRAME {
            "this page is in all the topics that it may be in"
        } else if of_site.len() >= MAX_TOPICS_PER_ORIGIN && !of_site.contains(&topic) {
            "this site is in all the topics that it may be in"
        } else if of_group.len() >= MAX_TOPICS_PER_GROUP && !of_site.contains(&topic) {
            "this site and its like are in all the topics that they may be in"
        } else if self.frames.memberships().len() + 1 >= MAX_MEMBERSHIPS {
            "this node is in all the topics that it may be in"
        } else {
            return Ok(());
        };
        Err(self.quota(id, refusal, now))
    }

    /// A frame is in a topic now; tells whether it wasn't.
    pub(super) fn join_topic(&mut self, id: FrameId, topic: TopicId) -> bool {
        let Some(frame) = self.frames.frame(id) else { return false };
        let persona = frame.persona();
        let known = self.frames.is_member(topic, persona);
        if !self.frames.frame_mut(id).is_some_and(|frame| frame.joined.insert(topic)) {
            return false;
        }
        if !self.topics.is_open(topic) {
            self.open_topic(topic);
        }
        if !known {
            self.tell_joined(topic, persona);
        }
        self.changed.topics.insert(topic);
        self.changed.status = true;
        true
    }

    /// A persona of ours is in a topic, and wasn't.
    pub(super) fn tell_joined(&mut self, topic: TopicId, persona: PersonaId) {
        for link in self.up_links() {
            self.claim_on(link, persona);
            self.tell_peer(link, &LinkMessage::Joined { topic, persona });
        }
    }

    /// A frame of a persona isn't in a topic any longer: perhaps the last one.
    pub(super) fn tell_left(&mut self, topic: TopicId, persona: PersonaId) {
        if !self.frames.is_member(topic, persona) {
            for link in self.up_links() {
                self.tell_peer(link, &LinkMessage::Left { topic, persona });
            }
        }
        self.changed.topics.insert(topic);
    }

    fn open_topic(&mut self, topic: TopicId) {
        self.topics.open(topic);
        if self.uplink.is_registered() {
            self.advertise(topic);
        }
        let members: Vec<NodeId> = self.links.in_topic(topic).map(|(_, link, _)| link.peer).collect();
        for node in members {
            self.topics.introduce(topic, node, None);
        }
    }

    pub(super) fn advertise(&mut self, topic: TopicId) {
        self.tell_server(ToServer::Advertise(topic));
        if self.topics.advertise_again(topic) {
            self.tell_server(ToServer::Discover(topic));
        }
    }

    pub(super) fn leave_topic(&mut self, id: FrameId, topic: TopicId) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        frame.peers_told.remove(&topic);
        let persona = frame.persona();
        if frame.joined.remove(&topic) {
            self.after_leaving(persona, topic);
        }
    }

    /// A frame of `persona` left the topic, or is gone.
    pub(super) fn after_leaving(&mut self, persona: PersonaId, topic: TopicId) {
        self.tell_left(topic, persona);
        if self.frames.in_topic(topic).next().is_none() {
            self.topics.close(topic);
            if self.uplink.is_registered() {
                self.tell_server(ToServer::Withdraw(topic));
            }
        }
        self.changed.status = true;
    }

    pub(super) fn on_publish(&mut self, id: FrameId, request: u32, topic: TopicId, sealed: &[u8], now: Instant) {
        let outcome = self.publish(id, topic, sealed, now);
        self.asked(id, request, outcome);
    }

    fn publish(&mut self, id: FrameId, topic: TopicId, sealed: &[u8], now: Instant) -> Result<(), Failure> {
        if !self.frames.topics_of(id).contains(&topic) {
            return Err(Failure::new(Code::BadArgument, "published to a topic that wasn't joined"));
        }
        if sealed.len() > MAX_LINK - WRAPPING {
            return Err(Failure::new(Code::TooLarge, format!("a message has at most {MAX_MESSAGE} bytes")));
        }
        if !self.spend(id, Spend::Publish(sealed.len()), now) {
            return Err(self.quota(id, "this site publishes too much", now));
        }
        // A frame says it again to a leader that may not have heard it.
        if self.topics.is_new(sealed) {
            self.topics.keep(topic, sealed, now);
            self.spread(topic, sealed, Some(id), None);
        }
        Ok(())
    }

    /// A message came over a link.
    pub(super) fn on_topic_message(&mut self, link: LinkId, topic: TopicId, sealed: &[u8], now: Instant) {
        let in_time = self.links.up_mut(link).is_some_and(|up| up.budget.publishes.take(now));
        if in_time && self.topics.is_open(topic) && self.topics.is_new(sealed) {
            self.topics.keep(topic, sealed, now);
            self.spread(topic, sealed, None, Some(link));
        }
    }

    /// Gives a message to all frames and neighbours in its topic but the one that it comes from.
    fn spread(&mut self, topic: TopicId, sealed: &[u8], from: Option<FrameId>, via: Option<LinkId>) {
        let frames: Vec<FrameId> =
            self.frames.in_topic(topic).map(|(id, _)| id).filter(|id| Some(*id) != from).collect();
        for frame in frames {
            self.tell(frame, ToFrame::Topic { topic, sealed: sealed.to_vec() });
        }
        let links: Vec<LinkId> =
            self.links.in_topic(topic).map(|(id, _, _)| id).filter(|id| Some(*id) != via).collect();
        if links.is_empty() {
            return;
        }
        let message = LinkMessage::Publish { topic, sealed: sealed.to_vec() };
        for link in links {
            self.tell_peer(link, &message);
        }
    }

    /// Dials nodes that are said to be in a topic, until it has the neighbours that it aims for.
    pub(super) fn dial_neighbours(&mut self, topic: TopicId, now: Instant) {
        let mut candidates: Vec<NodeId> = self.topics.candidates(topic).collect();
        let connecting = candidates.iter().filter(|node| self.links.connecting_to(**node).is_some()).count();
        let have = connecting + self.links.in_topic(topic).count();
        let is_free = |node: &NodeId| self.links.up_to(*node).is_none() && self.links.connecting_to(*node).is_none();
        candidates.retain(|node| is_free(node) && self.redials.may_dial(*node, now));
        self.rng.shuffle(&mut candidates);
        for node in candidates.into_iter().take(TOPIC_NEIGHBOURS.saturating_sub(have)) {
            if self.dial_node(node, now).is_err() {
                self.count_failure(node, now);
            }
        }
    }

    /// Topics that lost all their neighbours ask the rendezvous for others.
    pub(super) fn search_topics(&mut self, now: Instant) {
        if self.topics.next().is_none_or(|at| at > now) {
            return;
        }
        for topic in self.topics.iter().collect::<Vec<_>>() {
            if !self.topics.search_is_due(topic, now, &mut self.rng) {
                continue;
            }
            if self.links.in_topic(topic).next().is_some() {
                self.topics.search_ends(topic);
            } else if self.uplink.is_registered() {
                self.tell_server(ToServer::Discover(topic));
            }
        }
    }

    /// Personas in a topic other than `own`, in order.
    pub(super) fn topic_peers(&self, topic: TopicId, own: PersonaId) -> Set<PersonaId> {
        let here = self.frames.in_topic(topic).map(|(_, frame)| frame.persona());
        let there = self.links.in_topic(topic).filter_map(|(_, _, up)| up.joined.get(&topic)).flatten().copied();
        let peers = here.chain(there).chain(self.topics.lingering(topic));
        peers.filter(|persona| *persona != own).collect()
    }

    /// Tells frames who else is in their topics, where that changed.
    pub(super) fn tell_topic_peers(&mut self, now: Instant) {
        for topic in std::mem::take(&mut self.changed.topics) {
            let members: Vec<(FrameId, PersonaId, Instant)> =
                self.frames.in_topic(topic).map(|(id, frame)| (id, frame.persona(), frame.settles_at)).collect();
            for (id, persona, settles_at) in members {
                if now < settles_at {
                    self.deferred.insert((settles_at, topic));
                    continue;
                }
                let peers: Vec<PersonaId> = self.topic_peers(topic, persona).into_iter().collect();
                self.tell_peers_of(id, topic, peers);
            }
        }
    }

    fn tell_peers_of(&mut self, id: FrameId, topic: TopicId, peers: Vec<PersonaId>) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        if frame.peers_told.get(&topic) != Some(&peers) {
            frame.peers_told.insert(topic, peers.clone());
            self.tell(id, ToFrame::TopicPeers { topic, peers });
        }
    }

    fn up_links(&self) -> Vec<LinkId> {
        self.links.ups().map(|(id, _, _)| id).collect()
    }
}
