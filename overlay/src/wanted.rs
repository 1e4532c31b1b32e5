//! Which links a node wants.
//!
//! *Near* links go to the [`NEAR`] nearest nodes on each side of the ring that it can link with: by them it is found. *Far* links make routes
//! short: each goes into the band of distances, from 2^k to 2^(k+1), where the node has fewest.

use bitters_machine::map::Set;
use bitters_wire::id::NodeId;

use crate::{
    message::{Card, Reach},
    neighbours::{Neighbour, Neighbours, Network, Place},
    position::Position,
};

/// Near links on each side.
pub const NEAR: usize = 2;
/// Links that a node sees to itself, near and far.
pub const WANTED: usize = 10;
/// Links that it has at most.
pub const MOST: usize = 24;
/// The band of the farthest, which have half of the ring between them.
const FARTHEST: u32 = 62;
/// Near links into one network.
const NEAR_IN_NETWORK: usize = 2;
/// Far links into one network.
const FAR_IN_NETWORK: usize = 4;

/// What a node is, when it chooses links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its key.
    pub node: NodeId,
    /// Where it stands.
    pub at: Position,
    /// Whom it can link with.
    pub reach: Reach,
    /// Whether it keeps near links only.
    pub light: bool,
}

impl Own {
    /// The nearest nodes on either side of those that may be linked with; both sides may name the same.
    pub fn nearest<'a>(
        &self,
        places: impl Iterator<Item = &'a Place>,
        may: impl Fn(&Place) -> bool,
    ) -> [Vec<Place>; 2] {
        let mut sides: [Vec<(u64, Place)>; 2] = [Vec::with_capacity(NEAR + 1), Vec::with_capacity(NEAR + 1)];
        for place in places {
            if place.card.node == self.node || !self.reach.links_with(place.card.reach) {
                continue;
            }
            for (side, distance) in sides.iter_mut().zip([self.at.up_to(place.at), place.at.up_to(self.at)]) {
                let is_nearer = side.len() < NEAR || side.last().is_some_and(|(last, _)| distance < *last);
                if is_nearer && !side.iter().any(|(_, known)| known.card.node == place.card.node) && may(place) {
                    let at = side.partition_point(|(other, _)| *other < distance);
                    side.insert(at, (distance, *place));
                    side.truncate(NEAR);
                }
            }
        }
        sides.map(|side| side.into_iter().map(|(_, place)| place).collect())
    }

    /// The nodes that are to be near links: of who is known, whether it is linked already or not.
    pub fn near<'a>(&self, places: impl Iterator<Item = &'a Place>, may: impl Fn(&Place) -> bool) -> Set<NodeId> {
        self.nearest(places, may).into_iter().flatten().map(|place| place.card.node).collect()
    }

    /// Whether one more link is welcome: near ones are, as long as few are in one network; others as long as there is room, too.
    #[must_use]
    pub fn has_room(&self, node: &NodeId, network: Option<Network>, neighbours: &Neighbours) -> bool {
        let place = Place::from(Card { node: *node, reach: Reach::Easy, light: false });
        let near = self.near(neighbours.iter().map(|other| &other.place).chain([&place]), |_| true);
        let is_near = near.contains(node);
        let same = neighbours.iter().filter(|other| network.is_some() && other.network == network);
        let (nearer, farther): (Vec<_>, Vec<_>) =
            same.map(|other| other.place.card.node).chain([*node]).partition(|other| near.contains(other));
        let is_crowded = nearer.len() > NEAR_IN_NETWORK || farther.len() > FAR_IN_NETWORK;
        !is_crowded && (is_near || neighbours.count() < MOST)
    }

    /// The band of a distance.
    #[must_use]
    pub fn band(&self, at: Position) -> u32 {
        self.at.distance(at).max(1).ilog2()
    }

    /// The bands that a node should have far links in: those with fewest links first, and of these the farther ones. Nearer than its near
    /// links there is nobody.
    #[must_use]
    pub fn bands(&self, neighbours: &Neighbours, near: &Set<NodeId>) -> Vec<u32> {
        let is_near = |neighbour: &&Neighbour| near.contains(&neighbour.place.card.node);
        let nearest =
            neighbours.iter().filter(is_near).map(|other| self.band(other.place.at)).max().unwrap_or(FARTHEST - 1);
        let bands = nearest..=FARTHEST;
        let ranked: Set<_> = bands.map(|band| (self.in_band(neighbours, band), FARTHEST - band)).collect();
        ranked.into_iter().map(|(_, nearness)| FARTHEST - nearness).collect()
    }

    /// How many links there are in a band.
    fn in_band(&self, neighbours: &Neighbours, band: u32) -> usize {
        neighbours.iter().filter(|other| self.band(other.place.at) == band).count()
    }

    /// A place in a band, on either side.
    #[must_use]
    pub fn anywhere_in(&self, band: u32, rng: &mut fastrand::Rng) -> Position {
        let distance = (1 << band) + rng.u64(0..1 << band);
        Position(if rng.bool() { self.at.0.wrapping_add(distance) } else { self.at.0.wrapping_sub(distance) })
    }

    /// The far link to give up where there is one too many, of those that may be: one of the band with most links, the youngest. Those that
    /// this node doesn't want go first.
    #[must_use]
    pub fn worst(
        &self,
        neighbours: &Neighbours,
        near: &Set<NodeId>,
        may: impl Fn(&Neighbour) -> bool,
    ) -> Option<NodeId> {
        let rank =
            |other: &&Neighbour| (!other.is_ours, self.in_band(neighbours, self.band(other.place.at)), other.since);
        let far = neighbours.iter().filter(|other| !near.contains(&other.place.card.node) && may(other));
        far.max_by_key(rank).map(|other| other.place.card.node)
    }
}

