//! What the two ends say to negotiate: postcard, in slices that fit into control messages. A slice is one byte (0: the last or
//! only one, 1: more follow), then 1 to 767 bytes.

use bitters_wire::codec;
use serde::{Deserialize, Serialize};

/// Bytes of a session description.
pub const MAX_SDP: usize = 64 * 1024;

/// Bytes of a candidate's text.
pub const MAX_CANDIDATE: usize = 1024;

/// Bytes of a slice: a control message has room for more, and for what tells it from others.
pub const MAX_SLICE: usize = 768;

/// Bytes of a media section's name or a username fragment (RFC 8839 allows 256).
const MAX_NAME: usize = 256;

/// Bytes of a message: the longest text, its length and what it is.
const MAX_MESSAGE: usize = MAX_SDP + 8;

const LAST: u8 = 0;
const MORE: u8 = 1;

/// A candidate, as `RTCIceCandidateInit` has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IceCandidate {
    /// `candidate`: its text, empty for the end of candidates. At most [`MAX_CANDIDATE`] bytes.
    pub candidate: String,
    /// `sdpMid`: the media section's name.
    pub mid: Option<String>,
    /// `sdpMLineIndex`: the media section's place.
    pub index: Option<u16>,
    /// `usernameFragment`: of which description it is.
    pub fragment: Option<String>,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The answer to the receiver's offer.
    Answer(String),
    /// One more candidate of the sender's last description.
    Candidate(IceCandidate),
    /// An offer.
    Offer(String),
    /// The sender's connection failed: may the impolite end begin anew.
    Restart,
}

/// Slices that break the protocol: no such first byte, empty, too long, or of a message that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a slice of a negotiation's message")]
pub struct BadSlice;

impl Message {
    /// Whether its texts are short enough for the peer to take it.
    pub(crate) fn is_sendable(&self) -> bool {
        match self {
            Self::Answer(sdp) | Self::Offer(sdp) => sdp.len() <= MAX_SDP,
            Self::Candidate(IceCandidate { candidate, mid, index: _, fragment }) => {
                let names = [mid, fragment];
                candidate.len() <= MAX_CANDIDATE && names.into_iter().flatten().all(|name| name.len() <= MAX_NAME)
            }
            Self::Restart => true,
        }
    }

    /// Bytes of its texts: for bounds on memory.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Answer(sdp) | Self::Offer(sdp) => sdp.len(),
            Self::Candidate(IceCandidate { candidate, mid, index: _, fragment }) => {
                candidate.len() + [mid, fragment].into_iter().flatten().map(String::len).sum::<usize>()
            }
            Self::Restart => 0,
        }
    }

    /// What to send, in this order.
    pub(crate) fn slices(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        let bytes = codec::encode(self);
        let count = bytes.len().div_ceil(MAX_SLICE - 1);
        (0..count).map(move |at| {
            let from = at * (MAX_SLICE - 1);
            let to = bytes.len().min(from + MAX_SLICE - 1);
            let mut slice = vec![if at + 1 == count { LAST } else { MORE }];
            slice.extend_from_slice(&bytes[from..to]);
            slice
        })
    }
}

/// Puts slices together again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reassembly {
    begun: Vec<u8>,
}

impl Reassembly {
    /// Takes a slice and returns the message that it completes.
    pub(crate) fn add(&mut self, slice: &[u8]) -> Result<Option<Message>, BadSlice> {
        let (&first, payload) = slice.split_first().ok_or(BadSlice)?;
        if payload.is_empty() || slice.len() > MAX_SLICE || self.begun.len() + payload.len() > MAX_MESSAGE {
            return Err(BadSlice);
        }
        self.begun.extend_from_slice(payload);
        match first {
            LAST => {
                let bytes = std::mem::take(&mut self.begun);
                let message: Message = codec::decode(&bytes, MAX_MESSAGE).map_err(|_| BadSlice)?;
                if message.is_sendable() { Ok(Some(message)) } else { Err(BadSlice) }
            }
            MORE => Ok(None),
            _ => Err(BadSlice),
        }
    }
}
