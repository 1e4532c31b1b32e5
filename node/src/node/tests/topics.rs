//! Topics among strangers, hostile members and wrong clocks: what is shown, heard and passed on.

use bitters_wire::{
    local::{Bond, Membership},
    topic::{FRESH_MS, Heard, MessageName, Published, TAGS_AT_ONCE, TopicMessage, TopicTag, Word},
};

use super::{lab::*, *};
use crate::pair::Pair;

#[test]
fn strangers_are_shown_no_topics_until_they_are_named_or_show_one() {
    let (mut lab, link) = strangers();
    let joined = lab.frame(TAB, joins(1, GARDEN));
    assert!(!joined.iter().any(|it| said_of_topics(it).is_some()), "{joined:?}");
    assert_eq!(lab.peer(link, &in_topic(alice(), CELLAR)), [], "in which our site isn't");
    let named = lab.server(ToNode::Members { topic: GARDEN, key: us(), members: vec![alice()] });
    assert_eq!(named, [said(link, &in_topic(us(), GARDEN))], "and not the lobby");
    let shown = lab.peer(link, &in_topic(alice(), LOBBY));
    assert!(shown.contains(&said(link, &in_topic(us(), LOBBY))), "{shown:?}");
    let joined = lab.frame(TAB, joins(2, CELLAR));
    assert!(joined.contains(&said(link, &in_topic(us(), CELLAR))), "what is joined later, too: {joined:?}");
}

#[test]
fn a_site_shows_all_its_topics_to_whom_it_accepts() {
    let (mut lab, link) = strangers();
    let accepted = lab.frame(TAB, ToLeader::Accepted { peer: alice(), ago_ms: 0 });
    assert!(accepted.contains(&said(link, &in_topic(us(), LOBBY))), "{accepted:?}");
}

#[test]
fn what_is_shown_is_padded_and_as_many_whatever_there_are() {
    let (mut lab, link) = strangers();
    for (n, topic) in (2..).zip([GARDEN, CELLAR]) {
        lab.frame(TAB, joins(n, topic));
    }
    let outputs = lab.peer(link, &in_topic(alice(), LOBBY));
    let shown = said(link, &in_topics(us(), &[LOBBY, GARDEN, CELLAR]));
    assert!(outputs.contains(&shown), "{outputs:?}");
    let TopicMessage::Tags(tags) = in_topics(us(), &[LOBBY, GARDEN, CELLAR]) else { unreachable!() };
    assert_eq!(tags.len(), TAGS_AT_ONCE);
}

#[test]
fn a_tag_that_is_carried_to_another_link_or_sent_back_shows_nothing() {
    let elsewhere = matching(LOBBY).tag(&Bond([9; 32]), alice());
    let sent_back = matching(LOBBY).tag(&BOND, us());
    for tag in [elsewhere, sent_back, TopicTag([7; 16])] {
        let (mut lab, link) = strangers();
        assert_eq!(lab.peer(link, &TopicMessage::Tags(vec![tag; TAGS_AT_ONCE])), []);
    }
}

#[test]
fn a_recorded_message_is_not_heard_again_by_a_new_page_or_a_new_leader() {
    let (mut lab, link) = in_lobby();
    let recorded = peer_says(alice(), LOBBY, b"secret");
    assert!(hears(&lab.peer(link, &recorded), TAB));
    lab.now = lab.now + Duration::from_secs(11);
    lab.admit(OTHER, SITE);
    lab.frame(OTHER, joins(1, LOBBY));
    assert_eq!(lab.peer(link, &recorded), [], "the leader remembers it");

    let mut heard = Heard::default();
    assert!(heard.hear(alice(), name_of(b"secret"), 0));
    let joined = vec![Membership { heard: heard.tell(8, 8), ..is_in(LOBBY) }];
    let mut next = Lab::registered();
    next.frame(TAB, ToLeader::Hello(Hello { joined, known: true, ..hello(TAB, SITE) }));
    let link = linked(&mut next, alice());
    assert!(!hears(&next.peer(link, &recorded), TAB), "a page told the next one");
}

