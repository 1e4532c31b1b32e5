//! All frames that share one storage partition, hence one leader.
//!
//! Browsers give an iframe a partition of its own for every embedding site. There are two ways out of it. Chromium's
//! `requestStorageAccess({ all: true })` returns a StorageAccessHandle (Storage Access API, non-cookie extension) whose members are
//! unpartitioned, silently where the browser allows; plain globals stay partitioned even then. Elsewhere a page of the node's own, which
//! the person opened from a frame, hands over what that frame needs, by a port: a *bridge*. So code reaches locks, channels and workers
//! through an island only.

use std::{cell::Cell, time::Duration};

use bitters_wire::status::Scope;
use js_sys::{Function, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{BroadcastChannel, LockManager, MessagePort, SharedWorker};

use crate::{
    clock::within,
    error::WebError,
    global::{call, call_async, global, property, required},
    lock::{self, Fate},
};

/// A request that the browser neither grants nor refuses is taken as refused: it may have asked the person.
const GRANT_PATIENCE: Duration = Duration::from_secs(1);

/// One storage partition, as this context reaches it.
#[derive(Clone, Debug)]
pub struct Island {
    way: Way,
    locks: LockManager,
    scope: Scope,
}

#[derive(Clone, Debug)]
enum Way {
    /// By a page of the node's own: `{ announcements, worker(url, name), gone(lock) }`.
    Bridge(JsValue),
    /// By a StorageAccessHandle.
    Handle(JsValue),
    /// By this context's globals.
    Own,
}

/// A SharedWorker that was opened; it lives as long as one of its clients.
#[derive(Debug)]
pub struct OpenWorker {
    /// The way to it.
    pub port: MessagePort,
    /// Its object, for `error` events (the script failed to load); another page has it where the worker was opened over a bridge.
    pub worker: Option<SharedWorker>,
}

impl Island {
    /// The island of a worker: the one that its opener had.
    ///
    /// # Errors
    /// [`WebError`] where there are no locks: an insecure context, or a browser of before 2022.
    pub fn of_worker() -> Result<Self, WebError> {
        Ok(Self { way: Way::Own, locks: own_locks()?, scope: Scope::Site })
    }

    /// The island of this window's own partition.
    ///
    /// # Errors
    /// [`WebError`] where there are no locks: an insecure context, an opaque origin, an old browser.
    pub fn own(top_level: bool) -> Result<Self, WebError> {
        let scope = if top_level { Scope::Browser } else { Scope::Site };
        Ok(Self { way: Way::Own, locks: own_locks()?, scope })
    }

    /// The widest island that this iframe gets without asking anybody.
    ///
    /// # Errors
    /// [`WebError`] where there are no locks: an insecure context, an opaque origin, an old browser.
    pub async fn widest() -> Result<Self, WebError> {
        let own = Self::own(false)?;
        Ok(within(GRANT_PATIENCE, Self::unpartitioned()).await.flatten().unwrap_or(own))
    }

    /// The island of all sites, if the browser grants it; called in a click it may ask the person. The request is made before this
    /// is awaited, as long as the click counts.
    pub fn unpartitioned() -> impl Future<Output = Option<Self>> + 'static {
        let request = request_access();
        async move {
            let handle = request.await?;
            let locks = property(&handle, "locks")?.unchecked_into();
            Some(Self { way: Way::Handle(handle), locks, scope: Scope::Browser })
        }
    }

    /// The island of all sites, over a bridge.
    ///
    /// # Errors
    /// [`WebError`] where there are no locks.
    pub fn bridged(bridge: JsValue) -> Result<Self, WebError> {
        Ok(Self { way: Way::Bridge(bridge), locks: own_locks()?, scope: Scope::Browser })
    }

    /// One node for all sites of this browser, or one for this site.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether it is reached over a bridge: then nobody there can ask for this context's locks.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        matches!(self.way, Way::Bridge(_))
    }

    /// The locks that this context may hold: the island's, or over a bridge those of its own partition.
    #[must_use]
    pub const fn locks(&self) -> &LockManager {
        &self.locks
    }

    /// Waits until whoever in the island holds this lock is gone, if anybody is seen to hold it.
    ///
    /// # Errors
    /// What `request` threw, or that the bridge is over.
    pub async fn fate(&self, lock: &str) -> Result<Fate, WebError> {
        match &self.way {
            Way::Bridge(bridge) => {
                let seen = call_async(bridge, "gone", &lock.into()).await?.is_truthy();
                Ok(if seen { Fate::Gone } else { Fate::Unseen })
            }
            Way::Handle(_) | Way::Own => lock::fate(&self.locks, lock).await,
        }
    }

    /// The port by which announcements cross the bridge, if there is one.
    #[must_use]
    pub fn announcements(&self) -> Option<MessagePort> {
        let Way::Bridge(bridge) = &self.way else { return None };
        property(bridge, "announcements").map(JsCast::unchecked_into)
    }

    /// Opens a channel among the island's contexts.
    ///
    /// # Errors
    /// What the constructor threw; over a bridge there are none.
    pub fn channel(&self, name: &str) -> Result<BroadcastChannel, WebError> {
        const CALL: &str = "BroadcastChannel";
        match &self.way {
            Way::Bridge(_) => Err(WebError::missing("a BroadcastChannel over the bridge")),
            Way::Handle(handle) => construct(handle, CALL, &[name.into()]).map(JsCast::unchecked_into),
            Way::Own => BroadcastChannel::new(name).map_err(WebError::calling(CALL)),
        }
    }

    /// The island's `IDBFactory`; over a bridge that of this context's own partition.
    ///
    /// # Errors
    /// [`WebError`] where there are no databases.
    pub fn databases(&self) -> Result<JsValue, WebError> {
        const NAME: &str = "indexedDB";
        let factory = match &self.way {
            Way::Handle(handle) => property(handle, NAME),
            Way::Bridge(_) | Way::Own => global(NAME),
        };
        factory.ok_or_else(|| WebError::missing(NAME))
    }

    /// Whether this browser has the SharedWorker.
    #[must_use]
    pub fn has_shared_worker() -> bool {
        global("SharedWorker").is_some()
    }

    /// Whether this browser has the StorageAccessHandle, as far as it was asked for one.
    #[must_use]
    pub fn knows_handle() -> bool {
        KNOWS_HANDLE.get()
    }

    /// Opens the island's module worker of this URL and name, or joins it. Only over a bridge this takes a while.
    ///
    /// # Errors
    /// What the constructor threw, or that the bridge is over.
    pub async fn shared_worker(&self, url: &str, name: &str) -> Result<OpenWorker, WebError> {
        const CALL: &str = "SharedWorker";
        let options = worker_options(name)?;
        let worker: SharedWorker = match &self.way {
            Way::Bridge(bridge) => {
                let args = js_sys::Array::of2(&url.into(), &name.into());
                let port = call_async(bridge, "worker", &args).await?;
                return Ok(OpenWorker { port: port.unchecked_into(), worker: None });
            }
            Way::Handle(handle) => construct(handle, CALL, &[url.into(), options.into()])?,
            Way::Own => {
                let class: Function = required(CALL)?;
                let args = js_sys::Array::of2(&url.into(), &options);
                Reflect::construct(&class, &args).map_err(WebError::calling(CALL))?
            }
        }
        .unchecked_into();
        Ok(OpenWorker { port: worker.port(), worker: Some(worker) })
    }
}

