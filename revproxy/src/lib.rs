//! The server that nodes meet at: the rendezvous (a WebSocket at `/rendezvous`) and static files by host name, on one port.
//!
//! [`core`] holds the machines; everything else is their shell. [`serve`] starts it all.
//!
//! | module | is |
//! | --- | --- |
//! | `config` | what to serve, checked |
//! | `server` | listening, accepting, stopping |
//! | `hosts`, `headers`, `observers` | files by host name, what browsers are told about them, the node's `config.json` |
//! | `hub`, `socket` | the rendezvous machine and the sockets that feed it |

mod config;
pub mod core;
mod headers;
mod hosts;
mod hub;
mod observers;
mod server;
mod socket;

pub use config::{Config, Host, HostKind, ServeError};
pub use server::{Running, serve};
