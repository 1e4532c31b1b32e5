//! The frames of a node: who they are, what they serve and which topics they are in.

pub mod presence;

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    id::{FrameId, PersonaId, SessionId, Tag, TopicId},
    keys::PersonaSecret,
    limits::MAX_SERVED_PER_FRAME,
    local::Hello,
    permission::{Answer, Permissions, SiteStatus},
    rpc::Identity,
    status::{Scope, Status},
};

use self::presence::{Presence, Remote};
use crate::{groups::group_of, topics::Place, view::watch::Watch};

/// Personas that one frame is remembered to talk with; the one longest silent is forgotten first.
pub const MAX_TALKS: usize = 64;

/// Frames that went and are remembered.
const MAX_GONE: usize = 256;

/// One frame.
#[derive(Debug)]
pub struct Frame {
    /// The embedding page's origin.
    pub origin: String,
    /// The secret of its persona.
    pub secret: PersonaSecret,
    /// Its persona.
    pub persona: PersonaId,
    /// Whose persona that is.
    pub identity: Identity,
    /// Whose its site wants.
    pub wants: Identity,
    /// What the person lets its site do.
    pub permissions: Permissions,
    /// The version that is spoken with it.
    pub wire: u16,
    /// What the frame got from the browser.
    pub scope: Scope,
    /// The frame's build.
    pub build: String,
    /// Whether its page is visible.
    pub visible: bool,
    /// Whether its page is frozen.
    pub frozen: bool,
    /// Whether it is there.
    pub presence: Presence,
    /// If its lock doesn't tell that it is there: when it was heard.
    pub remote: Option<Remote>,
    /// What its site serves.
    pub serves: Set<Tag>,
    /// Topics that its site is in, since when, and for how long it was before that, under another leader.
    pub joined: Map<TopicId, (Instant, Duration)>,
    /// What its site shows of itself in these, since when, and for how long it did before that.
    pub shows: Map<TopicId, (Instant, Duration, Vec<u8>)>,
    /// When it came first, counted in frames.
    pub age: u64,
    /// When it said hello last, counted in hellos.
    pub recency: u64,
    /// Service requests that wait for an end.
    pub services: Set<u32>,
    /// Personas that its sessions talk with, and when they did last.
    pub talks: Map<PersonaId, Instant>,
    /// Sessions that it opened, and when it spoke in them last.
    pub sessions: Map<SessionId, Instant>,
    /// Who is in its topics, as it was told.
    pub peers_told: Map<TopicId, PeersTold>,
    /// Until then it isn't told who is in its topics: it brought them along, and we are only learning.
    pub settles_at: Instant,
    /// What it was told of the node's status, if it wants that.
    pub watch: Option<Watch<Status>>,
    /// What it was told of all sites, if it is the node's own page and wants that.
    pub watch_sites: Option<Watch<Vec<SiteStatus>>>,
    /// It asked for statuses too often: one answer to all of that comes then.
    pub status_due: Option<Instant>,
}

/// Who is in a topic, as a frame was told.
#[derive(Debug, Default)]
pub struct PeersTold {
    /// Those, in order.
    pub peers: Vec<PersonaId>,
    /// Whether there are more.
    pub more: bool,
    /// When those of them, and its own persona, began to show what they do; none: they show nothing.
    pub shown: Map<PersonaId, Option<u64>>,
    /// It joined here, and so knows of nothing that was shown before.
    pub is_new: bool,
}

/// What the node decides when it takes a frame in.
#[derive(Debug)]
pub struct Admission {
    /// The secret of its persona.
    pub secret: PersonaSecret,
    /// Its persona.
    pub persona: PersonaId,
    /// Whose persona that is.
    pub identity: Identity,
    /// What the person lets its site do.
    pub permissions: Permissions,
    /// The version that is spoken with it.
    pub wire: u16,
}

impl Frame {
    /// Its site's persona.
    pub const fn persona(&self) -> PersonaId {
        self.persona
    }

    /// Whether its site may see the whole node.
    pub fn observes(&self) -> bool {
        self.permissions.observe == Answer::Yes
    }

    /// Whether its page runs: it can carry links, and answer.
    pub fn is_usable(&self) -> bool {
        !self.frozen && self.presence != Presence::Silent
    }

    /// Remembers that its site talks with `peer`; tells whether that is new.
    pub fn talks_with(&mut self, peer: PersonaId, now: Instant) -> bool {
        let new = self.talks.insert(peer, now).is_none();
        self.talks.shed(MAX_TALKS, |at| *at);
        new
    }
}

/// All frames.
#[derive(Debug, Default)]
pub struct Frames {
    frames: Map<FrameId, Frame>,
    came: u64,
    /// Frames that went, with the personas that they had, the first first.
    gone: VecDeque<(FrameId, PersonaId, Went)>,
}

