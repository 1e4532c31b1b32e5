//! A message in a topic, as members pass it on.
//!
//! ```text
//! header = { from, time, name, SHA-256(body), signature over all of that, the domain and the topic }
//! nonce  = the first 16 bytes of SHA-256(header)
//! sent   = nonce ‖ ChaCha20-Poly1305(HKDF(match key, topic ‖ nonce), header) ‖ body
//! body   = XChaCha20-Poly1305(key of the topic, what is said)
//! ```
//!
//! Leaders of members have the topic's [`MatchKey`]. They verify the header before they pass the
//! message on, know the message by who says it and its name, however it is spelled, and can't read what is said.

use chacha20poly1305::aead::Aead;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::MatchKey;
use crate::{
    codec,
    id::{MessageId, PersonaId, TopicId},
    keys::{BadSignature, PersonaSecret, Signature},
};

/// A header that is older or younger than the receiver's clock says by more than so many milliseconds is refused.
pub const FRESH_MS: u64 = 120_000;

/// Bytes of a header, sealed: a nonce and a tag of 16 each, two keys' worth, a signature, a name, a time.
const MAX_HEADER: usize = 256;

const DOMAIN: &[u8] = b"bitters/topic/header/1";

/// What an author calls a message: random, and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageName(pub [u8; 8]);

/// Who says something, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The author.
    pub from: PersonaId,
    /// Milliseconds since 1970, by the author's clock.
    pub time: u64,
    /// What the author calls it.
    pub name: MessageName,
    /// SHA-256 of the sealed body.
    body: [u8; 32],
}

/// A header, and that its author wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What is signed.
    pub header: Header,
    signature: Signature,
}

/// A message as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    #[serde(with = "serde_bytes")]
    header: Vec<u8>,
    /// What is said, sealed under the topic's key.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// It isn't a message of this topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this topic")]
pub struct NotOfTopic;

impl Header {
    /// The message's name, the same for everyone.
    #[must_use]
    pub fn id(&self, topic: TopicId) -> MessageId {
        message_id(topic, self.from, self.name)
    }

    fn text(&self, topic: TopicId) -> Vec<u8> {
        [DOMAIN, &topic.0, &self.from.0, &self.time.to_be_bytes(), &self.name.0, &self.body].concat()
    }
}

/// The name of a message, the same for everyone, whatever its body is.
#[must_use]
pub fn message_id(topic: TopicId, from: PersonaId, name: MessageName) -> MessageId {
    let hash = Sha256::new().chain_update(b"bitters/topic/message/2").chain_update(topic.0);
    MessageId(hash.chain_update(from.0).chain_update(name.0).finalize().into())
}

impl Signed {
    /// Checks that the author wrote this header, in this topic.
    ///
    /// # Errors
    /// [`BadSignature`] if it didn't.
    pub fn verify(&self, topic: TopicId) -> Result<Header, BadSignature> {
        self.header.from.verify(&self.header.text(topic), &self.signature)?;
        Ok(self.header)
    }
}

impl Published {
    /// Signs a message whose body is sealed. The cipher's nonce is made from the header, of which there is one.
    #[must_use]
    pub fn new(
        (topic, key): (TopicId, &MatchKey),
        from: &PersonaSecret,
        (time, name): (u64, MessageName),
        body: Vec<u8>,
    ) -> Self {
        let header = Header { from: from.id(), time, name, body: Sha256::digest(&body).into() };
        let signed = Signed { header, signature: from.sign(&header.text(topic)) };
        let plain = codec::encode(&signed);
        let nonce = *Sha256::digest(&plain).first_chunk().expect("it is longer");
        Self { header: seal(&plain, topic, key, nonce), body }
    }

