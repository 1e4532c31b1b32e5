//! What the two ends of a session say to one another inside the seal, as postcard.

use bitters_wire::{limits::MAX_CHUNK, packet::Service};
use serde::{Deserialize, Serialize};

/// Bytes of a sealed packet: the largest slice of a stream, or the longest reason or name, with what is around it.
pub const MAX_SEALED: usize = MAX_CHUNK + 1024;

/// Bytes of a reason that crosses to the peer.
pub const MAX_REASON: usize = 512;

/// The plaintext of a packet. `M` is [`Message`], or a reference to one when it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain<M> {
    /// Every message up to this number has arrived here.
    pub acked: u64,
    /// What is said.
    pub say: Say<M>,
}

/// What a packet says. Only messages are numbered; the rest may be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Say<M> {
    /// Nothing but the acknowledgement.
    Ack,
    /// The answer to `Ask`, which says in `acked` what has arrived.
    Answer {
        /// As in the question. Hops are ordered, so whatever was numbered up to here and isn't acknowledged was lost.
        sent: u64,
    },
    /// What has arrived?
    Ask {
        /// The last number that the asker has used.
        sent: u64,
        /// Whether the other is to ask likewise.
        mutual: bool,
    },
    /// The session is over.
    Close,
    /// A message, to be acknowledged.
    Numbered {
        /// Counted from 1 in each direction.
        number: u64,
        /// The message.
        message: M,
    },
}

/// About one stream. The streams that the session's opener opens have even numbers, those of the listener odd ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Which stream.
    pub stream: u64,
    /// What is done to it.
    pub act: Act,
}

impl Message {
    /// Bytes of a stream that it carries.
    pub const fn carried(&self) -> usize {
        if let Act::Data(bytes) = &self.act { bytes.len() } else { 0 }
    }
}

/// What is done to a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// The listener takes the stream. Calls do without: their reply says it.
    Accept,
    /// The other may send up to this total offset.
    Credit(u64),
    /// The next bytes.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
    /// No more bytes follow.
    Finish,
    /// The stream begins.
    Open(Service),
    /// The stream is given up, both ways.
    Reset(Reason),
    /// The other's bytes are wanted no longer; it finishes.
    Stop,
}

/// Why a stream is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The site gave it up, and said why.
    Aborted(String),
    /// The caller doesn't wait any longer.
    Cancelled,
    /// Nobody serves this here.
    NotServed,
    /// The other broke the protocol.
    Protocol,
    /// The other has too many streams open.
    Quota,
    /// The handler's result is larger than a message may be.
    TooLarge,
}

/// The start of `text`, at most [`MAX_REASON`] bytes.
pub fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_REASON)]
}

#[cfg(test)]
mod tests {
    use bitters_wire::{codec, name::Name};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_written_as_it_is_read() {
        let message = Message { stream: 2, act: Act::Open(Service::Protocol(Name::try_from("chat").unwrap())) };
        let plain = |message| Plain { acked: 300, say: Say::Numbered { number: 1, message } };
        let bytes = codec::encode(&plain(&message));

        assert_eq!(bytes, b"\xac\x02\x04\x01\x02\x04\x01\x04chat");
        assert_eq!(codec::decode(&bytes, MAX_SEALED), Ok(plain(&message).owned()));
    }

    #[test]
    fn the_largest_messages_fit_a_packet() {
        let name = Name::try_from("\u{1d11e}".repeat(128)).unwrap();
        for act in [
            Act::Data(vec![0; MAX_CHUNK]),
            Act::Open(Service::Method(name)),
            Act::Reset(Reason::Aborted("x".repeat(MAX_REASON))),
        ] {
            let say = Say::Numbered { number: u64::MAX, message: Message { stream: u64::MAX, act } };
            assert!(codec::encode(&Plain { acked: u64::MAX, say }).len() + 16 <= MAX_SEALED);
        }
    }

    proptest! {
        #[test]
        fn clipped_text_is_a_start_of_it(text in ".{0,400}") {
            let clipped = clip(&text);
            prop_assert!(text.starts_with(clipped));
            prop_assert!(clipped.len() <= MAX_REASON && (clipped.len() == text.len() || clipped.len() > MAX_REASON - 4));
        }
    }

    impl Plain<&Message> {
        fn owned(&self) -> Plain<Message> {
            let Say::Numbered { number, message } = self.say else { panic!("a message") };
            Plain { acked: self.acked, say: Say::Numbered { number, message: message.clone() } }
        }
    }
}
