//! Who may know whose network addresses.
//!
//! Signals carry them: whoever exchanges signals knows them. A connection that was opened at an address goes through a proxy and shows
//! none, until each end has told the other that it is willing. Each says so at most once, after it has proven who it is. Only when
//! both have is a candidate shown, or one of the peer's tried: a browser that tries an address shows its own there.

use bitters_wire::local::{Door, DownReason};

/// Ours and the peer's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Willingness {
    ours: Ours,
    /// The peer said that it is willing.
    theirs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    Hiding,
    /// We are willing, and the peer knows.
    Told,
    /// We are willing, and the peer is to be told.
    Willing,
}

impl Willingness {
    /// As a connection begins. Through signals both ends are shown, which needs no word.
    pub(crate) const fn at(door: &Door, direct: bool) -> Self {
        match (door, direct) {
            (Door::Signals, _) => Self { ours: Ours::Told, theirs: true },
            (Door::Address { .. } | Door::Introduced { .. }, true) => Self { ours: Ours::Willing, theirs: false },
            (Door::Address { .. } | Door::Introduced { .. }, false) => Self { ours: Ours::Hiding, theirs: false },
        }
    }

    /// Our leader is willing from now on.
    pub(crate) fn on_go_direct(&mut self) {
        if self.ours == Ours::Hiding {
            self.ours = Ours::Willing;
        }
    }

    /// The peer says that it is willing, which an honest one says once.
    pub(crate) const fn on_peer(&mut self) -> Result<(), DownReason> {
        if self.theirs {
            return Err(DownReason::Protocol);
        }
        self.theirs = true;
        Ok(())
    }

    /// Whether the peer, which knows who we are, is to be told now that we are willing.
    pub(crate) fn poll_word(&mut self) -> bool {
        let is_due = self.ours == Ours::Willing;
        if is_due {
            self.ours = Ours::Told;
        }
        is_due
    }

    /// Whether each end knows that both are willing.
    pub(crate) fn is_mutual(self) -> bool {
        self.ours == Ours::Told && self.theirs
    }
}
