//! Frames come and go.

use std::time::Duration;

use bitters_wire::{
    WIRE,
    claim::Claim,
    failure::{Code, Failure},
    id::{FrameId, PersonaId, TopicId},
    limits::MAX_TOPICS_PER_FRAME,
    link::LinkMessage,
    local::{DownReason, HeldLink, Hello, LinkCommand, ToFrame, Welcome},
    rendezvous::{ToServer, persona_text},
    time::Instant,
};

use super::Node;
use crate::{
    accounts::Spend,
    api::Output,
    frames::{Admission, Frame, MAX_TALKS, Went},
    quotas::{MAX_FRAMES, MAX_FRAMES_PER_ORIGIN, MAX_LINKS},
    sites::MAX_ORIGIN,
};

/// After a change of leader all frames and peers have said who they are within that time, most of the time. Until then a frame
/// that comes with topics isn't told who else is in them, or its site would see everybody leave and come again.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

impl Node {
    pub(super) fn on_hello(&mut self, id: FrameId, hello: &Hello, now: Instant) {
        let wire = match self.admissible(id, hello, now) {
            Ok(wire) => wire,
            Err(failure) => return self.reject(id, failure, now),
        };
        self.succeeds |= hello.known;
        self.meet(hello, now);
        let was_watched = self.frames.frame(id).is_some_and(|frame| frame.remote.is_none());
        let new = self.admit(hello, wire, now);
        if !hello.remote && !was_watched {
            self.act(Output::WatchFrame(id));
        }
        self.welcome(id);
        self.on_watch(id, hello.watching, now);
        self.move_along(id);
        for held in hello.links.iter().take(MAX_LINKS) {
            self.adopt(id, *held, now);
            if let Some(up) = self.links.up_mut(held.link).filter(|_| !hello.talks.is_empty()) {
                // For all that we know, its sessions do.
                up.last_packet = Some(now);
            }
        }
        self.drop_unnamed_links(id, &hello.links, now);
        self.bring_topics(id, &hello.joined, now);
        if new && hello.known {
            self.catch_up(id, now);
        }
        self.bring_talks(id, &hello.talks, now);
        if let Some(frame) = self.frames.frame_mut(id) {
            let settles = !hello.joined.is_empty();
            frame.settles_at = if settles { now + SETTLING } else { now };
            if !hello.links.is_empty() {
                // Its page may have been frozen since it said that: nobody led whom it could have told.
                frame.presence.told(now);
            }
        }
        self.changed.plans = true;
        self.changed.sites = true;
        self.changed.status = true;
    }

    /// The version to speak with the frame, or why it can't be taken in.
    fn admissible(&mut self, id: FrameId, hello: &Hello, now: Instant) -> Result<u16, Failure> {
        if hello.frame != id {
            return Err(Failure::new(Code::BadArgument, "the hello names another frame than its port"));
        }
        if hello.origin.len() > MAX_ORIGIN {
            return Err(Failure::new(Code::BadArgument, "no site's origin is that long"));
        }
        let Some(wire) = WIRE.common(hello.wire) else {
            let (theirs, ours) = (hello.wire, WIRE);
            let text = format!(
                "the frame ({}) speaks wire versions {} to {}, the leader ({}) {} to {}: reload the page",
                hello.build, theirs.min, theirs.max, self.leader.build, ours.min, ours.max
            );
            return Err(Failure::new(Code::VersionMismatch, text));
        };
        match self.frames.frame(id) {
            Some(known) if known.origin != hello.origin => {
                Err(Failure::new(Code::Denied, "the frame's embedding page has another origin than before"))
            }
            Some(_) => Ok(wire),
            None => self.room_for(&hello.origin, now).map(|()| wire),
        }
    }

    /// Whether there is room for a frame, if need be in the place of another.
    fn room_for(&mut self, origin: &str, now: Instant) -> Result<(), Failure> {
        let is_full = self.frames.len() >= MAX_FRAMES;
        let surplus = self.frames.surplus(origin).filter(|_| is_full);
        let refusal = if self.frames.of_origin(origin).count() >= MAX_FRAMES_PER_ORIGIN {
            "this node has all the frames that it takes of one site"
        } else if !self.accounts.spend(origin, Spend::Hello, now) {
            "this site's frames come too often"
        } else if is_full && surplus.is_none() {
            "this node has all the frames that it takes"
        } else {
            if let Some(surplus) = surplus {
                let failure = self.quota(surplus, "this node has too many frames of this site and its like", now);
                self.reject(surplus, failure, now);
            }
            return Ok(());
        };
        self.accounts.refuse(origin, now);
        self.changed.sites = true;
        Err(Failure::new(Code::Quota, refusal))
    }

    fn reject(&mut self, id: FrameId, failure: Failure, now: Instant) {
        self.tell(id, ToFrame::Rejected(failure));
        if self.frames.frame(id).is_some() {
            self.drop_frame(id, now);
        } else {
            self.act(Output::ForgetFrame(id));
        }
    }

    fn admit(&mut self, hello: &Hello, wire: u16, now: Instant) -> bool {
        let (secret, identity) = self.persona_for(&hello.origin, hello.scope, hello.identity);
        self.become_persona(hello.frame, secret.clone(), identity);
        let known = self.frames.claim(secret.id());
        let claim = known.unwrap_or_else(|| Claim::sign(&secret, self.id));
        let permissions = self.sites.permissions(&hello.origin);
        let new = self.frames.admit(hello, Admission { secret, claim, identity, permissions, wire }, now);
        if known.is_none() {
            self.persona_is_here(hello.frame);
        }
        new
    }

