//! The frame's machine against a leader that welcomes, agrees to everything and routes by persona.

mod addresses;
mod consent;
mod dials;
mod patience;

use std::time::Duration;

use bitters_wire::{
    VersionRange,
    announce::{Announcement, LeaderKind},
    data::Data,
    failure::Executed,
    id::FrameId,
    keys::NodeSecret,
    limits::MAX_SERVICE_JSON,
    local::{Blocked, Dial, Door, Envelope, Hello, Hiding, IdentityEnd, IdentityText, Showing, ToFrame, Welcome},
    permission::Permissions,
    rpc::{Ask, Outcome, RPC, Request},
    status::Scope,
    topic::{After, Heard, MessageName, TopicKey},
};

use super::*;

#[test]
fn a_site_is_told_who_it_is_once_both_it_and_the_leader_are_there() {
    let mut world = World::new([ALICE]);
    assert_eq!(world.tells(0), []);

    world.host(0);

    let welcome = SiteWelcome {
        id: persona(ALICE).id().to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        scope: Scope::Site,
        rpc: 2,
    };
    assert_eq!(world.tells(0), [Event { id: 0, tell: Tell::Welcome(welcome) }]);
}

#[test]
fn a_page_of_another_version_is_refused() {
    let mut world = World::new([ALICE]);
    world.handle(0, Input::Host { versions: VersionRange { min: 7, max: 9 }, identity: Identity::Site });
    let [Event { id: 0, tell: Tell::Failed(failure) }] = &world.tells(0)[..] else { panic!("not refused") };
    assert_eq!(failure.code, Code::VersionMismatch);
    assert!(world.sites[0].closed);
}

#[test]
fn a_call_reaches_the_other_site_and_its_answer_comes_back() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.ask(1, 1, Ask::Answer { method: "add".into(), direct: None });
    world.ask(0, 1, call(BOB, "add", 1000));

    let [_, Event { id: 1, tell: Tell::IncomingCall { call: number, from, data } }] = &world.tells(1)[..] else {
        panic!("no call came in")
    };
    assert_eq!((from, data), (&persona(ALICE).id().to_string(), &Data::Json("[1,2]".into())));
    assert!(*number >= FIRST_FRAME_ID);
    world.ask(1, *number, Ask::Reply { outcome: Outcome::Ok(Data::Json("3".into())) });

    assert_eq!(world.tells(0), [Event { id: 1, tell: Tell::Reply(Data::Json("3".into())) }]);
    assert!(world.sites.iter().all(|site| site.machine.call_ids.is_empty()));
}

#[test]
fn a_call_that_comes_in_as_its_handler_goes_was_never_run() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.ask(1, 1, Ask::Answer { method: "add".into(), direct: None });
    world.ask(0, 1, call(BOB, "add", 1000));
    let [_, Event { tell: Tell::IncomingCall { call: number, .. }, .. }] = &world.tells(1)[..] else {
        panic!("no call came in")
    };
    let number = *number;
    world.ask(1, 1, Ask::Cancel);
    world.ask(1, number, Ask::Cancel);

    world.pass(Duration::from_secs(2));
    let tells = world.tells(0);
    let [Event { id: 1, tell: Tell::Failed(failure) }] = &tells[..] else { panic!("it isn't told: {tells:?}") };
    assert_eq!((failure.code, failure.executed), (Code::NotFound, Some(Executed::No)));
    assert!(world.sites.iter().all(|site| site.machine.call_ids.is_empty()));
}

#[test]
fn a_call_that_nobody_answers_ends_at_its_time() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.ask(1, 1, Ask::Answer { method: "add".into(), direct: None });
    world.ask(0, 1, call(BOB, "add", 1000));

    world.pass(Duration::from_secs(2));

    let tells = world.tells(0);
    let [Event { id: 1, tell: Tell::Failed(failure) }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!(failure.code, Code::Timeout);
}

