//! Why a session is over.

use bitters_wire::failure::{Code, Failure};

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The peer closed it.
    ClosedByPeer,
    /// This side's site closes all.
    ClosedByUs,
    /// The peer's frame is gone, or has forgotten the session.
    FrameGone,
    /// This side's site hung up on the peer, in all its frames. The peer's leader is told.
    HungUp,
    /// Nothing was open for a while.
    Idle,
    /// No way to the peer while opening.
    NoRoute,
    /// Nobody there serves what was to be opened.
    NotServed,
    /// The peer broke the protocol.
    Protocol,
    /// This side's site has too many sessions, in all its frames.
    Quota,
    /// The peer acknowledged nothing for a minute.
    Silent,
    /// No answer to the handshake.
    Unanswered,
}

impl Over {
    /// What a stream's user is told.
    pub fn failure(self) -> Failure {
        let (code, message) = match self {
            Self::ClosedByPeer => (Code::PeerUnreachable, "the peer closed the session"),
            Self::ClosedByUs => (Code::Closed, "the node was closed"),
            Self::FrameGone => (Code::PeerUnreachable, "the peer's page is gone"),
            Self::HungUp => (Code::Closed, "the site hung up"),
            Self::Idle => (Code::PeerUnreachable, "the session was idle"),
            Self::NoRoute => (Code::PeerUnreachable, "there is no way to the peer"),
            Self::NotServed => (Code::NotFound, "the peer doesn't serve it"),
            Self::Protocol => (Code::Remote, "the peer broke the protocol"),
            Self::Quota => (Code::Quota, "this site has too many sessions open"),
            Self::Silent => (Code::PeerUnreachable, "the peer was silent for a minute"),
            Self::Unanswered => (Code::PeerUnreachable, "the peer didn't answer within 15 s"),
        };
        Failure::new(code, message)
    }

    /// Whether the peer may still listen, and is to be told.
    pub const fn is_told(self) -> bool {
        matches!(self, Self::ClosedByUs | Self::Idle | Self::Protocol | Self::Silent)
    }
}
