//! A second link to every node that sessions talk with, from another frame: used at once when the first is over.

use std::time::Duration;

use bitters_wire::{
    id::{FrameId, LinkId, NodeId, PersonaId},
    link::LinkMessage,
    local::{DownReason, ToFrame},
    map::Set,
    time::Instant,
};

use super::{Node, linking::SESSION_PATIENCE};
use crate::{
    links::{Attempt, Up, Way},
    quotas::{MAX_LINKS, backoff},
};

/// A standby whose sessions were silent for that long is hung up.
const UNUSED_AFTER: Duration = Duration::from_secs(120);

/// A peer that we switch to another link for answers within a round trip, if that link is alive at its end.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// After a standby couldn't be had.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const RETRY_CAP: Duration = Duration::from_secs(120);

/// Room that standbys leave to links that are used.
const ROOM: usize = 16;

impl Node {
    /// Dials standbys that are wanted now.
    pub(super) fn dial_standbys(&mut self, now: Instant) {
        let used: Vec<(NodeId, FrameId)> = (self.links.ups())
            .filter(|(_, link, up)| {
                self.wants_standby(link.peer, link.frame, up, now) && up.budget.standby_not_before <= now
            })
            .map(|(_, link, _)| (link.peer, link.frame))
            .collect();
        for (peer, frame) in used {
            if self.links.len() < MAX_LINKS - ROOM {
                let _ = self.begin(peer, Attempt::new(Way::Link, None, now), Some(frame));
            }
        }
    }

    /// Whether sessions need a standby to `peer` that there isn't: in another frame than the link that is used.
    fn wants_standby(&self, peer: NodeId, used: FrameId, up: &Up, now: Instant) -> bool {
        let elsewhere = |frame: FrameId| frame != used && self.frames.is_usable(frame);
        let has_one =
            self.links.standby_to(peer).and_then(|id| self.links.link(id)).is_some_and(|it| elsewhere(it.frame));
        up.last_packet.is_some_and(|at| now.since(at) < SESSION_PATIENCE)
            && !has_one
            && self.links.connecting_to(peer).is_none()
            && self.frames.iter().any(|(id, _)| elsewhere(id))
    }

    /// When standbys are to be dialled, used or hung up.
    pub(super) fn standbys_due(&self, now: Instant) -> Option<Instant> {
        let retries = self.links.ups().filter(|(_, link, up)| {
            up.budget.standby_not_before > now && self.wants_standby(link.peer, link.frame, up, now)
        });
        let answers = self.links.ups().filter_map(|(_, _, up)| up.answer_until);
        let unused = self.links.standbys().filter_map(|(link, peer)| self.unused_at(link, peer));
        let retries = retries.map(|(_, _, up)| up.budget.standby_not_before);
        retries.chain(answers).chain(unused).chain(self.links.lonely().map(|(_, at)| at)).min()
    }

    /// When a standby is to be hung up. A peer that dialled us without knowing of the link that is used says its first word on this one.
    fn unused_at(&self, standby: LinkId, peer: NodeId) -> Option<Instant> {
        let up = self.links.up(self.links.up_to(peer)?)?;
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
            .filter(|(_, _, up)| up.answer_until.is_some_and(|at| at <= now))
            .map(|(id, _, _)| id)
            .collect();
        for link in silent {
            self.hang_up(link);
            self.end_link(link, DownReason::Closed, now);
        }
        let is_unused = |link, peer| self.unused_at(link, peer).is_some_and(|at| at <= now);
        let unused: Vec<(LinkId, NodeId)> =
            self.links.standbys().filter(|(link, peer)| is_unused(*link, *peer)).collect();
        for (link, peer) in unused {
            self.hang_up(link);
            self.end_standby(link, peer);
        }
    }

