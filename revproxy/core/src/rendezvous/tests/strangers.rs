//! Two keys of one connection are strangers: what is said to one is the same as if the other were in another browser.

use std::collections::BTreeSet;

use bitters_wire::{
    codec::encode,
    failure::Code,
    id::TopicId,
    rendezvous::{ToNode, ToServer},
};

use super::{
    super::{Config, ConnId, Input, Output},
    world::*,
};

#[test]
fn they_are_introduced_to_each_other() {
    let mut world = two_keys();

    assert_eq!(world.members_at(NODE, HOME, &advertise(HOME)), []);
    assert_eq!(world.members_at(NODE, WORK, &advertise(WORK)), [key(HOME)]);
    assert_eq!(world.members_at(NODE, HOME, &advertise(HOME)), [key(WORK)]);
    assert_eq!(world.members_at(NODE, HOME, &discover(HOME)), [key(WORK)]);
}

#[test]
fn their_signals_go_through_the_server() {
    let mut world = two_keys();

    assert_eq!(world.say(NODE, &send(HOME, WORK, 9)), [heard(NODE, HOME, WORK, 9)]);
    assert_eq!(world.say(NODE, &send(WORK, HOME, 9)), [heard(NODE, WORK, HOME, 9)]);
    assert_eq!(world.say(NODE, &ToServer::Lookup(key(WORK))), [sent(NODE, ToNode::Here(key(WORK)))]);
}

#[test]
fn what_one_was_told_the_other_is_told_too() {
    let mut world = two_keys();
    world.join(ALICE);
    world.members(ALICE, &advertise(ALICE));

    assert_eq!(world.members_at(NODE, HOME, &advertise(HOME)), [key(ALICE)]);
    let told: BTreeSet<_> = world.members_at(NODE, WORK, &advertise(WORK)).into_iter().collect();
    assert_eq!(told, BTreeSet::from([key(ALICE), key(HOME)]));
}

#[test]
fn each_has_its_own_room_for_introductions() {
    let mut world = World::with(Config { introductions: 2, ..Config::default() });
    (1..=4).for_each(|n| world.join(n));
    (1..=4).for_each(|n| drop(world.members(n, &advertise(n))));
    enter_with_two(&mut world);

    assert_eq!(world.members_at(NODE, HOME, &advertise(HOME)).len(), 2);
    assert_eq!(world.members_at(NODE, HOME, &advertise(HOME)), []);
    assert_eq!(world.members_at(NODE, WORK, &advertise(WORK)).len(), 2);
}

#[test]
fn one_that_leaves_takes_nothing_of_the_others() {
    let mut world = two_keys();
    world.join(ALICE);
    for n in [HOME, WORK] {
        world.members_at(NODE, n, &advertise(n));
        world.say(NODE, &listen(n, NODE, 1));
    }

    world.say(NODE, &ToServer::Unregister(key(HOME)));

    assert_eq!(world.members(ALICE, &discover(ALICE)), [key(WORK)]);
    assert_eq!(world.say(conn(ALICE), &send(ALICE, HOME, 9)), [unreachable(conn(ALICE), ALICE, HOME)]);
    assert_eq!(world.say(conn(ALICE), &send(ALICE, WORK, 9)), [heard(NODE, ALICE, WORK, 9)]);
    assert_eq!(world.machine.load().tokens, 1);
}

/// Whoever floods one key and sees how signals to another fare learns nothing.
#[test]
fn a_flood_of_one_is_not_felt_by_the_other() {
    let mut world = two_keys();
    world.join(ALICE);
    let too_many = refused(conn(ALICE), Code::Quota, "the receiver has too many signals");
    let flood = |world: &mut World, to, count| {
        let outputs = (0..count).flat_map(|_| world.say(conn(ALICE), &send(ALICE, to, 9)));
        outputs.filter(|output| *output != too_many).count()
    };
    let burst = usize::try_from(Config::default().signals_per_key_and_source.burst).unwrap();

    assert_eq!(flood(&mut world, HOME, 100), burst);
    assert_eq!(flood(&mut world, WORK, 100), burst);
}

