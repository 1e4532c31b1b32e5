//! Who is shown network addresses, and whose are tried: strangers are met at doors, over our own server.

use std::net::SocketAddr;

use bitters_wire::{
    address::{Address, Owner},
    keys::Grant,
    local::{Dial, Door, Hiding},
    sealed::Said,
};

use super::{addresses::*, lab::*, *};
use crate::{KnownSite, sites::acquaintances::Acquaintance};

/// A proxy that a stranger would have our browser send to: in our private network.
const TRAP: &str = "192.168.1.1:3478";

#[test]
fn a_stranger_who_shows_its_addresses_is_told_where_the_door_is() {
    let mut lab = at_door();
    let outputs = lab.server(dials(alice()));
    assert_eq!(dialled_in(&outputs), None, "none of what it says is given to a browser");
    let door = address_of_site(&CERTIFICATE);
    assert_eq!(told_by_server(&outputs), [(alice(), Said::Door(Box::new(door.clone())))]);
    assert_eq!(door.grant(), None);

    let answer = Signal { answers: Some(1), ..dial(8) };
    assert_eq!(lab.server(signals(alice(), us(), answer)), [], "nor is what answers nothing of ours");
    assert_eq!(told_by_server(&lab.server(says(alice(), us(), &Said::Knock))).len(), 1);
}

#[test]
fn a_door_is_made_when_somebody_knocks_or_something_is_served() {
    let mut lab = strangers();
    let knocked = lab.server(says(alice(), us(), &Said::Knock));
    assert_eq!(knocked, [Output::Frame(TAB, ToFrame::Certify { owner: site() })]);
    assert_eq!(lab.server(says(alice(), us(), &Said::Knock)), [], "it is being made");
    certify(&mut lab);
    assert_eq!(told_by_server(&lab.server(says(alice(), us(), &Said::Knock))).len(), 1);

    let served = strangers().frame(TAB, ToLeader::Serve(TAG));
    assert_eq!(served, [Output::Frame(TAB, ToFrame::Certify { owner: site() })]);
}

#[test]
fn a_stranger_is_dialled_at_its_door_over_our_own_server() {
    let mut lab = strangers();
    let asked = lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    assert_eq!(asked, [send(ToServer::Lookup(alice()))]);
    let asked = lab.server(ToNode::Here(alice()));
    assert_eq!(told_by_server(&asked), [(alice(), Said::Knock)]);
    assert_eq!(asked.len(), 1, "no frame is told to make a signal of its addresses");

    let granting = door_of(alice(), &[TRAP], Some(away().persona(SITE).grant()));
    let (_, dial) = introduced_in(&lab.server(says(alice(), us(), &Said::Door(Box::new(granting))))).unwrap();
    assert!(!dial.direct, "what a stranger grants us is no reason to show ourselves");
    let Door::Address { proxies, .. } = dial.door else { panic!("{dial:?}") };
    assert_eq!(proxies, [PROXY], "and it doesn't choose where our browser sends to");
}

#[test]
fn a_stranger_whose_door_the_server_tells_is_dialled_there_and_not_knocked_on() {
    let mut lab = strangers();
    let door = |of| ToNode::Door(Box::new(door_of(of, &[TRAP], None)));
    assert_eq!(lab.server(door(alice())), [], "nobody asked for it");
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    assert_eq!(lab.server(door(peer(1))), []);
    let dialled = lab.server(door(alice()));
    let (link, dial) = introduced_in(&dialled).unwrap();
    assert_eq!((at(&dial), told_by_server(&dialled)), ((false, &[PROXY][..]), vec![]), "over our own server");
    assert_eq!(lab.server(ToNode::Here(alice())), []);
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    assert_eq!(told_by_server(&lab.within(Duration::from_millis(500))), [(alice(), Said::Knock)], "it led nowhere");
}

#[test]
fn who_dials_before_it_is_registered_looks_the_peer_up_then() {
    let mut lab = Lab::new().among_strangers();
    lab.admit(TAB, SITE);
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let entered = lab.register(vec![PROXY]);
    assert!(entered.contains(&send(ToServer::Lookup(alice()))) && told_by_server(&entered).is_empty(), "{entered:?}");
    assert!(dialled_in(&lab.server(ToNode::Door(Box::new(door_of(alice(), &[TRAP], None))))).is_some());
}

#[test]
fn who_has_a_reason_does_not_dial_the_door_that_the_server_tells() {
    let mut lab = Lab::new();
    lab.admit(TAB, SITE);
    lab.register(vec![PROXY]);
    lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice(), address: None });
    let told = lab.server(ToNode::Door(Box::new(door_of(alice(), &[TRAP], None))));
    assert_eq!(dials_in(&told), []);
    let dials = dials_in(&lab.server(ToNode::Here(alice())));
    assert!(matches!(&dials[..], [Dial { door: Door::Signals, .. }]), "{dials:?}");
}

