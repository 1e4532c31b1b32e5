//! What sessions say before there is a link.

use bitters_wire::{limits::MAX_EARLY, sealed::Said};

use super::{lab::*, *};

#[test]
fn a_peer_that_is_being_dialled_is_spoken_with_by_the_server_until_there_is_a_link() {
    let mut lab = Lab { speaks_early: true, ..Lab::registered() };
    let dialled = lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let early = Output::Frame(TAB, ToFrame::Early(alice()));
    assert_eq!(dialled.iter().filter(|it| **it == early).count(), 1, "{dialled:?}");
    let said = lab.frame(TAB, ToLeader::Packet(opens()));
    assert_eq!(told_by_server(&said), [(alice(), Said::Packets(vec![opens()]))]);
    let answer = answers(Body::Accept { handshake: vec![7] });
    assert_eq!(lab.server(says_early(vec![answer.clone()])), [Output::Frame(TAB, ToFrame::Packet(answer))]);

    let found = lab.server(ToNode::Here(alice()));
    let (_, link) = dialled_in(&found).expect("the link is made meanwhile");
    lab.link(link, LinkEvent::Up(alice()));
    let said = lab.frame(TAB, ToLeader::Packet(opens()));
    assert_eq!(told_by_server(&said), []);
    assert!(
        matches!(&said[..], [Output::Frame(_, ToFrame::Link(on, LinkCommand::Send(_)))] if *on == link),
        "{said:?}"
    );
}

#[test]
fn who_is_spoken_with_early_answers_the_same_way_though_it_dials_nobody() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Serve(TAG));
    let opening = Packet { to_frame: None, ..answers(open()) };
    let heard = lab.server(says_early(vec![opening.clone()]));
    assert_eq!(heard, [Output::Frame(TAB, ToFrame::Packet(opening.clone()))]);
    let accept = Packet { to_frame: Some(THIRD), body: Body::Accept { handshake: vec![7] }, ..opens() };
    assert_eq!(
        told_by_server(&lab.frame(TAB, ToLeader::Packet(accept.clone()))),
        [(alice(), Said::Packets(vec![accept]))]
    );

    lab.frame(TAB, ToLeader::Unserve(TAG));
    let refusal = opening.refuse(Refusal::NotServed).unwrap();
    assert_eq!(told_by_server(&lab.server(says_early(vec![opening]))), [(alice(), Said::Packets(vec![refusal]))]);
}

#[test]
fn strangers_neither_speak_nor_are_heard_before_there_is_a_link() {
    let mut lab = Lab { speaks_early: true, ..Lab::new().among_strangers() };
    lab.admit(TAB, SITE);
    lab.register(Vec::new());
    lab.frame(TAB, ToLeader::Serve(TAG));
    let dialled = lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    assert!(!dialled.contains(&Output::Frame(TAB, ToFrame::Early(alice()))));
    let packets = |outputs: &[Output]| told_by_server(outputs).iter().any(|(_, said)| matches!(said, Said::Packets(_)));
    assert!(!packets(&lab.frame(TAB, ToLeader::Packet(opens()))));
    assert_eq!(lab.server(says_early(vec![Packet { to_frame: None, ..answers(open()) }])), []);
}

#[test]
fn members_of_a_topic_speak_early_while_they_are_in_it() {
    let mut lab = Lab { speaks_early: true, ..Lab::new().among_strangers() };
    lab.admit(TAB, SITE);
    lab.register(Vec::new());
    lab.frame(TAB, ToLeader::Serve(TAG));
    lab.frame(TAB, ToLeader::Join { request: 1, topic: LOBBY, matching: matching(LOBBY) });
    lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    let dialled = lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice(), address: None });
    assert!(dialled.contains(&Output::Frame(TAB, ToFrame::Early(alice()))));
    let opening = || says_early(vec![Packet { to_frame: None, ..answers(open()) }]);
    assert_eq!(lab.server(opening()).len(), 1);
    lab.frame(TAB, ToLeader::Leave(LOBBY));
    assert_eq!(lab.server(opening()), []);
}

#[test]
fn a_dial_carries_eight_kib_in_small_packets_of_its_own_persona() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let sealed =
        |bytes| Packet { to_frame: Some(THIRD), body: Body::Sealed { counter: 1, sealed: vec![0; bytes] }, ..opens() };
    let mut goes = |packet: Packet| {
        let said = told_by_server(&lab.frame(TAB, ToLeader::Packet(packet)));
        said.iter().any(|(_, said)| matches!(said, Said::Packets(_)))
    };
    assert!(!goes(sealed(MAX_EARLY)), "what is sealed is larger");
    assert!((0..4).all(|_| goes(sealed(MAX_EARLY - 200))));
    assert!(!goes(sealed(MAX_EARLY - 200)) && goes(sealed(100)));
}

#[test]
fn nobody_speaks_early_in_anothers_name_or_to_another_persona() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Serve(TAG));
    let opening = Packet { to_frame: None, ..answers(open()) };
    let forged = [Packet { from: peer(1), ..opening.clone() }, Packet { to: alice(), ..opening.clone() }];
    for packet in forged {
        assert_eq!(lab.server(says_early(vec![packet])), []);
    }
    assert_eq!(lab.server(says_early(vec![opening.clone(); 9])), [], "more than one signal has");
    assert_eq!(lab.server(says_early(vec![opening])).len(), 1);
}

/// A session of the site's with alice.
fn opens() -> Packet {
    Packet { to: alice(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() }
}

/// What alice's frame says in it, or in one of its own.
fn answers(body: Body) -> Packet {
    Packet { to: us(), to_frame: Some(TAB), from: alice(), from_frame: THIRD, session: SESSION, body }
}

fn says_early(packets: Vec<Packet>) -> ToNode {
    says(alice(), us(), &Said::Packets(packets))
}
