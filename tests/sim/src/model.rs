//! The reference: what pages did, and what they may therefore see.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_machine::time::Instant;
use bitters_wire::{
    failure::{Code, Executed, Failure},
    id::{FrameId, SessionId},
};

use crate::{
    fault::{Pair, Trouble},
    hostile::Dialled,
};

/// What was done in the world.
#[derive(Debug, Default)]
pub struct Model {
    /// All streams, by number.
    pub streams: Vec<Stream>,
    /// All calls, by number.
    pub calls: Vec<Call>,
    /// Dials whose answers count, by number.
    pub dials: Vec<Dialled>,
    /// When who could not talk.
    pub trouble: Trouble,
    /// Addresses that pages were told, of whom some are gone.
    pub addresses: Vec<String>,
    /// Which frames were handed the packet that opens a session.
    pub opened: BTreeMap<SessionId, BTreeSet<FrameId>>,
    /// What pages said in the lobby.
    pub said: BTreeMap<String, Said>,
    gone: BTreeSet<FrameId>,
}

/// What a page said in the lobby.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which page.
    pub author: FrameId,
    /// Its site's id.
    pub from: String,
    /// How many messages it had said with that.
    pub number: usize,
    /// When.
    pub at: Instant,
}

/// A stream; side 0 opened it.
#[derive(Debug)]
pub struct Stream {
    /// Both ends.
    pub sides: [Side; 2],
    /// The peer accepted it.
    pub opened: bool,
    /// A page reset it, or stopped reading.
    pub given_up: bool,
    /// The browsers at both ends, once both are known.
    pub pair: Option<Pair>,
    /// A link under it broke, and nothing has arrived since.
    pub broken: bool,
}

/// What one end's page has done with a stream, and seen of it.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Which page, and its number there.
    pub page: Option<(FrameId, u32)>,
    /// Bytes that it means to write.
    pub wants: u64,
    /// Bytes that it has written, of what it may.
    pub written: u64,
    /// What it may write.
    pub credit: u64,
    /// It writes no more.
    pub finished: bool,
    /// Bytes that it has read.
    pub read: u64,
    /// It was told that all was read.
    pub ended: bool,
    /// It was told that the stream failed.
    pub failed: Option<Code>,
}

impl Side {
    /// Whether the page is done with it.
    pub const fn is_over(&self) -> bool {
        self.failed.is_some() || (self.finished && self.ended)
    }
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub caller: FrameId,
    /// Whom.
    pub peer: String,
    /// When it must be settled.
    pub deadline: Instant,
    /// How often the handler ran.
    pub runs: usize,
    /// What the caller was told.
    pub outcome: Option<Settled>,
}

/// How a call was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// By the handler's value.
    Done,
    /// By a failure, which says whether the handler ran.
    Failed(Executed),
}

/// Why a stream may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// The other page is gone.
    Gone,
    /// A page gave it up.
    Reset,
    /// There was no way for long, or the other end had failed for that reason.
    Silent,
    /// It wasn't accepted yet.
    Unopened,
}

/// A session resumes when there is a way again within a minute; this much of it must have been calm to say that there was one.
const CALM: Duration = Duration::from_secs(30);

/// How long a session looks for its peer, and how late a hidden page's timer is.
const PATIENCE: Duration = Duration::from_secs(61);

impl Model {
    /// The byte that `side` of a stream writes at `offset`. The opener begins with the stream's number.
    #[must_use]
    pub fn byte(stream: usize, side: usize, offset: u64) -> u8 {
        let number = stream as u64;
        match usize::try_from(offset) {
            Ok(at @ 0..8) if side == 0 => number.to_le_bytes()[at],
            _ => (offset.wrapping_mul(0x9e37_79b9).wrapping_add(number * 31 + side as u64 * 7) >> 8).to_le_bytes()[0],
        }
    }

    /// A page opens a stream.
    pub fn open(&mut self, frame: FrameId, id: u32, wants: u64) -> usize {
        let opener = Side { page: Some((frame, id)), wants, ..Side::default() };
        let sides = [opener, Side::default()];
        self.streams.push(Stream { sides, opened: false, given_up: false, pair: None, broken: false });
        self.streams.len() - 1
    }

