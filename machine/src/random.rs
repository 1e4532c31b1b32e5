//! Randomness as machines see it: a seed handed in by the shell, drawn out by SHA-256 in counter mode. With a seed from the
//! platform's generator it is fit for nonces and names; with a fixed one a run is repeatable.

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A seeded generator.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// `N` bytes, at most 32.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32, "a draw is at most one hash") }
        let block = Sha256::new()
            .chain_update(b"bitters/random/1")
            .chain_update(self.seed)
            .chain_update(self.drawn.to_le_bytes())
            .finalize();
        self.drawn += 1;
        *block.first_chunk().expect("a hash has 32 bytes")
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_without_repetition() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.bytes::<16>(), random.bytes::<16>()]
        };
        assert_eq!(draw([1; 32]), draw([1; 32]));
        assert_ne!(draw([1; 32])[0], draw([1; 32])[1]);
        assert_ne!(draw([1; 32]), draw([2; 32]));
    }
}
