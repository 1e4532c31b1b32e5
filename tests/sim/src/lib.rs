//! A deterministic world: every frame is the real [`Site`](bitters_frame_core::site::Site) with its real sessions, every leader a real
//! [`Node`](bitters_node::Node), and the rendezvous and the proxy are the real machines. A world is its seed: the same seed tells the same
//! story. Only what browsers do is simulated (see `docs/browser-facts.md`):
//!
//! | what | how it behaves here |
//! | --- | --- |
//! | ports | ordered; they die with their worker, and what was under way is lost |
//! | BroadcastChannel | everybody else of the browser hears it, a little later |
//! | Web Locks | a dead frame's lock is granted after 30 to 90 ms, now and then 473; what opens after the person deleted the data has a namespace of its own |
//! | connections | stand when both ends have each other's signals; ordered; an end whose other end died notices after 5 to 15 s |
//! | the proxy | the real machine is sent both ends' first checks; what follows them isn't sent by it |
//! | the database | may have no room for certificates |
//! | the server | stops, or falls silent behind its open sockets; a middlebox forgets a socket; among hostile nodes it drops and delays signals |
//! | hostile nodes | sockets, keys and ends of connections, without a browser; they do at once what strangers can do |
//! | hostile members | browsers whose nodes are honest, and whose links aren't: what is sent there is kept back, and other things are said |
//! | a frozen page | takes nothing in and its timers wait; all of it comes at once when it thaws |
//! | a suspended machine | the same for all of a browser |
//!
//! [`Model`] knows what every page wrote, called and said, and checks what every page reads, is answered and hears, as it happens.

mod browser;
mod chance;
mod connection;
mod convergence;
mod crowd;
mod event;
mod evidence;
mod fault;
mod gossip;
mod host;
mod hostile;
mod insider;
mod leader;
mod link;
mod model;
mod nosy;
mod notes;
mod peace;
mod proxy;
mod scenes;
mod story;
mod stranger;
mod stream;
mod strike;
mod tab;
mod timers;
mod uplink;

use std::{collections::BTreeMap, time::Duration};

use bitters_machine::{agenda::Agenda, time::Instant};
use bitters_wire::{id::FrameId, keys::NodeSecret, rendezvous::ToNode};

pub use browser::{Browser, WorkerId};
pub use crowd::Crowd;
pub use evidence::Evidence;
pub use fault::Pair;
pub use gossip::Gossip;
pub use hostile::{Because, Dialled, Hostile};
pub use model::Model;
pub use nosy::Nosy;
pub use notes::{ATTEMPT, COUNTER, Notes};
pub use story::{Harm, ORIGINS, Story};
pub use tab::Tab;

use event::{Event, News, Pipe, Turn};
use insider::Insiders;
use stranger::Strangers;
use timers::{Timers, Who};
use uplink::{SERVER, Server};

/// More can't happen at one moment, not even when a machine wakes.
const MAX_STEPS: usize = 10_000;

/// Browsers, their pages, and a rendezvous.
#[derive(Debug)]
pub struct World {
    /// Its seed.
    pub seed: u64,
    /// The time.
    pub now: Instant,
    /// All browsers.
    pub browsers: Vec<Browser>,
    /// All open pages.
    pub tabs: BTreeMap<FrameId, Tab>,
    /// What was done, and so must be seen.
    pub model: Model,
    /// What happened.
    pub evidence: Evidence,
    /// What browsers that are nosy were told.
    pub notes: Notes,
    /// Everything that any machine took in, in order, if the world is traced.
    pub trace: Vec<String>,
    /// Of a hundred pages so many join the lobby as soon as they are welcomed.
    pub sociable: u8,
    /// Whether pages watch the node, and one site may see the whole of it.
    pub curious: bool,
    /// Servers that the nodes' seeds name.
    pub servers: Vec<&'static str>,
    /// Whether nothing goes wrong any longer.
    peace: bool,
    /// Whether all that went wrong is over and done with.
    settled: bool,
    /// When anything happened last but that a leader asked whether the server is there, and was answered.
    stirred: Instant,
    rng: fastrand::Rng,
    agenda: Agenda<Event, Pipe>,
    timers: Timers,
    server: Server,
    strangers: Strangers,
    insiders: Insiders,
    /// Browsers that can't reach each other.
    apart: Vec<Pair>,
    /// Ports opened so far.
    ports: u64,
    tracing: bool,
    /// Steps since time went on.
    steps: usize,
}

