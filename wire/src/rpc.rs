//! Site and frame: what the SDK and a frame say to each other over the site's MessagePort, as JavaScript objects.
//!
//! Objects are what serde-wasm-bindgen makes of these types: field and variant names in camelCase, a variant without content
//! as a string (`"status"`), one with content as an object of one key (`{ join: { name } }`), bytes as `Uint8Array`, `Option` as
//! `undefined`. `tests/vectors/rpc.json` has one of each, read by Rust and by TypeScript (bytes as arrays of numbers there).
//!
//! **Hello.** When its document listens, a frame posts [`Ready`] to its parent window. The SDK answers with a [`HostHello`] that
//! repeats the nonce and carries the port. Whoever posts twice, or another nonce, is not heard. The first message on the
//! port is `{ id: 0, tell: { welcome } }` or `{ id: 0, tell: { failed } }`. When the iframe loads again, it says `Ready` again.
//! Before that, as soon as its first script runs, it may post `{ bitters: "begun" }`: then a site that seeks the person's preferred node
//! waits longer for the rest. Whoever doesn't say it has to be ready within 3 s.
//!
//! **Requests.** Each has an `id` of the SDK's, from 1 upward, never used twice on one port. What is said about it bears the
//! same id. A request is over after `done`, `end`, `failed` or its one reply; those that last (`watch`, `join`, `serve`,
//! `answer`, `open`) first get `done` and go on until [`Ask::Cancel`] (of which the end is `end`). Streams and calls that come in
//! from a peer are numbered by the frame, from 2³¹ upward.
//!
//! **Streams.** Flow control is by credit: an end may send bytes up to the total offset that the other told it last by
//! `credit`; both directions start at 0. Bytes beyond are a protocol error: the stream fails. A slice is at most 2 MiB.

use serde::{Deserialize, Serialize};

use crate::{VersionRange, data::Data, failure::Failure, status::Scope, status::Status};

/// Versions of what a frame and the SDK say. They are not the wire's: a site bundles the SDK and keeps it for years.
///
/// Since version 2 a site is told whether a topic has more members than it is told of, and what they show ([`MORE`]).
pub const RPC: VersionRange = VersionRange { min: 1, max: 2 };

/// The first version that has [`Tell::More`] and [`Tell::Presence`].
pub const MORE: u16 = 2;

/// The first number of the frame's own.
pub const FIRST_FRAME_ID: u32 = 1 << 31;

/// `window.postMessage` from the frame to its parent: the frame listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Always `"ready"`.
    pub bitters: String,
    /// Random, of this document; the hello repeats it.
    pub nonce: String,
}

/// `window.postMessage` from the SDK to the frame, with the MessagePort transferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostHello {
    /// Always `"hello"`.
    pub bitters: String,
    /// The frame's nonce.
    pub nonce: String,
    /// Versions that the SDK speaks.
    pub versions: VersionRange,
    /// `"site"` or `"person"`.
    pub identity: Identity,
}

/// Which id the site wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// The same on every site; needs consent.
    Person,
    /// An id of this site's own.
    Site,
}