#[test]
fn a_stream_carries_bytes_within_the_reader_s_credit_and_ends() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.ask(1, 1, Ask::Serve { protocol: "file".into(), direct: None });
    world.ask(0, 5, Ask::Open { peer: persona(BOB).id().to_string(), protocol: "file".into() });
    let Some(Event { tell: Tell::IncomingStream { stream, .. }, .. }) = world.tells(1).pop() else {
        panic!("no stream came in")
    };
    assert_eq!(world.tells(0), [Event { id: 5, tell: Tell::Done }]);

    world.ask(1, stream, Ask::Credit { limit: 3.0 });
    assert_eq!(world.tells(0), [Event { id: 5, tell: Tell::Credit(3.0) }]);
    world.ask(0, 5, Ask::Write { bytes: b"abc".to_vec() });
    world.ask(0, 5, Ask::Finish);
    let bytes = Event { id: stream, tell: Tell::Bytes(b"abc".to_vec()) };
    assert_eq!(world.tells(1), [bytes, Event { id: stream, tell: Tell::Finished }]);

    world.ask(1, stream, Ask::Finish);
    assert_eq!(world.tells(0), [Event { id: 5, tell: Tell::Finished }]);
    assert!(world.sites.iter().all(|site| site.machine.stream_ids.is_empty()));
}

#[test]
fn a_writer_that_ignores_its_credit_loses_the_stream_and_no_more() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.ask(1, 1, Ask::Serve { protocol: "file".into(), direct: None });
    world.ask(0, 5, Ask::Open { peer: persona(BOB).id().to_string(), protocol: "file".into() });
    world.tells(0);

    world.ask(0, 5, Ask::Write { bytes: vec![0; 10] });

    let tells = world.tells(0);
    let [Event { id: 5, tell: Tell::Failed(failure) }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!(failure.code, Code::Quota);
    world.ask(0, 6, Ask::Open { peer: persona(BOB).id().to_string(), protocol: "file".into() });
    assert_eq!(world.tells(0), [Event { id: 6, tell: Tell::Done }]);
}

#[test]
fn who_asks_too_much_is_told_and_nobody_else_hears_of_it() {
    let mut world = World::welcomed([ALICE]);
    for id in 1..=2001 {
        world.ask(0, id, Ask::Dial { to: "nobody".into() });
    }
    let codes: Vec<Code> = world
        .tells(0)
        .iter()
        .filter_map(|it| if let Tell::Failed(failure) = &it.tell { Some(failure.code) } else { None })
        .collect();
    assert_eq!(codes.len(), 2001);
    assert!(codes[..2000].iter().all(|code| *code == Code::BadArgument));
    assert_eq!(codes[2000], Code::Quota);

    world.pass(Duration::from_secs(1));
    world.ask(0, 3000, Ask::Join { name: "lobby".into() });
    assert_eq!(world.tells(0), [Event { id: 3000, tell: Tell::Done }]);
}

#[test]
fn a_thousand_streams_are_refused_another_and_leave_those_who_serve_them_their_own_requests() {
    let mut world = World::welcomed([ALICE, BOB]);
    let protocol = |n: u32| format!("protocol {n}");
    for n in 0..9 {
        world.ask(0, 1 + n, Ask::Serve { protocol: protocol(n), direct: None });
    }
    world.tells(0);
    for n in 0..9 * 128 {
        world.ask(1, 1 + n, Ask::Open { peer: persona(ALICE).id().to_string(), protocol: protocol(n / 128) });
    }
    let came = world.tells(0).iter().filter(|it| matches!(it.tell, Tell::IncomingStream { .. })).count();
    let refused: Vec<Code> = (world.tells(1).into_iter())
        .filter_map(|event| if let Tell::Failed(failure) = event.tell { Some(failure.code) } else { None })
        .collect();
    assert_eq!((came, refused), (1024, vec![Code::Quota; 128]));

    world.ask(0, 100, Ask::Join { name: "lobby".into() });
    assert_eq!(world.tells(0), [Event { id: 100, tell: Tell::Done }]);
}

#[test]
fn a_call_is_over_at_its_deadline_though_nobody_dials() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.deaf = true;
    world.ask(0, 5, call(BOB, "add", 3000));
    world.pass(Duration::from_millis(2999));
    assert_eq!(world.tells(0), []);

    world.pass(Duration::from_millis(1));

    let tells = world.tells(0);
    let [Event { id: 5, tell: Tell::Failed(failure) }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!((failure.code, failure.executed), (Code::Timeout, Some(Executed::No)));
    assert!(world.sites[0].machine.requests.is_empty());
}

