//! Topics: who might be in them, what was said in them, and what was heard.
//!
//! Each persona has its own place in a topic, and knows nothing of the places that others of this node have there.
//!
//! A message is known by its author and the author's name for it. The first time that a persona hears it, it is given to the persona's pages and
//! passed on to the peers that it is linked to in the topic. Who is in a topic is told by frames and links and isn't kept here. What is kept belongs to
//! the way a topic is held together, and would change with it (HyParView, PlumTree): *candidates*, peers said to be in the topic, from
//! which neighbours are dialled; *recent* messages, for a neighbour that comes while they are being said, or comes back
//! after its link broke; the *pace* of each author; and those who *linger*: a peer is missed only some time after its link broke.

mod advertised;
mod candidates;
mod pace;
mod recent;
mod roster;

use std::time::Duration;

use bitters_machine::{
    backoff,
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    id::{PersonaId, TopicId},
    topic::{Header, Heard, HeardOf, MatchKey, MessageName, Published, Word},
};

pub use self::advertised::News;
use self::{advertised::Advertised, candidates::Candidates, pace::Pace, recent::Recent};
use crate::pair::Pair;

/// A link takes that long to be made again, most of the time.
const LINGER: Duration = Duration::from_secs(2);

/// A topic that lost all its neighbours asks the rendezvous for others that often, after 5 s, 10 s and so on.
const MAX_SEARCHES: u32 = 6;
const FIRST_SEARCH: Duration = Duration::from_secs(5);
const SEARCH_CAP: Duration = Duration::from_secs(300);

pub use self::{candidates::Introducer, recent::LATELY, roster::Roster};

/// A persona's place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose.
    pub own: PersonaId,
    /// Which topic.
    pub topic: TopicId,
}

#[derive(Debug, Default)]
struct Topic {
    candidates: Candidates,
    recent: Recent,
    pace: Pace,
    roster: Roster,
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
    open: Map<Place, Topic>,
    /// What was heard in them, and in those that were left lately.
    heard: Map<Place, Heard>,
    lingering: Map<(Place, PersonaId), Instant>,
    advertised: Advertised,
    /// What members of the topics that are open show each other.
    matching: Map<TopicId, MatchKey>,
}

impl Topics {
    /// What the rendezvous is to be told of a place by now.
    pub fn news(&self, place: Place) -> Option<News> {
        self.advertised.news(place, self.is_open(place))
    }

    /// The rendezvous is told that.
    pub fn tell_news(&mut self, place: Place) {
        let is_open = self.is_open(place);
        self.advertised.tell(place, is_open);
    }

    /// The rendezvous can't be told that yet.
    pub fn postpone_news(&mut self, place: Place, now: Instant) {
        self.advertised.postpone(place, now);
    }

    /// Places of which the rendezvous is to be told now.
    pub fn take_late(&mut self, now: Instant) -> Set<Place> {
        self.advertised.take_late(now)
    }

    /// The rendezvous forgot us.
    pub fn advertise_anew(&mut self) {
        self.advertised = Advertised::default();
    }

    /// The rendezvous is to forget a persona.
    pub fn stop_advertising(&mut self, own: PersonaId) {
        self.advertised.leave(own);
    }

    /// What members of a topic show each other.
    pub fn learn(&mut self, topic: TopicId, matching: MatchKey) {
        self.matching.insert(topic, matching);
    }

    /// What a persona shows other members of a topic, if it is in it.
    pub fn matching(&self, place: Place) -> Option<&MatchKey> {
        self.matching.get(&place.topic).filter(|_| self.is_open(place))
    }

    /// Topics of the persona's in which the peer is said to be, too.
    pub fn common(&self, Pair { own, peer }: Pair) -> impl Iterator<Item = TopicId> {
        let of_own = self.open.iter().filter(move |(place, _)| place.own == own);
        of_own.filter(move |(_, topic)| topic.candidates.contains(peer)).map(|(place, _)| place.topic)
    }

    /// The first page of a persona joined.
    pub fn open(&mut self, place: Place) {
        self.open.entry(place).or_default();
    }

    /// The last page of a persona left.
    pub fn close(&mut self, place: Place) {
        self.open.remove(&place);
        self.lingering.retain(|(of, _), _| *of != place);
        if !self.open.keys().any(|other| other.topic == place.topic) {
            self.matching.remove(&place.topic);
        }
    }

