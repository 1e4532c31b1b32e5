//! The rendezvous, whom to turn to, and the addresses that it listens at for us.

pub mod addresses;
pub mod seeds;
pub mod uplink;
