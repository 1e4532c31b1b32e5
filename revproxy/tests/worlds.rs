//! Deterministic worlds: ICE agents that dial each other through the proxy machine, over a network that loses, delays, reorders and
//! doubles.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    time::Duration,
};

use bitters_machine::{Machine, time::Instant};
use bitters_peercon::{
    Credentials,
    packed::{PASSWORD, Packed},
    signal::Signal,
};
use bitters_revproxy::core::{
    proxy::{Config, Dropped, Ended, Input, Load, Outgoing, Output, Path, Proxy, Restart, Socket},
    rendezvous::ConnId,
};
use bitters_wire::{address::Token, rendezvous::ToNode};
use fastrand::Rng;
use support::{
    agent::Agent,
    stun::{check, name},
};

const DIALS: u16 = 12;
const STEP: Duration = Duration::from_millis(5);

/// How bad a network is, out of a hundred packets.
#[derive(Clone, Copy)]
struct Weather {
    lost: u32,
    doubled: u32,
}

const GOOD: Weather = Weather { lost: 0, doubled: 0 };
const BAD: Weather = Weather { lost: 20, doubled: 10 };

#[test]
fn every_dial_opens() {
    let (mut conflicts, mut slowest) = (0, Duration::ZERO);
    for seed in 0..60 {
        let mut world = World::new(seed, BAD);
        slowest = slowest.max(world.open_all(Duration::from_secs(12)));
        conflicts += world.agents.values().map(|agent| agent.conflicts).sum::<usize>();
        let counts = world.machine.counts();
        assert_eq!((counts.dialled, counts.answered), (u64::from(DIALS), u64::from(DIALS)), "seed {seed}");
        assert_eq!(counts.ended(Ended::Spent) + counts.ended(Ended::TimedOut), 0, "seed {seed}");
        assert!(world.lost > 50 && world.doubled > 20, "seed {seed}: the network is too good");
    }
    assert!(conflicts > 300, "{conflicts} role conflicts in 720 dials");
    assert!(slowest < Duration::from_secs(6), "{slowest:?}");
}

#[test]
fn a_dial_takes_two_round_trips_where_nothing_is_lost() {
    for seed in 0..20 {
        let mut world = World::new(seed, GOOD);
        let slowest = world.open_all(Duration::from_secs(2));
        assert!(slowest < Duration::from_millis(900), "seed {seed}: {slowest:?}");
    }
}

#[test]
fn after_the_restart_nothing_passes_and_all_is_forgotten() {
    for seed in 0..20 {
        let mut world = World::new(seed, BAD);
        world.open_all(Duration::from_secs(12));

        // All are direct now: nothing more is sent here, but for a check of each that crossed.
        world.agents.clear();
        world.run(Duration::from_secs(1), |_| false);
        let passed = world.passed();
        for n in 0..DIALS {
            let ghost = check(7, &name(&packed(n).to_ufrag(), "NEWd"), PASSWORD);
            world.deliver(dialler(n), &ghost);
        }
        world.run(Duration::from_secs(5), |_| false);

        assert_eq!(world.passed(), passed, "seed {seed}");
        assert_eq!(world.machine.counts().dropped(Dropped::Ghost), u64::from(DIALS), "seed {seed}");
        assert_eq!(world.machine.counts().ended(Ended::Idle), u64::from(DIALS), "seed {seed}");
        world.run(Duration::from_secs(30), |_| false);
        assert_eq!(world.machine.load(), Load { listeners: usize::from(DIALS), ..Load::default() }, "seed {seed}");
    }
}

