//! What tests of several modules make their records of.

use std::net::SocketAddr;

use bitters_wire::{
    address::{Address, Owner},
    id::NodeId,
    keys::{Grant, PersonaSecret},
};
use proptest::prelude::*;

use crate::{
    blind::BlindedSecret,
    body::{Body, Introduction, MAX_INTRODUCTIONS},
    day::Day,
    record::{Record, Salt, TTL_SECS},
};

/// 1 January 2026, noon, in unix seconds.
pub const NOON: u64 = 1_767_268_800;

pub fn alice() -> PersonaSecret {
    PersonaSecret::new([0xa1; 32])
}

pub fn bob() -> PersonaSecret {
    PersonaSecret::new([0xb0; 32])
}

pub fn door(of: &PersonaSecret, proxies: usize) -> Address {
    address(of, proxies, None)
}

pub fn address(of: &PersonaSecret, proxies: usize, grant: Option<Grant>) -> Address {
    let proxies = vec![SocketAddr::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), 3478); proxies];
    Address::sign(Owner::Persona(of.id()), [7; 32], &proxies, u64::MAX, grant, |text| of.sign(text))
}

pub fn introduction(n: u8) -> Introduction {
    Introduction { node: NodeId([n; 32]), token: [n; 16] }
}

/// What Alice may say.
pub fn any_body() -> impl Strategy<Value = Body> {
    let point = any::<([u8; 32], [u8; 16])>().prop_map(|(node, token)| Introduction { node: NodeId(node), token });
    let doors = prop_oneof![Just(vec![]), Just(vec![1]), Just(vec![2, 4])];
    (doors, prop::collection::vec(point, 0..=MAX_INTRODUCTIONS)).prop_map(|(doors, points)| {
        let doors = doors.into_iter().map(|proxies| door(&alice(), proxies)).collect();
        Body::new(alice().id(), doors, points).unwrap()
    })
}

/// A record of `persona` that was made at noon.
pub fn record(persona: &PersonaSecret, seq: u64) -> Record {
    let secret = BlindedSecret::of(persona, Day::of(NOON));
    let body = Body::new(persona.id(), vec![], vec![introduction(1)]).unwrap();
    Record::seal(&secret, Salt::ALL[0], seq, NOON + TTL_SECS, &body, [5; 16])
}
