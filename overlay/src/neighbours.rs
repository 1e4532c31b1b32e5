//! Whom a node is linked with, and whom those are linked with.
//!
//! A route's next hop is chosen with *lookahead*: the neighbour that is linked with whoever stands nearest to the target. Lists are hints: who
//! says that it is linked with somebody gets a route, and stands worse if the route is lost.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::id::NodeId;

use crate::{
    message::{Card, MAX_LIST, Message, Reach, Target},
    position::Position,
    standing::{Rank, Standing},
};

/// How long changes of the list are gathered before neighbours are told.
const GATHER: Duration = Duration::from_secs(1);

/// The first 24 bits of an IPv4 address, or the first 48 of an IPv6 address: who has many addresses there counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(pub [u8; 6]);

/// A node and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who it is.
    pub card: Card,
    /// Where it stands, by its key.
    pub at: Position,
}

impl From<Card> for Place {
    fn from(card: Card) -> Self {
        Self { at: Position::of(&card.node), card }
    }
}

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who it is, as it says itself.
    pub place: Place,
    /// Whether it has said who it is.
    pub is_known: bool,
    /// Where its packets come from, if that is known.
    pub network: Option<Network>,
    /// When the link came up.
    pub since: Instant,
    /// Whether this node wants the link.
    pub is_ours: bool,
    /// Whether the neighbour does.
    pub is_theirs: bool,
    /// How far it is trusted with routes.
    pub standing: Standing,
    /// Whom it is linked with.
    pub list: Vec<Place>,
}

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// The neighbour.
    pub node: NodeId,
    /// How near it comes to the target.
    pub distance: u64,
}

/// All neighbours of a node.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    table: Map<NodeId, Neighbour>,
    told: Vec<Card>,
    tell: Option<Instant>,
}

impl Neighbours {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.table.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Neighbour> + Clone {
        self.table.values()
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, node: &NodeId) -> Option<&Neighbour> {
        self.table.get(node)
    }

    /// One of them, to be changed.
    pub fn find_mut(&mut self, node: &NodeId) -> Option<&mut Neighbour> {
        self.table.get_mut(node)
    }

    /// A link is up. Who dialled wants it at first.
    pub fn add(&mut self, node: NodeId, network: Option<Network>, is_dialler: bool, now: Instant) {
        let card = Card { node, reach: Reach::Hard, light: false };
        let neighbour = Neighbour {
            place: card.into(),
            is_known: false,
            network,
            since: now,
            is_ours: is_dialler,
            is_theirs: !is_dialler,
            standing: Standing::new(now),
            list: Vec::new(),
        };
        self.table.insert(node, neighbour);
    }

    /// A link is over. Whose it was, if it was there.
    pub fn remove(&mut self, node: &NodeId, now: Instant) -> Option<Neighbour> {
        let removed = self.table.remove(node);
        if removed.is_some() {
            self.changes(now);
        }
        removed
    }

    /// A neighbour says who it is.
    pub fn on_about(&mut self, node: &NodeId, reach: Reach, light: bool, now: Instant) {
        if let Some(neighbour) = self.table.get_mut(node) {
            neighbour.place.card = Card { node: *node, reach, light };
            neighbour.is_known = true;
            self.changes(now);
        }
    }

    /// A neighbour says whom it is linked with.
    pub fn on_near(&mut self, node: &NodeId, full: bool, add: Vec<Card>, drop: &[NodeId]) {
        let Some(neighbour) = self.table.get_mut(node) else { return };
        if full {
            neighbour.list.clear();
        }
        neighbour
            .list
            .retain(|place| !drop.contains(&place.card.node) && !add.iter().any(|card| card.node == place.card.node));
        let room = MAX_LIST - neighbour.list.len();
        neighbour.list.extend(add.into_iter().filter(|card| card.node != *node).take(room).map(Place::from));
    }

    /// Whom this node is linked with, as a new neighbour is told.
    #[must_use]
    pub fn whole(&self) -> Message {
        Message::Near { full: true, add: self.cards(), drop: Vec::new() }
    }

    /// When neighbours are to be told of changes.
    #[must_use]
    pub const fn tell_at(&self) -> Option<Instant> {
        self.tell
    }

    /// What to tell all neighbours now, if anything.
    pub fn changed(&mut self, now: Instant) -> Option<Message> {
        self.tell.take_if(|at| *at <= now)?;
        let cards = self.cards();
        let add: Vec<_> = cards.iter().filter(|card| !self.told.contains(card)).copied().collect();
        let is_gone = |told: &&Card| !cards.iter().any(|card| card.node == told.node);
        let drop: Vec<_> = self.told.iter().filter(is_gone).map(|card| card.node).collect();
        self.told = cards;
        (!add.is_empty() || !drop.is_empty()).then_some(Message::Near { full: false, add, drop })
    }

