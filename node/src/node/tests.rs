//! The machine as its shell sees it. What takes several nodes is told in `tests/sim`.

mod addresses;
mod blocks;
mod early;
mod handover;
mod hanging_up;
mod lab;
mod liveness;
// Half a minute in wasm32, where the same machines are tested by all others.
#[cfg(not(target_family = "wasm"))]
mod pairs;
mod permissions;
mod presence;
mod quotas;
mod rate;
mod reasons;
mod remote;
mod room;
mod signals;
mod standbys;
mod strangers;
mod topics;

use bitters_machine::Machine;
use std::time::Duration;

use bitters_wire::{
    VersionRange, WIRE,
    address::{Address, Owner},
    codec,
    failure::{Code, Failure},
    id::{Epoch, FrameId, LinkId, NodeId, PersonaId, TopicId},
    keys::{NodeSecret, PersonaSecret},
    limits::{MAX_LINK, MAX_SIGNAL},
    link::{Control, LinkMessage, Signal},
    local::{
        Blocked, DownReason, HeldLink, Hello, Hiding, IdentityEnd, IdentityText, LinkCommand, LinkEvent, ServiceReply,
        ToFrame, ToLeader, Welcome,
    },
    packet::{Body, Packet, Refusal},
    permission::{Answer, Permissions},
    rendezvous::{ToNode, ToServer, register_text},
    rpc::Identity,
    status::{Path, PeerStatus, Status},
    topic::TopicMessage,
};
use proptest::prelude::*;

use lab::*;

use crate::{Input, KnownSite, Output, Seed, SeedId, UplinkCommand, UplinkEvent};

#[test]
fn a_frame_is_welcomed_with_its_own_persona_and_watched_once() {
    let mut lab = Lab::without_server();
    let hello = hello(TAB, SITE);

    let welcome = Welcome {
        wire: WIRE.max,
        persona: home().persona(SITE),
        identity: Identity::Site,
        permissions: Permissions::default(),
        peers: 0,
        hiding: Hiding::default(),
        blocked: Blocked::default(),
    };
    let told = Output::Frame(TAB, ToFrame::Welcome(welcome));
    let kept = Output::SaveSite(KnownSite { origin: SITE.into(), visited: Some(0), ..KnownSite::default() });
    assert_eq!(lab.frame(TAB, ToLeader::Hello(hello.clone())), [Output::WatchFrame(TAB), told.clone(), kept]);
    assert_eq!(lab.frame(TAB, ToLeader::Hello(hello)), [told], "a second hello registers again");
}

#[test]
fn a_frame_that_comes_from_another_leader_hears_what_was_said_before_it_came() {
    let mut lab = Lab::without_server();
    let brought = |frame, known| Hello { known, joined: vec![is_in(LOBBY)], ..hello(frame, SITE) };
    lab.frame(TAB, ToLeader::Hello(brought(TAB, true)));
    lab.frame(TAB, page_says(1, LOBBY, vec![7]));

    let told = |frame| heard(frame, us(), LOBBY, vec![7]);
    assert!(lab.frame(OTHER, ToLeader::Hello(brought(OTHER, true))).contains(&told(OTHER)));
    assert!(!lab.frame(OTHER, ToLeader::Hello(brought(OTHER, true))).contains(&told(OTHER)), "it was here");
    assert!(!lab.frame(THIRD, ToLeader::Hello(brought(THIRD, false))).contains(&told(THIRD)), "it begins");
}

#[test]
fn the_nodes_own_page_and_observers_see_the_whole_node() {
    let mut lab = Lab::without_server();
    let observes = |lab: &mut Lab, frame, origin| {
        let outputs = lab.frame(frame, ToLeader::Hello(hello(frame, origin)));
        outputs.iter().any(|it| {
            matches!(
                it,
                Output::Frame(
                    _,
                    ToFrame::Welcome(Welcome { permissions: Permissions { observe: Answer::Yes, .. }, .. })
                )
            )
        })
    };
    assert!(observes(&mut lab, TAB, PAGE));
    assert!(observes(&mut lab, OTHER, "https://observer.example"));
    assert!(!observes(&mut lab, THIRD, SITE));
}

