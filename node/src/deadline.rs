//! When something is due, and what.

use bitters_machine::time::Instant;

/// A moment, and what is due then.
pub type Deadline = (Instant, &'static str);

/// The first of all that is due.
pub fn earliest(all: impl IntoIterator<Item = (Option<Instant>, &'static str)>) -> Option<Deadline> {
    all.into_iter().filter_map(|(at, what)| Some((at?, what))).min()
}
