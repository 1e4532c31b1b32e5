//! How many passages each network has. A network has at most half of those that there may be. Where there are as many, the network that has
//! most relayed ones makes room for others: relayed passages last for minutes, all others for seconds.

use std::collections::{BTreeSet, HashMap};

use bitters_machine::time::Instant;

use super::Config;
use crate::source::{Net, Source};

/// All passages, each counted for the widest network that its dialler is in.
#[derive(Debug, Default)]
pub(super) struct Room {
    held: HashMap<u64, Held>,
    counts: HashMap<Net, usize>,
    /// The relayed ones, the oldest of each network first.
    relayed: BTreeSet<(Net, Instant, u64)>,
    /// Networks, by how many relayed ones each has.
    ranks: BTreeSet<(usize, Net)>,
    relayed_counts: HashMap<Net, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    net: Net,
    /// Since when it is relayed, if it is.
    relayed: Option<Instant>,
}

/// Whether there is room for one more passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// There is.
    Free,
    /// There is, once this passage has given way.
    InsteadOf(u64),
    /// There is none.
    No,
}

impl Room {
    /// Whether a source may have one more.
    pub(super) fn admission(&self, source: Source, config: &Config) -> Admission {
        let own = count(&self.counts, source.widest());
        if own >= config.passages.div_ceil(2) {
            return Admission::No;
        }
        if self.held.len() < config.passages {
            return Admission::Free;
        }
        // It still has as many as the newcomer's network then.
        let greediest = self.ranks.last().filter(|(most, _)| *most > own + 1);
        greediest.and_then(|&(_, net)| self.oldest_of(net)).map_or(Admission::No, Admission::InsteadOf)
    }

    pub(super) fn insert(&mut self, id: u64, source: Source) {
        let net = source.widest();
        self.held.insert(id, Held { net, relayed: None });
        *self.counts.entry(net).or_default() += 1;
    }

    /// The passage is relayed from now on.
    pub(super) fn relay(&mut self, id: u64, now: Instant) {
        let Some(held) = self.held.get_mut(&id).filter(|held| held.relayed.is_none()) else { return };
        held.relayed = Some(now);
        let net = held.net;
        self.relayed.insert((net, now, id));
        self.rerank(net, |count| count + 1);
    }

    pub(super) fn remove(&mut self, id: u64) {
        let Some(Held { net, relayed }) = self.held.remove(&id) else { return };
        let left = count(&self.counts, net) - 1;
        set(&mut self.counts, net, left);
        if let Some(since) = relayed {
            self.relayed.remove(&(net, since, id));
            self.rerank(net, |count| count - 1);
        }
    }

    fn oldest_of(&self, net: Net) -> Option<u64> {
        let first = self.relayed.range((net, Instant::START, 0)..).next();
        first.filter(|(it, ..)| *it == net).map(|&(.., id)| id)
    }

    fn rerank(&mut self, net: Net, change: impl Fn(usize) -> usize) {
        let before = count(&self.relayed_counts, net);
        let after = change(before);
        self.ranks.remove(&(before, net));
        self.ranks.extend((after > 0).then_some((after, net)));
        set(&mut self.relayed_counts, net, after);
    }
}

fn count(counts: &HashMap<Net, usize>, net: Net) -> usize {
    counts.get(&net).copied().unwrap_or_default()
}

fn set(counts: &mut HashMap<Net, usize>, net: Net, to: usize) {
    if to == 0 {
        counts.remove(&net);
    } else {
        counts.insert(net, to);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn a_network_has_at_most_half() {
        let mut room = Room::default();
        (0..4).for_each(|n| room.insert(n, host(1, 1)));

        assert_eq!(room.admission(host(1, 2), &config(8)), Admission::No);
        assert_eq!(room.admission(host(2, 1), &config(8)), Admission::Free);
    }

    #[test]
    fn the_oldest_relayed_one_of_the_greediest_network_gives_way() {
        let mut room = Room::default();
        for (id, net) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            room.insert(id, host(net, 1));
        }
        assert_eq!(room.admission(host(9, 1), &config(6)), Admission::No, "none is relayed");
        for (id, ms) in [(3, 1), (2, 2), (1, 3), (0, 4), (4, 5)] {
            room.relay(id, Instant::from_millis(ms));
        }

        assert_eq!(room.admission(host(9, 1), &config(6)), Admission::InsteadOf(2));
        assert_eq!(room.admission(host(2, 9), &config(6)), Admission::No, "it would have more than the greediest then");
        room.remove(2);
        room.remove(1);
        assert_eq!(room.admission(host(9, 1), &config(4)), Admission::InsteadOf(3));
    }

    #[test]
    fn what_has_ended_leaves_nothing() {
        let mut room = Room::default();
        for id in 0..3 {
            room.insert(id, host(1, 1));
            room.relay(id, Instant::from_millis(id));
            room.relay(id, Instant::from_millis(9));
        }
        (0..4).for_each(|id| room.remove(id));

        let Room { held, counts, relayed, ranks, relayed_counts } = room;
        assert!(held.is_empty() && counts.is_empty() && relayed_counts.is_empty());
        assert!(relayed.is_empty() && ranks.is_empty());
    }

    fn config(passages: usize) -> Config {
        Config { passages, ..Config::default() }
    }

    fn host(net: u8, host: u8) -> Source {
        IpAddr::V4(Ipv4Addr::new(198, 18, net, host)).into()
    }
}
