//! Messages of a node with a registered key, and of one that hasn't entered.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use bitters_machine::{Machine, time::Instant};
use bitters_revproxy_core::rendezvous::{Config, ConnId, Input, Rendezvous};
use bitters_wire::{
    WIRE,
    codec::encode,
    keys::PersonaSecret,
    rendezvous::{ToServer, register_text},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|messages: Vec<(bool, Vec<u8>)>| {
    let mut machine = Rendezvous::new(Config::default(), 1);
    for conn in [ConnId(0), ConnId(1)] {
        let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxies = [([192, 0, 2, 99], 3478).into()].into();
        machine.handle_input(
            Input::Open { conn, addr, nonce: [7; 32], server: "a.example".into(), proxies, unix_ms: 0 },
            Instant::START,
        );
    }
    let secret = PersonaSecret::new([1; 32]);
    let signature = secret.sign(&register_text(&[7; 32], "a.example", secret.id()));
    for message in [ToServer::Enter(WIRE), ToServer::Register { key: secret.id(), signature }] {
        machine.handle_input(Input::Received(ConnId(0), encode(&message)), Instant::START);
    }
    assert_eq!((machine.load().nodes, machine.load().keys), (1, 1));
    for (entered, bytes) in messages {
        machine.handle_input(Input::Received(ConnId(u64::from(!entered)), bytes), Instant::START);
        while machine.poll_output().is_some() {}
    }
    for conn in [ConnId(0), ConnId(1)] {
        machine.handle_input(Input::Closed(conn), Instant::START);
    }
    assert_eq!((machine.load().connections, machine.load().keys, machine.load().tokens), (0, 0, 0));
});
