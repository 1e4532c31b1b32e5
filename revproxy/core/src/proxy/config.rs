//! The bounds of the proxy, each with the reason for its number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rate::Rate;

/// What the proxy bears. A *source* is an IPv4 address or an IPv6 /64. A wider network has the limits of several sources: an IPv4 /24 and an
/// IPv6 /48 those of 16, an IPv6 /56 those of 4. A *passage* is one dial, from its first packet until it is
/// forgotten; it is *pending* until the listener has answered and been heard from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Plain Binding requests of one source that are answered.
    pub bindings: Rate,
    /// Bytes forwarded in all, per second.
    pub bytes: Rate,
    /// New passages of one source.
    pub dials: Rate,
    /// Ended passages that are remembered, so that their stragglers don't begin new ones.
    pub ghosts: usize,
    /// How long they are remembered.
    #[serde(with = "humantime_serde")]
    pub ghost_time: Duration,
    /// New passages for one address that is listened at. The listener is told of fewer, see `told_per_listener`.
    pub listener_dials: Rate,
    /// Those of one source.
    pub listener_source_dials: Rate,
    /// Bytes forwarded in a passage before it is direct, both directions together.
    pub opening_bytes: u64,
    /// An opening passage that is silent for this long is forgotten.
    #[serde(with = "humantime_serde")]
    pub opening_idle: Duration,
    /// How long a passage may take to open and become direct, once both ends are known.
    #[serde(with = "humantime_serde")]
    pub opening_time: Duration,
    /// Pending passages in all. Where there are as many, the oldest of the network that has most gives way.
    pub pending: usize,
    /// Pending passages for one address that is listened at, likewise.
    pub pending_per_listener: usize,
    /// Those of one source. No network has more than half of those for one address.
    pub pending_per_listener_and_source: usize,
    /// Pending passages of one source.
    pub pending_per_source: usize,
    /// How long a passage may be pending.
    #[serde(with = "humantime_serde")]
    pub pending_time: Duration,
    /// Bytes forwarded in a passage that found no direct path or looks for none, both directions together. Zero switches such forwarding
    /// off.
    pub relay_bytes: u64,
    /// A relayed passage that is silent for this long is forgotten.
    #[serde(with = "humantime_serde")]
    pub relay_idle: Duration,
    /// How long a passage is relayed.
    #[serde(with = "humantime_serde")]
    pub relay_time: Duration,
    /// Passages in all, of which no network has more than half. Where there are as many, the oldest relayed one of the network that has most of
    /// these gives way to one of another network.
    #[serde(alias = "sessions")]
    pub passages: usize,
    /// Bytes forwarded for one source that sent them. No network has more than half of `bytes`.
    pub source_bytes: Rate,
    /// Passages that a listener is told of within `told_time`. The others wait, and those come next whose network was told of least.
    pub told_per_listener: usize,
    /// How long a passage that its listener was told of counts.
    #[serde(with = "humantime_serde")]
    pub told_time: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // A browser asks once for each interface and server, and again up to seven times where no answer comes.
            bindings: Rate { burst: 64, per_second: 16 },
            // A fifth of a gigabit.
            bytes: Rate { burst: 8 * 1024 * 1024, per_second: 25 * 1024 * 1024 },
            // A household's nodes after a cold start, each dialling a few seeds.
            dials: Rate { burst: 64, per_second: 8 },
            ghosts: 16 * 1024,
            // Chromium gives a connection up after 15 s, Firefox sooner.
            ghost_time: Duration::from_secs(30),
            // Sixteen networks that dial as fast as each may.
            listener_dials: Rate { burst: 2048, per_second: 512 },
            // Tabs of one browser, or of a household.
            listener_source_dials: Rate { burst: 16, per_second: 2 },
            // A handshake is 10 KiB each way, checks and identities another few.
            opening_bytes: 256 * 1024,
            // Five retransmissions of a check; Firefox gives up after as long.
            opening_idle: Duration::from_secs(5),
            opening_time: Duration::from_secs(10),
            // About 2 KiB each.
            pending: 16 * 1024,
            pending_per_listener: 64,
            pending_per_listener_and_source: 8,
            pending_per_source: 64,
            pending_time: Duration::from_secs(10),
            relay_bytes: 16 * 1024 * 1024,
            // Consent is asked for every 5 s (RFC 7675, section 5.1), and lost after 30 s.
            relay_idle: Duration::from_secs(30),
            relay_time: Duration::from_secs(10 * 60),
            passages: 32 * 1024,
            source_bytes: Rate { burst: 2 * 1024 * 1024, per_second: 4 * 1024 * 1024 },
            // For two addresses less than a node opens at once, each of which has two seconds before it gives way (`node::limits`).
            told_per_listener: 15,
            told_time: Duration::from_millis(2500),
        }
    }
}
