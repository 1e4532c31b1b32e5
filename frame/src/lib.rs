//! One per iframe: the host's port, the site's sessions, the leader's port, and RTCPeerConnections.
//!
//! [`site`] is the frame's machine: it takes what the site asks, what the leader says and what links report, and returns
//! what is told to each. The rest is the shell around it, and exists in browsers only.

pub mod embedding;
pub mod site;

#[cfg(target_arch = "wasm32")]
mod addresses;
#[cfg(target_arch = "wasm32")]
mod boot;
#[cfg(target_arch = "wasm32")]
mod consent;
#[cfg(target_arch = "wasm32")]
mod fallback;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod leader;
#[cfg(target_arch = "wasm32")]
mod link;
#[cfg(target_arch = "wasm32")]
mod module;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod rtc;
#[cfg(target_arch = "wasm32")]
mod shell;

#[cfg(target_arch = "wasm32")]
pub use boot::start;
