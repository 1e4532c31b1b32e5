//! What members of a topic show each other, and nobody else.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{
    id::{PersonaId, TopicId},
    local::Bond,
};

/// What proves to a peer that both are in a topic, without telling others which: derived from the topic's name, apart from the key of its
/// messages. Leaders have it, which never learn the name.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchKey(#[serde(with = "serde_bytes")] [u8; 32]);

/// That one end of a link is in a topic: of no use on another link, or to the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicTag(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// A list of tags is as long as a multiple of this: what stands for no topic is random.
pub const TAGS_AT_ONCE: usize = 8;

const DOMAIN: &[u8] = b"bitters/topic/match/1";

impl MatchKey {
    /// From 32 bytes, for tests.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Of a topic, from the key of its messages.
    pub(super) fn of_topic(key: &[u8; 32]) -> Self {
        Self(derive(key, &[b"key"]))
    }

    /// Of what is sealed with a key of its own, which is sealed with those of topics.
    pub(crate) fn of_blob(key: [u8; 16]) -> Self {
        Self(derive(&key, &[b"blob"]))
    }

    /// Of a header's key, which seals once: `nonce` is made from what is sealed.
    pub(super) fn of_header(&self, topic: TopicId, nonce: &[u8; 16]) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&derive(&self.0, &[b"header", &topic.0, nonce]).into())
    }

    /// That `signer`, one of the ends of this link, is in the topic.
    #[must_use]
    pub fn tag(&self, bond: &Bond, signer: PersonaId) -> TopicTag {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in [b"bitters/topic/tag/1".as_slice(), &bond.0, &signer.0] {
            mac.update(part);
        }
        TopicTag(*mac.finalize().into_bytes().first_chunk().expect("it is longer"))
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
        ChaCha20Poly1305::new(&derive(&self.0, &[b"signal", &from.0, &to.0, nonce]).into())
    }
}

fn derive(from: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(DOMAIN), from)
        .expand_multi_info(info, &mut key)
        .expect("32 bytes are within HKDF's bound");
    key
}

impl std::fmt::Debug for MatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MatchKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::tests::{alice, bob, lobby, named};

    #[test]
    fn what_is_sealed_for_members_is_between_two_of_them() {
        let (ends, key) = ([alice().id(), bob().id()], lobby().matching());
        let sealed = key.seal(ends, &[1; 16], b"192.0.2.1");
        assert_eq!(lobby().matching().open(ends, &[1; 16], &sealed).as_deref(), Some(b"192.0.2.1".as_slice()));
        assert_eq!(named("lobbies").matching().open(ends, &[1; 16], &sealed), None);
        assert_eq!(key.open([ends[1], ends[0]], &[1; 16], &sealed), None, "carried to another link");
        assert_eq!(key.open(ends, &[2; 16], &sealed), None, "carried to another signal");
        assert_eq!(format!("{key:?}"), "MatchKey(..)");
    }

    #[test]
    fn a_tag_is_of_one_end_of_one_link() {
        let (key, bond) = (lobby().matching(), Bond([1; 32]));
        let tag = key.tag(&bond, alice().id());
        assert_eq!(tag, lobby().matching().tag(&bond, alice().id()));
        assert_ne!(tag, key.tag(&Bond([2; 32]), alice().id()), "carried to another link");
        assert_ne!(tag, key.tag(&bond, bob().id()), "sent back");
        assert_ne!(tag, named("lobbies").matching().tag(&bond, alice().id()));
    }
}
