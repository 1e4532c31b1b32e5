//! How often strangers may make us work.

use std::time::Duration;

use bitters_wire::time::Instant;

/// A bucket of `burst` acts, filled again within a second.
#[derive(Debug)]
pub struct Throttle {
    burst: u32,
    /// When the bucket is full again.
    full_at: Instant,
}

impl Throttle {
    pub const fn new(burst: u32) -> Self {
        Self { burst, full_at: Instant::START }
    }

    /// Whether one more act is allowed now.
    pub fn allow(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + Duration::from_secs(1) / self.burst;
        let allowed = full_at.since(now) <= Duration::from_secs(1);
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_at_a_time() {
        let mut throttle = Throttle::new(4);
        let allowed =
            |throttle: &mut Throttle, ms| (0..10).filter(|_| throttle.allow(Instant::from_millis(ms))).count();

        assert_eq!(allowed(&mut throttle, 0), 4);
        assert_eq!(allowed(&mut throttle, 249), 0);
        assert_eq!(allowed(&mut throttle, 250), 1);
        assert_eq!(allowed(&mut throttle, 60_000), 4);
    }
}
