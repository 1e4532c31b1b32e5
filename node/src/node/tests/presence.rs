//! What members of a topic show of themselves.

use bitters_wire::{
    local::{Membership, Showing},
    permission::Permission,
    topic::{MAX_SHOWN, TopicMessage, Word},
};

use super::{
    lab::*,
    topics::{bob, here, in_lobby, linked},
    *,
};
use crate::pair::Pair;

#[test]
fn what_a_page_shows_is_told_to_neighbours_at_once_and_then_every_half_second() {
    let (mut lab, link) = in_lobby();
    let other = linked(&mut lab, peer(1));
    lab.tells_words = true;
    lab.within_while_frames_answer(Duration::from_secs(5));
    let first = lab.frame(TAB, shows(b"1"));
    assert_eq!([told(link, &first), told(other, &first)], [[b"1"], [b"1"]]);
    for n in b'2'..=b'9' {
        assert_eq!(told(link, &lab.frame(TAB, shows(&[n]))), NOTHING);
    }
    let later = lab.within_while_frames_answer(Duration::from_millis(600));
    assert_eq!(told(link, &later), [b"9"], "the last counts");
    assert_eq!(told(link, &lab.frame(TAB, shows(b"9"))), NOTHING, "no news");
    lab.within_while_frames_answer(Duration::from_secs(1));
    assert_eq!(told(link, &lab.frame(TAB, shows(b""))), [b""]);
}

#[test]
fn who_comes_later_is_told_what_each_shows_however_long_ago_it_said_so() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    lab.now = lab.now + Duration::from_secs(1);
    lab.frame(TAB, shows(b"ours"));
    lab.peer(link, &here(&[word_of(bob(), 0, b"bobs")]));
    let newcomer = lab.linked_in(TAB, Pair { own: us(), peer: peer(1) });
    let mut shown = told(newcomer, &lab.peer(newcomer, &in_topic(peer(1), LOBBY)));
    shown.sort();
    assert_eq!(shown, [b"bobs", b"ours"]);

    let (mut lab, _) = in_lobby();
    lab.tells_words = true;
    lab.now = lab.now + Duration::from_secs(1);
    lab.frame(TAB, shows(b"ours"));
    let newcomer = lab.linked_in(TAB, Pair { own: us(), peer: peer(1) });
    lab.within_while_frames_answer(Duration::from_secs(50));
    assert_eq!(told(newcomer, &lab.peer(newcomer, &in_topic(peer(1), LOBBY))), [b"ours"]);
}

#[test]
fn a_page_is_told_what_is_shown_by_who_is_there_and_only_news() {
    let (mut lab, link) = in_lobby();
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(bob(), 0, b"1")]))), [shown_by(TAB, bob(), b"1")]);
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(bob(), 1000, b"1")]))), []);
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(bob(), 2000, b"2")]))), [shown_by(TAB, bob(), b"2")]);
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(bob(), 1000, b"1")]))), [], "recorded");
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(alice(), 0, b"near")]))), [shown_by(TAB, alice(), b"near")]);
    lab.frame(TAB, ToLeader::Pong);
    lab.within_while_frames_answer(Duration::from_secs(120));
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(bob(), 2000, b"2")]))), [], "who is missed shows nothing");

    lab.admit(OTHER, SITE);
    lab.frame(OTHER, joins(1, LOBBY));
    let late = lab.within_while_frames_answer(Duration::from_secs(1));
    assert_eq!(shown(&late), [], "all that was told at once");
}

#[test]
fn a_page_that_joins_is_told_what_is_shown_by_neighbours_whose_words_are_long_over() {
    let (mut lab, link) = in_lobby();
    lab.peer(link, &here(&[word_of(alice(), 0, b"near")]));
    lab.within_while_frames_answer(Duration::from_secs(600));
    lab.admit(OTHER, SITE);
    assert_eq!(shown(&lab.frame(OTHER, joins(1, LOBBY))), [shown_by(OTHER, alice(), b"near")]);
}

#[test]
fn of_a_persona_s_pages_the_one_counts_that_showed_something_last_until_it_leaves() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    lab.admit(OTHER, SITE);
    lab.frame(OTHER, joins(1, LOBBY));
    lab.now = lab.now + Duration::from_secs(1);
    let first = lab.frame(TAB, shows(b"tab"));
    assert_eq!(shown(&first), [TAB, OTHER].map(|frame| shown_by(frame, us(), b"tab")));
    lab.now = lab.now + Duration::from_secs(1);
    assert_eq!(told(link, &lab.frame(OTHER, shows(b"other"))), [b"other"]);
    lab.now = lab.now + Duration::from_secs(1);
    let left = lab.frame(OTHER, ToLeader::Leave(LOBBY));
    assert_eq!((told(link, &left), shown(&left)), (vec![b"tab".to_vec()], vec![shown_by(TAB, us(), b"tab")]));
    lab.now = lab.now + Duration::from_secs(1);
    assert_eq!(told(link, &lab.frame(TAB, ToLeader::Leave(LOBBY))), [b""], "it leaves");
}

