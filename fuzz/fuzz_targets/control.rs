//! A peer's messages, before and after it has said who it is.

#![no_main]

use bitters_machine::{Machine, time::Instant};
use bitters_peercon::{Config, Input, Peercon};
use bitters_wire::{address::Token, id::PersonaId, local::Door};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, Vec<(u8, Vec<u8>)>)| {
    let (door, direct, messages) = input;
    let (own, peer) = (PersonaId([1; 32]), Some(PersonaId([2; 32])));
    let fingerprint = [4; 32];
    let door = match door % 3 {
        0 => Door::Address {
            fingerprint,
            token: Token([5; 6]),
            proxies: vec![([192, 0, 2, 99], 3478).into()],
            proof: None,
        },
        1 => Door::Introduced { fingerprint, proxies: vec![([192, 0, 2, 99], 3478).into()] },
        _ => Door::Signals,
    };
    let config = Config { own, peer, door, direct, nonce: [3; 16] };
    let mut peercon = Peercon::new(config, Instant::START);
    for (at, (kind, bytes)) in messages.into_iter().enumerate() {
        let input = match kind % 9 {
            0 => Input::ControlOpen,
            1 => Input::DataOpen,
            2 => Input::Signal(bytes),
            3 => Input::Data(bytes),
            4 => Input::LocalDescription(String::from_utf8_lossy(&bytes).into_owned()),
            5 => Input::LocalCandidate(String::from_utf8_lossy(&bytes).into_owned()),
            6 => Input::GoDirect,
            _ => Input::Control(bytes),
        };
        peercon.handle_input(input, Instant::from_millis(at as u64));
        while peercon.poll_output().is_some() {}
    }
});
