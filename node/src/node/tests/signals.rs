//! Signals: which are heard, and that those without an answer are sent again.

use bitters_wire::{
    keys::PersonaSecret,
    sealed::{ForMembers, Fresh, Said, SealedSignal},
};

use super::{
    addresses::{CERTIFICATE, KEPT, PROXY, site, token},
    lab::*,
    reasons::{at_door, comes_to_door},
    topics::made_up,
    *,
};
use crate::pair::Pair;

/// What a server takes of one connection before it ends it.
pub(super) const BURST: usize = 1024;
pub(super) const PER_SECOND: usize = 50;

/// Milliseconds between two of them.
const AGAIN: u64 = 3000;

#[test]
fn a_signal_by_the_server_is_sent_again_until_it_is_answered() {
    let (mut lab, link, signal) = dialling();
    for _ in 0..2 {
        assert_eq!(signalled(&lab.within(Duration::from_millis(AGAIN - 1))), []);
        assert_eq!(signalled(&lab.within(Duration::from_millis(1))), [(us(), alice(), signal.clone())]);
    }
    let answer = Signal { attempt: 9, answers: Some(signal.attempt), blob: vec![7] };
    let outputs = lab.server(signals(alice(), us(), answer));
    assert_eq!(outputs, [command(TAB, link, LinkCommand::Signal(vec![7]))]);
    assert_eq!(signalled(&lab.within(Duration::from_secs(10))), [], "the two are a pair");
}

#[test]
fn it_is_sent_as_long_as_its_attempt_lasts() {
    let (mut lab, _, signal) = dialling();
    assert_eq!(signalled(&lab.within(Duration::from_mins(1))), vec![(us(), alice(), signal); 4]);
}

#[test]
fn who_answers_sends_its_own_once() {
    let (mut lab, link) = Lab::connecting();
    lab.link(link, LinkEvent::Signal(vec![4]));
    assert_eq!(signalled(&lab.within(Duration::from_secs(14))), []);
}

#[test]
fn who_dials_again_was_not_answered_for_all_that_it_knows() {
    let (mut lab, link) = Lab::connecting();
    assert_eq!(signalled(&lab.server(dials(alice()))), [], "the frame's signal isn't there yet");
    let answered = signalled(&lab.link(link, LinkEvent::Signal(vec![4])));
    assert_eq!(answered.len(), 1);
    assert_eq!(signalled(&lab.server(dials(alice()))), answered);
}

#[test]
fn what_a_common_peer_keeps_to_itself_goes_by_the_server_next() {
    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &in_topic(alice(), LOBBY));
    let named = lab.peer(link, &TopicMessage::Members { topic: LOBBY, members: vec![peer(1)] });
    let (_, dialled) = dialled_in(&named).expect("it is named");
    assert_eq!(signalled(&lab.link(dialled, LinkEvent::Signal(vec![4]))), [], "the common peer is asked");
    let again = signalled(&lab.within(Duration::from_millis(AGAIN)));
    assert!(matches!(&again[..], [(from, to, _)] if (*from, *to) == (us(), peer(1))), "{again:?}");
}

#[test]
fn a_neighbour_speaks_for_itself_alone_when_it_leads_to_nobody() {
    let mut lab = Lab::registered();
    let one = lab.linked_in(TAB, Pair { own: us(), peer: alice() });
    let other = lab.linked_in(TAB, Pair { own: us(), peer: peer(1) });
    lab.input(Input::Uplink(UplinkEvent::Closed));
    let dialled = lab.frame(TAB, ToLeader::Dial { request: 1, peer: peer(2), address: None });
    let (_, link) = dialled_in(&dialled).unwrap();
    lab.link(link, LinkEvent::Signal(vec![4]));
    let ends = |outputs: Vec<Output>| outputs.contains(&command(TAB, link, LinkCommand::HangUp));
    for speaker in [one, one] {
        assert!(!ends(lab.peer(speaker, &Control::Unreachable(peer(2)))), "the other one may lead there");
    }
    assert!(ends(lab.peer(other, &Control::Unreachable(peer(2)))));
}

