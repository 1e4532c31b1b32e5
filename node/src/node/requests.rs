//! What frames ask for themselves: dials, services, and what they say of their page.

use bitters_wire::{
    address::{Address, Owner},
    failure::{Code, Executed, Failure},
    id::{FrameId, NodeId, PersonaId, Tag},
    limits::{DIAL_TIMEOUT, MAX_SERVED_PER_FRAME, MAX_SERVICE_JSON},
    local::{ServiceReply, ToFrame},
    name::Name,
    rendezvous::ToServer,
    time::Instant,
};

use super::{Node, linking::SESSION_PATIENCE};
use crate::{accounts::Spend, api::Output, dials::Stage, quotas::MAX_SERVICES};

impl Node {
    pub(super) fn on_dial(
        &mut self,
        id: FrameId,
        request: u32,
        peer: PersonaId,
        address: Option<&Address>,
        now: Instant,
    ) {
        if let Err(refusal) = self.may_dial(id, now) {
            return self.asked(id, request, Err(refusal));
        }
        if self.is_reachable(peer) {
            return self.asked(id, request, Ok(()));
        }
        if self.dials.share(peer, (id, request)) {
            return;
        }
        match self.begin_dial(peer, address, now) {
            Ok(stage) => self.dials.wait(peer, stage, (id, request), now),
            Err(text) => self.asked(id, request, Err(Failure::new(Code::PeerUnreachable, text))),
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

    pub(super) fn is_reachable(&self, peer: PersonaId) -> bool {
        let linked = |node: NodeId| self.links.up_to(node).is_some();
        self.frames.has_persona(peer) || (self.routes.home(peer).is_some_and(linked) && !self.asks_anew(peer))
    }

    /// Whether the rendezvous is to say where `peer` lives, though its home is known: that one says that it isn't there.
    fn asks_anew(&self, peer: PersonaId) -> bool {
        self.routes.is_missed(peer) && self.uplink.is_registered()
    }

    fn begin_dial(&mut self, peer: PersonaId, address: Option<&Address>, now: Instant) -> Result<Stage, String> {
        if peer.noise_key().is_err() {
            return Err(format!("{peer}: no persona has this id"));
        }
        if let Some(address) = address.filter(|address| address.owner() == Owner::Persona(peer)) {
            let begun = self.dial_address(address, now);
            return begun.map(Stage::Address).map_err(|why| format!("{peer}: {why}"));
        }
        if let Some(node) = self.routes.home(peer).filter(|_| !self.asks_anew(peer)) {
            return self.dial_node(node, now).map(|()| Stage::Node(node)).map_err(|why| format!("{peer}: {why}"));
        }
        if !self.uplink.is_hopeful() {
            return Err(format!("{peer}: no linked node knows this persona, and no rendezvous is reachable to ask"));
        }
        if self.uplink.is_registered() {
            self.tell_server(ToServer::Lookup(peer));
        }
        Ok(Stage::Lookup)
    }

    /// Sessions wait for `persona`, to which there is no way: its node is dialled, or looked up first. They ask again every few
    /// seconds for a minute, and whom nobody knows now may be known by then.
    pub(super) fn seek(&mut self, persona: PersonaId, now: Instant) {
        if self.dials.stage(persona).is_some() || !self.dials.may_seek(persona, now) {
            return;
        }
        if let Some(node) = self.routes.home(persona) {
            self.redials.want(node, now + SESSION_PATIENCE, now);
            self.changed.plans = true;
        } else if persona.noise_key().is_ok() {
            self.dials.seek(persona, now);
            if self.uplink.is_registered() {
                self.tell_server(ToServer::Lookup(persona));
            }
        }
    }

    pub(super) fn finish_dial(&mut self, persona: PersonaId) {
        for (frame, request) in self.dials.end(persona) {
            self.asked(frame, request, Ok(()));
        }
    }

    pub(super) fn fail_dial(&mut self, persona: PersonaId, text: String) {
        let failure = Failure::new(Code::PeerUnreachable, text);
        for (frame, request) in self.dials.end(persona) {
            self.asked(frame, request, Err(failure.clone()));
        }
    }

    /// Why a persona could not be reached in time. Sites may read it: it names no node.
    pub(super) fn unreachable_text(&self, persona: PersonaId) -> String {
        let seconds = DIAL_TIMEOUT.as_secs();
        match (self.dials.stage(persona), self.uplink.url()) {
            (Some(Stage::Address(_)), _) => format!("{persona}: its node answered within {seconds} s, but not for it"),
            (Some(Stage::Node(_)), _) => format!("{persona}: no connection to its node within {seconds} s"),
            (_, Some(url)) => format!("{persona}: {url} did not say within {seconds} s where it lives"),
            (_, None) => format!("{persona}: no rendezvous was reachable within {seconds} s"),
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
        let refusal = if self.is_moving() {
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
        }
    }

    pub(super) fn on_unserve(&mut self, id: FrameId, tag: Tag) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.serves.remove(&tag);
        }
    }

    pub(super) fn on_visible(&mut self, id: FrameId, visible: bool) {
        if let Some(frame) = self.frames.frame_mut(id) {
            frame.visible = visible;
            self.changed.status = true;
        }
    }
}
