//! What a page's script does with streams: it writes what the model says, checks what it reads, and is slow to give credit.

use bitters_wire::{failure::Failure, id::FrameId, rpc::Ask};

use crate::{
    World,
    event::{Event, Fact},
    fault::Pair,
    host::{PROTOCOL, Place},
    model::{Excuse, Model, Side},
};

/// A reader has room for so much more, at least.
const ROOM: u64 = 500;

impl World {
    /// A page opens a stream to a peer and means to write that much.
    pub fn open_stream(&mut self, frame: FrameId, peer: String, wants: u64) -> usize {
        let id = self.ask(frame, Ask::Open { peer, protocol: PROTOCOL.into() });
        let stream = self.model.open(frame, id, wants.max(8));
        self.host(frame).streams.insert(id, Place::Known(stream, 0));
        self.read_on(frame, id);
        stream
    }

    /// A page means to write more on a stream.
    pub fn write_more(&mut self, frame: FrameId, id: u32, more: u64) {
        if let Some(side) = self.side_mut(frame, id).filter(|it| !it.finished && it.failed.is_none()) {
            side.wants += more;
            self.write_on(frame, id);
        }
    }

    /// A page finishes writing. What it meant to write and could not yet, it doesn't; but a stream's number it must tell.
    pub fn finish(&mut self, frame: FrameId, id: u32) {
        let opens = matches!(self.host(frame).streams.get(&id), Some(Place::Known(_, 0)));
        let told = |it: &&mut Side| !opens || it.written >= 8;
        if let Some(side) = self.side_mut(frame, id).filter(|it| !it.finished && it.failed.is_none()).filter(told) {
            side.finished = true;
            self.ask_about(frame, id, Ask::Finish);
        }
    }

    /// A page gives a stream up, wholly or as its reader.
    pub fn give_up(&mut self, frame: FrameId, id: u32, wholly: bool) {
        let Some(Place::Known(stream, side)) = self.host(frame).streams.get(&id).cloned() else { return };
        self.model.streams[stream].given_up = true;
        let own = &mut self.model.streams[stream].sides[side];
        own.ended = true;
        if wholly {
            own.finished = true;
            self.host(frame).dropped.insert(id);
            self.ask_about(frame, id, Ask::Reset { reason: "enough".into() });
        } else {
            self.ask_about(frame, id, Ask::Stop);
        }
    }

    fn side_mut(&mut self, frame: FrameId, id: u32) -> Option<&mut Side> {
        let Place::Known(stream, side) = *self.tabs.get(&frame)?.host.streams.get(&id)? else { return None };
        Some(&mut self.model.streams[stream].sides[side])
    }

    /// The place of a stream that goes on as far as the page knows.
    fn place(&mut self, frame: FrameId, id: u32, tell: &str) -> Option<Place> {
        let host = self.host(frame);
        if host.dropped.contains(&id) {
            return None;
        }
        let place = host.streams.get(&id).cloned();
        self.must(place.is_some(), || format!("{frame} is told {tell} of {id}, which is nothing"));
        if let Some(Place::Known(stream, side)) = place {
            let failed = self.model.streams[stream].sides[side].failed;
            self.must(failed.is_none(), || format!("{frame} is told {tell} of stream {stream}, which failed"));
        }
        place
    }

    pub(crate) fn on_opened(&mut self, frame: FrameId, id: u32) {
        // What is served and answered is done once, too.
        if let Some(Place::Known(stream, side)) = self.host(frame).streams.get(&id).cloned() {
            let twice = std::mem::replace(&mut self.model.streams[stream].opened, true);
            self.must(side == 0 && !twice, || format!("stream {stream} is accepted twice"));
            self.evidence.streams += 1;
        }
    }

    pub(crate) fn on_incoming(&mut self, frame: FrameId, id: u32) {
        let before = self.host(frame).streams.insert(id, Place::New(Vec::new()));
        self.must(before.is_none(), || format!("{frame} has two streams {id}"));
        self.read_on(frame, id);
    }

