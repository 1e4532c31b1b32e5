//! Topics, first form: who might be in them, what was said in them, and what was seen.
//!
//! A message is known by the hash of its sealed bytes; it is given to the sites and passed on to the linked nodes in its topic the
//! first time it is seen. Who is in a topic is told by frames and links and isn't kept here. What is kept belongs to the way a
//! topic is held together, and would change with it (HyParView, PlumTree): *candidates*, nodes said to be in the topic, from
//! which neighbours are dialled; *recent* messages, for a neighbour that comes while they are being said, or comes back
//! after its link broke; and those who *linger*: a persona is missed only some time after its link broke.

use std::{collections::VecDeque, time::Duration};

use bitters_wire::{
    id::{NodeId, PersonaId, TopicId},
    map::{Map, Set},
    time::Instant,
    topic::message_id,
};

use crate::{
    quotas::{MAX_MEMBERSHIPS, backoff},
    seen::Seen,
};

/// A link takes that long to be made again, most of the time.
const LINGER: Duration = Duration::from_secs(2);

/// A link opens within that time, most of the time.
const RECENT: Duration = Duration::from_secs(10);
/// What is kept longer than wanted, so that a timer doesn't follow each message.
const SLACK: Duration = Duration::from_secs(2);
const MAX_RECENT: usize = 32;
const MAX_RECENT_BYTES: usize = 256 * 1024;

/// Nodes said to be in one topic.
const MAX_CANDIDATES: usize = 32;

/// Nodes that told of one candidate.
const MAX_VIAS: usize = 4;

/// A topic that lost all its neighbours asks the rendezvous for others that often, after 5 s, 10 s and so on.
const MAX_SEARCHES: u32 = 6;
const FIRST_SEARCH: Duration = Duration::from_secs(5);
const SEARCH_CAP: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
struct Topic {
    /// Each with the linked nodes that told of it, as ways for signals.
    candidates: Map<NodeId, Set<NodeId>>,
    recent: VecDeque<(Instant, Vec<u8>)>,
    search: Option<Search>,
}

#[derive(Clone, Copy, Debug)]
struct Search {
    at: Instant,
    tries: u32,
}

/// The topics that this node's sites are in.
#[derive(Debug, Default)]
pub struct Topics {
    open: Map<TopicId, Topic>,
    seen: Seen,
    lingering: Map<(TopicId, PersonaId), Instant>,
    advertised: Set<TopicId>,
}

impl Topics {
    /// The rendezvous is told of a topic; tells whether it was told before on the same connection. It remembers whom it
    /// introduced to us, and has to be asked for them again.
    #[must_use]
    pub fn advertise_again(&mut self, topic: TopicId) -> bool {
        if self.advertised.len() >= MAX_MEMBERSHIPS {
            self.advertised.clear();
        }
        !self.advertised.insert(topic)
    }

    /// The rendezvous forgot us.
    pub fn advertise_anew(&mut self) {
        self.advertised.clear();
    }

    /// The first site joined.
    pub fn open(&mut self, topic: TopicId) {
        self.open.entry(topic).or_default();
    }

    /// The last site left.
    pub fn close(&mut self, topic: TopicId) {
        self.open.remove(&topic);
        self.lingering.retain(|(of, _), _| *of != topic);
    }

    /// Whether a site of this node is in it.
    pub fn is_open(&self, topic: TopicId) -> bool {
        self.open.contains_key(&topic)
    }

    /// All that are open.
    pub fn iter(&self) -> impl Iterator<Item = TopicId> {
        self.open.keys().copied()
    }

    /// Whether a message is seen for the first time.
    #[must_use]
    pub fn is_new(&mut self, sealed: &[u8]) -> bool {
        self.seen.insert(message_id(sealed))
    }

    /// Keeps a message for a while.
    pub fn keep(&mut self, topic: TopicId, sealed: &[u8], now: Instant) {
        let Some(topic) = self.open.get_mut(&topic) else { return };
        topic.recent.push_back((now, sealed.to_vec()));
        topic.trim(now);
    }

    /// What was said lately, oldest first.
    pub fn recent(&mut self, topic: TopicId, now: Instant) -> Vec<Vec<u8>> {
        let Some(topic) = self.open.get_mut(&topic) else { return Vec::new() };
        topic.trim(now);
        topic.recent.iter().map(|(_, sealed)| sealed.clone()).collect()
    }

    /// A node is said to be in a topic: by the rendezvous, by itself or by a linked node.
    pub fn introduce(&mut self, topic: TopicId, node: NodeId, via: Option<NodeId>) {
        let Some(topic) = self.open.get_mut(&topic) else { return };
        if topic.candidates.len() >= MAX_CANDIDATES && !topic.candidates.contains_key(&node) {
            return;
        }
        let vias = topic.candidates.entry(node).or_default();
        if vias.len() < MAX_VIAS {
            vias.extend(via);
        }
    }

