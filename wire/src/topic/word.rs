//! What a member of a topic says of itself now and then: that it is there, and what its site shows of it.

use serde::{Deserialize, Serialize};

use crate::{
    id::{PersonaId, TopicId},
    keys::{BadSignature, PersonaSecret, Signature},
    limits::MAX_PRESENCE,
};

const DOMAIN: &[u8] = b"bitters/topic/here/2";

/// Words that one message may have.
pub const MAX_WORDS: usize = 64;

/// Bytes of what a word shows: a nonce and a tag of 40 besides, and the kind and the length of what is sealed.
pub const MAX_SHOWN: usize = MAX_PRESENCE + 64;

/// A persona is in a topic. Members pass it on as they do messages; who isn't a member hears none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who is there.
    pub from: PersonaId,
    /// Milliseconds since 1970, by its clock. The latest word counts.
    pub time: u64,
    /// Its next word comes within so many seconds; zero: it left.
    pub every: u16,
    /// What its site shows of it, sealed under the topic's key: at most [`MAX_SHOWN`] bytes; none: nothing.
    #[serde(with = "serde_bytes")]
    pub shows: Vec<u8>,
    signature: Signature,
}

impl Word {
    /// Says that a persona is there, for how long that is true, and what it shows.
    #[must_use]
    pub fn sign(topic: TopicId, from: &PersonaSecret, (time, every): (u64, u16), shows: Vec<u8>) -> Self {
        let mut word = Self { from: from.id(), time, every, shows, signature: Signature([0; 64]) };
        word.signature = from.sign(&word.text(topic));
        word
    }

    /// Checks that it said so, of this topic.
    ///
    /// # Errors
    /// [`BadSignature`] if it didn't.
    pub fn verify(&self, topic: TopicId) -> Result<(), BadSignature> {
        self.from.verify(&self.text(topic), &self.signature)
    }

    /// Whether the persona left.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.every == 0
    }

    fn text(&self, topic: TopicId) -> Vec<u8> {
        [DOMAIN, &topic.0, &self.from.0, &self.time.to_be_bytes(), &self.every.to_be_bytes(), &self.shows].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::tests::{alice, bob};

    #[test]
    fn nobody_says_that_another_is_there_or_was_at_another_time() {
        let topic = TopicId([3; 32]);
        let word = Word::sign(topic, &alice(), (1234, 8), vec![1]);
        assert_eq!(word.verify(topic), Ok(()));
        assert_eq!(word.verify(TopicId([4; 32])), Err(BadSignature), "carried to another topic");
        for forge in [
            |word: &mut Word| word.from = bob().id(),
            |word: &mut Word| word.time = 1235,
            |word: &mut Word| word.every = 0,
            |word: &mut Word| word.shows.clear(),
        ] {
            let mut forged = word.clone();
            forge(&mut forged);
            assert_eq!(forged.verify(topic), Err(BadSignature));
        }
    }
}