#[test]
fn the_next_leader_is_told_by_pages_what_they_show_and_tells_them_what_nobody_shows_any_longer() {
    let membership = |since_ms, what: &[u8]| {
        let shows = Some(Showing { of: us(), since_ms, what: what.to_vec() });
        Membership { shows, ..is_in(LOBBY) }
    };
    let mut lab = Lab::registered();
    lab.tells_words = true;
    for (frame, since_ms, what) in [(TAB, 5000, b"old"), (OTHER, 1000, b"new")] {
        let joined = vec![membership(since_ms, what)];
        lab.frame(frame, ToLeader::Hello(Hello { joined, known: true, ..hello(frame, SITE) }));
    }
    lab.within_while_frames_answer(Duration::from_secs(1));
    let link = lab.linked_in(TAB, Pair { own: us(), peer: alice() });
    assert_eq!(told(link, &lab.peer(link, &in_topic(alice(), LOBBY))), [b"new"]);

    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Hello(Hello { joined: vec![is_in(LOBBY)], known: true, ..hello(TAB, SITE) }));
    let settled = lab.within_while_frames_answer(Duration::from_secs(5));
    assert_eq!(shown(&settled), [shown_by(TAB, us(), b"")], "another page showed it, and went with the leader");
}

#[test]
fn a_frame_that_becomes_another_persona_shows_nothing_until_it_is_sealed_anew() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    lab.now = lab.now + Duration::from_secs(1);
    lab.frame(TAB, shows(b"ours"));
    lab.frame(
        TAB,
        ToLeader::Hello(Hello { identity: Identity::Person, joined: vec![is_in(LOBBY)], ..hello(TAB, SITE) }),
    );
    let (permission, answer) = (Permission::Person, Answer::Yes);
    lab.frame(TAB, ToLeader::Permit { origin: SITE.into(), permission, answer });
    let person = lab.node.frames.frame(TAB).unwrap().persona();
    assert_ne!(person, us());
    let stale = Showing { of: us(), since_ms: 0, what: b"ours".to_vec() };
    let joined = vec![Membership { shows: Some(stale), ..is_in(LOBBY) }];
    lab.frame(TAB, ToLeader::Hello(Hello { identity: Identity::Person, joined, ..hello(TAB, SITE) }));
    let link_of_person = lab.linked_in(TAB, Pair { own: person, peer: peer(1) });
    let tags = TopicMessage::Tags(vec![matching(LOBBY).tag(&BOND, peer(1)); 8]);
    let greeted = lab.peer(link_of_person, &tags);
    assert_eq!((told(link_of_person, &greeted), told(link, &greeted)), (vec![Vec::new()], vec![]));
    lab.now = lab.now + Duration::from_secs(1);
    assert_eq!(told(link_of_person, &lab.frame(TAB, shows(b"anew"))), [b"anew"]);
}

#[test]
fn who_shows_what_it_may_not_is_hung_up_on() {
    let mut forged = word_of(bob(), 0, b"his");
    forged.shows = b"mine".to_vec();
    let too_long = word_of(alice(), 0, &[7; MAX_SHOWN + 1]);
    for word in [forged, too_long] {
        let (mut lab, link) = in_lobby();
        assert!(lab.peer(link, &here(&[word])).contains(&command(TAB, link, LinkCommand::HangUp)));
    }
    let (mut lab, link) = in_lobby();
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(alice(), 0, &[7; MAX_SHOWN])]))).len(), 1);
}

#[test]
fn nobody_sees_what_a_blocked_peer_shows() {
    let (mut lab, link) = in_lobby();
    lab.admit(OTHER, PAGE);
    lab.frame(OTHER, ToLeader::Block { origin: SITE.into(), peer: bob(), blocked: true });
    assert_eq!(shown(&lab.peer(link, &here(&[word_of(bob(), 0, b"1")]))), []);
}

#[test]
fn who_comes_is_told_of_many_who_show_much_within_its_budget() {
    let (mut lab, link) = in_lobby();
    lab.tells_words = true;
    for n in 0..200 {
        lab.peer(link, &here(&[Word::sign(LOBBY, &topics::made_up(n), (0, 120), vec![7; MAX_SHOWN])]));
    }
    let newcomer = lab.linked_in(TAB, Pair { own: us(), peer: peer(1) });
    let mut bytes = 0;
    for _ in 0..20 {
        let heard = lab.peer(newcomer, &in_topic(peer(1), LOBBY));
        bytes += told(newcomer, &heard).concat().len();
        lab.peer(newcomer, &left(peer(1), LOBBY));
    }
    assert!((200_000..300_000).contains(&bytes), "{bytes}");
}

const NOTHING: [Vec<u8>; 0] = [];

fn shows(what: &[u8]) -> ToLeader {
    ToLeader::Show { topic: LOBBY, since_ms: 0, what: what.to_vec() }
}

fn word_of(from: PersonaId, time: u64, what: &[u8]) -> Word {
    Word::sign(LOBBY, &secret_of(from), (time, 8), what.to_vec())
}

/// What words on a link show.
fn told(link: LinkId, outputs: &[Output]) -> Vec<Vec<u8>> {
    words_to(link, outputs).into_iter().map(|word| word.shows).collect()
}

/// What frames are told of what is shown.
fn shown(outputs: &[Output]) -> Vec<Output> {
    outputs.iter().filter(|it| matches!(it, Output::Frame(_, ToFrame::Shown { .. }))).cloned().collect()
}

fn shown_by(frame: FrameId, from: PersonaId, what: &[u8]) -> Output {
    Output::Frame(frame, ToFrame::Shown { topic: LOBBY, from, shows: what.to_vec() })
}
