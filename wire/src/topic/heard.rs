//! What was heard in a topic lately, so that each message is heard once.
//!
//! A message is known by its author and the author's name for it. It is remembered for as long as its header is fresh for anybody. Of an author who
//! says more than is remembered, nothing is heard any longer that is dated before what is: so nothing is heard twice, and nobody's flood costs
//! others their place. Times are those of headers, which leaders hold against their clocks: this needs no clock of its own.

use bitters_machine::map::Map;
use serde::{Deserialize, Serialize};

use super::{FRESH_MS, Header, MessageName};
use crate::id::PersonaId;

/// Names remembered of one author: 20 s of what a site may say.
const MAX_NAMES: usize = 4096;

/// Authors remembered. While there are as many, no other is heard, but for a few who are *near*: the persona itself and its neighbours.
const MAX_AUTHORS: usize = 1024;
const MAX_NEAR: usize = 64;

/// What is older than that beside the latest is forgotten: nobody takes it for fresh. The latest may be dated as far ahead as is fresh, and a clock
/// may be put back by as much.
const KEPT_MS: u64 = 3 * FRESH_MS;

/// What is too old is looked for that often.
const SWEPT_EVERY_MS: u64 = FRESH_MS / 4;

/// What was heard of one author.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardOf {
    /// What is dated before is heard no longer.
    floor: u64,
    /// Names and their dates.
    names: Vec<(MessageName, u64)>,
}

#[derive(Clone, Debug, Default)]
struct Author {
    floor: u64,
    names: Map<MessageName, u64>,
}

/// What was heard in one topic.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    authors: Map<PersonaId, Author>,
    latest: u64,
    swept: u64,
}

impl Heard {
    /// Whether a message wasn't heard yet, and is dated after what was forgotten of its author.
    #[must_use]
    pub fn takes(&self, from: PersonaId, name: MessageName, time: u64) -> bool {
        self.authors.get(&from).is_none_or(|author| author.takes(name, time))
    }

    /// Whether nothing was heard of an author yet.
    #[must_use]
    pub fn is_new(&self, from: PersonaId) -> bool {
        !self.authors.contains_key(&from)
    }

    /// A message is heard. Tells whether that can be, and it wasn't yet.
    #[must_use]
    pub fn hear(&mut self, from: PersonaId, name: MessageName, time: u64) -> bool {
        self.hear_within(MAX_AUTHORS, (from, name), time)
    }

    /// The same of one who is near.
    #[must_use]
    pub fn hear_near(&mut self, from: PersonaId, name: MessageName, time: u64) -> bool {
        self.hear_within(MAX_AUTHORS + MAX_NEAR, (from, name), time)
    }

    fn hear_within(&mut self, authors: usize, (from, name): (PersonaId, MessageName), time: u64) -> bool {
        if !self.takes(from, name, time) {
            return false;
        }
        if self.is_new(from) && self.authors.len() >= authors {
            self.latest = self.latest.max(time);
            self.sweep();
            if self.authors.len() >= authors {
                return false;
            }
        }
        let author = self.authors.entry(from).or_default();
        author.names.insert(name, time);
        author.keep(MAX_NAMES);
        self.latest = self.latest.max(time);
        if self.latest >= self.swept + SWEPT_EVERY_MS {
            self.sweep();
        }
        true
    }

    /// Forgets what nobody takes for fresh at this time, too, though nothing was heard since.
    pub fn forget(&mut self, now: u64) {
        self.latest = self.latest.max(now);
        self.sweep();
    }

    /// The clock was put: what was heard by it before is remembered for a while longer.
    pub const fn put_clock(&mut self, now: u64) {
        (self.latest, self.swept) = (now, now);
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.authors.is_empty()
    }

    fn sweep(&mut self) {
        let kept = self.latest.saturating_sub(KEPT_MS)..=self.latest.saturating_add(KEPT_MS);
        self.swept = self.latest;
        self.authors.retain(|_, author| {
            author.names.retain(|_, time| kept.contains(time));
            !author.names.is_empty()
        });
    }

    /// What another is to know of it: so many authors at most, those heard last, and so many names in all, of each author as many.
    #[must_use]
    pub fn tell(&self, authors: usize, names: usize) -> Vec<(PersonaId, HeardOf)> {
        let mut last = self.authors.clone();
        last.shed(authors, |author| author.names.values().max().copied());
        let of_each = names / last.len().max(1);
        let told = last.iter().map(|(from, author)| {
            let mut author = author.clone();
            author.keep(of_each);
            let names = author.names.iter().map(|(name, time)| (*name, *time)).collect();
            (*from, HeardOf { floor: author.floor, names })
        });
        told.collect()
    }

    /// Another heard this, for the same persona.
    pub fn learn(&mut self, told: &[(PersonaId, HeardOf)]) {
        for (from, of) in told {
            if self.is_new(*from) && self.authors.len() >= MAX_AUTHORS {
                continue;
            }
            let author = self.authors.entry(*from).or_default();
            author.floor = author.floor.max(of.floor);
            for (name, time) in &of.names {
                author.names.insert(*name, *time);
            }
            author.keep(MAX_NAMES);
        }
    }
}

