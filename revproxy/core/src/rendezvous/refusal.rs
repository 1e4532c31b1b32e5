//! Why a message isn't obeyed, and whether its sender may stay.

use bitters_wire::{codec::DecodeError, failure::Code, rendezvous::ToNode};

#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    message: &'static str,
    ends: bool,
}

impl Refusal {
    /// The sender broke the protocol or a bound on what a stranger may cost: its connection ends.
    pub(super) const fn ending(code: Code, message: &'static str) -> Self {
        Self { code, message, ends: true }
    }

    /// The sender may not have this, and may ask for something else.
    pub(super) const fn staying(code: Code, message: &'static str) -> Self {
        Self { code, message, ends: false }
    }

    pub(super) fn message(&self) -> ToNode {
        ToNode::Refused { code: self.code, message: self.message.into() }
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