impl World {
    /// A world of `browsers` without pages.
    #[must_use]
    pub fn new(seed: u64, browsers: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let server = Server::new(rng.u64(..));
        let browsers = (0..browsers).map(|_| Browser::new(NodeSecret::new(std::array::from_fn(|_| rng.u8(..)))));
        Self {
            seed,
            now: Instant::START,
            browsers: browsers.collect(),
            tabs: BTreeMap::new(),
            model: Model::default(),
            evidence: Evidence::default(),
            notes: Notes::default(),
            trace: Vec::new(),
            sociable: 85,
            curious: false,
            servers: vec![SERVER],
            peace: false,
            settled: false,
            stirred: Instant::START,
            rng,
            agenda: Agenda::default(),
            timers: Timers::default(),
            server,
            strangers: Strangers::default(),
            insiders: Insiders::default(),
            apart: Vec::new(),
            ports: 0,
            tracing: false,
            steps: 0,
        }
    }

    /// Keeps a trace of everything that any machine takes in.
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.tracing = true;
        self
    }

    /// Goes on until `until`.
    pub fn run_until(&mut self, until: Instant) {
        while let Some(at) = self.next().filter(|at| *at <= until) {
            self.steps = if at > self.now { 0 } else { self.steps + 1 };
            self.must(self.steps < MAX_STEPS, || "the world spins and time stands still".into());
            self.now = self.now.max(at);
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Goes on for a while.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// When something happens next.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next_timer().into_iter().chain(self.server.poll_timeout()).min()
    }

    /// When something happens in a browser next.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.next_wake().into_iter().chain(self.agenda.next()).min()
    }

    fn step(&mut self) {
        let now = self.now;
        match self.due() {
            Some(Who::Worker(browser, worker)) => self.tick_worker(browser, worker),
            Some(Who::Tab(frame)) => {
                self.stirred = now;
                self.tick_tab(frame);
            }
            None if self.server.poll_timeout().is_some_and(|at| at <= now) => self.tick_server(),
            None => {
                if let Some(event) = self.agenda.take() {
                    self.happen(event);
                }
            }
        }
    }

    fn happen(&mut self, event: Event) {
        if !self.is_idle(&event) {
            self.stirred = self.now;
        }
        match event {
            Event::Check(dial) => self.on_check(dial),
            Event::CheckBack(dial) => self.on_check_back(dial),
            Event::Frame(frame, fact) => {
                let Some(tab) = self.tabs.get_mut(&frame) else { return self.on_strangers_fact(frame, &fact) };
                if tab.frozen {
                    return tab.waiting.push_back(fact);
                }
                let browser = tab.browser;
                if self.browsers[browser].asleep {
                    return self.browsers[browser].waiting.push_back(Event::Frame(frame, fact));
                }
                self.on_fact(frame, fact);
            }
            Event::Server(conn, bytes) => self.on_server_hears(conn, bytes),
            Event::Turn(turn) => self.on_turn(turn),
            Event::Worker(browser, worker, news) => {
                if self.browsers[browser].asleep {
                    return self.browsers[browser].waiting.push_back(Event::Worker(browser, worker, news));
                }
                self.on_news(browser, worker, news);
            }
        }
    }

    /// Whether this is about a leader's question whether the server is there. What a leader says is noted as it says it.
    fn is_idle(&self, event: &Event) -> bool {
        match event {
            Event::Server(..) => true,
            Event::Worker(_, _, News::SocketSays(_, message)) => *message == ToNode::HERE_I_AM,
            _ => false,
        }
    }

    fn on_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Intrigues(browser) => self.intrigue(browser),
            Turn::Missed(conn) => self.miss_socket(conn),
            Turn::Repaired(pair) => self.repair(pair),
            Turn::Speaks(silence) if silence == self.evidence.server_silences => self.unmute_server(),
            Turn::Speaks(_) => {}
            Turn::Strikes(node) => self.strike(node),
            Turn::Thaws(frame) => self.thaw(frame),
            Turn::Wakes(browser) => self.wake(browser),
        }
    }

    fn later(&mut self, from: u64, to: u64, event: Event) {
        let at = self.now + self.millis(from, to);
        self.agenda.at(at, event);
    }

    fn through(&mut self, pipe: Pipe, from: u64, to: u64, event: Event) {
        let latency = self.millis(from, to);
        self.agenda.through(pipe, self.now, latency, event);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.tracing {
            let at = self.now.as_millis();
            self.trace.push(format!("{at:>7} {}", what()));
        }
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.rng.u64(from..=to))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.rng.u8(..))
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    /// A chance that something goes wrong.
    fn mishap(&mut self, percent: u8) -> bool {
        !self.peace && self.chance(percent)
    }

    /// Nothing that must not be has happened, or the story ends here.
    fn must(&self, holds: bool, what: impl FnOnce() -> String) {
        assert!(holds, "seed {} at {} ms: {}", self.seed, self.now.as_millis(), what());
    }
}

impl Drop for World {
    /// A traced world that goes wrong tells its story.
    fn drop(&mut self) {
        if self.tracing && std::thread::panicking() {
            for line in &self.trace {
                eprintln!("{line}");
            }
        }
    }
}
