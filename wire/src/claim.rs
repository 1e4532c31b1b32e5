//! "This persona lives on that node", said by the persona: a node that tells a lie about where a persona lives is found out
//! before anything is sent its way.

use serde::{Deserialize, Serialize};

use crate::{
    id::{NodeId, PersonaId},
    keys::{BadSignature, PersonaSecret, Signature},
};

/// A persona's signed word on the node it lives on. It holds as long as the two keys do, for both come from one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who.
    pub persona: PersonaId,
    /// Where.
    pub node: NodeId,
    signature: Signature,
}

impl Claim {
    /// The claim that `persona` lives on `node`.
    #[must_use]
    pub fn sign(persona: &PersonaSecret, node: NodeId) -> Self {
        let id = persona.id();
        Self { persona: id, node, signature: persona.sign(&text(id, node)) }
    }

    /// Checks the persona's signature.
    ///
    /// # Errors
    /// [`BadSignature`] if the persona didn't sign this.
    pub fn verify(&self) -> Result<(), BadSignature> {
        self.persona.verify(&text(self.persona, self.node), &self.signature)
    }
}

fn text(persona: PersonaId, node: NodeId) -> Vec<u8> {
    [b"bitters/claim/1".as_slice(), &persona.0, &node.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NodeSecret;

    #[test]
    fn a_claim_holds_for_its_node_only() {
        let (home, elsewhere) = (NodeSecret::new([1; 32]), NodeSecret::new([2; 32]));
        let claim = Claim::sign(&home.persona("https://a.example"), home.id());

        assert_eq!(claim.verify(), Ok(()));
        assert_eq!(Claim { node: elsewhere.id(), ..claim }.verify(), Err(BadSignature));
    }
}
