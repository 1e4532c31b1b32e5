//! Who shares an address, and what may come from it. An address's rates outlive its connections, or reconnecting would be a way
//! round them; an address is forgotten when it has no connection and has made up for everything it took.

use std::collections::{BTreeMap, BTreeSet};

use bitters_machine::time::Instant;

use super::Config;
use crate::{
    rate::{Bucket, Rate},
    source::Source,
};

/// All sources that have a connection or had one lately.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: BTreeMap<Source, Usage>,
    /// Those without a connection, by the time when they are forgotten.
    idle: BTreeSet<(Instant, Source)>,
}

#[derive(Debug, Default)]
struct Usage {
    connections: usize,
    messages: Bucket,
    opens: Bucket,
}

impl Sources {
    /// Counts a new connection, unless the source has too many or opens them too fast.
    #[must_use]
    pub(super) fn open(&mut self, source: Source, config: &Config, now: Instant) -> bool {
        let usage = self.known.entry(source).or_default();
        self.idle.remove(&(usage.forget_at(), source));
        let opened = usage.connections < config.connections_per_source && usage.opens.take(1, config.source_opens, now);
        if opened {
            usage.connections += 1;
        }
        self.rest(source, config);
        opened
    }

    /// Counts a connection out.
    pub(super) fn close(&mut self, source: Source, config: &Config) {
        let Some(usage) = self.known.get_mut(&source) else { return };
        usage.connections = usage.connections.saturating_sub(1);
        self.rest(source, config);
    }

    /// Counts a message of an open connection, unless too many came.
    #[must_use]
    pub(super) fn message(&mut self, source: Source, rate: Rate, now: Instant) -> bool {
        self.known.get_mut(&source).is_some_and(|usage| usage.messages.take(1, rate, now))
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

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn rest(&mut self, source: Source, config: &Config) {
        let Some(usage) = self.known.get(&source).filter(|usage| usage.connections == 0) else { return };
        self.idle.insert((usage.forget_at(), source));
        if self.idle.len() > config.idle_sources {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, source)) = self.idle.pop_first() {
            self.known.remove(&source);
        }
    }
}

impl Usage {
    fn forget_at(&self) -> Instant {
        self.messages.full_at().max(self.opens.full_at())
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
        assert_eq!(sources.timeout(), Some(Instant::from_millis(3000)));
        sources.expire(Instant::from_millis(2999));
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

        assert_eq!((sources.len(), sources.idle.len()), (10, 10));
    }

    fn bits_to_v4(bits: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(bits)
    }

    fn here() -> Source {
        IpAddr::V4(Ipv4Addr::LOCALHOST).into()
    }
}
