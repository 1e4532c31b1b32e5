//! Who is in which topic, with a fair pick among them that costs what it picks, not what the topic holds.

use std::collections::BTreeMap;

use bitters_wire::id::{PersonaId, TopicId};
use fastrand::Rng;

/// All topics that somebody is in.
#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<TopicId, Members>);

/// A set with positions, so that one can be drawn, and another removed, without a walk through all.
#[derive(Debug, Default)]
struct Members {
    keys: Vec<PersonaId>,
    position: BTreeMap<PersonaId, usize>,
}

impl Topics {
    pub(super) fn insert(&mut self, topic: TopicId, key: PersonaId) {
        self.0.entry(topic).or_default().insert(key);
    }

    pub(super) fn remove(&mut self, topic: TopicId, key: PersonaId) {
        let Some(members) = self.0.get_mut(&topic) else { return };
        members.remove(key);
        if members.keys.is_empty() {
            self.0.remove(&topic);
        }
    }

    /// The members of `topic` in an order drawn as far as it is read.
    pub(super) fn draw<'a>(&'a self, topic: TopicId, rng: &'a mut Rng) -> impl Iterator<Item = PersonaId> + 'a {
        let keys = self.0.get(&topic).map_or(&[][..], |members| &members.keys);
        // Fisher and Yates's shuffle, of which only the places that it touched are kept.
        let mut moved = BTreeMap::new();
        (0..keys.len()).map(move |first| {
            let drawn = rng.usize(first..keys.len());
            let at_first = moved.get(&first).copied().unwrap_or(first);
            keys[if drawn == first { at_first } else { moved.insert(drawn, at_first).unwrap_or(drawn) }]
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Members {
    fn insert(&mut self, key: PersonaId) {
        self.position.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.keys.len() - 1
        });
    }

    fn remove(&mut self, key: PersonaId) {
        let Some(at) = self.position.remove(&key) else { return };
        self.keys.swap_remove(at);
        if let Some(&moved) = self.keys.get(at) {
            self.position.insert(moved, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_is_drawn_once() {
        let topics = topic_of(50);
        for seed in 0..100 {
            let drawn: Vec<_> = topics.draw(TOPIC, &mut Rng::with_seed(seed)).collect();
            assert_eq!(drawn.len(), 50, "seed {seed}");
            assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 50, "seed {seed}");
        }
    }

    #[test]
    fn the_draw_is_fair() {
        let topics = topic_of(10);
        let mut rng = Rng::with_seed(1);
        let mut first_two = [0; 10];
        for _ in 0..10_000 {
            topics.draw(TOPIC, &mut rng).take(2).for_each(|key| first_two[usize::from(key.0[0])] += 1);
        }
        assert!(first_two.iter().all(|count| (1800..2200).contains(count)), "{first_two:?}");
    }

    #[test]
    fn leaving_empties() {
        let mut topics = topic_of(3);
        topics.insert(TOPIC, key(1));
        topics.remove(TOPIC, key(0));
        topics.remove(TOPIC, key(0));
        let left: BTreeSet<_> = topics.draw(TOPIC, &mut Rng::with_seed(1)).collect();
        assert_eq!(left, BTreeSet::from([key(1), key(2)]));

        topics.remove(TOPIC, key(2));
        topics.remove(TOPIC, key(1));
        assert_eq!(topics.len(), 0);
        assert_eq!(topics.draw(TOPIC, &mut Rng::with_seed(1)).next(), None);
    }

    fn topic_of(count: u8) -> Topics {
        let mut topics = Topics::default();
        (0..count).for_each(|n| topics.insert(TOPIC, key(n)));
        topics
    }

    const fn key(n: u8) -> PersonaId {
        PersonaId([n; 32])
    }

    const TOPIC: TopicId = TopicId([9; 32]);
}
