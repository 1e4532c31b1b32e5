//! Standbys: dialled for sessions, switched to at once, let go.

use bitters_wire::{local::HeldLink, packet::Packet, rendezvous::Gone, sealed::Said};

use super::{lab::*, *};
use crate::pair::Pair;

#[test]
fn sessions_get_a_standby_from_another_frame_over_the_link_there_is() {
    let (mut lab, used) = talking();
    let (frame, standby) =
        dialled_in(&lab.frame(OTHER, ToLeader::Hello(hello(OTHER, SITE)))).expect("a session speaks");
    assert_eq!(frame, OTHER);

    let signal = Signal { attempt: number(standby), answers: None, blob: vec![4] };
    let told = lab.link_in(OTHER, standby, LinkEvent::Signal(vec![4]));
    assert_eq!(told, [said(used, &Control::Signal(signal))]);
    let answer = Signal { attempt: 9, answers: Some(number(standby)), blob: vec![5] };
    let given = lab.peer(used, &Control::Signal(answer));
    assert_eq!(given, [command(OTHER, standby, LinkCommand::Signal(vec![5]))]);
    assert_eq!(lab.link_in(OTHER, standby, LinkEvent::Up(alice())), [], "nothing is said on it");
    assert_eq!(dialled_in(&lab.peer(used, &packet())), None, "one is enough");
}

#[test]
fn a_persona_with_one_frame_does_without() {
    let (mut lab, used) = talking();
    assert_eq!(dialled_in(&lab.peer(used, &packet())), None);
}

#[test]
fn topics_alone_need_no_standby() {
    let (mut lab, used) = Lab::linked();
    lab.admit(OTHER, SITE);
    assert_eq!(dialled_in(&lab.peer(used, &in_topic(alice(), LOBBY))), None);
}

#[test]
fn the_death_of_a_frame_is_told_over_the_standby_and_its_sessions_go_on_there() {
    let (mut lab, used, standby) = standing_by();
    let outputs = lab.input(Input::FrameGone(TAB));

    assert_eq!(
        outputs[..3],
        [
            said_in(OTHER, standby, &Control::Switch),
            Output::Frame(OTHER, ToFrame::PathRestored(alice())),
            said_in(OTHER, standby, &Control::FrameGone(TAB)),
        ]
    );
    assert_eq!(lab.later(Duration::from_secs(1)), []);
    assert_eq!(lab.peer_in(OTHER, standby, &Control::Switched), []);
    assert_eq!(lab.later(Duration::from_secs(3)), [], "it was answered");
    assert_eq!(lab.link(used, LinkEvent::Down(DownReason::Closed)), []);
}

#[test]
fn a_frame_that_moves_into_another_island_is_no_dead_one() {
    let (mut lab, used, standby) = standing_by();
    let outputs = lab.frame(TAB, ToLeader::Leaving { moves: true });
    let restored = Output::Frame(OTHER, ToFrame::PathRestored(alice()));
    assert_eq!(outputs[..2], [said_in(OTHER, standby, &Control::Switch), restored]);
    let death = Control::FrameGone(TAB);
    assert!(!outputs.contains(&said_in(OTHER, standby, &death)), "{outputs:?}");

    // The peer's session asks as long as it doesn't know where the other one is.
    let packet = packet();
    let refuse = |reason| said_in(OTHER, standby, &packet.refuse(reason).expect("it is none"));
    let says = |lab: &mut Lab| lab.peer_in(OTHER, standby, &packet.clone());
    assert!(says(&mut lab).contains(&refuse(Refusal::NoRoute)));

    // It comes back, and dies here.
    lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    lab.frame(TAB, ToLeader::Leaving { moves: false });
    assert!(says(&mut lab).contains(&refuse(Refusal::FrameGone)));
    assert_eq!(lab.link(used, LinkEvent::Down(DownReason::Closed)), []);
}

