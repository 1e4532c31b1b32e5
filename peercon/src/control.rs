//! What the two ends say on the control channel.

use bitters_wire::{
    VersionRange,
    codec::{self, DecodeError},
    id::PersonaId,
    keys::{GrantProof, Signature},
};
use serde::{Deserialize, Serialize};

/// Bytes of a control message; the longest, `Identity`, has 66.
const MAX_CONTROL: usize = 1024;

/// One message of the control channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Control {
    /// The sender hangs up. Its browser would take seconds to say so.
    Bye,
    /// A candidate that came too late for the signal, written as there.
    Candidate(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The first message.
    Hello {
        /// Who the sender says it is.
        key: PersonaId,
        /// 16 random bytes of this connection.
        nonce: [u8; 16],
        /// The wire versions that it speaks.
        wire: VersionRange,
        /// That the sender, who dials an address, has the peer's grant.
        proof: Option<GrantProof>,
    },
    /// Proof of the hello: its persona's signature of the `IdentityText`.
    Identity(Signature),
    /// A slice of a message that negotiates media ([`negotiation`](crate::negotiation)).
    Negotiation(#[serde(with = "serde_bytes")] Vec<u8>),
    /// To be answered with the same number at once.
    Ping(u32),
    /// The answer.
    Pong(u32),
    /// A restart of ICE: the sender's new description, as in a signal.
    Restart(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The sender, which ICE made the controlled end, wants a restart and answers the receiver's description.
    RestartWanted,
    /// The sender, whose address was dialled or who dials one, may be shown where the peer is, and shows where it is. Said once, after
    /// its identity.
    Willing,
}

impl Control {
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, MAX_CONTROL)
    }
}
