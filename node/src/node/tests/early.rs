//! What sessions say before there is a link.

use bitters_wire::{id::SessionId, limits::MAX_EARLY, sealed::Said};

use bitters_wire::topic::Published;

use super::{lab::*, *};
use crate::pair::Pair;

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
    let mut lab = among_strangers();
    let dialled = lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    assert!(!dialled.contains(&Output::Frame(TAB, ToFrame::Early(alice()))));
    let packets = |outputs: &[Output]| told_by_server(outputs).iter().any(|(_, said)| matches!(said, Said::Packets(_)));
    assert!(!packets(&lab.frame(TAB, ToLeader::Packet(opens()))));
    assert_eq!(lab.server(says_early(vec![Packet { to_frame: None, ..answers(open()) }])), []);
}

#[test]
fn members_of_a_topic_speak_early_under_its_key_while_they_are_in_it() {
    let mut lab = among_strangers();
    lab.frame(TAB, joins(1, LOBBY));
    let opening = vec![Packet { to_frame: None, ..answers(open()) }];
    lab.server(named(alice()));
    assert_eq!(lab.server(says_early(opening.clone())), [], "the server, or she herself, says that she is one");
    assert_eq!(lab.server(says_as_member(ELSEWHERE, alice(), us(), &opening)), []);
    let heard = lab.server(says_as_member(LOBBY, alice(), us(), &opening));
    assert_eq!(heard, [Output::Frame(TAB, ToFrame::Packet(opening[0].clone()))]);

    let dialled = lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice(), address: None });
    assert!(dialled.contains(&Output::Frame(TAB, ToFrame::Early(alice()))));
    let outputs = lab.frame(TAB, ToLeader::Packet(opens()));
    let Some(Output::Uplink(UplinkCommand::Send(ToServer::Signal { signal, .. }))) = outputs.first() else {
        panic!("{outputs:?}")
    };
    let opened = opened_as(us(), alice(), signal);
    let Said::Members(sealed) = &opened.said else { panic!("{opened:?}") };
    let read = |topic| sealed.open(&matching(topic), [us(), alice()], &opened.nonce).map(|it| it.blob);
    assert_eq!((read(LOBBY), read(ELSEWHERE)), (Some(codec::encode(&vec![opens()])), None));

    lab.frame(TAB, ToLeader::Leave(LOBBY));
    assert_eq!(lab.server(says_as_member(LOBBY, alice(), us(), &opening)), []);
}

#[test]
fn who_says_on_a_link_that_it_is_a_member_does_not_speak_early_for_that() {
    let mut lab = Lab::new();
    lab.admit(TAB, SITE);
    lab.register(Vec::new());
    let link = lab.linked_in(TAB, Pair { own: us(), peer: alice() });
    lab.node.acquaintances.forget(us());
    lab.frame(TAB, ToLeader::Serve(TAG));
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &in_topic(alice(), LOBBY));
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    assert_eq!(lab.server(says_early(vec![Packet { to_frame: None, ..answers(open()) }])), []);
}

#[test]
fn whoever_speaks_early_makes_a_link_soon_or_is_dialled() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Serve(TAG));
    let body = |n| Body::Open { tag: TAG, handshake: vec![n; 1900] };
    let session = |n| SessionId(FrameId::from_random([n; 16]).0);
    let heard = (0..10).filter(|n| {
        let opening = Packet { to_frame: None, session: session(*n), ..answers(body(*n)) };
        !lab.server(says_early(vec![opening])).is_empty()
    });
    assert_eq!(heard.count(), 4, "eight KiB");
    lab.within(Duration::from_secs(15));
    let sealed = Packet { to_frame: Some(THIRD), body: Body::Sealed { counter: 0, sealed: vec![1] }, ..opens() };
    let outputs = lab.frame(TAB, ToLeader::Packet(sealed));
    assert!(outputs.contains(&send(ToServer::Lookup(alice()))), "{outputs:?}");
}

