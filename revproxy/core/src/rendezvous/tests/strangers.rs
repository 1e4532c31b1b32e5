//! Two keys of one connection are strangers: what is said to one is the same as if the other were in another browser.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use bitters_wire::{
    codec::encode,
    failure::Code,
    id::{FrameId, TopicId},
    rendezvous::{Gone, ToNode, ToServer},
};

use super::{
    super::{Config, ConnId, Input, Output, Rate},
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

/// Strangers make a key speak: whatever its node says for it, neither its connection nor the other key is the worse for it.
#[test]
fn what_one_is_made_to_say_ends_no_connection_and_leaves_the_other_its_own() {
    let mut world = two_keys();
    world.join(ALICE);
    let Config { messages_per_key: own, .. } = Config::default();
    let too_many = refused(NODE, Code::Quota, "too many messages");

    let refusals = (0..10_000).filter(|_| world.say(NODE, &discover(HOME)) == std::slice::from_ref(&too_many)).count();

    assert_eq!(10_000 - refusals, own.burst as usize);
    assert_eq!(world.say(NODE, &ToServer::Lookup(key(ALICE))), [sent(NODE, ToNode::Here(key(ALICE)))]);
    for n in 1..own.burst {
        assert_eq!(world.say(NODE, &discover(WORK)).iter().filter(|it| **it == too_many).count(), 0, "{n}");
    }
    world.pass(Duration::from_secs(1));
    let refusals = (0..100).filter(|_| world.say(NODE, &discover(HOME)) == std::slice::from_ref(&too_many)).count();
    assert_eq!(100 - refusals, own.per_second as usize);
}

#[test]
fn each_signal_that_is_passed_to_one_leaves_it_a_message_more() {
    let mut world = two_keys();
    world.join(ALICE);
    let too_many = [refused(NODE, Code::Quota, "too many messages")];
    for n in [HOME, WORK] {
        while world.say(NODE, &discover(n)) != too_many {}
    }
    for _ in 0..3 {
        assert_eq!(world.say(conn(ALICE), &send(ALICE, HOME, 9)), [heard(NODE, ALICE, HOME, 9)]);
    }
    let gone = ToServer::Gone(Gone::sign(&secret(ALICE), key(HOME), FrameId::from_random([3; 16])));
    assert_eq!(world.say(conn(ALICE), &gone).len(), 1);

    for _ in 0..4 {
        assert_eq!(world.say(NODE, &send(HOME, ALICE, 9)), [heard(conn(ALICE), HOME, ALICE, 9)]);
    }
    assert_eq!(world.say(NODE, &send(HOME, ALICE, 9)), too_many);
    assert_eq!(world.say(NODE, &send(WORK, ALICE, 9)), too_many, "the other has earned nothing");
}

/// Two keys are signalled to as fast as the server lets strangers, each by eight of them, and answer everything: for longer than any burst
/// lasts.
#[test]
fn all_that_strangers_ask_is_answered_whether_two_share_a_connection_or_not() {
    for works in [NODE, conn(51)] {
        let mut world = World::new();
        BTreeSet::from([NODE, works]).into_iter().for_each(|at| world.enter(at));
        world.register(NODE, HOME);
        world.register(works, WORK);
        (101..=116).for_each(|n| world.join(n));
        let keys: Vec<_> = (0..=116).map(key).collect();
        let signal = signal(9);
        let mut is_passed = |(at, from): (ConnId, u8), (there, to): (ConnId, u8)| {
            let [from, to] = [from, to].map(|n| keys[usize::from(n)]);
            let message = ToServer::Signal { from, to, signal: signal.clone() };
            world.pass(Duration::from_micros(7_800));
            matches!(&world.say(at, &message)[..], [Output::Send(heard, _)] if *heard == there)
        };

        // Of each stranger four a second.
        let strangers = (101..=116).cycle().take(64 * 100);
        let unanswered = strangers.filter(|n| {
            let own = if n % 2 == 0 { (NODE, HOME) } else { (works, WORK) };
            !(is_passed((conn(*n), *n), own) && is_passed(own, (conn(*n), *n)))
        });
        assert_eq!(unanswered.count(), 0);
    }
}

#[test]
fn who_may_say_no_more_is_still_let_out() {
    let mut world = two_keys();
    world.join(ALICE);
    world.members_at(NODE, HOME, &advertise(HOME));
    while world.say(NODE, &discover(HOME)).iter().all(|it| matches!(it, Output::Send(_, ToNode::Members { .. }))) {}

    assert_eq!(world.say(NODE, &withdraw(HOME)), []);
    assert_eq!(world.members(ALICE, &discover(ALICE)), []);
    assert_eq!(world.say(NODE, &ToServer::Unregister(key(HOME))), []);
    assert_eq!(world.say(conn(ALICE), &send(ALICE, HOME, 9)), [unreachable(conn(ALICE), ALICE, HOME)]);
}

#[test]
fn too_many_answers_to_dials_are_refused_and_nothing_else() {
    let mut world = two_keys();
    let forward = ToServer::Forward { passage: 9, ends: None };

    let passed = (0..10_000).filter(|_| matches!(world.say(NODE, &forward)[..], [Output::Proxy(_)])).count();

    assert_eq!(passed, Config::default().answers.burst as usize);
    assert_eq!(world.say(NODE, &forward), [refused(NODE, Code::Quota, "too many messages")]);
    world.members_at(NODE, HOME, &advertise(HOME));
}

#[test]
fn what_keys_of_an_address_say_ends_no_connection_from_there() {
    let source_messages_of_keys = Rate { burst: 4, per_second: 1 };
    let mut world = World::with(Config { source_messages_of_keys, ..Config::default() });
    [ALICE, BOB].into_iter().for_each(|n| world.join_from(n, Ipv4Addr::new(203, 0, 113, 9)));
    world.join(3);
    (0..4).for_each(|_| drop(world.members(ALICE, &discover(ALICE))));

    assert_eq!(world.say(conn(BOB), &discover(BOB)), [refused(conn(BOB), Code::Quota, "too many messages")]);
    assert_eq!(world.say(conn(BOB), &ToServer::Lookup(key(3))), [sent(conn(BOB), ToNode::Here(key(3)))]);
    world.members(3, &discover(3));
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
