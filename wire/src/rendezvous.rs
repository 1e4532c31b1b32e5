//! Node and rendezvous, over one WebSocket. Each WebSocket message (binary) is one message.
//!
//! The server speaks first, with a challenge. The node enters, then registers the keys of its personas: each by its own signature over the
//! challenge. From then on a key is looked up, introduced in topics and signalled to, and nothing that another key is told names it. The server
//! sees which keys share a socket; it forgets them when the socket closes.
//!
//! A persona that serves something has a door, which whoever looks it up is told.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    VersionRange,
    address::{Address, Fingerprint, Owner, Token},
    failure::Code,
    id::{FrameId, PersonaId, TopicId},
    keys::{BadSignature, PersonaSecret, Signature},
    sealed::SealedSignal,
};

/// From a node to the rendezvous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// The answer to [`ToNode::Dialled`]: the credentials that the node's browser made for the dialler.
    Answer {
        /// The server's number.
        passage: u64,
        /// A compact signal (`peercon`) without candidates, at most [`MAX_SIGNAL`](crate::limits::MAX_SIGNAL) bytes.
        #[serde(with = "serde_bytes")]
        signal: Vec<u8>,
    },
    /// A key of mine is in this topic: introduce it, now and to those who ask later. Answered with [`ToNode::Members`].
    Advertise {
        /// Which topic.
        topic: TopicId,
        /// Who is in it.
        key: PersonaId,
    },
    /// Introduce a key of mine to more members, also to such as you named already.
    Discover {
        /// Which topic.
        topic: TopicId,
        /// Who is in it.
        key: PersonaId,
    },
    /// The first message: the versions that the node speaks. Answered with [`ToNode::Entered`].
    Enter(VersionRange),
    /// Packets are to be forwarded for longer than it takes to open a connection, within the server's budget.
    Forward {
        /// The server's number.
        passage: u64,
        /// Both ends' credentials since a restart that found no direct path. Nothing if they look for none: then those of the dial go on.
        ends: Option<IceEnds>,
    },
    /// Whoever dials this address is to be introduced with [`ToNode::Dialled`]. The signature is the owner's, over
    /// [`listen_text`]. Answered with [`ToNode::Listening`].
    Listen {
        /// Whose address: a registered key of this socket.
        owner: Owner,
        /// Of the certificate that they answer with.
        fingerprint: Fingerprint,
        /// Over the connection's challenge.
        signature: Signature,
    },
    /// A frame of a registered key is gone, and its sessions with it; no link is left to say so. To be passed on as [`ToNode::Gone`].
    Gone(Gone),
    /// Is this key registered here? Answered with [`ToNode::Here`] or [`ToNode::Missing`].
    Lookup(PersonaId),
    /// This key may be looked up and signalled to over this socket. The signature is its own, over [`register_text`]. Answered only if it is
    /// refused.
    Register {
        /// Whose.
        key: PersonaId,
        /// Over the connection's challenge.
        signature: Signature,
    },
    /// One of the two messages, to be passed on as [`ToNode::Signal`].
    Signal {
        /// From whom: a registered key of this socket.
        from: PersonaId,
        /// For whom.
        to: PersonaId,
        /// The message.
        signal: SealedSignal,
    },
    /// Whoever dials this address is not to be introduced any longer.
    Unlisten(Token),
    /// This key is not registered here any longer, nor is it in topics.
    Unregister(PersonaId),
    /// A key of mine left this topic.
    Withdraw {
        /// Which topic.
        topic: TopicId,
        /// Who left it.
        key: PersonaId,
    },
    /// Where whoever looks up a key of mine may dial it.
    Door {
        /// A registered key of this socket.
        key: PersonaId,
        /// An address of its own that is listened at here, without a grant; nothing if it has a door no longer.
        door: Option<Box<Address>>,
    },
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
        /// Milliseconds since 1970, by the server's clock.
        unix_ms: u64,
    },
    /// Somebody dials an address that the node listens at; answered with [`ToServer::Answer`].
    Dialled {
        /// The server's number for this: random.
        passage: u64,
        /// Which address.
        token: Token,
        /// The dialler's compact signal (`peercon`), whose candidates are the server's own.
        #[serde(with = "serde_bytes")]
        signal: Vec<u8>,
    },
    /// The node may register keys.
    Entered {
        /// Where the server answers dials, and at the next ports STUN ([`stun_of`](crate::address::stun_of)), at most
        /// [`MAX_PROXIES`](crate::address::MAX_PROXIES); empty if it doesn't.
        proxies: Vec<SocketAddr>,
    },
    /// A frame of a peer's is gone.
    Gone(Gone),
    /// The key that was looked up is registered.
    Here(PersonaId),
    /// The address is listened at.
    Listening(Token),
    /// A few random other keys in a topic, at most [`TOPIC_NEIGHBOURS`](crate::limits::TOPIC_NEIGHBOURS).
    Members {
        /// Which topic.
        topic: TopicId,
        /// To which key of this socket they are introduced.
        key: PersonaId,
        /// Which keys.
        members: Vec<PersonaId>,
    },
    /// Nobody registered this key.
    Missing(PersonaId),
    /// The request was refused; after a refusal of [`ToServer::Enter`] the socket closes.
    Refused {
        /// Why.
        code: Code,
        /// For people: what and where.
        message: String,
    },
    /// One of the two messages, from a registered key.
    Signal {
        /// From whom.
        from: PersonaId,
        /// For which key of this socket.
        to: PersonaId,
        /// The message.
        signal: SealedSignal,
    },
    /// A signal's receiver isn't here.
    Unreachable {
        /// Who sent it.
        from: PersonaId,
        /// For whom it was.
        to: PersonaId,
    },
    /// Where the key that was looked up may be dialled. [`Here`](Self::Here) follows.
    Door(Box<Address>),
}

