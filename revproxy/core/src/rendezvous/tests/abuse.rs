//! Strangers at their worst: what they send ends in a refusal or a close, and leaves nothing behind.

use std::net::Ipv4Addr;

use bitters_wire::{
    codec::encode,
    failure::Code,
    id::{FrameId, PersonaId, TopicId},
    limits::MAX_RENDEZVOUS,
    rendezvous::{Gone, ToNode, ToServer},
    sealed::SealedSignal,
};
use proptest::{collection::vec, prelude::*};

use super::{
    super::{Config, ConnId, Input, Load, Output, Rate},
    world::*,
};

#[test]
fn garbage_ends_the_connection() {
    for (bytes, code, why) in [
        (vec![], Code::BadArgument, "not decodable"),
        (vec![0xff; 40], Code::BadArgument, "not decodable"),
        ([encode(&advertise(ALICE)), vec![0]].concat(), Code::BadArgument, "not decodable"),
        (vec![0; MAX_RENDEZVOUS + 1], Code::TooLarge, "the message is too long"),
    ] {
        let mut world = World::of([ALICE]);
        assert_eq!(world.input(Input::Received(conn(ALICE), bytes)), expelled(conn(ALICE), code, why));
        assert_eq!(world.rest(), Load::default());
    }
}

#[test]
fn garbage_instead_of_entering_ends_the_connection() {
    for (bytes, code, why) in [
        (vec![], Code::VersionMismatch, "this server speaks version 6"),
        (vec![0xff; 40], Code::VersionMismatch, "this server speaks version 6"),
        ([encode(&ENTER), vec![0]].concat(), Code::VersionMismatch, "this server speaks version 6"),
        (vec![0; MAX_RENDEZVOUS + 1], Code::TooLarge, "the message is too long"),
    ] {
        let mut world = World::new();
        world.open(conn(ALICE));
        assert_eq!(world.input(Input::Received(conn(ALICE), bytes)), expelled(conn(ALICE), code, why));
        assert_eq!(world.rest(), Load::default());
    }
}

#[test]
fn a_flood_ends_the_connection() {
    let mut world = World::of([ALICE]);

    let mut answers = 0;
    let last = loop {
        match world.say(conn(ALICE), &ToServer::Lookup(key(BOB))).as_slice() {
            [Output::Send(_, ToNode::Missing(_))] => answers += 1,
            other => break other.to_vec(),
        }
    };

    assert_eq!(last, expelled(conn(ALICE), Code::Quota, "too many messages"));
    // It has entered and registered before.
    assert_eq!(answers, Config::default().messages.burst - 2);
}

#[test]
fn a_flood_of_bytes_ends_the_connection() {
    let mut world = World::with(Config { bytes: Rate { burst: 1500, per_second: 1 }, ..Config::default() });
    world.join(ALICE);
    // The key isn't registered there.
    let signal = send(BOB, ALICE, 400);

    assert_eq!(world.say(conn(ALICE), &signal), not_registered(conn(ALICE)));
    assert_eq!(world.say(conn(ALICE), &signal), not_registered(conn(ALICE)));
    assert_eq!(world.say(conn(ALICE), &signal), expelled(conn(ALICE), Code::Quota, "too many messages"));
}

#[test]
fn a_source_has_one_rate_for_all_its_connections() {
    let mut world = World::with(Config { source_messages: Rate { burst: 6, per_second: 1 }, ..Config::default() });
    for n in [ALICE, BOB] {
        world.open_from(conn(n), HERE);
        world.say(conn(n), &ENTER);
        world.say(conn(n), &register(n, conn(n)));
    }
    world.join(3);
    let lookup = ToServer::Lookup(key(9));
    (0..2).for_each(|_| assert_eq!(world.say(conn(ALICE), &lookup), [sent(conn(ALICE), ToNode::Missing(key(9)))]));

    let flood = world.say(conn(BOB), &lookup);

    assert_eq!(flood, expelled(conn(BOB), Code::Quota, "too many messages"));
    world.members(ALICE, &advertise(ALICE));
    assert_eq!(world.members(3, &advertise(3)), [key(ALICE)]);
}

