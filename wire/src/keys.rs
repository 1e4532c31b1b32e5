//! A node's secret and what is derived from it.
//!
//! Each site meets its own *persona*, an Ed25519 key derived from the node's secret and the site's origin with HKDF-SHA256
//! (RFC 5869): a pairwise identifier in the words of OpenID Connect Core 1.0, section 8.1. Two sites that compare notes find
//! nothing equal.

use ed25519_dalek::{Signature as DalekSignature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::id::{Boot, LinkId, NodeId, PersonaId};

/// An Ed25519 signature (RFC 8032), 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(#[serde(with = "serde_bytes")] pub [u8; 64]);

/// Bytes that are not a signature by that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// What only the leader holds: 32 random bytes, kept in its store.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct NodeSecret([u8; 32]);

/// A persona's Ed25519 seed, and the public key, which costs as much as a signature to compute. A frame is given its own site's and no other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u8; 32]", into = "[u8; 32]")]
pub struct PersonaSecret(Box<SigningKey>);

impl From<[u8; 32]> for PersonaSecret {
    fn from(seed: [u8; 32]) -> Self {
        Self::new(seed)
    }
}

impl From<PersonaSecret> for [u8; 32] {
    fn from(secret: PersonaSecret) -> Self {
        secret.0.to_bytes()
    }
}

impl NodeSecret {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The bytes, for the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The node's public key.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId(self.node_key().verifying_key().to_bytes())
    }

    /// Signs as the node.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.node_key().sign(message).to_bytes())
    }

    /// The persona of the site at `origin` (a serialised origin, as `MessageEvent.origin` gives it).
    #[must_use]
    pub fn persona(&self, origin: &str) -> PersonaSecret {
        PersonaSecret::new(self.derive("persona", origin))
    }

    /// The person's own persona: the same on every site that they let know it. No origin's can be equal to it.
    #[must_use]
    pub fn person(&self) -> PersonaSecret {
        PersonaSecret::new(self.derive("person", ""))
    }

    /// How a peer knows the attempt that a link comes from. It tells nothing of other links, of other personas or of the order, and the next
    /// leader knows it, too, without being told.
    #[must_use]
    pub fn attempt_number(&self, link: LinkId, own: PersonaId, peer: PersonaId) -> u32 {
        let hash = Sha256::new()
            .chain_update(self.derive("attempts", ""))
            .chain_update(own.0)
            .chain_update(peer.0)
            .chain_update(link.epoch.0.to_be_bytes())
            .chain_update(link.number.to_be_bytes())
            .finalize();
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }

    /// What is random in the signals of one leadership is drawn from this.
    #[must_use]
    pub fn signal_seed(&self, boot: Boot) -> [u8; 32] {
        Sha256::new().chain_update(self.derive("signals", "")).chain_update(boot.0.as_bytes()).finalize().into()
    }

    fn node_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.derive("node", ""))
    }

    fn derive(&self, kind: &str, who: &str) -> [u8; 32] {
        let mut out = [0; 32];
        Hkdf::<Sha256>::new(Some(b"bitters/keys/1"), &self.0)
            .expand_multi_info(&[kind.as_bytes(), b"\0", who.as_bytes()], &mut out)
            .expect("32 bytes are within HKDF's bound");
        out
    }
}

impl PersonaSecret {
    /// From a seed. Tests and the store use this; a persona is otherwise derived.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(&seed)))
    }

    /// The persona's public key.
    #[must_use]
    pub fn id(&self) -> PersonaId {
        PersonaId(self.0.verifying_key().to_bytes())
    }

    /// Signs as the persona.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// The X25519 secret of the same key (RFC 7748), for Noise: the scalar that Ed25519 hashes out of the seed.
    #[must_use]
    pub fn noise_secret(&self) -> [u8; 32] {
        self.0.to_scalar_bytes()
    }

    /// What the addresses of this persona grant.
    #[must_use]
    pub fn grant(&self) -> Grant {
        let mut out = [0; 16];
        Hkdf::<Sha256>::new(Some(b"bitters/grant/1"), self.0.as_bytes())
            .expand(b"", &mut out)
            .expect("16 bytes are within HKDF's bound");
        Grant(out)
    }
}

/// Whoever has it may know the network addresses of the persona's browser: the persona gave it away, in an address.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant(pub [u8; 16]);

