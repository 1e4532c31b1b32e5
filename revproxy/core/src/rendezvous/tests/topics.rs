//! Who is introduced to whom.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use bitters_wire::{
    failure::Code,
    id::TopicId,
    keys::PersonaSecret,
    rendezvous::{ToNode, ToServer, register_text},
};

use super::{
    super::{Config, ConnId, Input},
    world::*,
};

#[test]
fn the_first_is_alone_and_the_second_meets_it() {
    let mut world = World::of([ALICE, BOB]);

    let alone = world.say(conn(ALICE), &advertise(ALICE));
    let met = world.say(conn(BOB), &advertise(BOB));

    let members = |n, members| ToNode::Members { topic: LOBBY, key: key(n), members };
    assert_eq!(alone, [sent(conn(ALICE), members(ALICE, vec![]))]);
    assert_eq!(met, [sent(conn(BOB), members(BOB, vec![key(ALICE)]))]);
}

#[test]
fn nobody_is_introduced_twice_within_five_minutes_unless_asked() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &advertise(ALICE));
    assert_eq!(world.members(BOB, &advertise(BOB)), [key(ALICE)]);

    world.pass(FIVE_MINUTES - Duration::from_millis(1));
    assert_eq!(world.members(BOB, &advertise(BOB)), []);
    assert_eq!(world.members(BOB, &discover(BOB)), [key(ALICE)]);

    world.pass(FIVE_MINUTES - Duration::from_millis(1));
    assert_eq!(world.members(BOB, &advertise(BOB)), []);

    world.pass(Duration::from_millis(1));
    assert_eq!(world.members(BOB, &advertise(BOB)), [key(ALICE)]);
}

#[test]
fn the_five_minutes_hold_across_topics() {
    let mut world = World::of([ALICE, BOB]);
    for topic in [LOBBY, topic(0x11)] {
        world.members(ALICE, &ToServer::Advertise { topic, key: key(ALICE) });
    }

    assert_eq!(world.members(BOB, &advertise(BOB)), [key(ALICE)]);
    assert_eq!(world.members(BOB, &ToServer::Advertise { topic: topic(0x11), key: key(BOB) }), []);
}

#[test]
fn a_node_that_comes_back_is_introduced_again() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &advertise(ALICE));
    world.members(BOB, &advertise(BOB));

    world.input(Input::Closed(conn(ALICE)));
    assert_eq!(world.members(BOB, &discover(BOB)), []);
    world.join(ALICE);

    assert_eq!(world.members(ALICE, &advertise(ALICE)), [key(BOB)]);
    assert_eq!(world.members(BOB, &advertise(BOB)), [key(ALICE)]);
}

#[test]
fn a_node_that_comes_back_before_its_old_connection_ends_is_introduced_again() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &advertise(ALICE));
    world.members(BOB, &advertise(BOB));
    world.members(ALICE, &advertise(ALICE));

    world.enter(conn(9));
    world.register(conn(9), ALICE);

    assert_eq!(world.members(BOB, &discover(BOB)), [], "it has yet to say that it is in the topic");
    assert_eq!(world.members_at(conn(9), ALICE, &advertise(ALICE)), [key(BOB)]);
    assert_eq!(world.members(BOB, &advertise(BOB)), [key(ALICE)]);
    assert_eq!(world.members(BOB, &advertise(BOB)), []);
    assert_eq!(world.input(Input::Closed(conn(ALICE))), []);
    assert_eq!(world.members(BOB, &discover(BOB)), [key(ALICE)]);
}

#[test]
fn at_most_eight_are_named_and_all_in_the_end() {
    let mut world = World::of(1..=21);
    (1..=20).for_each(|n| drop(world.members(n, &advertise(n))));

    let rounds: Vec<_> = (0..4).map(|_| world.members(21, &advertise(21))).collect();

    assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 4, 0]);
    let met: BTreeSet<_> = rounds.into_iter().flatten().collect();
    assert_eq!(met, (1..=20).map(key).collect());
}

#[test]
fn who_withdrew_is_not_named() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &advertise(ALICE));

    assert_eq!(world.say(conn(ALICE), &withdraw(ALICE)), []);

    assert_eq!(world.members(BOB, &advertise(BOB)), []);
}

