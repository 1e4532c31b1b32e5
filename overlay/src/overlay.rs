//! A node's part in the overlay.

use std::{collections::VecDeque, ops::RangeInclusive, time::Duration};

use bitters_machine::{
    Machine,
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::id::NodeId;

use crate::{
    calls::{Answer, Ask, Calls},
    dials::Dials,
    hops::{self, Hops, Outcome, Source, Start},
    io::{Input, Output},
    message::{Card, MAX_HOPS, MAX_WORD, Message, Question, Reach, Reply, Route, Target},
    neighbours::{Neighbours, Network, Place, goal},
    pool::Pool,
    position::Position,
    seeking::Seeking,
    wanted::{MOST, Own, WANTED},
};

/// From what may change the links that are wanted to their choice: neighbours' lists come in shoals.
const TEND_SOON: Duration = Duration::from_millis(500);
/// Between two choices where nothing changed.
const TEND: Duration = Duration::from_secs(10);
/// Dials under way at once.
const MAX_DIALS: usize = 4;
/// Between two dials of far links while there are few links, and once there are enough for routes.
const FAR: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(20)];
/// Links from which on far links have time.
const FEW: usize = 6;
/// How old a link is before it may be given up.
const SETTLED: Duration = Duration::from_secs(30);
/// The first look for nearer nodes after near links changed; each pause is four times as long as the one before.
const LOOK: Duration = Duration::from_secs(5);
/// The longest pause.
const LOOK_LAST: Duration = Duration::from_secs(180);
/// Nodes in a reply to who looks for somebody.
const FOUND: usize = 6;
/// Hops of a test, at most and at least: no hop sees by their number that it is one.
const TEST_HOPS: RangeInclusive<u8> = 3..=12;
/// Bytes of a test.
const TEST_BYTES: RangeInclusive<usize> = 64..=256;

/// What a question of this node's own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Whoever runs the overlay asks, by that token.
    Ask(u64),
    /// Who stands there?
    Find,
    /// Whoever runs the overlay registers, by that token.
    Register(u64),
}

/// A node's part in the overlay.
#[derive(Debug)]
pub struct Overlay {
    own: Own,
    neighbours: Neighbours,
    hops: Hops,
    calls: Calls,
    dials: Dials,
    pool: Pool,
    seeking: Seeking,
    purposes: Map<u64, Purpose>,
    asked: u64,
    near: Set<NodeId>,
    tend: Instant,
    far: Instant,
    look: Instant,
    pause: Duration,
    rng: fastrand::Rng,
    outbox: VecDeque<Output>,
}

