//! A persona's key of one day.
//!
//! ```text
//! h       = SHA-512("bitters/record/blind/1" ‖ A ‖ day) mod ℓ
//! A'      = h·A
//! a'      = h·a mod ℓ
//! prefix' = SHA-512("bitters/record/prefix/1" ‖ prefix ‖ day)[..32]
//! ```
//!
//! `A` is the persona's id, `a` and `prefix` are what Ed25519 makes of its seed (RFC 8032, section 5.1.5), and the
//! day is 4 bytes, high byte first. This is the blinding of Tor's onion services (rend-spec-v3, appendix A.2) with
//! another hash. Tor clamps `h`, so that `A'` has no part of small order. Here `h` isn't clamped. Keys that have such a
//! part are refused instead, whether they are `A` or `A'`. Otherwise one secret would fit eight keys, and a signature that
//! is good for one verifier could be bad for another.
//!
//! Whoever knows `A` computes `A'`. Whoever knows `A'` checks what `a'` signed. Without `A`, the keys of two days
//! look like the keys of two personas.

use bitters_wire::{
    id::PersonaId,
    keys::{BadSignature, PersonaSecret, Signature},
};
use curve25519_dalek::{EdwardsPoint, Scalar, edwards::CompressedEdwardsY};
use ed25519_dalek::{
    Signature as DalekSignature, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::day::Day;

const BLIND_DOMAIN: &[u8] = b"bitters/record/blind/1";
const PREFIX_DOMAIN: &[u8] = b"bitters/record/prefix/1";

/// A persona's public key of one day, `A'`: 32 bytes, as Ed25519 writes keys. If it came from outside, it may be any
/// bytes until a signature by it has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlindedKey(pub [u8; 32]);

/// What a persona signs with on one day. It is overwritten when it is dropped.
pub struct BlindedSecret {
    persona: PersonaId,
    day: Day,
    key: VerifyingKey,
    secret: ExpandedSecretKey,
}

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The bytes are no point of the curve, or one that is written in other bytes.
    #[error("the key is no point of the curve")]
    NotAPoint,
    /// The point has an order of 1, 2, 4 or 8: everybody knows its secret.
    #[error("the key has a small order")]
    SmallOrder,
    /// The point is the sum of a good one and one of small order.
    #[error("the key has a part of small order")]
    Torsioned,
}

/// Why a signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The bytes are no key.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// The key didn't sign this.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl BlindedKey {
    /// The key of a persona on a day.
    ///
    /// # Errors
    /// [`BadKey`] if the id is no key that a persona can have.
    pub fn of(persona: PersonaId, day: Day) -> Result<Self, BadKey> {
        let point = factor(persona, day) * point(&persona.0)?;
        Ok(Self(point.compress().to_bytes()))
    }

    /// Checks a signature by this key, strictly.
    ///
    /// # Errors
    /// [`Unproven`] if the key or the signature is not good.
    pub fn verify(&self, text: &[u8], signature: &Signature) -> Result<(), Unproven> {
        let key = VerifyingKey::from(point(&self.0)?);
        let signature = DalekSignature::from_bytes(&signature.0);
        Ok(key.verify_strict(text, &signature).map_err(|_| BadSignature)?)
    }
}

impl BlindedSecret {
    /// The secret of a persona on a day.
    #[must_use]
    pub fn of(secret: &PersonaSecret, day: Day) -> Self {
        let persona = secret.id();
        let seed = Zeroizing::new(<[u8; 32]>::from(secret.clone()));
        let mut secret = ExpandedSecretKey::from(&*seed);
        secret.scalar *= factor(persona, day);
        let hash = sha512(&[PREFIX_DOMAIN, &secret.hash_prefix, &day.to_bytes()]);
        secret.hash_prefix.copy_from_slice(&hash[..32]);
        Self { persona, day, key: VerifyingKey::from(&secret), secret }
    }

    /// Whose it is.
    #[must_use]
    pub const fn persona(&self) -> PersonaId {
        self.persona
    }

    /// Of which day it is.
    #[must_use]
    pub const fn day(&self) -> Day {
        self.day
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> BlindedKey {
        BlindedKey(self.key.to_bytes())
    }

    /// Signs with it.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Signature {
        Signature(raw_sign::<Sha512>(&self.secret, text, &self.key).to_bytes())
    }
}

impl std::fmt::Debug for BlindedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlindedSecret(..)")
    }
}

/// `h`.
fn factor(persona: PersonaId, day: Day) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&sha512(&[BLIND_DOMAIN, &persona.0, &day.to_bytes()]))
}

fn sha512(parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let hash = parts.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part));
    Zeroizing::new(hash.finalize().into())
}

