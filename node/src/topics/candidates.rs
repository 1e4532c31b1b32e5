//! Peers that are said to be in a topic, and who says so.
//!
//! Anybody can invent members. So whoever names them has room for a few only, where a further one takes the place of another of theirs at
//! random; and where there is no room at all, a newcomer takes the place of anybody at random who didn't say so itself. Strangers can say so
//! themselves and hang up, as often as they like: they have room for most places, and the others are for those whom somebody else names.

use bitters_machine::map::{Map, Set};
use bitters_wire::id::PersonaId;

/// Peers in one topic that may be dialled.
pub const MAX_CANDIDATES: usize = 32;

/// Of them, those that said so themselves.
const MAX_THEMSELVES: usize = MAX_CANDIDATES - MAX_PER_PEER;

/// Of them, those that one peer named first.
const MAX_PER_PEER: usize = 8;

/// Of them, those that the rendezvous named first.
const MAX_OF_SERVER: usize = 16;

/// Peers that told of one candidate.
const MAX_VIAS: usize = 4;

/// Who says that a peer is in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introducer {
    /// The peer, on a link.
    Itself,
    /// A peer that is linked.
    Peer(PersonaId),
    /// The rendezvous.
    Server,
}

impl Introducer {
    const fn quota(self) -> usize {
        match self {
            Self::Itself => MAX_THEMSELVES,
            Self::Peer(_) => MAX_PER_PEER,
            Self::Server => MAX_OF_SERVER,
        }
    }
}

#[derive(Debug)]
struct Candidate {
    /// Who said so first, or itself.
    by: Introducer,
    /// Peers that said so, as ways for signals.
    vias: Set<PersonaId>,
}

/// All of one topic.
#[derive(Debug, Default)]
pub struct Candidates(Map<PersonaId, Candidate>);

impl Candidates {
    /// A peer is said to be in the topic.
    pub fn introduce(&mut self, peer: PersonaId, by: Introducer, rng: &mut fastrand::Rng) {
        let known = self.0.get(&peer).map(|it| it.by);
        let counts_anew = known.is_none_or(|before| by == Introducer::Itself && before != by);
        let makes_room = (counts_anew && self.replaces_one_of(by, rng)) || known.is_some() || self.makes_room(rng);
        if !makes_room {
            return;
        }
        let candidate = self.0.entry(peer).or_insert_with(|| Candidate { by, vias: Set::new() });
        match by {
            Introducer::Itself => candidate.by = by,
            Introducer::Peer(via) if candidate.vias.len() < MAX_VIAS => drop(candidate.vias.insert(via)),
            Introducer::Peer(_) | Introducer::Server => {}
        }
    }

    /// Whoever introduces has no more room of its own: another of its gives way. Tells whether that is so.
    fn replaces_one_of(&mut self, by: Introducer, rng: &mut fastrand::Rng) -> bool {
        let of_introducer = self.those(|it| it.by == by);
        of_introducer.len() >= by.quota() && self.drops_one(of_introducer, rng)
    }

    fn makes_room(&mut self, rng: &mut fastrand::Rng) -> bool {
        self.0.len() < MAX_CANDIDATES || self.drops_one(self.those(|it| it.by != Introducer::Itself), rng)
    }

    fn drops_one(&mut self, of: Vec<PersonaId>, rng: &mut fastrand::Rng) -> bool {
        rng.choice(of).is_some_and(|peer| self.0.remove(&peer).is_some())
    }

    fn those(&self, are_meant: impl Fn(&Candidate) -> bool) -> Vec<PersonaId> {
        self.0.iter().filter(|(_, it)| are_meant(it)).map(|(peer, _)| *peer).collect()
    }

    /// Whether a peer is said to be there.
    pub fn contains(&self, peer: PersonaId) -> bool {
        self.0.contains_key(&peer)
    }

    /// It isn't.
    pub fn remove(&mut self, peer: PersonaId) {
        self.0.remove(&peer);
    }

    /// Those who told of a peer don't lead there.
    pub fn forget_ways(&mut self, peer: PersonaId) {
        if let Some(candidate) = self.0.get_mut(&peer) {
            candidate.vias.clear();
        }
    }

    /// Peers that told of another.
    pub fn ways(&self, peer: PersonaId) -> impl Iterator<Item = PersonaId> {
        self.0.get(&peer).into_iter().flat_map(|candidate| candidate.vias.iter().copied())
    }

