//! Where nodes stand on the ring.

use bitters_wire::id::NodeId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A place on the ring of 2^64 places, which begins anew after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// Where a node stands: the first 8 bytes, big-endian, of SHA-256 over a domain and its key. Nobody can choose a place near somebody
    /// without making keys until one fits.
    #[must_use]
    pub fn of(node: &NodeId) -> Self {
        let hash = Sha256::new().chain_update(b"bitters/overlay/position/1").chain_update(node.0).finalize();
        Self(u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes")))
    }

    /// How far it is from here up to the other, around the end of the ring if need be.
    #[must_use]
    pub const fn up_to(self, other: Self) -> u64 {
        other.0.wrapping_sub(self.0)
    }

    /// How far it is to the other, the shorter way: at most 2^63.
    #[must_use]
    pub fn distance(self, other: Self) -> u64 {
        self.up_to(other).min(other.up_to(self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_the_start_of_a_hash() {
        // `(printf bitters/overlay/position/1; head -c 32 /dev/zero) | sha256sum`
        assert_eq!(Position::of(&NodeId([0; 32])), Position(ZEROS));
    }

    #[test]
    fn the_ring_has_no_end() {
        let (low, high) = (Position(1), Position(u64::MAX));
        assert_eq!((high.up_to(low), low.up_to(high)), (2, u64::MAX - 1));
        assert_eq!((high.distance(low), low.distance(high)), (2, 2));
    }

    proptest! {
        #[test]
        fn a_distance_is_the_same_both_ways(a: u64, b: u64) {
            let (a, b) = (Position(a), Position(b));
            prop_assert_eq!(a.distance(b), b.distance(a));
            prop_assert!(a.distance(b) <= 1 << 63);
            prop_assert_eq!(a.distance(b) == 0, a == b);
        }
    }

    const ZEROS: u64 = 0xf8ab_32a7_0a74_cc97;
}
