//! How often links may put records.

use bitters_machine::{
    map::Map,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::id::NodeId;

/// Puts that a link may make in a minute, and at once after a minute of rest.
pub const PUTS_PER_MINUTE: u32 = 32;

/// Links whose puts are counted at the same time. A node has at most 24 links in the overlay. To fill this table, all
/// of them have to be replaced ten times a minute. While it is full, new links have to wait.
const MAX_LINKS: usize = 256;

/// Milliseconds. A link that didn't put anything for so long has its full burst again, as a new link has.
const REST_MS: u64 = 60_000;

/// Buckets count whole tokens a second, so a put takes as many tokens as a minute has seconds.
const PUT: u32 = 60;
const RATE: Rate = Rate { per_second: PUTS_PER_MINUTE, burst: PUTS_PER_MINUTE * PUT };

/// How often each link put something lately.
#[derive(Debug, Default)]
pub struct Rates {
    links: Map<NodeId, Lately>,
}

#[derive(Debug)]
struct Lately {
    bucket: Bucket,
    asked: Instant,
}

impl Rates {
    /// Whether a link may put a record now. If so, that is counted.
    pub fn take(&mut self, link: NodeId, now: Instant) -> bool {
        if !self.links.contains_key(&link) && self.links.len() >= MAX_LINKS {
            self.links.retain(|_, lately| now.millis_since(lately.asked) < REST_MS);
            if self.links.len() >= MAX_LINKS {
                return false;
            }
        }
        let new = || Lately { bucket: Bucket::new(RATE, now), asked: now };
        let lately = self.links.entry(link).or_insert_with(new);
        lately.asked = now;
        lately.bucket.take_many(PUT, now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_puts_its_burst_and_then_its_rate() {
        let mut rates = Rates::default();
        let mut taken = |link, second: u64| {
            let now = Instant::from_millis(second * 1000);
            (0..100).filter(|_| rates.take(NodeId([link; 32]), now)).count()
        };
        assert_eq!([taken(1, 0), taken(2, 0)], [32, 32]);
        assert_eq!([taken(1, 1), taken(1, 2), taken(1, 32)], [0, 1, 16]);
        assert_eq!(taken(1, 1000), 32);
        assert_eq!(taken(1, 1060), 32);
    }

    #[test]
    fn many_links_wait_until_others_rest() {
        let mut rates = Rates::default();
        let link = |n: u16| NodeId([n.to_be_bytes(); 16].concat().try_into().expect("32 bytes"));
        let mut taken =
            |from: u16, ms| (0..300_u16).filter(|n| rates.take(link(from + n), Instant::from_millis(ms))).count();
        assert_eq!(taken(0, 0), MAX_LINKS);
        assert_eq!(taken(1000, 59_999), 0);
        assert_eq!(taken(0, 60_000), MAX_LINKS, "those who are known don't wait");
        assert_eq!(taken(1000, 119_999), 0);
        assert_eq!(taken(1000, 120_000), MAX_LINKS);
    }

    proptest! {
        #[test]
        fn no_link_gets_more_than_its_burst_and_its_rate(
            steps in prop::collection::vec((0..4_u8, 0..5000_u64), 0..400),
        ) {
            let (mut rates, mut ms, mut taken) = (Rates::default(), 0, 0);
            for (link, wait) in steps {
                ms += wait;
                taken += u64::from(rates.take(NodeId([link; 32]), Instant::from_millis(ms)) && link == 0);
                prop_assert!(taken <= 32 + ms * 32 / 60_000);
            }
            prop_assert!(rates.links.len() <= 4);
        }
    }
}
