//! A browser: its workers, one of which leads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bitters_machine::time::Instant;
use bitters_node::{Kept, KnownSite, Node, Seed};
use bitters_revproxy_core::rendezvous::ConnId;
use bitters_wire::{
    address::Owner,
    id::{Boot, Epoch, FrameId, PersonaId},
    keys::{NodeSecret, PersonaSecret},
    local::{Envelope, ToLeader},
};

use crate::{event::Event, story::ORIGINS};

/// A worker, for as long as its ports work. When it restarts in silence it is still this one, with another boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId(pub u64);

/// One browser.
#[derive(Debug)]
pub struct Browser {
    /// Its node's secret.
    pub secret: NodeSecret,
    /// The personas of its sites, by their origins.
    pub personas: BTreeMap<&'static str, PersonaId>,
    /// The last leadership.
    pub epoch: Epoch,
    /// Certificates in its database, and what its leaders know of them.
    pub certificates: Vec<(Owner, Kept)>,
    /// Whether the database of certificates has no room.
    pub full: bool,
    /// When frames were told to make a certificate, lately.
    pub(crate) certifying: VecDeque<Instant>,
    /// Seeds in its database.
    pub seeds: Vec<Seed>,
    /// What the leader has stored of sites.
    pub sites: Vec<KnownSite>,
    /// Living workers.
    pub workers: Vec<Worker>,
    /// In which namespace of locks new pages and workers are: another one after each time that the person deleted the data.
    pub space: u32,
    /// By how many milliseconds its clock is ahead.
    pub ahead: i64,
    /// The machine is suspended.
    pub asleep: bool,
    /// What came meanwhile.
    pub(crate) waiting: VecDeque<Event>,
}

/// A SharedWorker.
#[derive(Debug)]
pub struct Worker {
    /// Which.
    pub id: WorkerId,
    /// Its name.
    pub name: String,
    /// Its namespace of locks.
    pub space: u32,
    /// Its leadership, once it leads.
    pub lead: Option<Lead>,
    /// When its timer is due.
    pub wake: Option<Instant>,
    /// What waits in its ports until it leads.
    pub inbox: VecDeque<(FrameId, u64, Envelope<ToLeader>)>,
}

/// What a leading worker has.
#[derive(Debug)]
pub struct Lead {
    /// The leader.
    pub node: Node,
    /// The leadership.
    pub epoch: Epoch,
    /// Its boot.
    pub boot: Boot,
    /// Frames that said hello, and by which port.
    pub guests: BTreeMap<FrameId, u64>,
    /// Frames whose locks it waits for.
    pub watched: BTreeSet<FrameId>,
    /// The socket to the rendezvous.
    pub socket: Option<ConnId>,
    /// When a frame that spoke to another leader was told of this one last.
    pub reminded: Option<Instant>,
}

impl Browser {
    /// The secret of a persona of its node.
    pub fn secret_of(&self, id: PersonaId) -> Option<PersonaSecret> {
        let sites = ORIGINS.map(|origin| self.secret.persona(origin));
        sites.into_iter().chain([self.secret.person()]).find(|it| it.id() == id)
    }

    /// A browser in which nothing runs yet.
    pub fn new(secret: NodeSecret) -> Self {
        let personas = ORIGINS.map(|origin| (origin, secret.persona(origin).id())).into();
        let (certificates, seeds, sites) = (Vec::new(), Vec::new(), Vec::new());
        let (workers, waiting) = (Vec::new(), VecDeque::new());
        let (full, certifying) = (false, VecDeque::new());
        Self {
            secret,
            personas,
            epoch: Epoch(0),
            certificates,
            full,
            certifying,
            seeds,
            sites,
            workers,
            space: 0,
            ahead: 0,
            asleep: false,
            waiting,
        }
    }

    /// The persona of a site.
    #[must_use]
    pub fn persona(&self, origin: &str) -> PersonaId {
        self.personas[origin]
    }

    /// A living worker.
    pub fn worker_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.workers.iter_mut().find(|it| it.id == id)
    }

    /// The worker that leads.
    #[must_use]
    pub fn leader(&self) -> Option<&Worker> {
        self.workers.iter().find(|it| it.lead.is_some())
    }
}