#[test]
fn the_server_is_told_the_door_of_who_serves_something_for_as_long_as_that_is_so() {
    let told = |outputs: Vec<Output>| {
        let door = |it| {
            if let Output::Uplink(UplinkCommand::Send(ToServer::Door { door, .. })) = it { Some(door) } else { None }
        };
        outputs.into_iter().filter_map(door).collect::<Vec<_>>()
    };
    let ours = Some(Box::new(address_of_site(&CERTIFICATE)));
    let mut lab = strangers();
    lab.frame(TAB, ToLeader::Serve(TAG));
    lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(CERTIFICATE) });
    let outputs = lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
    assert_eq!(told(outputs), std::slice::from_ref(&ours));
    assert_eq!(told(lab.frame(TAB, ToLeader::Unserve(TAG))), [None]);
    assert_eq!(told(lab.server(says(alice(), us(), &Said::Knock))), [], "it is told to who knocks");
    assert_eq!(told(lab.frame(TAB, ToLeader::Serve(TAG))), [ours]);
    lab.admit(OTHER, SITE);
    assert_eq!(told(lab.input(Input::FrameGone(TAB))), [None], "the page that served is gone");
}

#[test]
fn a_door_that_we_did_not_ask_for_or_of_another_is_not_dialled() {
    let mut lab = strangers();
    let door = |of| Said::Door(Box::new(door_of(of, &[TRAP], None)));
    assert_eq!(lab.server(says(alice(), us(), &door(alice()))), []);
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    assert_eq!(lab.server(says(alice(), us(), &door(peer(1)))), [], "the door of somebody else");
    assert_eq!(lab.server(says(peer(1), us(), &door(peer(1)))), []);
    assert!(dialled_in(&lab.server(says(alice(), us(), &door(alice())))).is_some());
    assert_eq!(lab.server(says(alice(), us(), &door(alice()))), [], "once");
}

#[test]
fn a_member_of_a_topic_is_dialled_at_its_door_once_for_each_knock() {
    let mut lab = in_lobby();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, ToLeader::Hide(true));
    let named = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    assert_eq!(told_by_server(&named), [(alice(), Said::Knock)], "who hides shows members nothing");
    let door = || says(alice(), us(), &Said::Door(Box::new(door_of(alice(), &[TRAP], None))));
    let (_, link) = dialled_in(&lab.server(door())).unwrap();
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    assert_eq!(lab.server(door()), [], "it would have us dial as often as it likes");
    let named = ToNode::Members { topic: LOBBY, key: us(), members: vec![peer(1)] };
    lab.server(named);
    let stranger = says(peer(2), us(), &Said::Door(Box::new(door_of(peer(2), &[TRAP], None))));
    assert_eq!(lab.server(stranger), []);
}

#[test]
fn two_who_show_themselves_for_reasons_that_the_other_lacks_meet_at_a_door() {
    let mut lab = in_lobby();
    let named = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    let (_, link) = dialled_in(&named).unwrap();
    lab.link(link, LinkEvent::Signal(vec![4]));
    let hers = lab.server(dials(alice()));
    assert!(
        matches!(&told_by_server(&hers)[..], [(_, Said::Door(_))]),
        "she accepted us, and left the topic: {hers:?}"
    );
    let door = Said::Door(Box::new(door_of(alice(), &[TRAP], None)));
    let met = lab.server(says(alice(), us(), &door));
    assert!(met.contains(&command(TAB, link, LinkCommand::HangUp)), "{met:?}");
    assert!(matches!(introduced_in(&met), Some((_, Dial { door: Door::Address { .. }, .. }))));
    assert_eq!(told_by_server(&lab.server(dials(alice()))), [], "her signals are beside the point now");
}

#[test]
fn a_common_peer_that_leads_nowhere_is_not_asked_to_knock_again() {
    let (mut lab, link, named) = named_by_common_peer();
    let over = |it: &Output| matches!(it, Output::Frame(_, ToFrame::Link(on, LinkCommand::Send(_))) if *on == link);
    assert!(named.iter().any(over) && told_by_server(&named).is_empty(), "{named:?}");
    lab.peer(link, &Control::Unreachable(peer(1)));
    lab.frame(TAB, ToLeader::Dial { request: 2, peer: peer(1), address: None });
    let again = lab.server(ToNode::Here(peer(1)));
    assert_eq!(told_by_server(&again), [(peer(1), Said::Knock)], "{again:?}");
}

#[test]
fn a_common_peer_that_keeps_knocks_to_itself_is_not_asked_again_at_once() {
    let (mut lab, _, _) = named_by_common_peer();
    let again = lab.frame(TAB, ToLeader::Dial { request: 2, peer: peer(1), address: None });
    assert_eq!(told_by_server(&again), [(peer(1), Said::Knock)], "{again:?}");
}

#[test]
fn strangers_who_fill_all_links_give_way_to_who_comes_to_the_door() {
    let mut lab = at_door();
    let mut come = |n: u8| {
        let (link, outputs) = comes_to_door(&mut lab, peer(n));
        // It has us believe that its sessions talk with ours.
        lab.peer(link, &Packet { to: us(), from: peer(n), ..speaks() });
        (link, outputs)
    };
    let links: Vec<LinkId> = (0..24).map(|n| come(n).0).collect();
    for (n, gone) in (24..64).zip(&links[8..]) {
        assert!(
            come(n).1.contains(&command(TAB, *gone, LinkCommand::HangUp)),
            "{n}: who came before, but for the first"
        );
    }
}

#[test]
fn a_peer_that_the_site_accepted_does_not_give_way_to_strangers() {
    let mut lab = at_door();
    let mut come = |n: u8| {
        let (link, _) = comes_to_door(&mut lab, peer(n));
        lab.frame(TAB, accepts(peer(n)));
        lab.peer(link, &Packet { to: us(), from: peer(n), ..speaks() });
        link
    };
    let links: Vec<LinkId> = (0..24).map(&mut come).collect();
    assert!(links.iter().all(|link| lab.node.links.table().up(*link).is_some()));
    let (link, outputs) = comes_to_door(&mut lab, peer(24));
    assert!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)));
}