#[test]
fn of_more_who_dial_at_once_than_may_the_others_get_in_later() {
    let mut lab = Lab::registered();
    let dial_of = |n: u8| signals(peer(n), us(), dial(7));
    let links: Vec<Option<LinkId>> =
        (0..20).map(|n| dialled_in(&lab.server(dial_of(n))).map(|(_, link)| link)).collect();
    assert_eq!(links.iter().flatten().count(), 16);
    for (n, link) in (0..).zip(links.iter().flatten()) {
        lab.link(*link, LinkEvent::Up(peer(n)));
    }
    lab.later(Duration::from_millis(AGAIN));
    assert!((16..20).all(|n| dialled_in(&lab.server(dial_of(n))).is_some()));
}

/// A site dials alice, and its frame made the signal.
fn dialling() -> (Lab, LinkId, Signal) {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let (_, link) = dialled_in(&lab.server(ToNode::Here(alice()))).unwrap();
    let outputs = signalled(&lab.link(link, LinkEvent::Signal(vec![4])));
    let [(_, _, signal)] = &outputs[..] else { panic!("{outputs:?}") };
    (lab, link, signal.clone())
}

#[test]
fn what_others_say_in_a_peers_name_is_not_heard() {
    let (mut lab, link) = Lab::linked();
    // The server says that alice's signal is bob's, and a common peer does; another passes a signal on that alice sealed to somebody else.
    let (bob, carol) = (peer(0), peer(1));
    let of_alice = sealed(alice(), us(), dial(8));
    let by_server = ToNode::Signal { from: bob, to: us(), signal: of_alice.clone() };
    assert_eq!(lab.server(by_server), []);
    assert_eq!(lab.peer(link, &Control::PassedOn { from: bob, signal: of_alice }), []);
    assert_eq!(lab.peer(link, &Control::PassedOn { from: bob, signal: sealed(bob, carol, dial(8)) }), []);
    // In her own name she is heard.
    let signal = sealed(bob, us(), dial(8));
    assert!(dialled_in(&lab.peer(link, &Control::PassedOn { from: bob, signal })).is_some());
}

#[test]
fn a_signal_is_heard_once_and_only_while_it_is_fresh() {
    let mut lab = Lab::registered();
    let (first, second) = (signals(peer(0), us(), dial(7)), signals(peer(1), us(), dial(7)));
    let (_, link) = dialled_in(&lab.server(first.clone())).expect("it is fresh");
    lab.link(link, LinkEvent::Down(DownReason::Closed));
    assert_eq!(lab.server(first), [], "it is replayed");
    lab.within(Duration::from_mins(3));
    assert_eq!(lab.server(second), [], "it is three minutes old");
    lab.peers_think(3);
    assert!(dialled_in(&lab.server(signals(peer(1), us(), dial(7)))).is_some());
}

#[test]
fn a_browser_whose_clock_is_wrong_counts_minutes_as_the_server_does() {
    let mut lab = Lab::new();
    lab.admit(TAB, SITE);
    lab.input(Input::WallClock(600 * 60_000));
    lab.input(Input::Uplink(UplinkEvent::Open { server: SERVER.into() }));
    lab.server(ToNode::Challenge { nonce: NONCE, wire: WIRE, unix_ms: 9000 * 60_000 });
    lab.server(ToNode::Entered { proxies: Vec::new() });
    assert_eq!(lab.server(signals(peer(0), us(), dial(7))), [], "that is of ten o'clock");
    lab.peers_think(9000);
    assert!(dialled_in(&lab.server(signals(peer(0), us(), dial(7)))).is_some());
}