#[test]
fn a_victim_is_not_flooded_by_many() {
    let (signals_per_key, signals_first) = (Rate { burst: 3, per_second: 1 }, Rate { burst: 0, per_second: 1 });
    let mut world = World::with(Config { signals_per_key, signals_first, ..Config::default() });
    (1..=10).for_each(|n| world.join(n));

    let outputs: Vec<_> = (2..=10).flat_map(|n| world.say(conn(n), &send(n, ALICE, 9))).collect();

    let heard = outputs.iter().filter(|output| matches!(output, Output::Send(to, _) if *to == conn(ALICE))).count();
    assert_eq!(heard, 3);
    assert_eq!(
        outputs[3..],
        (5..=10).map(|n| refused(conn(n), Code::Quota, "the receiver has too many signals")).collect::<Vec<_>>()
    );
}

#[test]
fn neither_one_source_nor_one_network_fills_a_victims_queue() {
    let subnet = |n: u8| std::net::Ipv6Addr::new(0x2001, 0xdb8, 7, n.into(), 0, 0, 0, 1);
    let mut world = World::new();
    world.join(ALICE);
    world.join(BOB);
    // Sixteen keys of sixteen /64, which are all of one /48, and another of one address.
    (100..116).for_each(|n| world.join_from(n, subnet(n)));
    world.join(116);
    let mut heard = Vec::new();
    for round in 0..40 {
        for n in 100..=116 {
            let outputs = world.say(conn(n), &send(n, ALICE, round));
            heard.extend(
                outputs.into_iter().filter(|it| matches!(it, Output::Send(to, _) if *to == conn(ALICE))).map(|_| n),
            );
        }
    }

    let Config { signals_per_key: of_all, signals_per_key_and_source: of_source, .. } = Config::default();
    let of_one = heard.iter().filter(|n| **n == 116).count();
    assert_eq!((of_one, heard.len() - of_one), (of_source.burst as usize, of_all.burst as usize / 2));
    let sent = send(BOB, ALICE, 9);
    assert!(
        (0..of_source.burst).all(|_| world.say(conn(BOB), &sent) == [super::world::heard(conn(ALICE), BOB, ALICE, 9)])
    );
}

#[test]
fn the_word_that_a_frame_is_gone_counts_as_a_signal() {
    let mut world = World::of([ALICE, BOB]);
    let gone = ToServer::Gone(Gone::sign(&secret(BOB), key(ALICE), FrameId::from_random([3; 16])));
    let burst = Config::default().signals_per_key_and_source.burst;

    for n in 0..burst {
        let told = if n % 2 == 0 { world.say(conn(BOB), &gone) } else { world.say(conn(BOB), &send(BOB, ALICE, 9)) };
        assert!(matches!(told.as_slice(), [Output::Send(to, _)] if *to == conn(ALICE)), "{n}: {told:?}");
    }

    let refused = [refused(conn(BOB), Code::Quota, "the receiver has too many signals")];
    assert_eq!(world.say(conn(BOB), &gone), refused);
    assert_eq!(world.say(conn(BOB), &send(BOB, ALICE, 9)), refused);
}

#[test]
fn two_networks_that_flood_many_keys_keep_no_other_sender_from_any() {
    let mut world = World::new();
    let (receivers, attackers, honest) = (1..=200, 201..=232, 233);
    receivers.clone().chain([honest]).for_each(|n| world.join(n));
    // Sixteen addresses of each of two /24, which is as much as these may send.
    attackers.clone().for_each(|n| world.join_from(n, Ipv4Addr::new(198, 51, 100 + n % 2, n)));
    let flood = Flood::new();
    let mut passed = 0;
    for _ in 0..3 {
        for from in attackers.clone() {
            passed += receivers.clone().filter(|&to| flood.passes(&mut world, from, to)).count();
        }
    }

    for _ in 0..5 {
        let refused: Vec<_> = receivers.clone().filter(|&to| !flood.passes(&mut world, honest, to)).collect();
        assert_eq!(refused, Vec::<u8>::new());
    }
    assert_eq!(passed, 3 * 32 * 200, "no key had all that it may have, so none of the flood is refused either");
}

