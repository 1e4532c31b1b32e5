//! Topics on the wire, first form.
//!
//! A topic is the SHA-256 of its name under a domain tag; its messages are sealed (XChaCha20-Poly1305, RFC 8439 with a
//! 24-byte nonce) with a key derived from the name, so servers and relays that don't know the name learn nothing. A message is
//! signed by its persona inside the seal and known by the hash of the sealed bytes.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305, aead::Aead, aead::Payload};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    codec,
    data::Data,
    id::{MessageId, PersonaId, TopicId},
    keys::{PersonaSecret, Signature},
    limits::{MAX_LOCAL, MAX_MESSAGE},
    name::Name,
};

/// What the two ends of a link say to each other about topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopicMessage {
    /// The sender's persona is in a topic.
    Joined(TopicId),
    /// The sender's persona left a topic.
    Left(TopicId),
    /// Other personas that the sender knows to be in a topic, at most [`TOPIC_NEIGHBOURS`](crate::limits::TOPIC_NEIGHBOURS).
    Members {
        /// Which topic.
        topic: TopicId,
        /// Personas that the sender is linked to.
        members: Vec<PersonaId>,
    },
    /// A topic's message, sealed.
    Publish {
        /// Which topic.
        topic: TopicId,
        /// The sealed message.
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
}

/// What knowing a topic's name gives: its id on the wire and its key.
#[derive(Clone)]
pub struct TopicKey {
    id: TopicId,
    key: [u8; 32],
}

/// A message that was opened: who said it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The persona that signed it.
    pub from: PersonaId,
    /// What it said.
    pub data: Data,
    /// Its name, the same for everyone.
    pub id: MessageId,
}

/// What proves to a peer that both are in a topic, without telling others which: derived from the topic's name, apart from the key of its
/// messages. Leaders have it, which never learn the name.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchKey(#[serde(with = "serde_bytes")] [u8; 32]);

impl MatchKey {
    /// From 32 bytes, for tests.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Of what is sealed with a key of its own, which is sealed with those of topics.
    pub(crate) fn of_blob(key: [u8; 16]) -> Self {
        let mut out = [0; 32];
        Hkdf::<Sha256>::new(Some(b"bitters/topic/match/1"), &key)
            .expand(b"blob", &mut out)
            .expect("32 bytes are within HKDF's bound");
        Self(out)
    }

    /// Seals what only those in the topic are to read, for one signal: `nonce` is that signal's name.
    #[must_use]
    pub fn seal(&self, ends: [PersonaId; 2], nonce: &[u8; 16], plain: &[u8]) -> Vec<u8> {
        self.cipher(ends, nonce).encrypt(&[0; 12].into(), plain).expect("a signal is far below the cipher's bound")
    }

    /// Opens the first that opens of what [`seal`](Self::seal) made between the same ends, one of which is for members of this topic.
    pub(crate) fn open_any<'a>(
        &self,
        ends: [PersonaId; 2],
        nonce: &[u8; 16],
        sealed: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Vec<u8>> {
        // What costs is the key, which is the same for all.
        let cipher = self.cipher(ends, nonce);
        sealed.into_iter().find_map(|sealed| cipher.decrypt(&[0; 12].into(), sealed).ok())
    }

    /// Opens what [`seal`](Self::seal) made between the same ends; nothing if that was done with another topic's key.
    #[must_use]
    pub fn open(&self, ends: [PersonaId; 2], nonce: &[u8; 16], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_any(ends, nonce, [sealed])
    }

    /// Of a key that seals once.
    fn cipher(&self, [from, to]: [PersonaId; 2], nonce: &[u8; 16]) -> ChaCha20Poly1305 {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(b"bitters/topic/match/1"), &self.0)
            .expand_multi_info(&[b"signal", &from.0, &to.0, nonce], &mut key)
            .expect("32 bytes are within HKDF's bound");
        ChaCha20Poly1305::new(&key.into())
    }
}

impl std::fmt::Debug for MatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MatchKey(..)")
    }
}

/// Why a sealed message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not sealed with this topic's key, or not a message.
    #[error("not a message of this topic")]
    NotOfTopic,
    /// The persona it names didn't sign it.
    #[error("the message's signature does not verify")]
    BadSignature,
    /// More content than a message may have.
    #[error("the message is larger than {MAX_MESSAGE} bytes")]
    TooLarge,
}

#[derive(Serialize, Deserialize)]
struct Inner {
    from: PersonaId,
    signature: Signature,
    data: Data,
}

const NONCE: usize = 24;