#[test]
fn whoever_came_leaves_room_for_what_the_site_itself_dials_and_not_for_what_its_sessions_seek() {
    let mut lab = at_door();
    let mut come = |n: u8| {
        let (link, _) = comes_to_door(&mut lab, peer(n));
        if n >= 8 {
            lab.frame(TAB, accepts(peer(n)));
        }
        lab.peer(link, &Packet { to: us(), from: peer(n), ..speaks() });
        link
    };
    let links: Vec<LinkId> = (0..24).map(&mut come).collect();
    let says_door = |lab: &mut Lab, of| lab.server(ToNode::Door(Box::new(door_of(of, &[&PROXY.to_string()], None))));
    let body = Body::Sealed { counter: 1, sealed: vec![1] };
    lab.frame(TAB, ToLeader::Packet(Packet { to_frame: Some(THIRD), body, ..speaks() }));
    assert_eq!(dialled_in(&says_door(&mut lab, alice())), None, "or each would drive out the other for ever");

    let mut dials = |n: u8| {
        lab.frame(TAB, ToLeader::Dial { request: n.into(), peer: peer(n), address: None });
        let outputs = says_door(&mut lab, peer(n));
        if let Some((_, link)) = dialled_in(&outputs) {
            lab.link(link, LinkEvent::Up(peer(n)));
        }
        outputs
    };
    let (strangers, accepted) = links.split_at(8);
    for (n, gone) in (30..).zip(strangers.iter().rev().chain(accepted.iter().rev())) {
        let outputs = dials(n);
        assert_eq!(outputs[0], command(TAB, *gone, LinkCommand::HangUp), "{n}: strangers, then the latest");
        assert!(dialled_in(&outputs).is_some(), "{n}: {outputs:?}");
    }
    assert_eq!(dialled_in(&dials(60)), None, "the site dialled all of them");
}

#[test]
fn what_a_site_dialled_is_made_again_though_others_came_meanwhile() {
    let mut lab = at_door();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let door = || ToNode::Door(Box::new(door_of(alice(), &[&PROXY.to_string()], None)));
    let (_, link) = dialled_in(&lab.server(door())).unwrap();
    lab.link(link, LinkEvent::Up(alice()));
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    for n in 0..24 {
        let (link, _) = comes_to_door(&mut lab, peer(n));
        lab.frame(TAB, accepts(peer(n)));
        lab.peer(link, &Packet { to: us(), from: peer(n), ..speaks() });
    }
    let body = Body::Sealed { counter: 1, sealed: vec![1] };
    lab.frame(TAB, ToLeader::Packet(Packet { to_frame: Some(THIRD), body, ..speaks() }));
    assert!(dialled_in(&lab.server(door())).is_some());
}

