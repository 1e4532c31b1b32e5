use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::message::{Card, Reach, Secret};

#[test]
fn a_question_goes_to_whoever_is_named_and_the_reply_comes_back() {
    let mut net = Net::line(5);
    net.ask(0, Target::Node(key(4)));
    assert_eq!(net.run(), Some(Outcome::Replied(Reply::Word(vec![4]))));
    assert_eq!(net.routes, 4, "by all between them");
}

#[test]
fn the_nearest_node_takes_what_is_for_a_place() {
    let mut net = Net::full(20);
    let at = Position(12_345);
    let nearest = (0..20).min_by_key(|node| Position::of(&key(*node)).distance(at)).unwrap();
    let asker = u8::from(nearest == 0);
    net.ask(asker, Target::Nearest(at));
    assert_eq!(net.run(), Some(Outcome::Replied(Reply::Word(vec![nearest]))));
}

#[test]
fn who_says_nothing_is_passed_over_and_stands_worse() {
    let mut net = Net::full(3);
    net.cut(0, 2);
    net.silent.push(1);
    net.ask(0, Target::Node(key(2)));
    assert_eq!(net.run(), Some(Outcome::Lost));
    assert!(net.now >= Instant::START + ACK && net.now < Instant::START + REPLY, "nothing was acknowledged");
    let rank = net.nodes[&0].1.find(&key(1)).unwrap().standing.rank(net.now);
    assert_eq!(rank, Rank::Silent);
}

#[test]
fn a_black_hole_costs_the_reply_s_time_and_no_more() {
    let mut net = Net::full(4);
    net.cut(0, 3);
    net.holes.extend([1]);
    net.ask(0, Target::Node(key(3)));
    assert_eq!(net.run(), Some(Outcome::Replied(Reply::Word(vec![3]))), "by the other one");
    assert!(net.now < Instant::START + REPLY + REPLY_PER_HOP * 7, "{:?}", net.now);
}

#[test]
fn who_is_gone_is_looked_for_by_a_bounded_number_of_hops() {
    for nodes in [10, 60] {
        let mut net = Net::full(nodes);
        for node in 0..nodes - 1 {
            net.cut(node, nodes - 1);
        }
        net.ask(0, Target::Node(key(nodes - 1)));
        assert_eq!(net.run(), Some(Outcome::Ended));
        assert!(net.routes <= u32::from(MAX_HOPS), "{nodes} nodes: {} routes", net.routes);
    }
}

#[test]
fn a_route_that_comes_again_is_a_loop_and_one_that_was_answered_is_answered_again() {
    let mut net = Net::full(3);
    net.ask(0, Target::Node(key(1)));
    net.run();
    let route =
        Route { id: 77, to: Target::Node(key(1)), hops: 4, walks: false, trail: Vec::new(), question: Question::Find };
    let (hops, neighbours) = net.nodes.get_mut(&2).unwrap();
    hops.on_route(key(0), route.clone(), neighbours, Instant::START);
    while hops.poll_output().is_some() {}
    hops.on_route(key(1), route.clone(), neighbours, Instant::START);
    let end = Message::RouteEnd { id: 77, why: End::Loop, hops: 4 };
    assert_eq!(hops.poll_output(), Some(Output::Send(key(1), end)));

    let (hops, neighbours) = net.nodes.get_mut(&1).unwrap();
    hops.on_route(key(0), route.clone(), neighbours, Instant::START);
    let reply = Reply::Word(vec![9]);
    hops.answer(77, &reply);
    while hops.poll_output().is_some() {}
    hops.on_route(key(2), route, neighbours, Instant::START);
    let said: Vec<_> = std::iter::from_fn(|| hops.poll_output()).collect();
    let back = Message::RouteBack { id: 77, reply };
    assert_eq!(said, [Output::Send(key(2), Message::RouteAck { id: 77 }), Output::Send(key(2), back)]);
}

