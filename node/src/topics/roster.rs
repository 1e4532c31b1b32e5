//! Who is in a topic, by their own words.
//!
//! A member says that it is there when it comes, and again and again: the more members there are, the rarer, so that the words of all are about as
//! many. It is missed when three of its words are missing, or when it says that it left. A neighbour is missed when its link is gone: that the
//! table of links knows.

use std::time::Duration;

use bitters_machine::{backoff, map::Map, time::Instant};
use bitters_wire::{
    id::PersonaId,
    topic::{FRESH_MS, Word},
};

/// Seconds from one word to the next where members are few: three missing ones are noticed within half a minute.
const FEW: u16 = 8;

/// Words a second that the members of a large topic say.
const WORDS: usize = 2;

/// Seconds at most.
const MANY: u16 = 120;

/// Words that are missing before their author is missed, and what a word may take to spread, in milliseconds.
const MISSING: u64 = 3;
const SPREADS: u64 = 2000;

/// Milliseconds between two words of one author, but for its last one: who types is seen to.
const PACE: u64 = 500;

/// Members that are remembered. While there are as many, no other is taken in.
const MAX_MEMBERS: usize = 512;

/// Neighbours that are remembered beside them: made-up members leave them room.
const MAX_NEAR: usize = 64;

/// What was said last by somebody.
#[derive(Debug)]
struct Member {
    word: Word,
    /// When it came to us.
    taken: Instant,
    /// Its link is gone: it is there again when it says something new, or another link shows it.
    is_missed: bool,
}

/// What somebody shows.
#[derive(Debug)]
struct Shown {
    /// When it said so last, in milliseconds since 1970 by its clock.
    said: u64,
    /// When it began to show that, likewise; none: it shows nothing.
    since: Option<u64>,
    /// What, sealed.
    what: Vec<u8>,
}

/// Members of one topic, and those who left it lately.
#[derive(Debug, Default)]
pub struct Roster {
    members: Map<PersonaId, Member>,
    /// What was shown last by who is there, whether or not its word still counts.
    shown: Map<PersonaId, Shown>,
    /// When the persona's own next word is due.
    due: Option<Instant>,
    /// Whether it had something to say, which had to wait.
    owes: bool,
    /// When the first may be over, in milliseconds since 1970.
    next_end: Option<u64>,
}

/// When a word is true no longer, in milliseconds since 1970. Who left is remembered for as long as its words before that could be believed.
fn ends(word: &Word) -> u64 {
    let every = if word.is_last() { MANY } else { word.every };
    word.time.saturating_add(MISSING * 1000 * u64::from(every)).saturating_add(SPREADS)
}

impl Roster {
    /// Whether a word, of the time `now`, says something new and can be true; of a neighbour or of others.
    pub fn takes(&self, word: &Word, now: u64, is_near: bool) -> bool {
        let is_news = match self.members.get(&word.from) {
            Some(Member { word: last, .. }) => {
                let pause = if word.is_last() && !last.is_last() { 1 } else { PACE };
                word.time >= last.time.saturating_add(pause)
            }
            None => {
                let room = MAX_MEMBERS + if is_near { MAX_NEAR } else { 0 };
                // It may have shown something else since then.
                self.members.len() < room && self.shown.get(&word.from).is_none_or(|it| it.said < word.time)
            }
        };
        is_news && word.every <= MANY && word.time <= now.saturating_add(FRESH_MS) && ends(word) > now
    }

    /// Whether nothing was heard of a persona.
    pub fn is_new(&self, persona: PersonaId) -> bool {
        !self.members.contains_key(&persona)
    }

    /// Takes a word that was verified.
    pub fn take(&mut self, word: Word, now: Instant) {
        let end = ends(&word);
        self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
        self.show(&word);
        self.members.insert(word.from, Member { word, taken: now, is_missed: false });
    }

    fn show(&mut self, word: &Word) {
        let Word { from, time, .. } = *word;
        let before = self.shown.get(&from);
        if word.is_last() {
            self.shown.remove(&from);
        } else if before.is_none_or(|it| it.said < time) {
            let same = before.filter(|it| it.what == word.shows);
            let since = same.map_or_else(|| (!word.shows.is_empty()).then_some(time), |it| it.since);
            self.shown.insert(from, Shown { said: time, since, what: word.shows.clone() });
        }
    }

    /// What somebody shows, and since when, in milliseconds since 1970, if it is something.
    pub fn shown_by(&self, persona: PersonaId) -> Option<(Option<u64>, &[u8])> {
        self.shown.get(&persona).map(|it| (it.since, &*it.what))
    }

    /// Forgets what is shown by any but these, and those whose words are remembered: they don't say them again.
    pub fn keep_shown(&mut self, there: impl Fn(&PersonaId) -> bool) {
        let members = &self.members;
        self.shown.retain(|persona, _| there(persona) || members.contains_key(persona));
    }

