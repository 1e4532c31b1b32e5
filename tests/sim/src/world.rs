//! The world: who hears what, and when.

mod connecting;
mod meeting;

use std::{collections::BTreeMap, time::Duration};

use bitters_machine::{Machine, agenda::Agenda, time::Instant};
use bitters_node::{Config, Input, Node, Output, Seed, SeedId, UplinkCommand, UplinkEvent};
use bitters_revproxy_core::rendezvous::{self, ConnId, Rendezvous};
use bitters_wire::{
    announce::LeaderKind,
    codec,
    id::{Boot, Epoch, FrameId, LinkId, PersonaId, SessionId, Tag, TopicId},
    keys::NodeSecret,
    local::{DownReason, ToFrame, ToLeader},
    packet::{Body, Packet},
    rendezvous::{ToNode, ToServer},
};

use crate::{
    browser::{Browser, Page},
    connection::{End, Phase},
    faults::Faults,
};

/// What every site serves.
pub const TAG: Tag = Tag([7; 8]);

const SERVER: &str = "ws://rendezvous.example/rendezvous";
const DEAD_SERVER: &str = "ws://gone.example/rendezvous";

/// What arrives, or becomes known.
#[derive(Clone, Debug)]
enum Event {
    /// The second end closed.
    Bye(End, End),
    ConnectionStands(End),
    Data(End, Vec<u8>),
    Deadline(End),
    FrameActs(FrameId, ToLeader),
    FrameGone(usize, FrameId),
    LeaderIsNew(FrameId),
    NodeHears(usize, FrameId, Epoch, ToLeader),
    PageHears(FrameId, Epoch, ToFrame),
    ServerHears(ConnId, Vec<u8>),
    SocketCloses(usize, ConnId),
    SocketOpens(usize, ConnId),
    SocketRefused(usize),
    SocketSays(usize, ConnId, ToNode),
}

/// What keeps its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pipe {
    Channel(FrameId, LinkId),
    PortDown(FrameId),
    PortUp(FrameId),
    SocketDown(u64),
    SocketUp(u64),
}

/// What happened, so that a test can show that something did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Dials that frames were told of.
    pub dials: usize,
    /// Links that came up, counted at each end.
    pub ups: usize,
    /// Links that went down, counted at each end that was told.
    pub downs: usize,
    /// Topic messages that sites heard.
    pub heard: usize,
    /// Signals that went over a common peer.
    pub relayed: usize,
    /// Requests that were answered well.
    pub done: usize,
    /// Requests that failed.
    pub failed: usize,
    /// Statuses told.
    pub statuses: usize,
}

/// Browsers and a rendezvous.
#[derive(Debug)]
pub struct World {
    /// Its seed.
    pub seed: u64,
    /// The time.
    pub now: Instant,
    /// All browsers.
    pub browsers: Vec<Browser>,
    /// All open pages.
    pub pages: BTreeMap<FrameId, Page>,
    /// What happened.
    pub evidence: Evidence,
    /// How unreliable the world is.
    pub faults: Faults,
    /// Every act of every node, in order.
    pub trace: Vec<(Instant, usize, String)>,
    pub(crate) rng: fastrand::Rng,
    agenda: Agenda<Event, Pipe>,
    rendezvous: Rendezvous,
    server_is_up: bool,
    sockets: BTreeMap<ConnId, usize>,
    connected: u64,
    tracing: bool,
    /// When anything happened last but that a leader asked whether the server is there, and was answered.
    pub(crate) stirred: Instant,
}

impl World {
    /// A world of `browsers` without pages.
    #[must_use]
    pub fn new(seed: u64, browsers: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rendezvous = Rendezvous::new(rendezvous::Config::default(), rng.u64(..));
        let mut world = Self {
            seed,
            now: Instant::START,
            browsers: Vec::new(),
            pages: BTreeMap::new(),
            evidence: Evidence::default(),
            faults: Faults::SOME,
            trace: Vec::new(),
            rng,
            agenda: Agenda::default(),
            rendezvous,
            server_is_up: true,
            sockets: BTreeMap::new(),
            connected: 0,
            tracing: false,
            stirred: Instant::START,
        };
        for _ in 0..browsers {
            let secret = NodeSecret::new(std::array::from_fn(|_| world.rng.u8(..)));
            let node = world.lead(&secret, Epoch(1));
            world.browsers.push(Browser { secret, node, epoch: Epoch(1), socket: None });
        }
        world
    }

