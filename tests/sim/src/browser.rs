//! A browser: its node, and its pages with the frames in them.

use std::collections::{BTreeMap, BTreeSet};

use bitters_node::Node;
use bitters_revproxy_core::rendezvous::ConnId;
use bitters_wire::{
    WIRE,
    failure::Failure,
    id::{Epoch, FrameId, LinkId, PersonaId, TopicId},
    keys::NodeSecret,
    local::{HeldLink, Hello, ToFrame, ToLeader, Welcome},
    packet::Packet,
    rpc::Identity,
    status::{Path, Scope, Status},
};

use crate::connection::{Connection, Phase};

/// One browser.
#[derive(Debug)]
pub struct Browser {
    /// Its node's secret.
    pub secret: NodeSecret,
    /// Its leader.
    pub node: Node,
    /// The leadership.
    pub epoch: Epoch,
    /// The socket to the rendezvous.
    pub socket: Option<ConnId>,
}

/// A page with a frame in it.
#[derive(Debug)]
pub struct Page {
    /// In which browser.
    pub browser: usize,
    /// The embedding page's origin.
    pub origin: String,
    /// The leadership that the frame speaks with.
    pub epoch: Epoch,
    /// What the leader welcomed the frame with since its last hello; once is right.
    pub welcomes: Vec<Welcome>,
    persona: Option<PersonaId>,
    /// Topics that the site wants to be in.
    pub wanted: BTreeSet<TopicId>,
    /// Who is in them, as the frame was told.
    pub peers: BTreeMap<TopicId, Vec<PersonaId>>,
    /// Messages heard, and how often.
    pub heard: BTreeMap<(TopicId, Vec<u8>), usize>,
    /// Packets that came.
    pub packets: Vec<Packet>,
    /// Requests that wait for an answer.
    pub waiting: BTreeMap<u32, ToLeader>,
    /// Requests that were answered, and how.
    pub answers: BTreeMap<u32, Result<(), Failure>>,
    /// Statuses that came.
    pub statuses: Vec<Status>,
    /// Linked peers, as the badge shows.
    pub linked: u32,
    /// Connections that the frame holds.
    pub connections: BTreeMap<LinkId, Connection>,
    requests: u32,
}

impl Page {
    /// A page that was just opened.
    pub fn new(browser: usize, origin: &str) -> Self {
        Self {
            browser,
            origin: origin.to_owned(),
            epoch: Epoch::default(),
            welcomes: Vec::new(),
            persona: None,
            wanted: BTreeSet::new(),
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            packets: Vec::new(),
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            statuses: Vec::new(),
            linked: 0,
            connections: BTreeMap::new(),
            requests: 0,
        }
    }

    /// What the frame says to a leader first.
    pub fn hello(&mut self, id: FrameId) -> ToLeader {
        self.welcomes.clear();
        ToLeader::Hello(Hello {
            frame: id,
            origin: self.origin.clone(),
            scope: Scope::Browser,
            identity: Identity::Site,
            brings: None,
            remote: false,
            wire: WIRE,
            build: "sim".into(),
            known: self.epoch > bitters_wire::id::Epoch(1),
            visible: true,
            watching: true,
            serves: vec![crate::world::TAG],
            joined: self.joined().collect(),
            talks: Vec::new(),
            links: self.links().collect(),
        })
    }

    /// The persona of its site, once it was welcomed.
    pub const fn persona(&self) -> Option<PersonaId> {
        self.persona
    }

    /// Links that are up.
    pub fn links(&self) -> impl Iterator<Item = HeldLink> {
        let up = self.connections.iter().filter(|(_, it)| it.phase == Phase::Up);
        up.map(|(link, it)| HeldLink { link: *link, own: it.own, peer: it.peer, used: true, path: Path::Direct })
    }

    /// A request with a number of its own, noted until it is answered.
    pub fn request(&mut self, make: impl FnOnce(u32) -> ToLeader) -> (u32, ToLeader) {
        self.requests += 1;
        let message = make(self.requests);
        self.waiting.insert(self.requests, message.clone());
        (self.requests, message)
    }

    /// Takes in what the leader says of anything but links.
    pub fn hear(&mut self, message: ToFrame) {
        match message {
            ToFrame::Asked { request, outcome } => {
                assert!(self.waiting.remove(&request).is_some(), "request {request} was answered before");
                self.answers.insert(request, outcome);
            }
            ToFrame::Peers(linked) => self.linked = linked,
            ToFrame::Packet(packet) => self.packets.push(packet),
            ToFrame::Status(status) => self.statuses.push(status),
            ToFrame::Topic { topic, sealed } => *self.heard.entry((topic, sealed)).or_default() += 1,
            ToFrame::TopicPeers { topic, peers } => drop(self.peers.insert(topic, peers)),
            ToFrame::Welcome(welcome) => {
                self.linked = welcome.peers;
                self.persona = Some(welcome.persona.id());
                self.welcomes.push(welcome);
            }
            ToFrame::Address { .. } | ToFrame::Certify { .. } => panic!("nobody has an address here"),
            ToFrame::FrameGone { .. }
            | ToFrame::HandingOver
            | ToFrame::Permissions(_)
            | ToFrame::Sites(_)
            | ToFrame::PathRestored(_)
            | ToFrame::Ping
            | ToFrame::Pong => {}
            ToFrame::Link(..) | ToFrame::Rejected(_) | ToFrame::Service { .. } => {
                unreachable!("links are the world's, and nothing else is said in this world")
            }
        }
    }

    /// Topics joined: wanted, and not just being asked for.
    fn joined(&self) -> impl Iterator<Item = TopicId> {
        let asked = |topic: &TopicId| {
            self.waiting.values().any(|it| matches!(it, ToLeader::Join { topic: asked, .. } if asked == topic))
        };
        self.wanted.iter().copied().filter(move |topic| !asked(topic))
    }
}
