//! Token buckets, each held in one instant (the generic cell rate algorithm of ITU-T I.371, annex A).

use std::time::Duration;

use bitters_machine::time::Instant;
use serde::{Deserialize, Serialize};

/// How much may come: `burst` at once, and `per_second` in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rate {
    /// At once, after a pause.
    pub burst: u32,
    /// In the long run. Zero counts as one.
    pub per_second: u32,
}

/// What is left of a [`Rate`]. A new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Takes `amount`, or nothing and `false` where less is left.
    #[must_use]
    pub(crate) fn take(&mut self, amount: u32, rate: Rate, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + rate.time_for(amount);
        let within = full_at.since(now) <= rate.time_for(rate.burst);
        if within {
            self.full_at = full_at;
        }
        within
    }

    /// Whether `amount` is left.
    #[must_use]
    pub(crate) fn has(mut self, amount: u32, rate: Rate, now: Instant) -> bool {
        self.take(amount, rate, now)
    }

    /// When everything taken has been made up for.
    pub(crate) const fn full_at(&self) -> Instant {
        self.full_at
    }
}

impl Rate {
    fn time_for(self, amount: u32) -> Duration {
        Duration::from_secs(u64::from(amount)) / self.per_second.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = Bucket::default();
        let burst = (0..20).filter(|_| bucket.take(1, RATE, Instant::START)).count();
        let later = (0..20).filter(|_| bucket.take(1, RATE, Instant::from_millis(1500))).count();

        assert_eq!((burst, later), (10, 3));
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let mut bucket = Bucket::default();

        assert!(!bucket.take(11, RATE, Instant::START));
        assert_eq!(bucket, Bucket::default());
        assert!(bucket.take(10, RATE, Instant::START));
        assert_eq!(bucket.full_at(), Instant::from_millis(5000));
    }

    #[test]
    fn a_rate_of_nothing_is_no_panic() {
        assert!(!Bucket::default().take(1, Rate { burst: 0, per_second: 0 }, Instant::START));
    }

    const RATE: Rate = Rate { burst: 10, per_second: 2 };
}
