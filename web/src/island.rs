//! All frames that share one storage partition, hence one leader.
//!
//! Browsers give an iframe a partition of its own for every embedding site. Chromium's `requestStorageAccess({ all: true })`
//! returns a StorageAccessHandle (Storage Access API, non-cookie extension) whose members are unpartitioned, silently where
//! the browser allows; plain globals stay partitioned even then. So code reaches locks, channels and workers through an
//! island only.

use std::time::Duration;

use bitters_wire::status::Scope;
use js_sys::{Function, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BroadcastChannel, LockManager, MessagePort, SharedWorker};

use crate::{
    clock::within,
    error::WebError,
    global::{call_async, global, property, required},
};

/// A request that the browser neither grants nor refuses is taken as refused: it may have asked the person.
const GRANT_PATIENCE: Duration = Duration::from_secs(1);

/// One storage partition, as this context reaches it.
#[derive(Clone, Debug)]
pub struct Island {
    /// The StorageAccessHandle, where there is one.
    handle: Option<JsValue>,
    locks: LockManager,
    scope: Scope,
}

/// A SharedWorker that was opened; it lives as long as one of its clients.
#[derive(Debug)]
pub struct OpenWorker {
    /// The way to it.
    pub port: MessagePort,
    /// Its object, for `error` events (the script failed to load).
    pub worker: SharedWorker,
}

impl Island {
    /// The island of a worker: the one that its opener had.
    ///
    /// # Errors
    /// [`WebError`] where there are no locks: an insecure context, or a browser of before 2022.
    pub fn of_worker() -> Result<Self, WebError> {
        Ok(Self { handle: None, locks: own_locks()?, scope: Scope::Site })
    }

    /// The widest island that this window gets without asking anybody.
    ///
    /// # Errors
    /// [`WebError`] where there are no locks: an insecure context, an opaque origin, an old browser.
    pub async fn of_window(top_level: bool) -> Result<Self, WebError> {
        let own =
            Self { handle: None, locks: own_locks()?, scope: if top_level { Scope::Browser } else { Scope::Site } };
        if top_level {
            return Ok(own);
        }
        Ok(within(GRANT_PATIENCE, Self::unpartitioned()).await.flatten().unwrap_or(own))
    }

    async fn unpartitioned() -> Option<Self> {
        let types = Object::new();
        Reflect::set(&types, &"all".into(), &true.into()).ok()?;
        let handle = call_async(&global("document")?, "requestStorageAccess", &types).await.ok()?;
        // Firefox ignores the argument and gives no handle; a leader in a frame's own worker could not use it.
        property(&handle, "SharedWorker")?;
        global("SharedWorker")?;
        let locks = property(&handle, "locks")?.unchecked_into();
        Some(Self { handle: Some(handle), locks, scope: Scope::Browser })
    }

    /// One node for all sites of this browser, or one for this site.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// The island's locks.
    #[must_use]
    pub const fn locks(&self) -> &LockManager {
        &self.locks
    }

    /// Opens a channel among the island's contexts.
    ///
    /// # Errors
    /// What the constructor threw.
    pub fn channel(&self, name: &str) -> Result<BroadcastChannel, WebError> {
        const CALL: &str = "BroadcastChannel";
        match &self.handle {
            Some(handle) => construct(handle, CALL, &[name.into()]).map(JsCast::unchecked_into),
            None => BroadcastChannel::new(name).map_err(WebError::calling(CALL)),
        }
    }

    /// The island's `IDBFactory`.
    ///
    /// # Errors
    /// [`WebError`] where there are no databases.
    pub fn databases(&self) -> Result<JsValue, WebError> {
        const NAME: &str = "indexedDB";
        let factory = self.handle.as_ref().map_or_else(|| global(NAME), |handle| property(handle, NAME));
        factory.ok_or_else(|| WebError::missing(NAME))
    }

    /// Whether this browser has the SharedWorker.
    #[must_use]
    pub fn has_shared_worker() -> bool {
        global("SharedWorker").is_some()
    }

    /// Opens the island's module worker of this URL and name, or joins it.
    ///
    /// # Errors
    /// What the constructor threw.
    pub fn shared_worker(&self, url: &str, name: &str) -> Result<OpenWorker, WebError> {
        const CALL: &str = "SharedWorker";
        let options = Object::new();
        // Workers with and without SameSite cookies are different ones; a third-party context may have it without only.
        for (key, value) in [("name", name), ("type", "module"), ("sameSiteCookies", "none")] {
            Reflect::set(&options, &key.into(), &value.into()).map_err(WebError::calling(CALL))?;
        }
        let worker: SharedWorker = match &self.handle {
            Some(handle) => construct(handle, CALL, &[url.into(), options.into()])?,
            None => {
                let class: Function = required(CALL)?;
                let args = js_sys::Array::of2(&url.into(), &options);
                Reflect::construct(&class, &args).map_err(WebError::calling(CALL))?
            }
        }
        .unchecked_into();
        Ok(OpenWorker { port: worker.port(), worker })
    }
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
