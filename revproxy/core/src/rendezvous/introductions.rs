//! Who was told of whom lately, so that nobody is introduced twice unasked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_wire::{id::NodeId, time::Instant};

/// Introductions of connected nodes.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Who was told, of whom, when.
    told: BTreeMap<NodeId, BTreeMap<NodeId, Instant>>,
    /// The same turned round, to forget a node without a walk through all.
    named: BTreeMap<NodeId, BTreeSet<NodeId>>,
}

impl Introductions {
    /// How many more can be remembered for `to`, once what is older than `memory` has been dropped.
    pub(super) fn room(&mut self, to: NodeId, capacity: usize, memory: Duration, now: Instant) -> usize {
        let Some(told) = self.told.get_mut(&to) else { return capacity };
        let old: Vec<_> = told.extract_if(.., |_, at| now.since(*at) >= memory).map(|(node, _)| node).collect();
        let left = told.len();
        if left == 0 {
            self.told.remove(&to);
        }
        for node in old {
            remove_pair(&mut self.named, node, to);
        }
        capacity.saturating_sub(left)
    }

    /// Whether `to` was told of `node`, as far as remembered.
    pub(super) fn contains(&self, to: NodeId, node: NodeId) -> bool {
        self.told.get(&to).is_some_and(|told| told.contains_key(&node))
    }

    /// Remembers that `to` is told of `node` now.
    pub(super) fn insert(&mut self, to: NodeId, node: NodeId, now: Instant) {
        self.told.entry(to).or_default().insert(node, now);
        self.named.entry(node).or_default().insert(to);
    }

    /// Forgets all that `node` was told, and all who were told of it.
    pub(super) fn forget(&mut self, node: NodeId) {
        for (named, _) in self.told.remove(&node).unwrap_or_default() {
            remove_pair(&mut self.named, named, node);
        }
        for to in self.named.remove(&node).unwrap_or_default() {
            if let Some(told) = self.told.get_mut(&to) {
                told.remove(&node);
                if told.is_empty() {
                    self.told.remove(&to);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.told.values().map(BTreeMap::len).sum()
    }
}

fn remove_pair(sets: &mut BTreeMap<NodeId, BTreeSet<NodeId>>, key: NodeId, value: NodeId) {
    if let Some(set) = sets.get_mut(&key) {
        set.remove(&value);
        if set.is_empty() {
            sets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_is_remembered_for_its_time() {
        let mut introductions = Introductions::default();
        introductions.insert(A, B, Instant::START);

        assert_eq!(introductions.room(A, 2, MEMORY, Instant::from_millis(999)), 1);
        assert!(introductions.contains(A, B));
        assert!(!introductions.contains(B, A));
        assert_eq!(introductions.room(A, 2, MEMORY, Instant::from_millis(1000)), 2);
        assert!(!introductions.contains(A, B));
        assert!(introductions.told.is_empty() && introductions.named.is_empty());
    }

    #[test]
    fn forgetting_goes_both_ways() {
        let mut introductions = Introductions::default();
        for (to, node) in [(A, B), (B, A), (A, C), (C, B)] {
            introductions.insert(to, node, Instant::START);
        }

        introductions.forget(B);

        assert_eq!(introductions.len(), 1);
        assert!(introductions.contains(A, C));
        introductions.forget(A);
        assert!(introductions.told.is_empty() && introductions.named.is_empty());
    }

    const A: NodeId = NodeId([1; 32]);
    const B: NodeId = NodeId([2; 32]);
    const C: NodeId = NodeId([3; 32]);
    const MEMORY: Duration = Duration::from_secs(1);
}