/// Proof that a dialler has a listener's grant: of no use to another dialler, or at another listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantProof(pub [u8; 16]);

impl Grant {
    /// That `dialler` has it, who dials `listener`: the beginning of an HMAC-SHA256 over both identities.
    #[must_use]
    pub fn proof(&self, dialler: PersonaId, listener: PersonaId) -> GrantProof {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [b"bitters/grant/1".as_slice(), &dialler.0, &listener.0] {
            mac.update(part);
        }
        let mut proof = [0; 16];
        proof.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        GrantProof(proof)
    }

    /// Whether `proof` is that.
    #[must_use]
    pub fn is_proven(&self, proof: GrantProof, dialler: PersonaId, listener: PersonaId) -> bool {
        let differs = self.proof(dialler, listener).0.iter().zip(proof.0).fold(0, |sum, (a, b)| sum | (a ^ b));
        differs == 0
    }
}

impl PersonaId {
    /// Checks a signature by this persona, strictly (no small-order keys).
    ///
    /// # Errors
    /// [`BadSignature`] if the key or the signature is not good.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        verify(&self.0, message, signature)
    }

    /// The X25519 public key of the same key (RFC 7748, section 4.1), for Noise.
    ///
    /// # Errors
    /// [`BadSignature`] if these bytes are no point of the curve.
    pub fn noise_key(&self) -> Result<[u8; 32], BadSignature> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature)?;
        if key.is_weak() {
            return Err(BadSignature);
        }
        Ok(key.to_montgomery().to_bytes())
    }
}

impl NodeId {
    /// Checks a signature by this node, strictly (no small-order keys).
    ///
    /// # Errors
    /// [`BadSignature`] if the key or the signature is not good.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        verify(&self.0, message, signature)
    }
}

impl std::fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeSecret(..)")
    }
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grant(..)")
    }
}

impl std::fmt::Debug for PersonaSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonaSecret(..)")
    }
}

fn verify(key: &[u8; 32], message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(message, &DalekSignature::from_bytes(&signature.0)))
        .map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personas_are_stable_and_share_nothing() {
        let node = NodeSecret::new([7; 32]);
        let alice = node.persona("http://alice.localhost").id();
        let bob = node.persona("http://bob.localhost").id();

        assert_eq!(alice, NodeSecret::new([7; 32]).persona("http://alice.localhost").id());
        assert_ne!(alice, bob);
        assert_ne!(alice.0, node.id().0);
        assert_ne!(alice, NodeSecret::new([8; 32]).persona("http://alice.localhost").id());
        assert_ne!(node.person().id(), node.persona("").id());
        assert_ne!(node.person().id().0, node.id().0);
    }

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let node = NodeSecret::new([7; 32]);
        let persona = node.persona("https://a.example");
        let signature = persona.sign(b"this");

        assert_eq!(persona.id().verify(b"this", &signature), Ok(()));
        assert_eq!(persona.id().verify(b"that", &signature), Err(BadSignature));
        assert_eq!(node.id().verify(b"this", &signature), Err(BadSignature));
        assert_eq!(PersonaId([0; 32]).verify(b"this", &signature), Err(BadSignature));
        assert_eq!(PersonaId([0; 32]).noise_key(), Err(BadSignature));
    }

    #[test]
    fn a_grant_is_proven_by_one_dialler_to_one_listener() {
        let [alice, bob, mallory] = [1, 2, 3].map(|n| PersonaSecret::new([n; 32]));
        let proof = alice.grant().proof(bob.id(), alice.id());
        assert!(alice.grant().is_proven(proof, bob.id(), alice.id()));
        assert!(!alice.grant().is_proven(proof, mallory.id(), alice.id()), "carried to another dialler");
        assert!(!mallory.grant().is_proven(proof, bob.id(), alice.id()));
        assert!(!alice.grant().is_proven(alice.grant().proof(alice.id(), bob.id()), bob.id(), alice.id()));
        assert_ne!(alice.grant(), bob.grant());
    }

    #[test]
    fn secrets_do_not_print() {
        let node = NodeSecret::new([7; 32]);
        let persona = node.persona("o");
        assert_eq!(format!("{node:?} {persona:?} {:?}", persona.grant()), "NodeSecret(..) PersonaSecret(..) Grant(..)");
    }
}
