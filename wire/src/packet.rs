//! What the leader routes: one session's bytes, from one frame to another. It opens nothing it can't read.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    id::{FrameId, PersonaId, SessionId, Tag},
    name::Name,
};

/// One packet of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// To whom.
    pub to: PersonaId,
    /// To which frame; `None` while opening: the persona's leader picks it by the tag.
    pub to_frame: Option<FrameId>,
    /// From whom, as the sender says; the session's handshake proves it.
    pub from: PersonaId,
    /// From which frame.
    pub from_frame: FrameId,
    /// Which session.
    pub session: SessionId,
    /// What it carries.
    pub body: Body,
}

/// What a packet carries. Everything but the handshake and a refusal is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The opener's handshake message (Noise IK, first message).
    Open {
        /// What it wants to talk to, for the leader that picks the frame.
        tag: Tag,
        /// The handshake message.
        #[serde(with = "serde_bytes")]
        handshake: Vec<u8>,
    },
    /// The listener's handshake message (Noise IK, second message).
    Accept {
        /// The handshake message.
        #[serde(with = "serde_bytes")]
        handshake: Vec<u8>,
    },
    /// A transport message.
    Sealed {
        /// The cipher's counter. Never used twice with a key; it may arrive with gaps after a break.
        counter: u64,
        /// Ciphertext and tag.
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
    /// The packet it answers has no receiver.
    Refused {
        /// Why.
        reason: Refusal,
    },
}

/// Why a packet has no receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The frame it named is gone, and its page with it.
    FrameGone,
    /// No path to the persona, or the path broke.
    NoRoute,
    /// No frame of the persona serves this.
    NotServed,
    /// The frame doesn't know the session.
    UnknownSession,
    /// The sender's site has too many sessions. Last, as the others' numbers were there before it.
    Quota,
}

/// What a stream is opened to: a protocol or a method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Service {
    /// `call` and `answer`.
    Method(Name),
    /// `open` and `serve`.
    Protocol(Name),
}

impl Service {
    /// The tag by which a leader finds a frame that serves this.
    #[must_use]
    pub fn tag(&self) -> Tag {
        let (kind, name) = match self {
            Self::Method(name) => (b"method", name),
            Self::Protocol(name) => (b"proto\0", name),
        };
        let hash =
            Sha256::new().chain_update(b"bitters/tag/1").chain_update(kind).chain_update(name.as_str()).finalize();
        Tag(*hash.first_chunk().expect("SHA-256 has more than 8 bytes"))
    }

    /// The name without its kind.
    #[must_use]
    pub const fn name(&self) -> &Name {
        match self {
            Self::Method(name) | Self::Protocol(name) => name,
        }
    }
}

impl Packet {
    /// The refusal that answers this packet, or `None` for a refusal (refusals aren't answered).
    #[must_use]
    pub fn refuse(&self, reason: Refusal) -> Option<Self> {
        if matches!(self.body, Body::Refused { .. }) {
            return None;
        }
        Some(Self {
            to: self.from,
            to_frame: Some(self.from_frame),
            from: self.to,
            // While opening there is no frame to speak for; the session's id says what is refused.
            from_frame: self.to_frame.unwrap_or(self.from_frame),
            session: self.session,
            body: Body::Refused { reason },
        })
    }
}