    /// A persona is no neighbour any longer since then: it is missed, unless it said something after that, or says something again.
    pub fn miss(&mut self, persona: PersonaId, since: Instant) {
        if let Some(member) = self.members.get_mut(&persona).filter(|it| it.taken <= since) {
            member.is_missed = true;
        }
    }

    /// A persona is a neighbour.
    pub fn find(&mut self, persona: PersonaId) {
        if let Some(member) = self.members.get_mut(&persona) {
            member.is_missed = false;
        }
    }

    /// How long the persona itself is to wait until others take its next word.
    pub fn pause(&self, own: PersonaId, now: Instant) -> Duration {
        let next = self.members.get(&own).map_or(now, |it| it.taken + Duration::from_millis(PACE));
        next.since(now)
    }

    /// How its next word is dated, at this time: later than the last one, but for one that was dated by a clock that was wrong: nobody took it.
    pub fn date(&self, own: PersonaId, now: u64) -> u64 {
        let next = self.members.get(&own).map_or(0, |it| it.word.time.saturating_add(PACE));
        if next > now.saturating_add(FRESH_MS) { now } else { next.max(now) }
    }

    /// Whether its last word is of no use to who comes at this time.
    pub fn is_stale(&self, own: PersonaId, now: u64) -> bool {
        self.members.get(&own).is_none_or(|Member { word, .. }| {
            word.time > now.saturating_add(FRESH_MS) || word.time.saturating_add(1000 * u64::from(word.every)) <= now
        })
    }

    /// The persona's next word is due then.
    pub const fn postpone(&mut self, until: Instant) {
        (self.due, self.owes) = (Some(until), true);
    }

    /// Whether the persona's next word is to be said whoever is there.
    pub const fn owes(&self) -> bool {
        self.owes
    }

    /// Those who are there.
    pub fn members(&self, now: u64) -> impl Iterator<Item = PersonaId> {
        let there = self.members.iter().filter(|(_, it)| !it.is_missed && !it.word.is_last());
        there.filter(move |(_, it)| ends(&it.word) > now).map(|(persona, _)| *persona)
    }

    /// What a newcomer is told: the words as they were said.
    pub fn words(&self, now: u64) -> impl Iterator<Item = Word> {
        self.members.values().filter(move |it| !it.is_missed && ends(&it.word) > now).map(|it| it.word.clone())
    }

    /// Seconds until the persona's own next word.
    pub fn every(&self) -> u16 {
        u16::try_from(self.members.len() / WORDS).unwrap_or(MANY).clamp(FEW, MANY)
    }

    /// The persona says its word: the next is due before it is missing. The first is said twice if it shows something: who heard the persona leave a
    /// moment ago takes no word as soon.
    pub fn say(&mut self, word: Word, now: Instant, rng: &mut fastrand::Rng) {
        let pause = Duration::from_secs(word.every.into()) * 3 / 5;
        (self.due, self.owes) = (Some(now + backoff(pause, 0, pause, rng)), false);
        if self.is_new(word.from) && !word.shows.is_empty() {
            self.postpone(now + Duration::from_millis(PACE));
        }
        self.shown.remove(&word.from);
        self.take(word, now);
    }

    /// Nobody is there to hear a word.
    pub const fn rest(&mut self) {
        self.due = None;
    }

    /// When the persona's own next word is due.
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Forgets whose words are over. Tells whether somebody is missed for that.
    pub fn expire(&mut self, now: u64) -> bool {
        if self.next_end.is_none_or(|end| end > now) {
            return false;
        }
        let over = self.members.extract(|_, it| ends(&it.word) <= now);
        self.next_end = self.members.values().map(|it| ends(&it.word)).min();
        over.iter().any(|(_, it)| !it.is_missed && !it.word.is_last())
    }

