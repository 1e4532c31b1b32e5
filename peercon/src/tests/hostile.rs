//! A peer that lies, repeats, floods and babbles.

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    VersionRange, WIRE,
    id::PersonaId,
    keys::Signature,
    local::{Door, DownReason},
};
use proptest::prelude::*;

use super::script::*;
use crate::{Input, Output, control::Control, parts};

#[test]
fn another_node_is_refused() {
    let hello = hello_of(stranger().id(), PEERS_NONCE, WIRE);
    assert_eq!(feed(&mut open(), [said(&hello)]), [Output::Down(DownReason::Identity)]);
}

#[test]
fn our_own_hello_sent_back_is_refused() {
    for hello in [hello_of(us().id(), NONCE, WIRE), hello_of(peer().id(), NONCE, WIRE)] {
        assert_eq!(feed(&mut open(), [said(&hello)]), [Output::Down(DownReason::Identity)]);
    }
}

#[test]
fn ourselves_are_no_peer() {
    let mut peercon = dialling(Some(us().id()), Door::Signals);
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::Signal(peers_signal()), Input::ControlOpen]);

    let hello = hello_of(us().id(), PEERS_NONCE, WIRE);

    assert_eq!(feed(&mut peercon, [said(&hello)]), [Output::Down(DownReason::Identity)]);
}

#[test]
fn our_own_certificate_sent_back_is_refused() {
    let mut peercon = new();
    let ours = crate::sdp::read_offer(OFFER).unwrap().encode();

    let outputs = feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::Signal(ours)]);

    assert_eq!(outputs, [Output::Down(DownReason::Identity)]);
}

#[test]
fn a_proof_holds_for_one_key_one_role_and_one_connection() {
    let text = peers_text();
    let with_fingerprint = |a, b| {
        let mut text = text;
        text.a.fingerprint = a;
        text.b.fingerprint = b;
        text
    };
    let mut other_nonce = text;
    other_nonce.a.nonce = [9; 16];
    let mut swapped = text;
    (swapped.a, swapped.b) = (text.b, text.a);
    for (what, proof) in [
        ("another key", stranger().sign(&text.to_bytes())),
        ("our own proof, sent back", us().sign(&our_text().to_bytes())),
        ("our role", peer().sign(&our_text().to_bytes())),
        ("swapped ends", peer().sign(&swapped.to_bytes())),
        ("another connection's nonce", peer().sign(&other_nonce.to_bytes())),
        ("a certificate in the middle, ours", peer().sign(&with_fingerprint([4; 32], text.b.fingerprint).to_bytes())),
        ("a certificate in the middle, theirs", peer().sign(&with_fingerprint(text.a.fingerprint, [4; 32]).to_bytes())),
        ("no signature", Signature([0; 64])),
    ] {
        let outputs = feed(&mut greeted(), [said(&Control::Identity(proof))]);
        assert_eq!(outputs, [Output::Down(DownReason::Identity)], "{what}");
    }
}

#[test]
fn no_common_version_is_the_end() {
    let hello = hello_of(peer().id(), PEERS_NONCE, VersionRange { min: WIRE.max + 1, max: WIRE.max + 1 });
    assert_eq!(feed(&mut open(), [said(&hello)]), [Output::Down(DownReason::VersionMismatch)]);
}

#[test]
fn what_comes_out_of_turn_breaks_the_protocol() {
    let broken = [Output::Down(DownReason::Protocol)];
    let proof = said(&Control::Identity(peers_proof()));
    assert_eq!(feed(&mut open(), [proof.clone()]), broken, "a proof before the hello");
    assert_eq!(feed(&mut open(), [said(&Control::Ping(0))]), broken, "a ping before the hello");
    assert_eq!(feed(&mut greeted(), [said(&Control::Ping(0))]), broken, "a ping before the proof");
    assert_eq!(feed(&mut greeted(), [said(&Control::Pong(0))]), broken, "a pong before the proof");
    assert_eq!(feed(&mut greeted(), [said(&hello())]), broken, "a second hello");
    assert_eq!(feed(&mut up(), [proof]), broken, "a second proof");
    assert_eq!(feed(&mut up(), [said(&Control::Pong(0))]), broken, "a second pong");

    let early = feed(&mut new(), [said(&hello())]);
    assert_eq!(early.last(), Some(&broken[0]), "a hello before the descriptions");
}

