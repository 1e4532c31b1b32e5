//! Addresses: made, published, told, dialled; and strangers who dial ours.

use bitters_machine::Machine;
use std::net::SocketAddr;

use bitters_wire::{
    address::{Address, Owner, Token, stun_of},
    local::{Certificate, Dial, Door},
    rendezvous::{IceCredentials, IceEnds, listen_text},
};

use super::{lab::*, *};
use crate::{Kept, pair::Pair};

#[test]
fn an_address_is_a_certificate_a_servers_ear_and_a_signature() {
    let mut lab = at_server();

    assert_eq!(lab.frame(TAB, ToLeader::Address { request: 7 }), [certify(site())]);
    let certified = lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(CERTIFICATE) });
    assert_eq!(certified, [Output::SaveCertificate(site(), KEPT), listen(site(), &CERTIFICATE)]);
    let told = lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
    assert_eq!(told, [address_told(7, Ok(granting(&CERTIFICATE).to_string()))]);

    let again = lab.frame(TAB, ToLeader::Address { request: 8 });
    assert_eq!(again, [address_told(8, Ok(granting(&CERTIFICATE).to_string()))], "at once");
}

#[test]
fn a_stored_address_is_answered_as_long_as_its_persona_is_here() {
    let mut lab = Lab::with_certificates(vec![(site(), KEPT)]);
    lab.admit(TAB, SITE);
    assert!(lab.register(vec![PROXY]).contains(&listen(site(), &CERTIFICATE)), "nobody needs to ask again");

    lab.admit(OTHER, "https://other.example");
    let left = lab.frame(TAB, ToLeader::Leaving { moves: false });
    assert!(left.contains(&send(ToServer::Unlisten(token(site(), &CERTIFICATE)))));
    let back = lab.frame(THIRD, ToLeader::Hello(hello(THIRD, SITE)));
    assert!(back.contains(&listen(site(), &CERTIFICATE)));
}

#[test]
fn certificates_are_kept_where_all_frames_find_them() {
    let mut lab = Lab::new();
    lab.frame(OTHER, ToLeader::Hello(Hello { remote: true, ..hello(OTHER, SITE) }));
    lab.register(vec![PROXY]);
    lab.frame(TAB, ToLeader::Hello(Hello { visible: false, ..hello(TAB, SITE) }));

    let certified_by = |outputs: Vec<Output>| {
        let asked =
            |it: &Output| if let Output::Frame(frame, ToFrame::Certify { .. }) = it { Some(*frame) } else { None };
        outputs.iter().filter_map(asked).collect::<Vec<_>>()
    };
    let asked = certified_by(lab.frame(OTHER, ToLeader::Address { request: 7 }));
    assert_eq!(asked, [TAB], "not in the database beyond the bridge, though that page is older, and visible");

    lab.frame(THIRD, ToLeader::Hello(Hello { remote: true, ..hello(THIRD, "https://bridged.example") }));
    let asked = certified_by(lab.frame(THIRD, ToLeader::Address { request: 8 }));
    assert_eq!(asked, [THIRD], "another persona's pages keep nothing for it");
}

#[test]
fn an_address_is_renewed_long_before_and_both_are_answered() {
    let mut lab = Lab::with_certificates(vec![(site(), KEPT)]);
    lab.input(Input::WallClock(CERTIFICATE.expires - 179 * DAY));
    lab.admit(TAB, SITE);
    let outputs = lab.register(vec![PROXY]);
    assert!(outputs.contains(&certify(site())) && outputs.contains(&listen(site(), &CERTIFICATE)));

    let next = Certificate { fingerprint: [8; 32], expires: CERTIFICATE.expires + 185 * DAY };
    lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
    let old = lab.frame(TAB, ToLeader::Address { request: 1 });
    assert_eq!(old, [address_told(1, Ok(granting(&CERTIFICATE).to_string()))], "it is good meanwhile");
    let certified = lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(next) });
    let kept =
        Kept { fingerprint: next.fingerprint, expires: next.expires, made: Some(CERTIFICATE.expires - 179 * DAY) };
    assert_eq!(certified, [Output::SaveCertificate(site(), kept), listen(site(), &next)]);
    lab.server(ToNode::Listening(token(site(), &next)));
    let new = lab.frame(TAB, ToLeader::Address { request: 2 });
    assert_eq!(new, [address_told(2, Ok(granting(&next).to_string()))]);
    for certificate in [CERTIFICATE, next] {
        assert!(introduced_in(&lab.server(dialled(token(site(), &certificate)))).is_some());
    }
}