/// Strangers open connections that they never finish, as fast as a server lets one network do so.
#[test]
fn diallers_that_never_finish_leave_room_for_who_does() {
    let mut lab = Lab::registered();
    let mut came = 0;
    for second in 0..30_u8 {
        for n in 0..7 {
            lab.now = lab.now + Duration::from_millis(140);
            lab.server(signals(peer(n), us(), dial(u32::from(second) * 100 + u32::from(n))));
        }
        if let Some((_, link)) = dialled_in(&lab.server(signals(peer(30), us(), dial(u32::from(second))))) {
            lab.later(Duration::from_millis(500));
            let up = lab.link(link, LinkEvent::Up(peer(30)));
            came += usize::from(up.contains(&said(link, &Control::Switch)));
            lab.link(link, LinkEvent::Down(DownReason::HungUp));
        }
    }
    assert_eq!(came, 30);
}

#[test]
fn whom_the_site_accepted_is_answered_at_once_though_strangers_fill_what_opens() {
    let mut lab = Lab::registered().among_strangers();
    lab.frame(TAB, joins(1, LOBBY));
    let members: Vec<LinkId> = (0..16)
        .map(|n| {
            let signal = sealed_for(LOBBY, peer(n), us(), &dial(7));
            lab.dialled(ToNode::Signal { from: peer(n), to: us(), signal })
        })
        .collect();
    for n in 20..37 {
        lab.frame(TAB, ToLeader::Accepted { peer: peer(n), ago_ms: 0 });
    }
    for (n, gone) in (20..36).zip(members) {
        let outputs = lab.server(dials(peer(n)));
        assert_eq!(outputs[0], command(TAB, gone, LinkCommand::HangUp), "{n}: the oldest of the strangers");
        assert!(dialled_in(&outputs).is_some(), "{n}: {outputs:?}");
    }
    assert_eq!(dialled_in(&lab.server(dials(peer(36)))), None, "those whom the site accepted have their time");
}

#[test]
fn a_flood_of_one_persona_is_not_felt_by_another() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, "https://b.example");
    let other = home().persona("https://b.example").id();
    for n in 0..600_u16 {
        lab.server(signals(peer(n.to_le_bytes()[0] % 100), us(), dial(n.into())));
    }
    let (carrier, _) = dialled_in(&lab.server(signals(alice(), other, dial(7)))).expect("it has its own room");
    assert_eq!(carrier, OTHER);
}

/// Strangers who came to the door pass signals on, as fast as a link may bring them.
#[test]
#[cfg_attr(target_arch = "wasm32", ignore = "it seals thousands of signals, which takes many seconds there")]
fn strangers_who_pass_much_on_do_not_make_a_persona_deaf() {
    let mut lab = at_door();
    let links: Vec<LinkId> = (0..16)
        .map(|n| {
            lab.within_while_frames_answer(Duration::from_millis(500));
            comes_to_door(&mut lab, peer(n)).0
        })
        .collect();
    let (stranger, mut n) = (made_up(1), 0);
    let is_told = |lab: &mut Lab| {
        lab.peers_think(2);
        let told = told_by_server(&lab.server(says(alice(), us(), &Said::Knock)));
        matches!(&told[..], [(_, Said::Door(_))])
    };
    for second in 0..125 {
        assert!(second != 90 || is_told(&mut lab), "not full yet");
        for link in &links {
            for _ in 0..if second == 0 { 64 } else { 10 } {
                n += 1;
                let signal = nth(n, &stranger, us(), 2, |_| Said::HungUp);
                lab.peer(*link, &Control::PassedOn { from: stranger.id(), signal });
            }
        }
        lab.within_while_frames_answer(Duration::from_secs(1));
    }
    assert!(is_told(&mut lab), "after {n} signals on {} links", links.len());
}

