//! Many overlays on one clock: links with delays, births, deaths that are noticed late, NATs, and neighbours that lie.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use bitters_machine::{Machine, time::Instant};
use bitters_overlay::{
    Input, Output, Overlay,
    message::{Card, Message, Question, Reach, Secret, Target, Token},
    position::Position,
};
use bitters_wire::id::NodeId;

use crate::{climate::Climate, clock::Clock, figures::Figures};

/// How old a node is before questions are asked by it and of it.
const ASKED: Duration = Duration::from_secs(60);
/// How old a node is before its upkeep is counted.
const SETTLED: Duration = Duration::from_secs(180);
/// From a node's birth to its first links, which a server makes.
const FIRST_LINKS: Duration = Duration::from_millis(300);
/// How many these are.
const SOUGHT: usize = 2;
/// What ICE takes once both descriptions are there.
const ICE: Duration = Duration::from_millis(400);
/// Within what time a crowd comes.
const CROWDING: Duration = Duration::from_secs(10);
/// How many introduction points a node has, and when it has them first and again.
const POINTS: usize = 3;
const REGISTERING: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(300)];
/// When it tries again where it got none.
const REGISTERING_AGAIN: Duration = Duration::from_secs(5);
/// Words between nodes: the first byte says what they are.
const OFFER: u8 = 1;
const WORD: u8 = 2;

struct Node {
    key: NodeId,
    overlay: Option<Overlay>,
    born: Instant,
    reach: Reach,
    is_hole: bool,
    is_liar: bool,
    /// Links by the other end, with the number that each was given when it came up.
    links: BTreeMap<u32, u32>,
    wake: Option<Instant>,
    /// Questions under way, by their token.
    asked: BTreeMap<u64, Asked>,
    points: [Point; POINTS],
}

/// An introduction point of a node's.
struct Point {
    secret: Secret,
    at: Position,
    node: Option<NodeId>,
}

/// What a node's question was about.
#[derive(Clone, Copy)]
enum Asked {
    /// It dials somebody.
    Dial(u32),
    /// It registers.
    Point(usize),
    /// It asks somebody for a word, by that introduction point if not by its name.
    Word { of: u32, at: Instant, point: usize },
}

enum Event {
    Arrive { from: u32, to: u32, link: u32, bytes: Box<[u8]> },
    Ask,
    Born,
    Dies(u32),
    Down { at: u32, of: u32, link: u32 },
    Failed { at: u32, of: u32 },
    Register { node: u32, point: usize },
    Split,
    Up { dialler: u32, other: u32 },
    Wake(u32),
}

/// A world.
pub struct World {
    climate: Climate,
    nodes: Vec<Node>,
    alive: Vec<u32>,
    by_key: HashMap<NodeId, u32>,
    clock: Clock<Event>,
    tokens: u64,
    links: u32,
    /// Names of the routes that carry what sites ask.
    words: HashSet<u64>,
    now: Instant,
    rng: fastrand::Rng,
    figures: Figures,
}

impl World {
    pub fn new(climate: Climate, seed: u64) -> Self {
        let mut world = Self {
            climate,
            nodes: Vec::new(),
            alive: Vec::new(),
            by_key: HashMap::new(),
            clock: Clock::new(),
            tokens: 0,
            links: 0,
            words: HashSet::new(),
            now: Instant::START,
            rng: fastrand::Rng::with_seed(seed),
            figures: Figures::default(),
        };
        world.come(climate.nodes, Duration::ZERO, climate.beginning);
        if let Some((count, at)) = climate.crowd {
            world.come(count, at, CROWDING);
        }
        if let Some([at, _]) = climate.split {
            world.clock.at(Instant::START + at, Event::Split);
        }
        world.clock.at(Instant::START + climate.asking[0], Event::Ask);
        world
    }

    fn come(&mut self, count: usize, from: Duration, within: Duration) {
        for _ in 0..count {
            let at = Instant::START + from + within.mul_f64(self.rng.f64());
            self.clock.at(at, Event::Born);
        }
    }

