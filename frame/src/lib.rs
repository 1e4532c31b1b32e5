//! One per iframe: the host's port, the leader's port, and RTCPeerConnections. It is the shell around the frame's machine
//! ([`bitters_frame_core::site`]), and exists in browsers only.

#![cfg(target_arch = "wasm32")]

mod addresses;
mod boot;
mod consent;
mod fallback;
mod host;
mod leader;
mod module;
mod page;
mod rtc;
mod shell;
mod uri_page;

pub use boot::start;
