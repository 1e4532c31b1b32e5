//! Forwarding between the credentials of a restart, where no direct path was found.

use std::time::Duration;

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
fn only_the_listener_may_ask_for_it_and_only_in_a_session_that_lives() {
    let refused = |conn, code, message: &str| Output::Send(conn, ToNode::Refused { code, message: message.into() });
    let over = |conn| [refused(conn, Code::PeerUnreachable, "the passage is over")];
    let mut world = World::new();
    assert_eq!(world.input(forward()), over(CONN));
    world.datagram(DIALLER, &dialler_check(1));
    world.outputs();
    assert_eq!(world.input(forward()), over(CONN), "it isn't open");

    let mut world = World::opened(Config::default());
    world.outputs();
    let Input::Forward { ours, theirs, .. } = forward() else { unreachable!("it is one") };
    let stranger = Input::Forward { conn: ConnId(2), passage: number(0), ours, theirs };
    assert_eq!(world.input(stranger), over(ConnId(2)));

    let mut world = World::opened(Config { relay_bytes: 0, ..Config::default() });
    world.outputs();
    assert_eq!(world.input(forward()), [refused(CONN, Code::Unsupported, "this server does not relay")]);
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
    let config = Config { opening_bytes: 3000, relay_bytes: 10_000, ..Config::default() };
    let mut world = World::opened(config);
    world.input(forward());
    let mut passed = 0;
    while !world.datagram(DIALLER, &data(1000)).is_empty() {
        passed += 1;
        world.input(forward_between(&format!("ours{passed}"), "theirs"));
    }
    assert_eq!((passed, world.counts().ended(Ended::Spent)), (10, 1));

    let mut world = World::opened(config);
    world.input(forward());
    world.pass(Duration::from_secs(29));
    assert_eq!(world.datagram(DIALLER, &data(10)).len(), 1);
    world.pass(Duration::from_secs(30));
    assert_eq!((world.load().passages, world.counts().ended(Ended::Idle)), (0, 1));

    let mut world = World::opened(config);
    world.input(forward());
    let seconds = (0..1000).take_while(|_| {
        world.pass(Duration::from_secs(1));
        !world.datagram(DIALLER, &data(10)).is_empty()
    });
    assert_eq!(seconds.count(), 599);
    assert_eq!(world.counts().ended(Ended::TimedOut), 1);
}

/// A check of the restart, to the end with this fragment from the end with that.
fn new_check(n: u32, to: &str, from: &str) -> Vec<u8> {
    check(n, &name(to, from), &secret(to))
}
