//! How many links each persona has, and which of them go.

use bitters_wire::local::Dial;

use super::{lab::*, *};
use crate::pair::Pair;

#[test]
fn a_persona_has_twenty_four_links() {
    let mut lab = Lab::registered();
    let links = fill(&mut lab, &TENANTS[0], 24);
    assert_eq!(lab.server(dials(peer(99))), [], "each of them is needed");
    for (n, link) in (0..).zip(&links) {
        let body = Body::Sealed { counter: 1, sealed: vec![1] };
        let (to, from) = (us(), peer(n));
        lab.peer(*link, &Packet { to, to_frame: Some(TAB), from, from_frame: TAB, session: SESSION, body });
        lab.frame(TAB, ToLeader::Dial { request: 10, peer: from, address: None });
    }
    assert_eq!(lab.frame(TAB, ToLeader::Dial { request: 1, peer: peer(99), address: None }), [lookup(peer(99))]);
    let text = format!("{}: this site has all the links that it may have", peer(99));
    let refused = Err(Failure::new(Code::PeerUnreachable, text));
    assert_eq!(lab.server(ToNode::Here(peer(99))), [asked(1, refused)]);
}

#[test]
fn what_a_site_dials_takes_the_place_of_a_neighbour_that_its_topics_can_miss() {
    let mut lab = Lab::registered();
    let links = fill(&mut lab, &TENANTS[0], 24);
    lab.frame(TAB, joins(2, TopicId([4; 32])));
    for (n, link) in (0..2).zip(&links) {
        lab.peer(*link, &in_topic(peer(n), TopicId([4; 32])));
    }
    // The other topic has these two alone.
    for (n, lost) in (0..22).zip(&links[2..]) {
        lab.now = lab.now + Duration::from_millis(100);
        lab.frame(TAB, ToLeader::Dial { request: 10 + u32::from(n), peer: peer(50 + n), address: None });
        let outputs = lab.server(ToNode::Here(peer(50 + n)));
        assert_eq!(outputs[0], command(TAB, *lost, LinkCommand::HangUp), "{n}");
        let (_, link) = dialled_in(&outputs).unwrap_or_else(|| panic!("{n}: {outputs:?}"));
        lab.link(link, LinkEvent::Up(peer(50 + n)));
    }
}

#[test]
fn what_a_site_dials_takes_the_place_of_an_attempt_at_a_neighbour() {
    let mut lab = Lab::registered();
    fill(&mut lab, &TENANTS[0], 2);
    let members: Vec<PersonaId> = (2..8).map(peer).collect();
    let outputs = lab.server(ToNode::Members { topic: LOBBY, key: us(), members });
    let (_, attempt) = dialled_in(&outputs).unwrap();
    for n in 30..46 {
        lab.server(dials(peer(n)));
    }
    assert_eq!(lab.node.links.table().of(us()), 24);

    lab.frame(TAB, ToLeader::Dial { request: 10, peer: peer(50), address: None });
    let outputs = lab.server(ToNode::Here(peer(50)));
    assert_eq!(outputs[0], command(TAB, attempt, LinkCommand::HangUp));
    assert!(dialled_in(&outputs).is_some(), "{outputs:?}");
}

#[test]
fn a_link_that_nobody_needs_gives_way_to_a_new_one_of_its_persona() {
    let mut lab = Lab::registered();
    let unneeded = lab.linked_in(TAB, Pair { own: us(), peer: peer(98) });
    fill(&mut lab, &TENANTS[0], 23);
    lab.now = lab.now + Duration::from_millis(4999);
    assert_eq!(dialled_in(&lab.server(dials(peer(97)))), None, "it may have been asked for");
    lab.now = lab.now + MS;
    let outputs = lab.server(dials(peer(99)));
    assert!(outputs.contains(&command(TAB, unneeded, LinkCommand::HangUp)), "{outputs:?}");
    assert!(dialled_in(&outputs).is_some(), "{outputs:?}");
}

#[test]
fn a_newcomer_gets_four_places_from_those_who_have_most() {
    let mut lab = Lab::registered();
    let mut filled: Vec<(PersonaId, FrameId, Vec<LinkId>)> = Vec::new();
    for tenant in &TENANTS {
        lab.admit(tenant.frame, tenant.origin);
        let links = fill(&mut lab, tenant, 24);
        filled.push((home().persona(tenant.origin).id(), tenant.frame, links));
    }
    let newcomer = "https://new.example";
    let (own, frame) = (home().persona(newcomer).id(), FrameId::from_random([0x90; 16]));
    lab.admit(frame, newcomer);

    // Of those who have as many the last in the order of keys.
    filled.sort_unstable_by_key(|(persona, _, _)| *persona);
    for (n, (_, greedy, links)) in (0..).zip(filled.iter().rev()) {
        let outputs = lab.server(signals(peer(n), own, dial(7)));
        let (carrier, link) = dialled_in(&outputs).unwrap_or_else(|| panic!("{n}: {outputs:?}"));
        let door = Dial { own, ..by_signals(peer(n)) };
        assert_eq!(
            outputs,
            [
                command(*greedy, links[0], LinkCommand::HangUp),
                command(frame, link, LinkCommand::Dial(door)),
                command(frame, link, LinkCommand::Signal(vec![9])),
                Output::Frame(*greedy, ToFrame::Peers(23)),
            ]
        );
        assert_eq!(carrier, frame);
    }
    assert_eq!(lab.server(signals(peer(4), own, dial(7))), [], "those are its own");
    let has = |own: &PersonaId| lab.node.links.table().of(*own);
    assert_eq!(filled.iter().map(|(persona, _, _)| has(persona)).collect::<Vec<_>>(), [23; 4]);
    assert_eq!(has(&own), 4);
}

