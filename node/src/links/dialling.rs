//! How an attempt at a link begins: on which way, and in which frame.

use std::net::SocketAddr;

use bitters_machine::time::Instant;
use bitters_wire::{
    address::{Address, stun_of},
    id::{FrameId, LinkId, PersonaId},
    limits::TOPIC_NEIGHBOURS,
    local::{Dial, Door, DownReason, LinkCommand},
};

use super::{
    Around, Links, LinksOutput,
    ending::{SESSION_PATIENCE, why},
    placement::{Candidate, place},
    reasons::Reason,
    room::Need,
    table::{At, Attempt, Because, Way},
};
use crate::{
    dials::Stage,
    frames::{Frame, Frames},
    pair::Pair,
    topics::Place,
};

/// A way that leads to no peer.
pub type NoWay = &'static str;

const NO_CARRIER: NoWay = "no page is open to carry a connection";
/// The person blocked the peer.
pub const BLOCKED: NoWay = "the person blocked it";
const NOBODY_LEADS_THERE: NoWay = "neither a rendezvous nor a common peer leads to it";

/// What a dial began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The peer is asked for its door. It may not answer.
    Knock,
    /// There is a link, or an attempt at one.
    Link,
}

/// The way into a connection.
struct Entrance {
    door: Door,
    direct: bool,
    /// A grant, or what the link was for on which the peer told the address.
    because: Option<Because>,
    stun: Vec<SocketAddr>,
}

impl Links {
    /// Sees to it that there is a link of the pair or an attempt at one. The text says why there is none; sites may read it.
    ///
    /// # Errors
    ///
    /// No way leads to the peer, or there is no room or no frame for a link.
    pub fn dial(&mut self, pair: Pair, around: &Around<'_>) -> Result<Begun, NoWay> {
        let need = self.need_of(pair, around).max(Need::Sessions);
        self.dial_by(pair, self.common_peer(pair, around), need, around)
    }

    /// As [`dial`](Self::dial), for a site that begins to wait for the peer: all goes for the link that the site didn't dial.
    ///
    /// # Errors
    ///
    /// Those of [`dial`](Self::dial).
    pub fn dial_for_site(&mut self, pair: Pair, around: &Around<'_>) -> Result<Begun, NoWay> {
        self.dial_by(pair, self.common_peer(pair, around), Need::Site, around)
    }

    /// As [`dial`](Self::dial), but for the sake of a topic alone unless a site dials the peer, or its sessions wait for it: then less goes for
    /// the link.
    pub(super) fn dial_neighbour(&mut self, pair: Pair, around: &Around<'_>) -> Result<Begun, NoWay> {
        self.dial_by(pair, self.common_peer(pair, around), self.need_of(pair, around), around)
    }

    /// As [`dial`](Self::dial), where those who named the peer didn't lead there.
    pub(super) fn dial_unnamed(&mut self, pair: Pair, around: &Around<'_>) -> Result<Begun, NoWay> {
        let need = self.need_of(pair, around).max(Need::Sessions);
        self.dial_by(pair, None, need, around)
    }

    /// Whether a site dials the peer, or its sessions wait for it.
    pub(super) fn is_wanted(&self, pair: Pair, around: &Around<'_>) -> bool {
        around.dials.stage(pair).is_some() || self.redials.is_wanted(pair, around.now)
    }

    fn dial_by(
        &mut self,
        pair: Pair,
        common: Option<PersonaId>,
        need: Need,
        around: &Around<'_>,
    ) -> Result<Begun, NoWay> {
        may_link(pair, around)?;
        if self.table.is_linking(pair) {
            return Ok(Begun::Link);
        }
        if let Some(standby) = self.table.standby_to(pair) {
            self.switch_to(standby, None, around);
            return Ok(Begun::Link);
        }
        let way = self.way_to(pair, common, around).ok_or(NOBODY_LEADS_THERE)?;
        let topics = match around.reason(pair) {
            None if way != Way::Address => return self.begin_knocking(pair, way, around),
            Some(Reason::Topics(topics)) => topics,
            None | Some(Reason::Accepted) => Vec::new(),
        };
        let attempt = Attempt { topics, ..Attempt::new(way, None, around.now) };
        self.begin_anew(pair, attempt, need, around).map(|()| Begun::Link)
    }

    fn begin_knocking(&mut self, pair: Pair, way: Way, around: &Around<'_>) -> Result<Begun, NoWay> {
        if !around.frames.has_persona(pair.own) {
            return Err(NO_CARRIER);
        }
        if self.unable.get(&pair.own).is_some_and(|until| around.now < *until) {
            return Err(why(DownReason::Platform));
        }
        // A common peer that led to no answer may pass nothing on.
        let is_vain = matches!(way, Way::CommonPeer(_)) && self.knocks.way(pair) == Some(way) && around.is_registered;
        let way = if is_vain { Way::Uplink } else { way };
        if self.knock(pair, way, around) { Ok(Begun::Knock) } else { Err(NOBODY_LEADS_THERE) }
    }

