//! The way from nothing to up and down again, with a peer that does as it should.

use std::time::Duration;

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    WIRE,
    limits::{DIAL_TIMEOUT, MAX_LINK},
    local::DownReason,
};

use super::script::*;
use crate::{
    Input, Output,
    control::Control,
    parts,
    sdp::{self, Setup},
    signal::Signal,
};

#[test]
fn a_dial_comes_up() {
    let mut peercon = new();
    let (ours, theirs) = (sdp::read_offer(OFFER).unwrap(), sdp::read_offer(PEERS_OFFER).unwrap());

    let described = feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::GatheringDone]);
    assert_eq!(described, [Output::Signal(ours.encode())]);

    let signalled = feed(&mut peercon, [Input::Signal(peers_signal())]);
    assert_eq!(signalled, [Output::SetRemoteDescription(sdp::describe(&theirs, Setup::Active))]);

    let opened = feed(&mut peercon, [Input::ControlOpen, Input::DataOpen]);
    assert_eq!(opened, [say(&hello_of(us().id(), NONCE, WIRE))]);

    let greeted = feed(&mut peercon, [said(&hello())]);
    assert_eq!(greeted, [asks_to_sign()]);

    let proof = us().sign(&our_text().to_bytes());
    let proven = feed(&mut peercon, [Input::Signed(proof)]);
    assert_eq!(proven, [say(&Control::Identity(proof))]);

    let verified = feed(&mut peercon, [said(&Control::Identity(peers_proof()))]);
    assert_eq!(verified, [Output::Up(peer().id()), say(&Control::Ping(0))]);
}

#[test]
fn the_higher_fingerprint_is_dtls_active() {
    let mut peercon = new();
    let theirs = sdp::read_offer(OFFER).unwrap();

    let outputs = feed(&mut peercon, [Input::Signal(theirs.encode()), Input::LocalDescription(PEERS_OFFER.to_owned())]);

    assert_eq!(outputs, [Output::SetRemoteDescription(sdp::describe(&theirs, Setup::Passive))]);
}

#[test]
fn the_signal_waits_30_ms_for_more_candidates() {
    let mut peercon = new();
    let bare = OFFER.replace("a=candidate", "a=x");
    let (first, second) = (candidate(5001), candidate(5002));

    feed_at(&mut peercon, [Input::LocalDescription(bare.clone())], at(1));
    assert_eq!(peercon.poll_timeout(), Some(NOW + DIAL_TIMEOUT));
    feed_at(&mut peercon, [Input::LocalCandidate(first.clone())], at(5));
    assert_eq!(peercon.poll_timeout(), Some(at(35)));
    assert_eq!(feed_at(&mut peercon, [Input::LocalCandidate(second.clone()), Input::Timeout], at(34)), []);
    let sent = feed_at(&mut peercon, [Input::Timeout], at(35));

    let with_both = sdp::read_offer(&format!("{bare}a={first}\r\na={second}\r\n")).unwrap();
    assert_eq!(sent, [Output::Signal(with_both.encode())]);
    assert_eq!(peercon.poll_timeout(), Some(NOW + DIAL_TIMEOUT));
}

#[test]
fn the_end_of_gathering_sends_the_signal_even_without_candidates() {
    let mut peercon = new();
    let bare = OFFER.replace("a=candidate", "a=x");

    let outputs = feed(&mut peercon, [Input::LocalDescription(bare.clone()), Input::GatheringDone]);

    assert_eq!(outputs, [Output::Signal(sdp::read_offer(&bare).unwrap().encode())]);
}

#[test]
fn a_browser_without_candidates_is_given_up_soon() {
    let mut peercon = new();
    let bare = OFFER.replace("a=candidate", "a=x");
    feed_at(&mut peercon, [Input::LocalDescription(bare), Input::GatheringDone, Input::GatheringDone], at(100));

    assert_eq!(peercon.poll_timeout(), Some(at(1100)));
    assert_eq!(feed_at(&mut peercon, [Input::GatheringDone, Input::Timeout], at(1099)), []);
    assert_eq!(feed_at(&mut peercon, [Input::Timeout], at(1100)), [Output::Down(DownReason::Platform)]);
}

#[test]
fn a_browser_that_only_hides_its_candidates_connects() {
    let bare = OFFER.replace("a=candidate", "a=x");
    let mut peercon = new();
    feed(&mut peercon, [Input::LocalDescription(bare.clone()), Input::GatheringDone, Input::Signal(peers_signal())]);
    feed(&mut peercon, [Input::ControlOpen, Input::DataOpen, said(&hello())]);
    let signature = us().sign(&our_text().to_bytes());
    feed(&mut peercon, [Input::Signed(signature), said(&Control::Identity(peers_proof())), said(&Control::Pong(0))]);
    assert!(peercon.poll_timeout() > Some(at(1000)));
    assert_eq!(feed_at(&mut peercon, [Input::Timeout], at(1000)), []);

    // So does one whose candidates come after all.
    let mut peercon = new();
    feed(&mut peercon, [Input::LocalDescription(bare), Input::GatheringDone, Input::LocalCandidate(candidate(5001))]);
    assert_eq!(peercon.poll_timeout(), Some(NOW + DIAL_TIMEOUT));
}

