//! This node's own records, put where others look.

use std::time::Duration;

use bitters_machine::{backoff, map::Map, time::Instant};
use bitters_record::{
    place::POSITIONS,
    record::{Record, TTL_SECS},
};

use crate::{Name, word::Reply};

/// After this time a record is put again: nodes near its positions come and go.
const AGAIN: Duration = Duration::from_secs(2400);
/// Where it wasn't kept it is put again after this, and later and later.
const RETRY: Duration = Duration::from_secs(20);
/// The longest pause.
const RETRY_LAST: Duration = Duration::from_secs(300);
/// A record that is as old isn't put any longer.
const LIFE: Duration = Duration::from_secs(TTL_SECS);

#[derive(Debug)]
struct Own {
    record: Record,
    since: Instant,
    /// When it is to be put at each position, and how often it wasn't kept there.
    places: [(Instant, u32); POSITIONS],
}

/// The own records.
#[derive(Debug)]
pub struct Publishing {
    own: Map<Name, Own>,
    rng: fastrand::Rng,
}

impl Publishing {
    /// None yet, with random numbers from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { own: Map::new(), rng: fastrand::Rng::with_seed(seed) }
    }

    /// Publishes a record, in place of an older one of its name. It is to be followed by another before it expires.
    pub fn publish(&mut self, record: Record, now: Instant) {
        let name = (record.key(), record.salt());
        self.own.insert(name, Own { record, since: now, places: [(now, 0); POSITIONS] });
    }

    /// Publishes it no longer. Nodes that keep it do so until it expires.
    pub fn withdraw(&mut self, name: Name) {
        self.own.remove(&name);
    }

    /// What is to be put now, and at which position.
    pub fn next_put(&mut self, now: Instant) -> Option<(Record, usize)> {
        self.own.retain(|_, own| now.since(own.since) < LIFE);
        let Self { own, rng } = self;
        own.values_mut().find_map(|own| {
            let place = own.places.iter().position(|(at, _)| *at <= now)?;
            let (at, failures) = &mut own.places[place];
            *at = now + backoff(RETRY, *failures, RETRY_LAST, rng);
            *failures += 1;
            Some((own.record.clone(), place))
        })
    }

    /// What became of a record that was put. The record in its place, if that is newer: it isn't this node's.
    pub fn on_reply(&mut self, name: Name, place: usize, reply: Option<Reply>, now: Instant) -> Option<Record> {
        let own = self.own.get_mut(&name)?;
        match reply {
            Some(Reply::Kept) => own.places[place] = (now + AGAIN, 0),
            Some(Reply::Record(newer)) if newer.seq() > own.record.seq() => return Some(newer),
            Some(Reply::Nothing | Reply::Record(_)) | None => {}
        }
        None
    }

    /// When something is to be put next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.own.values().flat_map(|own| own.places).map(|(at, _)| at).min()
    }
}
