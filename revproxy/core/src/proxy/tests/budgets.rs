//! What runs out: bytes, time, room and rates.

use std::{net::Ipv4Addr, time::Duration};

use bitters_peercon::{Credentials, packed::PASSWORD};
use bitters_wire::address::Token;

use super::{
    super::{Config, Dropped, Ended, Input, Load, Path},
    world::*,
};
use crate::{rate::Rate, rendezvous::ConnId};

#[test]
fn a_session_ends_when_its_bytes_are_used_up() {
    let mut world = World::opened(Config { opening_bytes: 5000, ..Config::default() });

    let passed = (0..10).take_while(|_| !world.datagram(DIALLER, &data(1000)).is_empty()).count();

    // Two checks and their answers are 460 bytes or so.
    assert_eq!((passed, world.counts().ended(Ended::Spent)), (4, 1));
    assert_eq!(world.load(), Load { ghosts: 1, ..LISTENING });
    assert_eq!(world.counts().dropped(Dropped::Spent), 1);
}

#[test]
fn a_session_ends_when_its_time_is_used_up() {
    let mut world = World::opened(Config::default());
    let mut seconds = 0;
    while !world.datagram(DIALLER, &data(10)).is_empty() {
        world.pass(Duration::from_secs(1));
        seconds += 1;
    }

    assert_eq!((seconds, world.counts().ended(Ended::TimedOut)), (10, 1));
}

#[test]
fn a_silent_session_is_forgotten() {
    let mut world = World::opened(Config::default());
    world.pass(Duration::from_secs(4));
    world.datagram(LISTENER, &data(10));
    world.pass(Duration::from_millis(4999));
    assert_eq!(world.load().passages, 1);

    world.pass(Duration::from_millis(1));

    assert_eq!((world.load().passages, world.counts().ended(Ended::Idle)), (0, 1));
}

#[test]
fn pending_dials_of_a_source_are_bounded_in_all_and_for_one_listener() {
    let config = Config { pending_per_listener_and_source: 2, pending_per_source: 3, ..Config::default() };
    let mut dials = Dials::new(config);

    assert_eq!([1, 1, 1].map(|host| dials.dial(path(host, 9), TOKEN)), [1, 2, 2]);
    assert_eq!([1, 1].map(|host| dials.dial(path(host, 9), ELSEWHERE)), [3, 3]);
    assert_eq!(dials.dial(path(2, 9), TOKEN), 4);
    assert_eq!(dials.world.counts().dropped(Dropped::Full), 2);
    dials.world.pass(Duration::from_secs(10));
    assert_eq!(dials.dial(path(1, 9), TOKEN), 1);
}

#[test]
fn where_there_is_no_room_the_oldest_dial_of_the_greediest_network_gives_way() {
    for config in [
        Config { pending_per_listener: 8, pending_per_listener_and_source: 1, ..Config::default() },
        Config { pending: 8, ..Config::default() },
    ] {
        let mut dials = Dials::new(config);
        // An honest one, then a network of many hosts, then one of few.
        let honest = dials.dial_by(subnet(9, 1));
        let greedy: Vec<u64> = (1..=20).map(|host| dials.dial_by(subnet(1, host))).collect();
        let late = dials.dial_by(subnet(8, 1));

        assert_eq!(dials.world.load().pending, 8.min(dials.world.load().pending));
        assert!(dials.waits(honest) && dials.waits(late), "{config:?}");
        let left: Vec<u64> = greedy.into_iter().filter(|id| dials.waits(*id)).collect();
        assert!(
            left.len() <= 6
                && dials.world.counts().ended(Ended::GaveWay) + dials.world.counts().dropped(Dropped::Full) > 0
        );
    }
}

#[test]
fn a_listener_is_told_of_few_in_a_moment_and_of_each_network_in_its_turn() {
    let mut dials = Dials::new(Config::default());
    dials.world.outputs();
    let mut waited = Vec::new();
    for round in 0..12 {
        for net in 1..=6 {
            for host in 1..=8 {
                dials.dial(subnet(net, host), TOKEN);
            }
        }
        let told = dials.world.outputs().len();
        assert!(told == 15 || round > 0 && told < 15, "{told}");
        let honest = dials.dial_by(subnet(100 + round, 1));
        let mut ms = 0;
        while !dials.world.machine.passages[&honest].told {
            dials.world.pass(Duration::from_millis(50));
            ms += 50;
        }
        waited.push(ms);
    }
    assert!(waited.iter().all(|ms| *ms <= 2500), "{waited:?}");
}

#[test]
fn a_dial_that_was_answered_gives_way_last() {
    let mut dials = Dials::new(Config { pending: 4, ..Config::default() });
    let answered = dials.dial_by(subnet(1, 1));
    let credentials = Credentials::new(LISTENER_UFRAG, LISTENER_PASSWORD).unwrap();
    dials.world.input(Input::Answer { conn: CONN, passage: answered, credentials });

    let others: Vec<u64> = (2..=10).map(|host| dials.dial_by(subnet(1, host))).collect();

    assert!(dials.waits(answered));
    let left: Vec<bool> = others.iter().map(|id| dials.waits(*id)).collect();
    assert_eq!(left, [false, false, false, false, false, false, true, true, true]);
}

