//! Connections that were opened at an address, while an end doesn't want to be shown.

use std::time::Duration;

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    keys::{Grant, GrantProof},
    local::{Door, DownReason},
    status::Path,
};
use proptest::prelude::*;

use super::{
    address::{PROXY, address, count, introduction, paths, ups},
    script::*,
    world::{World, secret},
};
use crate::{
    Address, Candidate, Input, Kind, Output, Peercon, control::Control, paths::proxy_candidates, sdp, signal::Signal,
};

const SEEDS: u64 = 100;

#[test]
fn while_an_end_is_unwilling_neither_shows_or_tries_anything_but_the_proxy() {
    let mut asked = 0;
    for (seed, willing) in
        (0..SEEDS).flat_map(|seed| [[false, false], [false, true], [true, false]].map(|it| (seed, it)))
    {
        let mut world = World::at_proxy(seed, true, willing);
        for me in [0, 1] {
            world.send_at(me, vec![1; 1000], at(500));
            world.restart_at(me, at(3000 + seed));
            world.restart_at(me, at(20_000));
        }
        world.run_until(at(60_000));

        for me in [0, 1] {
            assert_eq!(world.outputs(me).find(|it| shows(it)), None, "seed {seed}, {willing:?}");
            assert_eq!(ups(&world, me), [secret(1 - me).id()], "seed {seed}, {willing:?}");
            assert_eq!(paths(&world, me), [Path::Proxied], "seed {seed}, {willing:?}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Received(_))), 1, "seed {seed}, {willing:?}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Down(_))), 0, "seed {seed}, {willing:?}");
            assert_eq!(count(&world, me, says_willing), usize::from(willing[me]), "seed {seed}, {willing:?}");
            assert_eq!(count(&world, me, |it| *it == Output::Forward(None)), me, "seed {seed}, {willing:?}");
        }
        asked += count(&world, 1, |it| matches!(it, Output::Forward(_)));
    }
    assert_eq!(asked as u64, 3 * SEEDS);
}

#[test]
fn as_soon_as_both_are_willing_they_move_to_a_direct_path() {
    let (mut before_up, mut after_up) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::at_proxy(seed, true, [seed % 5 == 0, seed % 7 == 0]);
        // Some before they are up, one long after the other, in either order.
        let willing = [at(seed * 37 % 4000), at(seed * 61 % 4000)];
        for me in [0, 1] {
            world.go_direct_at(me, willing[me]);
            world.go_direct_at(me, willing[me] + Duration::from_secs(3));
        }
        world.run_until(at(30_000));

        let starts = [seed % 5 == 0, seed % 7 == 0].map(|it| it.then_some(Instant::START));
        let both = starts[0].unwrap_or(willing[0]).max(starts[1].unwrap_or(willing[1]));
        assert!(!world.trace.iter().any(|(when, _, it)| *when < both && shows(it)), "seed {seed}");
        for me in [0, 1] {
            assert_eq!(paths(&world, me), [Path::Proxied, Path::Direct], "seed {seed}");
            assert_eq!(world.answers(me), 2, "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Restart { .. })), 1, "seed {seed}");
            assert_eq!(count(&world, me, says_willing), 1, "seed {seed}");
            assert_eq!(
                count(&world, me, |it| matches!(it, Output::Down(_) | Output::Forward(Some(_)))),
                0,
                "seed {seed}"
            );
        }
        let up = world.trace.iter().find(|(_, _, it)| matches!(it, Output::Up(_))).unwrap().0;
        before_up += usize::from(both < up);
        after_up += usize::from(both > up);
    }
    assert!(before_up > 5 && after_up > 5, "{before_up} were willing before they were up, {after_up} later");
}

#[test]
fn who_is_willing_late_and_finds_no_direct_path_has_the_proxy_forward_again() {
    for seed in 0..SEEDS {
        let mut world = World::at_proxy(seed, false, [true, false]);
        world.go_direct_at(1, at(20_000));
        world.run_until(at(30_000));

        for me in [0, 1] {
            assert_eq!(paths(&world, me), [Path::Proxied, Path::Relayed], "seed {seed}");
            assert_eq!(count(&world, me, |it| *it == Output::Forward(None)), me, "seed {seed}");
            assert_eq!(count(&world, me, |it| matches!(it, Output::Forward(Some(_)))), me, "seed {seed}");
        }
    }
}

