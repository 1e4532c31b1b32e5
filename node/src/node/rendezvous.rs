//! The node at the rendezvous: it registers, asks, and is told. Nothing waits for it.

use std::{net::SocketAddr, time::Duration};

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    WIRE,
    address::{Address, Owner},
    failure::Code,
    id::PersonaId,
    limits::TOPIC_NEIGHBOURS,
    local::ToFrame,
    rendezvous::{ToNode, ToServer},
};

use super::{Node, hello::SETTLING};
use crate::{
    api::{UplinkCommand, UplinkEvent},
    dials::Stage,
    links::{Begun, LinksInput, Way},
    pair::Pair,
    server::{saying::What, seeds::SeedId, uplink::Ended},
    topics::{Introducer, Place},
    view::warnings::Audience,
};

/// While sessions wait for a link, which they do for a minute, a server that isn't there is tried that often.
const IMPATIENCE: Duration = Duration::from_secs(10);

/// Seeds that a persona dials on a cold start.
const COLD_DIALS: usize = 3;

/// Milliseconds by which clocks differ that are worth a word.
const CLOCKS_DIFFER: u64 = 60_000;

/// Milliseconds by which a clock has to be off for frames to be told, who tell the next leader: it says nothing that seems older than what this one said.
const CLOCK_TOLD: u64 = 250;

