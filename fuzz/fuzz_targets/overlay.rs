//! What neighbours in the overlay say has one spelling, and whatever they say, the machine takes it.

#![no_main]

use bitters_machine::{Machine, time::Instant};
use bitters_overlay::{
    Input, Overlay,
    message::{Message, Reach},
};
use bitters_wire::id::NodeId;
use libfuzzer_sys::fuzz_target;

const NODE: NodeId = NodeId([1; 32]);
const PEERS: [NodeId; 3] = [NodeId([2; 32]), NodeId([3; 32]), NodeId([4; 32])];

fuzz_target!(|messages: Vec<(u8, u16, Vec<u8>)>| {
    let mut now = Instant::START;
    let mut overlay = Overlay::new(NODE, Reach::Easy, false, 1, now);
    for node in PEERS {
        overlay.handle_input(Input::PeerUp { node, network: None, is_dialler: false }, now);
    }
    for (from, later, bytes) in messages {
        now = now + std::time::Duration::from_millis(later.into());
        if overlay.poll_timeout().is_some_and(|due| due <= now) {
            overlay.handle_input(Input::Timeout, now);
        }
        if let Ok(message) = Message::decode(&bytes) {
            assert_eq!(message.encode(), bytes);
            overlay.handle_input(Input::Received(PEERS[usize::from(from) % PEERS.len()], message), now);
        }
        while overlay.poll_output().is_some() {}
    }
});
