//! The node at the rendezvous: it registers, asks, and is told. Nothing waits for it.

use std::{net::SocketAddr, time::Duration};

use bitters_wire::{
    WIRE,
    address::{Address, Owner},
    failure::Code,
    id::PersonaId,
    link::Signal,
    local::DownReason,
    rendezvous::{ToNode, ToServer},
    time::Instant,
};

use super::{Node, hello::SETTLING, linking::SESSION_PATIENCE};
use crate::{
    api::{UplinkCommand, UplinkEvent},
    dials::Stage,
    links::{Pair, Way},
    seeds::SeedId,
    topics::Place,
    uplink::Ended,
    warnings::Audience,
};

/// While sessions wait for a link, which they do for a minute, a server that isn't there is tried that often.
const IMPATIENCE: Duration = Duration::from_secs(10);

/// Seeds that a persona dials on a cold start.
const COLD_DIALS: usize = 3;

impl Node {
    pub(super) fn on_uplink(&mut self, event: UplinkEvent, now: Instant) {
        match event {
            UplinkEvent::Closed => {
                let servers = self.seeds.servers();
                let ended = self.uplink.closed(servers, now, &mut self.rng);
                self.after_uplink(ended);
            }
            UplinkEvent::Open { server } => self.uplink.open(server),
            UplinkEvent::Received(message) => self.on_server_message(message, now),
        }
    }

    fn on_server_message(&mut self, message: ToNode, now: Instant) {
        if message == ToNode::HERE_I_AM {
            return self.uplink.answered(now);
        }
        match message {
            ToNode::Challenge { nonce, wire } => {
                if WIRE.common(wire).is_some() {
                    self.on_challenge(nonce);
                } else {
                    self.refuse_version(wire.min, wire.max, now);
                }
            }
            ToNode::Entered { proxies } => self.on_entered(proxies, now),
            ToNode::Refused { code, message } => self.on_refused(code, &message),
            _ if !self.uplink.is_registered() => {}
            ToNode::Dialled { session, token, signal } => self.on_dialled(session, token, signal, now),
            ToNode::Gone(gone) => {
                if self.frames.has_persona(gone.to) && self.uplink.signals.take(now) {
                    self.on_gone(&gone);
                }
            }
            ToNode::Here(peer) => self.on_here(peer, now),
            ToNode::Listening(token) => self.on_listening(token),
            ToNode::Members { topic, key, members } => {
                // An honest server keeps the bound; of another's list none is believed.
                if self.on_members(Place { own: key, topic }, &members, None).is_ok() {
                    members.into_iter().for_each(|peer| self.seek_again(Pair { own: key, peer }, now));
                }
            }
            ToNode::Missing(peer) => self.on_missing(peer),
            ToNode::Signal { from, to, signal } => {
                if self.frames.has_persona(to) && self.uplink.signals.take(now) {
                    self.on_signal(Pair { own: to, peer: from }, signal, Way::Uplink, now);
                }
            }
            ToNode::Unreachable { from, to } => self.on_unreachable(Pair { own: from, peer: to }, now),
        }
    }

    fn on_challenge(&mut self, nonce: [u8; 32]) {
        if self.uplink.challenge(nonce).is_some() {
            self.tell_server(ToServer::Enter(WIRE));
        }
    }

    fn refuse_version(&mut self, min: u16, max: u16, now: Instant) {
        if let Some(url) = self.uplink.url().map(str::to_owned) {
            let text = format!(
                "the rendezvous {url} speaks wire versions {min} to {max}, this node {} to {}",
                WIRE.min, WIRE.max
            );
            self.warn(Audience::Everyone, &text);
            self.close_uplink(now);
        }
    }

    fn on_refused(&mut self, code: Code, message: &str) {
        let url = self.uplink.url().unwrap_or("a rendezvous").to_owned();
        // Some site's request: others aren't told of it.
        self.warn(Audience::Observers, &format!("{url} refused: {code:?}: {message}"));
    }

    fn on_entered(&mut self, proxies: Vec<SocketAddr>, now: Instant) {
        let Some((url, took)) = self.uplink.registered(now) else { return };
        self.addresses.registered(proxies);
        self.changed.addresses = true;
        let latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let seed = self.seeds.succeeded(SeedId::Server(url), latency_ms, self.wall_clock(now));
        self.save_seed(seed);
        for persona in self.frames.personas() {
            self.register_persona(persona);
        }
        self.redials.hurry(now);
        self.topics.advertise_anew();
        for place in self.topics.iter().collect::<Vec<_>>() {
            self.advertise(place);
        }
        for pair in self.dials.at(Stage::Lookup) {
            self.tell_server(ToServer::Lookup(pair.peer));
        }
        self.changed.plans = true;
    }

    /// A persona that comes and finds no server dials the best few addresses that the node ships with: they need nobody's help.
    pub(super) fn dial_seeds(&mut self, now: Instant) {
        let is_alone = self.seeds.servers() == 0 || self.uplink.is_failing();
        if !is_alone || self.seeds_due().is_some_and(|at| now < at) {
            return;
        }
        let cold: Vec<PersonaId> = self.frames.personas().into_iter().filter(|own| !self.sown.contains(own)).collect();
        for own in cold {
            self.sown.insert(own);
            if self.links.peers_of(own) > 0 {
                continue;
            }
            let best: Vec<Address> = self.seeds.best_addresses().take(COLD_DIALS).collect();
            for address in best {
                self.dial_seed(own, &address, now);
            }
        }
    }

