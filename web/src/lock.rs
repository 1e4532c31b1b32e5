//! Web Locks (W3C): who holds one is alive.
//!
//! That a lock is free proves no death. When a person deletes the browsing data while pages are open, Chromium gives the documents that
//! open afterwards a namespace of their own, in which nothing is held that older pages hold (browser-facts: "Locks and the person's
//! data"). So whoever waits for a death sees the lock held first.

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
    /// At once, along with others who don't want it for themselves, if nobody does; else not at all.
    Glimpsed,
    /// After all others.
    Queued,
    /// After those who want it for themselves, and along with others who don't.
    Shared,
    /// At once, from whoever holds it.
    Stolen,
}

/// What became of a lock that another context was to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was held, and is free: whoever held it is gone.
    Gone,
    /// It was free from the beginning, as far as this context can see: whoever was to hold it may be there.
    Unseen,
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
    request(locks, name, how).await?.ok_or_else(|| WebError::missing(CALL))
}

/// Asks for a lock; `None` if it is to be free and isn't.
///
/// # Errors
/// What `request` threw.
pub async fn request(locks: &LockManager, name: &str, how: How) -> Result<Option<Held>, WebError> {
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
        futures::future::Either::Left((Ok(release), _)) => Ok(Some(Held { request, _release: release })),
        futures::future::Either::Left((Err(_), refused)) => refused.await.map(|_| None),
        futures::future::Either::Right((outcome, _)) => outcome.map(|_| None),
    };
    waiting.0 = None;
    outcome.map_err(WebError::calling(CALL))
}

fn options(how: How) -> Result<(LockOptions, Request), WebError> {
    let options = LockOptions::new();
    let shared = matches!(how, How::Glimpsed | How::Shared);
    options.set_mode(if shared { LockMode::Shared } else { LockMode::Exclusive });
    if matches!(how, How::Free | How::Glimpsed | How::Stolen) {
        // Nothing waits that could be taken back.
        options.set_if_available(how != How::Stolen);
        options.set_steal(how == How::Stolen);
        return Ok((options, Request(None)));
    }
    let controller = AbortController::new().map_err(WebError::calling("AbortController"))?;
    options.set_signal(&controller.signal());
    Ok((options, Request(Some(controller))))
}

/// Waits until whoever holds the lock is gone, if anybody is seen to hold it. Others may wait for the same.
///
/// # Errors
/// What `request` threw.
pub async fn fate(locks: &LockManager, name: &str) -> Result<Fate, WebError> {
    if request(locks, name, How::Glimpsed).await?.is_some() {
        return Ok(Fate::Unseen);
    }
    acquire(locks, name, How::Shared).await.map(|_| Fate::Gone)
}
