//! Who enters and registers, who is found, who is heard.

use bitters_machine::Machine;
use std::time::Duration;

use bitters_wire::{
    VersionRange, WIRE,
    failure::Code,
    id::PersonaId,
    keys::{NodeSecret, PersonaSecret, Signature},
    limits::MAX_SEALED_SIGNAL,
    rendezvous::{ToNode, ToServer, register_text},
};

use super::{
    super::{Config, ConnId, Input, Load, Output},
    world::*,
};

#[test]
fn a_connection_is_challenged_first() {
    let outputs = World::new().open(A);

    assert_eq!(outputs, [sent(A, ToNode::Challenge { nonce: nonce(A), wire: WIRE, unix_ms: NOON_MS })]);
}

#[test]
fn a_signature_over_another_challenge_is_refused() {
    let mut world = World::of([BOB]);
    world.enter(A);

    let outputs = world.say(A, &register(ALICE, B));

    assert_eq!(outputs, [refused(A, Code::Denied, "the key's signature does not verify")]);
    assert_eq!(world.machine.load().keys, 1);
    assert_eq!(world.say(A, &register(ALICE, A)), []);
    assert_eq!(world.machine.load().keys, 2);
}

#[test]
fn a_node_of_other_versions_is_refused() {
    let mut world = World::new();
    for version in [WIRE.min - 1, WIRE.max + 1] {
        world.open(A);
        let wire = VersionRange { min: version, max: version };

        assert_eq!(world.say(A, &ToServer::Enter(wire)), expelled(A, Code::VersionMismatch, SPOKEN));
        assert_eq!(world.say(A, &ENTER), []);
    }
    world.open(A);
    assert_eq!(world.say(A, &ToServer::Enter(VersionRange { min: 1, max: WIRE.max + 1 })), [entered(A)]);
}

#[test]
fn the_registration_of_version_1_is_refused_by_version() {
    // What that version called `Register`: the variant, the node's key, its signature with its length, and the versions 1 to 1.
    let node = NodeSecret::new([7; 32]);
    let text =
        [b"bitters/rendezvous/node/2".as_slice(), &nonce(A), &17_u32.to_be_bytes(), SERVER.as_bytes(), &node.id().0];
    let signature = node.sign(&text.concat());
    let bytes = [[7].as_slice(), &node.id().0, &[64], &signature.0, &[1, 1]].concat();
    assert_eq!(bytes.len(), 100);
    let mut world = World::new();
    world.open(A);

    assert_eq!(world.input(Input::Received(A, bytes)), expelled(A, Code::VersionMismatch, SPOKEN));
    assert_eq!(world.rest(), Load::default());
}

#[test]
fn a_node_that_asks_whether_we_are_there_is_told_so() {
    let mut world = World::of([ALICE]);

    assert_eq!(world.say(A, &ToServer::ARE_YOU_THERE), [sent(A, ToNode::HERE_I_AM)]);
    world.say(A, &ToServer::Lookup(key(BOB)));

    let counts = world.machine.counts();
    assert_eq!((counts.received["alive"], counts.sent["alive"]), (1, 1));
    assert_eq!((counts.received["lookup"], counts.sent["missing"]), (1, 1), "another key is a look-up");
}

#[test]
fn nobody_registers_the_key_that_is_all_zeros() {
    let zeros = PersonaId([0; 32]);
    // The neutral element and a zero. A check that isn't strict takes this for a signature of a key of order 4, by one text in four.
    let mut neutral = [0; 64];
    neutral[0] = 1;
    for n in 0..64 {
        let (mut world, at) = (World::new(), conn(n));
        world.enter(at);
        let by_another = PersonaSecret::new([n; 32]).sign(&register_text(&nonce(at), SERVER, zeros));
        for signature in [Signature([0; 64]), Signature(neutral), by_another] {
            let outputs = world.say(at, &ToServer::Register { key: zeros, signature });
            assert_eq!(outputs, [refused(at, Code::Denied, "the key's signature does not verify")]);
        }
        assert_eq!(world.say(at, &ToServer::ARE_YOU_THERE), [sent(at, ToNode::HERE_I_AM)]);
    }
}

