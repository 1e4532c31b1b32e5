//! Streams, from a site to another.

use bitters_machine::Machine;
use std::time::Duration;

use crate::support::{Net, chat, name, stream};
use bitters_session::{OpenError, Output, WriteError};
use bitters_wire::{
    failure::{Code, Failure},
    id::{FrameId, PersonaId, SessionId},
    keys::PersonaSecret,
    limits::{MAX_SESSIONS, MAX_STREAMS, STREAM_WINDOW},
    packet::{Body, Packet, Refusal, Service},
};

#[test]
fn bytes_flow_within_the_credit() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);

    assert_eq!(net.at(0, |endpoint, _| endpoint.write(near, b"hello")), Err(WriteError::NoCredit));
    net.at(1, |endpoint, _| endpoint.credit(far, 5));
    assert_eq!(net.told(0), [Output::Credit { stream: near, limit: 5 }]);
    assert_eq!(net.at(0, |endpoint, _| endpoint.write(near, b"hello")), Ok(()));
    net.at(0, |endpoint, _| endpoint.finish(near));

    assert_eq!(net.told(1), [Output::Data { stream: far, bytes: b"hello".to_vec() }, Output::Finished(far)]);
    assert_eq!(net.at(0, |endpoint, _| endpoint.write(near, b"!")), Err(WriteError::Closed));
}

#[test]
fn credit_may_be_given_before_the_peer_accepts() {
    let mut net = Net::new([1, 2]);
    net.frames[1].endpoint.serve(chat());
    let peer = net.frames[1].persona;

    let near = net.at(0, |endpoint, now| {
        let near = endpoint.open(peer, chat(), now).unwrap();
        endpoint.credit(near, u64::MAX);
        near
    });

    let Output::IncomingStream { stream: far, .. } = net.told(1)[0] else { panic!("no stream") };
    assert_eq!(net.told(0), [Output::Opened(near)]);
    assert_eq!(
        net.at(1, |endpoint, _| endpoint.write(far, &[7; STREAM_WINDOW as usize + 1])),
        Err(WriteError::NoCredit)
    );
    assert_eq!(net.at(1, |endpoint, _| endpoint.write(far, &[7; STREAM_WINDOW as usize])), Ok(()));
    let bytes: usize =
        net.told(0).iter().map(|output| if let Output::Data { bytes, .. } = output { bytes.len() } else { 0 }).sum();
    assert_eq!(STREAM_WINDOW, u64::try_from(bytes).unwrap());
}

#[test]
fn a_stopped_writer_hears_of_it_and_the_other_direction_goes_on() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);

    net.at(1, |endpoint, _| endpoint.stop(far));
    assert_eq!(net.told(0), [Output::Stopped(near)]);
    net.at(0, |endpoint, _| endpoint.credit(near, 10));
    net.at(1, |endpoint, _| endpoint.write(far, b"bye")).unwrap();
    net.at(1, |endpoint, _| endpoint.finish(far));

    assert_eq!(net.told(0), [Output::Data { stream: near, bytes: b"bye".to_vec() }, Output::Finished(near)]);
}

#[test]
fn a_reset_reaches_the_peer_with_its_reason() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);

    net.at(0, |endpoint, _| endpoint.reset(near, &"ü".repeat(1000)));

    let failure = Failure::new(Code::Remote, "ü".repeat(256));
    assert_eq!(net.told(1), [Output::Reset { stream: far, failure }]);
    assert_eq!(net.told(0), []);
}

#[test]
fn what_is_not_served_is_not_found() {
    let mut net = Net::new([1, 2]);
    let peer = net.frames[1].persona;

    let near = net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();

    assert_eq!(codes(&net.told(0)), [Code::NotFound]);
    assert_eq!(net.at(0, |endpoint, _| endpoint.write(near, b"x")), Err(WriteError::Closed));
}

