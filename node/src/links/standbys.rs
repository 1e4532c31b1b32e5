//! A second link to every peer that sessions talk with, from another frame of the same persona: used at once when the first is over.

use std::time::Duration;

use bitters_machine::{backoff, time::Instant};
use bitters_wire::{
    id::{FrameId, LinkId},
    link::Control,
    local::DownReason,
};

use super::{
    Around, Links, LinksOutput,
    ending::{PARTING, SESSION_PATIENCE},
    table::{Attempt, Up, Way},
};
use crate::pair::Pair;

/// A standby whose sessions were silent for that long is hung up.
const UNUSED_AFTER: Duration = Duration::from_secs(120);

/// A peer that we switch to another link for answers within a round trip, if that link is alive at its end.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// After a standby couldn't be had.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const RETRY_CAP: Duration = Duration::from_secs(120);

impl Links {
    /// Dials standbys that are wanted now, where they take no room that links need which are used.
    pub(super) fn dial_standbys(&mut self, around: &Around<'_>) {
        let used: Vec<(Pair, FrameId)> = (self.table.ups())
            .filter(|(_, pair, link, up)| {
                self.wants_standby(*pair, link.frame, up, around) && up.budget.standby_not_before <= around.now
            })
            .map(|(_, pair, link, _)| (pair, link.frame))
            .collect();
        for (pair, frame) in used {
            if self.has_room_for_standby(pair.own, around) {
                let _ = self.begin(pair, Attempt::new(Way::Link, None, around.now), Some(frame), around);
            }
        }
    }

    /// Whether sessions need a standby that there isn't: in another frame than the link that is used.
    fn wants_standby(&self, pair: Pair, used: FrameId, up: &Up, around: &Around<'_>) -> bool {
        let elsewhere = |frame: FrameId| frame != used && around.frames.is_usable(frame);
        let has_one =
            self.table.standby_to(pair).and_then(|id| self.table.link(id)).is_some_and(|it| elsewhere(it.frame));
        up.last_packet.is_some_and(|at| around.now.since(at) + PARTING < SESSION_PATIENCE)
            && self.table.up_to(pair).is_some_and(|link| self.table.shows(link))
            && !has_one
            && self.table.connecting_to(pair).is_none()
            && around.frames.of_persona(pair.own).any(|(id, _)| elsewhere(id))
    }

    /// When standbys are to be dialled, used or hung up.
    pub(super) fn standbys_due(&self, around: &Around<'_>) -> Option<Instant> {
        let retries = self.table.ups().filter(|(_, pair, link, up)| {
            up.budget.standby_not_before > around.now && self.wants_standby(*pair, link.frame, up, around)
        });
        let answers = self.table.ups().filter_map(|(_, _, _, up)| up.answer_until);
        let unused = self.table.standbys().filter_map(|(link, pair)| self.unused_at(link, pair));
        let retries = retries.map(|(_, _, _, up)| up.budget.standby_not_before);
        retries.chain(answers).chain(unused).chain(self.table.lonely().map(|(_, at)| at)).min()
    }

    /// When a standby is to be hung up. A peer that dialled us without knowing of the link that is used says its first word on this one.
    fn unused_at(&self, standby: LinkId, pair: Pair) -> Option<Instant> {
        let up = self.table.up(self.table.up_to(pair)?)?;
        let standby = self.table.standby(standby)?;
        // One that was negotiated the peer wants, for its sessions.
        let wanted_for = if standby.opened.is_some() { ANSWER_WITHIN } else { UNUSED_AFTER };
        let wanted = standby.since + wanted_for;
        Some(up.last_packet.map_or(wanted, |at| wanted.max(at + UNUSED_AFTER)))
    }

    pub(super) fn drive_standbys(&mut self, around: &Around<'_>) {
        let now = around.now;
        let lonely: Vec<LinkId> = self.table.lonely().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
        for link in lonely {
            self.switch_to(link, None, around);
        }
        let is_silent = |up: &Up| up.answer_until.is_some_and(|at| at <= now);
        let silent = self.table.ups().filter(|(_, _, _, up)| is_silent(up));
        for link in silent.map(|(id, _, _, _)| id).collect::<Vec<_>>() {
            self.hang_up(link, around);
            self.end(link, DownReason::Closed, around);
        }
        let is_unused = |link, pair| self.unused_at(link, pair).is_some_and(|at| at <= now);
        let unused: Vec<(LinkId, Pair)> =
            self.table.standbys().filter(|(link, pair)| is_unused(*link, *pair)).collect();
        for (link, pair) in unused {
            self.abandon(link, around);
            self.end_standby(link, pair, around);
        }
    }