#[test]
fn a_frame_of_another_version_is_refused() {
    let mut lab = Lab::without_server();
    let hello = Hello { wire: VersionRange { min: 9, max: 9 }, ..hello(TAB, SITE) };
    let text = "the frame (new) speaks wire versions 9 to 9, the leader (test) 6 to 6: reload the page";
    let failure = Failure::new(Code::VersionMismatch, text);
    assert_eq!(
        lab.frame(TAB, ToLeader::Hello(hello)),
        [Output::Frame(TAB, ToFrame::Rejected(failure)), Output::ForgetFrame(TAB)]
    );
}

#[test]
fn strangers_and_the_gone_are_not_answered() {
    let mut lab = Lab::without_server();
    assert_eq!(lab.frame(TAB, ToLeader::Status), []);
    assert_eq!(lab.input(Input::FrameGone(TAB)), []);

    lab.admit(TAB, SITE);
    assert_eq!(lab.frame(TAB, ToLeader::Leaving { moves: false }), [Output::ForgetFrame(TAB)]);
    assert_eq!(lab.input(Input::FrameGone(TAB)), []);
    assert_eq!(lab.frame(TAB, ToLeader::Status), []);
}

#[test]
fn the_uplink_registers_personas_and_their_topics() {
    let mut lab = Lab::new();
    let outputs = lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    assert!(outputs.contains(&Output::Uplink(UplinkCommand::Connect(URL.into()))));
    lab.frame(TAB, joins(1, LOBBY));

    lab.input(Input::Uplink(UplinkEvent::Open { server: SERVER.into() }));
    let challenge = ToNode::Challenge { nonce: NONCE, wire: WIRE, unix_ms: 0 };
    assert_eq!(lab.server(challenge), [send(ToServer::Enter(WIRE))]);

    let key = us();
    let signature = home().persona(SITE).sign(&register_text(&NONCE, SERVER, key));
    let seed = Seed { latency_ms: Some(0), ..Seed::new(SeedId::Server(URL.into())) };
    assert_eq!(
        lab.server(ToNode::Entered { proxies: Vec::new() }),
        [
            Output::SaveSeed(seed),
            send(ToServer::Register { key, signature }),
            send(ToServer::Advertise { topic: LOBBY, key }),
        ]
    );
    assert_eq!(
        lab.frame(TAB, ToLeader::Leaving { moves: false }),
        [send(ToServer::Withdraw { topic: LOBBY, key }), send(ToServer::Unregister(key)), Output::ForgetFrame(TAB)]
    );
}

#[test]
fn a_server_that_falls_silent_behind_an_open_socket_is_left_for_another() {
    let second = "wss://second.example/rendezvous";
    let mut lab = Lab::with_seeds(vec![Seed { latency_ms: Some(5), ..seed(URL) }, seed(second)]);
    lab.admit(TAB, SITE);
    lab.frame(TAB, joins(1, LOBBY));
    lab.register(Vec::new());
    let link = lab.dialled(dials(alice()));
    lab.link(link, LinkEvent::Up(alice()));
    lab.peer(link, &in_topic(alice(), LOBBY));
    let without_pings = |outputs: Vec<Output>| {
        outputs.into_iter().filter(|it| !matches!(it, Output::Frame(_, ToFrame::Ping))).collect::<Vec<_>>()
    };
    assert_eq!(without_pings(lab.within(Duration::from_secs(60))), [], "it answers");

    lab.answers = false;
    let given_up = without_pings(lab.within(Duration::from_secs(16)));
    let failed = Seed { failures: 1, latency_ms: Some(0), ..seed(URL) };
    let ask = send(ToServer::ARE_YOU_THERE);
    assert_eq!(given_up, [ask, Output::Uplink(UplinkCommand::Close), Output::SaveSeed(failed)]);

    lab.answers = true;
    lab.input(Input::Uplink(UplinkEvent::Closed));
    lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    let again = without_pings(lab.within(Duration::from_secs(2)));
    assert_eq!(again, [Output::Uplink(UplinkCommand::Connect(second.into()))]);
    let told = lab.register(Vec::new());
    assert!(told.contains(&send(ToServer::Advertise { topic: LOBBY, key: us() })), "{told:?}");
    assert!(told.iter().any(|it| matches!(it, Output::Uplink(UplinkCommand::Send(ToServer::Register { .. })))));
    assert!(!told.iter().any(|it| matches!(it, Output::Frame(_, ToFrame::Link(..)))), "links notice nothing: {told:?}");
}

