//! A site's topics. Sealing and opening happen here: the leader sees hashes.

use std::collections::VecDeque;

use bitters_machine::map::{Map, Set};
use bitters_wire::{
    data::Data,
    failure::{Code, Failure},
    id::{MessageId, PersonaId, TopicId},
    limits::MAX_TOPICS_PER_FRAME,
    local::ToLeader,
    name::Name,
    rpc::Tell,
    topic::{MatchKey, TopicKey, message_id},
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
    /// The last messages that were told: around a change of leader one may come twice.
    heard: VecDeque<MessageId>,
}

/// A new leader repeats what was said in the last 10 s, at most 32 messages of each neighbour.
const MAX_HEARD: usize = 512;

impl Topic {
    /// Whether the message is new.
    fn hears(&mut self, message: MessageId) -> bool {
        if self.heard.contains(&message) {
            return false;
        }
        if self.heard.len() == MAX_HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back(message);
        true
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
    pub(super) fn join(&mut self, id: u32, name: &Name) -> Result<(), Failure> {
        let key = TopicKey::of(name);
        let topic = key.id();
        if !self.topics.contains_key(&topic) && self.topics.len() >= MAX_TOPICS_PER_FRAME {
            return Err(Failure::new(Code::Quota, format!("a page is in at most {MAX_TOPICS_PER_FRAME} topics")));
        }
        let new = Topic { key, subscriptions: Map::new(), peers: Set::new(), heard: VecDeque::new() };
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

    /// Topics that the site is in, and what their members show each other.
    pub(super) fn joined(&self) -> Vec<(TopicId, MatchKey)> {
        self.topics.iter().map(|(topic, entry)| (*topic, entry.key.matching())).collect()
    }

    /// The leader knows that the site is in the topic.
    pub(super) fn on_joined(&mut self, id: u32, topic: TopicId) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        if entry.subscriptions.insert(id, true) == Some(true) {
            return; // Asked twice, because the leader changed.
        }
        let peers: Vec<_> = entry.peers.iter().map(PersonaId::to_string).collect();
        self.tell(id, Tell::Done);
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
        let nonce = self.random.bytes();
        let sealed = entry.key.seal(&persona.secret, data.clone(), nonce);
        let (from, message) = (persona.id.to_string(), message_id(&sealed));
        // Neighbours may repeat it to the next leader, who doesn't know whose it is.
        entry.hears(message);
        let message = message.to_string();
        let others: Vec<_> = entry.told().into_iter().filter(|other| *other != subscription).collect();
        for other in others {
            self.tell(other, Tell::Message { from: from.clone(), data: data.clone(), id: message.clone() });
        }
        self.requests.insert(id, Pending::Publish { topic, sealed: sealed.clone() });
        self.send(ToLeader::Publish { request: id, topic, sealed });
        Ok(())
    }

    pub(super) fn on_topic_message(&mut self, topic: TopicId, sealed: &[u8]) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        // A peer that doesn't know the topic's name, or forges, is not heard.
        let Ok(said) = entry.key.open(sealed) else { return };
        if !entry.hears(said.id) {
            return;
        }
        let (from, id) = (said.from.to_string(), said.id.to_string());
        for subscription in entry.told() {
            self.tell(subscription, Tell::Message { from: from.clone(), data: said.data.clone(), id: id.clone() });
        }
    }

    pub(super) fn on_topic_peers(&mut self, topic: TopicId, peers: Vec<PersonaId>) {
        let Some(entry) = self.topics.get_mut(&topic) else { return };
        let peers = Set::from_iter(peers);
        let before = std::mem::replace(&mut entry.peers, peers.clone());
        let told = entry.told();
        let left = before.difference(&peers).map(|peer| Tell::PeerLeave(peer.to_string()));
        let came = peers.difference(&before).map(|peer| Tell::PeerJoin(peer.to_string()));
        let tells: Vec<_> = left.chain(came).collect();
        for subscription in told {
            for tell in &tells {
                self.tell(subscription, tell.clone());
            }
        }
    }
}
