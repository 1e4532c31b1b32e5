//! Connections that nobody signalled for: opened at a proxy, moved to a direct path, or back where there is none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    address::Token,
    id::PersonaId,
    local::{Door, DownReason},
    status::Path,
};

use super::{
    hidden::introduced,
    script::*,
    world::{World, secret},
};
use crate::{
    Input, Output,
    control::Control,
    packed::{PASSWORD, Packed},
    paths::proxy_candidates,
    sdp::{self, Setup},
    signal::Signal,
};

pub const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 3478);

const SEEDS: u64 = 150;

#[test]
fn a_dialler_invents_what_nobody_told_it() {
    let mut peercon = dialling(None, address());
    let own = sdp::read_offer(OFFER).unwrap();

    let outputs = feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::GatheringDone]);

    let password = own.credentials.password().to_owned();
    let packed = Packed { token: Token([7; 6]), fingerprint: own.fingerprint, password };
    let invented = Signal {
        credentials: crate::Credentials::new(&packed.to_ufrag(), PASSWORD).unwrap(),
        fingerprint: fingerprint(PEERS_OFFER),
        candidates: proxy_candidates(&[PROXY]),
    };
    assert_eq!(outputs, [Output::SetRemoteDescription(sdp::describe(&invented, Setup::Active))]);
}

#[test]
fn who_is_introduced_tells_its_credentials_at_once() {
    let mut peercon = dialling(None, introduced());
    let own = sdp::read_offer(OFFER).unwrap();
    let bare = Signal { candidates: Vec::new(), ..own };

    let outputs = feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::LocalCandidate(HOST.into())]);
    assert_eq!(outputs, [Output::Signal(bare.encode())]);

    let set = feed(&mut peercon, [Input::Signal(introduction())]);
    assert!(matches!(set[..], [Output::SetRemoteDescription(_)]));
    assert_eq!(feed(&mut peercon, [Input::ControlOpen]), [say(&hello_of(us().id(), NONCE, bitters_wire::WIRE))]);
    assert_eq!(feed(&mut peercon, [Input::LocalCandidate(HOST.into())]), [], "candidates wait for the restart");
}

#[test]
fn another_certificate_than_the_addresss_is_not_shown() {
    let mut peercon = dialling(None, Door::Introduced { fingerprint: [9; 32], proxies: vec![PROXY] });
    let outputs = feed(&mut peercon, [Input::Signal(introduction()), Input::LocalDescription(OFFER.to_owned())]);
    assert_eq!(outputs, [Output::Down(DownReason::Platform)]);
}

#[test]
fn at_an_address_nobody_is_listened_to_but_its_owner() {
    let mut peercon = dialling(None, address());
    assert_eq!(feed(&mut peercon, [Input::Signal(peers_signal()), Input::Signal(vec![0xff])]), []);
}

#[test]
fn an_address_of_a_node_is_that_nodes() {
    for (expected, last) in [
        (Some(peer().id()), asks_to_sign()),
        (Some(stranger().id()), Output::Down(DownReason::Identity)),
        (None, asks_to_sign()),
    ] {
        let mut peercon = dialling(expected, address());
        feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::ControlOpen, Input::DataOpen]);
        assert_eq!(feed(&mut peercon, [said(&hello())]), [last]);
    }
}

#[test]
fn an_address_of_our_own_leads_nowhere() {
    let mut peercon = dialling(None, address());
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::ControlOpen, Input::DataOpen]);
    let own = hello_of(us().id(), PEERS_NONCE, bitters_wire::WIRE);
    assert_eq!(feed(&mut peercon, [said(&own)]), [Output::Down(DownReason::Identity)]);
}

#[test]
fn both_know_each_other_and_move_to_a_direct_path() {
    for seed in 0..SEEDS {
        let world = meet(seed, true);
        for me in [0, 1] {
            assert_eq!(ups(&world, me), [secret(1 - me).id()], "seed {seed}");
            assert_eq!(paths(&world, me), [Path::Proxied, Path::Direct], "seed {seed}");
            assert_eq!(world.answers(me), 2, "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Restart { .. })), 1, "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Down(_) | Output::Forward(_))), 0, "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Received(_))), 1, "seed {seed}");
        }
    }
}

#[test]
fn without_a_direct_path_the_proxy_forwards_and_one_is_looked_for_three_times_more() {
    for seed in 0..SEEDS {
        let mut world = meet(seed, false);
        world.run_until(Instant::from_millis(300_000));
        for me in [0, 1] {
            assert_eq!(paths(&world, me), [Path::Proxied, Path::Relayed], "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Forward(Some(_)))), 4 * me, "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Down(_))), 0, "seed {seed}");
            let added =
                |it: &Output| matches!(it, Output::AddCandidate(text) if text.contains("203.0.113.1 3478 typ relay"));
            assert_eq!(count(&world, me, added), 4, "seed {seed}");
        }
    }
}

