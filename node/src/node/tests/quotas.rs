//! One site's frames ask for too much: that site is told so, and no other.

use bitters_machine::{Machine, map::Set};
use bitters_wire::{id::SessionId, name::Name};

use super::{
    lab::*,
    reasons::at_door,
    signals::{BURST, PER_SECOND, to_server},
    topics::made_up,
    *,
};
use crate::pair::Pair;

/// Frames that one site may have.
const FRAMES: u8 = 64;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 50, ..ProptestConfig::default() })]
    #[test]
    fn a_flood_leaves_the_share_of_others_intact(asks in prop::collection::vec((0..FRAMES, any_ask()), 1000..2000)) {
        let mut lab = Lab::registered();
        lab.admit(OTHER, "https://quiet.example");
        for n in 1..FRAMES {
            lab.admit(flooding(n), SITE);
        }
        let mut answers = 0;
        let mut quiet = 0;
        for (at, (frame, ask)) in asks.into_iter().enumerate() {
            let outputs = lab.frame(if frame == 0 { TAB } else { flooding(frame) }, ask);
            prop_assert!(outputs.len() <= 2 * usize::from(FRAMES) + 8, "{} acts", outputs.len());
            answers += outputs.len();
            if at % 100 == 0 {
                lab.now = lab.now + Duration::from_millis(250);
                asks_quietly(&mut lab, quiet)?;
                quiet += 1;
            }
        }
        prop_assert!(answers > 0 && lab.node.traffic.accounts.refused(SITE) > 0, "it was no flood");
        prop_assert_eq!(lab.node.traffic.accounts.refused("https://quiet.example"), 0);
    }
}

#[test]
fn frames_of_one_site_share_what_it_may_spend() {
    let mut lab = Lab::without_server();
    let frames = [TAB, OTHER, THIRD];
    for frame in frames {
        lab.admit(frame, SITE);
        lab.frame(frame, super::lab::joins(1, LOBBY));
    }
    let published = |lab: &mut Lab, bytes: usize| {
        let outputs = (0..900_u32).flat_map(|n| {
            let mut sealed = n.to_le_bytes().to_vec();
            sealed.resize(bytes, 0);
            lab.frame(frames[n as usize % 3], page_says(9, LOBBY, sealed))
        });
        outputs.filter(|it| matches!(it, Output::Frame(_, ToFrame::Asked { outcome: Ok(()), .. }))).count()
    };
    assert_eq!(published(&mut lab, 100), 400);
    lab.now = lab.now + Duration::from_secs(60);
    assert_eq!(published(&mut lab, 256 * 1024), 32, "8 MiB");
    assert_eq!(lab.node.traffic.accounts.refused(SITE), 500 + 868);
}

#[test]
fn one_site_is_in_a_quarter_of_the_topics_that_a_node_may_be_in() {
    let mut lab = Lab::without_server();
    let frames = (0..8).map(flooding).inspect(|frame| assert!(lab.admit(*frame, SITE))).collect::<Vec<_>>();
    let joined = (0..512).filter(|n| joins(&mut lab, frames[usize::from(*n) / 64], *n));
    assert_eq!(joined.count(), 256);
    assert!(joins(&mut lab, frames[7], 0), "one that it is in already");
    lab.admit(OTHER, "https://quiet.example");
    assert!(joins(&mut lab, OTHER, 600));
}

#[test]
fn one_site_has_a_thousand_sessions_and_another_its_own() {
    let mut lab = Lab::without_server();
    for (frame, origin) in [(TAB, SITE), (OTHER, SITE), (THIRD, "https://quiet.example")] {
        lab.admit(frame, origin);
    }
    let refused = |lab: &mut Lab, from: FrameId, origin: &str, n: u16| {
        // Held back or not: it is decided at once.
        lab.now = lab.now + Duration::from_millis(1);
        let packet = Packet {
            to: us(),
            to_frame: None,
            from: home().persona(origin).id(),
            from_frame: from,
            session: SessionId(numbered(n).0),
            body: Body::Open { tag: TAG, handshake: Vec::new() },
        };
        let refusal = Output::Frame(from, ToFrame::Packet(packet.refuse(Refusal::Quota).expect("it is none")));
        lab.frame(from, ToLeader::Packet(packet)).contains(&refusal)
    };
    let frame = |n: u16| if n.is_multiple_of(2) { TAB } else { OTHER };
    assert!((0..1024).all(|n| !refused(&mut lab, frame(n), SITE, n)));
    assert!((1024..1100).all(|n| refused(&mut lab, frame(n), SITE, n)));
    assert_eq!(lab.node.traffic.accounts.refused(SITE), 76);
    assert!(!refused(&mut lab, TAB, SITE, 0), "one that it has");
    assert!(!refused(&mut lab, THIRD, "https://quiet.example", 2000));

    lab.later(Duration::from_secs(61));
    assert!((3000..4024).all(|n| !refused(&mut lab, TAB, SITE, n)), "those are over");
    lab.frame(TAB, ToLeader::Leaving { moves: false });
    assert!(!refused(&mut lab, OTHER, SITE, 5000));
}