#[test]
fn strangers_at_the_door_drive_out_neither_the_last_neighbours_of_a_topic_nor_whom_the_site_dialled() {
    let mut lab = in_lobby();
    let mut come = |n: u8| {
        let link = if matches!(n, 8 | 9) {
            // They show that they are members.
            let signal = sealed_for(LOBBY, peer(n), us(), &dial(1));
            let (_, link) = dialled_in(&lab.server(ToNode::Signal { from: peer(n), to: us(), signal })).unwrap();
            lab.link(link, LinkEvent::Up(peer(n)));
            link
        } else {
            comes_to_door(&mut lab, peer(n)).0
        };
        if n == 10 {
            lab.frame(TAB, ToLeader::Dial { request: 9, peer: peer(10), address: None });
        } else {
            // Those at the door say so.
            lab.peer(link, &in_topic(peer(n), LOBBY));
        }
        lab.peer(link, &Packet { to: us(), from: peer(n), ..speaks() });
        link
    };
    let links: Vec<LinkId> = (0..64).map(&mut come).collect();
    let stay: Vec<usize> = (0..64).filter(|n| lab.node.links.table().up(links[*n]).is_some()).collect();
    assert_eq!(stay[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(stay.len(), 24);
}

#[test]
fn strangers_at_many_doors_leave_each_a_few_places_and_drive_nobody_out() {
    let mut lab = at_door();
    let (accepted, _) = comes_to_door(&mut lab, alice());
    lab.frame(TAB, accepts(alice()));
    let opened: Vec<Vec<LinkId>> = (1..10)
        .map(|n| {
            let (frame, origin) = (FrameId::from_random([n; 16]), format!("https://{n}.example"));
            let owner = Owner::Persona(home().persona(&origin).id());
            lab.now = lab.now + Duration::from_millis(100);
            lab.admit(frame, &origin);
            lab.frame(frame, ToLeader::Serve(TAG));
            lab.frame(frame, ToLeader::Certified { owner, outcome: Ok(CERTIFICATE) });
            let mut open = || introduced_in(&lab.server(dialled(token(owner, &CERTIFICATE)))).map(|(link, _)| link);
            (0..40).filter_map(|_| open()).collect()
        })
        .collect();
    assert_eq!(opened.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 32, 4, 4, 4, 4, 4, 4]);
    for (link, n) in opened[8].iter().zip(0..) {
        lab.frame(FrameId::from_random([9; 16]), ToLeader::Link(*link, LinkEvent::Up(peer(n))));
    }
    assert!(opened[8].iter().chain([&accepted]).all(|link| lab.node.links.table().up(*link).is_some()));
}

#[test]
fn a_member_for_whom_there_is_no_room_is_told_where_the_door_is() {
    let mut lab = in_lobby();
    certify(&mut lab);
    let member = |n| ToNode::Signal { from: peer(n), to: us(), signal: sealed_for(LOBBY, peer(n), us(), &dial(7)) };
    for n in 0..16 {
        assert!(dialled_in(&lab.server(member(n))).is_some(), "{n}");
    }
    let told = lab.server(member(16));
    assert!(matches!(&told_by_server(&told)[..], [(to, Said::Door(_))] if *to == peer(16)), "{told:?}");
}

#[test]
fn who_does_not_answer_a_knock_is_as_unreachable_as_who_is_not_there() {
    for is_there in [true, false] {
        let mut lab = strangers();
        let mut outputs = lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
        let (mut asked, lookup) = ([0, 0], send(ToServer::Lookup(alice())));
        for _ in 0..140 {
            if outputs.contains(&lookup) {
                asked[0] += 1;
                let answer = if is_there { ToNode::Here(alice()) } else { ToNode::Missing(alice()) };
                outputs = lab.server(answer);
            }
            asked[1] += told_by_server(&outputs).len();
            outputs = lab.within(Duration::from_millis(100));
        }
        let failed = outputs.iter().find_map(|it| match it {
            Output::Frame(_, ToFrame::Asked { outcome: Err(failure), .. }) => Some(failure.clone()),
            _ => None,
        });
        let why =
            if is_there { "it did not answer".to_owned() } else { format!("nobody registered this persona at {URL}") };
        let failure = Failure::new(Code::PeerUnreachable, format!("{}: {why} within 14 s", alice()));
        assert_eq!((failed, asked), (Some(failure), if is_there { [1, 7] } else { [7, 0] }));
    }
}

#[test]
fn a_door_that_nobody_answers_at_is_asked_for_again() {
    let mut lab = strangers();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let door = Said::Door(Box::new(door_of(alice(), &["192.0.2.9:1"], None)));
    let (_, link) = dialled_in(&lab.server(says(alice(), us(), &door))).unwrap();
    assert_eq!(lab.link(link, LinkEvent::Down(DownReason::Closed)), []);
    assert_eq!(told_by_server(&lab.within(Duration::from_millis(500))), [(alice(), Said::Knock)]);
}

#[test]
fn a_browser_that_cannot_connect_does_not_knock() {
    let mut lab = strangers();
    let ask = |request, peer, address| ToLeader::Dial { request, peer, address };
    let (_, link) = dialled_in(&lab.frame(TAB, ask(1, alice(), Some(far_address())))).unwrap();
    lab.link(link, LinkEvent::Down(DownReason::Platform));
    lab.frame(TAB, ask(2, peer(1), None));
    let text = "the browser can't connect: WebRTC's data channels or UDP are missing or blocked";
    let failure = Failure::new(Code::PeerUnreachable, format!("{}: {text}", peer(1)));
    assert_eq!(lab.server(ToNode::Here(peer(1))), [asked(2, Err(failure))], "the site learns why at once");
    lab.within(Duration::from_secs(10));
    lab.frame(TAB, ask(3, peer(2), None));
    assert_eq!(told_by_server(&lab.server(ToNode::Here(peer(2)))), [(peer(2), Said::Knock)], "it may have changed");
}

#[test]
fn whoever_proves_our_grant_is_connected_directly_and_nobody_else() {
    let grant = home().persona(SITE).grant();
    let cases = [
        (Some(grant.proof(alice(), us())), true),
        (Some(grant.proof(peer(1), us())), false),
        (Some(Grant([7; 16]).proof(alice(), us())), false),
        (None, false),
    ];
    for (proof, is_direct) in cases {
        let mut lab = at_door();
        let (link, dial) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
        assert!(!dial.direct);
        let outputs = lab.link(link, LinkEvent::Sign { text: identity(us(), alice()), proof });
        assert_eq!(outputs.contains(&command(TAB, link, LinkCommand::GoDirect)), is_direct, "{proof:?}");
    }
}

#[test]
fn an_address_that_was_given_away_with_a_grant_is_dialled_directly() {
    for (grant, is_direct) in [(Some(away().persona(SITE).grant()), true), (None, false)] {
        let (mut lab, address) = (strangers(), door_of(alice(), &["192.0.2.9:1"], grant));
        let outputs = lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: Some(address) });
        let (_, dial) = introduced_in(&outputs).unwrap();
        let Door::Address { proof, proxies, .. } = dial.door else { panic!("{dial:?}") };
        assert_eq!((dial.direct, proof), (is_direct, grant.map(|grant| grant.proof(us(), alice()))));
        assert_eq!(proxies, ["192.0.2.9:1".parse().unwrap()], "the site chose it");
    }
}

