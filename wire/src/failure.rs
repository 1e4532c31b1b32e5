//! The one error that sites see.

use serde::{Deserialize, Serialize};

/// What went wrong, as a closed set (the SDK's contract).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the SDK's contract and say it")]
pub enum Code {
    Aborted,
    BadArgument,
    Closed,
    Denied,
    LeaderLost,
    NoNode,
    NotFound,
    PeerUnreachable,
    Quota,
    Remote,
    Timeout,
    TooLarge,
    Unsupported,
    VersionMismatch,
}

impl Code {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::LeaderLost | Self::PeerUnreachable | Self::Quota | Self::Timeout)
    }
}

/// Whether a call's handler ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Executed {
    No,
    Unknown,
    Yes,
}

/// An error on its way to a site: `{ code, message, retryable, executed }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What went wrong.
    pub code: Code,
    /// For people: what and where.
    pub message: String,
    /// Whether the same request may succeed later, unchanged.
    pub retryable: bool,
    /// Calls only.
    pub executed: Option<Executed>,
}

impl Failure {
    /// A failure that says nothing of execution.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: code.retryable(), executed: None }
    }

    /// The same for a call of which `executed` is known.
    #[must_use]
    pub fn executed(mut self, executed: Executed) -> Self {
        self.executed = Some(executed);
        self
    }
}
