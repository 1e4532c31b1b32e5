//! Who sent signals to one key: what is left to each network. It is kept with the key's registration, and so shared with no other key.
//!
//! Only signals that pass are counted. Two networks can use up the key's own rate; so the first few signals of each other network pass all the same.

use std::collections::BTreeMap;

use bitters_machine::time::Instant;

use super::Config;
use crate::{
    rate::{Bucket, Rate},
    source::{Net, Source},
};

/// Networks that are remembered of one key, in 6 KiB or less. In the long run 12 are enough: 32 signals come in a second, and each is made up
/// for within a quarter of a second by its source, and within a sixteenth by the two wider networks. A burst comes from more networks if each
/// sends one signal or two; what is forgotten then is as little.
const NETS: usize = 64;

/// What is left to the networks that sent signals to one key lately.
#[derive(Debug, Default)]
pub(super) struct Senders(BTreeMap<Net, Left>);

/// What is left to a network.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    of_all: Bucket,
    /// Of what passes as its first.
    of_first: Bucket,
}

impl Senders {
    /// Whether the source may send another signal, and the wider networks that it is in.
    pub(super) fn has(&self, source: Source, config: &Config, now: Instant) -> bool {
        source.nets().all(|net| self.0.get(&net).is_none_or(|left| left.of_all.has(1, rate(net, config), now)))
    }

    /// Whether its signal is one of the first from the widest network that it is in.
    pub(super) fn is_first(&self, source: Source, config: &Config, now: Instant) -> bool {
        let left = self.0.get(&source.widest()).copied().unwrap_or_default();
        left.of_first.has(1, config.signals_first, now)
    }

    /// Counts a signal that the source [may](Self::has) send.
    pub(super) fn take(&mut self, source: Source, config: &Config, now: Instant) {
        for net in source.nets() {
            if self.0.len() >= NETS && !self.0.contains_key(&net) {
                self.make_room(source, now);
            }
            let left = self.0.entry(net).or_default();
            let _ = left.of_all.take(1, rate(net, config), now);
            let _ = left.of_first.take(1, config.signals_first, now);
        }
    }

    /// Forgets the networks that have made up for everything they took. If none has, it forgets the one that is nearest to that, so that
    /// nobody is kept out; but none that this source is in.
    fn make_room(&mut self, source: Source, now: Instant) {
        self.0.retain(|_, left| left.of_all.full_at() > now);
        let others = self.0.iter().filter(|(net, _)| source.nets().all(|own| own != **net));
        let nearest = others.min_by_key(|(_, left)| left.of_all.full_at()).map(|(net, _)| *net);
        if let Some(net) = nearest.filter(|_| self.0.len() >= NETS) {
            self.0.remove(&net);
        }
    }
}

fn rate(net: Net, config: &Config) -> Rate {
    net.rate_within(config.signals_per_key_and_source, config.signals_per_key)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn no_network_has_more_than_half_of_a_keys_rate() {
        let mut senders = Senders::default();
        let passed: usize = (0..256).map(|host| flood(&mut senders, v4(1, host), Instant::START)).sum();

        assert_eq!(passed, 64);
        assert_eq!(flood(&mut senders, v4(2, 1), Instant::START), 32, "a source of another network");
        let later = Instant::from_millis(1000);
        assert_eq!((0..256).map(|host| flood(&mut senders, v4(1, host), later)).sum::<usize>(), 16);
    }

    #[test]
    fn a_network_has_a_few_first_signals_and_then_one_a_second() {
        let (mut senders, config) = (Senders::default(), Config::default());
        let mut first = |host, seconds: u64| {
            let now = Instant::from_millis(1000 * seconds);
            let is_first = senders.is_first(v4(1, host), &config, now);
            senders.take(v4(1, host), &config, now);
            is_first
        };
        assert_eq!((0..6).map(|host| first(host, 0)).collect::<Vec<_>>(), [true, true, true, true, false, false]);
        assert_eq!([first(9, 1), first(9, 1), first(8, 2)], [true, false, true]);
    }

    #[test]
    fn a_newcomer_has_its_rate_however_many_others_came() {
        let mut senders = Senders::default();
        for net in 0..200 {
            assert_eq!(flood(&mut senders, v4(net, 1), Instant::START), 32);
            assert!(senders.0.len() <= NETS);
        }
        for net in 0..200 {
            let six = Source::from(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, 1)));
            assert_eq!(flood(&mut senders, six, Instant::START), 32);
        }
        assert_eq!(senders.0.len(), NETS);
    }

    #[test]
    fn those_are_forgotten_that_have_made_up_for_everything() {
        let mut senders = Senders::default();
        let (busy, full) = (v4(255, 1), Instant::from_millis(2000));
        flood(&mut senders, busy, Instant::START);
        for net in 0..31 {
            senders.take(v4(net, 1), &Config::default(), Instant::START);
        }
        assert_eq!(senders.0.len(), NETS);

        senders.take(v4(100, 1), &Config::default(), full);

        // By then the busy source has made up for its signals as a /24, not yet as an address.
        let left = [busy.nets().next(), v4(100, 1).nets().next(), Some(v4(100, 1).widest())].map(Option::unwrap);
        assert!(senders.0.len() == left.len() && left.iter().all(|net| senders.0.contains_key(net)), "{senders:?}");
    }

    #[test]
    fn while_all_are_busy_the_one_that_took_least_is_forgotten() {
        let mut senders = Senders::default();
        for net in 0..32 {
            let signals = if net == 7 { 8 } else { 16 };
            (0..signals).for_each(|_| senders.take(v4(net, 1), &Config::default(), Instant::START));
        }

        senders.take(v4(100, 1), &Config::default(), Instant::START);

        assert!(!senders.0.contains_key(&v4(7, 1).widest()));
        assert_eq!(senders.0.len(), NETS);
    }

    /// How many of a hundred signals pass.
    fn flood(senders: &mut Senders, source: Source, now: Instant) -> usize {
        let config = Config::default();
        let passed = (0..100).take_while(|_| {
            let has = senders.has(source, &config, now);
            if has {
                senders.take(source, &config, now);
            }
            has
        });
        passed.count()
    }

    fn v4(net: u16, host: u16) -> Source {
        let [net, host] = [net, host].map(|n| u8::try_from(n).expect("a byte"));
        IpAddr::V4(Ipv4Addr::new(198, 18, net, host)).into()
    }
}
