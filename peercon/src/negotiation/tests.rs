//! Two machines and two browsers in all orders of events, and one machine with a peer that says what it likes.

use std::collections::HashSet;

use bitters_wire::local::DownReason;
use proptest::prelude::*;

use super::*;
use message::{MAX_CANDIDATE, MAX_SDP, MAX_SLICE};
use world::{Step, World};

mod world;

#[test]
fn an_offer_is_answered() {
    let mut offerer = Negotiation::new(Manner::Polite);
    let mut answerer = Negotiation::new(Manner::Impolite);

    assert_eq!(feed(&mut offerer, [Input::Needed]), [Output::Describe]);
    let offer = feed(&mut offerer, [Input::Described(Kind::Offer, "offer".to_owned())]);
    assert_eq!(feed(&mut answerer, received(&offer)), [Output::SetRemote(Kind::Offer, "offer".to_owned())]);
    assert_eq!(feed(&mut answerer, [Input::RemoteSet]), [Output::Describe]);
    let answer = feed(&mut answerer, [Input::Described(Kind::Answer, "answer".to_owned())]);
    assert_eq!(feed(&mut offerer, received(&answer)), [Output::SetRemote(Kind::Answer, "answer".to_owned())]);
    assert_eq!(feed(&mut offerer, [Input::RemoteSet]), []);
    assert_eq!(feed(&mut offerer, [Input::Needed]), [Output::Describe]);
}

#[test]
fn the_longest_description_arrives_and_a_longer_one_is_not_sent() {
    let described = |len| {
        let mut negotiation = Negotiation::new(Manner::Polite);
        feed(&mut negotiation, [Input::Needed, Input::Described(Kind::Offer, "v".repeat(len))]).split_off(1)
    };
    let slices = described(MAX_SDP);
    assert!(slices.len() > 80 && slices.iter().all(|it| matches!(it, Output::Send(slice) if slice.len() <= MAX_SLICE)));

    let mut peer = Negotiation::new(Manner::Impolite);

    assert_eq!(feed(&mut peer, received(&slices)), [Output::SetRemote(Kind::Offer, "v".repeat(MAX_SDP))]);
    assert_eq!(described(MAX_SDP + 1), [Output::Broken(DownReason::Platform)]);
}

#[test]
fn one_end_begins_anew_for_both() {
    let mut impolite = Negotiation::new(Manner::Impolite);
    let wish = feed(&mut Negotiation::new(Manner::Polite), [Input::IceFailed]);

    assert_eq!(feed(&mut impolite, received(&wish)), [Output::RestartIce]);
    assert_eq!(feed(&mut impolite, [Input::IceFailed, Input::Needed]), [Output::RestartIce, Output::Describe]);
}

#[test]
fn what_comes_while_the_browser_is_busy_waits() {
    let mut negotiation = Negotiation::new(Manner::Polite);
    let offer = said(&Message::Offer("offer".to_owned()));
    let added = said(&Message::Candidate(candidate("a")));

    assert_eq!(feed(&mut negotiation, [offer]), [Output::SetRemote(Kind::Offer, "offer".to_owned())]);
    assert_eq!(feed(&mut negotiation, [added, Input::Needed]), []);
    assert_eq!(feed(&mut negotiation, [Input::RemoteSet]), [Output::Describe]);
    let outputs = feed(&mut negotiation, [Input::Described(Kind::Answer, "answer".to_owned())]);
    assert_eq!(outputs[1..], [Output::AddCandidate(candidate("a")), Output::Describe]);
}

/// Both ends add a track or two at any time, and acts and messages take as long as they like.
#[test]
fn all_orders_of_events_end_in_agreement() {
    let [mut visited, mut ends, mut met] = [0; 3];
    for tracks in [(1, 0), (0, 1), (1, 1), (2, 1), (1, 2), (2, 2)] {
        let mut seen = HashSet::new();
        let mut worlds = vec![World::new(tracks)];
        while let Some(world) = worlds.pop() {
            let steps: Vec<_> = Step::ALL.into_iter().filter_map(|step| world.after(step)).collect();
            if steps.is_empty() {
                world.check();
                ends += 1;
                met += usize::from(world.has_met());
            }
            worlds.extend(steps.into_iter().filter(|world| seen.insert(world.clone())));
        }
        visited += seen.len();
    }
    let quiet = visited < 30_000 || met < 20 || ends == met;
    assert!(!quiet, "too little to show anything: {visited} worlds, {ends} of them ends; in {met} offers had met");
}

#[test]
fn the_browser_refuses() {
    let refused = |inputs: Vec<Input>| feed(&mut Negotiation::new(Manner::Polite), inputs).pop();
    let offer = said(&Message::Offer("nonsense".to_owned()));
    assert_eq!(refused(vec![offer.clone(), Input::Failed]), Some(Output::Broken(DownReason::Protocol)));
    assert_eq!(refused(vec![Input::Needed, Input::Failed]), Some(Output::Broken(DownReason::Platform)));
    assert_eq!(refused(vec![offer, Input::RemoteSet, Input::Failed]), Some(Output::Broken(DownReason::Platform)));
    // Somebody else drives the connection.
    assert_eq!(refused(vec![Input::RemoteSet]), Some(Output::Broken(DownReason::Platform)));
    let described = Input::Described(Kind::Answer, String::new());
    assert_eq!(refused(vec![Input::Needed, described]), Some(Output::Broken(DownReason::Platform)));
}

