//! Stories of many seeds. What must be true is checked as it happens, and again once peace has come; here it is shown that enough
//! happened. `SEED=n` tells one seed's stories and prints what led to a failure, `TIMES=20` twenty times as many.

mod crowd;
mod hostile;
mod meeting;
mod strangers;
mod streams;
mod topics;

use bitters_sim::{Evidence, Hostile, World};

#[test]
fn a_seed_is_a_whole_story() {
    for seed in seeds(5) {
        assert_repeats(seed, streams::BIG.browsers, 1000, |world| streams::BIG.tell(world));
        assert_repeats(seed, topics::STORMY.browsers, 500, |world| topics::STORMY.tell(world));
    }
    for seed in seeds(1) {
        let siege = Hostile { dials: 10, ..hostile::SIEGE };
        assert_repeats(seed, Hostile::BROWSERS, 1000, |world| siege.tell(world));
        assert_repeats(seed, crowd::SMALL.browsers(), 1000, |world| crowd::SMALL.tell(world));
    }
}

/// Told twice, a story is the same, and longer than so many facts.
fn assert_repeats(seed: u64, browsers: usize, facts: usize, tell: impl Fn(World) -> World) {
    let trace = || std::mem::take(&mut tell(World::new(seed, browsers).traced()).trace);
    let (first, second) = (trace(), trace());
    assert!(first.len() > facts, "seed {seed}: {} facts", first.len());
    assert!(first == second, "seed {seed}");
}

/// A seed's world, which tells what led to a failure if it is the only one.
fn world(seed: u64, browsers: usize) -> World {
    let world = World::new(seed, browsers);
    if is_one() { world.traced() } else { world }
}

fn prove(lively: impl FnOnce() -> bool, sum: Evidence) {
    assert!(is_one() || lively(), "the worlds are too quiet to show anything: {sum:#?}");
}

fn is_one() -> bool {
    std::env::var("SEED").is_ok()
}

fn seeds(count: u64) -> Vec<u64> {
    let times = std::env::var("TIMES").map_or(1, |times| times.parse().expect("TIMES is a number"));
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..count * times).collect(),
    }
}