#[test]
fn what_does_not_come_through_early_ends_no_attempt_that_the_peer_answered() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let (_, link) = dialled_in(&lab.server(ToNode::Here(alice()))).unwrap();
    lab.link(link, LinkEvent::Signal(vec![4]));
    lab.server(signals(alice(), us(), Signal { answers: Some(number(link)), ..dial(8) }));
    lab.frame(TAB, ToLeader::Packet(opens()));
    let outputs = lab.server(ToNode::Unreachable { from: us(), to: alice() });
    assert!(!outputs.contains(&command(TAB, link, LinkCommand::HangUp)), "{outputs:?}");
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
fn sessions_that_are_opened_beyond_what_goes_early_wait_for_the_link() {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let mut said = 0;
    for n in 0..40 {
        let session = SessionId(FrameId::from_random([n; 16]).0);
        let body = Body::Open { tag: TAG, handshake: vec![n; 300] };
        let outputs = lab.frame(TAB, ToLeader::Packet(Packet { session, body, ..opens() }));
        said += told_by_server(&outputs).len();
        assert!(!outputs.iter().any(|it| matches!(it, Output::Frame(..))), "none is refused: {outputs:?}");
    }
    assert!((15..25).contains(&said), "{said} went early");
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

#[test]
fn members_to_whom_a_link_is_being_made_hear_at_once_what_is_said_in_the_topic() {
    let mut lab = in_lobby_of_strangers();
    lab.frame(TAB, page_says(2, LOBBY, b"one".to_vec()));
    let dialled = lab.server(named(alice()));
    assert_eq!(published(&dialled), [vec![b"one".to_vec()]], "what was said before she was known");
    let said = lab.frame(TAB, page_says(3, LOBBY, b"two".to_vec()));
    assert_eq!(
        published(&said),
        [vec![b"one".to_vec(), b"two".to_vec()]],
        "all of it: whatever is lost, she hears it in order"
    );

    let (_, link) = dialled_in(&dialled).expect("the link is made meanwhile");
    lab.link(link, LinkEvent::Up(alice()));
    let said = lab.frame(TAB, page_says(4, LOBBY, b"three".to_vec()));
    assert_eq!(published(&said), Vec::<Vec<Vec<u8>>>::new());
}

#[test]
fn a_site_whose_page_is_gone_before_there_is_a_link_and_back_dials_at_once() {
    let mut lab = in_lobby_of_strangers();
    lab.admit(OTHER, "https://another.example");
    for _ in 0..3 {
        assert!(dialled_in(&lab.server(named(alice()))).is_some());
        lab.input(Input::FrameGone(TAB));
        lab.now = lab.now + Duration::from_millis(100);
        lab.admit(TAB, SITE);
        lab.frame(TAB, joins(1, LOBBY));
    }
}

#[test]
fn a_member_that_answered_and_is_back_without_its_page_is_dialled_again_when_it_is_named() {
    let mut lab = in_lobby_of_strangers();
    let (_, link) = dialled_in(&lab.server(named(alice()))).unwrap();
    lab.link(link, LinkEvent::Signal(vec![4]));
    let answer = |attempt| {
        let signal = sealed_for(LOBBY, alice(), us(), &Signal { answers: Some(number(link)), ..dial(attempt) });
        ToNode::Signal { from: alice(), to: us(), signal }
    };
    lab.server(answer(7));
    let again = lab.server(named(alice()));
    assert!(matches!(&told_by_server(&again)[..], [(_, Said::Topics(_))]), "{again:?}");
    assert_eq!(lab.server(answer(7)), [], "her page is there");
    let (_, next) = dialled_in(&lab.server(answer(8))).expect("it isn't");
    assert_ne!(next, link);
}

#[test]
fn a_member_that_dials_first_hears_it_once_it_is_known_to_be_one() {
    let mut lab = Lab::registered();
    lab.frame(TAB, joins(1, LOBBY));
    lab.frame(TAB, page_says(2, LOBBY, b"one".to_vec()));
    let answered = lab.server(signals(alice(), us(), dial(1)));
    assert!(dialled_in(&answered).is_some() && published(&answered).is_empty(), "{answered:?}");
    assert_eq!(published(&lab.server(named(alice()))), [vec![b"one".to_vec()]]);
    assert_eq!(published(&lab.server(named(alice()))).len(), 0, "once");
}

#[test]
fn a_member_whom_nobody_named_hears_it_once_its_signal_shows_that_it_is_one() {
    for topic in [LOBBY, ELSEWHERE] {
        let mut lab = in_lobby_of_strangers();
        lab.frame(TAB, page_says(2, LOBBY, b"one".to_vec()));
        let signal = sealed_for(topic, alice(), us(), &dial(1));
        let heard = published(&lab.server(ToNode::Signal { from: alice(), to: us(), signal }));
        assert_eq!(heard, if topic == LOBBY { vec![vec![b"one".to_vec()]] } else { vec![] });
    }
}

#[test]
fn what_is_too_much_to_go_early_keeps_what_follows_from_overtaking_it() {
    let mut lab = in_lobby_of_strangers();
    lab.server(named(alice()));
    let mut says = |request, sealed| lab.frame(TAB, page_says(request, LOBBY, sealed));
    assert_eq!(published(&says(2, vec![1; MAX_EARLY])).len(), 0);
    assert_eq!(published(&says(3, vec![2])).len(), 0);
}

#[test]
fn a_dial_carries_so_many_signals_of_what_is_said_in_topics() {
    let mut lab = in_lobby_of_strangers();
    lab.server(named(alice()));
    let went = (0..20).map(|n| lab.frame(TAB, page_says(2 + n, LOBBY, vec![n as u8])));
    // The last of them are of more than a KiB.
    assert_eq!(went.map(|outputs| published(&outputs).len()).sum::<usize>(), 7);
}

#[test]
fn what_members_say_early_is_heard_once_and_what_others_say_is_not() {
    let mut lab = in_lobby_of_strangers();
    let heard = |outputs: Vec<Output>| {
        let told = |it| if let Output::Frame(_, ToFrame::Topic { body, .. }) = it { Some(body) } else { None };
        outputs.into_iter().filter_map(told).collect::<Vec<_>>()
    };
    let two = [b"one".to_vec(), b"two".to_vec()];
    assert_eq!(heard(lab.server(publishes(LOBBY, &two[..1]))), two[..1]);
    assert_eq!(heard(lab.server(publishes(LOBBY, &two))), two[1..], "once");
    assert_eq!(heard(lab.server(publishes(ELSEWHERE, &[b"three".to_vec()]))), Vec::<Vec<u8>>::new());
    let many: Vec<Vec<u8>> = (0..17).map(|n| vec![8, n]).collect();
    assert_eq!(heard(lab.server(publishes(LOBBY, &many))).len(), 0, "more than fit, if they are sealed and signed");
    let much = (0..20).map(|n| heard(lab.server(publishes(LOBBY, &[vec![9, n]]))).len());
    assert_eq!(much.sum::<usize>(), 6, "eight in a dial's time");

    let (_, link) = dialled_in(&lab.server(named(alice()))).unwrap();
    lab.link(link, LinkEvent::Up(alice()));
    let four = [b"four".to_vec()];
    assert_eq!(heard(lab.server(publishes(LOBBY, &four))), four, "her end of the link may have gone, and she is back");
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    lab.frame(TAB, ToLeader::Leave(LOBBY));
    assert_eq!(heard(lab.server(publishes(LOBBY, &[b"five".to_vec()]))), Vec::<Vec<u8>>::new());
}

#[test]
fn what_is_heard_early_is_passed_on() {
    let mut lab = in_lobby_of_strangers();
    let (_, link) = dialled_in(&lab.server(named(peer(1)))).unwrap();
    lab.link(link, LinkEvent::Up(peer(1)));
    lab.peer(link, &in_topic(peer(1), LOBBY));
    let outputs = lab.server(publishes(LOBBY, &[b"one".to_vec()]));
    let message = peer_says(alice(), LOBBY, b"one".to_vec());
    let passed_on = command(TAB, link, LinkCommand::Send(message.encoded()));
    assert!(outputs.contains(&passed_on), "{outputs:?}");
}

#[test]
fn who_hides_says_and_hears_nothing_early_in_topics() {
    let mut lab = in_lobby_of_strangers();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, ToLeader::Hide(true));
    lab.frame(TAB, page_says(2, LOBBY, vec![1]));
    let dialled = lab.server(named(alice()));
    assert_eq!((published(&dialled).len(), told_by_server(&dialled)), (0, vec![(alice(), Said::Knock)]));
    let heard = lab.server(publishes(LOBBY, &[vec![2]]));
    assert!(!heard.iter().any(|it| matches!(it, Output::Frame(_, ToFrame::Topic { .. }))), "{heard:?}");
}

