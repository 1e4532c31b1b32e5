//! Local names of streams and calls.

/// A stream, by a name that its endpoint never uses again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(pub(crate) u64);

/// A call, made or answered, by a name that its endpoint never uses again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub(crate) u64);
