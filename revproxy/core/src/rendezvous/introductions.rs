//! Who was told of whom lately, so that nobody is introduced twice unasked. Each key of a connection has a memory of its own, so that what
//! one key was told says nothing of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_machine::time::Instant;
use bitters_wire::id::PersonaId;

use super::ConnId;

/// A key, as one connection registered it.
pub(super) type Member = (ConnId, PersonaId);

/// Introductions of connected keys.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Who was told, of whom, when.
    told: BTreeMap<Member, BTreeMap<PersonaId, Instant>>,
    /// The same turned round, to forget a key without a walk through all.
    named: BTreeMap<PersonaId, BTreeSet<Member>>,
}

impl Introductions {
    /// How many more can be remembered for `to`, once what is older than `memory` has been dropped.
    pub(super) fn room(&mut self, to: Member, capacity: usize, memory: Duration, now: Instant) -> usize {
        let Some(told) = self.told.get_mut(&to) else { return capacity };
        let old: Vec<_> = told.extract_if(.., |_, at| now.since(*at) >= memory).map(|(key, _)| key).collect();
        let left = told.len();
        if left == 0 {
            self.told.remove(&to);
        }
        for key in old {
            self.unname(key, to);
        }
        capacity.saturating_sub(left)
    }

    /// Whether `to` was told of `key`, as far as remembered.
    pub(super) fn contains(&self, to: Member, key: PersonaId) -> bool {
        self.told.get(&to).is_some_and(|told| told.contains_key(&key))
    }

    /// Remembers that `to` is told of `key` now.
    pub(super) fn insert(&mut self, to: Member, key: PersonaId, now: Instant) {
        self.told.entry(to).or_default().insert(key, now);
        self.named.entry(key).or_default().insert(to);
    }

    /// Forgets all that `to` was told.
    pub(super) fn forget_told(&mut self, to: Member) {
        for (key, _) in self.told.remove(&to).unwrap_or_default() {
            self.unname(key, to);
        }
    }

    /// Forgets all who were told of `key`.
    pub(super) fn forget_named(&mut self, key: PersonaId) {
        for to in self.named.remove(&key).unwrap_or_default() {
            if let Some(told) = self.told.get_mut(&to) {
                told.remove(&key);
                if told.is_empty() {
                    self.told.remove(&to);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.told.values().map(BTreeMap::len).sum()
    }

    fn unname(&mut self, key: PersonaId, to: Member) {
        if let Some(members) = self.named.get_mut(&key) {
            members.remove(&to);
            if members.is_empty() {
                self.named.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_is_remembered_for_its_time() {
        let mut introductions = Introductions::default();
        introductions.insert(AT_A, B, Instant::START);

        assert_eq!(introductions.room(AT_A, 2, MEMORY, Instant::from_millis(999)), 1);
        assert!(introductions.contains(AT_A, B));
        assert!(!introductions.contains(AT_B, A));
        assert_eq!(introductions.room(AT_A, 2, MEMORY, Instant::from_millis(1000)), 2);
        assert!(!introductions.contains(AT_A, B));
        assert!(introductions.told.is_empty() && introductions.named.is_empty());
    }

    #[test]
    fn forgetting_goes_both_ways() {
        let mut introductions = Introductions::default();
        for (to, key) in [(AT_A, B), (AT_B, A), (AT_A, C), (AT_C, B)] {
            introductions.insert(to, key, Instant::START);
        }

        introductions.forget_told(AT_B);
        introductions.forget_named(B);

        assert_eq!(introductions.len(), 1);
        assert!(introductions.contains(AT_A, C));
        introductions.forget_told(AT_A);
        assert!(introductions.told.is_empty() && introductions.named.is_empty());
    }

    #[test]
    fn keys_of_one_connection_and_connections_of_one_key_are_told_apart() {
        let mut introductions = Introductions::default();
        introductions.insert(AT_A, C, Instant::START);

        for other in [(AT_A.0, B), (AT_B.0, A)] {
            assert!(!introductions.contains(other, C));
            assert_eq!(introductions.room(other, 2, MEMORY, Instant::START), 2);
        }
    }

    const A: PersonaId = PersonaId([1; 32]);
    const B: PersonaId = PersonaId([2; 32]);
    const C: PersonaId = PersonaId([3; 32]);
    const AT_A: Member = (ConnId(1), A);
    const AT_B: Member = (ConnId(2), B);
    const AT_C: Member = (ConnId(3), C);
    const MEMORY: Duration = Duration::from_secs(1);
}