#[test]
fn a_dial_is_answered_once_its_persona_is_linked() {
    let mut lab = Lab::registered();
    assert_eq!(
        lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None }),
        [send(ToServer::Lookup(alice()))]
    );
    assert_eq!(
        lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice(), address: None }),
        [],
        "they share the look-up"
    );

    let link = lab.dialled(ToNode::Here(alice()));
    let blob = vec![1, 2, 3];
    let signal = Signal { attempt: number(link), answers: None, blob: blob.clone() };
    assert_eq!(signalled(&lab.link(link, LinkEvent::Signal(blob))), [(us(), alice(), signal)]);

    let answer = Signal { attempt: 77, answers: Some(number(link)), blob: vec![4] };
    let given = Output::Frame(TAB, ToFrame::Link(link, LinkCommand::Signal(vec![4])));
    let answer = signals(alice(), us(), answer);
    assert_eq!(lab.server(answer.clone()), [given]);
    assert_eq!(lab.server(answer), [], "it was told twice");

    assert_eq!(
        lab.link(link, LinkEvent::Up(alice())),
        [said(link, &Control::Switch), asked(1, Ok(())), asked(2, Ok(())), Output::Frame(TAB, ToFrame::Peers(1))]
    );
    assert_eq!(lab.frame(TAB, ToLeader::Dial { request: 3, peer: alice(), address: None }), [asked(3, Ok(()))]);
}

#[test]
fn a_dial_that_leads_nowhere_says_so() {
    let mut lab = Lab::registered();
    let alice = alice();
    let unreachable = |text: String| Err(Failure::new(Code::PeerUnreachable, text));

    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice, address: None });
    assert_eq!(lab.server(ToNode::Missing(alice)), []);
    assert_eq!(lab.within(Duration::from_millis(250)), [send(ToServer::Lookup(alice))], "its page may open just now");
    assert_eq!(lab.server(ToNode::Missing(alice)), []);
    assert_eq!(lab.within(Duration::from_millis(500)), [send(ToServer::Lookup(alice))]);
    let text = format!("{alice}: nobody registered this persona at {URL} within 14 s");
    assert_eq!(lab.within(Duration::from_secs(14)), [asked(1, unreachable(text))]);

    lab.frame(TAB, ToLeader::Dial { request: 2, peer: alice, address: None });
    let text = format!("{alice}: {URL} did not say within 14 s whether it is there");
    assert_eq!(lab.within(Duration::from_secs(14)), [asked(2, unreachable(text))]);

    let nobody = PersonaId([0; 32]);
    let text = format!("{nobody}: no persona has this id");
    assert_eq!(
        lab.frame(TAB, ToLeader::Dial { request: 3, peer: nobody, address: None }),
        [asked(3, unreachable(text))]
    );

    let own = us();
    assert_eq!(lab.frame(TAB, ToLeader::Dial { request: 4, peer: own, address: None }), [asked(4, Ok(()))]);
}

#[test]
fn a_dial_moves_on_when_its_frame_dies() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, SITE);
    lab.frame(OTHER, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let link = lab.dialled(ToNode::Here(alice()));

    let next = LinkId { number: link.number + 1, ..link };
    let dial = Output::Frame(OTHER, ToFrame::Link(next, LinkCommand::Dial(by_signals(alice()))));
    assert_eq!(lab.input(Input::FrameGone(TAB)), [dial, Output::ForgetFrame(TAB)]);
}