#[test]
fn who_talks_with_a_frame_of_the_same_persona_waits_for_it_when_that_moves() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    lab.frame(OTHER, ToLeader::Hello(Hello { talks: vec![us()], ..hello(OTHER, SITE) }));
    assert_eq!(lab.frame(TAB, ToLeader::Leaving { moves: true }), [Output::ForgetFrame(TAB)]);
    let body = Body::Sealed { counter: 1, sealed: vec![1] };
    let packet = Packet { to: us(), to_frame: Some(TAB), from: us(), from_frame: OTHER, session: SESSION, body };
    let refusal = packet.refuse(Refusal::NoRoute).expect("it is none");
    let outputs = lab.frame(OTHER, ToLeader::Packet(packet));
    assert_eq!(outputs, [Output::Frame(OTHER, ToFrame::Packet(refusal))]);
}

#[test]
fn a_standby_that_is_dead_at_the_other_end_is_given_up_and_the_peer_dialled() {
    let (mut lab, _, standby) = standing_by();
    lab.input(Input::FrameGone(TAB));

    let outputs = lab.later(Duration::from_secs(3));
    assert!(outputs.contains(&command(OTHER, standby, LinkCommand::HangUp)));
    let redial = lab.later(Duration::from_millis(300));
    assert_eq!(dialled_in(&redial).map(|(frame, _)| frame), Some(OTHER));
}

#[test]
fn a_peer_that_speaks_on_a_standby_is_followed() {
    let (mut lab, used, standby) = standing_by();
    let outputs = lab.peer_in(OTHER, standby, &Control::Switch);

    assert_eq!(outputs[..2], [command(TAB, used, LinkCommand::HangUp), said_in(OTHER, standby, &Control::Switch)]);
    let restored = ToFrame::PathRestored(alice());
    assert!([TAB, OTHER].iter().all(|frame| outputs.contains(&Output::Frame(*frame, restored.clone()))));
    assert!(outputs.contains(&said_in(OTHER, standby, &Control::Switched)));
    assert_eq!(lab.link(used, LinkEvent::Down(DownReason::HungUp)), [], "that is over");
}

#[test]
fn a_standby_that_is_over_is_told_and_had_again() {
    let (mut lab, used, standby) = standing_by();
    let outputs = lab.link_in(OTHER, standby, LinkEvent::Down(DownReason::Closed));
    assert_eq!(outputs[0], said(used, &Control::StandbyGone { attempt: number(standby) }));
    assert_eq!(dialled_in(&outputs).map(|(frame, _)| frame), Some(OTHER));

    let (mut lab, used, standby) = standing_by();
    assert_eq!(lab.peer(used, &Control::StandbyGone { attempt: 1 }), [], "another one");
    let outputs = lab.peer(used, &Control::StandbyGone { attempt: 9 });
    assert_eq!(outputs[0], command(OTHER, standby, LinkCommand::HangUp));
}

#[test]
fn a_peer_that_gives_up_standby_after_standby_is_not_dialled_for_ever() {
    let (mut lab, used) = talking();
    let mut outputs = lab.frame(OTHER, ToLeader::Hello(hello(OTHER, SITE)));
    let mut dials = 0;
    while let Some((_, standby)) = dialled_in(&outputs) {
        dials += 1;
        assert!(dials < 20, "a connection for each word of the peer's");
        lab.link_in(OTHER, standby, LinkEvent::Signal(vec![4]));
        lab.peer(used, &Control::Signal(Signal { attempt: 9, answers: Some(number(standby)), blob: vec![5] }));
        outputs = lab.peer(used, &Control::StandbyGone { attempt: 9 });
    }
    assert_eq!(dials, 9);
}

#[test]
fn a_standby_that_cannot_be_had_is_tried_less_often() {
    let (mut lab, used) = talking();
    let (_, standby) = dialled_in(&lab.frame(OTHER, ToLeader::Hello(hello(OTHER, SITE)))).expect("a session speaks");
    let failed = lab.link_in(OTHER, standby, LinkEvent::Down(DownReason::Closed));
    assert_eq!(dialled_in(&failed), None);

    lab.now = lab.now + Duration::from_secs(2);
    assert_eq!(dialled_in(&lab.peer(used, &packet())), None);
    lab.now = lab.now + Duration::from_secs(6);
    assert!(dialled_in(&lab.peer(used, &packet())).is_some());
}

