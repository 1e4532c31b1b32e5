//! Since when this leader leads, whom it followed, and who is to follow it.

use bitters_machine::time::Instant;
use bitters_wire::{
    announce::LeaderKind,
    id::{Boot, Epoch},
    status::LeaderStatus,
};

use super::handover::Handover;

/// One leadership.
#[derive(Debug)]
pub(super) struct Reign {
    /// Who leads.
    pub(super) leader: LeaderStatus,
    /// When it began.
    pub(super) began: Instant,
    /// Whether frames came that an earlier leader took in.
    pub(super) succeeds: bool,
    /// Whether another build's worker is to lead, and how far that is.
    pub(super) handover: Handover,
}

impl Reign {
    pub(super) fn new(epoch: Epoch, boot: Boot, kind: LeaderKind, build: String, now: Instant) -> Self {
        let leader = LeaderStatus { epoch, boot, kind, build };
        Self { leader, began: now, succeeds: false, handover: Handover::default() }
    }
}