#[test]
fn a_frame_has_signed_only_that_its_link_ends_here() {
    let end = |id| IdentityEnd { id, fingerprint: [1; 32], nonce: [2; 16] };
    let text = IdentityText { signer_is_a: true, a: end(us()), b: end(alice()) };
    let (mut lab, link) = Lab::connecting();
    let signed = LinkCommand::Signed(home().persona(SITE).sign(&text.to_bytes()));
    assert_eq!(
        lab.link(link, LinkEvent::Sign { text, proof: None }),
        [Output::Frame(TAB, ToFrame::Link(link, signed))]
    );

    let other = IdentityText { b: end(PersonaId([9; 32])), ..text };
    let hang_up = Output::Frame(TAB, ToFrame::Link(link, LinkCommand::HangUp));
    assert_eq!(lab.link(link, LinkEvent::Sign { text: other, proof: None })[0], hang_up);

    let (mut lab, link) = Lab::connecting();
    let stranger = lab.link(link, LinkEvent::Up(PersonaId([9; 32])));
    assert_eq!(stranger[0], Output::Frame(TAB, ToFrame::Link(link, LinkCommand::HangUp)));
}

#[test]
fn packets_find_their_frame_here_or_are_refused() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    lab.admit(OTHER, SITE);
    let packet = Packet { to: us(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() };

    let refused = |packet: &Packet, reason| Output::Frame(TAB, ToFrame::Packet(packet.refuse(reason).unwrap()));
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet.clone())), [refused(&packet, Refusal::NotServed)]);

    lab.frame(OTHER, ToLeader::Serve(TAG));
    let delivered = Output::Frame(OTHER, ToFrame::Packet(packet.clone()));
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet.clone())), [delivered]);

    let gone = Packet { to_frame: Some(THIRD), ..packet.clone() };
    assert_eq!(lab.frame(TAB, ToLeader::Packet(gone.clone())), [refused(&gone, Refusal::FrameGone)]);
    let away = Packet { to: alice(), ..packet.clone() };
    assert_eq!(lab.frame(TAB, ToLeader::Packet(away.clone())), [refused(&away, Refusal::NoRoute)]);
    let forged = Packet { from: alice(), ..packet };
    assert_eq!(lab.frame(TAB, ToLeader::Packet(forged)), [], "a frame speaks for its own persona only");
}

#[test]
fn packets_pass_the_link_of_their_two_ends() {
    let (mut lab, link) = Lab::linked();
    let packet = |from, to, from_frame| Packet { to, to_frame: None, from, from_frame, session: SESSION, body: open() };

    let out = packet(us(), alice(), TAB);
    assert_eq!(lab.frame(TAB, ToLeader::Packet(out.clone())), [said(link, &out)]);

    let back = packet(alice(), us(), OTHER);
    assert_eq!(lab.peer(link, &back), [said(link, &back.refuse(Refusal::NotServed).unwrap())]);
    let stray = packet(alice(), home().persona("https://closed.example").id(), OTHER);
    assert_eq!(lab.peer(link, &stray), [], "it is for none of the two ends");
    let forged = packet(away().persona("https://b.example").id(), us(), OTHER);
    assert_eq!(lab.peer(link, &forged), [], "it is from none of the two ends");
}

#[test]
fn a_peer_is_where_its_latest_dial_came_from() {
    let (mut lab, link) = Lab::linked();
    let ask = |request| ToLeader::Dial { request, peer: alice(), address: None };
    let packet = Packet { to: alice(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() };
    let refusal = packet.refuse(Refusal::NoRoute).unwrap();
    assert_eq!(lab.peer(link, &refusal), [Output::Frame(TAB, ToFrame::Packet(refusal))]);
    assert_eq!(lab.frame(TAB, ask(1)), [asked(1, Ok(()))], "the link itself is the way to it");

    let dials_anew = signals(alice(), us(), dial(8));
    let next = lab.dialled(dials_anew);
    let up = lab.link(next, LinkEvent::Up(alice()));
    assert_eq!(
        up,
        [
            command(TAB, link, LinkCommand::HangUp),
            said(next, &Control::Switch),
            Output::Frame(TAB, ToFrame::PathRestored(alice())),
        ]
    );
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet.clone())), [said(next, &packet)]);
}

