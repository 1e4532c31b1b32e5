//! What `status()` and `watch()` give: to an observer the whole node, to a site its own part.

use std::time::Duration;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    id::{FrameId, PersonaId, TopicId},
    local::ToFrame,
    status::{FrameStatus, Path, PeerStatus, Status},
};

use super::Node;
use crate::{
    frames::Frame,
    links::{Link, Up},
    pair::Pair,
    sites::accounts::Spend,
    topics::Place,
    view::watch::Watch,
};

/// A site talks with whom it exchanged a packet in that time.
const TALK: Duration = Duration::from_secs(300);

/// Who asks for statuses too often waits that long, and gets one for all of them.
const PATIENCE: Duration = Duration::from_millis(50);

impl Node {
    pub(super) fn on_status(&mut self, id: FrameId, now: Instant) {
        if !self.spend(id, Spend::Status, now) {
            if let Some(frame) = self.frames.frame_mut(id) {
                frame.status_due.get_or_insert(now + PATIENCE);
            }
        } else if let Some(status) = self.status(id, now) {
            self.tell(id, ToFrame::Status(status));
        }
    }

    pub(super) fn on_watch(&mut self, id: FrameId, watching: bool, now: Instant) {
        let from = if watching && !self.spend(id, Spend::Status, now) { now + PATIENCE } else { now };
        let Some(frame) = self.frames.frame_mut(id) else { return };
        let sees_sites = watching && self.sites.is_page(&frame.origin);
        begin_or_end(&mut frame.watch, watching, from);
        begin_or_end(&mut frame.watch_sites, sees_sites, from);
        if sees_sites {
            self.tell(id, ToFrame::Hides(self.sites.hiding()));
        }
    }

    pub(super) fn tell_statuses(&mut self, now: Instant) {
        let is_owed = |frame: &Frame| frame.status_due.is_some_and(|at| at <= now);
        let owed: Vec<FrameId> = self.frames.iter().filter(|(_, frame)| is_owed(frame)).map(|(id, _)| id).collect();
        for id in owed {
            if let Some(frame) = self.frames.frame_mut(id) {
                frame.status_due = None;
            }
            if let Some(status) = self.status(id, now) {
                self.tell(id, ToFrame::Status(status));
            }
        }
        if std::mem::take(&mut self.changed.status) {
            self.frames.iter_mut().filter_map(|(_, frame)| frame.watch.as_mut()).for_each(Watch::touch);
        }
        let is_due = |frame: &Frame| frame.watch.as_ref().and_then(Watch::due).is_some_and(|at| at <= now);
        let due: Vec<FrameId> = self.frames.iter().filter(|(_, frame)| is_due(frame)).map(|(id, _)| id).collect();
        for id in due {
            let Some(status) = self.status(id, now) else { continue };
            let watch = self.frames.frame_mut(id).and_then(|frame| frame.watch.as_mut());
            if let Some(news) = watch.and_then(|watch| watch.tell(status, now)) {
                self.tell(id, ToFrame::Status(news));
            }
        }
    }

    /// Tells frames to how many peers their persona is linked, for the badge, if that changed.
    pub(super) fn tell_peers(&mut self) {
        // Links don't come and go unnoticed, and most inputs are packets.
        if !self.changed.status {
            return;
        }
        let linked = |own: PersonaId| u32::try_from(self.links.table().peers_of(own)).unwrap_or(u32::MAX);
        let now: Map<PersonaId, u32> = self.frames.personas().into_iter().map(|own| (own, linked(own))).collect();
        let before = std::mem::replace(&mut self.view.peers_told, now);
        let frames: Vec<(FrameId, PersonaId)> = self.frames.iter().map(|(id, frame)| (id, frame.persona())).collect();
        for (id, own) in frames {
            // A persona that comes is told by the welcome.
            let peers = self.view.peers_told.get(&own).copied().unwrap_or_default();
            if before.get(&own).copied().unwrap_or_default() != peers {
                self.tell(id, ToFrame::Peers(peers));
            }
        }
    }

    /// When a frame is to be told of the node, or of its topics.
    pub(super) fn view_due(&self) -> Option<Instant> {
        let watches = self.frames.iter().filter_map(|(_, frame)| frame.watch.as_ref()?.due());
        let sites = self.frames.iter().filter_map(|(_, frame)| frame.watch_sites.as_ref()?.due());
        let owed = self.frames.iter().filter_map(|(_, frame)| frame.status_due);
        watches.chain(sites).chain(owed).chain(self.view.deferred.first().map(|(at, _)| *at)).min()
    }

