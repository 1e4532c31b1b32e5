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
    limits::{MAX_HEARD, MAX_HEARD_AUTHORS, MAX_TOPICS_PER_FRAME},
    local::{Membership, ToLeader},
    rpc::{MORE, Tell},
    topic::{Heard, MessageName, TopicKey, message_id},
};

use super::{
    Site,
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
    /// What was heard, and said: the next leader learns it here, and around its coming a message may come twice.
    heard: Heard,
    /// What the site said last: neighbours may repeat it to the next leader, who doesn't know whose it is.
    said: VecDeque<MessageName>,
    /// When the first of the site's requests came.
    since: Instant,
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
        let (peers, heard) = (Set::new(), Heard::default());
        let (subscriptions, said) = (Map::new(), VecDeque::new());
        let new = Topic { key, subscriptions, peers, more: false, heard, said, since: self.now };
        let entry = self.topics.entry(topic).or_insert(new);
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
            since_ms: u64::try_from(self.now.since(entry.since).as_millis()).unwrap_or(u64::MAX),
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
        self.tell(id, Tell::Done);
        if more {
            self.tell(id, Tell::More(true));
        }
        for peer in peers {
            self.tell(id, Tell::PeerJoin(peer));
        }
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
        let Some(Pending::Join(topic)) = self.requests.get(&subscription) else {
            return Err(Failure::new(Code::Closed, "the topic was left"));
        };
        let topic = *topic;
        let (Some(entry), Some(persona)) = (self.topics.get_mut(&topic), &self.persona) else {
            return Err(bad("no such topic"));
        };
        let (body, message) = (entry.key.seal(data, self.random.bytes()), MessageName(self.random.bytes()));
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

    /// The leader verified who says it.
    pub(super) fn on_topic_message(
        &mut self,
        topic: TopicId,
        (from, name): (PersonaId, MessageName),
        time: u64,
        body: &[u8],
    ) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        // A member may say what is no message.
        let Ok(data) = entry.key.open(body) else { return };
        if entry.said.contains(&name) || !entry.heard.hear_near(from, name, time) {
            return;
        }
        let (from, id) = (from.to_string(), message_id(topic, from, name).to_string());
        for subscription in entry.told() {
            self.tell(subscription, Tell::Message { from: from.clone(), data: data.clone(), id: id.clone() });
        }
    }

    pub(super) fn on_topic_peers(&mut self, topic: TopicId, peers: Vec<PersonaId>, more: bool) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        let peers = Set::from_iter(peers);
        let before = std::mem::replace(&mut entry.peers, peers.clone());
        let told = entry.told();
        let left = before.difference(&peers).map(|peer| Tell::PeerLeave(peer.to_string()));
        let came = peers.difference(&before).map(|peer| Tell::PeerJoin(peer.to_string()));
        // SDKs of before fail a topic of which they are told what they don't know.
        let changed = std::mem::replace(&mut entry.more, more) != more && self.rpc >= MORE;
        let tells: Vec<_> = left.chain(came).chain(changed.then_some(Tell::More(more))).collect();
        for subscription in told {
            for tell in &tells {
                self.tell(subscription, tell.clone());
            }
        }
    }
}