#[test]
fn who_has_not_entered_is_told_nothing() {
    for request in [
        advertise(ALICE),
        discover(ALICE),
        ToServer::Lookup(key(ALICE)),
        send(BOB, ALICE, 9),
        register(BOB, B),
        listen(BOB, B, 1),
        ToServer::ARE_YOU_THERE,
    ] {
        let mut world = World::of([ALICE]);
        world.open(B);

        assert_eq!(world.say(B, &request), expelled(B, Code::Denied, "enter first"));
    }
}

#[test]
fn entering_twice_ends_the_connection() {
    let mut world = World::of([ALICE]);

    assert_eq!(world.say(A, &ENTER), expelled(A, Code::BadArgument, "entered already"));
    assert_eq!(world.rest(), Load::default());
}

#[test]
fn who_does_not_enter_in_time_is_closed() {
    let mut world = World::of([ALICE]);
    world.open(B);

    let deadline = world.machine.poll_timeout().unwrap();
    assert_eq!(deadline.since(world.now), Duration::from_secs(10));
    world.now = deadline;

    assert_eq!(world.input(Input::Timeout), expelled(B, Code::Timeout, "the node did not enter"));
    assert_eq!(world.machine.load().nodes, 1);
}

#[test]
fn a_node_that_comes_back_is_believed_before_its_old_connection_ends() {
    let mut world = World::of([ALICE, BOB]);
    world.say(A, &advertise(ALICE));
    world.enter(AGAIN);

    world.register(AGAIN, ALICE);

    assert_eq!(world.members(BOB, &discover(BOB)), []);
    assert_eq!(world.say(B, &send(BOB, ALICE, 9)), [heard(AGAIN, BOB, ALICE, 9)]);
    assert_eq!(world.input(Input::Closed(A)), []);
    assert_eq!(world.say(B, &send(BOB, ALICE, 9)), [heard(AGAIN, BOB, ALICE, 9)]);
    assert_eq!(world.say(B, &ToServer::Lookup(key(ALICE))), [sent(B, ToNode::Here(key(ALICE)))]);
}

#[test]
fn a_key_is_found_while_its_node_says_so() {
    let mut world = World::of([BOB]);
    world.enter(A);
    let (id, look) = (key(ALICE), ToServer::Lookup(key(ALICE)));

    assert_eq!(world.say(B, &look), [sent(B, ToNode::Missing(id))]);
    assert_eq!(world.say(A, &register(ALICE, A)), []);
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Here(id))]);
    assert_eq!(world.say(B, &ToServer::Unregister(id)), []);
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Here(id))]);
    assert_eq!(world.say(A, &ToServer::Unregister(id)), []);
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Missing(id))]);
}

#[test]
fn a_key_signs_for_itself() {
    let mut world = World::of([ALICE]);
    world.enter(B);
    let denied = [refused(B, Code::Denied, "the key's signature does not verify")];

    assert_eq!(world.say(B, &register(BOB, A)), denied, "it is of another challenge");
    let ToServer::Register { signature, .. } = register(BOB, B) else { unreachable!() };
    let of_another_key = ToServer::Register { key: key(ALICE), signature };
    assert_eq!(world.say(B, &of_another_key), denied);
    let (stolen, text) = (key(ALICE), register_text(&nonce(B), SERVER, key(BOB)));
    let over_another_key = ToServer::Register { key: stolen, signature: secret(ALICE).sign(&text) };
    assert_eq!(world.say(B, &over_another_key), denied);
    assert_eq!(world.machine.load().keys, 1);
}

