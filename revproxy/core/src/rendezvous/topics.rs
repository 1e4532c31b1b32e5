//! Who is in which topic.

use std::collections::BTreeMap;

use bitters_wire::id::{PersonaId, TopicId};
use fastrand::Rng;

use super::members::Members;
use crate::source::Source;

/// All topics that somebody is in.
#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<TopicId, Members>);

impl Topics {
    /// The key, whose node is at this address, is in the topic.
    pub(super) fn insert(&mut self, topic: TopicId, key: PersonaId, source: Source) {
        self.0.entry(topic).or_default().insert(key, source);
    }

    pub(super) fn remove(&mut self, topic: TopicId, key: PersonaId) {
        let Some(members) = self.0.get_mut(&topic) else { return };
        members.remove(key);
        if members.is_empty() {
            self.0.remove(&topic);
        }
    }

    /// The members of `topic` in an order drawn as far as it is read.
    pub(super) fn draw<'a>(&'a self, topic: TopicId, rng: &'a mut Rng) -> impl Iterator<Item = PersonaId> + 'a {
        self.0.get(&topic).map(|members| members.draw(rng)).into_iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        net::{IpAddr, Ipv4Addr},
    };

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
        topics.insert(TOPIC, key(1), host(1, 1));
        topics.remove(TOPIC, key(0));
        topics.remove(TOPIC, key(0));
        let left: BTreeSet<_> = topics.draw(TOPIC, &mut Rng::with_seed(1)).collect();
        assert_eq!(left, BTreeSet::from([key(1), key(2)]));

        topics.remove(TOPIC, key(2));
        topics.remove(TOPIC, key(1));
        assert_eq!(topics.len(), 0);
        assert_eq!(topics.draw(TOPIC, &mut Rng::with_seed(1)).next(), None);
    }

    #[test]
    fn networks_take_turns_and_so_do_addresses_of_one() {
        let mut topics = Topics::default();
        // Of two networks: one with three addresses, of which one has twelve keys, and one with a key.
        (0..12).for_each(|n| topics.insert(TOPIC, key(n), host(1, 1)));
        (12..14).for_each(|n| topics.insert(TOPIC, key(n), host(1, n)));
        topics.insert(TOPIC, key(14), host(2, 1));
        for seed in 0..100 {
            let drawn: Vec<_> = topics.draw(TOPIC, &mut Rng::with_seed(seed)).map(|key| key.0[0]).collect();
            // A network has four turns, and an address of it.
            assert!(drawn[..5].contains(&14), "seed {seed}: {drawn:?}");
            assert!([12, 13].iter().all(|n| drawn[..7].contains(n)), "seed {seed}: {drawn:?}");
            assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>().len(), 15, "seed {seed}");
        }
    }

    #[test]
    fn how_often_two_are_named_together_does_not_tell_that_they_are_in_one_household() {
        let mut topics = topic_of(10);
        // Four keys of one address, and two of two addresses of another network.
        (1..4).for_each(|n| topics.insert(TOPIC, key(n), host(0, 1)));
        topics.insert(TOPIC, key(5), host(4, 2));
        let mut rng = Rng::with_seed(1);
        let mut together = [[0; 10]; 10];
        for _ in 0..10_000 {
            let mut two: Vec<_> = topics.draw(TOPIC, &mut rng).take(2).map(|key| usize::from(key.0[0])).collect();
            two.sort_unstable();
            together[two[0]][two[1]] += 1;
        }
        // Of 45 pairs each.
        let pairs = (0..10).flat_map(|one| (one + 1..10).map(move |other| (one, other)));
        assert!(pairs.into_iter().all(|(one, other)| (170..275).contains(&together[one][other])), "{together:?}");
    }

    #[test]
    fn who_comes_from_another_address_is_drawn_there_only() {
        let mut topics = topic_of(2);
        topics.insert(TOPIC, key(0), host(1, 1));
        assert_eq!(topics.draw(TOPIC, &mut Rng::with_seed(1)).count(), 2);

        topics.remove(TOPIC, key(0));
        topics.remove(TOPIC, key(1));
        assert_eq!(topics.len(), 0);
    }

    fn topic_of(count: u8) -> Topics {
        let mut topics = Topics::default();
        (0..count).for_each(|n| topics.insert(TOPIC, key(n), host(n, 1)));
        topics
    }

    fn host(net: u8, host: u8) -> Source {
        IpAddr::V4(Ipv4Addr::new(198, 18, net, host)).into()
    }

    const fn key(n: u8) -> PersonaId {
        PersonaId([n; 32])
    }

    const TOPIC: TopicId = TopicId([9; 32]);
}
