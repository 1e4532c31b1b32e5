//! What is counted, and how it is told: in OpenMetrics text, which Prometheus reads.
//!
//! Two ways lead into it. What a shell does is counted as it happens, in a field of [`Metrics`]. What a machine counts for itself, in plain
//! numbers, is read at each scrape by a [`Collector`], such as [`OfRendezvous`]; [`serve`](crate::serve) hands them all to
//! [`Metrics::registry`]. Names begin with `revproxy_`; counters end with `_total`, which is added when they are written.
//!
//! Labels are kinds and reasons, never addresses, names or keys.

use std::{fmt, sync::Arc, time::SystemTime};

use axum::http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::Registry,
};

use crate::{
    core::{
        proxy::{self, Dropped, Ended},
        rendezvous::{Counts, Load},
    },
    hub::Hub,
    leaf::Leaf,
    tls::Certs,
    udp::Udp,
};

/// One label and its value.
type Label = [(&'static str, String); 1];

/// What the shells count. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    /// HTTP connections that are open, with those that still shake hands. Upgraded ones are the rendezvous'.
    pub(crate) connections: Gauge,
    /// Bytes from clients, over TCP.
    pub(crate) received: Counter,
    /// Bytes to clients, over TCP.
    pub(crate) sent: Counter,
    /// Connections closed at once, because their source had its share.
    pub(crate) crowded: Counter,
    handshakes: Family<Label, Counter>,
    requests: Family<Label, Counter>,
}

/// The rendezvous' numbers.
#[derive(Debug)]
pub(crate) struct OfRendezvous(pub(crate) Arc<Hub>);

/// The proxy's numbers.
#[derive(Debug)]
pub(crate) struct OfProxy(pub(crate) Arc<Udp>);

/// The certificate's end.
#[derive(Debug)]
pub(crate) struct OfCertificate(pub(crate) Arc<Certs>);

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.requests.get_or_create(&[("status", format!("{}xx", status.as_u16() / 100))]).inc();
    }

    /// A TLS handshake came to nothing.
    pub(crate) fn handshake_failed(&self, reason: &'static str) {
        self.handshakes.get_or_create(&[("reason", reason.into())]).inc();
    }

    /// Everything, by name.
    pub(crate) fn registry(&self, collectors: Vec<Box<dyn Collector>>) -> Registry {
        let mut registry = Registry::with_prefix("revproxy");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", build);
        let started = Gauge::<i64>::default();
        started.set(seconds(SystemTime::now()));
        registry.register("start_time_seconds", "When it started, since 1970", started);
        registry.register("http_connections", "HTTP connections that are open", self.connections.clone());
        registry.register("http_refused_connections", "Connections too many of one source", self.crowded.clone());
        registry.register("http_requests", "Requests answered, by the class of their status", self.requests.clone());
        registry.register("received_bytes", "Bytes from clients over TCP", self.received.clone());
        registry.register("sent_bytes", "Bytes to clients over TCP", self.sent.clone());
        registry.register("tls_handshake_failures", "TLS handshakes that came to nothing", self.handshakes.clone());
        for collector in collectors {
            registry.register_collector(collector);
        }
        registry
    }
}

impl Collector for OfRendezvous {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (load, counts) = self.0.numbers();
        let Load { connections, introductions, keys, nodes, sources, tokens, topics } = load;
        for (name, help, value) in [
            ("rendezvous_connections", "Sockets that are open", connections),
            ("rendezvous_addresses", "Addresses that are listened at", tokens),
            ("rendezvous_introductions", "Introductions remembered", introductions),
            ("rendezvous_nodes", "Sockets whose node has entered", nodes),
            ("rendezvous_personas", "Keys of personas that can be looked up", keys),
            ("rendezvous_sources", "Source addresses remembered for their rates", sources),
            ("rendezvous_topics", "Topics with a member", topics),
        ] {
            gauge(&mut encoder, name, help, value as u64)?;
        }
        let Counts { received, refused, sent } = counts;
        let of_kind = |(kind, count): (&&'static str, &u64)| ((*kind).to_owned(), *count);
        counters(&mut encoder, "rendezvous_received", "Messages from nodes", "kind", received.iter().map(of_kind))?;
        counters(&mut encoder, "rendezvous_sent", "Messages to nodes", "kind", sent.iter().map(of_kind))?;
        let of_code = refused.iter().map(|(code, count)| (format!("{code:?}"), *count));
        counters(&mut encoder, "rendezvous_refused", "Refusals, by their code", "code", of_code)
    }
}

impl Collector for OfProxy {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (load, counts) = self.0.numbers();
        let proxy::Load { ghosts, legs, listeners, pending, relaying, passages } = load;
        for (name, help, value) in [
            ("proxy_ghosts", "Ended passages remembered", ghosts),
            ("proxy_legs", "Five-tuples of passages", legs),
            ("proxy_listeners", "Addresses that are listened at", listeners),
            ("proxy_pending", "Sessions whose listener has not answered yet", pending),
            ("proxy_relaying", "Sessions that found no direct path, or look for none", relaying),
            ("proxy_sessions", "Passages in all", passages),
        ] {
            gauge(&mut encoder, name, help, value as u64)?;
        }
        counter(&mut encoder, "proxy_bindings", "Plain STUN requests answered", counts.bindings)?;
        counter(&mut encoder, "proxy_dials", "Sessions begun", counts.dialled)?;
        counter(&mut encoder, "proxy_answers", "Dials that listeners answered", counts.answered)?;
        let ways = [("dialler", counts.to_diallers), ("listener", counts.to_listeners)];
        let packets = ways.iter().map(|(to, traffic)| ((*to).into(), traffic.packets));
        counters(&mut encoder, "proxy_forwarded_packets", "Datagrams forwarded", "to", packets)?;
        let bytes = ways.iter().map(|(to, traffic)| ((*to).into(), traffic.bytes));
        counters(&mut encoder, "proxy_forwarded_bytes", "Bytes forwarded, as UDP payload", "to", bytes)?;
        let dropped = Dropped::ALL.iter().map(|&reason| (reason.name().into(), counts.dropped(reason)));
        counters(&mut encoder, "proxy_dropped_packets", "Datagrams that led to nothing", "reason", dropped)?;
        let ended = Ended::ALL.iter().map(|&reason| (reason.name().into(), counts.ended(reason)));
        counters(&mut encoder, "proxy_ended", "Sessions that are over", "reason", ended)
    }
}

impl Collector for OfCertificate {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(leaf) = self.0.current().and_then(|key| Leaf::of(&key)) else { return Ok(()) };
        let until = u64::try_from(seconds(leaf.until)).unwrap_or_default();
        gauge(&mut encoder, "tls_certificate_end_seconds", "When the certificate ends, since 1970", until)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
}

/// One counter for each value of `label`, in the values' order.
fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl Iterator<Item = (String, u64)>,
) -> fmt::Result {
    let mut values: Vec<_> = values.collect();
    values.sort();
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (value, count) in values {
        ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
