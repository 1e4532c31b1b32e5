//! What frames ask for themselves: dials, services, and what they say of their page.

use bitters_machine::time::Instant;
use bitters_wire::{
    address::{Address, Owner},
    failure::{Code, Executed, Failure},
    id::{FrameId, PersonaId, Tag},
    limits::{DIAL_TIMEOUT, MAX_SERVED_PER_FRAME, MAX_SERVICE_JSON},
    local::{ServiceReply, ToFrame},
    name::Name,
};

use super::Node;
use crate::{
    api::Output,
    dials::{PATIENCE, Stage},
    frames::Frame,
    limits::MAX_SERVICES,
    links::{BLOCKED, Begun},
    pair::Pair,
    sites::accounts::Spend,
};

impl Node {
    pub(super) fn on_dial(
        &mut self,
        id: FrameId,
        request: u32,
        peer: PersonaId,
        address: Option<&Address>,
        now: Instant,
    ) {
        let Some(own) = self.frames.frame(id).map(Frame::persona) else { return };
        let pair = Pair { own, peer };
        if self.is_reachable(pair) {
            self.links.want(pair, now);
            return self.asked(id, request, Ok(()));
        }
        if self.blocks.includes(pair) {
            return self.asked(id, request, Err(Failure::new(Code::Denied, format!("{peer}: {BLOCKED}"))));
        }
        let address = address.filter(|address| address.owner() == Owner::Persona(peer));
        if self.dials.share(pair, (id, request)) {
            self.hurry_dial(pair, address);
            return self.offer_early(pair);
        }
        if let Err(refusal) = self.may_dial(id, now) {
            return self.asked(id, request, Err(refusal));
        }
        match self.begin_dial(pair, address, now) {
            Ok(stage) => {
                self.dials.wait(pair, stage, (id, request), now);
                self.begin_look_up(pair, now);
                self.offer_early(pair);
            }
            Err(text) => self.asked(id, request, Err(Failure::new(Code::PeerUnreachable, text))),
        }
    }

    /// Those who wait for a peer need not wait for a link to it, if there is a way for what their sessions say first.
    pub(super) fn offer_early(&mut self, pair: Pair) {
        if self.of_links(|links, around| links.speaks_early(pair, around)) {
            for frame in self.dials.hear_early(pair) {
                self.tell(frame, ToFrame::Early(pair.peer));
            }
        }
    }

    /// Who waits for a look-up is helped by an address.
    fn hurry_dial(&mut self, pair: Pair, address: Option<&Address>) {
        if self.dials.stage(pair) == Some(Stage::Lookup)
            && address.is_some_and(|address| {
                self.with_links(|links, around| links.dial_address(pair, address, around)).is_ok()
            })
        {
            self.dials.advance(pair, Stage::Link);
        }
    }

    fn may_dial(&mut self, id: FrameId, now: Instant) -> Result<(), Failure> {
        let (kin, clan) = self.kin_and_clan(id);
        if !self.spend(id, Spend::Dial, now) {
            return Err(self.quota(id, "this site dials too often", now));
        }
        if !self.dials.has_room(&kin, &clan) {
            return Err(self.quota(id, "this site waits for too many dials", now));
        }
        Ok(())
    }

    /// Whether there is a way: the pages of one persona reach each other.
    pub(super) fn is_reachable(&self, pair: Pair) -> bool {
        pair.own == pair.peer || self.links.table().up_to(pair).is_some()
    }

    fn begin_dial(&mut self, pair: Pair, address: Option<&Address>, now: Instant) -> Result<Stage, String> {
        let peer = pair.peer;
        if peer.noise_key().is_err() {
            return Err(format!("{peer}: no persona has this id"));
        }
        if let Some(address) = address {
            let begun = self.with_links(|links, around| links.dial_address(pair, address, around));
            return begun.map(|()| Stage::Link).map_err(|why| format!("{peer}: {why}"));
        }
        if self.links.table().connecting_to(pair).is_some() {
            return Ok(Stage::Link);
        }
        let is_introduced = self.of_links(|links, around| links.is_introduced(pair, around));
        let asks_around = !self.uplink.is_hopeful() && self.links.table().peers_of(pair.own) > 0;
        if asks_around && !is_introduced {
            self.links.want_until(pair, now + DIAL_TIMEOUT, now);
        }
        if is_introduced || asks_around {
            let begun = self.with_links(|links, around| links.dial_for_site(pair, around));
            return begun.map(stage_of).map_err(|why| format!("{peer}: {why}"));
        }
        if !self.uplink.is_hopeful() {
            return Err(format!(
                "{peer}: no rendezvous is reachable to ask, and this site has no peers that could know it"
            ));
        }
        Ok(Stage::Lookup)
    }

    /// A site waits for a peer that isn't being linked yet: it is looked up, or was knocked on by other ways.
    fn begin_look_up(&mut self, pair: Pair, now: Instant) {
        if self.dials.stage(pair) != Some(Stage::Lookup) {
            return;
        }
        // Without a server it is looked up as soon as there is one.
        if self.of_links(|links, around| links.is_introduced(pair, around)) || !self.uplink.is_hopeful() {
            self.dials.knocked(pair, now);
        } else if self.uplink.is_registered() {
            self.look_up(pair);
        }
    }

    /// Sessions wait for a peer, to which there is no way: it is dialled, or looked up first. They ask again every few
    /// seconds for a minute, and whom nobody knows now may be known by then.
    pub(super) fn seek(&mut self, pair: Pair, now: Instant) {
        let is_none = self.blocks.includes(pair) || pair.peer.noise_key().is_err();
        if is_none || self.dials.stage(pair).is_some() || !self.dials.may_seek(pair, now) {
            return;
        }
        if self.uplink.is_registered() && !self.of_links(|links, around| links.is_introduced(pair, around)) {
            self.dials.seek(pair, now);
            return self.look_up(pair);
        }
        self.links.want_for_sessions(pair, now);
        self.changed.plans = true;
    }