#[test]
fn control_messages_are_bounded_and_known() {
    let mut long = Control::Bye.encode();
    long.push(0);
    for bytes in [
        vec![],
        vec![6],
        vec![7],
        vec![10],
        vec![11],
        vec![0xff; 20],
        vec![0; 1025],
        long,
        Control::Candidate(vec![0; 1024]).encode(),
    ] {
        assert_eq!(feed(&mut up(), [Input::Control(bytes)]), [Output::Down(DownReason::Protocol)]);
    }
}

#[test]
fn a_flood_of_pings_is_the_end() {
    let mut peercon = up();
    let ping = said(&Control::Ping(1));
    feed(&mut peercon, std::iter::repeat_n(ping.clone(), 16));
    assert_eq!(feed(&mut peercon, [ping]), [Output::Down(DownReason::Protocol)]);
}

#[test]
fn a_restart_with_another_certificate_is_the_end() {
    let ours = crate::sdp::read_offer(OFFER).unwrap().encode();
    assert_eq!(feed(&mut up(), [said(&Control::Restart(ours))]), [Output::Down(DownReason::Identity)]);
    assert_eq!(feed(&mut up(), [said(&Control::Restart(vec![0xff; 60]))]), [Output::Down(DownReason::Protocol)]);
}

#[test]
fn a_flood_of_restarts_is_the_end() {
    let mut peercon = up();
    let restart = said(&Control::Restart(peers_signal()));
    assert_eq!(feed(&mut peercon, [restart.clone()]), [Output::Restart { may_answer: true }]);
    assert_eq!(feed(&mut peercon, [restart]), [Output::Down(DownReason::Protocol)]);
}

#[test]
fn whoever_asks_for_more_than_one_restart_at_once_is_done_with() {
    let wanted = said(&Control::RestartWanted);
    let over = [Output::Down(DownReason::Protocol)];
    let mut asked_twice = up();
    assert_eq!(feed(&mut asked_twice, [wanted.clone()]), [Output::Restart { may_answer: false }]);
    assert_eq!(feed(&mut asked_twice, [wanted.clone()]), over);

    let mut offered = up();
    feed(&mut offered, [said(&Control::Restart(peers_signal()))]);
    assert_eq!(feed(&mut offered, [wanted.clone()]), over, "it told its description already");

    let mut unknown = dialling(None, Door::Signals);
    feed(&mut unknown, [Input::LocalDescription(OFFER.to_owned()), Input::Signal(peers_signal()), Input::ControlOpen]);
    assert_eq!(feed(&mut unknown, [wanted]), over, "it hasn't proven yet who it is");
}

#[test]
fn a_flood_of_candidates_is_the_end() {
    let mut peercon = up();
    let candidate = |port: u8| said(&Control::Candidate(vec![0, 198, 51, 100, 1, 0x20, port]));
    // The signal had one.
    let added = feed(&mut peercon, (1..=31).map(candidate));
    assert_eq!(added.len(), 31);
    assert_eq!(feed(&mut peercon, [candidate(32)]), [Output::Down(DownReason::Protocol)]);
}

#[test]
fn bad_parts_are_the_end() {
    let whole = vec![1; 1 + parts::MAX_PART];
    for parts in [
        vec![vec![]],
        vec![vec![0]],
        vec![vec![1]],
        vec![vec![2, 1]],
        vec![vec![0; 2 + parts::MAX_PART]],
        vec![whole; 6],
    ] {
        let outputs = feed(&mut up(), parts.into_iter().map(Input::Data));
        assert_eq!(outputs, [Output::Down(DownReason::Protocol)]);
    }
}

#[test]
fn what_waits_for_the_proof_is_bounded() {
    for len in [1, 1 + parts::MAX_PART] {
        let mut peercon = greeted();
        let mut held = 0;
        while feed(&mut peercon, [Input::Data(vec![1; len])]).is_empty() {
            held += len;
            assert!(held <= 1024 * 1024, "{held} bytes held in messages of {len}");
        }
        assert_eq!(peercon.poll_timeout(), None);
    }
}

