//! Web Locks (W3C): who holds one is alive.

use futures::channel::oneshot;
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::LockManager;

use crate::error::WebError;

/// A lock that is held until this is dropped, or until its context dies.
#[derive(Debug)]
pub struct Held {
    release: Function,
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.release.call0(&JsValue::UNDEFINED));
    }
}

/// Waits for an exclusive lock, however long that takes.
///
/// # Errors
/// What `request` threw, such as a `SecurityError` in an opaque origin.
pub async fn acquire(locks: &LockManager, name: &str) -> Result<Held, WebError> {
    let (granted, wait) = oneshot::channel();
    let on_grant = Closure::once_into_js(move |_lock: JsValue| -> Promise {
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let release = release.expect("a promise's executor runs at once");
        // Nobody waits any longer: dropping the lock releases it.
        drop(granted.send(Held { release }));
        held
    });
    let request = locks.request(name, on_grant.unchecked_ref());
    let refused = JsFuture::from(request);
    match futures::future::select(wait, std::pin::pin!(refused)).await {
        futures::future::Either::Left((Ok(held), _)) => Ok(held),
        futures::future::Either::Left((Err(_), refused)) => {
            Err(refused.await.err().map_or_else(|| WebError::missing("LockManager.request"), lost))
        }
        futures::future::Either::Right((outcome, _)) => {
            Err(outcome.err().map_or_else(|| WebError::missing("LockManager.request"), lost))
        }
    }
}

fn lost(thrown: JsValue) -> WebError {
    WebError::calling("LockManager.request")(thrown)
}

/// Waits until whoever holds the lock is gone.
///
/// # Errors
/// What `request` threw.
pub async fn gone(locks: &LockManager, name: &str) -> Result<(), WebError> {
    acquire(locks, name).await.map(drop)
}