#[test]
fn topics_reach_every_subscription_but_the_publisher_s() {
    let mut world = World::welcomed([ALICE, BOB]);
    for (site, id) in [(0, 1), (0, 2), (1, 1)] {
        world.ask(site, id, Ask::Join { name: "lobby".into() });
        assert_eq!(world.tells(site), [Event { id, tell: Tell::Done }]);
    }

    world.ask(0, 3, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });

    let tells = world.tells(0);
    let [Event { id: 2, tell: Tell::Message { from, .. } }, Event { id: 3, tell: Tell::Done }] = &tells[..] else {
        panic!("{tells:?}")
    };
    assert_eq!(*from, persona(ALICE).id().to_string());
    let tells = world.tells(1);
    let [Event { id: 1, tell: Tell::Message { data, .. } }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!(*data, Data::Text("hello".into()));
}

#[test]
fn a_topic_with_a_secret_is_another() {
    let mut world = World::welcomed([ALICE, BOB]);
    let secret = |secret| Ask::JoinSecret { name: "lobby".into(), secret };
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.ask(0, 2, secret(Data::Text("pepper".into())));
    world.ask(1, 1, secret(Data::Bytes(b"pepper".to_vec())));
    for (id, bad) in [(3, Data::Text(String::new())), (4, Data::Json("7".into()))] {
        world.ask(0, id, secret(bad));
        let tells = world.tells(0);
        let Some(Event { tell: Tell::Failed(failure), .. }) = tells.last() else { panic!("{tells:?}") };
        assert_eq!(failure.code, Code::BadArgument);
    }
    world.tells(1);
    world.ask(1, 2, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });
    let tells = world.tells(0);
    let [Event { id: 2, tell: Tell::Message { .. } }] = &tells[..] else { panic!("{tells:?}") };
}

#[test]
fn peers_of_a_topic_come_and_go() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.tells(0);
    let topic = *world.sites[0].machine.topics.keys().next().unwrap();
    let bob = persona(BOB).id();

    world.leader_says(0, ToFrame::TopicPeers { topic, peers: vec![bob], more: true });
    world.leader_says(0, ToFrame::TopicPeers { topic, peers: vec![], more: true });

    let tells = [Tell::PeerJoin(bob.to_string()), Tell::More(true), Tell::PeerLeave(bob.to_string())];
    assert_eq!(world.tells(0), tells.map(|tell| Event { id: 1, tell }));

    world.sites[0].machine.rpc = 1;
    world.leader_says(0, ToFrame::TopicPeers { topic, peers: vec![], more: false });
    assert_eq!(world.tells(0), [], "an SDK of before doesn't know the word");
}

#[test]
fn what_peers_show_is_told_once_to_each_subscription_and_only_what_can_be_shown() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.tells(0);
    let key = lobby();
    let (topic, bob) = (key.id(), persona(BOB).id());
    let shown = |data: Option<Data>| {
        let shows = data.map(|data| key.seal(&data, None, [1; 24])).unwrap_or_default();
        ToFrame::Shown { topic, from: bob, shows }
    };
    let json = |text: &str| Some(Data::Json(text.into()));
    let presence = |value: Option<&str>| Tell::Presence { peer: bob.to_string(), value: value.map(str::to_owned) };

    world.leader_says(0, ToFrame::TopicPeers { topic, peers: vec![bob], more: false });
    for data in [json("1"), json("1"), None, json("2"), Some(Data::Text("3".into())), json(&"4".repeat(4097))] {
        world.leader_says(0, shown(data));
    }
    let told =
        [Tell::PeerJoin(bob.to_string()), presence(Some("1")), presence(None), presence(Some("2")), presence(None)];
    assert_eq!(world.tells(0), told.map(|tell| Event { id: 1, tell }));

    world.leader_says(0, shown(json(&"4".repeat(4096))));
    world.tells(0);
    world.ask(0, 2, Ask::Join { name: "lobby".into() });
    let told = [Tell::Done, Tell::PeerJoin(bob.to_string()), presence(Some(&"4".repeat(4096)))];
    assert_eq!(world.tells(0), told.map(|tell| Event { id: 2, tell }));

    world.leader_says(0, ToFrame::TopicPeers { topic, peers: vec![], more: false });
    world.leader_says(0, ToFrame::TopicPeers { topic, peers: vec![bob], more: false });
    world.tells(0);
    world.ask(0, 3, Ask::Join { name: "lobby".into() });
    assert_eq!(world.tells(0).len(), 2, "who left shows nothing");
    world.sites[0].machine.rpc = 1;
    world.leader_says(0, shown(json("5")));
    assert_eq!(world.tells(0), [], "an SDK of before doesn't know the word");
}

