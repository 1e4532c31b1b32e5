//! What a node may say of one key: so much by itself, and one message for each signal that others had the key passed.

use bitters_machine::time::Instant;

use crate::rate::{Bucket, Rate};

/// Answers that are still to come. A node looks at so many signals to one persona at once (`node::limits::KEY_SIGNALS`).
const MAX_FREE: u32 = 256;

#[derive(Debug, Default)]
pub(super) struct Allowance {
    own: Bucket,
    /// Messages that others have paid for: each signal counts against its sender.
    free: u32,
}

impl Allowance {
    /// A signal was passed on to the key.
    pub(super) fn earn(&mut self) {
        self.free = (self.free + 1).min(MAX_FREE);
    }

    /// Takes a message that others have paid for, if there is one.
    #[must_use]
    pub(super) const fn take_free(&mut self) -> bool {
        let has_free = self.free > 0;
        self.free = self.free.saturating_sub(1);
        has_free
    }

    /// Whether a message of its own is left to it.
    #[must_use]
    pub(super) fn has(&self, rate: Rate, now: Instant) -> bool {
        self.own.has(1, rate, now)
    }

    /// Takes a message that it [has](Self::has).
    pub(super) fn take(&mut self, rate: Rate, now: Instant) {
        let _ = self.own.take(1, rate, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_paid_for_leaves_its_own() {
        let mut allowance = Allowance::default();
        allowance.earn();
        assert_eq!([allowance.take_free(), allowance.take_free()], [true, false]);

        let passed = (0..5).filter(|_| {
            let has = allowance.has(RATE, Instant::START);
            allowance.take(RATE, Instant::START);
            has
        });
        assert_eq!(passed.count(), 3);
    }

    #[test]
    fn what_is_not_used_does_not_pile_up() {
        let mut allowance = Allowance::default();
        (0..1000).for_each(|_| allowance.earn());
        assert_eq!((0..1000).filter(|_| allowance.take_free()).count(), 256);
    }

    const RATE: Rate = Rate { burst: 3, per_second: 1 };
}
