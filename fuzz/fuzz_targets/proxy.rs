//! Datagrams into the proxy: raw ones, ones that look like STUN, and checks that are signed as anybody can sign them.

#![no_main]

use bitters_machine::{Machine, time::Instant};
use bitters_peercon::{
    Credentials,
    packed::{PASSWORD, Packed},
};
use bitters_revproxy_core::{
    proxy::{Config, Input, Outgoing, Output, Path, Proxy, Restart, Socket},
    rendezvous::ConnId,
};
use bitters_wire::{address::Token, rendezvous::ToNode};
use libfuzzer_sys::fuzz_target;
use stun_types::{
    attribute::{RawAttribute, Username},
    message::{
        BINDING, IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWrite, MessageWriteExt,
        MessageWriteVec, ShortTermCredentials,
    },
};

const CONN: ConnId = ConnId(1);
const TOKEN: Token = Token([7; 6]);
const LISTENER: &str = "the+listener+s+password";
const DIALLER: &str = "the+dialler+s+password";
const RESTARTED: &str = "both+passwords+of+a+restart";

fuzz_target!(|datagrams: Vec<(u8, u8, Vec<u8>)>| {
    let config = Config { passages: 3, ghosts: 2, ..Config::default() };
    let mut proxy = Proxy::new(config, [7; 32]);
    let proxies = [([192, 0, 2, 99], 3478).into()].into();
    proxy.handle_input(Input::Listen { conn: CONN, token: TOKEN, proxies }, Instant::START);
    let mut out = Outgoing::new();
    let (mut now, mut passages) = (0, Vec::new());
    for (place, kind, bytes) in datagrams {
        now += u64::from(place);
        let at = Instant::from_millis(now);
        if proxy.poll_timeout().is_some_and(|due| due <= at) {
            proxy.handle_input(Input::Timeout, at);
        }
        let socket = Socket { index: u16::from(place % 2), ip: None };
        let path = Path { socket, peer: ([203, 0, 113, place % 8], 9).into() };
        let packed = Packed { token: TOKEN, fingerprint: [kind / 64; 32], password: DIALLER.into() }.to_ufrag();
        let datagram = match kind % 8 {
            0 => bytes,
            1 => framed(bytes),
            2 => message(MessageClass::Request, Some(&format!("{packed}:dudu")), PASSWORD, &bytes),
            3 => message(MessageClass::Request, Some("dudu:lulu"), DIALLER, &bytes),
            4 => message(MessageClass::Success, None, if place % 2 == 0 { LISTENER } else { DIALLER }, &bytes),
            5 => message(MessageClass::Request, Some("ours:them"), RESTARTED, &bytes),
            6 => message(MessageClass::Request, Some(&String::from_utf8_lossy(&bytes)), PASSWORD, &[]),
            _ => [&[22], bytes.as_slice()].concat(),
        };
        proxy.handle_datagram(path, &datagram, at, &mut out);
        out.clear();
        for &passage in &passages {
            if let Some(restart) = forwarded(kind) {
                proxy.handle_input(Input::Forward { conn: CONN, passage, restart }, at);
            }
        }
        while let Some(Output::Send(_, told)) = proxy.poll_output() {
            if let ToNode::Dialled { passage, .. } = told {
                let credentials = Credentials::new("lulu", LISTENER).unwrap();
                proxy.handle_input(Input::Answer { conn: CONN, passage, credentials }, at);
                passages.push(passage);
            }
        }
        let load = proxy.load();
        assert!(load.passages <= 3 && load.ghosts <= 2 && load.legs <= 8 * load.passages);
    }
});

/// Whether passages are forwarded after this datagram, and by which names.
fn forwarded(kind: u8) -> Option<Option<Restart>> {
    let credentials = |ufrag| Credentials::new(ufrag, RESTARTED).unwrap();
    match kind / 8 % 8 {
        6 => Some(None),
        7 => Some(Some(Restart { ours: credentials("ours"), theirs: credentials("them") })),
        _ => None,
    }
}

/// With the length and the cookie as they should be.
fn framed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().max(20) & !3, 0);
    let len = u16::try_from(bytes.len() - 20).unwrap_or(0).to_be_bytes();
    bytes[0] &= 3;
    bytes[2..8].copy_from_slice(&[len[0], len[1], 0x21, 0x12, 0xa4, 0x42]);
    bytes
}

/// Signed; the first byte is the transaction, the rest attributes.
fn message(class: MessageClass, username: Option<&str>, password: &str, bytes: &[u8]) -> Vec<u8> {
    let transaction = u128::from(bytes.first().copied().unwrap_or(0) % 4).into();
    let kind = MessageType::from_class_method(class, BINDING);
    let mut message = Message::builder(kind, transaction, MessageWriteVec::new());
    if let Some(username) = username.and_then(|username| Username::new(username).ok()) {
        message.add_attribute(&username).unwrap();
    }
    for attribute in bytes.get(1..).unwrap_or_default().chunks(7) {
        if let [high, low, value @ ..] = attribute
            && ![0x0008, 0x001c, 0x8028].contains(&u16::from_be_bytes([*high, *low]))
        {
            let kind = u16::from_be_bytes([*high, *low]).into();
            message.add_attribute(&RawAttribute::new(kind, value)).unwrap();
        }
    }
    let credentials = ShortTermCredentials::new(password.into()).into();
    message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
    message.add_fingerprint().unwrap();
    message.finish()
}
