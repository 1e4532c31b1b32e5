//! What two linked nodes say to each other. Order is kept, and nothing is lost until the link says that it broke.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    claim::Claim,
    id::{FrameId, NodeId, PersonaId, TopicId},
    packet::Packet,
};

/// One message on a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkMessage {
    /// Where the sender's node can be dialled later: an address of its own. The latest one counts.
    Address(Address),
    /// A persona of the sender's node. Comes before anything else that names the persona.
    Claim(Claim),
    /// A frame of a persona of the sender's is gone, and its sessions with it.
    FrameGone {
        /// Whose.
        persona: PersonaId,
        /// Which.
        frame: FrameId,
    },
    /// A claimed persona is in a topic.
    Joined {
        /// Which topic.
        topic: TopicId,
        /// Which of the sender's personas.
        persona: PersonaId,
    },
    /// A persona left a topic.
    Left {
        /// Which topic.
        topic: TopicId,
        /// Which of the sender's personas.
        persona: PersonaId,
    },
    /// Other nodes that the sender knows to be in a topic, at most [`TOPIC_NEIGHBOURS`](crate::limits::TOPIC_NEIGHBOURS).
    Members {
        /// Which topic.
        topic: TopicId,
        /// Nodes that the sender is linked to.
        nodes: Vec<NodeId>,
    },
    /// A session's packet, for a persona of the receiver's.
    Packet(Packet),
    /// A topic's message, sealed (see [`crate::topic`]).
    Publish {
        /// Which topic.
        topic: TopicId,
        /// The sealed message.
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
    /// A signal for a node that the receiver is linked to; passed on as [`Relayed`](Self::Relayed).
    Relay {
        /// For whom.
        to: NodeId,
        /// The signal.
        signal: Signal,
    },
    /// A signal from a node that the sender is linked to.
    Relayed {
        /// From whom, as the sender says; the connection's identities prove it.
        from: NodeId,
        /// The signal.
        signal: Signal,
    },
    /// The sender's leader is new and knows nothing of this link. The receiver forgets what the sender told it of personas and
    /// topics, and tells its own again; the sender's own follows.
    Resume,
    /// A signal for another link between the same two nodes: a standby.
    Signal(Signal),
    /// The standby is over at the sender's end; this link goes on.
    StandbyGone {
        /// The sender's attempt that the standby came from.
        attempt: u32,
    },
    /// The sender's first word on a link: it uses this one, and whatever other it had with the receiver is over at its end. The
    /// sender forgot what was said on that; both tell all of their own anew. Answered with [`Switched`](Self::Switched).
    Switch,
    /// The receiver's [`Switch`](Self::Switch) arrived.
    Switched,
    /// A signal can't be passed on to this node ([`Relay`](Self::Relay)): the sender has no link to it.
    Unreachable(NodeId),
}

/// One of the two messages that make a connection (`peercon`), on whatever way leads to the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The sender's attempt.
    pub attempt: u32,
    /// The receiver's attempt that this answers; `None` when the sender dials.
    pub answers: Option<u32>,
    /// The compact signal, at most [`MAX_SIGNAL`](crate::limits::MAX_SIGNAL) bytes.
    #[serde(with = "serde_bytes")]
    pub blob: Vec<u8>,
}
