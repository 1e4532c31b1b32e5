//! What is to happen, in its order.

use std::{cmp::Reverse, collections::BinaryHeap};

use bitters_machine::time::Instant;

/// Events by their time; of those at one time, by the order in which they were noted.
#[derive(Debug)]
pub struct Clock<E> {
    order: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    count: u64,
}

impl<E> Clock<E> {
    pub const fn new() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), count: 0 }
    }

    /// Notes what happens at a time.
    pub fn at(&mut self, at: Instant, event: E) {
        self.count += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.order.push(Reverse((at, self.count, place)));
    }

    /// What happens next, and when.
    pub fn next(&mut self) -> Option<(Instant, E)> {
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        Some((at, self.events[place].take().expect("an event happens once")))
    }
}