#[test]
fn a_peer_that_the_site_accepted_is_connected_directly_for_a_month() {
    let (mut lab, link) = met();
    lab.input(Input::WallClock(DAY));
    let accepted = lab.frame(TAB, accepts(alice()));
    assert!(accepted.contains(&command(TAB, link, LinkCommand::GoDirect)));
    let list = vec![Acquaintance { peer: alice(), at: DAY }];
    let stored = |it: &Output| matches!(it, Output::SaveSite(site) if site.accepted == list);
    assert!(accepted.iter().any(stored), "{accepted:?}");
    assert_eq!(lab.frame(TAB, accepts(alice())), [], "that is no news");

    let site = KnownSite { origin: SITE.into(), accepted: list, ..KnownSite::default() };
    for (days, is_known) in [(31, true), (32, false)] {
        let seeds = vec![Seed::new(SeedId::Server(URL.into()))];
        let mut lab = Lab::with(seeds, vec![site.clone()], Vec::new()).among_strangers();
        lab.input(Input::WallClock(days * DAY));
        lab.admit(TAB, SITE);
        lab.register(vec![PROXY]);
        let outputs = lab.server(dials(alice()));
        assert_eq!(dialled_in(&outputs).is_some(), is_known, "after {days} days");
    }
}

#[test]
fn a_frame_that_tells_the_next_leader_of_a_peer_does_not_have_it_accepted_anew() {
    let mut lab = strangers();
    lab.input(Input::WallClock(40 * DAY));
    let told = lab.frame(TAB, ToLeader::Accepted { peer: alice(), ago_ms: 29 * DAY });
    let list = vec![Acquaintance { peer: alice(), at: 11 * DAY }];
    assert!(told.iter().any(|it| matches!(it, Output::SaveSite(site) if site.accepted == list)), "{told:?}");
    lab.input(Input::WallClock(42 * DAY));
    assert_eq!(dialled_in(&lab.server(dials(alice()))), None);
}

#[test]
fn where_a_stranger_says_that_it_can_be_dialled_is_not_believed() {
    let (mut lab, link) = met();
    lab.peer(link, &Control::Address(door_of(alice(), &[TRAP], None)));
    lab.frame(TAB, ToLeader::Packet(speaks()));
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let again = lab.within(Duration::from_secs(5));
    assert_eq!(dialled_in(&again), None);
    assert!(told_by_server(&again).iter().all(|(_, said)| *said == Said::Knock) && !again.is_empty());
}

#[test]
fn a_link_over_the_server_brings_no_other_link() {
    let (mut lab, link) = met();
    lab.admit(OTHER, SITE);
    assert_eq!(dialled_in(&lab.frame(TAB, ToLeader::Packet(speaks()))), None, "no standby shows where we are");
    assert_eq!(lab.peer(link, &Control::Signal(dial(9))), [], "and none is tried");
    assert_eq!(dialled_in(&lab.frame(TAB, accepts(alice()))), None, "the peer may hide");
    assert_eq!(lab.peer(link, &Control::Signal(dial(8))), []);
    assert_eq!(lab.peer(link, &Control::Signal(dial(9))), []);
    let direct = lab.link(link, LinkEvent::Path(Path::Direct));
    let (frame, standby) = dialled_in(&direct).expect("each knows where the other is");
    assert_eq!(frame, OTHER);
    let signalled = direct.contains(&Output::Frame(OTHER, ToFrame::Link(standby, LinkCommand::Signal(vec![9]))));
    assert!(signalled, "the peer noticed that earlier, and its signal was kept: {direct:?}");
}

#[test]
fn members_of_a_topic_read_where_we_are_and_nobody_else_does() {
    let mut lab = in_lobby();
    let named = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    let (_, link) = dialled_in(&named).unwrap();
    let outputs = lab.link(link, LinkEvent::Signal(b"192.0.2.7".to_vec()));
    let Some(Output::Uplink(UplinkCommand::Send(ToServer::Signal { signal, .. }))) = outputs.first() else {
        panic!("{outputs:?}")
    };
    let opened = opened_as(us(), alice(), signal);
    let Said::Topics(said) = &opened.said else { panic!("it is for everybody: {opened:?}") };
    let bytes = codec::encode(said);
    assert!(!bytes.windows(9).any(|part| part == b"192.0.2.7"), "whom the server invents can't read it");
    let read = |topic| said.open(&matching(topic), [us(), alice()], &opened.nonce);
    assert_eq!((read(LOBBY).map(|it| it.blob).as_deref(), read(ELSEWHERE)), (Some(b"192.0.2.7".as_slice()), None));

    let answer = Signal { answers: Some(number(link)), ..dial(8) };
    assert_eq!(lab.server(signals(alice(), us(), answer.clone())), [], "an answer of one who doesn't show the topic");
    let matched = ToNode::Signal { from: alice(), to: us(), signal: sealed_for(LOBBY, alice(), us(), &answer) };
    assert_eq!(lab.server(matched), [command(TAB, link, LinkCommand::Signal(vec![9]))]);
}

#[test]
fn whom_the_server_names_in_a_topic_is_dialled_by_signals_though_its_door_is_being_dialled() {
    let mut lab = in_lobby();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let door = Said::Door(Box::new(door_of(alice(), &["192.0.2.9:1"], None)));
    let (_, link) = dialled_in(&lab.server(says(alice(), us(), &door))).unwrap();
    let named = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    assert!(named.contains(&command(TAB, link, LinkCommand::HangUp)));
    let (_, dial) = introduced_in(&named).unwrap();
    assert_eq!(dial.door, Door::Signals, "who went and came back may listen at its door no longer");
}

#[test]
fn a_door_that_was_closed_while_the_server_began_to_listen_is_opened_again() {
    let mut lab = strangers();
    lab.frame(TAB, ToLeader::Serve(TAG));
    lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(CERTIFICATE) });
    lab.frame(TAB, ToLeader::Leaving { moves: false });
    lab.admit(OTHER, OTHER_SITE);
    lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
    let back = lab.frame(THIRD, ToLeader::Hello(hello(THIRD, SITE)));
    let asks = |it: &Output| matches!(it, Output::Uplink(UplinkCommand::Send(ToServer::Listen { .. })));
    assert!(back.iter().any(asks), "{back:?}");
}