#[test]
fn who_cannot_have_an_address_is_told_why() {
    let asked = |lab: &mut Lab| lab.frame(TAB, ToLeader::Address { request: 1 });

    let mut alone = Lab::without_server();
    alone.admit(TAB, SITE);
    let none = "no server is known to be reached at: the node's seeds name none";
    assert_eq!(asked(&mut alone), [address_told(1, Err(Failure::new(Code::Unsupported, none)))]);

    let mut plain = Lab::registered();
    let none = format!("{URL} doesn't forward, so there is no address to be reached at");
    assert_eq!(asked(&mut plain), [address_told(1, Err(Failure::new(Code::Unsupported, none)))]);

    let mut unanswered = Lab::new();
    unanswered.admit(TAB, SITE);
    assert_eq!(asked(&mut unanswered), []);
    let late = "no server that this node could be reached at answered in time";
    let told = unanswered.later(Duration::from_secs(15));
    assert!(told.contains(&address_told(1, Err(Failure::new(Code::Timeout, late)))), "{told:?}");

    let mut refused = at_server();
    asked(&mut refused);
    let told = refused.frame(TAB, ToLeader::Certified { owner: site(), outcome: Err("no database".into()) });
    assert!(told.contains(&address_told(1, Err(Failure::new(Code::Unsupported, "no database")))), "{told:?}");
}

#[test]
fn certificates_that_cannot_be_kept_are_tried_a_dozen_times_in_an_hour() {
    let mut lab = at_server();
    let link = lab.dialled(dials(alice()));
    lab.frame(TAB, joins(1, LOBBY));
    let mut outputs = lab.link(link, LinkEvent::Up(alice()));
    lab.peer(link, &in_topic(alice(), LOBBY));
    let (end, mut tries) = (lab.now + Duration::from_secs(3600), 0);
    while lab.now < end {
        while let Some(at) = outputs.iter().position(|it| *it == certify(site())) {
            tries += 1;
            assert!(tries < 20, "{tries} by {:?}", lab.now);
            outputs.remove(at);
            outputs = lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Err("no room".into()) });
        }
        let due = lab.node.poll_timeout().expect("it is tried again");
        outputs = lab.later(due.since(lab.now));
    }
    assert!(tries > 10, "{tries}");

    let told = lab.frame(TAB, ToLeader::Address { request: 1 });
    assert!(told.contains(&address_told(1, Err(Failure::new(Code::Unsupported, "no room")))), "at once: {told:?}");
}

#[test]
fn a_page_that_makes_no_certificate_keeps_no_other_site_from_a_door() {
    let persona = |origin: &str| home().persona(origin).id();
    let sites = [(TAB, SITE), (OTHER, OTHER_SITE)];
    for [(stuck, one), (page, other)] in [sites, [sites[1], sites[0]]] {
        let mut lab = Lab::new().among_strangers();
        lab.admit(stuck, one);
        lab.register(vec![PROXY]);
        let asked = lab.frame(stuck, ToLeader::Serve(TAG));
        assert!(asked.contains(&Output::Frame(stuck, ToFrame::Certify { owner: Owner::Persona(persona(one)) })));
        lab.within_while_frames_answer(Duration::from_secs(180));
        lab.admit(page, other);
        let certify = Output::Frame(page, ToFrame::Certify { owner: Owner::Persona(persona(other)) });
        assert!(lab.frame(page, ToLeader::Serve(TAG)).contains(&certify), "at once");
    }
}

#[test]
fn a_page_that_is_frozen_is_asked_for_a_certificate_when_it_runs_again() {
    let mut lab = at_server();
    lab.admit(OTHER, SITE);
    assert_eq!(lab.frame(TAB, ToLeader::Serve(TAG)), [certify(site())]);
    let frozen = lab.frame(TAB, ToLeader::Frozen(true));
    assert!(frozen.contains(&Output::Frame(OTHER, ToFrame::Certify { owner: site() })), "{frozen:?}");
    lab.frame(OTHER, ToLeader::Frozen(true));
    let certifies =
        |outputs: &[Output]| outputs.iter().any(|it| matches!(it, Output::Frame(_, ToFrame::Certify { .. })));
    assert!(!certifies(&lab.within(Duration::from_secs(3600))), "nobody could make it");
    assert!(lab.frame(TAB, ToLeader::Frozen(false)).contains(&certify(site())), "at once: that was no failure");
}

