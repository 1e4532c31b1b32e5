//! The overlay: a network of nodes, in which any node and any position is reached through any one link.
//!
//! | module | idea |
//! | --- | --- |
//! | [`position`] | where nodes stand on the ring |
//! | [`message`] | what neighbours say to each other |
//! | [`neighbours`] | whom a node is linked with, and whom those are linked with |
//! | [`standing`] | how far a neighbour is trusted with routes |
//! | [`hops`] | routes under way by this node |
//! | [`calls`] | what this node asks |
//! | [`wanted`] | which links a node wants |
//! | [`dials`] | dials under way, and whom not to dial again yet |
//! | [`pool`] | nodes that others spoke of |
//! | [`seeking`] | when to look for others from outside |
//! | [`ways`] | ways back to who registered, by which it is introduced |
//! | [`overlay`] | the machine that all of these make up |
//!
//! The overlay sees node keys and bytes. It knows nothing of frames, links, personas or servers.

pub mod calls;
pub mod dials;
pub mod hops;
mod io;
pub mod message;
pub mod neighbours;
mod overlay;
pub mod pool;
pub mod position;
pub mod seeking;
pub mod standing;
pub mod wanted;
pub mod ways;

pub use io::{Input, Output};
pub use overlay::Overlay;
