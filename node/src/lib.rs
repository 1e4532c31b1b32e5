//! The leader's brain: a machine that takes facts and the time, and returns acts.

mod api;
mod node;
pub mod seeds;

pub use api::{Config, Input, Output, UplinkCommand, UplinkEvent};
pub use node::Node;
pub use seeds::{Seed, SeedId};
