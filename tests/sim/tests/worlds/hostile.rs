//! A few people dial each other while nine of ten nodes are hostile.

use std::{collections::BTreeMap, time::Duration};

use bitters_sim::{Because, Evidence, Hostile};
use bitters_wire::limits::DIAL_TIMEOUT;

use crate::{is_one, prove, seeds, world};

/// Of the nodes nine of ten are hostile.
pub const SIEGE: Hostile = Hostile { nodes: 9 * Hostile::BROWSERS, networks: 6, dials: 115, patient: false };

/// Of a hundred honest dials so many come through.
const PERCENT: usize = 95;

/// And so many within that time.
const PERCENT_SOON: usize = 80;
const SOON: Duration = Duration::from_secs(3);

#[test]
fn honest_dials_come_through_while_strangers_fill_all_pools() {
    let [hasty, patient] = [false, true].map(|patient| tell_all(Hostile { patient, ..SIEGE }, 2));
    for it in [&hasty, &patient] {
        assert!(is_one() || it.well() * 100 >= it.all() * PERCENT, "{:?}", it.dials);
        assert!(is_one() || it.soon * 100 >= it.all() * PERCENT_SOON, "{} of {} within {SOON:?}", it.soon, it.all());
    }
    let mut sum = hasty.evidence;
    sum += patient.evidence;
    let all = |because| hasty.of(because).all + patient.of(because).all;
    prove(|| hasty.all() + patient.all() > 300 && all(Because::Acquainted) > 30 && all(Because::Address) > 60, sum);
    prove(|| all(Because::Members) > 30 && all(Because::Nothing) > 60, sum);
    prove(|| sum.strangers_signals > 20_000 && sum.strangers_refused > 15_000 && sum.strangers_dials > 10_000, sum);
    prove(|| sum.doors_occupied > 500 && sum.strangers_links > 200 && sum.strangers_said > 800, sum);
}

/// What became of honest dials.
#[derive(Debug, Default)]
struct Outcome {
    dials: BTreeMap<Because, Dials>,
    /// How many were answered well within a few seconds.
    soon: usize,
    evidence: Evidence,
}

#[derive(Clone, Copy, Debug, Default)]
struct Dials {
    all: usize,
    /// Answered well, in time.
    well: usize,
}

impl Outcome {
    fn of(&self, because: Because) -> Dials {
        self.dials.get(&because).copied().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.dials.values().map(|it| it.all).sum()
    }

    fn well(&self) -> usize {
        self.dials.values().map(|it| it.well).sum()
    }
}

/// Tells the story of each seed.
fn tell_all(story: Hostile, count: u64) -> Outcome {
    let mut outcome = Outcome::default();
    for seed in seeds(count) {
        let world = story.tell(world(seed, Hostile::BROWSERS));
        for dial in &world.model.dials {
            let within = |time| dial.answered.is_some_and(|(at, well)| well && at.since(dial.began) < time);
            let dials = outcome.dials.entry(dial.because).or_default();
            dials.all += 1;
            dials.well += usize::from(within(DIAL_TIMEOUT));
            outcome.soon += usize::from(within(SOON));
        }
        outcome.evidence += world.evidence;
    }
    outcome
}