    /// Links between two browsers broke.
    pub fn broke(&mut self, pair: Pair) {
        let open = |it: &&mut Stream| it.pair == Some(pair) && it.sides.iter().all(|side| !side.is_over());
        self.streams.iter_mut().filter(open).for_each(|it| it.broken = true);
    }

    /// How many streams of other pages are open between two browsers.
    #[must_use]
    pub fn open_between(&self, pair: Pair, but: FrameId) -> usize {
        let others = |side: &Side| side.page.is_some_and(|(page, _)| page != but) && !side.is_over();
        self.streams.iter().filter(|it| it.pair == Some(pair) && it.sides.iter().all(others)).count()
    }

    /// A page is gone.
    pub fn gone(&mut self, frame: FrameId, now: Instant) {
        self.gone.insert(frame);
        self.trouble.note(crate::fault::Whom::Page(frame), now, now);
    }

    /// Whether a page is gone.
    #[must_use]
    pub fn is_gone(&self, frame: FrameId) -> bool {
        self.gone.contains(&frame)
    }

    /// Why the stream may fail at this side now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn excuse(&self, stream: usize, side: usize, failure: &Failure, now: Instant) -> Result<Excuse, String> {
        let it = &self.streams[stream];
        let other = &it.sides[1 - side];
        if !it.opened && side == 0 {
            return Ok(Excuse::Unopened);
        }
        if it.given_up {
            return Ok(Excuse::Reset);
        }
        if failure.code != Code::PeerUnreachable {
            return Err(format!("fails with {failure:?}"));
        }
        let (Some((one, _)), Some((page, _)), Some(pair)) = (it.sides[side].page, other.page, it.pair) else {
            return Ok(Excuse::Gone);
        };
        if self.is_gone(page) {
            return Ok(Excuse::Gone);
        }
        let calm = self.trouble.calm([one, page], pair, now, PATIENCE);
        if other.failed.is_some() || calm < CALM {
            return Ok(Excuse::Silent);
        }
        Err(format!(
            "fails ({}) though both pages live and nothing kept them from talking for {calm:?}",
            failure.message
        ))
    }

    /// What isn't as it must be once everything was finished in peace.
    #[must_use]
    pub fn unsettled(&self) -> Option<String> {
        self.streams.iter().enumerate().find_map(|(n, it)| self.unsettled_stream(n, it)).or_else(|| {
            self.calls.iter().enumerate().find_map(|(n, it)| {
                let fits = match it.outcome {
                    None => self.is_gone(it.caller),
                    Some(Settled::Done | Settled::Failed(Executed::Yes)) => it.runs == 1,
                    Some(Settled::Failed(Executed::No)) => it.runs == 0,
                    Some(Settled::Failed(Executed::Unknown)) => it.runs <= 1,
                };
                (!fits).then(|| format!("call {n}: {it:?}"))
            })
        })
    }

    fn unsettled_stream(&self, n: usize, it: &Stream) -> Option<String> {
        let lives = |side: &Side| side.page.is_some_and(|(page, _)| !self.is_gone(page));
        if it.sides.iter().any(|side| lives(side) && !side.is_over()) {
            return Some(format!("stream {n} is open: {it:?}"));
        }
        let whole = |reader: usize| it.sides[reader].read == it.sides[1 - reader].written;
        let well = it.sides.iter().all(|side| lives(side) && side.failed.is_none());
        let short = well && !it.given_up && !(whole(0) && whole(1));
        short.then(|| format!("stream {n} ended early: {it:?}"))
    }

    /// Streams that both ends have all of.
    #[must_use]
    pub fn done(&self) -> usize {
        let done = |side: &Side| side.finished && side.ended && side.failed.is_none();
        self.streams.iter().filter(|it| it.sides.iter().all(done)).count()
    }

    /// In peace nothing is in trouble any longer.
    pub fn make_peace(&mut self, now: Instant) {
        self.trouble.end(now);
    }
}

/// Messages heard by one page, and how often.
pub type Heard = BTreeMap<String, usize>;
