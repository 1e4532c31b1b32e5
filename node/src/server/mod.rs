//! The rendezvous, whom to turn to, how much is said to it, and the addresses that it listens at for us.

pub mod addresses;
pub mod saying;
pub mod seeds;
pub mod uplink;
