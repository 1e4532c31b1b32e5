//! Signals from anybody: nothing panics, and nothing that wasn't sealed is opened.

#![no_main]

use bitters_wire::{codec, keys::PersonaSecret, limits::MAX_LINK, sealed::SealedSignal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signal) = codec::decode::<SealedSignal>(bytes, MAX_LINK) {
        assert!(signal.open(&PersonaSecret::new([1; 32])).is_err());
    }
});
