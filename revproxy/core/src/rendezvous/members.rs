//! Who is in one topic, and who of them are named to whoever asks. One address may register a thousand keys, and a network has many addresses:
//! neither is to keep the members of other networks apart. So members are drawn network by network, then address by address, then key by key.
//!
//! Few keys of one network are drawn as if each were in a network of its own. Otherwise whoever asks often would see that two keys are seldom
//! named together, and so that they are in one household. A draw costs what it picks, not what the topic holds.

use std::collections::{BTreeMap, VecDeque};

use bitters_wire::id::PersonaId;
use fastrand::Rng;

use crate::source::{Net, Source};

/// So many turns a network has, or an address, if it has as many keys in the topic. A list of eight has room for others then.
const FEW: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Members {
    /// Turns of the widest networks.
    nets: Bag<Turn<Net>>,
    of_net: BTreeMap<Net, OfNet>,
    of_source: BTreeMap<Source, Bag<PersonaId>>,
    /// Where each key's node is.
    places: BTreeMap<PersonaId, Source>,
}

/// A network's or an address's, and which of its few.
type Turn<T> = (T, usize);

#[derive(Debug, Default)]
struct OfNet {
    keys: usize,
    /// Turns of its addresses.
    sources: Bag<Turn<Source>>,
}

/// A set with positions, so that one can be drawn, and another removed, without a walk through all.
#[derive(Debug)]
struct Bag<T> {
    all: Vec<T>,
    position: BTreeMap<T, usize>,
}

/// Fisher and Yates's shuffle, of which only the places that it touched are kept.
struct Shuffle<'a, T> {
    all: &'a [T],
    drawn: usize,
    moved: BTreeMap<usize, T>,
}

/// Whose turn it is: each has its few, in an order that is drawn, and then all that have more come round again and again.
struct Turns<'a, T, D> {
    few: Shuffle<'a, Turn<T>>,
    begun: VecDeque<(T, D)>,
}

impl Members {
    /// The key's node is at this address now.
    pub(super) fn insert(&mut self, key: PersonaId, source: Source) {
        self.remove(key);
        self.places.insert(key, source);
        let net = source.widest();
        let OfNet { keys, sources } = self.of_net.entry(net).or_default();
        let of_source = self.of_source.entry(source).or_default();
        let turns = (*keys, of_source.all.len());
        *keys += 1;
        of_source.insert(key);
        self.nets.insert_if(turns.0 < FEW, (net, turns.0));
        sources.insert_if(turns.1 < FEW, (source, turns.1));
    }

    pub(super) fn remove(&mut self, key: PersonaId) {
        let Some(source) = self.places.remove(&key) else { return };
        let net = source.widest();
        let OfNet { keys, sources } = self.of_net.get_mut(&net).expect("a key's network is known");
        let of_source = self.of_source.get_mut(&source).expect("a key's address is known");
        *keys -= 1;
        of_source.remove(key);
        self.nets.remove((net, *keys));
        sources.remove((source, of_source.all.len()));
        if *keys == 0 {
            self.of_net.remove(&net);
        }
        if of_source.all.is_empty() {
            self.of_source.remove(&source);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All members, in an order drawn as far as it is read.
    pub(super) fn draw<'a>(&'a self, rng: &'a mut Rng) -> impl Iterator<Item = PersonaId> + 'a {
        let mut nets = Turns::new(&self.nets);
        std::iter::from_fn(move || {
            nets.draw(
                rng,
                |net| Turns::new(&self.of_net[&net].sources),
                |sources, rng| sources.draw(rng, |source| self.of_source[&source].shuffle(), Shuffle::draw),
            )
        })
    }
}

impl<'a, T: Ord + Copy, D> Turns<'a, T, D> {
    const fn new(bag: &'a Bag<Turn<T>>) -> Self {
        Self { few: bag.shuffle(), begun: VecDeque::new() }
    }

    /// Draws a key from whoever's turn it is. Those that have no more are forgotten.
    fn draw(
        &mut self,
        rng: &mut Rng,
        begin: impl Fn(T) -> D,
        draw: impl Fn(&mut D, &mut Rng) -> Option<PersonaId>,
    ) -> Option<PersonaId> {
        let next = self.few.draw(rng).map(|(whose, _)| {
            let begun = self.begun.iter().position(|(it, _)| *it == whose);
            begun.and_then(|at| self.begun.remove(at)).unwrap_or_else(|| (whose, begin(whose)))
        });
        let mut turn = next.or_else(|| self.begun.pop_front());
        while let Some((whose, mut some)) = turn {
            let drawn = draw(&mut some, rng);
            if drawn.is_some() {
                self.begun.push_back((whose, some));
                return drawn;
            }
            turn = self.begun.pop_front();
        }
        None
    }
}

impl<T> Default for Bag<T> {
    fn default() -> Self {
        Self { all: Vec::new(), position: BTreeMap::new() }
    }
}

impl<T> Bag<T> {
    const fn shuffle(&self) -> Shuffle<'_, T> {
        Shuffle { all: self.all.as_slice(), drawn: 0, moved: BTreeMap::new() }
    }
}

impl<T: Ord + Copy> Bag<T> {
    fn insert(&mut self, what: T) {
        self.position.entry(what).or_insert_with(|| {
            self.all.push(what);
            self.all.len() - 1
        });
    }

    fn insert_if(&mut self, is_wanted: bool, what: T) {
        if is_wanted {
            self.insert(what);
        }
    }

    fn remove(&mut self, what: T) {
        let Some(at) = self.position.remove(&what) else { return };
        self.all.swap_remove(at);
        if let Some(&moved) = self.all.get(at) {
            self.position.insert(moved, at);
        }
    }
}

impl<T: Copy> Shuffle<'_, T> {
    fn draw(&mut self, rng: &mut Rng) -> Option<T> {
        let first = self.drawn;
        let at_first = self.moved.remove(&first).or_else(|| self.all.get(first).copied())?;
        self.drawn += 1;
        let drawn = rng.usize(first..self.all.len());
        Some(if drawn == first { at_first } else { self.moved.insert(drawn, at_first).unwrap_or(self.all[drawn]) })
    }
}
