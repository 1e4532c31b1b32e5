//! A site hangs up on a peer.

use bitters_wire::sealed::Said;

use super::{lab::*, *};
use crate::pair::Pair;

#[test]
fn the_peer_is_told_and_hangs_up_and_the_site_s_other_pages_end_their_sessions() {
    let (mut lab, link) = Lab::linked();
    lab.admit(OTHER, SITE);
    lab.admit(THIRD, "https://another.example");

    let outputs = lab.frame(TAB, ToLeader::HangUp { request: 1, peer: alice() });

    let told = [Output::Frame(OTHER, ToFrame::HangUp(alice())), said(link, &Control::HungUp), asked(1, Ok(()))];
    assert!(told.iter().all(|it| outputs.contains(it)), "{outputs:?}");
    assert!(!outputs.iter().any(|it| matches!(it, Output::Frame(THIRD, ToFrame::HangUp(_)))), "{outputs:?}");
    assert_eq!(lab.node.links.table().peers_of(us()), 0);
    assert_eq!(lab.link(link, LinkEvent::Drained(9)), [], "its peer hangs up");
    assert_eq!(lab.link(link, LinkEvent::Down(DownReason::HungUp)), []);
    assert_eq!(lab.later(Duration::from_secs(10)), []);
}

#[test]
fn a_peer_that_does_not_hang_up_is_hung_up_on() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, ToLeader::HangUp { request: 1, peer: alice() });

    assert_eq!(lab.within(Duration::from_millis(1999)), []);
    assert_eq!(lab.within(Duration::from_millis(1))[0], command(TAB, link, LinkCommand::HangUp));
}

#[test]
fn a_peer_that_hung_up_is_not_sought_for_what_was_said_before() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, ToLeader::Packet(packet()));

    let outputs = lab.peer(link, &Control::HungUp);

    assert!(outputs.contains(&Output::Frame(TAB, ToFrame::HungUp(alice()))), "{outputs:?}");
    assert!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), "{outputs:?}");
    let outputs = lab.frame(TAB, ToLeader::Packet(packet()));
    assert!(outputs.iter().all(|it| matches!(it, Output::Frame(TAB, ToFrame::Packet(_)))), "{outputs:?}");
}

#[test]
fn who_hung_up_can_dial_again_at_once() {
    let (mut lab, _) = Lab::linked();
    lab.frame(TAB, ToLeader::HangUp { request: 1, peer: alice() });

    let again = lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice(), address: None });

    assert_eq!(again, [send(ToServer::Lookup(alice()))]);
}

#[test]
fn dials_that_wait_end_with_it() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, SITE);
    lab.frame(OTHER, ToLeader::Dial { request: 5, peer: alice(), address: None });

    let outputs = lab.frame(TAB, ToLeader::HangUp { request: 1, peer: alice() });

    let failure = Failure::new(Code::Closed, format!("{}: the site hung up", alice()));
    let ended = Output::Frame(OTHER, ToFrame::Asked { request: 5, outcome: Err(failure) });
    assert!(outputs.contains(&ended), "{outputs:?}");
}

#[test]
fn a_peer_that_was_spoken_with_without_a_link_is_told_by_the_server() {
    for speaks in [true, false] {
        let mut lab = Lab::registered();
        lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
        if speaks {
            lab.frame(TAB, ToLeader::Packet(Packet { to_frame: None, body: open(), ..packet() }));
        }
        let told = told_by_server(&lab.frame(TAB, ToLeader::HangUp { request: 2, peer: alice() }));
        assert_eq!(told.contains(&(alice(), Said::HungUp)), speaks, "{told:?}");
    }
}

#[test]
fn a_peer_that_hangs_up_without_a_link_ends_what_was_said_and_is_dialled_only_for_our_own_site() {
    for dials in [true, false] {
        let mut lab = Lab::registered();
        lab.frame(TAB, ToLeader::Serve(TAG));
        let hangs_up = || says(alice(), us(), &Said::HungUp);
        assert_eq!(lab.server(hangs_up()), [], "nothing was said");
        assert_eq!(lab.server(says(alice(), us(), &Said::Packets(vec![opens()]))).len(), 1);
        let (_, link) = dialled_in(&lab.server(signals(alice(), us(), dial(1)))).expect("she makes a link");
        if dials {
            lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
        }
        let outputs = lab.server(hangs_up());
        assert!(outputs.contains(&Output::Frame(TAB, ToFrame::HungUp(alice()))), "{outputs:?}");
        assert_eq!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), !dials, "{outputs:?}");
        assert_eq!(lab.server(hangs_up()), [], "once");
    }
}

#[test]
fn a_peer_that_hangs_up_while_its_end_comes_up_is_hung_up_on_and_later_it_says_so_on_the_link() {
    for (after, is_over) in [(Duration::from_secs(1), true), (Duration::from_secs(6), false)] {
        let (mut lab, link) = Lab::linked();
        lab.within(after);
        let outputs = lab.server(says(alice(), us(), &Said::HungUp));
        assert_eq!(outputs.contains(&Output::Frame(TAB, ToFrame::HungUp(alice()))), is_over, "{outputs:?}");
        assert_eq!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), is_over, "{outputs:?}");
    }
}

#[test]
fn who_hangs_up_again_and_again_has_no_more_to_spend_for_it() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Serve(TAG));
    let heard = (0..20).filter(|n| {
        let body = Body::Open { tag: TAG, handshake: vec![*n; 1900] };
        let session = bitters_wire::id::SessionId(FrameId::from_random([*n; 16]).0);
        let early = Said::Packets(vec![Packet { session, body, ..opens() }]);
        let is_heard = !lab.server(says(alice(), us(), &early)).is_empty();
        lab.server(says(alice(), us(), &Said::HungUp));
        is_heard
    });
    assert_eq!(heard.count(), 4, "eight KiB");
}

#[test]
fn a_topic_that_both_are_in_dials_nobody_again_for_a_minute_at_either_end() {
    for hung_up_by_us in [true, false] {
        let (mut lab, link) = Lab::linked();
        lab.frame(TAB, joins(1, LOBBY));
        lab.peer(link, &in_topic(alice(), LOBBY));
        if hung_up_by_us {
            lab.frame(TAB, ToLeader::HangUp { request: 2, peer: alice() });
        } else {
            lab.peer(link, &Control::HungUp);
        }
        let members = ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] };
        assert_eq!(dialled_in(&lab.server(members.clone())), None, "by us: {hung_up_by_us}");
        assert_eq!(dialled_in(&lab.within(Duration::from_secs(59))), None, "by us: {hung_up_by_us}");

        lab.within(Duration::from_secs(2));
        lab.server(members);
        assert!(
            lab.node.links.table().connecting_to(Pair { own: us(), peer: alice() }).is_some(),
            "by us: {hung_up_by_us}"
        );
    }
}

/// Alice opens a session.
fn opens() -> Packet {
    Packet { to: us(), to_frame: None, from: alice(), from_frame: THIRD, body: open(), ..packet() }
}

/// Of a session with the peer.
fn packet() -> Packet {
    Packet {
        to: alice(),
        to_frame: Some(THIRD),
        from: us(),
        from_frame: TAB,
        session: SESSION,
        body: Body::Sealed { counter: 1, sealed: vec![1] },
    }
}