#[test]
fn members_who_speak_early_keep_neither_an_acquaintance_nor_whom_the_site_dials_from_it() {
    let mut lab = in_lobby_of_strangers();
    lab.frame(TAB, ToLeader::Accepted { peer: peer(90), ago_ms: 0 });
    for n in 0..64 {
        let opening = vec![Packet { to_frame: None, from: peer(n), ..answers(open()) }];
        let heard = lab.server(says_as_member(LOBBY, peer(n), us(), &opening));
        assert_eq!(heard, [Output::Frame(TAB, ToFrame::Packet(opening[0].clone()))]);
    }
    let packet = Packet { to_frame: None, from: peer(90), ..answers(open()) };
    let heard = lab.server(says(peer(90), us(), &Said::Packets(vec![packet.clone()])));
    assert!(heard.contains(&Output::Frame(TAB, ToFrame::Packet(packet))), "{heard:?}");
    let over = lab.server(says(peer(90), us(), &Said::HungUp));
    assert!(over.contains(&Output::Frame(TAB, ToFrame::HungUp(peer(90)))), "{over:?}");

    lab.server(named(alice()));
    lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice(), address: None });
    let said = lab.frame(TAB, ToLeader::Packet(opens()));
    assert_eq!(told_by_server(&said).len(), 1, "{said:?}");
}

