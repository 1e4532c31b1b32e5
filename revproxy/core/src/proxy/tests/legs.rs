//! Several five-tuples to a side, proofs of address, and answers.

use std::time::Duration;

use bitters_peercon::packed::PASSWORD;

use super::{
    super::{Config, Dropped, Load, Path, Socket},
    world::*,
};

#[test]
fn an_answer_counts_as_often_as_it_was_asked_for() {
    let mut world = World::opened(Config::default());
    let asked: Vec<_> = (0..2).flat_map(|_| world.datagram(DIALLER, &dialler_check(5))).collect();
    assert_eq!(asked[0], asked[1], "a check that is repeated is the same one");
    let answer = reply(&asked[0].1, LISTENER_PASSWORD);

    let passed: Vec<_> = (0..4).map(|_| world.datagram(LISTENER, &answer).len()).collect();

    assert_eq!((passed, world.counts().dropped(Dropped::Unasked)), (vec![1, 1, 0, 0], 2));
    // One side can't answer itself, nor for another's five-tuple.
    let asked = world.datagram(DIALLER, &dialler_check(6)).remove(0).1;
    assert_eq!(world.datagram(DIALLER, &reply(&asked, DIALLER_PASSWORD)), []);
    assert_eq!(world.datagram(path(2, 2001), &reply(&asked, LISTENER_PASSWORD)), []);
    assert_eq!(world.datagram(LISTENER, &reply(&asked, DIALLER_PASSWORD)), []);
    assert_eq!(world.counts().dropped(Dropped::Forged), 1);
    assert_eq!(world.datagram(LISTENER, &reply(&asked, LISTENER_PASSWORD)).len(), 1);
}

#[test]
fn answers_go_to_who_asked() {
    let mut world = World::opened(Config::default());
    let second = path(1, 1001);
    let asked = world.datagram(second, &dialler_check(7)).remove(0).1;
    world.datagram(DIALLER, &data(10));

    assert_eq!(world.datagram(LISTENER, &reply(&asked, LISTENER_PASSWORD)), [(second, response(7, PASSWORD))]);
}

#[test]
fn a_dialler_that_changes_its_port_is_followed() {
    let mut world = World::opened(Config::default());
    let second = path(1, 1001);
    world.datagram(DIALLER, &data(10));
    world.datagram(second, &dialler_check(7));
    world.datagram(second, &data(10));

    // Anybody could have sent that, so what is much goes where it went before, until the new place has answered a check.
    assert_eq!(world.datagram(LISTENER, &data(10)), [(second, data(10))]);
    assert_eq!(world.datagram(LISTENER, &data(1200)), [(DIALLER, data(1200))]);
    let (at, asked) = world.datagram(LISTENER, &listener_check(7)).remove(0);
    assert_eq!(at, second);
    world.datagram(second, &reply(&asked, DIALLER_PASSWORD));

    assert_eq!(world.datagram(LISTENER, &data(1200)), [(second, data(1200))]);
}

#[test]
fn a_side_has_four_legs_and_the_quietest_makes_room() {
    let mut world = World::opened(Config::default());
    for port in 1001..1010 {
        world.pass(Duration::from_millis(10));
        world.datagram(path(1, port), &dialler_check(7));
        world.datagram(DIALLER, &data(10));
    }

    assert_eq!(world.load(), Load { legs: 5, passages: 1, ..LISTENING });
    assert_eq!(world.datagram(LISTENER, &data(10)), [(DIALLER, data(10))]);
    assert_eq!(world.datagram(path(1, 1001), &data(10)), []);
    assert_eq!(world.datagram(path(1, 1009), &data(10)).len(), 1);
}

#[test]
fn a_five_tuple_belongs_to_one_passage() {
    let mut world = World::opened(Config::default());
    let other = check(1, &name(&packed_of(TOKEN, 1).to_ufrag(), DIALLER_UFRAG), PASSWORD);

    assert_eq!(world.datagram(DIALLER, &other), []);
    assert_eq!(world.datagram(LISTENER, &dialler_check(9)), []);
    assert_eq!(world.counts().dropped(Dropped::Taken), 2);
    assert_eq!(world.datagram(DIALLER, &data(10)), [(LISTENER, data(10))]);
}