#[test]
fn late_candidates_go_over_the_control_channel() {
    let mut peercon = new();
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::GatheringDone]);
    feed(&mut peercon, [Input::Signal(peers_signal())]);

    assert_eq!(feed(&mut peercon, [Input::LocalCandidate(candidate(5001))]), []);
    let opened = feed(&mut peercon, [Input::ControlOpen]);
    let later = feed(&mut peercon, [Input::LocalCandidate(candidate(5002)), Input::LocalCandidate(candidate(5002))]);

    let told = |port| say(&Control::Candidate(candidate_bytes(port)));
    assert_eq!(opened, [say(&hello_of(us().id(), NONCE, WIRE)), told(5001)]);
    assert_eq!(later, [told(5002)]);
}

#[test]
fn more_candidates_than_a_signal_holds_follow_later_and_far_ones_go_first() {
    let mut peercon = new();
    let bare = OFFER.replace("a=candidate", "a=x");
    feed(&mut peercon, [Input::LocalDescription(bare)]);
    feed(&mut peercon, (5001..=5009).map(|port| Input::LocalCandidate(candidate(port))));
    let far = "candidate:1 1 udp 1 203.0.113.9 6000 typ srflx raddr 0.0.0.0 rport 0";

    let sent = feed(&mut peercon, [Input::LocalCandidate(far.to_owned()), Input::GatheringDone]);

    let [Output::Signal(blob)] = &sent[..] else { panic!("{sent:?}") };
    let ports: Vec<_> = Signal::decode(blob).unwrap().candidates.iter().map(crate::Candidate::port).collect();
    assert_eq!(ports, [6000, 5001, 5002, 5003, 5004, 5005, 5006, 5007]);
    let late = feed(&mut peercon, [Input::ControlOpen]);
    let told = |port| say(&Control::Candidate(candidate_bytes(port)));
    assert_eq!(late[1..], [told(5008), told(5009)]);
}

#[test]
fn the_peers_late_candidates_are_added_once() {
    let mut peercon = open();
    let late = Control::Candidate(candidate_bytes(5001));

    let outputs = feed(&mut peercon, [said(&late), said(&late)]);

    // The signal had one candidate already.
    let text = "candidate:2 1 udp 2130706175 198.51.100.1 5001 typ host";
    assert_eq!(outputs, [Output::AddCandidate(text.to_owned())]);
}

#[test]
fn only_the_first_signal_and_the_first_description_count() {
    let mut peercon = open();

    let again = [
        Input::Signal(peers_signal()),
        Input::Signal(sdp::read_offer(OFFER).unwrap().encode()),
        Input::Signal(vec![0xff]),
        Input::LocalDescription(PEERS_OFFER.to_owned()),
        Input::GatheringDone,
        Input::ControlOpen,
    ];

    assert_eq!(feed(&mut peercon, again), []);
}

#[test]
fn what_is_sent_before_up_goes_out_when_up() {
    let mut peercon = greeted();
    peercon.send(b"one");
    peercon.send(&[7; parts::MAX_PART + 1]);
    assert_eq!(drain(&mut peercon), []);

    let verified = feed(&mut peercon, [said(&Control::Identity(peers_proof()))]);

    let data = |first: u8, payload: &[u8]| Output::SendData([&[first], payload].concat());
    let expected = [
        Output::Up(peer().id()),
        say(&Control::Ping(0)),
        data(0, b"one"),
        data(1, &[7; parts::MAX_PART]),
        data(0, &[7]),
    ];
    assert!(verified == expected);
}

#[test]
fn what_the_peer_sends_before_we_are_up_is_received_when_up() {
    let mut peercon = greeted();
    assert_eq!(feed(&mut peercon, [Input::Data(b"\0one".to_vec()), Input::Data(b"\x01tw".to_vec())]), []);

    let verified = feed(&mut peercon, [said(&Control::Identity(peers_proof()))]);
    let later = feed(&mut peercon, [Input::Data(b"\0o".to_vec())]);

    let expected = [Output::Up(peer().id()), say(&Control::Ping(0)), Output::Received(b"one".to_vec())];
    assert_eq!(verified, expected);
    assert_eq!(later, [Output::Received(b"two".to_vec())]);
}

#[test]
fn slices_of_negotiations_pass_once_both_are_proven() {
    let slice = || vec![7; crate::negotiation::message::MAX_SLICE];
    let mut peercon = greeted();
    assert_eq!(feed(&mut peercon, [Input::Negotiate(slice())]), []);
    let early = feed(&mut peercon, [said(&Control::Negotiation(slice()))]);
    assert_eq!(early, [Output::Down(DownReason::Protocol)]);

    let mut peercon = up();
    assert_eq!(feed(&mut peercon, [Input::Negotiate(slice())]), [say(&Control::Negotiation(slice()))]);
    assert_eq!(feed(&mut peercon, [Input::Negotiate(vec![7; 1000])]), [], "longer than a slice");
    assert_eq!(feed(&mut peercon, [said(&Control::Negotiation(slice()))]), [Output::Negotiated(slice())]);
}

