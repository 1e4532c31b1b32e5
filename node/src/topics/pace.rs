//! How much each author says in a topic.

use bitters_machine::{
    map::Map,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::id::PersonaId;

use crate::limits::{PUBLISHED_KIB, PUBLISHES};

/// Authors that are kept in mind. One that is forgotten was silent for longest; whoever makes up others brings them over some link, which may bring
/// few (`LINK_AUTHORS`).
const MAX_AUTHORS: usize = 256;

/// Four sites may have one persona, and what waited for a link comes at once.
const SITES: u32 = 4;

#[derive(Debug)]
struct Author {
    messages: Bucket,
    kib: Bucket,
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
        let new = || Author { messages: of_sites(PUBLISHES), kib: of_sites(PUBLISHED_KIB), spoke: now };
        let author = self.0.entry(from).or_insert_with(new);
        author.spoke = now;
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let affords = author.messages.take(now) && author.kib.take_many(kib, now);
        self.0.shed(MAX_AUTHORS, |author| author.spoke);
        affords
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
        for n in 0..=u64::try_from(MAX_AUTHORS).unwrap() {
            let mut id = [9; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            assert!(pace.affords(PersonaId(id), 1, Instant::from_millis(n)));
        }
        assert_eq!(pace.0.len(), MAX_AUTHORS);
    }

    const ALICE: PersonaId = PersonaId([0xa1; 32]);
    const BOB: PersonaId = PersonaId([0xb0; 32]);
}
