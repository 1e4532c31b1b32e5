//! When to try again.

use std::time::Duration;

/// A delay that doubles with each failure up to `cap`, spread by half of it either way so that nobody retries in step.
pub fn backoff(first: Duration, failures: u32, cap: Duration, rng: &mut fastrand::Rng) -> Duration {
    let delay = first.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(cap);
    delay.mul_f64(0.5 + rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_grows_to_its_cap() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut nth = |failures| backoff(Duration::from_secs(1), failures, Duration::from_secs(60), &mut rng);
        for _ in 0..100 {
            assert!((0.5..1.5).contains(&nth(0).as_secs_f64()));
            assert!((2.0..6.0).contains(&nth(2).as_secs_f64()));
            assert!((30.0..90.0).contains(&nth(40).as_secs_f64()));
        }
    }
}
