//! What the person lets sites do, and who their frames are because of that.

use bitters_wire::{
    permission::{Permission, SiteStatus},
    status::{FrameStatus, PeerStatus, Scope},
};

use super::{lab::*, *};
use crate::pair::Pair;

#[test]
fn observing_is_given_and_taken_back_at_once() {
    let mut lab = Lab::without_server();
    watch(&mut lab, TAB, SITE);
    lab.admit(OTHER, PAGE);

    let permissions = |observe| Permissions { observe, ..Permissions::default() };
    let kept = |observe| Output::SaveSite(KnownSite { permissions: permissions(observe), ..visited(SITE) });
    let told = |observe| Output::Frame(TAB, ToFrame::Permissions(permissions(observe)));
    lab.later(Duration::from_millis(100));
    let outputs = permit(&mut lab, OTHER, SITE, Permission::Observe, Answer::Yes);
    assert_eq!(outputs[..2], [told(Answer::Yes), kept(Answer::Yes)]);
    assert_eq!(statuses_to(TAB, &outputs).map(|it| it.frames.len()), [2]);
    assert_eq!(permit(&mut lab, OTHER, SITE, Permission::Observe, Answer::Yes), [], "no news");

    lab.later(Duration::from_millis(100));
    let outputs = permit(&mut lab, OTHER, SITE, Permission::Observe, Answer::No);
    assert_eq!(outputs[..2], [told(Answer::No), kept(Answer::No)]);
    assert_eq!(statuses_to(TAB, &outputs).map(|it| (it.frames.len(), it.leader)), [(1, None)]);
}

#[test]
fn a_no_of_the_persons_wins_over_what_is_configured() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, "https://observer.example");
    permit(&mut lab, TAB, "https://observer.example", Permission::Observe, Answer::No);
    let welcome = welcome_in(&lab.frame(OTHER, ToLeader::Hello(hello(OTHER, "https://observer.example"))));
    assert_eq!(welcome.permissions.observe, Answer::No);
}

#[test]
fn a_site_answers_for_itself_only_and_nobody_for_the_page() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    lab.admit(OTHER, PAGE);
    assert_eq!(permit(&mut lab, TAB, "https://b.example", Permission::Join, Answer::Yes), []);
    assert_eq!(permit(&mut lab, TAB, PAGE, Permission::Observe, Answer::No), []);
    assert_eq!(permit(&mut lab, OTHER, PAGE, Permission::Observe, Answer::No), []);
    let kept = Permissions { join: Answer::Yes, ..Permissions::default() };
    assert_eq!(
        permit(&mut lab, TAB, SITE, Permission::Join, Answer::Yes),
        [
            Output::Frame(TAB, ToFrame::Permissions(kept)),
            Output::SaveSite(KnownSite { permissions: kept, ..visited(SITE) })
        ]
    );
}

#[test]
fn answers_come_as_fast_as_a_person_clicks() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let flips = (0..100).filter(|n| {
        let answer = if n % 2 == 0 { Answer::Yes } else { Answer::No };
        !permit(&mut lab, TAB, SITE, Permission::Join, answer).is_empty()
    });
    assert_eq!(flips.count(), 20);
}

#[test]
fn one_id_on_every_site_needs_consent_and_one_node_for_all_sites() {
    let mut lab = Lab::without_server();
    let wants = |frame, scope| Hello { identity: Identity::Person, scope, ..hello(frame, SITE) };
    let welcomed = |lab: &mut Lab, frame, scope| {
        let welcome = welcome_in(&lab.frame(frame, ToLeader::Hello(wants(frame, scope))));
        (welcome.identity, welcome.persona)
    };
    let own = (Identity::Site, home().persona(SITE));
    assert_eq!(welcomed(&mut lab, TAB, Scope::Browser), own);
    permit(&mut lab, TAB, SITE, Permission::Person, Answer::Yes);
    assert_eq!(welcomed(&mut lab, OTHER, Scope::Browser), (Identity::Person, home().person()));
    assert_eq!(welcomed(&mut lab, THIRD, Scope::Site), own);
}