    /// Who said first that a peer is there. Whoever said so itself is its own introducer.
    pub fn introducer(&self, peer: PersonaId) -> Option<Introducer> {
        let by = self.0.get(&peer)?.by;
        Some(if by == Introducer::Itself { Introducer::Peer(peer) } else { by })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = PersonaId> {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_introduces_only_inventions_leaves_room_for_what_others_say() {
        let (mut candidates, mut rng) = (Candidates::default(), fastrand::Rng::with_seed(1));
        candidates.introduce(peer(1), Introducer::Itself, &mut rng);
        candidates.introduce(peer(2), Introducer::Peer(peer(1)), &mut rng);
        for n in 1000..3000 {
            candidates.introduce(peer(n), Introducer::Peer(peer(9)), &mut rng);
        }
        assert_eq!(candidates.iter().count(), 2 + MAX_PER_PEER);
        for n in 3000..4000 {
            candidates.introduce(peer(n), Introducer::Server, &mut rng);
        }
        assert_eq!(candidates.iter().count(), 2 + MAX_PER_PEER + MAX_OF_SERVER);
        assert!(candidates.contains(peer(1)) && candidates.contains(peer(2)));
    }

    #[test]
    fn many_who_invent_together_do_not_keep_a_newcomer_out_or_drive_out_who_said_so_itself() {
        let (mut candidates, mut rng) = (Candidates::default(), fastrand::Rng::with_seed(1));
        candidates.introduce(peer(1), Introducer::Itself, &mut rng);
        for n in 0..2000 {
            candidates.introduce(peer(1000 + n), Introducer::Peer(peer(10 + n % 50)), &mut rng);
        }
        assert_eq!(candidates.iter().count(), MAX_CANDIDATES);
        candidates.introduce(peer(2), Introducer::Peer(peer(3)), &mut rng);
        candidates.introduce(peer(3), Introducer::Itself, &mut rng);
        assert!((1..=3).all(|n| candidates.contains(peer(n))));
        assert_eq!(candidates.iter().count(), MAX_CANDIDATES);
    }

    #[test]
    fn those_who_said_so_themselves_leave_eight_places_for_those_whom_others_name() {
        let (mut candidates, mut rng) = (Candidates::default(), fastrand::Rng::with_seed(1));
        for n in 0..40 {
            candidates.introduce(peer(n), Introducer::Itself, &mut rng);
        }
        let count = |candidates: &Candidates, from| (from..from + 40).filter(|n| candidates.contains(peer(*n))).count();
        assert_eq!((count(&candidates, 0), candidates.contains(peer(39))), (24, true), "the latest is among them");
        for n in 100..140 {
            candidates.introduce(peer(n), Introducer::Server, &mut rng);
        }
        assert_eq!((count(&candidates, 0), count(&candidates, 100)), (24, 8));
    }

    #[test]
    fn who_was_named_by_others_and_says_so_itself_takes_no_place_from_those_whom_others_name() {
        let (mut candidates, mut rng) = (Candidates::default(), fastrand::Rng::with_seed(1));
        for n in 0..40 {
            candidates.introduce(peer(n), Introducer::Server, &mut rng);
            candidates.introduce(peer(n), Introducer::Itself, &mut rng);
            assert!(candidates.contains(peer(n)));
        }
        assert_eq!(candidates.iter().count(), 24);
        candidates.introduce(peer(100), Introducer::Server, &mut rng);
        candidates.introduce(peer(0), Introducer::Itself, &mut rng);
        assert_eq!((candidates.contains(peer(100)), candidates.iter().count()), (true, 25));
    }

    #[test]
    fn who_is_known_is_known_by_more_ways() {
        let (mut candidates, mut rng) = (Candidates::default(), fastrand::Rng::with_seed(1));
        for n in 0..10 {
            candidates.introduce(peer(1), Introducer::Peer(peer(100 + n)), &mut rng);
        }
        assert_eq!(candidates.ways(peer(1)).count(), MAX_VIAS);
        candidates.forget_ways(peer(1));
        assert_eq!((candidates.ways(peer(1)).count(), candidates.contains(peer(1))), (0, true));
        candidates.remove(peer(1));
        assert_eq!(candidates.iter().count(), 0);
    }

    fn peer(n: u16) -> PersonaId {
        let [a, b] = n.to_be_bytes();
        PersonaId(std::array::from_fn(|at| if at == 0 { a } else { b }))
    }
}