    /// A site wants nothing more of a peer, in any of its pages.
    pub(super) fn on_hang_up(&mut self, id: FrameId, request: u32, peer: PersonaId, now: Instant) {
        let Some(own) = self.frames.frame(id).map(Frame::persona) else { return };
        let pair = Pair { own, peer };
        self.tell_each(own, &|frame, _| frame != id, &ToFrame::HangUp(peer));
        self.with_links(|links, around| links.hang_up_early(pair, around));
        self.forget_talks(pair, now);
        self.fail_dial(pair, Code::Closed, format!("{peer}: the site hung up"));
        self.with_links(|links, around| links.hang_up_on(pair, around));
        self.asked(id, request, Ok(()));
    }

    /// A peer wants nothing more of a persona.
    pub(super) fn on_hung_up(&mut self, pair: Pair, now: Instant) {
        self.tell_each(pair.own, &|_, _| true, &ToFrame::HungUp(pair.peer));
        self.forget_talks(pair, now);
    }

    /// All sessions of a pair are over. What of them is still on its way here is no reason to seek the peer.
    pub(super) fn forget_talks(&mut self, pair: Pair, now: Instant) {
        self.dials.seeks_not(pair, now);
        self.links.end_early(pair);
        for (_, frame) in self.frames.iter_mut().filter(|(_, frame)| frame.persona() == pair.own) {
            self.changed.status |= frame.talks.remove(&pair.peer).is_some();
        }
    }

    pub(super) fn finish_dial(&mut self, pair: Pair) {
        let askers = self.dials.end(pair);
        if !askers.is_empty() {
            self.links.want(pair, self.clock.now);
        }
        for (frame, request) in askers {
            self.asked(frame, request, Ok(()));
        }
    }

    pub(super) fn fail_dial(&mut self, pair: Pair, code: Code, text: String) {
        let failure = Failure::new(code, text);
        for (frame, request) in self.dials.end(pair) {
            self.asked(frame, request, Err(failure.clone()));
        }
    }

    /// Why a peer could not be reached in time. Sites may read it.
    pub(super) fn unreachable_text(&self, pair: Pair) -> String {
        let (peer, seconds) = (pair.peer, PATIENCE.as_secs());
        match (self.dials.stage(pair), self.uplink.url()) {
            (Some(Stage::Link), _) => format!("{peer}: no connection to it within {seconds} s"),
            (_, Some(url)) if self.dials.is_missed(pair) => {
                format!("{peer}: nobody registered this persona at {url} within {seconds} s")
            }
            (_, Some(_)) if self.dials.is_knocked(pair) => format!("{peer}: it did not answer within {seconds} s"),
            (_, Some(url)) => format!("{peer}: {url} did not say within {seconds} s whether it is there"),
            (_, None) => format!("{peer}: no rendezvous was reachable within {seconds} s"),
        }
    }

    pub(super) fn on_service(
        &mut self,
        id: FrameId,
        request: u32,
        name: Name,
        method: Name,
        args: String,
        now: Instant,
    ) {
        let Some(frame) = self.frames.frame(id) else { return };
        let refusal = if self.is_handing_over() {
            Failure::new(Code::LeaderLost, "the node's leader is being replaced").executed(Executed::No)
        } else if args.len() > MAX_SERVICE_JSON {
            Failure::new(Code::TooLarge, format!("{name}.{method}: the arguments are {} bytes of JSON", args.len()))
        } else if frame.services.contains(&request) {
            Failure::new(Code::BadArgument, format!("request {request} is being served"))
        } else if self.kin(id).map(|(_, frame)| frame.services.len()).sum::<usize>() >= MAX_SERVICES {
            self.quota(id, "this site waits for too many service calls", now)
        } else if !self.spend(id, Spend::Service, now) {
            self.quota(id, "this site calls services too often", now)
        } else {
            let Some(frame) = self.frames.frame_mut(id) else { return };
            frame.services.insert(request);
            let (origin, persona, permissions) = (frame.origin.clone(), frame.persona(), frame.permissions);
            return self.act(Output::Service { frame: id, request, origin, persona, permissions, name, method, args });
        };
        self.tell(id, ToFrame::Service { request, reply: ServiceReply::Failed(refusal) });
    }

    pub(super) fn on_service_cancel(&mut self, id: FrameId, request: u32) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        if frame.services.remove(&request) {
            self.act(Output::ServiceCancel { frame: id, request });
        }
    }

    pub(super) fn on_service_reply(&mut self, id: FrameId, request: u32, reply: ServiceReply) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        let pending = match reply {
            ServiceReply::Next(_) => frame.services.contains(&request),
            ServiceReply::End | ServiceReply::Failed(_) | ServiceReply::Value(_) => frame.services.remove(&request),
        };
        if pending {
            self.tell(id, ToFrame::Service { request, reply });
        }
    }

    pub(super) fn on_serve(&mut self, id: FrameId, tag: Tag) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        if frame.serves.len() < MAX_SERVED_PER_FRAME {
            frame.serves.insert(tag);
            self.changed.addresses = true;
        }
    }

    pub(super) fn on_unserve(&mut self, id: FrameId, tag: Tag) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.serves.remove(&tag);
            self.changed.addresses = true;
        }
    }

    pub(super) fn on_visible(&mut self, id: FrameId, visible: bool) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.visible = visible;
            self.changed.status = true;
        }
    }
}

/// What a dial waits for that began so.
const fn stage_of(begun: Begun) -> Stage {
    match begun {
        Begun::Knock => Stage::Lookup,
        Begun::Link => Stage::Link,
    }
}