#[test]
fn a_stream_is_opened_at_the_tab_that_serves_now_and_those_that_are_open_go_on() {
    let mut net = Net::new([1, 2, 2]);
    net.frames[1].endpoint.serve(chat());
    net.frames[2].endpoint.serve(chat());
    let peer = net.frames[1].persona;
    let old = net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    let Some(Output::IncomingStream { stream: old_far, .. }) = net.told(2).pop() else { panic!("no stream") };
    assert_eq!(net.told(0), [Output::Opened(old)]);
    net.at(2, |endpoint, _| endpoint.unserve(&chat()));
    net.frames[2].idle = true;

    let near = net.at(0, |endpoint, now| {
        let near = endpoint.open(peer, chat(), now).unwrap();
        endpoint.credit(near, 5);
        endpoint.finish(near);
        near
    });

    assert_eq!((net.told(0), net.told(2)), (vec![Output::Opened(near)], vec![]));
    let told = net.told(1);
    let Some(Output::IncomingStream { stream: far, .. }) = told.first() else { panic!("{told:?}") };
    assert_eq!(told[1..], [Output::Credit { stream: *far, limit: 5 }, Output::Finished(*far)]);
    net.at(1, |endpoint, _| endpoint.write(*far, b"hello")).unwrap();
    assert_eq!(net.told(0), [Output::Data { stream: near, bytes: b"hello".to_vec() }]);
    net.at(2, |endpoint, _| endpoint.credit(old_far, 3));
    net.at(0, |endpoint, _| endpoint.write(old, b"old")).unwrap();
    assert_eq!(net.told(2), [Output::Data { stream: old_far, bytes: b"old".to_vec() }]);
    net.told(0);

    // Whoever wants to read nothing isn't written to there, either.
    let near = net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    assert_eq!(net.told(0), [Output::Opened(near)]);
    net.at(0, |endpoint, _| [old, near].map(|stream| endpoint.reset(stream, "enough")));
    net.at(1, |endpoint, _| endpoint.reset(*far, "enough"));
    net.pass(Duration::from_secs(180));
    assert_eq!(net.next_timeout(), None);
}

#[test]
fn a_stop_goes_with_the_stream_to_the_tab_that_serves_now() {
    let mut net = Net::new([1, 2, 2]);
    net.frames[1].endpoint.serve(chat());
    net.frames[2].endpoint.serve(chat());
    let peer = net.frames[1].persona;
    net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    net.told(0);
    net.at(2, |endpoint, _| endpoint.unserve(&chat()));
    net.frames[2].idle = true;

    net.at(0, |endpoint, now| {
        let near = endpoint.open(peer, chat(), now).unwrap();
        endpoint.stop(near);
    });

    let told = net.told(1);
    let [Output::IncomingStream { stream: far, .. }, Output::Stopped(stopped)] = told[..] else { panic!("{told:?}") };
    assert_eq!(far, stopped);
}

#[test]
fn a_stream_that_two_tabs_refuse_is_not_found() {
    let mut net = Net::new([1, 2, 2]);
    net.frames[2].endpoint.serve(chat());
    let peer = net.frames[1].persona;
    net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    net.told(0);
    net.at(2, |endpoint, _| endpoint.unserve(&chat()));

    net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();

    assert_eq!(codes(&net.told(0)), [Code::NotFound]);
}

#[test]
fn a_persona_without_a_way_is_unreachable() {
    let mut net = Net::new([1]);
    let stranger = PersonaSecret::new([9; 32]).id();

    net.at(0, |endpoint, now| endpoint.open(stranger, chat(), now)).unwrap();

    assert_eq!(codes(&net.told(0)), [Code::PeerUnreachable]);
    assert_eq!(net.next_timeout(), None);
}

#[test]
fn an_unanswered_handshake_is_sent_again_and_given_up() {
    let mut net = Net::new([1, 2]);
    net.cut = true;
    let peer = net.frames[1].persona;

    net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    net.pass(Duration::from_millis(14_999));
    assert_eq!(net.told(0), []);
    net.pass(Duration::from_millis(1));

    assert_eq!(codes(&net.told(0)), [Code::PeerUnreachable]);
    assert_eq!(net.sent.len(), 3);
}

#[test]
fn a_key_that_is_none_is_a_bad_peer() {
    let mut net = Net::new([1]);
    let opened = net.at(0, |endpoint, now| endpoint.open(PersonaId([0; 32]), chat(), now));
    assert_eq!(opened, Err(OpenError::BadPeer));
}

