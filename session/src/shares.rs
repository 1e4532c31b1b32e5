//! What peers share of a frame. Each has some of it, however much the others want.
//!
//! The site's node has at most 24 links for one persona, so no more peers than that press on a frame at once.

use bitters_machine::{
    map::Map,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::{id::PersonaId, limits::MAX_STREAMS_PER_FRAME};

/// Streams that a peer may have open where others have all that anybody may.
const STREAMS_OF_EACH: usize = 32;

/// Such streams, of all peers.
const MAX_RESERVED: usize = 24 * STREAMS_OF_EACH;

/// Streams and calls that peers have open.
#[derive(Debug, Default)]
pub struct Streams {
    all: usize,
    of: Map<PersonaId, usize>,
}

impl Streams {
    /// None yet.
    pub const fn new() -> Self {
        Self { all: 0, of: Map::new() }
    }

    /// Whether a peer may open one more.
    pub fn may_open(&self, peer: PersonaId) -> bool {
        let of_peer = self.of.get(&peer).copied().unwrap_or_default();
        let is_reserved = of_peer < STREAMS_OF_EACH && self.all < MAX_STREAMS_PER_FRAME + MAX_RESERVED;
        self.all < MAX_STREAMS_PER_FRAME || is_reserved
    }

    /// A peer opened one.
    pub fn open(&mut self, peer: PersonaId) {
        self.all += 1;
        *self.of.entry(peer).or_insert(0) += 1;
    }

    /// One of a peer's is over.
    pub fn close(&mut self, peer: PersonaId) {
        self.all -= 1;
        let of_peer = self.of.entry(peer).or_insert(1);
        *of_peer -= 1;
        if *of_peer == 0 {
            self.of.remove(&peer);
        }
    }
}

/// Handshakes that peers may have answered: each costs four multiplications on the curve, under a millisecond.
const HANDSHAKES: Rate = Rate { per_second: 64, burst: 64 };

/// Of one peer: a page that opens has a few protocols and methods.
const HANDSHAKES_OF_EACH: Rate = Rate { per_second: 16, burst: 32 };

/// Of peers that had none answered lately, where the others want all of them.
const FIRST_HANDSHAKES: Rate = Rate { per_second: 8, burst: 16 };

/// Peers whose handshakes are counted. The one that had none for longest goes first.
const MAX_COUNTED: usize = 64;

/// Handshakes that peers have answered.
#[derive(Debug)]
pub struct Handshakes {
    all: Bucket,
    firsts: Bucket,
    of: Map<PersonaId, (Bucket, Instant)>,
}

/// A peer that had none for that long has its first.
const LATELY_MS: u64 = 2000;

impl Handshakes {
    /// None yet.
    pub fn new() -> Self {
        let bucket = |rate| Bucket::new(rate, Instant::START);
        Self { all: bucket(HANDSHAKES), firsts: bucket(FIRST_HANDSHAKES), of: Map::new() }
    }

    /// Whether a peer's is answered.
    pub fn take(&mut self, peer: PersonaId, now: Instant) -> bool {
        let is_first = self.of.get(&peer).is_none_or(|(_, last)| now.since(*last).as_millis() >= LATELY_MS.into());
        let (bucket, last) = self.of.entry(peer).or_insert_with(|| (Bucket::new(HANDSHAKES_OF_EACH, now), now));
        *last = now;
        let takes = bucket.take(now) && (self.all.take(now) || (is_first && self.firsts.take(now)));
        self.of.shed(MAX_COUNTED, |(_, last)| *last);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_that_want_all_streams_leave_some_for_another() {
        let mut streams = Streams::new();
        let fill = |streams: &mut Streams, n| {
            let mut opened = 0;
            while streams.may_open(peer(n)) {
                streams.open(peer(n));
                opened += 1;
            }
            opened
        };
        let greedy: Vec<usize> = (1..=6).map(|n| fill(&mut streams, n)).collect();
        assert_eq!(greedy, [MAX_STREAMS_PER_FRAME, 32, 32, 32, 32, 32]);
        streams.close(peer(1));
        assert_eq!(fill(&mut streams, 1), 0, "who has the most opens none in place of those that end");
        let others: usize = (7..=40).map(|n| fill(&mut streams, n)).sum();
        assert_eq!(others, MAX_RESERVED - 5 * 32 + 1, "there is a bound");
        for n in 1..=40 {
            (0..streams.of.get(&peer(n)).copied().unwrap_or_default()).for_each(|_| streams.close(peer(n)));
        }
        assert_eq!((streams.all, streams.of.len()), (0, 0));
    }

    #[test]
    fn peers_that_want_all_handshakes_do_not_keep_another_out() {
        let mut handshakes = Handshakes::new();
        let mut answered = 0;
        for ms in 0..60_000 {
            let now = Instant::from_millis(ms);
            for n in 1..=23 {
                let _ = handshakes.take(peer(n), now);
            }
            if ms % 3000 == 0 {
                answered += u32::from(handshakes.take(peer(99), now));
            }
        }
        assert_eq!(answered, 20);
    }

    #[test]
    fn one_peer_has_its_share_of_handshakes() {
        let mut handshakes = Handshakes::new();
        let taken = (0..1000).filter(|ms| handshakes.take(peer(1), Instant::from_millis(*ms))).count();
        assert_eq!(taken, 32 + 15);
    }

    #[test]
    fn peers_without_number_are_not_all_remembered() {
        let mut handshakes = Handshakes::new();
        for n in 0..=255 {
            let _ = handshakes.take(peer(n), Instant::from_millis(n.into()));
        }
        assert_eq!(handshakes.of.len(), MAX_COUNTED);
    }

    fn peer(n: u8) -> PersonaId {
        PersonaId([n; 32])
    }
}
