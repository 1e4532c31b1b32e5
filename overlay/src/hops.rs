//! Routes under way by this node.
//!
//! | who | says | then |
//! | --- | --- | --- |
//! | the hop before | `Route` | it is acknowledged, and goes on to the next hop |
//! | the next hop | nothing within [`ACK`] | the route goes by the next best neighbour |
//! | | `RouteAck` | the reply is waited for: the longer, the earlier the hop is on the way, so that who is nearest to a loss looks for a way around |
//! | | `RouteEnd` | the next best neighbour, up to [`TRIES`]; then the hop before is told that this is a dead end |
//! | | `RouteBack` | the reply goes back to the hop before |

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{
    map::{Map, Set},
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::id::NodeId;

use crate::{
    message::{End, MAX_HOPS, MAX_TRAIL, Message, Question, Reply, Route, Target, Token},
    neighbours::{Neighbour, Neighbours, Next, Place, goal},
    position::Position,
    standing::Rank,
    ways::{Back, Ways},
};

/// How long a neighbour may take to acknowledge: a round trip around the world, and a busy tab.
const ACK: Duration = Duration::from_millis(700);
/// How long the last hop waits for the reply.
const REPLY: Duration = Duration::from_secs(1);
/// How much longer each hop before it waits.
const REPLY_PER_HOP: Duration = Duration::from_millis(400);
/// Hops that this is counted for.
const USUAL_HOPS: u8 = 6;
/// Random hops that are still to come, on the average.
const USUAL_WALK: u8 = 3;
/// A walk goes on at each hop but every third.
const WALK_ENDS: u8 = 3;
/// Hops that it is counted for where a route goes on by the way of who registered.
const INTRODUCED_HOPS: u8 = 14;
/// Hops that are left once a route leads away from its target: whoever isn't found where it should stand is probably gone.
const DETOUR: u8 = 6;
/// Neighbours by which a route is tried.
const TRIES: usize = 3;
/// Routes under way at once.
const MAX_PASSING: usize = 256;
/// Of these, from one neighbour.
const MAX_FROM_ONE: usize = 32;
/// Routes from one neighbour in the long run.
const ROUTES: Rate = Rate { per_second: 20, burst: 100 };
/// How long a route's name and its reply are remembered, at least.
const MEMORY: Duration = Duration::from_secs(30);
/// Questions for this node that are remembered with their replies.
const MAX_DELIVERED: usize = 64;
/// Names that are remembered, in each half of the memory.
const MAX_SEEN: usize = 4096;

/// Where a route comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This node asks, for the call of that number.
    Call(u64),
    /// A neighbour passed it on.
    Neighbour(NodeId),
    /// This node, by that neighbour and no other.
    Through(NodeId),
}

/// What became of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Those who had it know no way.
    Ended,
    /// Whoever had it last said nothing.
    Lost,
    /// The reply.
    Replied(Reply),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A question for this node. To be answered by [`Hops::answer`].
    Deliver {
        /// The route's name.
        id: u64,
        /// For whom it was.
        to: Target,
        /// The neighbour that it came by, if it began elsewhere.
        from: Option<NodeId>,
        /// What is asked.
        question: Question,
    },
    /// A route of this node's own is over.
    Done {
        /// Its name.
        id: u64,
        /// What it was for.
        source: Source,
        /// By whom it was tried.
        tried: Vec<NodeId>,
        /// What became of it.
        outcome: Outcome,
    },
    /// The way by which this node registered is broken: it is to register again.
    Lost(Token),
    /// Something to say to a neighbour.
    Send(NodeId, Message),
}