    /// Dials the peer at an address that somebody gave away.
    ///
    /// # Errors
    ///
    /// The address has expired, or there is no room or no frame for a link.
    pub fn dial_address(&mut self, pair: Pair, address: &Address, around: &Around<'_>) -> Result<(), NoWay> {
        self.dial_at(pair, At::Given(Box::new(address.clone())), Need::Site, around)
    }

    pub(super) fn dial_at(&mut self, pair: Pair, at: At, need: Need, around: &Around<'_>) -> Result<(), NoWay> {
        if around.is_expired(at.address()) {
            return Err("the address has expired");
        }
        may_link(pair, around)?;
        if self.table.is_linking(pair) {
            return Ok(());
        }
        let attempt = Attempt { at: Some(at), ..Attempt::new(Way::Address, None, around.now) };
        self.begin_anew(pair, attempt, need, around)
    }

    fn begin_anew(&mut self, pair: Pair, attempt: Attempt, need: Need, around: &Around<'_>) -> Result<(), NoWay> {
        if !around.frames.has_persona(pair.own) {
            return Err(NO_CARRIER);
        }
        if !self.has_room(pair.own, need, around) {
            return Err("this site has all the links that it may have");
        }
        self.begin(pair, attempt, None, around).ok_or(NO_CARRIER)?;
        self.redials.begun(pair, around.now);
        Ok(())
    }

    /// A common peer is asked before the rendezvous, which then need not be there. Without either, those who want to go on with a
    /// conversation ask whomever their persona knows.
    fn way_to(&self, pair: Pair, common: Option<PersonaId>, around: &Around<'_>) -> Option<Way> {
        let converses = self.redials.is_wanted(pair, around.now) || around.dials.stage(pair) == Some(Stage::Link);
        let neighbours = converses && self.table.ups_of(pair.own).next().is_some();
        let uplink = around.is_registered.then_some(Way::Uplink);
        let address = self.address_of(pair, around).map(|_| Way::Address);
        common.map(Way::CommonPeer).or(uplink).or(neighbours.then_some(Way::Neighbours)).or(address)
    }

    /// Whether a way to a peer is known that needs no look-up.
    pub fn is_introduced(&self, pair: Pair, around: &Around<'_>) -> bool {
        self.common_peer(pair, around).is_some() || self.address_of(pair, around).is_some()
    }

    /// A peer of the persona's that told of the other one, and is linked.
    pub(super) fn common_peer(&self, pair: Pair, around: &Around<'_>) -> Option<PersonaId> {
        let is_linked = |common: &PersonaId| self.table.up_to(Pair { peer: *common, ..pair }).is_some();
        around.topics.ways(pair).into_iter().find(is_linked)
    }

    /// Where the peer said that it can be dialled.
    pub(super) fn address_of(&self, pair: Pair, around: &Around<'_>) -> Option<Address> {
        self.table.address(pair).map(|(address, _)| address).filter(|address| !around.is_expired(address)).cloned()
    }

    /// Begins an attempt, in another frame than `other` if there is one.
    pub(super) fn begin(
        &mut self,
        pair: Pair,
        attempt: Attempt,
        other: Option<FrameId>,
        around: &Around<'_>,
    ) -> Option<LinkId> {
        let Entrance { door, direct, because, stun } = match attempt.way {
            Way::Address => self.entrance(pair, attempt.at.as_ref(), around)?,
            _ => Entrance { door: Door::Signals, direct: true, because: None, stun: around.stun() },
        };
        let frame = self.frame_for(pair.own, other, around.frames)?;
        let link = self.table.begin(frame, pair, attempt);
        self.table.set_direct(link, direct);
        if let Some(because) = because {
            self.table.set_because(link, because);
        }
        let dial = Dial { own: pair.own, peer: Some(pair.peer), door, direct, stun };
        self.command(link, LinkCommand::Dial(dial), around);
        self.tell(LinksOutput::Status);
        Some(link)
    }

    /// How an address is dialled. Over the servers that it names, if a site was given it, or if the peer told it while there was a reason that
    /// there still is; else, and by those who hide, over our own server only. A grant is a reason for whoever was given it: what a peer
    /// grants us itself is none.
    fn entrance(&self, pair: Pair, at: Option<&At>, around: &Around<'_>) -> Option<Entrance> {
        let told = self.address_of(pair, around);
        let may_show = around.may_show(pair);
        let still = self.table.address(pair).map(|(_, because)| because).filter(|it| around.still_holds(it, pair));
        let (address, goes_there) = match at {
            Some(At::Door(address)) => (&**address, false),
            Some(At::Given(address)) => (&**address, !around.hides),
            None => (told.as_ref()?, may_show || still.is_some()),
        };
        let proxies = if goes_there { address.proxies() } else { around.proxies };
        let proof = address.grant().map(|grant| grant.proof(pair.own, pair.peer));
        let because = match at {
            Some(At::Given(_)) => proof.filter(|_| goes_there).map(|_| Because::GRANT),
            Some(At::Door(_)) => None,
            None => still.cloned(),
        };
        let (fingerprint, token) = (*address.fingerprint(), address.token());
        let door = Door::Address { fingerprint, token, proxies: proxies.to_vec(), proof };
        let direct = may_show || because.is_some();
        let stun = proxies.iter().copied().map(stun_of).collect();
        (!proxies.is_empty()).then_some(Entrance { door, direct, because, stun })
    }

