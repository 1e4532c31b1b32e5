//! Whom to turn to first: servers for the uplink, and nodes met before.
//!
//! A node ships with a file of seeds and learns more from every link that comes up. What was learned is stored, merged with
//! what is shipped at the next start, and the best are tried first.

use bitters_machine::map::{Map, Set};
use std::cmp::Reverse;

use bitters_wire::{
    address::{Address, Owner},
    id::{NodeId, PersonaId},
};
use serde::{Deserialize, Serialize};

/// Seeds kept; the worst nodes go first, servers stay.
pub const MAX_SEEDS: usize = 256;

/// Who is a seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SeedId {
    /// A node that was linked once. None is dialled: links are between personas.
    Node(NodeId),
    /// A persona whose address the node ships with.
    Persona(PersonaId),
    /// A rendezvous: the URL of its WebSocket.
    Server(String),
}

/// A seed and how it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seed {
    /// Who.
    pub id: SeedId,
    /// Where it can be dialled without any server's help.
    #[serde(default)]
    pub address: Option<Address>,
    /// When it was reached last, in milliseconds since 1970.
    #[serde(default)]
    pub last_success: Option<u64>,
    /// How long that took, in milliseconds: a server to register at, a node to link to.
    #[serde(default)]
    pub latency_ms: Option<u32>,
    /// Failures since.
    #[serde(default)]
    pub failures: u32,
}

impl Seed {
    /// A seed of which nothing is known.
    #[must_use]
    pub const fn new(id: SeedId) -> Self {
        Self { id, address: None, last_success: None, latency_ms: None, failures: 0 }
    }

    /// Whoever answers at an address.
    #[must_use]
    pub fn at(address: Address) -> Self {
        let id = address.owner().into();
        Self { address: Some(address), ..Self::new(id) }
    }

    /// Fewest failures first, then whoever was ever reached, then the quickest, then the one reached last.
    fn merit(&self) -> impl Ord {
        (self.failures, self.last_success.is_none(), self.latency_ms.unwrap_or(u32::MAX), Reverse(self.last_success))
    }
}

impl From<Owner> for SeedId {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Node(node) => Self::Node(node),
            Owner::Persona(persona) => Self::Persona(persona),
        }
    }
}

/// The shipped seeds and the stored ones, each once: what was learned wins over what was shipped, and of two addresses the one that
/// lasts longer.
#[must_use]
pub fn merge(shipped: Vec<Seed>, stored: Vec<Seed>) -> Vec<Seed> {
    let mut all: Map<SeedId, Seed> = Map::new();
    for mut seed in shipped.into_iter().chain(stored) {
        let before = all.remove(&seed.id).and_then(|before| before.address);
        seed.address = later(before, seed.address);
        all.insert(seed.id.clone(), seed);
    }
    all.into_values().collect()
}

fn later(one: Option<Address>, other: Option<Address>) -> Option<Address> {
    one.into_iter().chain(other).max_by_key(Address::expires)
}

/// The seeds, best first.
#[must_use]
pub fn rank(seeds: Vec<Seed>) -> Vec<Seed> {
    let mut ranked: Vec<Seed> = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let at = ranked.partition_point(|other| (other.merit(), &other.id) <= (seed.merit(), &seed.id));
        ranked.insert(at, seed);
    }
    ranked
}

/// The seeds that a running node knows.
#[derive(Debug)]
pub struct Seeds {
    known: Map<SeedId, Seed>,
    /// Personas that have dialled the seeds which have an address, or need not.
    sown: Set<PersonaId>,
}

