//! Sessions' packets: over a link to another persona, or from frame to frame of one. Nothing in them is opened.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    id::{FrameId, LinkId, SessionId},
    local::ToFrame,
    packet::{Body, Packet, Refusal},
};

use super::{Node, hello::SETTLING};
use crate::{
    backlog::Lost,
    frames::Went,
    limits::{MAX_SESSIONS_PER_GROUP, MAX_SESSIONS_PER_ORIGIN},
    links::SESSION_PATIENCE,
    pair::Pair,
    server::saying::What,
};

impl Node {
    /// A frame's packet goes on now, or when those of its site that are held back have.
    pub(super) fn on_frame_packet(&mut self, id: FrameId, packet: Packet, now: Instant) {
        if !self.may_speak(id, &packet, now) {
            self.count_refusal(id, now);
            let refusal = packet.refuse(Refusal::Quota).map(ToFrame::Packet);
            return refusal.into_iter().for_each(|refusal| self.tell(id, refusal));
        }
        let Some(frame) = self.frames.frame(id) else { return };
        if let Some(packet) = self.traffic.passes(&frame.origin, id, packet, now) {
            self.pass_on(id, packet, now);
        }
    }

    /// Whether a packet is in a session that its frame has, or may have. A session in which nothing was said for a minute counts as over:
    /// which are, only its ends know.
    fn may_speak(&mut self, id: FrameId, packet: &Packet, now: Instant) -> bool {
        let Some(frame) = self.frames.frame_mut(id) else { return false };
        if let Some(spoke) = frame.sessions.get_mut(&packet.session) {
            *spoke = now;
        } else if matches!(packet.body, Body::Open { .. }) {
            return self.may_open(id, packet.session, now);
        }
        true
    }

    fn may_open(&mut self, id: FrameId, session: SessionId, now: Instant) -> bool {
        for (_, frame) in self.frames.iter_mut() {
            frame.sessions.retain(|_, spoke| now.since(*spoke) < SESSION_PATIENCE);
        }
        let of_site: usize = self.kin(id).map(|(_, frame)| frame.sessions.len()).sum();
        let of_group: usize = self.clan(id).map(|(_, frame)| frame.sessions.len()).sum();
        let may = of_site < MAX_SESSIONS_PER_ORIGIN && of_group < MAX_SESSIONS_PER_GROUP;
        if let Some(frame) = self.frames.frame_mut(id).filter(|_| may) {
            frame.sessions.insert(session, now);
        }
        may
    }

    /// Each site has what it may spend passed on.
    pub(super) fn release_packets(&mut self) {
        let now = self.clock.now;
        for ((id, packet), lost) in self.traffic.release(now) {
            self.pass_on(id, packet, now);
            self.say_again(lost);
        }
    }

    fn pass_on(&mut self, id: FrameId, packet: Packet, now: Instant) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        if packet.from != frame.persona() || packet.from_frame != id {
            return;
        }
        self.changed.status |= frame.talks_with(packet.to, now);
        if packet.to == packet.from {
            if let Some(refusal) = self.deliver(packet, now) {
                self.tell(id, ToFrame::Packet(refusal));
            }
            return;
        }
        let pair = Pair { own: packet.from, peer: packet.to };
        match self.links.table().up_to(pair) {
            Some(link) => self.with_links(|links, around| links.queue(link, id, packet, around)),
            None => self.pass_on_early(id, pair, &packet, now),
        }
    }

    /// Without a link a packet goes by way of others, if one is being made, or the peer is making one and spoke so.
    fn pass_on_early(&mut self, id: FrameId, pair: Pair, packet: &Packet, now: Instant) {
        let is_coming = self.links.is_coming(pair, now) || self.dials.stage(pair).is_some();
        let is_said = (is_coming || self.links.was_heard(pair, now))
            && self.with_links(|links, around| links.say_early(pair, vec![packet.clone()], around));
        let opens = matches!(packet.body, Body::Open { .. });
        if !opens && !matches!(packet.body, Body::Refused { .. }) && (is_coming || !is_said) {
            self.seek(pair, now);
        }
        // Whoever opens asks again, and finds the link that is being made.
        let waits = opens && is_coming;
        if !is_said
            && !waits
            && let Some(refusal) = self.refusal(packet, Refusal::NoRoute, now)
        {
            self.tell(id, ToFrame::Packet(refusal));
        }
    }

    /// A peer's packets that came by way of others, in one signal. One signal answers them.
    pub(super) fn on_early_packets(&mut self, pair: Pair, packets: Vec<Packet>, now: Instant) {
        let refusals: Vec<Packet> = packets.into_iter().filter_map(|packet| self.deliver(packet, now)).collect();
        if !refusals.is_empty() && self.may_say(pair.own, What::Refusal) {
            self.with_links(|links, around| links.say_early(pair, refusals, around));
        }
    }

    /// A peer's packet, for a session between the two ends of the link.
    pub(super) fn on_link_packet(&mut self, link: LinkId, packet: Packet, now: Instant) {
        if let Some(refusal) = self.deliver(packet, now) {
            self.with_links(|links, around| links.pass(link, refusal, around));
        }
    }

    /// Gives a packet to a frame of its persona, or returns what to answer. Refusals without a receiver are dropped.
    fn deliver(&mut self, packet: Packet, now: Instant) -> Option<Packet> {
        match self.receiver(&packet, now) {
            Ok(id) => {
                if let Some(frame) = self.frames.frame_mut(id) {
                    self.changed.status |= frame.talks_with(packet.from, now);
                }
                self.tell(id, ToFrame::Packet(packet));
                None
            }
            Err(reason) => self.refusal(&packet, reason, now),
        }
    }

    /// What answers a packet without receiver. A new leader says nothing to those who open sessions as long as frames are still
    /// coming to it: they ask again, and whoever serves may be there then.
    fn refusal(&self, packet: &Packet, reason: Refusal, now: Instant) -> Option<Packet> {
        let opens = matches!(packet.body, Body::Open { .. });
        if opens && self.took_over_within(SETTLING, now) { None } else { packet.refuse(reason) }
    }

    /// Whether we took over from another leader so lately. What frames it had may be frozen, or on their way to us.
    fn took_over_within(&self, span: Duration, now: Instant) -> bool {
        self.reign.succeeds && now.since(self.reign.began) < span
    }

    fn receiver(&self, packet: &Packet, now: Instant) -> Result<FrameId, Refusal> {
        match (packet.to_frame, &packet.body) {
            (Some(id), _) => {
                let frame = self.frames.frame(id).filter(|frame| frame.persona() == packet.to);
                let is_gone = match self.frames.went(id, packet.to) {
                    Some(went) => went == Went::Away,
                    None => !self.took_over_within(SESSION_PATIENCE, now),
                };
                frame.map(|_| id).ok_or(if is_gone { Refusal::FrameGone } else { Refusal::NoRoute })
            }
            (None, Body::Open { tag, .. }) => self.frames.server(packet.to, *tag).ok_or(Refusal::NotServed),
            (None, _) => Err(Refusal::UnknownSession),
        }
    }

    /// Packets of these were lost here: their sessions ask what arrived.
    pub(super) fn say_again(&mut self, lost: Lost) {
        for (frame, peer) in lost {
            self.tell(frame, ToFrame::PathRestored(peer));
        }
    }
}