#[test]
fn what_the_page_shows_is_sealed_and_told_to_the_next_leader_too() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.tells(0);
    world.ask(0, 2, Ask::Presence { topic: 1, value: Some("{}".into()) });
    assert_eq!(world.tells(0), [Event { id: 2, tell: Tell::Done }]);
    let key = lobby();
    let (topic, shows) = world.shown.take().unwrap();
    assert_eq!((topic, key.open(&shows)), (key.id(), Ok((Data::Json("{}".into()), None))));

    world.pass(Duration::from_secs(3));
    let showing = Showing { of: persona(ALICE).id(), since_ms: 3000, what: shows.clone() };
    assert_eq!(world.registers_again().joined[0].shows, Some(showing), "the same bytes");
    world.leader_says(0, ToFrame::Welcome(welcome(BOB)));
    let (_, anew) = world.shown.take().expect("the site is another persona");
    assert!(anew != shows && key.open(&anew) == key.open(&shows), "whose peers see it in other bytes");

    world.ask(0, 3, Ask::Presence { topic: 1, value: None });
    assert_eq!(world.shown, Some((topic, Vec::new())));
    world.tells(0);
    for (id, ask, code) in [
        (4, Ask::Presence { topic: 1, value: Some("x".repeat(4097)) }, Code::TooLarge),
        (5, Ask::Presence { topic: 3, value: None }, Code::Closed),
    ] {
        world.ask(0, id, ask);
        let tells = world.tells(0);
        let [Event { tell: Tell::Failed(failure), .. }] = &tells[..] else { panic!("{tells:?}") };
        assert_eq!(failure.code, code);
    }
}

#[test]
fn what_a_page_shows_while_leaders_change_is_told_to_the_next_once() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.registers_again();
    world.ask(0, 2, Ask::Presence { topic: 1, value: Some("1".into()) });
    assert_eq!(world.shown, None, "nobody leads");
    let shows = |said: Vec<ToLeader>| said.iter().filter(|it| matches!(it, ToLeader::Show { .. })).count();
    assert_eq!(shows(world.said_to_next_leader()), 1);
    world.registers_again();
    assert_eq!(shows(world.said_to_next_leader()), 0, "the hello told it");
}

#[test]
fn what_a_page_says_as_another_persona_says_nothing_of_what_it_said_before() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    let key = lobby();
    let after = |world: &mut World, id| {
        world.ask(0, id, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });
        key.open(&world.published.take().unwrap().2).unwrap().1
    };
    assert!(after(&mut world, 2).is_none() && after(&mut world, 3).is_some());
    world.deaf = true;
    world.ask(0, 4, Ask::Publish { topic: 1, data: Data::Text("unanswered".into()) });
    world.tells(0);
    world.leader_says(0, ToFrame::Welcome(welcome(BOB)));
    let failed = world.tells(0).into_iter().find_map(|event| match event {
        Event { id: 4, tell: Tell::Failed(failure) } => Some(failure.code),
        _ => None,
    });
    assert_eq!(failed, Some(Code::LeaderLost), "the other doesn't say it again");
    world.deaf = false;
    assert_eq!(after(&mut world, 5), None);
}

#[test]
fn what_the_leader_refused_is_not_waited_for() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.deaf = true;
    world.ask(0, 2, Ask::Publish { topic: 1, data: Data::Text("too much".into()) });
    let failure = Failure::new(Code::Quota, "this site publishes too much");
    world.leader_says(0, ToFrame::Asked { request: 2, outcome: Err(failure) });
    world.deaf = false;
    world.ask(0, 3, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });
    let key = lobby();
    assert_eq!(key.open(&world.published.unwrap().2).unwrap().1, None);
}

#[test]
fn a_message_that_comes_twice_is_told_once() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.tells(0);
    let key = lobby();
    let body = key.seal(&Data::Text("hello".into()), None, [1; 24]);
    let said = ToFrame::Topic {
        topic: key.id(),
        from: persona(BOB).id(),
        name: MessageName([1; 8]),
        time: NOW,
        ago_ms: 0,
        body,
    };

    for _ in 0..2 {
        world.leader_says(0, said.clone());
    }
    assert_eq!(world.tells(0).len(), 1);

    world.pass(Duration::from_secs(3));
    let hello = world.registers_again();
    let [joined] = &hello.joined[..] else { panic!("{:?}", hello.joined) };
    assert_eq!((joined.topic, joined.since_ms), (key.id(), 3000));
    let mut heard = Heard::default();
    heard.learn(&joined.heard);
    assert!(!heard.takes(persona(BOB).id(), MessageName([1; 8]), NOW), "the next leader knows what was heard");
}