#[test]
fn without_a_direct_path_packets_pass_within_the_budget() {
    for seed in 0..4 {
        let mut world = World::new(seed, BAD);
        world.open_all(Duration::from_secs(12));
        world.agents.clear();
        for n in 0..DIALS {
            let local = |ufrag: &str| (format!("{ufrag}{n}"), format!("a+new+password+for+{ufrag}"));
            let [ours, theirs] = ["NEWl", "NEWd"].map(|ufrag| {
                let (ufrag, password) = local(ufrag);
                Credentials::new(&ufrag, &password).unwrap()
            });
            let restart = Some(Restart { ours, theirs });
            world.input(Input::Forward { conn: ConnId(n.into()), passage: world.passages[&n], restart });
            // Some browsers keep their ports.
            let moved = |path: Path| if n % 2 == 0 { path } else { at(path, path.peer.port() + 5000) };
            world.agent(moved(dialler(n)), local("NEWd"), local("NEWl"), true);
            world.agent(moved(listener(n)), local("NEWl"), local("NEWd"), false);
        }

        world.run(Duration::from_secs(12), World::all_open);

        assert!(world.all_open(), "seed {seed}");
        assert_eq!(world.machine.load().relaying, usize::from(DIALS), "seed {seed}");
        // Then somebody takes it for a relay.
        world.agents.clear();
        let (from, to) = (moved_dialler(1), 16 * 1024 * 1024_usize);
        let mut sent = 0;
        while world.machine.counts().ended(Ended::Spent) == 0 {
            world.deliver(from, &vec![22; 1200]);
            sent += 1200;
            world.run(Duration::from_millis(5), |_| false);
            assert!(sent <= to, "seed {seed}");
        }
        assert!(sent > to - 300_000, "seed {seed}: {sent}");
        assert_eq!(world.machine.load().passages, 0, "seed {seed}: the others fell silent");
    }
}

struct World {
    machine: Proxy,
    now: Instant,
    rng: Rng,
    weather: Weather,
    agents: BTreeMap<Path, Agent>,
    /// The server's numbers of the dials.
    passages: BTreeMap<u16, u64>,
    /// What is on its way to the proxy (`true`) or from it.
    network: BinaryHeap<Reverse<(Instant, u64, Flight)>>,
    /// What is on its way over WebSockets: dials to listeners.
    told: BinaryHeap<Reverse<(Instant, u64, u16, u64)>>,
    sequence: u64,
    lost: u64,
    doubled: u64,
}

/// A datagram on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    path: Path,
    to_proxy: bool,
    bytes: Vec<u8>,
}

impl World {
    /// In which everybody dials at once.
    fn new(seed: u64, weather: Weather) -> Self {
        let mut world = Self {
            machine: Proxy::new(Config::default(), [7; 32]),
            now: Instant::START,
            rng: Rng::with_seed(seed),
            weather,
            agents: BTreeMap::new(),
            passages: BTreeMap::new(),
            network: BinaryHeap::new(),
            told: BinaryHeap::new(),
            sequence: 0,
            lost: 0,
            doubled: 0,
        };
        for n in 0..DIALS {
            let proxies = [SocketAddr::from(([192, 0, 2, 99], 3478))].into();
            world.input(Input::Listen { conn: ConnId(n.into()), token: token(n), proxies });
            let packed = packed(n);
            let remote = (packed.to_ufrag(), PASSWORD.to_owned());
            world.agent(dialler(n), (format!("du{n:02}"), packed.password), remote, true);
        }
        world
    }

    fn agent(&mut self, path: Path, local: (String, String), remote: (String, String), active: bool) {
        let agent = Agent::new(local, remote, active, self.now, &mut self.rng);
        self.agents.insert(path, agent);
    }

    /// Runs until all dials are open, and says how long that took.
    fn open_all(&mut self, within: Duration) -> Duration {
        self.run(within, Self::all_open);
        assert!(
            self.all_open(),
            "not open: {:?}",
            self.agents.iter().filter(|(_, agent)| !agent.open).collect::<Vec<_>>()
        );
        self.now.since(Instant::START)
    }

    fn all_open(&self) -> bool {
        self.agents.len() == 2 * usize::from(DIALS) && self.agents.values().all(|agent| agent.open)
    }

    fn passed(&self) -> u64 {
        let counts = self.machine.counts();
        counts.to_diallers.packets + counts.to_listeners.packets
    }