#[test]
fn streams_of_a_session_are_counted() {
    let mut net = Net::new([1, 2]);
    net.frames[1].endpoint.serve(chat());
    let peer = net.frames[1].persona;

    let mut open = || net.at(0, |endpoint, now| endpoint.open(peer, chat(), now));
    let streams: Vec<_> = (0..MAX_STREAMS).map(|_| open().unwrap()).collect();
    assert_eq!(open(), Err(OpenError::Quota));
    net.at(0, |endpoint, _| endpoint.reset(streams[3], "done"));

    assert!(net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).is_ok());
    assert!(codes(&net.told(0)).is_empty());
}

#[test]
fn sessions_are_counted_and_quiet_ones_make_room() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);
    net.cut = true;
    let mut open = |n: u8| {
        let peer = PersonaSecret::new([n; 32]).id();
        net.at(0, |endpoint, now| endpoint.open(peer, chat(), now))
    };

    let others = u8::try_from(MAX_SESSIONS / 2 - 1).unwrap();
    assert!((3..3 + others).all(|n| open(n).is_ok()));
    assert_eq!(open(254), Err(OpenError::Quota));
    net.cut = false;
    net.at(0, |endpoint, _| endpoint.finish(near));
    net.at(1, |endpoint, _| endpoint.finish(far));
    net.pass(Duration::from_secs(1));
    let peer = PersonaSecret::new([254; 32]).id();

    assert!(net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).is_ok());
    assert_eq!(net.frames[1].endpoint.poll_timeout(), None, "the quiet session was closed");
}

#[test]
fn one_persona_has_a_bounded_part_of_a_frame() {
    let mut net = Net::new([1, 2]);
    let peer = net.frames[1].persona;
    let services = (0..100).map(|n| Service::Protocol(name(&n.to_string())));
    for service in services {
        net.frames[1].endpoint.serve(service.clone());
        net.at(0, |endpoint, now| endpoint.open(peer, service, now)).unwrap();
        net.pass(Duration::from_millis(100));
    }

    let opened = net.told(0).iter().filter(|told| matches!(told, Output::Opened(_))).count();
    assert_eq!(opened, 32);
}

#[test]
fn a_frame_that_is_gone_takes_its_streams_along() {
    let mut net = Net::new([1, 2]);
    let (near, _) = stream(&mut net);

    net.frames[1].gone = true;
    net.at(0, |endpoint, _| endpoint.credit(near, 10));

    let failure = Failure::new(Code::PeerUnreachable, "the peer's page is gone");
    assert_eq!(net.told(0), [Output::Reset { stream: near, failure }]);
    assert_eq!(net.next_timeout(), None);
}

#[test]
fn a_quiet_stream_notices_that_its_peer_is_gone() {
    let mut net = Net::new([1, 2]);
    stream(&mut net);

    net.frames[1].gone = true;
    net.pass(Duration::from_secs(21));

    assert_eq!(codes(&net.told(0)), [Code::PeerUnreachable]);
}

#[test]
fn a_minute_of_silence_ends_a_session_and_says_what_arrived() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);
    net.at(1, |endpoint, _| endpoint.credit(far, 100));
    net.at(0, |endpoint, _| endpoint.write(near, &[1; 30])).unwrap();
    net.pass(Duration::from_secs(1));
    net.told(0);

    net.cut = true;
    net.at(0, |endpoint, _| endpoint.write(near, &[1; 50])).unwrap();
    net.pass(Duration::from_secs(59));
    assert_eq!(net.told(0), []);
    net.pass(Duration::from_secs(2));

    let [Output::Reset { failure, .. }] = &net.told(0)[..] else { panic!("one reset") };
    assert_eq!(failure.code, Code::PeerUnreachable);
    assert!(failure.message.ends_with("; 30 bytes were acknowledged"), "{}", failure.message);
}

#[test]
fn after_a_break_the_rest_is_sent_again() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);
    net.at(1, |endpoint, _| endpoint.credit(far, 100));
    net.cut = true;
    net.at(0, |endpoint, _| endpoint.write(near, b"lost")).unwrap();
    net.cut = false;
    let peer = net.frames[1].persona;

    net.at(0, |endpoint, now| endpoint.handle_input(bitters_session::Input::PathRestored(peer), now));
    net.at(0, |endpoint, _| endpoint.write(near, b"found")).unwrap();

    let data = |bytes: &[u8]| Output::Data { stream: far, bytes: bytes.to_vec() };
    assert_eq!(net.told(1), [data(b"lost"), data(b"found")]);
}

