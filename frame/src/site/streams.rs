//! A site's streams: its numbers on one side, the sessions' keys on the other. Credit passes through from end to end.

use bitters_session::{Output as Said, StreamKey};
use bitters_wire::{
    failure::{Code, Failure},
    rpc::{Ask, Tell},
};

use super::{
    Site,
    requests::{Pending, StreamState},
};

impl StreamState {
    pub(super) const fn made(stream: StreamKey) -> Self {
        Self::Made { stream, sent: false, received: false }
    }
}

/// A direction of a stream, as this end sees it.
#[derive(Clone, Copy)]
enum Direction {
    Received,
    Sent,
}

impl Site {
    pub(super) fn on_stream_ask(&mut self, id: u32, ask: Ask) {
        let Some(Pending::Stream(state)) = self.requests.get_mut(&id) else { return };
        match state {
            StreamState::Dialling { credit, .. } => match ask {
                Ask::Credit { limit } => *credit = offset(limit).max(*credit),
                Ask::Reset { .. } => drop(self.requests.remove(&id)),
                _ => {}
            },
            StreamState::Made { stream, .. } => {
                let stream = *stream;
                self.on_made_ask(id, stream, ask);
            }
        }
    }

    fn on_made_ask(&mut self, id: u32, stream: StreamKey, ask: Ask) {
        let Some(endpoint) = self.endpoint() else { return };
        match ask {
            Ask::Credit { limit } => endpoint.credit(stream, offset(limit)),
            Ask::Finish => {
                endpoint.finish(stream);
                self.over(stream, Direction::Sent);
            }
            Ask::Reset { reason } => {
                endpoint.reset(stream, &reason);
                self.forget_stream(stream);
            }
            Ask::Stop => {
                endpoint.stop(stream);
                self.over(stream, Direction::Received);
            }
            Ask::Write { bytes } if endpoint.write(stream, &bytes).is_err() => {
                endpoint.reset(stream, "the writer ignored its credit");
                self.forget_stream(stream);
                self.fail(id, Failure::new(Code::Quota, "more was written than the peer gave credit for"));
            }
            _ => {}
        }
    }

    pub(super) fn on_stream_said(&mut self, said: Said) {
        let (stream, tell) = match said {
            #[expect(clippy::cast_precision_loss, reason = "a stream of 2⁵³ bytes takes 30 years at 9 MiB/s")]
            Said::Credit { stream, limit } => (stream, Tell::Credit(limit as f64)),
            Said::Data { stream, bytes } => (stream, Tell::Bytes(bytes)),
            Said::Finished(stream) => {
                self.tell_stream(stream, Tell::Finished);
                return self.over(stream, Direction::Received);
            }
            Said::Opened(stream) => (stream, Tell::Done),
            Said::Reset { stream, failure } => {
                self.doubt(&failure);
                if let Some(id) = self.forget_stream(stream) {
                    self.fail(id, failure);
                }
                return;
            }
            Said::Stopped(stream) => {
                self.tell_stream(stream, Tell::End);
                return self.over(stream, Direction::Sent);
            }
            _ => return,
        };
        self.tell_stream(stream, tell);
    }

    fn tell_stream(&mut self, stream: StreamKey, tell: Tell) {
        if let Some(id) = self.stream_ids.get(&stream) {
            self.tell(*id, tell);
        }
    }

    /// One direction is over; with both, so is the stream.
    fn over(&mut self, stream: StreamKey, direction: Direction) {
        let Some(id) = self.stream_ids.get(&stream) else { return };
        let Some(Pending::Stream(StreamState::Made { sent, received, .. })) = self.requests.get_mut(id) else { return };
        match direction {
            Direction::Received => *received = true,
            Direction::Sent => *sent = true,
        }
        if *sent && *received {
            self.forget_stream(stream);
        }
    }

    fn forget_stream(&mut self, stream: StreamKey) -> Option<u32> {
        let id = self.stream_ids.remove(&stream)?;
        self.requests.remove(&id);
        Some(id)
    }
}

/// A total offset as JavaScript tells it; nonsense gives no credit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded first")]
fn offset(limit: f64) -> u64 {
    if limit.is_finite() { limit.clamp(0.0, 9_007_199_254_740_991.0) as u64 } else { 0 }
}
