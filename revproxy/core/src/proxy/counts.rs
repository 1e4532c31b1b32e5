//! What the proxy holds and what it has done, for metrics.

use super::passage::End;

/// How much the machine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Ended passages that are remembered.
    pub ghosts: usize,
    /// Five-tuples of passages.
    pub legs: usize,
    /// Addresses that are listened at.
    pub listeners: usize,
    /// Passages whose listener hasn't answered or hasn't been heard from.
    pub pending: usize,
    /// Passages that found no direct path, or look for none.
    pub relaying: usize,
    /// Passages in all.
    pub passages: usize,
}

/// What happened since the machine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Dials that listeners answered.
    pub answered: u64,
    /// Plain Binding requests that were answered.
    pub bindings: u64,
    /// Passages begun.
    pub dialled: u64,
    /// Forwarded to diallers.
    pub to_diallers: Traffic,
    /// Forwarded to listeners.
    pub to_listeners: Traffic,
    dropped: [u64; Dropped::ALL.len()],
    ended: [u64; Ended::ALL.len()],
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// UDP payload.
    pub bytes: u64,
    /// Datagrams.
    pub packets: u64,
}

/// Why a datagram led to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its integrity is not what its name says.
    Forged,
    /// Too many passages, in all, for one listener or of one source.
    Full,
    /// A check that followed a restart, or a straggler of an ended passage.
    Ghost,
    /// STUN that can't be read, or isn't what ICE sends.
    Malformed,
    /// The other end isn't known yet, and this can't wait.
    Nowhere,
    /// Too many Binding requests, dials or bytes.
    Rate,
    /// Its passage has used up its bytes.
    Spent,
    /// Neither STUN nor DTLS (RFC 7983).
    Strange,
    /// Its five-tuple belongs to another passage.
    Taken,
    /// A response that nobody waits for, such as a repeated one.
    Unasked,
    /// From nobody who is known.
    UnknownPath,
    /// Nobody listens at the address.
    UnknownToken,
    /// A check for nobody who is known.
    UnknownUsername,
    /// The receiver hasn't proven its address, and one packet waits for it already; or a Binding request that is shorter than its
    /// answer.
    Unverified,
}

/// Why a passage is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Another dial took its place: there was no more room, and its network had most.
    GaveWay,
    /// Nothing came for a while: mostly because it is direct now.
    Idle,
    /// It used up its bytes.
    Spent,
    /// It used up its time.
    TimedOut,
    /// Its listener didn't answer, or wasn't heard from.
    Unanswered,
    /// Nobody listens at the address any longer.
    Unlistened,
}

impl Counts {
    /// Datagrams dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped[reason as usize]
    }

    /// Passages ended for this reason.
    #[must_use]
    pub fn ended(&self, reason: Ended) -> u64 {
        self.ended[reason as usize]
    }

    pub(super) const fn passed(&mut self, to: End, bytes: usize) {
        let traffic = match to {
            End::Dialler => &mut self.to_diallers,
            End::Listener => &mut self.to_listeners,
        };
        traffic.packets += 1;
        traffic.bytes += bytes as u64;
    }

    pub(super) fn count_dropped(&mut self, reason: Dropped) {
        self.dropped[reason as usize] += 1;
    }

    pub(super) fn count_ended(&mut self, reason: Ended) {
        self.ended[reason as usize] += 1;
    }
}

impl Dropped {
    /// All reasons.
    pub const ALL: [Self; 14] = [
        Self::Forged,
        Self::Full,
        Self::Ghost,
        Self::Malformed,
        Self::Nowhere,
        Self::Rate,
        Self::Spent,
        Self::Strange,
        Self::Taken,
        Self::Unasked,
        Self::UnknownPath,
        Self::UnknownToken,
        Self::UnknownUsername,
        Self::Unverified,
    ];

    /// A label for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Full => "full",
            Self::Ghost => "ghost",
            Self::Malformed => "malformed",
            Self::Nowhere => "nowhere",
            Self::Rate => "rate",
            Self::Spent => "spent",
            Self::Strange => "strange",
            Self::Taken => "taken",
            Self::Unasked => "unasked",
            Self::UnknownPath => "unknown_path",
            Self::UnknownToken => "unknown_token",
            Self::UnknownUsername => "unknown_username",
            Self::Unverified => "unverified",
        }
    }
}

impl Ended {
    /// All reasons.
    pub const ALL: [Self; 6] =
        [Self::GaveWay, Self::Idle, Self::Spent, Self::TimedOut, Self::Unanswered, Self::Unlistened];

    /// A label for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GaveWay => "gave_way",
            Self::Idle => "idle",
            Self::Spent => "spent",
            Self::TimedOut => "timed_out",
            Self::Unanswered => "unanswered",
            Self::Unlistened => "unlistened",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        for (at, reason) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{}", reason.name());
        }
        for (at, reason) in Ended::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at, "{}", reason.name());
        }
    }
}
