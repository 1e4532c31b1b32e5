//! The way to the leader.

use bitters_web::{error::WebError, island::Island, pipe::Pipe};
use bitters_wire::{
    announce::frame_channel,
    codec,
    id::FrameId,
    limits::MAX_LOCAL,
    local::{Envelope, ToFrame, ToLeader},
};
use web_sys::SharedWorker;

use crate::site::Line;

/// An open way to a leader.
#[derive(Debug)]
pub struct LeaderLine {
    pipe: Pipe,
    worker: Option<SharedWorker>,
}

impl LeaderLine {
    /// Opens the way.
    ///
    /// # Errors
    /// What the browser threw.
    pub fn open(
        island: &Island,
        line: &Line,
        frame: FrameId,
        mut on_message: impl FnMut(Envelope<ToFrame>) + 'static,
    ) -> Result<Self, WebError> {
        let on_bytes = move |bytes: Vec<u8>| {
            if let Ok(envelope) = codec::decode(&bytes, MAX_LOCAL) {
                on_message(envelope);
            }
        };
        match line {
            Line::Channel => {
                let channel = island.channel(&frame_channel(frame))?;
                Ok(Self { pipe: Pipe::over_channel(channel, on_bytes), worker: None })
            }
            Line::Port { name, worker } => {
                let open = island.shared_worker(worker, name)?;
                Ok(Self { pipe: Pipe::over_port(open.port, on_bytes), worker: Some(open.worker) })
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