impl TopicKey {
    /// Derives id and key from the name.
    #[must_use]
    pub fn of(name: &Name) -> Self {
        let id = Sha256::new().chain_update(b"bitters/topic/1").chain_update(name.as_str()).finalize();
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(b"bitters/topic/key/1"), name.as_str().as_bytes())
            .expand(b"", &mut key)
            .expect("32 bytes are within HKDF's bound");
        Self { id: TopicId(id.into()), key }
    }

    /// The topic on the wire.
    #[must_use]
    pub const fn id(&self) -> TopicId {
        self.id
    }

    /// What shows other members that we are one.
    #[must_use]
    pub fn matching(&self) -> MatchKey {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(b"bitters/topic/match/1"), &self.key)
            .expand(b"key", &mut key)
            .expect("32 bytes are within HKDF's bound");
        MatchKey(key)
    }

    /// Signs and seals `data`. `nonce` is random, and never used twice.
    #[must_use]
    pub fn seal(&self, from: &PersonaSecret, data: Data, nonce: [u8; NONCE]) -> Vec<u8> {
        let signature = from.sign(&self.text(&nonce, &data));
        let inner = codec::encode(&Inner { from: from.id(), signature, data });
        let payload = Payload { msg: &inner, aad: &self.id.0 };
        let sealed = self.cipher().encrypt(&nonce.into(), payload).expect("a message is far below the cipher's bound");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) made, and proves who said it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, sealed: &[u8]) -> Result<Said, OpenError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(OpenError::NotOfTopic)?;
        let payload = Payload { msg: body, aad: &self.id.0 };
        let inner = self.cipher().decrypt(nonce.into(), payload).map_err(|_| OpenError::NotOfTopic)?;
        let inner: Inner = codec::decode(&inner, MAX_LOCAL).map_err(|_| OpenError::NotOfTopic)?;
        if !inner.data.fits() {
            return Err(OpenError::TooLarge);
        }
        let text = self.text(nonce, &inner.data);
        inner.from.verify(&text, &inner.signature).map_err(|_| OpenError::BadSignature)?;
        Ok(Said { from: inner.from, data: inner.data, id: message_id(sealed) })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.key.into())
    }

    fn text(&self, nonce: &[u8; NONCE], data: &Data) -> Vec<u8> {
        [b"bitters/topic/message/1".as_slice(), &self.id.0, nonce, &codec::encode(data)].concat()
    }
}

impl std::fmt::Debug for TopicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TopicKey({})", self.id)
    }
}

/// The name of a sealed message: its SHA-256.
#[must_use]
pub fn message_id(sealed: &[u8]) -> MessageId {
    MessageId(Sha256::digest(sealed).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lobby() -> TopicKey {
        TopicKey::of(&"lobby".try_into().unwrap())
    }

    fn alice() -> PersonaSecret {
        PersonaSecret::new([0xa1; 32])
    }

    #[test]
    fn a_message_is_opened_by_who_knows_the_name() {
        let data = Data::Text("hello".into());
        let sealed = lobby().seal(&alice(), data.clone(), [3; 24]);

        let said = lobby().open(&sealed).unwrap();
        assert_eq!(said, Said { from: alice().id(), data, id: message_id(&sealed) });
        let other = TopicKey::of(&"lobbies".try_into().unwrap());
        assert_eq!(other.open(&sealed), Err(OpenError::NotOfTopic));
    }

    #[test]
    fn what_is_sealed_for_members_is_between_two_of_them() {
        let (ends, key) = ([alice().id(), PersonaSecret::new([0xb0; 32]).id()], lobby().matching());
        let sealed = key.seal(ends, &[1; 16], b"192.0.2.1");
        assert_eq!(lobby().matching().open(ends, &[1; 16], &sealed).as_deref(), Some(b"192.0.2.1".as_slice()));
        let other = TopicKey::of(&"lobbies".try_into().unwrap()).matching();
        assert_eq!(other.open(ends, &[1; 16], &sealed), None);
        assert_eq!(key.open([ends[1], ends[0]], &[1; 16], &sealed), None, "carried to another link");
        assert_eq!(key.open(ends, &[2; 16], &sealed), None, "carried to another signal");
        assert_eq!(format!("{key:?}"), "MatchKey(..)");
    }

    #[test]
    fn a_member_cannot_speak_as_another() {
        let sealed = lobby().seal(&alice(), Data::Text("hello".into()), [3; 24]);
        let inner =
            lobby().cipher().decrypt(&[3; 24].into(), Payload { msg: &sealed[24..], aad: &lobby().id.0 }).unwrap();
        let mut inner: Inner = codec::decode(&inner, MAX_LOCAL).unwrap();
        inner.from = PersonaSecret::new([0xb0; 32]).id();
        let forged = codec::encode(&inner);
        let forged = lobby().cipher().encrypt(&[3; 24].into(), Payload { msg: &forged, aad: &lobby().id.0 }).unwrap();
        let forged = [[3; 24].as_slice(), &forged].concat();

        assert_eq!(lobby().open(&forged), Err(OpenError::BadSignature));
    }

    proptest! {
        #[test]
        fn nothing_else_opens(mut garbage in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
            prop_assert_eq!(lobby().open(&garbage), Err(OpenError::NotOfTopic));
            garbage = lobby().seal(&alice(), Data::Bytes(garbage), [9; 24]);
            let at = flip.index(garbage.len());
            garbage[at] ^= 1;
            prop_assert_eq!(lobby().open(&garbage), Err(OpenError::NotOfTopic));
        }
    }
}