/// From the SDK.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The request's number, or that of the stream or call it is about.
    pub id: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What a site asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// An address for the site's persona. Replies `address` or `failed`.
    Address,
    /// Answer calls of a method. Lasts; tells `incoming` calls.
    Answer {
        /// The method's name.
        method: String,
        /// Whether a peer whose call is answered may know the network addresses of this browser, as it may unless told otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direct: Option<bool>,
    },
    /// Call a method of a peer's. Replies `reply` or `failed`.
    Call {
        /// The persona.
        peer: String,
        /// The method's name.
        method: String,
        /// The argument.
        data: Data,
        /// Milliseconds until it fails with `Timeout`.
        timeout: u32,
        /// May run twice: then it is repeated after a change of leader.
        #[serde(default)]
        idempotent: bool,
    },
    /// The asker doesn't want the request any longer. Of an incoming call: nobody handles it any longer, and nobody did.
    Cancel,
    /// Of a stream: bytes may be sent to the SDK up to this total offset.
    Credit {
        /// The total offset, exact up to 2⁵³.
        limit: f64,
    },
    /// Connect to a persona. Replies `peer` or `failed`.
    Dial {
        /// A persona's id or an address.
        to: String,
    },
    /// Of a stream: no bytes follow.
    Finish,
    /// End all sessions and links with a peer. Replies `done`.
    HangUp {
        /// The persona.
        peer: String,
    },
    /// Be in a topic. Lasts; tells `message`, `peerJoin`, `peerLeave`, `more` and `presence`.
    Join {
        /// The topic's name.
        name: String,
    },
    /// The same, where only those are in it who know the secret, too. A node of before doesn't know the request, and so fails it.
    JoinSecret {
        /// The topic's name.
        name: String,
        /// Bytes, or a text for the bytes of its UTF-8; not empty.
        secret: Data,
    },
    /// Open a stream. `done` when the peer accepted it; then tells `bytes`, `credit`, `finished` and `failed`.
    Open {
        /// The persona.
        peer: String,
        /// The protocol's name.
        protocol: String,
    },
    /// To the members of a topic. Replies `done` or `failed`.
    Publish {
        /// The id of the `join`.
        topic: u32,
        /// What is said.
        data: Data,
    },
    /// Of an incoming call: its outcome.
    Reply {
        /// What the handler returned, or how it failed.
        outcome: Outcome,
    },
    /// Of a stream: give it up, both ways.
    Reset {
        /// For the peer's people.
        reason: String,
    },
    /// Accept streams of a protocol. Lasts; tells `incoming` streams.
    Serve {
        /// The protocol's name.
        protocol: String,
        /// Whether a peer whose stream is used may know the network addresses of this browser, as it may unless told otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direct: Option<bool>,
    },
    /// A node author's own API. Replies `value`, or `next` … `end`, or `failed`.
    Service {
        /// Which service.
        name: String,
        /// Which method.
        method: String,
        /// The arguments: a JSON array as text.
        args: String,
    },
    /// What the page shows of itself to the members of a topic, until it shows something else or leaves. Replies `done` or `failed`.
    Presence {
        /// The id of the `join`.
        topic: u32,
        /// JSON text of at most [`MAX_PRESENCE`](crate::limits::MAX_PRESENCE) bytes; none: nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// The status now. Replies `status`.
    Status,
    /// Of a stream: bytes wanted no longer, the other direction goes on.
    Stop,
    /// One node for all sites is wanted; the person is asked by the badge. Replies `scope` or `failed`.
    Unify,
    /// Statuses, one now and one after each change. Lasts.
    Watch,
    /// Of a stream: bytes for the peer.
    Write {
        /// At most 2 MiB, within the credit.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
}

/// What became of an incoming call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// What the handler threw: its message.
    Err(String),
    /// What the handler returned.
    Ok(Data),
}

/// From the frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The request's number, or that of the stream or call it is about; 0 for the node itself.
    pub id: u32,
    /// What is told.
    pub tell: Tell,
}

/// What a frame tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tell {
    /// An address for the site's persona.
    Address(String),
    /// Id 0: the badge wants this much room, as it has something to ask.
    Badge(Room),
    /// Of a stream: bytes from the peer.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Of an incoming call: its caller doesn't wait any longer.
    Cancelled,
    /// Of a stream: bytes may be written up to this total offset.
    Credit(f64),
    /// The request is done, or lasts from now on.
    Done,
    /// A sequence or a lasting request is over; of a stream: the peer reads no longer, its own bytes may still come.
    End,
    /// The request, the stream, or (id 0) the hello failed.
    Failed(Failure),
    /// Of a stream: the peer finished its side.
    Finished,
    /// Id 0: the site's id changed with the scope.
    Identity(String),
    /// A call came in for an `answer`.
    IncomingCall {
        /// The call's number, of the frame's.
        call: u32,
        /// The caller's persona.
        from: String,
        /// The argument.
        data: Data,
    },
    /// A stream came in for a `serve`.
    IncomingStream {
        /// The stream's number, of the frame's.
        stream: u32,
        /// The opener's persona.
        peer: String,
    },
    /// A topic's message.
    Message {
        /// Who said it: a persona.
        from: String,
        /// What.
        data: Data,
        /// The message's id.
        id: String,
    },
    /// Whether a topic has more members than are told. Since [`MORE`].
    More(bool),
    /// One of a service's sequence: JSON text.
    Next(String),
    /// The peer that was dialled: its persona.
    Peer(String),
    /// Somebody came into a topic.
    PeerJoin(String),
    /// Somebody left a topic.
    PeerLeave(String),
    /// A member of a topic shows something, or nothing any longer: after it came, or the site's own persona. Since [`MORE`].
    Presence {
        /// Who.
        peer: String,
        /// JSON text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// A call's result.
    Reply(Data),
    /// Id 0: the scope changed. Else: the scope that `unify` came to.
    Scope(Scope),
    /// The status.
    Status(Status),
    /// A service's value: JSON text, empty for `undefined`.
    Value(String),
    /// Id 0: the hello is answered.
    Welcome(SiteWelcome),
}

/// CSS pixels that the badge wants, at most 400 by 300; 0 by 0 for what the site gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Across.
    pub width: u16,
    /// Down.
    pub height: u16,
}

/// What a site learns first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteWelcome {
    /// The site's persona.
    pub id: String,
    /// The node software's version.
    pub version: String,
    /// One node for all sites or one for this site.
    pub scope: Scope,
    /// The RPC version that both speak.
    pub rpc: u16,
}
