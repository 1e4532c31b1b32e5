//! What follows when a link is up, and when a link or an attempt is over.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    failure::Code,
    id::{FrameId, LinkId},
    link::Control,
    local::{DownReason, HeldLink, LinkCommand},
};

use super::{
    Around, Links, LinksOutput, Offence,
    dialling::Begun,
    table::{At, Attempt, Link, State, Up, Way},
};
use crate::{dials::Stage, limits::MAX_LINKS_PER_PERSONA, pair::Pair, topics::Place, view::warnings::Audience};

/// A link that sessions used so lately has a standby, and is made again when it breaks: they wait that long. An open stream asks
/// every 20 s whether its peer is there.
pub const SESSION_PATIENCE: Duration = Duration::from_secs(60);

/// A peer that is told that our site hung up hangs up within that time.
const LEAVING: Duration = Duration::from_secs(2);

/// A browser that could not make a connection is not asked to knock for a while: nothing could come of it.
const UNABLE: Duration = Duration::from_secs(10);

/// Both ends hang up on a link that nobody needs when their sessions were silent for a minute, and a packet's way makes one of the two
/// earlier: the other doesn't want the link again then.
pub(super) const PARTING: Duration = Duration::from_secs(5);

impl Links {
    pub(super) fn on_up(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        let Some((attempt, _)) = self.table.attempt_mut(link) else { return };
        let (took, way) = (around.now.since(attempt.started), attempt.way);
        if way == Way::Address && attempt.dialled {
            self.tell(LinksOutput::Reached(pair.peer, took));
        }
        if self.resolve_crossing(link, pair, around) || self.stands_by(link, pair, around) {
            return;
        }
        // The peer dialled, so whatever there was is dead at its end.
        let last_packet = self.replace_used(pair, around);
        self.drop_standby(pair, around);
        self.early.end(pair);
        self.use_link(link, last_packet, around);
    }

    /// A frame says which links it holds: those of the leader before us are taken over. Others of its are down by now.
    pub(super) fn on_held(&mut self, frame: FrameId, held: &[HeldLink], talks: bool, around: &Around<'_>) {
        for held in held.iter().take(MAX_LINKS_PER_PERSONA) {
            self.adopt(frame, *held, around);
            if let Some(up) = self.table.up_mut(held.link).filter(|_| talks) {
                // For all that we know, its sessions use it.
                up.last_packet = Some(around.now);
            }
        }
        for link in self.table.held_by(frame) {
            let was_up = self.table.up(link).is_some() || self.table.standby(link).is_some();
            if was_up && !held.iter().any(|it| it.link == link) {
                self.end(link, DownReason::Closed, around);
            }
        }
    }

    fn adopt(&mut self, frame: FrameId, held: HeldLink, around: &Around<'_>) {
        let HeldLink { link, own, peer, used, path, direct, bond } = held;
        let pair = Pair { own, peer };
        if self.table.link(link).is_some() {
            return;
        }
        let is_own = around.frames.frame(frame).is_some_and(|it| it.persona() == own) && own != peer;
        // Of two links of one pair both ends keep the later.
        let rival = self.table.up_to(pair);
        let is_later = rival.is_none_or(|rival| rival < link);
        let stands_by = !used && self.table.standby_to(pair).is_none();
        if !is_own
            || (direct && around.hides)
            || around.blocks.includes(pair)
            || !(stands_by || is_later)
            || self.table.settled(own) >= MAX_LINKS_PER_PERSONA
        {
            return self.tell(LinksOutput::Command(frame, link, LinkCommand::HangUp));
        }
        if stands_by {
            self.table.adopt_standby(link, frame, pair, around.now);
            self.table.set_bond(link, bond);
            self.table.set_path(link, path);
            self.table.set_direct(link, direct);
            return;
        }
        if let Some(rival) = rival {
            self.hang_up(rival, around);
            self.replace(rival);
        }
        self.table.adopt(link, frame, pair, around.now);
        self.table.set_bond(link, bond);
        self.table.set_path(link, path);
        self.table.set_direct(link, direct);
        self.say_of_links(link, Control::Resume, around);
        self.redials.forget(pair);
        self.tell(LinksOutput::Adopted(link, pair));
    }

