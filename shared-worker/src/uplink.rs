//! The socket to the rendezvous.

use bitters_node::UplinkEvent;
use bitters_web::{global, pipe::bytes_of};
use bitters_wire::{codec, limits::MAX_RENDEZVOUS, rendezvous::ToServer};
use gloo_events::EventListener;
use wasm_bindgen::JsCast;
use web_sys::{BinaryType, MessageEvent, Url, WebSocket};

/// An open or opening socket. Dropping it closes it.
#[derive(Debug)]
pub struct Uplink {
    socket: WebSocket,
    _listeners: [EventListener; 3],
}

impl Uplink {
    /// Opens a socket to `url`, which may be relative to the node's origin. `None` if the browser refuses the URL.
    pub fn open(url: &str, on_event: impl Fn(UplinkEvent) + Clone + 'static) -> Option<Self> {
        let socket = WebSocket::new(&absolute(url)).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let (on_open, on_message, on_close) = (on_event.clone(), on_event.clone(), on_event);
        let closing = socket.clone();
        // What the browser says in `Host`.
        let server = Url::new(&socket.url()).map(|url| url.host()).unwrap_or_default();
        let listeners = [
            EventListener::new(&socket, "open", move |_| on_open(UplinkEvent::Open { server: server.clone() })),
            EventListener::new(&socket, "message", move |event| {
                let bytes = bytes_of(&event.unchecked_ref::<MessageEvent>().data());
                match bytes.as_deref().map(|bytes| codec::decode(bytes, MAX_RENDEZVOUS)) {
                    Some(Ok(message)) => on_message(UplinkEvent::Received(message)),
                    // A server that doesn't speak our language: the close event tells the node.
                    _ => drop(closing.close()),
                }
            }),
            EventListener::new(&socket, "close", move |_| on_close(UplinkEvent::Closed)),
        ];
        Some(Self { socket, _listeners: listeners })
    }

    /// Sends, if the socket is open; if it isn't, its close event follows.
    pub fn send(&self, message: &ToServer) {
        drop(self.socket.send_with_u8_array(&codec::encode(message)));
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        drop(self.socket.close());
    }
}

/// `/rendezvous` on `https://node.example` is `wss://node.example/rendezvous`.
fn absolute(url: &str) -> String {
    if !url.starts_with('/') {
        return url.to_owned();
    }
    let origin = global::origin();
    let host = origin.strip_prefix("http").unwrap_or(&origin);
    format!("ws{host}{url}")
}