#[test]
fn what_a_page_says_is_told_after_what_it_said_before_unless_that_does_not_come() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.tells(0);
    let key = lobby();
    let (topic, from) = (key.id(), persona(BOB).id());
    let said = |n: u8| {
        let (name, after) = (MessageName([n; 8]), Some(After { name: MessageName([n - 1; 8]), ms: 200 }));
        let body = key.seal(&Data::Text(n.to_string()), after, [n; 24]);
        ToFrame::Topic { topic, from, name, time: NOW, ago_ms: 0, body }
    };
    let mut hears = |n| {
        world.leader_says(0, said(n));
        texts(world.tells(0))
    };
    assert_eq!(hears(9), ["9"], "what was said before it came doesn't come");
    world.pass(Duration::from_millis(200));
    let mut hears = |n| {
        world.leader_says(0, said(n));
        texts(world.tells(0))
    };
    assert_eq!(hears(3), [""; 0]);
    assert_eq!(hears(4), [""; 0]);
    assert_eq!(hears(2), [""; 0], "nobody said what was before");
    world.pass(Duration::from_secs(2));
    assert_eq!(texts(world.tells(0)), ["2", "3", "4"]);
    world.leader_says(0, said(6));
    world.leader_says(0, said(5));
    assert_eq!(texts(world.tells(0)), ["5", "6"]);
}

/// What a page is told that others said.
fn texts(tells: Vec<Event>) -> Vec<String> {
    let said = |event: Event| match event.tell {
        Tell::Message { data: Data::Text(text), .. } => Some(text),
        _ => None,
    };
    tells.into_iter().filter_map(said).collect()
}

#[test]
fn the_next_leader_is_told_how_far_the_clock_is_off() {
    let mut world = World::welcomed([ALICE]);
    assert_eq!(world.registers_again().ahead_ms, 0);
    let mut world = World::welcomed([ALICE]);
    world.leader_says(0, ToFrame::Clock(-1234));
    assert_eq!(world.registers_again().ahead_ms, -1234);
}

#[test]
fn what_the_site_said_itself_is_not_told_when_it_comes_back() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.ask(0, 2, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });
    world.tells(0);
    let (topic, name, body) = world.published.clone().unwrap();

    world.leader_says(0, ToFrame::Topic { topic, from: persona(ALICE).id(), name, time: NOW, ago_ms: 0, body });

    assert_eq!(world.tells(0), []);
}

#[test]
fn bad_arguments_are_named_and_harm_nobody() {
    let mut world = World::welcomed([ALICE]);
    let bad = [
        Ask::Dial { to: "nobody".into() },
        Ask::Join { name: String::new() },
        Ask::Serve { protocol: "x".repeat(129), direct: None },
        Ask::Open { peer: PersonaId([0; 32]).to_string(), protocol: "file".into() },
    ];
    for (id, ask) in (1..).zip(bad) {
        world.ask(0, id, ask);
        let tells = world.tells(0);
        let [Event { tell: Tell::Failed(failure), .. }] = &tells[..] else { panic!("{tells:?}") };
        assert_eq!(failure.code, Code::BadArgument);
    }
    assert!(world.sites[0].machine.requests.is_empty());
}

#[test]
fn a_request_s_number_is_used_once_at_a_time() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Watch);
    for id in [0, 1, FIRST_FRAME_ID] {
        world.ask(0, id, Ask::Status);
    }
    let codes: Vec<_> = (world.tells(0).into_iter())
        .filter_map(|event| if let Tell::Failed(failure) = event.tell { Some(failure.code) } else { None })
        .collect();
    assert_eq!(codes, [Code::BadArgument; 3]);
}

#[test]
fn nonsense_is_answered_until_it_is_too_much() {
    let mut world = World::welcomed([ALICE]);
    for _ in 0..MAX_NONSENSE {
        world.handle(0, Input::Nonsense(3));
    }
    assert!(!world.sites[0].closed);
    world.handle(0, Input::Nonsense(3));
    assert!(world.sites[0].closed);
}

