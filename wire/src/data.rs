//! What sites say to one another: it arrives as the kind that was sent.

use serde::{Deserialize, Serialize};

use crate::limits::MAX_MESSAGE;

/// A message's content. In JavaScript `{ bytes: Uint8Array }`, `{ text: string }` or `{ json: string }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Data {
    /// A `BufferSource`, delivered as `Uint8Array`.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A JSON value as its text. Nobody but the two sites parses it.
    Json(String),
    /// A string.
    Text(String),
}

impl Data {
    /// Bytes of content.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Json(text) | Self::Text(text) => text.len(),
        }
    }

    /// Whether there is no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes, or those of a text; a JSON value may be spelled in many ways.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.as_bytes()),
            Self::Json(_) => None,
        }
    }

    /// Whether this may travel as one message.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.len() <= MAX_MESSAGE
    }
}
