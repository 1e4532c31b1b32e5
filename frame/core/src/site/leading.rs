//! Between the frame and its leader: hello and welcome, and what may be said before and after.

use bitters_machine::time::Instant;
use bitters_session::Endpoint;
use bitters_wire::{
    WIRE,
    announce::worker_name,
    codec,
    failure::Failure,
    id::{Boot, Epoch},
    keys::PersonaSecret,
    link::{Control, LinkMessage},
    local::{Envelope, Hello, LinkCommand, LinkEvent, ToFrame, ToLeader, Welcome},
    permission::Permissions,
    rpc::{Identity, Tell},
};

use super::{Badge, Output, Persona, Site, requests::Pending, vigil::Vigil};

impl Site {
    pub(super) fn on_connected(&mut self, now: Instant) {
        self.welcomed = false;
        self.vigil.greeted(now);
        self.held.retain(must_arrive);
        let hello = Hello {
            frame: self.config.frame,
            origin: self.config.origin.clone(),
            scope: self.config.scope,
            identity: self.identity,
            brings: self.brings.clone(),
            remote: self.vigil.is_remote(),
            wire: WIRE,
            build: self.config.build.clone(),
            known: self.standing.0 > Epoch::default(),
            ahead_ms: self.ahead_ms,
            visible: self.config.visible,
            watching: self.watching(),
            serves: self.served(),
            joined: self.joined(),
            talks: self.persona.iter().flat_map(|persona| persona.endpoint.peers()).collect(),
            links: self.links.values().copied().collect(),
            hiding: self.hiding,
            blocked: self.blocked.clone(),
        };
        self.showing_is_told();
        self.post(ToLeader::Hello(hello));
    }

    pub(super) fn on_leader(&mut self, envelope: Envelope<ToFrame>, now: Instant) {
        let (epoch, boot) = (envelope.epoch, envelope.boot);
        if self.is_over(epoch) {
            return;
        }
        if self.welcomed && (epoch, boot) == self.standing {
            self.vigil.heard(now);
        }
        match envelope.message {
            ToFrame::Welcome(welcome) => {
                if self.standing.1 != boot {
                    self.vigil.trust();
                    self.outbox.push_back(Output::WatchLeader(boot));
                }
                // Else the leader that took us in tells of another persona, and has all that was asked.
                let new = !self.welcomed || self.standing != (epoch, boot);
                self.standing = (epoch, boot);
                self.bereft = false;
                self.leads = Some(self.standing);
                self.on_welcome(welcome, now);
                if self.consent.departs() {
                    return;
                }
                if new {
                    self.ask_again();
                }
                self.consider();
            }
            ToFrame::Rejected(failure) => self.on_rejected(failure, now),
            _ if (epoch, boot) != self.standing => self.on_connected(now),
            message => self.on_message(message, now),
        }
    }

    pub(super) fn on_message(&mut self, message: ToFrame, now: Instant) {
        match message {
            ToFrame::Address { request, outcome } => self.on_address(request, outcome),
            ToFrame::Asked { request, outcome } => self.on_asked(request, &outcome, now),
            ToFrame::Blocked(blocked) => self.hear_blocked(blocked),
            ToFrame::Certify { owner } => {
                if self.certifying.insert(owner) {
                    self.outbox.push_back(Output::Certify(owner));
                }
            }
            ToFrame::Clock(ahead_ms) => self.ahead_ms = ahead_ms,
            ToFrame::Early(peer) => self.on_early(peer, now),
            ToFrame::FrameGone { persona, frame } => {
                self.endpoint_input(bitters_session::Input::FrameGone(persona, frame), now);
            }
            ToFrame::HangUp(peer) => self.part_from(peer),
            ToFrame::HungUp(peer) => {
                self.reachable.remove(&peer);
                self.endpoint_input(bitters_session::Input::HungUp(peer), now);
            }
            ToFrame::Hides(hiding) => self.on_hiding(hiding),
            ToFrame::Link(link, command) => self.on_link_command(link, command),
            ToFrame::HandingOver => self.on_handing_over(now),
            ToFrame::Pong => {}
            ToFrame::Packet(packet) => self.endpoint_input(bitters_session::Input::Packet(packet), now),
            ToFrame::PathRestored(peer) => self.endpoint_input(bitters_session::Input::PathRestored(peer), now),
            ToFrame::Peers(peers) => {
                self.peers = peers;
                self.show_badge();
            }
            ToFrame::Permissions(permissions) => self.on_permissions(permissions),
            ToFrame::Ping => self.send(ToLeader::Pong),
            ToFrame::Rejected(_) | ToFrame::Welcome(_) => {}
            ToFrame::Service { request, reply } => self.on_service(request, reply),
            ToFrame::Sites(sites) => self.on_sites(sites),
            ToFrame::Status(status) => self.on_status(&status),
            ToFrame::Topic { topic, from, name, time, ago_ms, body } => {
                self.on_topic_message(topic, (from, name), (time, ago_ms), &body);
            }
            ToFrame::Shown { topic, from, shows } => self.on_shown(topic, from, &shows),
            ToFrame::TopicPeers { topic, peers, more } => self.on_topic_peers(topic, peers, more),
        }
    }