#[test]
fn an_old_leader_isn_t_heard_and_a_new_boot_is_registered_with() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.tells(0);

    let peers = ToFrame::Peers(9);
    let old = Envelope { epoch: Epoch(6), boot: boot(1), message: peers.clone() };
    world.sites[0].machine.handle_input(Input::Leader(old), world.now);
    assert_eq!(world.sites[0].machine.poll_output(), None);

    let restarted = Envelope { epoch: Epoch(7), boot: boot(2), message: peers };
    world.sites[0].machine.handle_input(Input::Leader(restarted), world.now);
    let Some(Output::Leader(Envelope { message: ToLeader::Hello(hello), .. })) = world.sites[0].machine.poll_output()
    else {
        panic!("not registered again")
    };
    assert_eq!(hello.joined.len(), 1);
}

#[test]
fn the_next_leader_is_told_whom_sessions_talk_with_and_what_links_are_for() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.ask(1, 1, Ask::Serve { protocol: "chat".into(), direct: None });
    world.ask(0, 1, Ask::Open { peer: persona(BOB).id().to_string(), protocol: "chat".into() });
    let [used, standby] = [1, 2].map(|number| LinkId { epoch: Epoch(7), number });
    let (own, peer) = (persona(ALICE).id(), persona(BOB).id());
    for link in [used, standby] {
        let dial = Dial { own, peer: Some(peer), door: Door::Signals, direct: true, stun: Vec::new() };
        world.leader_says(0, ToFrame::Link(link, LinkCommand::Dial(dial)));
        world.handle(0, Input::Link(link, LinkEvent::Sign { text: identities(link), proof: None }));
        world.handle(0, Input::Link(link, LinkEvent::Up(peer)));
    }
    world.leader_says(0, ToFrame::Link(used, LinkCommand::Send(vec![1])));

    let hello = world.registers_again();
    assert_eq!(hello.talks, [persona(BOB).id()]);
    let held = |link, used| {
        let bond = identities(link).bond();
        HeldLink { link, own, peer, used, path: Path::Direct, direct: true, bond }
    };
    assert_eq!(hello.links, [held(used, true), held(standby, false)]);
}

#[test]
fn what_the_old_leader_didn_t_answer_is_asked_of_the_new_one() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Join { name: "lobby".into() });
    world.deaf = true;
    world.ask(0, 2, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });
    world.ask(0, 3, Ask::Service { name: "guestbook".into(), method: "sign".into(), args: "[]".into() });
    world.tells(0);

    world.deaf = false;
    world.boot = boot(2);
    world.handle(0, Input::Connected);

    let tells = world.tells(0);
    let [Event { id: 3, tell: Tell::Failed(failure) }, Event { id: 2, tell: Tell::Done }] = &tells[..] else {
        panic!("{tells:?}")
    };
    assert_eq!((failure.code, failure.executed), (Code::LeaderLost, Some(Executed::Unknown)));
}

#[test]
fn a_frame_turns_to_whoever_leads() {
    let mut machine = Site::new(config(ALICE));
    machine.handle_input(Input::Started, Instant::START);
    let own = Line::Port { name: "bitters/2/b1".into(), worker: "/leader.js".into() };
    assert_eq!(machine.poll_output(), Some(Output::Connect(own)));
    while machine.poll_output().is_some() {}

    let up = |worker: &str, kind, heard| {
        Input::Announced(Announcement::LeaderUp {
            epoch: Epoch(7),
            boot: boot(1),
            build: "b1".into(),
            worker: worker.into(),
            name: "bitters/2/b1".into(),
            kind,
            heard,
        })
    };
    // Our hello waits in this one's port already.
    machine.handle_input(up("/leader.js", LeaderKind::Shared, None), Instant::START);
    assert_eq!(machine.poll_output(), None);

    machine.handle_input(up("/old.js", LeaderKind::Shared, None), Instant::START);
    let other = Line::Port { name: "bitters/2/b1".into(), worker: "/old.js".into() };
    assert_eq!(machine.poll_output(), Some(Output::Connect(other)));

    // A channel holds nothing for a late listener, so the leader is asked to open it first.
    machine.handle_input(up("/d.js", LeaderKind::Dedicated, None), Instant::START);
    let frame = config(ALICE).frame;
    assert_eq!(machine.poll_output(), Some(Output::Announce(Announcement::FrameUp { frame, channel: true })));
    machine.handle_input(up("/d.js", LeaderKind::Dedicated, Some(frame)), Instant::START);
    assert_eq!(machine.poll_output(), Some(Output::Connect(Line::Channel)));
}