#[test]
fn a_peer_that_shows_itself_too_early_is_hung_up_on() {
    let candidate = Control::Candidate(vec![0, 198, 51, 100, 1, 0x20, 1]);
    let restart = Control::Restart(peers_signal());
    for (direct, says_so) in [(false, false), (false, true), (true, false)] {
        for shown in [&candidate, &restart, &Control::Negotiation(vec![7; 9])] {
            for door in [address(), introduced()] {
                let mut peercon = up_at(door, direct);
                let word = says_so.then(|| said(&Control::Willing));
                assert_eq!(feed(&mut peercon, word), []);
                assert_eq!(feed(&mut peercon, [said(shown)]), [Output::Down(DownReason::Protocol)], "{shown:?}");
            }
        }
    }
    let added = feed(&mut shown_at(introduced()), [said(&candidate), said(&restart)]);
    assert!(matches!(added[..], [Output::AddCandidate(_)]), "an honest one isn't: {added:?}");
}

#[test]
fn a_peer_says_once_that_it_is_willing_after_it_has_said_who_it_is() {
    let broken = [Output::Down(DownReason::Protocol)];
    let willing = || said(&Control::Willing);
    assert_eq!(feed(&mut open_at(introduced(), true), [willing()]), broken, "a stranger");
    assert_eq!(feed(&mut up_at(introduced(), false), [willing(), willing()]), broken, "twice");
    assert_eq!(feed(&mut shown_at(address()), [willing()]), broken, "twice, and both were willing");
    assert_eq!(feed(&mut up(), [willing()]), broken, "through signals");
}

#[test]
fn we_say_that_we_are_willing_once_both_have_proven_who_they_are() {
    let identity = || said(&Control::Identity(peers_proof()));
    for door in [address(), introduced()] {
        let mut peercon = open_at(door.clone(), true);
        assert_eq!(feed(&mut peercon, [said(&hello())]), [asks_to_sign()]);
        assert_eq!(feed(&mut peercon, [identity()]), [], "we haven't");
        let proven = feed(&mut peercon, [Input::Signed(our_proof())]);
        assert_eq!(proven[..2], [say(&Control::Identity(our_proof())), say(&Control::Willing)]);

        let mut peercon = open_at(door.clone(), false);
        let proven = feed(&mut peercon, [said(&hello()), Input::GoDirect, Input::Signed(our_proof())]);
        assert_eq!(proven, [asks_to_sign(), say(&Control::Identity(our_proof()))], "the peer hasn't");
        assert_eq!(feed(&mut peercon, [identity()])[0], say(&Control::Willing));

        let mut peercon = up_at(door, false);
        let later = feed(&mut peercon, [Input::GoDirect, Input::GoDirect]);
        assert_eq!(later, [say(&Control::Willing)]);
    }
}

#[test]
fn through_signals_nobody_needs_to_be_willing() {
    let mut peercon = beginning(Some(peer().id()), Door::Signals, false);
    let described = feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::GatheringDone]);
    assert_eq!(described, [Output::Signal(sdp::read_offer(OFFER).unwrap().encode())]);
    feed(&mut peercon, [Input::Signal(peers_signal()), Input::ControlOpen, Input::DataOpen, said(&hello())]);
    feed(&mut peercon, [Input::Signed(our_proof())]);
    let verified = feed(&mut peercon, [Input::GoDirect, said(&Control::Identity(peers_proof()))]);
    assert_eq!(verified, [Output::Up(peer().id()), say(&Control::Ping(0))]);
    assert_eq!(feed(&mut peercon, [Input::Restart]), [Output::Restart { may_answer: true }]);
}