    /// The frame of a persona that is to carry a new link: another than `other` if there is one.
    fn frame_for(&self, own: PersonaId, other: Option<FrameId>, frames: &Frames) -> Option<FrameId> {
        self.best_frame(own, other, frames, |_| true)
    }

    /// The frame that makes a certificate, or answers with one: those beyond a bridge have a database of their own, where the others
    /// don't find it.
    pub fn keeper(&self, own: PersonaId, frames: &Frames) -> Option<FrameId> {
        self.best_frame(own, None, frames, |frame| frame.remote.is_none()).or_else(|| self.frame_for(own, None, frames))
    }

    fn best_frame(
        &self,
        own: PersonaId,
        other: Option<FrameId>,
        frames: &Frames,
        fits: impl Fn(&Frame) -> bool,
    ) -> Option<FrameId> {
        let some_run = frames.any_usable(own);
        let usable = frames.of_persona(own).filter(|(_, frame)| fits(frame) && (frame.is_usable() || !some_run));
        let load = |frame: FrameId| self.table.held_by(frame).len();
        let candidates =
            usable.map(|(id, frame)| Candidate { frame: id, load: load(id), visible: frame.visible, age: frame.age });
        place(candidates, other)
    }

    /// A site dialled a peer that is linked: the link is to stay for as long as if it had come up now, and doesn't count as a
    /// stranger's.
    pub fn want(&mut self, pair: Pair, now: Instant) {
        if let Some(up) = self.table.up_to(pair).and_then(|link| self.table.up_mut(link)) {
            up.want(now);
            up.budget.dialled = true;
        }
    }

    /// Sessions, or a site that dials, wait for a peer until then.
    pub fn want_until(&mut self, pair: Pair, until: Instant, now: Instant) {
        self.redials.want(pair, until, now);
    }

    /// Sessions wait for a peer for as long as they wait for any.
    pub fn want_for_sessions(&mut self, pair: Pair, now: Instant) {
        self.redials.want(pair, now + SESSION_PATIENCE, now);
    }

    /// Dials what sessions, topics and standbys want.
    pub(super) fn plan(&mut self, around: &Around<'_>) {
        let due = self.redials.due(around.now);
        for (pair, _) in due.iter().filter(|(_, for_sessions)| *for_sessions) {
            // Who is knocked on may not answer, and is knocked on again.
            if self.dial(*pair, around) != Ok(Begun::Link) {
                self.count_failure(*pair, around.now);
            }
        }
        for place in around.topics.iter() {
            self.dial_neighbours(place, around);
            self.publish_early(place, around);
        }
        // Those that nobody wanted by now are wanted by nobody.
        for (pair, _) in self.redials.due(around.now) {
            self.redials.forget(pair);
        }
        self.dial_standbys(around);
    }

    /// Dials peers that are said to be in a topic, until the persona has the neighbours there that it aims for.
    fn dial_neighbours(&mut self, place: Place, around: &Around<'_>) {
        let own = place.own;
        let mut candidates: Vec<Pair> = around.topics.candidates(place).map(|peer| Pair { own, peer }).collect();
        let connecting = candidates.iter().filter(|pair| self.table.connecting_to(**pair).is_some()).count();
        let have = connecting + self.table.in_topic(own, place.topic).count();
        candidates.retain(|pair| {
            !self.table.is_linking(*pair) && !around.blocks.includes(*pair) && self.redials.may_dial(*pair, around.now)
        });
        self.rng.shuffle(&mut candidates);
        let waiting = candidates.split_off(TOPIC_NEIGHBOURS.saturating_sub(have).min(candidates.len()));
        let tries = connecting > 0 || !candidates.is_empty();
        for pair in candidates {
            if self.dial_neighbour(pair, around) != Ok(Begun::Link) {
                self.count_failure(pair, around.now);
            }
        }
        // What is tried now may fail. Until then the failures of the others are remembered: each is given up in its turn.
        for pair in waiting.into_iter().filter(|_| tries) {
            self.redials.postpone(pair, around.now);
        }
    }
}

/// Whether there may be a link of the pair.
fn may_link(pair: Pair, around: &Around<'_>) -> Result<(), NoWay> {
    if pair.own == pair.peer {
        return Err("it can't be reached");
    }
    if around.blocks.includes(pair) { Err(BLOCKED) } else { Ok(()) }
}

impl Around<'_> {
    /// Servers that tell browsers how the world sees them.
    pub(super) fn stun(&self) -> Vec<SocketAddr> {
        self.proxies.iter().copied().map(stun_of).collect()
    }

    /// Whether an address may be dialled no longer.
    pub(super) fn is_expired(&self, address: &Address) -> bool {
        self.clock.unix_ms().is_some_and(|unix_ms| address.expires() <= unix_ms)
    }
}

impl At {
    pub(super) fn address(&self) -> &Address {
        let (Self::Door(address) | Self::Given(address)) = self;
        address
    }
}
