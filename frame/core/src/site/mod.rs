//! A frame's machine: between one site and its leader.
//!
//! It owns what the site's page needs and dies with it: the site's requests, its topics, and through
//! [`Endpoint`](bitters_session::Endpoint) its sessions. Of the leader it knows only which leadership it speaks with: messages of
//! an earlier one are dropped, and a changed boot makes it register again.

mod acceptance;
mod api;
mod consent;
mod dials;
mod leading;
mod line;
mod order;
mod patience;
mod peers;
mod petition;
mod requests;
mod streams;
mod topics;
mod vigil;

use std::collections::VecDeque;

use bitters_machine::{
    Machine,
    map::{Map, Set},
    random::Random,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_session::{CallKey, Endpoint, StreamKey};
use bitters_wire::{
    address::Owner,
    announce::worker_name,
    failure::{Code, Failure},
    id::{Boot, Epoch, LinkId, PersonaId, TopicId},
    keys::PersonaSecret,
    limits::MAX_PENDING_REQUESTS,
    local::{Blocked, Bond, HeldLink, Hiding, LinkCommand, LinkEvent, ToLeader},
    permission::SiteStatus,
    rpc::{Event, FIRST_FRAME_ID, Identity, RPC, SiteWelcome, Tell},
    status::Path,
    status::Scope,
};

use acceptance::Accepted;
pub use api::{Badge, Card, Click, Config, Elsewhere, Input, Line, Means, Outcome, Output, Question};
use consent::Consent;
use line::Calling;
use patience::{Patience, Said};
use petition::Petition;
use requests::Pending;
use topics::Topic;
use vigil::Vigil;

/// A frame's machine.
#[derive(Debug)]
pub struct Site {
    config: Config,
    random: Random,
    /// The leadership that took this frame in last.
    standing: (Epoch, Boot),
    /// Whether that leadership is the present one.
    welcomed: bool,
    /// The way to the leader.
    line: Option<Line>,
    /// The leader that the way is known to end at.
    leads: Option<(Epoch, Boot)>,
    /// The worker of our own build that answered last: a successor, if the first one hangs.
    own_name: String,
    vigil: Vigil,
    /// The leader that was asked to listen to this frame's channel.
    calling: Option<Calling>,
    host: Host,
    /// The version that is spoken with it.
    rpc: u16,
    /// Which id the site wants, and which it has.
    identity: Identity,
    granted: Identity,
    /// How far the node reaches, as the site was told.
    scope_told: Scope,
    consent: Consent,
    /// On the node's own page: what it was opened for, and all sites.
    petition: Option<Petition>,
    sites: Vec<SiteStatus>,
    persona: Option<Persona>,
    /// Whether the leader that took us in last is known to be gone.
    bereft: bool,
    /// Whether the bridge to the leader lost its far end.
    unbridged: bool,
    /// The site's own persona in the island that the frame comes from.
    brings: Option<PersonaSecret>,
    peers: u32,
    requests: Map<u32, Pending>,
    next_id: u32,
    stream_ids: Map<StreamKey, u32>,
    call_ids: Map<CallKey, u32>,
    topics: Map<TopicId, Topic>,
    /// Personas that the leader was asked to reach, and the request that asked. All that wait for the same share its answer.
    dialled: Map<PersonaId, u32>,
    /// Personas that the leader had a way to when we asked last.
    reachable: Set<PersonaId>,
    /// For whom connections are made that aren't up.
    dialling: Map<LinkId, PersonaId>,
    /// Links that may go directly.
    direct: Set<LinkId>,
    /// The ends of connections that aren't up, as they sign them.
    bonds: Map<LinkId, Bond>,
    accepted: Accepted,
    /// What the person decided last of network addresses, as far as a leader told.
    hiding: Hiding,
    /// By how many milliseconds a server's clock is ahead of the browser's, as far as a leader told.
    ahead_ms: i64,
    /// Whom they blocked for the site.
    blocked: Blocked,
    /// When the last input came.
    now: Instant,
    /// Links that are up in this frame, for the next leader.
    links: Map<LinkId, HeldLink>,
    /// Packets for a leader that hasn't taken us in yet.
    held: Vec<ToLeader>,
    /// Whose certificates are being made. A page that stood still hears at once of all that its leader asked for meanwhile.
    certifying: Set<Owner>,
    nonsense: u32,
    asks: Bucket,
    data: Bucket,
    patience: Patience,
    outbox: VecDeque<Output>,
}

/// The site's identity, told by the leader, and the sessions that it has under it.
struct Persona {
    secret: PersonaSecret,
    id: PersonaId,
    endpoint: Endpoint,
}

impl std::fmt::Debug for Persona {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Persona").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The embedding page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// It hasn't said hello.
    Absent,
    /// It floods, or says nothing but nonsense: it is heard no longer, and told nothing.
    Closed,
    /// It was told who it is.
    Greeted,
    /// It waits to be told who it is; the RPC version that both speak.
    Waiting(u16),
}

/// Messages of our SDK are never nonsense; a page that talks to the port itself may err, not flood.
const MAX_NONSENSE: u32 = 64;

/// Requests of one page: a busy site's calls, one after another, are some hundreds a second.
const ASKS: Rate = Rate { per_second: 1000, burst: 2000 };

/// KiB of messages, arguments and results of one page. Streams have their own measure, their credit.
const DATA_KIB: Rate = Rate { per_second: 16 * 1024, burst: 32 * 1024 };

impl Site {
    /// A frame without site or leader.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            random: Random::new(config.seed),
            own_name: worker_name(&config.build),
            scope_told: config.scope,
            config,
            standing: (Epoch::default(), Boot::default()),
            welcomed: false,
            line: None,
            leads: None,
            vigil: Vigil::default(),
            calling: None,
            host: Host::Absent,
            rpc: RPC.min,
            identity: Identity::Site,
            granted: Identity::Site,
            consent: Consent::default(),
            petition: None,
            sites: Vec::new(),
            persona: None,
            bereft: false,
            unbridged: false,
            brings: None,
            peers: 0,
            requests: Map::new(),
            next_id: FIRST_FRAME_ID,
            stream_ids: Map::new(),
            call_ids: Map::new(),
            topics: Map::new(),
            dialled: Map::new(),
            reachable: Set::new(),
            direct: Set::new(),
            bonds: Map::new(),
            accepted: Accepted::new(),
            hiding: Hiding::default(),
            ahead_ms: 0,
            blocked: Blocked::default(),
            now: Instant::START,
            dialling: Map::new(),
            links: Map::new(),
            held: Vec::new(),
            certifying: Set::new(),
            nonsense: 0,
            asks: Bucket::new(ASKS, Instant::START),
            data: Bucket::new(DATA_KIB, Instant::START),
            patience: Patience::default(),
            outbox: VecDeque::new(),
        }
    }
}

