//! UTC days, by which the keys of personas change.

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

/// A UTC day: how many days it began after 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day of a moment, in unix seconds. Moments beyond the last day that fits are of that day.
    #[must_use]
    pub fn of(unix: u64) -> Self {
        Self(u32::try_from(unix / DAY).unwrap_or(u32::MAX))
    }

    /// The day before. There is none before the first day, so that is its own.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The day after. There is none after the last day, so that is its own.
    #[must_use]
    pub const fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The days whose records a reader looks for, likeliest first: this day, the day before and the day after. The
    /// persona may have published its record two hours ago, and its clock may differ from the reader's.
    #[must_use]
    pub const fn around(self) -> [Self; 3] {
        [self, self.before(), self.after()]
    }

    /// The day as it goes into hashes and keys: its high byte first.
    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        // `date -u -d 2026-01-01 +%s`
        let new_year = 1_767_225_600;
        assert_eq!([new_year - 1, new_year, new_year + DAY - 1].map(Day::of), [Day(20_453), Day(20_454), Day(20_454)]);
    }

    #[test]
    fn days_end_where_numbers_do() {
        assert_eq!(Day::of(0).around(), [Day(0), Day(0), Day(1)]);
        assert_eq!(Day::of(u64::MAX).around(), [Day(u32::MAX), Day(u32::MAX - 1), Day(u32::MAX)]);
    }

    proptest! {
        #[test]
        fn a_reader_finds_the_day_of_a_clock_that_is_up_to_a_day_off(unix in DAY..1 << 40, off in 0..=DAY) {
            let days = Day::of(unix).around();
            prop_assert!(days.contains(&Day::of(unix - off)));
            prop_assert!(days.contains(&Day::of(unix + off)));
        }
    }
}