#[test]
fn a_member_who_dials_is_answered_for_members_alone_and_others_at_the_door() {
    let mut lab = in_lobby();
    let by_topic = |topic, from, to| sealed_for(topic, from, to, &dial(7));
    let sent = |signal| ToNode::Signal { from: alice(), to: us(), signal };
    let other = lab.server(sent(by_topic(ELSEWHERE, alice(), us())));
    assert!(matches!(&told_by_server(&other)[..], [(_, Said::Door(_))]), "{other:?}");
    // What somebody sealed for another link in the topic, in alice's own signal.
    let carried = opened_as(alice(), peer(1), &by_topic(LOBBY, alice(), peer(1))).said;
    let carried = lab.server(says(alice(), us(), &carried));
    assert!(matches!(&told_by_server(&carried)[..], [(_, Said::Door(_))]), "{carried:?}");

    let (_, link) = dialled_in(&lab.server(sent(by_topic(LOBBY, alice(), us())))).expect("she is in it");
    let answer = told_by_server(&lab.link(link, LinkEvent::Signal(vec![4])));
    assert!(matches!(&answer[..], [(_, Said::Topics(_))]), "{answer:?}");
}

#[test]
fn who_hides_is_reached_over_the_server_only() {
    let (mut lab, link) = met();
    lab.frame(TAB, joins(1, LOBBY));
    lab.frame(TAB, accepts(alice()));
    lab.frame(TAB, ToLeader::Packet(speaks()));
    assert_eq!(lab.frame(TAB, ToLeader::Hide(true)), [], "a site can't have that");
    lab.admit(THIRD, PAGE);
    let hidden = lab.frame(THIRD, ToLeader::Hide(true));
    assert!(hidden.contains(&command(TAB, link, LinkCommand::HangUp)), "{hidden:?}");
    let again = lab.within(Duration::from_secs(1));
    assert_eq!((told_by_server(&again).first(), dialled_in(&again)), (Some(&(alice(), Said::Knock)), None));

    assert!(!lab.frame(TAB, accepts(peer(1))).iter().any(|it| matches!(it, Output::Frame(..))));
    let member = ToNode::Signal { from: peer(2), to: us(), signal: sealed_for(LOBBY, peer(2), us(), &dial(7)) };
    for dial in [member, signals(peer(1), us(), dial(7))] {
        let outputs = lab.server(dial);
        assert_eq!(dialled_in(&outputs), None, "neither a member's nor an acquaintance's");
        assert!(matches!(&told_by_server(&outputs)[..], [(_, Said::Door(_))]), "{outputs:?}");
    }
    let address = door_of(peer(3), &[TRAP], Some(NodeSecret::new([103; 32]).persona(SITE).grant()));
    let (link, dial) =
        introduced_in(&lab.frame(TAB, ToLeader::Dial { request: 2, peer: peer(3), address: Some(address) })).unwrap();
    let Door::Address { proxies, .. } = dial.door else { panic!() };
    assert_eq!((dial.direct, proxies), (false, vec![PROXY]));
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    let proof = Some(home().persona(SITE).grant().proof(peer(4), us()));
    let outputs = lab.link(link, LinkEvent::Sign { text: identity(us(), peer(4)), proof });
    assert!(!outputs.contains(&command(TAB, link, LinkCommand::GoDirect)));
}

#[test]
fn what_the_person_decided_where_a_frame_was_before_counts_if_nothing_was_decided_since() {
    let (mut lab, link) = met();
    lab.frame(TAB, accepts(alice()));
    let hiding = |hides, decided| Hiding { hides, decided };
    let brings = |frame, hiding| ToLeader::Hello(Hello { hiding, ..hello(frame, SITE) });
    let brought = lab.frame(OTHER, brings(OTHER, hiding(true, 7)));
    assert!(brought.contains(&command(TAB, link, LinkCommand::HangUp)), "{brought:?}");
    assert!(brought.contains(&Output::Frame(TAB, ToFrame::Hides(hiding(true, 7)))), "it carries that on, too");
    let stored = |it: &Output| matches!(it, Output::SaveSite(site) if site.origin == PAGE && site.hiding.hides);
    assert!(brought.iter().any(stored), "the store that should have had it may have been unreadable");

    let welcomed = lab.frame(THIRD, brings(THIRD, hiding(false, 6)));
    let welcome =
        |it: &Output| matches!(it, Output::Frame(THIRD, ToFrame::Welcome(it)) if it.hiding == hiding(true, 7));
    assert!(welcomed.iter().any(welcome), "{welcomed:?}");
    assert_eq!(dialled_in(&lab.server(dials(alice()))), None);
    lab.frame(THIRD, brings(THIRD, hiding(false, 8)));
    assert!(dialled_in(&lab.server(dials(alice()))).is_some());
}

