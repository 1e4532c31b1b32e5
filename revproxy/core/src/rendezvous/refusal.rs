//! Why a message isn't obeyed, and whether its sender may stay.

use std::borrow::Cow;

use bitters_wire::{VersionRange, WIRE, codec::DecodeError, failure::Code, rendezvous::ToNode};

#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    message: Cow<'static, str>,
    ends: bool,
}

impl Refusal {
    /// The sender broke the protocol or a bound on what a stranger may cost: its connection ends.
    pub(super) const fn ending(code: Code, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), ends: true }
    }

    /// The sender may not have this, and may ask for something else.
    pub(super) const fn staying(code: Code, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), ends: false }
    }

    /// The sender speaks other versions than we: its connection ends.
    pub(super) fn other_versions() -> Self {
        let VersionRange { min, max } = WIRE;
        let spoken = if min == max { format!("version {min}") } else { format!("versions {min} to {max}") };
        let message = format!("this server speaks {spoken}").into();
        Self { code: Code::VersionMismatch, message, ends: true }
    }

    /// A first message that can't be decoded is most likely the registration of a node of version 1, which had no message to enter with.
    pub(super) fn of_first(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed { .. } => Self::other_versions(),
            DecodeError::TooLong { .. } => error.into(),
        }
    }

    pub(super) fn message(&self) -> ToNode {
        ToNode::Refused { code: self.code, message: self.message.to_string() }
    }

    pub(super) const fn ends(&self) -> bool {
        self.ends
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed { .. } => Self::ending(Code::BadArgument, "not decodable"),
            DecodeError::TooLong { .. } => Self::ending(Code::TooLarge, "the message is too long"),
        }
    }
}
