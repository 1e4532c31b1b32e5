//! A dial, from its first packet to its last.

use std::{collections::BTreeSet, time::Duration};

use bitters_peercon::{Credentials, packed::PASSWORD};
use bitters_wire::{address::Token, failure::Code, rendezvous::ToNode};

use super::{
    super::{Config, Dropped, Ended, Input, Load, Output, Path, Traffic},
    world::*,
};
use crate::rendezvous::ConnId;

#[test]
fn a_check_waits_and_its_listener_is_told() {
    let mut world = World::new();

    assert_eq!(world.datagram(DIALLER, &dialler_check(1)), []);

    assert_eq!(world.outputs(), [dialled(CONN, number(0), &packed())]);
    assert_eq!(world.load(), Load { legs: 1, pending: 1, passages: 1, ..LISTENING });
    // It is told once, whatever is sent again.
    assert_eq!(world.datagram(DIALLER, &dialler_check(2)), []);
    assert_eq!(world.outputs(), []);
}

#[test]
fn checks_are_written_again_and_everything_else_passes_untouched() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.datagram(DIALLER, &dialler_check(2));
    world.outputs();

    assert_eq!(world.input(answer()), []);
    // The latest that waited, then its own, each with a transaction of the proxy's.
    let passed = world.datagram(LISTENER, &listener_check(1));
    let [(_, to_listener), (_, to_dialler)] = &passed[..] else { panic!("{passed:?}") };
    let from_dialler = check_like(to_listener, &name(LISTENER_UFRAG, DIALLER_UFRAG), LISTENER_PASSWORD);
    let from_listener = check_like(to_dialler, &name(DIALLER_UFRAG, &packed().to_ufrag()), DIALLER_PASSWORD);
    assert_eq!(passed, [(LISTENER, from_dialler.clone()), (DIALLER, from_listener.clone())]);
    assert!([1, 2, 101].iter().all(|n| ![transaction(to_listener), transaction(to_dialler)].contains(n)));
    // Answers go back with the askers'.
    let answered = world.datagram(LISTENER, &reply(&from_dialler, LISTENER_PASSWORD));
    assert_eq!(answered, [(DIALLER, response(2, PASSWORD))]);
    let answered = world.datagram(DIALLER, &reply(&from_listener, DIALLER_PASSWORD));
    assert_eq!(answered, [(LISTENER, response(101, DIALLER_PASSWORD))]);
    assert_eq!(world.datagram(DIALLER, &data(1200)), [(LISTENER, data(1200))]);
    assert_eq!(world.datagram(LISTENER, &data(900)), [(DIALLER, data(900))]);
    assert_eq!(world.load(), Load { legs: 2, passages: 1, ..LISTENING });
    let (counts, both) = (*world.counts(), |packets, bytes| Traffic { packets, bytes });
    assert_eq!((counts.dialled, counts.answered), (1, 1));
    assert_eq!((counts.to_listeners.packets, counts.to_diallers.packets), (3, 3));
    assert_eq!(counts.to_diallers, both(3, counts.to_diallers.bytes));
}

#[test]
fn the_listener_may_be_heard_before_its_answer() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));

    // Nobody knows its name yet.
    assert_eq!(world.datagram(LISTENER, &listener_check(1)), []);
    world.input(answer());

    assert_eq!(world.datagram(LISTENER, &listener_check(1)).len(), 2);
}

#[test]
fn an_answer_counts_once_and_only_from_who_listens() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    let credentials = Credentials::new("evil", LISTENER_PASSWORD).unwrap();

    world.input(Input::Answer { conn: ConnId(2), passage: number(0), credentials: credentials.clone() });
    world.input(Input::Answer { conn: CONN, passage: number(1), credentials: credentials.clone() });
    assert_eq!(world.counts().answered, 0);
    world.input(answer());
    world.input(Input::Answer { conn: CONN, passage: number(0), credentials });

    assert_eq!(world.counts().answered, 1);
    assert_eq!(world.datagram(LISTENER, &check(1, &name(DIALLER_UFRAG, "evil"), DIALLER_PASSWORD)), []);
    assert_eq!(world.datagram(LISTENER, &listener_check(1)).len(), 2);
}