#[test]
fn who_is_no_longer_registered_is_in_no_topic() {
    let mut world = World::of([ALICE, BOB]);
    world.members(ALICE, &advertise(ALICE));

    assert_eq!(world.say(conn(ALICE), &ToServer::Unregister(key(ALICE))), []);

    assert_eq!(world.members(BOB, &advertise(BOB)), []);
    world.register(conn(ALICE), ALICE);
    assert_eq!(world.members(BOB, &advertise(BOB)), [], "its topics were forgotten");
}

#[test]
fn a_full_memory_introduces_nobody_unasked() {
    let mut world = World::with(Config { introductions: 3, ..Config::default() });
    (1..=10).for_each(|n| world.join(n));
    (1..=9).for_each(|n| drop(world.members(n, &advertise(n))));

    assert_eq!(world.members(10, &advertise(10)).len(), 3);
    assert_eq!(world.members(10, &advertise(10)), []);
    assert_eq!(world.members(10, &discover(10)).len(), 8);
    assert!(world.machine.load().introductions <= 10 * 3);

    world.pass(FIVE_MINUTES);
    assert_eq!(world.members(10, &advertise(10)).len(), 3);
}

#[test]
fn topics_are_counted() {
    for config in [Config { topics: 2, ..Config::default() }, Config { topics_per_key: 2, ..Config::default() }] {
        let mut world = World::with(config);
        world.join(ALICE);
        let advertise = |n| ToServer::Advertise { topic: topic(n), key: key(ALICE) };
        world.members(ALICE, &advertise(1));
        world.members(ALICE, &advertise(2));

        assert_eq!(world.say(conn(ALICE), &advertise(3)), [refused(conn(ALICE), Code::Quota, "too many topics")]);

        world.members(ALICE, &advertise(2));
        world.say(conn(ALICE), &ToServer::Withdraw { topic: topic(1), key: key(ALICE) });
        world.members(ALICE, &advertise(3));
    }
}

#[test]
fn topics_are_counted_for_each_key_and_for_all_of_a_connection() {
    let mut world = World::with(Config { topics: 3, topics_per_key: 2, ..Config::default() });
    world.join(ALICE);
    world.register(conn(ALICE), BOB);
    let mut add = |n, key| world.say(conn(ALICE), &ToServer::Advertise { topic: topic(n), key }).remove(0);
    let too_many = refused(conn(ALICE), Code::Quota, "too many topics");

    assert_ne!(add(1, key(ALICE)), too_many);
    assert_ne!(add(2, key(ALICE)), too_many);
    assert_eq!(add(3, key(ALICE)), too_many);
    assert_ne!(add(1, key(BOB)), too_many);
    assert_eq!(add(2, key(BOB)), too_many);

    world.say(conn(ALICE), &ToServer::Unregister(key(ALICE)));
    world.members_at(conn(ALICE), BOB, &ToServer::Advertise { topic: topic(2), key: key(BOB) });
}

#[test]
fn many_keys_of_one_address_do_not_keep_members_of_other_networks_apart() {
    let mut world = World::new();
    // A quarter of the connections that an address may have, and all keys that these may have.
    for at in 0..16_u8 {
        let conn = ConnId(1000 + u64::from(at));
        world.open_from(conn, Ipv4Addr::new(198, 51, 100, 1));
        world.say(conn, &ENTER);
        for n in 0..32_u8 {
            let secret = PersonaSecret::new(std::array::from_fn(|byte| [at, n][byte % 2]));
            let (key, text) = (secret.id(), register_text(&nonce(conn), SERVER, secret.id()));
            assert_eq!(world.say(conn, &ToServer::Register { key, signature: secret.sign(&text) }), []);
            world.say(conn, &ToServer::Advertise { topic: LOBBY, key });
        }
    }
    let honest: Vec<_> = (101..=120_u8).collect();
    let met = honest.iter().filter(|n| {
        world.join(**n);
        let told = world.members(**n, &advertise(**n));
        told.iter().any(|it| honest.iter().any(|other| key(*other) == *it))
    });
    assert_eq!(met.count(), 19, "all but the first are told of another who comes from a network of its own");
}

const fn topic(n: u8) -> TopicId {
    TopicId([n; 32])
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);
