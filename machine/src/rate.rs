//! How often something may happen: what nodes hold strangers to.

use crate::time::Instant;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once after a rest.
    pub burst: u32,
}

/// A token bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    rate: Rate,
    /// Thousandths of tokens, so that a millisecond earns `per_second` of them.
    level: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, level: u64::from(rate.burst) * 1000, at_ms: now.as_millis() }
    }

    /// Takes a token if there is one.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        self.take_many(1, now)
    }

    /// Takes so many tokens if they are there, or none.
    #[must_use]
    pub fn take_many(&mut self, tokens: u32, now: Instant) -> bool {
        let elapsed = now.as_millis().saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now.as_millis());
        let earned = elapsed.saturating_mul(u64::from(self.rate.per_second));
        self.level = self.level.saturating_add(earned).min(u64::from(self.rate.burst) * 1000);
        match self.level.checked_sub(u64::from(tokens) * 1000) {
            Some(rest) => {
                self.level = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(Rate { per_second: 10, burst: 3 }, Instant::START);
        let taken = |bucket: &mut Bucket, ms| (0..100).filter(|_| bucket.take(Instant::from_millis(ms))).count();

        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 99), 0);
        assert_eq!(taken(&mut bucket, 100), 1);
        assert_eq!(taken(&mut bucket, 60_000), 3);
        assert_eq!(taken(&mut bucket, 59_000), 0, "time that goes backwards earns nothing");

        let later = Instant::from_millis(120_000);
        assert!(!bucket.take_many(4, later) && bucket.take_many(3, later) && !bucket.take(later));
    }
}