#[test]
fn a_message_reaches_pages_and_neighbours_once() {
    let (mut lab, link) = Lab::linked();
    lab.admit(OTHER, SITE);
    for frame in [TAB, OTHER] {
        lab.frame(frame, joins(9, LOBBY));
    }
    lab.peer(link, &in_topic(alice(), LOBBY));

    let says = |request| page_says(request, LOBBY, b"hello");
    let ours = peer_says(us(), LOBBY, b"hello");
    let passed = [heard(OTHER, us(), LOBBY, b"hello"), said(link, &ours), asked(1, Ok(()))];
    assert_eq!(lab.frame(TAB, says(1)), passed);
    assert_eq!(lab.frame(TAB, says(2)), [asked(2, Ok(()))]);
    assert_eq!(lab.peer(link, &ours), []);
    let hers = peer_says(alice(), LOBBY, b"you");
    assert_eq!(lab.peer(link, &hers), [TAB, OTHER].map(|frame| heard(frame, alice(), LOBBY, b"you")));
    assert_eq!(lab.peer(link, &hers), []);
}

#[test]
fn what_was_just_said_is_said_again_to_a_neighbour_that_comes() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, joins(1, LOBBY));
    let sealed = b"hello".to_vec();
    lab.frame(TAB, page_says(2, LOBBY, sealed.clone()));

    let outputs = lab.peer(link, &in_topic(alice(), LOBBY));
    let peers = Output::Frame(TAB, ToFrame::TopicPeers { topic: LOBBY, peers: vec![alice()], more: false });
    assert_eq!(outputs, [said(link, &in_topic(us(), LOBBY)), said(link, &peer_says(us(), LOBBY, sealed)), peers]);
}

#[test]
fn a_peer_is_missed_at_once_when_it_leaves_and_later_when_its_link_breaks() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, joins(1, LOBBY));
    let nobody = Output::Frame(TAB, ToFrame::TopicPeers { topic: LOBBY, peers: Vec::new(), more: false });
    lab.peer(link, &in_topic(alice(), LOBBY));
    assert_eq!(lab.peer(link, &left(alice(), LOBBY)), std::slice::from_ref(&nobody));

    lab.peer(link, &in_topic(alice(), LOBBY));
    assert!(!lab.link(link, LinkEvent::Down(DownReason::Closed)).contains(&nobody));
    lab.now = lab.now + Duration::from_secs(2);
    assert!(lab.input(Input::Timeout).contains(&nobody));
}

#[test]
fn offenders_are_hung_up_on() {
    let stranger = PersonaSecret::new([9; 32]);
    let sign = |text: &[u8]| stranger.sign(text);
    let address = Address::sign(Owner::Persona(stranger.id()), [7; 32], &[], 0, None, sign);
    let offences = [
        Control::Address(address).encoded(),
        Control::Signal(Signal { blob: vec![0; MAX_SIGNAL + 1], ..dial(3) }).encoded(),
        peer_says(alice(), LOBBY, vec![1]).encoded(),
        TopicMessage::Members { topic: LOBBY, members: vec![PersonaId([1; 32]); 9] }.encoded(),
        vec![0xff; 40],
        vec![0; MAX_LINK + 1],
    ];
    for offence in offences {
        let (mut lab, link) = Lab::linked();
        let outputs = lab.link(link, LinkEvent::Received(offence));
        let hang_up = Output::Frame(TAB, ToFrame::Link(link, LinkCommand::HangUp));
        assert_eq!(outputs, [hang_up, Output::Frame(TAB, ToFrame::Peers(0))]);
    }
}

