//! Bytes between two contexts: by a MessagePort, which transfers them, or by a BroadcastChannel, which copies.

use gloo_events::EventListener;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BroadcastChannel, MessageEvent, MessagePort};

use crate::error::WebError;

/// One end of a way for bytes. Dropping it closes it.
#[derive(Debug)]
pub struct Pipe {
    end: End,
    _listener: EventListener,
}

#[derive(Debug)]
enum End {
    Channel(BroadcastChannel),
    Port(MessagePort),
}

impl Pipe {
    /// Over a port; what was queued in it is delivered from now on.
    pub fn over_port(port: MessagePort, on_bytes: impl FnMut(Vec<u8>) + 'static) -> Self {
        let listener = listen(&port, on_bytes);
        port.start();
        Self { end: End::Port(port), _listener: listener }
    }

    /// Over a channel that two contexts share.
    pub fn over_channel(channel: BroadcastChannel, on_bytes: impl FnMut(Vec<u8>) + 'static) -> Self {
        let listener = listen(&channel, on_bytes);
        Self { end: End::Channel(channel), _listener: listener }
    }

    /// Sends bytes; they arrive in order, or the other end is gone (which no browser tells: locks do).
    ///
    /// # Errors
    /// What `postMessage` threw: this end is closed.
    pub fn send(&self, bytes: &[u8]) -> Result<(), WebError> {
        let bytes = Uint8Array::from(bytes);
        match &self.end {
            End::Channel(channel) => channel.post_message(&bytes),
            End::Port(port) => {
                let buffer = bytes.buffer();
                port.post_message_with_transferable(&buffer, &Array::of1(&buffer))
            }
        }
        .map_err(WebError::calling("postMessage"))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        match &self.end {
            End::Channel(channel) => channel.close(),
            End::Port(port) => port.close(),
        }
    }
}

fn listen(target: &web_sys::EventTarget, mut on_bytes: impl FnMut(Vec<u8>) + 'static) -> EventListener {
    EventListener::new(target, "message", move |event| {
        let data = event.unchecked_ref::<MessageEvent>().data();
        if let Some(bytes) = bytes_of(&data) {
            on_bytes(bytes);
        }
    })
}

/// The bytes of an `ArrayBuffer` or `Uint8Array`; anything else is `None`.
#[must_use]
pub fn bytes_of(value: &JsValue) -> Option<Vec<u8>> {
    if let Some(buffer) = value.dyn_ref::<ArrayBuffer>() {
        return Some(Uint8Array::new(buffer).to_vec());
    }
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
