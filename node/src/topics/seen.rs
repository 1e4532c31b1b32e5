//! Messages that were seen, so that each is delivered and passed on once.

use bitters_machine::map::Set;
use std::collections::VecDeque;

use bitters_wire::id::MessageId;

/// Messages remembered; the oldest is forgotten first. 40 s at the rate that one frame may publish.
const CAPACITY: usize = 8192;

/// A bounded set.
#[derive(Debug, Default)]
pub struct Seen {
    known: Set<MessageId>,
    order: VecDeque<MessageId>,
}

impl Seen {
    /// Whether this is the first time.
    #[must_use]
    pub fn insert(&mut self, id: MessageId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_new_once_while_remembered() {
        let mut seen = Seen::default();
        let id = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
            MessageId(bytes)
        };

        let firsts = (0..CAPACITY).filter(|n| seen.insert(id(*n))).count();
        assert_eq!(firsts, CAPACITY);
        assert!(!seen.insert(id(0)));
        assert!(seen.insert(id(CAPACITY)));
        assert!(seen.insert(id(0)), "the oldest was forgotten");
        assert_eq!((seen.known.len(), seen.order.len()), (CAPACITY, CAPACITY));
    }
}
