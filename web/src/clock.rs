//! Time for machines, and the one timer that a machine needs.

use std::{cell::RefCell, rc::Rc, time::Duration};

use bitters_machine::time::Instant;
use gloo_timers::callback::Timeout;
use js_sys::{Date, Function};
use wasm_bindgen::JsCast;

use crate::global::{global, property};

/// Monotonic time since this context started (`performance.now()`).
#[must_use]
pub fn now() -> Instant {
    let ms = global("performance").and_then(|performance| {
        let now: Function = property(&performance, "now")?.dyn_into().ok()?;
        now.call0(&performance).ok()?.as_f64()
    });
    Instant::START + Duration::from_secs_f64(ms.unwrap_or_else(Date::now).max(0.0) / 1000.0)
}

/// Milliseconds since the Unix epoch.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a date is a whole number far below 2^53")]
pub fn unix_ms() -> u64 {
    Date::now().max(0.0) as u64
}

/// Waits for `delay`.
pub async fn sleep(delay: Duration) {
    gloo_timers::future::sleep(delay).await;
}

/// A timer that is set to a machine's next timeout, again and again.
pub struct Timer {
    callback: Rc<dyn Fn()>,
    armed: RefCell<Option<(Instant, Timeout)>>,
}

impl Timer {
    /// A timer at rest.
    pub fn new(callback: impl Fn() + 'static) -> Self {
        Self { callback: Rc::new(callback), armed: RefCell::new(None) }
    }

    /// Fires at `at` and not at any time set before; `None` puts it to rest.
    pub fn set(&self, at: Option<Instant>) {
        let mut armed = self.armed.borrow_mut();
        if armed.as_ref().map(|(at, _)| *at) == at {
            return;
        }
        *armed = at.map(|at| {
            let callback = Rc::clone(&self.callback);
            (at, Timeout::new(delay_ms(at), move || callback()))
        });
    }

    /// Forgets the time that was set: to be called first when the timer has fired.
    pub fn fired(&self) {
        self.armed.borrow_mut().take().map(|(_, timeout)| timeout.forget()).unwrap_or_default();
    }
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

/// Rounded up, so that a machine isn't woken just before its time; at most a day (setTimeout wraps at 2³¹ ms).
fn delay_ms(at: Instant) -> u32 {
    let delay = at.since(now()).as_micros().div_ceil(1000);
    u32::try_from(delay).unwrap_or(u32::MAX).min(24 * 60 * 60 * 1000)
}

/// Waits for `future`, at most for `limit`: `None` if that passed.
pub async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let future = std::pin::pin!(future);
    let limit = std::pin::pin!(sleep(limit));
    match futures::future::select(future, limit).await {
        futures::future::Either::Left((value, _)) => Some(value),
        futures::future::Either::Right(_) => None,
    }
}
