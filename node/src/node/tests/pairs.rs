//! Two personas of two nodes that dial each other in every way, again and again, while their frames die. When nothing happens to them any
//! longer, both use the same connection, and the same one stands by, for as long as their session speaks. Then they hang up.
//!
//! The nodes are real. What is around them is simulated:
//!
//! | what | how it behaves here |
//! | --- | --- |
//! | the server | passes signals on, or says that their receiver isn't there; introduces whoever dials an address up to 3 s later |
//! | connections | stand when both ends have each other's signals, and are up at each end at its own time, at most 6 s later; ordered |
//! | frames | two at each node; another comes when one dies, and the node learns of the death within 0.7 s |
//! | the session | after the last act speaks every 20 s for 70 s, as an open stream does |
//! | the other end | notices within 0.12 s that it was hung up; that a frame died with its end, at once or after up to 9 s |
//!
//! `SEED=n` runs the worlds of one seed, `TIMES=20` those of twenty times as many.

use std::{collections::BTreeMap, ops::Range};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    address::{Address, Owner, Token},
    local::{Dial, Door},
};

use super::{
    addresses::{KEPT, PROXY, identity},
    lab::*,
    *,
};
use crate::{Config, Node, links::Table, pair::Pair, sites::acquaintances::Acquaintance};

#[test]
fn both_ends_are_left_with_the_same_link_and_the_same_standby() {
    let mut sum = Evidence::default();
    let kinds = [(false, true), (true, true), (true, false)];
    for (seed, (signals, acquainted)) in seeds(200).flat_map(|seed| kinds.map(|kind| (seed, kind))) {
        let mut world = World::new(seed, signals, acquainted, sum);
        for after in [20, 30, 60, 140] {
            world.run(LAST_ACT + Duration::from_secs(after));
            let world_is = format!("signals passed on: {signals}, acquainted: {acquainted}");
            world.check(&format!("seed {seed}, {after} s after the last act, {world_is}"), after);
            let stands_by = after == 60 && world.pair(Table::standby_to)[0].is_some();
            world.evidence.standbys += usize::from(stands_by);
        }
        sum = world.evidence;
    }
    let lively = sum.connections > 3000 && sum.crossings > 300 && sum.standbys > 80 && sum.switches > 1500;
    assert!(lively || std::env::var("SEED").is_ok(), "the worlds are too quiet to show anything: {sum:?}");
}

const LAST_ACT: Instant = Instant::from_millis(40_000);

const LAST_WORD: Instant = Instant::from_millis(110_000);

/// What happened, in all worlds so far.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    connections: usize,
    /// Addresses that were dialled while the other node was dialling one.
    crossings: usize,
    /// Worlds that had one a minute after the last act.
    standbys: usize,
    switches: usize,
}

/// What happens later. Nodes and ends go by their places in the world's lists.
#[derive(Debug)]
enum Event {
    /// Somebody dials, speaks or dies.
    Act,
    /// A node dials the other's address.
    Dial(usize),
    End(usize, LinkEvent),
    Node(usize, Input),
    /// A session of a node speaks.
    Speak(usize),
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    node: usize,
    frame: FrameId,
    link: LinkId,
    door: Door,
    /// Whose signal it has.
    remote: Option<usize>,
    over: bool,
    /// When the last of what is on its way to it arrives.
    last: Instant,
}

struct World {
    rng: fastrand::Rng,
    now: Instant,
    agenda: BTreeMap<(Instant, usize), Event>,
    counted: usize,
    nodes: [Node; 2],
    frames: [Vec<FrameId>; 2],
    ends: Vec<End>,
    /// Whether the server passes signals on.
    signals: bool,
    /// When a node said last that it uses another link.
    switched: Instant,
    evidence: Evidence,
}

