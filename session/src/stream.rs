//! One stream: flow control by credit, in each direction.
//!
//! A writer may send up to the total offset that the reader told it. The reader tells at most [`STREAM_WINDOW`] beyond what has
//! arrived, so a sender never keeps more than that for a stream, whatever the peer says.

use std::collections::VecDeque;

use bitters_wire::{
    limits::{MAX_CHUNK, STREAM_WINDOW},
    packet::Service,
};

use crate::{
    WriteError,
    call::{Caller, Handler},
    keys::StreamKey,
    message::Act,
};

/// A stream of a session.
#[derive(Debug)]
pub struct Stream {
    pub user: User,
    pub sender: Sender,
    pub receiver: Receiver,
    /// Opened here, and the peer hasn't taken it yet.
    pub opening: Option<Opening>,
}

/// What it takes to open a stream again: the frame that was asked may serve this no longer while another of the peer's does.
#[derive(Debug)]
pub struct Opening {
    pub service: Service,
    /// What has gone of a call's argument.
    pub sent: Vec<u8>,
    /// One frame has refused it already. There is no third.
    pub again: bool,
}

impl Opening {
    pub const fn new(service: Service) -> Self {
        Self { service, sent: Vec::new(), again: false }
    }
}

/// Whom a stream is for.
#[derive(Debug)]
pub enum User {
    /// A call that this side makes.
    Caller(Caller),
    /// A call that this side answers.
    Handler(Handler),
    /// The site's own.
    Site(StreamKey),
}

impl Stream {
    /// Whether nothing more is to be said in either direction.
    pub fn is_over(&self) -> bool {
        self.sender.end == SenderEnd::Finished && self.receiver.end == ReceiverEnd::Finished
    }
}

/// The direction to the peer.
#[derive(Debug)]
pub struct Sender {
    /// The total offset that the peer allows.
    limit: u64,
    /// Total bytes handed over by the writer, sent, and acknowledged.
    accepted: u64,
    sent: u64,
    acked: u64,
    /// What was accepted and is not sent, in slices.
    pending: VecDeque<Vec<u8>>,
    end: SenderEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderEnd {
    Open,
    /// Finished by the writer; what is pending goes first.
    Finishing,
    Finished,
}

impl Sender {
    /// A direction in which the peer allows `limit` bytes unasked.
    pub const fn new(limit: u64) -> Self {
        Self { limit, accepted: 0, sent: 0, acked: 0, pending: VecDeque::new(), end: SenderEnd::Open }
    }

