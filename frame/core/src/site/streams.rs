//! A site's streams: its numbers on one side, the sessions' keys on the other. Credit passes through from end to end.

use bitters_session::{Output as Said, StreamKey, WriteError};
use bitters_wire::{
    failure::{Code, Failure},
    rpc::{Ask, Tell},
};

use super::{
    Site,
    acceptance::Accepts,
    requests::{Pending, StreamState},
};

impl StreamState {
    pub(super) const fn made(stream: StreamKey, accepts: Accepts) -> Self {
        Self::Made { stream, credit: 0, written: 0, sent: false, received: false, accepts }
    }

    /// Bytes that the site may write yet.
    const fn unspent(&self) -> u64 {
        match self {
            Self::Made { credit, written, sent: false, .. } => credit.saturating_sub(*written),
            Self::Dialling { .. } | Self::Made { .. } => 0,
        }
    }
}

/// A direction of a stream, as this end sees it.
#[derive(Clone, Copy)]
enum Direction {
    Received,
    Sent,
}

impl Site {
    /// Whether it came to something. Credit never does, as it can be told for ever.
    pub(super) fn on_stream_ask(&mut self, id: u32, ask: Ask) -> bool {
        let Some(Pending::Stream(state)) = self.requests.get_mut(&id) else { return false };
        match (state, ask) {
            (StreamState::Dialling { credit, .. }, Ask::Credit { limit }) => {
                *credit = offset(limit).max(*credit);
                false
            }
            (StreamState::Dialling { .. }, Ask::Reset { .. }) => self.requests.remove(&id).is_some(),
            (StreamState::Dialling { .. }, _) => false,
            (StreamState::Made { stream, .. }, ask) => {
                let stream = *stream;
                self.on_made_ask(id, stream, ask)
            }
        }
    }

    fn on_made_ask(&mut self, id: u32, stream: StreamKey, ask: Ask) -> bool {
        if matches!(ask, Ask::Credit { .. } | Ask::Finish | Ask::Write { .. }) {
            self.accept_by_stream(id, Accepts::OnceUsed);
        }
        let Some(endpoint) = self.endpoint() else { return false };
        match ask {
            Ask::Credit { limit } => {
                endpoint.credit(stream, offset(limit));
                false
            }
            Ask::Finish => {
                endpoint.finish(stream);
                self.over(stream, Direction::Sent)
            }
            Ask::Reset { reason } => {
                endpoint.reset(stream, &reason);
                self.forget_stream(stream).is_some()
            }
            Ask::Stop => {
                endpoint.stop(stream);
                self.over(stream, Direction::Received)
            }
            Ask::Write { bytes } => match endpoint.write(stream, &bytes) {
                // The peer reads no longer, and the site hasn't heard that yet; or it has finished.
                Err(WriteError::Closed) => false,
                Err(WriteError::NoCredit) => {
                    endpoint.reset(stream, "the writer ignored its credit");
                    self.forget_stream(stream);
                    self.fail(id, Failure::new(Code::Quota, "more was written than the peer gave credit for"));
                    true
                }
                Ok(()) => {
                    if let Some(Pending::Stream(StreamState::Made { written, .. })) = self.requests.get_mut(&id) {
                        *written += bytes.len() as u64;
                    }
                    !bytes.is_empty()
                }
            },
            _ => false,
        }
    }

    pub(super) fn on_stream_said(&mut self, said: Said) {
        let (stream, tell) = match said {
            #[expect(clippy::cast_precision_loss, reason = "a stream of 2⁵³ bytes takes 30 years at 9 MiB/s")]
            Said::Credit { stream, limit } => {
                if let Some(StreamState::Made { credit, .. }) = self.stream_mut(stream) {
                    *credit = limit;
                }
                (stream, Tell::Credit(limit as f64))
            }
            Said::Data { stream, bytes } => (stream, Tell::Bytes(bytes)),
            Said::Finished(stream) => {
                self.tell_stream(stream, Tell::Finished);
                self.over(stream, Direction::Received);
                return;
            }
            Said::Opened(stream) => {
                if let Some(id) = self.stream_ids.get(&stream).copied() {
                    self.accept_by_stream(id, Accepts::OnceOpened);
                }
                (stream, Tell::Done)
            }
            Said::Reset { stream, failure } => {
                self.doubt(&failure);
                self.spare(stream);
                if let Some(id) = self.forget_stream(stream) {
                    self.fail(id, failure);
                }
                return;
            }
            Said::Stopped(stream) => {
                self.tell_stream(stream, Tell::End);
                self.spare(stream);
                self.over(stream, Direction::Sent);
                return;
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

    /// Others end what the site may be writing in this moment.
    fn spare(&mut self, stream: StreamKey) {
        let unspent = self.stream_mut(stream).map_or(0, |state| state.unspent());
        self.patience.spare(unspent);
    }

    /// One direction is over; with both, so is the stream. Whether that is news.
    fn over(&mut self, stream: StreamKey, direction: Direction) -> bool {
        let Some(StreamState::Made { sent, received, .. }) = self.stream_mut(stream) else { return false };
        let before = match direction {
            Direction::Received => std::mem::replace(received, true),
            Direction::Sent => std::mem::replace(sent, true),
        };
        if *sent && *received {
            self.forget_stream(stream);
        }
        !before
    }

    fn stream_mut(&mut self, stream: StreamKey) -> Option<&mut StreamState> {
        match self.requests.get_mut(self.stream_ids.get(&stream)?) {
            Some(Pending::Stream(state)) => Some(state),
            _ => None,
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
