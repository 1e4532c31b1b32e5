//! Which dials a listener is told of, and when. A listener opens a few connections at once, and doesn't know where a dial comes from. So it is
//! told of few within a moment, and of the next one from the network that it was told of least: strangers who dial from a few networks and
//! never finish don't keep the dials of another network waiting.

use std::collections::VecDeque;

use bitters_machine::time::Instant;
use bitters_wire::address::Token;

use super::{Config, Proxy};
use crate::source::Source;

/// What a listener was told of lately: when, and where from.
#[derive(Debug, Default)]
pub(super) struct Told(VecDeque<(Instant, Source)>);

impl Told {
    /// Since when there is room to be told of one more: from now on, or later.
    fn next(&mut self, config: &Config, now: Instant) -> Instant {
        while self.0.front().is_some_and(|&(at, _)| at + config.told_time <= now) {
            self.0.pop_front();
        }
        let oldest = self.0.front().filter(|_| self.0.len() >= config.told_per_listener);
        oldest.map_or(now, |&(at, _)| at + config.told_time)
    }

    /// How often it was told of a source's network, and of the source.
    fn of(&self, source: Source) -> (usize, usize) {
        let in_network = self.0.iter().filter(|(_, it)| it.widest() == source.widest());
        (in_network.clone().count(), in_network.filter(|(_, it)| *it == source).count())
    }
}

impl Proxy {
    /// Tells a listener of dials that wait for that, as far as there is room.
    pub(super) fn tell_some(&mut self, token: Token, now: Instant) {
        while let Some(listener) = self.listeners.get_mut(&token) {
            let at = listener.told.next(&self.config, now);
            if at > now {
                self.turns.insert((at, token));
                return;
            }
            let Some((id, source)) = self.next_of(token) else { return };
            self.listeners.get_mut(&token).expect("it was looked up above").told.0.push_back((now, source));
            self.passages.get_mut(&id).expect("it is pending").told = true;
            self.tell(id);
        }
    }

    /// The dial that a listener is told of next; of those that are equal the oldest.
    fn next_of(&self, token: Token) -> Option<(u64, Source)> {
        let told = &self.listeners.get(&token)?.told;
        let untold = self.pending.of(token).filter(|id| !self.passages[id].told);
        untold.map(|id| (id, self.pending.source(id))).min_by_key(|(_, source)| told.of(*source))
    }
}