    /// A node said that it left a topic.
    pub fn left(&mut self, topic: TopicId, node: NodeId) {
        if let Some(topic) = self.open.get_mut(&topic) {
            topic.candidates.remove(&node);
        }
    }

    /// A node can't be reached: nothing is tried for the sake of topics until somebody names it again.
    pub fn give_up(&mut self, node: NodeId, now: Instant, rng: &mut fastrand::Rng) {
        for topic in self.open.values_mut().filter(|topic| topic.candidates.contains_key(&node)) {
            topic.candidates.remove(&node);
            topic.search_soon(now, rng);
        }
    }

    /// The ways that were told to a node didn't lead there.
    pub fn forget_ways(&mut self, node: NodeId) {
        for topic in self.open.values_mut() {
            if let Some(vias) = topic.candidates.get_mut(&node) {
                vias.clear();
            }
        }
    }

    /// Nodes that told of `node`.
    pub fn ways(&self, node: NodeId) -> Set<NodeId> {
        self.open.values().filter_map(|topic| topic.candidates.get(&node)).flatten().copied().collect()
    }

    /// Nodes said to be in a topic.
    pub fn candidates(&self, topic: TopicId) -> impl Iterator<Item = NodeId> {
        self.open.get(&topic).into_iter().flat_map(|topic| topic.candidates.keys().copied())
    }

    /// A topic lost a neighbour: should it end without any, it searches for others.
    pub fn search_soon(&mut self, topic: TopicId, now: Instant, rng: &mut fastrand::Rng) {
        if let Some(topic) = self.open.get_mut(&topic) {
            topic.search_soon(now, rng);
        }
    }

    /// A topic has a neighbour.
    pub fn search_ends(&mut self, topic: TopicId) {
        if let Some(topic) = self.open.get_mut(&topic) {
            topic.search = None;
        }
    }

    /// Whether the topic is to ask the rendezvous now; the next time is set.
    #[must_use]
    pub fn search_is_due(&mut self, topic: TopicId, now: Instant, rng: &mut fastrand::Rng) -> bool {
        let Some(topic) = self.open.get_mut(&topic) else { return false };
        let Some(search) = topic.search.filter(|search| search.at <= now) else { return false };
        let tries = search.tries + 1;
        let next = Search { at: now + backoff(FIRST_SEARCH, tries, SEARCH_CAP, rng), tries };
        topic.search = (tries < MAX_SEARCHES).then_some(next);
        true
    }

    /// A persona's link broke; it is missed when the time is over.
    pub fn linger(&mut self, topic: TopicId, persona: PersonaId, now: Instant) {
        if self.is_open(topic) {
            self.lingering.insert((topic, persona), now + LINGER);
        }
    }

    /// A persona is back, or left for good.
    pub fn linger_ends(&mut self, topic: TopicId, persona: PersonaId) {
        self.lingering.remove(&(topic, persona));
    }

    /// Personas that linger in a topic.
    pub fn lingering(&self, topic: TopicId) -> impl Iterator<Item = PersonaId> {
        let range = (topic, PersonaId([0; 32]))..=(topic, PersonaId([0xff; 32]));
        self.lingering.range(range).map(|((_, persona), _)| *persona)
    }

    /// Ends the lingering of those whose time is over; tells in which topics.
    pub fn end_lingering(&mut self, now: Instant) -> Set<TopicId> {
        let over = self.lingering.extract(|_, until| *until <= now);
        over.into_iter().map(|((topic, _), _)| topic).collect()
    }

    /// Lets go of what was said too long ago: a site that says much in many topics has us keep only what it said lately.
    pub fn expire(&mut self, now: Instant) {
        self.open.values_mut().for_each(|topic| topic.trim(now));
    }

    /// When [`expire`](Self::expire) is due.
    pub fn expires(&self) -> Option<Instant> {
        self.open.values().filter_map(|topic| Some(topic.recent.front()?.0 + RECENT + SLACK)).min()
    }

    /// When something else is due.
    pub fn next(&self) -> Option<Instant> {
        let searches = self.open.values().filter_map(|topic| Some(topic.search?.at));
        searches.chain(self.lingering.values().copied()).min()
    }
}

