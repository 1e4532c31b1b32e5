//! Bounds and rates of what frames, peers and the rendezvous may ask of a node.

use std::time::Duration;

use bitters_machine::rate::Rate;

use crate::groups::{SITES_PER_GROUP, share};

/// Frames of one node. When there are as many, one of the group that has most gives way to one of a smaller group.
pub const MAX_FRAMES: usize = 256;

/// Frames of one site: a quarter of all, so that no site shuts the others out.
pub const MAX_FRAMES_PER_ORIGIN: usize = 64;

/// Links of all personas: up, standing by or connecting, besides those that open at doors. Chromium allows 500 connections in one renderer; each
/// costs memory in its frame.
pub const MAX_LINKS: usize = MAX_PERSONAS * RESERVED_LINKS;

/// Links of one persona, besides those that open at its door.
pub const MAX_LINKS_PER_PERSONA: usize = 24;

/// Links of a persona that no other takes the place of.
pub const RESERVED_LINKS: usize = 4;

/// Personas of one node that have frames at a time.
pub const MAX_PERSONAS: usize = 24;

/// Personas of one group's sites.
pub const MAX_PERSONAS_PER_GROUP: usize = share(MAX_PERSONAS);

/// Connections of one persona that peers asked for by signals and that aren't up: strangers can't use up the room for our own dials. Where there
/// are as many, the oldest gives way, once it has had its time: so many strangers a second can come that never finish, and those that do get in.
pub const MAX_PASSIVE: usize = 16;

/// Those that peers asked for at the persona's door, likewise. The proxy tells of fewer in that time, and of some of each network, for each of the
/// two addresses that a persona may have while its certificate is renewed.
pub const MAX_OPENING: usize = 32;

/// The time that a connection which a peer asked for has before it gives way to another: opening one takes some hundred milliseconds.
pub const PASSIVE_PATIENCE: Duration = Duration::from_secs(2);

/// Pairs of topic and persona of one node; topics that one peer may tell of.
pub const MAX_MEMBERSHIPS: usize = 1024;

/// Topics of one site, in all its frames: a quarter of what a node may be in.
pub const MAX_TOPICS_PER_ORIGIN: usize = MAX_MEMBERSHIPS / 4;

/// Topics of one group's sites, each for itself.
pub const MAX_TOPICS_PER_GROUP: usize = share(MAX_MEMBERSHIPS);

/// Service requests of one site that wait for an end.
pub const MAX_SERVICES: usize = 64;

/// Sessions that one site's frames have opened and spoken in within the last minute. What is said in them, and in how many streams, a node
/// can't see: their frames bound that (`MAX_STREAMS_PER_FRAME`).
pub const MAX_SESSIONS_PER_ORIGIN: usize = 1024;

/// Sessions of one group's sites.
pub const MAX_SESSIONS_PER_GROUP: usize = SITES_PER_GROUP as usize * MAX_SESSIONS_PER_ORIGIN;

/// Pairs of personas that are dialled at once.
pub const MAX_DIALS: usize = 256;

/// Requests of one site that wait for a dial.
pub const MAX_DIALS_PER_ORIGIN: usize = 64;

/// Requests of one group's sites that wait for a dial.
pub const MAX_DIALS_PER_GROUP: usize = share(MAX_DIALS);

/// Dials of one site, and wishes for an address.
pub const DIALS: Rate = Rate { per_second: 10, burst: 64 };

/// Frames of one site that come: all that may be at once after a change of leader, then pages as fast as they load.
pub const HELLOS: Rate = Rate { per_second: 10, burst: 128 };

/// Joins of one site: pages that attach again join all they had at once, twice over.
pub const JOINS: Rate = Rate { per_second: 20, burst: 256 };

/// Kibibytes of packets that one site's sessions may have passed on within the node: six times what a loopback link carries, and a
/// fraction of what the leader could. Links have their own bounds (`lanes`).
pub const PACKETS_KIB: Rate = Rate { per_second: 64 * 1024, burst: 32 * 1024 };