#[cfg(test)]
mod tests {
    use bitters_machine::time::Instant;

    use super::*;

    #[test]
    fn near_links_go_to_the_two_nearest_on_each_side_that_can_be_linked_with() {
        let places: Vec<_> = (0..100).map(place).collect();
        let own = own(Reach::Hard);
        let near = own.near(places.iter(), |_| true);
        let mut easy: Vec<_> =
            places.iter().filter(|place| place.card.reach == Reach::Easy && place.card.node != own.node).collect();
        easy.sort_by_key(|place| own.at.up_to(place.at));
        let expected: Set<_> =
            [easy[0], easy[1], easy[easy.len() - 1], easy[easy.len() - 2]].map(|place| place.card.node).into();
        assert_eq!(near, expected);

        let first = easy[0].card.node;
        let others = own.near(places.iter(), |place| place.card.node != first);
        assert!(
            !others.contains(&first) && others.contains(&easy[2].card.node),
            "the next one, where the first may not be"
        );
    }

    #[test]
    fn a_band_is_the_logarithm_of_the_distance() {
        let own = own(Reach::Easy);
        let mut rng = fastrand::Rng::with_seed(1);
        for band in 0..FARTHEST {
            assert_eq!(own.band(own.anywhere_in(band, &mut rng)), band);
        }
        assert_eq!(own.band(Position(own.at.0.wrapping_add(1 << 63))), 63);
        assert_eq!(own.band(own.at), 0);
    }

    #[test]
    fn far_links_go_into_the_emptiest_band() {
        let own = own(Reach::Easy);
        let mut neighbours = Neighbours::default();
        for byte in 0..30 {
            neighbours.add(place(byte).card.node, None, true, Instant::START);
        }
        let near = own.near(neighbours.known(), |_| true);
        let bands = own.bands(&neighbours, &near);
        let counts: Vec<_> = bands.iter().map(|band| own.in_band(&neighbours, *band)).collect();
        assert!(counts.is_sorted() && bands.contains(&FARTHEST), "{counts:?}");
    }

    #[test]
    fn one_network_gets_few_links_however_near_they_are() {
        let network = Some(Network([1; 6]));
        for first in 0..10 {
            let (own, mut neighbours) = (own(Reach::Easy), Neighbours::default());
            for byte in first..first + 60 {
                let node = place(byte).card.node;
                if own.has_room(&node, network, &neighbours) {
                    neighbours.add(node, network, false, Instant::START);
                }
            }
            assert!(neighbours.count() <= NEAR_IN_NETWORK + FAR_IN_NETWORK);
            assert!(own.has_room(&place(100).card.node, Some(Network([2; 6])), &neighbours));
            assert!(own.has_room(&place(100).card.node, None, &neighbours));
        }
    }

    #[test]
    fn who_has_enough_links_has_room_for_who_stands_near() {
        let (own, mut neighbours) = (own(Reach::Easy), Neighbours::default());
        for byte in 0..u8::try_from(MOST).unwrap() {
            neighbours.add(place(byte).card.node, None, false, Instant::START);
        }
        let near = own.near(neighbours.known(), |_| true);
        for byte in 100..200 {
            let mut places: Vec<_> = neighbours.iter().map(|other| other.place).collect();
            places.push(place(byte));
            let is_nearer = own.near(places.iter(), |_| true) != near;
            assert_eq!(own.has_room(&place(byte).card.node, None, &neighbours), is_nearer);
        }
    }

    fn own(reach: Reach) -> Own {
        let node = NodeId([200; 32]);
        Own { node, at: Position::of(&node), reach, light: false }
    }

    fn place(byte: u8) -> Place {
        let reach = if byte.is_multiple_of(2) { Reach::Easy } else { Reach::Hard };
        Card { node: NodeId([byte; 32]), reach, light: false }.into()
    }
}
