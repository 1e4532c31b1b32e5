//! What a node keeps for others.
//!
//! A shelf has a fixed number of places, and a record takes one place, however long it is. So a newer record always
//! fits in the place of the older one. Each record is counted against the link that brought it. A new record of a
//! link that has used its part replaces the farthest record of that link. A new record on a full shelf replaces the
//! farthest record of all. In both cases the new record must be nearer than the one that it replaces. *Far* and
//! *near* are distances on the ring from the node.
//!
//! An attacker gets records near any node by making keys until some fit. That is why a link's part is a quarter of
//! the places: whatever it brings, the others have three quarters. Four links that work together can fill the shelf.

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::id::NodeId;

use crate::{
    blind::BlindedKey,
    rates::Rates,
    record::{BadRecord, MAX_RECORD, Record, Salt},
};

pub use crate::rates::PUTS_PER_MINUTE;

/// Bytes of encoded records on a shelf, at most.
pub const QUOTA: usize = 512 * 1024;

/// Records on a shelf, at most: as many as fit however long they are.
pub const PLACES: usize = QUOTA / MAX_RECORD;

/// Records that are counted against one link, at most.
pub const LINK_PLACES: usize = PLACES / 4;

/// Records that a node keeps for others.
#[derive(Debug, Default)]
pub struct Shelf {
    kept: Map<(BlindedKey, Salt), Kept>,
    rates: Rates,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    /// The link that it is counted against.
    from: NodeId,
    distance: u64,
}

/// What became of a good record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The shelf has this very record already.
    Known,
    /// The shelf keeps it, and had no record of its key and salt.
    New,
    /// The shelf keeps it in place of an older record.
    Renewed,
    /// The shelf doesn't keep it, because it has this newer record. The caller sends that back, so that nodes with
    /// the older record can replace it.
    Stale(Box<Record>),
}

/// Why a record isn't kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The record isn't good.
    #[error(transparent)]
    Bad(#[from] BadRecord),
    /// The shelf has another record of the same sequence number.
    #[error("another record has the same sequence number")]
    Conflict,
    /// All places are taken, by records that are as near or nearer.
    #[error("the shelf is full of nearer records")]
    Full,
    /// The link has used its part of the places, for records that are as near or nearer.
    #[error("the link's part of the shelf is full of nearer records")]
    LinkFull,
    /// The link puts records more often than [`PUTS_PER_MINUTE`].
    #[error("more than {PUTS_PER_MINUTE} records a minute")]
    Rate,
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a record that came over the link with `from`, and keeps it if there is room. `distance` is from the
    /// node to the nearer of the record's [positions](crate::place::positions) on the ring. `unix` is the time in
    /// unix seconds, which records end by. `now` is the time that rates are measured by.
    ///
    /// # Errors
    /// [`Refusal`] says why the shelf doesn't keep the record. The shelf stays as it was.
    pub fn put(
        &mut self,
        record: Record,
        from: NodeId,
        distance: u64,
        unix: u64,
        now: Instant,
    ) -> Result<Put, Refusal> {
        if !self.rates.take(from, now) {
            return Err(Refusal::Rate);
        }
        record.check(unix)?;
        self.forget(unix);
        let new = Kept { record, from, distance };
        if self.kept.contains_key(&new.name()) { self.renew(new) } else { self.add(new) }
    }

    /// The record of a key and a salt, if the shelf has it and it hasn't expired at `unix` seconds.
    #[must_use]
    pub fn get(&self, key: BlindedKey, salt: Salt, unix: u64) -> Option<&Record> {
        self.kept.get(&(key, salt)).map(|kept| &kept.record).filter(|record| !record.has_expired(unix))
    }

    /// All records that haven't expired at `unix` seconds, to hand them over to a new neighbour.
    pub fn records(&self, unix: u64) -> impl Iterator<Item = &Record> {
        self.kept.values().map(|kept| &kept.record).filter(move |record| !record.has_expired(unix))
    }

    /// Forgets records that have expired at `unix` seconds.
    pub fn forget(&mut self, unix: u64) {
        self.kept.retain(|_, kept| !kept.record.has_expired(unix));
    }

    /// When the first record expires, in unix seconds. [`forget`](Self::forget) has nothing to do before.
    #[must_use]
    pub fn next_expiry(&self) -> Option<u64> {
        self.kept.values().map(|kept| kept.record.until()).min()
    }

    /// Puts a record in the place of the older one of its key and salt. It is counted against its own link, if that
    /// has room, or else against the older record's link.
    fn renew(&mut self, new: Kept) -> Result<Put, Refusal> {
        let has_room = self.of_link(new.from) < LINK_PLACES;
        let old = self.kept.get_mut(&new.name()).expect("the caller saw it");
        if old.record.seq() > new.record.seq() {
            Ok(Put::Stale(Box::new(old.record.clone())))
        } else if old.record == new.record {
            Ok(Put::Known)
        } else if old.record.seq() == new.record.seq() {
            Err(Refusal::Conflict)
        } else {
            let from = if has_room { new.from } else { old.from };
            *old = Kept { from, ..new };
            Ok(Put::Renewed)
        }
    }

    /// Puts a record in a free place, or in the place of the farthest record that may be replaced.
    fn add(&mut self, new: Kept) -> Result<Put, Refusal> {
        if self.of_link(new.from) >= LINK_PLACES {
            self.make_room(new.distance, |kept| kept.from == new.from).ok_or(Refusal::LinkFull)?;
        } else if self.kept.len() >= PLACES {
            self.make_room(new.distance, |_| true).ok_or(Refusal::Full)?;
        }
        self.kept.insert(new.name(), new);
        Ok(Put::New)
    }

    /// Removes the farthest of the records that `of` names, if that is farther than `distance`.
    fn make_room(&mut self, distance: u64, of: impl Fn(&Kept) -> bool) -> Option<()> {
        let farthest = self.kept.values().filter(|kept| of(kept)).max_by_key(|kept| kept.distance)?;
        let name = (farthest.distance > distance).then(|| farthest.name())?;
        self.kept.remove(&name).map(drop)
    }

    /// How many records are counted against a link.
    fn of_link(&self, link: NodeId) -> usize {
        self.kept.values().filter(|kept| kept.from == link).count()
    }
}

impl Kept {
    fn name(&self) -> (BlindedKey, Salt) {
        (self.record.key(), self.record.salt())
    }
}

#[cfg(test)]
mod tests;
