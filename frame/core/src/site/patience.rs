//! How long a page is heard that says what comes to nothing.
//!
//! Frames of all sites share one process, and a message costs it even when it is refused. What a site gets something for is paid for: a
//! request by its rate, a slice by the credit that it is written within, the end of a stream or a call by that stream or call. The rest is
//! idle: what is refused, what is about something that is over, and credit, which could be told for ever. The idle words of an
//! honest page are few: its races, and one credit for each half MiB that it reads. A flood of them wears the patience out in
//! seconds, and then the page's port is closed.

use bitters_machine::{
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::{
    data::Data,
    rpc::{Ask, Outcome},
};

/// Idle words: a page reads 200 MiB/s for 400 of them in a second. All at once they cost the process less than a second.
const IDLE: Rate = Rate { per_second: 1000, burst: 20_000 };

/// Bytes that cost as much as a word: both take some ten microseconds.
const WORD: usize = 32 * 1024;

/// One page's.
#[derive(Debug)]
pub(super) struct Patience {
    left: Bucket,
    /// Bytes that the site had credit for when their stream was ended by others: they may be on their way here, in slices as small as
    /// the site likes.
    on_their_way: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: Bucket::new(IDLE, Instant::START), on_their_way: 0 }
    }
}

impl Patience {
    /// A stream was ended by others, with so much credit left.
    pub(super) const fn spare(&mut self, credit: u64) {
        self.on_their_way = self.on_their_way.saturating_add(credit);
    }

    /// Something was said that came to nothing: whether the page is heard any longer.
    #[must_use]
    pub(super) fn bears(&mut self, said: Said, now: Instant) -> bool {
        let bytes = said.bytes as u64;
        if said.is_slice && bytes > 0 && bytes <= self.on_their_way {
            self.on_their_way -= bytes;
            return true;
        }
        let words = u32::try_from(said.bytes / WORD).unwrap_or(u32::MAX).saturating_add(1);
        self.left.take_many(words, now)
    }
}

/// What a word weighs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) bytes: usize,
    is_slice: bool,
}

impl Said {
    pub(super) const fn of(bytes: usize) -> Self {
        Self { bytes, is_slice: false }
    }
}

impl From<&Ask> for Said {
    fn from(ask: &Ask) -> Self {
        let bytes = match ask {
            Ask::Call { data, .. }
            | Ask::JoinSecret { secret: data, .. }
            | Ask::Publish { data, .. }
            | Ask::Reply { outcome: Outcome::Ok(data) } => Data::len(data),
            Ask::Reply { outcome: Outcome::Err(text) }
            | Ask::Reset { reason: text }
            | Ask::Service { args: text, .. }
            | Ask::Presence { value: Some(text), .. } => text.len(),
            Ask::Write { bytes } => bytes.len(),
            _ => 0,
        };
        Self { bytes, is_slice: matches!(ask, Ask::Write { .. }) }
    }
}