    fn run(&mut self, time: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + time;
        while self.now < end && !done(self) {
            self.now = self.now + STEP;
            if self.machine.poll_timeout().is_some_and(|at| at <= self.now) {
                self.input(Input::Timeout);
            }
            let paths: Vec<_> = self.agents.keys().copied().collect();
            for path in paths {
                let packets = self.agents.get_mut(&path).unwrap().tick(self.now, &mut self.rng);
                packets.iter().for_each(|packet| self.send(path, true, packet));
            }
            self.arrive();
        }
    }

    fn arrive(&mut self) {
        while let Some(Reverse((at, ..))) = self.told.peek()
            && *at <= self.now
        {
            let Reverse((_, _, n, passage)) = self.told.pop().unwrap();
            self.on_dialled(n, passage);
        }
        while let Some(Reverse((at, ..))) = self.network.peek()
            && *at <= self.now
        {
            let Reverse((_, _, Flight { path, to_proxy, bytes })) = self.network.pop().unwrap();
            if to_proxy {
                self.deliver(path, &bytes);
            } else if let Some(agent) = self.agents.get_mut(&path) {
                let answers = agent.receive(&bytes, self.now);
                answers.iter().for_each(|answer| self.send(path, true, answer));
            }
        }
    }

    fn deliver(&mut self, path: Path, bytes: &[u8]) {
        let mut out = Outgoing::new();
        self.machine.handle_datagram(path, bytes, self.now, &mut out);
        for (path, bytes) in out.iter() {
            self.send(path, false, bytes);
        }
        self.drain();
    }

    fn input(&mut self, input: Input) {
        self.machine.handle_input(input, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(Output::Send(conn, message)) = self.machine.poll_output() {
            let ToNode::Dialled { passage, signal, .. } = message else { panic!("{message:?}") };
            assert!(Signal::decode(&signal).is_ok());
            let at = self.now + Duration::from_millis(self.rng.u64(5..60));
            self.sequence += 1;
            self.told.push(Reverse((at, self.sequence, u16::try_from(conn.0).unwrap(), passage)));
        }
    }

    fn on_dialled(&mut self, n: u16, passage: u64) {
        self.passages.insert(n, passage);
        let local = (format!("li{n:02}"), format!("thelistener+spassword+{n:02}"));
        let credentials = Credentials::new(&local.0, &local.1).unwrap();
        self.input(Input::Answer { conn: ConnId(n.into()), passage, credentials });
        self.agent(listener(n), local, (format!("du{n:02}"), packed(n).password), false);
    }

    fn send(&mut self, path: Path, to_proxy: bool, bytes: &[u8]) {
        if self.rng.u32(..100) < self.weather.lost {
            self.lost += 1;
            return;
        }
        let copies = 1 + u64::from(self.rng.u32(..100) < self.weather.doubled);
        self.doubled += copies - 1;
        for _ in 0..copies {
            let at = self.now + Duration::from_millis(self.rng.u64(5..60));
            self.sequence += 1;
            let flight = Flight { path, to_proxy, bytes: bytes.to_vec() };
            self.network.push(Reverse((at, self.sequence, flight)));
        }
    }
}

fn token(n: u16) -> Token {
    let [high, low] = n.to_be_bytes();
    Token([1, 2, 3, 4, high, low])
}

fn packed(n: u16) -> Packed {
    let [high, low] = n.to_be_bytes();
    let mut fingerprint = [9; 32];
    fingerprint[..2].copy_from_slice(&[high, low]);
    Packed { token: token(n), fingerprint, password: format!("thedialler+spassword+{n:04}") }
}

fn dialler(n: u16) -> Path {
    Path { socket: Socket { index: n % 2, ip: None }, peer: ([203, 0, 113, 1], 1000 + n).into() }
}

fn moved_dialler(n: u16) -> Path {
    at(dialler(n), dialler(n).peer.port() + 5000)
}

fn listener(n: u16) -> Path {
    Path { socket: Socket { index: (n / 2) % 2, ip: None }, peer: ([203, 0, 113, 2], 1000 + n).into() }
}

fn at(path: Path, port: u16) -> Path {
    Path { peer: (path.peer.ip(), port).into(), ..path }
}
