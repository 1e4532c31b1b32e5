//! Forwarding between the credentials of a restart, where no direct path was found, or of the dial, where none is looked for.

use std::time::Duration;

use bitters_peercon::packed::PASSWORD;
use bitters_wire::{failure::Code, rendezvous::ToNode};

use super::{
    super::{Config, Dropped, Ended, Input, Load, Output},
    world::*,
};
use crate::rendezvous::ConnId;

#[test]
fn checks_with_the_new_names_pass() {
    let mut world = World::opened(Config::default());
    assert_eq!(world.input(forward()), []);
    // The ports may be new, too.
    let (dialler, listener) = (path(1, 1001), path(2, 2001));

    // Where the listener was, until it checks by the new names.
    let passed = world.datagram(dialler, &new_check(1, "NEWl", "NEWd"));
    assert_eq!(passed, [(LISTENER, check_like(&passed[0].1, &name("NEWl", "NEWd"), &secret("NEWl")))]);
    let passed = world.datagram(listener, &new_check(2, "NEWd", "NEWl"));
    assert_eq!(passed, [(dialler, check_like(&passed[0].1, &name("NEWd", "NEWl"), &secret("NEWd")))]);
    let passed = world.datagram(dialler, &new_check(3, "NEWl", "NEWd"));
    assert_eq!(passed, [(listener, check_like(&passed[0].1, &name("NEWl", "NEWd"), &secret("NEWl")))]);
    let answer = reply(&passed[0].1, &secret("NEWl"));
    assert_eq!(world.datagram(LISTENER, &answer), [], "it was sent elsewhere");
    assert_eq!(world.datagram(listener, &answer), [(dialler, response(3, &secret("NEWl")))]);
    assert_eq!(world.datagram(dialler, &data(10)), [(listener, data(10))]);
    assert_eq!(world.load(), Load { legs: 4, relaying: 1, passages: 1, ..LISTENING });
    // A name of one side is not the other's.
    assert_eq!(world.datagram(path(2, 2002), &new_check(3, "NEWl", "NEWx")), []);
    assert_eq!(world.counts().dropped(Dropped::UnknownUsername), 1);
    let forged = check(4, &name("NEWl", "NEWd"), &secret("NEWd"));
    assert_eq!((world.datagram(dialler, &forged), world.counts().dropped(Dropped::Forged)), (vec![], 1));
}

#[test]
fn checks_with_the_dials_names_go_on_passing() {
    let mut world = World::opened(Config { opening_bytes: 3000, ..Config::default() });
    assert_eq!(world.input(forward_by_dial(number(0))), []);

    // For longer than a passage may take to open, or may be silent while it does.
    for n in 2..22 {
        world.pass(Duration::from_secs(29));
        let asked = world.datagram(DIALLER, &dialler_check(n)).remove(0).1;
        assert_eq!(asked, check_like(&asked, &name(LISTENER_UFRAG, DIALLER_UFRAG), LISTENER_PASSWORD));
        assert_eq!(world.datagram(LISTENER, &reply(&asked, LISTENER_PASSWORD)), [(DIALLER, response(n, PASSWORD))]);
        assert_eq!(world.datagram(LISTENER, &listener_check(n)).len(), 1);
        assert_eq!(world.datagram(DIALLER, &data(1000)), [(LISTENER, data(1000))]);
        assert_eq!(world.datagram(LISTENER, &data(1000)), [(DIALLER, data(1000))]);
    }

    // The ports may change here, too.
    let (at, asked) = world.datagram(path(2, 2001), &listener_check(22)).remove(0);
    assert_eq!((at, world.datagram(DIALLER, &reply(&asked, DIALLER_PASSWORD)).len()), (DIALLER, 1));
    assert_eq!(world.load(), Load { legs: 3, relaying: 1, passages: 1, ..LISTENING });
    assert_eq!(world.counts().dropped(Dropped::Ghost), 0);
    assert_eq!(world.rest(), LISTENING);
}

