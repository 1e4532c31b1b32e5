//! `tests/vectors/overlay.json`: golden positions, tokens and messages. A second implementation, in Python, made them from docs/overlay.md.

#![expect(clippy::unwrap_used, reason = "tests")]

use bitters_overlay::{
    message::{Card, End, Message, Question, Reach, Reply, Route, Secret, Target, Token},
    position::Position,
};
use bitters_wire::id::NodeId;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    positions: Vec<GoldenPosition>,
    tokens: Vec<GoldenToken>,
    messages: Vec<GoldenMessage>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct GoldenPosition {
    node: String,
    position: String,
}

#[derive(Deserialize)]
struct GoldenToken {
    secret: String,
    token: String,
}

#[derive(Deserialize)]
struct GoldenMessage {
    name: String,
    bytes: String,
}

#[derive(Deserialize)]
struct Refused {
    why: String,
    bytes: String,
}

#[test]
fn positions_and_tokens_are_the_golden_ones() {
    let Vectors { positions, tokens, .. } = vectors();
    assert!(positions.len() >= 4 && tokens.len() >= 2);
    for GoldenPosition { node, position } in positions {
        let node = NodeId(bytes(&node).try_into().unwrap());
        assert_eq!(format!("{:016x}", Position::of(&node).0), position, "{node:?}");
    }
    for GoldenToken { secret, token } in tokens {
        let secret = Secret(bytes(&secret).try_into().unwrap());
        assert_eq!(Token::of(&secret).0.as_slice(), bytes(&token));
    }
}

#[test]
fn messages_are_the_golden_ones() {
    let golden = vectors().messages;
    let messages = messages();
    assert_eq!(golden.len(), messages.len());
    for (GoldenMessage { name, bytes: golden }, message) in golden.into_iter().zip(messages) {
        assert_eq!(message.encode(), bytes(&golden), "{name}");
        assert_eq!(Message::decode(&bytes(&golden)).unwrap(), message, "{name}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let refused = vectors().refused;
    assert!(refused.len() > 9);
    for Refused { why, bytes: refused } in refused {
        assert!(Message::decode(&bytes(&refused)).is_err(), "{why}");
    }
}

const A: NodeId = NodeId([0xaa; 32]);
const B: NodeId = NodeId([0xbb; 32]);
const C: NodeId = NodeId([0xcc; 32]);
const TOKEN: Token = Token([0x11; 16]);
const SECRET: Secret = Secret([0x22; 16]);

/// In the order of the file.
fn messages() -> Vec<Message> {
    let card = |node, reach, light| Card { node, reach, light };
    let word = |word: &[u8]| Question::Word(word.to_vec());
    let route = |id, to, hops, walks, trail: &[u32], question| {
        Message::Route(Route { id, to, hops, walks, trail: trail.to_vec(), question })
    };
    let end = |why, hops| Message::RouteEnd { id: 300, why, hops };
    let introduced = Target::Introduced { at: C, token: TOKEN };
    vec![
        Message::About { reach: Reach::Easy, light: true },
        Message::About { reach: Reach::Hard, light: false },
        Message::Lost(TOKEN),
        Message::Near { full: true, add: vec![card(A, Reach::Easy, false), card(B, Reach::Hard, true)], drop: vec![] },
        Message::Near { full: false, add: vec![card(A, Reach::Hard, false)], drop: vec![B, C] },
        route(300, Target::Nearest(Position(0x0123_4567_89ab_cdef)), 24, false, &[0xdead_beef, 1], Question::Find),
        route(u64::MAX, Target::Node(B), 3, false, &[], word(b"hello")),
        route(5, Target::Nearest(Position(7)), 22, true, &[], Question::Register(SECRET)),
        route(6, introduced, 21, true, &[], word(b"")),
        Message::RouteAck { id: 300 },
        Message::RouteBack { id: 300, reply: Reply::Found(vec![card(A, Reach::Easy, false)]) },
        Message::RouteBack { id: 5, reply: Reply::Registered(C) },
        Message::RouteBack { id: 6, reply: Reply::Word(b"hi".to_vec()) },
        end(End::Busy, 24),
        end(End::DeadEnd, 0),
        end(End::Loop, 5),
        Message::Want(true),
    ]
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/overlay.json")).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