/// Where a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// It is no more, nor are its sessions.
    Away,
    /// Into another island, where its sessions go on.
    Elsewhere,
}

impl Frames {
    /// Takes a frame in, or takes down what a known one says anew. Topics are joined by the caller.
    pub fn admit(&mut self, hello: &Hello, admission: Admission, now: Instant) -> bool {
        let Admission { secret, persona, identity, permissions, wire } = admission;
        self.came += 1;
        let recency = self.came;
        let new = !self.frames.contains_key(&hello.frame);
        let frame = self.frames.entry(hello.frame).or_insert_with(|| Frame {
            origin: hello.origin.clone(),
            secret,
            persona,
            identity,
            wants: hello.identity,
            permissions,
            wire,
            scope: hello.scope,
            build: hello.build.clone(),
            visible: hello.visible,
            frozen: false,
            presence: Presence::default(),
            remote: None,
            serves: Set::new(),
            joined: Map::new(),
            shows: Map::new(),
            age: recency,
            recency,
            services: Set::new(),
            talks: Map::new(),
            sessions: Map::new(),
            peers_told: Map::new(),
            settles_at: now,
            watch: None,
            watch_sites: None,
            status_due: None,
        });
        frame.recency = recency;
        frame.permissions = permissions;
        frame.wants = hello.identity;
        frame.wire = wire;
        frame.scope = hello.scope;
        frame.visible = hello.visible;
        frame.frozen = false;
        frame.presence = Presence::default();
        frame.remote = hello.remote.then(|| Remote::heard(now));
        for peer in hello.talks.iter().take(MAX_TALKS) {
            frame.talks_with(*peer, now);
        }
        frame.serves = hello.serves.iter().copied().take(MAX_SERVED_PER_FRAME).collect();
        frame.peers_told.clear();
        frame.watch = None;
        frame.watch_sites = None;
        new
    }

    /// Lets a frame go.
    pub fn remove(&mut self, id: FrameId, went: Went) -> Option<Frame> {
        let frame = self.frames.remove(&id)?;
        // It may have been here before.
        self.gone.retain(|(gone, _, _)| *gone != id);
        self.gone.push_back((id, frame.persona, went));
        if self.gone.len() > MAX_GONE {
            self.gone.pop_front();
        }
        Some(frame)
    }

    /// Where a frame of a persona went that was here.
    pub fn went(&self, id: FrameId, persona: PersonaId) -> Option<Went> {
        self.gone.iter().find(|(gone, of, _)| *gone == id && *of == persona).map(|(_, _, went)| *went)
    }

