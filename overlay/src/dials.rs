//! Dials under way, and whom not to dial again yet.

use std::time::Duration;

use bitters_machine::{backoff, map::Map, time::Instant};
use bitters_wire::id::NodeId;

/// A dial takes an offer's way there and back, and ICE.
const LIMIT: Duration = Duration::from_secs(20);
/// After the first failure. It doubles with each.
const FIRST: Duration = Duration::from_secs(10);
/// After many.
const LAST: Duration = Duration::from_secs(600);
/// A link that ends sooner isn't wanted by the other end.
const SHORT: Duration = Duration::from_secs(20);
/// Nodes that are remembered.
const MAX_FAILED: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Failure {
    count: u32,
    until: Instant,
    is_ban: bool,
}

/// A node's dials.
#[derive(Debug)]
pub struct Dials {
    under_way: Map<NodeId, Instant>,
    failed: Map<NodeId, Failure>,
    rng: fastrand::Rng,
}

impl Dials {
    /// With random numbers from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { under_way: Map::new(), failed: Map::new(), rng: fastrand::Rng::with_seed(seed) }
    }

    /// How many are under way.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.under_way.len()
    }

    /// When the next dial is overdue.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.values().copied().min()
    }

    /// Whether a node may be dialled, or is being dialled.
    #[must_use]
    pub fn may(&self, node: &NodeId, now: Instant) -> bool {
        self.failed.get(node).is_none_or(|failure| failure.until <= now)
    }

    /// Begins a dial; whether it is a new one.
    pub fn begin(&mut self, node: NodeId, now: Instant) -> bool {
        let is_new = !self.under_way.contains_key(&node);
        if is_new {
            self.under_way.insert(node, now + LIMIT);
        }
        is_new
    }

    /// There is a link. Whether it was dialled.
    pub fn on_up(&mut self, node: &NodeId) -> bool {
        self.under_way.remove(node).is_some()
    }

    /// A link ended. One that lasted makes good for what failed before; one that didn't is a failure itself: the other end doesn't want it.
    pub fn on_down(&mut self, node: &NodeId, lasted: Duration, now: Instant) {
        if lasted < SHORT {
            self.on_failed(*node, now);
        } else {
            self.failed.retain(|other, failure| other != node || failure.is_ban);
        }
    }

    /// A dial came to nothing.
    pub fn on_failed(&mut self, node: NodeId, now: Instant) {
        self.under_way.remove(&node);
        if self.is_banned(&node, now) {
            return;
        }
        let count = self.failed.get(&node).map_or(0, |failure| failure.count);
        let until = now + backoff(FIRST, count, LAST, &mut self.rng);
        self.failed.insert(node, Failure { count: count + 1, until, is_ban: false });
        self.failed.shed(MAX_FAILED, |failure| failure.until);
    }

    /// A neighbour that lost what it was given is neither dialled nor let in for long.
    pub fn ban(&mut self, node: NodeId, now: Instant) {
        self.failed.insert(node, Failure { count: 0, until: now + LAST, is_ban: true });
        self.failed.shed(MAX_FAILED, |failure| failure.until);
    }

    /// Whether a node isn't let in.
    #[must_use]
    pub fn is_banned(&self, node: &NodeId, now: Instant) -> bool {
        self.failed.get(node).is_some_and(|failure| failure.is_ban && failure.until > now)
    }

    /// Gives up what is overdue.
    pub fn on_timeout(&mut self, now: Instant) {
        for (node, _) in self.under_way.extract(|_, until| *until <= now) {
            self.on_failed(node, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_is_dialled_again_later_and_later() {
        let mut dials = Dials::new(1);
        assert!(dials.begin(ALICE, Instant::START) && !dials.begin(ALICE, Instant::START));
        let overdue = dials.poll_timeout().unwrap();
        dials.on_timeout(overdue);
        assert_eq!(dials.count(), 0);
        assert!(!dials.may(&ALICE, overdue) && dials.may(&ALICE, overdue + FIRST * 2));
        assert!(!dials.on_up(&ALICE));

        dials.on_failed(ALICE, overdue);
        assert!(!dials.may(&ALICE, overdue + FIRST) && dials.may(&ALICE, overdue + FIRST * 3));

        dials.on_down(&ALICE, SHORT, overdue);
        assert!(dials.may(&ALICE, overdue), "the link had lasted");
        dials.on_down(&ALICE, SHORT / 2, overdue);
        assert!(!dials.may(&ALICE, overdue), "it hadn't");

        dials.ban(ALICE, overdue);
        dials.on_down(&ALICE, SHORT, overdue);
        assert!(dials.is_banned(&ALICE, overdue) && !dials.may(&ALICE, overdue + FIRST * 20));
        assert!(!dials.is_banned(&ALICE, overdue + LAST));
    }

    #[test]
    fn many_who_fail_take_no_more_room() {
        let mut dials = Dials::new(1);
        for number in 0..1000_u16 {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            dials.on_failed(NodeId(key), Instant::START);
        }
        assert_eq!(dials.failed.len(), MAX_FAILED);
    }

    const ALICE: NodeId = NodeId([0xa1; 32]);
}
