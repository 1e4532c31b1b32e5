//! Worlds of many overlays, each from its seed. `SEED=n` runs another one.
//!
//! The large ones take minutes: `cargo test --release -p bitters-overlay --test worlds -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "tests")]

mod climate;
mod clock;
mod figures;
mod world;

use std::time::Duration;

use crate::{
    climate::{CLIMATE, Climate},
    figures::Figures,
    world::World,
};

#[test]
fn any_node_is_reached_by_any_other_and_upkeep_costs_little() {
    let figures = run(CLIMATE);
    let ([first, end], [links, bytes]) = (figures.percent(), figures.upkeep());
    assert!(first >= 99.8 && end >= 99.9 && figures.p95() < 3000, "{figures}");
    assert!(links <= 3.0 && bytes <= 10_240.0, "{figures}");
}

#[test]
fn one_node_in_ten_that_drops_what_it_acknowledges_stops_nobody() {
    assert_reached(Climate { holes: 10, ..CLIMATE });
}

#[test]
fn one_node_in_ten_that_lists_others_than_its_neighbours_stops_nobody() {
    assert_reached(Climate { liars: 10, ..CLIMATE });
}

#[test]
fn mistaken_kinds_of_nat_and_silent_deaths_stop_nobody() {
    assert_reached(Climate { mistaken: 10, silent: 80, ..CLIMATE });
}

#[test]
fn who_is_known_by_introduction_points_alone_is_reached() {
    assert_reached(Climate { introduced: true, ..CLIMATE });
}

#[test]
fn two_halves_that_did_not_hear_each_other_are_one_again() {
    let split = Some([Duration::from_secs(120), Duration::from_secs(300)]);
    let asking = [Duration::from_secs(720), Duration::from_secs(840)];
    assert_reached(Climate { split, asking, ..CLIMATE });
}

#[test]
fn many_who_come_at_once_are_reached_a_minute_later() {
    let crowd = Some((500, Duration::from_secs(120)));
    let asking = [Duration::from_secs(200), Duration::from_secs(300)];
    assert_reached(Climate { nodes: 100, crowd, asking, ..CLIMATE });
}

#[test]
fn a_seed_is_a_whole_story() {
    let climate =
        Climate { nodes: 60, holes: 10, asking: [Duration::from_secs(60), Duration::from_secs(180)], ..CLIMATE };
    assert_eq!(World::new(climate, seed()).run(), World::new(climate, seed()).run());
}

#[test]
#[ignore = "takes minutes"]
fn ten_thousand_nodes() {
    let climate = Climate {
        nodes: 10_000,
        questions: 40,
        asking: [Duration::from_secs(180), Duration::from_secs(780)],
        ..CLIMATE
    };
    assert_reached(climate);
    assert_reached(Climate { holes: 10, ..climate });
}

fn assert_reached(climate: Climate) {
    let figures = run(climate);
    let [_, end] = figures.percent();
    assert!(end >= 99.9, "{figures}");
}

/// Runs a world, and tells what it shows.
fn run(climate: Climate) -> Figures {
    let figures = World::new(climate, seed()).run();
    eprintln!("{} nodes: {figures}", climate.nodes);
    assert!(figures.asked > 500, "too few questions show nothing: {figures}");
    figures
}

fn seed() -> u64 {
    std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap())
}