#[test]
fn certificates_of_thirty_days_are_renewed_after_fifteen() {
    let made = 29_000_000 * 60_000;
    let mut fresh = at_server();
    fresh.input(Input::WallClock(made));
    fresh.frame(TAB, ToLeader::Address { request: 1 });
    let short = Certificate { fingerprint: [9; 32], expires: made + 30 * DAY };
    let certified = fresh.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(short) });
    let kept = Kept { fingerprint: [9; 32], expires: short.expires, made: Some(made) };
    assert_eq!(certified, [Output::SaveCertificate(site(), kept), listen(site(), &short)]);

    for (day, is_renewed) in [(14, false), (15, true)] {
        let mut later = Lab::with_certificates(vec![(site(), kept)]);
        later.input(Input::WallClock(made + day * DAY));
        later.admit(TAB, SITE);
        let outputs = later.register(vec![PROXY]);
        assert_eq!(outputs.contains(&certify(site())), is_renewed, "on day {day}");
    }
}

#[test]
fn a_certificate_that_nobody_asked_for_is_not_taken() {
    let mut lab = at_server();
    let told = |owner| ToLeader::Certified { owner, outcome: Ok(CERTIFICATE) };
    assert_eq!(lab.frame(TAB, told(site())), []);
    lab.frame(TAB, ToLeader::Address { request: 1 });
    assert_eq!(lab.frame(TAB, told(Owner::Persona(far()))), []);
    lab.admit(OTHER, SITE);
    assert_eq!(lab.frame(OTHER, told(site())), []);
}

#[test]
fn one_site_cannot_ask_for_ever() {
    let mut lab = Lab::new();
    lab.admit(TAB, SITE);
    lab.admit(OTHER, SITE);
    for request in 1..=8 {
        assert_eq!(lab.frame(TAB, ToLeader::Address { request }), []);
        assert_eq!(lab.frame(OTHER, ToLeader::Address { request }), []);
    }
    let refused = Failure::new(Code::Quota, "this site asks for too many addresses");
    assert_eq!(lab.frame(TAB, ToLeader::Address { request: 9 }), [address_told(9, Err(refused))]);
}

#[test]
fn a_dial_at_an_address_needs_no_server() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let address = far_address();

    let outputs = lab.frame(TAB, ToLeader::Dial { request: 1, peer: far(), address: Some(address.clone()) });
    let (_, link) = dialled_in(&outputs).expect("it dials");
    let dial = Dial { own: us(), peer: Some(far()), door: door(&address), direct: true, stun: vec![stun_of(PROXY)] };
    assert_eq!(outputs, [command(TAB, link, LinkCommand::Dial(dial))]);

    assert_eq!(
        lab.link(link, LinkEvent::Up(far())),
        [said(link, &Control::Switch), asked(1, Ok(())), Output::Frame(TAB, ToFrame::Peers(1))]
    );
}

#[test]
fn an_address_that_leads_nowhere_says_why() {
    let failed = |text: String| [asked(1, Err(Failure::new(Code::PeerUnreachable, text)))];
    let ask = || ToLeader::Dial { request: 1, peer: far(), address: Some(far_address()) };
    let lab = || {
        let mut lab = Lab::without_server();
        lab.admit(TAB, SITE);
        lab
    };

    let mut expired = lab();
    expired.input(Input::WallClock(CERTIFICATE.expires));
    assert_eq!(expired.frame(TAB, ask()), failed(format!("{}: the address has expired", far())));

    let mut silent = lab();
    let (_, link) = dialled_in(&silent.frame(TAB, ask())).unwrap();
    let told = silent.later(Duration::from_secs(15));
    assert!(told.contains(&command(TAB, link, LinkCommand::HangUp)));
    assert!(told.iter().any(|it| matches!(it, Output::Frame(_, ToFrame::Asked { outcome: Err(_), .. }))), "{told:?}");

    let mut down = lab();
    let (_, link) = dialled_in(&down.frame(TAB, ask())).unwrap();
    let told = down.link(link, LinkEvent::Down(DownReason::Closed));
    assert_eq!(told, failed(format!("{}: the connection to it failed", far())));

    let mut other = lab();
    let (_, link) = dialled_in(&other.frame(TAB, ask())).unwrap();
    let told = other.link(link, LinkEvent::Up(PersonaId([9; 32])));
    let [failed] = failed(format!("{}: it did not prove who it is", far()));
    assert_eq!(told, [command(TAB, link, LinkCommand::HangUp), failed]);
}

