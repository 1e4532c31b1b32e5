//! Packets as browsers send them.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use stun_types::{
    attribute::{ErrorCode, RawAttribute, Username, XorMappedAddress},
    message::{
        BINDING, IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWrite, MessageWriteExt,
        MessageWriteVec, ShortTermCredentials,
    },
};

/// Where all answers say that they were asked from.
const MAPPED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)), 3478);

pub fn name(to: &str, from: &str) -> String {
    format!("{to}:{from}")
}

/// A check as Chromium writes it.
pub fn check(n: u32, username: &str, password: &str) -> Vec<u8> {
    // GOOG-NETWORK-INFO.
    check_with(n.into(), username, password, &[(0xc057, &[0, 1, 0, 9])])
}

/// A check as Firefox writes it.
pub fn lean_check(n: u32, username: &str, password: &str) -> Vec<u8> {
    check_with(n.into(), username, password, &[])
}

/// The same check as `bytes`, as Chromium writes it, but for its name and what it is signed with.
pub fn check_like(bytes: &[u8], username: &str, password: &str) -> Vec<u8> {
    check_with(transaction(bytes), username, password, &[(0xc057, &[0, 1, 0, 9])])
}

/// As [`check_like`], as Firefox writes it.
pub fn lean_check_like(bytes: &[u8], username: &str, password: &str) -> Vec<u8> {
    check_with(transaction(bytes), username, password, &[])
}

/// A message's transaction id.
pub fn transaction(bytes: &[u8]) -> u128 {
    let message = Message::from_bytes(bytes).expect("it is STUN");
    message.transaction_id().into()
}

fn check_with(transaction: u128, username: &str, password: &str, own: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = Message::builder(of(MessageClass::Request), transaction.into(), MessageWriteVec::new());
    message.add_attribute(&Username::new(username).unwrap()).unwrap();
    // ICE-CONTROLLING, PRIORITY.
    for (kind, value) in own.iter().chain(&[(0x802a, &[7; 8][..]), (0x0024, &[0x6e, 0x7f, 0x1e, 0xff])]) {
        message.add_attribute(&RawAttribute::new((*kind).into(), value)).unwrap();
    }
    signed(message, password)
}

/// The answer to the check with transaction `n`.
pub fn response(n: u32, password: &str) -> Vec<u8> {
    answer(n.into(), password, false)
}

/// The answer to a check that came.
pub fn reply(check: &[u8], password: &str) -> Vec<u8> {
    answer(transaction(check), password, false)
}

/// A plain Binding request, padded by so many bytes.
pub fn binding(n: u32, padding: usize) -> Vec<u8> {
    let mut message = Message::builder(of(MessageClass::Request), u128::from(n).into(), MessageWriteVec::new());
    if padding > 0 {
        message.add_attribute(&RawAttribute::new(0x8022.into(), &vec![0; padding - 4])).unwrap();
    }
    message.finish()
}

/// A check with a role (RFC 8445, section 7.1.3) and its tie-breaker.
pub fn check_as(transaction: u128, username: &str, password: &str, controlling: bool, tie_breaker: u64) -> Vec<u8> {
    let mut message = Message::builder(of(MessageClass::Request), transaction.into(), MessageWriteVec::new());
    message.add_attribute(&Username::new(username).unwrap()).unwrap();
    let role = if controlling { 0x802a } else { 0x8029 };
    message.add_attribute(&RawAttribute::new(role.into(), &tie_breaker.to_be_bytes())).unwrap();
    message.add_attribute(&RawAttribute::new(0x0024.into(), &[0x6e, 0x7f, 0x1e, 0xff])).unwrap();
    signed(message, password)
}

/// An answer: a good one, or that both ends have one role (487).
pub fn answer(transaction: u128, password: &str, conflict: bool) -> Vec<u8> {
    let class = if conflict { MessageClass::Error } else { MessageClass::Success };
    let mut message = Message::builder(of(class), transaction.into(), MessageWriteVec::new());
    if conflict {
        message.add_attribute(&ErrorCode::builder(487).build().unwrap()).unwrap();
    } else {
        message.add_attribute(&XorMappedAddress::new(MAPPED, transaction.into())).unwrap();
    }
    signed(message, password)
}

fn of(class: MessageClass) -> MessageType {
    MessageType::from_class_method(class, BINDING)
}

fn signed(mut message: MessageWriteVec, password: &str) -> Vec<u8> {
    let credentials = ShortTermCredentials::new(password.into()).into();
    message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).unwrap();
    message.add_fingerprint().unwrap();
    message.finish()
}

/// Something like DTLS.
pub fn data(len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    bytes[0] = 22;
    bytes
}
