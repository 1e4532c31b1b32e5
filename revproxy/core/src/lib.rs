//! The pure machines: no clock, no IO. The shell in the rest of this crate feeds them, and so do simulations.

mod meters;
pub mod proxy;
mod rate;
pub mod rendezvous;
mod source;
