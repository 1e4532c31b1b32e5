//! Numbers and acknowledgement: what was sent and not yet acknowledged, what has arrived, and when to say so.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::time::Instant;

use crate::message::Message;

/// What became of a numbered message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Messages before it are missing: it will be sent again after them.
    Gap,
    /// The next one.
    New,
    /// Seen before.
    Seen,
}

/// The peer acknowledges what was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSent;

/// Both directions of one session.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: u64,
    /// The messages that end with number `sent`.
    unacked: VecDeque<Message>,
    received: u64,
    debt: Option<Debt>,
}

/// Packets that the peer waits to see acknowledged.
#[derive(Clone, Copy, Debug)]
struct Debt {
    packets: u32,
    bytes: usize,
    since: Instant,
}

impl Ledger {
    /// The last number used.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Numbers a message and keeps it until it is acknowledged.
    pub fn record(&mut self, message: Message) -> u64 {
        self.unacked.push_back(message);
        self.sent += 1;
        self.sent
    }

    /// Takes messages back. The caller knows that nothing has been sent yet.
    pub fn retract(&mut self, keep: impl FnMut(&Message) -> bool) {
        let acked = self.acked();
        self.unacked.retain(keep);
        self.sent = acked + self.unacked.len() as u64;
    }

    /// Messages that wait to be acknowledged.
    pub fn in_flight(&self) -> usize {
        self.unacked.len()
    }

    /// Those messages with their numbers, in order.
    pub fn unacked(&self) -> impl Iterator<Item = (u64, &Message)> {
        (self.acked() + 1..).zip(&self.unacked)
    }

    /// The peer has everything up to `acked`: returns what needs to be kept no longer.
    pub fn settle(&mut self, acked: u64) -> Result<impl Iterator<Item = Message>, NeverSent> {
        if acked > self.sent {
            return Err(NeverSent);
        }
        let count = acked.saturating_sub(self.acked());
        Ok(self.unacked.drain(..usize::try_from(count).expect("at most as many as are kept")))
    }

    /// A numbered message of `bytes` bytes arrived.
    pub fn receive(&mut self, number: u64, bytes: usize, now: Instant) -> Receipt {
        let debt = self.debt.get_or_insert(Debt { packets: 0, bytes: 0, since: now });
        debt.packets = debt.packets.saturating_add(1);
        debt.bytes = debt.bytes.saturating_add(bytes);
        if number <= self.received {
            Receipt::Seen
        } else if number == self.received + 1 {
            self.received = number;
            Receipt::New
        } else {
            Receipt::Gap
        }
    }

    /// For a packet that goes out now: what it acknowledges. Nothing is owed after it.
    pub fn acknowledge(&mut self) -> u64 {
        self.debt = None;
        self.received
    }

    /// When an acknowledgement goes out by itself, unless a packet carries it before.
    pub fn ack_due(&self) -> Option<Instant> {
        self.debt.map(|debt| {
            let many = debt.packets >= ACK_PACKETS || debt.bytes >= ACK_BYTES;
            if many { debt.since } else { debt.since + ACK_DELAY }
        })
    }

    /// The peer has acknowledged everything up to this number.
    pub fn acked(&self) -> u64 {
        self.sent - self.unacked.len() as u64
    }
}

/// A packet in eight is little, and the sender's window never waits for it.
const ACK_PACKETS: u32 = 8;

/// An eighth of a stream's window. Where its reader keeps pace, the packets that carry its credit acknowledge as well.
const ACK_BYTES: usize = 256 * 1024;

/// As in QUIC (RFC 9000, section 18.2).
const ACK_DELAY: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Act;

    #[test]
    fn a_message_is_kept_until_it_is_acknowledged() {
        let mut ledger = Ledger::default();
        for stream in [10, 20, 30] {
            ledger.record(message(stream));
        }

        assert_eq!(ledger.settle(2).unwrap().collect::<Vec<_>>(), [message(10), message(20)]);
        assert_eq!(ledger.settle(1).unwrap().count(), 0);
        assert_eq!(ledger.unacked().collect::<Vec<_>>(), [(3, &message(30))]);
        assert_eq!(ledger.settle(4).err(), Some(NeverSent));
    }

    #[test]
    fn what_is_delivered_has_no_gap_and_nothing_twice() {
        let mut ledger = Ledger::default();
        let receipts = [1, 3, 2, 2, 3].map(|number| ledger.receive(number, 10, Instant::START));

        assert_eq!(receipts, [Receipt::New, Receipt::Gap, Receipt::New, Receipt::Seen, Receipt::New]);
        assert_eq!(ledger.acknowledge(), 3);
    }

    #[test]
    fn an_acknowledgement_waits_a_little_and_not_for_many() {
        let mut ledger = Ledger::default();
        let arrival = Instant::from_millis(100);

        assert_eq!(ledger.ack_due(), None);
        ledger.receive(1, 10, arrival);
        assert_eq!(ledger.ack_due(), Some(arrival + ACK_DELAY));
        for number in 2..=8 {
            ledger.receive(number, 10, arrival);
        }
        assert_eq!(ledger.ack_due(), Some(arrival));
        ledger.acknowledge();
        assert_eq!(ledger.ack_due(), None);
        ledger.receive(9, ACK_BYTES, arrival);
        assert_eq!(ledger.ack_due(), Some(arrival));
    }

    fn message(stream: u64) -> Message {
        Message { stream, act: Act::Finish }
    }
}
