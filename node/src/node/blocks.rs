//! Peers that the person blocks for a site, on the node's own page.

use bitters_machine::time::Instant;
use bitters_wire::{
    failure::Code,
    id::{FrameId, PersonaId},
    limits::MAX_BLOCKED,
    local::{Blocked, ToFrame},
};

use super::Node;
use crate::{
    links::BLOCKED,
    pair::Pair,
    sites::{accounts::Spend, blocks::Blocks},
    view::warnings::Audience,
};

impl Node {
    /// The person decided on the node's own page.
    pub(super) fn on_block(&mut self, id: FrameId, origin: &str, (peer, blocks): (PersonaId, bool), now: Instant) {
        if !self.is_of_page(id) {
            return;
        }
        self.tell_sites_again(id);
        if !self.spend(id, Spend::Permit, now) {
            return self.count_refusal(id, now);
        }
        let Blocked { mut peers, decided } = self.sites.blocked(origin);
        peers.retain(|it| *it != peer);
        if blocks && peers.len() >= MAX_BLOCKED {
            let text = format!("{origin} has {MAX_BLOCKED} blocked peers: unblock one first");
            return self.warn(Audience::Observers, &text);
        }
        peers.extend(blocks.then_some(peer));
        // Whatever another clock said when the person decided last.
        let decided = self.clock.unix_ms().unwrap_or_default().max(decided + 1);
        self.block(origin, &Blocked { peers, decided });
    }

    /// The person decided, here or where a frame of the site was before. The site's frames are told: they carry it on.
    pub(super) fn block(&mut self, origin: &str, blocked: &Blocked) {
        if !self.sites.block(origin, blocked.clone()) {
            return;
        }
        self.refresh_blocks();
        for id in self.frames.of_origin(origin).map(|(id, _)| id).collect::<Vec<_>>() {
            self.tell(id, ToFrame::Blocked(blocked.clone()));
        }
        self.changed.sites = true;
    }

    /// Who is here, or who is blocked, changed: those who are have nothing more with a persona for whose site they are.
    pub(super) fn refresh_blocks(&mut self) {
        let sites = self.frames.iter().map(|(_, frame)| (frame.persona(), self.sites.blocked(&frame.origin).peers));
        self.blocks = Blocks::of(sites);
        for pair in self.blocks.pairs().collect::<Vec<_>>() {
            let Pair { own, peer } = pair;
            self.fail_dial(pair, Code::Denied, format!("{peer}: {BLOCKED}"));
            let talks = self.frames.iter().any(|(_, frame)| frame.persona() == own && frame.talks.contains_key(&peer));
            self.with_links(|links, around| links.hang_up_early(pair, around));
            if self.links.end_early(pair) || talks || !self.links.table().of_pair(pair).is_empty() {
                self.tell_each(own, &|_, _| true, &ToFrame::HangUp(peer));
                self.forget_talks(pair, self.clock.now);
                self.with_links(|links, around| links.hang_up_on(pair, around));
            }
        }
    }
}
