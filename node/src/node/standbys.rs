//! A second link to every peer that sessions talk with, from another frame of the same persona: used at once when the first is over.

use std::time::Duration;

use bitters_wire::{
    id::{FrameId, LinkId, PersonaId},
    keys::PersonaSecret,
    link::Control,
    local::{DownReason, ToFrame},
    rendezvous::{Gone, ToServer},
    time::Instant,
};

use super::{
    Node,
    linking::{PARTING, SESSION_PATIENCE},
};
use crate::{
    links::{Attempt, Link, Pair, Up, Way},
    quotas::backoff,
};

/// A standby whose sessions were silent for that long is hung up.
const UNUSED_AFTER: Duration = Duration::from_secs(120);

/// A peer that we switch to another link for answers within a round trip, if that link is alive at its end.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// After a standby couldn't be had.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const RETRY_CAP: Duration = Duration::from_secs(120);

impl Node {
    /// Dials standbys that are wanted now, where they take no room that links need which are used.
    pub(super) fn dial_standbys(&mut self, now: Instant) {
        let used: Vec<(Pair, FrameId)> = (self.links.ups())
            .filter(|(_, pair, link, up)| {
                self.wants_standby(*pair, link.frame, up, now) && up.budget.standby_not_before <= now
            })
            .map(|(_, pair, link, _)| (pair, link.frame))
            .collect();
        for (pair, frame) in used {
            if self.has_room_for_standby(pair.own) {
                let _ = self.begin(pair, Attempt::new(Way::Link, None, now), Some(frame));
            }
        }
    }

    /// Whether sessions need a standby that there isn't: in another frame than the link that is used.
    fn wants_standby(&self, pair: Pair, used: FrameId, up: &Up, now: Instant) -> bool {
        let elsewhere = |frame: FrameId| frame != used && self.frames.is_usable(frame);
        let has_one =
            self.links.standby_to(pair).and_then(|id| self.links.link(id)).is_some_and(|it| elsewhere(it.frame));
        up.last_packet.is_some_and(|at| now.since(at) + PARTING < SESSION_PATIENCE)
            && !has_one
            && self.links.connecting_to(pair).is_none()
            && self.frames.of_persona(pair.own).any(|(id, _)| elsewhere(id))
    }

    /// When standbys are to be dialled, used or hung up.
    pub(super) fn standbys_due(&self, now: Instant) -> Option<Instant> {
        let retries = self.links.ups().filter(|(_, pair, link, up)| {
            up.budget.standby_not_before > now && self.wants_standby(*pair, link.frame, up, now)
        });
        let answers = self.links.ups().filter_map(|(_, _, _, up)| up.answer_until);
        let unused = self.links.standbys().filter_map(|(link, pair)| self.unused_at(link, pair));
        let retries = retries.map(|(_, _, _, up)| up.budget.standby_not_before);
        retries.chain(answers).chain(unused).chain(self.links.lonely().map(|(_, at)| at)).min()
    }

    /// When a standby is to be hung up. A peer that dialled us without knowing of the link that is used says its first word on this one.
    fn unused_at(&self, standby: LinkId, pair: Pair) -> Option<Instant> {
        let up = self.links.up(self.links.up_to(pair)?)?;
        let standby = self.links.standby(standby)?;
        // One that was negotiated the peer wants, for its sessions.
        let wanted_for = if standby.opened.is_some() { ANSWER_WITHIN } else { UNUSED_AFTER };
        let wanted = standby.since + wanted_for;
        Some(up.last_packet.map_or(wanted, |at| wanted.max(at + UNUSED_AFTER)))
    }

    pub(super) fn drive_standbys(&mut self, now: Instant) {
        let lonely: Vec<LinkId> = self.links.lonely().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
        for link in lonely {
            self.switch_to(link, None, now);
        }
        let silent: Vec<LinkId> = self
            .links
            .ups()
            .filter(|(_, _, _, up)| up.answer_until.is_some_and(|at| at <= now))
            .map(|(id, _, _, _)| id)
            .collect();
        for link in silent {
            self.hang_up(link);
            self.end_link(link, DownReason::Closed, now);
        }
        let is_unused = |link, pair| self.unused_at(link, pair).is_some_and(|at| at <= now);
        let unused: Vec<(LinkId, Pair)> =
            self.links.standbys().filter(|(link, pair)| is_unused(*link, *pair)).collect();
        for (link, pair) in unused {
            self.hang_up(link);
            self.links.remove(link);
            self.end_standby(link, pair);
        }
    }

    /// A link came up: it stands by if it was to, and there is one to stand by for.
    pub(super) fn stands_by(&mut self, link: LinkId, pair: Pair, now: Instant) -> bool {
        let meant = self.links.attempt_mut(link).is_some_and(|(attempt, _)| attempt.stands_by);
        let Some(used) = self.links.up_to(pair).filter(|_| meant) else { return false };
        self.drop_standby(pair);
        self.links.set_standby(link, now);
        if let Some(up) = self.links.up_mut(used) {
            up.budget.standby_failures = 0;
        }
        // It may be in the frame whose link it stands by for, for want of another that has come since.
        self.changed.plans = true;
        self.changed.status = true;
        true
    }

    /// Our end of the link that was used is over: the standby takes its place, and the peer is told by the first word on it.
    pub(super) fn switch_to(&mut self, link: LinkId, last_packet: Option<Instant>, now: Instant) {
        self.use_link(link, last_packet, now);
        if let Some(up) = self.links.up_mut(link) {
            up.answer_until = Some(now + ANSWER_WITHIN);
        }
    }

