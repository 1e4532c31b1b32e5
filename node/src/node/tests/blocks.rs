//! Peers that the person blocked for a site.

use bitters_wire::{limits::MAX_BLOCKED, permission::SiteStatus, sealed::Said};

use super::{addresses::*, lab::*, *};
use crate::pair::Pair;

#[test]
fn nothing_is_had_of_a_peer_that_the_person_blocked_until_they_take_it_back() {
    let (mut lab, link) = talking_with_alice();
    assert_eq!(lab.frame(TAB, block(alice(), true)), [], "a site can't have that");
    let blocked = lab.frame(THIRD, block(alice(), true));
    assert!(blocked.contains(&said(link, &Control::HungUp)), "{blocked:?}");
    assert!(blocked.contains(&Output::Frame(TAB, ToFrame::HangUp(alice()))), "its sessions are over");
    lab.link(link, LinkEvent::Down(DownReason::Closed));

    assert_eq!(lab.server(dials(alice())), [], "neither its signals are answered");
    assert_eq!(lab.server(says(alice(), us(), &Said::Knock)), [], "nor its knocks");
    let denied =
        |request| asked(request, Err(Failure::new(Code::Denied, format!("{}: the person blocked it", alice()))));
    let dial = |request, address| ToLeader::Dial { request, peer: alice(), address };
    assert_eq!(lab.frame(TAB, dial(1, None)), [denied(1)]);
    lab.frame(TAB, joins(2, LOBBY));
    let named = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice(), peer(1)] });
    let dialled: Vec<_> = named.iter().filter(|it| dialled_in(std::slice::from_ref(it)).is_some()).collect();
    assert_eq!(dialled.len(), 1, "of the topic's members the other one alone");

    lab.frame(THIRD, block(alice(), false));
    assert!(dialled_in(&lab.server(dials(alice()))).is_some());
}

#[test]
fn a_blocked_peer_that_was_spoken_with_without_a_link_is_told_that_the_site_hung_up() {
    let mut lab = Lab::registered();
    lab.admit(THIRD, PAGE);
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let opens = Packet { to: alice(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() };
    lab.frame(TAB, ToLeader::Packet(opens));
    assert_eq!(told_by_server(&lab.frame(THIRD, block(alice(), true))), [(alice(), Said::HungUp)]);
    lab.admit(OTHER, SITE);
    assert_eq!(told_by_server(&lab.frame(THIRD, block(peer(1), true))), [], "once");
}

#[test]
fn a_blocked_peer_that_dials_an_address_is_shown_no_identity() {
    let mut lab = listening();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, block(alice(), true));
    for (peer, is_refused) in [(alice(), true), (peer(1), false)] {
        let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
        let outputs = lab.link(link, LinkEvent::Sign { text: identity(us(), peer), proof: None });
        assert_eq!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), is_refused, "{outputs:?}");
        let signs = |it: &Output| matches!(it, Output::Frame(_, ToFrame::Link(_, LinkCommand::Signed(_))));
        assert_eq!(outputs.iter().any(signs), !is_refused);
    }
}

#[test]
fn a_dial_that_waits_for_a_peer_is_over_when_that_is_blocked() {
    let mut lab = Lab::registered();
    lab.admit(THIRD, PAGE);
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let denied = Failure::new(Code::Denied, format!("{}: the person blocked it", alice()));
    assert!(lab.frame(THIRD, block(alice(), true)).contains(&asked(1, Err(denied))));
}

#[test]
fn whom_the_person_blocked_goes_where_the_sites_frames_go_and_the_latest_decision_counts() {
    let (mut lab, link) = talking_with_alice();
    let blocked = |peers: &[PersonaId], decided| Blocked { peers: peers.to_vec(), decided };
    let brings = |frame, origin, blocked| ToLeader::Hello(Hello { blocked, ..hello(frame, origin) });
    lab.frame(ANOTHER, brings(ANOTHER, OTHER_SITE, blocked(&[alice()], 7)));
    assert!(lab.node.links.table().link(link).is_some(), "that is for another site");
    let brought = lab.frame(OTHER, brings(OTHER, SITE, blocked(&[alice()], 7)));
    assert!(brought.contains(&said(link, &Control::HungUp)), "{brought:?}");
    assert!(brought.contains(&Output::Frame(TAB, ToFrame::Blocked(blocked(&[alice()], 7)))), "it carries that on, too");
    lab.frame(OTHER, brings(OTHER, SITE, blocked(&[], 6)));
    assert_eq!(lab.server(dials(alice())), []);
    lab.frame(OTHER, brings(OTHER, SITE, blocked(&[], 8)));
    assert!(dialled_in(&lab.server(dials(alice()))).is_some());
}

#[test]
fn a_leader_takes_no_link_over_to_a_peer_that_is_blocked() {
    let mut lab = Lab::new();
    let link = LinkId { epoch: Epoch(2), number: 6 };
    let links =
        vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }];
    let blocked = Blocked { peers: vec![alice()], decided: 7 };
    let outputs = lab.frame(TAB, ToLeader::Hello(Hello { links, blocked, ..hello(TAB, SITE) }));
    assert!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), "{outputs:?}");
}