/// The point that a key is, which is a multiple of the base point other than zero.
fn point(key: &[u8; 32]) -> Result<EdwardsPoint, BadKey> {
    let point = CompressedEdwardsY(*key).decompress().ok_or(BadKey::NotAPoint)?;
    if point.compress().as_bytes() != key {
        Err(BadKey::NotAPoint)
    } else if point.is_small_order() {
        Err(BadKey::SmallOrder)
    } else if !point.is_torsion_free() {
        Err(BadKey::Torsioned)
    } else {
        Ok(point)
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    use super::*;
    use crate::samples::{alice, bob};

    const TODAY: Day = Day(20_454);

    #[test]
    fn a_key_of_small_order_is_refused() {
        for point in EIGHT_TORSION {
            let bytes = point.compress().to_bytes();
            assert_eq!(BlindedKey::of(PersonaId(bytes), TODAY), Err(BadKey::SmallOrder));
            assert_eq!(BlindedKey(bytes).verify(b"", &Signature([0; 64])), Err(BadKey::SmallOrder.into()));
        }
    }

    #[test]
    fn a_key_with_a_part_of_small_order_is_refused() {
        for key in [alice().id().0, BlindedSecret::of(&alice(), TODAY).key().0] {
            for torsion in &EIGHT_TORSION[1..] {
                let bytes = (point(&key).unwrap() + torsion).compress().to_bytes();
                assert_eq!(BlindedKey::of(PersonaId(bytes), TODAY), Err(BadKey::Torsioned));
                assert_eq!(BlindedKey(bytes).verify(b"", &Signature([0; 64])), Err(BadKey::Torsioned.into()));
            }
        }
    }

    /// `p` is 2^255 - 19, so a `y` below 19 can be written as `p + y` as well.
    #[test]
    fn a_key_has_one_spelling() {
        let misspelt = (0..19).map(|y| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (0xed + y, 0x7f);
            bytes
        });
        let points = misspelt.filter(|bytes| CompressedEdwardsY(*bytes).decompress().is_some());
        let refused: Vec<_> = points.map(|bytes| BlindedKey::of(PersonaId(bytes), TODAY)).collect();
        assert!(refused.len() > 3 && refused.iter().all(|key| *key == Err(BadKey::NotAPoint)), "{refused:?}");
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", BlindedSecret::of(&alice(), TODAY)), "BlindedSecret(..)");
    }

    proptest! {
        #[test]
        fn both_halves_of_a_blinded_key_fit(seed: [u8; 32], day: u32, text: Vec<u8>) {
            let (persona, day) = (PersonaSecret::new(seed), Day(day));
            let secret = BlindedSecret::of(&persona, day);
            prop_assert_eq!(BlindedKey::of(persona.id(), day), Ok(secret.key()));
            prop_assert_eq!((secret.persona(), secret.day()), (persona.id(), day));
            prop_assert_eq!(secret.key().verify(&text, &secret.sign(&text)), Ok(()));
        }

        #[test]
        fn no_key_signs_for_another_day_or_persona(day in 0..u32::MAX, other: u32, text: Vec<u8>) {
            prop_assume!(day != other);
            let [day, other] = [day, other].map(Day);
            let signature = BlindedSecret::of(&alice(), day).sign(&text);
            for wrong in [BlindedSecret::of(&alice(), other), BlindedSecret::of(&bob(), day)] {
                prop_assert_eq!(wrong.key().verify(&text, &signature), Err(BadSignature.into()));
                prop_assert_ne!(wrong.sign(&text), signature);
            }
            let unblinded = BlindedKey(alice().id().0);
            prop_assert_eq!(unblinded.verify(&text, &signature), Err(BadSignature.into()));
        }

        /// Two keys of one persona differ by a factor. To compute that factor takes the persona's id.
        #[test]
        fn who_knows_a_day_does_not_know_the_next(day in 0..u32::MAX) {
            let (day, next) = (Day(day), Day(day).after());
            let [known, wanted] = [day, next].map(|day| BlindedKey::of(alice().id(), day).unwrap());
            for day in [day, next] {
                prop_assert_ne!(BlindedKey::of(PersonaId(known.0), day).unwrap(), wanted);
            }
            let back = factor(PersonaId(known.0), day).invert() * point(&known.0).unwrap();
            prop_assert_ne!(back.compress().to_bytes(), alice().id().0);
        }

        #[test]
        fn other_bytes_are_no_key_or_a_good_one(bytes: [u8; 32]) {
            match BlindedKey::of(PersonaId(bytes), TODAY) {
                Ok(key) => prop_assert!(point(&bytes).is_ok() && point(&key.0).is_ok()),
                Err(error) => prop_assert_eq!(point(&bytes), Err(error)),
            }
        }
    }
}
