//! The loop around [`Candidacy`]: from a worker's start to its leadership, and to its end. It has no opinions.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
};

use bitters_node::{Candidacy, CandidacyInput, CandidacyOutput, Config, Node, seeds};
use bitters_web::{
    announcer::Announcer,
    clock,
    driver::Driver,
    error::WebError,
    global,
    island::Island,
    lock::{self, Held, How},
    random,
};
use bitters_wire::{
    announce::{Announcement, LEADER_LOCK, LeaderKind, life_lock, predecessor},
    id::{Boot, Epoch},
};
use futures::future::{AbortHandle, abortable};
use js_sys::Function;
use uuid::Builder;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::spawn_local;
use web_sys::{LockManager, MessagePort, console};

use crate::{
    files,
    leader::{Leader, Standing},
    store::{self, Loaded},
};

/// Ports that wait for this worker to lead; a frame that opens another leaves the last behind.
const MAX_WAITING: usize = 1024;

/// A worker that leads or waits to.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct Leading(Option<Rc<Worker>>);

#[wasm_bindgen]
impl Leading {
    /// A frame connected to the SharedWorker.
    pub fn connect(&self, port: MessagePort) {
        if let Some(worker) = &self.0 {
            worker.on_port(port);
        }
    }

    /// A frame found no leader.
    pub fn asked(&self) {
        if let Some(worker) = &self.0 {
            worker.handle(CandidacyInput::Asked);
        }
    }
}

/// Starts the SharedWorker's part: waits for the leader lock, then leads. `url` is that of this worker.
#[wasm_bindgen]
#[must_use]
pub fn start(build: String, url: String) -> Leading {
    let name = global::global("name").and_then(|name| name.as_string()).unwrap_or_default();
    Leading::start(LeaderKind::Shared, build, url, name, || {})
}

impl Leading {
    /// A worker that leads when its turn comes, called `name` in the election. `on_end` is called before it closes.
    pub fn start(kind: LeaderKind, build: String, url: String, name: String, on_end: impl Fn() + 'static) -> Self {
        console_error_panic_hook::set_once();
        let worker = Worker::start(Identity { kind, build, url, name }, Box::new(on_end));
        if let Err(error) = &worker {
            console::error_1(&format!("bitters: the leader can't start: {error}").into());
        }
        Self(worker.ok())
    }
}

struct Worker {
    machine: Driver<Candidacy>,
    identity: Identity,
    island: Island,
    announcer: OnceCell<Announcer>,
    /// What waits for the lock.
    request: RefCell<Option<AbortHandle>>,
    seat: RefCell<Option<Held>>,
    stage: RefCell<Stage>,
    on_end: Box<dyn Fn()>,
}

/// What this worker is known by.
#[derive(Clone, Debug)]
struct Identity {
    kind: LeaderKind,
    build: String,
    url: String,
    name: String,
}

enum Stage {
    Leads(Rc<Leader>),
    Over,
    /// Ports hold what frames say until they are read; and what was opened, if it was.
    Waits(Vec<MessagePort>, Option<Opened>),
}

/// A leadership about to begin.
struct Opened {
    boot: Boot,
    life: Held,
    loaded: Loaded,
    config: files::Config,
    shipped: Vec<bitters_node::Seed>,
}

impl Worker {
    fn start(identity: Identity, on_end: Box<dyn Fn()>) -> Result<Rc<Self>, WebError> {
        let worker = Rc::new(Self {
            machine: Driver::new(Candidacy::new(identity.build.clone(), predecessor(&identity.name))),
            identity,
            island: Island::of_worker()?,
            announcer: OnceCell::new(),
            request: RefCell::default(),
            seat: RefCell::default(),
            stage: RefCell::new(Stage::Waits(Vec::new(), None)),
            on_end,
        });
        let this = Rc::clone(&worker);
        let announcer = Announcer::open(&worker.island, move |announcement| this.on_announcement(announcement))?;
        worker.announcer.get_or_init(|| announcer);
        let this = Rc::clone(&worker);
        worker.machine.wake_by(move || this.on_timer());
        worker.handle(CandidacyInput::Started);
        Ok(worker)
    }

    fn handle(self: &Rc<Self>, input: CandidacyInput) {
        self.machine.handle_input(input, |output| self.perform(output));
    }

    fn perform(self: &Rc<Self>, output: CandidacyOutput) {
        match output {
            CandidacyOutput::Announce(announcement) => self.announce(&announcement),
            CandidacyOutput::ClaimSteal(limit) => {
                self.spawn(async move { Some(CandidacyInput::StealAllowed(store::claim_steal(limit).await)) });
            }
            CandidacyOutput::Lead => self.lead(),
            CandidacyOutput::Open { after } => self.open(after),
            CandidacyOutput::ReadEpoch => {
                self.spawn(async { store::stored_epoch().await.map(CandidacyInput::Stored) });
            }
            CandidacyOutput::Request => self.request(How::Queued),
            CandidacyOutput::StandDown => self.end(),
            CandidacyOutput::Steal => self.request(How::Stolen),
            CandidacyOutput::Withdraw => {
                if let Some(request) = self.request.take() {
                    request.abort();
                }
            }
        }
    }

    fn on_port(self: &Rc<Self>, port: MessagePort) {
        match &mut *self.stage.borrow_mut() {
            Stage::Leads(leader) => return leader.on_port(port),
            Stage::Over => return port.close(),
            Stage::Waits(ports, _) => {
                if ports.len() == MAX_WAITING {
                    ports.remove(0).close();
                }
                ports.push(port);
            }
        }
        self.handle(CandidacyInput::Asked);
    }