    /// Frames that come from another leader may have links, and say so within that time.
    pub(super) fn seeds_due(&self) -> Option<Instant> {
        let due = self.began + SETTLING;
        (self.succeeds && self.now < due).then_some(due)
    }

    fn dial_seed(&mut self, own: PersonaId, address: &Address, now: Instant) {
        let Owner::Persona(peer) = address.owner() else { return };
        let begun = own == peer || self.dial_address(Pair { own, peer }, address, now).is_ok();
        if !begun && let Some(seed) = self.seeds.failed(&SeedId::Persona(peer)) {
            self.save_seed(seed);
        }
    }

    /// A look-up was answered: the peer is there.
    fn on_here(&mut self, peer: PersonaId, now: Instant) {
        for pair in self.looked_up(peer) {
            if self.frames.of_persona(pair.own).any(|(_, frame)| frame.talks.contains_key(&peer)) {
                self.redials.want(pair, now + SESSION_PATIENCE, now);
            }
            self.seek_again(pair, now);
            match self.dial_pair(pair, now) {
                Ok(()) if self.links.up_to(pair).is_some() => self.finish_dial(pair),
                Ok(()) => self.dials.advance(pair, Stage::Link),
                Err(why) => self.fail_dial(pair, Code::PeerUnreachable, format!("{peer}: {why}")),
            }
        }
    }

    /// The server says that a peer is there. An attempt that began before that may wait in vain for 15 s: the page that had our signal is gone, and
    /// the peer is back with another, or the peer was away and is dialled at its address. Who had the signal ignores it now.
    fn seek_again(&mut self, pair: Pair, now: Instant) {
        let Some((link, attempt)) = self.links.connecting_to(pair).filter(|(_, it)| it.paired.is_none()) else {
            return;
        };
        match (attempt.way, &attempt.told, &attempt.at) {
            (Way::Uplink, Some(blob), _) => {
                let signal = Signal { attempt: self.number_of(link, pair), answers: None, blob: blob.clone() };
                self.tell_server(ToServer::Signal { from: pair.own, to: pair.peer, signal });
            }
            (Way::Address, _, None) => {
                self.abandon(link);
                if self.dial_pair(pair, now).is_err() {
                    self.count_failure(pair, now);
                }
            }
            _ => {}
        }
    }

    /// Who waits for the look-up of a peer.
    fn looked_up(&self, peer: PersonaId) -> Vec<Pair> {
        self.dials.at(Stage::Lookup).into_iter().filter(|pair| pair.peer == peer).collect()
    }

    fn on_missing(&mut self, peer: PersonaId) {
        for pair in self.looked_up(peer) {
            if self.is_reachable(pair) {
                self.finish_dial(pair);
            } else {
                let url = self.uplink.url().unwrap_or("the rendezvous");
                let text = format!("{peer}: nobody registered this persona at {url}");
                self.fail_dial(pair, Code::PeerUnreachable, text);
            }
        }
    }

    fn on_unreachable(&mut self, pair: Pair, now: Instant) {
        let attempt = self.links.connecting_to(pair).filter(|(_, attempt)| attempt.way == Way::Uplink);
        if let Some(link) = attempt.map(|(id, _)| id) {
            self.hang_up(link);
            self.end_link(link, DownReason::Closed, now);
        }
    }

    /// Connects and gives up as time goes by.
    pub(super) fn drive_uplink(&mut self, now: Instant) {
        if self.uplink.is_overdue(now) {
            if self.uplink.is_closing() {
                let servers = self.seeds.servers();
                self.uplink.closed(servers, now, &mut self.rng);
            } else {
                self.close_uplink(now);
            }
        }
        if self.uplink.ask(now) {
            self.tell_server(ToServer::ARE_YOU_THERE);
        }
        if self.uplink.is_waiting() && self.redials.is_any_wanted(now) {
            self.uplink.wait_until(now + IMPATIENCE);
        }
        if self.frames.len() == 0 || !self.uplink.is_due(now) {
            return;
        }
        if let Some(url) = self.seeds.best_server() {
            self.uplink.connect(url.clone(), now);
            self.act(crate::api::Output::Uplink(UplinkCommand::Connect(url)));
        }
    }

    /// The network changed: a socket may be dead without saying so, and one that can't be had now can be.
    pub(super) fn refresh_uplink(&mut self, now: Instant) {
        if self.uplink.is_registered() {
            self.close_uplink(now);
        } else {
            self.uplink.hurry(now);
        }
    }

    fn close_uplink(&mut self, now: Instant) {
        let ended = self.uplink.give_up(now);
        self.act(crate::api::Output::Uplink(UplinkCommand::Close));
        self.after_uplink(ended);
    }

    /// Links, topics and streams go on without it; only those who waited for an answer hear of it.
    fn after_uplink(&mut self, ended: Option<Ended>) {
        let Some(Ended { url, failed }) = ended else { return };
        self.addresses.closed();
        if failed && let Some(seed) = self.seeds.failed(&SeedId::Server(url.clone())) {
            self.save_seed(seed);
        }
        for pair in self.dials.at(Stage::Lookup) {
            let text = format!("{}: the rendezvous {url} could not be asked whether it is there", pair.peer);
            self.fail_dial(pair, Code::PeerUnreachable, text);
        }
        self.changed.status = true;
    }

    /// When the uplink is to be driven. Without frames nobody needs it again.
    pub(super) fn uplink_due(&self) -> Option<Instant> {
        let idle = self.uplink.is_waiting() && (self.frames.len() == 0 || self.seeds.servers() == 0);
        self.uplink.deadline().filter(|_| !idle)
    }
}