    /// A link is over that another takes the place of, or that nobody needs.
    pub(super) fn replace(&mut self, link: LinkId) {
        let Some(old) = self.table.remove(link) else { return };
        if let (Some(pair), State::Up(up)) = (old.pair(), old.state) {
            self.tell(LinksOutput::Down { pair, joined: up.joined });
        }
        self.tell(LinksOutput::Status);
    }

    pub(super) fn abandon(&mut self, link: LinkId, around: &Around<'_>) {
        self.hang_up(link, around);
        self.table.remove(link);
    }

    /// A link is over.
    pub(super) fn end(&mut self, link: LinkId, reason: DownReason, around: &Around<'_>) {
        let Some(old) = self.table.remove(link) else { return };
        self.tell(LinksOutput::Plans);
        self.tell(LinksOutput::Status);
        let Some(pair) = old.pair() else { return };
        match old.state {
            State::Connecting(attempt) => self.after_attempt(pair, &attempt, reason, around),
            State::Opening(_) => {}
            State::Standby(_) => self.lose_standby(link, pair, around),
            State::Up(up) => self.after_link(pair, *up, reason, around),
        }
    }

    /// A frame carries no links any longer. Standbys first: none in it is to be switched to.
    pub(super) fn end_all_of(&mut self, frame: FrameId, reason: DownReason, around: &Around<'_>) {
        self.leaving.retain(|_, (holder, _)| *holder != frame);
        let (used, others): (Vec<LinkId>, Vec<LinkId>) =
            self.table.held_by(frame).into_iter().partition(|link| self.table.up(*link).is_some());
        for link in others.into_iter().chain(used) {
            self.hang_up(link, around);
            self.end(link, reason, around);
        }
    }

    fn after_attempt(&mut self, pair: Pair, attempt: &Attempt, reason: DownReason, around: &Around<'_>) {
        if reason == DownReason::Platform {
            self.unable.insert(pair.own, around.now + UNABLE);
        }
        if self.table.up_to(pair).is_some() {
            if !is_frames_fault(reason) {
                self.standby_failed(pair, around.now);
            }
            return;
        }
        if is_frames_fault(reason) && self.begins_again(pair, attempt, around) {
            return;
        }
        if reason == DownReason::Closed && self.dials_at_address(pair, attempt, around) {
            return;
        }
        if !matches!(attempt.way, Way::Address | Way::Uplink) {
            self.tell(LinksOutput::ForgetWays(pair));
            let wanted = around.dials.stage(pair) == Some(Stage::Link) || self.redials.is_wanted(pair, around.now);
            if wanted && self.dial_unnamed(pair, around) == Ok(Begun::Link) {
                return;
            }
        }
        let door_is_over = matches!(attempt.at, Some(At::Door(_))) && reason == DownReason::Closed;
        if door_is_over && around.dials.stage(pair) == Some(Stage::Link) {
            self.tell(LinksOutput::DoorFailed(pair));
        } else if attempt.way == Way::Address {
            self.fail_address_dials(pair, reason, around);
        } else {
            self.fail_link_dials(pair, reason, around);
        }
        if attempt.dialled {
            self.count_failure(pair, around.now);
        } else {
            self.redials.gave_way(pair, around.now, &mut self.rng);
        }
    }

    /// Another frame takes an attempt over whose frame is gone.
    fn begins_again(&mut self, pair: Pair, attempt: &Attempt, around: &Around<'_>) -> bool {
        match &attempt.at {
            Some(at) => self.dial_at(pair, at.clone(), self.need_of(pair, around), around).is_ok(),
            None => self.dial_neighbour(pair, around) == Ok(Begun::Link),
        }
    }