#[test]
fn a_frame_becomes_the_person_and_a_site_again() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, ToLeader::Hello(Hello { identity: Identity::Person, links: held(link), ..hello(TAB, SITE) }));
    lab.frame(TAB, joins(1, LOBBY));
    lab.frame(TAB, ToLeader::Serve(TAG));
    let (site, person) = (home().persona(SITE), home().person());
    let peer = alice();
    let packet = |from: &PersonaSecret| Packet {
        to: peer,
        to_frame: None,
        from: from.id(),
        from_frame: TAB,
        session: SESSION,
        body: open(),
    };
    lab.frame(TAB, ToLeader::Packet(packet(&site)));

    let outputs = permit(&mut lab, TAB, SITE, Permission::Person, Answer::Yes);
    let registered = |persona: &PersonaSecret| {
        let key = persona.id();
        send(ToServer::Register { key, signature: persona.sign(&register_text(&NONCE, SERVER, key)) })
    };
    assert_eq!(
        outputs[..6],
        [
            said(link, &Control::FrameGone(TAB)),
            command(TAB, link, LinkCommand::HangUp),
            registered(&person),
            send(ToServer::Advertise { topic: LOBBY, key: person.id() }),
            send(ToServer::Withdraw { topic: LOBBY, key: site.id() }),
            send(ToServer::Unregister(site.id())),
        ]
    );
    let welcome = welcome_in(&outputs);
    assert_eq!(
        (welcome.identity, welcome.persona, welcome.permissions.person),
        (Identity::Person, person.clone(), Answer::Yes)
    );
    assert_eq!(lab.node.frames.server(person.id(), TAG), Some(TAB), "it serves what it served");
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet(&site))), [], "it speaks for that no longer");

    let outputs = permit(&mut lab, TAB, SITE, Permission::Person, Answer::No);
    assert_eq!((welcome_in(&outputs).identity, welcome_in(&outputs).persona), (Identity::Site, site.clone()));
    assert!(outputs.contains(&registered(&site)) && outputs.contains(&send(ToServer::Unregister(person.id()))));
}

#[test]
fn two_sites_with_the_persons_id_are_one_to_others() {
    let mut lab = Lab::registered();
    for (frame, origin) in [(OTHER, "https://a.example"), (THIRD, "https://b.example")] {
        lab.admit_person(frame, origin);
    }
    let person = home().person().id();
    let link = lab.linked_in(OTHER, Pair { own: person, peer: alice() });
    let joined = said_in(OTHER, link, &in_topic(person, LOBBY));
    let left = said_in(OTHER, link, &left(person, LOBBY));
    let join = joins(1, LOBBY);
    lab.frame(OTHER, join.clone());
    assert!(lab.peer_in(OTHER, link, &in_topic(alice(), LOBBY)).contains(&joined));
    assert!(!lab.frame(THIRD, join).contains(&joined), "it is there already");

    let publish = page_says(2, LOBBY, vec![7]);
    let heard = heard(THIRD, person, LOBBY, vec![7]);
    assert!(lab.frame(OTHER, publish).contains(&heard), "another site of the same persona hears it");

    lab.frame(THIRD, ToLeader::Serve(TAG));
    let packet = Packet { to: person, to_frame: None, from: alice(), from_frame: TAB, session: SESSION, body: open() };
    let delivered = Output::Frame(THIRD, ToFrame::Packet(packet.clone()));
    assert!(lab.peer_in(OTHER, link, &packet).contains(&delivered), "whoever serves it");

    assert!(!lab.frame(THIRD, ToLeader::Leaving { moves: false }).contains(&left));
    assert!(lab.frame(OTHER, ToLeader::Leave(LOBBY)).contains(&left));
}