#[test]
fn subdomains_share_one_group_s_table_and_leave_room_for_others() {
    let mut lab = Lab::without_server();
    // As patient as it is greedy: what comes too often is another matter.
    let come = |lab: &mut Lab, n: u16, origin: &str| {
        lab.now = lab.now + Duration::from_millis(100);
        lab.admitted(numbered(n), origin)
    };
    let greedy = |n: u16| format!("https://{}.greedy.example", n / 64);
    assert!((0..256).all(|n| come(&mut lab, n, &greedy(n)).is_ok()), "there is room");

    let gave_way = come(&mut lab, 300, "https://quiet.example").expect("there is room for a small group");
    assert_eq!(gave_way, [numbered(255)], "the youngest of one of its sites");
    assert_eq!(lab.node.frames.len(), 256);
    assert_eq!(lab.node.traffic.accounts.refused(&greedy(255)), 1);
    assert_eq!(come(&mut lab, 301, "https://another.greedy.example"), Err(Code::Quota), "it takes nothing from itself");

    // Two groups end up with as many, but for one.
    let other = (302..600).filter(|n| come(&mut lab, *n, &format!("https://{}.other.example", n % 8)).is_ok());
    assert_eq!(other.count(), 127);
    let of = |group: &str| lab.node.frames.of_group(group).count();
    assert_eq!([of("greedy.example"), of("other.example"), of("quiet.example")], [128, 127, 1]);
}

#[test]
fn a_hidden_page_gives_way_before_a_visible_one_of_its_site() {
    let mut lab = Lab::without_server();
    for n in 0..256 {
        lab.now = lab.now + Duration::from_millis(100);
        lab.admitted(numbered(n), &format!("https://{}.greedy.example", n / 64)).expect("there is room");
    }
    for n in [3, 70, 71] {
        lab.frame(numbered(n), ToLeader::Visible(false));
    }
    let gave_way: Vec<_> = (300..302)
        .map(|n| lab.admitted(numbered(n), &format!("https://{n}.example")).expect("there is room"))
        .collect();
    // All its sites have as many; then the one that lost a page has fewer.
    assert_eq!(gave_way, [[numbered(71)], [numbered(3)]]);
}

#[test]
fn one_group_is_in_three_quarters_of_the_topics_that_a_node_may_be_in() {
    let mut lab = Lab::without_server();
    for n in 0..20 {
        lab.now = lab.now + Duration::from_millis(100);
        lab.admitted(numbered(n), &format!("https://{}.greedy.example", n / 4)).expect("there is room");
    }
    let joined = (0..20 * 64_u16).filter(|n| joins(&mut lab, numbered(n / 64), *n));
    assert_eq!(joined.count(), 768);
    lab.admit(OTHER, "https://quiet.example");
    assert!((0..64).all(|n| joins(&mut lab, OTHER, 2000 + n)));
}

#[test]
fn a_page_that_is_loaded_again_and_again_is_no_richer() {
    let mut lab = Lab::without_server();
    let came = (0..=255_u8).filter(|n| {
        let came = lab.admit(flooding(*n), SITE);
        lab.frame(flooding(*n), ToLeader::Leaving { moves: false });
        came
    });
    assert_eq!(came.count(), 128);
    assert!(lab.admit(OTHER, "https://quiet.example"));
}