#[test]
fn nobody_is_sent_more_than_came_from_there_until_it_answers() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.input(answer());
    let asked = listener_check(1);
    let all = world.datagram(LISTENER, &asked);
    let first = all[0].1.clone();
    assert_eq!(all[0], (LISTENER, check_like(&first, &name(LISTENER_UFRAG, DIALLER_UFRAG), LISTENER_PASSWORD)));
    assert_eq!(asked.len(), first.len());

    // Its bytes are used up: these wait, the latest of them.
    assert_eq!(world.datagram(DIALLER, &data(40)), []);
    assert_eq!(world.datagram(DIALLER, &data(50)), []);
    assert_eq!(world.counts().dropped(Dropped::Unverified), 1);
    // A check takes their place, as its answer helps, and gives it up to nothing else.
    assert_eq!(world.datagram(DIALLER, &dialler_check(2)), []);
    assert_eq!(world.datagram(DIALLER, &data(10)), []);
    assert_eq!(world.counts().dropped(Dropped::Unverified), 3);
    // More came from there.
    let passed = world.datagram(LISTENER, &listener_check(1)).remove(0);
    let second = lean_check_like(&passed.1, &name(LISTENER_UFRAG, DIALLER_UFRAG), LISTENER_PASSWORD);
    assert_eq!(passed, (LISTENER, second));
    world.datagram(DIALLER, &data(60));
    // It answers.
    let passed = world.datagram(LISTENER, &reply(&first, LISTENER_PASSWORD));
    assert_eq!(passed, [(LISTENER, data(60)), (DIALLER, response(1, PASSWORD))]);
    assert_eq!(world.datagram(DIALLER, &data(1200)), [(LISTENER, data(1200))]);
}

#[test]
fn what_is_optional_is_left_out_where_it_does_not_fit() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.input(answer());
    // As Firefox writes it: without Chromium's own attribute.
    let lean = lean_check(101, &name(DIALLER_UFRAG, LISTENER_UFRAG), DIALLER_PASSWORD);
    assert_eq!(lean.len() + 8, listener_check(1).len());

    let passed = world.datagram(LISTENER, &lean);

    let expected = lean_check_like(&passed[0].1, &name(LISTENER_UFRAG, DIALLER_UFRAG), LISTENER_PASSWORD);
    assert_eq!(passed[0], (LISTENER, expected));
}

#[test]
fn who_plays_both_ends_can_not_prove_another_place() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.input(answer());
    let (here, victim) = (LISTENER, path(7, 7));
    let mut seen = world.datagram(here, &listener_check(1));
    world.pass(Duration::from_millis(1));
    // The listener writes its victim's address on its packets, as if that were another place of its own. The dialler's checks go there.
    for n in [1, 4] {
        world.datagram(victim, &listener_check(2));
        assert_eq!(world.datagram(DIALLER, &dialler_check(n)).last().unwrap().0, victim);
    }
    seen.extend(world.datagram(here, &listener_check(3)));

    // Both ends know the transactions that they chose, and those that came to them; not the one that went to the victim.
    let chosen = (0..10).chain(100..110).map(|n| response(n, LISTENER_PASSWORD));
    let came = seen.iter().filter(|(to, _)| *to != victim).map(|(_, check)| reply(check, LISTENER_PASSWORD));
    for answer in chosen.chain(came).collect::<Vec<_>>() {
        world.datagram(victim, &answer);
    }

    let mut sent = 0;
    for _ in 0..20 {
        sent += world.datagram(DIALLER, &data(500)).iter().filter(|(to, _)| *to == victim).count();
    }
    assert_eq!(sent, 0);
}

#[test]
fn a_check_prefers_a_leg_of_the_askers_family() {
    let mut world = World::new();
    let six = |host: u16, port| Path {
        socket: Socket { index: 2, ip: None },
        peer: (std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host), port).into(),
    };
    world.datagram(six(1, 1), &dialler_check(1));
    world.input(answer());
    let asked = world.datagram(six(2, 2), &listener_check(1)).remove(0).1;
    world.datagram(six(2, 2), &reply(&asked, LISTENER_PASSWORD));
    world.datagram(LISTENER, &listener_check(2));

    assert_eq!(world.datagram(six(1, 1), &dialler_check(2)).last().unwrap().0, six(2, 2));
    assert_eq!(world.datagram(DIALLER, &dialler_check(3)).last().unwrap().0, LISTENER);
}
