//! Topics: joined and left, published to, and told of.

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    codec,
    failure::{Code, Failure},
    id::{FrameId, LinkId, PersonaId, TopicId},
    limits::{MAX_LINK, MAX_MESSAGE, MAX_TOPICS_PER_FRAME},
    link::LinkMessage,
    local::ToFrame,
    rendezvous::ToServer,
    topic::{MatchKey, TopicMessage},
};

use super::Node;
use crate::{
    frames::Frame,
    limits::{MAX_MEMBERSHIPS, MAX_TOPICS_PER_GROUP, MAX_TOPICS_PER_ORIGIN},
    pair::Pair,
    sites::accounts::Spend,
    topics::{Introducer, Place},
};

/// What a link message adds to a sealed message, with room.
const WRAPPING: usize = 64;

impl Node {
    pub(super) fn on_join(&mut self, id: FrameId, request: u32, joining: (TopicId, MatchKey), now: Instant) {
        let topic = joining.0;
        let outcome = self.may_join(id, topic, now);
        let joins = outcome.is_ok();
        self.asked(id, request, outcome);
        if joins && self.join_topic(id, joining) {
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
    pub(super) fn join_topic(&mut self, id: FrameId, (topic, matching): (TopicId, MatchKey)) -> bool {
        let Some(frame) = self.frames.frame_mut(id) else { return false };
        if !frame.joined.insert(topic) {
            return false;
        }
        let place = Place { own: frame.persona(), topic };
        self.topics.learn(topic, matching);
        if !self.topics.is_open(place) {
            self.enter_topic(place);
        }
        self.changed.topics.insert(place);
        self.changed.status = true;
        true
    }

    /// A persona of ours is in a topic, and wasn't.
    pub(super) fn enter_topic(&mut self, place: Place) {
        let Place { own, topic } = place;
        self.topics.open(place);
        if self.uplink.is_registered() {
            self.advertise(place);
        }
        for (link, pair, is_member) in self.up_links(own, topic) {
            if is_member {
                self.topics.introduce(place, pair.peer, Introducer::Itself, &mut self.rng);
            }
            self.tell_topic(link, TopicMessage::Joined(topic));
        }
        self.changed.topics.insert(place);
    }

    pub(super) fn advertise(&mut self, place: Place) {
        let Place { own: key, topic } = place;
        self.tell_server(ToServer::Advertise { topic, key });
        if self.topics.advertise_again(place) {
            self.tell_server(ToServer::Discover { topic, key });
        }
    }

    pub(super) fn leave_topic(&mut self, id: FrameId, topic: TopicId) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        frame.peers_told.remove(&topic);
        let own = frame.persona();
        if frame.joined.remove(&topic) {
            self.after_leaving(Place { own, topic });
        }
    }

    /// A frame of a persona left the topic, or is gone: perhaps the last one.
    pub(super) fn after_leaving(&mut self, place: Place) {
        let Place { own, topic } = place;
        if !self.frames.is_member(place) && self.topics.is_open(place) {
            for (link, _, is_member) in self.up_links(own, topic) {
                self.tell_topic(link, TopicMessage::Left(topic));
                if is_member {
                    self.links.part(link, topic, self.clock.now);
                }
            }
            self.topics.close(place);
            if self.uplink.is_registered() {
                self.tell_server(ToServer::Withdraw { topic, key: own });
            }
        }
        self.changed.topics.insert(place);
        self.changed.status = true;
    }

    /// Tells a peer which topics our persona is in.
    pub(super) fn introduce_ourselves(&mut self, link: LinkId, own: PersonaId) {
        for place in self.topics.iter().filter(|place| place.own == own).collect::<Vec<_>>() {
            self.tell_topic(link, TopicMessage::Joined(place.topic));
        }
    }

    pub(super) fn on_publish(&mut self, id: FrameId, request: u32, topic: TopicId, sealed: &[u8], now: Instant) {
        let outcome = self.publish(id, topic, sealed, now);
        self.asked(id, request, outcome);
    }

    fn publish(&mut self, id: FrameId, topic: TopicId, sealed: &[u8], now: Instant) -> Result<(), Failure> {
        let Some(own) = self.frames.frame(id).filter(|frame| frame.joined.contains(&topic)).map(Frame::persona) else {
            return Err(Failure::new(Code::BadArgument, "published to a topic that wasn't joined"));
        };
        if sealed.len() > MAX_LINK - WRAPPING {
            return Err(Failure::new(Code::TooLarge, format!("a message has at most {MAX_MESSAGE} bytes")));
        }
        if !self.spend(id, Spend::Publish(sealed.len()), now) {
            return Err(self.quota(id, "this site publishes too much", now));
        }
        // A frame says it again to a leader that may not have heard it.
        if self.topics.is_new(own, sealed) {
            let place = Place { own, topic };
            self.topics.keep_ours(place, sealed, now);
            self.spread(place, sealed, Some(id), None);
            self.with_links(|links, around| links.publish_early(place, around));
        }
        Ok(())
    }

    /// A message came over a link, or by way of others.
    pub(super) fn on_topic_message(&mut self, link: Option<LinkId>, pair: Pair, topic: TopicId, sealed: &[u8]) {
        let place = Place { own: pair.own, topic };
        if self.topics.is_open(place) && self.topics.is_new(pair.own, sealed) {
            self.topics.keep(place, sealed, self.clock.now);
            self.spread(place, sealed, None, link);
        }
    }

    /// Gives a message to all frames and neighbours of a persona in its topic but the one that it comes from.
    fn spread(&mut self, place: Place, sealed: &[u8], from: Option<FrameId>, via: Option<LinkId>) {
        let topic = place.topic;
        let frames: Vec<FrameId> =
            self.frames.in_topic(place).map(|(id, _)| id).filter(|id| Some(*id) != from).collect();
        for frame in frames {
            self.tell(frame, ToFrame::Topic { topic, sealed: sealed.to_vec() });
        }
        let links: Vec<LinkId> =
            self.links.table().in_topic(place.own, topic).map(|(id, _, _)| id).filter(|id| Some(*id) != via).collect();
        if links.is_empty() {
            return;
        }
        let message = codec::encode(&LinkMessage::Topic(TopicMessage::Publish { topic, sealed: sealed.to_vec() }));
        self.with_links(|known, around| {
            for link in links {
                known.send(link, message.clone(), around);
            }
        });
    }

    /// Topics that lost all their neighbours ask the rendezvous for others.
    pub(super) fn search_topics(&mut self, now: Instant) {
        if self.topics.next().is_none_or(|at| at > now) {
            return;
        }
        for place in self.topics.iter().collect::<Vec<_>>() {
            if !self.topics.search_is_due(place, now, &mut self.rng) {
                continue;
            }
            let Place { own: key, topic } = place;
            if self.links.table().in_topic(key, topic).next().is_some() {
                self.topics.search_ends(place);
            } else if self.uplink.is_registered() {
                self.tell_server(ToServer::Discover { topic, key });
            }
        }
    }

    /// Peers of a persona in a topic, in order. Frames of the persona itself are none.
    pub(super) fn topic_peers(&self, place: Place) -> Set<PersonaId> {
        let linked = self.links.table().in_topic(place.own, place.topic).map(|(_, pair, _)| pair.peer);
        linked.chain(self.topics.lingering(place)).collect()
    }

    /// Tells frames who else is in their topics, where that changed.
    pub(super) fn tell_topic_peers(&mut self, now: Instant) {
        for place in std::mem::take(&mut self.changed.topics) {
            let members: Vec<(FrameId, Instant)> =
                self.frames.in_topic(place).map(|(id, frame)| (id, frame.settles_at)).collect();
            for (id, settles_at) in members {
                if now < settles_at {
                    self.view.deferred.insert((settles_at, place));
                    continue;
                }
                let peers: Vec<PersonaId> = self.topic_peers(place).into_iter().collect();
                self.tell_peers_of(id, place.topic, peers);
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

    /// Links of a persona that are used, and whether the peer is in the topic.
    fn up_links(&self, own: PersonaId, topic: TopicId) -> Vec<(LinkId, Pair, bool)> {
        self.links.table().ups_of(own).map(|(id, pair, _, up)| (id, pair, up.is_in(topic))).collect()
    }
}
