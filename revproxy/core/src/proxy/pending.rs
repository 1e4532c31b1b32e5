//! Passages whose listener hasn't been heard from. Strangers share this pool: no source fills it, nor a listener's part of it, and where
//! there is no room the oldest passage of the network that has most gives way.

use std::collections::{BTreeSet, HashMap};

use bitters_machine::time::Instant;
use bitters_wire::address::Token;

use super::Config;
use crate::source::{Net, Source};

/// Since when a passage waits, and its number.
type Waiting = (Instant, u64);

#[derive(Debug, Default)]
pub(super) struct Pending {
    sources: HashMap<u64, Source>,
    of_listener: HashMap<Token, BTreeSet<Waiting>>,
    of_net: HashMap<Net, BTreeSet<Waiting>>,
    /// How many each network has for each listener.
    of_both: HashMap<(Token, Net), usize>,
    /// The widest networks, by how many passages each has.
    ranks: BTreeSet<(usize, Net)>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    /// Those of one listener, the oldest first.
    pub(super) fn of(&self, token: Token) -> impl Iterator<Item = u64> + Clone {
        self.of_listener.get(&token).into_iter().flatten().map(|&(_, id)| id)
    }

    /// Where one comes from.
    pub(super) fn source(&self, id: u64) -> Source {
        self.sources[&id]
    }

    /// Whether a source has all that it may have, in all or for one listener.
    pub(super) fn refuses(&self, token: Token, source: Source, config: &Config) -> bool {
        source.nets().any(|net| {
            let of_both =
                net.bound(config.pending_per_listener_and_source).min(config.pending_per_listener.div_ceil(2));
            self.of_net.get(&net).is_some_and(|all| all.len() >= net.bound(config.pending_per_source))
                || self.of_both.get(&(token, net)).is_some_and(|&count| count >= of_both)
        })
    }

    /// The passage that gives way for one more, if there is no room: without progress if there is one.
    pub(super) fn gives_way(&self, token: Token, config: &Config, has_progress: impl Fn(u64) -> bool) -> Option<u64> {
        if self.of_listener.get(&token).is_some_and(|all| all.len() >= config.pending_per_listener) {
            let mut counts: HashMap<Net, usize> = HashMap::new();
            for id in self.of(token) {
                *counts.entry(self.sources[&id].widest()).or_default() += 1;
            }
            let (_, greediest) = counts.into_iter().map(|(net, count)| (count, net)).max()?;
            let all = self.of(token).filter(|id| self.sources[id].widest() == greediest);
            return oldest(all, has_progress);
        }
        let (_, greediest) = self.ranks.last().filter(|_| self.len() >= config.pending)?;
        oldest(self.of_net.get(greediest)?.iter().map(|&(_, id)| id), has_progress)
    }

    pub(super) fn insert(&mut self, token: Token, source: Source, waiting: Waiting) {
        self.sources.insert(waiting.1, source);
        self.of_listener.entry(token).or_default().insert(waiting);
        self.unrank(source);
        for net in source.nets() {
            self.of_net.entry(net).or_default().insert(waiting);
            *self.of_both.entry((token, net)).or_default() += 1;
        }
        self.rank(source);
    }

    pub(super) fn remove(&mut self, token: Token, waiting: Waiting) {
        let Some(source) = self.sources.remove(&waiting.1) else { return };
        remove(&mut self.of_listener, &token, waiting);
        self.unrank(source);
        for net in source.nets() {
            remove(&mut self.of_net, &net, waiting);
            if let Some(count) = self.of_both.get_mut(&(token, net)) {
                *count -= 1;
                if *count == 0 {
                    self.of_both.remove(&(token, net));
                }
            }
        }
        self.rank(source);
    }

    fn rank(&mut self, source: Source) {
        let net = source.widest();
        if let Some(all) = self.of_net.get(&net) {
            self.ranks.insert((all.len(), net));
        }
    }

    fn unrank(&mut self, source: Source) {
        let net = source.widest();
        self.ranks.remove(&(self.of_net.get(&net).map_or(0, BTreeSet::len), net));
    }
}

/// The first without progress, else the first.
fn oldest(mut all: impl Iterator<Item = u64> + Clone, has_progress: impl Fn(u64) -> bool) -> Option<u64> {
    all.clone().find(|id| !has_progress(*id)).or_else(|| all.next())
}

fn remove<K: std::hash::Hash + Eq>(all: &mut HashMap<K, BTreeSet<Waiting>>, key: &K, waiting: Waiting) {
    if let Some(some) = all.get_mut(key) {
        some.remove(&waiting);
        if some.is_empty() {
            all.remove(key);
        }
    }
}
