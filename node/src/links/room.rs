//! How many links each persona has, and which of them goes when there is no room.
//!
//! A persona has 24 links at most, and all of a node's personas together 96. Four of them each persona has for itself: whatever others have,
//! it gets them. What a site dials, or its sessions wait for, takes the place of a neighbour that the site's topics can miss: they would leave
//! room for nothing else, where many are in them. Strangers leave none, either, if they come to its door and speak: so who comes there takes the
//! place of one of them. Whom the site accepted stays, so that its sessions last; but anybody can have a site accept that answers everybody: so
//! what the site itself dials takes the place of whatever it didn't dial. Connections that open at the door aren't counted before they are up.
//!
//! A link that neither end has needed for a minute is hung up, room or not: one end says so ([`Idle`]), and the other hangs up unless it needs
//! the link.
//!
//! [`Idle`]: bitters_wire::link::Control::Idle

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    id::{LinkId, PersonaId},
    link::Control,
};

use super::{Around, Link, Links, LinksOutput, ending::SESSION_PATIENCE, table::Up};
use crate::{
    limits::{MAX_LINKS, MAX_LINKS_PER_PERSONA, RESERVED_LINKS},
    pair::Pair,
    topics::Place,
};

/// A link that neither sessions nor topics need is offered to be hung up after that time.
const UNNEEDED_AFTER: Duration = Duration::from_secs(60);

/// Both ends count from about the same moment: the one that is asked first may be a little earlier.
const SLACK: Duration = Duration::from_secs(5);

/// Links of a persona that standbys leave to links which are used.
const USED_FIRST: usize = 6;

/// Whoever asked for a link uses it within that time.
const FRESH: Duration = Duration::from_secs(5);

/// Strangers that came first stay, so many of them; beyond these who comes takes the place of who came before.
const STRANGERS_KEPT: usize = 8;

/// A topic can miss a neighbour if it keeps so many.
const NEIGHBOURS_KEPT: usize = 2;

/// Who needs a link. The later of these have more go for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Topics alone.
    Topics,
    /// Sessions wait for it.
    Sessions,
    /// A site dials the peer, or did so, and its sessions wait for it.
    Site,
}

impl Links {
    /// Who needs a link of the pair.
    pub(super) fn need_of(&self, pair: Pair, around: &Around<'_>) -> Need {
        let is_wanted = self.is_wanted(pair, around);
        if around.dials.is_asked_for(pair) || (is_wanted && self.table.is_dialled(pair)) {
            Need::Site
        } else if is_wanted {
            Need::Sessions
        } else {
            Need::Topics
        }
    }

    /// Sees to it that a persona may have one more link: another that can be missed may be hung up for it.
    pub(super) fn has_room(&mut self, own: PersonaId, need: Need, around: &Around<'_>) -> bool {
        while !self.fits(own, around) {
            let surplus = || self.surplus_of(own, around).or_else(|| self.stranger_of(own, around));
            let surplus = || if need > Need::Topics { surplus() } else { None };
            let guest = || if need == Need::Site { self.guest_of(own, around) } else { None };
            let Some(link) = self.missable(own, around).or_else(surplus).or_else(guest) else { return false };
            self.hang_up(link, around);
            self.replace(link);
        }
        true
    }

    /// Sees to it that a peer may stay that came to the persona's door, or that the site accepted: a stranger may be hung up for it. At the door
    /// the proxy lets some of each network in, and not many in a moment; so everybody has a while to be accepted.
    pub(super) fn has_room_for_guest(&mut self, own: PersonaId, around: &Around<'_>) -> bool {
        while !self.fits(own, around) {
            let Some(link) = self.missable(own, around).or_else(|| self.stranger_of(own, around)) else { return false };
            self.hang_up(link, around);
            self.replace(link);
        }
        true
    }

    /// Whether a persona may have one more standby, for which no other link goes.
    pub(super) fn has_room_for_standby(&self, own: PersonaId, around: &Around<'_>) -> bool {
        self.table.settled(own) < MAX_LINKS_PER_PERSONA - USED_FIRST && self.fits(own, around)
    }

