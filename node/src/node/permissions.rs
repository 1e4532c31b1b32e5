//! What the person lets sites do, and who the frames of a site are to others because of that.

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    codec,
    id::{FrameId, PersonaId},
    keys::PersonaSecret,
    limits::MAX_LOCAL,
    local::{DownReason, Hello, Hiding, ToFrame},
    permission::{Answer, Permission, SiteStatus},
    rpc::Identity,
    status::Scope,
};

use super::Node;
use crate::{
    api::Output,
    frames::{Frame, Went},
    links::LinksInput,
    pair::Pair,
    sites::accounts::Spend,
    sites::acquaintances::Acquaintance,
    sites::{Change, KnownSite},
    topics::Place,
    view::watch::Watch,
};

/// What an envelope adds to a list of sites, with room.
const WRAPPING: usize = 256;

impl Node {
    /// A frame's site is here. What it brings becomes its persona if it never was here before, and in an island of its own always: there
    /// it comes home.
    pub(super) fn meet(&mut self, hello: &Hello) {
        let comes_home = hello.scope == Scope::Site || !self.sites.was_here(&hello.origin);
        if let Some(brought) = hello.brings.as_ref().filter(|_| comes_home)
            && self.sites.adopt(&hello.origin, brought)
        {
            self.apply(&hello.origin, Some(hello.frame));
        }
        self.decide(hello.hiding);
        self.block(&hello.origin, &hello.blocked);
        self.sites.visit(&hello.origin, self.clock.unix_ms().unwrap_or_default());
    }

    /// The persona that a frame of a site is to have: the person's own with their consent, in the one node for all sites.
    pub(super) fn persona_for(&self, origin: &str, scope: Scope, wants: Identity) -> (PersonaSecret, Identity) {
        let consent = self.sites.permissions(origin).person == Answer::Yes;
        if consent && wants == Identity::Person && scope == Scope::Browser {
            (self.sites.person(), Identity::Person)
        } else {
            (self.sites.persona(origin), Identity::Site)
        }
    }

    /// The person answered: on the node's own page for any site, elsewhere for the site they are on.
    pub(super) fn on_permit(
        &mut self,
        id: FrameId,
        origin: &str,
        permission: Permission,
        answer: Answer,
        now: Instant,
    ) {
        let Some(frame) = self.frames.frame(id) else { return };
        if frame.origin != origin && !self.sites.is_page(&frame.origin) {
            return;
        }
        if !self.spend(id, Spend::Permit, now) {
            self.tell_sites_again(id);
            return self.count_refusal(id, now);
        }
        if self.sites.answer(origin, permission, answer) {
            self.apply(origin, None);
        }
    }

    /// A frame's site accepted a peer so long ago. A node that wasn't told the time stores nothing: it couldn't say when the month is over.
    pub(super) fn on_accepted(&mut self, id: FrameId, peer: PersonaId, ago_ms: u64) {
        let Some(frame) = self.frames.frame(id) else { return };
        let at = self.clock.unix_ms().map(|now| now.saturating_sub(ago_ms));
        let (own, origin) = (frame.persona(), frame.origin.clone());
        self.acquaintances.add(own, [Acquaintance { peer, at: at.unwrap_or_default() }]);
        if let Some(at) = at {
            self.sites.accept(&origin, peer, at);
        }
        self.with_links(|links, around| links.accept(Pair { own, peer }, around));
    }

    /// The person decided on the node's own page whether peers may know the network addresses of this browser.
    pub(super) fn on_hide(&mut self, id: FrameId, hides: bool, now: Instant) {
        if !self.is_of_page(id) || !self.spend(id, Spend::Permit, now) {
            return;
        }
        // Whatever another clock said when the person decided otherwise.
        let decided = self.clock.unix_ms().unwrap_or_default().max(self.sites.hiding().decided + 1);
        self.decide(Hiding { hides, decided });
    }

    /// Whether a frame is the node's own page's.
    pub(super) fn is_of_page(&self, id: FrameId) -> bool {
        self.frames.frame(id).is_some_and(|frame| self.sites.is_page(&frame.origin))
    }

    /// A page that shows a choice of the person's already is told what is so.
    pub(super) fn tell_sites_again(&mut self, id: FrameId) {
        let watch = self.frames.frame_mut(id).and_then(|frame| frame.watch_sites.as_mut());
        watch.into_iter().for_each(Watch::again);
    }

    /// The person decided, here or where a frame was before. All frames are told: they carry it on.
    pub(super) fn decide(&mut self, hiding: Hiding) {
        let before = self.sites.hiding().hides;
        if !self.sites.decide(hiding) {
            return;
        }
        let hides = hiding.hides;
        for own in self.frames.personas().into_iter().filter(|_| hides != before) {
            self.with_links(|links, around| if hides { links.hide(own, around) } else { links.show(own, around) });
        }
        for id in self.frames.iter().map(|(id, _)| id).collect::<Vec<_>>() {
            self.tell(id, ToFrame::Hides(hiding));
        }
    }