#[test]
fn two_networks_that_use_up_a_keys_rate_keep_nobody_out() {
    let mut world = World::new();
    let (victim, attackers, honest) = (1, 2..=65, [66, 67]);
    [victim].into_iter().chain(honest).for_each(|n| world.join(n));
    attackers.clone().for_each(|n| world.join_from(n, Ipv4Addr::new(198, 51, 100 + n % 2, n)));
    let flood = Flood::new();
    for from in attackers.clone().cycle().take(1000) {
        let _ = flood.passes(&mut world, from, victim);
    }

    let passed = honest.map(|n| (0..10).filter(|_| flood.passes(&mut world, n, victim)).count());

    assert_eq!(passed, [4, 4], "what a dial takes, from each network");
    assert_eq!(attackers.filter(|n| flood.passes(&mut world, *n, victim)).count(), 0, "these have had their share");
}

/// Signals between keys of the world, which are all the same.
struct Flood {
    keys: Vec<PersonaId>,
    signal: SealedSignal,
}

impl Flood {
    fn new() -> Self {
        Self { keys: (0..=u8::MAX).map(key).collect(), signal: signal(9) }
    }

    /// Whether a signal comes to its receiver.
    fn passes(&self, world: &mut World, from: u8, to: u8) -> bool {
        let [sender, receiver] = [from, to].map(|n| self.keys[usize::from(n)]);
        let message = ToServer::Signal { from: sender, to: receiver, signal: self.signal.clone() };
        let outputs = world.say(conn(from), &message);
        matches!(outputs.as_slice(), [Output::Send(at, ToNode::Signal { .. })] if *at == conn(to))
    }
}

#[test]
fn connections_are_bounded_by_source_and_in_all() {
    let mut world = World::with(Config { connections: 3, connections_per_source: 2, ..Config::default() });
    let there = Ipv4Addr::new(198, 51, 100, 1);

    assert_eq!(world.open_from(ConnId(1), HERE).len(), 1);
    assert_eq!(world.open_from(ConnId(2), HERE).len(), 1);
    let too_many = expelled(ConnId(3), Code::Quota, "too many connections from this address");
    assert_eq!(world.open_from(ConnId(3), HERE), too_many);
    assert_eq!(world.open_from(ConnId(4), there).len(), 1);
    assert_eq!(world.open_from(ConnId(5), there), expelled(ConnId(5), Code::Quota, "the rendezvous is full"));

    world.input(Input::Closed(ConnId(1)));
    assert_eq!(world.open_from(ConnId(6), HERE).len(), 1);
}

#[test]
fn networks_that_use_all_connections_make_room_for_another() {
    let mut world = World::with(Config { connections: 24, connections_per_source: 4, ..Config::default() });
    let host = |net: u8, host: u8| Ipv4Addr::new(198, 18, net, host);
    for n in 0..24_u8 {
        world.open_from(conn(n), host(n % 2, 1 + n / 2 % 6));
        world.say(conn(n), &ENTER);
    }
    world.say(conn(0), &register(ALICE, conn(0)));
    for n in 0..8_u8 {
        let outputs = world.open_from(conn(100 + n), host(100 + n, 1));
        assert!(
            outputs.len() == 3 && matches!(outputs[2], Output::Send(_, ToNode::Challenge { .. })),
            "{n}: {outputs:?}"
        );
    }
    assert_eq!(world.machine.load().connections, 24);
    assert_eq!(world.say(conn(0), &ToServer::Lookup(key(ALICE))), [sent(conn(0), ToNode::Here(key(ALICE)))]);
    for (n, from) in [(200, host(0, 9)), (201, host(201, 1))] {
        let full = expelled(conn(n), Code::Quota, "the rendezvous is full");
        assert_eq!(world.open_from(conn(n), from), full, "no network with a few gives one up");
    }
}