#[test]
fn a_restart_after_all_takes_the_place_of_the_dials_names_for_good() {
    let mut world = World::opened(Config::default());
    world.input(forward_by_dial(number(0)));
    assert_eq!(world.input(forward()), []);
    let (dialler, listener) = (path(1, 1001), path(2, 2001));

    world.datagram(listener, &new_check(1, "NEWd", "NEWl"));
    assert_eq!(world.input(forward_by_dial(number(0))), []);

    // Those who check by the names of the restart are asked first still.
    world.datagram(LISTENER, &listener_check(2));
    let passed = world.datagram(dialler, &new_check(2, "NEWl", "NEWd"));
    assert_eq!(passed, [(listener, check_like(&passed[0].1, &name("NEWl", "NEWd"), &secret("NEWl")))]);
    assert_eq!(world.load(), Load { legs: 4, relaying: 1, passages: 1, ..LISTENING });
    assert_eq!(world.rest(), LISTENING);
}

#[test]
fn only_the_listener_may_ask_for_it_and_only_in_a_session_that_lives() {
    let refused = |conn, code, message: &str| Output::Send(conn, ToNode::Refused { code, message: message.into() });
    let over = |conn| [refused(conn, Code::PeerUnreachable, "the passage is over")];
    for forward in [forward(), forward_by_dial(number(0))] {
        let mut world = World::new();
        assert_eq!(world.input(forward.clone()), over(CONN));
        world.datagram(DIALLER, &dialler_check(1));
        world.outputs();
        assert_eq!(world.input(forward.clone()), over(CONN), "it isn't open");

        let mut world = World::opened(Config::default());
        world.outputs();
        let Input::Forward { restart, .. } = forward.clone() else { unreachable!("it is one") };
        let stranger = Input::Forward { conn: ConnId(2), passage: number(0), restart };
        assert_eq!(world.input(stranger), over(ConnId(2)));
        assert_eq!(world.load().relaying, 0);

        let mut world = World::opened(Config { relay_bytes: 0, ..Config::default() });
        world.outputs();
        assert_eq!(world.input(forward), [refused(CONN, Code::Unsupported, "this server does not relay")]);
    }
}

#[test]
fn names_are_one_sessions_and_can_change() {
    let mut world = World::opened(Config::default());
    world.outputs();
    let taken = "the username fragments are another passage's".into();
    let taken = [Output::Send(CONN, ToNode::Refused { code: Code::BadArgument, message: taken })];

    assert_eq!(world.input(forward_between(LISTENER_UFRAG, DIALLER_UFRAG)), taken);
    assert_eq!(world.input(forward_between("same", "same")), taken);
    assert_eq!(world.input(forward()), []);
    assert_eq!(world.input(forward()), [], "again the same is no harm");
    assert_eq!(world.input(forward_between("then", "them")), []);

    assert_eq!(world.datagram(DIALLER, &new_check(1, "NEWl", "NEWd")), []);
    assert_eq!(world.datagram(DIALLER, &new_check(1, "then", "them")).len(), 1);
}

#[test]
fn the_budget_is_another_and_is_given_once() {
    let by_restart = |n: u32| forward_between(&format!("ours{n}"), "theirs");
    let by_dial = |_: u32| forward_by_dial(number(0));
    let by_both = |n: u32| if n.is_multiple_of(2) { forward_by_dial(number(0)) } else { by_restart(n) };
    for ask in [&by_restart as &dyn Fn(u32) -> Input, &by_dial, &by_both] {
        let config = Config { opening_bytes: 3000, relay_bytes: 10_000, ..Config::default() };
        let mut world = World::opened(config);
        world.input(ask(0));
        let mut passed = 0;
        while !world.datagram(DIALLER, &data(1000)).is_empty() {
            passed += 1;
            world.input(ask(passed));
        }
        assert_eq!((passed, world.counts().ended(Ended::Spent)), (10, 1));

        let mut world = World::opened(config);
        world.input(ask(0));
        world.pass(Duration::from_secs(29));
        assert_eq!(world.datagram(DIALLER, &data(10)).len(), 1);
        world.pass(Duration::from_secs(30));
        assert_eq!((world.load().passages, world.counts().ended(Ended::Idle)), (0, 1));

        let mut world = World::opened(config);
        world.input(ask(0));
        let seconds = (1..1000).take_while(|n| {
            world.pass(Duration::from_secs(1));
            world.input(ask(*n));
            !world.datagram(DIALLER, &data(10)).is_empty()
        });
        assert_eq!(seconds.count(), 599);
        assert_eq!(world.counts().ended(Ended::TimedOut), 1);
    }
}

/// A check of the restart, to the end with this fragment from the end with that.
fn new_check(n: u32, to: &str, from: &str) -> Vec<u8> {
    check(n, &name(to, from), &secret(to))
}
