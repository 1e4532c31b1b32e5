//! How a record is signed, sealed, checked and opened.
//!
//! ```text
//! body key  = HKDF-SHA256(persona's id, salt: "bitters/record/body/1", info: day ‖ record's salt ‖ 16 random bytes)
//! sealed    = 16 random bytes ‖ ChaCha20-Poly1305(body key, nonce: 0, body)
//! signature = by the blinded key, over "bitters/record/sign/1" ‖ blinded key ‖ salt ‖ seq ‖ until ‖ sealed
//! ```
//!
//! In these texts the salt has 1 byte, the sequence number 8, and the end (minutes since 1970) 4. High bytes come
//! first. A body key is made with random bytes, so it seals one body only. That is why the nonce may be zero. Only
//! those who may reach the persona know its id. Everybody else sees random bytes, always of the same length.
//!
//! A persona's records of one day and one salt replace each other: the record with the highest sequence number
//! counts. The caller counts anew for each blinded key and begins with the current minute. If the numbers went on
//! from one day to the next, a number that stands out would tell which two keys are of one persona.

use std::time::Duration;

use bitters_wire::{id::PersonaId, keys::Signature};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    blind::{BadKey, BlindedKey, BlindedSecret, Unproven},
    body::{BadBody, Body, PLAIN},
    day::Day,
};

/// How many seconds a record lasts, at most. A persona publishes its record every 40 minutes, so two of three may get
/// lost.
pub const TTL_SECS: u64 = 2 * 60 * 60;

/// How many seconds the persona's clock may be ahead of the clock of a node that keeps its record.
pub const AHEAD_SECS: u64 = 10 * 60;

/// Bytes of a sealed body that this build makes: random bytes (16), the padded body (720) and the cipher's tag (16).
pub const SEALED: usize = RANDOM + PLAIN + TAG;

/// Bytes of a sealed body that is kept, at most. It is more than this build makes, because later builds may say more.
pub const MAX_SEALED: usize = 1000;

/// Bytes of an encoded record, at most: the key (32), the salt (1), the sequence number (10), the end (5), the sealed
/// body with its length (2) and the signature with its length (65). Records that this build makes have at most 867.
pub const MAX_RECORD: usize = 32 + 1 + 10 + 5 + 2 + MAX_SEALED + 65;

const RANDOM: usize = 16;
const TAG: usize = 16;
/// Seconds.
const MINUTE: u64 = 60;
const BODY_DOMAIN: &[u8] = b"bitters/record/body/1";
const SIGN_DOMAIN: &[u8] = b"bitters/record/sign/1";

/// Tells apart the records, at most four, that a persona publishes on one day. Each is kept at positions of its own.
/// If the nodes at some of them lie or are gone, the persona and its readers use another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Salt(u8);

/// A number that is no salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a salt is 0, 1, 2 or 3")]
pub struct NotASalt;

/// A record, as nodes keep it and pass it on. If it came from outside, it may say anything until it has been
/// [checked](Self::check).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    key: BlindedKey,
    salt: Salt,
    seq: u64,
    /// Minutes since 1970.
    until: u32,
    #[serde(with = "serde_bytes")]
    sealed: Vec<u8>,
    signature: Signature,
}

/// Why a record isn't kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// It has ended.
    #[error("the record has expired")]
    Expired,
    /// It ends too far in the future.
    #[error("the record would last longer than {:?}", Duration::from_secs(TTL_SECS))]
    TooLasting,
    /// Its sealed body has too many bytes.
    #[error("the record's body has more than {MAX_SEALED} bytes")]
    TooLong,
    /// Its blinded key is no key, or didn't sign it.
    #[error(transparent)]
    Unproven(#[from] Unproven),
}