    /// Whether a persona is in it.
    pub fn is_open(&self, place: Place) -> bool {
        self.open.contains_key(&place)
    }

    /// All that are open.
    pub fn iter(&self) -> impl Iterator<Item = Place> {
        self.open.keys().copied()
    }

    /// Whether a persona can hear a message, and hasn't yet.
    pub fn takes(&self, place: Place, header: &Header) -> bool {
        self.heard.get(&place).is_none_or(|heard| heard.takes(header.from, header.name, header.time))
    }

    /// Whether nothing was heard of an author yet.
    pub fn is_new_author(&self, place: Place, from: PersonaId) -> bool {
        self.heard.get(&place).is_none_or(|heard| heard.is_new(from))
    }

    /// A persona hears a message, of one who is near or of others. Tells whether it can, and hasn't yet.
    #[must_use]
    pub fn hear(&mut self, place: Place, (from, name): (PersonaId, MessageName), time: u64, is_near: bool) -> bool {
        let heard = self.heard.entry(place).or_default();
        if is_near { heard.hear_near(from, name, time) } else { heard.hear(from, name, time) }
    }

    /// A persona's clock was put: it is this time, in milliseconds since 1970.
    pub fn put_clock(&mut self, place: Place, now: u64) {
        if let Some(heard) = self.heard.get_mut(&place) {
            heard.put_clock(now);
        }
    }

    /// What pages of the persona heard while another led.
    pub fn learn_heard(&mut self, place: Place, heard: &[(PersonaId, HeardOf)]) {
        if !heard.is_empty() {
            self.heard.entry(place).or_default().learn(heard);
        }
    }

    /// Whether an author may say so many bytes more: one that says too much isn't heard for a while.
    #[must_use]
    pub fn affords(&mut self, place: Place, from: PersonaId, bytes: usize, now: Instant) -> bool {
        self.open.get_mut(&place).is_some_and(|topic| topic.pace.affords(from, bytes, now))
    }

    /// Whether an author says so little that it is heard where there is no room for all.
    #[must_use]
    pub fn says_little(&mut self, place: Place, from: PersonaId, now: Instant) -> bool {
        self.open.get_mut(&place).is_some_and(|topic| topic.pace.says_little(from, now))
    }

    /// Who says that it is there.
    pub fn roster(&self, place: Place) -> Option<&Roster> {
        self.open.get(&place).map(|topic| &topic.roster)
    }

