//! The fallback: the leader in a dedicated worker of one frame, where there is no SharedWorker.
//!
//! It takes part in the election as a SharedWorker does, under the name that its frame gives it. Frames reach it over
//! BroadcastChannels, for no browser hands a dedicated worker's port to another tab.

#![cfg(target_arch = "wasm32")]

use bitters_leader::Leading;
use bitters_web::global;
use bitters_wire::announce::LeaderKind;
use js_sys::Function;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

/// In the worker: takes part as a leader. `url` is that of this worker. Its frame is told when that ends.
#[wasm_bindgen]
#[must_use]
pub fn begin(build: String, url: String) -> Leading {
    Leading::start(LeaderKind::Dedicated, build, url, tell_end)
}

fn tell_end() {
    let post = global::global("postMessage").and_then(|post| post.dyn_into::<Function>().ok());
    if let Some(post) = post {
        drop(post.call1(&JsValue::UNDEFINED, &JsValue::NULL));
    }
}