    /// A link came up: it stands by if it was to, and there is one to stand by for.
    pub(super) fn stands_by(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) -> bool {
        let meant = self.table.attempt_mut(link).is_some_and(|(attempt, _)| attempt.stands_by);
        let Some(used) = self.table.up_to(pair).filter(|_| meant) else { return false };
        self.drop_standby(pair, around);
        self.table.set_standby(link, around.now);
        if let Some(up) = self.table.up_mut(used) {
            up.budget.standby_failures = 0;
        }
        // It may be in the frame whose link it stands by for, for want of another that has come since.
        self.tell(LinksOutput::Plans);
        self.tell(LinksOutput::Status);
        true
    }

    /// Our end of the link that was used is over: the standby takes its place, and the peer is told by the first word on it.
    pub(super) fn switch_to(&mut self, link: LinkId, last_packet: Option<Instant>, around: &Around<'_>) {
        self.use_link(link, last_packet, around);
        if let Some(up) = self.table.up_mut(link) {
            up.answer_until = Some(around.now + ANSWER_WITHIN);
        }
    }

    /// The peer spoke on a standby: its end of the other link is over.
    pub(super) fn follow_switch(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        let last_packet = self.replace_used(pair, around);
        self.use_link(link, last_packet, around);
        self.spend_standby(pair, around.now);
    }

    /// Another link takes the place of the one that is used. Tells when sessions spoke on that.
    pub(super) fn replace_used(&mut self, pair: Pair, around: &Around<'_>) -> Option<Instant> {
        let old = self.table.up_to(pair)?;
        let last_packet = self.table.up(old).and_then(|up| up.last_packet);
        self.hang_up(old, around);
        self.replace(old);
        last_packet
    }

    /// Our end of a standby broke: the next is dialled at once, unless that happens too often.
    pub(super) fn lose_standby(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        self.end_standby(link, pair, around);
        self.spend_standby(pair, around.now);
    }

    /// One more standby to a peer was used up, or given up.
    fn spend_standby(&mut self, pair: Pair, now: Instant) {
        let used = self.table.up_to(pair).and_then(|used| self.table.up_mut(used));
        if used.is_some_and(|up| !up.budget.standbys.take(now)) {
            self.standby_failed(pair, now);
        }
    }

    /// A standby is over at our end. The peer is told over the link that is used.
    fn end_standby(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        if let Some(used) = self.table.up_to(pair) {
            self.say_of_links(used, Control::StandbyGone { attempt: self.number_of(link, pair) }, around);
        }
        self.tell(LinksOutput::Plans);
        self.tell(LinksOutput::Status);
    }

    /// A standby is over at the peer's end. Of one that was opened at an address its channel tells: it has no number that both know.
    pub(super) fn on_standby_gone(&mut self, pair: Pair, attempt: u32, around: &Around<'_>) {
        let fits = |paired: Option<u32>| paired.is_none_or(|paired| paired == attempt);
        let standby = self
            .table
            .standby_to(pair)
            .filter(|id| self.table.standby(*id).is_some_and(|it| it.opened.is_none() && fits(it.paired)));
        let connecting = self.table.connecting_to(pair).filter(|(_, it)| it.paired == Some(attempt)).map(|(id, _)| id);
        for link in standby.into_iter().chain(connecting) {
            self.abandon(link, around);
            self.tell(LinksOutput::Plans);
            self.tell(LinksOutput::Status);
            self.spend_standby(pair, around.now);
        }
    }

    /// Hangs up the standby to a peer: another takes its place, or all links there were are over.
    pub(super) fn drop_standby(&mut self, pair: Pair, around: &Around<'_>) {
        if let Some(standby) = self.table.standby_to(pair) {
            self.abandon(standby, around);
        }
    }

    /// A standby couldn't be had: the next is tried later.
    pub(super) fn standby_failed(&mut self, pair: Pair, now: Instant) {
        let Some(up) = self.table.up_to(pair).and_then(|used| self.table.up_mut(used)) else { return };
        let wait = backoff(FIRST_RETRY, up.budget.standby_failures, RETRY_CAP, &mut self.rng);
        up.budget.standby_failures = up.budget.standby_failures.saturating_add(1);
        up.budget.standby_not_before = now + wait;
    }
}
