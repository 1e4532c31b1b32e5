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

/// Reads a whole `T` that a peer wrote, in the one way in which it is written: postcard takes a number in several lengths.
///
/// # Errors
/// As [`decode`], and [`DecodeError::Malformed`] for what isn't written as [`encode`] does.
pub fn decode_foreign<T: DeserializeOwned + Serialize>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    let message = decode(bytes, limit)?;
    if encode(&message) == bytes { Ok(message) } else { Err(DecodeError::Malformed { what: short_name::<T>() }) }
}

fn short_name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::link::LinkMessage;

    #[test]
    fn a_number_in_more_bytes_than_it_takes_is_refused_from_peers() {
        for (bytes, is_canonical) in
            [(&[5][..], true), (&[0x85, 0], false), (&[0x80, 0x80, 0], false), (&[0x80, 1], true)]
        {
            assert!(decode::<u16>(bytes, 8).is_ok());
            assert_eq!(decode_foreign::<u16>(bytes, 8).is_ok(), is_canonical, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_peers_write_is_written_in_one_way(bytes in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>()], 0..80)) {
            if let Ok(message) = decode_foreign::<LinkMessage>(&bytes, bytes.len()) {
                prop_assert_eq!(encode(&message), bytes);
            }
        }
    }
}