#[test]
fn a_stranger_who_dials_an_address_of_ours_becomes_a_link() {
    let mut lab = listening();
    let outputs = lab.server(dialled(token(site(), &CERTIFICATE)));
    let (link, dial) = introduced_in(&outputs).expect("it is answered");
    let door = Door::Introduced { fingerprint: CERTIFICATE.fingerprint, proxies: vec![PROXY] };
    assert_eq!(dial, Dial { own: us(), peer: None, door, direct: false, stun: vec![stun_of(PROXY)] });
    assert_eq!(outputs[1], command(TAB, link, LinkCommand::Signal(vec![9])));

    let answered = lab.link(link, LinkEvent::Signal(vec![4]));
    assert_eq!(answered, [send(ToServer::Answer { passage: 5, signal: vec![4] })]);
    let text = identity(us(), alice());
    let signed = LinkCommand::Signed(home().persona(SITE).sign(&text.to_bytes()));
    let outputs = lab.link(link, LinkEvent::Sign { text, proof: None });
    assert_eq!(outputs, [command(TAB, link, signed), command(TAB, link, LinkCommand::GoDirect)], "the site knows her");
    let told = [
        said(link, &Control::Switch),
        said(link, &Control::Address(address_of_site(&CERTIFICATE))),
        Output::Frame(TAB, ToFrame::Peers(1)),
    ];
    assert_eq!(lab.link(link, LinkEvent::Up(alice())), told);

    assert_eq!(path(&mut lab), Path::Proxied);
    lab.link(link, LinkEvent::Path(Path::Relayed));
    assert_eq!(path(&mut lab), Path::Relayed);
    let [ours, theirs] =
        ["ours", "theirs"].map(|ufrag| IceCredentials { ufrag: ufrag.into(), password: "p".repeat(24) });
    let ends = IceEnds { ours, theirs };
    let forward = lab.link(link, LinkEvent::Forward(Some(ends.clone())));
    assert_eq!(forward, [send(ToServer::Forward { passage: 5, ends: Some(ends) })]);
}

#[test]
fn strangers_at_addresses_that_we_do_not_have_or_too_many_are_left_out() {
    let mut lab = listening();
    assert_eq!(lab.server(dialled(Token([0; 6]))), []);
    let mut let_in = 0;
    for _ in 0..40 {
        let_in += usize::from(introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).is_some());
    }
    assert_eq!(let_in, 32);
}

#[test]
fn nothing_but_the_end_of_our_own_link_is_signed_for_a_stranger() {
    for text in [identity(alice(), us()), identity(us(), us())] {
        let mut lab = listening();
        let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
        assert_eq!(lab.link(link, LinkEvent::Sign { text, proof: None }), [command(TAB, link, LinkCommand::HangUp)]);
    }
}

#[test]
fn a_peer_learns_where_we_can_be_dialled_and_we_learn_where_it_can() {
    let mut lab = at_server();
    let link = lab.dialled(dials(alice()));
    assert!(lab.link(link, LinkEvent::Up(alice())).contains(&certify(site())));
    lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(CERTIFICATE) });
    let told = lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
    assert_eq!(told, [said(link, &Control::Address(address_of_site(&CERTIFICATE)))]);

    assert_eq!(lab.peer(link, &Control::Address(far_address())), []);
    let pair = Pair { own: us(), peer: alice() };
    assert_eq!(lab.node.links.table().address(pair).map(|(address, _)| address), Some(&far_address()));
    let punished = lab.peer(link, &Control::Address(address_of_site(&CERTIFICATE)));
    assert!(punished.contains(&command(TAB, link, LinkCommand::HangUp)), "an address that isn't its own: {punished:?}");
}

