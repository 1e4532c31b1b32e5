//! From a worker's start to its leadership.

use std::{cell::RefCell, rc::Rc};

use bitters_node::{Config, Node, seeds};
use bitters_web::{announcer::Announcer, clock, error::WebError, global, island::Island, lock, random};
use bitters_wire::{
    announce::{LEADER_LOCK, LeaderKind, worker_name},
    id::Boot,
};
use uuid::Builder;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;
use web_sys::{MessagePort, console};

use crate::{
    files,
    leader::{Leader, Standing},
    store::{self, Loaded},
};

/// A worker that leads or waits to.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Leading {
    stage: Rc<RefCell<Stage>>,
}

#[derive(Debug)]
enum Stage {
    Leads(Rc<Leader>),
    /// Ports hold what frames say until they are read.
    Waits(Vec<MessagePort>),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Waits(Vec::new())
    }
}

#[wasm_bindgen]
impl Leading {
    /// A frame connected to the SharedWorker.
    pub fn connect(&self, port: MessagePort) {
        match &mut *self.stage.borrow_mut() {
            Stage::Leads(leader) => leader.on_port(port),
            Stage::Waits(ports) => ports.push(port),
        }
    }
}

/// Starts the SharedWorker's part: waits for the leader lock, then leads. `worker` is the URL of this worker.
#[wasm_bindgen]
#[must_use]
pub fn start(build: String, worker: String) -> Leading {
    console_error_panic_hook::set_once();
    let leading = Leading::default();
    let stage = Rc::clone(&leading.stage);
    spawn_local(async move {
        if let Err(error) = run(&stage, build, worker).await {
            console::error_1(&format!("bitters: the leader can't start: {error}").into());
        }
    });
    leading
}

async fn run(stage: &RefCell<Stage>, build: String, worker: String) -> Result<(), WebError> {
    let island = Island::of_worker()?;
    let held = lock::acquire(island.locks(), LEADER_LOCK).await?;
    let leader = lead(island, LeaderKind::Shared, build, worker).await?;
    // The lock is this worker's for as long as it lives.
    std::mem::forget(held);
    if let Stage::Waits(ports) = stage.replace(Stage::Leads(Rc::clone(&leader))) {
        ports.into_iter().for_each(|port| leader.on_port(port));
    }
    Ok(())
}

/// Leads the island. The caller holds its leader lock.
///
/// # Errors
/// [`WebError`] where there is no BroadcastChannel.
pub async fn lead(island: Island, kind: LeaderKind, build: String, worker: String) -> Result<Rc<Leader>, WebError> {
    let (loaded, config, shipped) = futures::join!(store::load(), files::config(), files::seeds());
    let Loaded { store, secret, epoch, seeds: stored, mut warnings } = loaded;
    let config = config.unwrap_or_else(|warning| {
        warnings.push(warning);
        files::Config::default()
    });
    let shipped = shipped.unwrap_or_else(|warning| {
        warnings.push(warning);
        Vec::new()
    });
    let boot = Boot(Builder::from_random_bytes(random::bytes()).into_uuid());
    let node = Node::new(
        Config {
            secret,
            epoch,
            boot,
            kind,
            build: build.clone(),
            observe: config.observe,
            page_origin: global::origin(),
            seeds: seeds::merge(shipped, stored),
            warnings,
            seed: u64::from_le_bytes(random::bytes()),
        },
        clock::now(),
    );
    let standing = Standing { epoch, boot, kind, name: worker_name(&build), build, worker };
    let leader = Leader::new(node, standing, island.clone(), store);
    let this = Rc::clone(&leader);
    let announcer = Announcer::open(&island, move |announcement| this.on_announcement(&announcement))?;
    leader.announce_through(announcer);
    Ok(leader)
}