#[test]
fn sixty_four_subnets_of_one_48_leave_room_for_others() {
    let mut dials = Dials::new(Config::default());
    let six = |site: u16, subnet: u16, port| Path {
        peer: (std::net::Ipv6Addr::new(0x2001, 0xdb8, site, subnet, 0, 0, 0, 1), port).into(),
        ..DIALLER
    };
    for subnet in 0..64 {
        for port in 1..=8 {
            dials.dial(six(1, subnet, port), TOKEN);
        }
    }
    assert_eq!(dials.world.load().pending, 32, "half of those for one listener");

    for site in 2..40 {
        let honest = dials.dial_by(six(site, 0, 1));
        assert!(dials.waits(honest), "{site}");
        dials.world.pass(Duration::from_millis(50));
    }
}

#[test]
fn dials_have_rates() {
    for (config, host_of) in [
        (Config { dials: Rate { burst: 3, per_second: 1 }, ..Config::default() }, 1),
        (Config { listener_source_dials: Rate { burst: 3, per_second: 1 }, ..Config::default() }, 1),
        (Config { listener_dials: Rate { burst: 3, per_second: 1 }, ..Config::default() }, 255),
    ] {
        let mut dials = Dials::new(config);
        for n in 0..20 {
            dials.dial(subnet(n % host_of, 1), TOKEN);
        }
        assert_eq!((dials.world.load().pending, dials.world.counts().dropped(Dropped::Rate)), (3, 17), "{config:?}");
    }
}

/// Dials of one world, each by another browser.
struct Dials {
    world: World,
    dialled: u32,
}

impl Dials {
    fn new(config: Config) -> Self {
        let mut world = World::with(config);
        world.listen(ConnId(2), ELSEWHERE);
        Self { world, dialled: 0 }
    }

    /// Tells how many wait then.
    fn dial(&mut self, from: Path, token: Token) -> usize {
        self.dialled += 1;
        let mut packed = packed_of(token, 0);
        packed.fingerprint[..4].copy_from_slice(&self.dialled.to_be_bytes());
        let port = from.peer.port() + 100 * u16::try_from(self.dialled).unwrap();
        let from = Path { peer: (from.peer.ip(), port).into(), ..from };
        self.world.datagram(from, &check(1, &name(&packed.to_ufrag(), DIALLER_UFRAG), PASSWORD));
        self.world.load().pending
    }

    /// The number of the dial, or 0.
    fn dial_by(&mut self, from: Path) -> u64 {
        self.world.pass(Duration::from_millis(1));
        let before: Vec<u64> = self.world.machine.passages.keys().copied().collect();
        self.dial(from, TOKEN);
        self.world.machine.passages.keys().copied().find(|id| !before.contains(id)).unwrap_or(0)
    }

    /// The number of a dial that was answered, and is forwarded for longer.
    fn relayed(&mut self, from: Path) -> u64 {
        let id = self.dial_by(from);
        let ufrag = format!("lis{}", self.dialled);
        let credentials = Credentials::new(&ufrag, LISTENER_PASSWORD).unwrap();
        self.world.input(Input::Answer { conn: CONN, passage: id, credentials });
        // All diallers have one fragment, so their listener tells them apart by its own.
        let listener =
            Path { peer: (LISTENER.peer.ip(), 7000 + u16::try_from(self.dialled).unwrap()).into(), ..LISTENER };
        self.world.datagram(listener, &check(100, &name(DIALLER_UFRAG, &ufrag), DIALLER_PASSWORD));
        self.world.input(forward_by_dial(id));
        self.world.pass(Duration::from_millis(500));
        id
    }

    fn waits(&self, passage: u64) -> bool {
        self.world.machine.passages.contains_key(&passage)
    }
}

/// A host of an IPv4 /24.
fn subnet(net: u8, host: u8) -> Path {
    Path { peer: ([198, 18, net, host], 9).into(), ..DIALLER }
}

const ELSEWHERE: Token = Token([8; 6]);

#[test]
fn bytes_have_rates() {
    for config in [
        Config { source_bytes: Rate { burst: 2000, per_second: 1 }, ..Config::default() },
        // A network has half of them.
        Config { bytes: Rate { burst: 4000, per_second: 1 }, ..Config::default() },
    ] {
        let mut world = World::opened(config);

        let passed = (0..10).filter(|_| !world.datagram(DIALLER, &data(500)).is_empty()).count();

        assert!((2..4).contains(&passed), "{passed}");
        // Too much at once isn't the end.
        assert_eq!((world.load().passages, world.counts().dropped(Dropped::Rate)), (1, 10 - passed as u64));
    }
}

