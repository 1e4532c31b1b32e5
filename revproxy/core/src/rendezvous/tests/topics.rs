//! Who is introduced to whom.

use std::{collections::BTreeSet, time::Duration};

use bitters_wire::{
    failure::Code,
    id::TopicId,
    rendezvous::{ToNode, ToServer},
};

use super::{
    super::{Config, Input},
    world::*,
};

#[test]
fn the_first_is_alone_and_the_second_meets_it() {
    let mut world = World::of([ALICE, BOB]);

    let alone = world.say(conn(ALICE), &ADVERTISE);
    let met = world.say(conn(BOB), &ADVERTISE);

    assert_eq!(alone, [sent(conn(ALICE), ToNode::Members { topic: LOBBY, nodes: vec![] })]);
    assert_eq!(met, [sent(conn(BOB), ToNode::Members { topic: LOBBY, nodes: vec![node(ALICE)] })]);
}

#[test]
fn nobody_is_introduced_twice_within_five_minutes_unless_asked() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &ADVERTISE);
    assert_eq!(world.members(BOB, &ADVERTISE), [node(ALICE)]);

    world.pass(FIVE_MINUTES - Duration::from_millis(1));
    assert_eq!(world.members(BOB, &ADVERTISE), []);
    assert_eq!(world.members(BOB, &ToServer::Discover(LOBBY)), [node(ALICE)]);

    world.pass(FIVE_MINUTES - Duration::from_millis(1));
    assert_eq!(world.members(BOB, &ADVERTISE), []);

    world.pass(Duration::from_millis(1));
    assert_eq!(world.members(BOB, &ADVERTISE), [node(ALICE)]);
}

#[test]
fn the_five_minutes_hold_across_topics() {
    let mut world = World::of([ALICE, BOB]);
    for topic in [LOBBY, TopicId([0x11; 32])] {
        world.members(ALICE, &ToServer::Advertise(topic));
    }

    assert_eq!(world.members(BOB, &ADVERTISE), [node(ALICE)]);
    assert_eq!(world.members(BOB, &ToServer::Advertise(TopicId([0x11; 32]))), []);
}

#[test]
fn a_node_that_comes_back_is_introduced_again() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &ADVERTISE);
    world.members(BOB, &ADVERTISE);

    world.input(Input::Closed(conn(ALICE)));
    assert_eq!(world.members(BOB, &ToServer::Discover(LOBBY)), []);
    world.join(ALICE);

    assert_eq!(world.members(ALICE, &ADVERTISE), [node(BOB)]);
    assert_eq!(world.members(BOB, &ADVERTISE), [node(ALICE)]);
}

#[test]
fn at_most_eight_are_named_and_all_in_the_end() {
    let mut world = World::of(1..=21);
    (1..=20).for_each(|n| drop(world.members(n, &ADVERTISE)));

    let rounds: Vec<_> = (0..4).map(|_| world.members(21, &ADVERTISE)).collect();

    assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4, 0]);
    let met: BTreeSet<_> = rounds.into_iter().flatten().collect();
    assert_eq!(met, (1..=20).map(node).collect());
}

#[test]
fn who_withdrew_is_not_named() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &ADVERTISE);

    assert_eq!(world.say(conn(ALICE), &ToServer::Withdraw(LOBBY)), []);

    assert_eq!(world.members(BOB, &ADVERTISE), []);
}

#[test]
fn a_full_memory_introduces_nobody_unasked() {
    let mut world = World::with(Config { introductions: 3, ..Config::default() });
    (1..=10).for_each(|n| world.join(n));
    (1..=9).for_each(|n| drop(world.members(n, &ADVERTISE)));

    assert_eq!(world.members(10, &ADVERTISE).len(), 3);
    assert_eq!(world.members(10, &ADVERTISE), []);
    assert_eq!(world.members(10, &ToServer::Discover(LOBBY)).len(), 8);
    assert!(world.machine.load().introductions <= 10 * 3);

    world.pass(FIVE_MINUTES);
    assert_eq!(world.members(10, &ADVERTISE).len(), 3);
}

#[test]
fn topics_are_counted() {
    let mut world = World::with(Config { topics: 2, ..Config::default() });
    world.join(ALICE);
    let topic = |n| ToServer::Advertise(TopicId([n; 32]));
    world.members(ALICE, &topic(1));
    world.members(ALICE, &topic(2));

    assert_eq!(world.say(conn(ALICE), &topic(3)), [refused(conn(ALICE), Code::Quota, "too many topics")]);

    world.members(ALICE, &topic(2));
    world.say(conn(ALICE), &ToServer::Withdraw(TopicId([1; 32])));
    world.members(ALICE, &topic(3));
}

const ADVERTISE: ToServer = ToServer::Advertise(LOBBY);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