    /// A link came up: it stands by if it was to, and there is one to stand by for.
    pub(super) fn stands_by(&mut self, link: LinkId, peer: NodeId, now: Instant) -> bool {
        let meant = self.links.attempt_mut(link).is_some_and(|(attempt, _)| attempt.stands_by);
        let Some(used) = self.links.up_to(peer).filter(|_| meant) else { return false };
        self.drop_standby(peer);
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
    pub(super) fn follow_switch(&mut self, link: LinkId, peer: NodeId, now: Instant) {
        let claims = self.links.standby(link).and_then(|standby| standby.claims);
        let last_packet = self.replace_used(peer, now);
        self.use_link(link, last_packet, now);
        if let Some(persona) = claims {
            self.claim_on(link, persona);
        }
        self.spend_standby(peer, now);
    }

    /// Another link takes the place of the one that is used. Tells when sessions spoke on that.
    pub(super) fn replace_used(&mut self, peer: NodeId, now: Instant) -> Option<Instant> {
        let old = self.links.up_to(peer)?;
        let last_packet = self.links.up(old).and_then(|up| up.last_packet);
        self.hang_up(old);
        self.replace_link(old, now);
        last_packet
    }

    /// This link is used from now on: the peer learns that first, then who is here.
    pub(super) fn use_link(&mut self, link: LinkId, last_packet: Option<Instant>, now: Instant) {
        let Some(peer) = self.links.link(link).map(|it| it.peer) else { return };
        self.links.set_up(link, now);
        if let Some(up) = self.links.up_mut(link) {
            up.last_packet = last_packet;
        }
        self.tell_peer(link, &LinkMessage::Switch);
        self.introduce_ourselves(link);
        self.tell_own_address(link);
        self.link_is_there(peer);
        self.changed.plans = true;
    }

    /// Our end of a standby broke: the next is dialled at once, unless that happens too often.
    pub(super) fn lose_standby(&mut self, link: LinkId, peer: NodeId, now: Instant) {
        self.end_standby(link, peer);
        self.spend_standby(peer, now);
    }

    /// One more standby to a peer was used up, or given up.
    fn spend_standby(&mut self, peer: NodeId, now: Instant) {
        let used = self.links.up_to(peer).and_then(|used| self.links.up_mut(used));
        if used.is_some_and(|up| !up.budget.standbys.take(now)) {
            self.standby_failed(peer, now);
        }
    }

    /// A standby is over at our end. The peer is told over the link that is used.
    pub(super) fn end_standby(&mut self, link: LinkId, peer: NodeId) {
        self.links.remove(link);
        if let Some(used) = self.links.up_to(peer) {
            self.tell_peer(used, &LinkMessage::StandbyGone { attempt: link.number });
        }
        self.changed.plans = true;
        self.changed.status = true;
    }

    /// A standby is over at the peer's end. Of one that was opened at an address its channel tells: it has no number that both know.
    pub(super) fn on_standby_gone(&mut self, peer: NodeId, attempt: u32, now: Instant) {
        let fits = |paired: Option<u32>| paired.is_none_or(|paired| paired == attempt);
        let standby = self
            .links
            .standby_to(peer)
            .filter(|id| self.links.standby(*id).is_some_and(|it| it.opened.is_none() && fits(it.paired)));
        let connecting = self.links.connecting_to(peer).filter(|(_, it)| it.paired == Some(attempt)).map(|(id, _)| id);
        for link in standby.into_iter().chain(connecting) {
            self.hang_up(link);
            self.links.remove(link);
            self.changed.plans = true;
            self.changed.status = true;
            self.spend_standby(peer, now);
        }
    }

    /// Hangs up the standby to a peer: another takes its place, or all links there were are over.
    pub(super) fn drop_standby(&mut self, peer: NodeId) {
        if let Some(standby) = self.links.standby_to(peer) {
            self.hang_up(standby);
            self.links.remove(standby);
        }
    }

    /// A standby couldn't be had: the next is tried later.
    pub(super) fn standby_failed(&mut self, peer: NodeId, now: Instant) {
        let Some(up) = self.links.up_to(peer).and_then(|used| self.links.up_mut(used)) else { return };
        let wait = backoff(FIRST_RETRY, up.budget.standby_failures, RETRY_CAP, &mut self.rng);
        up.budget.standby_failures = up.budget.standby_failures.saturating_add(1);
        up.budget.standby_not_before = now + wait;
    }

    /// There is a way to these personas again: frames whose sessions talk with them are told.
    pub(super) fn path_is_there(&mut self, is_meant: impl Fn(PersonaId) -> bool) {
        let told: Vec<(FrameId, PersonaId)> = (self.frames.iter())
            .flat_map(|(id, frame)| frame.talks.keys().map(move |persona| (id, *persona)))
            .filter(|(_, persona)| is_meant(*persona))
            .collect();
        for (frame, persona) in told {
            self.tell(frame, ToFrame::PathRestored(persona));
        }
    }

    /// A frame is gone: those whose sessions talk with it are told, here and at the nodes of its peers.
    pub(super) fn mourn(&mut self, persona: PersonaId, frame: FrameId, talks: &[PersonaId]) {
        self.tell_of_death(persona, frame);
        let nodes: Set<NodeId> = talks.iter().filter_map(|peer| self.routes.home(*peer)).collect();
        for link in nodes.into_iter().filter_map(|node| self.links.up_to(node)).collect::<Vec<_>>() {
            self.tell_peer(link, &LinkMessage::FrameGone { persona, frame });
        }
    }

    /// A peer's frame is gone. Only its own node can say so.
    pub(super) fn on_peer_frame_gone(&mut self, peer: NodeId, persona: PersonaId, frame: FrameId) {
        if self.routes.home(persona) == Some(peer) {
            self.tell_of_death(persona, frame);
        }
    }

    fn tell_of_death(&mut self, persona: PersonaId, frame: FrameId) {
        let talking: Vec<FrameId> =
            self.frames.iter().filter(|(_, it)| it.talks.contains_key(&persona)).map(|(id, _)| id).collect();
        for id in talking {
            self.tell(id, ToFrame::FrameGone { persona, frame });
        }
    }
}
