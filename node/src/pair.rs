//! What links, dials and sessions are between.

use bitters_wire::id::PersonaId;

/// The two ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The persona of this node.
    pub own: PersonaId,
    /// The persona at the other end.
    pub peer: PersonaId,
}