    /// Forgets what is shown by any but these.
    pub fn keep_shown(&mut self, place: Place, there: impl Fn(&PersonaId) -> bool) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.keep_shown(there);
        }
    }

    /// Takes the word of a member, which was verified.
    pub fn take_word(&mut self, place: Place, word: Word, now: Instant) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.take(word, now);
        }
    }

    /// The persona's next word is due then.
    pub fn postpone_word(&mut self, place: Place, until: Instant) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.postpone(until);
        }
    }

    /// The persona says its own word.
    pub fn say_word(&mut self, place: Place, word: Word, now: Instant, rng: &mut fastrand::Rng) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.say(word, now, rng);
        }
    }

    /// Nobody is there to hear the persona's word.
    pub fn rest(&mut self, place: Place) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.rest();
        }
    }

    /// Where a persona's own word is due.
    pub fn words_due(&self, now: Instant) -> Vec<Place> {
        let is_due = |topic: &Topic| topic.roster.due().is_some_and(|at| at <= now);
        self.open.iter().filter(|(_, topic)| is_due(topic)).map(|(place, _)| *place).collect()
    }

    /// When the next one is.
    pub fn next_word(&self) -> Option<Instant> {
        self.open.values().filter_map(|topic| topic.roster.due()).min()
    }

    /// Forgets words that are over by this time, in milliseconds since 1970; tells where somebody is missed.
    pub fn expire_words(&mut self, now: impl Fn(PersonaId) -> u64) -> Vec<Place> {
        let expired = |(place, topic): (&Place, &mut Topic)| topic.roster.expire(now(place.own)).then_some(*place);
        self.open.iter_mut().filter_map(expired).collect()
    }

    /// When the next one of each topic is over, in milliseconds since 1970 by its persona's clock.
    pub fn word_ends(&self) -> impl Iterator<Item = (PersonaId, u64)> {
        self.open.iter().filter_map(|(place, topic)| Some((place.own, topic.roster.next_end()?)))
    }

    /// Keeps a message of others for a while.
    pub fn keep(&mut self, place: Place, from: PersonaId, published: &Published, now: Instant) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.recent.keep((from, false), published, now);
        }
    }

    /// Keeps a message of the persona's own for a while.
    pub fn keep_ours(&mut self, place: Place, published: &Published, now: Instant) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.recent.keep((place.own, true), published, now);
        }
    }

    /// What was said lately, oldest first.
    pub fn recent(&self, place: Place, now: Instant) -> Vec<Published> {
        self.open.get(&place).map(|topic| topic.recent.since_lately(now).cloned().collect()).unwrap_or_default()
    }

    /// The same with its authors, but for what the peer said.
    pub fn recent_for(&self, place: Place, peer: PersonaId, now: Instant) -> Vec<(PersonaId, Published)> {
        let recent = self.open.get(&place).into_iter().flat_map(|topic| topic.recent.with_authors(now));
        recent.filter(|(from, _)| *from != peer).map(|(from, published)| (from, published.clone())).collect()
    }

    /// How many messages the persona's own pages said.
    pub fn count_ours(&self, place: Place) -> u64 {
        self.open.get(&place).map_or(0, |topic| topic.recent.count_ours())
    }

    /// What the persona's own pages said lately, oldest first.
    pub fn recently_ours(&self, place: Place, now: Instant) -> impl Iterator<Item = &Published> {
        self.open.get(&place).into_iter().flat_map(move |topic| topic.recent.ours_lately(now))
    }

    /// A peer is said to be in a topic.
    pub fn introduce(&mut self, place: Place, peer: PersonaId, by: Introducer, rng: &mut fastrand::Rng) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.candidates.introduce(peer, by, rng);
        }
    }

    /// A peer said that it left a topic.
    pub fn left(&mut self, place: Place, peer: PersonaId, now: Instant) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.candidates.remove(peer);
        }
        self.miss(place, peer, now);
    }

    /// A peer can't be reached: nothing is tried for the sake of topics until somebody names it again.
    pub fn give_up(&mut self, Pair { own, peer }: Pair, now: Instant, rng: &mut fastrand::Rng) {
        for topic in self.of(own).filter(|topic| topic.candidates.contains(peer)) {
            topic.candidates.remove(peer);
            topic.search_soon(now, rng);
        }
    }

    /// A peer was linked and is only in these topics: what was said of others is over.
    pub fn is_only_in(&mut self, Pair { own, peer }: Pair, joined: &Set<TopicId>) {
        for (_, topic) in self.open.iter_mut().filter(|(at, _)| at.own == own && !joined.contains(&at.topic)) {
            topic.candidates.remove(peer);
        }
    }

    /// The ways that were told to a peer didn't lead there.
    pub fn forget_ways(&mut self, Pair { own, peer }: Pair) {
        for topic in self.of(own) {
            topic.candidates.forget_ways(peer);
        }
    }

    /// Peers of a persona that told it of another.
    pub fn ways(&self, Pair { own, peer }: Pair) -> Set<PersonaId> {
        let places = self.open.iter().filter(|(place, _)| place.own == own);
        places.flat_map(|(_, topic)| topic.candidates.ways(peer)).collect()
    }

    /// Who named a peer to a persona: rather somebody who names few, if several did.
    pub fn introducer(&self, Pair { own, peer }: Pair) -> Option<Introducer> {
        let places = self.open.iter().filter(|(place, _)| place.own == own);
        let by = places.filter_map(|(_, topic)| topic.candidates.introducer(peer));
        by.min_by_key(|by| matches!(by, Introducer::Peer(other) if *other != peer))
    }

    fn of(&mut self, own: PersonaId) -> impl Iterator<Item = &mut Topic> {
        self.open.iter_mut().filter(move |(place, _)| place.own == own).map(|(_, topic)| topic)
    }

    /// Peers said to be in a topic.
    pub fn candidates(&self, place: Place) -> impl Iterator<Item = PersonaId> {
        self.open.get(&place).into_iter().flat_map(|topic| topic.candidates.iter())
    }

    /// A topic lost a neighbour: should it end without any, it searches for others.
    pub fn search_soon(&mut self, place: Place, now: Instant, rng: &mut fastrand::Rng) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.search_soon(now, rng);
        }
    }

    /// A topic has a neighbour.
    pub fn search_ends(&mut self, place: Place) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.search = None;
        }
    }

    /// Whether the topic is to ask the rendezvous now; the next time is set.
    #[must_use]
    pub fn search_is_due(&mut self, place: Place, now: Instant, rng: &mut fastrand::Rng) -> bool {
        let Some(topic) = self.open.get_mut(&place) else { return false };
        let Some(search) = topic.search.filter(|search| search.at <= now) else { return false };
        let tries = search.tries + 1;
        let next = Search { at: now + backoff(FIRST_SEARCH, tries, SEARCH_CAP, rng), tries };
        topic.search = (tries < MAX_SEARCHES).then_some(next);
        true
    }

    /// A persona's link broke; it is missed when the time is over.
    pub fn linger(&mut self, place: Place, persona: PersonaId, now: Instant) {
        if self.is_open(place) {
            self.lingering.insert((place, persona), now + LINGER);
        }
    }

    /// A persona is back, or left for good.
    pub fn linger_ends(&mut self, place: Place, persona: PersonaId) {
        self.lingering.remove(&(place, persona));
    }

    /// Personas that linger in a topic.
    pub fn lingering(&self, place: Place) -> impl Iterator<Item = PersonaId> {
        let range = (place, PersonaId([0; 32]))..=(place, PersonaId([0xff; 32]));
        self.lingering.range(range).map(|((_, persona), _)| *persona)
    }

    /// Ends the lingering of those whose time is over: they are missed. Tells in which topics.
    pub fn end_lingering(&mut self, now: Instant) -> Set<Place> {
        let over = self.lingering.extract(|_, until| *until <= now);
        for ((place, persona), until) in &over {
            self.miss(*place, *persona, *until - LINGER);
        }
        over.into_iter().map(|((place, _), _)| place).collect()
    }

    fn miss(&mut self, place: Place, persona: PersonaId, since: Instant) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.miss(persona, since);
        }
    }

    /// A member is a neighbour.
    pub fn find(&mut self, place: Place, persona: PersonaId) {
        if let Some(topic) = self.open.get_mut(&place) {
            topic.roster.find(persona);
        }
    }

    /// Lets go of what was said too long ago: a site that says much in many topics has us keep only what it said lately. The time of day is in
    /// milliseconds since 1970.
    pub fn expire(&mut self, now: Instant, unix_ms: impl Fn(PersonaId) -> u64) {
        self.open.values_mut().for_each(|topic| topic.recent.expire(now));
        self.heard.retain(|place, heard| {
            heard.forget(unix_ms(place.own));
            !heard.is_empty()
        });
    }

    /// When [`expire`](Self::expire) is due.
    pub fn expires(&self) -> Option<Instant> {
        self.open.values().filter_map(|topic| topic.recent.expires()).min()
    }

    /// When something else is due.
    pub fn next(&self) -> Option<Instant> {
        let searches = self.open.values().filter_map(|topic| Some(topic.search?.at));
        searches.chain(self.lingering.values().copied()).chain(self.advertised.due()).min()
    }
}