#[test]
fn who_no_longer_hides_goes_directly_to_those_that_the_site_accepted() {
    let mut lab = at_door();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, ToLeader::Hide(true));
    lab.frame(TAB, accepts(alice()));
    let links = [alice(), peer(1)].map(|peer| {
        let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
        lab.link(link, LinkEvent::Sign { text: identity(us(), peer), proof: None });
        lab.link(link, LinkEvent::Up(peer));
        link
    });
    let shown = lab.frame(THIRD, ToLeader::Hide(false));
    let goes_direct = links.map(|link| shown.contains(&command(TAB, link, LinkCommand::GoDirect)));
    assert_eq!(goes_direct, [true, false]);
}

#[test]
fn a_persona_of_the_same_node_is_met_at_its_door_like_any_stranger() {
    let mut lab = at_door();
    lab.admit(OTHER, OTHER_SITE);
    let other = home().persona(OTHER_SITE).id();
    let asked = lab.frame(OTHER, ToLeader::Dial { request: 1, peer: us(), address: None });
    assert_eq!(asked, [send(ToServer::Lookup(us()))]);
    assert_eq!(told_by_server(&lab.server(ToNode::Here(us()))), [(us(), Said::Knock)]);
    let answered = lab.server(says(other, us(), &Said::Knock));
    assert!(matches!(&told_by_server(&answered)[..], [(to, Said::Door(_))] if *to == other), "{answered:?}");
}

/// Alice is met in the lobby, or at an address with her grant, and says on the link where she can be dialled. Then the link breaks, and no
/// server has her.
fn told_and_lost(by_grant: bool, meanwhile: impl FnOnce(&mut Lab, LinkId)) -> Vec<Dial> {
    let mut lab = in_lobby();
    let (link, _) = if by_grant {
        let address = Some(door_of(alice(), &["192.0.2.9:1"], Some(secret_of(alice()).grant())));
        introduced_in(&lab.frame(TAB, ToLeader::Dial { request: 9, peer: alice(), address })).unwrap()
    } else {
        let dial = sealed_for(LOBBY, alice(), us(), &dial(7));
        introduced_in(&lab.server(ToNode::Signal { from: alice(), to: us(), signal: dial })).unwrap()
    };
    lab.link(link, LinkEvent::Up(alice()));
    lab.peer(link, &Control::Address(door_of(alice(), &[TRAP], Some(secret_of(alice()).grant()))));
    meanwhile(&mut lab, link);
    lab.frame(TAB, ToLeader::Packet(speaks()));
    lab.link(link, LinkEvent::Down(DownReason::Closed));

    let mut outputs = no_server_has_alice(&mut lab);
    outputs.extend(lab.within(Duration::from_secs(20)));
    dials_in(&outputs).into_iter().filter(|dial| matches!(dial.door, Door::Address { .. })).collect()
}

/// She is dialled again, by signals or knocks, and the server doesn't know her.
fn no_server_has_alice(lab: &mut Lab) -> Vec<Output> {
    let mut outputs = lab.within(Duration::from_secs(2));
    if let Some((_, again)) = dialled_in(&outputs) {
        lab.link(again, LinkEvent::Signal(vec![4]));
    }
    outputs.extend(lab.server(ToNode::Unreachable { from: us(), to: alice() }));
    outputs
}

fn at(dial: &Dial) -> (bool, &[SocketAddr]) {
    let Door::Address { proxies, .. } = &dial.door else { panic!("{dial:?}") };
    (dial.direct, proxies)
}

#[test]
fn an_address_that_was_told_for_a_topic_is_no_reason_once_that_is_left() {
    let dials = told_and_lost(false, |lab, link| {
        lab.frame(TAB, ToLeader::Leave(LOBBY));
        lab.frame(TAB, joins(2, ELSEWHERE));
        lab.peer(link, &in_topic(alice(), ELSEWHERE));
    });
    assert!(!dials.is_empty());
    for dial in dials {
        assert_eq!(at(&dial), (false, &[PROXY][..]), "as any stranger's");
    }
}

#[test]
fn what_a_peer_only_says_to_be_in_is_no_reason_because_a_link_at_its_address_came_up() {
    let mut lab = in_lobby();
    let dial = sealed_for(LOBBY, alice(), us(), &dial(7));
    let (link, _) = introduced_in(&lab.server(ToNode::Signal { from: alice(), to: us(), signal: dial })).unwrap();
    lab.link(link, LinkEvent::Up(alice()));
    let address = Control::Address(door_of(alice(), &[TRAP], None));
    lab.peer(link, &address);
    lab.frame(TAB, joins(2, ELSEWHERE));
    lab.peer(link, &in_topic(alice(), LOBBY));
    lab.peer(link, &in_topic(alice(), ELSEWHERE));
    lab.input(Input::Uplink(UplinkEvent::Closed));
    lab.link(link, LinkEvent::Down(DownReason::Closed));

    let trap: SocketAddr = TRAP.parse().unwrap();
    let second = lab.within(Duration::from_secs(2));
    assert_eq!(dials_in(&second).first().map(at), Some((true, &[trap][..])), "the lobby is a reason still");
    let (_, second) = dialled_in(&second).unwrap();
    lab.link(second, LinkEvent::Up(alice()));
    lab.peer(second, &address);
    lab.peer(second, &in_topic(alice(), ELSEWHERE));
    lab.frame(TAB, ToLeader::Leave(LOBBY));
    lab.link(second, LinkEvent::Down(DownReason::Closed));
    let third = dials_in(&lab.within(Duration::from_secs(20)));
    assert!(third.iter().all(|dial| at(dial) == (false, &[PROXY][..])), "{third:?}");
}

