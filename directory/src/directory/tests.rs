use std::{collections::BTreeMap, time::Duration};

use bitters_record::{
    blind::BlindedSecret,
    body::{Body, Introduction},
    day::Day,
    record::{Salt, TTL_SECS},
};
use bitters_wire::keys::PersonaSecret;

use super::*;

#[test]
fn what_one_node_publishes_another_finds() {
    let mut net = Net::new(12);
    net.publish(0, 1);
    assert_eq!(net.find(7), Some(1));
    assert_eq!(net.find(0), Some(1), "who published it, too");
    net.tell(0, Input::Withdraw(name()));
    assert_eq!(net.find(7), Some(1), "it is kept for as long as it is good");
    net.later(Duration::from_secs(TTL_SECS));
    assert_eq!(net.find(7), None);
}

#[test]
fn one_position_is_enough_and_the_other_is_mended() {
    let mut net = Net::new(12);
    let [first, second] = net.roots();
    net.dead.extend([first]);
    net.publish(0, 1);
    assert_eq!(net.find(7), Some(1));

    net.dead.clear();
    assert_eq!(net.kept(first), None);
    assert_eq!(net.find(7), Some(1));
    assert_eq!(net.kept(first), Some(1), "mended by who looked it up");
    assert_eq!(net.kept(second), Some(1));
}

#[test]
fn the_newest_record_wins_and_replaces_the_older_one() {
    let mut net = Net::new(12);
    let [first, second] = net.roots();
    net.publish(0, 1);
    net.dead.extend([first]);
    net.publish(0, 2);
    net.dead.clear();
    assert_eq!((net.kept(first), net.kept(second)), (Some(1), Some(2)));
    assert_eq!(net.find(7), Some(2));
    assert_eq!(net.kept(first), Some(2));
}

#[test]
fn who_publishes_an_older_record_is_told_of_the_newer_one() {
    let mut net = Net::new(12);
    net.publish(0, 5);
    net.publish(1, 4);
    assert_eq!(net.outdated, [(1, 5), (1, 5)], "once for each position");
}

#[test]
fn neighbours_have_copies_when_a_node_dies_and_newcomers_get_theirs() {
    let mut net = Net::new(16);
    net.publish(0, 1);
    net.later(Duration::from_secs(30));
    for root in net.roots() {
        net.nodes.remove(&root);
    }
    net.settle();
    assert_eq!(net.find(if net.nodes.contains_key(&7) { 7 } else { 8 }), Some(1), "the next ones have it");

    for node in 16..60 {
        net.add(node);
        net.settle();
        net.later(Duration::from_secs(10));
    }
    assert_eq!(net.find(40), Some(1), "and so have those that are nearer now");
}

#[test]
fn what_was_kept_nowhere_is_put_again() {
    let mut net = Net::new(12);
    net.dead.extend(net.roots());
    net.publish(0, 1);
    assert_eq!(net.find(7), None);
    net.dead.clear();
    net.later(Duration::from_secs(60));
    assert_eq!(net.find(7), Some(1));
}

#[test]
fn what_nobody_signed_or_that_is_of_somebody_else_is_not_believed() {
    let mut directory = Directory::new(NodeId([1; 32]), NOON, 1, Instant::START);
    let mut forged = record(9);
    let other = bitters_wire::codec::encode(&forged);
    forged = bitters_wire::codec::decode(&[&other[..other.len() - 1], &[other[other.len() - 1] ^ 1]].concat(), 2000)
        .unwrap();
    let somebody_else = sealed(&PersonaSecret::new([0xb0; 32]), 9);
    for lie in [Reply::Record(forged), Reply::Record(somebody_else), Reply::Kept] {
        directory.handle_input(Input::Find { token: 3, name: name() }, Instant::START);
        let asked: Vec<_> = std::iter::from_fn(|| directory.poll_output()).collect();
        for output in asked {
            let Output::Ask { token, is_hidden: true, .. } = output else { panic!("{output:?}") };
            directory.handle_input(Input::Answered { token, word: Some(lie.encode()) }, Instant::START);
        }
        assert_eq!(directory.poll_output(), Some(Output::Found { token: 3, record: None }));
        assert_eq!(directory.poll_output(), None, "nothing is mended by a lie");
    }
}

#[test]
fn what_can_not_be_read_is_answered_with_nothing() {
    let mut directory = Directory::new(NodeId([1; 32]), NOON, 1, Instant::START);
    for word in [vec![], vec![9; 100], Question::Put(record(1)).encode().into_iter().chain([0]).collect()] {
        directory.handle_input(Input::Delivered { id: 4, from: None, word }, Instant::START);
        assert_eq!(directory.poll_output(), Some(Output::Answer { id: 4, word: vec![] }));
    }
}

#[test]
fn a_second_position_that_says_nothing_delays_a_look_up_by_two_seconds() {
    let mut directory = Directory::new(NodeId([1; 32]), NOON, 1, Instant::START);
    directory.handle_input(Input::Find { token: 3, name: name() }, Instant::START);
    let Some(Output::Ask { token, .. }) = directory.poll_output() else { panic!("it asks") };
    while directory.poll_output().is_some() {}
    let word = Some(Reply::Record(record(1)).encode());
    directory.handle_input(Input::Answered { token, word }, Instant::START);
    assert_eq!(directory.poll_output(), None);
    let due = directory.poll_timeout().unwrap();
    assert_eq!(due, Instant::START + Duration::from_secs(2));
    directory.handle_input(Input::Timeout, due);
    assert_eq!(directory.poll_output(), Some(Output::Found { token: 3, record: Some(Box::new(record(1))) }));
}