#[test]
fn a_network_that_changes_meanwhile_has_the_peer_probed_only() {
    for door in [address(), introduced()] {
        let mut peercon = up_at(door, true);
        feed(&mut peercon, [said(&Control::Pong(0))]);
        feed_at(&mut peercon, [Input::Timeout], at(2000));
        assert_eq!(feed_at(&mut peercon, [Input::Restart], at(14_000)), [say(&Control::Ping(1))]);
    }
}

#[test]
fn no_media_is_negotiated_before_both_are_willing() {
    let slice = || vec![7; 9];
    let mut peercon = up_at(introduced(), true);
    assert_eq!(feed(&mut peercon, [Input::Negotiate(slice())]), []);
    feed(&mut peercon, [said(&Control::Willing)]);
    assert_eq!(feed(&mut peercon, [Input::Negotiate(slice())]), [say(&Control::Negotiation(slice()))]);
}

#[test]
fn the_diallers_proof_reaches_who_signs_for_the_listener() {
    let proof = Some(Grant([7; 16]).proof(us().id(), peer().id()));
    let Door::Address { fingerprint, token, proxies, .. } = address() else { unreachable!("it is one") };
    let mut dialler = beginning(None, Door::Address { fingerprint, token, proxies, proof }, false);
    let opened = feed(&mut dialler, [Input::LocalDescription(OFFER.to_owned()), Input::ControlOpen]);
    assert_eq!(opened[1..], [say(&hello_with(us().id(), NONCE, proof))]);

    for (door, passed_on) in [(introduced(), proof), (address(), None)] {
        let signs = feed(&mut open_at(door, false), [said(&hello_with(peer().id(), PEERS_NONCE, proof))]);
        assert_eq!(signs, [Output::Sign { text: our_text(), proof: passed_on }]);
    }
    let signs = feed(&mut open(), [said(&hello_with(peer().id(), PEERS_NONCE, proof))]);
    assert_eq!(signs, [asks_to_sign()], "who exchanged signals didn't dial");
}

#[test]
fn the_listener_has_the_proxy_go_on_where_nobody_is_willing_in_time() {
    let mut peercon = up_at(introduced(), true);
    assert_eq!(peercon.poll_timeout(), Some(at(2000)));
    assert_eq!(feed_at(&mut peercon, [Input::Timeout], at(1999)), []);
    assert_eq!(feed_at(&mut peercon, [Input::Timeout, Input::Timeout], at(2000)), [Output::Forward(None)]);
    let later = feed_at(&mut peercon, [said(&Control::Pong(0)), said(&Control::Willing)], at(9000));
    assert_eq!(later[1..], [Output::Restart { may_answer: true }]);

    let mut in_time = up_at(introduced(), true);
    assert_eq!(
        feed_at(&mut in_time, [said(&Control::Willing), Input::Timeout], at(2000)),
        [Output::Restart { may_answer: true }]
    );
    assert!(in_time.poll_timeout() > Some(at(2000)));

    let mut dialler = up_at(address(), true);
    assert!(dialler.poll_timeout() > Some(at(2000)));
    assert_eq!(feed_at(&mut dialler, [Input::Timeout], at(2000)), []);
}

#[test]
fn the_proxy_is_asked_before_its_budget_for_opening_is_used_up() {
    let mut slow = open_at(introduced(), false);
    let identified = [said(&hello()), Input::Signed(our_proof()), said(&Control::Identity(peers_proof()))];
    feed_at(&mut slow, identified.clone(), at(7500));
    assert_eq!(slow.poll_timeout(), Some(at(8000)));
    let mut slower = open_at(introduced(), false);
    assert_eq!(feed_at(&mut slower, identified, at(9500)).last(), Some(&Output::Forward(None)));

    let mut busy = up_at(introduced(), false);
    busy.send(&[1; 32 * 1024]);
    drain(&mut busy);
    assert_eq!(feed(&mut busy, [Input::Timeout]), []);
    let received = feed(&mut busy, [Input::Data(vec![0; 32 * 1024]), Input::Timeout]);
    assert_eq!(received[1..], [Output::Forward(None)]);
    assert!(busy.poll_timeout() > Some(at(2000)), "once");
}

