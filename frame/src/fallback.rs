//! Where there is no SharedWorker, one frame has a dedicated worker of its own that waits to lead, and leads. When that frame goes,
//! another's does. Its code is a module of its own, loaded only there.

use std::{cell::RefCell, rc::Rc};

use bitters_web::{
    error::WebError,
    island::Island,
    lock::{self, How},
};
use bitters_wire::{
    announce::{CONTENDER_LOCK, successor_name, worker_name},
    id::Epoch,
};
use futures::{
    StreamExt,
    channel::mpsc,
    future::{AbortHandle, abortable},
};
use gloo_events::EventListener;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Worker, WorkerOptions, WorkerType, console};

/// What a frame has in the election. Dropping it ends its workers, and gives their locks back.
#[derive(Debug, Default)]
pub struct Contenders {
    turn: Option<Turn>,
    successor: Option<(String, Contender)>,
}

/// A frame that waits for its turn to have a worker, or has one.
#[derive(Debug)]
struct Turn(AbortHandle);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Contenders {
    /// Waits for this frame's turn. `url` is that of the worker.
    pub fn wait(&mut self, island: Island, build: &str, url: String) {
        let name = worker_name(build);
        let (waiting, handle) = abortable(async move {
            if let Err(error) = take_turns(&island, &name, &url).await {
                console::error_1(&format!("bitters: this page can't lead: {error}").into());
            }
        });
        self.turn = Some(Turn(handle));
        spawn_local(async move { waiting.await.unwrap_or_default() });
    }

    /// Takes over from a leader that doesn't answer; if a worker is at that already, it is told again.
    ///
    /// # Errors
    /// What the constructor threw.
    pub fn succeed(&mut self, build: &str, after: Epoch, url: &str) -> Result<(), WebError> {
        let name = successor_name(build, after);
        match &self.successor {
            Some((running, contender)) if *running == name && !contender.is_over() => contender.ask(),
            _ => self.successor = Some((name.clone(), Contender::start(&name, url, || {})?)),
        }
        Ok(())
    }
}

/// While it is this frame's turn it has a worker; one whose lock was stolen ends, and another may follow.
async fn take_turns(island: &Island, name: &str, url: &str) -> Result<(), WebError> {
    loop {
        let _turn = lock::acquire(island.locks(), CONTENDER_LOCK, How::Queued).await?;
        let (ended, mut end) = mpsc::unbounded();
        let _contender = Contender::start(name, url, move || drop(ended.unbounded_send(())))?;
        end.next().await;
    }
}

/// A dedicated worker that takes part in the election.
#[derive(Debug)]
struct Contender {
    worker: Worker,
    over: Rc<RefCell<bool>>,
    _listener: EventListener,
}

impl Contender {
    fn start(name: &str, url: &str, on_end: impl Fn() + 'static) -> Result<Self, WebError> {
        let options = WorkerOptions::new();
        options.set_name(name);
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(url, &options).map_err(WebError::calling("Worker"))?;
        let over = Rc::new(RefCell::new(false));
        let ended = Rc::clone(&over);
        // All it ever says is that it ended.
        let listener = EventListener::new(&worker, "message", move |_| {
            ended.replace(true);
            on_end();
        });
        Ok(Self { worker, over, _listener: listener })
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    fn ask(&self) {
        drop(self.worker.post_message(&JsValue::NULL));
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
