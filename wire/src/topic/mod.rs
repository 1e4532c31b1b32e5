//! Topics on the wire.
//!
//! A topic's id and keys are derived from its name, and from a secret if there is one, so servers and relays that don't know these learn nothing. What
//! is said is sealed (XChaCha20-Poly1305, RFC 8439 with a 24-byte nonce) with the topic's key, which the pages of members have. Their leaders
//! have a key derived from it ([`MatchKey`]): with that they recognise other members, and verify who says something before they pass it on
//! ([`Published`]).

mod heard;
mod matching;
mod published;
mod word;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305, aead::Aead, aead::Payload};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    codec,
    data::Data,
    id::{PersonaId, TopicId},
    limits::{MAX_LOCAL, MAX_MESSAGE},
    name::Name,
};

pub use heard::{Heard, HeardOf};
pub use matching::{MatchKey, TAGS_AT_ONCE, TopicTag};
pub use published::{FRESH_MS, Header, MessageName, NotOfTopic, Published, Signed, message_id};
pub use word::{MAX_SHOWN, MAX_WORDS, Word};

/// What the two ends of a link say to each other about topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopicMessage {
    /// Topics that the sender is in, shown to who is in them, too: a multiple of [`TAGS_AT_ONCE`], of which some may stand for no topic.
    Tags(Vec<TopicTag>),
    /// The sender's persona left the topic that it showed so.
    Left(TopicTag),
    /// Other personas that the sender knows to be in a topic, at most [`TOPIC_NEIGHBOURS`](crate::limits::TOPIC_NEIGHBOURS).
    Members {
        /// Which topic.
        topic: TopicId,
        /// Personas that the sender is linked to.
        members: Vec<PersonaId>,
    },
    /// Words of members that they are there, at most [`MAX_WORDS`], none of which shows more than [`MAX_SHOWN`] bytes.
    Here {
        /// Which topic.
        topic: TopicId,
        /// The words.
        words: Vec<Word>,
    },
    /// What somebody said.
    Publish {
        /// Which topic.
        topic: TopicId,
        /// The message.
        published: Published,
    },
}

/// What knowing a topic's name, and its secret if it has one, gives: its id on the wire and its key.
#[derive(Clone)]
pub struct TopicKey {
    id: TopicId,
    key: [u8; 32],
}

/// The message that a page said just before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// What its author calls it.
    pub name: MessageName,
    /// How many milliseconds before.
    pub ms: u16,
}

/// Why a sealed body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not sealed with this topic's key, or not what can be said.
    #[error("not a message of this topic")]
    NotOfTopic,
    /// More content than a message may have.
    #[error("the message is larger than {MAX_MESSAGE} bytes")]
    TooLarge,
}

const NONCE: usize = 24;

impl TopicKey {
    /// Derives id and key from the name.
    #[must_use]
    pub fn of(name: &Name) -> Self {
        let id = Sha256::new().chain_update(b"bitters/topic/1").chain_update(name.as_str()).finalize();
        Self { id: TopicId(id.into()), key: derive(b"bitters/topic/key/1", name.as_str().as_bytes(), b"") }
    }

    /// Derives id and key from the name and a secret: who doesn't know both is in another topic.
    #[must_use]
    pub fn with_secret(name: &Name, secret: &[u8]) -> Self {
        let derived =
            |info: &[u8]| derive(b"bitters/topic/secret/1", secret, &[info, b"\0", name.as_str().as_bytes()].concat());
        Self { id: TopicId(derived(b"id")), key: derived(b"key") }
    }

    /// The topic on the wire.
    #[must_use]
    pub const fn id(&self) -> TopicId {
        self.id
    }

    /// What shows other members that we are one.
    #[must_use]
    pub fn matching(&self) -> MatchKey {
        MatchKey::of_topic(&self.key)
    }

    /// Seals `data`, and which message the page said just before. `nonce` is random, and never used twice.
    #[must_use]
    pub fn seal(&self, data: &Data, after: Option<After>, nonce: [u8; NONCE]) -> Vec<u8> {
        let plain = codec::encode(&(data, after));
        let payload = Payload { msg: &plain, aad: &self.id.0 };
        let sealed = self.cipher().encrypt(&nonce.into(), payload).expect("a message is far below the cipher's bound");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) made. Who said it the leader has verified ([`Signed`]).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, sealed: &[u8]) -> Result<(Data, Option<After>), OpenError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or(OpenError::NotOfTopic)?;
        let payload = Payload { msg: body, aad: &self.id.0 };
        let plain = self.cipher().decrypt(nonce.into(), payload).map_err(|_| OpenError::NotOfTopic)?;
        let (data, after): (Data, _) = codec::decode(&plain, MAX_LOCAL).map_err(|_| OpenError::NotOfTopic)?;
        if data.fits() { Ok((data, after)) } else { Err(OpenError::TooLarge) }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.key.into())
    }
}

fn derive(domain: &[u8], from: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(domain), from).expand(info, &mut out).expect("32 bytes are within HKDF's bound");
    out
}

impl std::fmt::Debug for TopicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TopicKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::PersonaSecret;

    pub fn named(name: &str) -> TopicKey {
        TopicKey::of(&name.try_into().unwrap())
    }

    pub fn lobby() -> TopicKey {
        named("lobby")
    }

    pub fn alice() -> PersonaSecret {
        PersonaSecret::new([0xa1; 32])
    }

    pub fn bob() -> PersonaSecret {
        PersonaSecret::new([0xb0; 32])
    }

    #[test]
    fn what_is_said_is_opened_by_who_knows_the_name() {
        let data = Data::Text("hello".into());
        let after = Some(After { name: MessageName([4; 8]), ms: 3 });
        let sealed = lobby().seal(&data, after, [3; 24]);
        assert_eq!(lobby().open(&sealed), Ok((data, after)));
        assert_eq!(named("lobbies").open(&sealed), Err(OpenError::NotOfTopic));
    }

    #[test]
    fn who_knows_the_name_without_the_secret_is_in_another_topic() {
        let name = "lobby".try_into().unwrap();
        let secret = |secret: &[u8]| TopicKey::with_secret(&name, secret);
        let sealed = secret(b"pepper").seal(&Data::Text("hello".into()), None, [3; 24]);
        assert!(secret(b"pepper").open(&sealed).is_ok());
        let keys = [
            lobby(),
            secret(b""),
            secret(b"pepper"),
            secret(b"salt"),
            TopicKey::with_secret(&"lobb".try_into().unwrap(), b"y"),
        ];
        let ids = keys.iter().map(TopicKey::id).collect::<std::collections::HashSet<_>>();
        assert_eq!(ids.len(), keys.len());
        assert_eq!(keys.iter().filter(|key| key.open(&sealed).is_ok()).count(), 1);
        assert_eq!(keys.iter().filter(|key| key.matching() == secret(b"pepper").matching()).count(), 1);
    }

    proptest! {
        #[test]
        fn nothing_else_opens(mut garbage in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
            prop_assert_eq!(lobby().open(&garbage), Err(OpenError::NotOfTopic));
            garbage = lobby().seal(&Data::Bytes(garbage), None, [9; 24]);
            let at = flip.index(garbage.len());
            garbage[at] ^= 1;
            prop_assert_eq!(lobby().open(&garbage), Err(OpenError::NotOfTopic));
        }
    }
}
