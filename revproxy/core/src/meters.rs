//! Rates of sources in a table that never grows: whoever floods us from many addresses, forged or not, can't fill the memory. Sources
//! whose keyed hashes meet share a rate, one pair in four thousand; nobody outside can tell which.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
};

use bitters_machine::{random::Random, time::Instant};

use crate::{
    rate::{Bucket, Rate},
    source::Source,
};

/// Of a table: 64 KiB of buckets, a quarter megabyte of credits.
const SLOTS: usize = 4096;

const UNBOUNDED: Rate = Rate { burst: u32::MAX, per_second: u32::MAX };

/// How much came from each source.
#[derive(Debug)]
pub(crate) struct Meters {
    buckets: Box<[Bucket]>,
    secret: Secret,
}

/// Bytes that came from an address and haven't been answered. Of two addresses that meet in a slot, the later one starts anew.
#[derive(Debug)]
pub(crate) struct Credits {
    slots: Box<[Option<(SocketAddr, usize)>]>,
    secret: Secret,
}

/// What hashes begin with. Whoever doesn't know it can't tell which sources meet.
#[derive(Debug)]
struct Secret([u8; 16]);

impl Meters {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self { buckets: vec![Bucket::default(); SLOTS].into(), secret: Secret(random.bytes()) }
    }

    #[must_use]
    pub(crate) fn take(&mut self, source: Source, amount: u32, rate: Rate, now: Instant) -> bool {
        self.take_of((), source, amount, (rate, UNBOUNDED), now)
    }

    /// Takes from what is left to a source, and to the wider networks that it is in, of something that has a rate for each of `whose`. A
    /// network has at most half of that.
    #[must_use]
    pub(crate) fn take_of(
        &mut self,
        whose: impl Hash + Copy,
        source: Source,
        amount: u32,
        (rate, of_all): (Rate, Rate),
        now: Instant,
    ) -> bool {
        let slots = source.nets().map(|net| (self.secret.slot_of((whose, net)), net.rate_within(rate, of_all)));
        let within = slots.clone().all(|(at, rate)| self.buckets[at].has(amount, rate, now));
        for (at, rate) in slots.filter(|_| within) {
            let _ = self.buckets[at].take(amount, rate, now);
        }
        within
    }
}

impl Credits {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self { slots: vec![None; SLOTS].into(), secret: Secret(random.bytes()) }
    }

    /// Counts what came from `peer`, and takes from that what is to go there. Takes nothing where less has come.
    #[must_use]
    pub(crate) fn exchange(&mut self, peer: SocketAddr, came: usize, goes: usize) -> bool {
        let credit = &mut self.slots[self.secret.slot_of(peer)];
        let before = credit.filter(|&(known, _)| known == peer).map_or(0, |(_, bytes)| bytes);
        // More than an answer or two is never needed.
        let bytes = (before + came).min(MAX_CREDIT);
        let enough = goes <= bytes;
        *credit = Some((peer, if enough { bytes - goes } else { bytes }));
        enough
    }
}

const MAX_CREDIT: usize = 128;

impl Secret {
    fn slot_of(&self, what: impl Hash) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.0, what).hash(&mut hasher);
        usize::try_from(hasher.finish() % SLOTS as u64).expect("a slot's number is small")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_source_has_its_own_rate() {
        let mut meters = Meters::new(&mut Random::new([1; 32]));
        let rate = Rate { burst: 3, per_second: 1 };
        let source = |n: u32| Source::from(IpAddr::V4(Ipv4Addr::from_bits(n << 8)));

        let taken = (0..10).filter(|_| meters.take(source(1), 1, rate, Instant::START)).count();
        let others = (2..502).filter(|&n| meters.take(source(n), 1, rate, Instant::START)).count();

        assert_eq!(taken, 3);
        assert!(others > 490, "{others}");
    }

    #[test]
    fn many_sources_of_one_network_share_a_rate() {
        let mut meters = Meters::new(&mut Random::new([1; 32]));
        let rate = Rate { burst: 3, per_second: 1 };
        let source = |bits: u128| Source::from(IpAddr::V6(Ipv6Addr::from_bits(bits)));
        let mut takes = |bits| (0..10).filter(|_| meters.take(source(bits), 1, rate, Instant::START)).count();

        // A few meet in one slot.
        let of_a_48: usize = (0..40_u128).map(|n| takes(n << 72)).sum();
        let of_others: usize = (1..11_u128).map(|n| takes(n << 80)).sum();

        assert!((40..=16 * 3).contains(&of_a_48), "{of_a_48}");
        assert!((20..=30).contains(&of_others), "{of_others}");
    }

    #[test]
    fn nobody_gets_more_than_came() {
        let mut credits = Credits::new(&mut Random::new([1; 32]));
        let (one, two) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 1], 2)));

        assert!(!credits.exchange(one, 20, 32));
        assert!(!credits.exchange(two, 20, 32));
        assert!(credits.exchange(one, 20, 32));
        assert!(!credits.exchange(one, 20, 32));
        (0..1000).for_each(|_| assert!(credits.exchange(one, 100, 0)));
        assert!(!credits.exchange(one, 100, MAX_CREDIT + 1));
    }
}