#[test]
fn a_broken_link_is_dialled_at_the_peers_address_when_no_server_helps() {
    let mut lab = Lab::with_seeds(vec![Seed::at(far_address())]);
    let outputs = lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    let (_, link) = dialled_in(&outputs).expect("a cold start dials seeds without a server");
    let dial =
        Dial { own: us(), peer: Some(far()), door: door(&far_address()), direct: true, stun: vec![stun_of(PROXY)] };
    assert!(outputs.contains(&command(TAB, link, LinkCommand::Dial(dial.clone()))));

    lab.link(link, LinkEvent::Up(far()));
    lab.peer(link, &Control::Address(far_address()));
    let packet = Packet { to: far(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() };
    lab.frame(TAB, ToLeader::Packet(packet));
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let again = lab.later(Duration::from_millis(400));
    let (_, next) = dialled_in(&again).expect("sessions want it");
    assert!(again.contains(&command(TAB, next, LinkCommand::Dial(dial))));
}

/// A peer that was in a topic of ours, that the server knows no longer, and that is dialled where it said that it can be.
fn dialled_at_its_address() -> (Lab, LinkId, Dial) {
    let (mut lab, link) = linked_and_listening();
    lab.peer(link, &Control::Address(far_address()));
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &in_topic(alice(), LOBBY));
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let (_, in_vain) = dialled_in(&lab.later(Duration::from_millis(400))).expect("the topic wants it");
    lab.link(in_vain, LinkEvent::Signal(vec![4]));
    let unknown = lab.server(ToNode::Unreachable { from: us(), to: alice() });
    let (link, dial) = introduced_in(&unknown).expect("maybe a proxy knows it");
    (lab, link, dial)
}

#[test]
fn a_dial_at_an_address_that_gave_way_to_the_peers_goes_on_soon_after_that_failed() {
    let (mut lab, ours, _) = dialled_at_its_address();
    let outputs = lab.server(dials(alice()));
    assert!(outputs.contains(&command(TAB, ours, LinkCommand::HangUp)), "one of the two is enough");
    let (theirs, _) = introduced_in(&outputs).expect("it is answered");
    let failed = lab.link(theirs, LinkEvent::Down(DownReason::Closed));
    assert_eq!(dialled_in(&failed), None, "not at once");
    assert!(dialled_in(&lab.within(Duration::from_secs(2))).is_some());
}

#[test]
fn a_peer_that_was_away_and_is_named_by_the_server_is_dialled_by_signals_at_once() {
    let (mut lab, link, dial) = dialled_at_its_address();
    assert_eq!(dial.door, door(&far_address()));

    let named = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    let (next, dial) = introduced_in(&named).expect("it is back");
    assert_eq!(dial.door, Door::Signals);
    assert!(named.contains(&command(TAB, link, LinkCommand::HangUp)));

    let signal = Signal { attempt: number(next), answers: None, blob: vec![5] };
    let told = [(us(), alice(), signal)];
    assert_eq!(signalled(&lab.link(next, LinkEvent::Signal(vec![5]))), told);
    let again = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    assert_eq!(signalled(&again), told, "the page that had it may be gone");
    let answer = Signal { attempt: 8, answers: Some(number(next)), blob: vec![6] };
    lab.server(signals(alice(), us(), answer));
    let again = lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    assert_eq!(signalled(&again), told, "so may the page that answered");
    assert_eq!(again.len(), 1, "and if it isn't, the attempt goes on");
}