#[test]
fn the_death_of_the_peers_frame_ends_its_sessions_alone() {
    let mut net = Net::new([1, 2]);
    let (near, _) = stream(&mut net);
    let (peer, frame) = (net.frames[1].persona, net.frames[1].id);
    assert_eq!(net.frames[0].endpoint.peers(), [peer].into());

    let gone = |frame| bitters_session::Input::FrameGone(peer, frame);
    net.at(0, |endpoint, now| endpoint.handle_input(gone(FrameId::from_random([9; 16])), now));
    assert_eq!(net.told(0), []);
    net.at(0, |endpoint, now| endpoint.handle_input(gone(frame), now));
    let [Output::Reset { stream, failure }] = &net.told(0)[..] else { panic!("one reset") };
    assert_eq!((*stream, failure.code), (near, Code::PeerUnreachable));
}

#[test]
fn a_handshake_on_its_way_to_a_dead_frame_is_sent_again() {
    let mut net = Net::new([1, 2, 2]);
    net.frames[1].endpoint.serve(chat());
    net.cut = true;
    let peer = net.frames[1].persona;
    let near = net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    net.cut = false;
    net.frames[2].gone = true;

    let gone = bitters_session::Input::FrameGone(peer, net.frames[2].id);
    net.at(0, |endpoint, now| endpoint.handle_input(gone, now));
    assert_eq!(net.told(0), [Output::Opened(near)]);
}

#[test]
fn a_missing_way_is_waited_for() {
    let mut net = Net::new([1, 2]);
    let (near, _) = stream(&mut net);
    let heard = net.sent.last().unwrap().clone();

    net.inject(0, Packet { body: Body::Refused { reason: Refusal::NoRoute }, ..to_first(&net, &heard) });

    assert_eq!(net.told(0), []);
    net.at(0, |endpoint, _| endpoint.reset(near, ""));
}

#[test]
fn two_frames_of_one_persona_talk() {
    let mut net = Net::new([1, 1]);
    let (near, far) = stream(&mut net);
    net.at(1, |endpoint, _| endpoint.credit(far, 2));
    net.at(0, |endpoint, _| endpoint.write(near, b"me")).unwrap();
    assert_eq!(net.told(1), [Output::Data { stream: far, bytes: b"me".to_vec() }]);
}

#[test]
fn a_frame_talks_to_itself() {
    let mut net = Net::new([1]);
    net.frames[0].endpoint.serve(chat());
    let me = net.frames[0].persona;

    let near = net.at(0, |endpoint, now| endpoint.open(me, chat(), now)).unwrap();
    let [Output::IncomingStream { stream: far, .. }, Output::Opened(_)] = net.told(0)[..] else { panic!("both sides") };
    net.at(0, |endpoint, _| endpoint.credit(far, 2));
    net.at(0, |endpoint, _| endpoint.credit(near, 3));
    net.told(0);
    net.at(0, |endpoint, _| endpoint.write(near, b"to")).unwrap();
    net.at(0, |endpoint, _| endpoint.write(far, b"fro")).unwrap();

    let data = |stream, bytes: &[u8]| Output::Data { stream, bytes: bytes.to_vec() };
    assert_eq!(net.told(0), [data(far, b"to"), data(near, b"fro")]);
}

#[test]
fn an_idle_session_is_closed_and_nothing_remains() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);
    net.at(0, |endpoint, _| endpoint.finish(near));
    net.at(1, |endpoint, _| endpoint.finish(far));
    net.pass(Duration::from_secs(61));

    assert_eq!(net.next_timeout(), None);
    assert_eq!(net.told(0), [Output::Finished(near)]);
    assert_eq!(net.told(1), [Output::Finished(far)]);
}

#[test]
fn a_closed_endpoint_leaves_nothing_open_on_either_side() {
    let mut net = Net::new([1, 2]);
    stream(&mut net);

    net.at(0, |endpoint, _| endpoint.close());

    assert_eq!(codes(&net.told(0)), [Code::Closed]);
    assert_eq!(codes(&net.told(1)), [Code::PeerUnreachable]);
    assert_eq!(net.next_timeout(), None);
}