/// Nodes that all reach each other at once.
struct Net {
    nodes: BTreeMap<u8, Directory>,
    /// Nodes that nobody reaches.
    dead: Vec<u8>,
    found: Option<Option<u64>>,
    outdated: Vec<(u8, u64)>,
    now: Instant,
}

impl Net {
    fn new(count: u8) -> Self {
        let mut net = Self { nodes: BTreeMap::new(), dead: vec![], found: None, outdated: vec![], now: Instant::START };
        for node in 0..count {
            net.add(node);
        }
        net.settle();
        net
    }

    fn add(&mut self, node: u8) {
        let unix = NOON + self.now.since(Instant::START).as_secs();
        self.nodes.insert(node, Directory::new(key(node), unix, node.into(), self.now));
    }

    /// Near neighbours are the four nearest nodes.
    fn settle(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            let at = Position::of(&key(node));
            let mut others: Vec<_> =
                self.nodes.keys().filter(|other| **other != node).map(|other| key(*other)).collect();
            others.sort_by_key(|other| Position::of(other).distance(at));
            self.tell(node, Input::Near(others.into_iter().take(4).collect()));
        }
    }

    fn publish(&mut self, node: u8, seq: u64) {
        self.tell(node, Input::Publish(Box::new(record(seq))));
    }

    fn find(&mut self, node: u8) -> Option<u64> {
        self.tell(node, Input::Find { token: 1, name: name() });
        self.later(Duration::from_secs(5));
        self.found.take().expect("a look-up ends")
    }

    /// The number of the record that a node keeps.
    fn kept(&self, node: u8) -> Option<u64> {
        let directory = &self.nodes[&node];
        directory.keeping.get(name(), directory.unix(self.now)).map(Record::seq)
    }

    /// The nodes that stand nearest to the record's positions: two, or the test shows less than it says.
    fn roots(&self) -> [u8; 2] {
        let roots = positions(name().0, name().1).map(|at| self.nearest(Position(at)));
        assert_ne!(roots[0], roots[1]);
        roots
    }

    fn nearest(&self, at: Position) -> u8 {
        *self.nodes.keys().min_by_key(|node| Position::of(&key(**node)).distance(at)).unwrap()
    }

    fn later(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((due, node)) = self.nodes.iter().filter_map(|(node, it)| Some((it.poll_timeout()?, *node))).min()
            && due <= end
        {
            self.now = self.now.max(due);
            self.tell(node, Input::Timeout);
        }
        self.now = end;
    }

    fn tell(&mut self, node: u8, input: Input) {
        let Some(directory) = self.nodes.get_mut(&node) else { return };
        directory.handle_input(input, self.now);
        while let Some(output) = self.nodes.get_mut(&node).and_then(Machine::poll_output) {
            match output {
                Output::Answer { .. } => panic!("who asked takes the answer"),
                Output::Ask { token, to, word, .. } => {
                    let word = self.deliver(node, to, word);
                    self.tell(node, Input::Answered { token, word });
                }
                Output::Found { record, .. } => self.found = Some(record.map(|record| record.seq())),
                Output::Outdated(newer) => self.outdated.push((node, newer.seq())),
            }
        }
    }

    fn deliver(&mut self, from: u8, to: Target, word: Vec<u8>) -> Option<Vec<u8>> {
        let node = match to {
            Target::Nearest(at) => self.nearest(at),
            Target::Node(node) => node.0[0],
            Target::Introduced { .. } => panic!("records are kept in the open"),
        };
        let directory = self.nodes.get_mut(&node).filter(|_| !self.dead.contains(&node))?;
        directory.handle_input(Input::Delivered { id: 1, from: Some(key(from)), word }, self.now);
        let mut others = Vec::new();
        let mut answer = None;
        while let Some(output) = self.nodes.get_mut(&node)?.poll_output() {
            match output {
                Output::Answer { word, .. } => answer = Some(word),
                other => others.push(other),
            }
        }
        for other in others {
            let Output::Ask { token, to, word, .. } = other else { panic!("it asks at most: {other:?}") };
            let word = self.deliver(node, to, word);
            self.tell(node, Input::Answered { token, word });
        }
        answer
    }
}

/// 1 January 2026, noon, in unix seconds.
const NOON: u64 = 1_767_268_800;

fn key(node: u8) -> NodeId {
    NodeId([node; 32])
}

fn record(seq: u64) -> Record {
    sealed(&PersonaSecret::new([0xa1; 32]), seq)
}

fn sealed(persona: &PersonaSecret, seq: u64) -> Record {
    let secret = BlindedSecret::of(persona, Day::of(NOON));
    let body = Body::new(persona.id(), vec![], vec![Introduction { node: key(1), token: [2; 16] }]).unwrap();
    Record::seal(&secret, Salt::ALL[0], seq, NOON + TTL_SECS, &body, [5; 16])
}

fn name() -> Name {
    let record = record(1);
    (record.key(), record.salt())
}
