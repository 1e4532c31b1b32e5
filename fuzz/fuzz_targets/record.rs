//! A record has one spelling, and one that nobody signed is refused.

#![no_main]

use bitters_record::record::{MAX_RECORD, Record};
use bitters_wire::codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = codec::decode_foreign::<Record>(bytes, MAX_RECORD) {
        assert_eq!(codec::encode(&record), bytes);
        assert!(record.check(0).is_err());
    }
});
