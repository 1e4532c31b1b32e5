//! A site's topics. Sealing and opening happen here: the leader sees who says something, and not what.

use std::collections::VecDeque;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    data::Data,
    failure::{Code, Failure},
    id::{PersonaId, TopicId},
    limits::{MAX_HEARD, MAX_HEARD_AUTHORS, MAX_PRESENCE, MAX_TOPICS_PER_FRAME},
    local::{Membership, Showing, ToLeader},
    rpc::{MORE, Tell},
    topic::{After, Heard, MessageName, TopicKey, message_id},
};

use super::{
    Site,
    order::{Message, Order},
    requests::{Pending, bad},
};

/// A topic that the site is in.
#[derive(Debug)]
pub(super) struct Topic {
    key: TopicKey,
    /// The site's requests for it, and whether each was told that it is in.
    subscriptions: Map<u32, bool>,
    peers: Set<PersonaId>,
    /// Whether there are more.
    more: bool,
    /// What those show of themselves, and the site's own persona: JSON text.
    shown: Map<PersonaId, String>,
    /// What this page shows: JSON text, or nothing, if it has stopped.
    shows: Option<Shows>,
    /// What was heard, and said: the next leader learns it here, and around its coming a message may come twice.
    heard: Heard,
    /// What the site said last: neighbours may repeat it to the next leader, who doesn't know whose it is.
    said: VecDeque<MessageName>,
    /// What came too early.
    order: Order,
    /// When the first of the site's requests came.
    since: Instant,
}

/// What the page shows.
#[derive(Debug)]
struct Shows {
    value: Option<String>,
    /// The same, sealed for one persona.
    sealed: Vec<u8>,
    since: Instant,
    /// Whether the leader was told, or is by our hello.
    told: bool,
}

/// Messages of the site's own that are remembered: what it may say in two seconds, more than goes unanswered while the leader changes.
const MAX_SAID: usize = 512;

impl Topic {
    fn note_said(&mut self, message: MessageName) {
        if self.said.len() == MAX_SAID {
            self.said.pop_front();
        }
        self.said.push_back(message);
    }

    /// Whether the leader knows.
    fn joined(&self) -> bool {
        self.subscriptions.values().any(|told| *told)
    }

    fn new(key: TopicKey, since: Instant) -> Self {
        Self {
            key,
            subscriptions: Map::new(),
            peers: Set::new(),
            more: false,
            shown: Map::new(),
            shows: None,
            heard: Heard::default(),
            said: VecDeque::new(),
            order: Order::default(),
            since,
        }
    }

    /// Subscriptions that were told that they are in.
    fn told(&self) -> Vec<u32> {
        self.subscriptions.iter().filter(|(_, told)| **told).map(|(id, _)| *id).collect()
    }
}

impl Site {
    pub(super) fn join(&mut self, id: u32, key: TopicKey) -> Result<(), Failure> {
        let topic = key.id();
        if !self.topics.contains_key(&topic) && self.topics.len() >= MAX_TOPICS_PER_FRAME {
            return Err(Failure::new(Code::Quota, format!("a page is in at most {MAX_TOPICS_PER_FRAME} topics")));
        }
        let entry = self.topics.entry(topic).or_insert_with(|| Topic::new(key, self.now));
        let joined = entry.joined();
        entry.subscriptions.insert(id, false);
        self.requests.insert(id, Pending::Join(topic));
        if joined {
            self.on_joined(id, topic);
        } else {
            let join = self.joining(id, topic);
            join.into_iter().for_each(|join| self.send(join));
        }
        Ok(())
    }

    /// What asks the leader for a topic.
    pub(super) fn joining(&self, request: u32, topic: TopicId) -> Option<ToLeader> {
        let matching = self.topics.get(&topic)?.key.matching();
        Some(ToLeader::Join { request, topic, matching })
    }

    /// Topics that the site is in.
    pub(super) fn joined(&self) -> Vec<Membership> {
        let share = self.topics.len().max(1);
        let membership = |(topic, entry): (&TopicId, &Topic)| Membership {
            topic: *topic,
            matching: entry.key.matching(),
            since_ms: self.now.millis_since(entry.since),
            shows: self.showing(entry),
            heard: entry.heard.tell(MAX_HEARD_AUTHORS / share, MAX_HEARD / share),
        };
        self.topics.iter().map(membership).collect()
    }

