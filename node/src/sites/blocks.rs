//! Peers that the person blocked: for the personas that are here, no link to them is made or kept, and nothing that they say is heard.
//!
//! The person blocks a peer for a site. Where several sites know the person by one id, a peer that is blocked for one of them is blocked for
//! that id.

use bitters_machine::map::{Map, Set};
use bitters_wire::id::PersonaId;

use crate::pair::Pair;

/// Those of the personas that are here.
#[derive(Debug, Default)]
pub struct Blocks(Map<PersonaId, Set<PersonaId>>);

impl Blocks {
    /// The sites of these personas have these peers blocked.
    pub fn of(sites: impl IntoIterator<Item = (PersonaId, Vec<PersonaId>)>) -> Self {
        let mut blocks = Self::default();
        for (own, peers) in sites.into_iter().filter(|(_, peers)| !peers.is_empty()) {
            blocks.0.entry(own).or_default().extend(peers);
        }
        blocks
    }

    /// Whether a peer is blocked.
    pub fn includes(&self, Pair { own, peer }: Pair) -> bool {
        self.0.get(&own).is_some_and(|peers| peers.contains(&peer))
    }

    /// All of them.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.0.iter().flat_map(|(own, peers)| peers.iter().map(|peer| Pair { own: *own, peer: *peer }))
    }
}