#[test]
fn a_site_keeps_the_persona_that_it_brings_to_a_node_that_never_met_it() {
    let mut lab = Lab::without_server();
    let brings = |frame, origin, scope, brought: &PersonaSecret| Hello {
        brings: Some(brought.clone()),
        scope,
        ..hello(frame, origin)
    };
    let welcomed = |lab: &mut Lab, hello: Hello| {
        let outputs = lab.frame(hello.frame, ToLeader::Hello(hello));
        (welcome_in(&outputs).persona, outputs)
    };
    let (first, second) = (PersonaSecret::new([8; 32]), PersonaSecret::new([9; 32]));
    let (persona, outputs) = welcomed(&mut lab, brings(TAB, SITE, Scope::Browser, &first));
    assert_eq!(persona, first);
    let kept = KnownSite { brought: Some(first.clone()), ..visited(SITE) };
    assert_eq!(outputs.last(), Some(&Output::SaveSite(kept)));

    let (persona, _) = welcomed(&mut lab, brings(OTHER, SITE, Scope::Browser, &second));
    assert_eq!(persona, first, "the node knows it");
    let (persona, _) = welcomed(&mut lab, brings(THIRD, "https://b.example", Scope::Browser, &first));
    assert_eq!(persona, home().persona("https://b.example"), "that is another's");

    let (persona, outputs) = welcomed(&mut lab, brings(OTHER, SITE, Scope::Site, &second));
    assert_eq!(persona, second, "it came home");
    let moved =
        outputs.iter().filter(|it| matches!(it, Output::Frame(TAB, ToFrame::Welcome(it)) if it.persona == second));
    assert_eq!(moved.count(), 1, "its other frames are the same");
}

#[test]
fn a_site_that_was_here_before_keeps_its_persona() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    lab.frame(TAB, ToLeader::Leaving { moves: false });
    let brings = Hello { brings: Some(PersonaSecret::new([8; 32])), ..hello(OTHER, SITE) };
    assert_eq!(welcome_in(&lab.frame(OTHER, ToLeader::Hello(brings))).persona, home().persona(SITE));
}

#[test]
fn the_nodes_page_is_told_of_all_sites() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    lab.admit(OTHER, "https://observer.example");
    let site = |origin: &str, frames, observe, refused| SiteStatus {
        origin: origin.into(),
        frames,
        permissions: Permissions { observe, ..Permissions::default() },
        refused,
        ..SiteStatus::default()
    };
    let observer = site("https://observer.example", 1, Answer::Yes, 0);
    let outputs = watch(&mut lab, THIRD, PAGE);
    assert_eq!(sites_told(&outputs), [vec![observer.clone(), site(SITE, 1, Answer::Ask, 0)]]);

    lab.frame(TAB, page_says(1, LOBBY, vec![1]));
    assert_eq!(sites_told(&lab.later(Duration::from_millis(100))), Vec::<Vec<SiteStatus>>::new(), "it was no quota");
    for n in 0..21 {
        let answer = if n % 2 == 0 { Answer::No } else { Answer::Ask };
        permit(&mut lab, TAB, SITE, Permission::Observe, answer);
    }
    assert_eq!(
        sites_told(&lab.later(Duration::from_millis(100))),
        [vec![observer.clone(), site(SITE, 1, Answer::Ask, 1)]]
    );
    lab.frame(TAB, ToLeader::Leaving { moves: false });
    assert_eq!(sites_told(&lab.later(Duration::from_millis(100))), [vec![observer, site(SITE, 0, Answer::Ask, 1)]]);
}

#[test]
fn the_node_s_page_that_changes_too_much_is_told_what_is_in_force() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    watch(&mut lab, THIRD, PAGE);
    for answer in [Answer::No, Answer::Ask].into_iter().cycle().take(20) {
        permit(&mut lab, THIRD, SITE, Permission::Join, answer);
    }
    assert_eq!(sites_told(&lab.later(Duration::from_millis(100))), Vec::<Vec<SiteStatus>>::new(), "it is as it was");

    let told = sites_told(&permit(&mut lab, THIRD, SITE, Permission::Join, Answer::No));
    assert_eq!(told.iter().map(|sites| sites[0].permissions.join).collect::<Vec<_>>(), [Answer::Ask]);
}

#[test]
fn the_list_of_sites_fits_into_a_message() {
    let sites = (0..2000).map(|n| visited(&format!("https://{n:0280}.example"))).collect();
    let mut lab = Lab::with_sites(sites);
    let told = sites_told(&watch(&mut lab, TAB, PAGE));
    let [sites] = told.as_slice() else { panic!("{} lists", told.len()) };
    let bytes = codec::encode(&ToFrame::Sites(sites.clone())).len();
    assert!((bitters_wire::limits::MAX_LOCAL - 1024..bitters_wire::limits::MAX_LOCAL).contains(&bytes), "{bytes}");
}