/// Why a record can't be opened as the record of a persona and a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// What the persona sealed is no body.
    #[error(transparent)]
    Body(#[from] BadBody),
    /// It is of another persona or another day.
    #[error("the record is of another persona or another day")]
    NotTheirs,
    /// The persona's id is no key.
    #[error(transparent)]
    Persona(#[from] BadKey),
    /// The persona signed it, but didn't seal it for those who know its id.
    #[error("the record's body can't be opened")]
    Sealed,
    /// The persona didn't sign it.
    #[error(transparent)]
    Unproven(#[from] Unproven),
}

impl Salt {
    /// All salts, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self(0), Self(1), Self(2), Self(3)];
}

impl TryFrom<u8> for Salt {
    type Error = NotASalt;

    fn try_from(number: u8) -> Result<Self, NotASalt> {
        Self::ALL.get(usize::from(number)).copied().ok_or(NotASalt)
    }
}

impl From<Salt> for u8 {
    fn from(salt: Salt) -> Self {
        salt.0
    }
}

impl Record {
    /// Seals and signs a record. `until` is its end in unix seconds, at most [`TTL_SECS`] from now. It is rounded
    /// down to a minute, so that seconds don't show by how much the persona's clock is off. The caller draws new
    /// `random` bytes for each record.
    #[must_use]
    pub fn seal(secret: &BlindedSecret, salt: Salt, seq: u64, until: u64, body: &Body, random: [u8; RANDOM]) -> Self {
        let cipher = cipher(secret.persona(), secret.day(), salt, &random);
        let sealed = cipher.encrypt(&[0; 12].into(), body.encode().as_slice());
        let sealed = sealed.expect("a body is far below the cipher's bound");
        let sealed = [random.as_slice(), &sealed].concat();
        let until = u32::try_from(until / MINUTE).unwrap_or(u32::MAX);
        let mut record = Self { key: secret.key(), salt, seq, until, sealed, signature: Signature([0; 64]) };
        record.signature = secret.sign(&record.text());
        record
    }

    /// Checks all that can be checked without knowing whose record it is. `now` is in unix seconds.
    ///
    /// # Errors
    /// [`BadRecord`] says what isn't as it should be.
    pub fn check(&self, now: u64) -> Result<(), BadRecord> {
        if self.sealed.len() > MAX_SEALED {
            Err(BadRecord::TooLong)
        } else if self.has_expired(now) {
            Err(BadRecord::Expired)
        } else if self.until() > now.saturating_add(TTL_SECS + AHEAD_SECS) {
            Err(BadRecord::TooLasting)
        } else {
            Ok(self.key.verify(&self.text(), &self.signature)?)
        }
    }

    /// Opens the record of a persona and a day, and proves that it is theirs. It doesn't look at the time:
    /// [`check`](Self::check) does.
    ///
    /// # Errors
    /// [`OpenError`] says why the record isn't theirs, or can't be read.
    pub fn open(&self, persona: PersonaId, day: Day) -> Result<Body, OpenError> {
        if BlindedKey::of(persona, day)? != self.key {
            return Err(OpenError::NotTheirs);
        }
        self.key.verify(&self.text(), &self.signature)?;
        let (random, sealed) = self.sealed.split_first_chunk().ok_or(OpenError::Sealed)?;
        let plain = cipher(persona, day, self.salt, random).decrypt(&[0; 12].into(), sealed);
        Ok(Body::decode(persona, &plain.map_err(|_| OpenError::Sealed)?)?)
    }

    /// The persona's blinded key.
    #[must_use]
    pub const fn key(&self) -> BlindedKey {
        self.key
    }

    /// Which of the persona's records it is.
    #[must_use]
    pub const fn salt(&self) -> Salt {
        self.salt
    }

    /// Its sequence number: of two records with the same key and salt, the higher one counts.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// When it ends, in unix seconds: a whole minute.
    #[must_use]
    pub fn until(&self) -> u64 {
        u64::from(self.until) * MINUTE
    }

    /// Whether it has ended, at `now` in unix seconds.
    #[must_use]
    pub fn has_expired(&self, now: u64) -> bool {
        self.until() <= now
    }

    /// What is signed.
    fn text(&self) -> Vec<u8> {
        let numbers = [&[self.salt.0], self.seq.to_be_bytes().as_slice(), &self.until.to_be_bytes()].concat();
        [SIGN_DOMAIN, &self.key.0, &numbers, &self.sealed].concat()
    }
}

fn cipher(persona: PersonaId, day: Day, salt: Salt, random: &[u8; RANDOM]) -> ChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(BODY_DOMAIN), &persona.0)
        .expand_multi_info(&[&day.to_bytes(), &[salt.0], random], &mut *key)
        .expect("32 bytes are within HKDF's bound");
    ChaCha20Poly1305::new((&*key).into())
}

#[cfg(test)]
mod tests;
