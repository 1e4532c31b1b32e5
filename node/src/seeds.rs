//! Whom to turn to first: servers for the uplink, and nodes met before.
//!
//! A node ships with a file of seeds and learns more from every link that comes up. What was learned is stored, merged with
//! what is shipped at the next start, and the best are tried first.

use std::{cmp::Reverse, collections::BTreeMap};

use bitters_wire::id::NodeId;
use serde::{Deserialize, Serialize};

/// Seeds kept; the worst nodes go first, servers stay.
pub const MAX_SEEDS: usize = 256;

/// Who is a seed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SeedId {
    /// A node that was linked once, reached by signals.
    Node(NodeId),
    /// A rendezvous: the URL of its WebSocket.
    Server(String),
}

/// A seed and how it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seed {
    /// Who.
    pub id: SeedId,
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
        Self { id, last_success: None, latency_ms: None, failures: 0 }
    }

    /// Fewest failures first, then whoever was ever reached, then the quickest, then the one reached last.
    fn merit(&self) -> impl Ord {
        (self.failures, self.last_success.is_none(), self.latency_ms.unwrap_or(u32::MAX), Reverse(self.last_success))
    }
}

/// The shipped seeds and the stored ones, each once: what was learned wins over what was shipped.
#[must_use]
pub fn merge(shipped: Vec<Seed>, stored: Vec<Seed>) -> Vec<Seed> {
    let all: BTreeMap<SeedId, Seed> = shipped.into_iter().chain(stored).map(|seed| (seed.id.clone(), seed)).collect();
    all.into_values().collect()
}

/// The seeds, best first.
#[must_use]
pub fn rank(mut seeds: Vec<Seed>) -> Vec<Seed> {
    seeds.sort_by(|a, b| a.merit().cmp(&b.merit()).then_with(|| a.id.cmp(&b.id)));
    seeds
}