#[test]
fn four_places_of_each_persona_are_kept_free_of_others() {
    let mut lab = Lab::registered();
    for n in 1..20_u8 {
        lab.now = lab.now + Duration::from_millis(100);
        assert!(lab.admit(numbered(n), &format!("https://{n}.example")));
    }
    // 19 others have four each, of 96.
    let links = fill(&mut lab, &TENANTS[0], 20);
    assert_eq!(lab.server(dials(peer(99))), []);
    for n in 1..20_u8 {
        let own = home().persona(&format!("https://{n}.example")).id();
        for m in 0..4 {
            lab.now = lab.now + Duration::from_millis(100);
            lab.linked_in(numbered(n), Pair { own, peer: peer(m) });
        }
    }
    assert!(links.iter().all(|link| lab.node.links.table().up(*link).is_some()), "nobody lost one");
}

#[test]
fn a_persona_that_is_gone_takes_nobody_s_place() {
    let mut lab = Lab::registered();
    let guest = "https://guest.example";
    let (own, frame) = (home().persona(guest).id(), FrameId::from_random([0x90; 16]));
    lab.admit(frame, guest);
    let link = lab.linked_in(frame, Pair { own, peer: peer(0) });
    let packet = Packet { to: peer(0), to_frame: None, from: own, from_frame: frame, session: SESSION, body: open() };
    lab.frame(frame, ToLeader::Packet(packet));
    lab.link_in(frame, link, LinkEvent::Down(DownReason::Closed));
    lab.frame(frame, ToLeader::Leaving { moves: false });
    for tenant in &TENANTS {
        lab.admit(tenant.frame, tenant.origin);
        fill(&mut lab, tenant, 24);
    }
    let outputs = lab.within(Duration::from_secs(1));
    assert_eq!(outputs, [], "its session wanted a link");
}

#[test]
fn a_group_has_three_quarters_of_the_places_for_personas() {
    let mut lab = Lab::without_server();
    let mut come = |n: u8, origin: &str| {
        lab.now = lab.now + Duration::from_millis(100);
        lab.admitted(numbered(n), origin)
    };
    for n in 0..18 {
        assert_eq!(come(n, &format!("https://{n}.greedy.example")), Ok(Vec::new()));
    }
    assert_eq!(come(18, "https://18.greedy.example"), Err(Code::Quota));
    assert_eq!(come(18, "https://0.greedy.example"), Ok(Vec::new()), "that persona is here");
    for n in 19..25 {
        assert_eq!(come(n, &format!("https://{n}.example")), Ok(Vec::new()));
    }
    assert_eq!(come(25, "https://25.example"), Err(Code::Quota), "the 25th");
    assert_eq!(come(26, PAGE), Ok(Vec::new()), "there the person manages the node");
    assert_eq!(come(27, "https://24.example"), Ok(Vec::new()));
}

#[test]
fn who_finds_no_place_is_told_the_same_whoever_took_it() {
    let refused = |origins: Vec<String>, last: &str| {
        let mut lab = Lab::without_server();
        for (n, origin) in (0..).zip(&origins) {
            lab.now = lab.now + Duration::from_millis(100);
            assert!(lab.admit(numbered(n), origin));
        }
        lab.frame(THIRD, ToLeader::Hello(hello(THIRD, last)))
    };
    let failure = Failure::new(Code::Quota, "this node has all the sites that it takes at a time");
    let told = [Output::Frame(THIRD, ToFrame::Rejected(failure)), Output::ForgetFrame(THIRD)];
    assert_eq!(refused((0..18).map(|n| format!("https://{n}.a.example")).collect(), "https://x.a.example"), told);
    assert_eq!(refused((0..24).map(|n| format!("https://a{n}.example")).collect(), "https://x.test"), told);
}

#[test]
fn a_link_that_we_do_not_need_is_offered_to_the_peer_every_minute() {
    let (mut lab, link) = Lab::linked();
    assert_eq!(lab.within(MINUTE - MS), []);
    assert_eq!(lab.later(MS), [said(link, &Control::Idle)]);
    lab.frame(TAB, ToLeader::Pong);
    assert_eq!(lab.within(MINUTE - MS), [], "the peer needs it");
    assert_eq!(lab.later(MS), [said(link, &Control::Idle)]);

    let told = lab.link(link, LinkEvent::Down(DownReason::Closed));
    assert_eq!(told, [Output::Frame(TAB, ToFrame::Peers(0))], "the peer took the offer, and nobody dials again");
}

