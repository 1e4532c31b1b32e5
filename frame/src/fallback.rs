//! Where there is no SharedWorker, one frame has a dedicated worker of its own that waits to lead, and leads. When that frame goes,
//! another's does. Its code is a module of its own, loaded only there.

use std::{cell::RefCell, rc::Rc};

use bitters_web::{
    error::WebError,
    global,
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
use js_sys::Function;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::console;

use crate::module::Module;

/// Where the fallback's code is.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// Its build.
    pub build: String,
    /// The fallback's module.
    pub module: Module,
    /// The worker.
    pub url: String,
}

/// What a frame has in the election. Dropping it ends its workers, and gives their locks back.
#[derive(Debug, Default)]
pub struct Contenders {
    turn: Option<Turn>,
    successor: Option<Successor>,
}

/// A frame that waits for its turn to have a worker, or has one.
#[derive(Debug)]
struct Turn(AbortHandle);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A worker that takes over from a leader that doesn't answer.
#[derive(Debug)]
struct Successor {
    name: String,
    /// Absent as long as its code is on the way.
    contender: Rc<RefCell<Option<Contender>>>,
}

impl Contenders {
    /// Waits for this frame's turn. `load` is called when its worker begins to be loaded, `fail` if it can't be.
    pub fn wait(&mut self, island: Island, fallback: Fallback, load: impl Fn() + 'static, fail: impl Fn() + 'static) {
        let (waiting, handle) = abortable(take_turns(island, fallback, load));
        self.turn = Some(Turn(handle));
        spawn_local(async move {
            if let Ok(Err(error)) = waiting.await {
                warn(&error);
                fail();
            }
        });
    }

    /// Takes over from a leader that doesn't answer; if a worker is at that already, it is told again. `load` and `fail` are
    /// called as in [`wait`](Self::wait).
    pub fn succeed(&mut self, fallback: Fallback, after: Epoch, load: impl Fn() + 'static, fail: impl Fn() + 'static) {
        let name = successor_name(&fallback.build, after);
        if self.successor.as_ref().is_some_and(|running| running.name == name && running.goes_on()) {
            return;
        }
        let contender = Rc::new(RefCell::new(None));
        self.successor = Some(Successor { name: name.clone(), contender: Rc::clone(&contender) });
        spawn_local(async move {
            load();
            match Contender::start(&fallback, &name, || {}).await {
                Ok(started) => drop(contender.replace(Some(started))),
                Err(error) => {
                    warn(&error);
                    fail();
                }
            }
        });
    }
}

impl Successor {
    /// Whether it is still at it; it is told again.
    fn goes_on(&self) -> bool {
        match &*self.contender.borrow() {
            Some(contender) if *contender.over.borrow() => false,
            Some(contender) => {
                contender.ask();
                true
            }
            None => true,
        }
    }
}

/// While it is this frame's turn it has a worker; one whose lock was stolen ends, and another may follow.
async fn take_turns(island: Island, fallback: Fallback, load: impl Fn()) -> Result<(), WebError> {
    let name = worker_name(&fallback.build);
    loop {
        let _turn = lock::acquire(island.locks(), CONTENDER_LOCK, How::Queued).await?;
        load();
        let (ended, mut end) = mpsc::unbounded();
        let _contender = Contender::start(&fallback, &name, move || drop(ended.unbounded_send(()))).await?;
        end.next().await;
    }
}

/// A dedicated worker that takes part in the election, as the fallback's module gives it.
#[derive(Debug)]
struct Contender {
    contending: JsValue,
    over: Rc<RefCell<bool>>,
    _on_end: Closure<dyn Fn()>,
}

impl Contender {
    async fn start(fallback: &Fallback, name: &str, on_end: impl Fn() + 'static) -> Result<Self, WebError> {
        let Fallback { build, module, url } = fallback;
        module.load().await?;
        let over = Rc::new(RefCell::new(false));
        let ended = Rc::clone(&over);
        let on_end: Closure<dyn Fn()> = Closure::new(move || {
            ended.replace(true);
            on_end();
        });
        let args = [build.into(), name.into(), url.into(), on_end.as_ref().clone()];
        let contending = module.call("contend", &args)?;
        Ok(Self { contending, over, _on_end: on_end })
    }

    fn ask(&self) {
        self.call("ask");
    }

    fn call(&self, method: &str) {
        let method = global::property(&self.contending, method).and_then(|method| method.dyn_into::<Function>().ok());
        if let Some(method) = method {
            drop(method.call0(&self.contending));
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.call("free");
    }
}

fn warn(error: &WebError) {
    console::error_1(&format!("bitters: this page can't lead: {error}").into());
}
