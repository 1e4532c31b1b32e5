//! What time neighbours say that it is, for personas of a node that no server ever told it.
//!
//! A browser's clock may be wrong by days. What members of a topic say is dated, and what is dated wrongly is heard by nobody. So where no server
//! tells the time, the clock of each persona is put by what most of its neighbours say, of each its latest word: if that is far off. Each persona
//! has a clock of its own, as what is said to one must not show on another. Of two neighbours who find that their clocks differ only the one that
//! is sooner is to put its own, which is left to chance.

use std::time::Duration;

use bitters_machine::{backoff, map::Map, time::Instant};
use bitters_wire::{id::PersonaId, topic::FRESH_MS};

use crate::pair::Pair;

/// How long a clock stays as it is though neighbours have another, give or take a half.
const LATER: Duration = Duration::from_millis(400);

/// Neighbours of a persona that are counted.
const COUNTED: usize = 32;

/// What one persona's neighbours say.
#[derive(Debug, Default)]
struct OfPersona {
    /// Of each by how many milliseconds its clock is ahead of the browser's.
    told: Map<PersonaId, i64>,
    /// By how many the persona's is.
    ahead: i64,
    /// When it is to be put.
    due: Option<Instant>,
}

/// The clocks of all personas.
#[derive(Debug, Default)]
pub struct Clocks(Map<PersonaId, OfPersona>);

impl Clocks {
    /// By how many milliseconds a persona's clock is ahead of the browser's.
    pub fn ahead(&self, own: PersonaId) -> i64 {
        self.0.get(&own).map_or(0, |clock| clock.ahead)
    }

    /// A neighbour says by how many milliseconds its clock is ahead of the browser's.
    pub fn hear(&mut self, Pair { own, peer }: Pair, ahead: i64, now: Instant, rng: &mut fastrand::Rng) {
        let clock = self.0.entry(own).or_default();
        if clock.told.len() < COUNTED || clock.told.contains_key(&peer) {
            clock.told.insert(peer, ahead);
            clock.plan(now, rng);
        }
    }

    /// A neighbour is gone.
    pub fn forget(&mut self, Pair { own, peer }: Pair) {
        if let Some(clock) = self.0.get_mut(&own) {
            clock.told.remove(&peer);
        }
    }

    /// The persona is gone.
    pub fn leave(&mut self, own: PersonaId) {
        self.0.remove(&own);
    }

    /// A server tells the time: nothing else counts.
    pub fn end(&mut self) {
        self.0.clear();
    }

    /// When the next clock is to be put.
    pub fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(|clock| clock.due).min()
    }

    /// Puts the clocks whose time has come. Tells whose, and by how many milliseconds they are ahead of the browser's now.
    pub fn put(&mut self, now: Instant) -> Vec<(PersonaId, i64)> {
        let mut put = Vec::new();
        for (own, clock) in self.0.iter_mut().filter(|(_, clock)| clock.due.is_some_and(|at| at <= now)) {
            clock.due = None;
            if let Some(ahead) = clock.far_off() {
                clock.ahead = ahead;
                put.push((*own, ahead));
            }
        }
        put
    }
}

impl OfPersona {
    fn plan(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.due = self.far_off().and(self.due.or_else(|| Some(now + backoff(LATER, 0, LATER, rng))));
    }

    /// What most neighbours say, if what the persona says by its own clock is too old for them, or too new. The one in the middle; of two the one
    /// that is nearer.
    fn far_off(&self) -> Option<i64> {
        let half =
            |is_there: &dyn Fn(&&i64) -> bool| self.told.values().filter(is_there).count() <= self.told.len() / 2;
        let middle = self.told.values().filter(|it| half(&|other| other < it) && half(&|other| other > it));
        let median = *middle.min_by_key(|it| it.abs_diff(self.ahead))?;
        (median.abs_diff(self.ahead) > FRESH_MS).then_some(median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const US: PersonaId = PersonaId([1; 32]);

    fn of(n: u8) -> Pair {
        Pair { own: US, peer: PersonaId([n; 32]) }
    }

    /// Where the clock is after neighbours said this, in this order.
    fn after(told: &[i64]) -> i64 {
        let (mut clocks, mut rng) = (Clocks::default(), fastrand::Rng::with_seed(1));
        for (n, ahead) in (2..).zip(told) {
            clocks.hear(of(n), *ahead, Instant::START, &mut rng);
        }
        if let Some(due) = clocks.due() {
            clocks.put(due);
        }
        clocks.ahead(US)
    }

    #[test]
    fn a_clock_is_put_by_what_most_neighbours_say() {
        assert_eq!(after(&[DAY]), DAY);
        assert_eq!(after(&[DAY, DAY + 500, -DAY]), DAY);
        assert_eq!(after(&[0, DAY, 20, DAY, 10]), 0, "two of five");
        assert_eq!(after(&[0, DAY]), 0, "one of two");
        assert_eq!(after(&[i64::MAX, i64::MIN, i64::MAX]), i64::MAX);
    }

    #[test]
    fn a_clock_that_others_take_for_right_stays() {
        let near = i64::try_from(FRESH_MS).unwrap();
        assert_eq!([near, -near].map(|ahead| after(&[ahead])), [0, 0]);
        assert_eq!(after(&[near + 1]), near + 1);
    }

    #[test]
    fn who_is_put_first_has_the_other_stay() {
        let (mut clocks, mut rng) = (Clocks::default(), fastrand::Rng::with_seed(1));
        clocks.hear(of(2), DAY, Instant::START, &mut rng);
        let due = clocks.due().unwrap();
        assert!(due > Instant::START && due < Instant::from_millis(1000));
        clocks.hear(of(2), 30, due, &mut rng);
        assert_eq!((clocks.due(), clocks.put(due)), (None, Vec::new()));
    }

    #[test]
    fn two_who_have_nobody_else_agree_soon_though_what_they_say_is_on_its_way() {
        for seed in 0..200 {
            let (mut rng, walls) = (fastrand::Rng::with_seed(seed), [0, DAY]);
            let mut clocks = [Clocks::default(), Clocks::default()];
            // When who hears which time.
            let mut said = vec![(100, 0, walls[1]), (100, 1, walls[0])];
            for ms in 0..10_000 {
                let now = Instant::from_millis(ms);
                for (_, me, time) in said.extract_if(.., |(at, _, _)| *at == ms).collect::<Vec<_>>() {
                    clocks[me].hear(of(2), time - walls[me], now, &mut rng);
                }
                for me in [0, 1] {
                    let put = clocks[me].put(now);
                    said.extend(put.iter().map(|(_, ahead)| (ms + 100, 1 - me, walls[me] + ahead)));
                }
            }
            let [ours, theirs] = [0, 1].map(|me| walls[me] + clocks[me].ahead(US));
            assert!(said.is_empty() && ours == theirs, "seed {seed}: {ours} {theirs}");
        }
    }

    #[test]
    fn who_is_gone_counts_no_longer() {
        let (mut clocks, mut rng) = (Clocks::default(), fastrand::Rng::with_seed(1));
        clocks.hear(of(2), DAY, Instant::START, &mut rng);
        clocks.forget(of(2));
        assert_eq!(clocks.put(clocks.due().unwrap()), Vec::new());
        clocks.hear(of(3), DAY, Instant::START, &mut rng);
        clocks.leave(US);
        assert_eq!(clocks.due(), None);
    }

    #[test]
    fn so_many_neighbours_are_counted() {
        let told: Vec<i64> = (0..100).map(|n| if n < COUNTED { 0 } else { DAY }).collect();
        assert_eq!(after(&told), 0);
    }
}