#[test]
fn a_page_does_not_hear_what_was_said_long_before_it_came() {
    for (age, is_heard) in [(10_000, true), (10_001, false)] {
        let mut lab = Lab::registered();
        lab.now = lab.now + Duration::from_secs(60);
        lab.frame(TAB, joins(1, LOBBY));
        let link = linked(&mut lab, alice());
        let published = published_at(60_000 - age, alice(), LOBBY, b"before");
        assert_eq!(hears(&lab.peer(link, &TopicMessage::Publish { topic: LOBBY, published }), TAB), is_heard);
    }
}

#[test]
fn what_is_dated_far_from_the_common_clock_is_not_heard_and_a_wrong_clock_of_ours_makes_no_difference() {
    let mut lab = Lab::new();
    lab.input(Input::WallClock(DAY));
    lab.admit(TAB, SITE);
    lab.peers_think(0);
    lab.register(Vec::new());
    lab.now = lab.now + Duration::from_millis(2 * FRESH_MS);
    lab.peers_think(4);
    let said = lab.frame(TAB, joins(1, LOBBY));
    assert!(said.contains(&asked(1, Ok(()))));
    let link = linked(&mut lab, alice());
    for (n, (time, is_heard)) in
        [(FRESH_MS + 1, true), (FRESH_MS - 1, false), (3 * FRESH_MS, true), (3 * FRESH_MS + 1, false), (DAY, false)]
            .into_iter()
            .enumerate()
    {
        let message = TopicMessage::Publish { topic: LOBBY, published: published_at(time, alice(), LOBBY, [n as u8]) };
        let passed_on = hears(&lab.peer(link, &message), TAB);
        // The page joined a moment ago, and hears nothing of what was said more than ten seconds before.
        assert_eq!(passed_on, is_heard && time + 10_000 >= 2 * FRESH_MS, "{time}");
    }
}

#[test]
fn a_page_that_joins_while_our_clock_is_a_day_fast_hears_and_is_heard_and_its_site_is_told() {
    let mut lab = Lab::new();
    lab.input(Input::WallClock(DAY));
    lab.admit(TAB, SITE);
    lab.frame(TAB, joins(1, LOBBY));
    lab.peers_think(0);
    lab.register(Vec::new());
    let link = linked(&mut lab, alice());
    assert!(hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"hello")), TAB));
    let said_at = |outputs: Vec<Output>| match outputs.iter().find_map(said_of_topics) {
        Some((_, TopicMessage::Publish { topic, published })) => {
            published.open((topic, &matching(topic))).unwrap().header.time
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(said_at(lab.frame(TAB, page_says(2, LOBBY, b"one"))), 0);
    let told = lab.frame(TAB, ToLeader::Status);
    let [status] = permissions::statuses_to(TAB, &told);
    assert!(status.warnings.iter().any(|it| it.contains("24 h fast")), "{:?}", status.warnings);

    // The machine sleeps for ten minutes, and hears nothing of the server after that.
    lab.input(Input::WallClock(DAY + 600_000));
    assert_eq!(said_at(lab.frame(TAB, page_says(3, LOBBY, b"two"))), 600_000);
}

#[test]
fn a_new_leader_learns_from_a_page_how_far_our_clock_is_off_before_a_server_tells_it() {
    let mut lab = Lab::new();
    lab.input(Input::WallClock(DAY));
    lab.admit(TAB, SITE);
    lab.peers_think(0);
    lab.input(Input::Uplink(UplinkEvent::Open { server: SERVER.into() }));
    let told = lab.server(ToNode::Challenge { nonce: NONCE, wire: WIRE, unix_ms: 0 });
    let ahead_ms = -i64::try_from(DAY).unwrap();
    let clock = |frame| Output::Frame(frame, ToFrame::Clock(ahead_ms));
    assert!(told.contains(&clock(TAB)), "{told:?}");
    let new = lab.frame(OTHER, ToLeader::Hello(hello(OTHER, SITE)));
    assert!(new.contains(&clock(OTHER)), "a page that comes later, too: {new:?}");

    let mut next = Lab::new();
    let link = LinkId { epoch: Epoch(2), number: 1 };
    let links =
        vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }];
    let joined = vec![is_in(LOBBY)];
    next.input(Input::WallClock(DAY));
    next.frame(TAB, ToLeader::Hello(Hello { ahead_ms, links, joined, known: true, ..hello(TAB, SITE) }));
    next.peer(link, &in_topic(alice(), LOBBY));
    next.peers_think(0);
    assert!(hears(&next.peer(link, &peer_says(alice(), LOBBY, b"hello")), TAB));
}