    /// Total bytes that the peer has acknowledged.
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// Bytes of a writer that keeps to the credit it was told.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.end != SenderEnd::Open {
            return Err(WriteError::Closed);
        }
        if self.accepted.saturating_add(bytes.len() as u64) > self.limit {
            return Err(WriteError::NoCredit);
        }
        self.queue(bytes);
        Ok(())
    }

    /// Bytes that wait for credit here. Dropped after the end.
    pub fn queue(&mut self, mut bytes: &[u8]) {
        if self.end != SenderEnd::Open {
            return;
        }
        self.accepted += bytes.len() as u64;
        while !bytes.is_empty() {
            let last = match self.pending.back_mut() {
                Some(last) if last.len() < MAX_CHUNK => last,
                _ => self.pending.push_back_mut(Vec::new()),
            };
            let (now, later) = bytes.split_at(bytes.len().min(MAX_CHUNK - last.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// No more bytes come from the writer.
    pub fn finish(&mut self) {
        if self.end == SenderEnd::Open {
            self.end = SenderEnd::Finishing;
        }
    }

    /// The peer wants no more bytes: what is pending is dropped. Whether the writer is still at it.
    pub fn stop(&mut self) -> bool {
        let news = self.end == SenderEnd::Open;
        self.pending.clear();
        self.finish();
        news
    }

    /// Whether [`Sender::next`] has something.
    pub fn is_ready(&self) -> bool {
        match self.pending.front() {
            Some(_) => self.sent < self.limit,
            None => self.end == SenderEnd::Finishing,
        }
    }

    /// What goes out next: a slice within the credit, or the end.
    pub fn next(&mut self) -> Option<Act> {
        if !self.is_ready() {
            return None;
        }
        let Some(mut slice) = self.pending.pop_front() else {
            self.end = SenderEnd::Finished;
            return Some(Act::Finish);
        };
        let room = usize::try_from(self.limit - self.sent).unwrap_or(usize::MAX);
        if slice.len() > room {
            self.pending.push_front(slice.split_off(room));
        }
        self.sent += slice.len() as u64;
        Some(Act::Data(slice))
    }

    /// As it was before anything went, for another frame of the peer's. `sent` is all that has gone.
    pub fn restart(self, limit: u64, sent: &[u8]) -> Self {
        let mut sender = Self::new(limit);
        sender.queue(sent);
        self.pending.iter().for_each(|slice| sender.queue(slice));
        if self.end != SenderEnd::Open {
            sender.finish();
        }
        sender
    }

    /// The peer has received `bytes` bytes more.
    pub const fn on_acked(&mut self, bytes: usize) {
        self.acked += bytes as u64;
    }

    /// The peer allows more: the new limit, if the writer may do more by it. An honest reader has acknowledged what it counts
    /// from; beyond the window after that no credit is taken.
    pub fn on_credit(&mut self, limit: u64) -> Option<u64> {
        let limit = limit.min(self.acked + STREAM_WINDOW);
        if limit <= self.limit {
            return None;
        }
        self.limit = limit;
        (self.end == SenderEnd::Open).then_some(limit)
    }
}

/// The direction from the peer.
#[derive(Debug)]
pub struct Receiver {
    /// The total offset that the reader allows, and that the peer was told.
    wanted: u64,
    told: u64,
    received: u64,
    end: ReceiverEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReceiverEnd {
    Open,
    /// The reader wants no more; what still arrives is dropped.
    Stopped,
    Finished,
}

/// The peer sent more than it was allowed, or after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun;

impl Receiver {
    /// A direction in which the peer may send `limit` bytes unasked.
    pub const fn new(limit: u64) -> Self {
        Self { wanted: limit, told: limit, received: 0, end: ReceiverEnd::Open }
    }

    /// The reader allows more. Never lowered, and at most the window beyond what has arrived.
    pub fn allow(&mut self, limit: u64) {
        self.wanted = self.wanted.max(limit.min(self.received + STREAM_WINDOW));
    }

    /// The credit to tell the peer now, if it is worth a packet: a quarter of what the reader has room for.
    pub fn credit_due(&mut self) -> Option<u64> {
        let (gain, room) = (self.wanted - self.told, self.wanted.saturating_sub(self.received));
        if self.end != ReceiverEnd::Open || gain == 0 || gain < room / 4 {
            return None;
        }
        self.told = self.wanted;
        Some(self.told)
    }

    /// As it was before the peer was told anything, for another frame of the peer's. `None` if this one has said something already.
    pub fn restarted(&self, limit: u64) -> Option<Self> {
        let is_untouched = self.received == 0 && self.end != ReceiverEnd::Finished;
        is_untouched.then_some(Self { wanted: self.wanted, told: limit, received: 0, end: self.end })
    }

    /// Whether the peer is to send nothing.
    pub fn is_stopped(&self) -> bool {
        self.end == ReceiverEnd::Stopped
    }

    /// Bytes arrived: they are for the reader, or for nobody after a stop.
    pub fn receive(&mut self, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Overrun> {
        let received = self.received + bytes.len() as u64;
        if received > self.told || self.end == ReceiverEnd::Finished {
            return Err(Overrun);
        }
        self.received = received;
        Ok((self.end == ReceiverEnd::Open && !bytes.is_empty()).then_some(bytes))
    }

    /// The reader wants no more. Whether the peer is to be told.
    pub fn stop(&mut self) -> bool {
        let news = self.end == ReceiverEnd::Open;
        if news {
            self.end = ReceiverEnd::Stopped;
        }
        news
    }

    /// The peer finished. Whether that is news to the reader.
    pub fn finish(&mut self) -> bool {
        let news = self.end == ReceiverEnd::Open;
        self.end = ReceiverEnd::Finished;
        news
    }

    /// Whether the peer has used its credit, of which it had `told` in all, and waits for more.
    pub fn waits_at(&self, told: u64) -> bool {
        self.end == ReceiverEnd::Open && self.told == told && self.received == told
    }

    /// Whether the peer was told this credit and hasn't finished.
    pub fn is_granted(&self, told: u64) -> bool {
        self.end == ReceiverEnd::Open && self.told == told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_writer_keeps_to_its_credit() {
        let mut sender = Sender::new(0);

        assert_eq!(sender.write(b"x"), Err(WriteError::NoCredit));
        assert_eq!(sender.on_credit(3), Some(3));
        assert_eq!(sender.write(b"abcd"), Err(WriteError::NoCredit));
        assert_eq!(sender.write(b"abc"), Ok(()));
        sender.finish();
        assert_eq!(sender.write(b""), Err(WriteError::Closed));
        assert_eq!(sender.next(), Some(Act::Data(b"abc".to_vec())));
        assert_eq!(sender.next(), Some(Act::Finish));
        assert_eq!(sender.next(), None);
    }

    #[test]
    fn credit_is_bounded_by_what_was_acknowledged() {
        let mut sender = Sender::new(0);

        assert_eq!(sender.on_credit(u64::MAX), Some(STREAM_WINDOW));
        assert_eq!(sender.on_credit(u64::MAX), None);
        sender.on_acked(10);
        assert_eq!(sender.on_credit(u64::MAX), Some(STREAM_WINDOW + 10));
    }

    #[test]
    fn a_stop_drops_what_is_pending() {
        let mut sender = Sender::new(10);
        sender.write(b"abc").unwrap();

        assert!(sender.stop());
        assert_eq!(sender.next(), Some(Act::Finish));
        assert!(!sender.stop());
        assert_eq!(sender.write(b"d"), Err(WriteError::Closed));
    }

    #[test]
    fn small_gains_are_not_worth_a_packet_until_the_peer_needs_them() {
        let mut receiver = Receiver::new(0);
        receiver.allow(1000);
        assert_eq!(receiver.credit_due(), Some(1000));

        receiver.receive(vec![0; 100]).unwrap();
        receiver.allow(1100);
        assert_eq!(receiver.credit_due(), None);
        receiver.receive(vec![0; 900]).unwrap();
        assert_eq!(receiver.credit_due(), Some(1100));
    }

    #[test]
    fn beyond_the_credit_is_an_overrun() {
        let mut receiver = Receiver::new(3);
        assert_eq!(receiver.receive(b"abc".to_vec()), Ok(Some(b"abc".to_vec())));
        assert_eq!(receiver.receive(b"d".to_vec()), Err(Overrun));
        assert!(receiver.finish());
        assert_eq!(receiver.receive(Vec::new()), Err(Overrun));
    }

    proptest! {
        #[test]
        fn what_was_written_is_sent_in_order(
            writes in proptest::collection::vec(0..80_000_usize, 0..8),
            credits in proptest::collection::vec(1..90_000_u64, 1..20),
        ) {
            let mut sender = Sender::new(0);
            let all: Vec<u8> = writes.iter().enumerate().flat_map(|(i, &len)| vec![u8::try_from(i).unwrap(); len]).collect();
            let mut from = 0;
            for &len in &writes {
                sender.queue(&all[from..from + len]);
                from += len;
            }
            let (mut limit, mut sent) = (0, Vec::new());
            for credit in credits {
                limit += credit;
                sender.on_credit(limit);
                while let Some(Act::Data(slice)) = sender.next() {
                    prop_assert!(!slice.is_empty() && slice.len() <= MAX_CHUNK);
                    sent.extend(slice);
                }
                let expected = all.len().min(usize::try_from(sender.limit).unwrap());
                prop_assert_eq!(&sent, &all[..expected]);
            }
        }

        /// However a reader allows, its peer can always go on until it has all that is allowed.
        #[test]
        fn credit_is_never_withheld_for_good(steps in proptest::collection::vec((0..5000_u64, 0..3000_u64), 1..40)) {
            let (mut receiver, mut peer) = (Receiver::new(0), 0);
            for (limit, take) in steps {
                receiver.allow(limit);
                peer = receiver.credit_due().unwrap_or(peer);
                let bytes = take.min(peer - receiver.received);
                receiver.receive(vec![0; usize::try_from(bytes).unwrap()]).unwrap();
                peer = receiver.credit_due().unwrap_or(peer);
                prop_assert!(peer > receiver.received || receiver.wanted == receiver.received);
            }
        }
    }
}