    fn status(&self, id: FrameId, now: Instant) -> Option<Status> {
        let frame = self.frames.frame(id)?;
        Some(if frame.observes() { self.whole(frame) } else { self.part(frame, now) })
    }

    fn whole(&self, viewer: &Frame) -> Status {
        Status {
            scope: viewer.scope,
            leader: Some(self.reign.leader.clone()),
            frames: self.frame_statuses(true, |_| true),
            peers: self.links.table().ups().map(|(_, pair, link, up)| self.link_status(pair, link, up)).collect(),
            seeds: u32::try_from(self.seeds.len()).unwrap_or(u32::MAX),
            topics: names(&self.frames.topics()),
            warnings: self.texts(viewer.persona(), true),
        }
    }

    fn part(&self, viewer: &Frame, now: Instant) -> Status {
        let site: Vec<&Frame> = self.frames.of_origin(&viewer.origin).map(|(_, frame)| frame).collect();
        let topics: Set<TopicId> = site.iter().flat_map(|frame| frame.joined.keys().copied()).collect();
        let talks = site.iter().flat_map(|frame| &frame.talks).filter(|(_, at)| now.since(**at) <= TALK);
        let mut peers: Set<PersonaId> = talks.map(|(peer, _)| *peer).collect();
        for topic in &topics {
            peers.extend(self.topic_peers(Place { own: viewer.persona(), topic: *topic }));
        }
        Status {
            scope: viewer.scope,
            leader: None,
            frames: self.frame_statuses(false, |frame| frame.origin == viewer.origin),
            peers: peers.into_iter().map(|peer| self.peer_status(Pair { own: viewer.persona(), peer })).collect(),
            seeds: 0,
            topics: names(&topics),
            warnings: self.texts(viewer.persona(), false),
        }
    }

    fn frame_statuses(&self, observes: bool, shown: impl Fn(&Frame) -> bool) -> Vec<FrameStatus> {
        let by_age: Map<u64, (FrameId, &Frame)> =
            self.frames.iter().filter(|(_, it)| shown(it)).map(|(id, it)| (it.age, (id, it))).collect();
        let status = |(id, frame): (FrameId, &Frame)| FrameStatus {
            id,
            origin: frame.origin.clone(),
            persona: observes.then(|| frame.persona().to_string()),
            links: if observes { u32::try_from(self.links.table().carried_by(id)).unwrap_or(u32::MAX) } else { 0 },
            visible: frame.visible,
        };
        by_age.into_values().map(status).collect()
    }

    /// A peer, as the site sees it whose persona knows it. The pages of the persona itself are reached within the browser.
    fn peer_status(&self, pair: Pair) -> PeerStatus {
        let link = self.links.table().up_to(pair).and_then(|id| self.links.table().link(id));
        let path = link.map_or(Path::Direct, |link| link.path);
        let links = u32::from(link.is_some() || pair.own == pair.peer);
        PeerStatus { id: pair.peer.to_string(), persona: None, links, rtt: None, path, frames: Vec::new() }
    }

    /// The link that is used comes first, then the standby.
    fn link_status(&self, pair: Pair, link: &Link, up: &Up) -> PeerStatus {
        let rtt = up.rtt_us.map(|us| f64::from(us) / 1000.0);
        let standby = self.links.table().standby_to(pair).and_then(|id| self.links.table().link(id));
        let frames: Vec<FrameId> = [link].into_iter().chain(standby).map(|it| it.frame).collect();
        let (id, persona) = (pair.peer.to_string(), Some(pair.own.to_string()));
        let links = if standby.is_some() { 2 } else { 1 };
        PeerStatus { id, persona, links, rtt, path: link.path, frames }
    }

    fn texts(&self, viewer: PersonaId, observes: bool) -> Vec<String> {
        let uplink = if self.seeds.servers() == 0 {
            Some("no rendezvous is known: the seeds name no server")
        } else if self.uplink.is_failing() {
            Some("no rendezvous is reachable; trying again")
        } else {
            None
        };
        self.view.warnings.texts(viewer, observes).into_iter().chain(uplink.map(str::to_owned)).collect()
    }
}

fn begin_or_end<T: Clone + PartialEq>(watch: &mut Option<Watch<T>>, watching: bool, from: Instant) {
    match watch {
        _ if !watching => *watch = None,
        Some(watch) => watch.again(),
        None => *watch = Some(Watch::from(from)),
    }
}

fn names(topics: &Set<TopicId>) -> Vec<String> {
    topics.iter().map(ToString::to_string).collect()
}
