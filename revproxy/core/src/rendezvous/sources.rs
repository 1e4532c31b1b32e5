//! Who shares an address or a network, and what may come from it. An address's rates outlive its connections, or reconnecting would be a way
//! round them; an address is forgotten when it has no connection and has made up for everything it took.

use std::collections::{BTreeMap, BTreeSet};

use bitters_machine::time::Instant;

use super::Config;
use crate::{
    rate::{Bucket, Rate},
    source::{Net, Source},
};

/// A network with so many connections gives none of them up to another: who has many networks can't have people closed so.
const FEW: usize = 8;

/// All sources that have a connection or had one lately, and the networks that they are in.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: BTreeMap<Net, Usage>,
    /// Those without a connection, by the time when they are forgotten.
    idle: BTreeSet<(Instant, Net)>,
    /// The widest networks, by how many connections each has.
    ranks: BTreeSet<(usize, Net)>,
}

#[derive(Debug, Default)]
struct Usage {
    connections: usize,
    messages: Bucket,
    messages_of_keys: Bucket,
    opens: Bucket,
}

impl Sources {
    /// Counts a new connection, unless the source or a network that it is in has too many or opens them too fast.
    #[must_use]
    pub(super) fn open(&mut self, source: Source, config: &Config, now: Instant) -> bool {
        let opens = source.nets().all(|net| {
            self.known.get(&net).is_none_or(|usage| {
                usage.connections < net.bound(config.connections_per_source)
                    && usage.opens.has(1, net.rate(config.source_opens), now)
            })
        });
        if opens {
            self.rerank(source, |count| count + 1);
        }
        for net in source.nets().filter(|_| opens) {
            let usage = self.known.entry(net).or_default();
            self.idle.remove(&(usage.forget_at(), net));
            usage.connections += 1;
            // It has one, as was seen above, unless it has none ever.
            let _ = usage.opens.take(1, net.rate(config.source_opens), now);
        }
        opens
    }

    /// Counts a connection out.
    pub(super) fn close(&mut self, source: Source, config: &Config) {
        self.rerank(source, |count| count.saturating_sub(1));
        for net in source.nets() {
            if let Some(usage) = self.known.get_mut(&net) {
                usage.connections = usage.connections.saturating_sub(1);
            }
            self.rest(net, config);
        }
    }

    /// The network that has most connections, if one of them may give way to a connection of the source: then it still has as many as that
    /// source's network, and more than a few.
    pub(super) fn gives_way(&self, source: Source) -> Option<Net> {
        let (most, greediest) = *self.ranks.last()?;
        (most > FEW.max(self.connections(source.widest()) + 1)).then_some(greediest)
    }

    fn connections(&self, net: Net) -> usize {
        self.known.get(&net).map_or(0, |usage| usage.connections)
    }

    fn rerank(&mut self, source: Source, change: impl Fn(usize) -> usize) {
        let net = source.widest();
        let count = self.connections(net);
        self.ranks.remove(&(count, net));
        self.ranks.extend(Some((change(count), net)).filter(|(count, _)| *count > 0));
    }

    /// Counts a message of an open connection, unless too many came.
    #[must_use]
    pub(super) fn message(&mut self, source: Source, rate: Rate, now: Instant) -> bool {
        self.take(source, rate, now, |usage| &mut usage.messages)
    }

    /// Likewise, a message of a key. These have a rate of their own: no connection ends for what keys of its neighbours say.
    #[must_use]
    pub(super) fn message_of_key(&mut self, source: Source, rate: Rate, now: Instant) -> bool {
        self.take(source, rate, now, |usage| &mut usage.messages_of_keys)
    }

    fn take(&mut self, source: Source, rate: Rate, now: Instant, of: fn(&mut Usage) -> &mut Bucket) -> bool {
        let mut has = |net: Net| self.known.get_mut(&net).is_some_and(|usage| of(usage).has(1, net.rate(rate), now));
        let within = source.nets().all(&mut has);
        for net in source.nets().filter(|_| within) {
            if let Some(usage) = self.known.get_mut(&net) {
                let _ = of(usage).take(1, net.rate(rate), now);
            }
        }
        within
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.idle.first().map(|&(at, _)| at)
    }

    /// Forgets the sources whose time has come.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.timeout().is_some_and(|at| at <= now) {
            self.forget_first();
        }
    }

    /// How many sources there are, without the wider networks.
    pub(super) fn len(&self) -> usize {
        self.known.keys().filter(|net| net.is_source()).count()
    }

    fn rest(&mut self, net: Net, config: &Config) {
        let Some(usage) = self.known.get(&net).filter(|usage| usage.connections == 0) else { return };
        self.idle.insert((usage.forget_at(), net));
        if self.idle.len() > config.idle_sources {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, net)) = self.idle.pop_first() {
            self.known.remove(&net);
        }
    }
}

impl Usage {
    fn forget_at(&self) -> Instant {
        self.messages.full_at().max(self.messages_of_keys.full_at()).max(self.opens.full_at())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn connections_are_counted_in_and_out() {
        let config = Config { connections_per_source: 2, ..Config::default() };
        let mut sources = Sources::default();
        let open = |sources: &mut Sources| sources.open(here(), &config, Instant::START);

        assert!(open(&mut sources));
        assert!(open(&mut sources));
        assert!(!open(&mut sources));
        sources.close(here(), &config);
        assert!(open(&mut sources));
    }

    #[test]
    fn reconnecting_is_no_way_round_a_rate() {
        let config = Config { source_opens: Rate { burst: 3, per_second: 1 }, ..Config::default() };
        let mut sources = Sources::default();

        for _ in 0..3 {
            assert!(sources.open(here(), &config, Instant::START));
            sources.close(here(), &config);
        }

        assert!(!sources.open(here(), &config, Instant::START));
        sources.expire(Instant::from_millis(2999));
        assert_eq!(sources.timeout(), Some(Instant::from_millis(3000)));
        assert_eq!(sources.len(), 1);
        sources.expire(Instant::from_millis(3000));
        assert_eq!((sources.len(), sources.timeout()), (0, None));
    }

    #[test]
    fn sources_without_a_connection_are_bounded() {
        let config = Config { idle_sources: 10, ..Config::default() };
        let mut sources = Sources::default();

        for bits in 0..1000 {
            let source = Source::from(IpAddr::from(bits_to_v4(bits)));
            assert!(sources.open(source, &config, Instant::START));
            sources.close(source, &config);
        }

        assert_eq!((sources.known.len(), sources.idle.len()), (10, 10));
    }

    #[test]
    fn a_48_has_the_connections_of_sixteen_sources() {
        let config = Config { connections_per_source: 2, ..Config::default() };
        let mut sources = Sources::default();
        let mut opens = |bits: u128| {
            let source = Source::from(IpAddr::from(std::net::Ipv6Addr::from_bits(bits)));
            (0..10).filter(|_| sources.open(source, &config, Instant::START)).count()
        };

        assert_eq!((0..64_u128).map(|n| opens(n << 72)).sum::<usize>(), 2 * 16, "a /56 each");
        assert_eq!((0..64_u128).map(|n| opens((1 << 80) + (n << 64))).sum::<usize>(), 2 * 4, "all in one /56");
        assert_eq!(opens(2 << 80), 2);
    }

    fn bits_to_v4(bits: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(bits)
    }

    fn here() -> Source {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }
}