    pub(crate) fn on_credit(&mut self, frame: FrameId, id: u32, limit: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "credit is a whole number here")]
        let limit = limit as u64;
        let Some(place) = self.place(frame, id, "credit") else { return };
        if let Place::Known(stream, side) = place {
            let own = &mut self.model.streams[stream].sides[side];
            let more = limit > own.credit;
            own.credit = limit;
            self.must(more, || format!("stream {stream}: credit shrinks to {limit}"));
            self.write_on(frame, id);
        } else {
            self.host(frame).early.insert(id, limit);
        }
    }

    /// Writes what it means to, in slices, as far as it may.
    fn write_on(&mut self, frame: FrameId, id: u32) {
        let Some(Place::Known(stream, n)) = self.host(frame).streams.get(&id).cloned() else { return };
        loop {
            let side = &self.model.streams[stream].sides[n];
            let room = side.wants.min(side.credit).saturating_sub(side.written);
            if side.finished || side.failed.is_some() || room == 0 {
                return;
            }
            let from = side.written;
            let to = from + self.rng.u64(1..=room);
            self.model.streams[stream].sides[n].written = to;
            let bytes = (from..to).map(|offset| Model::byte(stream, n, offset)).collect();
            self.ask_about(frame, id, Ask::Write { bytes });
        }
    }

    pub(crate) fn on_bytes(&mut self, frame: FrameId, id: u32, bytes: &[u8]) {
        self.must(!bytes.is_empty(), || format!("{frame} reads nothing of {id}"));
        match self.place(frame, id, "bytes") {
            None => return,
            Some(Place::Known(stream, side)) => self.check(stream, side, bytes),
            Some(Place::New(mut read)) => {
                read.extend(bytes);
                self.recognise(frame, id, read);
            }
        }
        if self.chance(40) {
            self.read_on(frame, id);
        } else {
            self.later(1, 1500, Event::Frame(frame, Fact::Reads(id)));
        }
    }

    /// The first bytes of a stream say which it is.
    fn recognise(&mut self, frame: FrameId, id: u32, read: Vec<u8>) {
        let Some(number) = read.first_chunk().copied() else {
            self.host(frame).streams.insert(id, Place::New(read));
            return;
        };
        let stream = usize::try_from(u64::from_le_bytes(number)).unwrap_or(usize::MAX);
        let fits = self.model.streams.get(stream).is_some_and(|it| it.sides[1].page.is_none());
        self.must(fits, || format!("{frame} gets stream {stream}, which is not on its way"));
        let credit = self.host(frame).early.remove(&id).unwrap_or_default();
        let wants = self.rng.u64(0..3000);
        let it = &mut self.model.streams[stream];
        it.sides[1] = Side { page: Some((frame, id)), wants, credit, ..Side::default() };
        let opener = it.sides[0].page.expect("a page opened it").0;
        let browsers = self.tabs.get(&opener).map(|it| it.browser).zip(self.tabs.get(&frame).map(|it| it.browser));
        self.model.streams[stream].pair = browsers.map(|(one, other)| Pair::of(one, other));
        self.host(frame).streams.insert(id, Place::Known(stream, 1));
        self.check(stream, 1, &read);
        self.write_on(frame, id);
    }

    /// What is read is what was written, in order, once.
    fn check(&mut self, stream: usize, side: usize, bytes: &[u8]) {
        let it = &mut self.model.streams[stream];
        let from = it.sides[side].read;
        let to = from + bytes.len() as u64;
        let resumed = std::mem::take(&mut it.broken);
        it.sides[side].read = to;
        let (written, ended) = (it.sides[1 - side].written, it.sides[side].ended && !it.given_up);
        self.evidence.streams_resumed += usize::from(resumed);
        self.evidence.bytes += bytes.len();
        self.must(to <= written && !ended, || format!("stream {stream} delivers {to} of {written} bytes"));
        let right = (from..to).zip(bytes).all(|(offset, byte)| Model::byte(stream, 1 - side, offset) == *byte);
        self.must(right, || format!("stream {stream} delivers other bytes than were written, from {from} on"));
    }

    /// The reader has room again.
    pub(crate) fn read_on(&mut self, frame: FrameId, id: u32) {
        if self.host(frame).dropped.contains(&id) {
            return;
        }
        let read = match self.host(frame).streams.get(&id).cloned() {
            Some(Place::Known(stream, side)) => self.model.streams[stream].sides[side].read,
            Some(Place::New(bytes)) => bytes.len() as u64,
            None => return,
        };
        let limit = read + self.rng.u64(ROOM..4 * ROOM);
        #[expect(clippy::cast_precision_loss, reason = "streams here are short")]
        let limit = limit as f64;
        self.ask_about(frame, id, Ask::Credit { limit });
    }

    pub(crate) fn on_finished(&mut self, frame: FrameId, id: u32) {
        let Some(place) = self.place(frame, id, "the end") else { return };
        let Place::Known(stream, side) = place else {
            return self.must(false, || format!("{frame}'s stream {id} ends before it began"));
        };
        let it = &mut self.model.streams[stream];
        let twice = std::mem::replace(&mut it.sides[side].ended, true) && !it.given_up;
        let (read, other) = (it.sides[side].read, &it.sides[1 - side]);
        let whole = it.given_up || (other.finished && other.written == read);
        let text = format!("stream {stream} is finished at {read}: {other:?}");
        self.must(whole && !twice, || text);
    }

    /// The peer reads no longer.
    pub(crate) fn on_stopped(&mut self, frame: FrameId, id: u32) {
        let Some(Place::Known(stream, side)) = self.place(frame, id, "a stop") else { return };
        let it = &mut self.model.streams[stream];
        it.sides[side].finished = true;
        let meant = it.given_up;
        self.must(meant, || format!("stream {stream} is stopped by nobody"));
    }

    pub(crate) fn on_stream_failed(&mut self, frame: FrameId, id: u32, failure: &Failure) {
        match self.place(frame, id, "a failure") {
            None => {}
            Some(Place::New(_)) => {
                // Whoever opened it is gone, or has given it up, before a word was read.
                self.host(frame).dropped.insert(id);
            }
            Some(Place::Known(stream, side)) => {
                let excuse = self.model.excuse(stream, side, failure, self.now);
                let text = excuse.as_ref().err().cloned();
                self.must(excuse.is_ok(), || format!("stream {stream} {}", text.unwrap_or_default()));
                self.model.streams[stream].sides[side].failed = Some(failure.code);
                match excuse {
                    Ok(Excuse::Gone) => self.evidence.failed_gone += 1,
                    Ok(Excuse::Reset) => self.evidence.failed_reset += 1,
                    Ok(Excuse::Silent) => self.evidence.failed_silent += 1,
                    Ok(Excuse::Unopened) | Err(_) => self.evidence.opens_failed += 1,
                }
                let settled = !self.settled || self.model.streams[stream].given_up;
                self.must(settled, || format!("stream {stream} fails in peace: {failure:?}"));
            }
        }
    }
}