    fn on_announcement(self: &Rc<Self>, announcement: Announcement) {
        let leader = self.leader();
        if let Some(leader) = leader {
            leader.on_announcement(&announcement);
        }
        self.handle(CandidacyInput::Announced(announcement));
    }

    fn on_timer(self: &Rc<Self>) {
        self.machine.fired();
        self.handle(CandidacyInput::Timeout);
    }

    fn announce(&self, announcement: &Announcement) {
        if let Some(announcer) = self.announcer.get() {
            announcer.announce(announcement);
        }
    }

    fn leader(&self) -> Option<Rc<Leader>> {
        if let Stage::Leads(leader) = &*self.stage.borrow() { Some(Rc::clone(leader)) } else { None }
    }

    fn request(self: &Rc<Self>, how: How) {
        let this = Rc::clone(self);
        let (waiting, handle) = abortable(async move {
            match take(this.island.locks(), how).await {
                Ok((held, waited)) => this.on_granted(held, waited),
                Err(error) => {
                    console::error_1(&format!("bitters: the leader's lock can't be asked for: {error}").into());
                    this.handle(CandidacyInput::Lost);
                }
            }
        });
        self.request.replace(Some(handle));
        spawn_local(async move { waiting.await.unwrap_or_default() });
    }

    fn on_granted(self: &Rc<Self>, held: Held, waited: bool) {
        let stolen = held.stolen();
        self.seat.replace(Some(held));
        self.spawn(async move {
            stolen.await;
            Some(CandidacyInput::Lost)
        });
        self.handle(CandidacyInput::Granted { waited });
    }

    fn open(self: &Rc<Self>, after: Epoch) {
        let this = Rc::clone(self);
        self.spawn(async move {
            match open(&this.island, after).await {
                Ok(opened) => {
                    if let Stage::Waits(_, slot) = &mut *this.stage.borrow_mut() {
                        *slot = Some(opened);
                    }
                    Some(CandidacyInput::Opened)
                }
                Err(error) => {
                    console::error_1(&format!("bitters: the leader can't start: {error}").into());
                    Some(CandidacyInput::Lost)
                }
            }
        });
    }

    /// Announces the leadership, and reads what frames said to it so far.
    fn lead(self: &Rc<Self>) {
        let Stage::Waits(ports, Some(opened)) = self.stage.replace(Stage::Over) else { return };
        let leader = self.begin(opened);
        self.stage.replace(Stage::Leads(Rc::clone(&leader)));
        leader.announce(None);
        ports.into_iter().for_each(|port| leader.on_port(port));
    }

    fn begin(self: &Rc<Self>, opened: Opened) -> Rc<Leader> {
        let Identity { kind, build, url, name } = self.identity.clone();
        let Opened { boot, life, loaded, config, shipped } = opened;
        let Loaded { store, secret, epoch, seeds: stored, sites, certificates, warnings } = loaded;
        let config = Config {
            secret,
            epoch,
            boot,
            kind,
            build: build.clone(),
            observe: config.observe,
            page_origin: global::origin(),
            seeds: seeds::merge(shipped, stored),
            sites,
            certificates,
            warnings,
            seed: u64::from_le_bytes(random::bytes()),
        };
        let standing = Standing { epoch, boot, kind, build, worker: url, name };
        let (speaker, ender) = (Rc::clone(self), Rc::clone(self));
        let announce = move |announcement: &Announcement| speaker.announce(announcement);
        let end = move || ender.end();
        Leader::new(Node::new(config, clock::now()), standing, life, self.island.clone(), store, announce, end)
    }

    /// Closes everything, and the worker.
    fn end(&self) {
        if let Stage::Leads(leader) = self.stage.replace(Stage::Over) {
            leader.close();
        }
        self.seat.take();
        if let Some(request) = self.request.take() {
            request.abort();
        }
        (self.on_end)();
        let close = global::global("close").and_then(|close| close.dyn_into::<Function>().ok());
        if let Some(close) = close {
            drop(close.call0(&JsValue::UNDEFINED));
        }
    }

    fn spawn(self: &Rc<Self>, work: impl Future<Output = Option<CandidacyInput>> + 'static) {
        let this = Rc::clone(self);
        spawn_local(async move {
            if let Some(input) = work.await {
                this.handle(input);
            }
        });
    }
}

/// Takes the leader lock, and tells whether another was seen to hold it before.
async fn take(locks: &LockManager, how: How) -> Result<(Held, bool), WebError> {
    if how == How::Queued
        && let Some(held) = lock::request(locks, LEADER_LOCK, How::Free).await?
    {
        return Ok((held, false));
    }
    Ok((lock::acquire(locks, LEADER_LOCK, how).await?, true))
}

/// Reads what a leader must know, and takes its life lock: whoever is welcomed may wait for that.
async fn open(island: &Island, after: Epoch) -> Result<Opened, WebError> {
    let boot = Boot(Builder::from_random_bytes(random::bytes()).into_uuid());
    let (life_name, locks) = (life_lock(boot), island.locks());
    let life = lock::acquire(locks, &life_name, How::Queued);
    let (life, mut loaded, config, shipped) = futures::join!(life, store::load(after), files::config(), files::seeds());
    let config = config.unwrap_or_else(|warning| {
        loaded.warnings.push(warning);
        files::Config::default()
    });
    let shipped = shipped.unwrap_or_else(|warning| {
        loaded.warnings.push(warning);
        Vec::new()
    });
    Ok(Opened { boot, life: life?, loaded, config, shipped })
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("identity", &self.identity).finish_non_exhaustive()
    }
}
