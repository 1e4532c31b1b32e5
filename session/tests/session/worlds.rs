//! Worlds over many seeds, with the evidence that something happened in them.

use crate::world::{Evidence, Weather, World};

const FAIR: Weather = Weather { repeats: 50, losses: 0, breaks: 0, deaths: 0 };
const ROUGH: Weather = Weather { repeats: 50, losses: 0, breaks: 30, deaths: 0 };
const FOUL: Weather = Weather { repeats: 100, losses: 30, breaks: 30, deaths: 2 };

#[test]
fn a_seed_is_a_whole_story() {
    for seed in 0..4 {
        assert_eq!(World::new(seed, FOUL).run(200), World::new(seed, FOUL).run(200), "seed {seed}");
    }
}

#[test]
fn in_fair_weather_everything_arrives_once_and_in_order() {
    let seen = over(0..100, FAIR);
    assert!(seen.repeated > 1000 && seen.lost == 0, "{seen:?}");
    assert!(seen.streams > 1000 && seen.finished > 500 && seen.bytes > 20_000_000, "{seen:?}");
    assert!(seen.answers > 500 && seen.cancellations > 50 && seen.stopped > 50 && seen.resets > 50, "{seen:?}");
}

#[test]
fn breaks_lose_packets_and_nothing_else() {
    let seen = over(100..200, ROUGH);
    assert!(seen.breaks > 300 && seen.lost > 1000, "{seen:?}");
    assert!(seen.finished > 400 && seen.answers > 400, "{seen:?}");
}

#[test]
fn pages_end_and_packets_vanish_in_silence() {
    let seen = over(200..300, FOUL);
    assert!(seen.pages_gone > 30 && seen.lost > 1000, "{seen:?}");
    assert!(seen.finished > 300 && seen.failures > 300, "{seen:?}");
}

fn over(seeds: std::ops::Range<u64>, weather: Weather) -> Evidence {
    let mut sum = Evidence::default();
    for seed in seeds {
        sum.add(&World::new(seed, weather).run(200));
    }
    sum
}

impl Evidence {
    fn add(&mut self, other: &Self) {
        self.streams += other.streams;
        self.bytes += other.bytes;
        self.finished += other.finished;
        self.stopped += other.stopped;
        self.resets += other.resets;
        self.calls += other.calls;
        self.answers += other.answers;
        self.failures += other.failures;
        self.cancellations += other.cancellations;
        self.repeated += other.repeated;
        self.lost += other.lost;
        self.breaks += other.breaks;
        self.pages_gone += other.pages_gone;
    }
}