#[test]
fn a_neighbour_that_asks_too_much_is_told_so_and_others_are_not() {
    let mut net = Net::full(4);
    let (hops, neighbours) = net.nodes.get_mut(&0).unwrap();
    let route =
        |id| Route { id, to: Target::Node(key(3)), hops: 9, walks: false, trail: Vec::new(), question: Question::Find };
    let is_busy = |output| matches!(output, Output::Send(_, Message::RouteEnd { why: End::Busy, .. }));
    for id in 0..1000 {
        hops.on_route(key(1), route(id), neighbours, Instant::START);
    }
    let refused = std::iter::from_fn(|| hops.poll_output()).filter(|output| is_busy(output.clone())).count();
    assert_eq!(refused, 1000 - MAX_FROM_ONE);
    hops.on_route(key(2), route(2000), neighbours, Instant::START);
    assert!(!std::iter::from_fn(|| hops.poll_output()).any(is_busy));
}

#[test]
fn what_a_neighbour_had_goes_on_by_another_when_it_is_gone() {
    let mut net = Net::full(4);
    net.cut(0, 3);
    net.ask(0, Target::Node(key(3)));
    let (hops, neighbours) = net.nodes.get_mut(&0).unwrap();
    let Some(Output::Send(first, Message::Route(_))) = hops.poll_output() else { panic!("the route goes somewhere") };
    neighbours.remove(&first, Instant::START);
    hops.on_gone(first, neighbours, Instant::START);
    let Some(Output::Send(second, Message::Route(_))) = hops.poll_output() else { panic!("it goes somewhere else") };
    assert_ne!(first, second);
}

#[test]
fn random_hops_leave_no_trail() {
    let mut net = Net::full(12);
    let route = Route {
        id: 1,
        to: Target::Node(key(11)),
        hops: MAX_HOPS,
        walks: true,
        trail: Vec::new(),
        question: Question::Find,
    };
    net.start(0, route, Source::Call(1));
    let mut walks = Vec::new();
    while let Some((from, to, message)) = net.queue.pop_front() {
        if let Message::Route(route) = &message {
            walks.push((route.walks, route.trail.len()));
            assert!(!route.trail.contains(&mark(Position::of(&key(0)))));
        }
        net.arrive(from, to, message);
    }
    let (walked, named): (Vec<_>, Vec<_>) = walks.into_iter().partition(|(walks, _)| *walks);
    assert!(
        !walked.is_empty() && walked.iter().all(|(_, trail)| *trail == 0) && named[0].1 == 1,
        "{walked:?} {named:?}"
    );
}

#[test]
fn no_hop_but_the_first_sees_who_registers_or_who_asks_by_a_point() {
    for node in 0..12 {
        let mut net = Net::full(12);
        let at = Target::Nearest(Position::of(&key((node + 5) % 12)));
        let register = Question::Register(Secret([7; 16]));
        let Reply::Registered(point) = net.ask_walking(node, at, &register) else { panic!("nobody else replies") };
        net.shows_nothing_of(node);
        net.said.clear();

        let asker = (node + 1) % 12;
        let target = Target::Introduced { at: point, token: Token::of(&Secret([7; 16])) };
        assert_eq!(net.ask_walking(asker, target, &Question::Find), Reply::Word(vec![node]));
        net.shows_nothing_of(asker);
    }
}

#[test]
fn who_registered_is_asked_by_the_point() {
    let secret = Secret([7; 16]);
    for seed in 0..20 {
        let mut net = Net::line(8);
        let at = Position::of(&key(7));
        net.question(seed % 4, Target::Nearest(at), true, Question::Register(secret));
        let Some(Outcome::Replied(Reply::Registered(point))) = net.run() else { panic!("there is a point") };
        let target = Target::Introduced { at: point, token: Token::of(&secret) };
        net.ask(5, target);
        assert_eq!(net.run(), Some(Outcome::Replied(Reply::Word(vec![seed % 4]))));

        let other = Target::Introduced { at: point, token: Token::of(&Secret([8; 16])) };
        net.ask(5, other);
        assert_eq!(net.run(), Some(Outcome::Ended), "nobody registered by that token");
    }
}