    /// When the next may be missed, in milliseconds since 1970.
    pub const fn next_end(&self) -> Option<u64> {
        self.next_end
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::{id::TopicId, keys::PersonaSecret};

    use super::*;

    #[test]
    fn a_member_is_there_until_three_words_are_missing() {
        let mut roster = Roster::default();
        roster.take(word(1, NOW, FEW), Instant::START);
        let end = roster.next_end().unwrap();
        assert!(end - NOW <= 30_000);
        assert_eq!(roster.members(end - 1).count(), 1);
        assert_eq!((roster.members(end).count(), roster.words(end).count()), (0, 0));
        assert!(roster.expire(end) && roster.is_new(id(1)));
    }

    #[test]
    fn who_left_or_is_missed_is_not_there_again_for_what_it_said_before() {
        let mut roster = Roster::default();
        for (n, leave) in [(1, true), (2, false)] {
            roster.take(word(n, NOW, FEW), Instant::START);
            if leave {
                roster.take(word(n, NOW + 5000, 0), Instant::START);
            } else {
                roster.miss(id(n), Instant::START);
            }
            assert!(!roster.takes(&word(n, NOW, FEW), NOW + 5000, false));
        }
        assert_eq!(roster.members(NOW + 5000).count(), 0);
        assert_eq!(roster.words(NOW + 5000).count(), 1, "newcomers hear that it left");
        assert!([1, 2].iter().all(|n| roster.takes(&word(*n, NOW + 5500, FEW), NOW + 5500, false)));
        assert!(!roster.takes(&word(1, NOW + 5499, FEW), NOW + 5500, false), "who comes and goes does so no faster");
    }

    #[test]
    fn a_neighbour_that_was_lost_is_there_if_it_said_so_since_or_is_found_again() {
        let mut roster = Roster::default();
        let lost = Instant::from_millis(100);
        roster.take(word(1, NOW, FEW), lost + Duration::from_millis(1));
        roster.miss(id(1), lost);
        assert_eq!(roster.members(NOW).count(), 1);
        roster.miss(id(1), lost + Duration::from_secs(1));
        assert_eq!((roster.members(NOW).count(), roster.words(NOW).count()), (0, 0));
        roster.find(id(1));
        assert_eq!(roster.members(NOW).count(), 1);
        assert_eq!(roster.pause(id(1), lost + Duration::from_millis(101)), Duration::from_millis(400));
    }

    #[test]
    fn what_somebody_shows_is_remembered_for_as_long_as_it_is_there_or_its_word_is() {
        let mut roster = Roster::default();
        roster.take(shows(1, NOW, b"1"), Instant::START);
        roster.miss(id(1), Instant::START);
        roster.keep_shown(|_| false);
        roster.find(id(1));
        assert_eq!(roster.shown_by(id(1)), Some((Some(NOW), &b"1"[..])), "its word isn't said again");
        roster.expire(NOW + 60_000);
        roster.keep_shown(|persona| *persona == id(1));
        assert!(!roster.takes(&shows(1, NOW, b"0"), NOW, false), "it showed something else since");
        roster.keep_shown(|_| false);
        assert_eq!(roster.shown_by(id(1)), None);
    }

    #[test]
    fn what_was_dated_by_a_wrong_clock_is_said_again_by_the_right_one() {
        let (mut roster, mut rng, day) = (Roster::default(), fastrand::Rng::with_seed(1), 86_400_000);
        roster.say(shows(1, NOW + day, b"1"), Instant::START, &mut rng);
        assert!(roster.is_stale(id(1), NOW), "nobody takes it");
        assert_eq!(roster.pause(id(1), Instant::from_millis(PACE)), Duration::ZERO);
        assert_eq!(roster.date(id(1), NOW), NOW);
        roster.say(shows(1, NOW, b"2"), Instant::from_millis(PACE), &mut rng);
        assert_eq!(roster.shown_by(id(1)).map(|(_, what)| what), Some(&b"2"[..]));
        assert!(!roster.is_stale(id(1), NOW + 7000) && roster.is_stale(id(1), NOW + 8000), "it is over soon");
        assert_eq!(roster.date(id(1), NOW - 10_000), NOW + PACE, "later than the last, though the clock was put back");
    }

    #[test]
    fn words_are_bounded_and_of_our_time() {
        let mut roster = Roster::default();
        roster.take(word(1, NOW, FEW), Instant::START);
        assert!(
            !roster.takes(&word(1, NOW + PACE - 1, FEW), NOW, false)
                && roster.takes(&word(1, NOW + PACE, FEW), NOW, false)
        );
        assert!(roster.takes(&word(1, NOW + 1, 0), NOW, false), "who leaves says so at once");
        assert!(!roster.takes(&word(2, NOW, MANY + 1), NOW, false));
        assert!(!roster.takes(&word(2, NOW + FRESH_MS + 1, FEW), NOW, false));
        assert!(!roster.takes(&word(2, NOW - 30_000, FEW), NOW, false), "recorded");
        for n in 0..MAX_MEMBERS {
            roster.take(word(u16::try_from(n).unwrap(), NOW, FEW), Instant::START);
        }
        assert!(!roster.takes(&word(u16::MAX, NOW, FEW), NOW, false));
        assert!(roster.takes(&word(u16::MAX, NOW, FEW), NOW, true), "a neighbour");
        assert_eq!(roster.every(), MANY);
    }

    /// Milliseconds since 1970.
    const NOW: u64 = 1_800_000_000_000;

    fn id(n: u16) -> PersonaId {
        let mut id = [7; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        PersonaId(id)
    }

    fn shows(n: u16, time: u64, what: &[u8]) -> Word {
        let mut word = word(n, time, FEW);
        word.shows = what.to_vec();
        word
    }

    fn word(n: u16, time: u64, every: u16) -> Word {
        let mut word = Word::sign(TopicId([3; 32]), &PersonaSecret::new([1; 32]), (time, every), Vec::new());
        word.from = id(n);
        word
    }
}