/// A route that this node begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The route as the first hop gets it, but for its trail.
    pub route: Route,
    /// What it is for.
    pub source: Source,
    /// Neighbours to go by only if there is no other.
    pub avoid: Vec<NodeId>,
    /// Whether it is for anybody but this node, though this node stand nearest.
    pub is_beyond: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Passing {
    source: Source,
    route: Route,
    avoid: Vec<NodeId>,
    is_beyond: bool,
    tried: Vec<NodeId>,
    /// Whether the one tried last said nothing.
    is_lost: bool,
    /// Until when the one tried last may take for its next word.
    due: Instant,
    /// Until when it may take for the reply.
    reply: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Delivered {
    from: Vec<Source>,
    reply: Option<Reply>,
    at: Instant,
}

/// All routes under way by this node.
#[derive(Debug)]
pub struct Hops {
    me: NodeId,
    at: Position,
    passing: Map<u64, Passing>,
    delivered: Map<u64, Delivered>,
    /// Names of routes that were here, in two halves: the older one is dropped when the younger one is full of age.
    seen: [Set<u64>; 2],
    turn: Instant,
    rates: Map<NodeId, Bucket>,
    ways: Ways,
    rng: fastrand::Rng,
    outbox: VecDeque<Output>,
}

impl Hops {
    /// Of a node, with random numbers from a seed.
    #[must_use]
    pub fn new(me: NodeId, seed: u64) -> Self {
        Self {
            me,
            at: Position::of(&me),
            passing: Map::new(),
            delivered: Map::new(),
            seen: [Set::new(), Set::new()],
            turn: Instant::START,
            rates: Map::new(),
            ways: Ways::default(),
            rng: fastrand::Rng::with_seed(seed),
            outbox: VecDeque::new(),
        }
    }

    /// What follows, until there is nothing more.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When the next route is overdue.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.passing.values().map(|passing| passing.due).min()
    }

    /// Begins a route.
    pub fn start(&mut self, start: Start, neighbours: &mut Neighbours, now: Instant) {
        let Start { route, source, avoid, is_beyond } = start;
        self.see(route.id, now);
        let passing =
            Passing { source, route, avoid, is_beyond, tried: Vec::new(), is_lost: false, due: now, reply: now };
        self.go_on(passing, neighbours, now);
    }

    /// The neighbour that has a route now, if it is under way.
    #[must_use]
    pub fn last_hop(&self, id: u64) -> Option<NodeId> {
        self.passing.get(&id)?.tried.last().copied()
    }

    /// A neighbour passes a route on.
    pub fn on_route(&mut self, from: NodeId, route: Route, neighbours: &mut Neighbours, now: Instant) {
        let id = route.id;
        if let Some(delivered) = self.delivered.get_mut(&id) {
            // It came by another way before. Whoever asks is told what was said.
            self.outbox.push_back(Output::Send(from, Message::RouteAck { id }));
            match &delivered.reply {
                Some(reply) => {
                    self.outbox.push_back(Output::Send(from, Message::RouteBack { id, reply: reply.clone() }));
                }
                None if delivered.from.len() < TRIES => delivered.from.push(Source::Neighbour(from)),
                None => {}
            }
            return;
        }
        if self.seen.iter().any(|half| half.contains(&id)) {
            return self.end(from, &route, End::Loop);
        }
        let from_one = self.passing.values().filter(|passing| passing.source == Source::Neighbour(from)).count();
        let rate = self.rates.entry(from).or_insert_with(|| Bucket::new(ROUTES, now));
        if !rate.take(now) || from_one >= MAX_FROM_ONE || self.passing.len() >= MAX_PASSING {
            return self.end(from, &route, End::Busy);
        }
        self.outbox.push_back(Output::Send(from, Message::RouteAck { id }));
        let walks = route.walks && self.rng.u8(..WALK_ENDS) > 0;
        let route = Route { walks, ..route };
        let source = Source::Neighbour(from);
        self.start(Start { route, source, avoid: Vec::new(), is_beyond: false }, neighbours, now);
    }

    /// The next hop has the route.
    pub fn on_ack(&mut self, from: NodeId, id: u64) {
        if let Some(passing) = self.passing.get_mut(&id).filter(|passing| passing.tried.last() == Some(&from)) {
            passing.due = passing.reply;
        }
    }

    /// A reply, by any hop that was tried.
    pub fn on_back(&mut self, from: NodeId, id: u64, reply: Reply, neighbours: &mut Neighbours, now: Instant) {
        if self.passing.get(&id).is_none_or(|passing| !passing.tried.contains(&from)) {
            return;
        }
        if let Some(neighbour) = neighbours.find_mut(&from) {
            neighbour.standing.on_reply(now);
        }
        let Some(passing) = self.passing.remove(&id) else { return };
        let outcome = self.keep_way(&passing, from, reply, now);
        self.finish(passing, outcome);
    }

    /// Keeps the way back, if that is what was asked.
    fn keep_way(&mut self, passing: &Passing, from: NodeId, reply: Reply, now: Instant) -> Result<Reply, End> {
        if let (Question::Register(secret), Reply::Registered(_)) = (&passing.route.question, &reply)
            && !self.keep(Token::of(secret), passing.source, Some(from), now)
        {
            return Err(End::Busy);
        }
        Ok(reply)
    }

    /// Keeps a way, if there is room.
    fn keep(&mut self, token: Token, source: Source, on: Option<NodeId>, now: Instant) -> bool {
        let over = self.ways.keep(token, back(source), on, now);
        let is_kept = over.is_some();
        for end in over.into_iter().flatten() {
            self.tell_lost(token, end);
        }
        is_kept
    }

    /// A neighbour says that a way is over.
    pub fn on_lost(&mut self, from: NodeId, token: Token) {
        for end in self.ways.on_lost(from, token) {
            self.tell_lost(token, end);
        }
    }

    fn tell_lost(&mut self, token: Token, back: Back) {
        self.outbox.push_back(match back {
            Back::Here => Output::Lost(token),
            Back::Neighbour(node) => Output::Send(node, Message::Lost(token)),
        });
    }

    /// The next hop knows no way on.
    pub fn on_end(&mut self, from: NodeId, id: u64, hops: u8, neighbours: &mut Neighbours, now: Instant) {
        if self.passing.get(&id).is_some_and(|passing| passing.tried.last() == Some(&from))
            && let Some(mut passing) = self.passing.remove(&id)
        {
            passing.route.hops = passing.route.hops.min(hops);
            self.go_on(passing, neighbours, now);
        }
    }

    /// A neighbour is gone, and what it had with it.
    pub fn on_gone(&mut self, node: NodeId, neighbours: &mut Neighbours, now: Instant) {
        self.rates.remove(&node);
        for (token, back) in self.ways.on_gone(node) {
            self.tell_lost(token, back);
        }
        self.passing.retain(|_, passing| passing.source != Source::Neighbour(node));
        for (_, passing) in self.passing.extract(|_, passing| passing.tried.last() == Some(&node)) {
            self.go_on(passing, neighbours, now);
        }
    }

    /// What this node replies to a question that was for it.
    pub fn answer(&mut self, id: u64, reply: &Reply) {
        let Some(delivered) = self.delivered.get_mut(&id).filter(|delivered| delivered.reply.is_none()) else { return };
        delivered.reply = Some(reply.clone());
        for source in std::mem::take(&mut delivered.from) {
            self.outbox.push_back(match source {
                Source::Neighbour(from) => Output::Send(from, Message::RouteBack { id, reply: reply.clone() }),
                Source::Call(_) | Source::Through(_) => {
                    Output::Done { id, source, tried: Vec::new(), outcome: Outcome::Replied(reply.clone()) }
                }
            });
        }
    }

    /// Looks after what is overdue: routes go by somebody else.
    pub fn on_timeout(&mut self, neighbours: &mut Neighbours, now: Instant) {
        for (_, mut passing) in self.passing.extract(|_, passing| passing.due <= now) {
            if let (Some(last), false) = (passing.tried.last(), matches!(passing.source, Source::Through(_)))
                && let Some(neighbour) = neighbours.find_mut(last)
            {
                neighbour.standing.on_loss(now);
            }
            // Whoever had it may have used all of them.
            passing.route.hops /= 2;
            passing.is_lost = true;
            self.go_on(passing, neighbours, now);
        }
    }

    /// The route's next hop, or its end here.
    fn go_on(&mut self, mut passing: Passing, neighbours: &Neighbours, now: Instant) {
        match self.judge(&passing, neighbours, now) {
            Step::Deliver if let Question::Register(secret) = passing.route.question => {
                self.register(passing, Token::of(&secret), now);
            }
            Step::Deliver => self.deliver(passing, now),
            Step::End(why) => self.finish(passing, Err(why)),
            Step::Walk(node) => {
                let route = passing.route.clone();
                self.send(&mut passing, node, route, now);
                self.passing.insert(passing.route.id, passing);
            }
            Step::Way(node) => {
                // A hop on the way isn't in the trail, as it may be who asks.
                passing.route.hops -= 1;
                let route = passing.route.clone();
                self.send(&mut passing, node, route, now);
                self.passing.insert(passing.route.id, passing);
            }
            Step::Hop { node, cost } => {
                passing.route.hops -= cost;
                if cost > 1 {
                    passing.route.hops = passing.route.hops.min(DETOUR);
                }
                let mut route = Route { walks: false, ..passing.route.clone() };
                route.trail.push(mark(self.at));
                self.send(&mut passing, node, route, now);
                self.passing.insert(passing.route.id, passing);
            }
        }
    }

    fn judge(&mut self, passing: &Passing, neighbours: &Neighbours, now: Instant) -> Step {
        let Passing { source, route, tried, is_beyond, .. } = passing;
        if let Source::Through(node) = source {
            return if tried.is_empty() { Step::Hop { node: *node, cost: 1 } } else { Step::End(End::DeadEnd) };
        }
        if tried.len() >= TRIES {
            return Step::End(End::DeadEnd);
        }
        if let Target::Introduced { at, token } = route.to {
            match self.ways.find(token, now) {
                Some(Back::Here) => return Step::Deliver,
                Some(Back::Neighbour(node))
                    if route.hops > 0 && *source != Source::Neighbour(node) && !tried.contains(&node) =>
                {
                    return Step::Way(node);
                }
                _ if at == self.me => return Step::End(End::DeadEnd),
                _ => {}
            }
        }
        if route.walks
            && let Some(node) = self.anybody(passing, neighbours, now)
        {
            return Step::Walk(node);
        }
        if route.to == Target::Node(self.me) {
            return Step::Deliver;
        }
        let mine = if *is_beyond { u64::MAX } else { self.at.distance(goal(route.to)) };
        let Some(Next { node, distance }) = self.next(passing, neighbours, now) else {
            return if self.is_nearest(route, *is_beyond) { Step::Deliver } else { Step::End(End::DeadEnd) };
        };
        if distance >= mine && self.is_nearest(route, *is_beyond) {
            return Step::Deliver;
        }
        // A hop that leads away costs two, so that a route doesn't wander through everybody.
        let cost = if distance < mine { 1 } else { 2 };
        if !may_hop(route, cost) { Step::End(End::Loop) } else { Step::Hop { node, cost } }
    }

    const fn is_nearest(&self, route: &Route, is_beyond: bool) -> bool {
        matches!(route.to, Target::Nearest(_)) && !is_beyond
    }

    /// The best neighbour that wasn't tried: one that isn't to be avoided, if there is one.
    fn next(&self, passing: &Passing, neighbours: &Neighbours, now: Instant) -> Option<Next> {
        let may = |place: &Place| self.may(passing, place);
        let others = |place: &Place| may(place) && !passing.avoid.contains(&place.card.node);
        neighbours.next(passing.route.to, now, others).or_else(|| neighbours.next(passing.route.to, now, may))
    }

    fn may(&self, passing: &Passing, place: &Place) -> bool {
        let node = place.card.node;
        node != self.me
            && passing.source != Source::Neighbour(node)
            && !passing.tried.contains(&node)
            && !passing.route.trail.contains(&mark(place.at))
    }

    /// A random neighbour for a walk: not a silent one.
    fn anybody(&mut self, passing: &Passing, neighbours: &Neighbours, now: Instant) -> Option<NodeId> {
        let trusted = |rank: Rank| {
            let may = |other: &&Neighbour| other.standing.rank(now) == rank && self.may(passing, &other.place);
            neighbours.iter().filter(may).map(|other| other.place.card.node).collect::<Vec<_>>()
        };
        let nodes = [Rank::Proven, Rank::Untried].into_iter().map(trusted).find(|nodes| !nodes.is_empty())?;
        self.rng.choice(nodes)
    }

    fn send(&mut self, passing: &mut Passing, node: NodeId, route: Route, now: Instant) {
        let walk = if route.walks { USUAL_WALK } else { 0 };
        let usual = if matches!(route.to, Target::Introduced { .. }) { INTRODUCED_HOPS } else { USUAL_HOPS };
        let ahead = u32::from((route.hops + walk).saturating_sub(MAX_HOPS - usual).min(usual));
        passing.reply = now + REPLY + REPLY_PER_HOP * ahead;
        passing.due = now + ACK;
        passing.tried.push(node);
        passing.is_lost = false;
        self.outbox.push_back(Output::Send(node, Message::Route(route)));
    }

    /// This node is an introduction point, if there is room.
    fn register(&mut self, passing: Passing, token: Token, now: Instant) {
        let outcome =
            if self.keep(token, passing.source, None, now) { Ok(Reply::Registered(self.me)) } else { Err(End::Busy) };
        self.finish(passing, outcome);
    }

    fn deliver(&mut self, passing: Passing, now: Instant) {
        let Route { id, to, question, .. } = passing.route;
        self.delivered.insert(id, Delivered { from: vec![passing.source], reply: None, at: now });
        self.delivered.shed(MAX_DELIVERED, |delivered| delivered.at);
        let from = if let Source::Neighbour(from) = passing.source { Some(from) } else { None };
        self.outbox.push_back(Output::Deliver { id, to, from, question });
    }

    fn finish(&mut self, passing: Passing, outcome: Result<Reply, End>) {
        let Passing { source, route, tried, is_lost, .. } = passing;
        let id = route.id;
        self.outbox.push_back(match (source, outcome) {
            (Source::Neighbour(from), Ok(reply)) => Output::Send(from, Message::RouteBack { id, reply }),
            (Source::Neighbour(from), Err(why)) => Output::Send(from, Message::RouteEnd { id, why, hops: route.hops }),
            (Source::Call(_) | Source::Through(_), Ok(reply)) => {
                Output::Done { id, source, tried, outcome: Outcome::Replied(reply) }
            }
            (Source::Call(_) | Source::Through(_), Err(_)) => {
                Output::Done { id, source, tried, outcome: if is_lost { Outcome::Lost } else { Outcome::Ended } }
            }
        });
    }

    fn end(&mut self, from: NodeId, route: &Route, why: End) {
        self.outbox.push_back(Output::Send(from, Message::RouteEnd { id: route.id, why, hops: route.hops }));
    }

    fn see(&mut self, id: u64, now: Instant) {
        if now.since(self.turn) >= MEMORY || self.seen[0].len() >= MAX_SEEN {
            self.turn = now;
            self.seen.swap(0, 1);
            self.seen[0].clear();
            self.delivered.retain(|_, delivered| now.since(delivered.at) < MEMORY);
        }
        self.seen[0].insert(id);
    }
}

/// What becomes of a route.
enum Step {
    Deliver,
    End(End),
    Hop { node: NodeId, cost: u8 },
    Walk(NodeId),
    Way(NodeId),
}

/// Whether a route may take another hop of that cost.
const fn may_hop(route: &Route, cost: u8) -> bool {
    route.hops >= cost && route.trail.len() < MAX_TRAIL
}

/// Where a way leads back to.
const fn back(source: Source) -> Back {
    match source {
        Source::Neighbour(node) => Back::Neighbour(node),
        Source::Call(_) | Source::Through(_) => Back::Here,
    }
}

/// How a node is named in a trail.
const fn mark(at: Position) -> u32 {
    (at.0 >> 32) as u32
}

#[cfg(test)]
mod tests;
