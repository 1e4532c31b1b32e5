//! The fallback: the leader in a dedicated worker of one frame, where there is no SharedWorker.
//!
//! It takes part in the election as a SharedWorker does, under the name that its frame gives it. Frames reach it over
//! BroadcastChannels, for no browser hands a dedicated worker's port to another tab. The frame loads this module and calls
//! [`contend`]; the worker that this spawns runs the same module and [`register`]s.

#![cfg(target_arch = "wasm32")]

use bitters_leader::Leading;
use bitters_wire::announce::LeaderKind;
use gloo_worker::{HandlerId, Registrable, Spawnable, Worker, WorkerBridge, WorkerScope};
use js_sys::Function;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// What a frame tells its worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// The frame found no leader.
    Asked,
    /// Take part from now on.
    Begin {
        /// The worker's build.
        build: String,
        /// The worker's name in the election.
        name: String,
        /// The worker's URL.
        url: String,
    },
}

/// What the worker tells its frame: it takes part no longer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ended;

/// A candidate as gloo-worker knows it.
#[derive(Debug)]
pub struct Contender {
    leading: Option<Leading>,
}

impl Worker for Contender {
    type Input = Told;
    type Message = ();
    type Output = Ended;

    fn create(_scope: &WorkerScope<Self>) -> Self {
        Self { leading: None }
    }

    fn update(&mut self, _scope: &WorkerScope<Self>, (): Self::Message) {}

    fn received(&mut self, scope: &WorkerScope<Self>, told: Told, frame: HandlerId) {
        match told {
            Told::Asked => {
                if let Some(leading) = &self.leading {
                    leading.asked();
                }
            }
            Told::Begin { build, name, url } => {
                let scope = scope.clone();
                let on_end = move || scope.respond(frame, Ended);
                self.leading = Some(Leading::start(LeaderKind::Dedicated, build, url, name, on_end));
            }
        }
    }
}

/// A frame's worker. Freed, it closes and gives its locks back.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Contending(WorkerBridge<Contender>);

#[wasm_bindgen]
impl Contending {
    /// This frame found no leader.
    pub fn ask(&self) {
        self.0.send(Told::Asked);
    }
}

/// In a frame: starts the worker at `url`, named `name` in the election. `on_end` is called when it takes part no longer.
#[wasm_bindgen]
#[must_use]
pub fn contend(build: String, name: String, url: String, on_end: Function) -> Contending {
    let bridge = Contender::spawner()
        .callback(move |Ended| drop(on_end.call0(&JsValue::UNDEFINED)))
        .with_loader(true)
        .spawn(&url);
    bridge.send(Told::Begin { build, name, url });
    Contending(bridge)
}

/// In the worker: waits for what its frame says.
#[wasm_bindgen]
pub fn register() {
    Contender::registrar().register();
}
