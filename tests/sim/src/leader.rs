//! Workers come, lead, die and are restarted.

use bitters_machine::{Machine, time::Instant};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bitters_node::{Config, Input, Node, Output, Seed, SeedId, UplinkCommand, UplinkEvent, seeds};
use bitters_wire::{
    announce::{Announcement, LeaderKind},
    id::{Boot, Epoch, FrameId},
    local::{Envelope, ToFrame, ToLeader},
    rendezvous::ToServer,
};

use crate::{
    World,
    browser::{Lead, Worker, WorkerId},
    event::{Event, Fact, News, Pipe},
    fault::Whom,
    story::OBSERVER,
    tab::BUILD,
    timers::Who,
};

/// When all stories begin.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// Within that time who isn't told of a death by a lock has noticed it by silence.
pub(crate) const UNSEEN: Duration = Duration::from_secs(25);

/// As the leader's shell reminds.
const REMINDER_PACE: Duration = Duration::from_millis(250);

impl World {
    /// A frame opens a SharedWorker by its name: the living one, or a new one.
    pub(crate) fn open_port(&mut self, frame: FrameId, name: String) {
        let Some(tab) = self.tabs.get(&frame) else { return };
        let worker = self.start_worker(tab.browser, name);
        self.ports += 1;
        if let Some(tab) = self.tabs.get_mut(&frame) {
            tab.port = Some((self.ports, worker));
        }
        self.agenda.at(self.now, Event::Frame(frame, Fact::Connected));
    }

    fn start_worker(&mut self, browser: usize, name: String) -> WorkerId {
        if let Some(living) = self.browsers[browser].workers.iter().find(|it| it.name == name) {
            return living.id;
        }
        self.ports += 1;
        let id = WorkerId(self.ports);
        self.note(|| format!("{browser} starts worker {id:?} '{name}'"));
        let space = self.browsers[browser].space;
        let worker = Worker { id, name, space, lead: None, wake: None, inbox: VecDeque::new() };
        self.browsers[browser].workers.push(worker);
        self.later(10, 120, Event::Worker(browser, id, News::Leads));
        id
    }

    /// The leader's worker dies, with its ports.
    pub fn kill_leader(&mut self, browser: usize) {
        let Some(at) = self.browsers[browser].workers.iter().position(|it| it.lead.is_some()) else { return };
        self.evidence.leaders_died += 1;
        self.disturb_shortly(browser);
        let dead = self.browsers[browser].workers.remove(at);
        self.note(|| format!("{browser} loses its leader {:?}", dead.id));
        let lead = dead.lead.expect("it led");
        self.evidence.leaders_died_dialling += usize::from(self.is_dialling(browser));
        self.drop_socket(lead.socket);
        let waiting: Vec<WorkerId> = self.browsers[browser].workers.iter().map(|it| it.id).collect();
        for worker in waiting {
            self.later(5, 80, Event::Worker(browser, worker, News::Leads));
        }
        self.free_life(browser, lead.boot);
        self.miss_leader(browser, dead.space);
    }

    /// Frames whose locks don't tell notice a leader's death by its silence.
    fn miss_leader(&mut self, browser: usize, space: u32) {
        if self.tabs.values().any(|it| it.browser == browser && it.space != space) {
            self.model.trouble.note(Whom::Browser(browser), self.now, self.now + UNSEEN);
        }
    }

    /// Frames that wait for a leader's life lock are granted it, one after the other.
    fn free_life(&mut self, browser: usize, boot: Boot) {
        let waiting = self.tabs.iter().filter(|(_, it)| it.browser == browser && it.watches == Some(boot));
        for frame in waiting.map(|(frame, _)| *frame).collect::<Vec<_>>() {
            self.later(5, 80, Event::Frame(frame, Fact::LeaderGone(boot)));
        }
    }

    /// A frame waits for a leader's life lock.
    pub(crate) fn watch_leader(&mut self, frame: FrameId, boot: Boot) {
        let Some(tab) = self.tabs.get_mut(&frame) else { return };
        let is_held = |it: &Worker| it.space == tab.space && it.lead.as_ref().is_some_and(|lead| lead.boot == boot);
        let held = self.browsers[tab.browser].leader().is_some_and(is_held);
        tab.watches = held.then_some(boot);
        if !held {
            self.evidence.leaders_unseen += 1;
            self.later(1, 30, Event::Frame(frame, Fact::LeaderUnseen(boot)));
        }
    }

    /// The leader's worker restarts in silence: it has forgotten everything, and its ports work.
    pub fn restart_leader(&mut self, browser: usize) {
        let Some(worker) = self.browsers[browser].workers.iter_mut().find(|it| it.lead.is_some()) else { return };
        let id = worker.id;
        let lead = worker.lead.take().expect("it led");
        worker.wake = None;
        self.evidence.leaders_restarted += 1;
        self.disturb_shortly(browser);
        self.note(|| format!("{browser}'s leader {id:?} restarts"));
        self.drop_socket(lead.socket);
        self.free_life(browser, lead.boot);
        self.later(10, 120, Event::Worker(browser, id, News::Leads));
    }