#[test]
fn a_way_that_breaks_is_told_to_who_registered() {
    let secret = Secret([7; 16]);
    let mut net = Net::line(8);
    net.question(0, Target::Nearest(Position::of(&key(7))), true, Question::Register(secret));
    let Some(Outcome::Replied(Reply::Registered(point))) = net.run() else { panic!("there is a point") };
    let before =
        net.nodes.iter().find(|(_, (_, neighbours))| neighbours.find(&point).is_some()).map(|(node, _)| *node).unwrap();
    let (hops, neighbours) = net.nodes.get_mut(&before).unwrap();
    neighbours.remove(&point, Instant::START);
    hops.on_gone(point, neighbours, Instant::START);
    net.run();
    assert_eq!(net.lost, [(0, Token::of(&secret))]);
}

proptest! {
    #[test]
    fn whatever_a_neighbour_says_tables_stay_bounded(
        messages in prop::collection::vec((0_u8..6, 0_u8..4, 0_u64..40), 0..400),
    ) {
        let mut net = Net::full(6);
        let (hops, neighbours) = net.nodes.get_mut(&0).unwrap();
        for (from, kind, id) in messages {
            let from = key(from.max(1));
            match kind {
                0 => {
                    let to = if id.is_multiple_of(2) { Target::Node(key(0)) } else { Target::Node(key(5)) };
                    let route = Route { id, to, hops: 3, walks: false, trail: Vec::new(), question: Question::Find };
                    hops.on_route(from, route, neighbours, Instant::START);
                }
                1 => hops.on_ack(from, id),
                2 => hops.on_back(from, id, Reply::Word(Vec::new()), neighbours, Instant::START),
                _ => hops.on_end(from, id, MAX_HOPS, neighbours, Instant::START),
            }
        }
        prop_assert!(hops.passing.len() <= MAX_FROM_ONE * 5 && hops.delivered.len() <= MAX_DELIVERED);
        prop_assert!(hops.passing.values().all(|passing| passing.tried.len() <= TRIES && passing.route.hops <= 3));
        for node in 1..6 {
            neighbours.remove(&key(node), Instant::START);
            hops.on_gone(key(node), neighbours, Instant::START);
        }
        prop_assert_eq!(hops.passing.len() + hops.rates.len(), 0);
    }
}

/// Nodes whose messages arrive at once, in the order in which they were sent.
struct Net {
    nodes: BTreeMap<u8, (Hops, Neighbours)>,
    queue: VecDeque<(u8, u8, Message)>,
    /// Nodes that say nothing at all.
    silent: Vec<u8>,
    /// Nodes that acknowledge routes and drop them.
    holes: Vec<u8>,
    /// Ways that nodes were told are broken.
    lost: Vec<(u8, Token)>,
    routes: u32,
    /// All that was said, and by whom.
    said: Vec<(u8, Message)>,
    asked: u64,
    outcome: Option<Outcome>,
    now: Instant,
}

impl Net {
    fn new(count: u8, is_linked: impl Fn(u8, u8) -> bool) -> Self {
        let linked =
            |node: u8| (0..count).filter(|other| *other != node && is_linked(node, *other)).collect::<Vec<_>>();
        let nodes = (0..count).map(|node| {
            let mut neighbours = Neighbours::default();
            for other in linked(node) {
                neighbours.add(key(other), None, true, Instant::START);
                let list = linked(other).into_iter().filter(|third| *third != node).take(32);
                neighbours.on_near(&key(other), true, list.map(card).collect(), &[]);
            }
            (node, (Hops::new(key(node), u64::from(node)), neighbours))
        });
        let nodes = nodes.collect();
        Self {
            nodes,
            queue: VecDeque::new(),
            silent: Vec::new(),
            holes: Vec::new(),
            lost: Vec::new(),
            routes: 0,
            said: Vec::new(),
            asked: 0,
            outcome: None,
            now: Instant::START,
        }
    }

    fn full(count: u8) -> Self {
        Self::new(count, |_, _| true)
    }

    fn line(count: u8) -> Self {
        Self::new(count, |one, other| one.abs_diff(other) == 1)
    }

    /// Two nodes have no link. Others don't know that.
    fn cut(&mut self, one: u8, other: u8) {
        for (node, gone) in [(one, other), (other, one)] {
            self.nodes.get_mut(&node).unwrap().1.remove(&key(gone), Instant::START);
        }
    }

    fn ask(&mut self, node: u8, to: Target) {
        self.question(node, to, false, Question::Find);
    }

