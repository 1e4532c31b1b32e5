//! How many links each persona has, and which of them goes when there is no room.
//!
//! A persona has 24 links at most, and all of a node's personas together 96. Four of them each persona has for itself: whatever others have,
//! it gets them. A link that neither end has needed for a minute is hung up, room or not: one end says so ([`Idle`]), and the other hangs up
//! unless it needs the link.
//!
//! [`Idle`]: bitters_wire::link::Control::Idle

use std::time::Duration;

use bitters_wire::{
    id::{LinkId, PersonaId},
    link::Control,
    time::Instant,
};

use super::{Node, linking::SESSION_PATIENCE};
use crate::{
    links::{Pair, Up},
    quotas::{MAX_LINKS, MAX_LINKS_PER_PERSONA, RESERVED_LINKS},
};

/// A link that neither sessions nor topics need is offered to be hung up after that time.
const UNNEEDED_AFTER: Duration = Duration::from_secs(60);

/// Both ends count from about the same moment: the one that is asked first may be a little earlier.
const SLACK: Duration = Duration::from_secs(5);

/// Links of a persona that standbys leave to links which are used.
const USED_FIRST: usize = 6;

impl Node {
    /// Sees to it that a persona may have one more link: another that can be missed may be hung up for it.
    pub(super) fn has_room_for_link(&mut self, own: PersonaId, now: Instant) -> bool {
        while !self.fits(own) {
            let Some(link) = self.missable(own, now) else { return false };
            self.hang_up(link);
            self.replace_link(link, now);
        }
        true
    }

    /// Whether a persona may have one more standby, for which no other link goes.
    pub(super) fn has_room_for_standby(&self, own: PersonaId) -> bool {
        self.links.of(own) < MAX_LINKS_PER_PERSONA - USED_FIRST && self.fits(own)
    }

    /// Whether one more link of a persona leaves all others those that are theirs.
    fn fits(&self, own: PersonaId) -> bool {
        let has = self.links.of(own);
        let others = self.frames.personas().into_iter().filter(|other| *other != own);
        let taken: usize = others.map(|other| self.links.of(other).max(RESERVED_LINKS)).sum();
        has < MAX_LINKS_PER_PERSONA && taken + has < MAX_LINKS
    }

    /// The link that goes for one more of a persona: one of its own that can be missed, or, if it hasn't those that are its own, one of the
    /// persona that has most.
    fn missable(&self, own: PersonaId, now: Instant) -> Option<LinkId> {
        self.spare_of(own, now).or_else(|| {
            let has = self.links.of(own);
            let others = self.frames.personas().into_iter().filter(|other| *other != own);
            let greediest = others.max_by_key(|other| self.links.of(*other))?;
            let gives_way = has < RESERVED_LINKS && self.links.of(greediest) > RESERVED_LINKS;
            gives_way.then(|| self.spare_of(greediest, now).or_else(|| self.quietest_of(greediest))).flatten()
        })
    }

    /// A standby, else the link that was unneeded for the longest time.
    fn spare_of(&self, own: PersonaId, now: Instant) -> Option<LinkId> {
        let standby = self.links.standbys().find(|(_, pair)| pair.own == own).map(|(link, _)| link);
        standby.or_else(|| {
            let unneeded = self.links.ups_of(own).filter(|(_, pair, _, up)| !self.is_needed(*pair, up, now));
            unneeded.min_by_key(|(_, _, _, up)| up.last_packet.max(Some(up.wanted))).map(|(link, _, _, _)| link)
        })
    }

    fn quietest_of(&self, own: PersonaId) -> Option<LinkId> {
        self.links.ups_of(own).min_by_key(|(_, _, _, up)| up.last_packet).map(|(link, _, _, _)| link)
    }

    fn is_needed(&self, pair: Pair, up: &Up, now: Instant) -> bool {
        let talks = up.last_packet.is_some_and(|at| now.since(at) < SESSION_PATIENCE);
        talks || self.shares_topics(pair, up)
    }

    /// A site dials a peer that is linked: the link is to stay for as long as if it had come up now.
    pub(super) fn want_link(&mut self, pair: Pair, now: Instant) {
        if let Some(up) = self.links.up_to(pair).and_then(|link| self.links.up_mut(link)) {
            up.want(now);
        }
    }

    /// Tells peers which links we have had no need of.
    pub(super) fn offer_unneeded_links(&mut self, now: Instant) {
        let is_due =
            |(_, pair, _, up): &(LinkId, Pair, &_, &Up)| self.unneeded_at(*pair, up).is_some_and(|at| at <= now);
        for link in self.links.ups().filter(is_due).map(|(link, _, _, _)| link).collect::<Vec<_>>() {
            if let Some(up) = self.links.up_mut(link) {
                up.wanted = now;
                up.offered = true;
            }
            self.tell_peer(link, Control::Idle);
        }
    }

    /// The peer has no need of a link.
    pub(super) fn on_idle(&mut self, link: LinkId, pair: Pair, now: Instant) {
        let is_wanted = |up: &Up| !up.offered && now.since(up.wanted) < UNNEEDED_AFTER - SLACK;
        let needs = self.links.up(link).is_none_or(|up| is_wanted(up) || self.is_needed(pair, up, now));
        if !needs {
            let joined = self.links.up(link).map(|up| up.joined.clone()).unwrap_or_default();
            self.topics.is_only_in(pair, &joined);
            self.drop_standby(pair);
            if let Some(standby) = self.links.connecting_to(pair).map(|(id, _)| id) {
                self.abandon(standby);
            }
            self.hang_up(link);
            self.replace_link(link, now);
        }
    }

    /// When the next link is offered to be hung up.
    pub(super) fn unneeded_due(&self) -> Option<Instant> {
        self.links.ups().filter_map(|(_, pair, _, up)| self.unneeded_at(pair, up)).min()
    }

    fn unneeded_at(&self, pair: Pair, up: &Up) -> Option<Instant> {
        let since = up.last_packet.map_or(up.wanted, |at| at.max(up.wanted));
        (!self.shares_topics(pair, up)).then(|| since + UNNEEDED_AFTER)
    }
}