#[test]
fn a_strangers_key_is_of_no_use() {
    let mut world = World::of([ALICE, BOB, CAROL]);
    world.say(A, &advertise(ALICE));
    world.say(A, &listen(ALICE, A, 1));

    for request in [
        advertise(ALICE),
        discover(ALICE),
        withdraw(ALICE),
        send(ALICE, CAROL, 9),
        send(ALICE, 99, 9),
        send(ALICE, ALICE, 9),
        send(ALICE, CAROL, 513),
        listen(ALICE, B, 1),
        listen(ALICE, A, 1),
    ] {
        assert_eq!(world.say(B, &request), not_registered(B), "{request:?}");
    }
    for request in [ToServer::Unregister(key(ALICE)), ToServer::Unlisten(token(ALICE, 1))] {
        assert_eq!(world.say(B, &request), [], "{request:?}");
    }

    assert_eq!(world.say(CAROLS, &send(CAROL, ALICE, 9)), [heard(A, CAROL, ALICE, 9)]);
    assert_eq!(world.members(CAROL, &advertise(CAROL)), [key(ALICE)]);
    assert_eq!(world.machine.load().tokens, 1);
}

#[test]
fn a_key_moves_by_its_signature_and_stays_when_its_old_node_goes() {
    let mut world = World::of([ALICE, BOB]);

    world.register(B, ALICE);
    world.input(Input::Closed(A));

    assert_eq!(world.say(B, &ToServer::Lookup(key(ALICE))), [sent(B, ToNode::Here(key(ALICE)))]);
    assert_eq!(world.say(B, &send(BOB, ALICE, 9)), [heard(B, BOB, ALICE, 9)]);
}

#[test]
fn a_key_that_leaves_its_next_node_is_found_at_the_one_before() {
    let mut world = World::of([ALICE, BOB, CAROL]);
    world.register(B, ALICE);
    let look = ToServer::Lookup(key(ALICE));
    let call = send(CAROL, ALICE, 9);

    assert_eq!(world.say(CAROLS, &call), [heard(B, CAROL, ALICE, 9)]);
    assert_eq!(world.say(B, &ToServer::Unregister(key(ALICE))), []);
    assert_eq!(world.say(CAROLS, &call), [heard(A, CAROL, ALICE, 9)]);
    assert_eq!(world.say(CAROLS, &look), [sent(CAROLS, ToNode::Here(key(ALICE)))]);
    assert_eq!(world.machine.load().keys, 3);

    world.input(Input::Closed(A));
    assert_eq!(world.say(CAROLS, &look), [sent(CAROLS, ToNode::Missing(key(ALICE)))]);
    assert_eq!(world.say(CAROLS, &call), [unreachable(CAROLS, CAROL, ALICE)]);
}

#[test]
fn a_key_is_in_the_topics_of_its_latest_connection() {
    let mut world = World::of([ALICE, BOB, CAROL]);
    world.members(ALICE, &advertise(ALICE));
    assert_eq!(world.members(CAROL, &discover(CAROL)), [key(ALICE)]);

    world.register(B, ALICE);
    assert_eq!(world.members(CAROL, &discover(CAROL)), []);
    world.members(ALICE, &advertise(ALICE));
    assert_eq!(world.members(CAROL, &discover(CAROL)), [], "it is not believed");
    world.members_at(B, ALICE, &advertise(ALICE));
    assert_eq!(world.members(CAROL, &discover(CAROL)), [key(ALICE)], "it is named once");
    world.say(A, &withdraw(ALICE));
    assert_eq!(world.members(CAROL, &discover(CAROL)), [key(ALICE)]);
    world.members(ALICE, &advertise(ALICE));

    world.say(B, &withdraw(ALICE));
    assert_eq!(world.members(CAROL, &discover(CAROL)), []);
    world.say(B, &ToServer::Unregister(key(ALICE)));
    assert_eq!(world.members(CAROL, &discover(CAROL)), [key(ALICE)], "the connection before is believed again");
    world.register(B, ALICE);
    world.register(A, ALICE);
    assert_eq!(world.members(CAROL, &discover(CAROL)), [key(ALICE)], "so is one that registers again");
    world.input(Input::Closed(A));
    world.input(Input::Closed(B));
    assert_eq!(world.members(CAROL, &discover(CAROL)), []);
}