#[test]
fn who_watches_again_and_again_is_told_at_the_same_pace() {
    let mut lab = Lab::without_server();
    lab.admit(TAB, SITE);
    let told =
        |outputs: Vec<Output>| outputs.iter().filter(|it| matches!(it, Output::Frame(TAB, ToFrame::Status(_)))).count();
    let at_once: usize = (0..100).map(|_| told(lab.frame(TAB, ToLeader::Watch(true)))).sum();
    assert_eq!(at_once, 1);
    assert_eq!(told(lab.later(Duration::from_millis(100))), 1, "all the others together");

    let toggled = |lab: &mut Lab| {
        lab.frame(TAB, ToLeader::Watch(false));
        told(lab.frame(TAB, ToLeader::Watch(true)))
    };
    assert!((0..1000).map(|_| toggled(&mut lab)).sum::<usize>() <= 200);
}

fn numbered(n: u16) -> FrameId {
    let [low, high] = n.to_le_bytes();
    FrameId::from_random([[low; 8], [high; 8]].concat().try_into().expect("16 bytes"))
}

fn flooding(n: u8) -> FrameId {
    FrameId::from_random([n; 16])
}

/// What another site asks meanwhile is done.
fn asks_quietly(lab: &mut Lab, request: u32) -> Result<(), TestCaseError> {
    let done = |outputs: &[Output], what: fn(&ToFrame) -> bool| {
        outputs.iter().any(|it| matches!(it, Output::Frame(OTHER, told) if what(told)))
    };
    let is_ok = |told: &ToFrame| matches!(told, ToFrame::Asked { outcome: Ok(()), .. });
    let mut topic = TopicId([0xee; 32]);
    topic.0[0] = u8::try_from(request % 8).expect("below 8");
    let outputs = lab.frame(OTHER, ToLeader::Join { request, topic, matching: matching(topic) });
    prop_assert!(done(&outputs, is_ok), "join");
    let sealed = [&[0xff], request.to_le_bytes().as_slice()].concat();
    let outputs = lab.frame(OTHER, page_says(request, topic, sealed));
    prop_assert!(done(&outputs, is_ok), "publish");
    let peer = home().persona("https://quiet.example").id();
    prop_assert!(done(&lab.frame(OTHER, ToLeader::Dial { request, peer, address: None }), is_ok), "dial");
    let outputs = lab.frame(OTHER, ToLeader::Status);
    prop_assert!(done(&outputs, |told| matches!(told, ToFrame::Status(_))), "status");
    let unknown = ToLeader::Dial { request, peer: away().persona(&request.to_string()).id(), address: None };
    let outputs = lab.frame(OTHER, unknown);
    prop_assert!(matches!(outputs[..], [Output::Uplink(_)]), "looked up: {outputs:?}");
    lab.server(ToNode::Missing(away().persona(&request.to_string()).id()));
    let outputs = lab.frame(OTHER, service(request));
    prop_assert!(matches!(outputs[..], [Output::Service { .. }]), "service: {outputs:?}");
    lab.input(Input::ServiceReply { frame: OTHER, request, reply: ServiceReply::End });
    Ok(())
}

fn service(request: u32) -> ToLeader {
    let name = |text: &str| Name::try_from(text).expect("it is short");
    ToLeader::Service { request, name: name("book"), method: name("sign"), args: "[]".into() }
}

fn any_ask() -> impl Strategy<Value = ToLeader> {
    let topic = |n: u8| TopicId([n; 32]);
    prop_oneof![
        any::<u32>().prop_map(|request| ToLeader::Address { request }),
        (any::<u32>(), any::<[u8; 32]>()).prop_map(|(request, secret)| {
            ToLeader::Dial { request, peer: PersonaSecret::new(secret).id(), address: None }
        }),
        (any::<u32>(), any::<u8>()).prop_map(move |(request, n)| ToLeader::Join {
            request,
            topic: topic(n),
            matching: matching(topic(n))
        }),
        any::<u8>().prop_map(move |n| ToLeader::Leave(topic(n))),
        (any::<u32>(), any::<u8>(), 0..1000_usize).prop_map(move |(request, n, bytes)| {
            page_says(request, topic(n), [request.to_le_bytes().to_vec(), vec![0; bytes]].concat())
        }),
        any::<u64>().prop_map(|tag| ToLeader::Serve(bitters_wire::id::Tag(tag.to_le_bytes()))),
        any::<u32>().prop_map(service),
        Just(ToLeader::Status),
        any::<bool>().prop_map(ToLeader::Visible),
        any::<bool>().prop_map(ToLeader::Watch),
    ]
}

