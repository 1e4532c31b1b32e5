//! Who says what to whom: ids, packets, messages and their bytes. No IO.
//!
//! | from → to | module | bytes |
//! | --- | --- | --- |
//! | site ↔ frame | [`rpc`] | JavaScript objects |
//! | frame ↔ leader | [`local`] | postcard |
//! | contexts of one island | [`announce`] | postcard |
//! | session ↔ session | [`packet`] | postcard, sealed |
//! | persona ↔ persona, over a link | [`link`] | postcard |
//! | persona ↔ persona, over others | [`sealed`] | postcard, sealed |
//! | node ↔ rendezvous | [`rendezvous`] | postcard |
//!
//! Everything that arrives is decoded by [`codec::decode`], which bounds its size, refuses what is left over and never
//! panics; what peers say by [`codec::decode_foreign`], for which it is written in one way only. What has been decoded is proof of its own shape; who said it is proven by [`keys`].

pub mod address;
pub mod announce;
pub mod codec;
pub mod data;
pub mod failure;
pub mod id;
pub mod keys;
pub mod limits;
pub mod link;
pub mod local;
pub mod name;
pub mod packet;
pub mod permission;
pub mod rendezvous;
pub mod rpc;
pub mod sealed;
pub mod status;
pub mod topic;
pub mod uri;

/// The version of everything in this crate that crosses between builds. Two parties talk when their ranges overlap.
///
/// Version 2 made links a persona's: those of version 1 were between nodes. Version 3 seals signals. In version 4 who
/// has no reason is shown no network address. Version 5 has the rendezvous tell doors. In version 6 topics are matched,
/// and their messages have headers that leaders verify.
pub const WIRE: VersionRange = VersionRange { min: 6, max: 6 };

/// Versions that a party speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VersionRange {
    /// The oldest version spoken.
    pub min: u16,
    /// The newest version spoken.
    pub max: u16,
}

impl VersionRange {
    /// The newest version that both speak, or `None`.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_meet_at_the_newest_common_one() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(4, 5).common(range(1, 4)), Some(4));
        assert_eq!(range(1, 2).common(range(3, 4)), None);
    }
}