    pub(crate) fn on_news(&mut self, browser: usize, worker: WorkerId, news: News) {
        if matches!(news, News::Leads) {
            return self.lead(browser, worker);
        }
        if let News::Heard(frame, port, envelope) = news {
            return self.on_heard(browser, worker, frame, port, envelope);
        }
        let Some(lead) = self.browsers[browser].worker_mut(worker).and_then(|it| it.lead.as_mut()) else { return };
        match news {
            News::Announced(Announcement::FrameUp { frame, .. }) => self.announce(browser, worker, Some(frame)),
            News::FrameGone(frame) => self.tell_node(browser, worker, Input::FrameGone(frame)),
            News::FrameUnseen(frame) => self.tell_node(browser, worker, Input::FrameUnseen(frame)),
            News::SocketCloses(conn) => {
                if lead.socket == Some(conn) {
                    lead.socket = None;
                    self.tell_node(browser, worker, Input::Uplink(UplinkEvent::Closed));
                }
            }
            News::SocketOpens(conn) => self.on_socket_opens(browser, worker, conn),
            News::SocketRefused => {
                lead.socket = None;
                self.tell_node(browser, worker, Input::Uplink(UplinkEvent::Closed));
            }
            News::SocketSays(conn, message) => {
                if lead.socket == Some(conn) {
                    if self.notes.nosy.contains(&browser) {
                        self.notes.on_server(&message, &self.browsers[browser]);
                    }
                    self.tell_node(browser, worker, Input::Uplink(UplinkEvent::Received(message)));
                }
            }
            News::Announced(_) | News::Heard(..) | News::Leads => {}
        }
    }

    fn lead(&mut self, browser: usize, id: WorkerId) {
        if self.browsers[browser].leader().is_some() {
            return;
        }
        let config = self.config(browser);
        let (epoch, boot) = (config.epoch, config.boot);
        let node = Node::new(config, self.now);
        let Some(worker) = self.browsers[browser].worker_mut(id) else { return };
        let lead =
            Lead { node, epoch, boot, guests: BTreeMap::new(), watched: BTreeSet::new(), socket: None, reminded: None };
        worker.lead = Some(lead);
        let inbox = std::mem::take(&mut worker.inbox);
        self.note(|| format!("{browser} is led by {id:?}, {epoch:?}"));
        self.announce(browser, id, None);
        for (frame, port, envelope) in inbox {
            self.on_heard(browser, id, frame, port, envelope);
        }
        self.tell_node(browser, id, Input::WallClock(self.clock_of(browser)));
    }

    /// The time of day.
    pub(crate) fn unix_ms(&self) -> u64 {
        Self::unix_ms_at(self.now)
    }

    /// The time of day then.
    pub(crate) fn unix_ms_at(at: Instant) -> u64 {
        EPOCH_MS + at.as_millis()
    }

    /// What time it is by a browser's clock.
    pub(crate) fn clock_of(&self, browser: usize) -> u64 {
        self.unix_ms().saturating_add_signed(self.browsers[browser].ahead)
    }

    fn config(&mut self, browser: usize) -> Config {
        let boot = Boot(FrameId::from_random(self.bytes()).0);
        let servers = self.servers.iter().map(|url| Seed::new(SeedId::Server((*url).into()))).collect();
        let observe = self.curious.then(|| OBSERVER.to_owned()).into_iter().collect();
        let browser = &mut self.browsers[browser];
        browser.epoch = Epoch(browser.epoch.0 + 1);
        Config {
            secret: browser.secret.clone(),
            epoch: browser.epoch,
            boot,
            kind: LeaderKind::Shared,
            build: BUILD.into(),
            observe,
            page_origin: "https://node.example".into(),
            seeds: seeds::merge(servers, browser.seeds.clone()),
            sites: browser.sites.clone(),
            certificates: browser.certificates.clone(),
            warnings: Vec::new(),
            seed: self.rng.u64(..),
        }
    }

    fn announce(&mut self, browser: usize, worker: WorkerId, heard: Option<FrameId>) {
        let Some(worker) = self.browsers[browser].worker_mut(worker) else { return };
        let Some(lead) = &worker.lead else { return };
        let up = Announcement::LeaderUp {
            epoch: lead.epoch,
            boot: lead.boot,
            build: BUILD.into(),
            worker: "/leader.js".into(),
            name: worker.name.clone(),
            kind: LeaderKind::Shared,
            heard,
        };
        let tabs: Vec<FrameId> = self.tabs.iter().filter(|(_, it)| it.browser == browser).map(|it| *it.0).collect();
        for frame in tabs {
            self.through(Pipe::Broadcast(frame), 0, 3, Event::Frame(frame, Fact::Announced(up.clone())));
        }
    }

