//! What this node keeps for others, and hands over.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_overlay::position::Position;
use bitters_record::{
    place::positions,
    record::Record,
    shelf::{Put, Shelf},
};
use bitters_wire::id::NodeId;

use crate::{Name, word::Reply};

/// Between two copies to one neighbour: it takes 32 a minute of one link.
const PACE: Duration = Duration::from_secs(2);

/// This node's shelf, and the copies that are due.
#[derive(Debug)]
pub struct Keeping {
    me: NodeId,
    shelf: Shelf,
    near: Set<NodeId>,
    due: Map<NodeId, Copies>,
}

#[derive(Debug)]
struct Copies {
    names: VecDeque<Name>,
    next: Instant,
}

impl Keeping {
    /// An empty shelf, of a node without near neighbours.
    #[must_use]
    pub fn new(me: NodeId) -> Self {
        Self { me, shelf: Shelf::new(), near: Set::new(), due: Map::new() }
    }

    /// The record of this name, if this node keeps one.
    #[must_use]
    pub fn get(&self, (key, salt): Name, unix: u64) -> Option<&Record> {
        self.shelf.get(key, salt, unix)
    }

    /// Somebody wants a record kept, over the link with `from`; by `copies` it is to be copied to the neighbours, too.
    pub fn put(&mut self, record: Record, from: NodeId, copies: bool, unix: u64, now: Instant) -> Reply {
        let name = (record.key(), record.salt());
        match self.shelf.put(record, from, self.distance(name), unix, now) {
            Ok(Put::New | Put::Renewed) => {
                for node in self.near.iter().filter(|_| copies).copied().collect::<Vec<_>>() {
                    self.hand_over(node, [name], now);
                }
                Reply::Kept
            }
            Ok(Put::Known) => Reply::Kept,
            Ok(Put::Stale(newer)) => Reply::Record(*newer),
            Err(_) => Reply::Nothing,
        }
    }

    /// The near neighbours are others now. Who is new gets the records that this node is to see to.
    pub fn on_near(&mut self, near: Set<NodeId>, unix: u64, now: Instant) {
        let new: Vec<_> = near.iter().filter(|node| !self.near.contains(*node)).copied().collect();
        self.due.retain(|node, _| near.contains(node));
        for node in new {
            let names: Vec<_> = self.shelf.records(unix).map(|record| (record.key(), record.salt())).collect();
            let names = names.into_iter().filter(|name| self.sees_to(*name));
            self.hand_over(node, names.collect::<Vec<_>>(), now);
        }
        self.near = near;
    }

    /// The next copy that is due: for whom, and of what.
    pub fn next_copy(&mut self, unix: u64, now: Instant) -> Option<(NodeId, Record)> {
        loop {
            let (node, copies) = self.due.iter_mut().find(|(_, copies)| copies.next <= now)?;
            let (node, name) = (*node, copies.names.pop_front());
            copies.next = now + PACE;
            match name {
                None => drop(self.due.remove(&node)),
                Some((key, salt)) => {
                    if let Some(record) = self.shelf.get(key, salt, unix) {
                        return Some((node, record.clone()));
                    }
                }
            }
        }
    }

    /// When the next copy is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.values().map(|copies| copies.next).min()
    }

    /// Whether no near neighbour stands nearer to one of a record's positions than this node.
    fn sees_to(&self, (key, salt): Name) -> bool {
        let nearer =
            |at: Position, node: &NodeId| Position::of(node).distance(at) < Position::of(&self.me).distance(at);
        positions(key, salt).into_iter().any(|at| !self.near.iter().any(|node| nearer(Position(at), node)))
    }

    fn hand_over(&mut self, node: NodeId, names: impl IntoIterator<Item = Name>, now: Instant) {
        let copies = self.due.entry(node).or_insert_with(|| Copies { names: VecDeque::new(), next: now });
        for name in names {
            if !copies.names.contains(&name) {
                copies.names.push_back(name);
            }
        }
    }

    fn distance(&self, (key, salt): Name) -> u64 {
        let me = Position::of(&self.me);
        positions(key, salt).map(|at| me.distance(Position(at))).into_iter().min().unwrap_or(u64::MAX)
    }
}