#[test]
fn a_forgotten_session_is_refused_and_then_no_longer() {
    let mut net = Net::new([1, 2]);
    stream(&mut net);
    let sealed = net.sent.iter().rfind(|packet| packet.to_frame == Some(net.frames[0].id)).unwrap().clone();
    let unknown = SessionId(FrameId::from_random([3; 16]).0);
    net.frames[1].gone = true;

    let before = net.sent.len();
    for _ in 0..1000 {
        net.inject(0, Packet { session: unknown, ..sealed.clone() });
    }

    let refusals = net.sent[before..].iter();
    assert_eq!(refusals.filter(|packet| packet.body == Body::Refused { reason: Refusal::UnknownSession }).count(), 32);
    assert_eq!(net.told(0), []);
}

#[test]
fn repeated_packets_change_nothing() {
    let mut net = Net::new([1, 2]);
    let (near, far) = stream(&mut net);
    net.at(1, |endpoint, _| endpoint.credit(far, 10));
    net.at(0, |endpoint, _| endpoint.write(near, b"once")).unwrap();
    net.told(0);
    net.told(1);

    for packet in net.sent.clone() {
        let to = net.frames.iter().position(|frame| frame.persona == packet.to).unwrap();
        net.inject(to, packet);
    }

    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
}

#[test]
fn packets_of_others_and_forged_ones_are_dropped() {
    let mut net = Net::new([1, 2, 3]);
    let (near, far) = stream(&mut net);
    net.at(1, |endpoint, _| endpoint.credit(far, 10));
    net.at(0, |endpoint, _| endpoint.write(near, b"true")).unwrap();
    net.told(0);
    net.told(1);
    let good = net.sent.iter().rfind(|packet| packet.to == net.frames[1].persona).unwrap().clone();
    let (mallory, refused) = (net.frames[2].persona, Body::Refused { reason: Refusal::FrameGone });
    let Body::Sealed { counter, mut sealed } = good.body.clone() else { panic!("sealed") };
    sealed[0] ^= 1;

    let forgeries = [
        Packet { from: mallory, body: refused.clone(), ..good.clone() },
        Packet { from_frame: net.frames[2].id, body: refused, ..good.clone() },
        Packet { body: Body::Sealed { counter, sealed: vec![] }, ..good.clone() },
        Packet { body: Body::Sealed { counter: u64::MAX, sealed: vec![0; 70_000] }, ..good.clone() },
        Packet { body: Body::Sealed { counter: counter + 2, sealed }, ..good.clone() },
        Packet { body: Body::Accept { handshake: vec![0; 48] }, ..good },
    ];
    for forgery in forgeries {
        net.inject(1, forgery);
    }

    assert_eq!(net.told(1), []);
    net.at(0, |endpoint, _| endpoint.write(near, b"still")).unwrap();
    assert_eq!(net.told(1), [Output::Data { stream: far, bytes: b"still".to_vec() }]);
}

#[test]
fn handshakes_of_strangers_are_bounded() {
    let mut net = Net::new([1, 2]);
    net.frames[1].endpoint.serve(chat());
    let peer = net.frames[1].persona;
    net.cut = true;
    let open = net.at(0, |endpoint, now| {
        endpoint.open(peer, chat(), now).unwrap();
        endpoint.poll_output()
    });
    let Some(Output::Packet(open)) = open else { panic!("a handshake") };
    net.inject(1, open.clone());
    for n in 0..200 {
        let session = SessionId(FrameId::from_random([n; 16]).0);
        net.inject(1, Packet { session, ..open.clone() });
    }

    let accepts = net.sent.iter().filter(|packet| matches!(packet.body, Body::Accept { .. })).count();
    assert_eq!(accepts, 1, "a handshake is good for its own session only");
    net.pass(Duration::from_secs(15));
    assert_eq!(net.frames[1].endpoint.poll_timeout(), None, "a session that nobody proves is forgotten");
}

fn to_first(net: &Net, packet: &Packet) -> Packet {
    let (near, far) = (&net.frames[0], &net.frames[1]);
    Packet { to: near.persona, to_frame: Some(near.id), from: far.persona, from_frame: far.id, ..packet.clone() }
}

fn codes(outputs: &[Output]) -> Vec<Code> {
    let code = |output: &Output| match output {
        Output::Reset { failure, .. } => Some(failure.code),
        _ => None,
    };
    outputs.iter().filter_map(code).collect()
}