#[test]
fn a_link_that_the_peer_does_not_need_is_hung_up_unless_we_do() {
    let hung_up = |link| [command(TAB, link, LinkCommand::HangUp), Output::Frame(TAB, ToFrame::Peers(0))];
    let (mut lab, link) = Lab::linked();
    assert_eq!(lab.peer(link, &Control::Idle), [], "it came up just now");
    lab.within(MINUTE - MS);
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    assert_eq!(lab.peer(link, &Control::Idle), [], "a site of ours wants it");
    lab.frame(TAB, ToLeader::Pong);
    lab.within(MINUTE - MS);
    assert_eq!(lab.peer(link, &Control::Idle), hung_up(link));
    assert_eq!(lab.link(link, LinkEvent::Down(DownReason::HungUp)), [], "nobody dials it again");
}

#[test]
fn a_link_with_a_topic_in_common_stays_until_a_minute_after_one_end_left() {
    let left_by: [fn(&mut Lab, LinkId); 2] = [
        |lab, _| drop(lab.frame(TAB, ToLeader::Leave(LOBBY))),
        |lab, link| drop(lab.peer(link, &left(alice(), LOBBY))),
    ];
    for leave in left_by {
        let (mut lab, link) = Lab::linked();
        lab.frame(TAB, joins(1, LOBBY));
        lab.peer(link, &in_topic(alice(), LOBBY));
        lab.frame(TAB, ToLeader::Pong);
        assert_eq!(lab.within_while_frames_answer(10 * MINUTE), []);

        leave(&mut lab, link);
        lab.frame(TAB, ToLeader::Pong);
        assert_eq!(lab.within(MINUTE - MS), []);
        assert_eq!(lab.later(MS), [said(link, &Control::Idle)]);
    }
}

#[test]
fn a_link_that_one_end_alone_has_a_topic_for_is_not_needed() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &in_topic(alice(), TopicId([4; 32])));
    assert!(lab.within(MINUTE).contains(&said(link, &Control::Idle)));
}

#[test]
fn a_link_that_sessions_speak_on_stays_until_a_minute_after_their_last_word() {
    let (mut lab, link) = Lab::linked();
    let body = Body::Sealed { counter: 1, sealed: vec![1] };
    let packet =
        |from, to| Packet { to, to_frame: Some(TAB), from, from_frame: TAB, session: SESSION, body: body.clone() };
    for n in 0..20 {
        if n % 2 == 0 {
            lab.peer(link, &packet(alice(), us()));
        } else {
            lab.frame(TAB, ToLeader::Packet(packet(us(), alice())));
        }
        lab.frame(TAB, ToLeader::Pong);
        assert_eq!(lab.within(MINUTE / 2), []);
    }
    assert_eq!(lab.peer(link, &Control::Idle), [], "our end spoke on it lately");
    assert_eq!(lab.within(MINUTE / 2 - MS), []);
    assert_eq!(lab.later(MS), [said(link, &Control::Idle)]);
}

#[test]
fn a_link_that_nobody_needs_takes_its_standby_along() {
    let (mut lab, used, standby) = standbys::standing_by();
    lab.frame(OTHER, ToLeader::Pong);
    assert_eq!(lab.within(MINUTE), [said(used, &Control::Idle)]);
    let told = [command(OTHER, standby, LinkCommand::HangUp), command(TAB, used, LinkCommand::HangUp)];
    assert_eq!(lab.peer(used, &Control::Idle)[..2], told);

    // The peer does the same, and one of its two is heard of first.
    let (mut lab, used, standby) = standbys::standing_by();
    lab.now = lab.now + MINUTE - MS;
    let over = lab.link(used, LinkEvent::Down(DownReason::Closed));
    assert_eq!(over[0], command(OTHER, standby, LinkCommand::HangUp));
    assert_eq!(dialled_in(&over), None);
}

const MINUTE: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);

struct Tenant {
    origin: &'static str,
    frame: FrameId,
}

const TENANTS: [Tenant; 4] = [
    Tenant { origin: SITE, frame: TAB },
    Tenant { origin: "https://b.example", frame: OTHER },
    Tenant { origin: "https://c.example", frame: THIRD },
    Tenant { origin: "https://d.example", frame: FrameId::from_random([0xd0; 16]) },
];

/// Has so many peers dial a site, which all are in a topic with it.
fn fill(lab: &mut Lab, tenant: &Tenant, count: u8) -> Vec<LinkId> {
    let (own, frame) = (home().persona(tenant.origin).id(), tenant.frame);
    lab.frame(frame, joins(1, LOBBY));
    let link = |n| {
        let link = lab.linked_in(frame, Pair { own, peer: peer(n) });
        lab.peer_in(frame, link, &in_topic(peer(n), LOBBY));
        link
    };
    (0..count).map(link).collect()
}

fn numbered(n: u8) -> FrameId {
    FrameId::from_random([n; 16])
}

fn lookup(peer: PersonaId) -> Output {
    send(ToServer::Lookup(peer))
}