#[test]
fn an_answer_with_another_sessions_name_is_refused() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    let other = check(1, &name(&packed_of(TOKEN, 1).to_ufrag(), DIALLER_UFRAG), PASSWORD);
    world.datagram(path(9, 9), &other);
    world.outputs();
    world.input(answer());
    let credentials = Credentials::new(LISTENER_UFRAG, LISTENER_PASSWORD).unwrap();

    let outputs = world.input(Input::Answer { conn: CONN, passage: number(1), credentials });

    let message = "the username fragment is another passage's".into();
    assert_eq!(outputs, [Output::Send(CONN, ToNode::Refused { code: Code::BadArgument, message })]);
}

#[test]
fn nothing_is_kept_of_a_check_that_does_not_count() {
    let good = packed().to_ufrag();
    for (bytes, why) in [
        (check(1, &name(&good, DIALLER_UFRAG), LISTENER_PASSWORD), Dropped::Forged),
        (check(1, &name(&packed_of(Token([8; 6]), 1).to_ufrag(), DIALLER_UFRAG), PASSWORD), Dropped::UnknownToken),
        (check(1, &name("1gTT", DIALLER_UFRAG), PASSWORD), Dropped::UnknownUsername),
        (check(1, &name(&good, "abc"), PASSWORD), Dropped::UnknownUsername),
        (check(1, &name(&good, "a:bcd"), PASSWORD), Dropped::UnknownUsername),
        (check(1, &good, PASSWORD), Dropped::UnknownUsername),
        (dialler_check(1)[..100].to_vec(), Dropped::Malformed),
        (response(1, PASSWORD), Dropped::UnknownPath),
        (data(100), Dropped::UnknownPath),
        (vec![0x80; 100], Dropped::Strange),
        (vec![], Dropped::Strange),
    ] {
        let mut world = World::new();
        assert_eq!(world.datagram(DIALLER, &bytes), [], "{why:?}");
        assert_eq!((world.outputs(), world.load()), (vec![], LISTENING), "{why:?}");
        assert_eq!(world.counts().dropped(why), 1, "{why:?}");
    }
}

#[test]
fn the_fingerprint_is_checked() {
    let mut world = World::new();
    let mut bytes = dialler_check(1);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;

    assert_eq!(world.datagram(DIALLER, &bytes), []);
    assert_eq!((world.load(), world.counts().dropped(Dropped::Malformed)), (LISTENING, 1));
}

#[test]
fn a_listener_that_never_answers_costs_ten_seconds() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.outputs();

    for tenth in 0..99 {
        world.pass(Duration::from_millis(100));
        world.datagram(DIALLER, &dialler_check(tenth));
    }
    assert_eq!((world.outputs(), world.load().pending), (vec![], 1));
    world.pass(Duration::from_millis(100));

    assert_eq!((world.load(), world.counts().ended(Ended::Unanswered)), (LISTENING, 1));
    // The browser still tries: it begins anew.
    world.datagram(DIALLER, &dialler_check(100));
    assert_eq!(world.outputs(), [dialled(CONN, number(1), &packed())]);
}

#[test]
fn a_listener_that_answers_and_is_never_heard_is_forgotten() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.pass(Duration::from_secs(9));
    world.input(answer());
    world.pass(Duration::from_millis(9999));
    assert_eq!(world.load().pending, 1);

    world.pass(Duration::from_millis(1));

    assert_eq!(world.load(), Load { ghosts: 1, ..LISTENING });
    assert_eq!(world.rest(), LISTENING);
}

#[test]
fn a_check_after_the_restart_is_a_ghost() {
    let mut world = World::opened(Config::default());
    world.outputs();
    let after_restart = check(50, &name(&packed().to_ufrag(), "NEWd"), PASSWORD);

    assert_eq!(world.datagram(DIALLER, &after_restart), []);
    assert_eq!(world.datagram(path(1, 1001), &after_restart), []);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.load(), Load { ghosts: 1, ..LISTENING });
    // Nor are the stragglers of an ended passage a new dial.
    assert_eq!(world.datagram(DIALLER, &after_restart), []);
    assert_eq!(world.datagram(DIALLER, &dialler_check(51)), []);

    assert_eq!((world.outputs(), world.counts().dropped(Dropped::Ghost)), (vec![], 4));
    world.pass(Duration::from_secs(30));
    assert_eq!(world.load(), LISTENING);
}