impl Topic {
    fn search_soon(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let at = now + backoff(FIRST_SEARCH, 0, SEARCH_CAP, rng);
        self.search.get_or_insert(Search { at, tries: 0 });
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::{keys::PersonaSecret, topic::FRESH_MS};

    use super::{candidates::MAX_CANDIDATES, *};

    #[test]
    fn a_message_is_heard_once_by_who_comes_back_too() {
        let mut topics = lobby();
        assert!(topics.hear(LOBBY, SAID, NOW, false) && !topics.hear(LOBBY, SAID, NOW, false));
        topics.close(LOBBY);
        topics.open(LOBBY);
        topics.expire(Instant::START, |_| NOW + FRESH_MS);
        assert!(!topics.hear(LOBBY, SAID, NOW, false), "it is fresh for others, and may be repeated");
        topics.close(LOBBY);
        topics.expire(Instant::START, |_| NOW + 10 * FRESH_MS);
        assert!(topics.heard.is_empty());
    }

    #[test]
    fn two_personas_in_one_topic_know_nothing_of_each_other() {
        let other = Place { own: PersonaId([8; 32]), ..LOBBY };
        let mut topics = lobby();
        topics.open(other);
        assert!(topics.hear(LOBBY, SAID, NOW, false) && topics.hear(other, SAID, NOW, false));
        topics.keep(LOBBY, peer(1), &said(1), Instant::START);
        assert_eq!(topics.recent(other, Instant::START), []);

        introduce(&mut topics, 1, Introducer::Peer(peer(2)));
        assert_eq!(topics.candidates(other).count(), 0);
        assert_eq!(topics.ways(Pair { own: other.own, peer: peer(1) }), [].into());
        topics.linger(LOBBY, peer(1), Instant::START);
        assert_eq!(topics.lingering(other).count(), 0);
        topics.close(other);
        assert_eq!(topics.recent(LOBBY, Instant::START), [said(1)]);
        assert_eq!(topics.lingering(LOBBY).collect::<Vec<_>>(), [peer(1)]);
        assert!(!topics.hear(LOBBY, SAID, NOW, false));
    }

    #[test]
    fn candidates_are_bounded_and_know_their_ways() {
        let mut topics = lobby();
        for n in 0..40 {
            introduce(&mut topics, n, Introducer::Itself);
        }
        for n in 60..76 {
            introduce(&mut topics, n, Introducer::Server);
        }
        for via in [100, 101] {
            introduce(&mut topics, 0, Introducer::Peer(peer(via)));
        }
        assert_eq!(topics.candidates(LOBBY).count(), MAX_CANDIDATES);
        assert_eq!(topics.ways(pair(0)), [peer(100), peer(101)].into());

        topics.forget_ways(pair(0));
        assert_eq!(topics.ways(pair(0)), [].into());
        topics.left(LOBBY, peer(0), Instant::START);
        assert_eq!(topics.candidates(LOBBY).count(), MAX_CANDIDATES - 1);
    }

    #[test]
    fn a_topic_is_advertised_first_once_a_connection() {
        let mut topics = lobby();
        let advertise = |topics: &mut Topics| {
            let news = topics.news(LOBBY);
            topics.tell_news(LOBBY);
            news
        };
        assert_eq!(advertise(&mut topics), Some(News::Came));
        topics.close(LOBBY);
        assert_eq!(advertise(&mut topics), Some(News::Left));
        topics.open(LOBBY);
        assert_eq!(advertise(&mut topics), Some(News::CameBack), "it asks for those whom it knew, too");
        topics.advertise_anew();
        assert_eq!(advertise(&mut topics), Some(News::Came));
    }

    #[test]
    fn a_lonely_topic_searches_and_stops() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut topics = lobby();
        introduce(&mut topics, 1, Introducer::Server);
        topics.give_up(pair(1), Instant::START, &mut rng);

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
        topics.linger(Place { topic: TopicId([9; 32]), ..LOBBY }, bob, Instant::START);
        topics.linger_ends(LOBBY, bob);

        assert_eq!(topics.lingering(LOBBY).collect::<Vec<_>>(), [alice]);
        assert_eq!(topics.end_lingering(Instant::from_millis(1999)), [].into());
        assert_eq!(topics.end_lingering(topics.next().unwrap()), [LOBBY].into());
        assert_eq!(topics.next(), None);
    }