#[test]
fn the_page_is_told_whom_a_site_is_linked_to_and_whom_it_may_not_be() {
    let (mut lab, _) = talking_with_alice();
    let told = |outputs: &[Output]| -> Vec<SiteStatus> {
        let sites = |it: &Output| match it {
            Output::Frame(THIRD, ToFrame::Sites(sites)) => Some(sites.clone()),
            _ => None,
        };
        outputs.iter().rev().find_map(sites).expect("the page watches")
    };
    let watching = lab.frame(THIRD, ToLeader::Watch(true));
    let alice = alice().to_string();
    assert_eq!((&told(&watching)[0].peers, &told(&watching)[0].blocked), (&vec![alice.clone()], &vec![]));
    lab.frame(THIRD, block(super::lab::alice(), true));
    let after = told(&lab.later(Duration::from_millis(100)));
    assert_eq!((&after[0].peers, &after[0].blocked), (&vec![], &vec![alice]));
}

const ANOTHER: FrameId = FrameId::from_random([0xd0; 16]);

#[test]
fn a_peer_that_is_blocked_while_its_connection_opens_is_not_let_in() {
    let mut lab = listening();
    lab.admit(THIRD, PAGE);
    let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    lab.link(link, LinkEvent::Sign { text: identity(us(), alice()), proof: None });
    lab.frame(THIRD, block(alice(), true));
    let outputs = lab.link(link, LinkEvent::Up(alice()));
    assert!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), "{outputs:?}");
    assert!(lab.node.links.table().link(link).is_none());
}

#[test]
fn sessions_with_a_blocked_peer_are_over_wherever_they_come_from() {
    let mut lab = Lab::registered();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, block(alice(), true));
    let talks = vec![alice()];
    let outputs = lab.frame(OTHER, ToLeader::Hello(Hello { talks, known: true, ..hello(OTHER, SITE) }));
    let hangs_up = Output::Frame(OTHER, ToFrame::HangUp(alice()));
    assert!(outputs.contains(&hangs_up), "{outputs:?}");
    let welcomed = outputs.iter().position(|it| matches!(it, Output::Frame(OTHER, ToFrame::Welcome(_))));
    assert!(welcomed < outputs.iter().position(|it| *it == hangs_up), "once it is taken in");
    let to_server =
        |it: &Output| matches!(it, Output::Uplink(UplinkCommand::Send(ToServer::Lookup(_) | ToServer::Gone(_))));
    assert!(!outputs.iter().any(to_server));
    assert!(!lab.input(Input::FrameGone(OTHER)).iter().any(to_server), "nor is it told of the frame's end");

    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Serve(TAG));
    lab.admit(THIRD, PAGE);
    let body = Body::Open { tag: TAG, handshake: vec![1] };
    let opens = Packet { to: us(), to_frame: None, from: alice(), from_frame: OTHER, session: SESSION, body };
    assert_eq!(lab.server(says(alice(), us(), &Said::Packets(vec![opens]))).len(), 1);
    let blocked = lab.frame(THIRD, block(alice(), true));
    assert!(blocked.contains(&Output::Frame(TAB, ToFrame::HangUp(alice()))), "there was no link: {blocked:?}");
}

#[test]
fn one_blocked_peer_too_many_is_said() {
    let mut lab = Lab::registered();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, ToLeader::Watch(true));
    for n in 0..=MAX_BLOCKED {
        let [high, low] = u16::try_from(n).unwrap().to_be_bytes();
        lab.input(Input::WallClock(n as u64 * 10_000));
        lab.frame(THIRD, block(PersonaId(std::array::from_fn(|at| if at == 0 { high } else { low })), true));
        lab.later(Duration::from_secs(10));
    }
    assert_eq!(lab.node.sites.blocked(SITE).peers.len(), MAX_BLOCKED);
    let text = format!("{SITE} has {MAX_BLOCKED} blocked peers: unblock one first");
    lab.frame(THIRD, ToLeader::Status);
    let status = lab.frame(THIRD, ToLeader::Status);
    let says = |it: &Output| matches!(it, Output::Frame(_, ToFrame::Status(status)) if status.warnings.contains(&text));
    assert!(status.iter().any(says) || lab.later(Duration::from_secs(1)).iter().any(says), "{status:?}");
}

/// A session of the site's talks with alice, and the node's own page is open.
fn talking_with_alice() -> (Lab, LinkId) {
    let mut lab = Lab::registered();
    let link = lab.linked_in(TAB, Pair { own: us(), peer: alice() });
    lab.admit(THIRD, PAGE);
    (lab, link)
}

fn block(peer: PersonaId, blocked: bool) -> ToLeader {
    ToLeader::Block { origin: SITE.into(), peer, blocked }
}
