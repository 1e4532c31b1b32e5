//! Web Locks (W3C): who holds one is alive.

use futures::channel::oneshot;
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, LockManager, LockMode, LockOptions};

use crate::error::WebError;

const CALL: &str = "LockManager.request";

/// How a lock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// At once, if nobody holds it; else not at all.
    Free,
    /// After all others.
    Queued,
    /// After those who want it for themselves, and along with others who don't.
    Shared,
    /// At once, from whoever holds it.
    Stolen,
}

/// A lock that is held until this is dropped, or until its context dies.
#[derive(Debug)]
pub struct Held {
    request: Promise,
    _release: Release,
}

impl Held {
    /// Waits until the lock is stolen; if it is given back, for ever.
    pub fn stolen(&self) -> impl Future<Output = ()> + 'static {
        let request = JsFuture::from(self.request.clone());
        async move {
            if request.await.is_ok() {
                futures::future::pending::<()>().await;
            }
        }
    }
}

#[derive(Debug)]
struct Release(Function);

impl Drop for Release {
    fn drop(&mut self) {
        drop(self.0.call0(&JsValue::UNDEFINED));
    }
}

/// Takes a request back if it is dropped while that waits.
struct Request(Option<AbortController>);

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(waiting) = &self.0 {
            waiting.abort();
        }
    }
}

/// Waits for a lock, however long that takes. Dropping the future takes the request back.
///
/// # Errors
/// What `request` threw, such as a `SecurityError` in an opaque origin; for one that is to be free also that it isn't.
pub async fn acquire(locks: &LockManager, name: &str, how: How) -> Result<Held, WebError> {
    let (granted, mut wait) = oneshot::channel();
    let on_grant = Closure::once_into_js(move |lock: JsValue| -> Promise {
        if lock.is_null() {
            return Promise::resolve(&lock); // It isn't free.
        }
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let release = release.expect("a promise's executor runs at once");
        // Nobody waits any longer: dropping it releases the lock.
        drop(granted.send(Release(release)));
        held
    });
    let (options, mut waiting) = options(how)?;
    let request = locks.request_with_options(name, &options, on_grant.unchecked_ref());
    let refused = std::pin::pin!(JsFuture::from(request.clone()));
    let outcome = match futures::future::select(&mut wait, refused).await {
        futures::future::Either::Left((Ok(release), _)) => Ok(Held { request, _release: release }),
        futures::future::Either::Left((Err(_), refused)) => Err(refused.await.err()),
        futures::future::Either::Right((outcome, _)) => Err(outcome.err()),
    };
    waiting.0 = None;
    outcome.map_err(|thrown| thrown.map_or_else(|| WebError::missing(CALL), WebError::calling(CALL)))
}

fn options(how: How) -> Result<(LockOptions, Request), WebError> {
    let options = LockOptions::new();
    options.set_mode(if how == How::Shared { LockMode::Shared } else { LockMode::Exclusive });
    if matches!(how, How::Free | How::Stolen) {
        // Nothing waits that could be taken back.
        options.set_if_available(how == How::Free);
        options.set_steal(how == How::Stolen);
        return Ok((options, Request(None)));
    }
    let controller = AbortController::new().map_err(WebError::calling("AbortController"))?;
    options.set_signal(&controller.signal());
    Ok((options, Request(Some(controller))))
}

/// Waits until whoever holds the lock is gone.
///
/// # Errors
/// What `request` threw.
pub async fn gone(locks: &LockManager, name: &str, how: How) -> Result<(), WebError> {
    acquire(locks, name, how).await.map(drop)
}