#[test]
fn a_cold_start_dials_a_few_addresses_of_personas_at_once() {
    let of_node = |n: u8| {
        let node = NodeSecret::new([n; 32]);
        let owner = Owner::Node(node.id());
        Seed::at(Address::sign(owner, [n; 32], &[PROXY], CERTIFICATE.expires, None, |text| node.sign(text)))
    };
    let seeds = (2..12).map(|n| if n < 7 { of_node(n) } else { Seed::at(address_of(n)) });
    let mut lab = Lab::with_seeds(seeds.collect());
    let dialled = |outputs: &[Output]| {
        let peer = |it: &Output| match it {
            Output::Frame(_, ToFrame::Link(_, LinkCommand::Dial(dial))) => Some((dial.own, dial.peer)),
            _ => None,
        };
        outputs.iter().filter_map(peer).collect::<Vec<_>>()
    };
    let mut personas: Vec<PersonaId> = (7..12).map(|n| NodeSecret::new([n; 32]).persona(SITE).id()).collect();
    personas.sort_unstable();
    let best = |own| personas[..3].iter().map(|peer| (own, Some(*peer))).collect::<Vec<_>>();
    assert_eq!(dialled(&lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)))), best(us()));
    assert_eq!(dialled(&lab.frame(OTHER, ToLeader::Hello(hello(OTHER, SITE)))), [], "once");

    let other = "https://other.example";
    let outputs = lab.frame(THIRD, ToLeader::Hello(hello(THIRD, other)));
    assert_eq!(dialled(&outputs), best(home().persona(other).id()), "each persona for itself");
}

#[test]
fn addresses_that_the_node_ships_with_are_dialled_when_no_server_is_reachable() {
    let mut lab = Lab::with_seeds(vec![seed(URL), Seed::at(far_address())]);
    assert_eq!(dialled_in(&lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)))), None);
    let outputs = lab.input(Input::Uplink(UplinkEvent::Closed));
    let (_, link) = dialled_in(&outputs).expect("the server isn't there");
    let dial =
        Dial { own: us(), peer: Some(far()), door: door(&far_address()), direct: true, stun: vec![stun_of(PROXY)] };
    assert!(outputs.contains(&command(TAB, link, LinkCommand::Dial(dial))));
    let reached = Seed { latency_ms: Some(0), ..Seed::at(far_address()) };
    assert_eq!(
        lab.link(link, LinkEvent::Up(far())),
        [Output::SaveSeed(reached), said(link, &Control::Switch), Output::Frame(TAB, ToFrame::Peers(1))]
    );
}

#[test]
fn a_leader_that_takes_over_dials_seeds_only_if_no_frame_brings_a_link() {
    let known = |links| Hello { known: true, links, ..hello(OTHER, SITE) };
    let first = || {
        let mut lab = Lab::with_seeds(vec![Seed::at(far_address())]);
        let outputs = lab.frame(TAB, ToLeader::Hello(Hello { known: true, ..hello(TAB, SITE) }));
        assert_eq!(dialled_in(&outputs), None);
        lab
    };

    let mut brought = first();
    let link = LinkId { epoch: Epoch(2), number: 9 };
    let held = HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND };
    brought.frame(OTHER, ToLeader::Hello(known(vec![held])));
    assert_eq!(dialled_in(&brought.later(Duration::from_secs(2))), None);

    let mut alone = first();
    alone.frame(OTHER, ToLeader::Hello(known(Vec::new())));
    assert!(dialled_in(&alone.later(Duration::from_secs(2))).is_some());
}

