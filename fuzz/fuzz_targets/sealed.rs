//! Signals from anybody: nothing panics, and nothing that wasn't sealed is opened.

#![no_main]

use bitters_wire::{
    codec,
    keys::PersonaSecret,
    limits::{MAX_EARLY, MAX_LINK},
    packet::Packet,
    sealed::{Said, SealedSignal},
    topic::{MatchKey, Published},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signal) = codec::decode::<SealedSignal>(bytes, MAX_LINK) {
        assert!(signal.open(&PersonaSecret::new([1; 32])).is_err());
    }
    // What an honest sender's key sealed may say anything, too.
    let ends = [1, 2].map(|n| PersonaSecret::new([n; 32]).id());
    if let Ok(Said::Members(sealed) | Said::Published(sealed) | Said::Topics(sealed)) = codec::decode(bytes, MAX_LINK) {
        assert!(sealed.open(&MatchKey::new([1; 32]), ends, &[4; 16]).is_none());
    }
    // And so may what a member sealed.
    if let Ok(packets) = codec::decode::<Vec<Packet>>(bytes, MAX_EARLY) {
        assert_eq!(codec::decode(&codec::encode(&packets), MAX_EARLY), Ok(packets));
    }
    if let Ok(said) = codec::decode::<Vec<Published>>(bytes, MAX_EARLY) {
        assert_eq!(codec::decode(&codec::encode(&said), MAX_EARLY), Ok(said));
    }
});
