//! Who registers, who is found, who is heard.

use std::time::Duration;

use bitters_wire::{
    VersionRange, WIRE,
    claim::Claim,
    failure::Code,
    id::PersonaId,
    rendezvous::{ToNode, ToServer},
};

use super::{
    super::{ConnId, Input, Load, Output},
    world::*,
};

#[test]
fn a_connection_is_challenged_first() {
    let outputs = World::new().open(A);

    assert_eq!(outputs, [sent(A, ToNode::Challenge { nonce: nonce(A), wire: WIRE })]);
}

#[test]
fn a_signature_over_another_challenge_is_refused() {
    let mut world = World::new();
    world.open(A);

    let outputs = world.say(A, &register(ALICE, B));

    assert_eq!(outputs, expelled(A, Code::Denied, "the node's signature does not verify"));
    assert_eq!(world.say(A, &register(ALICE, A)), []);
}

#[test]
fn a_node_of_other_versions_is_refused() {
    let mut world = World::new();
    world.open(A);
    let ToServer::Register { node, signature, .. } = register(ALICE, A) else { unreachable!() };
    let wire = VersionRange { min: WIRE.max + 1, max: WIRE.max + 1 };

    let outputs = world.say(A, &ToServer::Register { node, signature, wire });

    assert_eq!(outputs, expelled(A, Code::VersionMismatch, "no version in common"));
}

#[test]
fn a_node_that_asks_whether_we_are_there_is_told_so() {
    let mut world = World::of([ALICE]);

    assert_eq!(
        world.say(A, &ToServer::are_you_there(node(ALICE))),
        [sent(A, ToNode::Missing(PersonaId(node(ALICE).0)))]
    );
    world.say(A, &ToServer::are_you_there(node(BOB)));

    let counts = world.machine.counts();
    assert_eq!((counts.received["alive"], counts.sent["alive"]), (1, 1));
    assert_eq!((counts.received["lookup"], counts.sent["missing"]), (1, 1), "another's id is a look-up");
}

#[test]
fn who_has_not_registered_is_told_nothing() {
    for request in [
        ToServer::Advertise(LOBBY),
        ToServer::Discover(LOBBY),
        ToServer::Lookup(site(ALICE).id()),
        ToServer::Signal { to: node(ALICE), signal: signal(9) },
        persona(BOB, B, &site(BOB)),
    ] {
        let mut world = World::of([ALICE]);
        world.open(B);

        assert_eq!(world.say(B, &request), expelled(B, Code::Denied, "register first"));
    }
}

#[test]
fn registering_twice_ends_the_connection() {
    let mut world = World::of([ALICE]);

    assert_eq!(world.say(A, &register(ALICE, A)), expelled(A, Code::BadArgument, "registered already"));
}

#[test]
fn who_does_not_register_in_time_is_closed() {
    let mut world = World::of([ALICE]);
    world.open(B);

    let deadline = world.machine.poll_timeout().unwrap();
    assert_eq!(deadline.since(world.now), Duration::from_secs(10));
    world.now = deadline;

    assert_eq!(world.input(Input::Timeout), expelled(B, Code::Timeout, "no registration came"));
    assert_eq!(world.machine.load().nodes, 1);
}

#[test]
fn a_node_that_comes_back_replaces_its_old_connection() {
    let mut world = World::of([ALICE, BOB]);
    world.say(A, &persona(ALICE, A, &site(ALICE)));
    world.say(A, &ToServer::Advertise(LOBBY));
    world.open(AGAIN);

    let outputs = world.say(AGAIN, &register(ALICE, AGAIN));

    let [refusal, close] = expelled(A, Code::Closed, "the node registered from another connection");
    assert_eq!(outputs, [refusal, close, registered(AGAIN)]);
    assert_eq!(world.members(BOB, &ToServer::Discover(LOBBY)), []);
    assert_eq!(world.input(Input::Closed(A)), []);
    let signal = signal(9);
    assert_eq!(
        world.say(B, &ToServer::Signal { to: node(ALICE), signal: signal.clone() }),
        [sent(AGAIN, ToNode::Signal { from: node(BOB), signal })]
    );
}

#[test]
fn a_persona_is_found_while_its_node_says_so() {
    let mut world = World::of([ALICE, BOB]);
    let id = site(ALICE).id();
    let look = ToServer::Lookup(id);

    assert_eq!(world.say(B, &look), [sent(B, ToNode::Missing(id))]);
    assert_eq!(world.say(A, &persona(ALICE, A, &site(ALICE))), []);
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Found(Claim::sign(&site(ALICE), node(ALICE))))]);
    assert_eq!(world.say(B, &ToServer::Unpersona(id)), []);
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Found(Claim::sign(&site(ALICE), node(ALICE))))]);
    assert_eq!(world.say(A, &ToServer::Unpersona(id)), []);
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Missing(id))]);
}