#[test]
fn a_server_has_the_listener_try_nothing_but_the_proxies_that_it_named_before() {
    let proxies = proxy_candidates(&[PROXY]);
    let other = |kind| Candidate::new(kind, Address::Ip([192, 0, 2, 9].into()), 5009).unwrap();
    let candidates = vec![other(Kind::Host), proxies[0], other(Kind::ServerReflexive), other(Kind::Relayed)];
    let theirs = sdp::read_offer(PEERS_OFFER).unwrap();
    let mut peercon = beginning(None, introduced(), true);
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned())]);

    let set = feed(&mut peercon, [Input::Signal(Signal { candidates, ..theirs.clone() }.encode())]);

    let proxied = Signal { candidates: proxies, ..theirs };
    assert_eq!(set, [Output::SetRemoteDescription(sdp::describe(&proxied, sdp::Setup::Active))]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_an_unwilling_end_shows_and_tries_nothing(
        listens in any::<bool>(),
        start in 0..3_u8,
        inputs in proptest::collection::vec((super::hostile::any_input(), 0..4000_u64), 0..24),
    ) {
        let door = if listens { introduced() } else { address() };
        let mut peercon = match start {
            0 => beginning(None, door, false),
            1 => open_at(door, false),
            _ => up_at(door, false),
        };
        let mut now = Instant::START;
        for (input, later) in inputs.into_iter().filter(|(input, _)| *input != Input::GoDirect) {
            now = now + Duration::from_millis(later);
            // What the server tells a listener is not the peer's.
            let input = if matches!(input, Input::Signal(_)) { Input::Signal(introduction()) } else { input };
            for output in feed_at(&mut peercon, [input], now) {
                prop_assert!(!shows(&output), "{output:?}");
            }
        }
    }
}

/// Whether something of us is shown to the peer, or something of the peer's is tried, other than the proxy.
fn shows(output: &Output) -> bool {
    let shows_more = |candidates: &[Candidate]| candidates.iter().any(|it| *it != proxy_candidates(&[PROXY])[0]);
    match output {
        Output::AddCandidate(_) | Output::Restart { .. } | Output::Answer(_) => true,
        Output::SendControl(bytes) => matches!(
            Control::decode(bytes),
            Ok(Control::Candidate(_) | Control::Negotiation(_) | Control::Restart(_)) | Err(_)
        ),
        Output::SetRemoteDescription(answer) => shows_more(&sdp::read_offer(answer).unwrap().candidates),
        Output::Signal(blob) => !Signal::decode(blob).unwrap().candidates.is_empty(),
        _ => false,
    }
}

fn says_willing(output: &Output) -> bool {
    *output == say(&Control::Willing)
}

pub fn introduced() -> Door {
    Door::Introduced { fingerprint: fingerprint(OFFER), proxies: vec![PROXY] }
}

/// Both channels are open, and nobody has said who they are.
fn open_at(door: Door, direct: bool) -> Peercon {
    let mut peercon = beginning(None, door, direct);
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::Signal(introduction())]);
    feed(&mut peercon, [Input::ControlOpen, Input::DataOpen]);
    peercon
}

/// The connection is up, and the peer hasn't said that it is willing.
fn up_at(door: Door, direct: bool) -> Peercon {
    let mut peercon = open_at(door, direct);
    feed(&mut peercon, [said(&hello()), Input::Signed(our_proof()), said(&Control::Identity(peers_proof()))]);
    peercon
}

/// Both are willing.
fn shown_at(door: Door) -> Peercon {
    let mut peercon = up_at(door, true);
    assert_eq!(feed(&mut peercon, [said(&Control::Willing)]), [Output::Restart { may_answer: true }]);
    peercon
}

fn hello_with(key: bitters_wire::id::PersonaId, nonce: [u8; 16], proof: Option<GrantProof>) -> Control {
    Control::Hello { key, nonce, wire: bitters_wire::WIRE, proof }
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}