#[test]
fn a_service_is_not_asked_with_more_than_the_leader_takes() {
    let mut world = World::welcomed([ALICE]);
    let ask = |length| Ask::Service { name: "guestbook".into(), method: "sign".into(), args: "x".repeat(length) };

    world.ask(0, 1, ask(MAX_SERVICE_JSON));
    assert_eq!(world.tells(0), []);

    world.ask(0, 2, ask(MAX_SERVICE_JSON + 1));
    let tells = world.tells(0);
    let [Event { id: 2, tell: Tell::Failed(failure) }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!((failure.code, failure.executed), (Code::TooLarge, Some(Executed::No)));
}

#[test]
fn frames_that_start_at_once_ask_a_dedicated_leader_once_each() {
    let names = [ALICE, BOB, "https://christopher.example"];
    let mut frames = names.map(|name| Site::new(Config { worker: None, ..config(name) }));
    let ids = names.map(|name| config(name).frame);
    let up = |heard| {
        let (build, worker) = ("b1".into(), "/d.js".into());
        let kind = LeaderKind::Dedicated;
        Announcement::LeaderUp {
            epoch: Epoch(7),
            boot: boot(1),
            build,
            worker,
            name: "bitters/2/b1".into(),
            kind,
            heard,
        }
    };
    for frame in &mut frames {
        frame.handle_input(Input::Started, Instant::START);
        while frame.poll_output().is_some() {}
    }

    // The leader begins, and answers each that asks, in everybody's hearing.
    let mut announced = VecDeque::from([up(None)]);
    let mut asked = Vec::new();
    let mut connected = Vec::new();
    while let Some(announcement) = announced.pop_front() {
        assert!(announced.len() < 100, "answers make more questions than they settle");
        for (frame, id) in frames.iter_mut().zip(ids) {
            frame.handle_input(Input::Announced(announcement.clone()), Instant::START);
            while let Some(output) = frame.poll_output() {
                match output {
                    Output::Announce(Announcement::FrameUp { frame, channel: true }) => {
                        asked.push(frame);
                        announced.push_back(up(Some(frame)));
                    }
                    Output::Connect(Line::Channel) => connected.push(id),
                    output => panic!("{output:?}"),
                }
            }
        }
    }

    assert_eq!((asked, connected), (ids.to_vec(), ids.to_vec()));
}

struct World {
    sites: Vec<Played>,
    now: Instant,
    epoch: Epoch,
    boot: Boot,
    /// The leader hears nothing.
    deaf: bool,
    /// Dials come to no end.
    slow: bool,
    /// What was said in a topic last.
    published: Option<(TopicId, MessageName, Vec<u8>)>,
    shown: Option<(TopicId, Vec<u8>)>,
}

struct Played {
    origin: &'static str,
    machine: Site,
    tells: Vec<Event>,
    closed: bool,
}

impl World {
    fn new<const N: usize>(origins: [&'static str; N]) -> Self {
        let played = |origin| Played { origin, machine: Site::new(config(origin)), tells: Vec::new(), closed: false };
        let sites = origins.map(played).into();
        let mut world = Self {
            sites,
            now: Instant::START,
            epoch: Epoch(7),
            boot: boot(1),
            deaf: false,
            slow: false,
            published: None,
            shown: None,
        };
        for site in 0..N {
            world.handle(site, Input::Started);
            world.handle(site, Input::Connected);
        }
        world
    }

    fn welcomed<const N: usize>(origins: [&'static str; N]) -> Self {
        let mut world = Self::new(origins);
        for site in 0..N {
            world.host(site);
            world.tells(site);
        }
        world
    }

    fn host(&mut self, site: usize) {
        self.handle(site, Input::Host { versions: RPC, identity: Identity::Site });
    }

    fn ask(&mut self, site: usize, id: u32, ask: Ask) {
        self.handle(site, Input::Ask(Request { id, ask }));
    }

    fn tells(&mut self, site: usize) -> Vec<Event> {
        std::mem::take(&mut self.sites[site].tells)
    }

    fn leader_says(&mut self, site: usize, message: ToFrame) {
        self.handle(site, Input::Leader(Envelope { epoch: self.epoch, boot: self.boot, message }));
    }

    /// What the first site tells a leader that takes it in after its hello.
    fn said_to_next_leader(&mut self) -> Vec<ToLeader> {
        let welcome = welcome(self.sites[0].origin);
        self.epoch = Epoch(8);
        let envelope = Envelope { epoch: self.epoch, boot: self.boot, message: ToFrame::Welcome(welcome) };
        let site = &mut self.sites[0].machine;
        site.handle_input(Input::Leader(envelope), self.now);
        std::iter::from_fn(|| site.poll_output())
            .filter_map(|output| if let Output::Leader(envelope) = output { Some(envelope.message) } else { None })
            .collect()
    }

    /// What the first site says to a new leader first.
    fn registers_again(&mut self) -> Hello {
        let site = &mut self.sites[0].machine;
        site.handle_input(Input::Connected, self.now);
        let Some(Output::Leader(Envelope { message: ToLeader::Hello(hello), .. })) = site.poll_output() else {
            panic!("not registered again")
        };
        hello
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.sites.iter().filter_map(|site| site.machine.poll_timeout()).min() {
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            for site in 0..self.sites.len() {
                self.handle(site, Input::Timeout);
            }
        }
        self.now = end;
    }

    fn handle(&mut self, site: usize, input: Input) {
        self.sites[site].machine.handle_input(input, self.now);
        while let Some(output) = self.sites[site].machine.poll_output() {
            match output {
                Output::CloseHost => self.sites[site].closed = true,
                Output::Leader(envelope) if !self.deaf => self.lead(site, envelope.message),
                Output::Tell(event) => self.sites[site].tells.push(event),
                _ => {}
            }
        }
    }

    fn lead(&mut self, site: usize, message: ToLeader) {
        match message {
            ToLeader::Hello(_) => {
                self.leader_says(site, ToFrame::Welcome(welcome(self.sites[site].origin)));
            }
            ToLeader::Dial { .. } if self.slow => {}
            ToLeader::Dial { request, .. } | ToLeader::Join { request, .. } => {
                self.leader_says(site, ToFrame::Asked { request, outcome: Ok(()) });
            }
            ToLeader::Show { topic, what, .. } => self.shown = Some((topic, what)),
            ToLeader::Publish { request, topic, name, body } => {
                self.published = Some((topic, name, body.clone()));
                let from = persona(self.sites[site].origin).id();
                for other in (0..self.sites.len()).filter(|other| *other != site) {
                    self.leader_says(
                        other,
                        ToFrame::Topic { topic, from, name, time: NOW, ago_ms: 0, body: body.clone() },
                    );
                }
                self.leader_says(site, ToFrame::Asked { request, outcome: Ok(()) });
            }
            ToLeader::Packet(packet) => {
                let to = self.sites.iter().position(|site| persona(site.origin).id() == packet.to);
                self.leader_says(to.unwrap(), ToFrame::Packet(packet));
            }
            _ => {}
        }
    }
}

fn config(origin: &str) -> Config {
    let number = u8::try_from(origin.len()).unwrap();
    Config {
        frame: FrameId::from_random([number; 16]),
        origin: origin.into(),
        scope: Scope::Site,
        means: Means { bridge: true, handle: true },
        build: "b1".into(),
        worker: Some("/leader.js".into()),
        visible: true,
        watching: false,
        seed: [number; 32],
    }
}

fn welcome(origin: &str) -> Welcome {
    Welcome {
        wire: 2,
        persona: persona(origin),
        identity: Identity::Site,
        permissions: Permissions::default(),
        peers: 0,
        hiding: Hiding::default(),
        blocked: Blocked::default(),
    }
}

/// What the ends of a link sign.
fn identities(link: LinkId) -> IdentityText {
    let end = |id, n| IdentityEnd { id, fingerprint: [n; 32], nonce: [u8::try_from(link.number).unwrap(); 16] };
    IdentityText { signer_is_a: false, a: end(persona(BOB).id(), 1), b: end(persona(ALICE).id(), 2) }
}

fn lobby() -> TopicKey {
    TopicKey::of(&"lobby".try_into().unwrap())
}

fn persona(origin: &str) -> PersonaSecret {
    NodeSecret::new([9; 32]).persona(origin)
}

fn boot(number: u8) -> Boot {
    Boot(FrameId::from_random([number; 16]).0)
}

fn call(peer: &str, method: &str, timeout: u32) -> Ask {
    let peer = persona(peer).id().to_string();
    Ask::Call { peer, method: method.into(), data: Data::Json("[1,2]".into()), timeout, idempotent: false }
}

/// Milliseconds since 1970.
const NOW: u64 = 1_800_000_000_000;

const ALICE: &str = "https://alice.example";
const BOB: &str = "https://bob.example";
