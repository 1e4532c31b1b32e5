//! How unreliable a world is.

/// Chances in a hundred.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// A connection between two frames fails.
    pub connection_fails: u8,
    /// A frame makes no signal.
    pub signal_is_missing: u8,
    /// A frame reports its signal twice.
    pub signal_is_double: u8,
    /// A frame that dies is reported twice.
    pub death_is_double: u8,
}

impl Faults {
    /// Things go wrong now and then.
    pub const SOME: Self =
        Self { connection_fails: 4, signal_is_missing: 4, signal_is_double: 10, death_is_double: 20 };

    /// Things go well.
    pub const NONE: Self = Self { connection_fails: 0, signal_is_missing: 0, signal_is_double: 0, death_is_double: 0 };
}
