//! The record of a persona. Nodes of the overlay keep it for strangers, so that a persona can be found by its id
//! alone.
//!
//! | module | idea |
//! | --- | --- |
//! | [`day`] | UTC days, by which keys change |
//! | [`blind`] | a persona's key of one day |
//! | [`body`] | what a record says: doors and introduction points |
//! | [`record`] | how a record is signed, sealed, checked and opened |
//! | [`place`] | where on the overlay's ring a record is kept |
//! | [`shelf`] | what a node keeps for others, within its quotas |
//!
//! A persona blinds its key with the day, as onion services of Tor do. It signs the record with the blinded key, and
//! seals the body with a key that is derived from its id. So whoever keeps the record can check it. Whoever keeps it
//! can't read it, can't learn the persona's id from it, and can't tell which records of two days are of one persona.
//! Whoever knows the id computes the blinded key, finds the record with it, and opens the record.
//!
//! Nothing in this crate does IO, reads a clock or draws random numbers: callers pass these in.

pub mod blind;
pub mod body;
pub mod day;
pub mod place;
mod rates;
pub mod record;
pub mod shelf;

#[cfg(test)]
mod samples;
