//! Node and rendezvous, over one WebSocket. Each WebSocket message (binary) is one message.
//!
//! The server speaks first, with a challenge. The node registers by signing it, then each of its personas. The server knows
//! hashed topics and keys; it forgets a node when its socket closes.

use serde::{Deserialize, Serialize};

use crate::{
    VersionRange,
    claim::Claim,
    failure::Code,
    id::{NodeId, PersonaId, TopicId},
    keys::Signature,
    link::Signal,
};

/// From a node to the rendezvous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// I am in this topic: introduce me, now and to those who ask later. Answered with [`ToNode::Members`].
    Advertise(TopicId),
    /// Introduce me to more members, also such as you named already.
    Discover(TopicId),
    /// Where does this persona live? Answered with [`ToNode::Found`] or [`ToNode::Missing`].
    Lookup(PersonaId),
    /// This persona of mine may be looked up. The signature is the persona's, over [`persona_text`].
    Persona {
        /// Who, and that it lives here.
        claim: Claim,
        /// Over the connection's challenge.
        signature: Signature,
    },
    /// The first message: who I am. The signature is the node's, over [`node_text`]. Answered with [`ToNode::Registered`].
    Register {
        /// The node.
        node: NodeId,
        /// Over the connection's challenge.
        signature: Signature,
        /// Versions that the node speaks.
        wire: VersionRange,
    },
    /// One of the two messages, to be passed on as [`ToNode::Signal`].
    Signal {
        /// For whom.
        to: NodeId,
        /// The message.
        signal: Signal,
    },
    /// This persona may not be looked up any longer.
    Unpersona(PersonaId),
    /// I left this topic.
    Withdraw(TopicId),
}

/// From the rendezvous to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// The first message.
    Challenge {
        /// Random, of this connection.
        nonce: [u8; 32],
        /// Versions that the server speaks.
        wire: VersionRange,
    },
    /// A persona that was looked up.
    Found(Claim),
    /// A few random other nodes in a topic, at most [`TOPIC_NEIGHBOURS`](crate::limits::TOPIC_NEIGHBOURS).
    Members {
        /// Which topic.
        topic: TopicId,
        /// Which nodes.
        nodes: Vec<NodeId>,
    },
    /// Nobody registered this persona.
    Missing(PersonaId),
    /// The request was refused; after a refusal of [`ToServer::Register`] the socket closes.
    Refused {
        /// Why.
        code: Code,
        /// For people: what and where.
        message: String,
    },
    /// The node is registered.
    Registered,
    /// One of the two messages, from a registered node.
    Signal {
        /// From whom.
        from: NodeId,
        /// The message.
        signal: Signal,
    },
    /// A signal's receiver isn't here.
    Unreachable(NodeId),
}

/// The path of the rendezvous on its server: `ws://HOST/rendezvous`.
pub const PATH: &str = "/rendezvous";

/// What a node signs to register.
#[must_use]
pub fn node_text(nonce: &[u8; 32], node: NodeId) -> Vec<u8> {
    [b"bitters/rendezvous/node/1".as_slice(), nonce, &node.0].concat()
}

/// What a persona signs to be looked up.
#[must_use]
pub fn persona_text(nonce: &[u8; 32], persona: PersonaId, node: NodeId) -> Vec<u8> {
    [b"bitters/rendezvous/persona/1".as_slice(), nonce, &persona.0, &node.0].concat()
}