    /// Whether one more link of a persona leaves all others those that are theirs.
    fn fits(&self, own: PersonaId, around: &Around<'_>) -> bool {
        let has = self.table.settled(own);
        let others = around.frames.personas().into_iter().filter(|other| *other != own);
        let taken: usize = others.map(|other| self.table.settled(other).max(RESERVED_LINKS)).sum();
        has < MAX_LINKS_PER_PERSONA && taken + has < MAX_LINKS
    }

    /// The link that goes for one more of a persona: one of its own that can be missed, or, if it hasn't those that are its own, one of the
    /// persona that has most.
    fn missable(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        self.spare_of(own, around).or_else(|| {
            let has = self.table.settled(own);
            let others = around.frames.personas().into_iter().filter(|other| *other != own);
            let greediest = others.max_by_key(|other| self.table.settled(*other))?;
            let gives_way = has < RESERVED_LINKS && self.table.settled(greediest) > RESERVED_LINKS;
            let spare = || self.spare_of(greediest, around).or_else(|| self.stranger_of(greediest, around));
            gives_way.then(|| spare().or_else(|| self.quietest_of(greediest))).flatten()
        })
    }

    /// A standby, else the link that was unneeded for the longest time.
    fn spare_of(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        let standby = self.table.standbys().find(|(_, pair)| pair.own == own).map(|(link, _)| link);
        standby.or_else(|| {
            let is_fresh = |up: &Up| around.now.since(up.wanted) < FRESH;
            let unneeded =
                self.table.ups_of(own).filter(|(_, pair, _, up)| !is_fresh(up) && !is_needed(*pair, up, around));
            unneeded.min_by_key(|(_, _, _, up)| up.last_packet.max(Some(up.wanted))).map(|(link, _, _, _)| link)
        })
    }

    /// An attempt at a neighbour for topics, or a neighbour of topics that have others, with whom no session talks.
    fn surplus_of(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        let for_topics = |pair: Pair| pair.own == own && !self.is_wanted(pair, around);
        let attempt = self.table.attempts().find(|(_, pair, attempt)| attempt.dialled && for_topics(*pair));
        attempt.map(|(link, _, _)| link).or_else(|| self.surplus_neighbour_of(own, around))
    }

    fn surplus_neighbour_of(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        let quiet = self.table.ups_of(own).filter(|(_, _, _, up)| !talks(up, around));
        let mut surplus =
            quiet.filter(|(_, _, _, up)| !up.joined.is_empty() && self.can_be_missed(own, up, around, |_| true));
        surplus.next().map(|(link, _, _, _)| link)
    }

    /// Whether the topics of the persona's in which a peer is have others that count. That it is in further ones says nothing.
    fn can_be_missed(&self, own: PersonaId, up: &Up, around: &Around<'_>, counts: fn(&Up) -> bool) -> bool {
        let mut common = up.joined.iter().filter(|topic| around.topics.is_open(Place { own, topic: **topic }));
        let neighbours = |topic| self.table.in_topic(own, topic).filter(|(_, _, up)| counts(up)).count();
        common.all(|topic| neighbours(*topic) > NEIGHBOURS_KEPT)
    }

    /// A connection that a stranger asked for by signals and that isn't up, or the stranger that came first, but for those that stay: a peer that
    /// our site neither accepted nor dialled, and that no topic needs.
    fn stranger_of(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        let is_strange = |pair: Pair, up: &Up| {
            !up.budget.dialled && self.is_strange(pair, around) && self.is_missable(own, up, around)
        };
        let mut strangers = self.table.ups_of(own).filter(|(_, pair, _, up)| is_strange(*pair, up));
        let stranger = || strangers.nth(STRANGERS_KEPT).map(|(link, _, _, _)| link);
        self.strange_attempt_of(own, around).or_else(stranger)
    }

