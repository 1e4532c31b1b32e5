//! The embedding page: who it is, from the browser alone, and its port.

use std::iter;

use bitters_web::{global, random};
use bitters_wire::{
    VersionRange,
    failure::Failure,
    limits::STREAM_WINDOW,
    rpc::{Event, HostHello, Ready, Request, Tell},
};
use futures::{StreamExt, channel::mpsc};
use gloo_events::EventListener;
use js_sys::{Array, ArrayBuffer, JsString, Object, Reflect, Uint8Array};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, MessagePort, Window};

use bitters_frame_core::embedding::Embedding;

/// What a page speaks whose hello isn't understood.
pub const NO_VERSION: VersionRange = VersionRange { min: u16::MAX, max: 0 };

/// A page's hello.
#[derive(Debug)]
pub struct Greeting {
    /// The page's origin, from the browser.
    pub origin: String,
    /// The page's port.
    pub port: MessagePort,
    /// What it said, if that is understood.
    pub hello: Option<HostHello>,
}

/// How this document is shown.
#[must_use]
pub fn embedding() -> Embedding {
    let parent_of = |window: &Window| window.parent().ok().flatten().filter(|parent| parent != window);
    Embedding::of(iter::successors(parent_of(&window()), parent_of).count(), &ancestor_origins())
}

/// Whether this document isn't embedded.
#[must_use]
pub fn is_top_level() -> bool {
    embedding() == Embedding::TopLevel
}

/// Whether the page is visible.
#[must_use]
pub fn is_visible() -> bool {
    window().document().is_none_or(|document| !document.hidden())
}

/// This document's window.
#[must_use]
pub fn window() -> Window {
    js_sys::global().unchecked_into()
}

/// Says that this document listens and waits for its page's hello: the first that repeats the nonce, from the parent window,
/// with a port. All others are not heard, a second one neither. `None` at top level.
pub async fn greeting() -> Option<Greeting> {
    if is_top_level() {
        return None;
    }
    let window = window();
    let parent = window.parent().ok().flatten()?;
    let nonce = uuid::Builder::from_random_bytes(random::bytes()).into_uuid().to_string();
    let (hellos, mut heard) = mpsc::unbounded();
    let (expected, sender) = (nonce.clone(), parent.clone());
    let _listening = EventListener::new(&window, "message", move |event| {
        if let Some(greeting) = read_hello(event.unchecked_ref(), &sender, &expected) {
            drop(hellos.unbounded_send(greeting));
        }
    });
    let ready = serde_wasm_bindgen::to_value(&Ready { bitters: "ready".into(), nonce }).ok()?;
    parent.post_message(&ready, "*").ok()?;
    heard.next().await
}

fn read_hello(event: &MessageEvent, parent: &Window, nonce: &str) -> Option<Greeting> {
    if event.source()?.unchecked_into::<Window>() != *parent {
        return None;
    }
    let data = event.data();
    let field = |name: &str| global::property(&data, name)?.as_string();
    if field("bitters")? != "hello" || field("nonce")? != nonce {
        return None;
    }
    let port = event.ports().get(0).dyn_into::<MessagePort>().ok()?;
    Some(Greeting { origin: event.origin(), port, hello: serde_wasm_bindgen::from_value(data).ok() })
}

/// Bytes of a request's longest value, a slice of a stream, and of all else in it.
const MAX_ASK: usize = STREAM_WINDOW as usize + 4096;

/// Members of a request's content: twice what the largest has.
const MAX_FIELDS: u32 = 10;

/// How deep a field's value lies: a call's outcome is `{ ok: { text } }`.
const MAX_KINDS: u32 = 2;

/// The page's port.
#[derive(Debug)]
pub struct Host {
    port: MessagePort,
    _listener: EventListener,
}

/// What came by the port.
pub enum Heard {
    /// Something else, with the number it bore or 0.
    Nonsense(u32),
    /// A request.
    Request(Request),
    /// More than any request has.
    TooLarge {
        /// The number that it bore, or 0.
        id: u32,
        /// Bytes of what is long in it.
        bytes: usize,
    },
}

impl Host {
    /// Listens to the port.
    pub fn open(port: MessagePort, on_heard: impl Fn(Heard) + 'static) -> Self {
        let listener = EventListener::new(&port, "message", move |event| {
            let data = event.unchecked_ref::<MessageEvent>().data();
            on_heard(read(data));
        });
        port.start();
        Self { port, _listener: listener }
    }

    /// Tells the page.
    pub fn tell(&self, event: &Event) {
        post(&self.port, event);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.port.close();
    }
}

/// Bounded before it is decoded: what is decoded is in the module's memory, which never shrinks.
fn read(data: JsValue) -> Heard {
    let id = number(&Reflect::get(&data, &"id".into()).unwrap_or_default());
    let content = global::property(&data, "ask").and_then(|ask| only_value(&ask));
    let fields = content.map(|content| values(&content)).unwrap_or_default();
    if fields.length() > MAX_FIELDS {
        return Heard::Nonsense(id);
    }
    let bytes = fields.iter().map(length).fold(0, usize::saturating_add);
    if bytes > MAX_ASK {
        return Heard::TooLarge { id, bytes };
    }
    match serde_wasm_bindgen::from_value(data) {
        Ok(request) => Heard::Request(request),
        Err(_) => Heard::Nonsense(id),
    }
}

/// Characters or bytes of a field's value, which may be one of several kinds: `{ text }`, `{ ok: { bytes } }`.
fn length(mut value: JsValue) -> usize {
    for _ in 0..MAX_KINDS {
        value = only_value(&value).unwrap_or(value);
    }
    let length = match value.dyn_ref::<JsString>() {
        Some(text) => text.length(),
        None => global::property(&value, "byteLength").map_or(0, |bytes| number(&bytes)),
    };
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn only_value(value: &JsValue) -> Option<JsValue> {
    let values = values(value);
    (values.length() == 1).then(|| values.get(0))
}

/// Of an object that isn't bytes.
fn values(value: &JsValue) -> Array {
    let is_bytes = ArrayBuffer::is_view(value);
    value.dyn_ref::<Object>().filter(|_| !is_bytes).map(Object::values).unwrap_or_default()
}

/// Of this document's ancestors, the parent's first; none where the browser doesn't tell.
fn ancestor_origins() -> Vec<String> {
    let origins = global::property(&window().location(), "ancestorOrigins");
    origins
        .map(|origins| Array::from(&origins).iter().filter_map(|origin| origin.as_string()).collect())
        .unwrap_or_default()
}

/// Tells a page that there is nothing behind its port, and why.
pub fn refuse(port: &MessagePort, failure: Failure) {
    post(port, &Event { id: 0, tell: Tell::Failed(failure) });
}

fn post(port: &MessagePort, event: &Event) {
    let Ok(message) = event.serialize(&Serializer::new()) else { return };
    let transfer = match event.tell {
        Tell::Bytes(_) => buffer_of(&message).unwrap_or_default(),
        _ => Array::new(),
    };
    // A page that is gone needs no news; its frame is about to go, too.
    drop(port.post_message_with_transferable(&message, &transfer));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a saturating cast of what may be anything"
)]
fn number(value: &JsValue) -> u32 {
    value.as_f64().unwrap_or(0.0) as u32
}

/// The buffer of `{ tell: { bytes } }`, to be transferred rather than copied.
fn buffer_of(message: &JsValue) -> Option<Array> {
    let bytes = global::property(&global::property(message, "tell")?, "bytes")?;
    Some(Array::of1(&bytes.dyn_ref::<Uint8Array>()?.buffer()))
}