    /// Keeps a trace of every act.
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.tracing = true;
        self
    }

    fn lead(&mut self, secret: &NodeSecret, epoch: Epoch) -> Node {
        let server = |url: &str| Seed::new(SeedId::Server(url.into()));
        let config = Config {
            secret: secret.clone(),
            epoch,
            boot: Boot::default(),
            kind: LeaderKind::Shared,
            build: "sim".into(),
            observe: vec!["https://observer.example".into()],
            sites: Vec::new(),
            page_origin: "https://node.example".into(),
            seeds: vec![server(SERVER), server(DEAD_SERVER)],
            certificates: Vec::new(),
            warnings: Vec::new(),
            seed: self.rng.u64(..),
        };
        Node::new(config, self.now)
    }

    // What may happen in it.

    /// A page opens.
    pub fn open_page(&mut self, browser: usize, origin: &str) -> FrameId {
        let id = FrameId::from_random(std::array::from_fn(|_| self.rng.u8(..)));
        let mut page = Page::new(browser, origin);
        page.epoch = self.browsers[browser].epoch;
        let hello = page.hello(id);
        self.pages.insert(id, page);
        self.say(id, hello);
        id
    }

    /// A page closes, or crashes: then nobody hears from it.
    pub fn close_page(&mut self, id: FrameId) {
        if self.rng.bool() {
            self.say(id, ToLeader::Leaving { moves: false });
        }
        let Some(page) = self.pages.remove(&id) else { return };
        for (link, connection) in page.connections {
            if let Some(remote) = connection.remote {
                let at = self.now + self.millis(5_000, 15_000);
                self.agenda.at(at, Event::Bye(remote, (id, link)));
            }
        }
        let times = if self.chance(self.faults.death_is_double) { 2 } else { 1 };
        for _ in 0..times {
            let at = self.now + self.millis(30, 90);
            self.agenda.at(at, Event::FrameGone(page.browser, id));
        }
    }

    /// The site joins a topic.
    pub fn join(&mut self, id: FrameId, topic: TopicId) {
        if let Some(page) = self.pages.get_mut(&id)
            && page.wanted.insert(topic)
        {
            let (_, message) = page.request(|request| ToLeader::Join { request, topic });
            self.say(id, message);
        }
    }

    /// The site leaves a topic.
    pub fn leave(&mut self, id: FrameId, topic: TopicId) {
        if let Some(page) = self.pages.get_mut(&id)
            && page.wanted.remove(&topic)
        {
            page.peers.remove(&topic);
            self.say(id, ToLeader::Leave(topic));
        }
    }

    /// The site says something.
    pub fn publish(&mut self, id: FrameId, topic: TopicId, sealed: Vec<u8>) {
        if let Some(page) = self.pages.get_mut(&id) {
            let (_, message) = page.request(|request| ToLeader::Publish { request, topic, sealed });
            self.say(id, message);
        }
    }

    /// The site wants a persona to be reachable. Tells the request.
    pub fn dial(&mut self, id: FrameId, peer: PersonaId) -> Option<u32> {
        let (request, message) =
            self.pages.get_mut(&id)?.request(|request| ToLeader::Dial { request, peer, address: None });
        self.say(id, message);
        Some(request)
    }

    /// The site opens a session with a persona.
    pub fn open_session(&mut self, id: FrameId, to: PersonaId, session: SessionId) {
        let Some(from) = self.pages.get(&id).and_then(Page::persona) else { return };
        let body = Body::Open { tag: TAG, handshake: vec![1, 2, 3] };
        let packet = Packet { to, to_frame: None, from, from_frame: id, session, body };
        self.say(id, ToLeader::Packet(packet));
    }

    /// The leader dies, and the next one takes over.
    pub fn change_leader(&mut self, browser: usize) {
        let epoch = Epoch(self.browsers[browser].epoch.0 + 1);
        let secret = self.browsers[browser].secret.clone();
        let node = self.lead(&secret, epoch);
        let browser_now = &mut self.browsers[browser];
        browser_now.node = node;
        browser_now.epoch = epoch;
        if let Some(conn) = browser_now.socket.take() {
            self.sockets.remove(&conn);
            self.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
            self.serve();
        }
        let pages: Vec<FrameId> =
            self.pages.iter().filter(|(_, it)| it.browser == browser).map(|(id, _)| *id).collect();
        for id in pages {
            let at = self.now + self.millis(1, 300);
            self.agenda.at(at, Event::LeaderIsNew(id));
        }
    }

    /// The rendezvous stops, and forgets everybody.
    pub fn stop_server(&mut self) {
        self.server_is_up = false;
        for (conn, browser) in std::mem::take(&mut self.sockets) {
            self.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
            let latency = self.millis(5, 50);
            self.agenda.through(Pipe::SocketDown(conn.0), self.now, latency, Event::SocketCloses(browser, conn));
        }
    }

    /// The rendezvous starts.
    pub const fn start_server(&mut self) {
        self.server_is_up = true;
    }

    // How it goes on.

    /// Goes on until `until`, or until nothing is left to happen.
    pub fn run_until(&mut self, until: Instant) {
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// When something happens next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let timers = self.browsers.iter().filter_map(|browser| browser.node.poll_timeout());
        timers.chain(self.agenda.next()).chain(self.rendezvous.poll_timeout()).min()
    }

    /// When a node does something by itself next.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.browsers.iter().filter_map(|browser| browser.node.poll_timeout()).chain(self.agenda.next()).min()
    }

    fn step(&mut self) {
        let now = self.now;
        let due = |browser: &Browser| browser.node.poll_timeout().is_some_and(|at| at <= now);
        if let Some(browser) = self.browsers.iter().position(due) {
            self.inform(browser, Input::Timeout);
            let next = self.browsers[browser].node.poll_timeout();
            assert!(next.is_none_or(|at| at > now), "seed {} at {now:?}: a timer that never ends", self.seed);
        } else if self.rendezvous.poll_timeout().is_some_and(|at| at <= now) {
            self.rendezvous.handle_input(rendezvous::Input::Timeout, now);
            self.serve();
        } else if let Some(event) = self.agenda.take() {
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Bye(end, remote) => {
                if self.end_mut(end).is_some_and(|it| it.remote == Some(remote)) {
                    self.close_end(end, DownReason::Closed);
                }
            }
            Event::ConnectionStands(end) => self.on_connection_stands(end),
            Event::Data(end, bytes) => self.on_data(end, bytes),
            Event::Deadline(end) => {
                if self.end_mut(end).is_some_and(|it| it.phase == Phase::New) {
                    self.give_up(end);
                }
            }
            Event::FrameActs(id, message) => self.say(id, message),
            Event::FrameGone(browser, id) => self.inform(browser, Input::FrameGone(id)),
            Event::LeaderIsNew(id) => self.on_new_leader(id),
            Event::NodeHears(browser, id, epoch, message) => {
                if self.browsers[browser].epoch == epoch {
                    self.inform(browser, Input::Frame(id, message));
                }
            }
            Event::PageHears(id, epoch, message) => self.on_page_hears(id, epoch, message),
            Event::ServerHears(conn, bytes) => {
                self.rendezvous.handle_input(rendezvous::Input::Received(conn, bytes), self.now);
                self.serve();
            }
            Event::SocketCloses(browser, conn) => {
                if self.browsers[browser].socket == Some(conn) {
                    self.browsers[browser].socket = None;
                    self.inform(browser, Input::Uplink(UplinkEvent::Closed));
                }
            }
            Event::SocketOpens(browser, conn) => self.on_socket_opens(browser, conn),
            Event::SocketRefused(browser) => self.inform(browser, Input::Uplink(UplinkEvent::Closed)),
            Event::SocketSays(browser, conn, message) => {
                if self.browsers[browser].socket == Some(conn) {
                    self.inform(browser, Input::Uplink(UplinkEvent::Received(message)));
                }
            }
        }
    }

    fn inform(&mut self, browser: usize, input: Input) {
        let is_answer = input == Input::Uplink(UplinkEvent::Received(ToNode::HERE_I_AM));
        let (mut asks, mut acts) = (false, false);
        self.browsers[browser].node.handle_input(input, self.now);
        while let Some(output) = self.browsers[browser].node.poll_output() {
            if self.tracing {
                self.trace.push((self.now, browser, format!("{output:?}")));
            }
            let is_question = output == Output::Uplink(UplinkCommand::Send(ToServer::ARE_YOU_THERE));
            asks |= is_question;
            acts |= !is_question;
            self.perform(browser, output);
        }
        if acts || !(asks || is_answer) {
            self.stirred = self.now;
        }
    }

    fn perform(&mut self, browser: usize, output: Output) {
        match output {
            Output::Frame(id, message) => {
                let latency = self.millis(0, 3);
                let epoch = self.browsers[browser].epoch;
                self.agenda.through(Pipe::PortDown(id), self.now, latency, Event::PageHears(id, epoch, message));
            }
            Output::Uplink(UplinkCommand::Connect(url)) => self.connect(browser, &url),
            Output::Uplink(UplinkCommand::Close) => {
                if let Some(conn) = self.browsers[browser].socket {
                    self.sockets.remove(&conn);
                    self.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
                    self.agenda.at(self.now, Event::SocketCloses(browser, conn));
                    self.serve();
                }
            }
            Output::Uplink(UplinkCommand::Send(message)) => {
                if let Some(conn) = self.browsers[browser].socket {
                    let latency = self.millis(5, 50);
                    let event = Event::ServerHears(conn, codec::encode(&message));
                    self.agenda.through(Pipe::SocketUp(conn.0), self.now, latency, event);
                }
            }
            Output::ForgetFrame(_)
            | Output::ForgetSeed(_)
            | Output::ForgetSite(_)
            | Output::SaveCertificate(..)
            | Output::SaveSeed(_)
            | Output::SaveSite(_)
            | Output::WatchFrame(_) => {}
            Output::HandOver | Output::Service { .. } | Output::ServiceCancel { .. } => {
                unreachable!("no other build waits and no site calls a service here")
            }
        }
    }

    // Frames.

    fn say(&mut self, id: FrameId, message: ToLeader) {
        let Some(page) = self.pages.get(&id) else { return };
        let (browser, epoch) = (page.browser, page.epoch);
        let latency = self.millis(0, 3);
        self.agenda.through(Pipe::PortUp(id), self.now, latency, Event::NodeHears(browser, id, epoch, message));
    }

    /// A frame says hello to a new leader and asks again what wasn't answered.
    fn on_new_leader(&mut self, id: FrameId) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        let epoch = self.browsers[page.browser].epoch;
        if page.epoch == epoch {
            return;
        }
        page.epoch = epoch;
        let unfinished = page.connections.iter().filter(|(_, it)| it.phase != Phase::Up);
        for link in unfinished.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.hang_up((id, link));
        }
        let Some(page) = self.pages.get_mut(&id) else { return };
        let hello = page.hello(id);
        let waiting: Vec<ToLeader> = page.waiting.values().cloned().collect();
        for message in [hello].into_iter().chain(waiting) {
            self.say(id, message);
        }
    }

    fn on_page_hears(&mut self, id: FrameId, epoch: Epoch, message: ToFrame) {
        let Some(page) = self.pages.get_mut(&id) else { return };
        if page.epoch != epoch {
            return;
        }
        match &message {
            ToFrame::Link(link, command) => return self.on_link_command((id, *link), command.clone()),
            ToFrame::Asked { outcome: Ok(()), .. } => self.evidence.done += 1,
            ToFrame::Asked { outcome: Err(_), .. } => self.evidence.failed += 1,
            ToFrame::Status(_) => self.evidence.statuses += 1,
            ToFrame::Topic { .. } => self.evidence.heard += 1,
            _ => {}
        }
        page.hear(message);
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.u64(from..=to))
    }

    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }
}