impl World {
    fn new(seed: u64, signals: bool, acquainted: bool, evidence: Evidence) -> Self {
        let mut world = Self {
            rng: fastrand::Rng::with_seed(seed),
            now: Instant::START,
            agenda: BTreeMap::new(),
            counted: 0,
            nodes: [0, 1].map(|node| Node::new(config_of(node, seed, acquainted), Instant::START)),
            frames: [Vec::new(), Vec::new()],
            ends: Vec::new(),
            signals,
            switched: Instant::START,
            evidence,
        };
        for node in [0, 1] {
            world.add_frame(node);
            world.add_frame(node);
            world.input(node, Input::Uplink(UplinkEvent::Open { server: SERVER.into() }));
            world.input(node, from_server(ToNode::Challenge { nonce: NONCE, wire: WIRE, unix_ms: 0 }));
            world.input(node, from_server(ToNode::Entered { proxies: vec![PROXY] }));
            // Each act is followed by another, so there are two series, and some acts fall together.
            world.later(200..250, Event::Act);
            world.later(40_000..60_000, Event::Speak(node));
        }
        world
    }

    fn run(&mut self, until: Instant) {
        loop {
            let due = |node: usize| Some((self.nodes[node].poll_timeout()?.max(self.now), Some(node)));
            let event = self.agenda.first_key_value().map(|((at, _), _)| (*at, None));
            let next = [event, due(0), due(1)].into_iter().flatten().min();
            let Some((at, timer)) = next.filter(|(at, _)| *at <= until) else { return };
            self.now = at;
            match timer {
                Some(node) => self.input(node, Input::Timeout),
                None => self.happen(),
            }
        }
    }

    fn happen(&mut self) {
        match self.agenda.pop_first().expect("something is due").1 {
            Event::Act if self.now < LAST_ACT => self.act(),
            Event::Dial(node) => self.dial_address(node),
            Event::Node(node, Input::Frame(frame, _)) if !self.frames[node].contains(&frame) => {}
            Event::Node(node, input) => self.input(node, input),
            Event::End(end, event) if !self.ends[end].over => {
                let End { node, frame, link, over, .. } = &mut self.ends[end];
                *over = matches!(event, LinkEvent::Down(_));
                let (node, input) = (*node, Input::Frame(*frame, ToLeader::Link(*link, event)));
                self.input(node, input);
            }
            Event::Speak(node) if self.now < LAST_WORD => {
                self.later(20_000..20_001, Event::Speak(node));
                self.speak(node, self.frames[node][0]);
            }
            Event::Act | Event::End(..) | Event::Speak(_) => {}
        }
    }

    fn later(&mut self, ms: Range<u64>, event: Event) {
        self.counted += 1;
        let mut at = self.now + Duration::from_millis(self.rng.u64(ms));
        if let Event::End(end, _) = event {
            at = at.max(self.ends[end].last);
            self.ends[end].last = at;
        }
        self.agenda.insert((at, self.counted), event);
    }

    fn act(&mut self) {
        self.later(10..9000, Event::Act);
        let node = self.rng.usize(0..2);
        let (pair, frame) = (pair_of(node), self.frames[node][self.rng.usize(0..2)]);
        match self.rng.u8(0..10) {
            0..3 => self.dial_address(node),
            // All that there was is over, and both dial at once.
            3..5 => {
                self.frames[node].clone().into_iter().for_each(|frame| self.die(node, frame));
                [node, 1 - node].into_iter().for_each(|node| self.later(600..1600, Event::Dial(node)));
            }
            5 => self.speak(node, frame),
            6 => {
                let _ = self.nodes[node].with_links(|links, around| links.dial(pair, around));
            }
            _ => self.die(node, frame),
        }
        self.input(node, Input::Timeout);
    }

    fn dial_address(&mut self, node: usize) {
        let _ =
            self.nodes[node].with_links(|links, around| links.dial_address(pair_of(node), &address(1 - node), around));
        self.input(node, Input::Timeout);
    }

    fn speak(&mut self, node: usize, frame: FrameId) {
        let Pair { own: from, peer: to } = pair_of(node);
        let packet = Packet { to, to_frame: None, from, from_frame: frame, session: SESSION, body: open() };
        self.input(node, Input::Frame(frame, ToLeader::Packet(packet)));
    }

    fn die(&mut self, node: usize, frame: FrameId) {
        self.frames[node].retain(|it| *it != frame);
        for end in 0..self.ends.len() {
            if self.ends[end].frame == frame {
                let noticed = if self.rng.bool() { 20..200 } else { 3000..9000 };
                self.end(end, noticed);
            }
        }
        self.later(5..700, Event::Node(node, Input::FrameGone(frame)));
        self.add_frame(node);
    }