/// A node whose browser's clock is a day fast, whom no server told the time, and whose frame holds a link to another member.
fn a_day_fast() -> (Lab, LinkId) {
    let mut lab = Lab::new();
    let link = LinkId { epoch: Epoch(2), number: 1 };
    let links =
        vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }];
    lab.input(Input::WallClock(DAY));
    lab.frame(TAB, ToLeader::Hello(Hello { links, joined: vec![is_in(LOBBY)], known: true, ..hello(TAB, SITE) }));
    lab.peer(link, &in_topic(alice(), LOBBY));
    lab.peers_think(0);
    (lab, link)
}

#[test]
fn where_no_server_told_the_time_that_of_the_neighbours_counts_and_only_for_their_persona() {
    let (mut lab, link) = a_day_fast();
    lab.admit(OTHER, OTHER_SITE);
    let other = lab.node.frames.frame(OTHER).unwrap().persona();
    assert!(!hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"too old for us")), TAB));
    lab.within(Duration::from_secs(1));
    assert!(hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"hello")), TAB));
    let now = |own| lab.node.clock.common_ms(own);
    assert!(now(us()) < 5_000 && now(other) >= DAY, "{} {}", now(us()), now(other));
    let told = lab.frame(TAB, ToLeader::Status);
    let [status] = permissions::statuses_to(TAB, &told);
    assert!(status.warnings.iter().any(|it| it.contains("24 h fast")), "{:?}", status.warnings);

    // A server counts more.
    lab.input(Input::Uplink(UplinkEvent::Open { server: SERVER.into() }));
    lab.server(ToNode::Challenge { nonce: NONCE, wire: WIRE, unix_ms: 2 * DAY });
    assert!(!hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"too old again")), TAB));
    lab.within(Duration::from_secs(1));
    assert!(lab.node.clock.common_ms(us()) >= 2 * DAY);
}

#[test]
fn what_a_neighbour_says_of_others_and_a_single_one_of_two_puts_no_clock() {
    let (mut lab, link) = a_day_fast();
    // Of somebody who isn't the neighbour.
    lab.peer(
        link,
        &TopicMessage::Publish { topic: LOBBY, published: published_at(0, peer(102), LOBBY, *b"of another") },
    );
    lab.peer(link, &here(&[word(peer(101), 0, 8)]));
    lab.within(Duration::from_secs(1));
    assert!(lab.node.clock.common_ms(us()) >= DAY);
    for time in [DAY, 0] {
        lab.peer(
            link,
            &TopicMessage::Publish { topic: LOBBY, published: published_at(time, alice(), LOBBY, *b"both") },
        );
    }
    lab.peer(link, &TopicMessage::Publish { topic: LOBBY, published: published_at(DAY, alice(), LOBBY, *b"last") });
    lab.within(Duration::from_secs(1));
    assert!(lab.node.clock.common_ms(us()) >= DAY, "what it said last agrees with ours");
}

#[test]
fn who_shows_topics_again_and_again_is_hung_up_on() {
    let (mut lab, link) = in_lobby();
    for n in 0..60_u8 {
        lab.frame(TAB, joins(10, TopicId([100 + n; 32])));
    }
    let shows = |_: &_| {
        !lab.peer(link, &in_topic(alice(), CELLAR)).iter().any(|it| *it == command(TAB, link, LinkCommand::HangUp))
    };
    assert!((100..1000).contains(&(0..5000).take_while(shows).count()));
}

