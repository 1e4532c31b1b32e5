//! The fallback: the leader in a dedicated worker of one frame, where there is no SharedWorker.
//!
//! The frame that holds the island's leader lock loads this module and calls [`lead`]; the worker runs the same module and
//! [`register`]s. Frames reach it over BroadcastChannels, for no browser hands a dedicated worker's port to another tab.

#![cfg(target_arch = "wasm32")]

use std::{cell::RefCell, rc::Rc};

use bitters_web::{error::WebError, island::Island};
use bitters_wire::announce::LeaderKind;
use futures::channel::oneshot;
use gloo_worker::{HandlerId, Registrable, Spawnable, Worker, WorkerScope};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::spawn_local;

/// What the frame tells its worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    build: String,
    worker: String,
}

/// What the worker tells its frame: why it doesn't lead.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failed(String);

/// The leader as gloo-worker knows it.
pub struct Leader;

impl Worker for Leader {
    type Input = Start;
    type Message = Failed;
    type Output = Failed;

    fn create(_scope: &WorkerScope<Self>) -> Self {
        console_error_panic_hook::set_once();
        Self
    }

    fn update(&mut self, _scope: &WorkerScope<Self>, _message: Self::Message) {}

    fn received(&mut self, scope: &WorkerScope<Self>, start: Start, frame: HandlerId) {
        let scope = scope.clone();
        spawn_local(async move {
            if let Err(error) = run(start).await {
                scope.respond(frame, Failed(error.to_string()));
            }
        });
    }
}

async fn run(Start { build, worker }: Start) -> Result<(), WebError> {
    let island = Island::of_worker()?;
    let leader = bitters_leader::lead(island, LeaderKind::Dedicated, build, worker).await?;
    // It leads for as long as the worker lives.
    std::mem::forget(leader);
    Ok(())
}

/// In the frame that holds the leader lock: starts the worker at `url`. Settles only if it failed.
///
/// # Errors
/// Why the worker doesn't lead.
#[wasm_bindgen]
pub async fn lead(build: String, url: String) -> Result<(), JsValue> {
    let (failing, failed) = oneshot::channel();
    let failing = Rc::new(RefCell::new(Some(failing)));
    let bridge = Leader::spawner()
        .callback(move |Failed(why)| {
            if let Some(failing) = failing.borrow_mut().take() {
                drop(failing.send(why));
            }
        })
        .with_loader(true)
        .spawn(&url);
    bridge.send(Start { build, worker: url });
    let why = failed.await.unwrap_or_default();
    Err(JsValue::from(format!("the dedicated leader failed: {why}")))
}

/// In the worker: takes part as the leader.
#[wasm_bindgen]
pub fn register() {
    Leader::registrar().register();
}