    /// The oldest connection that a stranger asked for by signals and that isn't up.
    pub(super) fn strange_attempt_of(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        let pair_of = |link: LinkId| self.table.link(link).and_then(Link::pair);
        let is_strange = |link: LinkId| pair_of(link).is_some_and(|pair| self.is_strange(pair, around));
        self.table.passive(own).filter(|(_, link)| is_strange(*link)).min().map(|(_, link)| link)
    }

    /// Whether our site neither accepted the peer nor waits for it.
    fn is_strange(&self, pair: Pair, around: &Around<'_>) -> bool {
        !around.knows(pair) && !self.is_wanted(pair, around)
    }

    /// Whether no topic needs the peer. Whoever came to our door may say to be in any topic: that counts for nothing here.
    fn is_missable(&self, own: PersonaId, up: &Up, around: &Around<'_>) -> bool {
        let is_shown = |up: &Up| !matches!(up.opened, Some((false, _)));
        !is_shown(up) || self.can_be_missed(own, up, around, is_shown)
    }

    /// What the site didn't dial, and doesn't dial now: what isn't up yet, else the latest that came. Those go first whom the topics can miss, and
    /// of them strangers.
    fn guest_of(&self, own: PersonaId, around: &Around<'_>) -> Option<LinkId> {
        let is_ours = |pair: Pair| self.need_of(pair, around) == Need::Site;
        let attempt = self.table.attempts().find(|(_, pair, _)| pair.own == own && !is_ours(*pair));
        let guests = || self.table.ups_of(own).filter(|(_, _, _, up)| !up.budget.dialled);
        let rank = |link, pair, up: &Up| (self.is_missable(own, up, around), !around.knows(pair), link);
        let latest = || guests().map(|(link, pair, _, up)| rank(link, pair, up)).max().map(|(_, _, link)| link);
        attempt.map(|(link, _, _)| link).or_else(latest)
    }

    fn quietest_of(&self, own: PersonaId) -> Option<LinkId> {
        self.table.ups_of(own).min_by_key(|(_, _, _, up)| up.last_packet).map(|(link, _, _, _)| link)
    }

    /// Tells peers which links we have had no need of.
    pub(super) fn offer_unneeded(&mut self, around: &Around<'_>) {
        let is_due = |pair, up: &Up| unneeded_at(pair, up, around).is_some_and(|at| at <= around.now);
        let due = self.table.ups().filter(|(_, pair, _, up)| is_due(*pair, up));
        for link in due.map(|(link, _, _, _)| link).collect::<Vec<_>>() {
            if let Some(up) = self.table.up_mut(link) {
                up.wanted = around.now;
                up.offered = true;
            }
            self.say_of_links(link, Control::Idle, around);
        }
    }

    /// The peer has no need of a link.
    pub(super) fn on_idle(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        let is_wanted = |up: &Up| !up.offered && around.now.since(up.wanted) < UNNEEDED_AFTER - SLACK;
        let needs = self.table.up(link).is_none_or(|up| is_wanted(up) || is_needed(pair, up, around));
        if !needs {
            let joined = self.table.up(link).map(|up| up.joined.clone()).unwrap_or_default();
            self.tell(LinksOutput::Needless { pair, joined });
            self.let_go_beside(pair, around);
            self.hang_up(link, around);
            self.replace(link);
        }
    }

    /// When the next link is offered to be hung up.
    pub(super) fn unneeded_due(&self, around: &Around<'_>) -> Option<Instant> {
        self.table.ups().filter_map(|(_, pair, _, up)| unneeded_at(pair, up, around)).min()
    }
}

fn is_needed(pair: Pair, up: &Up, around: &Around<'_>) -> bool {
    talks(up, around) || around.shares_topics(pair, up)
}

fn talks(up: &Up, around: &Around<'_>) -> bool {
    up.last_packet.is_some_and(|at| around.now.since(at) < SESSION_PATIENCE)
}

fn unneeded_at(pair: Pair, up: &Up, around: &Around<'_>) -> Option<Instant> {
    let since = up.last_packet.map_or(up.wanted, |at| at.max(up.wanted));
    (!around.shares_topics(pair, up)).then(|| since + UNNEEDED_AFTER)
}
