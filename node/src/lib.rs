//! The leader's brain: a machine that takes facts and the time, and returns acts.
//!
//! Frames (iframe threads) introduce themselves with a hello and say what their sites want; links, held by frames, lead to other
//! nodes; the uplink leads to a rendezvous. The node knows who is where and passes packets, topic messages and signals
//! on. It keeps no conversation: what must not be lost lives in the sessions of the frames, and everything here is told again
//! by those who know it when another leader takes over.
//!
//! | module | idea |
//! | --- | --- |
//! | `groups` | sites that may be of one hand |
//! | `limits` | bounds and rates |
//! | `deadline` | when something is due, and what |
//! | `pair` | the two ends of a link |
//! | `clock` | what time it is |
//! | `backlog` | packets that wait, within a bound |
//! | `dials` | peers that sites want to be reachable |
//! | `topics` | what holds a topic together |
//! | `view` | what frames are told, and when |
//! | `sites` | who was met, what the person answered for them, what they spend |
//! | `frames` | who they are, what they serve and have joined |
//! | `server` | the socket to the rendezvous, how much is said to it, seeds, and what addresses are made of |
//! | `links` | the machine of links between personas and their peers |
//! | `api` | facts and acts |
//! | `node` | who handles what, and what is due when |
//! | `candidacy` | from a worker's start to its leadership, and to its loss |
//!
//! Imports run one way: a module uses only those above it in this table (`cargo xtask check` reads it).

mod api;
mod backlog;
mod candidacy;
mod clock;
mod deadline;
mod dials;
mod frames;
mod groups;
mod limits;
mod links;
mod node;
mod pair;
mod server;
pub mod sites;
mod topics;
mod view;

pub use api::{Config, Input, Output, UplinkCommand, UplinkEvent};
pub use candidacy::{Candidacy, CandidacyInput, CandidacyOutput};
pub use node::Node;
pub use server::addresses::{Kept, MAX_CERTIFICATES};
pub use server::seeds::{self, Seed, SeedId};
pub use sites::KnownSite;
