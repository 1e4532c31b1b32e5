//! A page with a frame in it.

use std::collections::{BTreeMap, VecDeque};

use bitters_frame_core::site::{Badge, Config, Input, Line, Output, Site};
use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    id::{Boot, FrameId, LinkId},
    local::{Envelope, LinkEvent, ToFrame, ToLeader},
    packet::Body,
    rpc::{Identity, RPC},
    status::Scope,
};

use crate::{
    World,
    browser::WorkerId,
    connection::{Connection, End, Phase},
    event::{Event, Fact, News, Pipe},
    host::{Host, LOBBY},
    timers::Who,
};

/// A page.
#[derive(Debug)]
pub struct Tab {
    /// In which browser.
    pub browser: usize,
    /// Its namespace of locks.
    pub space: u32,
    /// Its origin.
    pub origin: &'static str,
    /// The topic that it joins.
    pub room: &'static str,
    /// The frame.
    pub site: Site,
    /// What the page's own script does.
    pub host: Host,
    /// How often a leader took the frame in since the frame said hello last; once is right.
    pub welcomes: usize,
    /// Linked peers, as the badge shows.
    pub peers: u32,
    /// Connections that the frame holds.
    pub links: BTreeMap<LinkId, Connection>,
    /// The frame's port: its number, and to whom.
    pub port: Option<(u64, WorkerId)>,
    /// The leader whose life lock the frame waits for.
    pub watches: Option<Boot>,
    /// When the frame's timer is due.
    pub wake: Option<Instant>,
    /// Whether the page is shown. A hidden one's timers are a second late at most.
    pub visible: bool,
    /// The page takes nothing in.
    pub frozen: bool,
    /// What came meanwhile.
    pub(crate) waiting: VecDeque<Fact>,
}

/// The build of everything here.
pub const BUILD: &str = "sim";

impl World {
    /// A page opens.
    pub fn open_tab(&mut self, browser: usize, origin: &'static str) -> FrameId {
        let frame = FrameId::from_random(self.bytes());
        let visible = self.chance(50);
        let config = Config {
            frame,
            origin: origin.into(),
            scope: Scope::Browser,
            means: bitters_frame_core::site::Means::default(),
            build: BUILD.into(),
            worker: Some("/leader.js".into()),
            visible,
            watching: false,
            seed: self.bytes(),
        };
        let tab = Tab {
            browser,
            space: self.browsers[browser].space,
            origin,
            room: LOBBY,
            site: Site::new(config),
            host: Host::default(),
            welcomes: 0,
            peers: 0,
            links: BTreeMap::new(),
            port: None,
            watches: None,
            wake: None,
            visible,
            frozen: false,
            waiting: VecDeque::new(),
        };
        self.tabs.insert(frame, tab);
        self.note(|| format!("{frame} opens in {browser} as {origin}"));
        self.inform(frame, Input::Started);
        self.inform(frame, Input::Host { versions: RPC, identity: Identity::Site });
        frame
    }

    pub(crate) fn on_fact(&mut self, frame: FrameId, fact: Fact) {
        match fact {
            Fact::Announced(announcement) => self.inform(frame, Input::Announced(announcement)),
            Fact::Asked(request) => self.inform(frame, Input::Ask(request)),
            Fact::Bye(link, remote) => self.on_bye((frame, link), remote),
            Fact::Certified(owner, outcome) => self.inform(frame, Input::Certified(owner, outcome)),
            Fact::Connected => self.inform(frame, Input::Connected),
            Fact::Data(link, bytes) => self.on_data((frame, link), bytes),
            Fact::Deadline(link) => self.on_deadline((frame, link)),
            Fact::Heard(port, envelope) => {
                if self.tabs[&frame].port.is_some_and(|(number, _)| number == port) {
                    self.overhear(frame, &envelope.message);
                    self.inform(frame, Input::Leader(envelope));
                }
            }
            Fact::LeaderGone(boot) => {
                if self.tabs[&frame].watches == Some(boot) {
                    self.inform(frame, Input::LeaderGone(boot));
                }
            }
            Fact::LeaderUnseen(boot) => self.inform(frame, Input::LeaderUnseen(boot)),
            Fact::Lost(link) => self.on_lost((frame, link)),
            Fact::Reads(stream) => self.read_on(frame, stream),
            Fact::Replies(call) => self.reply(frame, call),
            Fact::Signal(link) => self.on_own_signal((frame, link)),
            Fact::Stands(link) => self.on_stands((frame, link)),
        }
    }

    pub(crate) fn tick_tab(&mut self, frame: FrameId) {
        self.inform(frame, Input::Timeout);
        let next = self.tabs[&frame].site.poll_timeout();
        self.must(next.is_none_or(|at| at > self.now), || format!("{frame} has a timer that never ends"));
    }