#[test]
fn a_peer_that_switches_again_and_again_has_no_new_standby_each_time() {
    let (mut lab, _, mut standby) = standing_by();
    let mut frames = [TAB, OTHER];
    for dials in 0.. {
        assert!(dials < 20, "a connection for each word of the peer's");
        let [other, carrier] = frames;
        let dialled = dialled_in(&lab.peer_in(carrier, standby, &packet()));
        let Some((_, next)) = dialled else { break };
        lab.link_in(other, next, LinkEvent::Signal(vec![4]));
        let answer = Signal { attempt: 9, answers: Some(number(next)), blob: vec![5] };
        lab.peer_in(carrier, standby, &Control::Signal(answer));
        lab.link_in(other, next, LinkEvent::Up(alice()));
        standby = next;
        frames = [carrier, other];
    }
}

#[test]
fn a_standby_that_the_peer_wants_stays_though_no_session_speaks_here() {
    let (mut lab, used) = Lab::linked();
    lab.admit(OTHER, SITE);
    let wanted = Signal { attempt: 9, answers: None, blob: vec![4] };
    let (frame, standby) = dialled_in(&lab.peer(used, &Control::Signal(wanted))).expect("it is accepted");
    lab.link_in(frame, standby, LinkEvent::Up(alice()));
    share_lobby(&mut lab, used);
    let hung_up = command(frame, standby, LinkCommand::HangUp);
    for _ in 0..11 {
        assert!(!lab.later(Duration::from_secs(10)).contains(&hung_up));
    }
    assert!(lab.later(Duration::from_secs(10)).contains(&hung_up), "two minutes");
}

#[test]
fn a_standby_of_ours_that_breaks_again_and_again_is_not_dialled_for_ever() {
    let (mut lab, used, mut standby) = standing_by();
    let mut dials = 0;
    while let Some((_, next)) =
        dialled_in(&lab.link_in(OTHER, standby, LinkEvent::Down(DownReason::Closed))).filter(|_| dials < 100)
    {
        dials += 1;
        lab.link_in(OTHER, next, LinkEvent::Signal(vec![4]));
        let answer = Signal { attempt: 9, answers: Some(number(next)), blob: vec![5] };
        lab.peer(used, &Control::Signal(answer));
        lab.link_in(OTHER, next, LinkEvent::Up(alice()));
        standby = next;
    }
    assert_eq!(dials, 8, "then it waits");
    lab.frame(OTHER, ToLeader::Pong);
    lab.now = lab.now + Duration::from_secs(2);
    assert_eq!(dialled_in(&lab.peer(used, &packet())), None);
    lab.now = lab.now + Duration::from_secs(6);
    lab.frame(OTHER, ToLeader::Pong);
    assert!(dialled_in(&lab.peer(used, &packet())).is_some(), "and tries again");
}

#[test]
fn a_standby_beside_the_link_it_stands_by_for_is_had_again_from_a_frame_that_came_since() {
    let (mut lab, used) = talking();
    let (frame, beside) = dialled_in(&lab.peer(used, &Control::Signal(dial(9)))).expect("a peer wants one");
    assert_eq!(frame, TAB, "there is no other");
    assert_eq!(dialled_in(&lab.frame(OTHER, ToLeader::Hello(hello(OTHER, SITE)))), None, "one at a time");

    let outputs = lab.link(beside, LinkEvent::Up(alice()));
    assert_eq!(dialled_in(&outputs).map(|(frame, _)| frame), Some(OTHER));
}

#[test]
fn a_standby_is_let_go_when_no_session_speaks() {
    let (mut lab, used, standby) = standing_by();
    share_lobby(&mut lab, used);
    assert_eq!(lab.within_while_frames_answer(Duration::from_secs(119)), []);
    let gone = said(used, &Control::StandbyGone { attempt: number(standby) });
    assert_eq!(lab.later(Duration::from_secs(1)), [command(OTHER, standby, LinkCommand::HangUp), gone]);
}

#[test]
fn a_new_leader_keeps_apart_what_is_used_and_what_stands_by() {
    let mut lab = Lab::without_server();
    let [used, standby] = [5, 6].map(|number| LinkId { epoch: Epoch(2), number });
    let held = |link, used| {
        vec![HeldLink { link, own: us(), peer: alice(), used, path: Path::Direct, direct: true, bond: BOND }]
    };
    let outputs = lab.frame(OTHER, ToLeader::Hello(Hello { links: held(standby, false), ..hello(OTHER, SITE) }));
    assert!(!outputs.contains(&said_in(OTHER, standby, &Control::Resume)));
    let outputs = lab.frame(TAB, ToLeader::Hello(Hello { links: held(used, true), ..hello(TAB, SITE) }));
    assert!(outputs.contains(&said(used, &Control::Resume)));
    assert_eq!(lab.later(Duration::from_secs(1)), []);
}