/// Strangers opened sessions with a site and went. Its frame asks for each of them; they are at the server, and answer nothing.
#[test]
fn whom_the_sessions_of_one_site_seek_leave_room_for_what_another_site_dials() {
    for floods in [false, true] {
        let mut lab = Lab::registered().among_strangers();
        lab.admit(OTHER, OTHER_SITE);
        let mut sought = 0;
        for n in (0..256).filter(|_| floods) {
            let body = Body::Sealed { counter: 0, sealed: vec![1] };
            let to = made_up(n).id();
            let packet = Packet { to, to_frame: Some(THIRD), from: us(), from_frame: TAB, session: SESSION, body };
            sought += usize::from(lab.frame(TAB, ToLeader::Packet(packet)).contains(&send(ToServer::Lookup(to))));
        }
        let dialled = lab.frame(OTHER, ToLeader::Dial { request: 1, peer: alice(), address: None });
        assert!(dialled.contains(&send(ToServer::Lookup(alice()))), "{sought} are sought: {dialled:?}");
    }
}

/// A site joins topics and leaves them, as fast as it may.
#[test]
fn a_site_that_comes_and_goes_does_not_have_the_server_end_the_connection_of_all_sites() {
    let mut lab = Lab::registered();
    let (mut said, mut refused, mut request, seconds) = (0, 0, 0, 60);
    for second in 0..seconds {
        for _ in 0..if second == 0 { 256 } else { 20 } {
            request += 1;
            let outputs = lab.frame(TAB, ToLeader::Join { request, topic: LOBBY, matching: matching(LOBBY) });
            refused += usize::from(!outputs.contains(&asked(request, Ok(()))));
            said += to_server(&outputs) + to_server(&lab.frame(TAB, ToLeader::Leave(LOBBY)));
        }
        said += to_server(&lab.within_while_frames_answer(Duration::from_secs(1)));
    }
    assert_eq!(refused, 0);
    let most = BURST + seconds * PER_SECOND;
    assert!(said <= most, "{said} messages to the server, which takes {most} in {seconds} s");
}

/// A page serves something and doesn't, again and again.
#[test]
fn doors_that_come_and_go_are_told_as_they_are_and_no_oftener_than_the_server_takes() {
    let mut lab = at_door();
    let (mut said, seconds) = (0, 60);
    for _ in 0..seconds {
        for _ in 0..50 {
            said += to_server(&lab.frame(TAB, ToLeader::Unserve(TAG)));
            said += to_server(&lab.frame(TAB, ToLeader::Serve(TAG)));
        }
        said += to_server(&lab.within_while_frames_answer(Duration::from_secs(1)));
    }
    assert!(said <= BURST + seconds * PER_SECOND, "{said} messages to the server");
    let door = |outputs: &[Output]| {
        let mut told = outputs.iter().filter_map(|it| match it {
            Output::Uplink(UplinkCommand::Send(ToServer::Door { door, .. })) => Some(door.is_some()),
            _ => None,
        });
        told.next_back()
    };
    let mut outputs = lab.frame(TAB, ToLeader::Unserve(TAG));
    outputs.extend(lab.within_while_frames_answer(Duration::from_secs(30)));
    assert_eq!(door(&outputs), Some(false));
}

/// A site dials as many as it may who aren't there.
#[test]
fn all_whom_a_site_dials_are_looked_up_within_its_share_of_what_the_server_takes() {
    let mut lab = Lab::registered();
    let mut asked = Vec::new();
    let mut hear = |lab: &mut Lab, outputs: Vec<Output>| {
        for output in outputs {
            if let Output::Uplink(UplinkCommand::Send(ToServer::Lookup(peer))) = output {
                asked.push(peer);
                lab.server(ToNode::Missing(peer));
            }
        }
    };
    let peers: Set<PersonaId> = (0..64).map(|n| made_up(n).id()).collect();
    for (n, peer) in (0..).zip(peers.iter()) {
        let dialled = lab.frame(TAB, ToLeader::Dial { request: n, peer: *peer, address: None });
        hear(&mut lab, dialled);
    }
    for _ in 0..140 {
        let later = lab.within_while_frames_answer(Duration::from_millis(100));
        hear(&mut lab, later);
    }
    assert!(asked.len() <= 40 + 2 * 14 + 1, "{} look-ups", asked.len());
    assert_eq!(Set::from_iter(asked), peers);
}