#[test]
fn nothing_is_up_without_the_data_channel() {
    let mut peercon = new();
    feed(
        &mut peercon,
        [
            Input::LocalDescription(OFFER.to_owned()),
            Input::Signal(peers_signal()),
            Input::ControlOpen,
            said(&hello()),
            Input::Signed(us().sign(&our_text().to_bytes())),
            said(&Control::Identity(peers_proof())),
        ],
    );

    assert_eq!(feed(&mut peercon, [Input::DataOpen]), [Output::Up(peer().id()), say(&Control::Ping(0))]);
}

#[test]
fn a_hello_may_overtake_the_event_that_the_channel_opened() {
    let mut peercon = new();
    feed(&mut peercon, [Input::LocalDescription(OFFER.to_owned()), Input::Signal(peers_signal())]);

    let outputs = feed(&mut peercon, [said(&hello()), Input::ControlOpen]);

    assert_eq!(outputs, [say(&hello_of(us().id(), NONCE, WIRE)), asks_to_sign()]);
}

#[test]
fn a_dial_ends_at_its_deadline() {
    for mut peercon in [new(), open(), greeted()] {
        let deadline = NOW + DIAL_TIMEOUT;
        assert_eq!(peercon.poll_timeout(), Some(deadline));
        assert_eq!(feed_at(&mut peercon, [Input::Timeout], deadline - Duration::from_millis(1)), []);

        assert_eq!(feed_at(&mut peercon, [Input::Timeout], deadline), [Output::Down(DownReason::DialTimeout)]);
        assert_eq!(peercon.poll_timeout(), None);
    }
}

#[test]
fn pings_measure_and_miss_the_peer() {
    let mut peercon = greeted();
    feed(&mut peercon, [said(&Control::Identity(peers_proof()))]);

    let measured = feed_at(&mut peercon, [said(&Control::Pong(0))], at(40));
    assert_eq!(measured, [Output::RoundTrip(Duration::from_millis(40))]);
    assert_eq!(peercon.poll_timeout(), Some(at(15_000)));
    assert_eq!(feed_at(&mut peercon, [Input::Timeout], at(15_000)), [say(&Control::Ping(1))]);
    assert_eq!(peercon.poll_timeout(), Some(at(35_000)));
    assert_eq!(feed_at(&mut peercon, [Input::Timeout], at(35_000)), [Output::Down(DownReason::Closed)]);
}

#[test]
fn the_peers_ping_is_answered() {
    assert_eq!(feed(&mut up(), [said(&Control::Ping(7))]), [say(&Control::Pong(7))]);
}

#[test]
fn an_end_has_its_reason_and_is_the_end() {
    for (input, reason) in [
        (Input::ChannelClosed, DownReason::Closed),
        (Input::ConnectionFailed, DownReason::Closed),
        (Input::PlatformError, DownReason::Platform),
        (said(&Control::Bye), DownReason::Closed),
    ] {
        for mut peercon in [open(), greeted(), up()] {
            assert_eq!(feed(&mut peercon, [input.clone()]), [Output::Down(reason)], "{input:?}");

            peercon.send(b"more");
            let more = [said(&Control::Ping(1)), Input::Data(b"\0one".to_vec()), Input::HangUp, Input::Timeout];
            assert_eq!(feed_at(&mut peercon, more, at(60_000)), [], "{input:?}");
            assert_eq!(peercon.poll_timeout(), None);
        }
    }
}

#[test]
fn hanging_up_tells_the_peer() {
    let hung_up = || Output::Down(DownReason::HungUp);
    assert_eq!(feed(&mut new(), [Input::HangUp]), [hung_up()]);
    assert_eq!(feed(&mut up(), [Input::HangUp]), [say(&Control::Bye), hung_up()]);
}

#[test]
fn an_offer_that_says_too_little_is_the_platforms_fault() {
    let offer = Input::LocalDescription("v=0\r\n".to_owned());
    assert_eq!(feed(&mut new(), [offer]), [Output::Down(DownReason::Platform)]);
}

#[test]
fn a_message_that_cannot_be_sent_is_not_left_out() {
    for message in [vec![], vec![0; MAX_LINK + 1]] {
        for mut peercon in [greeted(), up()] {
            peercon.send(&message);
            assert_eq!(drain(&mut peercon), [Output::Down(DownReason::Protocol)]);
        }
    }
}

#[test]
fn what_waits_to_be_sent_is_bounded() {
    let mut peercon = new();
    for _ in 0..3 {
        peercon.send(&[0; MAX_LINK]);
    }
    assert_eq!(drain(&mut peercon), []);
    peercon.send(&[0; MAX_LINK]);
    assert_eq!(drain(&mut peercon), [Output::Down(DownReason::Protocol)]);
}

fn candidate(port: u16) -> String {
    format!("candidate:1 1 udp 2113937151 198.51.100.1 {port} typ host")
}

fn candidate_bytes(port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::Candidate::from_text(&candidate(port)).unwrap().write(&mut bytes);
    bytes
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}
