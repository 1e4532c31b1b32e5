//! What frames are told of the node, and when.

pub mod warnings;
pub mod watch;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::id::PersonaId;

use crate::topics::Place;

/// What was told, and what is to be.
#[derive(Debug, Default)]
pub struct View {
    /// What people should know.
    pub warnings: warnings::Warnings,
    /// To how many peers each persona is linked, as its frames were told.
    pub peers_told: Map<PersonaId, u32>,
    /// Topics whose peers some frame is to be told of once it settled.
    pub deferred: Set<(Instant, Place)>,
}