    /// Asks until somebody replies: a route that comes by the same node twice ends there.
    fn ask_walking(&mut self, node: u8, to: Target, question: &Question) -> Reply {
        for _ in 0..10 {
            self.question(node, to, true, question.clone());
            if let Some(Outcome::Replied(reply)) = self.run() {
                return reply;
            }
        }
        panic!("nobody replies");
    }

    fn question(&mut self, node: u8, to: Target, walks: bool, question: Question) {
        self.asked += 1;
        let route = Route { id: self.asked, to, hops: MAX_HOPS, walks, trail: Vec::new(), question };
        let (hops, neighbours) = self.nodes.get_mut(&node).unwrap();
        let start = Start { route, source: Source::Call(1), avoid: Vec::new(), is_beyond: walks };
        hops.start(start, neighbours, self.now);
    }

    fn start(&mut self, node: u8, route: Route, source: Source) {
        let (hops, neighbours) = self.nodes.get_mut(&node).unwrap();
        hops.start(Start { route, source, avoid: Vec::new(), is_beyond: false }, neighbours, Instant::START);
        self.perform(node);
    }

    /// Neither the node's key nor its mark is in anything that was said.
    fn shows_nothing_of(&self, node: u8) {
        assert!(self.said.iter().filter(|(by, _)| *by != node).count() > 1, "others say something");
        for (_, message) in &self.said {
            assert!(!message.encode().windows(32).any(|window| window == key(node).0), "{message:?}");
            let trail = if let Message::Route(route) = message { &route.trail[..] } else { &[] };
            assert!(!trail.contains(&mark(Position::of(&key(node)))), "{message:?}");
        }
    }

    /// Runs until the question's outcome is known.
    fn run(&mut self) -> Option<Outcome> {
        for node in 0..u8::try_from(self.nodes.len()).unwrap() {
            self.perform(node);
        }
        while self.outcome.is_none() {
            if let Some((from, to, message)) = self.queue.pop_front() {
                self.arrive(from, to, message);
                continue;
            }
            let (due, node) =
                self.nodes.iter().filter_map(|(node, (hops, _))| Some((hops.poll_timeout()?, *node))).min()?;
            self.now = due;
            let (hops, neighbours) = self.nodes.get_mut(&node).unwrap();
            hops.on_timeout(neighbours, due);
            self.perform(node);
        }
        self.outcome.take()
    }

    fn arrive(&mut self, from: u8, to: u8, message: Message) {
        let is_linked = self.nodes[&to].1.find(&key(from)).is_some();
        if self.silent.contains(&to) || !is_linked {
            return;
        }
        let (hops, neighbours) = self.nodes.get_mut(&to).unwrap();
        match message {
            Message::Route(route) if self.holes.contains(&to) => {
                self.queue.push_back((to, from, Message::RouteAck { id: route.id }));
            }
            Message::Route(route) => hops.on_route(key(from), route, neighbours, self.now),
            Message::Lost(token) => hops.on_lost(key(from), token),
            Message::RouteAck { id } => hops.on_ack(key(from), id),
            Message::RouteBack { id, reply } => hops.on_back(key(from), id, reply, neighbours, self.now),
            Message::RouteEnd { id, hops: left, .. } => hops.on_end(key(from), id, left, neighbours, self.now),
            other => panic!("no hop says {other:?}"),
        }
        self.perform(to);
    }

    fn perform(&mut self, node: u8) {
        let (hops, _) = self.nodes.get_mut(&node).unwrap();
        while let Some(output) = hops.poll_output() {
            match output {
                Output::Deliver { id, .. } => hops.answer(id, &Reply::Word(vec![node])),
                Output::Done { outcome, .. } => self.outcome = Some(outcome),
                Output::Lost(token) => self.lost.push((node, token)),
                Output::Send(to, message) => {
                    self.routes += u32::from(matches!(message, Message::Route(_)));
                    self.said.push((node, message.clone()));
                    self.queue.push_back((node, to.0[0], message));
                }
            }
        }
    }
}

fn key(node: u8) -> NodeId {
    NodeId([node; 32])
}

fn card(node: u8) -> Card {
    Card { node: key(node), reach: Reach::Easy, light: false }
}