/// By how many milliseconds the right time is ahead of the browser's, about, for people.
fn how_far_off(ahead: i64) -> String {
    let (minutes, which) =
        (ahead.unsigned_abs().saturating_add(30_000) / 60_000, if ahead < 0 { "fast" } else { "slow" });
    let by = match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    };
    format!("this browser's clock is {by} {which}")
}

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
            ToNode::Challenge { nonce, wire, unix_ms } => {
                self.on_servers_time(unix_ms);
                match WIRE.common(wire) {
                    Some(_) => self.on_challenge(nonce),
                    None => self.refuse_version(wire.min, wire.max),
                }
            }
            ToNode::Entered { proxies } => self.on_entered(proxies, now),
            ToNode::Refused { code, message } => self.on_refused(code, &message),
            _ if !self.uplink.is_registered() => {}
            ToNode::Dialled { passage, token, signal } => {
                if let Some((Owner::Persona(own), fingerprint)) = self.addresses.by_token(token)
                    && self.frames.has_persona(own)
                    && self.uplink.may_pass_on(own, now)
                {
                    self.link(LinksInput::Introduced { own, fingerprint, passage, signal });
                }
            }
            ToNode::Gone(gone) => {
                if self.frames.has_persona(gone.to) && self.uplink.may_pass_on(gone.to, now) {
                    self.on_gone(&gone);
                }
            }
            ToNode::Door(door) => self.on_door(&door),
            ToNode::Here(peer) => self.on_here(peer, now),
            ToNode::Listening(token) => self.on_listening(token),
            ToNode::Members { topic, key, members } => {
                // An honest server keeps the bound; of another's list none is believed.
                if members.len() <= TOPIC_NEIGHBOURS {
                    self.on_members(Place { own: key, topic }, &members, Introducer::Server);
                    members.into_iter().for_each(|peer| self.link(LinksInput::Seen(Pair { own: key, peer })));
                }
            }
            ToNode::Missing(peer) => self.on_missing(peer, now),
            ToNode::Signal { from, to, signal } => {
                if self.frames.has_persona(to) && self.uplink.may_pass_on(to, now) {
                    self.link(LinksInput::Signal(Pair { own: to, peer: from }, signal, Way::Uplink));
                }
            }
            ToNode::Unreachable { from, to } => self.on_unreachable(Pair { own: from, peer: to }, now),
        }
    }

    fn on_challenge(&mut self, nonce: [u8; 32]) {
        if self.uplink.challenge(nonce).is_some() {
            self.send(ToServer::Enter(WIRE));
        }
    }

    fn refuse_version(&mut self, min: u16, max: u16) {
        if let Some(url) = self.uplink.url().map(str::to_owned) {
            let text = format!(
                "the rendezvous {url} speaks wire versions {min} to {max}, this node {} to {}",
                WIRE.min, WIRE.max
            );
            self.warn(Audience::Everyone, &text);
            self.close_uplink();
        }
    }

    /// What peers say is dated by the clocks of servers, as browsers' are often wrong.
    fn on_servers_time(&mut self, unix_ms: u64) {
        let places: Vec<Place> = self.topics.iter().collect();
        let before: Vec<u64> = places.iter().map(|place| self.clock.common_ms(place.own)).collect();
        let (knew, ahead) = (self.clock.ahead(), self.clock.hear_server(unix_ms).unwrap_or_default());
        if ahead.abs_diff(knew) > CLOCK_TOLD {
            // The next leader is to hear what neighbours say before it heard a server, and they it.
            for id in self.frames.iter().map(|(id, _)| id).collect::<Vec<_>>() {
                self.tell(id, ToFrame::Clock(ahead));
            }
        }
        let moved = places.into_iter().zip(before);
        let moved = moved.filter(|(place, before)| self.clock.common_ms(place.own).abs_diff(*before) > CLOCKS_DIFFER);
        self.clocks_were_put(&moved.map(|(place, _)| place).collect());
        if ahead.unsigned_abs() > CLOCKS_DIFFER {
            self.warn(Audience::Everyone, &format!("{}: the server's counts", how_far_off(ahead)));
        }
    }

    /// Nobody took what was dated by the clock before.
    fn clocks_were_put(&mut self, places: &Set<Place>) {
        for place in places {
            self.topics.put_clock(*place, self.clock.common_ms(place.own));
        }
        self.say_here_still(places);
    }

    /// Personas whose neighbours have another clock take theirs, if no server told the time.
    pub(super) fn put_clocks(&mut self) {
        for (own, ahead) in self.clock.neighbours.put(self.clock.now) {
            self.clocks_were_put(&self.topics.iter().filter(|place| place.own == own).collect());
            self.warn(Audience::Persona(own), &format!("{}: that of most peers counts", how_far_off(ahead)));
        }
    }

    /// Whether the next leader is to know how far the browser's clock is off.
    pub(super) fn is_clock_off(&self) -> bool {
        self.clock.ahead().unsigned_abs() > CLOCK_TOLD
    }

    fn on_refused(&mut self, code: Code, message: &str) {
        if code == Code::PeerUnreachable {
            // Whom it was for is gone, as may happen.
            return;
        }
        let url = self.uplink.url().unwrap_or("a rendezvous").to_owned();
        // Some site's request: others aren't told of it.
        self.warn(Audience::Observers, &format!("{url} refused: {code:?}: {message}"));
    }

    fn on_entered(&mut self, proxies: Vec<SocketAddr>, now: Instant) {
        let Some((url, took)) = self.uplink.registered(now) else { return };
        self.addresses.registered(proxies);
        self.changed.addresses = true;
        self.seed_succeeded(SeedId::Server(url), took);
        for persona in self.frames.personas() {
            self.register_persona(persona);
        }
        self.link(LinksInput::Hurry);
        self.topics.advertise_anew();
        for place in self.topics.iter().collect::<Vec<_>>() {
            self.advertise(place);
        }
        for pair in self.dials.at(Stage::Lookup) {
            self.look_up(pair);
        }
        self.changed.plans = true;
    }

    /// A persona that comes and finds no server dials the best few addresses that the node ships with: they need nobody's help.
    pub(super) fn dial_seeds(&mut self) {
        let now = self.clock.now;
        let is_alone = self.seeds.servers() == 0 || self.uplink.is_failing();
        if !is_alone || self.seeds_due().is_some_and(|at| now < at) {
            return;
        }
        let cold: Vec<PersonaId> = self.frames.personas().into_iter().filter(|own| !self.seeds.is_sown(*own)).collect();
        for own in cold {
            self.seeds.sow(own);
            if self.links.table().peers_of(own) > 0 {
                continue;
            }
            let best: Vec<Address> = self.seeds.best_addresses().take(COLD_DIALS).collect();
            for address in best {
                self.dial_seed(own, &address);
            }
        }
    }

    /// Frames that come from another leader may have links, and say so within that time.
    pub(super) fn seeds_due(&self) -> Option<Instant> {
        let due = self.reign.began + SETTLING;
        (self.reign.succeeds && self.clock.now < due).then_some(due)
    }

    fn dial_seed(&mut self, own: PersonaId, address: &Address) {
        let Owner::Persona(peer) = address.owner() else { return };
        let pair = Pair { own, peer };
        let dialled = self.with_links(|links, around| links.dial_address(pair, address, around));
        if own != peer && dialled.is_err() {
            self.seed_failed(&SeedId::Persona(peer));
        }
    }

    /// A look-up was answered: the peer is there.
    fn on_here(&mut self, peer: PersonaId, now: Instant) {
        for pair in self.looked_up(peer) {
            if self.frames.of_persona(pair.own).any(|(_, frame)| frame.talks.contains_key(&peer)) {
                self.links.want_for_sessions(pair, now);
            }
            self.link(LinksInput::Seen(pair));
            match self.with_links(|links, around| links.dial(pair, around)) {
                Ok(Begun::Link) if self.links.table().up_to(pair).is_some() => self.finish_dial(pair),
                Ok(Begun::Link) => self.dials.advance(pair, Stage::Link),
                Ok(Begun::Knock) => self.dials.knocked(pair, now),
                Err(why) => self.fail_dial(pair, Code::PeerUnreachable, format!("{peer}: {why}")),
            }
        }
    }

    /// The peer that was looked up has a door: those who have no reason to show it more dial that.
    fn on_door(&mut self, door: &Address) {
        let Owner::Persona(peer) = door.owner() else { return };
        for pair in self.looked_up(peer) {
            if !self.of_links(|links, around| links.has_reason(pair, around)) {
                self.with_links(|links, around| links.on_door_told(pair, door.clone(), around));
            }
        }
    }

    /// Who waits for the look-up of a peer.
    fn looked_up(&self, peer: PersonaId) -> Vec<Pair> {
        self.dials.at(Stage::Lookup).into_iter().filter(|pair| pair.peer == peer).collect()
    }

    /// A peer isn't there, or not yet: its page may have opened just now.
    fn on_missing(&mut self, peer: PersonaId, now: Instant) {
        for pair in self.looked_up(peer) {
            if self.is_reachable(pair) {
                self.finish_dial(pair);
            } else if !self.dials.missed(pair, now) {
                self.dials.end(pair);
            }
        }
    }

    /// The server has no way to a peer whom we signalled, or knocked on.
    fn on_unreachable(&mut self, pair: Pair, now: Instant) {
        if self.dials.stage(pair) == Some(Stage::Lookup) && !self.dials.missed(pair, now) {
            self.dials.end(pair);
        }
        self.link(LinksInput::Unreachable(pair));
    }

    /// Looks peers up again that weren't there.
    pub(super) fn look_again(&mut self) {
        let pairs = self.dials.take_again(self.clock.now);
        if self.uplink.is_registered() {
            pairs.into_iter().for_each(|pair| self.look_up(pair));
        }
    }

    /// Asks whether a peer is there. One to whom we show nothing is asked for its door, if the server didn't tell it or it led nowhere: it, or the
    /// server for it, answers.
    pub(super) fn look_up(&mut self, pair: Pair) {
        if self.dials.is_knocked(pair)
            && !self.of_links(|links, around| links.has_reason(pair, around))
            && self.with_links(|links, around| links.dial(pair, around)) == Ok(Begun::Knock)
        {
            return self.dials.knocked(pair, self.clock.now);
        }
        let what = if self.dials.is_sought(pair) { What::SessionLookup } else { What::SiteLookup };
        if self.may_say(pair.own, what) {
            self.send(ToServer::Lookup(pair.peer));
        } else {
            self.dials.look_up_later(pair, self.clock.now);
        }
        self.offer_early(pair);
    }

    /// Connects and gives up as time goes by.
    pub(super) fn drive_uplink(&mut self) {
        let now = self.clock.now;
        if self.uplink.is_overdue(now) {
            if self.uplink.is_closing() {
                let servers = self.seeds.servers();
                self.uplink.closed(servers, now, &mut self.rng);
            } else {
                self.close_uplink();
            }
        }
        if self.uplink.ask(now) {
            self.send(ToServer::ARE_YOU_THERE);
        }
        if self.uplink.is_waiting() && self.links.is_any_wanted(now) {
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
    pub(super) fn refresh_uplink(&mut self) {
        let now = self.clock.now;
        if self.uplink.is_registered() {
            self.close_uplink();
        } else {
            self.uplink.hurry(now);
        }
    }

    fn close_uplink(&mut self) {
        let now = self.clock.now;
        let ended = self.uplink.give_up(now);
        self.act(crate::api::Output::Uplink(UplinkCommand::Close));
        self.after_uplink(ended);
    }

    /// Links, topics and streams go on without it. Peers that are looked up are looked up anew at the next server.
    fn after_uplink(&mut self, ended: Option<Ended>) {
        let Some(Ended { url, failed }) = ended else { return };
        self.addresses.closed();
        if failed {
            self.seed_failed(&SeedId::Server(url));
        }
        self.changed.status = true;
    }

    /// When the uplink is to be driven. Without frames nobody needs it again.
    pub(super) fn uplink_due(&self) -> Option<Instant> {
        let idle = self.uplink.is_waiting() && (self.frames.len() == 0 || self.seeds.servers() == 0);
        self.uplink.deadline().filter(|_| !idle)
    }
}
