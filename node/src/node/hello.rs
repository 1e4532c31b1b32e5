//! Frames come and go.

use std::time::Duration;

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    WIRE,
    failure::{Code, Failure},
    id::{FrameId, PersonaId, TopicId},
    limits::MAX_TOPICS_PER_FRAME,
    local::{DownReason, Hello, Membership, Showing, ToFrame, Welcome},
    rendezvous::{ToServer, register_text},
    topic::{FRESH_MS, Header, MAX_SHOWN, Signed},
};

use super::Node;
use crate::{
    api::Output,
    frames::{Admission, Frame, MAX_TALKS, Went},
    groups::group_of,
    limits::{MAX_FRAMES, MAX_FRAMES_PER_ORIGIN, MAX_PERSONAS, MAX_PERSONAS_PER_GROUP},
    links::LinksInput,
    pair::Pair,
    server::saying::What,
    sites::MAX_ORIGIN,
    sites::accounts::Spend,
    topics::Place,
};

/// After a change of leader all frames and peers have said who they are within that time, most of the time. Until then a frame
/// that comes with topics isn't told who else is in them, or its site would see everybody leave and come again.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

impl Node {
    pub(super) fn on_hello(&mut self, id: FrameId, hello: &Hello, now: Instant) {
        let wire = match self.admissible(id, hello, now) {
            Ok(wire) => wire,
            Err(failure) => return self.reject(id, failure),
        };
        self.reign.succeeds |= hello.known;
        self.meet(hello);
        self.clock.learn(hello.ahead_ms);
        let was_watched = self.frames.frame(id).is_some_and(|frame| frame.remote.is_none());
        let new = self.admit(hello, wire, now);
        if !hello.remote && !was_watched {
            self.act(Output::WatchFrame(id));
        }
        self.welcome(id);
        if self.is_clock_off() {
            self.tell(id, ToFrame::Clock(self.clock.ahead()));
        }
        // A frame hears of its sessions once it is taken in.
        self.refresh_blocks();
        self.on_watch(id, hello.watching, now);
        self.hand_over_along(id);
        let talks = !hello.talks.is_empty();
        self.link(LinksInput::Held { frame: id, links: hello.links.clone(), talks });
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
                hello.build, theirs.min, theirs.max, self.reign.leader.build, ours.min, ours.max
            );
            return Err(Failure::new(Code::VersionMismatch, text));
        };
        match self.frames.frame(id) {
            Some(known) if known.origin != hello.origin => {
                Err(Failure::new(Code::Denied, "the frame's embedding page has another origin than before"))
            }
            Some(_) => Ok(wire),
            None => self.room_for(hello, now).map(|()| wire),
        }
    }

    /// Whether there is room for a frame, if need be in the place of another.
    fn room_for(&mut self, hello: &Hello, now: Instant) -> Result<(), Failure> {
        let origin = &*hello.origin;
        let is_full = self.frames.len() >= MAX_FRAMES;
        let surplus = self.frames.surplus(origin).filter(|_| is_full);
        let refusal = if self.frames.of_origin(origin).count() >= MAX_FRAMES_PER_ORIGIN {
            "this node has all the frames that it takes of one site"
        } else if !self.traffic.accounts.spend(origin, Spend::Hello, now) {
            "this site's frames come too often"
        } else if is_full && surplus.is_none() {
            "this node has all the frames that it takes"
        } else if !self.has_room_for_persona(hello) {
            "this node has all the sites that it takes at a time"
        } else {
            if let Some(surplus) = surplus {
                let failure = self.quota(surplus, "this node has too many frames of this site and its like", now);
                self.reject(surplus, failure);
            }
            return Ok(());
        };
        self.traffic.accounts.refuse(origin, now);
        self.changed.sites = true;
        Err(Failure::new(Code::Quota, refusal))
    }

    /// Whether the frame's persona is here, or may come. The node's own page may always: the person manages the node there.
    fn has_room_for_persona(&self, hello: &Hello) -> bool {
        let here = self.frames.personas();
        if here.len() < MAX_PERSONAS_PER_GROUP || self.sites.is_page(&hello.origin) {
            return true;
        }
        let persona = self.persona_for(&hello.origin, hello.scope, hello.identity).0.id();
        let group = self.frames.of_group(group_of(&hello.origin));
        let of_group: Set<PersonaId> = group.map(|(_, frame)| frame.persona()).collect();
        here.contains(&persona) || (here.len() < MAX_PERSONAS && of_group.len() < MAX_PERSONAS_PER_GROUP)
    }

    fn reject(&mut self, id: FrameId, failure: Failure) {
        self.tell(id, ToFrame::Rejected(failure));
        if self.frames.frame(id).is_some() {
            self.drop_frame(id);
        } else {
            self.act(Output::ForgetFrame(id));
        }
    }

    fn admit(&mut self, hello: &Hello, wire: u16, now: Instant) -> bool {
        let (secret, identity) = self.persona_for(&hello.origin, hello.scope, hello.identity);
        let persona = secret.id();
        self.become_persona(hello.frame, secret.clone(), identity);
        let comes = !self.frames.has_persona(persona);
        let permissions = self.sites.permissions(&hello.origin);
        self.acquaintances.add(persona, self.sites.accepted(&hello.origin));
        let new = self.frames.admit(hello, Admission { secret, persona, identity, permissions, wire }, now);
        if comes {
            self.register_persona(persona);
        }
        new
    }

    /// Tells a frame who it is.
    pub(super) fn welcome(&mut self, id: FrameId) {
        let Some(frame) = self.frames.frame(id) else { return };
        let peers = u32::try_from(self.links.table().peers_of(frame.persona())).unwrap_or(u32::MAX);
        let welcome = Welcome {
            wire: frame.wire,
            persona: frame.secret.clone(),
            identity: frame.identity,
            permissions: frame.permissions,
            peers,
            hiding: self.sites.hiding(),
            blocked: self.sites.blocked(&frame.origin),
        };
        self.tell(id, ToFrame::Welcome(welcome));
    }

    /// Tells the rendezvous that a persona is here.
    pub(super) fn register_persona(&mut self, key: PersonaId) {
        let (Some(challenge), Some(secret)) = (self.uplink.registered_by(), self.frames.secret(key)) else { return };
        let signature = secret.sign(&register_text(&challenge.nonce, &challenge.server, key));
        self.tell_server(key, What::Must, ToServer::Register { key, signature });
        self.changed.addresses = true;
    }

    /// The site's sessions go on: those that they talk with are there, or are looked for.
    fn bring_talks(&mut self, id: FrameId, talks: &[PersonaId], now: Instant) {
        let Some(own) = self.frames.frame(id).map(Frame::persona) else { return };
        for peer in talks.iter().take(MAX_TALKS) {
            let pair = Pair { own, peer: *peer };
            if self.is_reachable(pair) {
                self.tell(id, ToFrame::PathRestored(*peer));
            } else {
                self.seek(pair, now);
            }
        }
    }

    fn bring_topics(&mut self, id: FrameId, joined: &[Membership], now: Instant) {
        let Some(own) = self.frames.frame(id).map(Frame::persona) else { return };
        let is_joined = |topic: TopicId| joined.iter().any(|it| it.topic == topic);
        for topic in self.frames.topics_of(id).into_iter().filter(|topic| !is_joined(*topic)) {
            self.leave_topic(id, topic);
        }
        for Membership { topic, matching, since_ms, shows, heard } in joined.iter().take(MAX_TOPICS_PER_FRAME) {
            if self.has_room_for(id, *topic, now).is_ok() {
                let place = Place { own, topic: *topic };
                self.topics.learn_heard(place, heard);
                self.join_topic(id, (*topic, *matching), (now, Duration::from_millis((*since_ms).min(FRESH_MS))));
                self.changed.topics.insert(place);
                self.bring_shown(id, place, shows.as_ref(), now);
            }
        }
    }

    fn bring_shown(&mut self, id: FrameId, place: Place, shows: Option<&Showing>, now: Instant) {
        let Some(frame) = self.frames.frame_mut(id) else { return };
        frame.shows.remove(&place.topic);
        if let Some(shows) = shows.filter(|shows| shows.of == place.own && shows.what.len() <= MAX_SHOWN) {
            let since = (now, Duration::from_millis(shows.since_ms), shows.what.clone());
            frame.shows.insert(place.topic, since);
        }
        self.show_anew(place);
    }

    /// A frame that comes from another leader hears what was said here before it came; what it heard there it drops.
    fn catch_up(&mut self, id: FrameId, now: Instant) {
        let Some(own) = self.frames.frame(id).map(Frame::persona) else { return };
        for topic in self.frames.topics_of(id) {
            let place = Place { own, topic };
            let Some(key) = self.topics.matching(place).copied() else { continue };
            for published in self.topics.recent(place, now) {
                // It was verified when it came.
                if let Ok(Signed { header: Header { from, name, time, .. }, .. }) = published.open((topic, &key)) {
                    let ago_ms = self.clock.ago_ms(own, time);
                    self.tell(id, ToFrame::Topic { topic, from, name, time, ago_ms, body: published.body });
                }
            }
        }
    }

    /// A frame is gone, and its sessions with it: whoever talks with it is told.
    pub(super) fn drop_frame(&mut self, id: FrameId) {
        self.part_with(id, Went::Away);
    }

    /// A frame goes into another island. Its sessions go on there, and look for a way to those that they talk with.
    pub(super) fn let_move(&mut self, id: FrameId) {
        self.part_with(id, Went::Elsewhere);
    }

    fn part_with(&mut self, id: FrameId, went: Went) {
        let Some(frame) = self.frames.remove(id, went) else { return };
        let own = frame.persona();
        self.dials.forget(id);
        self.addresses.forget(id);
        self.changed.addresses |= !frame.serves.is_empty();
        self.link(LinksInput::Ended(id, DownReason::FrameGone));
        if went == Went::Away {
            self.mourn(&frame.secret, id, &frame.talks.keys().copied().collect::<Vec<_>>());
        }
        for topic in frame.joined.into_keys() {
            self.after_leaving(&frame.secret, topic, went);
        }
        self.forget_persona(own);
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
        self.acquaintances.forget(persona);
        self.clock.neighbours.leave(persona);
        self.link(LinksInput::PersonaGone(persona));
        self.seeds.unsow(persona);
        self.topics.stop_advertising(persona);
        if self.uplink.is_registered() {
            self.tell_server(persona, What::Must, ToServer::Unregister(persona));
        }
        self.uplink.forget(persona);
    }
}
