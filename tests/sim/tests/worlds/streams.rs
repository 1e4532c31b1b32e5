//! Streams and calls, while everything goes wrong.

use std::time::Duration;

use bitters_sim::{Evidence, Harm, Story};

use crate::{prove, seeds, world};

/// Two people with two pages each.
const SMALL: Story = Story { browsers: 2, pages: 2, acts: 40, harm: Harm::All };

/// A third, over whom two may signal, and pages enough that a standby is there at most deaths.
pub const BIG: Story = Story { browsers: 3, pages: 3, acts: 40, harm: Harm::All };

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
    let sum = tell_all(Story { harm: Harm::Deletions, ..BIG }, 125);
    prove(|| sum.data_deleted > 150 && sum.frames_unseen > 150 && sum.leaders_unseen > 150, sum);
    prove(|| sum.streams_resumed > 50 && sum.streams_done > 700 && sum.calls_done > 250, sum);
}

#[test]
fn what_is_asked_goes_to_the_page_that_serves_now() {
    let mut sum = Evidence::default();
    let (seeds, turns) = (seeds(60), 20);
    let asked = seeds.len() * turns;
    for seed in seeds {
        let mut world = world(seed, 2);
        world.serve_in_turn(3, turns);
        sum += world.evidence;
    }
    prove(|| sum.stopped_serving > 600 && sum.calls_done == asked && sum.streams_done == asked, sum);
}

#[test]
fn forty_pages_outlast_a_server_that_is_away() {
    let mut sum = Evidence::default();
    for seed in seeds(5) {
        let mut world = world(seed, 2);
        world.outlast(40, Duration::from_secs(25));
        sum += world.evidence;
    }
    prove(|| sum.heard > 10_000 && sum.calls_done >= 205 && sum.streams_done >= 205, sum);
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
    let mut world = story.tell(world(seed, story.browsers));
    world.go_round();
    // Those whose locks don't tell are asked for ever whether they are there.
    let rests = story.harm != Harm::Deletions;
    assert!(!rests || world.rest(Duration::from_secs(1200)).is_some(), "seed {seed}: no rest");
    world.evidence
}
