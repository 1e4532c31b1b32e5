//! What nodes ask each other about records, as questions and replies of the overlay.

use bitters_overlay::message::MAX_WORD;
use bitters_record::{
    blind::BlindedKey,
    record::{Record, Salt},
};
use bitters_wire::codec::{self, DecodeError};
use serde::{Deserialize, Serialize};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Which record has this name?
    Get {
        /// The persona's key of the day.
        key: BlindedKey,
        /// Which of its records.
        salt: Salt,
    },
    /// Keep this: a copy, of a neighbour's.
    Keep(Record),
    /// Keep this, and have your neighbours keep it.
    Put(Record),
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The record is kept.
    Kept,
    /// There is no such record, or none is kept.
    Nothing,
    /// The record that was asked for, or one that is newer than what was to be kept.
    Record(Record),
}

impl Question {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a question.
    ///
    /// # Errors
    /// If it isn't one, is spelled in another way than [`encode`](Self::encode) spells it, or has more than [`MAX_WORD`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_foreign(bytes, MAX_WORD)
    }
}

impl Reply {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// As [`Question::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_foreign(bytes, MAX_WORD)
    }
}