#[test]
fn two_sites_of_one_node_look_like_two_of_two_nodes() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, "https://b.example");
    for frame in [TAB, OTHER] {
        lab.frame(frame, joins(1, LOBBY));
    }
    let own = home().persona("https://b.example").id();
    for peer in [us(), alice()] {
        let link = lab.linked_in(OTHER, Pair { own, peer });
        lab.peer_in(OTHER, link, &in_topic(peer, LOBBY));
    }
    let status = |lab: &mut Lab, frame| {
        let outputs = lab.frame(frame, ToLeader::Status);
        let [status] = statuses_to(frame, &outputs);
        status
    };
    let like_any = |peer: PersonaId| PeerStatus {
        id: peer.to_string(),
        persona: None,
        links: 1,
        rtt: None,
        path: Path::Direct,
        frames: Vec::new(),
    };
    let mut peers = [us(), alice()];
    peers.sort_unstable();
    assert_eq!(status(&mut lab, OTHER).peers, peers.map(like_any));

    // The other end of the link between the two isn't there yet: nothing is known of it.
    let tab = status(&mut lab, TAB);
    let frame = FrameStatus { id: TAB, origin: SITE.into(), persona: None, links: 0, visible: true };
    assert_eq!((tab.peers, tab.frames), (Vec::new(), vec![frame]));
}

#[test]
fn a_persona_of_the_same_node_is_sought_and_missed_like_any_other() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, "https://b.example");
    let (here, gone) = (home().persona("https://b.example").id(), home().persona(PAGE).id());
    for (request, peer) in [(1, here), (2, gone), (3, alice())] {
        assert_eq!(lab.frame(TAB, ToLeader::Dial { request, peer, address: None }), [send(ToServer::Lookup(peer))]);
    }
    let asks_again = [here, gone, alice()].map(|peer| {
        assert_eq!(lab.server(ToNode::Missing(peer)), []);
        send(ToServer::Lookup(peer))
    });
    let again = lab.within(Duration::from_millis(250));
    assert!(again.len() == 3 && asks_again.iter().all(|it| again.contains(it)), "{again:?}");
    let ended = lab.within(Duration::from_secs(14));
    let refused = [(1, here), (2, gone), (3, alice())].map(|(request, peer)| {
        let text = format!("{peer}: nobody registered this persona at {URL} within 14 s");
        asked(request, Err(Failure::new(Code::PeerUnreachable, text)))
    });
    assert!(ended.len() == 3 && refused.iter().all(|it| ended.contains(it)), "{ended:?}");
}

fn permit(lab: &mut Lab, frame: FrameId, origin: &str, permission: Permission, answer: Answer) -> Vec<Output> {
    lab.frame(frame, ToLeader::Permit { origin: origin.into(), permission, answer })
}

fn watch(lab: &mut Lab, frame: FrameId, origin: &str) -> Vec<Output> {
    lab.frame(frame, ToLeader::Hello(Hello { watching: true, ..hello(frame, origin) }))
}

fn visited(origin: &str) -> KnownSite {
    KnownSite { origin: origin.into(), visited: Some(0), ..KnownSite::default() }
}

fn held(link: LinkId) -> Vec<HeldLink> {
    vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }]
}

fn welcome_in(outputs: &[Output]) -> Welcome {
    let welcome = outputs.iter().rev().find_map(|it| match it {
        Output::Frame(_, ToFrame::Welcome(welcome)) => Some(welcome.clone()),
        _ => None,
    });
    welcome.unwrap_or_else(|| panic!("{outputs:?}"))
}

pub(super) fn statuses_to<const N: usize>(frame: FrameId, outputs: &[Output]) -> [Status; N] {
    let told = outputs.iter().filter_map(|it| match it {
        Output::Frame(to, ToFrame::Status(status)) if *to == frame => Some(status.clone()),
        _ => None,
    });
    told.collect::<Vec<_>>().try_into().expect("so many")
}

fn sites_told(outputs: &[Output]) -> Vec<Vec<SiteStatus>> {
    let told = outputs.iter().filter_map(|it| match it {
        Output::Frame(_, ToFrame::Sites(sites)) => Some(sites.clone()),
        _ => None,
    });
    told.collect()
}
