//! Link messages in parts: a message of the data channel is one byte (0: the last or only part, 1: more follows), then 1 to
//! 64512 bytes. Both browsers take 64 KiB at a time without a second thought; larger messages block the channel longer.

use bitters_wire::limits::MAX_LINK;

/// Bytes of a message in one part.
pub const MAX_PART: usize = 63 * 1024;

const LAST: u8 = 0;
const MORE: u8 = 1;

/// A part that breaks the protocol: no such first byte, empty, too long, or of a message longer than [`MAX_LINK`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a part of a link message")]
pub struct BadPart;

/// The parts of a message, for the data channel. An empty message has none.
pub fn split(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let count = message.len().div_ceil(MAX_PART);
    message.chunks(MAX_PART).enumerate().map(move |(at, chunk)| {
        let mut part = Vec::with_capacity(1 + chunk.len());
        part.push(if at + 1 == count { LAST } else { MORE });
        part.extend_from_slice(chunk);
        part
    })
}

/// Puts parts together again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassembly {
    begun: Vec<u8>,
}

impl Reassembly {
    /// Takes a part and returns the message that it completes.
    ///
    /// # Errors
    /// [`BadPart`]; the connection is not to be used any longer.
    pub fn add(&mut self, part: &[u8]) -> Result<Option<Vec<u8>>, BadPart> {
        let (&first, payload) = part.split_first().ok_or(BadPart)?;
        if payload.is_empty() || payload.len() > MAX_PART || self.begun.len() + payload.len() > MAX_LINK {
            return Err(BadPart);
        }
        self.begun.extend_from_slice(payload);
        match first {
            LAST => Ok(Some(std::mem::take(&mut self.begun))),
            MORE => Ok(None),
            _ => Err(BadPart),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_length_comes_together_again() {
        for len in [1, MAX_PART - 1, MAX_PART, MAX_PART + 1, 2 * MAX_PART, MAX_LINK] {
            let message: Vec<u8> = (0_u8..251).cycle().take(len).collect();
            let mut reassembly = Reassembly::default();

            let whole: Vec<_> = split(&message).filter_map(|part| reassembly.add(&part).unwrap()).collect();

            assert!(whole == [message], "{len}");
        }
    }

    #[test]
    fn bad_parts_are_refused() {
        for part in [vec![], vec![LAST], vec![MORE], vec![2, 1], vec![LAST; 2 + MAX_PART]] {
            assert_eq!(Reassembly::default().add(&part), Err(BadPart), "{} bytes", part.len());
        }
    }

    #[test]
    fn a_message_never_grows_past_its_bound() {
        let mut reassembly = Reassembly::default();
        let part = vec![MORE; 1 + MAX_PART];
        for _ in 0..MAX_LINK / MAX_PART {
            assert_eq!(reassembly.add(&part), Ok(None));
        }
        assert_eq!(reassembly.add(&part), Err(BadPart));
    }

    proptest! {
        #[test]
        fn messages_follow_one_another(lens in proptest::collection::vec(1..3 * MAX_PART, 1..5)) {
            let messages: Vec<_> = lens.iter().zip(0..).map(|(&len, fill)| vec![fill; len]).collect();
            let mut reassembly = Reassembly::default();
            let parts = messages.iter().flat_map(|message| split(message));
            let whole: Vec<_> = parts.filter_map(|part| reassembly.add(&part).unwrap()).collect();
            prop_assert!(whole == messages);
        }
    }
}