    /// A frame.
    pub fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(&id)
    }

    /// A frame, to change.
    pub fn frame_mut(&mut self, id: FrameId) -> Option<&mut Frame> {
        self.frames.get_mut(&id)
    }

    /// All frames.
    pub fn iter(&self) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.frames.iter().map(|(id, frame)| (*id, frame))
    }

    /// All frames, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (FrameId, &mut Frame)> {
        self.frames.iter_mut().map(|(id, frame)| (*id, frame))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Frames of one site.
    pub fn of_origin(&self, origin: &str) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.iter().filter(move |(_, frame)| frame.origin == origin)
    }

    /// Frames of one group's sites.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.iter().filter(move |(_, frame)| group_of(&frame.origin) == group)
    }

    /// The frame that gives way to one more of this site, if there is a group that has more frames than its group would have: of that
    /// group's largest site one that is hidden, and the youngest.
    pub fn surplus(&self, origin: &str) -> Option<FrameId> {
        let count = |key: fn(&str) -> &str| {
            let mut counts: Map<&str, usize> = Map::new();
            self.frames.values().for_each(|frame| *counts.entry(key(&frame.origin)).or_default() += 1);
            counts
        };
        let (groups, sites) = (count(group_of), count(|origin| origin));
        let ours = groups.get(group_of(origin)).copied().unwrap_or_default();
        let (greediest, most) = groups.into_iter().max_by_key(|(_, frames)| *frames)?;
        let rank = |frame: &Frame| (sites.get(frame.origin.as_str()).copied(), !frame.visible, frame.age);
        let last = self.of_group(greediest).max_by_key(|(_, frame)| rank(frame))?;
        (most > ours + 1).then_some(last.0)
    }

    /// Frames of one persona.
    pub fn of_persona(&self, persona: PersonaId) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.iter().filter(move |(_, frame)| frame.persona == persona)
    }

    /// Whether a frame of this persona is here.
    pub fn has_persona(&self, persona: PersonaId) -> bool {
        self.of_persona(persona).next().is_some()
    }

    /// The secret of a persona that is here.
    pub fn secret(&self, persona: PersonaId) -> Option<&PersonaSecret> {
        self.of_persona(persona).next().map(|(_, frame)| &frame.secret)
    }

    /// All personas that are here.
    pub fn personas(&self) -> Set<PersonaId> {
        self.frames.values().map(|frame| frame.persona).collect()
    }

    /// Topics of all frames.
    pub fn topics(&self) -> Set<TopicId> {
        self.frames.values().flat_map(|frame| frame.joined.keys().copied()).collect()
    }

    /// Topics with the personas that are in them.
    pub fn memberships(&self) -> Set<(TopicId, PersonaId)> {
        self.frames.values().flat_map(|it| it.joined.keys().map(|topic| (*topic, it.persona()))).collect()
    }

    /// Topics of a frame.
    pub fn topics_of(&self, id: FrameId) -> Vec<TopicId> {
        self.frame(id).map_or_else(Vec::new, |frame| frame.joined.keys().copied().collect())
    }

    /// Frames at a persona's place in a topic.
    pub fn in_topic(&self, Place { own, topic }: Place) -> impl Iterator<Item = (FrameId, &Frame)> {
        self.of_persona(own).filter(move |(_, frame)| frame.joined.contains_key(&topic))
    }

    /// Whether a persona is in a topic.
    pub fn is_member(&self, place: Place) -> bool {
        self.in_topic(place).next().is_some()
    }

    /// The frame of a persona that serves this: one that runs first, visible first, most recent first.
    pub fn server(&self, persona: PersonaId, tag: Tag) -> Option<FrameId> {
        let serves = |frame: &Frame| frame.persona() == persona && frame.serves.contains(&tag);
        let best =
            self.iter().filter(|(_, it)| serves(it)).max_by_key(|(_, it)| (it.is_usable(), it.visible, it.recency))?;
        Some(best.0)
    }

    /// Whether any frame of a persona can carry links.
    pub fn any_usable(&self, persona: PersonaId) -> bool {
        self.of_persona(persona).any(|(_, frame)| frame.is_usable())
    }

    /// Whether a frame can carry links.
    pub fn is_usable(&self, id: FrameId) -> bool {
        self.frame(id).is_some_and(Frame::is_usable)
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::{
        WIRE,
        keys::NodeSecret,
        local::{Blocked, Hiding},
        rpc::Identity,
    };

    use super::*;

    const TAG: Tag = Tag([1; 8]);

    #[test]
    fn a_server_is_visible_before_hidden_and_recent_before_early() {
        let mut frames = Frames::default();
        for (n, visible, serves) in [(1, true, true), (2, true, true), (3, false, true), (4, true, false)] {
            admit(&mut frames, n, visible, serves);
        }
        let persona = frames.frame(id(1)).unwrap().persona();
        assert_eq!(frames.server(persona, TAG), Some(id(2)));

        admit(&mut frames, 1, true, true);
        assert_eq!(frames.server(persona, TAG), Some(id(1)), "a frame that says hello again is recent");

        frames.frame_mut(id(1)).unwrap().visible = false;
        frames.remove(id(2), Went::Away);
        assert_eq!(frames.server(persona, TAG), Some(id(1)));
        assert_eq!(frames.server(persona, Tag([2; 8])), None);
        assert_eq!(frames.server(PersonaId([9; 32]), TAG), None);
    }

    #[test]
    fn the_talk_longest_silent_is_forgotten() {
        let mut frames = Frames::default();
        admit(&mut frames, 1, true, false);
        let frame = frames.frame_mut(id(1)).unwrap();
        for n in 0..=64 {
            assert!(frame.talks_with(PersonaId([n; 32]), Instant::from_millis(u64::from(n))));
        }
        assert!(!frame.talks_with(PersonaId([64; 32]), Instant::from_millis(99)));
        assert_eq!(frame.talks.len(), MAX_TALKS);
        assert!(!frame.talks.contains_key(&PersonaId([0; 32])));
    }

    fn admit(frames: &mut Frames, n: u8, visible: bool, serves: bool) {
        let node = NodeSecret::new([7; 32]);
        let secret = node.persona("https://a.example");
        let persona = secret.id();
        let hello = Hello {
            frame: id(n),
            origin: "https://a.example".into(),
            scope: Scope::Browser,
            identity: Identity::Site,
            brings: None,
            remote: false,
            wire: WIRE,
            build: String::new(),
            ahead_ms: 0,
            known: false,
            visible,
            watching: false,
            serves: if serves { vec![TAG] } else { Vec::new() },
            joined: Vec::new(),
            talks: Vec::new(),
            links: Vec::new(),
            hiding: Hiding::default(),
            blocked: Blocked::default(),
        };
        let (identity, permissions) = (Identity::Site, Permissions::default());
        let admission = Admission { secret, persona, identity, permissions, wire: 1 };
        frames.admit(&hello, admission, Instant::START);
    }

    fn id(n: u8) -> FrameId {
        FrameId::from_random([n; 16])
    }
}
