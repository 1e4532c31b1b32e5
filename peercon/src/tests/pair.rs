//! Two machines find each other in the simulated world.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{limits::MAX_LINK, local::DownReason};

use super::world::World;
use crate::{Output, parts::MAX_PART};

const SEEDS: u64 = 150;

#[test]
fn a_seed_is_a_whole_story() {
    for seed in 0..20 {
        assert!(talk(seed).trace == talk(seed).trace, "seed {seed}");
    }
}

#[test]
fn two_ends_come_up_and_all_that_was_sent_arrives_in_order() {
    let (mut before_up, mut late_candidates) = (0, 0);
    for seed in 0..SEEDS {
        let world = talk(seed);
        for me in [0, 1] {
            let received: Vec<&Vec<u8>> = world
                .outputs(me)
                .filter_map(|output| if let Output::Received(message) = output { Some(message) } else { None })
                .collect();
            let expected: Vec<_> = messages(1 - me).map(|(_, message)| message).collect();
            assert!(received.iter().copied().eq(&expected), "seed {seed}: {} received by {me}", received.len());
            let ups = world.outputs(me).filter(|output| matches!(output, Output::Up(_))).count();
            assert_eq!(ups, 1, "seed {seed}");
            before_up += usize::from(up_at(&world, me) > messages(me).next().unwrap().0);
            late_candidates += world.outputs(me).filter(|output| matches!(output, Output::AddCandidate(_))).count();
        }
    }
    assert!(before_up > 100, "the world is too quick to show that messages wait: {before_up} waited");
    assert!(late_candidates > 100, "no candidate is late enough to show anything: {late_candidates} late");
}

#[test]
fn no_application_byte_passes_before_both_are_proven() {
    for seed in 0..SEEDS {
        let world = talk(seed);
        for me in [0, 1] {
            let first = world
                .outputs(me)
                .find(|output| matches!(output, Output::Received(_) | Output::SendData(_) | Output::Up(_)));
            assert!(matches!(first, Some(Output::Up(_))), "seed {seed}");
        }
    }
}

#[test]
fn round_trips_are_measured_as_long_as_both_are_up() {
    for seed in 0..SEEDS {
        let world = talk(seed);
        for me in [0, 1] {
            let trips = world.outputs(me).filter(|output| matches!(output, Output::RoundTrip(_))).count();
            assert!((4..=5).contains(&trips), "seed {seed}: {trips} in a minute");
        }
    }
}

#[test]
fn who_is_hung_up_on_knows_at_once() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.hang_up_at(0, at(30_000));
        world.run_until(at(60_000));

        let downs: Vec<_> = world.trace.iter().filter(|(_, _, output)| matches!(output, Output::Down(_))).collect();
        let [(_, 0, hung_up), (noticed, 1, closed)] = downs[..] else { panic!("seed {seed}: {downs:?}") };
        assert_eq!(*hung_up, Output::Down(DownReason::HungUp), "seed {seed}");
        assert_eq!(*closed, Output::Down(DownReason::Closed), "seed {seed}");
        assert!(noticed.since(at(30_000)) < Duration::from_millis(200), "seed {seed}: noticed at {noticed:?}");
    }
}

#[test]
fn a_restart_gives_both_new_descriptions_and_harms_no_message() {
    let mut glares = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.restart_at(0, at(20_000));
        // Some begin at the same time, some join in, some are too late for that and too early for another.
        let second = 20_000 + seed * 6;
        world.restart_at(1, at(second));
        world.send_at(0, vec![1; 3 * MAX_PART], at(20_050));
        world.send_at(1, vec![2; 3 * MAX_PART], at(20_100));
        world.run_until(at(60_000));

        assert_eq!([world.answers(0), world.answers(1)], [2, 2], "seed {seed}");
        for me in [0, 1] {
            let count = |is: fn(&&Output) -> bool| world.outputs(me).filter(is).count();
            assert_eq!(count(|it| matches!(it, Output::Restart { .. })), 1, "seed {seed}");
            assert_eq!(count(|it| matches!(it, Output::Received(_))), 1, "seed {seed}");
            assert_eq!(count(|it| matches!(it, Output::Down(_))), 0, "seed {seed}");
        }
        glares += usize::from(second < 20_050);
    }
    assert!(glares > 2, "no two begin at once");
}

#[test]
fn the_controlled_end_answers_whoever_wants_a_restart() {
    let mut answered = 0;
    for seed in 0..SEEDS {
        for who in [0, 1] {
            let mut world = World::new(seed);
            world.restart_at(who, at(20_000));
            world.run_until(at(60_000));
            for (me, is_controlled) in world.controlled().into_iter().enumerate() {
                let answers = world.outputs(me).filter(|it| matches!(it, Output::Answer(_))).count();
                assert_eq!(answers, usize::from(is_controlled), "seed {seed}, {who} begins");
                answered += answers;
            }
        }
    }
    assert!(answered > 100, "no end was the controlled one: {answered}");
}

#[test]
fn where_both_ends_would_answer_both_offer() {
    let mut crossed = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.control_both();
        world.restart_at(0, at(20_000));
        world.restart_at(1, at(20_000 + seed));
        world.send_at(0, vec![1; 100], at(30_000));
        world.run_until(at(60_000));

        assert_eq!([world.answers(0), world.answers(1)], [2, 2], "seed {seed}");
        let count = |is: fn(&Output) -> bool| world.trace.iter().filter(|(_, _, it)| is(it)).count();
        assert_eq!(count(|it| matches!(it, Output::Down(_))), 0, "seed {seed}");
        assert_eq!(count(|it| matches!(it, Output::Received(_))), 1, "seed {seed}");
        crossed += usize::from(count(|it| matches!(it, Output::Restart { may_answer: false })) == 2);
    }
    assert!(crossed > 10, "no two ask each other: {crossed}");
}

#[test]
fn a_restart_that_is_wanted_too_soon_after_another_follows_it() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.restart_at(0, at(20_000));
        world.restart_at(0, at(23_000));
        world.restart_at(1, at(24_000));
        world.run_until(at(29_900));
        let restarts = |world: &World| {
            [0, 1].map(|me| world.outputs(me).filter(|it| matches!(it, Output::Restart { .. })).count())
        };
        assert_eq!(restarts(&world), [1, 1], "seed {seed}");
        world.run_until(at(60_000));
        assert_eq!(restarts(&world), [2, 2], "seed {seed}: one for both that were wanted");
        assert!([0, 1].iter().all(|me| !world.outputs(*me).any(|it| matches!(it, Output::Down(_)))), "seed {seed}");
    }
}

/// Both ends say their messages, and a minute passes.
fn talk(seed: u64) -> World {
    let mut world = World::new(seed);
    for me in [0, 1] {
        for (at, message) in messages(me) {
            world.send_at(me, message, at);
        }
    }
    world.run_until(at(62_000));
    world
}

/// What `me` says and when: small and large, before the connection is up and after.
fn messages(me: usize) -> impl Iterator<Item = (Instant, Vec<u8>)> {
    let lens = [1, MAX_PART, MAX_PART + 1, 3, MAX_LINK, 5, 2 * MAX_PART];
    lens.into_iter().zip(0_u8..).map(move |(len, number)| {
        let fill = number * 2 + u8::from(me == 1);
        (at(100 + 170 * u64::from(number)), vec![fill; len])
    })
}

fn up_at(world: &World, me: usize) -> Instant {
    let up = world.trace.iter().find(|(_, who, output)| *who == me && matches!(output, Output::Up(_)));
    up.expect("every seed comes up").0
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}
