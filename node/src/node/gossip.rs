//! Topics: joined and left, published to, and told of.

use std::time::Duration;

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    codec,
    failure::{Code, Failure},
    id::{FrameId, LinkId, PersonaId, TopicId},
    keys::PersonaSecret,
    limits::{MAX_LINK, MAX_MESSAGE, MAX_PEERS_TOLD, MAX_TOPICS_PER_FRAME},
    link::LinkMessage,
    local::ToFrame,
    rendezvous::ToServer,
    topic::{MatchKey, MessageName, Published, TopicMessage},
};

use super::Node;
use crate::{
    frames::{Frame, PeersTold, Went},
    limits::{MAX_MEMBERSHIPS, MAX_TOPICS_PER_GROUP, MAX_TOPICS_PER_ORIGIN},
    pair::Pair,
    server::saying::What,
    sites::accounts::Spend,
    topics::{LATELY, News, Place},
};

/// What a link message adds to a sealed body, with room: mostly the header.
const WRAPPING: usize = 320;

impl Node {
    pub(super) fn on_join(&mut self, id: FrameId, request: u32, joining: (TopicId, MatchKey), now: Instant) {
        let topic = joining.0;
        let outcome = self.may_join(id, topic, now);
        let joins = outcome.is_ok();
        self.asked(id, request, outcome);
        if joins && self.join_topic(id, joining, (now, Duration::ZERO)) {
            if let Some(frame) = self.frames.frame_mut(id) {
                frame.peers_told.insert(topic, PeersTold { is_new: true, ..PeersTold::default() });
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
        let of_site: Set<TopicId> = self.kin(id).flat_map(|(_, frame)| frame.joined.keys().copied()).collect();
        let members = |(_, frame): (FrameId, &Frame)| {
            let persona = frame.persona();
            frame.joined.keys().map(|topic| (*topic, persona)).collect::<Vec<_>>()
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

    /// A frame is in a topic, since then, and was for so long before that; tells whether we didn't know.
    pub(super) fn join_topic(
        &mut self,
        id: FrameId,
        (topic, matching): (TopicId, MatchKey),
        since: (Instant, Duration),
    ) -> bool {
        let Some(frame) = self.frames.frame_mut(id) else { return false };
        if frame.joined.contains_key(&topic) {
            return false;
        }
        frame.joined.insert(topic, since);
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
        self.topics.open(place);
        self.advertise(place);
        self.show_topics(place.own);
        self.changed.topics.insert(place);
    }

    /// The rendezvous is told whether a persona is in a topic: now, or when it was told less lately.
    pub(super) fn advertise(&mut self, place: Place) {
        let Some(news) = self.topics.news(place).filter(|_| self.uplink.is_registered()) else { return };
        if !self.may_say(place.own, What::News) {
            return self.topics.postpone_news(place, self.clock.now);
        }
        self.topics.tell_news(place);
        let Place { own: key, topic } = place;
        match news {
            News::Asks => {}
            News::Came | News::CameBack => self.send(ToServer::Advertise { topic, key }),
            News::Left => self.send(ToServer::Withdraw { topic, key }),
        }
        if matches!(news, News::Asks | News::CameBack) {
            self.send(ToServer::Discover { topic, key });
        }
    }

    pub(super) fn leave_topic(&mut self, id: FrameId, topic: TopicId) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        frame.peers_told.remove(&topic);
        frame.shows.remove(&topic);
        let secret = frame.secret.clone();
        if frame.joined.remove(&topic).is_some() {
            self.after_leaving(&secret, topic, Went::Away);
        }
    }

    /// A frame of a persona left the topic, or is gone: perhaps the last one.
    pub(super) fn after_leaving(&mut self, secret: &PersonaSecret, topic: TopicId, went: Went) {
        let own = secret.id();
        let place = Place { own, topic };
        if !self.frames.is_member(place) && self.topics.is_open(place) {
            if went == Went::Away {
                self.say_gone(secret, topic);
            }
            self.with_links(|links, around| links.leave_topic(place, around));
            self.topics.close(place);
            self.advertise(place);
        }
        // What that frame showed it shows no longer.
        self.show_anew(place);
        self.changed.topics.insert(place);
        self.changed.status = true;
    }

    /// Shows the peers of a persona those of its topics that they are to see and haven't seen.
    pub(super) fn show_topics(&mut self, own: PersonaId) {
        let links: Vec<LinkId> = self.links.table().ups_of(own).map(|(link, _, _, _)| link).collect();
        self.with_links(|known, around| links.into_iter().for_each(|link| known.show_topics(link, around)));
    }

    pub(super) fn on_publish(
        &mut self,
        id: FrameId,
        request: u32,
        (topic, name): (TopicId, MessageName),
        body: Vec<u8>,
        now: Instant,
    ) {
        let outcome = self.publish(id, (topic, name), body, now);
        self.asked(id, request, outcome);
    }

    fn publish(
        &mut self,
        id: FrameId,
        (topic, name): (TopicId, MessageName),
        body: Vec<u8>,
        now: Instant,
    ) -> Result<(), Failure> {
        let is_member = |frame: &&Frame| frame.joined.contains_key(&topic);
        let Some(secret) = self.frames.frame(id).filter(is_member).map(|frame| frame.secret.clone()) else {
            return Err(Failure::new(Code::BadArgument, "published to a topic that wasn't joined"));
        };
        if body.len() > MAX_LINK - WRAPPING {
            return Err(Failure::new(Code::TooLarge, format!("a message has at most {MAX_MESSAGE} bytes")));
        }
        if !self.spend(id, Spend::Publish(body.len()), now) {
            return Err(self.quota(id, "this site publishes too much", now));
        }
        let place = Place { own: secret.id(), topic };
        let time = self.clock.common_ms(place.own);
        let Some(key) = self.topics.matching(place).copied() else { return Ok(()) };
        // A frame says it again to a leader that may not have heard it.
        if self.topics.hear(place, (place.own, name), time, true) {
            let published = Published::new((topic, &key), &secret, (time, name), body);
            self.topics.keep_ours(place, &published, now);
            self.spread(place, (place.own, name, time), published, (Some(id), None));
            self.with_links(|links, around| links.publish_early(place, around));
        }
        Ok(())
    }

    /// A message came over a link, or by way of others. What nobody can have said, or not lately, or too much of, goes nowhere.
    pub(super) fn on_topic_message(
        &mut self,
        (link, beyond): (Option<LinkId>, bool),
        pair: Pair,
        topic: TopicId,
        published: Published,
    ) {
        let (place, now) = (Place { own: pair.own, topic }, self.clock.now);
        let Some(key) = self.topics.matching(place) else { return };
        // Members pass on what they have verified.
        let Ok(signed) = published.open((topic, key)) else { return self.punish_for_topic(link, pair) };
        let from = signed.header.from;
        if link.is_some() && from == pair.peer {
            self.clock.hear_neighbour(pair, signed.header.time, &mut self.rng);
        }
        if !signed.header.is_fresh(self.clock.common_ms(place.own)) || !self.topics.takes(place, &signed.header) {
            return;
        }
        let is_near = from == pair.peer || from == place.own;
        let is_new = !is_near && self.topics.is_new_author(place, from);
        if is_new && link.is_some_and(|link| !self.links.takes_author(link, now)) {
            return;
        }
        // Or who floods the link would have it bring nothing of others.
        if beyond && !self.topics.says_little(place, from, now) {
            return;
        }
        let Ok(header) = signed.verify(topic) else { return self.punish_for_topic(link, pair) };
        if self.topics.affords(place, from, published.len(), now)
            && self.topics.hear(place, (from, header.name), header.time, is_near)
        {
            self.topics.keep(place, from, &published, now);
            self.spread(place, (from, header.name, header.time), published, (None, link));
        }
    }

    /// A peer says what no member can have said or passed on.
    pub(super) fn punish_for_topic(&mut self, link: Option<LinkId>, pair: Pair) {
        if let Some(link) = link {
            self.with_links(|links, around| links.punish(link, pair, "what no member of a topic says", around));
        }
    }

    /// Gives a message to all frames and neighbours of a persona in its topic but the one that it comes from.
    fn spread(
        &mut self,
        place: Place,
        (from, name, time): (PersonaId, MessageName, u64),
        published: Published,
        (by, via): (Option<FrameId>, Option<LinkId>),
    ) {
        let topic = place.topic;
        let is_blocked = self.blocks.includes(Pair { own: place.own, peer: from });
        for frame in self.hearers(place, time).filter(|_| !is_blocked).filter(|id| Some(*id) != by).collect::<Vec<_>>()
        {
            let ago_ms = self.clock.ago_ms(place.own, time);
            self.tell(frame, ToFrame::Topic { topic, from, name, time, ago_ms, body: published.body.clone() });
        }
        let links: Vec<LinkId> =
            self.links.table().in_topic(place.own, topic).map(|(id, _, _)| id).filter(|id| Some(*id) != via).collect();
        if links.is_empty() {
            return;
        }
        let message = codec::encode(&LinkMessage::Topic(TopicMessage::Publish { topic, published }));
        self.with_links(|known, around| {
            for link in links {
                known.publish(link, (topic, from), message.clone(), around);
            }
        });
    }

    /// Frames that hear what was said then: not what was said long before they came.
    fn hearers(&self, place: Place, time: u64) -> impl Iterator<Item = FrameId> {
        let age = Duration::from_millis(self.clock.common_ms(place.own).saturating_sub(time));
        let now = self.clock.now;
        let came_by = move |frame: &Frame| {
            frame.joined.get(&place.topic).is_some_and(|(at, before)| age <= now.since(*at) + *before + LATELY)
        };
        self.frames.in_topic(place).filter(move |(_, frame)| came_by(frame)).map(|(id, _)| id)
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
                self.tell_server(key, What::News, ToServer::Discover { topic, key });
            }
        }
    }

    /// Peers of a persona in a topic, in order: its neighbours, and who says that it is there. Frames of the persona itself are none.
    pub(super) fn topic_peers(&self, place: Place) -> Set<PersonaId> {
        let linked = self.links.table().in_topic(place.own, place.topic).map(|(_, pair, _)| pair.peer);
        let there =
            self.topics.roster(place).into_iter().flat_map(|roster| roster.members(self.clock.common_ms(place.own)));
        let others = there.filter(|persona| *persona != place.own);
        let all = linked.chain(self.topics.lingering(place)).chain(others);
        all.filter(|peer| !self.blocks.includes(Pair { own: place.own, peer: *peer })).collect()
    }

    /// Tells frames who else is in their topics, where that changed.
    pub(super) fn tell_topic_peers(&mut self, now: Instant) {
        for place in std::mem::take(&mut self.changed.topics) {
            let members: Vec<(FrameId, Instant)> =
                self.frames.in_topic(place).map(|(id, frame)| (id, frame.settles_at)).collect();
            let there = self.topic_peers(place);
            self.topics.keep_shown(place, |persona| *persona == place.own || there.contains(persona));
            for (id, settles_at) in members {
                if now < settles_at {
                    self.view.deferred.insert((settles_at, place));
                    continue;
                }
                self.tell_peers_of(id, place.topic, there.iter().copied().collect());
                self.tell_shown(id, place);
            }
        }
    }

    /// Those whom the frame was told already are told on, where there are more than it is told.
    fn tell_peers_of(&mut self, id: FrameId, topic: TopicId, mut peers: Vec<PersonaId>) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        let before = frame.peers_told.get(&topic);
        let more = peers.len() > MAX_PEERS_TOLD;
        if more {
            let was_told = |peer: &PersonaId| before.is_some_and(|told| told.peers.contains(peer));
            let (mut old, mut new): (Vec<PersonaId>, Vec<PersonaId>) = peers.into_iter().partition(was_told);
            old.truncate(MAX_PEERS_TOLD);
            new.truncate(MAX_PEERS_TOLD - old.len());
            peers = Set::from_iter(old.into_iter().chain(new)).into_iter().collect();
        }
        if before.is_none_or(|told| told.peers != peers || told.more != more) {
            let told = frame.peers_told.entry(topic).or_default();
            (told.peers, told.more) = (peers.clone(), more);
            told.shown.retain(|persona, _| *persona == frame.persona || peers.contains(persona));
            self.tell(id, ToFrame::TopicPeers { topic, peers, more });
        }
    }

    /// Tells a frame what those show of whom it was told, and what its own persona shows.
    fn tell_shown(&mut self, id: FrameId, Place { own, topic }: Place) {
        let Some(roster) = self.topics.roster(Place { own, topic }) else { return };
        let Some(told) = self.frames.frame_mut(id).and_then(|frame| frame.peers_told.get_mut(&topic)) else { return };
        let mut news = Vec::new();
        for from in told.peers.iter().copied().chain([own]) {
            // A frame that came from another leader may know what its persona showed there.
            let shown = roster.shown_by(from).or((from == own).then_some((None, &[])));
            if let Some((since, shows)) = shown
                && told.shown.insert(from, since).or(told.is_new.then_some(None)) != Some(since)
            {
                news.push(ToFrame::Shown { topic, from, shows: shows.to_vec() });
            }
        }
        news.into_iter().for_each(|it| self.tell(id, it));
    }
}
