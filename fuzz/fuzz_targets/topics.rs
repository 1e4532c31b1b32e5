//! What anybody says in a topic: nothing that no member sealed is opened, and nothing is heard twice.

#![no_main]

use std::collections::BTreeSet;

use bitters_wire::{
    codec,
    id::{PersonaId, TopicId},
    limits::MAX_LINK,
    link::LinkMessage,
    topic::{Heard, MatchKey, MessageName, Published, TopicMessage},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let of_topic = (TopicId([3; 32]), &MatchKey::new([1; 32]));
    if let Ok(LinkMessage::Topic(TopicMessage::Publish { published, .. })) = codec::decode(bytes, MAX_LINK) {
        assert!(published.open(of_topic).is_err());
    }
    for published in codec::decode::<Vec<Published>>(bytes, MAX_LINK).unwrap_or_default() {
        assert!(published.open(of_topic).is_err());
    }
    let (mut heard, mut known) = (Heard::default(), BTreeSet::new());
    for step in bytes.chunks_exact(4) {
        // All within the time for which messages are remembered.
        let time = 5 * u64::from(u16::from_le_bytes([step[2], step[3]]));
        let (from, name) = (PersonaId([step[0] % 4; 32]), MessageName([step[1]; 8]));
        if step[0] & 0x80 > 0 {
            let mut next = Heard::default();
            next.learn(&heard.tell(4, usize::from(step[1])));
            heard = next;
        }
        assert!(!heard.hear(from, name, time) || known.insert((from, name)));
    }
});