    pub(super) fn on_welcome(&mut self, welcome: Welcome, now: Instant) {
        self.welcomed = true;
        self.vigil.heard(now);
        self.peers = welcome.peers;
        self.granted = welcome.identity;
        self.hear_hiding(welcome.hiding);
        self.hear_blocked(welcome.blocked);
        self.consent.permissions = self.with_answers(welcome.permissions);
        let unwanted = self.is_unwanted();
        if !unwanted {
            self.tell_scope();
        }
        self.adopt_persona(welcome.persona);
        self.brings = None;
        if unwanted {
            // Before the site hears of an island that it isn't to be in.
            return self.go_home();
        }
        self.greet();
        self.show_badge();
        for held in std::mem::take(&mut self.held) {
            self.send(held);
        }
    }

    /// What the leader keeps for this site, and what the person answered while nobody led.
    fn with_answers(&self, kept: Permissions) -> Permissions {
        self.held.iter().fold(kept, |permissions, held| match held {
            ToLeader::Permit { origin, permission, answer } if *origin == self.config.origin => {
                permissions.with(*permission, *answer)
            }
            _ => permissions,
        })
    }

    pub(super) fn adopt_persona(&mut self, secret: PersonaSecret) {
        let id = secret.id();
        if self.persona.as_ref().is_some_and(|persona| persona.id == id) {
            return;
        }
        let seed = self.random.bytes();
        let config = bitters_session::Config { persona: secret.clone(), frame: self.config.frame, seed };
        let mut endpoint = Endpoint::new(config);
        for service in self.requests.values().filter_map(Pending::service) {
            endpoint.serve(service.clone());
        }
        if self.persona.replace(Persona { secret, id, endpoint }).is_some() {
            // Links are a persona's, as sessions are.
            self.hang_up();
            self.end_sessions();
            self.tell(0, Tell::Identity(id.to_string()));
            self.fail_what_is_being_said();
            self.forget_said();
            self.show_anew();
        }
    }

    pub(super) fn on_rejected(&mut self, failure: Failure, now: Instant) {
        self.vigil.heard(now);
        self.outbox.push_back(Output::Badge(Badge::Failed(failure.message.clone())));
        self.tell(0, Tell::Failed(failure));
        self.outbox.push_back(Output::CloseHost);
    }

    /// The page goes away. Peers hear it on the links that this frame holds: no other frame may be left that could tell them.
    pub(super) fn on_leaving(&mut self) {
        let gone = codec::encode(&LinkMessage::Control(Control::FrameGone(self.config.frame)));
        let used = self.links.values().filter(|held| held.used).map(|held| held.link);
        self.outbox.extend(used.map(|link| Output::Link(link, LinkCommand::Send(gone.clone()))));
        self.hang_up();
        self.send(ToLeader::Leaving { moves: false });
    }

    /// The links were those of the persona before.
    fn hang_up(&mut self) {
        let links = self.links.keys().chain(self.dialling.keys());
        self.outbox.extend(links.map(|link| Output::Link(*link, LinkCommand::HangUp)));
    }

    /// The leader was another island's. What the site's sessions have to say they say again when there is a way.
    pub(super) fn forget_leader(&mut self, remote: bool) {
        self.brings = self.persona.as_ref().filter(|_| self.granted == Identity::Site).map(|it| it.secret.clone());
        self.standing = (Epoch::default(), Boot::default());
        self.welcomed = false;
        self.line = None;
        self.leads = None;
        self.calling = None;
        self.own_name = worker_name(&self.config.build);
        self.vigil = Vigil::new(remote);
        self.unbridged = false;
        self.links.clear();
        self.reachable.clear();
        self.held.clear();
        self.peers = 0;
    }

    /// To the leader that took us in. Until one did, what must arrive is held, or asked again; what says how things are is held,
    /// too, as the hello that tells it may be on its way already.
    pub(super) fn send(&mut self, message: ToLeader) {
        if self.welcomed {
            if !matches!(message, ToLeader::Link(_, LinkEvent::Drained(_) | LinkEvent::RoundTrip(_)) | ToLeader::Pong) {
                self.vigil.said();
            }
            self.post(message);
        } else if (must_arrive(&message) || is_in_hello(&message)) && self.held.len() < MAX_HELD {
            self.held.push(message);
        }
    }

    pub(super) fn post(&mut self, message: ToLeader) {
        let (epoch, boot) = self.standing;
        self.outbox.push_back(Output::Leader(Envelope { epoch, boot, message }));
    }
}

const fn must_arrive(message: &ToLeader) -> bool {
    matches!(
        message,
        ToLeader::Block { .. } | ToLeader::Hide(_) | ToLeader::Link(..) | ToLeader::Packet(_) | ToLeader::Permit { .. }
    )
}

/// Whether a hello said later tells the same.
const fn is_in_hello(message: &ToLeader) -> bool {
    matches!(
        message,
        ToLeader::Leave(_) | ToLeader::Serve(_) | ToLeader::Unserve(_) | ToLeader::Visible(_) | ToLeader::Watch(_)
    )
}

/// Packets, link reports and answers held while there is no leader: each stream's window is 2 MiB, 35 packets.
const MAX_HELD: usize = 4096;
