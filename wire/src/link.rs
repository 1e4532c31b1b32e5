//! What the two ends of a link say to each other. Order is kept, and nothing is lost until the link says that it broke.
//!
//! A link is between two personas, the sender's own and the receiver's: both have proven who they are, and nothing said here names another
//! persona of either node.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    id::{FrameId, PersonaId},
    packet::Packet,
    sealed::SealedSignal,
    topic::TopicMessage,
};

/// One message on a link: an envelope for each protocol that is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkMessage {
    /// About links.
    Control(Control),
    /// A session's packet.
    Packet(Packet),
    /// About topics.
    Topic(TopicMessage),
}

/// What keeps links going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Where the sender can be dialled later: an address of its own. The latest one counts.
    Address(Address),
    /// A frame of the sender's is gone, and its sessions with it.
    FrameGone(FrameId),
    /// The sender's site hung up: all sessions between the two personas are over. The receiver hangs up the link.
    HungUp,
    /// The sender has had no need of the link for a minute. The receiver hangs up unless it needs it.
    Idle,
    /// A signal for a persona that the receiver is linked to; passed on as [`PassedOn`](Self::PassedOn).
    PassOn {
        /// For whom.
        to: PersonaId,
        /// The signal.
        signal: SealedSignal,
    },
    /// A signal from a persona that the sender is linked to.
    PassedOn {
        /// From whom, as the sender says; the signal proves it.
        from: PersonaId,
        /// The signal.
        signal: SealedSignal,
    },
    /// The sender's leader is new and knows nothing of this link. The receiver forgets what the sender told it of topics, and tells its own
    /// again; the sender's own follow.
    Resume,
    /// A signal for another link between the same two personas: a standby.
    Signal(Signal),
    /// The standby is over at the sender's end; this link goes on.
    StandbyGone {
        /// The sender's attempt that the standby came from.
        attempt: u32,
    },
    /// The sender's first word on a link: it uses this link, and any other link that it had with the receiver is over at its end. The
    /// sender forgot what was said on that; both tell all of their own anew. Answered with [`Switched`](Self::Switched).
    Switch,
    /// The receiver's [`Switch`](Self::Switch) arrived.
    Switched,
    /// A signal can't be passed on to this persona ([`PassOn`](Self::PassOn)): the sender has no link to it.
    Unreachable(PersonaId),
}

/// One of the two messages that make a connection (`peercon`). On all ways but a link between the two it is sealed ([`SealedSignal`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The sender's attempt: random, so that attempts with different peers have nothing in common.
    pub attempt: u32,
    /// The receiver's attempt that this answers; `None` when the sender dials.
    pub answers: Option<u32>,
    /// The compact signal, at most [`MAX_SIGNAL`](crate::limits::MAX_SIGNAL) bytes.
    #[serde(with = "serde_bytes")]
    pub blob: Vec<u8>,
}