    /// Neither the rendezvous nor anybody linked knows the peer: maybe a proxy does, at its address.
    fn dials_at_address(&mut self, pair: Pair, failed: &Attempt, around: &Around<'_>) -> bool {
        matches!(failed.way, Way::Neighbours | Way::CommonPeer(_) | Way::Uplink)
            && failed.dialled
            && self.dial_told(pair, around)
    }

    /// Dials a peer at the address that it told on a link. Tells whether that began.
    pub(super) fn dial_told(&mut self, pair: Pair, around: &Around<'_>) -> bool {
        let begins = self.address_of(pair, around).is_some()
            && self.begin(pair, Attempt::new(Way::Address, None, around.now), None, around).is_some();
        if begins {
            self.redials.begun(pair, around.now);
        }
        begins
    }

    /// A dial failed or could not begin: the next is later, if there is one.
    pub(super) fn count_failure(&mut self, pair: Pair, now: Instant) {
        if self.redials.failed(pair, now, &mut self.rng) {
            self.tell(LinksOutput::GivenUp(pair));
        }
    }

    pub(super) fn fail_link_dials(&mut self, pair: Pair, reason: DownReason, around: &Around<'_>) {
        self.fail_dials(pair, reason, why(reason), around);
    }

    /// Those who waited for a peer at its address wait in vain.
    fn fail_address_dials(&mut self, pair: Pair, reason: DownReason, around: &Around<'_>) {
        let text = match reason {
            DownReason::DialTimeout => "nobody answered at its address within 15 s",
            other => why(other),
        };
        self.fail_dials(pair, reason, text, around);
        self.tell(LinksOutput::AddressFailed(pair.peer));
    }

    fn fail_dials(&mut self, pair: Pair, reason: DownReason, text: &str, around: &Around<'_>) {
        if around.dials.stage(pair) == Some(Stage::Link) {
            let text = format!("{}: {text}", pair.peer);
            self.tell(LinksOutput::DialFailed { pair, code: code_of(reason), text });
        }
    }

    fn after_link(&mut self, pair: Pair, up: Up, reason: DownReason, around: &Around<'_>) {
        let now = around.now;
        let wanted_until = up.last_packet.map_or(now, |at| at + SESSION_PATIENCE);
        let is_needed = around.shares_topics(pair, &up) || wanted_until > now + PARTING;
        let is_lenient = up.is_lenient(now);
        let last_packet = up.last_packet;
        self.tell(LinksOutput::Down { pair, joined: up.joined.clone() });
        if up.offered {
            self.tell(LinksOutput::Needless { pair, joined: up.joined });
        }
        if let Some(standby) = self.table.standby_to(pair) {
            if is_needed || is_lenient {
                return self.switch_to(standby, last_packet, around);
            }
            // The peer, which hangs up on both, does so one after the other.
            self.drop_standby(pair, around);
        }
        // An attempt at a standby goes on if it can do without the link.
        let stranded = self.table.connecting_to(pair).filter(|(_, it)| it.way == Way::Link && !it.is_settled());
        if let Some(link) = stranded.map(|(link, _)| link) {
            self.abandon(link, around);
        }
        if !is_needed {
            return;
        }
        // The peer can't know yet that our frame is gone: it takes its browser seconds, unless we tell it.
        if is_frames_fault(reason) && self.dial_neighbour(pair, around) == Ok(Begun::Link) {
            self.redials.want(pair, wanted_until, now);
            self.redials.begun(pair, now);
            return;
        }
        self.redials.broke(pair, wanted_until, now, &mut self.rng);
    }

    /// Our site wants nothing more of a peer: it is told, and hangs up. Topics don't dial it again for a while.
    pub fn hang_up_on(&mut self, pair: Pair, around: &Around<'_>) {
        self.let_go_beside(pair, around);
        if let Some(link) = self.table.up_to(pair)
            && let Some(frame) = self.table.link(link).map(|it| it.frame)
        {
            if let Some(up) = self.table.up_mut(link) {
                up.budget.dialled = false;
            }
            self.say_of_links(link, Control::HungUp, around);
            self.leaving.insert(link, (frame, around.now + LEAVING));
            self.replace(link);
        }
        self.redials.shun(pair, around.now);
    }

