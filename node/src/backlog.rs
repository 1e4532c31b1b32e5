//! Packets that wait, within a bound. What doesn't fit is lost, and said to be when all others have gone: sessions then say it again.

use std::collections::VecDeque;

use bitters_machine::map::Set;
use bitters_wire::id::{FrameId, PersonaId};

/// Whom to tell that something is to be said again: frames, and the personas that they talk with.
pub type Lost = Set<(FrameId, PersonaId)>;

/// What waits, in order.
#[derive(Debug)]
pub struct Backlog<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
    most: usize,
    lost: Lost,
}

impl<T> Backlog<T> {
    /// Nothing yet, and never more than so many bytes.
    pub const fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, most, lost: Lost::new() }
    }

    /// Something of so many bytes waits, from a frame to a persona.
    pub fn push(&mut self, from: FrameId, to: PersonaId, bytes: usize, what: T) {
        if !self.offer(bytes, what) {
            self.lost.insert((from, to));
        }
    }

    /// Something of so many bytes waits, if there is room. Tells whether there is; nobody else is told.
    pub fn offer(&mut self, bytes: usize, what: T) -> bool {
        let fits = self.bytes + bytes <= self.most;
        if fits {
            self.bytes += bytes;
            self.waiting.push_back((bytes, what));
        }
        fits
    }

    /// Bytes of all that waits.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the first that waits.
    pub fn next_bytes(&self) -> Option<usize> {
        self.waiting.front().map(|(bytes, _)| *bytes)
    }

    /// The first that waits; with the last come those who have lost something.
    pub fn pop(&mut self) -> Option<(T, Lost)> {
        let (bytes, what) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        let lost = if self.is_empty() { std::mem::take(&mut self.lost) } else { Lost::new() };
        Some((what, lost))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_lost_and_said_with_the_last() {
        let (frame, peer) = (FrameId::from_random([1; 16]), PersonaId([2; 32]));
        let mut backlog = Backlog::new(10);
        for (n, bytes) in [(1, 4), (2, 4), (3, 4), (4, 2)] {
            backlog.push(frame, peer, bytes, n);
        }
        assert_eq!(backlog.next_bytes(), Some(4));
        let gone: Vec<_> = std::iter::from_fn(|| backlog.pop()).collect();
        assert_eq!(gone, [(1, Lost::new()), (2, Lost::new()), (4, Lost::from_iter([(frame, peer)]))]);
        backlog.push(frame, peer, 10, 5);
        assert_eq!(backlog.pop(), Some((5, Lost::new())), "it is said once");
    }
}
