//! How much each author says in a topic.

use std::time::Duration;

use bitters_machine::{
    map::Map,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::id::PersonaId;

use crate::limits::{PUBLISHED_KIB, PUBLISHES};

/// Authors that are kept in mind. While as many have spoken lately, no other is heard: else whoever has many keys would be heard without bound.
const MAX_AUTHORS: usize = 1024;

/// After so much silence an author may say as much as a new one.
const REST: Duration = Duration::from_secs(10);

/// What an author says where others have used up what a link may bring.
const LITTLE: Rate = Rate { per_second: 4, burst: 8 };

/// Four sites may have one persona, and what waited for a link comes at once.
const SITES: u32 = 4;

#[derive(Debug)]
struct Author {
    messages: Bucket,
    kib: Bucket,
    little: Bucket,
    spoke: Instant,
}

/// The authors of one topic.
#[derive(Debug, Default)]
pub struct Pace(Map<PersonaId, Author>);

impl Pace {
    /// Whether an author may say so many bytes more.
    #[must_use]
    pub fn affords(&mut self, from: PersonaId, bytes: usize, now: Instant) -> bool {
        let of_sites = |rate: Rate| {
            let Rate { per_second, burst } = rate;
            Bucket::new(Rate { per_second: SITES * per_second, burst: SITES * burst }, now)
        };
        let new = || Author {
            messages: of_sites(PUBLISHES),
            kib: of_sites(PUBLISHED_KIB),
            little: Bucket::new(LITTLE, now),
            spoke: now,
        };
        if !self.0.contains_key(&from) && self.0.len() >= MAX_AUTHORS {
            self.0.retain(|_, author| now.since(author.spoke) < REST);
            if self.0.len() >= MAX_AUTHORS {
                return false;
            }
        }
        let author = self.0.entry(from).or_insert_with(new);
        author.spoke = now;
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        author.messages.take(now) && author.kib.take_many(kib, now)
    }

    /// Whether an author is heard where there is no room for all: it may say little more. Of whom nothing was heard lately it isn't noted, as
    /// nobody has verified yet who says it.
    #[must_use]
    pub fn says_little(&mut self, from: PersonaId, now: Instant) -> bool {
        self.0.get_mut(&from).is_none_or(|author| author.little.take(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_floods_is_not_heard_and_others_are() {
        let mut pace = Pace::default();
        let mut said = |from, bytes| (0..10_000).filter(|_| pace.affords(from, bytes, Instant::START)).count();
        assert_eq!(said(ALICE, 1), 4 * PUBLISHES.burst as usize);
        assert_eq!(said(ALICE, 1), 0);
        assert_eq!(said(BOB, 256 * 1024), 4 * PUBLISHED_KIB.burst as usize / 256);
        let author = |n: usize| {
            let mut id = [9; 32];
            id[..8].copy_from_slice(&(n as u64).to_be_bytes());
            PersonaId(id)
        };
        assert!((2..MAX_AUTHORS).all(|n| pace.affords(author(n), 1, Instant::START)));
        assert!(!pace.affords(author(0), 1, Instant::START), "nobody is forgotten who may have said all that it may");
        assert!(pace.affords(author(0), 1, Instant::START + REST));
    }

    const ALICE: PersonaId = PersonaId([0xa1; 32]);
    const BOB: PersonaId = PersonaId([0xb0; 32]);
}