const ELSEWHERE: TopicId = TopicId([4; 32]);

/// The site serves something, and accepted nobody.
fn among_strangers() -> Lab {
    let mut lab = Lab { speaks_early: true, ..Lab::new().among_strangers() };
    lab.admit(TAB, SITE);
    lab.register(Vec::new());
    lab.frame(TAB, ToLeader::Serve(TAG));
    lab
}

/// The site is in a topic, too.
fn in_lobby_of_strangers() -> Lab {
    let mut lab = among_strangers();
    lab.frame(TAB, joins(1, LOBBY));
    lab
}

/// The server says that a peer is in the lobby.
fn named(peer: PersonaId) -> ToNode {
    ToNode::Members { topic: LOBBY, key: us(), members: vec![peer] }
}

/// What members of the lobby alone are told by the server of what was said there, for each signal.
fn published(outputs: &[Output]) -> Vec<Vec<Vec<u8>>> {
    let signals = outputs.iter().filter_map(|it| match it {
        Output::Uplink(UplinkCommand::Send(ToServer::Signal { from, to, signal })) => Some((*from, *to, signal)),
        _ => None,
    });
    let read = |(from, to, signal)| {
        let opened = opened_as(from, to, signal);
        let Said::Published(sealed) = opened.said else { return None };
        let Signal { blob, .. } =
            sealed.open(&matching(LOBBY), [from, to], &opened.nonce).expect("it is for the lobby");
        let said: Vec<Published> = codec::decode(&blob, MAX_EARLY).expect("messages");
        Some(said.into_iter().map(|message| message.body).collect())
    };
    signals.filter_map(read).collect()
}

/// Alice says this in a topic, before there is a link.
fn publishes(topic: TopicId, said: &[Vec<u8>]) -> ToNode {
    let said: Vec<Published> = said.iter().map(|body| published_at(0, alice(), topic, body.clone())).collect();
    seals_for(topic, (alice(), us()), codec::encode(&said), Said::Published)
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