#[test]
fn the_oldest_of_five_connections_of_a_key_lets_go_of_it() {
    let mut world = World::of([ALICE]);
    world.members(ALICE, &advertise(ALICE));
    world.say(A, &listen(ALICE, A, 1));
    for n in 11..=13 {
        world.enter(conn(n));
        world.register(conn(n), ALICE);
    }
    assert_eq!(world.machine.load().tokens, 1);
    world.enter(AGAIN);

    let outputs = world.say(AGAIN, &register(ALICE, AGAIN));

    assert!(matches!(outputs.as_slice(), [Output::Proxy(_)]), "{outputs:?}");
    assert_eq!(world.machine.load().tokens, 0);
    assert_eq!(world.say(A, &advertise(ALICE)), not_registered(A));
    for conn in [AGAIN, conn(13), conn(12), conn(11)] {
        assert_eq!(world.input(Input::Closed(conn)), []);
    }
    assert_eq!(world.machine.load().keys, 0);
}

#[test]
fn a_signal_is_passed_on() {
    let mut world = World::of([ALICE, BOB]);

    assert_eq!(world.say(A, &send(ALICE, BOB, 512)), [heard(B, ALICE, BOB, 512)]);
}

#[test]
fn a_signal_that_cannot_be_passed_on_is_answered() {
    let mut world = World::of([ALICE, BOB]);
    let mut to = |to, len| world.say(A, &send(ALICE, to, len));

    assert_eq!(to(3, 9), [unreachable(A, ALICE, 3)]);
    assert_eq!(to(BOB, MAX_SEALED_SIGNAL), [refused(A, Code::TooLarge, "the signal is too long")]);
    assert_eq!(to(ALICE, 9), [refused(A, Code::BadArgument, "a signal to oneself")]);
}

#[test]
fn who_leaves_is_forgotten() {
    let mut world = World::of([ALICE, BOB]);
    for n in [ALICE, BOB] {
        world.say(conn(n), &advertise(n));
    }
    let both = Load { connections: 2, introductions: 1, keys: 2, nodes: 2, sources: 2, tokens: 0, topics: 1 };
    assert_eq!(world.machine.load(), both);

    assert_eq!(world.input(Input::Closed(A)), []);
    assert_eq!(world.machine.load(), Load { sources: 2, topics: 1, ..ALONE });
    assert_eq!(world.say(B, &send(BOB, ALICE, 9)), [unreachable(B, BOB, ALICE)]);
    assert_eq!(world.say(B, &ToServer::Lookup(key(ALICE))), [sent(B, ToNode::Missing(key(ALICE)))]);

    world.input(Input::Closed(B));
    assert_eq!(world.rest(), Load::default());
}

#[test]
fn keys_are_counted() {
    let mut world = World::with(Config { keys: 2, ..Config::default() });
    world.enter(A);
    let mut add = |n| world.say(A, &register(n, A));

    assert_eq!(add(1), []);
    assert_eq!(add(2), []);
    assert_eq!(add(3), [refused(A, Code::Quota, "too many keys")]);
    assert_eq!(add(2), []);
    assert_eq!(world.say(A, &ToServer::Unregister(key(1))), []);
    assert_eq!(world.say(A, &register(3, A)), []);
}

const A: ConnId = conn(ALICE);
const B: ConnId = conn(BOB);
const CAROL: u8 = 3;
const CAROLS: ConnId = conn(CAROL);
const AGAIN: ConnId = ConnId(200);
const SPOKEN: &str = "this server speaks version 6";
const ALONE: Load = Load { connections: 1, introductions: 0, keys: 1, nodes: 1, sources: 1, tokens: 0, topics: 0 };
