//! Peace: what can be mended is, all that was begun is finished, and then nothing may fail.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::id::FrameId;

use crate::{
    World,
    host::{self, Place},
    model::Settled,
};

/// No timer of a node is set for longer, but the one that ends the memory of a certificate that could not be kept.
const REST: Duration = Duration::from_secs(5 * 60);

impl World {
    /// Everything that can be mended is, and nothing breaks any longer.
    pub fn make_peace(&mut self) {
        self.peace = true;
        self.model.make_peace(self.now);
        self.start_server();
        for browser in 0..self.browsers.len() {
            self.fill(browser, false);
        }
        for pair in std::mem::take(&mut self.apart) {
            self.repair(pair);
        }
        for browser in 0..self.browsers.len() {
            if self.browsers[browser].asleep {
                self.wake(browser);
            }
        }
        let frozen: Vec<FrameId> = self.tabs.iter().filter(|(_, it)| it.frozen).map(|(id, _)| *id).collect();
        for frame in frozen {
            self.thaw(frame);
        }
        self.note(|| "peace".into());
    }

    /// Every page finishes what it writes.
    pub(crate) fn finish_all(&mut self) {
        for (page, id) in
            self.model.streams.iter().flat_map(|it| &it.sides).filter_map(|it| it.page).collect::<Vec<_>>()
        {
            if self.tabs.contains_key(&page) {
                self.finish(page, id);
            }
        }
    }

    pub(crate) fn must_be_settled(&mut self) {
        self.settled = true;
        let unsettled = self.model.unsettled();
        self.must(unsettled.is_none(), || unsettled.clone().unwrap_or_default());
        for (frame, tab) in &self.tabs {
            let waiting = &tab.host.asked;
            self.must(waiting.is_empty(), || format!("{frame} waits for {waiting:?}"));
            self.must(tab.host.id.is_some(), || format!("{frame} was never welcomed"));
            let new =
                tab.host.streams.iter().find(|(id, it)| matches!(it, Place::New(_)) && !tab.host.dropped.contains(id));
            self.must(new.is_none(), || format!("{frame} has a stream that nobody writes: {new:?}"));
        }
        self.evidence.streams_done += self.model.done();
    }

    /// All pages open streams, call and talk once more: now nothing fails.
    pub fn go_round(&mut self) {
        let pages: Vec<FrameId> = self.tabs.keys().copied().collect();
        let (mut fresh, calls) = (Vec::new(), self.model.calls.len());
        for page in &pages {
            if let Some(peer) = self.some_peer(*page) {
                fresh.push(self.open_stream(*page, peer.clone(), 900));
                self.call(*page, peer, Duration::from_secs(20));
            }
            self.publish(*page);
        }
        self.run_for(Duration::from_secs(25));
        self.finish_all();
        self.run_for(Duration::from_secs(15));
        self.must_be_settled();
        for stream in fresh {
            let it = &self.model.streams[stream];
            let well = it.sides.iter().all(|side| side.failed.is_none() && side.ended);
            self.must(well && it.sides[1].read == 900, || format!("stream {stream} fails in peace: {it:?}"));
        }
        let failed = self.model.calls[calls..].iter().find(|it| it.outcome != Some(Settled::Done));
        self.must(failed.is_none(), || format!("a call fails in peace: {failed:?}"));
        self.must_all_hear(&pages);
    }

    pub(crate) fn must_all_hear(&self, pages: &[FrameId]) {
        let members: Vec<_> =
            pages.iter().filter_map(|id| Some((id, self.tabs.get(id)?))).filter(|it| it.1.host.joined).collect();
        for (speaker, said) in &members {
            let text = host::said(**speaker, said.host.said);
            for (listener, heard) in members.iter().filter(|(id, _)| id != speaker) {
                let times = heard.host.heard.get(&text).copied().unwrap_or_default();
                self.must(times == 1, || format!("{listener} hears {speaker} {times} times in peace"));
            }
        }
    }

    /// Runs until nothing happens any longer by itself, but that leaders ask whether the server is there; tells since when, or `None` if it
    /// took more than `patience`.
    #[must_use]
    pub fn rest(&mut self, patience: Duration) -> Option<Instant> {
        // Members of a topic say again and again that they are there.
        for page in self.tabs.keys().copied().collect::<Vec<_>>() {
            self.leave(page);
        }
        let until = self.now + patience;
        while let Some(next) = self.next_timer() {
            if next.since(self.stirred) > REST {
                return Some(self.stirred);
            }
            if next > until {
                return None;
            }
            self.run_until(next);
        }
        Some(self.now)
    }
}
