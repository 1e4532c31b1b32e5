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
fn pending_dials_are_bounded_by_source_listener_and_in_all() {
    let config = Config { pending: 5, pending_per_listener: 4, pending_per_source: 2, ..Config::default() };
    let mut world = World::with(config);
    let elsewhere = Token([8; 6]);
    world.listen(ConnId(2), elsewhere);
    let mut n = 0;
    let mut dial = |world: &mut World, host, token| {
        n += 1;
        let check = check(1, &name(&packed_of(token, n).to_ufrag(), DIALLER_UFRAG), PASSWORD);
        world.datagram(path(host, u16::from(n)), &check);
        world.load().pending
    };

    assert_eq!([1, 1, 1].map(|host| dial(&mut world, host, TOKEN)), [1, 2, 2]);
    assert_eq!([2, 3, 4].map(|host| dial(&mut world, host, TOKEN)), [3, 4, 4]);
    assert_eq!([5, 6].map(|host| dial(&mut world, host, elsewhere)), [5, 5]);
    assert_eq!(world.counts().dropped(Dropped::Full), 3);
    world.pass(Duration::from_secs(10));
    assert_eq!(dial(&mut world, 1, TOKEN), 1);
}

#[test]
fn dials_have_rates() {
    let config = Config {
        dials: Rate { burst: 3, per_second: 1 },
        listener_dials: Rate { burst: 5, per_second: 1 },
        ..Config::default()
    };
    let mut world = World::with(config);
    for n in 0..20 {
        let check = check(1, &name(&packed_of(TOKEN, n).to_ufrag(), DIALLER_UFRAG), PASSWORD);
        world.datagram(path(n / 10, u16::from(n) + 1), &check);
    }

    assert_eq!((world.load().pending, world.counts().dropped(Dropped::Rate)), (5, 15));
}

#[test]
fn bytes_have_rates() {
    for config in [
        Config { source_bytes: Rate { burst: 2000, per_second: 1 }, ..Config::default() },
        Config { bytes: Rate { burst: 2000, per_second: 1 }, ..Config::default() },
    ] {
        let mut world = World::opened(config);

        let passed = (0..10).filter(|_| !world.datagram(DIALLER, &data(500)).is_empty()).count();

        assert!((2..4).contains(&passed), "{passed}");
        // Too much at once isn't the end.
        assert_eq!((world.load().passages, world.counts().dropped(Dropped::Rate)), (1, 10 - passed as u64));
    }
}

#[test]
fn sessions_are_bounded() {
    let mut world = World::opened(Config { passages: 1, ..Config::default() });
    let other = check(1, &name(&packed_of(TOKEN, 1).to_ufrag(), DIALLER_UFRAG), PASSWORD);

    world.datagram(path(9, 9), &other);

    assert_eq!((world.load().passages, world.counts().dropped(Dropped::Full)), (1, 1));
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
    let config = Config { dials: much, listener_dials: much, pending_per_listener: 100_000, ..Config::default() };
    let mut world = World::with(config);
    for n in 0..10_000_u32 {
        let mut packed = packed();
        packed.fingerprint[..4].copy_from_slice(&n.to_be_bytes());
        let from =
            Path { peer: (Ipv4Addr::from_bits(n / 32), 1000 + u16::try_from(n % 32).unwrap()).into(), ..DIALLER };
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