#[test]
fn junk_goes_nowhere_and_who_says_what_no_member_says_is_hung_up_on() {
    type Junk = fn(Vec<u8>) -> Published;
    let junk: [(Junk, bool); 5] = [
        // Who doesn't know the name has another key.
        (|body| published_at(0, alice(), GARDEN, body), true),
        // A member that carries what another said elsewhere, or puts other words into its mouth.
        (forged, true),
        (carried, true),
        // What may have been said, by a wrong clock, and a member's clone may say.
        (|body| published_at(DAY, alice(), LOBBY, body), false),
        (|body| published_at(0, alice(), LOBBY, body), false),
    ];
    for (n, (junk, is_offence)) in junk.into_iter().enumerate() {
        let (mut lab, link) = in_lobby();
        let other = linked(&mut lab, bob());
        let message = TopicMessage::Publish { topic: LOBBY, published: junk(vec![7; 1000]) };
        let outputs = lab.peer(link, &message);
        assert_eq!(outputs.contains(&command(TAB, link, LinkCommand::HangUp)), is_offence, "{n}");
        assert_eq!(bytes_to(&outputs, other) > 0, n == 4, "{n}: {outputs:?}");
    }
}

#[test]
fn a_page_that_leaves_before_a_member_answers_has_nobody_hung_up_on() {
    let (mut lab, link) = strangers();
    lab.server(ToNode::Members { topic: LOBBY, key: us(), members: vec![alice()] });
    lab.frame(TAB, ToLeader::Leave(LOBBY));
    for message in [in_topic(alice(), LOBBY), peer_says(alice(), LOBBY, b"hello")] {
        assert_eq!(lab.peer(link, &message), []);
    }
}

#[test]
fn whom_the_person_blocked_is_neither_heard_nor_listed_by_way_of_others() {
    let (mut lab, link) = in_lobby();
    lab.admit(THIRD, PAGE);
    lab.frame(THIRD, ToLeader::Block { origin: SITE.into(), peer: bob(), blocked: true });
    assert_eq!(lab.peer(link, &here(&[word(bob(), 0, 8)])), []);
    assert!(!hears(&lab.peer(link, &peer_says(bob(), LOBBY, b"hello")), TAB));
    assert!(hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"hello")), TAB));
}

#[test]
fn where_not_all_may_be_said_again_it_is_the_latest_in_order() {
    let (mut lab, link) = in_lobby();
    for n in 0..100_u32 {
        lab.frame(TAB, page_says(10 + n, LOBBY, n.to_be_bytes().repeat(512)));
    }
    let mut again = || {
        lab.link(link, LinkEvent::Drained(u32::MAX));
        lab.peer(link, &left(alice(), LOBBY));
        let outputs = lab.peer(link, &in_topic(alice(), LOBBY));
        let said = outputs.iter().filter_map(said_of_topics).filter_map(|(_, message)| match message {
            TopicMessage::Publish { published, .. } => Some(u32::from(published.body[3])),
            _ => None,
        });
        said.collect::<Vec<u32>>()
    };
    assert_eq!(again(), (0..100).collect::<Vec<_>>());
    let second = again();
    assert!((5..50).contains(&second.len()), "{second:?}");
    assert_eq!(second, (100 - u32::try_from(second.len()).unwrap()..100).collect::<Vec<_>>());
}

#[test]
fn a_member_that_floods_is_bounded_and_others_come_through() {
    let (mut lab, link) = in_lobby();
    linked(&mut lab, bob());
    let flood = (0..4000_u32).filter(|n| hears(&lab.peer(link, &peer_says(alice(), LOBBY, n.to_le_bytes())), TAB));
    assert_eq!(flood.count(), 4 * 400, "as much as four sites may say at once");
    let other = linked(&mut lab, peer(1));
    assert!(hears(&lab.peer(other, &peer_says(peer(1), LOBBY, b"hello")), TAB));
}

#[test]
fn a_link_brings_so_many_new_authors() {
    let (mut lab, link) = in_lobby();
    let heard = (0..400).filter(|n| {
        let published = published_by(&made_up(*n), LOBBY, b"hello".to_vec());
        hears(&lab.peer(link, &TopicMessage::Publish { topic: LOBBY, published }), TAB)
    });
    assert_eq!(heard.count(), 256);
    assert!(hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"of my own")), TAB));
}

