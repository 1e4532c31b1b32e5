//! What sites spend, and what is held back of those that spend more than they have.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{id::FrameId, packet::Packet};

use super::{
    accounts::{Accounts, Spend},
    holds::{Holds, cost},
};
use crate::backlog::Lost;

/// Packets that are held back go on that often.
const RELEASE_EVERY: Duration = Duration::from_millis(10);

/// All sites'.
#[derive(Debug, Default)]
pub struct Traffic {
    /// What each has.
    pub accounts: Accounts,
    holds: Holds,
    /// When packets that are held back go on.
    due: Option<Instant>,
}

impl Traffic {
    /// The packet of a site's frame, if it goes on now. Else it is held back, behind those that are.
    pub fn passes(&mut self, site: &str, frame: FrameId, packet: Packet, now: Instant) -> Option<Packet> {
        if !self.holds.holds(site) && self.accounts.spend(site, Spend::Packet(cost(&packet)), now) {
            return Some(packet);
        }
        self.holds.hold(site, frame, packet);
        self.due.get_or_insert(now + RELEASE_EVERY);
        None
    }

    /// What goes on of that which is held back: of each site as much as it may spend by now. Tells whose packets were lost, too.
    pub fn release(&mut self, now: Instant) -> Vec<((FrameId, Packet), Lost)> {
        let mut released = Vec::new();
        if self.due.is_none_or(|at| at > now) {
            return released;
        }
        for site in self.holds.sites() {
            while let Some(cost) = self.holds.next_cost(&site)
                && self.accounts.spend(&site, Spend::Packet(cost), now)
                && let Some(next) = self.holds.release(&site)
            {
                released.push(next);
            }
        }
        self.due = (!self.holds.is_empty()).then(|| now + RELEASE_EVERY);
        released
    }

    /// When [`release`](Self::release) is due.
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }
}