    fn add_frame(&mut self, node: usize) {
        let frame = FrameId::from_random(std::array::from_fn(|_| self.rng.u8(..)));
        self.frames[node].push(frame);
        let talks = vec![pair_of(node).peer];
        self.input(node, Input::Frame(frame, ToLeader::Hello(Hello { talks, ..hello(frame, SITE) })));
    }

    fn input(&mut self, node: usize, input: Input) {
        self.nodes[node].handle_input(input, self.now);
        while let Some(output) = self.nodes[node].poll_output() {
            match output {
                Output::Frame(frame, ToFrame::Link(link, LinkCommand::Dial(Dial { door, .. }))) => {
                    self.dial(End { node, frame, link, door, remote: None, over: false, last: self.now });
                }
                Output::Frame(_, ToFrame::Link(link, command)) => self.command(node, link, command),
                Output::Frame(frame, ToFrame::Ping) => {
                    self.later(3..4, Event::Node(node, Input::Frame(frame, ToLeader::Pong)));
                }
                Output::Uplink(UplinkCommand::Send(message)) => self.serve(node, message),
                _ => {}
            }
        }
    }

    fn serve(&mut self, node: usize, message: ToServer) {
        let (to, answer) = match message {
            ToServer::Listen { owner, fingerprint, .. } => (node, ToNode::Listening(Token::of(owner, &fingerprint))),
            ToServer::Lookup(persona) => (node, ToNode::Missing(persona)),
            ToServer::Signal { from, to, .. } if !self.signals => (node, ToNode::Unreachable { from, to }),
            ToServer::Signal { from, to, signal } => (1 - node, ToNode::Signal { from, to, signal }),
            _ => return,
        };
        self.later(5..60, Event::Node(to, from_server(answer)));
    }

    /// A frame makes an end of a connection. The signal of an end is its number.
    fn dial(&mut self, mut new: End) {
        let (end, is_address) = (self.ends.len(), |it: &End| matches!(it.door, Door::Address { .. }));
        let crosses = |it: &End| is_address(it) && it.node != new.node && it.remote.is_none() && !it.over;
        self.evidence.crossings += usize::from(is_address(&new) && self.ends.iter().any(crosses));
        new.over = !self.frames[new.node].contains(&new.frame);
        let (node, door, over, signal) = (new.node, new.door.clone(), new.over, end.to_le_bytes().to_vec());
        self.ends.push(new);
        match door {
            Door::Address { token, .. } if !over => {
                let introduced = ToNode::Dialled { passage: end as u64, token, signal };
                self.later(20..3000, Event::Node(1 - node, from_server(introduced)));
            }
            Door::Signals => self.later(5..100, Event::End(end, LinkEvent::Signal(signal))),
            Door::Address { .. } | Door::Introduced { .. } => {}
        }
    }

    fn command(&mut self, node: usize, link: LinkId, command: LinkCommand) {
        let Some(end) = self.ends.iter().position(|it| it.node == node && it.link == link) else { return };
        match command {
            LinkCommand::HangUp => self.end(end, 20..120),
            LinkCommand::Send(bytes) if !self.ends[end].over => {
                if codec::decode(&bytes, MAX_LINK) == Ok(LinkMessage::Control(Control::Switch)) {
                    self.evidence.switches += 1;
                    self.switched = self.now;
                }
                if let Some(other) = self.other(end) {
                    self.later(20..120, Event::End(other, LinkEvent::Received(bytes)));
                }
            }
            LinkCommand::Signal(signal) => {
                let remote = usize::from_le_bytes(signal.try_into().expect("it is a number"));
                self.connect(end, remote);
            }
            _ => {}
        }
    }