thread_local! {
    /// Whether this browser read what kind of access was asked for: it knows the handle. No global is named after that.
    static KNOWS_HANDLE: Cell<bool> = const { Cell::new(false) };
}

/// Asks for the handle. Firefox ignores the argument and gives none; a leader in a frame's own worker could not use it.
fn request_access() -> impl Future<Output = Option<JsValue>> + 'static {
    const CALL: &str = "requestStorageAccess";
    let document = global("document").filter(|_| Island::has_shared_worker());
    let request = document.map(|document| call(&document, CALL, &all_types()));
    async move {
        let handle = request?.await.ok()?;
        property(&handle, "SharedWorker").map(|_| handle)
    }
}

/// `{ all: true }`, which notices that it is read.
fn all_types() -> JsValue {
    let read: Closure<dyn Fn() -> bool> = Closure::new(|| {
        KNOWS_HANDLE.set(true);
        true
    });
    let (types, getter) = (Object::new(), Object::new());
    let defined = Reflect::set(&getter, &"get".into(), &read.into_js_value()).is_ok();
    if defined {
        Object::define_property(&types, &"all".into(), &getter);
    }
    types.into()
}

fn worker_options(name: &str) -> Result<Object, WebError> {
    let options = Object::new();
    // Workers with and without SameSite cookies are different ones; a third-party context may have it without only.
    for (key, value) in [("name", name), ("type", "module"), ("sameSiteCookies", "none")] {
        Reflect::set(&options, &key.into(), &value.into()).map_err(WebError::calling("SharedWorker"))?;
    }
    Ok(options)
}

fn own_locks() -> Result<LockManager, WebError> {
    let navigator: JsValue = required("navigator")?;
    property(&navigator, "locks").map(JsCast::unchecked_into).ok_or_else(|| WebError::missing("navigator.locks"))
}

/// On the handle, constructors are methods.
fn construct(handle: &JsValue, method: &'static str, args: &[JsValue]) -> Result<JsValue, WebError> {
    let function: Function = property(handle, method)
        .ok_or_else(|| WebError::missing(method))?
        .dyn_into()
        .map_err(WebError::calling(method))?;
    function.apply(handle, &args.iter().collect()).map_err(WebError::calling(method))
}
