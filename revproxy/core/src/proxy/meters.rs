//! Rates of sources in a table that never grows: whoever floods us from many addresses, forged or not, can't fill the memory. Sources
//! whose keyed hashes meet share a rate, one pair in four thousand; nobody outside can tell which.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
};

use bitters_machine::time::Instant;

use crate::{
    rate::{Bucket, Rate},
    source::Source,
};

/// Of a table: 64 KiB of buckets, a quarter megabyte of credits.
const SLOTS: usize = 4096;

/// How much came from each source.
#[derive(Debug)]
pub(super) struct Meters {
    buckets: Box<[Bucket]>,
    hasher: RandomState,
}

/// Bytes that came from an address and haven't been answered. Of two addresses that meet in a slot, the later one starts anew.
#[derive(Debug)]
pub(super) struct Credits {
    slots: Box<[Option<(SocketAddr, usize)>]>,
    hasher: RandomState,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self { buckets: vec![Bucket::default(); SLOTS].into(), hasher: RandomState::new() }
    }

    #[must_use]
    pub(super) fn take(&mut self, source: Source, amount: u32, rate: Rate, now: Instant) -> bool {
        self.buckets[slot(self.hasher.hash_one(source))].take(amount, rate, now)
    }
}

impl Credits {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; SLOTS].into(), hasher: RandomState::new() }
    }

    /// Counts what came from `peer`, and takes from that what is to go there. Takes nothing where less has come.
    #[must_use]
    pub(super) fn exchange(&mut self, peer: SocketAddr, came: usize, goes: usize) -> bool {
        let credit = &mut self.slots[slot(self.hasher.hash_one(peer))];
        let before = credit.filter(|&(known, _)| known == peer).map_or(0, |(_, bytes)| bytes);
        // More than an answer or two is never needed.
        let bytes = (before + came).min(MAX_CREDIT);
        let enough = goes <= bytes;
        *credit = Some((peer, if enough { bytes - goes } else { bytes }));
        enough
    }
}

const MAX_CREDIT: usize = 128;

fn slot(hash: u64) -> usize {
    usize::try_from(hash % SLOTS as u64).expect("a slot's number is small")
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn a_source_has_its_own_rate() {
        let mut meters = Meters::new();
        let rate = Rate { burst: 3, per_second: 1 };
        let source = |n| Source::from(IpAddr::V4(Ipv4Addr::from_bits(n)));

        let taken = (0..10).filter(|_| meters.take(source(1), 1, rate, Instant::START)).count();
        let others = (2..502).filter(|&n| meters.take(source(n), 1, rate, Instant::START)).count();

        assert_eq!(taken, 3);
        assert!(others > 490, "{others}");
    }

    #[test]
    fn nobody_gets_more_than_came() {
        let mut credits = Credits::new();
        let (one, two) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 1], 2)));

        assert!(!credits.exchange(one, 20, 32));
        assert!(!credits.exchange(two, 20, 32));
        assert!(credits.exchange(one, 20, 32));
        assert!(!credits.exchange(one, 20, 32));
        (0..1000).for_each(|_| assert!(credits.exchange(one, 100, 0)));
        assert!(!credits.exchange(one, 100, MAX_CREDIT + 1));
    }
}
