//! What happens later in a simulated world, in order.

use std::{collections::BTreeMap, time::Duration};

use crate::time::Instant;

/// Events under way. Those of one pipe keep their order.
#[derive(Debug)]
pub struct Agenda<Event, Pipe> {
    /// In boxes: a tree moves what it holds.
    events: BTreeMap<(Instant, u64), Box<Event>>,
    pipes: BTreeMap<Pipe, Instant>,
    counted: u64,
}

impl<Event, Pipe: Ord> Default for Agenda<Event, Pipe> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), pipes: BTreeMap::new(), counted: 0 }
    }
}

impl<Event, Pipe: Ord> Agenda<Event, Pipe> {
    /// Something happens at its time.
    pub fn at(&mut self, at: Instant, event: Event) {
        self.counted += 1;
        self.events.insert((at, self.counted), Box::new(event));
    }

    /// Something arrives at the end of a pipe, not before what was sent earlier.
    pub fn through(&mut self, pipe: Pipe, now: Instant, latency: Duration, event: Event) {
        let last = self.pipes.entry(pipe).or_default();
        *last = (*last).max(now + latency);
        let at = *last;
        self.at(at, event);
    }

    /// When the next event is.
    pub fn next(&self) -> Option<Instant> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next event.
    pub fn take(&mut self) -> Option<Event> {
        self.events.pop_first().map(|(_, event)| *event)
    }
}