    /// A frame takes something in and acts.
    pub(crate) fn inform(&mut self, frame: FrameId, input: Input) {
        let now = self.now;
        self.note(|| format!("{frame} < {input:?}"));
        let Some(tab) = self.tabs.get_mut(&frame) else { return };
        tab.site.handle_input(input, now);
        let mut outputs = Vec::new();
        while let Some(output) = tab.site.poll_output() {
            outputs.push(output);
        }
        let wake = tab.site.poll_timeout().map(|at| if tab.visible { at } else { late(at.max(now)) });
        let before = std::mem::replace(&mut tab.wake, wake);
        self.timers.put(Who::Tab(frame), before, wake);
        for output in outputs {
            self.perform(frame, output);
        }
    }

    pub(crate) fn report(&mut self, (frame, link): (FrameId, LinkId), event: LinkEvent) {
        self.listen((frame, link), &event);
        self.inform(frame, Input::Link(link, event));
    }

    /// It is written down what comes on links, where some browsers are nosy.
    fn listen(&mut self, end: End, event: &LinkEvent) {
        if !self.notes.nosy.is_empty()
            && let Some(browser) = self.tabs.get(&end.0).map(|it| it.browser)
            && let Some(connection) = self.end(end).filter(|it| it.phase == Phase::Up)
        {
            let (own, peer) = (connection.own, connection.peer.expect("it is up"));
            match event {
                LinkEvent::Received(bytes) => {
                    let is_nosy = self.notes.nosy.contains(&browser);
                    let nosy = is_nosy.then(|| self.browsers[browser].secret_of(own)).flatten();
                    self.notes.on_link(own, peer, bytes, nosy.as_ref());
                }
                LinkEvent::Up(_) => self.notes.on_up(own, peer),
                _ => {}
            }
        }
    }

    /// What a leader says to a frame shows this.
    fn overhear(&mut self, frame: FrameId, message: &ToFrame) {
        match message {
            ToFrame::Packet(packet) if matches!(packet.body, Body::Open { .. }) => {
                let frames = self.model.opened.entry(packet.session).or_default();
                self.evidence.sessions += usize::from(frames.is_empty());
                frames.insert(frame);
            }
            ToFrame::Welcome(_) => self.tabs.get_mut(&frame).expect("it hears").welcomes += 1,
            _ => {}
        }
    }

    fn say_to_leader(&mut self, frame: FrameId, envelope: Envelope<ToLeader>) {
        let Some(tab) = self.tabs.get_mut(&frame) else { return };
        if matches!(envelope.message, ToLeader::Hello(_)) {
            tab.welcomes = 0;
        }
        let (browser, Some((port, worker))) = (tab.browser, tab.port) else { return };
        if !self.notes.nosy.is_empty() {
            let persona = self.browsers[browser].persona(tab.origin);
            self.notes.on_said(browser, persona, frame, &envelope.message);
        }
        let news = News::Heard(frame, port, envelope);
        self.through(Pipe::PortUp(frame, port), 0, 3, Event::Worker(browser, worker, news));
    }

    fn perform(&mut self, frame: FrameId, output: Output) {
        match output {
            Output::Announce(announcement) => {
                let browser = self.tabs[&frame].browser;
                if let Some(leader) = self.browsers[browser].leader().map(|it| it.id) {
                    let news = News::Announced(announcement);
                    self.through(Pipe::Broadcast(frame), 0, 3, Event::Worker(browser, leader, news));
                }
            }
            Output::Badge(Badge::Ready { peers, .. }) => {
                self.tabs.get_mut(&frame).expect("its frame shows the badge").peers = peers;
            }
            Output::Badge(_) | Output::Hides(_) | Output::Status(_) => {}
            Output::Certify(owner) => self.certify(frame, owner),
            Output::CloseHost => self.must(false, || format!("{frame} closes its site's port")),
            Output::Connect(Line::Port { name, .. }) => self.open_port(frame, name),
            Output::Connect(Line::Channel) | Output::Contend { .. } => unreachable!("all workers here are shared"),
            Output::Leader(envelope) => self.say_to_leader(frame, envelope),
            Output::Link(link, command) => self.on_link_command((frame, link), command),
            Output::Tell(event) => self.on_tell(frame, event),
            Output::WatchLeader(boot) => self.watch_leader(frame, boot),
            Output::AnnounceAtHome(_)
            | Output::Card(_)
            | Output::ClosePage
            | Output::Enter
            | Output::Follow
            | Output::OpenPage(_)
            | Output::RequestAccess
            | Output::Return
            | Output::Settle(_)
            | Output::Sites(_) => unreachable!("there is one island, and nobody is asked"),
        }
    }
}

/// Timers of hidden pages come at whole seconds, after their time.
fn late(at: Instant) -> Instant {
    Instant::from_millis((at.as_millis() / 1000 + 1) * 1000)
}