#[test]
fn a_persona_signs_for_itself() {
    let mut world = World::of([ALICE, BOB]);
    let denied = |why| [refused(B, Code::Denied, why)];

    let of_another_node = persona(ALICE, B, &site(ALICE));
    assert_eq!(world.say(B, &of_another_node), denied("the claim is on another node"));

    let of_another_challenge = persona(BOB, A, &site(BOB));
    assert_eq!(world.say(B, &of_another_challenge), denied("the persona's signature does not verify"));

    let ToServer::Persona { signature, .. } = persona(BOB, B, &site(ALICE)) else { unreachable!() };
    let of_another_persona = ToServer::Persona { claim: Claim::sign(&site(BOB), node(BOB)), signature };
    assert_eq!(world.say(B, &of_another_persona), denied("the persona's signature does not verify"));

    let mut stolen = Claim::sign(&site(ALICE), node(ALICE));
    stolen.node = node(BOB);
    let ToServer::Persona { signature, .. } = persona(BOB, B, &site(ALICE)) else { unreachable!() };
    let of_another_claim = ToServer::Persona { claim: stolen, signature };
    assert_eq!(world.say(B, &of_another_claim), denied("the persona's signature does not verify"));
    assert_eq!(world.machine.load().personas, 0);
}

#[test]
fn a_persona_moves_by_its_signature_and_stays_when_its_old_node_goes() {
    let mut world = World::of([ALICE, BOB]);
    let moving = site(ALICE);
    world.say(A, &persona(ALICE, A, &moving));

    world.say(B, &persona(BOB, B, &moving));
    world.input(Input::Closed(A));

    assert_eq!(world.say(B, &ToServer::Lookup(moving.id())), [sent(B, ToNode::Found(Claim::sign(&moving, node(BOB))))]);
}

#[test]
fn a_persona_that_leaves_its_next_node_is_found_at_the_one_before() {
    let mut world = World::of([ALICE, BOB]);
    let moving = site(ALICE);
    let look = ToServer::Lookup(moving.id());
    world.say(A, &persona(ALICE, A, &moving));
    world.say(B, &persona(BOB, B, &moving));

    assert_eq!(world.say(A, &look), [sent(A, ToNode::Found(Claim::sign(&moving, node(BOB))))]);
    assert_eq!(world.say(B, &ToServer::Unpersona(moving.id())), []);
    assert_eq!(world.say(A, &look), [sent(A, ToNode::Found(Claim::sign(&moving, node(ALICE))))]);
    assert_eq!(world.machine.load().personas, 1);

    world.input(Input::Closed(A));
    assert_eq!(world.say(B, &look), [sent(B, ToNode::Missing(moving.id()))]);
}

#[test]
fn a_signal_is_passed_on() {
    let mut world = World::of([ALICE, BOB]);
    let signal = signal(512);

    let outputs = world.say(A, &ToServer::Signal { to: node(BOB), signal: signal.clone() });

    assert_eq!(outputs, [sent(B, ToNode::Signal { from: node(ALICE), signal })]);
}

#[test]
fn a_signal_that_cannot_be_passed_on_is_answered() {
    let mut world = World::of([ALICE, BOB]);
    let mut to = |to, len| world.say(A, &ToServer::Signal { to, signal: signal(len) });

    assert_eq!(to(node(3), 9), [sent(A, ToNode::Unreachable(node(3)))]);
    assert_eq!(to(node(BOB), 513), [refused(A, Code::TooLarge, "the signal is too long")]);
    assert_eq!(to(node(ALICE), 9), [refused(A, Code::BadArgument, "a signal to oneself")]);
}

#[test]
fn who_leaves_is_forgotten() {
    let mut world = World::of([ALICE, BOB]);
    for n in [ALICE, BOB] {
        world.say(conn(n), &persona(n, conn(n), &site(n)));
        world.say(conn(n), &ToServer::Advertise(LOBBY));
    }
    let both = Load { connections: 2, introductions: 1, nodes: 2, personas: 2, sources: 2, tokens: 0, topics: 1 };
    assert_eq!(world.machine.load(), both);

    assert_eq!(world.input(Input::Closed(A)), []);
    assert_eq!(world.machine.load(), Load { sources: 2, topics: 1, ..ALONE });
    assert_eq!(
        world.say(B, &ToServer::Signal { to: node(ALICE), signal: signal(9) }),
        [Output::Send(B, ToNode::Unreachable(node(ALICE)))]
    );
    let id: PersonaId = site(ALICE).id();
    assert_eq!(world.say(B, &ToServer::Lookup(id)), [sent(B, ToNode::Missing(id))]);

    world.input(Input::Closed(B));
    assert_eq!(world.rest(), Load::default());
}

const A: ConnId = conn(ALICE);
const B: ConnId = conn(BOB);
const AGAIN: ConnId = ConnId(200);
const ALONE: Load = Load { connections: 1, introductions: 0, nodes: 1, personas: 1, sources: 1, tokens: 0, topics: 0 };
