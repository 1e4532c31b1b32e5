//! Something at random that some page does.

use bitters_wire::id::FrameId;

use crate::{
    World,
    connection::{End, Phase},
    host::Asked,
};

impl World {
    pub(crate) fn some_page(&mut self) -> Option<FrameId> {
        let pages: Vec<FrameId> = self.tabs.keys().copied().filter(|page| self.runs(*page)).collect();
        self.rng.choice(pages)
    }

    /// Whether a page's script can do anything now.
    pub(crate) fn runs(&self, page: FrameId) -> bool {
        self.tabs.get(&page).is_some_and(|it| !it.frozen && !self.browsers[it.browser].asleep)
    }

    /// The id of some other site's.
    pub(crate) fn some_peer(&mut self, of: FrameId) -> Option<String> {
        let own = self.tabs.get(&of)?.host.id.clone()?;
        let peers = self.tabs.values().filter_map(|it| it.host.id.clone()).filter(|id| *id != own);
        let peers: Vec<String> = peers.collect();
        self.rng.choice(peers)
    }

    pub(crate) fn some_open(&mut self, page: FrameId) {
        if let Some(peer) = self.some_peer(page) {
            let wants = if self.chance(3) { self.rng.u64(50_000..200_000) } else { self.rng.u64(8..4000) };
            self.open_stream(page, peer, wants);
        }
    }

    pub(crate) fn some_call(&mut self, page: FrameId) {
        if let Some(peer) = self.some_peer(page) {
            let timeout = if self.chance(20) { self.millis(20, 300) } else { self.millis(1000, 15_000) };
            self.call(page, peer, timeout);
        }
    }

    pub(crate) fn some_cancel(&mut self, page: FrameId) {
        let asked = self.tabs.get(&page).map(|it| it.host.asked.iter().map(|(id, it)| (*id, *it)).collect::<Vec<_>>());
        for (id, asked) in asked.unwrap_or_default() {
            if let Asked::Call(call) = asked {
                self.cancel(page, id, call);
            }
        }
    }

    pub(crate) fn some_dial(&mut self, page: FrameId) {
        if let Some(peer) = self.some_peer(page) {
            self.dial(page, peer);
        }
    }

    /// Somebody dials an address that somebody was given once.
    pub(crate) fn some_dial_at(&mut self, page: FrameId) {
        let addresses = self.model.addresses.clone();
        if let Some(address) = self.rng.choice(addresses) {
            self.dial(page, address);
        }
    }

    /// A stream that goes on, at some end.
    fn some_stream(&mut self) -> Option<(FrameId, u32)> {
        let going = (self.model.streams.iter())
            .flat_map(|it| &it.sides)
            .filter(|side| !side.finished && side.failed.is_none())
            .filter_map(|side| side.page)
            .filter(|(page, _)| self.runs(*page));
        let going: Vec<_> = going.collect();
        self.rng.choice(going)
    }

    pub(crate) fn some_write(&mut self) {
        for _ in 0..4 {
            let more = self.rng.u64(1..2000);
            if let Some((page, id)) = self.some_stream() {
                self.write_more(page, id, more);
            }
        }
    }

    pub(crate) fn some_end(&mut self) {
        let Some((page, id)) = self.some_stream() else { return };
        match self.rng.u8(0..4) {
            0 => self.give_up(page, id, true),
            1 => self.give_up(page, id, false),
            _ => self.finish(page, id),
        }
    }

    pub(crate) fn with_link(&mut self, harm: impl FnOnce(&mut Self, End)) {
        let ends = self.tabs.iter().flat_map(|(frame, tab)| {
            let up = tab.links.iter().filter(|(_, it)| it.phase == Phase::Up);
            up.map(|(link, _)| (*frame, *link))
        });
        let ends: Vec<End> = ends.collect();
        if let Some(end) = self.rng.choice(ends) {
            harm(self, end);
        }
    }
}
