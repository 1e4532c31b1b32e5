//! The leader: one worker that coordinates all frames of an island.
//!
//! It runs [`bitters_node::Node`], and owns what a machine can't: the frames' ports, the store, the socket to the rendezvous,
//! and the services that node authors add.
//!
//! # Election
//! A worker becomes the leader when it is granted the island's leader lock. Until then the ports of its frames wait, unread.
//! The lock guarantees one leader across builds, crashes and the fallback; a waiting worker is healthy. A leader that hangs is
//! taken over by a successor, a worker of another name, which may steal the lock (see [`bitters_node::Candidacy`]).
//!
//! # A node of your own
//! A service is an API that sites call with `node.service(name)`. Register yours before the leader starts:
//!
//! ```ignore
//! use bitters_leader::{Call, Reply, Served, Service, register};
//! use wasm_bindgen::prelude::wasm_bindgen;
//!
//! struct Clock;
//!
//! impl Service for Clock {
//!     fn call(&self, call: Call) -> Served {
//!         Box::pin(async move {
//!             match call.method.as_str() {
//!                 "now" => Reply::value(&js_sys::Date::now()),
//!                 _ => Err(call.unknown_method()),
//!             }
//!         })
//!     }
//! }
//!
//! #[wasm_bindgen(start)]
//! fn main() {
//!     register("clock", Clock);
//! }
//! ```
//! With `use bitters_dedicated as _;` the same module is the fallback's, too, so that browsers without SharedWorker have the service.

#![cfg(target_arch = "wasm32")]

mod boot;
mod files;
mod guests;
mod leader;
mod service;
mod store;
mod uplink;

pub use boot::{Leading, start};
pub use service::{Call, Reply, Served, Service, register};
