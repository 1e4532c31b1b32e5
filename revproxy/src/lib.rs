//! The server that nodes meet at: the rendezvous (a WebSocket at `/rendezvous`), the proxy that address holders dial through (UDP) and
//! static files by host name, on one port.
//!
//! [`core`] holds the machines; everything else is their shell. [`serve`] starts it all.
//!
//! | module | is |
//! | --- | --- |
//! | `config` | what to serve, checked: the TOML file is this |
//! | `server`, `stop` | starting, and stopping in good order |
//! | `listeners`, `accept`, `crowd`, `trust`, `traffic` | sockets, connections, how many of one source, who is behind a proxy, bytes |
//! | `tls`, `certificates`, `leaf`, `acme` | certificates by files or by an authority |
//! | `routes`, `names`, `hosts`, `headers`, `observers` | what the server is called, files by host name, what browsers are told about them, the node's `config.json` |
//! | `hub`, `socket` | the rendezvous machine and the sockets that feed it |
//! | `switchboard` | the messages that wait for those sockets |
//! | `udp` | the proxy machine and the sockets that feed it |
//! | `admin`, `metrics` | health and numbers for operators, on a listener of their own |

mod accept;
mod acme;
mod admin;
mod certificates;
mod config;
mod crowd;
mod driver;
mod headers;
mod hosts;
mod hub;
mod leaf;
mod listeners;
mod metrics;
mod names;
mod observers;
mod routes;
mod server;
mod socket;
mod stop;
mod switchboard;
mod tls;
mod traffic;
mod trust;
mod udp;

pub use bitters_revproxy_core as core;
pub use config::{Acme, Config, Host, HostKind, Http, Log, LogFormat, ServeError, TlsFiles};
pub use server::{Running, serve};
