//! Where on the overlay's ring a record is kept.

use sha2::{Digest, Sha256};

use crate::{blind::BlindedKey, record::Salt};

/// Positions of one record.
pub const POSITIONS: usize = 2;

const DOMAIN: &[u8] = b"bitters/record/place/1";

/// The positions on the overlay's ring (2^64 places) at which a record is kept. A position is the first 8 bytes, high
/// byte first, of SHA-256 over `"bitters/record/place/1" ‖ blinded key ‖ salt ‖ index`. The salt and the index (0 or
/// 1) have one byte each.
#[must_use]
pub fn positions(key: BlindedKey, salt: Salt) -> [u64; POSITIONS] {
    [0, 1].map(|index| {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(key.0).chain_update([salt.into(), index]).finalize();
        u64::from_be_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_the_start_of_a_hash() {
        // `(printf bitters/record/place/1; head -c 34 /dev/zero) | sha256sum`, and the same with a last byte of 1.
        assert_eq!(positions(BlindedKey([0; 32]), Salt::ALL[0]), ZEROS);
    }

    proptest! {
        #[test]
        fn no_two_positions_are_equal(one: [u8; 32], other: [u8; 32]) {
            prop_assume!(one != other);
            let keys = [one, other].map(BlindedKey);
            let mut all: Vec<u64> =
                keys.iter().flat_map(|key| Salt::ALL.map(|salt| positions(*key, salt))).flatten().collect();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), 2 * Salt::ALL.len() * POSITIONS);
        }
    }

    const ZEROS: [u64; POSITIONS] = [0xe9c9_ce93_bc69_7fd6, 0x4291_0b62_d7af_c9ea];
}
