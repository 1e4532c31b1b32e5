//! The way to the leader.

use bitters_web::{
    error::WebError,
    island::{Island, OpenWorker},
    pipe::Pipe,
};
use bitters_wire::{
    announce::frame_channel,
    codec,
    id::FrameId,
    limits::MAX_LOCAL,
    local::{Envelope, ToFrame, ToLeader},
};
use gloo_events::EventListener;
use web_sys::SharedWorker;

use bitters_frame_core::site::Line;

/// An open way to a leader.
#[derive(Debug)]
pub struct LeaderLine {
    pipe: Pipe,
    worker: Option<SharedWorker>,
    _failing: Option<EventListener>,
}

impl LeaderLine {
    /// Opens the way. `on_loading` is called if its worker runs and its module is still to be loaded, `on_failure` if it can't be.
    ///
    /// # Errors
    /// What the browser threw.
    pub async fn open(
        island: &Island,
        line: &Line,
        frame: FrameId,
        mut on_message: impl FnMut(Envelope<ToFrame>) + 'static,
        on_loading: impl Fn() + 'static,
        on_failure: impl Fn() + 'static,
    ) -> Result<Self, WebError> {
        let on_bytes = move |bytes: Vec<u8>| {
            if bytes.is_empty() {
                on_loading();
            } else if let Ok(envelope) = codec::decode(&bytes, MAX_LOCAL) {
                on_message(envelope);
            }
        };
        match line {
            Line::Channel => {
                let channel = island.channel(&frame_channel(frame))?;
                Ok(Self { pipe: Pipe::over_channel(channel, on_bytes), worker: None, _failing: None })
            }
            Line::Port { name, worker } => {
                let OpenWorker { port, worker } = island.shared_worker(worker, name).await?;
                let failing = worker.as_ref().map(|worker| EventListener::new(worker, "error", move |_| on_failure()));
                Ok(Self { pipe: Pipe::over_port(port, on_bytes), worker, _failing: failing })
            }
        }
    }

    /// The SharedWorker at the other end: it lives as long as one of its clients.
    pub fn worker(&self) -> Option<SharedWorker> {
        self.worker.clone()
    }

    /// Sends; a leader that is gone answers nothing, and its successor asks again.
    pub fn send(&self, envelope: &Envelope<ToLeader>) {
        drop(self.pipe.send(&codec::encode(envelope)));
    }
}