    /// The first frame of a persona came.
    pub(super) fn persona_is_here(&mut self, id: FrameId) {
        let Some(persona) = self.frames.frame(id).map(Frame::persona) else { return };
        self.register_persona(id);
        self.path_is_there(|talked| talked == persona);
        self.finish_dial(persona);
    }

    /// Tells a frame who it is.
    pub(super) fn welcome(&mut self, id: FrameId) {
        let Some(frame) = self.frames.frame(id) else { return };
        let peers = u32::try_from(self.links.up_len()).unwrap_or(u32::MAX);
        let welcome = Welcome {
            wire: frame.wire,
            persona: frame.secret.clone(),
            identity: frame.identity,
            node: self.id,
            permissions: frame.permissions,
            peers,
        };
        self.tell(id, ToFrame::Welcome(welcome));
    }

    /// Tells the rendezvous that the persona of `frame` lives here.
    pub(super) fn register_persona(&mut self, frame: FrameId) {
        let (Some(challenge), Some(frame)) = (self.uplink.registered_by(), self.frames.frame(frame)) else { return };
        let text = persona_text(&challenge.nonce, &challenge.server, frame.persona(), self.id);
        let signature = frame.secret.sign(&text);
        let message = ToServer::Persona { claim: frame.claim, signature };
        self.tell_server(message);
        self.changed.addresses = true;
    }

    /// The frame holds a link that the leader before us, or we, opened.
    fn adopt(&mut self, frame: FrameId, held: HeldLink, now: Instant) {
        let HeldLink { link, peer, used, path } = held;
        if self.links.link(link).is_some() || peer == self.id {
            return;
        }
        if !used && self.links.standby_to(peer).is_none() && self.links.len() < MAX_LINKS {
            self.links.adopt_standby(link, frame, peer, now);
            self.links.set_path(link, path);
            return;
        }
        // Of two links with one peer both ends keep the later.
        let rival = self.links.up_to(peer);
        if self.links.len() >= MAX_LINKS || rival.is_some_and(|rival| rival > link) {
            return self.tell(frame, ToFrame::Link(link, LinkCommand::HangUp));
        }
        if let Some(rival) = rival {
            self.hang_up(rival);
            self.replace_link(rival, now);
        }
        self.links.adopt(link, frame, peer, now);
        self.links.set_path(link, path);
        self.cold = false;
        self.tell_peer(link, &LinkMessage::Resume);
        self.introduce_ourselves(link);
        self.link_is_there(peer);
    }

    /// A frame that says hello again names all its links that are up; others of its are down by now.
    fn drop_unnamed_links(&mut self, frame: FrameId, named: &[HeldLink], now: Instant) {
        for link in self.links.held_by(frame) {
            let was_up = self.links.up(link).is_some() || self.links.standby(link).is_some();
            if was_up && !named.iter().any(|it| it.link == link) {
                self.end_link(link, DownReason::Closed, now);
            }
        }
    }

    /// The site's sessions go on: those that they talk with are there, or are looked for.
    fn bring_talks(&mut self, id: FrameId, talks: &[PersonaId], now: Instant) {
        for persona in talks.iter().take(MAX_TALKS) {
            if self.is_reachable(*persona) {
                self.tell(id, ToFrame::PathRestored(*persona));
            } else {
                self.seek(*persona, now);
            }
        }
    }

    fn bring_topics(&mut self, id: FrameId, joined: &[TopicId], now: Instant) {
        for topic in self.frames.topics_of(id).into_iter().filter(|topic| !joined.contains(topic)) {
            self.leave_topic(id, topic);
        }
        for topic in joined.iter().take(MAX_TOPICS_PER_FRAME) {
            if self.has_room_for(id, *topic, now).is_ok() {
                self.join_topic(id, *topic);
                self.changed.topics.insert(*topic);
            }
        }
    }

    /// A frame that comes from another leader hears what was said here before it came; what it heard there it drops.
    fn catch_up(&mut self, id: FrameId, now: Instant) {
        for topic in self.frames.topics_of(id) {
            for sealed in self.topics.recent(topic, now) {
                self.tell(id, ToFrame::Topic { topic, sealed });
            }
        }
    }

    /// A frame is gone, and its sessions with it: whoever talks with it is told.
    pub(super) fn drop_frame(&mut self, id: FrameId, now: Instant) {
        self.part_with(id, Went::Away, now);
    }

    /// A frame goes into another island. Its sessions go on there, and look for a way to those that they talk with.
    pub(super) fn let_move(&mut self, id: FrameId, now: Instant) {
        self.part_with(id, Went::Elsewhere, now);
    }

    fn part_with(&mut self, id: FrameId, went: Went, now: Instant) {
        let topics = self.frames.topics_of(id);
        let Some(frame) = self.frames.remove(id, went) else { return };
        self.dials.forget(id);
        self.addresses.forget(id);
        self.close_doors_of(id, DownReason::FrameGone, now);
        self.end_links_of(id, DownReason::FrameGone, now);
        for topic in topics {
            self.after_leaving(frame.persona(), topic);
        }
        self.forget_persona(frame.persona());
        if went == Went::Away {
            self.mourn(frame.persona(), id, &frame.talks.keys().copied().collect::<Vec<_>>());
        }
        for request in frame.services {
            self.act(Output::ServiceCancel { frame: id, request });
        }
        self.act(Output::ForgetFrame(id));
        self.changed.sites = true;
        self.changed.status = true;
    }

    /// A frame of this persona is gone: perhaps the last one.
    pub(super) fn forget_persona(&mut self, persona: PersonaId) {
        if self.frames.has_persona(persona) {
            return;
        }
        self.stop_listening(persona);
        if self.uplink.is_registered() {
            self.tell_server(ToServer::Unpersona(persona));
        }
    }
}
