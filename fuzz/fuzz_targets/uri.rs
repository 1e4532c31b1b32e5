//! A link is read as it was written, and never panics.

#![no_main]

use bitters_wire::uri::OverlayUri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    drop(OverlayUri::in_query(text));
    if let Ok(uri) = text.parse::<OverlayUri>() {
        assert_eq!(uri.to_string().parse(), Ok(uri));
    }
});