    /// The leader knows that the site is in the topic.
    pub(super) fn on_joined(&mut self, id: u32, topic: TopicId) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        if entry.subscriptions.insert(id, true) == Some(true) {
            return; // Asked twice, because the leader changed.
        }
        let peers: Vec<_> = entry.peers.iter().map(PersonaId::to_string).collect();
        let more = entry.more && self.rpc >= MORE;
        let shown: Vec<PersonaId> = entry.shown.keys().copied().collect();
        self.tell(id, Tell::Done);
        if more {
            self.tell(id, Tell::More(true));
        }
        for peer in peers {
            self.tell(id, Tell::PeerJoin(peer));
        }
        shown.into_iter().for_each(|peer| self.tell_shown(topic, peer, &[id]));
    }

    pub(super) fn is_joined(&self, topic: TopicId, id: u32) -> bool {
        self.topics.get(&topic).and_then(|topic| topic.subscriptions.get(&id)).is_some_and(|told| *told)
    }

    pub(super) fn leave(&mut self, id: u32, topic: TopicId) {
        if self.forget_subscription(id, topic) {
            self.send(ToLeader::Leave(topic));
        }
    }

    /// Whether that was the last one.
    pub(super) fn forget_subscription(&mut self, id: u32, topic: TopicId) -> bool {
        let Some(entry) = self.topics.get_mut(&topic) else { return false };
        entry.subscriptions.remove(&id);
        let last = entry.subscriptions.is_empty();
        if last {
            self.topics.remove(&topic);
        }
        last
    }

    pub(super) fn publish(&mut self, id: u32, subscription: u32, data: &Data) -> Result<(), Failure> {
        if !data.fits() {
            return Err(Failure::new(Code::TooLarge, "a message has at most 256 KiB; use a stream for more"));
        }
        let topic = self.topic_of(subscription)?;
        let (Some(entry), Some(persona)) = (self.topics.get_mut(&topic), &self.persona) else {
            return Err(bad("no such topic"));
        };
        let message = MessageName(self.random.bytes());
        let body = entry.key.seal(data, entry.order.say(message, self.now), self.random.bytes());
        let (from, message_id) = (persona.id.to_string(), message_id(topic, persona.id, message).to_string());
        entry.note_said(message);
        let others: Vec<_> = entry.told().into_iter().filter(|other| *other != subscription).collect();
        for other in others {
            self.tell(other, Tell::Message { from: from.clone(), data: data.clone(), id: message_id.clone() });
        }
        self.requests.insert(id, Pending::Publish { topic, message, body: body.clone() });
        self.send(ToLeader::Publish { request: id, topic, name: message, body });
        Ok(())
    }

    /// The topic of a subscription that goes on.
    fn topic_of(&self, subscription: u32) -> Result<TopicId, Failure> {
        match self.requests.get(&subscription) {
            Some(Pending::Join(topic)) => Ok(*topic),
            _ => Err(Failure::new(Code::Closed, "the topic was left")),
        }
    }

    /// The leader verified who says it.
    pub(super) fn on_topic_message(
        &mut self,
        topic: TopicId,
        (from, name): (PersonaId, MessageName),
        (time, ago_ms): (u64, u32),
        body: &[u8],
    ) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        // A member may say what is no message.
        let Ok((data, after)) = entry.key.open(body) else { return };
        if entry.said.contains(&name) || !entry.heard.hear_near(from, name, time) {
            return;
        }
        let message = Message { from, name, data };
        // Who comes doesn't wait for what was said before that.
        let here_ms = self.now.millis_since(entry.since);
        let may_come = |after: &After| u64::from(ago_ms) + u64::from(after.ms) <= here_ms;
        let is_missing =
            |after: &After| entry.heard.takes(from, after.name, time) || entry.order.holds(from, after.name);
        let goes = match after.filter(|after| may_come(after) && is_missing(after)) {
            Some(after) => entry.order.hold(message, after.name, body.len(), self.now),
            None => vec![message],
        };
        goes.into_iter().for_each(|message| self.hear(topic, message));
    }

    /// The site hears a message, and those that waited for it.
    fn hear(&mut self, topic: TopicId, first: Message) {
        let mut next = Some(first);
        while let Some(Message { from, name, data }) = next {
            let Some(entry) = self.topics.get_mut(&topic) else { return };
            next = entry.order.next_after(from, name);
            let told = entry.told();
            let (from, id) = (from.to_string(), message_id(topic, from, name).to_string());
            for subscription in told {
                self.tell(subscription, Tell::Message { from: from.clone(), data: data.clone(), id: id.clone() });
            }
        }
    }

    /// The page shows something of itself in a topic, until it shows something else or leaves; with no value, nothing.
    pub(super) fn show(&mut self, id: u32, subscription: u32, value: Option<String>) -> Result<(), Failure> {
        if value.as_ref().is_some_and(|value| value.len() > MAX_PRESENCE) {
            return Err(Failure::new(Code::TooLarge, "a topic shows at most 4 KiB of JSON"));
        }
        let topic = self.topic_of(subscription)?;
        let entry = self.topics.get_mut(&topic).ok_or_else(|| bad("no such topic"))?;
        entry.shows = Some(Shows { value, sealed: Vec::new(), since: self.now, told: false });
        self.tell(id, Tell::Done);
        self.say_shown(topic);
        Ok(())
    }

    fn showing(&self, entry: &Topic) -> Option<Showing> {
        let (persona, shows) = (self.persona.as_ref()?, entry.shows.as_ref()?);
        Some(Showing { of: persona.id, since_ms: self.now.millis_since(shows.since), what: shows.sealed.clone() })
    }

    /// The site has another persona: peers of both are not to see the same bytes.
    pub(super) fn show_anew(&mut self) {
        let topics: Vec<TopicId> = self.topics.keys().copied().collect();
        topics.into_iter().for_each(|topic| self.say_shown(topic));
    }

    fn say_shown(&mut self, topic: TopicId) {
        let nonce = self.random.bytes();
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        let Some(shows) = &mut entry.shows else { return };
        let value = shows.value.clone();
        shows.sealed = value.map(|value| entry.key.seal(&Data::Json(value), None, nonce)).unwrap_or_default();
        shows.told = false;
        self.tell_showing(topic);
    }

    /// Tells the leader what the page shows, unless it knows; one that comes is told when it has taken us in.
    fn tell_showing(&mut self, topic: TopicId) {
        let (now, welcomed) = (self.now, self.welcomed);
        let shows = self.topics.get_mut(&topic).and_then(|entry| entry.shows.as_mut());
        let Some(shows) = shows.filter(|shows| welcomed && !shows.told) else { return };
        shows.told = true;
        let (since_ms, what) = (now.millis_since(shows.since), shows.sealed.clone());
        self.send(ToLeader::Show { topic, since_ms, what });
    }

    /// A leader took us in: it is told what our hello didn't.
    pub(super) fn tell_all_showing(&mut self) {
        self.topics.keys().copied().collect::<Vec<_>>().into_iter().for_each(|topic| self.tell_showing(topic));
    }

    /// Our hello tells it.
    pub(super) fn showing_is_told(&mut self) {
        self.topics.values_mut().filter_map(|entry| entry.shows.as_mut()).for_each(|shows| shows.told = true);
    }

    /// The site has another persona: what it says from now on says nothing of what the one before said.
    pub(super) fn forget_said(&mut self) {
        self.topics.values_mut().for_each(|entry| entry.order.forget_said());
    }

    /// The leader refused a message: those that follow don't come after it.
    pub(super) fn unsay(&mut self, topic: TopicId, message: MessageName) {
        if let Some(entry) = self.topics.get_mut(&topic) {
            entry.order.unsay(message);
        }
    }

    /// A peer that the leader told us of, or our own persona, shows something. What nobody can have shown is nothing.
    pub(super) fn on_shown(&mut self, topic: TopicId, from: PersonaId, shows: &[u8]) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        let value = match entry.key.open(shows) {
            Ok((Data::Json(value), _)) if value.len() <= MAX_PRESENCE => Some(value),
            _ => None,
        };
        let before = match value.clone() {
            Some(value) => entry.shown.insert(from, value),
            None => entry.shown.remove(&from),
        };
        if before != value {
            let told = entry.told();
            self.tell_shown(topic, from, &told);
        }
    }

    /// SDKs of before fail a topic of which they are told what they don't know.
    fn tell_shown(&mut self, topic: TopicId, from: PersonaId, to: &[u32]) {
        let Some(entry) = self.topics.get(&topic).filter(|_| self.rpc >= MORE) else { return };
        let tell = Tell::Presence { peer: from.to_string(), value: entry.shown.get(&from).cloned() };
        to.iter().for_each(|id| self.tell(*id, tell.clone()));
    }

    /// The site hears what waited long enough for what its page said before.
    pub(super) fn hear_late(&mut self, now: Instant) {
        if self.early_messages_due().is_none_or(|due| due > now) {
            return;
        }
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            while let Some(message) = self.topics.get_mut(&topic).and_then(|entry| entry.order.next_late(now)) {
                self.hear(topic, message);
            }
        }
    }

    /// When that is due.
    pub(super) fn early_messages_due(&self) -> Option<Instant> {
        self.topics.values().filter_map(|entry| entry.order.due()).min()
    }

    pub(super) fn on_topic_peers(&mut self, topic: TopicId, peers: Vec<PersonaId>, more: bool) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        let peers = Set::from_iter(peers);
        let before = std::mem::replace(&mut entry.peers, peers.clone());
        let (told, own) = (entry.told(), self.persona.as_ref().map(|persona| persona.id));
        entry.shown.retain(|persona, _| Some(*persona) == own || peers.contains(persona));
        let left = before.difference(&peers).map(|peer| Tell::PeerLeave(peer.to_string()));
        let came = peers.difference(&before).map(|peer| Tell::PeerJoin(peer.to_string()));
        let changed = std::mem::replace(&mut entry.more, more) != more && self.rpc >= MORE;
        let tells: Vec<_> = left.chain(came).chain(changed.then_some(Tell::More(more))).collect();
        for subscription in told {
            for tell in &tells {
                self.tell(subscription, tell.clone());
            }
        }
    }
}