#[test]
fn of_two_links_that_cross_the_one_of_the_lower_persona_stays() {
    for ours_first in [true, false] {
        let mut lab = listening();
        let outputs = lab.frame(TAB, ToLeader::Dial { request: 1, peer: far(), address: Some(far_address()) });
        let (_, ours) = dialled_in(&outputs).unwrap();
        let (theirs, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
        let order = if ours_first { [ours, theirs] } else { [theirs, ours] };
        let first = lab.link(order[0], LinkEvent::Up(far()));
        assert!(first.contains(&asked(1, Ok(()))), "{first:?}");
        let second = lab.link(order[1], LinkEvent::Up(far()));
        let (over, kept) = if us() < far() { (theirs, ours) } else { (ours, theirs) };
        assert!(second.contains(&command(TAB, over, LinkCommand::HangUp)), "{second:?}");
        assert_eq!(lab.node.links.table().up_to(Pair { own: us(), peer: far() }), Some(kept));
    }
}

#[test]
fn a_peer_that_comes_back_before_its_old_link_is_missed_is_followed_by_its_first_word() {
    let (mut lab, old) = linked_and_listening();
    let (new, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    assert_eq!(lab.link(new, LinkEvent::Up(far())), [], "the peer may use it");
    assert!(!lab.later(Duration::from_millis(2999)).contains(&command(TAB, new, LinkCommand::HangUp)));

    let address = Control::Address(address_of_site(&CERTIFICATE));
    assert_eq!(
        lab.peer(new, &Control::Switch),
        [
            command(TAB, old, LinkCommand::HangUp),
            said(new, &Control::Switch),
            said(new, &Control::Switched),
            said(new, &address)
        ]
    );
    assert!(!lab.later(Duration::from_secs(59)).contains(&command(TAB, new, LinkCommand::HangUp)));
}

#[test]
fn a_link_that_the_dialler_has_no_use_for_is_hung_up() {
    let (mut lab, _) = linked_and_listening();
    let (new, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    lab.link(new, LinkEvent::Up(far()));
    assert!(lab.later(Duration::from_secs(3)).contains(&command(TAB, new, LinkCommand::HangUp)));
}

#[test]
fn two_addresses_of_one_persona_are_not_dialled_at_once() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let persona = away().persona(SITE);
    let sign = |text: &[u8]| persona.sign(text);
    let another = Address::sign(Owner::Persona(far()), [8; 32], &[PROXY], CERTIFICATE.expires, None, sign);
    let ask = |request, address| ToLeader::Dial { request, peer: far(), address: Some(address) };
    let (_, link) = dialled_in(&lab.frame(TAB, ask(1, far_address()))).unwrap();
    assert_eq!(lab.frame(TAB, ask(2, another)), []);
    let up = lab.link(link, LinkEvent::Up(far()));
    let done = [asked(1, Ok(())), asked(2, Ok(()))];
    assert_eq!(up, [&[said(link, &Control::Switch)], &done[..], &[Output::Frame(TAB, ToFrame::Peers(1))]].concat());
}

#[test]
fn a_dial_that_comes_up_long_after_the_peers_is_no_crossing() {
    let mut lab = listening();
    let outputs = lab.frame(TAB, ToLeader::Dial { request: 1, peer: far(), address: Some(far_address()) });
    let (_, ours) = dialled_in(&outputs).unwrap();
    let (theirs, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    lab.link(theirs, LinkEvent::Up(far()));
    lab.now = lab.now + Duration::from_secs(5);
    assert_eq!(lab.link(ours, LinkEvent::Up(far())), [], "it stands by: nothing is said on it");
    let hang_up = command(TAB, ours, LinkCommand::HangUp);
    assert!(lab.later(Duration::from_secs(3)).contains(&hang_up), "the peer has no use for it");
    assert_eq!(lab.node.links.table().up_to(Pair { own: us(), peer: far() }), Some(theirs));
}

#[test]
fn a_peer_that_is_linked_anew_has_no_new_budget() {
    let mut lab = listening();
    let mut said = 0;
    for _ in 0..3 {
        let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
        lab.link(link, LinkEvent::Up(alice()));
        let punished = command(TAB, link, LinkCommand::HangUp);
        while said < 20_000 && !lab.peer(link, &Control::Switch).contains(&punished) {
            said += 1;
        }
    }
    assert!(said < 5000, "{said}");
}

#[test]
fn a_dial_outlives_the_frame_that_carried_it() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    lab.admit(OTHER, SITE);
    let ask = ToLeader::Dial { request: 1, peer: far(), address: Some(far_address()) };
    let (carrier, _) = dialled_in(&lab.frame(OTHER, ask)).unwrap();
    assert_eq!(carrier, TAB);

    let gone = lab.input(Input::FrameGone(TAB));
    let (next, link) = dialled_in(&gone).expect("it is dialled again");
    assert_eq!(next, OTHER);
    let done = Output::Frame(OTHER, ToFrame::Asked { request: 1, outcome: Ok(()) });
    assert!(lab.link_in(OTHER, link, LinkEvent::Up(far())).contains(&done));
}

pub(super) const DAY: u64 = 24 * 60 * 60 * 1000;
pub(super) const PROXY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)), 3478);
pub(super) const CERTIFICATE: Certificate = Certificate { fingerprint: [7; 32], expires: 30_000_000 * 60_000 };
pub(super) const KEPT: Kept = Kept { fingerprint: CERTIFICATE.fingerprint, expires: CERTIFICATE.expires, made: None };

pub(super) fn site() -> Owner {
    Owner::Persona(us())
}

fn far() -> PersonaId {
    alice()
}