/// Strangers knock at two personas, as fast as the server lets two networks do that.
#[test]
#[cfg_attr(target_arch = "wasm32", ignore = "it seals thousands of signals, which takes many seconds there")]
fn who_knocks_at_two_personas_does_not_have_the_server_end_the_connection_of_both() {
    let other = home().persona(OTHER_SITE).id();
    let mut lab = Lab::with_certificates(vec![(site(), KEPT), (Owner::Persona(other), KEPT)]).among_strangers();
    lab.admit(TAB, SITE);
    lab.admit(OTHER, OTHER_SITE);
    lab.register(vec![PROXY]);
    for owner in [site(), Owner::Persona(other)] {
        lab.server(ToNode::Listening(token(owner, &CERTIFICATE)));
    }
    let stranger = made_up(1);
    let (mut said, mut n, seconds) = (0, 0, 100);
    for _ in 0..seconds {
        for to in [us(), other] {
            for _ in 0..32 {
                n += 1;
                let signal = nth(n, &stranger, to, 1, |_| Said::Knock);
                said += to_server(&lab.server(ToNode::Signal { from: stranger.id(), to, signal }));
            }
        }
        said += to_server(&lab.within_while_frames_answer(Duration::from_secs(1)));
    }
    assert!(said <= BURST + seconds * PER_SECOND, "{said} messages to the server in {seconds} s, for {n} knocks");
}

/// Members of two topics speak early, in packets that nobody serves.
#[test]
fn what_members_say_early_does_not_have_us_say_more_than_a_server_takes() {
    let mut lab = Lab::new().among_strangers();
    lab.admit(TAB, SITE);
    lab.register(vec![PROXY]);
    let topics = [LOBBY, TopicId([4; 32])];
    (1..).zip(topics).for_each(|(n, topic)| drop(lab.frame(TAB, joins(n, topic))));
    let members: Vec<PersonaSecret> = (0..32).map(made_up).collect();
    let (mut said, mut n, seconds) = (0, 0, 90);
    for second in 0..seconds {
        for (at, some) in members.chunks(8).enumerate().filter(|_| second % 10 == 0) {
            let members = some.iter().map(PersonaSecret::id).collect();
            said += to_server(&lab.server(ToNode::Members { topic: topics[at % 2], key: us(), members }));
        }
        // Fewer than the server lets one /24 or /48 send to one key.
        for _ in 0..12 {
            let at = n as usize % members.len();
            n += 1;
            let (from, topic) = (&members[at], topics[(at / 8) % 2]);
            let packet =
                Packet { to: us(), to_frame: None, from: from.id(), from_frame: THIRD, session: SESSION, body: open() };
            let blob = codec::encode(&vec![packet; 8]);
            let signal = nth(n, from, us(), 1, |nonce| {
                let signal = Signal { attempt: 0, answers: None, blob };
                let (ends, random) = ([from.id(), us()], n.to_be_bytes().repeat(8).try_into().unwrap());
                Said::Members(Box::new(ForMembers::seal(&signal, &[matching(topic)], ends, &nonce, || random)))
            });
            said += to_server(&lab.server(ToNode::Signal { from: from.id(), to: us(), signal }));
        }
        said += to_server(&lab.within_while_frames_answer(Duration::from_secs(1)));
    }
    assert!(said <= BURST + seconds * PER_SECOND, "{said} messages to the server in {seconds} s, for {n} signals");
}

/// One of many signals.
fn nth(n: u32, from: &PersonaSecret, to: PersonaId, minute: u32, said: impl FnOnce([u8; 16]) -> Said) -> SealedSignal {
    let (ephemeral, nonce): ([u8; 32], [u8; 16]) =
        (n.to_be_bytes().repeat(8).try_into().unwrap(), n.to_be_bytes().repeat(4).try_into().unwrap());
    SealedSignal::seal(&said(nonce), from, to, minute, &Fresh { ephemeral: ephemeral.into(), nonce }).unwrap()
}

/// How many messages go to the server.
pub(super) fn to_server(outputs: &[Output]) -> usize {
    outputs.iter().filter(|it| matches!(it, Output::Uplink(UplinkCommand::Send(_)))).count()
}