#[test]
fn who_comes_and_goes_gets_one_replay() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    for n in 0..250_u16 {
        lab.peer(link, &here(&[Word::sign(LOBBY, &made_up(n), (0, 120), Vec::new())]));
    }
    for n in 0..50_u32 {
        lab.frame(TAB, page_says(10 + n, LOBBY, n.to_le_bytes().repeat(512)));
    }
    let (mut bytes_in, mut out) = (0, 0);
    for _ in 0..200 {
        for message in [left(alice(), LOBBY), in_topic(alice(), LOBBY)] {
            bytes_in += message.encoded().len();
            let outputs = lab.peer(link, &message);
            out += bytes_out(&outputs);
            lab.link(link, LinkEvent::Drained(u32::MAX));
        }
        lab.now = lab.now + Duration::from_millis(10);
    }
    let replay = 256 * 1024;
    assert!(out > replay / 2, "{out}: there is one");
    assert!(out <= replay + 3 * bytes_in, "{out} bytes for {bytes_in}");
}

#[test]
fn what_a_peer_said_is_not_said_again_to_it() {
    let (mut lab, link) = in_lobby();
    lab.peer(link, &peer_says(alice(), LOBBY, b"mine"));
    lab.peer(link, &left(alice(), LOBBY));
    let outputs = lab.peer(link, &in_topic(alice(), LOBBY));
    assert!(
        !outputs.iter().any(|it| matches!(said_of_topics(it), Some((_, TopicMessage::Publish { .. })))),
        "{outputs:?}"
    );
}

#[test]
fn what_was_said_before_its_author_left_is_heard() {
    let (mut lab, link) = in_lobby();
    lab.peer(link, &left(alice(), LOBBY));
    assert!(hears(&lab.peer(link, &peer_says(alice(), LOBBY, b"late")), TAB), "it may have waited");
    assert_eq!(lab.peer(link, &Control::Switch).len(), 1, "the link is there");
}

#[test]
fn members_are_told_of_by_others_and_missed_when_three_of_their_words_are() {
    let (mut lab, link) = in_lobby();
    let here = |time, every| here(&[word(bob(), time, every)]);
    assert_eq!(lab.peer(link, &here(0, 8)), [peers_are(&[alice(), bob()])]);
    assert_eq!(lab.peer(link, &here(0, 8)), [], "once");
    lab.frame(TAB, ToLeader::Pong);
    let missed = lab.within(Duration::from_secs(30));
    assert!(missed.contains(&peers_are(&[alice()])), "{missed:?}");
    assert_eq!(lab.peer(link, &here(0, 8)), [], "what was recorded makes no ghost");
}

#[test]
fn who_leaves_says_so_and_others_pass_that_on() {
    let (mut lab, link) = in_lobby();
    let other = linked(&mut lab, peer(1));
    lab.tells_words = true;
    lab.peer(link, &here(&[word(bob(), 0, 8)]));
    let left = here(&[word(bob(), 1, 0)]);
    assert_eq!(lab.peer(link, &left), [said(other, &left), peers_are(&[alice(), peer(1)])]);
    let ours = lab.frame(TAB, ToLeader::Leave(LOBBY));
    for link in [link, other] {
        let last = |(to, message): (LinkId, TopicMessage)| match message {
            TopicMessage::Here { words, .. } => {
                to == link && words.iter().any(|word| word.from == us() && word.is_last())
            }
            _ => false,
        };
        assert!(ours.iter().filter_map(said_of_topics).any(last), "{ours:?}");
    }
}

#[test]
fn a_neighbour_that_comes_hears_who_is_there_and_one_that_goes_is_missed_at_once() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    lab.peer(link, &here(&[word(bob(), 0, 8), word(alice(), 0, 8)]));
    let second = lab.linked_in(TAB, Pair { own: us(), peer: peer(1) });
    let heard = lab.peer(second, &in_topic(peer(1), LOBBY));
    let mut told: Vec<PersonaId> = words_to(second, &heard).iter().map(|word| word.from).collect();
    told.sort();
    let mut there = [us(), alice(), bob()];
    there.sort();
    assert_eq!(told, there);
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    let missed = lab.within(Duration::from_secs(2));
    assert!(missed.contains(&peers_are(&[bob(), peer(1)])), "{missed:?}");
}