#[test]
fn one_network_does_not_use_up_the_bytes_of_all() {
    let config = Config {
        bytes: Rate { burst: 8000, per_second: 1 },
        source_bytes: Rate { burst: 2000, per_second: 1 },
        ..Config::default()
    };
    let World { mut machine, now } = World::opened(config);
    let mut passes = |from: Path| {
        let passage = machine.passages.values_mut().next().unwrap();
        machine.limits.charge(&machine.config, passage, from, 1000, now).is_ok()
    };

    // Eight addresses of a /24, each within what one source may send. What opened the passage came from another one.
    let passed = (1..=8).flat_map(|host| [host; 2]).filter(|host| passes(subnet(1, *host))).count();

    assert_eq!(passed, 4);
    assert!([1, 2].map(|host| passes(subnet(2, host))) == [true; 2], "who comes from another network has room");
}

#[test]
fn sessions_are_bounded() {
    let mut world = World::opened(Config { passages: 1, ..Config::default() });
    let other = check(1, &name(&packed_of(TOKEN, 1).to_ufrag(), DIALLER_UFRAG), PASSWORD);

    world.datagram(path(9, 9), &other);

    assert_eq!((world.load().passages, world.counts().dropped(Dropped::Full)), (1, 1));
}

#[test]
fn passages_that_two_networks_keep_open_leave_room_for_others() {
    let mut dials = Dials::new(Config { passages: 16, ..Config::default() });
    let relayed: Vec<u64> = (1..=16).map(|n| dials.relayed(subnet(1 + n % 2, n))).collect();
    assert_eq!((dials.world.load().relaying, dials.world.load().passages), (16, 16));

    let others = [(1, 99), (9, 1), (8, 1)].map(|(net, host)| dials.dial_by(subnet(net, host)));

    assert_eq!(others.map(|id| dials.waits(id)), [false, true, true], "a network has at most half");
    assert_eq!(dials.world.counts().ended(Ended::GaveWay), 2);
    let gone: Vec<usize> = (0..16).filter(|n| !dials.waits(relayed[*n])).collect();
    assert_eq!(gone, [0, 1], "the oldest of each");
}

#[test]
fn a_binding_request_is_answered_with_no_more_than_it_brought() {
    let mut world = World::new();
    let from = path(3, 9);

    let answers: Vec<_> = (0..6).map(|n| world.datagram(from, &binding(n, 0)).len()).collect();

    // 20 bytes each come, 32 each go.
    assert_eq!(answers, [0, 1, 0, 1, 1, 0]);
    let answer = &world.datagram(path(4, 9), &binding(9, 12))[0];
    assert_eq!(answer.1.len(), 32);
    // XOR-MAPPED-ADDRESS: 203.0.113.4, port 9, under the cookie (RFC 8489, section 14.2).
    let expected = [0, 0x20, 0, 8, 0, 1, 0x21, 9 ^ 0x12, 203 ^ 0x21, 0x12, 113 ^ 0xa4, 4 ^ 0x42];
    assert_eq!(answer.1[20..], expected);
    assert_eq!((world.counts().bindings, world.load()), (4, LISTENING));
}

#[test]
fn binding_requests_have_a_rate() {
    let mut world = World::with(Config { bindings: Rate { burst: 3, per_second: 1 }, ..Config::default() });

    let answers = (0..10).filter(|&n| !world.datagram(path(3, 1 + n), &binding(n.into(), 12)).is_empty()).count();

    assert_eq!((answers, world.counts().dropped(Dropped::Rate)), (3, 7));
}

#[test]
fn ten_thousand_dials_can_wait() {
    let much = Rate { burst: 100_000, per_second: 1 };
    let config = Config {
        dials: much,
        listener_dials: much,
        listener_source_dials: much,
        pending_per_listener: 100_000,
        pending_per_listener_and_source: 100,
        ..Config::default()
    };
    let mut world = World::with(config);
    for n in 0..10_000_u32 {
        let mut packed = packed();
        packed.fingerprint[..4].copy_from_slice(&n.to_be_bytes());
        let host = Ipv4Addr::from_bits(n / 32 * 256);
        let from = Path { peer: (host, 1000 + u16::try_from(n % 32).unwrap()).into(), ..DIALLER };
        world.datagram(from, &check(1, &name(&packed.to_ufrag(), DIALLER_UFRAG), PASSWORD));
    }
    assert_eq!(world.load(), Load { legs: 10_000, pending: 10_000, passages: 10_000, ..LISTENING });

    // Another dial is opened among them.
    let mut packed = packed();
    packed.fingerprint[..4].copy_from_slice(&77_u32.to_be_bytes());
    world.input(Input::Answer {
        conn: CONN,
        passage: number(77),
        credentials: Credentials::new(LISTENER_UFRAG, LISTENER_PASSWORD).unwrap(),
    });
    assert_eq!(world.datagram(LISTENER, &listener_check(1)).len(), 2);
    assert_eq!(world.rest(), LISTENING);
    assert_eq!(world.counts().ended(Ended::Unanswered), 9_999);
}