impl Overlay {
    /// Of a node without links, with random numbers from a seed.
    #[must_use]
    pub fn new(node: NodeId, reach: Reach, light: bool, seed: u64, now: Instant) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            own: Own { node, at: Position::of(&node), reach, light },
            neighbours: Neighbours::default(),
            hops: Hops::new(node, rng.u64(..)),
            calls: Calls::new(rng.u64(..)),
            dials: Dials::new(rng.u64(..)),
            pool: Pool::default(),
            seeking: Seeking::new(now),
            purposes: Map::new(),
            asked: 0,
            near: Set::new(),
            tend: now + TEND,
            far: now,
            look: now + LOOK,
            pause: LOOK,
            rng,
            outbox: VecDeque::new(),
        }
    }

    /// Its neighbours.
    #[must_use]
    pub const fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// The nodes that are to be near links: the nearest that are known. Some may not be linked yet.
    #[must_use]
    pub const fn near(&self) -> &Set<NodeId> {
        &self.near
    }

    /// Whether a link that somebody wants is welcome. It isn't if what that node was given got lost before, with many links into one network,
    /// and where there are enough links, unless it stands near.
    #[must_use]
    pub fn admits(&self, node: &NodeId, network: Option<Network>, now: Instant) -> bool {
        !self.dials.is_banned(node, now) && self.own.has_room(node, network, &self.neighbours)
    }

    fn on_ask(&mut self, purpose: Purpose, ask: Ask, now: Instant) {
        self.asked += 1;
        self.purposes.insert(self.asked, purpose);
        let starts = self.calls.ask(self.asked, ask, now);
        self.start(starts, now);
    }

    fn on_peer_up(&mut self, node: NodeId, network: Option<Network>, is_dialler: bool, now: Instant) {
        let was_dialled = self.dials.on_up(&node);
        if !self.admits(&node, network, now) {
            self.outbox.push_back(Output::Drop(node));
            return;
        }
        let about = Message::About { reach: self.own.reach, light: self.own.light };
        self.send(node, about);
        self.send(node, self.neighbours.whole());
        self.neighbours.add(node, network, is_dialler, now);
        if self.neighbours.count() > MOST
            && let Some(worst) = self.own.worst(&self.neighbours, &self.near, |_| true)
        {
            self.drop_link(worst, now);
        }
        if is_dialler && !was_dialled {
            self.look_through(node, now);
        }
        self.tend_soon(now);
    }

    fn on_peer_down(&mut self, node: NodeId, now: Instant) {
        if let Some(neighbour) = self.neighbours.remove(&node, now) {
            self.dials.on_down(&node, now.since(neighbour.since), now);
            self.hops.on_gone(node, &mut self.neighbours, now);
            self.tend_soon(now);
            if self.neighbours.count() == 0 {
                self.seeking.on_lonely(now);
            }
        }
    }

    fn on_received(&mut self, from: NodeId, message: Message, now: Instant) {
        if self.neighbours.find(&from).is_none() {
            return; // The link was given up while it was under way.
        }
        match message {
            Message::About { reach, light } => {
                self.neighbours.on_about(&from, reach, light, now);
                self.tend_soon(now);
            }
            Message::Lost(token) => self.hops.on_lost(from, token),
            Message::Near { full, add, drop } => {
                self.neighbours.on_near(&from, full, add, &drop);
                self.tend_soon(now);
            }
            Message::Route(route) => self.hops.on_route(from, route, &mut self.neighbours, now),
            Message::RouteAck { id } => self.hops.on_ack(from, id),
            Message::RouteBack { id, reply } => self.hops.on_back(from, id, reply, &mut self.neighbours, now),
            Message::RouteEnd { id, hops, .. } => self.hops.on_end(from, id, hops, &mut self.neighbours, now),
            Message::Want(wants) => {
                if let Some(neighbour) = self.neighbours.find_mut(&from) {
                    neighbour.is_theirs = wants;
                }
                self.tend_soon(now);
            }
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        self.hops.on_timeout(&mut self.neighbours, now);
        let starts = self.calls.on_timeout(now);
        self.start(starts, now);
        self.dials.on_timeout(now);
        if let Some(changed) = self.neighbours.changed(now) {
            let nodes: Vec<_> = self.nodes().collect();
            for node in nodes {
                self.send(node, changed.clone());
            }
        }
        self.test(now);
        if self.look <= now {
            self.look_for_itself(now);
        }
        if self.tend <= now {
            self.tend(now);
        }
        let known = self.neighbours.known().chain(self.pool.iter());
        if self.seeking.is_due(&self.neighbours, known, now) {
            self.outbox.push_back(Output::Seek);
        }
    }

    /// Performs what the parts want done.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.hops.poll_output() {
            match output {
                hops::Output::Deliver { id, to, from, question } => self.on_delivered(id, to, from, question),
                hops::Output::Done { id, source, tried, outcome } => self.on_done(id, source, tried, outcome, now),
                hops::Output::Lost(token) => self.outbox.push_back(Output::WayLost(token)),
                hops::Output::Send(node, message) => self.send(node, message),
            }
        }
        while let Some(answer) = self.calls.poll_answer() {
            self.on_answer(answer, now);
        }
    }

    fn on_delivered(&mut self, id: u64, to: Target, from: Option<NodeId>, question: Question) {
        match question {
            Question::Find => {
                let reply = Reply::Found(self.nearest_to(goal(to)));
                self.hops.answer(id, &reply);
            }
            Question::Register(_) => {} // What hops see to themselves isn't delivered.
            Question::Word(word) => self.outbox.push_back(Output::Deliver { id, to, from, word }),
        }
    }

    fn on_done(&mut self, id: u64, source: Source, tried: Vec<NodeId>, outcome: Outcome, now: Instant) {
        match source {
            Source::Call(number) => {
                let reply = if let Outcome::Replied(reply) = outcome { Some(reply) } else { None };
                let starts = self.calls.on_done(number, id, tried, reply, now);
                self.start(starts, now);
            }
            Source::Neighbour(_) => {}
            Source::Through(node) => self.on_tested(node, outcome, now),
        }
    }

    /// Who ends a test shows nothing: it may know no way, or be busy. Who loses one is a black hole, or was unlucky.
    fn on_tested(&mut self, node: NodeId, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Replied(Reply::Found(cards)) => self.learn(cards, now),
            Outcome::Replied(Reply::Registered(_) | Reply::Word(_)) | Outcome::Ended => {}
            Outcome::Lost => {
                if let Some(neighbour) = self.neighbours.find_mut(&node)
                    && neighbour.standing.on_failed_test(now)
                {
                    self.dials.ban(node, now);
                    self.drop_link(node, now);
                }
            }
        }
    }

    fn on_answer(&mut self, Answer { call, reply, attempt }: Answer, now: Instant) {
        match (self.purposes.remove(&call), reply) {
            (Some(Purpose::Ask(token)), Some(Reply::Word(word))) => {
                self.outbox.push_back(Output::Answered { token, word: Some(word), attempt });
            }
            (Some(Purpose::Ask(token)), _) => self.outbox.push_back(Output::Answered { token, word: None, attempt }),
            (Some(Purpose::Find), Some(Reply::Found(cards))) => self.learn(cards, now),
            (Some(Purpose::Register(token)), reply) => {
                let point = if let Some(Reply::Registered(point)) = reply { Some(point) } else { None };
                self.outbox.push_back(Output::Registered { token, point });
            }
            _ => {}
        }
    }

    fn learn(&mut self, cards: Vec<Card>, now: Instant) {
        self.pool.add(cards.into_iter().filter(|card| card.node != self.own.node), now);
        self.tend_soon(now);
    }

    /// Begins routes, by different neighbours.
    fn start(&mut self, starts: Vec<Start>, now: Instant) {
        let mut used = Vec::new();
        for mut start in starts {
            start.avoid.extend(&used);
            let id = start.route.id;
            self.hops.start(start, &mut self.neighbours, now);
            used.extend(self.hops.last_hop(id));
        }
    }

    /// Tests neighbours by a question to one of theirs, which looks as a sealed one does: a black hole can't tell it from others.
    fn test(&mut self, now: Instant) {
        let due: Vec<_> = self
            .neighbours
            .iter()
            .filter(|other| other.standing.test_at() <= now)
            .map(|other| other.place.card.node)
            .collect();
        for node in due {
            let Some(neighbour) = self.neighbours.find_mut(&node) else { continue };
            neighbour.standing.on_test(now);
            let others = neighbour.list.iter().map(|place| place.card.node).filter(|other| *other != self.own.node);
            let Some(other) = self.rng.choice(others.collect::<Vec<_>>()) else { continue };
            let mut word = vec![0; self.rng.usize(TEST_BYTES)];
            self.rng.fill(&mut word);
            let (id, hops) = (self.rng.u64(..), self.rng.u8(TEST_HOPS));
            let route = Route {
                id,
                to: Target::Node(other),
                hops,
                walks: false,
                trail: Vec::new(),
                question: Question::Word(word),
            };
            let start = Start { route, source: Source::Through(node), avoid: Vec::new(), is_beyond: true };
            self.hops.start(start, &mut self.neighbours, now);
        }
    }

    fn look_for_itself(&mut self, now: Instant) {
        self.pause = (self.pause * 4).min(LOOK_LAST);
        self.look = now + self.pause;
        let ask = Ask {
            to: Target::Nearest(self.own.at),
            question: Question::Find,
            is_hidden: false,
            is_beyond: true,
            attempts: 1,
        };
        if self.neighbours.count() > 0 {
            self.on_ask(Purpose::Find, ask, now);
        }
    }

    /// Looks for itself by a neighbour from outside, which may belong to an island of its own.
    fn look_through(&mut self, node: NodeId, now: Instant) {
        let to = Target::Nearest(self.own.at);
        let route = Route {
            id: self.rng.u64(..),
            to,
            hops: MAX_HOPS,
            walks: false,
            trail: Vec::new(),
            question: Question::Find,
        };
        let start = Start { route, source: Source::Through(node), avoid: Vec::new(), is_beyond: true };
        self.hops.start(start, &mut self.neighbours, now);
    }

    /// Sees to the links: which it wants, which it gives up, and whom it dials.
    fn tend(&mut self, now: Instant) {
        self.tend = now + TEND;
        self.pool.forget(now);
        let places = self.neighbours.known().chain(self.pool.iter());
        let may =
            |place: &Place| self.neighbours.find(&place.card.node).is_some() || self.dials.may(&place.card.node, now);
        let near = self.own.near(places, may);
        if near != self.near {
            (self.near, self.pause) = (near, LOOK);
            self.look = self.look.min(now + LOOK);
        }
        let missing: Vec<_> = self.near.iter().filter(|node| self.neighbours.find(node).is_none()).copied().collect();
        for node in missing {
            self.dial(node, now);
        }
        self.tend_far(now);
        self.say_what_is_wanted(now);
    }

    fn tend_far(&mut self, now: Instant) {
        let links = self.neighbours.count() + self.dials.count();
        if self.own.light || links >= WANTED || self.far > now || self.neighbours.count() == 0 {
            return;
        }
        self.far = now + FAR[usize::from(links >= FEW)];
        self.tend = self.tend.min(self.far);
        let bands = self.own.bands(&self.neighbours, &self.near);
        for band in &bands {
            if let Some(node) = self.candidate_in(*band, now) {
                return self.dial(node, now);
            }
        }
        if let Some(band) = bands.first() {
            let to = Target::Nearest(self.own.anywhere_in(*band, &mut self.rng));
            self.on_ask(
                Purpose::Find,
                Ask { to, question: Question::Find, is_hidden: false, is_beyond: true, attempts: 1 },
                now,
            );
        }
    }

    fn candidate_in(&mut self, band: u32, now: Instant) -> Option<NodeId> {
        let may = |place: &&Place| {
            let card = &place.card;
            card.node != self.own.node
                && !card.light
                && self.own.band(place.at) == band
                && self.own.reach.links_with(card.reach)
                && self.neighbours.find(&card.node).is_none()
                && self.dials.may(&card.node, now)
        };
        let candidates: Vec<_> =
            self.neighbours.known().chain(self.pool.iter()).filter(may).map(|place| place.card.node).collect();
        self.rng.choice(candidates)
    }

    /// Tells neighbours whose link is wanted now, or no longer, and ends links that neither end wants.
    fn say_what_is_wanted(&mut self, now: Instant) {
        let spare = self.neighbours.iter().filter(|other| other.is_ours).count() > WANTED || self.own.light;
        let worst = self.own.worst(&self.neighbours, &self.near, |other| other.is_ours).filter(|_| spare);
        let nodes: Vec<_> = self.nodes().collect();
        for node in nodes {
            let is_near = self.near.contains(&node);
            let Some(neighbour) = self.neighbours.find_mut(&node) else { continue };
            let is_settled = now.since(neighbour.since) >= SETTLED;
            let wants = is_near || (neighbour.is_ours && !(is_settled && worst == Some(node)));
            let changed = std::mem::replace(&mut neighbour.is_ours, wants) != wants;
            let is_over = !wants && !neighbour.is_theirs && is_settled;
            if is_over {
                self.drop_link(node, now);
            } else if changed {
                self.send(node, Message::Want(wants));
            }
        }
    }

    fn dial(&mut self, node: NodeId, now: Instant) {
        if self.dials.count() < MAX_DIALS && self.dials.begin(node, now) {
            self.outbox.push_back(Output::Dial(node));
        }
    }

    fn drop_link(&mut self, node: NodeId, now: Instant) {
        self.outbox.push_back(Output::Drop(node));
        self.on_peer_down(node, now);
    }

    /// Who stands nearest to a place, of those that are known and this node: for who looks for somebody there.
    fn nearest_to(&self, at: Position) -> Vec<Card> {
        let own =
            Place { card: Card { node: self.own.node, reach: self.own.reach, light: self.own.light }, at: self.own.at };
        let mut nearest = Map::new();
        for place in self.neighbours.known().chain([&own]) {
            let distance = place.at.distance(at);
            let is_near =
                nearest.len() < FOUND || nearest.last_key_value().is_some_and(|((last, _), _)| distance < *last);
            if is_near {
                nearest.insert((distance, place.card.node), place.card);
                if nearest.len() > FOUND {
                    nearest.pop_last();
                }
            }
        }
        nearest.into_values().collect()
    }

    fn tend_soon(&mut self, now: Instant) {
        self.tend = self.tend.min(now + TEND_SOON);
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.neighbours.iter().map(|neighbour| neighbour.place.card.node)
    }

    fn send(&mut self, node: NodeId, message: Message) {
        self.outbox.push_back(Output::Send(node, message));
    }
}

