//! Stories of whole worlds, of many seeds. What must be true is checked as it happens, and again once peace has come; here it is
//! shown that enough happened. `SEED=n` tells one seed's stories and prints what led to a failure, `TIMES=20` twenty times as many.

use std::time::Duration;

use bitters_sim::whole::{Evidence, Harm, Story, World};

/// Two people with two pages each.
const SMALL: Story = Story { browsers: 2, pages: 2, acts: 40, harm: Harm::All };

/// A third, over whom two may signal, and pages enough that a standby is there at most deaths.
const BIG: Story = Story { browsers: 3, pages: 3, acts: 40, harm: Harm::All };

#[test]
fn what_is_written_is_read_in_a_small_world() {
    let sum = tell_all(SMALL, 900);
    prove(|| sum.frames_died_under_streams > 500 && sum.streams_resumed > 1000 && sum.switches > 1500, sum);
    prove(|| sum.leaders_died_dialling > 50 && sum.leaders_restarted > 100 && sum.deaths_told_twice > 200, sum);
    prove(|| sum.freezes > 300 && sum.suspends > 300 && sum.partitions > 200 && sum.server_stops > 100, sum);
    prove(|| sum.failed_silent > 10 && sum.failed_gone > 500 && sum.failed_reset > 50 && sum.opens_failed > 200, sum);
    prove(|| sum.calls_done > 2000 && sum.calls_not_run > 100 && sum.calls_failed > 100 && sum.heard > 5000, sum);
    prove(|| sum.streams_done > 3000 && sum.refused > 5, sum);
    prove(|| sum.dials_at_addresses > 800 && sum.introduced > 120, sum);
    prove(|| sum.server_silences > 200 && sum.sockets_cut > 100 && sum.silences_noticed > 200, sum);
    prove(|| sum.certificates_refused > 25, sum);
}

#[test]
fn what_is_written_is_read_in_a_bigger_world() {
    let sum = tell_all(BIG, 300);
    prove(|| sum.frames_died_under_streams > 200 && sum.streams_resumed > 400 && sum.switches > 1000, sum);
    prove(|| sum.links_broken > 100 && sum.links_hung > 100 && sum.leaders_died > 100, sum);
    prove(|| sum.calls_done > 1000 && sum.heard > 5000 && sum.streams_done > 2000, sum);
}

#[test]
fn a_stream_survives_the_death_of_any_page_but_its_own() {
    let sum = tell_all(Story { harm: Harm::Deaths, ..BIG }, 300);
    prove(|| sum.frames_died_under_streams > 400 && sum.streams_resumed > 300 && sum.switches > 1000, sum);
    prove(|| sum.streams_done > 1500 && sum.failed_gone > 300, sum);
    assert_eq!(sum.failed_silent, 0);
}

#[test]
fn a_stream_survives_its_leaders() {
    let sum = tell_all(Story { harm: Harm::DeathsAndLeaders, ..BIG }, 300);
    prove(|| sum.leaders_died > 400 && sum.leaders_died_dialling > 80 && sum.leaders_restarted > 200, sum);
    prove(|| sum.streams_resumed > 350 && sum.streams_done > 3000, sum);
    assert_eq!(sum.failed_silent, 0);
}

#[test]
fn a_node_goes_on_when_locks_prove_nothing() {
    let sum = tell_all(Story { harm: Harm::Deletions, ..BIG }, 100);
    prove(|| sum.data_deleted > 150 && sum.frames_unseen > 150 && sum.leaders_unseen > 150, sum);
    prove(|| sum.streams_resumed > 50 && sum.streams_done > 700 && sum.calls_done > 250, sum);
}

#[test]
fn what_is_asked_goes_to_the_page_that_serves_now() {
    let mut sum = Evidence::default();
    for seed in seeds(60) {
        let world = World::new(seed, 2);
        let mut world = if is_one() { world.traced() } else { world };
        world.serve_in_turn(3, 20);
        sum += world.evidence;
    }
    prove(|| sum.stopped_serving > 600 && sum.calls_done == 1200 && sum.streams_done == 1200, sum);
}

#[test]
fn forty_pages_outlast_a_server_that_is_away() {
    let mut sum = Evidence::default();
    for seed in seeds(5) {
        let world = World::new(seed, 2);
        let mut world = if is_one() { world.traced() } else { world };
        world.outlast(40, Duration::from_secs(25));
        sum += world.evidence;
    }
    prove(|| sum.heard > 10_000 && sum.calls_done >= 205 && sum.streams_done >= 205 && sum.downs == 0, sum);
}

#[test]
fn a_seed_is_a_whole_story() {
    for seed in seeds(5) {
        let trace = || std::mem::take(&mut BIG.tell(World::new(seed, BIG.browsers).traced()).trace);
        let (first, second) = (trace(), trace());
        assert!(first.len() > 1000, "seed {seed}");
        assert!(first == second, "seed {seed}");
    }
}

/// Tells the story of each seed, and what happened in all of them.
fn tell_all(story: Story, count: u64) -> Evidence {
    let mut sum = Evidence::default();
    for seed in seeds(count) {
        sum += tell(story, seed);
    }
    sum
}

fn tell(story: Story, seed: u64) -> Evidence {
    let world = World::new(seed, story.browsers);
    let mut world = story.tell(if is_one() { world.traced() } else { world });
    world.go_round();
    // Those whose locks don't tell are asked for ever whether they are there.
    let rests = story.harm != Harm::Deletions;
    assert!(!rests || Story::rest(&mut world, Duration::from_secs(1200)).is_some(), "seed {seed}: no rest");
    world.evidence
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
