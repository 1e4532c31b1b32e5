//! Who is in topics, by their own words: said by our personas, and passed on for others.
//!
//! Neighbours see from their link that a persona is there. So it says that for as long only as there are members who aren't its neighbours: in a small
//! topic nothing is said while nothing happens.

use std::time::Duration;

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    codec,
    id::{FrameId, LinkId, PersonaId, TopicId},
    keys::PersonaSecret,
    link::LinkMessage,
    topic::{MAX_SHOWN, MAX_WORDS, TopicMessage, Word},
};

use super::Node;
use crate::{
    frames::Frame,
    pair::Pair,
    topics::{Place, Roster},
};

/// Bytes of a word, but for what it shows.
const WORD: usize = 112;

fn size(word: &Word) -> usize {
    WORD + word.shows.len()
}

impl Node {
    /// A peer passes on what members said of themselves. What is news goes on to others.
    pub(super) fn on_words(&mut self, link: LinkId, pair: Pair, topic: TopicId, words: Vec<Word>) {
        let place = Place { own: pair.own, topic };
        let mut news = Vec::new();
        for word in words {
            if word.from == pair.peer {
                // It was said half a pause ago, as far as we know.
                self.clock.hear_neighbour(pair, word.time.saturating_add(500 * u64::from(word.every)), &mut self.rng);
            }
            let now = self.clock.common_ms(place.own);
            let Some(roster) = self.topics.roster(place) else { return };
            // A clone of ours says of itself what we say.
            if !roster.takes(&word, now, word.from == pair.peer) || (word.from == place.own && !word.is_last()) {
                continue;
            }
            let is_new = roster.is_new(word.from) && word.from != pair.peer;
            if is_new && !self.links.takes_author(link, self.clock.now) {
                continue;
            }
            if word.verify(topic).is_err() {
                return self.punish_for_topic(Some(link), pair);
            }
            self.topics.take_word(place, word.clone(), self.clock.now);
            news.push(word);
        }
        if !news.is_empty() {
            self.changed.topics.insert(place);
            self.pass_words_on(place, &news, Some(link));
            // Others hear of a clone of ours that it left.
            let is_ours = news.iter().any(|word| word.from == place.own);
            let rests = self.topics.roster(place).is_some_and(|roster| roster.due().is_none());
            if is_ours || (rests && self.has_far_members(place)) {
                self.say_here(place, None);
            }
        }
    }

    /// Whether there are members who aren't neighbours.
    fn has_far_members(&self, place: Place) -> bool {
        let near: Set<PersonaId> =
            self.links.table().in_topic(place.own, place.topic).map(|(_, pair, _)| pair.peer).collect();
        let Some(roster) = self.topics.roster(place) else { return false };
        roster.members(self.clock.common_ms(place.own)).any(|it| it != place.own && !near.contains(&it))
    }

    fn pass_words_on(&mut self, place: Place, words: &[Word], via: Option<LinkId>) {
        let links = self.links.table().in_topic(place.own, place.topic).map(|(link, _, _)| link);
        for link in links.filter(|link| Some(*link) != via).collect::<Vec<_>>() {
            self.tell_words(link, place.topic, words);
        }
    }

    /// What shows something may be long, and waits with what its author says.
    fn tell_words(&mut self, link: LinkId, topic: TopicId, words: &[Word]) {
        let (short, long): (Vec<Word>, Vec<Word>) = words.iter().cloned().partition(|word| word.shows.is_empty());
        for words in short.chunks(MAX_WORDS) {
            self.tell_topic(link, TopicMessage::Here { topic, words: words.to_vec() });
        }
        for word in long {
            let author = (topic, word.from);
            let message = codec::encode(&LinkMessage::Topic(TopicMessage::Here { topic, words: vec![word] }));
            self.with_links(|links, around| links.publish(link, author, message, around));
        }
    }

