//! Deterministic worlds: several browsers, each with a [`Node`](bitters_node::Node) that leads several frames, and the real
//! rendezvous between them, on simulated time.
//!
//! Ports and sockets keep order and take time. Frames are simulated: they answer a dial late, twice or never; two connections
//! that were given each other's signals come up some time later, or fail. A frame that dies is noticed by its leader soon,
//! and by its peers late. A world is its seed: the same seed tells the same story.

mod browser;
mod connection;
mod faults;
mod story;
pub mod whole;
mod world;

pub use browser::{Browser, Page};
pub use faults::Faults;
pub use story::Story;
pub use world::{Evidence, World};