impl Seeds {
    /// Of a list in which a seed may stand twice.
    pub(crate) fn new(seeds: Vec<Seed>) -> Self {
        let known = merge(seeds, Vec::new()).into_iter().map(|seed| (seed.id.clone(), seed)).collect();
        Self { known, sown: Set::new() }
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many servers are known.
    pub(crate) fn servers(&self) -> usize {
        self.known.keys().filter(|id| matches!(id, SeedId::Server(_))).count()
    }

    /// The best server's URL.
    pub(crate) fn best_server(&self) -> Option<String> {
        self.ranked().find_map(|seed| match seed.id {
            SeedId::Server(url) => Some(url),
            SeedId::Node(_) | SeedId::Persona(_) => None,
        })
    }

    /// Addresses of personas that the node ships with, the best first.
    pub(crate) fn best_addresses(&self) -> impl Iterator<Item = Address> {
        self.ranked().filter_map(|seed| seed.address).filter(|address| matches!(address.owner(), Owner::Persona(_)))
    }

    /// Whether this is a seed.
    pub(crate) fn contains(&self, id: &SeedId) -> bool {
        self.known.contains_key(id)
    }

    /// A seed was reached, maybe for the first time; tells what to store.
    pub(crate) fn succeeded(&mut self, id: SeedId, latency_ms: u32, wall_clock: Option<u64>) -> Seed {
        let before = self.known.get(&id);
        let last_success = wall_clock.or(before.and_then(|seed| seed.last_success));
        let address = before.and_then(|seed| seed.address.clone());
        let seed = Seed { id: id.clone(), address, last_success, latency_ms: Some(latency_ms), failures: 0 };
        self.known.insert(id, seed.clone());
        seed
    }

    /// A seed could not be reached; tells what to store if it is known.
    pub(crate) fn failed(&mut self, id: &SeedId) -> Option<Seed> {
        let seed = self.known.get_mut(id)?;
        seed.failures = seed.failures.saturating_add(1);
        Some(seed.clone())
    }

    fn ranked(&self) -> impl Iterator<Item = Seed> {
        rank(self.known.values().cloned().collect()).into_iter()
    }

    /// Drops the worst node if there are more seeds than are kept; tells which.
    pub(crate) fn shrink(&mut self) -> Option<SeedId> {
        if self.known.len() <= MAX_SEEDS {
            return None;
        }
        let worst = self.ranked().filter(|seed| matches!(seed.id, SeedId::Node(_))).last()?.id;
        self.known.remove(&worst).map(|seed| seed.id)
    }

    /// Whether a persona has dialled the seeds which have an address, or need not.
    pub(crate) fn is_sown(&self, own: PersonaId) -> bool {
        self.sown.contains(&own)
    }

    /// A persona dials the seeds which have an address, or need not.
    pub(crate) fn sow(&mut self, own: PersonaId) {
        self.sown.insert(own);
    }

    /// A persona's last frame is gone: the next dials them again.
    pub(crate) fn unsow(&mut self, own: PersonaId) {
        self.sown.remove(&own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_wins_over_what_was_shipped() {
        let shipped = vec![server("ws://a"), server("ws://b")];
        let stored = vec![Seed { failures: 3, ..server("ws://b") }, node(1, 20)];

        let merged = merge(shipped, stored);
        assert_eq!(merged, [node(1, 20), server("ws://a"), Seed { failures: 3, ..server("ws://b") }]);
    }

    #[test]
    fn the_best_seed_fails_least_was_reached_and_is_quick() {
        let never = server("ws://never");
        let slow = Seed { last_success: Some(9), latency_ms: Some(90), ..server("ws://slow") };
        let quick = Seed { last_success: Some(5), latency_ms: Some(30), ..server("ws://quick") };
        let failing = Seed { failures: 1, latency_ms: Some(1), last_success: Some(9), ..server("ws://failing") };

        let ranked = rank(vec![failing.clone(), never.clone(), slow.clone(), quick.clone()]);
        assert_eq!(ranked, [quick, slow, never, failing]);
    }

    #[test]
    fn a_failure_moves_a_seed_back_until_it_is_reached_again() {
        let mut seeds = Seeds::new(vec![server("ws://a"), server("ws://b")]);
        let a = SeedId::Server("ws://a".into());

        assert_eq!(seeds.failed(&a), Some(Seed { failures: 1, ..server("ws://a") }));
        assert_eq!(seeds.best_server(), Some("ws://b".into()));

        let reached = seeds.succeeded(a, 12, Some(1_700_000_000_000));
        let known = Seed { last_success: Some(1_700_000_000_000), latency_ms: Some(12), ..server("ws://a") };
        assert_eq!(reached, known);
        assert_eq!(seeds.best_server(), Some("ws://a".into()));
        assert_eq!(seeds.failed(&node(7, 1).id), None, "a stranger that fails is no seed");
    }

    #[test]
    fn the_worst_nodes_make_room() {
        let mut seeds = Seeds::new(vec![server("ws://a")]);
        for n in 0..=u8::MAX {
            seeds.succeeded(node(n, 0).id, 1000 - u32::from(n), None);
        }
        assert_eq!((seeds.shrink(), seeds.shrink()), (Some(node(0, 0).id), None), "the slowest goes");
        assert_eq!((seeds.len(), seeds.servers()), (MAX_SEEDS, 1));
    }

    #[test]
    fn a_shipped_seed_needs_no_more_than_its_id() {
        let json = r#"{"id":{"server":"ws://a"}}"#;
        assert_eq!(serde_json::from_str::<Seed>(json).unwrap(), server("ws://a"));
    }

    fn server(url: &str) -> Seed {
        Seed::new(SeedId::Server(url.into()))
    }

    fn node(n: u8, latency: u32) -> Seed {
        Seed { latency_ms: Some(latency), ..Seed::new(SeedId::Node(NodeId([n; 32]))) }
    }
}
