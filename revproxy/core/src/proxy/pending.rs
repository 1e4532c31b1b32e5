//! Passages whose listener hasn't been heard from, counted by whom they cost.

use std::collections::{BTreeSet, HashMap};

use bitters_machine::time::Instant;
use bitters_wire::address::Token;

use super::Config;
use crate::source::Source;

/// Since when a passage waits, and its number.
type Waiting = (Instant, u64);

#[derive(Debug, Default)]
pub(super) struct Pending {
    in_all: usize,
    of_listener: HashMap<Token, BTreeSet<Waiting>>,
    of_source: HashMap<Source, usize>,
}

impl Pending {
    pub(super) const fn len(&self) -> usize {
        self.in_all
    }

    /// Those of one listener, the oldest first.
    pub(super) fn of(&self, token: Token) -> impl Iterator<Item = u64> {
        self.of_listener.get(&token).into_iter().flatten().map(|&(_, id)| id)
    }

    pub(super) fn is_full(&self, token: Token, source: Source, config: &Config) -> bool {
        self.in_all >= config.pending
            || self.of_source.get(&source).is_some_and(|&count| count >= config.pending_per_source)
            || self.of_listener.get(&token).is_some_and(|all| all.len() >= config.pending_per_listener)
    }

    pub(super) fn insert(&mut self, token: Token, source: Source, waiting: Waiting) {
        self.in_all += 1;
        self.of_listener.entry(token).or_default().insert(waiting);
        *self.of_source.entry(source).or_default() += 1;
    }

    pub(super) fn remove(&mut self, token: Token, source: Source, waiting: Waiting) {
        self.in_all -= 1;
        if let Some(all) = self.of_listener.get_mut(&token) {
            all.remove(&waiting);
            if all.is_empty() {
                self.of_listener.remove(&token);
            }
        }
        if let Some(count) = self.of_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&source);
            }
        }
    }
}