#[test]
fn a_member_says_that_it_is_there_for_as_long_as_others_are_who_are_no_neighbours() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    let says = |outputs: Vec<Output>| {
        let ours = |(_, message)| match message {
            TopicMessage::Here { words, .. } => words.iter().any(|word| word.from == us()),
            _ => false,
        };
        outputs.iter().filter_map(said_of_topics).filter(|it| ours(it.clone())).count()
    };
    assert_eq!(says(lab.within_while_frames_answer(Duration::from_secs(60))), 0, "neighbours see it");
    let mut spoke = 0;
    for second in 60..90 {
        let bobs = here(&[word(bob(), second * 1000, 8)]);
        spoke += says(lab.peer(link, &bobs)) + says(lab.within_while_frames_answer(Duration::from_secs(1)));
    }
    assert!((4..15).contains(&spoke), "{spoke} in half a minute");
    lab.peer(link, &here(&[word(bob(), 90_000, 0)]));
    lab.within_while_frames_answer(Duration::from_secs(8));
    assert_eq!(says(lab.within_while_frames_answer(Duration::from_secs(60))), 0);
}

#[test]
fn who_misses_a_neighbour_says_that_it_is_there_itself_though_it_said_so_just_before() {
    // When the last word was: long ago, and less than is left between two words.
    for before in [5000, 500] {
        let (mut lab, link) = in_lobby();
        let other = linked(&mut lab, peer(1));
        lab.tells_words = true;
        lab.within_while_frames_answer(Duration::from_secs(5));
        let lost = lab.link(link, LinkEvent::Down(DownReason::Closed));
        assert_eq!(ours_to(other, &lost), 0);
        lab.within_while_frames_answer(Duration::from_millis(2000 - before.min(1500)));
        if before == 500 {
            // A far member has us say a word.
            assert_eq!(ours_to(other, &lab.peer(other, &here(&[word(bob(), 5000, 8)]))), 1);
            lab.peer(other, &here(&[word(bob(), 5001, 0)]));
        }
        assert_eq!(ours_to(other, &lab.within_while_frames_answer(Duration::from_secs(4))), 1);
    }
}

#[test]
fn where_a_clone_of_ours_left_others_hear_that_we_are_there() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    lab.within_while_frames_answer(Duration::from_secs(5));
    lab.peer(link, &here(&[word(us(), 5000, 0)]));
    assert_eq!(ours_to(link, &lab.within_while_frames_answer(Duration::from_secs(3))), 1);
}

#[test]
fn what_a_peer_spells_in_another_way_is_no_message() {
    let (mut lab, link) = in_lobby();
    let mut message = peer_says(alice(), LOBBY, b"hello").encoded();
    message.splice(..1, [message[0] | 0x80, 0]);
    let outputs = lab.link(link, LinkEvent::Received(message));
    assert!(!hears(&outputs, TAB) && outputs.contains(&command(TAB, link, LinkCommand::HangUp)), "{outputs:?}");
}

/// How many of our words a peer is told.
fn ours_to(link: LinkId, outputs: &[Output]) -> usize {
    words_to(link, outputs).iter().filter(|word| word.from == us() && !word.is_last()).count()
}

#[test]
fn nobody_says_that_another_is_there() {
    let (mut lab, link) = in_lobby();
    let mut forged = word(bob(), 0, 8);
    forged.from = peer(1);
    assert!(lab.peer(link, &here(&[forged])).contains(&command(TAB, link, LinkCommand::HangUp)));
}

#[test]
fn of_a_large_topic_256_are_told_and_that_there_are_more() {
    let (mut lab, link) = in_lobby();
    let mut told = (Vec::new(), false);
    for n in 0..300_u16 {
        let words = here(&[Word::sign(LOBBY, &made_up(n), (lab.now.as_millis(), 120), Vec::new())]);
        for output in lab.peer(link, &words) {
            if let Output::Frame(_, ToFrame::TopicPeers { peers, more, .. }) = output {
                assert!(told.0.iter().all(|peer| peers.contains(peer)), "nobody is told to have left");
                told = (peers, more);
            }
        }
        lab.now = lab.now + Duration::from_millis(250);
    }
    assert_eq!((told.0.len(), told.1), (256, true));
}