/// Answers of the person's that one site's frames tell: a person clicks.
pub const PERMITS: Rate = Rate { per_second: 2, burst: 20 };

/// Messages that one site publishes.
pub const PUBLISHES: Rate = Rate { per_second: 200, burst: 400 };

/// Kibibytes that one site publishes. Each goes to as many as eight neighbours over links that all sites share, and a loopback
/// link carries 10 MiB/s.
pub const PUBLISHED_KIB: Rate = Rate { per_second: 2048, burst: 8192 };

/// Service calls of one site.
pub const SERVICES: Rate = Rate { per_second: 200, burst: 400 };

/// Statuses that one site asks for.
pub const STATUSES: Rate = Rate { per_second: 100, burst: 200 };

/// Topic messages of one link: ten busy sites.
pub const LINK_PUBLISHES: Rate = Rate { per_second: 2000, burst: 4000 };

/// Words of members that one link passes on: a large topic's at once, and as many as members of some topics say.
pub const LINK_WORDS: Rate = Rate { per_second: 512, burst: 1024 };

/// Topic messages of one link beyond those: only who says little is heard. Each has to be opened to see whose it is.
pub const LINK_BEYOND: Rate = Rate { per_second: 200, burst: 1000 };

/// Authors that one link brings to a topic's members, who heard nothing of them yet: a large topic's at once, then people who come.
pub const LINK_AUTHORS: Rate = Rate { per_second: 1, burst: 256 };

/// Bytes that are said again to a peer that comes to a topic, or back to it: all that is kept of one, and then little.
pub const LINK_REPLAYS: Rate = Rate { per_second: 2 * 1024, burst: 256 * 1024 };

/// Joins and the like of one link: all there may be at the start, then a trickle.
pub const LINK_CONTROL: Rate = Rate { per_second: 200, burst: 4096 };

/// Signals that one link may have passed on, or pass on to us.
pub const LINK_SIGNALS: Rate = Rate { per_second: 10, burst: 64 };

/// Standbys of one link that are over, at either end, and dialled again at once: each is a connection in a frame.
pub const LINK_STANDBYS: Rate = Rate { per_second: 1, burst: 8 };

/// Changes of leader on one link.
pub const LINK_RESUMES: Rate = Rate { per_second: 1, burst: 8 };

/// Signals to one persona that the rendezvous passes on: twice what an honest one does of many, so that there is room for the first ones of each
/// network. Who they are from, a node can't see.
pub const KEY_SIGNALS: Rate = Rate { per_second: 64, burst: 256 };

/// Messages to the server for one persona. It takes somewhat more of each key: at once all that a persona says that comes with as many topics as
/// the server takes of it, and has its links made.
pub const KEY_SAYS: Rate = Rate { per_second: 60, burst: 240 };

/// Of these, answers to signals: whoever isn't answered asks again. A site has as much left for itself.
pub const KEY_ANSWERS: Rate = Rate { per_second: 24, burst: 128 };

/// Of these, topics that are joined and left, and doors that come and go.
pub const KEY_NEWS: Rate = Rate { per_second: 8, burst: 192 };

/// Look-ups of one persona: for all together less than the 50 messages in a second, and 1,024 at once, that the server takes of a connection without
/// a key that they are of.
pub const KEY_LOOKUPS: Rate = Rate { per_second: 2, burst: 40 };

/// Of these, look-ups for the sake of sessions.
pub const KEY_SEEKS: Rate = Rate { per_second: 1, burst: 16 };

/// Signals to one persona that are remembered, so that none is heard twice: as many as the server may bring while one is fresh.
pub const HEARD_SIGNALS: usize = 20 * 1024;

/// Those that links brought: an honest persona is brought some dozens while one is fresh. What isn't heard on a link goes by the server next.
pub const HEARD_ON_LINKS: usize = 8 * 1024;