impl Topic {
    fn trim(&mut self, now: Instant) {
        let bytes = |it: &VecDeque<(Instant, Vec<u8>)>| it.iter().map(|(_, sealed)| sealed.len()).sum::<usize>();
        while let Some((at, _)) = self.recent.front() {
            let fits = self.recent.len() <= MAX_RECENT && bytes(&self.recent) <= MAX_RECENT_BYTES;
            if fits && now.since(*at) <= RECENT {
                return;
            }
            self.recent.pop_front();
        }
    }

    fn search_soon(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let at = now + backoff(FIRST_SEARCH, 0, SEARCH_CAP, rng);
        self.search.get_or_insert(Search { at, tries: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once() {
        let mut topics = lobby();
        assert!(topics.is_new(b"hello"));
        assert!(!topics.is_new(b"hello"));
    }

    #[test]
    fn what_was_said_too_long_ago_is_let_go() {
        let mut topics = lobby();
        topics.keep(LOBBY, b"old", Instant::START);
        topics.keep(LOBBY, b"young", Instant::from_millis(2500));
        topics.expire(topics.expires().expect("something is kept"));
        assert_eq!(topics.expires(), Some(Instant::from_millis(14_500)));
        topics.expire(Instant::from_millis(14_500));
        assert_eq!(topics.expires(), None);
    }

    #[test]
    fn what_was_said_lately_is_kept_within_bounds() {
        let mut topics = lobby();
        for n in 0..40 {
            topics.keep(LOBBY, &[n], Instant::from_millis(u64::from(n)));
        }
        let kept: Vec<Vec<u8>> = (8..40).map(|n| vec![n]).collect();
        assert_eq!(topics.recent(LOBBY, Instant::from_millis(40)), kept);

        topics.keep(LOBBY, &vec![7; MAX_RECENT_BYTES - 1], Instant::from_millis(41));
        assert_eq!(topics.recent(LOBBY, Instant::from_millis(41)).len(), 2);
        topics.keep(LOBBY, &vec![8; MAX_RECENT_BYTES + 1], Instant::from_millis(42));
        assert_eq!(topics.recent(LOBBY, Instant::from_millis(42)), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn what_was_said_long_ago_is_not_said_again() {
        let mut topics = lobby();
        topics.keep(LOBBY, b"hello", Instant::START);
        assert_eq!(topics.recent(LOBBY, Instant::from_millis(10_000)), [b"hello"]);
        assert_eq!(topics.recent(LOBBY, Instant::from_millis(10_001)), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn candidates_are_bounded_and_know_their_ways() {
        let mut topics = lobby();
        for n in 0..40 {
            topics.introduce(LOBBY, node(n), Some(node(100)));
        }
        topics.introduce(LOBBY, node(0), Some(node(101)));
        assert_eq!(topics.candidates(LOBBY).count(), MAX_CANDIDATES);
        assert_eq!(topics.ways(node(0)), [node(100), node(101)].into());

        topics.forget_ways(node(0));
        assert_eq!(topics.ways(node(0)), [].into());
        topics.left(LOBBY, node(0));
        assert_eq!(topics.candidates(LOBBY).count(), MAX_CANDIDATES - 1);
    }

    #[test]
    fn a_topic_is_advertised_first_once_a_connection() {
        let mut topics = lobby();
        assert_eq!([(); 2].map(|()| topics.advertise_again(LOBBY)), [false, true]);
        topics.advertise_anew();
        assert!(!topics.advertise_again(LOBBY));
    }

    #[test]
    fn a_lonely_topic_searches_and_stops() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut topics = lobby();
        topics.introduce(LOBBY, node(1), None);
        topics.give_up(node(1), Instant::START, &mut rng);

        let mut searches = 0;
        while let Some(at) = topics.next() {
            assert!(topics.search_is_due(LOBBY, at, &mut rng));
            searches += 1;
        }
        assert_eq!(searches, MAX_SEARCHES);
    }

    #[test]
    fn a_persona_lingers_for_a_while() {
        let (alice, bob) = (PersonaId([1; 32]), PersonaId([2; 32]));
        let mut topics = lobby();
        topics.linger(LOBBY, alice, Instant::START);
        topics.linger(LOBBY, bob, Instant::START);
        topics.linger(TopicId([9; 32]), bob, Instant::START);
        topics.linger_ends(LOBBY, bob);

        assert_eq!(topics.lingering(LOBBY).collect::<Vec<_>>(), [alice]);
        assert_eq!(topics.end_lingering(Instant::from_millis(1999)), [].into());
        assert_eq!(topics.end_lingering(topics.next().unwrap()), [LOBBY].into());
        assert_eq!(topics.next(), None);
    }

    const LOBBY: TopicId = TopicId([3; 32]);

    fn lobby() -> Topics {
        let mut topics = Topics::default();
        topics.open(LOBBY);
        topics
    }

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }
}
