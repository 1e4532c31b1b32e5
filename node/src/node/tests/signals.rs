//! Signals that get no answer are sent again.

use super::{lab::*, *};

/// Milliseconds between two of them.
const AGAIN: u64 = 3000;

#[test]
fn a_signal_by_the_server_is_sent_again_until_it_is_answered() {
    let (mut lab, link, signal) = signalled();
    for _ in 0..2 {
        assert_eq!(told(&lab.within(Duration::from_millis(AGAIN - 1))), []);
        assert_eq!(told(&lab.within(Duration::from_millis(1))), std::slice::from_ref(&signal));
    }
    let answer = Signal { attempt: 9, answers: Some(attempt_of(&signal)), blob: vec![7] };
    let outputs = lab.server(ToNode::Signal { from: alice(), to: us(), signal: answer });
    assert_eq!(outputs, [command(TAB, link, LinkCommand::Signal(vec![7]))]);
    assert_eq!(told(&lab.within(Duration::from_secs(10))), [], "the two are a pair");
}

#[test]
fn it_is_sent_as_long_as_its_attempt_lasts() {
    let (mut lab, _, signal) = signalled();
    assert_eq!(told(&lab.within(Duration::from_mins(1))), vec![signal; 4]);
}

#[test]
fn who_answers_sends_its_own_once() {
    let (mut lab, link) = Lab::connecting();
    lab.link(link, LinkEvent::Signal(vec![4]));
    assert_eq!(told(&lab.within(Duration::from_secs(14))), []);
}

#[test]
fn of_more_who_dial_at_once_than_may_the_others_get_in_later() {
    let mut lab = Lab::registered();
    let dial_of = |n: u8| ToNode::Signal { from: peer(n), to: us(), signal: dial(7) };
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
fn signalled() -> (Lab, LinkId, ToServer) {
    let mut lab = Lab::registered();
    lab.frame(TAB, ToLeader::Dial { request: 1, peer: alice(), address: None });
    let (_, link) = dialled_in(&lab.server(ToNode::Here(alice()))).unwrap();
    let outputs = told(&lab.link(link, LinkEvent::Signal(vec![4])));
    let [signal] = &outputs[..] else { panic!("{outputs:?}") };
    (lab, link, signal.clone())
}

fn attempt_of(message: &ToServer) -> u32 {
    let ToServer::Signal { signal, .. } = message else { panic!("{message:?}") };
    signal.attempt
}

/// The signals that the server is to pass on.
fn told(outputs: &[Output]) -> Vec<ToServer> {
    let told = outputs.iter().filter_map(|it| match it {
        Output::Uplink(UplinkCommand::Send(message @ ToServer::Signal { .. })) => Some(message.clone()),
        _ => None,
    });
    told.collect()
}