#[test]
fn a_new_leader_adopts_links_and_has_their_story_told_again() {
    let mut lab = Lab::without_server();
    let link = LinkId { epoch: Epoch(2), number: 5 };
    let hello = Hello {
        joined: vec![is_in(LOBBY)],
        links: vec![HeldLink {
            link,
            own: us(),
            peer: alice(),
            used: true,
            path: Path::Direct,
            direct: true,
            bond: BOND,
        }],
        ..hello(TAB, SITE)
    };
    let outputs = lab.frame(TAB, ToLeader::Hello(hello));
    let shown = said(link, &in_topic(us(), LOBBY));
    let told = [said(link, &Control::Resume), shown.clone(), Output::Frame(TAB, ToFrame::Peers(1))];
    let follows: Vec<Output> = outputs.into_iter().filter(|it| !matches!(it, Output::SaveSite(_))).skip(2).collect();
    assert_eq!(follows, told, "its site isn't told that everybody left");

    assert_eq!(lab.peer(link, &in_topic(alice(), LOBBY)), [shown], "she may have come since");
    lab.frame(TAB, ToLeader::Pong);
    lab.now = lab.now + Duration::from_secs(2);
    let peers = Output::Frame(TAB, ToFrame::TopicPeers { topic: LOBBY, peers: vec![alice()], more: false });
    let nothing = Output::Frame(TAB, ToFrame::Shown { topic: LOBBY, from: us(), shows: Vec::new() });
    assert_eq!(lab.input(Input::Timeout), [peers, nothing]);
}

#[test]
fn a_site_sees_its_own_part_and_an_observer_everything() {
    let (mut lab, link) = Lab::linked();
    lab.link(link, LinkEvent::RoundTrip(1500));
    lab.admit(OTHER, PAGE);
    let status = |lab: &mut Lab, frame| match lab.frame(frame, ToLeader::Status).as_slice() {
        [Output::Frame(_, ToFrame::Status(status))] => status.clone(),
        other => panic!("{other:?}"),
    };
    let site = status(&mut lab, TAB);
    assert_eq!((&site.leader, site.seeds, site.frames.len()), (&None, 0, 1));
    assert_eq!(site.peers, [], "it talks with nobody");

    let whole: Status = status(&mut lab, OTHER);
    assert_eq!((whole.leader.map(|it| it.epoch), whole.seeds, whole.frames.len()), (Some(Epoch(3)), 1, 2));
    let (id, persona, frames) = (alice().to_string(), Some(us().to_string()), vec![TAB]);
    assert_eq!(whole.peers, [PeerStatus { id, persona, links: 1, rtt: Some(1.5), path: Path::Direct, frames }]);
}

#[test]
fn who_asks_for_too_many_statuses_gets_one_for_all_of_them_a_little_later() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let is_status = |it: &Output| matches!(it, Output::Frame(TAB, ToFrame::Status(_)));
    let answers = (0..300).flat_map(|_| lab.frame(TAB, ToLeader::Status)).filter(is_status).count();
    assert_eq!(answers, 200);

    lab.now = lab.now + Duration::from_millis(50);
    assert_eq!(lab.node.poll_timeout(), Some(lab.now));
    assert_eq!(lab.input(Input::Timeout).iter().filter(|it| is_status(it)).count(), 1);
    assert_eq!(lab.input(Input::Timeout), []);
}

#[test]
fn what_is_stored_of_nodes_met_by_earlier_builds_is_bounded() {
    let nodes = (1..=256_u16).map(|n| {
        let id = [n.to_le_bytes().as_slice(), &[0; 30]].concat().try_into().expect("32 bytes");
        Seed { latency_ms: Some(n.into()), ..Seed::new(SeedId::Node(NodeId(id))) }
    });
    let seeds: Vec<Seed> = nodes.chain([Seed::new(SeedId::Server(URL.into()))]).collect();
    let mut lab = Lab::with_seeds(seeds.clone());
    let forgets = |outputs: Vec<Output>| {
        outputs.into_iter().filter_map(|it| if let Output::ForgetSeed(id) = it { Some(id) } else { None }).collect()
    };
    let forgotten: Vec<SeedId> = forgets(lab.input(Input::WallClock(0)));
    assert_eq!(forgotten, [seeds[255].id.clone()], "the slowest of those stored before");

    lab.admit(TAB, SITE);
    lab.register(Vec::new());
    let link = lab.dialled(dials(alice()));
    let up = lab.link(link, LinkEvent::Up(alice()));
    assert_eq!(
        up,
        [said(link, &Control::Switch), Output::Frame(TAB, ToFrame::Peers(1))],
        "of those who are met nothing is stored"
    );
}