    const LOBBY: Place = Place { own: US, topic: TopicId([3; 32]) };
    const SAID: (PersonaId, MessageName) = (PersonaId([1; 32]), MessageName([1; 8]));
    /// Milliseconds since 1970.
    const NOW: u64 = 1_800_000_000_000;
    const US: PersonaId = PersonaId([7; 32]);

    /// A message of some author's.
    pub fn said(n: u32) -> Published {
        message(n, 1)
    }

    /// One of so many bytes.
    pub fn message(n: u32, bytes: usize) -> Published {
        let (key, name) = (MatchKey::new([3; 32]), MessageName(u64::from(n).to_be_bytes()));
        Published::new((LOBBY.topic, &key), &PersonaSecret::new([1; 32]), (NOW, name), vec![7; bytes])
    }

    fn lobby() -> Topics {
        let mut topics = Topics::default();
        topics.open(LOBBY);
        topics
    }

    fn introduce(topics: &mut Topics, n: u8, by: Introducer) {
        topics.introduce(LOBBY, peer(n), by, &mut fastrand::Rng::with_seed(n.into()));
    }

    fn pair(n: u8) -> Pair {
        Pair { own: US, peer: peer(n) }
    }

    fn peer(n: u8) -> PersonaId {
        PersonaId([n; 32])
    }
}
