//! The bounds of the rendezvous, each with the reason for its number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rate::Rate;

/// What the rendezvous bears. A *source* is an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Bytes of messages from one connection.
    pub bytes: Rate,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one source.
    pub connections_per_source: usize,
    /// Sources without a connection that are remembered for their rates.
    pub idle_sources: usize,
    /// How long nobody is introduced to the same node again unasked.
    #[serde(with = "humantime_serde")]
    pub introduction_memory: Duration,
    /// Introductions remembered for one node; until some are forgotten, it is told of nobody more unasked.
    pub introductions: usize,
    /// Messages from one connection.
    pub messages: Rate,
    /// Personas of one connection.
    pub personas: usize,
    /// How long a connection may take to register.
    #[serde(with = "humantime_serde")]
    pub register_timeout: Duration,
    /// Signals to one connection, from all others together.
    pub signals: Rate,
    /// Messages from all connections of one source together.
    pub source_messages: Rate,
    /// Connections opened by one source.
    pub source_opens: Rate,
    /// Addresses that one connection listens at.
    pub tokens: usize,
    /// Topics of one connection.
    pub topics: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // All that a full node says when it comes back is below 32 KiB; a signal is below 600 bytes.
            bytes: Rate { burst: 256 * 1024, per_second: 32 * 1024 },
            connections: 4096,
            connections_per_source: 64,
            idle_sources: 16 * 1024,
            introduction_memory: Duration::from_secs(5 * 60),
            introductions: 512,
            // A full node comes back with 1 + 64 + 256 messages at once.
            messages: Rate { burst: 512, per_second: 50 },
            personas: 64,
            register_timeout: Duration::from_secs(10),
            // A node dials and is dialled by a handful; eight introductions at once make eight signals each way.
            signals: Rate { burst: 64, per_second: 32 },
            source_messages: Rate { burst: 8192, per_second: 512 },
            source_opens: Rate { burst: 256, per_second: 4 },
            // A node's own and those of 64 personas, each twice while certificates change.
            tokens: 130,
            topics: 256,
        }
    }
}
