//! Postcard with bounds.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes from outside were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not what they should be, or more follows.
    #[error("{what}: not decodable")]
    Malformed {
        /// What was to be decoded.
        what: &'static str,
    },
    /// More bytes than such a message may have.
    #[error("{what}: {len} bytes are more than the {limit} allowed")]
    TooLong {
        /// What was to be decoded.
        what: &'static str,
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The bytes of `message`.
///
/// # Panics
/// Never: the types of this crate have lengths that postcard knows.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_allocvec(message).expect("every wire type is serialisable by postcard")
}

/// Reads a whole `T`, at most `limit` bytes long.
///
/// # Errors
/// [`DecodeError::TooLong`] above the limit, [`DecodeError::Malformed`] for anything but exactly one `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    let what = short_name::<T>();
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { what, len: bytes.len(), limit });
    }
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(DecodeError::Malformed { what }),
    }
}

fn short_name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}