#[test]
fn a_topic_is_no_reason_for_ever_because_a_link_was_made_for_it_twice() {
    let dials = told_and_lost(false, |lab, link| {
        lab.peer(link, &in_topic(alice(), LOBBY));
        lab.frame(TAB, ToLeader::Packet(speaks()));
        lab.link(link, LinkEvent::Down(DownReason::Closed));
        let outputs = no_server_has_alice(lab);
        let at_address = |it: &&Output| {
            matches!(it, Output::Frame(_, ToFrame::Link(_, LinkCommand::Dial(Dial { door: Door::Address { .. }, .. }))))
        };
        let Some(Output::Frame(_, ToFrame::Link(second, _))) = outputs.iter().find(at_address) else {
            panic!("{outputs:?}")
        };
        lab.link(*second, LinkEvent::Up(alice()));
        lab.peer(*second, &Control::Address(door_of(alice(), &[TRAP], Some(secret_of(alice()).grant()))));
        lab.frame(TAB, joins(2, ELSEWHERE));
        lab.peer(*second, &in_topic(alice(), ELSEWHERE));
        lab.frame(TAB, ToLeader::Leave(LOBBY));
        lab.frame(TAB, ToLeader::Packet(speaks()));
        lab.link(*second, LinkEvent::Down(DownReason::Closed));
    });
    assert!(!dials.is_empty());
    for dial in dials {
        assert_eq!(at(&dial), (false, &[PROXY][..]));
    }
}

#[test]
fn an_address_that_was_told_is_dialled_as_long_as_there_is_a_reason() {
    for by_grant in [false, true] {
        let join = |lab: &mut Lab, link: LinkId| drop(lab.peer(link, &in_topic(alice(), LOBBY)));
        let dials = told_and_lost(by_grant, |lab, link| {
            if by_grant { drop(lab.frame(TAB, ToLeader::Leave(LOBBY))) } else { join(lab, link) }
        });
        let trap: SocketAddr = TRAP.parse().unwrap();
        assert_eq!(dials.first().map(at), Some((true, &[trap][..])), "by grant: {by_grant}");
    }
}

#[test]
fn a_link_that_was_direct_under_the_leader_before_is_no_reason_for_the_next_one() {
    let mut lab = Lab::new().among_strangers();
    let link = LinkId { epoch: Epoch(2), number: 6 };
    let links =
        vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }];
    lab.frame(TAB, ToLeader::Hello(Hello { links, ..hello(TAB, SITE) }));
    lab.register(vec![PROXY]);
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let outputs = lab.server(dials(alice()));
    assert_eq!(dialled_in(&outputs), None, "{outputs:?}");
}

const ELSEWHERE: TopicId = TopicId([4; 32]);

/// The site accepts a peer now.
fn accepts(peer: PersonaId) -> ToLeader {
    ToLeader::Accepted { peer, ago_ms: 0 }
}

/// Who is to be dialled, in order.
fn dials_in(outputs: &[Output]) -> Vec<Dial> {
    let dial = |it: &Output| match it {
        Output::Frame(_, ToFrame::Link(_, LinkCommand::Dial(dial))) => Some(dial.clone()),
        _ => None,
    };
    outputs.iter().filter_map(dial).collect()
}

/// One frame among strangers, registered at a server that forwards.
fn strangers() -> Lab {
    let mut lab = Lab::new().among_strangers();
    lab.admit(TAB, SITE);
    lab.register(vec![PROXY]);
    lab
}

/// And its site serves something: it has a door.
pub(super) fn at_door() -> Lab {
    let mut lab = strangers();
    lab.frame(TAB, ToLeader::Serve(TAG));
    certify(&mut lab);
    lab
}

fn certify(lab: &mut Lab) {
    lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(CERTIFICATE) });
    lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
}

/// Alice dialled the door, and is linked over the server.
fn met() -> (Lab, LinkId) {
    let mut lab = at_door();
    let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    lab.link(link, LinkEvent::Sign { text: identity(us(), alice()), proof: None });
    lab.link(link, LinkEvent::Up(alice()));
    (lab, link)
}

/// The person hides, and a peer names another in a topic: it is to knock there. And what follows.
fn named_by_common_peer() -> (Lab, LinkId, Vec<Output>) {
    let (mut lab, link) = met();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, ToLeader::Hide(true));
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &in_topic(alice(), LOBBY));
    let named = lab.peer(link, &TopicMessage::Members { topic: LOBBY, members: vec![peer(1)] });
    (lab, link, named)
}

/// Somebody comes to the site's door, where there is room to open, and says who it is. And what follows.
pub(super) fn comes_to_door(lab: &mut Lab, peer: PersonaId) -> (LinkId, Vec<Output>) {
    let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).expect("there is room to open");
    (link, lab.link(link, LinkEvent::Up(peer)))
}

/// A door, and the site is in a topic.
fn in_lobby() -> Lab {
    let mut lab = at_door();
    lab.frame(TAB, joins(1, LOBBY));
    lab
}

/// What a session of the site's says to alice.
fn speaks() -> Packet {
    Packet { to: alice(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() }
}

/// Where a persona of another node says that its door is.
fn door_of(of: PersonaId, proxies: &[&str], grant: Option<Grant>) -> Address {
    let proxies: Vec<SocketAddr> = proxies.iter().map(|at| at.parse().unwrap()).collect();
    Address::sign(Owner::Persona(of), [7; 32], &proxies, CERTIFICATE.expires, grant, |text| secret_of(of).sign(text))
}
