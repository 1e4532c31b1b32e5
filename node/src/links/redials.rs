//! Peers that a link is wanted to, and when the next dial is due.
//!
//! A link that broke is dialled again soon, by both ends, and one that can't be had less and less often, until it is given up.

use std::{cmp::Reverse, time::Duration};

use bitters_machine::{backoff, map::Map, time::Instant};
use bitters_wire::{id::PersonaId, limits::DIAL_TIMEOUT};

use crate::pair::Pair;

/// Dials without success before a peer is given up: about a minute.
const MAX_FAILURES: u32 = 6;

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(60);

/// Sessions wait for a minute.
const SESSION_CAP: Duration = Duration::from_secs(10);

/// A broken link is dialled again that soon, give or take a half: both ends notice within some hundred milliseconds.
const BREATH: Duration = Duration::from_millis(200);

/// Peers of one persona that are kept in mind.
const OF_EACH: usize = 256;

#[derive(Debug)]
struct Redial {
    failures: u32,
    not_before: Instant,
    /// Sessions used the link: it is wanted for their sake until then, whatever topics want.
    wanted_until: Instant,
    /// Topics don't dial the peer until then: one of the two hung up, or the peer broke the protocol.
    shunned_until: Instant,
}

impl Redial {
    /// Until when it is more than the failures of a topic's neighbour.
    fn matters_until(&self) -> Instant {
        self.wanted_until.max(self.shunned_until)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Redials(Map<Pair, Redial>);

impl Redials {
    /// None yet.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// A link broke; for the sake of sessions it is wanted until `wanted_until`.
    pub fn broke(&mut self, pair: Pair, wanted_until: Instant, now: Instant, rng: &mut fastrand::Rng) {
        let not_before = now + backoff(BREATH, 0, CAP, rng);
        self.insert(pair, Redial { failures: 0, not_before, wanted_until, shunned_until: now }, now);
    }

    /// A peer broke the protocol: it isn't dialled for a while.
    pub fn shun(&mut self, pair: Pair, now: Instant) {
        let until = now + CAP;
        self.insert(pair, Redial { failures: 0, not_before: until, wanted_until: now, shunned_until: until }, now);
    }

    /// A dial failed. Tells whether the peer is given up: not as long as sessions wait for it.
    #[must_use]
    pub fn failed(&mut self, pair: Pair, now: Instant, rng: &mut fastrand::Rng) -> bool {
        let (failures, wanted_until) = self.0.get(&pair).map_or((0, now), |it| (it.failures, it.wanted_until));
        let wanted = now < wanted_until;
        if failures + 1 >= MAX_FAILURES && !wanted {
            self.0.remove(&pair);
            return true;
        }
        let cap = if wanted { SESSION_CAP } else { CAP };
        let not_before = now + backoff(FIRST, failures, cap, rng).min(cap);
        self.insert(pair, Redial { failures: failures + 1, not_before, wanted_until, shunned_until: now }, now);
        false
    }

    /// The network changed: what is wanted is dialled now.
    pub fn hurry(&mut self, now: Instant) {
        for redial in self.0.values_mut() {
            redial.not_before = redial.not_before.min(now);
        }
    }

    /// Sessions wait for a link until `wanted_until`, whose peer was found just now.
    pub fn want(&mut self, pair: Pair, wanted_until: Instant, now: Instant) {
        let new = Redial { failures: 0, not_before: now, wanted_until: now, shunned_until: now };
        let before = self.0.remove(&pair).unwrap_or(new);
        self.insert(pair, Redial { wanted_until, ..before }, now);
    }

    /// Whether sessions wait for a link.
    pub fn is_wanted(&self, pair: Pair, now: Instant) -> bool {
        self.0.get(&pair).is_some_and(|redial| now < redial.wanted_until)
    }

    /// Whether sessions wait for any link.
    pub fn is_any_wanted(&self, now: Instant) -> bool {
        self.0.values().any(|redial| now < redial.wanted_until)
    }

    /// A dial began; its failures are remembered until it ends.
    pub fn begun(&mut self, pair: Pair, now: Instant) {
        if let Some(redial) = self.0.get_mut(&pair) {
            redial.not_before = now + DIAL_TIMEOUT + FIRST;
        }
    }

    /// A dial that had begun gave way to the peer's, which failed.
    pub fn gave_way(&mut self, pair: Pair, now: Instant, rng: &mut fastrand::Rng) {
        if let Some(redial) = self.0.get_mut(&pair) {
            redial.not_before = redial.not_before.min(now + backoff(FIRST, redial.failures, CAP, rng));
        }
    }

    /// Other peers are dialled first; what is remembered of this one's failures stays.
    pub fn postpone(&mut self, pair: Pair, now: Instant) {
        if let Some(redial) = self.0.get_mut(&pair) {
            redial.not_before = now + DIAL_TIMEOUT;
        }
    }

    /// A link is up, or isn't wanted any longer.
    pub fn forget(&mut self, pair: Pair) {
        self.0.remove(&pair);
    }

    /// The last frame of a persona is gone, and its sessions with it. If it comes back, it dials whom it likes at once.
    pub fn leave(&mut self, own: PersonaId) {
        self.0.retain(|pair, _| pair.own != own);
    }

    /// Whether a peer may be dialled now.
    pub fn may_dial(&self, pair: Pair, now: Instant) -> bool {
        self.0.get(&pair).is_none_or(|redial| redial.not_before <= now)
    }

    /// Pairs whose time has come, and whether sessions want them.
    pub fn due(&self, now: Instant) -> Vec<(Pair, bool)> {
        let due = self.0.iter().filter(|(_, redial)| redial.not_before <= now);
        due.map(|(pair, redial)| (*pair, now < redial.wanted_until)).collect()
    }

    /// When the next one's time comes.
    pub fn next(&self) -> Option<Instant> {
        self.0.values().map(|redial| redial.not_before).min()
    }

    /// Of too many of one persona's, the failures of a topic's neighbour are forgotten: those of the one that is dialled last. Only where all the
    /// others are wanted or shunned does the one go of which that is over first.
    fn insert(&mut self, pair: Pair, redial: Redial, now: Instant) {
        self.0.insert(pair, redial);
        let of_own = || self.0.iter().filter(|(other, _)| other.own == pair.own);
        if of_own().count() > OF_EACH
            && let Some((least, _)) =
                of_own().max_by_key(|(_, it)| (Reverse(it.matters_until().max(now)), it.not_before))
        {
            let least = *least;
            self.0.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_site_hung_up_on_is_shunned_though_many_others_fail() {
        let (mut redials, mut rng) = (Redials::new(), fastrand::Rng::with_seed(1));
        let (shunned, wanted) = (numbered(1, 9999), numbered(1, 9998));
        redials.shun(shunned, Instant::START);
        redials.want(wanted, Instant::from_millis(60_000), Instant::START);
        redials.begun(wanted, Instant::START);
        // Peers of another persona and of this one, whom somebody invents.
        for n in 0..2 * OF_EACH {
            for own in [2, 1] {
                let _ = redials.failed(numbered(own, n), Instant::START, &mut rng);
            }
        }
        assert!(redials.is_wanted(wanted, Instant::from_millis(1)), "sessions wait for it");
        assert!(!redials.may_dial(shunned, Instant::from_millis(1)), "it is shunned for a minute");
        assert_eq!(redials.0.len(), 2 * OF_EACH);
    }

    #[test]
    fn where_all_are_shunned_the_one_goes_that_was_first() {
        let mut redials = Redials::new();
        for n in 0..=OF_EACH {
            redials.shun(numbered(1, n), Instant::from_millis(n as u64));
        }
        let may_dial = |n| redials.may_dial(numbered(1, n), Instant::from_millis(1000));
        assert!(may_dial(0) && (1..=OF_EACH).all(|n| !may_dial(n)));
    }

    #[test]
    fn a_peer_that_fails_is_dialled_less_often_and_given_up() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut redials = Redials::default();
        let mut now = Instant::START;
        let mut dials = 1;
        while !redials.failed(ALICE, now, &mut rng) {
            assert!(!redials.may_dial(ALICE, now));
            now = redials.next().unwrap();
            assert_eq!(redials.due(now), [(ALICE, false)]);
            dials += 1;
        }
        assert_eq!(dials, MAX_FAILURES);
        assert!((10..100).contains(&(now.as_millis() / 1000)));
        assert_eq!(redials.next(), None);
    }

    #[test]
    fn a_broken_link_is_dialled_soon_for_the_sake_of_sessions() {
        let mut redials = Redials::default();
        let until = Instant::from_millis(60_000);
        redials.broke(ALICE, until, Instant::START, &mut fastrand::Rng::with_seed(1));

        let due = redials.next().unwrap();
        assert!(due < Instant::from_millis(300));
        assert_eq!(redials.due(due), [(ALICE, true)]);
        assert_eq!(redials.due(until), [(ALICE, false)]);
    }

    #[test]
    fn a_peer_that_sessions_wait_for_is_not_given_up() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut redials = Redials::default();
        let until = Instant::from_millis(60_000);
        redials.want(ALICE, until, Instant::START);
        let (mut now, mut dials) = (Instant::START, 0);
        while now < until {
            assert!(!redials.failed(ALICE, now, &mut rng));
            now = redials.next().unwrap();
            dials += 1;
        }
        assert!((7..20).contains(&dials), "{dials} dials in a minute");
    }

    #[test]
    fn an_offender_is_shunned() {
        let mut redials = Redials::default();
        redials.shun(ALICE, Instant::START);
        assert!(!redials.may_dial(ALICE, Instant::from_millis(59_999)));
        assert!(redials.may_dial(ALICE, Instant::from_millis(60_000)));
    }

    const ALICE: Pair = Pair { own: PersonaId([1; 32]), peer: PersonaId([0xa1; 32]) };
    fn numbered(own: u8, n: usize) -> Pair {
        let mut peer = [0; 32];
        peer[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Pair { own: PersonaId([own; 32]), peer: PersonaId(peer) }
    }
}
