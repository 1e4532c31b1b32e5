//! Links are dialled, paired, and lost.

use std::time::Duration;

use bitters_wire::{
    address::Address,
    failure::Code,
    id::{FrameId, LinkId, PersonaId},
    limits::{MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::{Control, Signal},
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
    links::{Attempt, Pair, State, Up, Way},
    placement::{Candidate, place},
    quotas::MAX_PASSIVE,
    seeds::SeedId,
    topics::Place,
    warnings::Audience,
};

/// A link that sessions used so lately has a standby, and is made again when it breaks: they wait that long. An open stream asks
/// every 20 s whether its peer is there.
pub(super) const SESSION_PATIENCE: Duration = Duration::from_secs(60);

/// Both ends hang up on a link that nobody needs when their sessions were silent for a minute, and a packet's way makes one of the two
/// earlier: the other doesn't want the link again then.
pub(super) const PARTING: Duration = Duration::from_secs(5);

impl Node {
    /// Sees to it that there is a link of the pair or an attempt at one. The text says why there is none; sites may read it.
    pub(super) fn dial_pair(&mut self, pair: Pair, now: Instant) -> Result<(), &'static str> {
        if pair.own == pair.peer {
            return Err("it can't be reached");
        }
        if self.links.is_linking(pair) {
            return Ok(());
        }
        if let Some(standby) = self.links.standby_to(pair) {
            self.switch_to(standby, None, now);
            return Ok(());
        }
        let way = self.way_to(pair, now).ok_or("neither a rendezvous nor a common peer leads to it")?;
        self.begin_anew(pair, Attempt::new(way, None, now))
    }

    /// Dials the peer at an address that somebody gave away.
    pub(super) fn dial_address(&mut self, pair: Pair, address: &Address, now: Instant) -> Result<(), &'static str> {
        if self.is_expired(address, now) {
            return Err("the address has expired");
        }
        if pair.own == pair.peer {
            return Err("it can't be reached");
        }
        if self.links.is_linking(pair) {
            return Ok(());
        }
        let at = Some(Box::new(address.clone()));
        self.begin_anew(pair, Attempt { at, ..Attempt::new(Way::Address, None, now) })
    }

    fn begin_anew(&mut self, pair: Pair, attempt: Attempt) -> Result<(), &'static str> {
        let now = attempt.started;
        if !self.frames.has_persona(pair.own) {
            return Err("no page is open to carry a connection");
        }
        if !self.has_room_for_link(pair.own, now) {
            return Err("this site has all the links that it may have");
        }
        self.begin(pair, attempt, None).ok_or("no page is open to carry a connection")?;
        self.redials.begun(pair, now);
        Ok(())
    }

    /// A common peer is asked before the rendezvous, which then need not be there. Without either, those who want to go on with a
    /// conversation ask whomever their persona knows.
    fn way_to(&self, pair: Pair, now: Instant) -> Option<Way> {
        let converses = self.redials.is_wanted(pair, now) || self.dials.stage(pair) == Some(Stage::Link);
        let neighbours = converses && self.links.ups_of(pair.own).next().is_some();
        let uplink = self.uplink.is_registered().then_some(Way::Uplink);
        let address = self.address_of(pair, now).map(|_| Way::Address);
        self.relay_to(pair).map(Way::Relay).or(uplink).or(neighbours.then_some(Way::Neighbours)).or(address)
    }

    /// Whether a way to a peer is known that needs no look-up.
    pub(super) fn is_introduced(&self, pair: Pair, now: Instant) -> bool {
        self.relay_to(pair).is_some() || self.address_of(pair, now).is_some()
    }

    /// A peer of the persona's that told of the other one, and is linked.
    fn relay_to(&self, pair: Pair) -> Option<PersonaId> {
        let is_linked = |relay: &PersonaId| self.links.up_to(Pair { peer: *relay, ..pair }).is_some();
        self.topics.ways(pair).into_iter().find(is_linked)
    }

    /// Where the peer said that it can be dialled.
    fn address_of(&self, pair: Pair, now: Instant) -> Option<Address> {
        self.links.address(pair).filter(|address| !self.is_expired(address, now)).cloned()
    }

    /// Begins an attempt, in another frame than `other` if there is one.
    pub(super) fn begin(&mut self, pair: Pair, attempt: Attempt, other: Option<FrameId>) -> Option<LinkId> {
        let (door, stun) = if attempt.way == Way::Address {
            let given = attempt.at.as_deref().cloned();
            let address = given.or_else(|| self.address_of(pair, attempt.started))?;
            (door_to(&address), stun_at(&address))
        } else {
            (Door::Signals, self.addresses.stun())
        };
        let frame = self.frame_for(pair.own, other)?;
        let link = self.links.begin(frame, pair, attempt);
        self.command(link, LinkCommand::Dial(Dial { own: pair.own, peer: Some(pair.peer), door, stun }));
        self.changed.status = true;
        Some(link)
    }

    /// The frame of a persona that is to carry a new link: another than `other` if there is one.
    pub(super) fn frame_for(&self, own: PersonaId, other: Option<FrameId>) -> Option<FrameId> {
        self.best_frame(own, other, |_| true)
    }

    /// The frame that makes a certificate, or answers with one: those beyond a bridge have a database of their own, where the others
    /// don't find it.
    pub(super) fn keeper(&self, own: PersonaId) -> Option<FrameId> {
        self.best_frame(own, None, |frame| frame.remote.is_none()).or_else(|| self.frame_for(own, None))
    }

    fn best_frame(&self, own: PersonaId, other: Option<FrameId>, fits: impl Fn(&Frame) -> bool) -> Option<FrameId> {
        let some_run = self.frames.any_usable(own);
        let usable = self.frames.of_persona(own).filter(|(_, frame)| fits(frame) && (frame.is_usable() || !some_run));
        let load = |frame: FrameId| self.links.held_by(frame).len();
        let candidates =
            usable.map(|(id, frame)| Candidate { frame: id, load: load(id), visible: frame.visible, age: frame.age });
        place(candidates, other)
    }

    /// How the peer knows a link's attempt: a number that tells nothing of others, and that the next leader knows, too.
    pub(super) fn number_of(&self, link: LinkId, pair: Pair) -> u32 {
        self.secret.attempt_number(link, pair.own, pair.peer)
    }

    /// A signal arrived for us.
    pub(super) fn on_signal(&mut self, pair: Pair, signal: Signal, way: Way, now: Instant) {
        if pair.own == pair.peer || signal.blob.len() > MAX_SIGNAL {
            return;
        }
        let connecting = self.links.connecting_to(pair).map(|(id, _)| id);
        let standing = self.links.standing(pair, |link| self.number_of(link, pair));
        match (judge(standing, &signal), connecting) {
            (Verdict::Accept, at_address) => {
                // It dials us while we dial its address: one of the two is enough.
                if let Some(link) = at_address {
                    self.abandon(link);
                }
                self.accept(pair, signal, way, now);
            }
            (Verdict::Pair, Some(link)) => self.pair(link, signal, way),
            (Verdict::Redial, Some(link)) => {
                self.abandon(link);
                if self.dial_pair(pair, now).is_err() {
                    self.fail_link_dials(pair, DownReason::Closed);
                }
            }
            (Verdict::Replace, Some(link)) => {
                self.abandon(link);
                self.accept(pair, signal, way, now);
            }
            (Verdict::Ignore | Verdict::Pair | Verdict::Redial | Verdict::Replace, _) => {}
        }
    }

    fn accept(&mut self, pair: Pair, signal: Signal, way: Way, now: Instant) {
        if self.links.passive() >= MAX_PASSIVE || !self.has_room_for_link(pair.own, now) {
            return;
        }
        let used = self.links.up_to(pair).and_then(|used| self.links.link(used)).map(|it| it.frame);
        let other = used.filter(|_| way == Way::Link);
        if let Some(link) = self.begin(pair, Attempt::new(way, Some(signal.attempt), now), other) {
            self.command(link, LinkCommand::Signal(signal.blob));
        }
    }

    fn pair(&mut self, link: LinkId, signal: Signal, way: Way) {
        let Some((attempt, pair)) = self.links.attempt_mut(link) else { return };
        attempt.paired = Some(signal.attempt);
        attempt.way = way;
        // Our dial may be lost, or the peer would have answered it. If it isn't, this says nothing new.
        let again = attempt.told.clone().filter(|_| signal.answers.is_none());
        self.command(link, LinkCommand::Signal(signal.blob));
        if let Some(blob) = again {
            let answer = Signal { attempt: self.number_of(link, pair), answers: Some(signal.attempt), blob };
            self.send_signal(pair, answer, way);
        }
    }

    pub(super) fn abandon(&mut self, link: LinkId) {
        self.hang_up(link);
        self.links.remove(link);
    }

    pub(super) fn on_link_event(&mut self, frame: FrameId, link: LinkId, event: LinkEvent, now: Instant) {
        let Some(held) = self.links.link(link).filter(|it| it.frame == frame) else {
            // We gave up on this link while the frame's report was on its way.
            if !matches!(event, LinkEvent::Down(_)) {
                self.tell(frame, ToFrame::Link(link, LinkCommand::HangUp));
            }
            return;
        };
        let Some(pair) = held.pair() else { return self.on_door_event(link, held.own, event, now) };
        match event {
            LinkEvent::Down(reason) => self.end_link(link, reason, now),
            LinkEvent::Drained(bytes) => self.on_drained(link, bytes),
            LinkEvent::Forward { ours, theirs } => self.on_forward(link, ours, theirs),
            LinkEvent::Path(path) => self.changed.status |= self.links.set_path(link, path),
            LinkEvent::Received(bytes) => self.on_received(link, pair, &bytes, now),
            LinkEvent::RoundTrip(us) => self.on_round_trip(link, us),
            LinkEvent::Sign(text) => self.on_sign(link, pair.own, Some(pair.peer), text, now),
            LinkEvent::Signal(blob) => self.on_local_signal(link, blob, now),
            LinkEvent::Up(peer) if peer == pair.peer => self.on_up(link, pair, now),
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

    /// The frame can have nothing signed but that its link to `peer`, or at an address of ours to anybody else, ends here.
    pub(super) fn on_sign(
        &mut self,
        link: LinkId,
        own: PersonaId,
        peer: Option<PersonaId>,
        text: IdentityText,
        now: Instant,
    ) {
        let is_meant = peer.map_or(text.other() != own, |peer| text.other() == peer);
        let Some(secret) = self.frames.secret(own).filter(|_| is_meant && text.signer() == own) else {
            return self.refuse_identity(link, now);
        };
        let signature = secret.sign(&text.to_bytes());
        self.command(link, LinkCommand::Signed(signature));
    }

    pub(super) fn refuse_identity(&mut self, link: LinkId, now: Instant) {
        self.hang_up(link);
        self.end_link(link, DownReason::Identity, now);
    }

    /// The frame made our signal; a second one of the same link says nothing new.
    fn on_local_signal(&mut self, link: LinkId, blob: Vec<u8>, now: Instant) {
        let Some((attempt, pair)) = self.links.attempt_mut(link) else { return };
        if attempt.told.is_some() || blob.len() > MAX_SIGNAL {
            return;
        }
        attempt.told = Some(blob.clone());
        let way = attempt.way;
        let answers = attempt.paired;
        let signal = Signal { attempt: self.number_of(link, pair), answers, blob };
        if !self.send_signal(pair, signal, way) {
            self.hang_up(link);
            self.end_link(link, DownReason::Closed, now);
        }
    }

    fn send_signal(&mut self, pair: Pair, signal: Signal, way: Way) -> bool {
        let Pair { own, peer: to } = pair;
        let over = match way {
            Way::Address => return false,
            Way::Link => self.links.up_to(pair),
            Way::Neighbours => return self.ask_neighbours(pair, &signal),
            Way::Relay(relay) => self.links.up_to(Pair { own, peer: relay }),
            Way::Uplink => None,
        };
        if let Some(link) = over {
            let message = if way == Way::Link { Control::Signal(signal) } else { Control::Relay { to, signal } };
            self.tell_peer(link, message);
            return true;
        }
        if self.uplink.is_registered() {
            self.tell_server(ToServer::Signal { from: own, to, signal });
            return true;
        }
        false
    }

    /// One of those whom we asked to pass a signal on has no link to its receiver.
    pub(super) fn on_no_relay(&mut self, relay: PersonaId, pair: Pair, now: Instant) {
        let Some(link) = self.links.connecting_to(pair).map(|(link, _)| link) else { return };
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

    fn ask_neighbours(&mut self, pair: Pair, signal: &Signal) -> bool {
        let neighbours: Vec<LinkId> =
            self.links.ups_of(pair.own).map(|(id, _, _, _)| id).take(TOPIC_NEIGHBOURS).collect();
        if let Some(attempt) =
            self.links.connecting_to(pair).map(|(id, _)| id).and_then(|id| self.links.attempt_mut(id))
        {
            attempt.0.asked = neighbours.len();
        }
        for link in &neighbours {
            self.tell_peer(*link, Control::Relay { to: pair.peer, signal: signal.clone() });
        }
        !neighbours.is_empty()
    }

    pub(super) fn on_up(&mut self, link: LinkId, pair: Pair, now: Instant) {
        let Some((attempt, _)) = self.links.attempt_mut(link) else { return };
        let (took, way) = (now.since(attempt.started), attempt.way);
        if way == Way::Address && attempt.dialled {
            self.note_seed(pair.peer, took, now);
        }
        if self.resolve_crossing(link, pair, now) || self.stands_by(link, pair, now) {
            return;
        }
        // The peer dialled, so whatever there was is dead at its end.
        let last_packet = self.replace_used(pair, now);
        self.drop_standby(pair);
        self.use_link(link, last_packet, now);
    }

    /// A persona that the node ships the address of was reached there.
    fn note_seed(&mut self, persona: PersonaId, took: Duration, now: Instant) {
        let id = SeedId::Persona(persona);
        if self.seeds.contains(&id) {
            let latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
            let seed = self.seeds.succeeded(id, latency_ms, self.wall_clock(now));
            self.save_seed(seed);
        }
    }

    pub(super) fn link_is_there(&mut self, pair: Pair) {
        self.redials.forget(pair);
        self.finish_dial(pair);
        self.path_is_there(pair);
        self.changed.status = true;
    }

    /// A link is over that another takes the place of, or that nobody needs.
    pub(super) fn replace_link(&mut self, link: LinkId, now: Instant) {
        let Some(old) = self.links.remove(link) else { return };
        if let (Some(pair), State::Up(up)) = (old.pair(), old.state) {
            self.miss_members(pair, &up, now);
        }
        self.changed.status = true;
    }

    /// A link is over.
    pub(super) fn end_link(&mut self, link: LinkId, reason: DownReason, now: Instant) {
        let Some(old) = self.links.remove(link) else { return };
        self.changed.plans = true;
        self.changed.status = true;
        let Some(pair) = old.pair() else { return };
        match old.state {
            State::Connecting(attempt) => self.after_attempt(pair, &attempt, reason, now),
            State::Opening(_) => {}
            State::Standby(_) => self.lose_standby(link, pair, now),
            State::Up(up) => self.after_link(pair, &up, reason, now),
        }
    }

    /// A frame carries no links any longer. Standbys first: none in it is to be switched to.
    pub(super) fn end_links_of(&mut self, frame: FrameId, reason: DownReason, now: Instant) {
        let (used, others): (Vec<LinkId>, Vec<LinkId>) =
            self.links.held_by(frame).into_iter().partition(|link| self.links.up(*link).is_some());
        for link in others.into_iter().chain(used) {
            self.hang_up(link);
            self.end_link(link, reason, now);
        }
    }

    fn after_attempt(&mut self, pair: Pair, attempt: &Attempt, reason: DownReason, now: Instant) {
        if self.links.up_to(pair).is_some() {
            if !is_frames_fault(reason) {
                self.standby_failed(pair, now);
            }
            return;
        }
        if is_frames_fault(reason) && self.begins_again(pair, attempt, now) {
            return;
        }
        if reason == DownReason::Closed && self.dials_at_address(pair, attempt, now) {
            return;
        }
        if !matches!(attempt.way, Way::Address | Way::Uplink) {
            self.topics.forget_ways(pair);
            let wanted = self.dials.stage(pair) == Some(Stage::Link) || self.redials.is_wanted(pair, now);
            if wanted && self.dial_pair(pair, now).is_ok() {
                return;
            }
        }
        if attempt.way == Way::Address {
            self.fail_address_dials(pair, reason);
        } else {
            self.fail_link_dials(pair, reason);
        }
        if attempt.dialled {
            self.count_failure(pair, now);
        }
    }

    /// Another frame takes an attempt over whose frame is gone.
    fn begins_again(&mut self, pair: Pair, attempt: &Attempt, now: Instant) -> bool {
        match &attempt.at {
            Some(address) => self.dial_address(pair, address, now).is_ok(),
            None => self.dial_pair(pair, now).is_ok(),
        }
    }

    /// Neither the rendezvous nor anybody linked knows the peer: maybe a proxy does, at its address.
    fn dials_at_address(&mut self, pair: Pair, failed: &Attempt, now: Instant) -> bool {
        let begins = matches!(failed.way, Way::Neighbours | Way::Relay(_) | Way::Uplink)
            && failed.dialled
            && self.address_of(pair, now).is_some()
            && self.begin(pair, Attempt::new(Way::Address, None, now), None).is_some();
        if begins {
            self.redials.begun(pair, now);
        }
        begins
    }

    /// A dial failed or could not begin: the next is later, if there is one.
    pub(super) fn count_failure(&mut self, pair: Pair, now: Instant) {
        if self.redials.failed(pair, now, &mut self.rng) {
            self.topics.give_up(pair, now, &mut self.rng);
        }
    }

    fn fail_link_dials(&mut self, pair: Pair, reason: DownReason) {
        if self.dials.stage(pair) == Some(Stage::Link) {
            self.fail_dial(pair, code_of(reason), format!("{}: {}", pair.peer, why(reason)));
        }
    }

    /// Those who waited for a peer at its address wait in vain.
    fn fail_address_dials(&mut self, pair: Pair, reason: DownReason) {
        if self.dials.stage(pair) == Some(Stage::Link) {
            let text = match reason {
                DownReason::DialTimeout => "nobody answered at its address within 15 s",
                other => why(other),
            };
            self.fail_dial(pair, code_of(reason), format!("{}: {text}", pair.peer));
        }
        if let Some(seed) = self.seeds.failed(&SeedId::Persona(pair.peer)) {
            self.save_seed(seed);
        }
    }

    fn after_link(&mut self, pair: Pair, up: &Up, reason: DownReason, now: Instant) {
        self.miss_members(pair, up, now);
        if up.offered {
            self.topics.is_only_in(pair, &up.joined);
        }
        let wanted_until = up.last_packet.map_or(now, |at| at + SESSION_PATIENCE);
        let is_needed = self.shares_topics(pair, up) || wanted_until > now + PARTING;
        if let Some(standby) = self.links.standby_to(pair) {
            if is_needed || up.is_lenient(now) {
                return self.switch_to(standby, up.last_packet, now);
            }
            // The peer, which hangs up on both, does so one after the other.
            self.drop_standby(pair);
        }
        // An attempt at a standby goes on if it can do without the link.
        let stranded = self.links.connecting_to(pair).filter(|(_, it)| it.way == Way::Link && !it.is_settled());
        if let Some(link) = stranded.map(|(link, _)| link) {
            self.abandon(link);
        }
        if !is_needed {
            return;
        }
        // The peer can't know yet that our frame is gone: it takes its browser seconds, unless we tell it.
        if is_frames_fault(reason) && self.dial_pair(pair, now).is_ok() {
            self.redials.want(pair, wanted_until, now);
            self.redials.begun(pair, now);
            return;
        }
        self.redials.broke(pair, wanted_until, now, &mut self.rng);
    }

    /// Whether both ends of a link are in a topic.
    pub(super) fn shares_topics(&self, pair: Pair, up: &Up) -> bool {
        up.joined.iter().any(|topic| self.topics.is_open(Place { own: pair.own, topic: *topic }))
    }

    fn miss_members(&mut self, pair: Pair, up: &Up, now: Instant) {
        for topic in &up.joined {
            let place = Place { own: pair.own, topic: *topic };
            self.topics.linger(place, pair.peer, now);
            self.topics.search_soon(place, now, &mut self.rng);
            self.changed.topics.insert(place);
        }
    }

    /// A peer broke the protocol.
    pub(super) fn punish(&mut self, link: LinkId, pair: Pair, what: &str, now: Instant) {
        self.warn(Audience::Observers, &format!("{} broke the protocol: {what}", pair.peer));
        self.hang_up(link);
        self.end_link(link, DownReason::Protocol, now);
        self.redials.shun(pair, now);
    }

    /// Dials what topics and sessions want.
    pub(super) fn dial_wanted(&mut self, now: Instant) {
        let due = self.redials.due(now);
        for (pair, _) in due.iter().filter(|(_, for_sessions)| *for_sessions) {
            if self.dial_pair(*pair, now).is_err() {
                self.count_failure(*pair, now);
            }
        }
        for place in self.topics.iter().collect::<Vec<_>>() {
            self.dial_neighbours(place, now);
        }
        // Those that nobody wanted by now are wanted by nobody.
        for (pair, _) in self.redials.due(now) {
            self.redials.forget(pair);
        }
    }
}

/// Whether the peer may not know yet that the link is over.
pub(super) const fn is_frames_fault(reason: DownReason) -> bool {
    matches!(reason, DownReason::FrameGone | DownReason::FrameSilent)
}

/// How a dial fails that comes to nothing for this reason.
const fn code_of(reason: DownReason) -> Code {
    match reason {
        DownReason::VersionMismatch => Code::VersionMismatch,
        _ => Code::PeerUnreachable,
    }
}

fn why(reason: DownReason) -> &'static str {
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