    /// A neighbour came: it hears who is there, and that we are, which it passes on. Before the first came, nobody could hear it.
    pub(super) fn greet_neighbour(&mut self, link: LinkId, place: Place) {
        let now = self.clock.common_ms(place.own);
        // One that is over before it arrives isn't heard, nor one that is dated by a clock that was wrong.
        if self.topics.roster(place).is_some_and(|roster| roster.is_stale(place.own, now)) {
            self.say_here(place, Some(link));
        }
        let Some(roster) = self.topics.roster(place) else { return };
        let (ours, others): (Vec<Word>, Vec<Word>) = roster.words(now).partition(|word| word.from == place.own);
        self.tell_words(link, place.topic, &ours);
        let affords = |word: &Word| self.links.affords_replay(link, size(word), self.clock.now);
        let others: Vec<Word> = others.into_iter().take_while(affords).collect();
        self.tell_words(link, place.topic, &others);
    }

    /// Neighbours are missed. They may be there still, and miss us: others tell them.
    pub(super) fn say_here_still(&mut self, places: &Set<Place>) {
        places.iter().for_each(|place| self.say_here(*place, None));
    }

    /// A persona says that it is in a topic; to all neighbours but the one who is told everything anyway.
    fn say_here(&mut self, place: Place, but: Option<LinkId>) {
        let Some(roster) = self.topics.roster(place) else { return };
        let (every, pause) = (roster.every(), roster.pause(place.own, self.clock.now));
        let date = roster.date(place.own, self.clock.common_ms(place.own));
        if !pause.is_zero() {
            // Others would not take it.
            return self.topics.postpone_word(place, self.clock.now + pause);
        }
        let Some(secret) = self.frames.secret(place.own) else { return };
        let word = Word::sign(place.topic, secret, (date, every), self.shown_by_us(place));
        self.topics.say_word(place, word.clone(), self.clock.now, &mut self.rng);
        // Our pages hear what it shows.
        self.changed.topics.insert(place);
        self.pass_words_on(place, &[word], but);
    }

    /// A page shows something of its persona.
    pub(super) fn on_show(&mut self, id: FrameId, topic: TopicId, (since_ms, what): (u64, Vec<u8>)) {
        let now = self.clock.now;
        let Some(frame) = self.frames.frame_mut(id) else { return };
        if !frame.joined.contains_key(&topic) || what.len() > MAX_SHOWN {
            return;
        }
        frame.shows.insert(topic, (now, Duration::from_millis(since_ms), what));
        let place = Place { own: frame.persona(), topic };
        self.show_anew(place);
    }

    /// Says what a persona shows in a topic, if that isn't what it said last.
    pub(super) fn show_anew(&mut self, place: Place) {
        let Some(roster) = self.topics.roster(place) else { return };
        if roster.shown_by(place.own).map_or(&[][..], |(_, what)| what) != self.shown_by_us(place) {
            self.say_here(place, None);
        }
    }

    /// What a persona shows: of all its pages the one counts that changed it last.
    fn shown_by_us(&self, place: Place) -> Vec<u8> {
        let of_frame = |frame: &Frame| {
            let (at, before, shows) = frame.shows.get(&place.topic)?;
            (!shows.is_empty()).then(|| (self.clock.now.since(*at) + *before, shows.clone()))
        };
        let all = self.frames.in_topic(place).filter_map(|(_, frame)| of_frame(frame));
        all.min_by_key(|(age, _)| *age).map(|(_, shows)| shows).unwrap_or_default()
    }

    /// A persona leaves: its neighbours pass that on.
    pub(super) fn say_gone(&mut self, secret: &PersonaSecret, topic: TopicId) {
        let word = Word::sign(topic, secret, (self.clock.common_ms(secret.id()), 0), Vec::new());
        self.pass_words_on(Place { own: word.from, topic }, &[word], None);
    }

    /// Says what is due, and misses whose words are over.
    pub(super) fn drive_words(&mut self) {
        let now = self.clock.now;
        for place in self.topics.words_due(now) {
            if self.topics.roster(place).is_some_and(Roster::owes) || self.has_far_members(place) {
                self.say_here(place, None);
            } else {
                self.topics.rest(place);
            }
        }
        let missed = self.topics.expire_words(|own| self.clock.common_ms(own));
        self.changed.topics.extend(missed);
    }

    /// When that is.
    pub(super) fn next_word(&self) -> Option<Instant> {
        let left = self.topics.word_ends().map(|(own, end)| end.saturating_sub(self.clock.common_ms(own))).min();
        let ends = left.map(|left| self.clock.now + Duration::from_millis(left));
        ends.into_iter().chain(self.topics.next_word()).min()
    }
}
