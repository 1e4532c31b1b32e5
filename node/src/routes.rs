//! Which node a persona lives on, as the persona itself signed it.
//!
//! Such a claim holds as long as the two keys do, so a route outlives the link that brought it: with the link gone, it still
//! tells whom to dial. But a persona may move to another node. When its home says that it isn't there, it is *missed*: the
//! rendezvous is asked again before the next dial leads to the same home.

use std::collections::VecDeque;

use bitters_wire::{
    claim::Claim,
    id::{NodeId, PersonaId},
    keys::BadSignature,
    map::{Map, Set},
};

use crate::quotas::{MAX_CLAIMS, MAX_LINKS};

/// All that the links of one node may claim.
const CAPACITY: usize = MAX_CLAIMS * MAX_LINKS;

/// Verified homes of personas.
#[derive(Debug, Default)]
pub struct Routes {
    homes: Map<PersonaId, NodeId>,
    missed: Set<PersonaId>,
    order: VecDeque<PersonaId>,
}

impl Routes {
    /// Learns a claim, if it is true.
    ///
    /// # Errors
    /// [`BadSignature`] if the persona didn't sign it.
    pub fn learn(&mut self, claim: &Claim) -> Result<(), BadSignature> {
        if self.home(claim.persona) == Some(claim.node) {
            self.found(claim.persona);
            return Ok(());
        }
        claim.verify()?;
        self.found(claim.persona);
        if self.homes.insert(claim.persona, claim.node).is_none() {
            self.order.push_back(claim.persona);
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.homes.remove(&oldest);
            self.missed.remove(&oldest);
        }
        Ok(())
    }

    /// A node says that a persona isn't there.
    pub fn miss(&mut self, persona: PersonaId, node: NodeId) {
        if self.home(persona) == Some(node) {
            self.missed.insert(persona);
        }
    }

    /// A persona speaks from a node.
    pub fn heard(&mut self, persona: PersonaId, node: NodeId) {
        if self.home(persona) == Some(node) {
            self.found(persona);
        }
    }

    /// A persona is at its home after all, or nobody knows better.
    pub fn found(&mut self, persona: PersonaId) {
        self.missed.remove(&persona);
    }

    /// Whether the home of a persona said last that it isn't there.
    pub fn is_missed(&self, persona: PersonaId) -> bool {
        self.missed.contains(&persona)
    }

    /// Personas that live on a node.
    pub fn personas_of(&self, node: NodeId) -> Set<PersonaId> {
        self.homes.iter().filter(|(_, home)| **home == node).map(|(persona, _)| *persona).collect()
    }

    /// The node that a persona lives on.
    pub fn home(&self, persona: PersonaId) -> Option<NodeId> {
        self.homes.get(&persona).copied()
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::keys::NodeSecret;

    use super::*;

    #[test]
    fn only_a_true_claim_is_learnt() {
        let (home, other) = (NodeSecret::new([1; 32]), NodeSecret::new([2; 32]));
        let claim = Claim::sign(&home.persona("https://a.example"), home.id());
        let mut lie = claim;
        lie.node = other.id();
        let mut routes = Routes::default();

        assert_eq!(routes.learn(&lie), Err(BadSignature));
        assert_eq!(routes.home(claim.persona), None);

        assert_eq!(routes.learn(&claim), Ok(()));
        assert_eq!(routes.home(claim.persona), Some(home.id()));
        assert_eq!(routes.learn(&lie), Err(BadSignature));
        assert_eq!(routes.home(claim.persona), Some(home.id()));
    }

    #[test]
    fn only_its_home_can_miss_a_persona_and_a_claim_finds_it() {
        let (home, other) = (NodeSecret::new([1; 32]), NodeSecret::new([2; 32]));
        let claim = Claim::sign(&home.persona("https://a.example"), home.id());
        let mut routes = Routes::default();
        routes.miss(claim.persona, home.id());
        assert!(!routes.is_missed(claim.persona));

        routes.learn(&claim).unwrap();
        routes.miss(claim.persona, other.id());
        assert!(!routes.is_missed(claim.persona));
        routes.miss(claim.persona, home.id());
        assert!(routes.is_missed(claim.persona));
        routes.learn(&claim).unwrap();
        assert!(!routes.is_missed(claim.persona));
    }
}