/// Whoever floods some keys, from as many networks as there are keys, and sees how signals to another fare learns nothing.
#[test]
fn a_flood_of_many_is_not_felt_by_one_more() {
    for apart in [true, false] {
        let mut world = World::of([ALICE, 5]);
        (2..=4).for_each(|n| world.register(conn(ALICE), n));
        world.register(if apart { conn(5) } else { conn(ALICE) }, 6);
        (11..=15).for_each(|n| world.join(n));
        for (from, to) in (11..=14).flat_map(|from| (1..=4).map(move |to| (from, to))) {
            (0..32).for_each(|_| drop(world.say(conn(from), &send(from, to, 9))));
        }

        let refused = (0..8)
            .filter(|_| matches!(world.say(conn(15), &send(15, 6, 9))[..], [Output::Send(_, ToNode::Refused { .. })]));
        assert_eq!(refused.count(), 0, "apart: {apart}");
    }
}

/// Everything that the server says about two keys, in one world where they share a connection and in one where they don't: to each of
/// them the same, but for what is about all of a connection.
#[test]
fn nothing_said_to_one_tells_of_the_other() {
    let told = |homes: ConnId, works: ConnId| {
        let mut world = World::new();
        [ALICE, BOB].into_iter().for_each(|n| world.join(n));
        BTreeSet::from([homes, works]).into_iter().for_each(|at| world.enter(at));
        let mut said = Vec::new();
        let mut say = |at, message: &ToServer| said.extend(world.say(at, message));
        for (at, n) in [(homes, HOME), (works, WORK)] {
            say(at, &register(n, at));
        }
        for n in [ALICE, BOB] {
            say(conn(n), &advertise(n));
        }
        for (at, n) in [(homes, HOME), (works, WORK), (homes, HOME)] {
            say(at, &ToServer::Advertise { topic: TopicId([n; 32]), key: key(n) });
            say(at, &discover(n));
            say(at, &listen(n, at, 1));
            say(at, &send(n, ALICE, 20));
            say(conn(BOB), &send(BOB, n, 20));
            say(at, &ToServer::Lookup(key(BOB)));
        }
        for (at, n, other) in [(homes, HOME, WORK), (works, WORK, HOME)] {
            say(at, &send(n, other, 30));
            say(at, &ToServer::Lookup(key(other)));
        }
        said.into_iter()
            .filter_map(|output| match output {
                Output::Send(_, message) => Some(message),
                Output::Close(_) | Output::Proxy(_) => None,
            })
            .collect::<Vec<_>>()
    };

    let (together, apart) = (told(NODE, NODE), told(NODE, conn(51)));

    assert_eq!(together, apart);
    assert_eq!(together.len(), 24);
    // What is told to one key of itself and of strangers doesn't have the other's bytes in it, unless the two had to do with each other.
    let names = |message: &ToNode, n| encode(message).windows(32).any(|bytes| bytes == key(n).0);
    let both: Vec<_> = together.iter().filter(|message| names(message, HOME) && names(message, WORK)).collect();
    assert!(both.iter().all(|message| matches!(message, ToNode::Signal { .. })), "{both:?}");
    assert_eq!(both.len(), 2);
}

#[test]
fn they_end_together() {
    let mut world = two_keys();
    world.join(ALICE);
    world.input(Input::Closed(NODE));

    for n in [HOME, WORK] {
        assert_eq!(world.say(conn(ALICE), &send(ALICE, n, 9)), [unreachable(conn(ALICE), ALICE, n)]);
    }
    assert_eq!(world.machine.load().keys, 1);
}

/// One connection, two keys.
fn two_keys() -> World {
    let mut world = World::new();
    enter_with_two(&mut world);
    world
}

fn enter_with_two(world: &mut World) {
    world.enter(NODE);
    for n in [HOME, WORK] {
        world.register(NODE, n);
    }
}

const NODE: ConnId = ConnId(50);
const HOME: u8 = 31;
const WORK: u8 = 32;