    /// An end has the other's signal. Whoever dials an address needs none.
    fn connect(&mut self, end: usize, remote: usize) {
        self.ends[end].remote = Some(remote);
        if matches!(self.ends[end].door, Door::Introduced { .. }) {
            self.ends[remote].remote = Some(end);
        }
        if self.is_connection(end, remote) {
            self.evidence.connections += 1;
            for end in [end, remote] {
                let Pair { own, peer } = pair_of(self.ends[end].node);
                let (sign, up) = (LinkEvent::Sign { text: identity(own, peer), proof: None }, LinkEvent::Up(peer));
                let most = if self.rng.u8(0..4) == 0 { 6000 } else { 300 };
                self.later(5..most, Event::End(end, sign));
                self.later(10..most, Event::End(end, up));
            }
        }
    }

    fn other(&self, end: usize) -> Option<usize> {
        self.ends[end].remote.filter(|other| self.ends[*other].remote == Some(end))
    }

    fn is_connection(&self, end: usize, other: usize) -> bool {
        self.other(end) == Some(other) && [end, other].iter().all(|it| !self.ends[*it].over)
    }

    /// An end is over, and the other end will notice.
    fn end(&mut self, end: usize, noticed: Range<u64>) {
        let was_over = std::mem::replace(&mut self.ends[end].over, true);
        if let Some(other) = self.other(end).filter(|_| !was_over) {
            self.later(noticed, Event::End(other, LinkEvent::Down(DownReason::HungUp)));
        }
    }

    /// What must be true so many seconds after the last act.
    fn check(&self, when: &str, after: u64) {
        let agreed = |pair: [Option<usize>; 2]| match pair {
            [Some(end), Some(other)] => self.is_connection(end, other),
            other => other == [None, None],
        };
        let (used, standbys) = (self.pair(Table::up_to), self.pair(Table::standby_to));
        assert!(agreed(used), "{when}: they use the ends {used:?}");
        assert!(after < 60 || agreed(standbys), "{when}: the ends {standbys:?} stand by");
        assert!(after < 140 || used == [None, None], "{when}: nobody needs {used:?}");
        let is_known = |it: &End| it.over || self.nodes[it.node].links.table().link(it.link).is_some();
        let unknown = self.ends.iter().find(|it| !is_known(it));
        assert!(after < 60 || unknown.is_none(), "{when}: its node doesn't know {unknown:?}");
        let rest = LAST_ACT + Duration::from_secs(32);
        assert!(self.switched < rest, "{when}: a switch at {:?}", self.switched);
    }

    /// The ends that the two nodes have of a link to each other.
    fn pair(&self, link_to: fn(&Table, Pair) -> Option<LinkId>) -> [Option<usize>; 2] {
        [0, 1].map(|node| {
            let link = link_to(self.nodes[node].links.table(), pair_of(node))?;
            self.ends.iter().position(|it| it.node == node && it.link == link)
        })
    }
}

fn config_of(node: usize, seed: u64, acquainted: bool) -> Config {
    let secret = secret(node);
    let accepted = acquainted.then(|| Acquaintance { peer: pair_of(node).peer, at: u64::MAX }).into_iter().collect();
    let sites = vec![KnownSite { origin: SITE.into(), accepted, ..KnownSite::default() }];
    let seeds = vec![Seed::new(SeedId::Server(URL.into()))];
    let certificates = vec![(Owner::Persona(pair_of(node).own), KEPT)];
    Config { secret, seeds, sites, certificates, seed: 2 * seed + node as u64, ..config() }
}

fn secret(node: usize) -> NodeSecret {
    if node == 0 { home() } else { away() }
}

/// The persona of a node, and its peer.
fn pair_of(node: usize) -> Pair {
    let [own, peer] = [node, 1 - node].map(|node| secret(node).persona(SITE).id());
    Pair { own, peer }
}

/// The address of a node's persona.
fn address(node: usize) -> Address {
    let persona = secret(node).persona(SITE);
    let owner = Owner::Persona(persona.id());
    Address::sign(owner, KEPT.fingerprint, &[PROXY], KEPT.expires, None, |text| persona.sign(text))
}

fn from_server(message: ToNode) -> Input {
    Input::Uplink(UplinkEvent::Received(message))
}

fn seeds(count: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("it is a number"));
    number("SEED").map_or(0..count * number("TIMES").unwrap_or(1), |seed| seed..seed + 1)
}
