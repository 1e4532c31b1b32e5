//! Links are dialled, paired, and lost.

use std::time::Duration;

use bitters_wire::{
    address::Address,
    id::{FrameId, LinkId, NodeId},
    limits::{MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::{LinkMessage, Signal},
    local::{Dial, Door, DownReason, IdentityText, LinkCommand, LinkEvent, ToFrame},
    rendezvous::ToServer,
    time::Instant,
};

use super::{
    Node,
    doors::{door_to, stun_at},
};
use crate::{
    attempt::{Verdict, judge},
    dials::Stage,
    frames::Frame,
    links::{Attempt, Link, State, Up, Way},
    placement::{Candidate, place},
    quotas::{MAX_LINKS, MAX_PASSIVE},
    seeds::SeedId,
    warnings::Audience,
};

/// A link that sessions used so lately has a standby, and is made again when it breaks: they wait that long. An open stream asks
/// every 20 s whether its peer is there.
pub(super) const SESSION_PATIENCE: Duration = Duration::from_secs(60);

impl Node {
    /// Sees to it that there is a link to `node` or an attempt at one. The text says why there is none; sites may read it.
    pub(super) fn dial_node(&mut self, node: NodeId, now: Instant) -> Result<(), &'static str> {
        if node == self.id {
            return Err("its node can't be reached");
        }
        if self.links.up_to(node).is_some() || self.links.connecting_to(node).is_some() {
            return Ok(());
        }
        if let Some(standby) = self.links.standby_to(node) {
            self.switch_to(standby, None, now);
            return Ok(());
        }
        let way = self.way_to(node, now).ok_or("neither a rendezvous nor a common peer leads to its node")?;
        if self.links.len() >= MAX_LINKS && !self.make_room(now) {
            return Err("this node has all the links that it takes");
        }
        self.begin(node, Attempt::new(way, None, now), None).ok_or("no page is open to carry a connection")?;
        self.redials.begun(node, now);
        Ok(())
    }

    /// A common peer is asked before the rendezvous, which then need not be there. Without either, those who want to go on with a
    /// conversation ask whomever they know.
    fn way_to(&self, node: NodeId, now: Instant) -> Option<Way> {
        let relay = self.topics.ways(node).into_iter().find(|relay| self.links.up_to(*relay).is_some());
        let converses = self.redials.is_wanted(node, now) || !self.dials.at(Stage::Node(node)).is_empty();
        let neighbours = converses && self.links.up_len() > 0;
        let uplink = self.uplink.is_registered().then_some(Way::Uplink);
        let address = self.address_of(node, now).map(|_| Way::Address);
        relay.map(Way::Relay).or(uplink).or(neighbours.then_some(Way::Neighbours)).or(address)
    }

    fn address_of(&self, node: NodeId, now: Instant) -> Option<Address> {
        self.seeds.address(node).filter(|address| !self.is_expired(address, now))
    }

    /// Begins an attempt, in another frame than `other` if there is one.
    pub(super) fn begin(&mut self, node: NodeId, attempt: Attempt, other: Option<FrameId>) -> Option<LinkId> {
        let address = if attempt.way == Way::Address { Some(self.address_of(node, attempt.started)?) } else { None };
        let (door, stun) = match &address {
            Some(address) => (door_to(address), stun_at(address)),
            None => (Door::Signals, self.addresses.stun()),
        };
        let dial = Dial { peer: Some(node), door, stun };
        let frame = self.frame_for(other)?;
        let link = self.links.begin(frame, node, attempt);
        self.command(link, LinkCommand::Dial(dial));
        self.changed.status = true;
        Some(link)
    }

    /// The frame that is to carry a new link: another than `other` if there is one.
    pub(super) fn frame_for(&self, other: Option<FrameId>) -> Option<FrameId> {
        self.best_frame(other, |_| true)
    }

    /// The frame that makes a certificate, or answers with one: those beyond a bridge have a database of their own, where the others
    /// don't find it.
    pub(super) fn keeper(&self) -> Option<FrameId> {
        self.best_frame(None, |frame| frame.remote.is_none()).or_else(|| self.frame_for(None))
    }

    fn best_frame(&self, other: Option<FrameId>, fits: impl Fn(&Frame) -> bool) -> Option<FrameId> {
        let load = |frame: FrameId| self.links.held_by(frame).len() + self.doors.held_by(frame).len();
        let some_run = self.frames.any_usable();
        let usable = self.frames.iter().filter(|(_, frame)| fits(frame) && (frame.is_usable() || !some_run));
        let candidates =
            usable.map(|(id, frame)| Candidate { frame: id, load: load(id), visible: frame.visible, age: frame.age });
        place(candidates, other)
    }

    /// A signal arrived for us.
    pub(super) fn on_signal(&mut self, from: NodeId, signal: Signal, way: Way, now: Instant) {
        if from == self.id || signal.blob.len() > MAX_SIGNAL {
            return;
        }
        let connecting = self.links.connecting_to(from).map(|(id, _)| id);
        match (judge(self.links.standing(from), &signal), connecting) {
            (Verdict::Accept, at_address) => {
                // It dials us while we dial its address: one of the two is enough.
                if let Some(link) = at_address {
                    self.abandon(link);
                }
                self.accept(from, signal, way, now);
            }
            (Verdict::Pair, Some(link)) => self.pair(link, signal, way),
            (Verdict::Redial, Some(link)) => {
                self.abandon(link);
                if self.dial_node(from, now).is_err() {
                    self.fail_node_dials(from, DownReason::Closed);
                }
            }
            (Verdict::Replace, Some(link)) => {
                self.abandon(link);
                self.accept(from, signal, way, now);
            }
            (Verdict::Ignore | Verdict::Pair | Verdict::Redial | Verdict::Replace, _) => {}
        }
    }

    fn accept(&mut self, from: NodeId, signal: Signal, way: Way, now: Instant) {
        let passive = self.links.attempts().filter(|(_, _, attempt)| !attempt.dialled).count();
        if passive >= MAX_PASSIVE || (self.links.len() >= MAX_LINKS && !self.make_room(now)) {
            return;
        }
        let used = self.links.up_to(from).and_then(|used| self.links.link(used)).map(|it| it.frame);
        let other = used.filter(|_| way == Way::Link);
        if let Some(link) = self.begin(from, Attempt::new(way, Some(signal.attempt), now), other) {
            self.command(link, LinkCommand::Signal(signal.blob));
        }
    }

    fn pair(&mut self, link: LinkId, signal: Signal, way: Way) {
        let Some((attempt, peer)) = self.links.attempt_mut(link) else { return };
        attempt.paired = Some(signal.attempt);
        attempt.way = way;
        // Our dial may be lost, or the peer would have answered it. If it isn't, this says nothing new.
        let again = attempt.told.clone().filter(|_| signal.answers.is_none());
        self.command(link, LinkCommand::Signal(signal.blob));
        if let Some(blob) = again {
            let answer = Signal { attempt: link.number, answers: Some(signal.attempt), blob };
            self.send_signal(peer, answer, way);
        }
    }

    fn abandon(&mut self, link: LinkId) {
        self.hang_up(link);
        self.links.remove(link);
    }

    pub(super) fn on_link_event(&mut self, frame: FrameId, link: LinkId, event: LinkEvent, now: Instant) {
        let Some(peer) = self.links.link(link).filter(|it| it.frame == frame).map(|it| it.peer) else {
            if self.doors.get(link).is_some() {
                return self.on_door_event(frame, link, event, now);
            }
            // We gave up on this link while the frame's report was on its way.
            if !matches!(event, LinkEvent::Down(_)) {
                self.tell(frame, ToFrame::Link(link, LinkCommand::HangUp));
            }
            return;
        };
        match event {
            LinkEvent::Down(reason) => self.end_link(link, reason, now),
            LinkEvent::Drained(bytes) => self.on_drained(link, bytes),
            LinkEvent::Forward { ours, theirs } => self.on_forward(link, ours, theirs),
            LinkEvent::Path(path) => self.changed.status |= self.links.set_path(link, path),
            LinkEvent::Received(bytes) => self.on_received(link, peer, &bytes, now),
            LinkEvent::RoundTrip(us) => self.on_round_trip(link, us),
            LinkEvent::Sign(text) => self.on_sign(link, peer, text, now),
            LinkEvent::Signal(blob) => self.on_local_signal(link, blob, now),
            LinkEvent::Up(node) if node == peer => self.on_up(link, peer, now),
            LinkEvent::Up(_) => self.refuse_identity(link, now),
        }
    }

    /// No direct path to a peer that the server introduced.
    fn on_forward(&mut self, link: LinkId, ours: String, theirs: String) {
        if let Some(session) = self.links.link(link).and_then(|it| it.session)
            && self.uplink.is_registered()
        {
            self.tell_server(ToServer::Forward { session, ours, theirs });
        }
    }

    fn on_round_trip(&mut self, link: LinkId, us: u32) {
        if let Some(up) = self.links.up_mut(link) {
            self.changed.status |= up.rtt_us != Some(us);
            up.rtt_us = Some(us);
        }
    }

    /// The frame can have nothing signed but that its link to `peer` ends here.
    fn on_sign(&mut self, link: LinkId, peer: NodeId, text: IdentityText, now: Instant) {
        if text.signer() != self.id || text.other() != peer {
            return self.refuse_identity(link, now);
        }
        let signature = self.secret.sign(&text.to_bytes());
        self.command(link, LinkCommand::Signed(signature));
    }

    pub(super) fn refuse_identity(&mut self, link: LinkId, now: Instant) {
        self.hang_up(link);
        self.end_link(link, DownReason::Identity, now);
    }

    /// The frame made our signal; a second one of the same link says nothing new.
    fn on_local_signal(&mut self, link: LinkId, blob: Vec<u8>, now: Instant) {
        let Some((attempt, peer)) = self.links.attempt_mut(link) else { return };
        if attempt.told.is_some() || blob.len() > MAX_SIGNAL {
            return;
        }
        attempt.told = Some(blob.clone());
        let way = attempt.way;
        let signal = Signal { attempt: link.number, answers: attempt.paired, blob };
        if !self.send_signal(peer, signal, way) {
            self.hang_up(link);
            self.end_link(link, DownReason::Closed, now);
        }
    }

    fn send_signal(&mut self, to: NodeId, signal: Signal, way: Way) -> bool {
        let over = match way {
            Way::Address => return false,
            Way::Link => self.links.up_to(to),
            Way::Neighbours => return self.ask_neighbours(to, &signal),
            Way::Relay(relay) => self.links.up_to(relay),
            Way::Uplink => None,
        };
        if let Some(link) = over {
            let message =
                if way == Way::Link { LinkMessage::Signal(signal) } else { LinkMessage::Relay { to, signal } };
            self.tell_peer(link, &message);
            return true;
        }
        if self.uplink.is_registered() {
            self.tell_server(ToServer::Signal { to, signal });
            return true;
        }
        false
    }

    /// One of those whom we asked to pass a signal on has no link to its receiver.
    pub(super) fn on_no_relay(&mut self, relay: NodeId, to: NodeId, now: Instant) {
        let Some(link) = self.links.connecting_to(to).map(|(link, _)| link) else { return };
        let Some((attempt, _)) = self.links.attempt_mut(link) else { return };
        attempt.asked = attempt.asked.saturating_sub(1);
        let is_over = match attempt.way {
            Way::Address | Way::Link | Way::Uplink => false,
            Way::Neighbours => attempt.asked == 0,
            Way::Relay(asked) => asked == relay,
        };
        if is_over {
            self.hang_up(link);
            self.end_link(link, DownReason::Closed, now);
        }
    }

    fn ask_neighbours(&mut self, to: NodeId, signal: &Signal) -> bool {
        let neighbours: Vec<LinkId> = self.links.ups().map(|(id, _, _)| id).take(TOPIC_NEIGHBOURS).collect();
        if let Some(attempt) = self.links.connecting_to(to).map(|(id, _)| id).and_then(|id| self.links.attempt_mut(id))
        {
            attempt.0.asked = neighbours.len();
        }
        for link in &neighbours {
            self.tell_peer(*link, &LinkMessage::Relay { to, signal: signal.clone() });
        }
        !neighbours.is_empty()
    }

    pub(super) fn on_up(&mut self, link: LinkId, peer: NodeId, now: Instant) {
        let Some((attempt, _)) = self.links.attempt_mut(link) else { return };
        let took = now.since(attempt.started);
        if self.resolve_crossing(link, peer, now) || self.stands_by(link, peer, now) {
            return;
        }
        // The peer dialled, so whatever there was is dead at its end.
        let last_packet = self.replace_used(peer, now);
        self.drop_standby(peer);
        self.cold = false;
        let latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let seed = self.seeds.succeeded(SeedId::Node(peer), latency_ms, self.wall_clock(now));
        self.save_seed(seed);
        self.use_link(link, last_packet, now);
    }

    /// Tells a peer which personas are in which topics.
    pub(super) fn introduce_ourselves(&mut self, link: LinkId) {
        for (topic, persona) in self.frames.memberships() {
            self.claim_on(link, persona);
            self.tell_peer(link, &LinkMessage::Joined { topic, persona });
        }
    }

    pub(super) fn link_is_there(&mut self, node: NodeId) {
        self.redials.forget(node);
        for persona in self.dials.at(Stage::Node(node)) {
            self.finish_dial(persona);
        }
        let here = self.routes.personas_of(node);
        self.path_is_there(|persona| here.contains(&persona));
        self.changed.status = true;
    }

    /// A link is over that another takes the place of, or that nobody needs.
    pub(super) fn replace_link(&mut self, link: LinkId, now: Instant) {
        if let Some(Link { state: State::Up(up), .. }) = self.links.remove(link) {
            self.miss_members(&up, now);
        }
        self.changed.status = true;
    }

    /// A link is over.
    pub(super) fn end_link(&mut self, link: LinkId, reason: DownReason, now: Instant) {
        let Some(Link { peer, state, .. }) = self.links.remove(link) else { return };
        self.fail_address_dials(link, reason);
        match state {
            State::Connecting(attempt) => self.after_attempt(peer, &attempt, reason, now),
            State::Standby(_) => self.lose_standby(link, peer, now),
            State::Up(up) => self.after_link(peer, &up, reason, now),
        }
        self.changed.plans = true;
        self.changed.status = true;
    }

    /// A frame carries no links any longer. Standbys first: none in it is to be switched to.
    pub(super) fn end_links_of(&mut self, frame: FrameId, reason: DownReason, now: Instant) {
        let (used, others): (Vec<LinkId>, Vec<LinkId>) =
            self.links.held_by(frame).into_iter().partition(|link| self.links.up(*link).is_some());
        self.close_doors_of(frame, reason, now);
        for link in others.into_iter().chain(used) {
            self.hang_up(link);
            self.end_link(link, reason, now);
        }
    }

    fn after_attempt(&mut self, peer: NodeId, attempt: &Attempt, reason: DownReason, now: Instant) {
        if self.links.up_to(peer).is_some() {
            if !is_frames_fault(reason) {
                self.standby_failed(peer, now);
            }
            return;
        }
        if is_frames_fault(reason) && self.dial_node(peer, now).is_ok() {
            return;
        }
        if reason == DownReason::Closed && self.dials_at_address(peer, attempt, now) {
            return;
        }
        if !matches!(attempt.way, Way::Address | Way::Uplink) {
            self.topics.forget_ways(peer);
            let wanted = !self.dials.at(Stage::Node(peer)).is_empty() || self.redials.is_wanted(peer, now);
            if wanted && self.dial_node(peer, now).is_ok() {
                return;
            }
        }
        self.fail_node_dials(peer, reason);
        if !attempt.dialled {
            return;
        }
        if let Some(seed) = self.seeds.failed(&SeedId::Node(peer)) {
            self.save_seed(seed);
        }
        self.count_failure(peer, now);
    }

    /// Neither the rendezvous nor anybody linked knows the peer: maybe a proxy does, at its address.
    fn dials_at_address(&mut self, peer: NodeId, failed: &Attempt, now: Instant) -> bool {
        let begins = matches!(failed.way, Way::Neighbours | Way::Relay(_) | Way::Uplink)
            && failed.dialled
            && self.address_of(peer, now).is_some()
            && self.begin(peer, Attempt::new(Way::Address, None, now), None).is_some();
        if begins {
            self.redials.begun(peer, now);
        }
        begins
    }

    /// A dial failed or could not begin: the next is later, if there is one.
    pub(super) fn count_failure(&mut self, node: NodeId, now: Instant) {
        if self.redials.failed(node, now, &mut self.rng) {
            self.topics.give_up(node, now, &mut self.rng);
        }
    }

    fn fail_node_dials(&mut self, node: NodeId, reason: DownReason) {
        let why = why(reason);
        for persona in self.dials.at(Stage::Node(node)) {
            self.fail_dial(persona, format!("{persona}: {why}"));
        }
    }

    fn after_link(&mut self, peer: NodeId, up: &Up, reason: DownReason, now: Instant) {
        self.miss_members(up, now);
        if let Some(standby) = self.links.standby_to(peer) {
            return self.switch_to(standby, up.last_packet, now);
        }
        // An attempt at a standby goes on if it can do without the link.
        let stranded = self.links.connecting_to(peer).filter(|(_, it)| it.way == Way::Link && !it.is_settled());
        if let Some(link) = stranded.map(|(link, _)| link) {
            self.abandon(link);
        }
        let wanted_until = up.last_packet.map_or(now, |at| at + SESSION_PATIENCE);
        let shared = up.joined.keys().any(|topic| self.topics.is_open(*topic));
        if !shared && wanted_until <= now {
            return;
        }
        // The peer can't know yet that our frame is gone: it takes its browser seconds, unless we tell it.
        if is_frames_fault(reason) && self.dial_node(peer, now).is_ok() {
            self.redials.want(peer, wanted_until, now);
            self.redials.begun(peer, now);
            return;
        }
        self.redials.broke(peer, wanted_until, now, &mut self.rng);
    }

    fn miss_members(&mut self, up: &Up, now: Instant) {
        for (topic, persona) in up.memberships() {
            self.topics.linger(topic, persona, now);
        }
        for topic in up.joined.keys() {
            self.topics.search_soon(*topic, now, &mut self.rng);
            self.changed.topics.insert(*topic);
        }
    }

    /// A peer broke the protocol.
    pub(super) fn punish(&mut self, link: LinkId, peer: NodeId, what: &str, now: Instant) {
        self.warn(Audience::Observers, &format!("{peer} broke the protocol: {what}"));
        self.hang_up(link);
        self.end_link(link, DownReason::Protocol, now);
        self.redials.shun(peer, now);
    }

    /// Dials what topics and sessions want.
    pub(super) fn dial_wanted(&mut self, now: Instant) {
        let due = self.redials.due(now);
        for (node, _) in due.iter().filter(|(_, for_sessions)| *for_sessions) {
            if self.dial_node(*node, now).is_err() {
                self.count_failure(*node, now);
            }
        }
        for topic in self.topics.iter().collect::<Vec<_>>() {
            self.dial_neighbours(topic, now);
        }
        // Those that nobody wanted by now are wanted by nobody.
        for (node, _) in self.redials.due(now) {
            self.redials.forget(node);
        }
    }
}

/// Whether the peer may not know yet that the link is over.
pub(super) const fn is_frames_fault(reason: DownReason) -> bool {
    matches!(reason, DownReason::FrameGone | DownReason::FrameSilent)
}

pub(super) fn why(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Closed => "the connection to its node failed",
        DownReason::DialTimeout => "no connection to its node within 15 s",
        DownReason::FrameGone => "the page that connected is gone, and no other is open",
        DownReason::FrameSilent => "the page that connected is frozen, and no other is open",
        DownReason::HungUp => "its node hung up",
        DownReason::Identity => "its node did not prove who it is",
        DownReason::Platform => "the browser can't connect: WebRTC's data channels or UDP are missing or blocked",
        DownReason::Protocol => "its node broke the protocol",
    }
}