#[test]
fn services_are_told_what_the_person_lets_the_site_do() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, "https://observer.example");
    let name = |text: &str| bitters_wire::name::Name::try_from(text).unwrap();
    let outputs =
        lab.frame(TAB, ToLeader::Service { request: 1, name: name("book"), method: name("read"), args: "[]".into() });
    let observes = Permissions { observe: Answer::Yes, ..Permissions::default() };
    assert!(matches!(&outputs[..], [Output::Service { permissions, .. }] if *permissions == observes), "{outputs:?}");
}

#[test]
fn services_are_run_answered_and_cancelled() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let name = |text: &str| bitters_wire::name::Name::try_from(text).unwrap();
    let ask = |request| ToLeader::Service { request, name: name("book"), method: name("sign"), args: "[]".into() };
    let run = Output::Service {
        frame: TAB,
        request: 1,
        origin: SITE.into(),
        persona: us(),
        permissions: Permissions::default(),
        name: name("book"),
        method: name("sign"),
        args: "[]".into(),
    };
    assert_eq!(lab.frame(TAB, ask(1)), [run]);

    let reply = |reply| Input::ServiceReply { frame: TAB, request: 1, reply };
    let value = ServiceReply::Value("true".into());
    let told = Output::Frame(TAB, ToFrame::Service { request: 1, reply: value.clone() });
    assert_eq!(lab.input(reply(value.clone())), [told]);
    assert_eq!(lab.input(reply(value)), [], "it was answered");

    lab.frame(TAB, ask(2));
    let gone = [Output::ServiceCancel { frame: TAB, request: 2 }, Output::ForgetFrame(TAB)];
    assert_eq!(lab.input(Input::FrameGone(TAB)), gone);
}

#[test]
fn a_site_that_asks_too_much_is_told_so() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let refused = |outputs: Vec<Output>| {
        outputs.iter().any(|it| match it {
            Output::Frame(_, ToFrame::Asked { outcome: Err(failure), .. }) => failure.code == Code::Quota,
            _ => false,
        })
    };
    let topic = |n: u8| TopicId([n; 32]);
    let joined = (0..=64).filter(|n| !refused(lab.frame(TAB, joins(1, topic(*n)))));
    assert_eq!(joined.count(), 64);
    let said = |n: u32| page_says(n, topic(0), n.to_le_bytes().to_vec());
    assert_eq!((0..500).filter(|n| !refused(lab.frame(TAB, said(*n)))).count(), 400);
    let frames = (0..80_u8).map(|n| FrameId::from_random([n; 16]));
    let welcomed = frames.filter(|id| lab.node.frames.frame(*id).is_some() || lab.admit(*id, SITE));
    assert_eq!(welcomed.count() + 1, 64);
}

proptest! {
    #[test]
    fn nothing_that_peers_say_panics(messages in prop::collection::vec(any_bytes(), 0..30)) {
        let (mut lab, link) = Lab::linked();
        for message in messages {
            lab.link(link, LinkEvent::Received(message));
        }
        prop_assert!(lab.node.poll_timeout().is_none_or(|at| at > lab.now));
    }
}

fn seed(url: &str) -> Seed {
    Seed::new(SeedId::Server(url.into()))
}

/// Garbage, and messages with a flipped byte.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let messages = vec![
        Control::Switch.encoded(),
        in_topic(alice(), LOBBY).encoded(),
        left(alice(), LOBBY).encoded(),
        TopicMessage::Members { topic: LOBBY, members: vec![PersonaId([1; 32])] }.encoded(),
        peer_says(alice(), LOBBY, vec![1]).encoded(),
        Control::PassOn { to: PersonaId([1; 32]), signal: sealed(alice(), us(), dial(3)) }.encoded(),
        Control::PassedOn { from: PersonaId([1; 32]), signal: sealed(alice(), us(), dial(3)) }.encoded(),
        Control::HungUp.encoded(),
        Control::Resume.encoded(),
    ];
    let flipped = (prop::sample::select(messages), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, at, flip)| {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            bytes
        },
    );
    prop_oneof![prop::collection::vec(any::<u8>(), 0..100), flipped]
}
