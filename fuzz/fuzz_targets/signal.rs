//! A signal has one spelling.

#![no_main]

use bitters_peercon::signal::Signal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signal) = Signal::decode(bytes) {
        assert_eq!(signal.encode(), bytes);
    }
});
