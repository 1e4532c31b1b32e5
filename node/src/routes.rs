//! Which node a persona lives on, as the persona itself signed it.
//!
//! Such a claim holds as long as the two keys do, so a route outlives the link that brought it: with the link gone, it still
//! tells whom to dial.

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
    order: VecDeque<PersonaId>,
}

impl Routes {
    /// Learns a claim, if it is true.
    ///
    /// # Errors
    /// [`BadSignature`] if the persona didn't sign it.
    pub fn learn(&mut self, claim: &Claim) -> Result<(), BadSignature> {
        if self.home(claim.persona) == Some(claim.node) {
            return Ok(());
        }
        claim.verify()?;
        if self.homes.insert(claim.persona, claim.node).is_none() {
            self.order.push_back(claim.persona);
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.homes.remove(&oldest);
        }
        Ok(())
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
}