#[test]
fn what_a_site_says_too_much_is_held_back_and_nothing_of_it_lost() {
    let mut lab = Lab::without_server();
    let quiet = "https://quiet.example";
    for (frame, origin) in [(TAB, SITE), (OTHER, SITE), (THIRD, quiet), (flooding(4), quiet)] {
        lab.admit(frame, origin);
    }
    let packet = |origin: &str, from: FrameId, to: FrameId, counter: u64| Packet {
        to: home().persona(origin).id(),
        to_frame: Some(to),
        from: home().persona(origin).id(),
        from_frame: from,
        session: SESSION,
        body: Body::Sealed { counter, sealed: vec![0; 63 * 1024] },
    };
    let arrived = |outputs: Vec<Output>| {
        let counter = |it| match it {
            Output::Frame(OTHER, ToFrame::Packet(Packet { body: Body::Sealed { counter, .. }, .. })) => Some(counter),
            _ => None,
        };
        outputs.into_iter().filter_map(counter).collect::<Vec<u64>>()
    };
    let said = (0..700).flat_map(|n| lab.frame(TAB, ToLeader::Packet(packet(SITE, TAB, OTHER, n))));
    let mut heard = arrived(said.collect());
    assert_eq!(heard.len(), 32 * 1024 / 64);
    // Another site's goes past them.
    let quiet = packet(quiet, THIRD, flooding(4), 999);
    let passed = [Output::Frame(flooding(4), ToFrame::Packet(quiet.clone()))];
    assert_eq!(lab.frame(THIRD, ToLeader::Packet(quiet)), passed);

    let began = lab.now;
    while let Some(due) = lab.node.poll_timeout().filter(|due| due.since(began) < Duration::from_secs(1)) {
        heard.extend(arrived(lab.later(due.since(lab.now))));
    }
    assert_eq!(heard, (0..700).collect::<Vec<u64>>());
    assert!((180..200).contains(&lab.now.since(began).as_millis()), "188 packets at 64 MiB/s: {:?}", lab.now);
}

#[test]
fn a_site_that_fills_a_link_goes_on_as_it_drains_and_after_others() {
    // Both sites have the person's id, hence the same links.
    let mut lab = Lab::new();
    lab.admit_person(TAB, SITE);
    lab.admit_person(OTHER, "https://quiet.example");
    lab.register(Vec::new());
    let person = home().person().id();
    let link = lab.linked_in(TAB, Pair { own: person, peer: alice() });
    let packet = |from: FrameId, counter| Packet {
        to: alice(),
        to_frame: Some(THIRD),
        from: person,
        from_frame: from,
        session: SESSION,
        body: Body::Sealed { counter, sealed: vec![0; 60 * 1024] },
    };
    let went = |outputs: Vec<Output>| {
        let counter = |it| match it {
            Output::Frame(TAB, ToFrame::Link(to, LinkCommand::Send(bytes))) if to == link => {
                match codec::decode(&bytes, MAX_LINK) {
                    Ok(LinkMessage::Packet(Packet { body: Body::Sealed { counter, .. }, .. })) => Some(counter),
                    _ => None,
                }
            }
            _ => None,
        };
        outputs.into_iter().filter_map(counter).collect::<Vec<u64>>()
    };
    let loud: Vec<Output> = (0..20).flat_map(|n| lab.frame(TAB, ToLeader::Packet(packet(TAB, n)))).collect();
    assert_eq!(went(loud), (0..9).collect::<Vec<u64>>(), "512 KiB");
    assert_eq!(went(lab.frame(OTHER, ToLeader::Packet(packet(OTHER, 99)))), Vec::<u64>::new());

    let outputs = lab.link(link, LinkEvent::Drained(180 * 1024));
    assert_eq!(went(outputs), [99, 9, 10], "whoever said least goes first");
    let outputs = (0..9).flat_map(|_| lab.link(link, LinkEvent::Drained(64 * 1024)));
    assert_eq!(went(outputs.collect()), (11..20).collect::<Vec<u64>>());
}

/// Whether a frame may join the topic of this number, as soon as its site's rate allows another.
fn joins(lab: &mut Lab, frame: FrameId, n: u16) -> bool {
    let mut topic = TopicId([0; 32]);
    topic.0[..2].copy_from_slice(&n.to_le_bytes());
    lab.now = lab.now + Duration::from_millis(50);
    let outputs = lab.frame(frame, ToLeader::Join { request: 1, topic, matching: matching(topic) });
    outputs.iter().any(|it| matches!(it, Output::Frame(_, ToFrame::Asked { outcome: Ok(()), .. })))
}
