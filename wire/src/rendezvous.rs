//! Node and rendezvous, over one WebSocket. Each WebSocket message (binary) is one message.
//!
//! The server speaks first, with a challenge. The node registers by signing it, then each of its personas. The server knows
//! hashed topics and keys; it forgets a node when its socket closes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    VersionRange,
    address::{Fingerprint, Owner, Token},
    claim::Claim,
    failure::Code,
    id::{NodeId, PersonaId, TopicId},
    keys::Signature,
    link::Signal,
};

/// From a node to the rendezvous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// The answer to [`ToNode::Dialled`]: the credentials that the node's browser made for the dialler.
    Answer {
        /// The server's number.
        session: u64,
        /// A compact signal (`peercon`) without candidates, at most [`MAX_SIGNAL`](crate::limits::MAX_SIGNAL) bytes.
        #[serde(with = "serde_bytes")]
        signal: Vec<u8>,
    },
    /// I am in this topic: introduce me, now and to those who ask later. Answered with [`ToNode::Members`].
    Advertise(TopicId),
    /// Introduce me to more members, also such as you named already.
    Discover(TopicId),
    /// No direct path was found: packets are to be forwarded, within the server's budget, between these ICE username fragments.
    Forward {
        /// The server's number.
        session: u64,
        /// The node's.
        ours: String,
        /// The dialler's.
        theirs: String,
    },
    /// Whoever dials this address is to be introduced with [`ToNode::Dialled`]. The signature is the owner's, over
    /// [`listen_text`]. Answered with [`ToNode::Listening`].
    Listen {
        /// Whose address: the node, or a persona of its own.
        owner: Owner,
        /// Of the certificate that they answer with.
        fingerprint: Fingerprint,
        /// Over the connection's challenge.
        signature: Signature,
    },
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
    /// Whoever dials this address is not to be introduced any longer.
    Unlisten(Token),
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
    /// Somebody dials an address that the node listens at; answered with [`ToServer::Answer`].
    Dialled {
        /// The server's number for this.
        session: u64,
        /// Which address.
        token: Token,
        /// The dialler's compact signal (`peercon`), whose candidates are the server's own.
        #[serde(with = "serde_bytes")]
        signal: Vec<u8>,
    },
    /// A persona that was looked up.
    Found(Claim),
    /// The address is listened at.
    Listening(Token),
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
    Registered {
        /// Where the server answers dials, and at the next ports STUN ([`stun_of`](crate::address::stun_of)), at most [`MAX_PROXIES`](crate::address::MAX_PROXIES); empty if it doesn't.
        proxies: Vec<SocketAddr>,
    },
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

impl ToServer {
    /// Are you there? The node looks up its own id, which is nobody's persona. Every server answers a look-up, so this needs no message
    /// of its own, and servers of older builds answer it, too. The answer is the one that [`ToNode::is_here`] knows.
    #[must_use]
    pub const fn are_you_there(node: NodeId) -> Self {
        Self::Lookup(PersonaId(node.0))
    }
}

impl ToNode {
    /// Whether this is the answer to the [question](ToServer::are_you_there) of `node`.
    #[must_use]
    pub fn is_here(&self, node: NodeId) -> bool {
        *self == Self::Missing(PersonaId(node.0))
    }
}

/// The path of the rendezvous on its server: `ws://HOST/rendezvous`.
pub const PATH: &str = "/rendezvous";

/// What a node signs to register. `server` is the host, with its port unless that is the scheme's own, by which the node
/// reached the server (RFC 9110, section 7.2): a server can't register at another as a node that registers with it.
#[must_use]
pub fn node_text(nonce: &[u8; 32], server: &str, node: NodeId) -> Vec<u8> {
    [b"bitters/rendezvous/node/2".as_slice(), nonce, &named(server), &node.0].concat()
}

/// What a persona signs to be looked up.
#[must_use]
pub fn persona_text(nonce: &[u8; 32], server: &str, persona: PersonaId, node: NodeId) -> Vec<u8> {
    [b"bitters/rendezvous/persona/2".as_slice(), nonce, &named(server), &persona.0, &node.0].concat()
}

/// What an address's owner signs for `node` to listen at it.
#[must_use]
pub fn listen_text(nonce: &[u8; 32], server: &str, token: Token, node: NodeId) -> Vec<u8> {
    [b"bitters/rendezvous/listen/1".as_slice(), nonce, &named(server), &token.0, &node.0].concat()
}

/// A server's name, of which nothing else can be a part.
fn named(server: &str) -> Vec<u8> {
    let len = u32::try_from(server.len()).unwrap_or(u32::MAX).to_be_bytes();
    [len.as_slice(), server.to_ascii_lowercase().as_bytes()].concat()
}