/// Both ends' credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceEnds {
    /// The node's.
    pub ours: IceCredentials,
    /// The dialler's.
    pub theirs: IceCredentials,
}

/// What an end of a connection signs its checks by (RFC 8839, section 5.4). With it the server proves where packets come from; it reads no
/// more of them, for their contents are encrypted with other keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceCredentials {
    /// The username fragment, at most 256 characters.
    pub ufrag: String,
    /// The password, at most 256 characters.
    pub password: String,
}

/// A persona's word to another that a frame is gone, by way of a server: that can't end the sessions of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Whose frame.
    pub from: PersonaId,
    /// For whom: its sessions talked with this persona.
    pub to: PersonaId,
    /// Which.
    pub frame: FrameId,
    signature: Signature,
}

impl Gone {
    /// The word of `persona` to `to`.
    #[must_use]
    pub fn sign(persona: &PersonaSecret, to: PersonaId, frame: FrameId) -> Self {
        let from = persona.id();
        Self { from, to, frame, signature: persona.sign(&gone_text(from, to, frame)) }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`] if the persona didn't say this.
    pub fn verify(&self) -> Result<(), BadSignature> {
        self.from.verify(&gone_text(self.from, self.to, self.frame), &self.signature)
    }
}

fn gone_text(from: PersonaId, to: PersonaId, frame: FrameId) -> Vec<u8> {
    [b"bitters/gone/1".as_slice(), &from.0, &to.0, frame.0.as_bytes()].concat()
}

impl ToServer {
    /// Are you there? No key is all zeros (it is a point of small order, by which no signature verifies), so the node looks that up. Every server
    /// answers a look-up, so this needs no message of its own. The answer is [`ToNode::HERE_I_AM`].
    pub const ARE_YOU_THERE: Self = Self::Lookup(PersonaId([0; 32]));
}

impl ToNode {
    /// The answer to [`ToServer::ARE_YOU_THERE`].
    pub const HERE_I_AM: Self = Self::Missing(PersonaId([0; 32]));
}

/// The path of the rendezvous on its server: `ws://HOST/rendezvous`.
pub const PATH: &str = "/rendezvous";

/// What a persona signs to be registered. `server` is the host, with its port unless that is the scheme's own, by which the node
/// reached the server (RFC 9110, section 7.2): a server can't register at another a key that registers with it.
#[must_use]
pub fn register_text(nonce: &[u8; 32], server: &str, key: PersonaId) -> Vec<u8> {
    [b"bitters/rendezvous/key/1".as_slice(), nonce, &named(server), &key.0].concat()
}

/// What an address's owner signs for this connection's node to listen at it.
#[must_use]
pub fn listen_text(nonce: &[u8; 32], server: &str, token: Token) -> Vec<u8> {
    [b"bitters/rendezvous/listen/2".as_slice(), nonce, &named(server), &token.0].concat()
}

/// A server's name, of which nothing else can be a part.
fn named(server: &str) -> Vec<u8> {
    let len = u32::try_from(server.len()).unwrap_or(u32::MAX).to_be_bytes();
    [len.as_slice(), server.to_ascii_lowercase().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_persona_says_that_its_frame_is_gone_and_to_whom() {
        let (alice, bob) = (PersonaSecret::new([1; 32]), PersonaSecret::new([2; 32]).id());
        let gone = Gone::sign(&alice, bob, FrameId::from_random([3; 16]));
        assert_eq!(gone.verify(), Ok(()));
        assert_eq!(Gone { to: alice.id(), ..gone }.verify(), Err(BadSignature));
        assert_eq!(Gone { from: bob, ..gone }.verify(), Err(BadSignature));
        assert_eq!(Gone { frame: FrameId::from_random([4; 16]), ..gone }.verify(), Err(BadSignature));
    }
}
