//! `tests/vectors/rpc.json`, which the host SDK reads and writes too: one of each message of site and frame, as JSON.

use bitters_wire::rpc::{Ask, Event, HostHello, RPC, Ready, Request, Tell};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

const VECTORS: &str = include_str!("../../tests/vectors/rpc.json");

#[test]
fn requests_are_what_the_sdk_writes() {
    let names: Vec<String> =
        vectors::<Request>("requests").map(|(name, request)| named(name, ask(&request.ask))).collect();
    assert_eq!(distinct(names), ASKS);
}

#[test]
fn events_are_what_the_sdk_reads() {
    let names: Vec<String> = vectors::<Event>("events").map(|(name, event)| named(name, tell(&event.tell))).collect();
    assert_eq!(distinct(names), TELLS);
}

#[test]
fn the_hello_is_the_sdks() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let hello: HostHello = same(&vectors["hello"]);
    let ready: Ready = same(&vectors["ready"]);
    assert_eq!(hello.nonce, ready.nonce);
    assert_eq!(hello.versions, RPC);
}

/// The named messages of one list, each of which is written as it was read.
fn vectors<T: DeserializeOwned + Serialize>(list: &str) -> impl Iterator<Item = (String, T)> {
    let mut vectors: Value = serde_json::from_str(VECTORS).expect("the file is JSON");
    let Value::Array(list) = vectors[list].take() else { panic!("{list} is no list") };
    list.into_iter()
        .map(|vector| (vector["name"].as_str().expect("a vector has a name").to_owned(), same(&vector["message"])))
}

fn same<T: DeserializeOwned + Serialize>(written: &Value) -> T {
    let read: T = serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(&serde_json::to_value(&read).expect("what was read can be written"), written);
    read
}

fn named(name: String, variant: &str) -> String {
    assert_eq!(name, variant);
    name
}

fn distinct(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// All that a site asks. A new variant doesn't compile below until it has its name there, and its vector with that.
const ASKS: [&str; 22] = [
    "address",
    "answer",
    "call",
    "cancel",
    "credit",
    "dial",
    "finish",
    "hangUp",
    "join",
    "joinSecret",
    "open",
    "presence",
    "publish",
    "reply",
    "reset",
    "serve",
    "service",
    "status",
    "stop",
    "unify",
    "watch",
    "write",
];

fn ask(ask: &Ask) -> &'static str {
    match ask {
        Ask::Address => "address",
        Ask::Answer { .. } => "answer",
        Ask::Call { .. } => "call",
        Ask::Cancel => "cancel",
        Ask::Credit { .. } => "credit",
        Ask::Dial { .. } => "dial",
        Ask::HangUp { .. } => "hangUp",
        Ask::Finish => "finish",
        Ask::Join { .. } => "join",
        Ask::JoinSecret { .. } => "joinSecret",
        Ask::Open { .. } => "open",
        Ask::Presence { .. } => "presence",
        Ask::Publish { .. } => "publish",
        Ask::Reply { .. } => "reply",
        Ask::Reset { .. } => "reset",
        Ask::Serve { .. } => "serve",
        Ask::Service { .. } => "service",
        Ask::Status => "status",
        Ask::Stop => "stop",
        Ask::Unify => "unify",
        Ask::Watch => "watch",
        Ask::Write { .. } => "write",
    }
}

/// All that a frame tells; likewise.
const TELLS: [&str; 24] = [
    "address",
    "badge",
    "bytes",
    "cancelled",
    "credit",
    "done",
    "end",
    "failed",
    "finished",
    "identity",
    "incomingCall",
    "incomingStream",
    "message",
    "more",
    "next",
    "peer",
    "peerJoin",
    "peerLeave",
    "presence",
    "reply",
    "scope",
    "status",
    "value",
    "welcome",
];

fn tell(tell: &Tell) -> &'static str {
    match tell {
        Tell::Address(_) => "address",
        Tell::Badge(_) => "badge",
        Tell::Bytes(_) => "bytes",
        Tell::Cancelled => "cancelled",
        Tell::Credit(_) => "credit",
        Tell::Done => "done",
        Tell::End => "end",
        Tell::Failed(_) => "failed",
        Tell::Finished => "finished",
        Tell::Identity(_) => "identity",
        Tell::IncomingCall { .. } => "incomingCall",
        Tell::IncomingStream { .. } => "incomingStream",
        Tell::Message { .. } => "message",
        Tell::More(_) => "more",
        Tell::Next(_) => "next",
        Tell::Peer(_) => "peer",
        Tell::PeerJoin(_) => "peerJoin",
        Tell::PeerLeave(_) => "peerLeave",
        Tell::Presence { .. } => "presence",
        Tell::Reply(_) => "reply",
        Tell::Scope(_) => "scope",
        Tell::Status(_) => "status",
        Tell::Value(_) => "value",
        Tell::Welcome(_) => "welcome",
    }
}