    /// The neighbour by which a route comes nearest to its target, of those that may be asked. Who passes things on goes first, unless the
    /// neighbour is the target itself; who is light is asked for itself and for its own neighbours only.
    pub fn next(&self, to: Target, now: Instant, may: impl Fn(&Place) -> bool) -> Option<Next> {
        let goal = goal(to);
        let exact = |place: &Place| match to {
            Target::Introduced { at: node, .. } | Target::Node(node) => place.card.node == node,
            Target::Nearest(_) => false,
        };
        let mut best: Option<((Rank, u64), NodeId)> = None;
        for neighbour in self.table.values().filter(|neighbour| may(&neighbour.place)) {
            let node = neighbour.place.card.node;
            if exact(&neighbour.place) {
                return Some(Next { node, distance: 0 });
            }
            let is_light = neighbour.place.card.light;
            let listed = neighbour.list.iter().filter(|place| !is_light || exact(place)).filter(|place| may(place));
            let ahead = listed.map(|place| place.at.distance(goal)).min().unwrap_or(u64::MAX);
            let rank = (neighbour.standing.rank(now), ahead.min(neighbour.place.at.distance(goal)));
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, node));
            }
        }
        best.map(|((_, distance), node)| Next { node, distance })
    }

    /// Everybody that is known by these links, more than once if several speak of it.
    pub fn known(&self) -> impl Iterator<Item = &Place> + Clone {
        self.table.values().flat_map(|neighbour| std::iter::once(&neighbour.place).chain(&neighbour.list))
    }

    /// Tells neighbours of a change soon.
    fn changes(&mut self, now: Instant) {
        self.tell.get_or_insert(now + GATHER);
    }

    fn cards(&self) -> Vec<Card> {
        self.table
            .values()
            .filter(|neighbour| neighbour.is_known)
            .map(|neighbour| neighbour.place.card)
            .take(MAX_LIST)
            .collect()
    }
}

/// Where a target stands.
#[must_use]
pub fn goal(to: Target) -> Position {
    match to {
        Target::Nearest(position) => position,
        Target::Introduced { at: node, .. } | Target::Node(node) => Position::of(&node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_once_of_what_came_and_went_within_a_second() {
        let mut neighbours = Neighbours::default();
        known(&mut neighbours, ALICE);
        known(&mut neighbours, BOB);
        assert!(neighbours.remove(&BOB, Instant::START).is_some() && neighbours.remove(&BOB, Instant::START).is_none());
        assert_eq!(neighbours.changed(Instant::from_millis(999)), None);
        assert_eq!(neighbours.changed(Instant::from_millis(1000)), Some(near(&[ALICE], &[])));
        assert_eq!(neighbours.tell_at(), None);

        known(&mut neighbours, BOB);
        neighbours.remove(&ALICE, Instant::START);
        assert_eq!(neighbours.changed(Instant::from_millis(1000)), Some(near(&[BOB], &[ALICE])));
    }

    #[test]
    fn a_route_goes_by_whoever_is_linked_with_the_nearest() {
        let mut neighbours = Neighbours::default();
        known(&mut neighbours, ALICE);
        known(&mut neighbours, BOB);
        neighbours.on_near(&BOB, true, vec![card(CAROL)], &[]);
        let next = |neighbours: &Neighbours| neighbours.next(Target::Node(CAROL), Instant::START, |_| true);
        assert_eq!(next(&neighbours), Some(Next { node: BOB, distance: 0 }));

        known(&mut neighbours, CAROL);
        assert_eq!(
            next(&neighbours),
            Some(Next { node: CAROL, distance: 0 }),
            "the target itself, though nothing is known of it"
        );
    }

    #[test]
    fn who_lost_something_comes_last() {
        let mut neighbours = Neighbours::default();
        known(&mut neighbours, ALICE);
        known(&mut neighbours, BOB);
        neighbours.on_near(&BOB, true, vec![card(CAROL)], &[]);
        neighbours.find_mut(&BOB).unwrap().standing.on_loss(Instant::START);
        let next = neighbours.next(Target::Node(CAROL), Instant::START, |_| true);
        assert_eq!(next.map(|next| next.node), Some(ALICE));
    }

    #[test]
    fn a_list_is_bounded_whatever_a_neighbour_adds_to_it() {
        let mut neighbours = Neighbours::default();
        known(&mut neighbours, ALICE);
        for byte in 0..=255 {
            neighbours.on_near(&ALICE, false, vec![card(NodeId([byte; 32]))], &[]);
        }
        assert_eq!(neighbours.find(&ALICE).unwrap().list.len(), MAX_LIST);
        neighbours.on_near(&ALICE, true, vec![card(ALICE)], &[]);
        assert_eq!(neighbours.find(&ALICE).unwrap().list, [], "nobody is linked with itself");
    }

    fn known(neighbours: &mut Neighbours, node: NodeId) {
        neighbours.add(node, None, true, Instant::START);
        neighbours.on_about(&node, Reach::Easy, false, Instant::START);
    }

    fn near(add: &[NodeId], drop: &[NodeId]) -> Message {
        Message::Near { full: false, add: add.iter().map(|node| card(*node)).collect(), drop: drop.to_vec() }
    }

    fn card(node: NodeId) -> Card {
        Card { node, reach: Reach::Easy, light: false }
    }

    const ALICE: NodeId = NodeId([0xa1; 32]);
    const BOB: NodeId = NodeId([0xb0; 32]);
    const CAROL: NodeId = NodeId([0xca; 32]);
}