    /// The peer's site wants nothing more of ours.
    pub(super) fn on_hung_up(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        self.tell(LinksOutput::HungUp(pair));
        self.let_go_beside(pair, around);
        self.hang_up(link, around);
        self.replace(link);
        self.redials.shun(pair, around.now);
    }

    /// Hangs up the standby of a pair, and ends what was tried.
    pub(super) fn let_go_beside(&mut self, pair: Pair, around: &Around<'_>) {
        self.drop_standby(pair, around);
        if let Some(attempt) = self.table.connecting_to(pair).map(|(link, _)| link) {
            self.abandon(attempt, around);
        }
    }

    /// When the next peer is hung up on that was told so.
    pub(super) fn leaving_due(&self) -> Option<Instant> {
        self.leaving.values().map(|(_, at)| *at).min()
    }

    pub(super) fn leave_at_last(&mut self, now: Instant) {
        let due = self.leaving.iter().find(|(_, (_, at))| *at <= now).map(|(link, (frame, _))| (*link, *frame));
        if let Some((link, frame)) = due {
            self.leaving.remove(&link);
            self.tell(LinksOutput::Command(frame, link, LinkCommand::HangUp));
            self.leave_at_last(now);
        }
    }

    /// A peer broke the protocol.
    pub fn punish(&mut self, link: LinkId, pair: Pair, what: Offence, around: &Around<'_>) {
        self.tell(LinksOutput::Warning(Audience::Observers, format!("{} broke the protocol: {what}", pair.peer)));
        self.hang_up(link, around);
        self.end(link, DownReason::Protocol, around);
        self.redials.shun(pair, around.now);
    }

    /// This link is used from now on: the peer learns that first, then what of our persona it is to know.
    pub(super) fn use_link(&mut self, link: LinkId, last_packet: Option<Instant>, around: &Around<'_>) {
        let Some(pair) = self.table.link(link).and_then(Link::pair) else { return };
        self.table.set_up(link, around.now);
        self.unable.remove(&pair.own);
        if let Some(up) = self.table.up_mut(link) {
            up.last_packet = last_packet;
        }
        self.say_of_links(link, Control::Switch, around);
        self.redials.forget(pair);
        self.tell(LinksOutput::Up(link, pair));
        self.tell(LinksOutput::Plans);
    }
}

impl Around<'_> {
    /// Whether both ends of a link are in a topic.
    pub(super) fn shares_topics(&self, pair: Pair, up: &Up) -> bool {
        up.joined.iter().any(|topic| self.topics.is_open(Place { own: pair.own, topic: *topic }))
    }
}

/// Whether the peer may not know yet that the link is over.
const fn is_frames_fault(reason: DownReason) -> bool {
    matches!(reason, DownReason::FrameGone | DownReason::FrameSilent)
}

/// How a dial fails that comes to nothing for this reason.
const fn code_of(reason: DownReason) -> Code {
    match reason {
        DownReason::VersionMismatch => Code::VersionMismatch,
        _ => Code::PeerUnreachable,
    }
}

pub(super) fn why(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Closed => "the connection to it failed",
        DownReason::DialTimeout => "no connection to it within 15 s",
        DownReason::FrameGone => "the page that connected is gone, and no other is open",
        DownReason::FrameSilent => "the page that connected is frozen, and no other is open",
        DownReason::HungUp => "it hung up",
        DownReason::Identity => "it did not prove who it is",
        DownReason::Platform => "the browser can't connect: WebRTC's data channels or UDP are missing or blocked",
        DownReason::Protocol => "it broke the protocol",
        DownReason::VersionMismatch => {
            "its node's build speaks another version of the wire: one of the two is to be reloaded"
        }
    }
}
