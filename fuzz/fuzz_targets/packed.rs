//! A packed fragment has one spelling, and is a username fragment.

#![no_main]

use bitters_peercon::packed::Packed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(packed) = Packed::from_ufrag(text) {
        assert_eq!(packed.to_ufrag(), text);
        assert!(packed.credentials().is_ok());
    }
});