#[test]
fn bad_parts_that_waited_are_the_end() {
    let mut peercon = greeted();
    feed(&mut peercon, [Input::Data(vec![9])]);

    let verified = feed(&mut peercon, [said(&Control::Identity(peers_proof()))]);

    assert_eq!(verified.last(), Some(&Output::Down(DownReason::Protocol)));
    assert!(!verified.iter().any(|output| matches!(output, Output::Received(_))));
}

#[test]
fn a_bad_signal_is_the_end() {
    for blob in [vec![], vec![0xff; 600], vec![0; 54]] {
        assert_eq!(feed(&mut new(), [Input::Signal(blob)]), [Output::Down(DownReason::Protocol)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        start in 0..4_u8,
        inputs in proptest::collection::vec((any_input(), 0..4000_u64), 0..24),
    ) {
        let mut peercon = match start {
            0 => new(),
            1 => open(),
            2 => greeted(),
            _ => up(),
        };
        let mut rules = Rules { up: start == 3, down: false };
        let mut now = Instant::START;
        for (input, later) in inputs {
            now = now + std::time::Duration::from_millis(later);
            for output in feed_at(&mut peercon, [input], now) {
                rules.check(&output)?;
            }
            peercon.send(b"something");
            for output in drain(&mut peercon) {
                rules.check(&output)?;
            }
            prop_assert_eq!(peercon.poll_timeout().is_none(), rules.down);
        }
    }
}

/// Down once and last; up once, to the right peer; no application byte before.
struct Rules {
    up: bool,
    down: bool,
}

impl Rules {
    fn check(&mut self, output: &Output) -> Result<(), TestCaseError> {
        prop_assert!(!self.down, "{output:?} after the end");
        match output {
            Output::Down(_) => self.down = true,
            Output::Received(_) | Output::SendData(_) => prop_assert!(self.up, "{output:?} before up"),
            Output::Up(node) => {
                prop_assert!(!self.up, "up twice");
                prop_assert_eq!(*node, peer().id());
                self.up = true;
            }
            _ => {}
        }
        Ok(())
    }
}

pub fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => Just(Input::Timeout),
        1 => prop_oneof![Just(Input::ChannelClosed), Just(Input::ConnectionFailed), Just(Input::HangUp)],
        2 => prop_oneof![Just(Input::ControlOpen), Just(Input::DataOpen), Just(Input::GatheringDone)],
        1 => prop_oneof![Just(Input::GoDirect), Just(Input::Probe), Just(Input::Restart), Just(Input::Controlled)],
        2 => any_bytes().prop_map(Input::Control),
        4 => any_control().prop_map(|message| said(&message)),
        3 => any_bytes().prop_map(Input::Data),
        2 => (0..2_u8, any_bytes()).prop_map(|(first, rest)| Input::Data([vec![first], rest].concat())),
        1 => "(candidate:1 1 udp 1 )?[ -~]{0,40}".prop_map(Input::LocalCandidate),
        1 => prop_oneof![Just(OFFER.to_owned()), "[ -~\r\n]{0,200}"].prop_map(Input::LocalDescription),
        1 => prop_oneof![Just(peers_signal()), any_bytes()].prop_map(Input::Signal),
        2 => Just(Input::Signed(us().sign(&our_text().to_bytes()))),
    ]
}

fn any_control() -> impl Strategy<Value = Control> {
    prop_oneof![
        1 => Just(Control::Bye),
        1 => any_bytes().prop_map(Control::Candidate),
        3 => Just(hello()),
        1 => any::<([u8; 32], [u8; 16], u16, u16)>()
            .prop_map(|(node, nonce, min, max)| hello_of(PersonaId(node), nonce, VersionRange { min, max })),
        3 => Just(Control::Identity(peers_proof())),
        1 => any::<[u8; 32]>().prop_map(|half| {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&half);
            Control::Identity(Signature(signature))
        }),
        2 => (0..3_u32).prop_map(Control::Ping),
        2 => (0..3_u32).prop_map(Control::Pong),
        2 => prop_oneof![Just(peers_signal()), any_bytes()].prop_map(Control::Restart),
        1 => Just(Control::RestartWanted),
        2 => Just(Control::Willing),
    ]
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..80)
}