#[test]
fn what_breaks_the_protocol_breaks_the_negotiation() {
    let long = |text: &str, len| text.repeat(len);
    for (what, inputs) in [
        ("an answer to nothing", vec![said(&Message::Answer("answer".to_owned()))]),
        ("nothing", vec![Input::Received(vec![])]),
        ("an empty slice", vec![Input::Received(vec![0])]),
        ("no such first byte", vec![Input::Received(vec![2, 3])]),
        ("no such message", vec![Input::Received(vec![0, 9])]),
        ("more than a message", vec![Input::Received(vec![0, 3, 0])]),
        ("half a message", vec![Input::Received(vec![0, 2, 5, b'v'])]),
        ("text that is none", vec![Input::Received(vec![0, 2, 1, 0xff])]),
        ("a long slice", vec![Input::Received(vec![1; MAX_SLICE + 1])]),
        ("a message without an end", vec![Input::Received(vec![1; MAX_SLICE]); MAX_SDP / (MAX_SLICE - 1) + 1]),
        ("a long description", received(&sent(&Message::Offer(long("v", MAX_SDP + 1))))),
        ("a long candidate", received(&sent(&Message::Candidate(candidate(&long("c", MAX_CANDIDATE + 1)))))),
        (
            "a long name",
            received(&sent(&Message::Candidate(IceCandidate { mid: Some(long("m", 257)), ..candidate("") }))),
        ),
        ("a flood", vec![said(&Message::Restart); 1001]),
        ("a queue", vec![said(&Message::Offer("offer".to_owned())); 2 + MAX_WAITING]),
    ] {
        let mut negotiation = Negotiation::new(Manner::Impolite);
        let outputs = feed(&mut negotiation, inputs);
        assert_eq!(outputs.last(), Some(&Output::Broken(DownReason::Protocol)), "{what}");
        assert_eq!(feed(&mut negotiation, [Input::Needed, said(&Message::Restart)]), [], "{what}");
    }
}

#[test]
fn long_descriptions_do_not_pile_up() {
    let mut negotiation = Negotiation::new(Manner::Polite);
    let offer = received(&sent(&Message::Offer("v".repeat(MAX_SDP))));
    // The first is with the browser, which takes its time.
    for _ in 0..5 {
        assert!(!feed(&mut negotiation, offer.clone()).contains(&Output::Broken(DownReason::Protocol)));
    }
    assert_eq!(feed(&mut negotiation, offer), [Output::Broken(DownReason::Protocol)]);
}

#[test]
fn as_many_messages_over_a_longer_time_pass() {
    let mut negotiation = Negotiation::new(Manner::Impolite);
    for at in 0..5000 {
        negotiation.handle_input(said(&Message::Restart), Instant::from_millis(at * 61));
        assert_eq!(negotiation.poll_output(), Some(Output::RestartIce), "{at}");
    }
}

proptest! {
    /// Whatever comes, in whatever order: it doesn't panic, breaks once at most, and holds no more than it may.
    #[test]
    fn anything_may_come(polite: bool, inputs in proptest::collection::vec(anything(), 0..60)) {
        let mut negotiation = Negotiation::new(if polite { Manner::Polite } else { Manner::Impolite });
        let outputs = feed(&mut negotiation, inputs);
        let broken = outputs.iter().filter(|it| matches!(it, Output::Broken(_))).count();
        prop_assert!(broken == 0 || (broken == 1 && matches!(outputs.last(), Some(Output::Broken(_)))));
    }

    #[test]
    fn every_message_arrives(sdp in ".{0,3000}", text in ".{0,200}", index: Option<u16>, last: bool) {
        let whole = IceCandidate { candidate: text, mid: Some("0".to_owned()), index, fragment: None };
        for message in [Message::Offer(sdp.clone()), Message::Answer(sdp), Message::Candidate(whole), Message::Restart] {
            let mut reassembly = Reassembly::default();
            let arrived: Vec<_> = message.slices().filter_map(|slice| reassembly.add(&slice).unwrap()).collect();
            prop_assert_eq!(arrived, [message]);
        }
        prop_assert_eq!(Reassembly::default().add(&[u8::from(last)]), Err(message::BadSlice));
    }
}

fn anything() -> impl Strategy<Value = Input> {
    let kind = prop_oneof![Just(Kind::Answer), Just(Kind::Offer)];
    prop_oneof![
        Just(Input::Failed),
        Just(Input::IceFailed),
        Just(Input::Needed),
        Just(Input::RemoteSet),
        kind.prop_map(|kind| Input::Described(kind, "v=0".to_owned())),
        ".{0,2000}".prop_map(|text| Input::Candidate(candidate(&text))),
        Just(said(&Message::Answer("answer".to_owned()))),
        Just(said(&Message::Offer("offer".to_owned()))),
        Just(said(&Message::Candidate(candidate("a")))),
        proptest::collection::vec(any::<u8>(), 0..900).prop_map(Input::Received),
    ]
}

fn candidate(text: &str) -> IceCandidate {
    IceCandidate { candidate: text.to_owned(), mid: None, index: Some(0), fragment: None }
}

fn feed(negotiation: &mut Negotiation, inputs: impl IntoIterator<Item = Input>) -> Vec<Output> {
    let mut outputs = Vec::new();
    for input in inputs {
        negotiation.handle_input(input, Instant::START);
        outputs.extend(std::iter::from_fn(|| negotiation.poll_output()));
    }
    outputs
}

fn sent(message: &Message) -> Vec<Output> {
    message.slices().map(Output::Send).collect()
}

/// What is sent by one end, as the other gets it.
fn received(outputs: &[Output]) -> Vec<Input> {
    let slice = |output: &Output| match output {
        Output::Send(slice) => Some(Input::Received(slice.clone())),
        _ => None,
    };
    outputs.iter().filter_map(slice).collect()
}

/// A message in one slice.
fn said(message: &Message) -> Input {
    let [input] = received(&sent(message)).try_into().expect("it is short");
    input
}