#[test]
fn ghosts_are_bounded() {
    let mut world = World::with(Config { ghosts: 3, ..Config::default() });
    for n in 0..10 {
        world.datagram(
            path(1, u16::from(n)),
            &check(1, &name(&packed_of(TOKEN, n).to_ufrag(), DIALLER_UFRAG), PASSWORD),
        );
        let credentials = Credentials::new(&format!("lis{n}"), LISTENER_PASSWORD).unwrap();
        world.input(Input::Answer { conn: CONN, passage: number(n), credentials });
    }
    world.pass(Duration::from_secs(10));

    assert_eq!(world.load(), Load { ghosts: 3, ..LISTENING });
}

#[test]
fn dials_wait_for_a_listener_that_moves() {
    let mut world = World::new();
    world.datagram(DIALLER, &dialler_check(1));
    world.outputs();
    let there = ConnId(2);

    assert_eq!(world.listen(CONN, TOKEN), []);
    assert_eq!(world.listen(there, TOKEN), [dialled(there, number(0), &packed())]);
    world.input(answer());
    assert_eq!(world.counts().answered, 0, "the address is another connection's now");
}

#[test]
fn dials_that_wait_are_told_in_their_order() {
    let mut world = World::with(Config { told_per_listener: 20, ..Config::default() });
    let waiting: Vec<_> = (0..20).map(|n| packed_of(TOKEN, n)).collect();
    for (packed, host) in waiting.iter().zip(1..) {
        world.datagram(path(host, 9), &check(1, &name(&packed.to_ufrag(), DIALLER_UFRAG), PASSWORD));
        world.pass(Duration::from_millis(1));
    }
    world.outputs();
    let there = ConnId(2);

    let told: Vec<_> = waiting.iter().zip(0..).map(|(packed, n)| dialled(there, number(n), packed)).collect();
    assert_eq!(world.listen(there, TOKEN), told);
}

#[test]
fn numbers_of_sessions_are_no_count() {
    let mut world = World::with(Config { told_per_listener: 60, ..Config::default() });
    for n in 0..60 {
        let bytes = check(1, &name(&packed_of(TOKEN, n).to_ufrag(), DIALLER_UFRAG), PASSWORD);
        let from = Path { peer: ([198, 18, n, 1], 9).into(), ..DIALLER };
        world.datagram(from, &bytes);
    }
    let numbers: Vec<_> = world
        .outputs()
        .into_iter()
        .map(|output| match output {
            Output::Send(_, ToNode::Dialled { passage, .. }) => passage,
            other @ Output::Send(..) => panic!("not a dial: {other:?}"),
        })
        .collect();

    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 60);
    // Each of the 64 bits is set in about half of them.
    for bit in 0..64 {
        let set = numbers.iter().filter(|&number| number >> bit & 1 == 1).count();
        assert!((10..50).contains(&set), "bit {bit} is set in {set} of 60");
    }
    let rising = numbers.windows(2).filter(|two| two[0] < two[1]).count();
    assert!((15..45).contains(&rising), "{rising} of 59 are greater than the one before");
}

#[test]
fn dials_end_with_their_listener_but_not_what_is_open() {
    let mut world = World::opened(Config::default());
    let other = check(1, &name(&packed_of(TOKEN, 1).to_ufrag(), DIALLER_UFRAG), PASSWORD);
    world.datagram(path(9, 9), &other);
    assert_eq!(world.load().pending, 1);

    world.input(Input::Unlisten(TOKEN));

    assert_eq!(world.load(), Load { legs: 2, listeners: 0, passages: 1, ..LISTENING });
    assert_eq!(world.counts().ended(Ended::Unlistened), 1);
    assert_eq!(world.datagram(DIALLER, &data(100)).len(), 1);
    assert_eq!(world.datagram(path(9, 9), &other), []);
    assert_eq!(world.counts().dropped(Dropped::UnknownToken), 1);
}

#[test]
fn everything_is_forgotten_in_the_end() {
    let mut world = World::opened(Config::default());
    world.input(forward());

    assert_eq!(world.rest(), LISTENING);
    world.input(Input::Unlisten(TOKEN));
    assert_eq!(world.rest(), Load::default());
}