#[test]
fn a_direct_path_that_works_only_later_is_found_then() {
    for (from, tries) in [(3000, 2), (20_000, 3), (60_000, 4)] {
        for seed in 0..SEEDS {
            let mut world = World::at_proxy(seed, false, [true, true]);
            world.direct_from(Instant::from_millis(from));
            world.run_until(Instant::from_millis(120_000));
            for me in [0, 1] {
                assert_eq!(paths(&world, me), [Path::Proxied, Path::Relayed, Path::Direct], "seed {seed}");
                assert_eq!(count(&world, me, |it| matches!(it, Output::Restart { .. })), tries, "seed {seed}");
                assert_eq!(count(&world, me, |it| matches!(it, Output::Down(_))), 0, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_path_that_is_seen_before_the_connection_is_up_hides_nothing() {
    let mut peercon = dialling(None, address());
    let opening = [Input::LocalDescription(OFFER.to_owned()), Input::PathChanged, Input::ControlOpen, Input::DataOpen];
    feed(&mut peercon, opening);
    assert_eq!(feed(&mut peercon, [Input::Selected(Some(PROXY))]), []);

    feed(&mut peercon, [said(&hello()), Input::Signed(us().sign(&our_text().to_bytes()))]);
    let up = feed(&mut peercon, [said(&Control::Identity(peers_proof()))]);
    let proxied = [Output::Up(peer().id()), say(&Control::Ping(0)), Output::Path(Path::Proxied)];
    assert_eq!(up, [&[say(&Control::Willing)], &proxied[..]].concat());
    assert_eq!(feed(&mut peercon, [said(&Control::Willing)]), [Output::Restart { may_answer: true }]);
}

#[test]
fn the_first_word_on_a_direct_path_is_said_at_once() {
    let mut peercon = dialling(None, address());
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::ControlOpen, Input::DataOpen]);
    feed(&mut peercon, [said(&hello()), Input::Signed(us().sign(&our_text().to_bytes()))]);
    feed(&mut peercon, [said(&Control::Identity(peers_proof())), said(&Control::Willing)]);
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned())]);
    feed(&mut peercon, [Input::GatheringDone, said(&Control::Restart(peers_signal()))]);

    assert_eq!(feed(&mut peercon, [Input::Selected(Some(DIRECT))]), [Output::Path(Path::Direct)]);
    assert_eq!(feed(&mut peercon, [Input::Timeout]), [], "one ping at a time");
    feed(&mut peercon, [said(&Control::Pong(0))]);
    assert_eq!(peercon.poll_timeout(), Some(NOW));
    assert_eq!(feed(&mut peercon, [Input::Timeout]), [say(&Control::Ping(1))]);

    feed(&mut peercon, [said(&Control::Pong(1)), Input::Selected(Some(PROXY)), Input::Selected(Some(DIRECT))]);
    assert_eq!(feed(&mut peercon, [Input::Timeout]), [], "once for each restart");
}

#[test]
fn the_old_path_is_kept_until_the_peer_was_told() {
    let mut peercon = dialling(None, address());
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::ControlOpen, Input::DataOpen]);
    feed(&mut peercon, [said(&hello()), Input::Signed(us().sign(&our_text().to_bytes()))]);
    feed(&mut peercon, [said(&Control::Identity(peers_proof())), said(&Control::Willing)]);

    let begun = [Input::LocalDescription(OFFER.to_owned()), Input::LocalCandidate(HOST.into())];
    assert_eq!(feed(&mut peercon, begun), []);
    assert_eq!(feed(&mut peercon, [said(&Control::Restart(peers_signal()))]), []);
    let both = feed(&mut peercon, [Input::GatheringDone]);
    let is_told_first = matches!(both[..2], [Output::SendControl(_), Output::SetRemoteDescription(_)]);
    assert!(is_told_first, "{both:?}");
}

#[test]
fn a_connection_by_signals_asks_for_no_path() {
    let mut peercon = up();
    assert_eq!(feed(&mut peercon, [Input::PathChanged, Input::Selected(Some(PROXY)), Input::Selected(None)]), []);
}

#[test]
fn a_fragment_of_the_peers_that_comes_late_is_no_new_path() {
    let mut peercon = up();
    let mut proxy = Vec::new();
    proxy_candidates(&[PROXY])[0].write(&mut proxy);
    let added = feed(&mut peercon, [said(&Control::Candidate(proxy)), Input::PathChanged]);
    assert!(matches!(added[..], [Output::AddCandidate(_)]), "{added:?}");
}

const DIRECT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5009);

const HOST: &str = "candidate:1 1 udp 1 192.0.2.9 5009 typ host";

pub fn address() -> Door {
    Door::Address { fingerprint: fingerprint(PEERS_OFFER), token: Token([7; 6]), proxies: vec![PROXY], proof: None }
}

/// What a proxy says of the peer.
pub fn introduction() -> Vec<u8> {
    Signal { candidates: proxy_candidates(&[PROXY]), ..sdp::read_offer(PEERS_OFFER).unwrap() }.encode()
}

/// 0 dials 1's address, both say something, and half a minute passes.
fn meet(seed: u64, has_direct: bool) -> World {
    let mut world = World::at_proxy(seed, has_direct, [true, true]);
    for me in [0, 1] {
        world.send_at(me, vec![1; 1000], Instant::from_millis(500));
    }
    world.run_until(Instant::from_millis(30_000));
    world
}

pub fn ups(world: &World, me: usize) -> Vec<PersonaId> {
    world.outputs(me).filter_map(|it| if let Output::Up(node) = it { Some(*node) } else { None }).collect()
}

pub fn paths(world: &World, me: usize) -> Vec<Path> {
    world.outputs(me).filter_map(|it| if let Output::Path(path) = it { Some(*path) } else { None }).collect()
}

pub fn count(world: &World, me: usize, is: impl Fn(&Output) -> bool) -> usize {
    world.outputs(me).filter(|it| is(it)).count()
}
