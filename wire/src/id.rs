//! The names of things. Keys and topics are written in z-base-32 (52 characters for 32 bytes), as pkarr writes them.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// Text that is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 52 characters of z-base-32")]
pub struct NotAnId;

/// Orders by bytes, out of line: where it is inlined, each search of a map by such an id is 1.7 KB of a browser's module, as WebAssembly has
/// no instruction that swaps bytes.
#[inline(never)]
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    one.cmp(other)
}

macro_rules! ordered {
    ($name:ident, $bytes:expr) => {
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let bytes: fn(&Self) -> &[u8] = $bytes;
                compare(bytes(self), bytes(other))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

macro_rules! key_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; 32]);

        ordered!($name, |id| &id.0);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&z32::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:.8})", stringify!($name), z32::encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_key(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    Deserialize::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

key_id! {
    /// A node: an Ed25519 public key. Nodes know each other by it; sites never see it.
    NodeId
}
key_id! {
    /// A site's identity on a node: an Ed25519 public key, another for every site.
    PersonaId
}
key_id! {
    /// A topic on the wire: the hash of its name (see [`crate::topic`]).
    TopicId
}
key_id! {
    /// A topic's message: the hash of who says it, where, and what its author calls it ([`crate::topic::message_id`]).
    MessageId
}

fn parse_key(text: &str) -> Result<[u8; 32], NotAnId> {
    if text.len() != 52 {
        return Err(NotAnId);
    }
    let bytes = z32::decode(text.as_bytes()).map_err(|_| NotAnId)?;
    let key: [u8; 32] = bytes.try_into().map_err(|_| NotAnId)?;
    // The last character carries 4 surplus bits; only one spelling of an id is an id.
    if z32::encode(&key) == text { Ok(key) } else { Err(NotAnId) }
}

/// One incarnation of a frame (an iframe thread): a random UUID, new at every load and after every thaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameId(pub Uuid);

ordered!(FrameId, |id| id.0.as_bytes());

impl FrameId {
    /// From 16 random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One leadership; higher is later. Kept in IndexedDB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Beyond this the last one was never written by us: a leadership a millisecond would take 140,000 years.
    const LAST: f64 = (1_u64 << 52) as f64;

    /// Later than the stored one, if that can be true, and than any before what is stored was lost: they began in the past.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded first")]
    pub fn after(stored: Option<f64>, unix_ms: u64) -> Self {
        let stored = stored.filter(|stored| (0.0..Self::LAST).contains(stored));
        Self(stored.map_or(0, |stored| stored as u64 + 1).max(unix_ms))
    }

    /// This one, or the first after `heard`, if that is later and can be true.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 2^52")]
    pub fn beyond(self, heard: Self) -> Self {
        if (heard.0) < Self::LAST as u64 { Self(self.0.max(heard.0 + 1)) } else { self }
    }
}

/// One boot of a leader's worker: random. A change means that the worker forgot everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Boot(pub Uuid);

ordered!(Boot, |boot| boot.0.as_bytes());

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A link: one connection to one peer, held by one frame. Unique for good, as the epoch that named it is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId {
    /// The leadership that opened the link.
    pub epoch: Epoch,
    /// Its number among that leadership's links.
    pub number: u32,
}

/// What kind of thing is served, in eight bytes: the start of SHA-256 over the kind and the name (see
/// [`crate::packet::Service::tag`]). The leader picks a frame by it without learning the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag(pub [u8; 8]);

/// A session, named by 16 random bytes of the side that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub Uuid);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_epoch_is_later_than_the_stored_one_unless_that_is_nonsense() {
        assert_eq!(Epoch::after(None, 1000), Epoch(1000));
        assert_eq!(Epoch::after(Some(7.0), 1000), Epoch(1000));
        assert_eq!(Epoch::after(Some(1000.0), 1000), Epoch(1001));
        assert_eq!(Epoch::after(Some(5000.0), 1000), Epoch(5001));
        assert_eq!(Epoch(1000).beyond(Epoch(5000)), Epoch(5001));
        assert_eq!(Epoch(5000).beyond(Epoch(1000)), Epoch(5000));
        assert_eq!(Epoch(1000).beyond(Epoch(u64::MAX)), Epoch(1000));
        for nonsense in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(Epoch::after(Some(nonsense), 1000), Epoch(1000));
        }
    }

    proptest! {
        #[test]
        fn an_id_has_one_spelling(bytes: [u8; 32], other in "[ybndrfg8ejkmcpqxot1uwisza345h769]{52}") {
            let id = PersonaId(bytes);
            let text = id.to_string();
            prop_assert_eq!(text.len(), 52);
            prop_assert_eq!(text.parse(), Ok(id));
            if let Ok(parsed) = other.parse::<PersonaId>() {
                prop_assert_eq!(parsed.to_string(), other);
            }
        }

        #[test]
        fn other_text_is_no_id(text in ".{0,60}") {
            prop_assume!(text.parse::<NodeId>().is_err());
            prop_assert_eq!(text.parse::<NodeId>(), Err(NotAnId));
        }
    }
}