#[test]
fn a_standby_that_stands_by_for_nothing_is_used() {
    let mut lab = Lab::without_server();
    let link = LinkId { epoch: Epoch(2), number: 6 };
    let links =
        vec![HeldLink { link, own: us(), peer: alice(), used: false, path: Path::Direct, direct: true, bond: BOND }];
    lab.frame(TAB, ToLeader::Hello(Hello { links, ..hello(TAB, SITE) }));
    assert_eq!(lab.later(Duration::from_millis(500))[0], said(link, &Control::Switch));
}

#[test]
fn a_frames_death_is_told_to_those_who_talk_with_its_persona() {
    let (mut lab, used) = talking();
    let gone = Control::FrameGone(THIRD);
    let told = Output::Frame(TAB, ToFrame::FrameGone { persona: alice(), frame: THIRD });
    assert_eq!(lab.peer(used, &gone), [told]);
    let to_bob = lab.linked_in(TAB, Pair { own: us(), peer: bob() });
    assert_eq!(lab.peer(to_bob, &gone), [], "nobody talks with him");
}

#[test]
fn without_a_rendezvous_neighbours_are_asked_for_whom_sessions_want() {
    let (mut lab, _) = talking();
    let to_bob = lab.linked_in(TAB, Pair { own: us(), peer: bob() });
    lab.input(Input::Uplink(UplinkEvent::Closed));
    let to_alice = lab.node.links.table().up_to(Pair { own: us(), peer: alice() }).expect("she is linked");
    lab.link(to_alice, LinkEvent::Down(DownReason::Closed));

    let (_, redial) = dialled_in(&lab.later(Duration::from_millis(300))).expect("a session waits");
    let signal = Signal { attempt: number(redial), answers: None, blob: vec![4] };
    let outputs = lab.link(redial, LinkEvent::Signal(vec![4]));
    let [Output::Frame(TAB, ToFrame::Link(on, LinkCommand::Send(bytes)))] = &outputs[..] else { panic!("{outputs:?}") };
    let Ok(LinkMessage::Control(Control::PassOn { to, signal: relayed })) = codec::decode(bytes, MAX_LINK) else {
        panic!("{bytes:?}")
    };
    assert_eq!((*on, to, opened(us(), to, &relayed)), (to_bob, alice(), signal));
    let over = lab.peer(to_bob, &Control::Unreachable(alice()));
    assert_eq!(over[0], command(TAB, redial, LinkCommand::HangUp), "nobody else could be asked");
}

#[test]
fn a_session_that_opens_while_the_link_is_made_again_is_not_refused() {
    let (mut lab, link) = talking();
    let opening = Packet { to: alice(), to_frame: None, from: us(), from_frame: TAB, body: open(), ..packet() };
    let opens = || ToLeader::Packet(opening.clone());
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let meanwhile = lab.frame(TAB, opens());
    assert_eq!(told_by_server(&meanwhile), [(alice(), Said::Packets(vec![opening.clone()]))]);
    lab.input(Input::Uplink(UplinkEvent::Closed));
    assert_eq!(lab.frame(TAB, opens()), [], "it asks again");
    lab.frame(TAB, ToLeader::HangUp { request: 1, peer: alice() });
    assert!(matches!(&lab.frame(TAB, opens())[..], [Output::Frame(TAB, ToFrame::Packet(_))]), "nobody makes it now");
}

#[test]
fn a_signal_for_a_stranger_comes_back() {
    let (mut lab, used) = Lab::linked();
    let to = PersonaId([9; 32]);
    let outputs = lab.peer(used, &Control::PassOn { to, signal: sealed(alice(), us(), dial(1)) });
    assert_eq!(outputs, [said(used, &Control::Unreachable(to))]);
}