impl Machine for Site {
    type Input = Input;
    type Output = Output;

    /// Takes a fact.
    fn handle_input(&mut self, input: Input, now: Instant) {
        self.now = now;
        // Timers of hidden pages are late: whatever comes serves as well.
        self.hear_late(now);
        match input {
            // Of the island that the frame leaves. Were the leader there heard, it would be said hello to.
            Input::Announced(_)
            | Input::AnnouncedAtHome(_)
            | Input::BridgeClosed
            | Input::Connected
            | Input::IslandLost
            | Input::Leader(_)
            | Input::LeaderGone(_)
            | Input::LeaderUnseen(_)
            | Input::WorkerFailed
            | Input::WorkerLoads
                if self.consent.departs() => {}
            Input::Ask(_) | Input::Nonsense(_) | Input::TooLarge { .. } if self.host == Host::Closed => {}
            Input::Access(granted) => self.on_access(granted),
            Input::Announced(announcement) => self.on_announced(announcement, now),
            Input::AnnouncedAtHome(announcement) => self.on_announced_at_home(&announcement),
            Input::Ask(request) => self.on_ask(request, now),
            Input::BridgeClosed => self.on_bridge_closed(now),
            Input::Certified(owner, outcome) => {
                self.certifying.remove(&owner);
                self.send(ToLeader::Certified { owner, outcome });
            }
            Input::Clicked(click) => self.on_click(click, now),
            Input::Connected => self.on_connected(now),
            Input::Followed(found) => self.on_followed(found),
            Input::Frozen(frozen) => self.send(ToLeader::Frozen(frozen)),
            Input::Host { versions, identity } => self.on_host(versions.common(RPC), identity, now),
            Input::Island { scope, remote } => {
                // What is being made is kept where the frame was before.
                self.certifying.clear();
                self.on_island(scope, remote, now);
            }
            Input::IslandLost => self.on_island_lost(),
            Input::Leader(envelope) => self.on_leader(envelope, now),
            Input::LeaderGone(boot) => self.on_leader_gone(boot, now),
            Input::LeaderUnseen(boot) => self.on_leader_unseen(boot, now),
            Input::Leaving => self.on_leaving(),
            Input::Link(link, event) => self.on_link(link, event),
            Input::Nonsense(id) => self.on_nonsense(id),
            Input::Online => self.send(ToLeader::Online),
            Input::Block { origin, peer, blocked } => self.on_block(origin, &peer, blocked),
            Input::Hide(hides) => self.on_hide(hides),
            Input::Permit { origin, permission, answer } => self.on_permit(origin, permission, answer),
            Input::Petition { site, permission } => self.on_petition(site, permission),
            Input::PetitionOver(outcome) => self.on_petition_over(outcome),
            Input::PetitionerGone => self.on_petitioner_gone(),
            Input::Started => self.on_started(now),
            Input::Timeout => {
                self.on_time(now);
                self.on_consent_time(now);
                self.end_late_calls(now);
                self.endpoint_input(bitters_session::Input::Timeout, now);
            }
            Input::TooLarge { id, bytes } => self.on_too_large(id, bytes, now),
            Input::Visible(visible) => self.on_visible(visible),
            Input::WorkerFailed => self.on_worker_failed(now),
            Input::WorkerLoads => self.vigil.loads(now),
        }
        self.drain_endpoint();
        self.vigil.settle(now);
    }

