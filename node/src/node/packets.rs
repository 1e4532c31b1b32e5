//! Sessions' packets: over a link to another persona, or from frame to frame of one. Nothing in them is opened.

use std::time::Duration;

use bitters_wire::{
    codec,
    id::{FrameId, LinkId, SessionId},
    link::LinkMessage,
    local::ToFrame,
    packet::{Body, Packet, Refusal},
    time::Instant,
};

use super::{Node, hello::SETTLING, linking::SESSION_PATIENCE};
use crate::{
    accounts::Spend,
    backlog::Lost,
    frames::Went,
    holds::cost,
    links::Pair,
    quotas::{MAX_SESSIONS_PER_GROUP, MAX_SESSIONS_PER_ORIGIN},
};

/// Sessions that begin to speak again after that time have their standby looked after.
const STANDBY_LOOK: Duration = Duration::from_secs(1);

/// Packets that are held back go on that often.
const RELEASE_EVERY: Duration = Duration::from_millis(10);

impl Node {
    /// A frame's packet goes on now, or when those of its site that are held back have.
    pub(super) fn on_frame_packet(&mut self, id: FrameId, packet: Packet, now: Instant) {
        if !self.may_speak(id, &packet, now) {
            self.count_refusal(id, now);
            let refusal = packet.refuse(Refusal::Quota).map(ToFrame::Packet);
            return refusal.into_iter().for_each(|refusal| self.tell(id, refusal));
        }
        let Some(frame) = self.frames.frame(id) else { return };
        let spend = Spend::Packet(cost(&packet));
        if self.holds.holds(&frame.origin) || !self.accounts.spend(&frame.origin, spend, now) {
            self.holds.hold(&frame.origin, id, packet);
            self.holds_due.get_or_insert(now + RELEASE_EVERY);
        } else {
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
    pub(super) fn release_packets(&mut self, now: Instant) {
        if self.holds_due.is_none_or(|at| at > now) {
            return;
        }
        for site in self.holds.sites() {
            while let Some(cost) = self.holds.next_cost(&site)
                && self.accounts.spend(&site, Spend::Packet(cost), now)
                && let Some(((id, packet), lost)) = self.holds.release(&site)
            {
                self.pass_on(id, packet, now);
                self.say_again(lost);
            }
        }
        self.holds_due = (!self.holds.is_empty()).then(|| now + RELEASE_EVERY);
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
        match self.links.up_to(pair) {
            Some(link) => self.queue_packet(id, link, packet, now),
            None => {
                if !matches!(packet.body, Body::Open { .. } | Body::Refused { .. }) {
                    self.seek(pair, now);
                }
                if let Some(refusal) = self.refusal(&packet, Refusal::NoRoute, now) {
                    self.tell(id, ToFrame::Packet(refusal));
                }
            }
        }
    }

    /// A peer's packet, for a session between the two ends of the link.
    pub(super) fn on_link_packet(&mut self, link: LinkId, pair: Pair, packet: Packet, now: Instant) {
        if packet.from != pair.peer || packet.to != pair.own {
            return;
        }
        self.use_for_sessions(link, now);
        if let Some(refusal) = self.deliver(packet, now) {
            self.send_packet(link, refusal, now);
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
        self.succeeds && now.since(self.began) < span
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

    /// A packet of one of our sites goes on when it is its turn.
    fn queue_packet(&mut self, id: FrameId, link: LinkId, packet: Packet, now: Instant) {
        self.use_for_sessions(link, now);
        let to = packet.to;
        let message = codec::encode(&LinkMessage::Packet(packet));
        if let (Some(frame), Some(up)) = (self.frames.frame(id), self.links.up_mut(link)) {
            up.lanes.wait(&frame.origin, id, to, message);
        }
        self.drive_lanes(link);
    }

    /// So much has gone into the link.
    pub(super) fn on_drained(&mut self, link: LinkId, bytes: u32) {
        if let Some(up) = self.links.up_mut(link) {
            up.lanes.drained(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        self.drive_lanes(link);
    }

    fn drive_lanes(&mut self, link: LinkId) {
        while let Some((message, lost)) = self.links.up_mut(link).and_then(|up| up.lanes.next()) {
            self.send_on(link, message);
            self.say_again(lost);
        }
    }

    /// Packets of these were lost here: their sessions ask what arrived.
    fn say_again(&mut self, lost: Lost) {
        for (frame, peer) in lost {
            self.tell(frame, ToFrame::PathRestored(peer));
        }
    }

    fn send_packet(&mut self, link: LinkId, packet: Packet, now: Instant) {
        self.use_for_sessions(link, now);
        self.send_on(link, codec::encode(&LinkMessage::Packet(packet)));
    }

    /// Sessions use a link: now and then it is seen whether there is a standby for them.
    fn use_for_sessions(&mut self, link: LinkId, now: Instant) {
        if let Some(up) = self.links.up_mut(link) {
            self.changed.plans |= up.last_packet.is_none_or(|at| now.since(at) > STANDBY_LOOK);
            up.last_packet = Some(now);
        }
    }
}
