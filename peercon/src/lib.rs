//! One connection to one peer, in the mode of two messages: a sans-IO machine and its codecs.
//!
//! Both ends make an ordinary WebRTC *offer* with two negotiated, ordered, reliable data channels (0 is control, 1 is
//! data), leave it as it is, and send what matters of it to the other as a compact [`signal`]. Each reads the other's
//! signal as the *answer* to its own offer ([`sdp::describe`]); the end with the lower certificate fingerprint is
//! DTLS-passive (RFC 8842). So nothing can glare, and neither message waits for the other. Browsers move towards refusing
//! edits of the local description; the remote one is ours to invent (RFC 9429, section 4.1.10).
//!
//! On the control channel each end says who it is and signs both identities, both fingerprints and both nonces
//! (`IdentityText` of the wire). Only once both ends have proven themselves does an application byte pass, in [`parts`].
//! Candidates that came too late for the signal follow over the control channel (trickle ICE, RFC 8838).
//!
//! A connection that was opened at an address begins at a proxy. It moves to a direct path (`restart`, `paths`) as soon as both
//! ends let each other know their network addresses (`willingness`).
//!
//! Beside that, [`negotiation`] is for node authors who add media to a connection: offers and answers as usual, in slices that
//! fit into control messages.

mod candidate;
mod control;
mod credentials;
mod handshake;
mod heartbeat;
mod live;
mod local;
mod machine;
pub mod negotiation;
pub mod packed;
pub mod parts;
mod paths;
mod remote;
mod restart;
pub mod sdp;
pub mod signal;
#[cfg(test)]
mod tests;
mod traffic;
mod willingness;

pub use candidate::{Address, Candidate, CandidateError, Kind};
pub use credentials::{BadCredentials, Credentials};
pub use machine::{Config, Input, Output, Peercon};

pub use bitters_wire::address::Fingerprint;