#[test]
fn a_hello_finds_those_whom_its_sessions_talk_with() {
    let (mut lab, _) = Lab::linked();
    let (here, gone) = (alice(), away().persona(PAGE).id());
    let outputs = lab.frame(OTHER, ToLeader::Hello(Hello { talks: vec![here, gone], ..hello(OTHER, SITE) }));
    assert!(outputs.contains(&Output::Frame(OTHER, ToFrame::PathRestored(here))));
    assert!(outputs.contains(&send(ToServer::Lookup(gone))));
}

#[test]
fn a_new_leader_takes_nobody_for_dead_who_may_be_on_the_way() {
    for (known, told) in [(true, Refusal::NoRoute), (false, Refusal::FrameGone)] {
        let mut lab = Lab::without_server();
        let link = LinkId { epoch: Epoch(2), number: 5 };
        let links =
            vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }];
        lab.frame(OTHER, ToLeader::Hello(Hello { known, links, ..hello(OTHER, SITE) }));
        let packet = packet();
        let refuse = |reason| said_in(OTHER, link, &packet.refuse(reason).expect("it is none"));
        let says = |lab: &mut Lab| lab.peer_in(OTHER, link, &packet.clone());
        assert!(says(&mut lab).contains(&refuse(told)));
        lab.now = lab.now + Duration::from_secs(60);
        assert!(says(&mut lab).contains(&refuse(Refusal::FrameGone)));
    }
}

#[test]
fn a_new_leader_refuses_nobody_who_opens_before_its_frames_have_come() {
    let mut lab = Lab::without_server();
    lab.frame(OTHER, ToLeader::Hello(Hello { known: true, ..hello(OTHER, SITE) }));
    let (from, to) = (us(), home().persona(PAGE).id());
    let packet = Packet { to, to_frame: None, from, from_frame: OTHER, session: SESSION, body: open() };
    assert_eq!(lab.frame(OTHER, ToLeader::Packet(packet.clone())), []);
    lab.now = lab.now + Duration::from_secs(2);
    let refusal = packet.refuse(Refusal::NoRoute).expect("it is none");
    assert_eq!(lab.frame(OTHER, ToLeader::Packet(packet)), [Output::Frame(OTHER, ToFrame::Packet(refusal))]);
}

#[test]
fn a_session_with_the_last_frame_of_a_persona_ends_with_its_link() {
    let (mut lab, _) = talking();
    lab.admit(OTHER, PAGE);
    let outputs = lab.input(Input::FrameGone(TAB));
    let gone = send(ToServer::Gone(Gone::sign(&home().persona(SITE), alice(), TAB)));
    let told = [gone, send(ToServer::Unregister(us())), Output::ForgetFrame(TAB)];
    assert_eq!(outputs, told, "no other persona carries it on");
    assert_eq!(lab.server(dials(alice())), [], "nobody is there");
}

/// A session of the tab's site with a persona at the other end of a link.
fn talking() -> (Lab, LinkId) {
    let (mut lab, used) = Lab::linked();
    lab.peer(used, &packet());
    (lab, used)
}

/// The same with a standby in another frame, whose sessions talk, too.
pub(super) fn standing_by() -> (Lab, LinkId, LinkId) {
    let (mut lab, used) = talking();
    let hello = Hello { talks: vec![alice()], ..hello(OTHER, SITE) };
    let (_, standby) = dialled_in(&lab.frame(OTHER, ToLeader::Hello(hello))).expect("a session speaks");
    lab.link_in(OTHER, standby, LinkEvent::Signal(vec![4]));
    let answer = Signal { attempt: 9, answers: Some(number(standby)), blob: vec![5] };
    lab.peer(used, &Control::Signal(answer));
    lab.link_in(OTHER, standby, LinkEvent::Up(alice()));
    lab.frame(TAB, ToLeader::Pong);
    (lab, used, standby)
}

/// Both ends are in a topic, which needs the link.
fn share_lobby(lab: &mut Lab, link: LinkId) {
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &in_topic(alice(), LOBBY));
    lab.frame(TAB, ToLeader::Pong);
}

fn packet() -> Packet {
    Packet {
        to: us(),
        to_frame: Some(TAB),
        from: alice(),
        from_frame: THIRD,
        session: SESSION,
        body: Body::Sealed { counter: 1, sealed: vec![1] },
    }
}

/// Somebody else.
fn bob() -> PersonaId {
    NodeSecret::new([3; 32]).persona(SITE).id()
}
