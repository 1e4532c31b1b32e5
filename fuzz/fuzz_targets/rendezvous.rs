//! Messages of a registered node, and of one that isn't.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use bitters_revproxy_core::rendezvous::{Config, ConnId, Input, Rendezvous};
use bitters_wire::{
    WIRE,
    codec::encode,
    keys::NodeSecret,
    rendezvous::{ToServer, node_text},
    time::Instant,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|messages: Vec<(bool, Vec<u8>)>| {
    let mut machine = Rendezvous::new(Config::default(), 1);
    for conn in [ConnId(0), ConnId(1)] {
        let addr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let proxies = [([192, 0, 2, 99], 3478).into()].into();
        machine.handle_input(Input::Open { conn, addr, nonce: [7; 32], server: "a.example".into(), proxies }, Instant::START);
    }
    let secret = NodeSecret::new([1; 32]);
    let signature = secret.sign(&node_text(&[7; 32], "a.example", secret.id()));
    let register = encode(&ToServer::Register { node: secret.id(), signature, wire: WIRE });
    machine.handle_input(Input::Received(ConnId(0), register), Instant::START);
    assert_eq!(machine.load().nodes, 1);
    for (registered, bytes) in messages {
        machine.handle_input(Input::Received(ConnId(u64::from(!registered)), bytes), Instant::START);
        while machine.poll_output().is_some() {}
    }
    for conn in [ConnId(0), ConnId(1)] {
        machine.handle_input(Input::Closed(conn), Instant::START);
    }
    assert_eq!((machine.load().connections, machine.load().tokens), (0, 0));
});