#[test]
fn authors_who_flood_a_link_together_do_not_cost_others_their_place_on_it() {
    let (mut lab, link) = in_lobby();
    let says = |author: u16, n: u16| {
        let name = [author.to_be_bytes(), n.to_be_bytes(), [0; 2], [0; 2]].concat();
        let name = MessageName(name.try_into().unwrap());
        let published = Published::new((LOBBY, &matching(LOBBY)), &made_up(author), (0, name), vec![1]);
        TopicMessage::Publish { topic: LOBBY, published }
    };
    let flood = (0..3).flat_map(|author| (0..1500).map(move |n| (author, n)));
    let heard = flood.filter(|(author, n)| hears(&lab.peer(link, &says(*author, *n)), TAB)).count();
    assert!((4000..4020).contains(&heard), "{heard} of 4500");
    assert!(hears(&lab.peer(link, &peer_says(bob(), LOBBY, b"hello")), TAB));
}

/// One of many personas that a member makes up.
pub(super) fn made_up(n: u16) -> PersonaSecret {
    PersonaSecret::new(n.to_be_bytes().repeat(16).try_into().unwrap())
}

fn word(from: PersonaId, time: u64, every: u16) -> Word {
    Word::sign(LOBBY, &secret_of(from), (time, every), Vec::new())
}

pub(super) fn here(words: &[Word]) -> TopicMessage {
    TopicMessage::Here { topic: LOBBY, words: words.to_vec() }
}

fn peers_are(peers: &[PersonaId]) -> Output {
    let mut peers = peers.to_vec();
    peers.sort();
    Output::Frame(TAB, ToFrame::TopicPeers { topic: LOBBY, peers, more: false })
}

const GARDEN: TopicId = TopicId([4; 32]);
const CELLAR: TopicId = TopicId([5; 32]);
/// Milliseconds.
const DAY: u64 = 86_400_000;

pub(super) fn bob() -> PersonaId {
    peer(7)
}

/// A site in the lobby, linked with somebody whom it doesn't know.
fn strangers() -> (Lab, LinkId) {
    let mut lab = reasons::at_door();
    lab.frame(TAB, joins(9, LOBBY));
    let (link, _) = reasons::comes_to_door(&mut lab, alice());
    (lab, link)
}

/// A site in the lobby, linked with another member.
pub(super) fn in_lobby() -> (Lab, LinkId) {
    let mut lab = Lab::registered();
    lab.frame(TAB, joins(9, LOBBY));
    let link = linked(&mut lab, alice());
    (lab, link)
}

/// A member of the lobby to whom there is a link.
pub(super) fn linked(lab: &mut Lab, member: PersonaId) -> LinkId {
    let link = lab.linked_in(TAB, Pair { own: us(), peer: member });
    lab.peer(link, &in_topic(member, LOBBY));
    link
}

fn hears(outputs: &[Output], frame: FrameId) -> bool {
    outputs.iter().any(|it| matches!(it, Output::Frame(to, ToFrame::Topic { .. }) if *to == frame))
}

fn bytes_out(outputs: &[Output]) -> usize {
    outputs.iter().filter_map(said_of_topics).map(|(_, message)| message.encoded().len()).sum()
}

fn bytes_to(outputs: &[Output], link: LinkId) -> usize {
    outputs
        .iter()
        .filter_map(said_of_topics)
        .filter(|(to, _)| *to == link)
        .map(|(_, message)| message.encoded().len())
        .sum()
}

fn published_by(author: &PersonaSecret, topic: TopicId, body: Vec<u8>) -> Published {
    Published::new((topic, &matching(topic)), author, (0, name_of(&body)), body)
}

/// Signed in another topic, and sealed for the lobby: that is, by a member who has no other's signature.
fn forged(body: Vec<u8>) -> Published {
    Published::new((GARDEN, &matching(LOBBY)), &secret_of(bob()), (0, name_of(&body)), body)
}

/// Another's header with another body.
fn carried(body: Vec<u8>) -> Published {
    let mut published = published_at(0, bob(), LOBBY, b"hello");
    published.body = body;
    published
}