impl Author {
    fn takes(&self, name: MessageName, time: u64) -> bool {
        time >= self.floor && !self.names.contains_key(&name)
    }

    /// Keeps so many names at most. Where there are more, the oldest eighth goes, too, so that this isn't done for each.
    fn keep(&mut self, most: usize) {
        if self.names.len() <= most {
            return;
        }
        let mut surplus = self.names.len() - most + most / 8;
        let mut of_time: Map<u64, usize> = Map::new();
        for time in self.names.values() {
            *of_time.entry(*time).or_insert(0) += 1;
        }
        for (time, count) in of_time.iter() {
            if surplus == 0 {
                break;
            }
            self.floor = self.floor.max(time + 1);
            surplus = surplus.saturating_sub(*count);
        }
        let floor = self.floor;
        self.names.retain(|_, time| *time >= floor);
    }
}

impl Header {
    /// Whether the author's clock and this one are as close as they should be. The time is in milliseconds since 1970.
    #[must_use]
    pub const fn is_fresh(&self, now: u64) -> bool {
        self.time.abs_diff(now) <= FRESH_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_heard_once() {
        let mut heard = Heard::default();
        assert!(heard.hear(author(1), name(1), NOW) && heard.hear(author(1), name(2), NOW));
        assert!(heard.hear(author(2), name(1), NOW), "another's of the same name");
        assert!(!heard.hear(author(1), name(1), NOW));
        assert!(!heard.hear(author(1), name(1), NOW + 1), "dated anew");
    }

    #[test]
    fn what_is_fresh_for_anybody_is_remembered() {
        let mut heard = Heard::default();
        assert!(heard.hear(author(1), name(1), NOW));
        // Somebody's clock is ahead by as much as may be, and ours is put back by as much.
        assert!(heard.hear(author(2), name(2), NOW + 3 * FRESH_MS));
        assert!(!heard.takes(author(1), name(1), NOW));
        assert!(heard.hear(author(2), name(3), NOW + 4 * FRESH_MS));
        assert!(heard.is_new(author(1)));
    }

    #[test]
    fn a_clock_that_is_put_back_by_a_day_costs_no_memory() {
        let day = 24 * 60 * 60 * 1000;
        let mut heard = Heard::default();
        assert!(heard.hear(author(1), name(1), NOW + day), "our own, by the wrong clock");
        heard.put_clock(NOW);
        assert!(heard.hear(author(2), name(2), NOW) && heard.hear(author(2), name(3), NOW + SWEPT_EVERY_MS));
        assert!(!heard.takes(author(2), name(2), NOW));
        assert!(heard.is_new(author(1)), "nobody takes it for fresh");
    }

    #[test]
    fn who_floods_is_not_heard_twice_and_costs_others_nothing() {
        let mut heard = Heard::default();
        assert!(heard.hear(author(2), name(1), NOW));
        let flood = 0..3 * MAX_NAMES as u64;
        assert!(flood.clone().all(|n| heard.hear(author(1), name(n), NOW + n)));
        assert!(!flood.clone().any(|n| heard.takes(author(1), name(n), NOW + n)));
        assert!(heard.takes(author(1), name(flood.end), NOW + flood.end));
        assert!(!heard.takes(author(2), name(1), NOW));
        assert!(heard.authors.values().all(|author| author.names.len() <= MAX_NAMES));
    }

    #[test]
    fn so_many_authors_are_heard_until_the_first_are_silent() {
        let mut heard = Heard::default();
        assert!((0..MAX_AUTHORS as u64).all(|n| heard.hear(author(n), name(n), NOW)));
        assert!(!heard.hear(author(MAX_AUTHORS as u64), name(0), NOW), "or it could be heard twice");
        assert!(heard.hear_near(author(MAX_AUTHORS as u64), name(0), NOW));
        assert!(!heard.hear_near(author(MAX_AUTHORS as u64), name(0), NOW));
        assert!(heard.hear(author(MAX_AUTHORS as u64 + 1), name(0), NOW + KEPT_MS + 1), "all others are forgotten");
        heard.forget(NOW + 3 * KEPT_MS);
        assert!(heard.is_empty());
    }

    #[test]
    fn what_one_heard_another_does_not_hear_again() {
        let (mut one, mut other) = (Heard::default(), Heard::default());
        for n in 0..100 {
            assert!(one.hear(author(n % 2), name(n), NOW + n));
        }
        other.learn(&one.tell(2, 1000));
        assert!(!(0..100).any(|n| other.takes(author(n % 2), name(n), NOW + n)));
        assert!(other.takes(author(0), name(100), NOW), "it may have been on its way");

        let mut third = Heard::default();
        let told = one.tell(2, 20);
        assert!(told.iter().map(|(_, of)| of.names.len()).sum::<usize>() <= 20);
        third.learn(&told);
        assert!(!(0..100).any(|n| third.takes(author(n % 2), name(n), NOW + n)), "nor where not all was told");
        assert!(third.takes(author(0), name(100), NOW + 100));
    }

    const NOW: u64 = 1_800_000_000_000;

    fn author(n: u64) -> PersonaId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        PersonaId(id)
    }

    fn name(n: u64) -> MessageName {
        MessageName(n.to_be_bytes())
    }
}