    /// The peer spoke on a standby: its end of the other link is over.
    pub(super) fn follow_switch(&mut self, link: LinkId, pair: Pair, now: Instant) {
        let last_packet = self.replace_used(pair, now);
        self.use_link(link, last_packet, now);
        self.spend_standby(pair, now);
    }

    /// Another link takes the place of the one that is used. Tells when sessions spoke on that.
    pub(super) fn replace_used(&mut self, pair: Pair, now: Instant) -> Option<Instant> {
        let old = self.links.up_to(pair)?;
        let last_packet = self.links.up(old).and_then(|up| up.last_packet);
        self.hang_up(old);
        self.replace_link(old, now);
        last_packet
    }

    /// This link is used from now on: the peer learns that first, then what of our persona it is to know.
    pub(super) fn use_link(&mut self, link: LinkId, last_packet: Option<Instant>, now: Instant) {
        let Some(pair) = self.links.link(link).and_then(Link::pair) else { return };
        self.links.set_up(link, now);
        if let Some(up) = self.links.up_mut(link) {
            up.last_packet = last_packet;
        }
        self.tell_peer(link, Control::Switch);
        self.introduce_ourselves(link, pair.own);
        self.tell_own_address(link, pair.own);
        self.link_is_there(pair);
        self.changed.plans = true;
    }

    /// Our end of a standby broke: the next is dialled at once, unless that happens too often.
    pub(super) fn lose_standby(&mut self, link: LinkId, pair: Pair, now: Instant) {
        self.end_standby(link, pair);
        self.spend_standby(pair, now);
    }

    /// One more standby to a peer was used up, or given up.
    fn spend_standby(&mut self, pair: Pair, now: Instant) {
        let used = self.links.up_to(pair).and_then(|used| self.links.up_mut(used));
        if used.is_some_and(|up| !up.budget.standbys.take(now)) {
            self.standby_failed(pair, now);
        }
    }

    /// A standby is over at our end. The peer is told over the link that is used.
    fn end_standby(&mut self, link: LinkId, pair: Pair) {
        if let Some(used) = self.links.up_to(pair) {
            self.tell_peer(used, Control::StandbyGone { attempt: self.number_of(link, pair) });
        }
        self.changed.plans = true;
        self.changed.status = true;
    }

    /// A standby is over at the peer's end. Of one that was opened at an address its channel tells: it has no number that both know.
    pub(super) fn on_standby_gone(&mut self, pair: Pair, attempt: u32, now: Instant) {
        let fits = |paired: Option<u32>| paired.is_none_or(|paired| paired == attempt);
        let standby = self
            .links
            .standby_to(pair)
            .filter(|id| self.links.standby(*id).is_some_and(|it| it.opened.is_none() && fits(it.paired)));
        let connecting = self.links.connecting_to(pair).filter(|(_, it)| it.paired == Some(attempt)).map(|(id, _)| id);
        for link in standby.into_iter().chain(connecting) {
            self.hang_up(link);
            self.links.remove(link);
            self.changed.plans = true;
            self.changed.status = true;
            self.spend_standby(pair, now);
        }
    }

    /// Hangs up the standby to a peer: another takes its place, or all links there were are over.
    pub(super) fn drop_standby(&mut self, pair: Pair) {
        if let Some(standby) = self.links.standby_to(pair) {
            self.hang_up(standby);
            self.links.remove(standby);
        }
    }

    /// A standby couldn't be had: the next is tried later.
    pub(super) fn standby_failed(&mut self, pair: Pair, now: Instant) {
        let Some(up) = self.links.up_to(pair).and_then(|used| self.links.up_mut(used)) else { return };
        let wait = backoff(FIRST_RETRY, up.budget.standby_failures, RETRY_CAP, &mut self.rng);
        up.budget.standby_failures = up.budget.standby_failures.saturating_add(1);
        up.budget.standby_not_before = now + wait;
    }

    /// There is a way to a peer again: frames whose sessions talk with it are told.
    pub(super) fn path_is_there(&mut self, Pair { own, peer }: Pair) {
        let talking = self.frames.of_persona(own).filter(|(_, frame)| frame.talks.contains_key(&peer));
        for frame in talking.map(|(id, _)| id).collect::<Vec<_>>() {
            self.tell(frame, ToFrame::PathRestored(peer));
        }
    }

    /// A frame of a persona is gone: those whose sessions talk with it are told, here and at its peers.
    pub(super) fn mourn(&mut self, own: &PersonaSecret, frame: FrameId, talks: &[PersonaId]) {
        let id = own.id();
        self.tell_of_death(Pair { own: id, peer: id }, frame);
        for peer in talks.iter().filter(|peer| **peer != id) {
            if let Some(link) = self.links.up_to(Pair { own: id, peer: *peer }) {
                self.tell_peer(link, Control::FrameGone(frame));
            } else if self.uplink.is_registered() {
                self.tell_server(ToServer::Gone(Gone::sign(own, *peer, frame)));
            }
        }
    }

    /// A peer says by way of the server that a frame of its is gone.
    pub(super) fn on_gone(&mut self, gone: &Gone) {
        if gone.verify().is_ok() {
            self.tell_of_death(Pair { own: gone.to, peer: gone.from }, gone.frame);
        }
    }

    /// A peer's frame is gone.
    pub(super) fn tell_of_death(&mut self, Pair { own, peer }: Pair, frame: FrameId) {
        let talking = self.frames.of_persona(own).filter(|(_, it)| it.talks.contains_key(&peer));
        for id in talking.map(|(id, _)| id).collect::<Vec<_>>() {
            self.tell(id, ToFrame::FrameGone { persona: peer, frame });
        }
    }
}