    /// As the leader's shell does: a hello introduces a frame, and what is meant for another leader is dropped.
    fn on_heard(&mut self, browser: usize, id: WorkerId, frame: FrameId, port: u64, envelope: Envelope<ToLeader>) {
        let Some(worker) = self.browsers[browser].worker_mut(id) else { return };
        let Some(lead) = &mut worker.lead else { return worker.inbox.push_back((frame, port, envelope)) };
        if matches!(envelope.message, ToLeader::Hello(_)) {
            lead.guests.insert(frame, port);
        } else if (envelope.epoch, envelope.boot) != (lead.epoch, lead.boot) {
            return self.remind(browser, id);
        } else if lead.guests.get(&frame) != Some(&port) {
            return;
        }
        self.tell_node(browser, id, Input::Frame(frame, envelope.message));
    }

    /// A frame that speaks to another leader is told who leads.
    fn remind(&mut self, browser: usize, id: WorkerId) {
        let now = self.now;
        let Some(lead) = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_mut()) else { return };
        if lead.reminded.is_none_or(|at| now.since(at) >= REMINDER_PACE) {
            lead.reminded = Some(now);
            self.announce(browser, id, None);
        }
    }

    pub(crate) fn tick_worker(&mut self, browser: usize, worker: WorkerId) {
        self.tell_node(browser, worker, Input::Timeout);
        let next = self.browsers[browser].worker_mut(worker).and_then(|it| it.wake);
        self.must(next.is_none_or(|at| at > self.now), || format!("{browser}'s leader has a timer that never ends"));
    }

    /// A leader takes something in and acts.
    pub(crate) fn tell_node(&mut self, browser: usize, id: WorkerId, input: Input) {
        let now = self.now;
        self.note(|| format!("{browser} < {input:?}"));
        let Some(worker) = self.browsers[browser].worker_mut(id) else { return };
        let Some(lead) = &mut worker.lead else { return };
        let is_timer = matches!(input, Input::Timeout);
        lead.node.handle_input(input, now);
        let mut outputs = Vec::new();
        while let Some(output) = lead.node.poll_output() {
            outputs.push(output);
        }
        let before = std::mem::replace(&mut worker.wake, lead.node.poll_timeout());
        self.timers.put(Who::Worker(browser, id), before, worker.wake);
        let asks = |output: &Output| *output == Output::Uplink(UplinkCommand::Send(ToServer::ARE_YOU_THERE));
        if !outputs.iter().all(asks) || is_timer && outputs.is_empty() {
            self.stirred = now;
        }
        for output in outputs {
            self.perform_node(browser, id, output);
        }
    }

    fn perform_node(&mut self, browser: usize, id: WorkerId, output: Output) {
        match output {
            Output::ForgetFrame(frame) => {
                if let Some(lead) = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_mut()) {
                    lead.guests.remove(&frame);
                }
            }
            Output::ForgetSeed(id) => self.browsers[browser].seeds.retain(|it| it.id != id),
            Output::ForgetSite(origin) => self.browsers[browser].sites.retain(|it| it.origin != origin),
            Output::Frame(frame, message) => self.say_to_frame(browser, id, frame, message),
            Output::HandOver => unreachable!("there is one build"),
            Output::SaveCertificate(owner, certificate) => {
                self.browsers[browser].certificates.push((owner, certificate));
            }
            Output::SaveSeed(seed) => {
                let seeds = &mut self.browsers[browser].seeds;
                seeds.retain(|it| it.id != seed.id);
                seeds.push(seed);
            }
            Output::SaveSite(site) => {
                let sites = &mut self.browsers[browser].sites;
                sites.retain(|it| it.origin != site.origin);
                sites.push(site);
            }
            Output::Service { .. } | Output::ServiceCancel { .. } => unreachable!("no site calls a service here"),
            Output::Uplink(command) => self.on_uplink_command(browser, id, command),
            Output::WatchFrame(frame) => self.watch(browser, id, frame),
        }
    }

    fn say_to_frame(&mut self, browser: usize, id: WorkerId, frame: FrameId, message: ToFrame) {
        let Some(lead) = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_ref()) else { return };
        let Some(port) = lead.guests.get(&frame).copied() else { return };
        let envelope = Envelope { epoch: lead.epoch, boot: lead.boot, message };
        self.through(Pipe::PortDown(frame, port), 0, 3, Event::Frame(frame, Fact::Heard(port, envelope)));
    }

    fn watch(&mut self, browser: usize, id: WorkerId, frame: FrameId) {
        let space = self.tabs.get(&frame).map(|it| it.space);
        let Some(worker) = self.browsers[browser].worker_mut(id) else { return };
        if space != Some(worker.space) {
            self.evidence.frames_unseen += 1;
            self.later(1, 30, Event::Worker(browser, id, News::FrameUnseen(frame)));
        } else if let Some(lead) = &mut worker.lead {
            lead.watched.insert(frame);
        }
    }
}
