//! The node at the rendezvous: it registers, asks, and is told. Nothing waits for it.

use std::{net::SocketAddr, time::Duration};

use bitters_wire::{
    WIRE,
    address::{Address, Owner},
    claim::Claim,
    failure::Code,
    id::{FrameId, NodeId, PersonaId},
    local::DownReason,
    map::Set,
    rendezvous::{ToNode, ToServer, node_text},
    time::Instant,
};

use super::{Node, hello::SETTLING, linking::SESSION_PATIENCE};
use crate::{
    api::{UplinkCommand, UplinkEvent},
    dials::Stage,
    links::Way,
    seeds::SeedId,
    uplink::Ended,
    warnings::Audience,
};

/// While sessions wait for a link, which they do for a minute, a server that isn't there is tried that often.
const IMPATIENCE: Duration = Duration::from_secs(10);

/// Node seeds dialled on a cold start.
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
        if message.is_here(self.id) {
            self.uplink.answered(now);
        }
        match message {
            ToNode::Challenge { nonce, wire } => {
                if WIRE.common(wire).is_some() {
                    self.on_challenge(nonce);
                } else {
                    self.refuse_version(wire.min, wire.max, now);
                }
            }
            ToNode::Registered { proxies } => self.on_registered(proxies, now),
            ToNode::Refused { code, message } => self.on_refused(code, &message),
            _ if !self.uplink.is_registered() => {}
            ToNode::Dialled { session, token, signal } => self.on_dialled(session, token, signal, now),
            ToNode::Found(claim) => self.on_found(&claim, now),
            ToNode::Listening(token) => self.on_listening(token),
            ToNode::Members { topic, nodes } => {
                // An honest server keeps the bound; of another's list none is believed.
                let _ = self.on_members(topic, &nodes, None);
            }
            ToNode::Missing(persona) => self.on_missing(persona),
            ToNode::Signal { from, signal } => {
                if self.uplink.signals.take(now) {
                    self.on_signal(from, signal, Way::Uplink, now);
                }
            }
            ToNode::Unreachable(node) => self.on_unreachable(node, now),
        }
    }

    fn on_challenge(&mut self, nonce: [u8; 32]) {
        if let Some(challenge) = self.uplink.challenge(nonce) {
            let signature = self.secret.sign(&node_text(&challenge.nonce, &challenge.server, self.id));
            self.tell_server(ToServer::Register { node: self.id, signature, wire: WIRE });
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
        self.warn(Audience::Everyone, &format!("{url} refused: {code:?}"));
        // In the server's own words, which may name this node.
        self.warn(Audience::Observers, &format!("{url} refused: {message}"));
    }

    fn on_registered(&mut self, proxies: Vec<SocketAddr>, now: Instant) {
        let Some((url, took)) = self.uplink.registered(now) else { return };
        self.addresses.registered(proxies);
        self.changed.addresses = true;
        let latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let seed = self.seeds.succeeded(SeedId::Server(url), latency_ms, self.wall_clock(now));
        self.save_seed(seed);
        let mut told = Set::new();
        let frames: Vec<(FrameId, PersonaId)> = self.frames.iter().map(|(id, frame)| (id, frame.persona())).collect();
        for (frame, persona) in frames {
            if told.insert(persona) {
                self.register_persona(frame);
            }
        }
        self.redials.hurry(now);
        self.topics.advertise_anew();
        for topic in self.topics.iter().collect::<Vec<_>>() {
            self.advertise(topic);
        }
        for persona in self.dials.at(Stage::Lookup) {
            self.tell_server(ToServer::Lookup(persona));
        }
        self.changed.plans = true;
    }

    /// On a cold start the best few seeds are dialled at once: those with an address at their addresses, which takes nobody's help,
    /// the others as soon as a server helps.
    pub(super) fn dial_seeds(&mut self, now: Instant) {
        if !self.cold || self.frames.len() == 0 || self.seeds_due().is_some_and(|at| now < at) {
            return;
        }
        if !std::mem::replace(&mut self.sown, true) {
            let best: Vec<Address> = self.seeds.best_addresses().take(COLD_DIALS).collect();
            for address in best {
                self.dial_seed(&address, now);
            }
        }
        if self.uplink.is_registered() {
            self.cold = false;
            let own = self.id;
            let best: Vec<NodeId> = self.seeds.best_nodes().filter(|node| *node != own).take(COLD_DIALS).collect();
            for node in best {
                if self.dial_node(node, now).is_err() {
                    self.count_failure(node, now);
                }
            }
        }
    }

    /// Frames that come from another leader may have links, and say so within that time.
    pub(super) fn seeds_due(&self) -> Option<Instant> {
        let waits = self.cold && !self.sown && self.succeeds && self.frames.len() > 0;
        waits.then(|| self.began + SETTLING)
    }

    fn dial_seed(&mut self, address: &Address, now: Instant) {
        let begun = match address.owner() {
            Owner::Node(node) => self.dial_node(node, now).is_ok(),
            Owner::Persona(persona) => self.frames.has_persona(persona) || self.dial_address(address, now).is_ok(),
        };
        if !begun && let Some(seed) = self.seeds.failed(&address.owner().into()) {
            self.save_seed(seed);
        }
    }

    /// A look-up was answered. Only a claim that was asked for, and that its persona signed, counts.
    fn on_found(&mut self, claim: &Claim, now: Instant) {
        let persona = claim.persona;
        if claim.node == self.id {
            // No page of its site is open here any longer, which the server doesn't know yet: nobody is to learn that it was.
            return self.on_missing(persona);
        }
        if self.dials.stage(persona) != Some(Stage::Lookup) || self.routes.learn(claim).is_err() {
            return;
        }
        if self.frames.iter().any(|(_, frame)| frame.talks.contains_key(&persona)) {
            self.redials.want(claim.node, now + SESSION_PATIENCE, now);
        }
        match self.dial_node(claim.node, now) {
            Ok(()) if self.links.up_to(claim.node).is_some() => self.finish_dial(persona),
            Ok(()) => self.dials.advance(persona, Stage::Node(claim.node)),
            Err(why) => self.fail_dial(persona, format!("{persona}: {why}")),
        }
    }

    fn on_missing(&mut self, persona: PersonaId) {
        if self.dials.stage(persona) != Some(Stage::Lookup) {
            return;
        }
        // Nobody knows better than the node where it was: it may be back there, and not registered here.
        self.routes.found(persona);
        if self.is_reachable(persona) {
            self.finish_dial(persona);
        } else {
            let url = self.uplink.url().unwrap_or("the rendezvous").to_owned();
            self.fail_dial(persona, format!("{persona}: nobody registered this persona at {url}"));
        }
    }

    fn on_unreachable(&mut self, node: NodeId, now: Instant) {
        let attempt = self.links.connecting_to(node).filter(|(_, attempt)| attempt.way == Way::Uplink);
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
            self.tell_server(ToServer::are_you_there(self.id));
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
        for persona in self.dials.at(Stage::Lookup) {
            self.fail_dial(persona, format!("{persona}: the rendezvous {url} could not be asked where it lives"));
        }
        self.changed.status = true;
    }

    /// When the uplink is to be driven. Without frames nobody needs it again.
    pub(super) fn uplink_due(&self) -> Option<Instant> {
        let idle = self.uplink.is_waiting() && (self.frames.len() == 0 || self.seeds.servers() == 0);
        self.uplink.deadline().filter(|_| !idle)
    }
}
