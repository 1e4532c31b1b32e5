//! The lasting conversation of two personas, from one frame to another, whichever links carry its packets.
//!
//! An [`Endpoint`] holds all sessions of one frame. It is a machine: packets and the time go in, packets and what happened come
//! out. What leaders, relays and links see of a session is [`bitters_wire::packet::Packet`]; all else is sealed.
//!
//! **Opening.** The opener knows whom it wants to talk to and what about (a *tag*), not which frame: the peer's leader picks it.
//! One round trip of Noise IK (`noise.rs`) proves both personas; from then on packets name both frames, and packets of the
//! session from anybody else are dropped. There is one session for each peer and tag, and only its opener opens streams in it.
//! A session is bound to the frame that answered. When that frame refuses a stream because it doesn't serve the name any longer, the
//! session takes no more streams and ends with its last one. The refused stream is opened again in a new session, for which the
//! leader picks who serves now (`talk.rs`). That happens once for each stream; a second refusal is `NotFound`.
//!
//! **Messages** (`message.rs`) are numbered from 1 in each direction and kept until they are acknowledged, which happens with
//! the next packet, or after 8 packets, 64 KiB or 25 ms. What arrives is delivered in order, without gaps and once. After a
//! break ([`Input::PathRestored`]), at a gap and after five silent seconds a side asks what has arrived and sends the rest again,
//! sealed anew (`recovery.rs`).
//!
//! **Streams** (`stream.rs`) have credit-based flow control; both directions start without credit. An end that reads allows at
//! most [`STREAM_WINDOW`](bitters_wire::limits::STREAM_WINDOW) more than has arrived, and an end that writes keeps at most as much
//! unacknowledged. **Calls** (`call.rs`) are streams whose credit is managed here.
//!
//! **Ends.** A session without streams is closed after a minute, one whose peer is silent for a minute fails with what was open
//! in it. Every stream ends with both directions finished or with one [`Output::Reset`], every call with one
//! [`Output::CallDone`], at its deadline at the latest.

mod call;
mod context;
mod endpoint;
mod io;
mod keys;
mod ledger;
mod message;
mod noise;
mod over;
mod pipe;
mod recovery;
mod session;
mod shares;
mod stream;
mod talk;

#[cfg(test)]
mod hostile;

pub use endpoint::Endpoint;
pub use io::{Config, Input, OpenError, Output, WriteError};
pub use keys::{CallKey, StreamKey};