#[test]
fn those_who_come_and_go_leave_nothing() {
    let mut world = World::with(Config { idle_sources: 50, ..Config::default() });
    world.join(ALICE);
    world.members(ALICE, &advertise(ALICE));
    let mut peak = 0;

    for round in 0..2000_u32 {
        let id = ConnId(1000 + u64::from(round));
        world.open_from(id, Ipv4Addr::from_bits(round));
        if round % 10 == 0 {
            world.say(id, &ENTER);
            world.say(id, &register(BOB, id));
            world.say(id, &register(CAROL, id));
            world.say(id, &advertise(BOB));
            let topic = TopicId(std::array::from_fn(|at| round.to_le_bytes()[at % 4]));
            world.say(id, &ToServer::Advertise { topic, key: key(CAROL) });
            world.say(id, &listen(CAROL, id, 1));
        }
        if round % 3 == 0 {
            world.input(Input::Received(id, vec![0xff; 9]));
        }
        world.input(Input::Closed(id));
        let Load { connections, introductions, keys, nodes, sources, tokens, topics } = world.machine.load();
        peak = peak.max(introductions + keys + sources + tokens + topics);
        assert_eq!((connections, nodes), (1, 1), "round {round}");
    }

    assert!(peak < 60, "{peak}");
    world.input(Input::Closed(conn(ALICE)));
    assert_eq!(world.rest(), Load::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_nothing_panics_and_nothing_stays(acts in vec(act(), 0..80)) {
        let config = Config {
            topics: 3, topics_per_key: 2, keys: 2, tokens: 2, introductions: 2, connections: 5, ..Config::default()
        };
        let mut world = World::with(config);
        let mut entered = 0;
        for act in acts {
            let outputs = perform(&mut world, act);
            entered += outputs.iter().filter(|output| matches!(output, Output::Send(_, ToNode::Entered { .. }))).count();
            let load = world.machine.load();
            prop_assert!(load.connections <= 5 && load.nodes <= load.connections && load.nodes <= entered);
            prop_assert!(load.topics <= 3 * load.nodes && load.keys <= 2 * load.nodes);
            prop_assert!(load.tokens <= 2 * load.nodes);
            prop_assert!(load.introductions <= 2 * 2 * load.nodes);
        }
        (0..CONNS).for_each(|n| drop(world.input(Input::Closed(conn(n)))));
        prop_assert_eq!(world.rest(), Load::default());
    }
}

#[derive(Clone, Debug)]
enum Act {
    Bytes(u8, Vec<u8>),
    Close(u8),
    Mangled(u8, u8, usize, u8),
    Open(u8),
    Pass(u16),
    Say(u8, u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => (0..CONNS, vec(any::<u8>(), 0..100)).prop_map(|(conn, bytes)| Act::Bytes(conn, bytes)),
        1 => (0..CONNS).prop_map(Act::Close),
        1 => (0..CONNS, any::<u8>(), any::<usize>(), any::<u8>()).prop_map(|(conn, n, at, to)| Act::Mangled(conn, n, at, to)),
        3 => (0..CONNS).prop_map(Act::Open),
        1 => any::<u16>().prop_map(Act::Pass),
        9 => (0..CONNS, any::<u8>()).prop_map(|(conn, n)| Act::Say(conn, n)),
    ]
}

fn perform(world: &mut World, act: Act) -> Vec<Output> {
    match act {
        Act::Bytes(n, bytes) => world.input(Input::Received(conn(n), bytes)),
        Act::Close(n) => world.input(Input::Closed(conn(n))),
        Act::Mangled(n, what, at, to) => {
            let mut bytes = encode(&message(n, what));
            let at = at % bytes.len();
            bytes[at] = to;
            world.input(Input::Received(conn(n), bytes))
        }
        Act::Open(n) => {
            // A connection's name is not used again while it is open.
            world.input(Input::Closed(conn(n)));
            world.open(conn(n))
        }
        Act::Pass(ms) => {
            world.pass(std::time::Duration::from_millis(ms.into()));
            world.input(Input::Timeout)
        }
        Act::Say(n, what) => world.say(conn(n), &message(n, what)),
    }
}

/// A message of the connection `n`. Each has two keys of its own, of which one is another connection's, too.
fn message(n: u8, what: u8) -> ToServer {
    let topic = TopicId([what / 12 % 5; 32]);
    let mine = 1 + n % 4 + what / 60 % 2;
    match what % 12 {
        0 | 1 => ENTER,
        2..=4 => register(mine, conn(n)),
        5 | 6 => ToServer::Advertise { topic, key: key(mine) },
        7 => ToServer::Discover { topic, key: key(mine) },
        8 => send(mine, 1 + what / 12 % 5, usize::from(what) * 3),
        9 => listen(mine, conn(n), what % 3),
        10 if what < 120 => ToServer::Unregister(key(mine)),
        10 => ToServer::Unlisten(token(mine, what % 3)),
        _ => ToServer::Withdraw { topic, key: key(mine) },
    }
}

const CAROL: u8 = 3;
const CONNS: u8 = 7;
const HERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