    /// Runs to the end: until the last question was answered, or given up.
    pub fn run(mut self) -> Figures {
        let end = Instant::START + self.climate.asking[1] + Duration::from_secs(20);
        while let Some((at, event)) = self.clock.next()
            && at <= end
        {
            self.now = at;
            self.happen(event);
        }
        for node in self.alive.clone() {
            self.count_life(node);
        }
        self.figures
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { from, to, link, bytes } => self.arrive(from, to, link, &bytes),
            Event::Ask => self.ask(),
            Event::Born => self.born(),
            Event::Dies(node) => self.dies(node),
            Event::Down { at, of, link } => self.down(at, of, link),
            Event::Failed { at, of } => self.input(at, Input::DialFailed(self.key(of))),
            Event::Register { node, point } => self.register(node, point),
            Event::Split => self.split(),
            Event::Up { dialler, other } => self.up(dialler, other),
            Event::Wake(node) => {
                if self.nodes[node as usize].wake == Some(self.now) {
                    self.nodes[node as usize].wake = None;
                    self.input(node, Input::Timeout);
                }
            }
        }
    }

    fn born(&mut self) {
        let number = u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes");
        let mut key = [0; 32];
        self.rng.fill(&mut key);
        let is_hard = self.percent(self.climate.hard);
        let reach = |is_hard| if is_hard { Reach::Hard } else { Reach::Easy };
        let said = reach(is_hard != self.percent(self.climate.mistaken));
        let node = Node {
            key: NodeId(key),
            overlay: Some(Overlay::new(NodeId(key), said, false, self.rng.u64(..), self.now)),
            born: self.now,
            reach: reach(is_hard),
            is_hole: self.percent(self.climate.holes),
            is_liar: self.percent(self.climate.liars),
            links: BTreeMap::new(),
            wake: None,
            asked: BTreeMap::new(),
            points: std::array::from_fn(|_| Point {
                secret: Secret(self.rng.u128(..).to_be_bytes()),
                at: Position(self.rng.u64(..)),
                node: None,
            }),
        };
        self.nodes.push(node);
        for point in (0..POINTS).filter(|_| self.climate.introduced) {
            self.clock.at(self.now + REGISTERING[0], Event::Register { node: number, point });
        }
        self.by_key.insert(NodeId(key), number);
        self.seek(number);
        self.alive.push(number);
        let life = self.climate.median_life.mul_f64(-self.rng.f64().max(1e-9).log2());
        self.clock.at(self.now + life, Event::Dies(number));
        self.watch(number);
    }

    /// A server links a node with others.
    fn seek(&mut self, node: u32) {
        for _ in 0..SOUGHT {
            let mut anybody = || self.rng.choice(&self.alive).copied();
            let found: Vec<_> = (0..20).filter_map(|_| anybody()).collect();
            if let Some(other) = found.into_iter().find(|other| *other != node && self.can_link(node, *other)) {
                self.clock.at(self.now + FIRST_LINKS, Event::Up { dialler: node, other });
            }
        }
    }

    fn dies(&mut self, node: u32) {
        let is_silent = self.percent(self.climate.silent);
        self.count_life(node);
        self.nodes[node as usize].overlay = None;
        self.alive.retain(|other| *other != node);
        for (other, link) in std::mem::take(&mut self.nodes[node as usize].links) {
            let noticed = if is_silent { self.late() } else { delay(node, other) };
            self.clock.at(self.now + noticed, Event::Down { at: other, of: node, link });
        }
        self.clock.at(self.now, Event::Born);
    }

    /// Links between the halves end: each end notices when it has heard nothing for long.
    fn split(&mut self) {
        for node in self.alive.clone() {
            let of_others = |(other, _): &(&u32, &u32)| self.is_split(node, **other);
            let lost: Vec<_> =
                self.nodes[node as usize].links.iter().filter(of_others).map(|(other, link)| (*other, *link)).collect();
            for (other, link) in lost {
                let noticed = self.now + self.late();
                self.clock.at(noticed, Event::Down { at: node, of: other, link });
            }
        }
    }

    /// Whether two nodes don't hear each other now.
    fn is_split(&self, one: u32, other: u32) -> bool {
        let is_now = self
            .climate
            .split
            .is_some_and(|[from, to]| (Instant::START + from..Instant::START + to).contains(&self.now));
        is_now && one % 2 != other % 2
    }

    fn up(&mut self, dialler: u32, other: u32) {
        let both_live = self.overlay(dialler).is_some() && self.overlay(other).is_some();
        if !both_live || self.nodes[dialler as usize].links.contains_key(&other) || self.is_split(dialler, other) {
            return;
        }
        self.links += 1;
        for (node, peer) in [(dialler, other), (other, dialler)] {
            self.nodes[node as usize].links.insert(peer, self.links);
            self.figures.links += u64::from(self.is_settled(node));
        }
        for (node, peer) in [(dialler, other), (other, dialler)] {
            let input = Input::PeerUp { node: self.key(peer), network: None, is_dialler: node == dialler };
            self.input(node, input);
        }
    }

    fn down(&mut self, at: u32, of: u32, link: u32) {
        if self.nodes[at as usize].links.get(&of) == Some(&link) {
            self.nodes[at as usize].links.remove(&of);
            self.input(at, Input::PeerDown(self.key(of)));
        }
    }

    fn arrive(&mut self, from: u32, to: u32, link: u32, bytes: &[u8]) {
        if self.nodes[to as usize].links.get(&from) != Some(&link) || self.is_split(from, to) {
            return;
        }
        let message = Message::decode(bytes).expect("what an overlay says is bounded");
        if let Message::Route(route) = &message
            && self.nodes[to as usize].is_hole
            && route.to != Target::Node(self.key(to))
        {
            return self.send(to, from, Message::RouteAck { id: route.id });
        }
        let from = self.key(from);
        self.input(to, Input::Received(from, message));
    }

    fn ask(&mut self) {
        if self.now > Instant::START + self.climate.asking[1] {
            return;
        }
        self.clock.at(self.now + Duration::from_secs(1) / self.climate.questions, Event::Ask);
        let (Some(asker), Some(of)) = (self.anybody(), self.anybody()) else { return };
        if asker != of {
            self.ask_for(asker, of, self.now, 0);
        }
    }

    /// Asks for a word. Whoever has no such introduction point, or none any longer, isn't reached.
    fn ask_for(&mut self, asker: u32, of: u32, at: Instant, point: usize) {
        let to = if self.climate.introduced {
            let Some(Point { secret, node, .. }) = self.nodes[of as usize].points.get(point) else {
                return self.figures.word(false, 0, self.now.since(at));
            };
            let Some(node) = *node else { return self.ask_for(asker, of, at, point + 1) };
            Target::Introduced { at: node, token: Token::of(secret) }
        } else {
            Target::Node(self.key(of))
        };
        self.question(asker, to, vec![WORD], Asked::Word { of, at, point });
    }

    fn register(&mut self, node: u32, point: usize) {
        self.tokens += 1;
        let token = self.tokens;
        let Point { secret, at, .. } = self.nodes[node as usize].points[point];
        self.nodes[node as usize].asked.insert(token, Asked::Point(point));
        self.input(node, Input::Register { token, at, secret });
    }

    fn registered(&mut self, node: u32, token: u64, at: Option<NodeId>) {
        let Some(Asked::Point(point)) = self.nodes[node as usize].asked.remove(&token) else {
            panic!("it is answered once")
        };
        self.nodes[node as usize].points[point].node = at;
        let again = if at.is_some() { REGISTERING[1] } else { REGISTERING_AGAIN };
        self.clock.at(self.now + again, Event::Register { node, point });
    }

    /// A node that has been there for a while and isn't a black hole.
    fn anybody(&mut self) -> Option<u32> {
        (0..100).find_map(|_| {
            let node = *self.rng.choice(&self.alive)?;
            (self.age(node) >= ASKED && !self.nodes[node as usize].is_hole).then_some(node)
        })
    }

    fn question(&mut self, asker: u32, to: Target, word: Vec<u8>, asked: Asked) {
        self.tokens += 1;
        let token = self.tokens;
        self.nodes[asker as usize].asked.insert(token, asked);
        let is_hidden = matches!(to, Target::Introduced { .. });
        let attempts = if is_hidden || matches!(asked, Asked::Dial(_)) { 1 } else { 3 };
        self.input(asker, Input::Ask { token, to, word, is_hidden, attempts });
    }

    fn input(&mut self, node: u32, input: Input) {
        let now = self.now;
        let Some(overlay) = self.nodes[node as usize].overlay.as_mut() else { return };
        overlay.handle_input(input, now);
        while let Some(output) = self.overlay(node).and_then(Machine::poll_output) {
            self.perform(node, output);
        }
        self.watch(node);
    }

    fn perform(&mut self, node: u32, output: Output) {
        match output {
            Output::Answered { token, word, attempt } => self.answered(node, token, word.as_deref(), attempt),
            Output::Deliver { id, word, .. } => self.delivered(node, id, &word),
            Output::Dial(key) => {
                let word = [&[OFFER], &node.to_be_bytes()[..]].concat();
                self.question(node, Target::Node(key), word, Asked::Dial(self.by_key[&key]));
            }
            Output::Drop(key) => self.hang_up(node, self.by_key[&key]),
            Output::Registered { token, point } => self.registered(node, token, point),
            Output::Seek => self.seek(node),
            Output::Send(key, message) => self.send(node, self.by_key[&key], message),
            Output::WayLost(token) => {
                let lost = self.nodes[node as usize].points.iter().position(|point| Token::of(&point.secret) == token);
                self.clock.at(self.now, Event::Register { node, point: lost.expect("it was registered") });
            }
        }
    }

    fn delivered(&mut self, node: u32, id: u64, word: &[u8]) {
        let reply = match word {
            [OFFER, a, b, c, d] => {
                let from = u32::from_be_bytes([*a, *b, *c, *d]);
                let (key, now) = (self.key(from), self.now);
                let is_welcome = self.overlay(node).is_some_and(|overlay| overlay.admits(&key, None, now));
                vec![OFFER, u8::from(is_welcome && self.can_link(from, node))]
            }
            [WORD] => vec![WORD],
            _ => Vec::new(),
        };
        self.input(node, Input::Answer { id, word: reply });
    }

    fn answered(&mut self, node: u32, token: u64, word: Option<&[u8]>, attempt: u8) {
        match self.nodes[node as usize].asked.remove(&token).expect("a question is answered once") {
            Asked::Dial(of) => {
                let (after, event) = match word {
                    Some([OFFER, 1]) => (ICE + delay(node, of) * 2, Event::Up { dialler: node, other: of }),
                    _ => (Duration::ZERO, Event::Failed { at: node, of }),
                };
                self.clock.at(self.now + after, event);
            }
            Asked::Point(_) => panic!("a registration has an outcome of its own"),
            // Whoever died meanwhile can't be reached.
            Asked::Word { of, .. } if self.overlay(of).is_none() => {}
            Asked::Word { of, at, point } if self.climate.introduced && word.is_none() => {
                self.ask_for(node, of, at, point + 1);
            }
            Asked::Word { at, point, .. } => {
                let attempt = if point > 0 { 2 } else { attempt };
                self.figures.word(word == Some(&[WORD]), attempt, self.now.since(at));
            }
        }
    }

    fn hang_up(&mut self, node: u32, other: u32) {
        if let Some(link) = self.nodes[node as usize].links.remove(&other) {
            self.clock.at(self.now + delay(node, other), Event::Down { at: other, of: node, link });
        }
    }

    fn send(&mut self, from: u32, to: u32, mut message: Message) {
        let Some(&link) = self.nodes[from as usize].links.get(&to) else { return };
        if self.nodes[from as usize].is_liar {
            self.lie(&mut message);
        }
        let bytes = message.encode().into_boxed_slice();
        self.count(from, &message, bytes.len());
        self.clock.at(self.now + delay(from, to), Event::Arrive { from, to, link, bytes });
    }

    /// Lists anybody.
    fn lie(&mut self, message: &mut Message) {
        if let Message::Near { add, .. } = message {
            for card in add {
                if let Some(other) = self.rng.choice(&self.alive) {
                    *card = Card { node: self.nodes[*other as usize].key, ..*card };
                }
            }
        }
    }

    /// Counts what upkeep costs: not what sites ask.
    fn count(&mut self, from: u32, message: &Message, bytes: usize) {
        let id = match message {
            Message::Route(route) => {
                if matches!(&route.question, Question::Word(word) if word[..] == [WORD]) {
                    self.words.insert(route.id);
                }
                Some(route.id)
            }
            Message::RouteAck { id } | Message::RouteBack { id, .. } | Message::RouteEnd { id, .. } => Some(*id),
            _ => None,
        };
        if self.is_settled(from) && !id.is_some_and(|id| self.words.contains(&id)) {
            self.figures.messages += 1;
            self.figures.bytes += bytes as u64;
        }
    }

    /// Adds the time for which a node was settled.
    fn count_life(&mut self, node: u32) {
        if self.is_settled(node) {
            self.figures.lives += self.age(node) - SETTLED;
        }
    }

    fn is_settled(&self, node: u32) -> bool {
        self.age(node) >= SETTLED && !self.nodes[node as usize].is_hole
    }

    fn age(&self, node: u32) -> Duration {
        self.now.since(self.nodes[node as usize].born)
    }

    /// Wakes a node when it wants to be.
    fn watch(&mut self, node: u32) {
        let Some(due) = self.overlay(node).and_then(|overlay| overlay.poll_timeout()) else { return };
        let due = due.max(self.now);
        if self.nodes[node as usize].wake.is_none_or(|wake| due < wake) {
            self.nodes[node as usize].wake = Some(due);
            self.clock.at(due, Event::Wake(node));
        }
    }

    fn can_link(&self, one: u32, other: u32) -> bool {
        self.nodes[one as usize].reach.links_with(self.nodes[other as usize].reach) && !self.is_split(one, other)
    }

    fn overlay(&mut self, node: u32) -> Option<&mut Overlay> {
        self.nodes[node as usize].overlay.as_mut()
    }

    fn key(&self, node: u32) -> NodeId {
        self.nodes[node as usize].key
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    /// When a silence is noticed.
    fn late(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(5000..8000))
    }
}

/// How long a packet takes between two nodes: 10 to 110 ms, the same in both directions and at each time.
fn delay(one: u32, other: u32) -> Duration {
    let (low, high) = (one.min(other), one.max(other));
    let mixed = (u64::from(low) << 32 | u64::from(high)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Duration::from_millis(10 + (mixed >> 40) % 100)
}
