//! Where records of personas are: published, found and kept by the overlay.
//!
//! | module | idea |
//! | --- | --- |
//! | [`word`] | what nodes ask each other about records |
//! | [`keeping`] | what this node keeps for others, and hands over |
//! | [`publishing`] | this node's own records, put where others look |
//! | [`finding`] | look-ups of others' records |
//! | [`directory`] | the machine that all of these make up |
//!
//! A record stands at two positions of the overlay's ring. The node that is nearest to a position keeps it, and copies it to its near
//! neighbours. Who publishes and who looks up walk through random nodes first, so that nobody sees who they are.

mod directory;
pub mod finding;
pub mod keeping;
pub mod publishing;
pub mod word;

pub use directory::{Directory, Input, Output};

use bitters_record::{blind::BlindedKey, record::Salt};

/// By what a record is found: the persona's key of the day, and which of its records it is.
pub type Name = (BlindedKey, Salt);