/// The address of the peer's persona.
pub(super) fn far_address() -> Address {
    let persona = away().persona(SITE);
    Address::sign(Owner::Persona(far()), [7; 32], &[PROXY], CERTIFICATE.expires, None, |text| persona.sign(text))
}

/// The address of the site's persona on the node of this number.
fn address_of(n: u8) -> Address {
    let persona = NodeSecret::new([n; 32]).persona(SITE);
    let owner = Owner::Persona(persona.id());
    Address::sign(owner, [n; 32], &[PROXY], CERTIFICATE.expires, None, |text| persona.sign(text))
}

pub(super) fn address_of_site(certificate: &Certificate) -> Address {
    let persona = home().persona(SITE);
    Address::sign(site(), certificate.fingerprint, &[PROXY], certificate.expires, None, |text| persona.sign(text))
}

/// The same, as a site is told it.
fn granting(certificate: &Certificate) -> Address {
    let persona = home().persona(SITE);
    let (fingerprint, grant) = (certificate.fingerprint, Some(persona.grant()));
    Address::sign(site(), fingerprint, &[PROXY], certificate.expires, grant, |text| persona.sign(text))
}

fn door(address: &Address) -> Door {
    let (fingerprint, token, proxies) = (*address.fingerprint(), address.token(), address.proxies().to_vec());
    Door::Address { fingerprint, token, proxies, proof: None }
}

pub(super) fn token(owner: Owner, certificate: &Certificate) -> Token {
    Token::of(owner, &certificate.fingerprint)
}

/// One frame, registered at a server that forwards.
fn at_server() -> Lab {
    let mut lab = Lab::new();
    lab.admit(TAB, SITE);
    lab.register(vec![PROXY]);
    lab
}

/// And the server listens at the site's address.
pub(super) fn listening() -> Lab {
    let mut lab = at_server();
    lab.frame(TAB, ToLeader::Address { request: 99 });
    lab.frame(TAB, ToLeader::Certified { owner: site(), outcome: Ok(CERTIFICATE) });
    lab.server(ToNode::Listening(token(site(), &CERTIFICATE)));
    lab
}

/// And a peer dialled it that we are linked with since.
fn linked_and_listening() -> (Lab, LinkId) {
    let mut lab = listening();
    let (link, _) = introduced_in(&lab.server(dialled(token(site(), &CERTIFICATE)))).unwrap();
    lab.link(link, LinkEvent::Sign { text: identity(us(), alice()), proof: None });
    lab.link(link, LinkEvent::Up(alice()));
    (lab, link)
}

fn certify(owner: Owner) -> Output {
    Output::Frame(TAB, ToFrame::Certify { owner })
}

fn listen(owner: Owner, certificate: &Certificate) -> Output {
    let text = listen_text(&NONCE, SERVER, token(owner, certificate));
    let signature = home().persona(SITE).sign(&text);
    send(ToServer::Listen { owner, fingerprint: certificate.fingerprint, signature })
}

fn address_told(request: u32, outcome: Result<String, Failure>) -> Output {
    Output::Frame(TAB, ToFrame::Address { request, outcome })
}

pub(super) fn dialled(token: Token) -> ToNode {
    ToNode::Dialled { passage: 5, token, signal: vec![9] }
}

pub(super) fn introduced_in(outputs: &[Output]) -> Option<(LinkId, Dial)> {
    outputs.iter().find_map(|it| match it {
        Output::Frame(_, ToFrame::Link(link, LinkCommand::Dial(dial))) => Some((*link, dial.clone())),
        _ => None,
    })
}

pub(super) fn identity(signer: PersonaId, other: PersonaId) -> IdentityText {
    let end = |id, byte| IdentityEnd { id, fingerprint: [byte; 32], nonce: [byte; 16] };
    IdentityText { signer_is_a: true, a: end(signer, 1), b: end(other, 2) }
}

fn path(lab: &mut Lab) -> Path {
    lab.admit(THIRD, PAGE);
    let outputs = lab.frame(THIRD, ToLeader::Status);
    let status = outputs.iter().find_map(|it| match it {
        Output::Frame(_, ToFrame::Status(status)) => Some(status),
        _ => None,
    });
    status.and_then(|status| status.peers.first()).expect("one peer").path
}