    /// Opens the header, and sees that it is of this body. Whether its author wrote it, and it is fresh and new, is for the caller to see.
    ///
    /// # Errors
    /// [`NotOfTopic`] if it wasn't made with the topic's keys.
    pub fn open(&self, (topic, key): (TopicId, &MatchKey)) -> Result<Signed, NotOfTopic> {
        if self.header.len() > MAX_HEADER {
            return Err(NotOfTopic);
        }
        let (nonce, sealed) = self.header.split_first_chunk::<16>().ok_or(NotOfTopic)?;
        let plain = key.of_header(topic, nonce).decrypt(&[0; 12].into(), sealed).map_err(|_| NotOfTopic)?;
        let signed: Signed = codec::decode_foreign(&plain, MAX_HEADER).map_err(|_| NotOfTopic)?;
        let is_of_body = <[u8; 32]>::from(Sha256::digest(&self.body)) == signed.header.body;
        if is_of_body { Ok(signed) } else { Err(NotOfTopic) }
    }

    /// Bytes that it takes, but for a few.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.len() + self.body.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn seal(plain: &[u8], topic: TopicId, key: &MatchKey, nonce: [u8; 16]) -> Vec<u8> {
    let cipher = key.of_header(topic, &nonce);
    let sealed = cipher.encrypt(&[0; 12].into(), plain).expect("a header is far below the cipher's bound");
    [nonce.as_slice(), &sealed].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::{
        TopicKey,
        tests::{alice, bob, lobby, named},
    };

    #[test]
    fn who_has_the_match_key_sees_who_says_something_and_when() {
        let (published, topic) = said(&lobby());
        let signed = published.open((topic, &lobby().matching())).unwrap();
        let header = signed.verify(topic).unwrap();
        assert_eq!((header.from, header.time, header.name), (alice().id(), 1234, NAME));
        assert_eq!(header.id(topic), message_id(topic, alice().id(), NAME));

        assert_eq!(published.open((topic, &named("lobbies").matching())), Err(NotOfTopic));
        assert_eq!(published.open((TopicId([9; 32]), &lobby().matching())), Err(NotOfTopic));
        let other_body = Published { body: b"other".to_vec(), ..published };
        assert_eq!(other_body.open((topic, &lobby().matching())), Err(NotOfTopic));
    }

    #[test]
    fn a_member_spells_what_another_said_in_another_way_and_it_is_the_same_message() {
        let (published, topic) = said(&lobby());
        let key = lobby().matching();
        let signed = published.open((topic, &key)).unwrap();
        let again = seal(&codec::encode(&signed), topic, &key, [8; 16]);
        assert_ne!(again, published.header);
        let header = Published { header: again, ..published }.open((topic, &key)).unwrap().verify(topic).unwrap();
        assert_eq!(header.id(topic), signed.header.id(topic));
    }

    #[test]
    fn a_member_cannot_speak_as_another_or_date_what_it_said() {
        let (published, topic) = said(&lobby());
        let signed = published.open((topic, &lobby().matching())).unwrap();
        let forged = |change: fn(&mut Header)| {
            let mut forged = signed;
            change(&mut forged.header);
            forged.verify(topic)
        };
        assert_eq!(forged(|header| header.from = bob().id()), Err(BadSignature));
        assert_eq!(forged(|header| header.time += 1), Err(BadSignature));
        assert_eq!(forged(|header| header.name = MessageName([0; 8])), Err(BadSignature));
        assert_eq!(forged(|header| header.body = [0; 32]), Err(BadSignature));
        assert_eq!(signed.verify(TopicId([9; 32])), Err(BadSignature), "carried to another topic");
    }

    proptest! {
        #[test]
        fn nothing_else_opens(garbage in prop::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>()) {
            let (published, topic) = said(&lobby());
            let open = |header| Published { header, ..published.clone() }.open((topic, &lobby().matching()));
            prop_assert_eq!(open(garbage), Err(NotOfTopic));
            let mut header = published.header.clone();
            let at = flip.index(header.len());
            header[at] ^= 1;
            prop_assert_eq!(open(header), Err(NotOfTopic));
        }
    }

    const NAME: MessageName = MessageName([4; 8]);

    fn said(key: &TopicKey) -> (Published, TopicId) {
        let topic = key.id();
        (Published::new((topic, &key.matching()), &alice(), (1234, NAME), b"body".to_vec()), topic)
    }
}
