//! What goes into an endpoint and what comes out.

use bitters_wire::{
    data::Data,
    failure::Failure,
    id::{FrameId, PersonaId},
    keys::PersonaSecret,
    name::Name,
    packet::Packet,
};

use crate::keys::{CallKey, StreamKey};

/// Who an endpoint is.
#[derive(Clone)]
pub struct Config {
    /// The persona of the frame's site.
    pub persona: PersonaSecret,
    /// The frame.
    pub frame: FrameId,
    /// 32 bytes from the platform's generator, for session ids and ephemeral keys. A run with the same seed is the same.
    pub seed: [u8; 32],
}

/// What happens outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A peer's frame is gone, and its sessions with it, as the peer's node says.
    FrameGone(PersonaId, FrameId),
    /// This peer hung up: all sessions with it are over.
    HungUp(PersonaId),
    /// A packet for this frame.
    Packet(Packet),
    /// There is a way to this persona again, after a break: what was lost is sent again.
    PathRestored(PersonaId),
    /// The time that [`Endpoint::poll_timeout`](crate::Endpoint::poll_timeout) told has come.
    Timeout,
    /// There was no way to this persona, and why: whatever waits for a session that the peer never answered waits in vain.
    Unreachable(PersonaId, Failure),
}

/// What the shell is to do, or to tell its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The caller of an incoming call doesn't wait any longer; it may be gone.
    CallCancelled(CallKey),
    /// An outgoing call is over. Told once for each, at its deadline at the latest.
    CallDone {
        /// Which call.
        call: CallKey,
        /// What the handler returned, or why there is nothing; then `executed` says whether it ran.
        outcome: Result<Data, Failure>,
    },
    /// The local writer may write up to this total offset.
    Credit {
        /// Which stream.
        stream: StreamKey,
        /// The total offset.
        limit: u64,
    },
    /// Bytes for the local reader, within the credit it gave.
    Data {
        /// Which stream.
        stream: StreamKey,
        /// At least one.
        bytes: Vec<u8>,
    },
    /// The peer's direction is finished: its reader has all.
    Finished(StreamKey),
    /// A call of a served method, to be answered by [`Endpoint::reply`](crate::Endpoint::reply).
    IncomingCall {
        /// Its name from now on.
        call: CallKey,
        /// The caller, proven.
        from: PersonaId,
        /// Which method.
        method: Name,
        /// The argument.
        data: Data,
    },
    /// A stream of a served protocol. It is accepted already.
    IncomingStream {
        /// Its name from now on.
        stream: StreamKey,
        /// The opener, proven.
        peer: PersonaId,
        /// Which protocol.
        protocol: Name,
    },
    /// The peer accepted a stream that was opened here.
    Opened(StreamKey),
    /// For the leader.
    Packet(Packet),
    /// The stream is over, both ways, by the peer or the world. What this side resets itself isn't told. May come, as may
    /// [`Output::Opened`], after this side has finished and stopped, as long as its last bytes are under way.
    Reset {
        /// Which stream.
        stream: StreamKey,
        /// Why.
        failure: Failure,
    },
    /// The peer wants no more bytes; this side's direction is finished thereby.
    Stopped(StreamKey),
}

/// Why nothing was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The persona's id is no key.
    #[error("no persona has this id")]
    BadPeer,
    /// Too many sessions or streams are open.
    #[error("too much is open already")]
    Quota,
    /// A call's argument is larger than a message may be.
    #[error("the argument is larger than a message may be")]
    TooLarge,
}

/// Why bytes weren't taken. Neither harms the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The stream is gone, or this direction of it finished or stopped.
    #[error("the stream takes no more bytes")]
    Closed,
    /// More bytes than the credit that was told.
    #[error("the bytes exceed the stream's credit")]
    NoCredit,
}
