//! The server that nodes meet at: the rendezvous (WebSocket) and static files by host name, on one port.
//!
//! [`core`] holds the machines; everything else is their shell.

pub mod core;