    /// The next act.
    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    fn poll_timeout(&self) -> Option<Instant> {
        let endpoint = self.persona.as_ref().and_then(|persona| persona.endpoint.poll_timeout());
        let calls = self.call_deadlines().map(|(_, deadline)| deadline).min();
        let due = [endpoint, calls, self.consent.due(), self.early_messages_due(), self.vigil.poll_timeout()];
        due.into_iter().flatten().min()
    }
}

impl Site {
    /// The embedding page's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.config.origin
    }

    fn on_host(&mut self, version: Option<u16>, identity: Identity, now: Instant) {
        if self.host != Host::Absent {
            return;
        }
        let Some(rpc) = version else {
            let text = format!("this node speaks versions {} to {}", RPC.min, RPC.max);
            self.host = Host::Greeted;
            self.tell(0, Tell::Failed(Failure::new(Code::VersionMismatch, text)));
            return self.outbox.push_back(Output::CloseHost);
        };
        (self.host, self.rpc) = (Host::Waiting(rpc), rpc);
        self.identity = identity;
        if identity != self.granted && self.line.is_some() {
            // The leader heard a hello before the site said what it wants.
            self.on_connected(now);
        }
        self.greet();
    }

    /// Tells the site who it is, as soon as both are there.
    fn greet(&mut self) {
        let (Host::Waiting(rpc), Some(persona)) = (self.host, &self.persona) else { return };
        if self.identity != self.granted {
            return;
        }
        let welcome = SiteWelcome {
            id: persona.id.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            scope: self.config.scope,
            rpc,
        };
        self.host = Host::Greeted;
        self.scope_told = self.config.scope;
        self.tell(0, Tell::Welcome(welcome));
    }

    fn on_nonsense(&mut self, id: u32) {
        self.nonsense += 1;
        self.fail(id, Failure::new(Code::BadArgument, "the node doesn't understand this message"));
        if self.nonsense > MAX_NONSENSE {
            self.shut_out(Failure::new(Code::BadArgument, "this page says nothing but nonsense"));
        }
    }

    fn on_too_large(&mut self, id: u32, bytes: usize, now: Instant) {
        self.fail(id, Failure::new(Code::TooLarge, format!("a message of {bytes} bytes isn't read")));
        self.bear(Said::of(bytes), now);
    }

    /// The page is heard no longer. What it has begun ends as if it were gone.
    fn shut_out(&mut self, failure: Failure) {
        self.tell(0, Tell::Failed(failure));
        self.outbox.push_back(Output::CloseHost);
        self.host = Host::Closed;
        for id in self.requests.keys().copied().collect::<Vec<_>>() {
            self.cancel(id);
        }
        if let Some(persona) = &mut self.persona {
            persona.endpoint.close();
        }
    }

    fn on_visible(&mut self, visible: bool) {
        if self.config.visible != visible {
            self.config.visible = visible;
            self.send(ToLeader::Visible(visible));
        }
    }

    fn on_link(&mut self, link: LinkId, event: LinkEvent) {
        match event {
            LinkEvent::Down(_) => {
                self.dialling.remove(&link);
                self.direct.remove(&link);
                self.bonds.remove(&link);
                self.links.remove(&link);
            }
            LinkEvent::Received(_) => self.note_use(link),
            LinkEvent::Up(peer) => {
                if let (Some(own), Some(bond)) = (self.dialling.remove(&link), self.bonds.remove(&link)) {
                    let direct = self.direct.contains(&link);
                    let held = HeldLink { link, own, peer, used: false, path: Path::Direct, direct, bond };
                    self.links.insert(link, held);
                }
            }
            LinkEvent::Path(path) => {
                if let Some(held) = self.links.get_mut(&link) {
                    held.path = path;
                }
            }
            LinkEvent::Sign { text, .. } => drop(self.bonds.insert(link, text.bond())),
            LinkEvent::Drained(_) | LinkEvent::Forward(_) | LinkEvent::RoundTrip(_) | LinkEvent::Signal(_) => {}
        }
        self.send(ToLeader::Link(link, event));
    }

    fn on_link_command(&mut self, link: LinkId, command: LinkCommand) {
        match &command {
            LinkCommand::Dial(dial) => {
                self.dialling.insert(link, dial.own);
                if dial.direct {
                    self.go_direct(link);
                }
            }
            LinkCommand::GoDirect => self.go_direct(link),
            LinkCommand::Send(_) => self.note_use(link),
            _ => {}
        }
        self.outbox.push_back(Output::Link(link, command));
    }

    /// A link's peer may know our network addresses.
    fn go_direct(&mut self, link: LinkId) {
        self.direct.insert(link);
        if let Some(held) = self.links.get_mut(&link) {
            held.direct = true;
        }
    }

    /// Something is said on a link: it is no standby, or isn't any longer.
    fn note_use(&mut self, link: LinkId) {
        if let Some(held) = self.links.get_mut(&link) {
            held.used = true;
        }
    }

    fn show_badge(&mut self) {
        if let Some(persona) = &self.persona {
            let badge = self.consent.badge().unwrap_or_else(|| Badge::Ready {
                id: persona.id.to_string(),
                peers: self.peers,
                scope: self.config.scope,
                offers: self.offers(),
            });
            self.outbox.push_back(Output::Badge(badge));
        }
    }

    /// The node doesn't run, for now.
    fn show_failure(&mut self, why: &str) {
        if self.consent.badge().is_none() {
            self.outbox.push_back(Output::Badge(Badge::Failed(why.into())));
        }
    }

    fn tell(&mut self, id: u32, tell: Tell) {
        if self.host != Host::Closed {
            self.outbox.push_back(Output::Tell(Event { id, tell }));
        }
    }

    fn fail(&mut self, id: u32, failure: Failure) {
        self.tell(id, Tell::Failed(failure));
    }

    /// Whether the site has as many requests as it may: what comes in from peers isn't its own.
    fn too_many(&self) -> bool {
        let own = || self.requests.keys().filter(|id| **id < FIRST_FRAME_ID).count();
        self.requests.len() >= MAX_PENDING_REQUESTS && own() >= MAX_PENDING_REQUESTS
    }
}

#[cfg(test)]
mod tests;
