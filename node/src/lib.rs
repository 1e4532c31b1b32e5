//! The leader's brain: a machine that takes facts and the time, and returns acts.
//!
//! Frames (iframe threads) introduce themselves with a hello and say what their sites want; links, held by frames, lead to other
//! nodes; the uplink leads to a rendezvous. The node knows who is where and passes packets, topic messages and signals
//! on. It keeps no conversation: what must not be lost lives in the sessions of the frames, and everything here is told again
//! by those who know it when another leader takes over.
//!
//! | module | idea |
//! | --- | --- |
//! | `accounts` | what each site spends |
//! | `addresses` | what the node's addresses are made of |
//! | `api` | facts and acts |
//! | `attempt` | how two attempts at one link find each other |
//! | `backlog` | packets that wait, within a bound |
//! | `candidacy` | from a worker's start to its leadership, and to its loss |
//! | `dials` | peers that sites want to be reachable |
//! | `frames` | who they are, what they serve and have joined |
//! | `groups` | sites that may be of one hand |
//! | `holds` | what is held back of sites that say too much |
//! | `lanes` | what waits for a link, each site's for itself |
//! | `links` | which frame holds the link of which persona to which peer |
//! | `node` | who handles what, what is due when |
//! | `placement` | which frame carries a new link |
//! | `quotas` | bounds and rates |
//! | `redials` | when a peer is dialled again |
//! | `seeds` | whom to turn to first |
//! | `seen` | messages that were seen |
//! | `sites` | who was met, and what the person answered for them |
//! | `status` | when a watching frame is told |
//! | `topics` | what holds a topic together |
//! | `uplink` | the socket to the rendezvous |
//! | `warnings` | what people should know |

mod accounts;
mod addresses;
mod api;
mod attempt;
mod backlog;
mod candidacy;
mod dials;
mod frames;
mod groups;
mod holds;
mod lanes;
mod links;
mod node;
mod placement;
mod quotas;
mod redials;
pub mod seeds;
mod seen;
pub mod sites;
mod status;
mod topics;
mod uplink;
mod warnings;

pub use addresses::{Kept, MAX_CERTIFICATES};
pub use api::{Config, Input, Output, UplinkCommand, UplinkEvent};
pub use candidacy::{Candidacy, CandidacyInput, CandidacyOutput};
pub use node::Node;
pub use seeds::{Seed, SeedId};
pub use sites::Site;