    /// What is known of a site changed: its frames, but for one that is being admitted, are what they are to be from now on.
    fn apply(&mut self, origin: &str, comes: Option<FrameId>) {
        let permissions = self.sites.permissions(origin);
        let frames = self.frames.of_origin(origin).map(|(id, _)| id).filter(|id| Some(*id) != comes);
        let frames: Vec<FrameId> = frames.collect();
        for id in frames {
            let Some(frame) = self.frames.frame_mut(id) else { continue };
            let changes = std::mem::replace(&mut frame.permissions, permissions) != permissions;
            let (scope, wants) = (frame.scope, frame.wants);
            let (secret, identity) = self.persona_for(origin, scope, wants);
            if self.become_persona(id, secret, identity) {
                self.welcome(id);
            } else if changes {
                self.tell(id, ToFrame::Permissions(permissions));
            }
        }
        self.changed.sites = true;
        self.changed.status = true;
    }

    /// The frame has this persona from now on; tells whether it had another. What it serves and has joined it keeps; its sessions and links,
    /// which are a persona's, end.
    pub(super) fn become_persona(&mut self, id: FrameId, secret: PersonaSecret, identity: Identity) -> bool {
        if self.frames.frame(id).is_none_or(|frame| frame.secret == secret) {
            return false;
        }
        let persona = secret.id();
        let comes = !self.frames.has_persona(persona);
        let Some(frame) = self.frames.frame_mut(id) else { return false };
        let old = std::mem::replace(&mut frame.persona, persona);
        let talks: Vec<PersonaId> = std::mem::take(&mut frame.talks).into_keys().collect();
        let before = std::mem::replace(&mut frame.secret, secret);
        frame.identity = identity;
        let (topics, origin) = (frame.joined.clone(), frame.origin.clone());
        frame.peers_told.clear();
        // The same bytes of both would have peers see that they are one: the frame seals it anew.
        frame.shows.clear();
        self.acquaintances.add(persona, self.sites.accepted(&origin));
        self.refresh_blocks();
        self.mourn(&before, id, &talks);
        // Where they are made again, it is in other frames of the persona that it had.
        self.link(LinksInput::Ended(id, DownReason::FrameGone));
        if comes {
            // The rendezvous takes topics of registered keys only.
            self.register_persona(persona);
        }
        for topic in topics.into_keys() {
            let place = Place { own: persona, topic };
            if !self.topics.is_open(place) {
                self.enter_topic(place);
            }
            self.after_leaving(&before, topic, Went::Away);
            self.changed.topics.insert(place);
        }
        self.forget_persona(old);
        // Who waits for an address waits for that of another now.
        self.changed.addresses = true;
        self.changed.status = true;
        true
    }

    /// Has stored what is new of sites.
    pub(super) fn keep_sites(&mut self) {
        for change in self.sites.take_changes() {
            self.changed.sites = true;
            self.act(match change {
                Change::Forget(origin) => Output::ForgetSite(origin),
                Change::Save(site) => Output::SaveSite(site),
            });
        }
    }

    /// Tells pages of the node that watch what is known of all sites.
    pub(super) fn tell_sites(&mut self, now: Instant) {
        if std::mem::take(&mut self.changed.sites) {
            self.frames.iter_mut().filter_map(|(_, frame)| frame.watch_sites.as_mut()).for_each(Watch::touch);
        }
        let is_due = |watch: &Watch<_>| watch.due().is_some_and(|at| at <= now);
        let due = self.frames.iter().filter(|(_, frame)| frame.watch_sites.as_ref().is_some_and(is_due));
        for id in due.map(|(id, _)| id).collect::<Vec<_>>() {
            let statuses = self.site_statuses();
            let watch = self.frames.frame_mut(id).and_then(|frame| frame.watch_sites.as_mut());
            if let Some(news) = watch.and_then(|watch| watch.tell(statuses, now)) {
                self.tell(id, ToFrame::Sites(news));
            }
        }
    }

    /// All sites, in order of their origins; if they are too many for a message, those that were here last.
    fn site_statuses(&self) -> Vec<SiteStatus> {
        let mut room = MAX_LOCAL - WRAPPING;
        let fits = |status: &SiteStatus| {
            let bytes = codec::encode(status).len();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let recent = self.sites.by_recency().into_iter().map(|site| self.site_status(site));
        let statuses: Map<String, SiteStatus> =
            recent.take_while(fits).map(|status| (status.origin.clone(), status)).collect();
        statuses.into_values().collect()
    }

    fn site_status(&self, site: &KnownSite) -> SiteStatus {
        SiteStatus {
            origin: site.origin.clone(),
            frames: u32::try_from(self.frames.of_origin(&site.origin).count()).unwrap_or(u32::MAX),
            permissions: self.sites.permissions(&site.origin),
            refused: self.traffic.accounts.refused(&site.origin),
            peers: self.peers_of(&site.origin).iter().map(PersonaId::to_string).collect(),
            blocked: site.blocked.peers.iter().map(PersonaId::to_string).collect(),
        }
    }

    /// Peers that the personas of a site's frames are linked to, or talk with.
    fn peers_of(&self, origin: &str) -> Set<PersonaId> {
        let frames = || self.frames.of_origin(origin).map(|(_, frame)| frame);
        let personas = Set::from_iter(frames().map(Frame::persona));
        let ups = self.links.table().ups().map(|(_, pair, _, _)| pair);
        let linked = ups.filter(|pair| personas.contains(&pair.own)).map(|pair| pair.peer);
        let talks = frames().flat_map(|frame| frame.talks.keys().copied());
        Set::from_iter(linked.chain(talks).filter(|peer| !personas.contains(peer)))
    }
}