impl Machine for Overlay {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Answer { id, word } => {
                if word.len() <= MAX_WORD {
                    self.hops.answer(id, &Reply::Word(word));
                }
            }
            Input::Ask { token, word, .. } if word.len() > MAX_WORD => {
                self.outbox.push_back(Output::Answered { token, word: None, attempt: 1 });
            }
            Input::Ask { token, to, word, is_hidden, attempts } => {
                let ask = Ask { to, question: Question::Word(word), is_hidden, is_beyond: false, attempts };
                self.on_ask(Purpose::Ask(token), ask, now);
            }
            Input::Candidates(cards) => self.learn(cards, now),
            Input::DialFailed(node) => {
                self.dials.on_failed(node, now);
                self.tend_soon(now);
            }
            Input::Own { reach, light } => {
                (self.own.reach, self.own.light) = (reach, light);
                let nodes: Vec<_> = self.nodes().collect();
                for node in nodes {
                    self.send(node, Message::About { reach, light });
                }
                self.tend_soon(now);
            }
            Input::PeerDown(node) => self.on_peer_down(node, now),
            Input::PeerUp { node, network, is_dialler } => self.on_peer_up(node, network, is_dialler, now),
            Input::Received(from, message) => self.on_received(from, message, now),
            Input::Register { token, at, secret } => {
                let question = Question::Register(secret);
                let ask = Ask { to: Target::Nearest(at), question, is_hidden: true, is_beyond: true, attempts: 3 };
                self.on_ask(Purpose::Register(token), ask, now);
            }
            Input::Timeout => self.on_timeout(now),
        }
        self.settle(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let tests = self.neighbours.iter().map(|other| other.standing.test_at()).min();
        let own = [self.tend, self.look, self.seeking.due()].into_iter();
        let parts = [
            self.hops.poll_timeout(),
            self.calls.poll_timeout(),
            self.dials.poll_timeout(),
            self.neighbours.tell_at(),
            tests,
        ];
        own.chain(parts.into_iter().flatten()).min()
    }
}

#[cfg(test)]
mod tests;
