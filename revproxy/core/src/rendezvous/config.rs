//! The bounds of the rendezvous, each with the reason for its number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rate::Rate;

/// What the rendezvous bears. A *source* is an IPv4 address or an IPv6 /64. A wider network has the limits of several sources: an IPv4 /24 and
/// an IPv6 /48 those of 16, an IPv6 /56 those of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Answers of one connection to dials, and what it wants forwarded for longer. The excess is refused.
    pub answers: Rate,
    /// Bytes of messages from one connection that name none of its keys. The excess ends the connection.
    pub bytes: Rate,
    /// Connections in all. Where there are as many, one of the network that has most gives way to one of another network.
    pub connections: usize,
    /// Connections of one source.
    pub connections_per_source: usize,
    /// How long a connection's node may take to enter.
    #[serde(with = "humantime_serde")]
    pub enter_timeout: Duration,
    /// Sources without a connection that are remembered for their rates.
    pub idle_sources: usize,
    /// How long nobody is introduced to the same key again unasked.
    #[serde(with = "humantime_serde")]
    pub introduction_memory: Duration,
    /// Introductions remembered for one key of a connection; until some are forgotten, it is told of nobody more unasked.
    pub introductions: usize,
    /// Keys that one connection registers.
    pub keys: usize,
    /// Messages from one connection that name none of its keys and answer no dial. The excess ends the connection.
    pub messages: Rate,
    /// Messages from one connection that name one of its keys, beside one for each signal that the key was passed. The excess is refused.
    pub messages_per_key: Rate,
    /// Signals to one key, from all others together. All keys of a connection have no rate together: what floods some of them would say who
    /// shares it.
    pub signals_per_key: Rate,
    /// Those from one source. No network has more than half of those to one key.
    pub signals_per_key_and_source: Rate,
    /// The first signals from one network to one key: these pass where others have used up the key's rate.
    pub signals_first: Rate,
    /// Messages from all connections of one source together that name no key and answer no dial. The excess ends a connection.
    pub source_messages: Rate,
    /// Messages from all connections of one source together that are counted for keys. The excess is refused.
    pub source_messages_of_keys: Rate,
    /// Connections opened by one source.
    pub source_opens: Rate,
    /// Addresses that one connection listens at.
    pub tokens: usize,
    /// Topics of all keys of one connection, counted for each key.
    pub topics: usize,
    /// Topics of one key.
    pub topics_per_key: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Two for each dial: more than strangers can have 64 addresses told of (`proxy::Config::told_per_listener`).
            answers: Rate { burst: 2048, per_second: 1024 },
            // All that a full node says when it comes back is below 48 KiB; a signal is below 600 bytes.
            bytes: Rate { burst: 256 * 1024, per_second: 32 * 1024 },
            connections: 4096,
            connections_per_source: 64,
            enter_timeout: Duration::from_secs(10),
            idle_sources: 16 * 1024,
            introduction_memory: Duration::from_secs(5 * 60),
            // More than twice the links that a persona may have.
            introductions: 64,
            // A node has at most 24 personas; some may be changing.
            keys: 32,
            // A full node comes back with 1 + 32 at once, and looks up whom its sites dial.
            messages: Rate { burst: 1024, per_second: 50 },
            // A key comes back with 3 + 128 messages at once, and dials: several times. A site that joins and leaves topics as fast as a node lets it has
            // three said each time, 20 times a second.
            messages_per_key: Rate { burst: 1024, per_second: 64 },
            // With the first ones of some networks as many as a node looks at (`node::limits::KEY_SIGNALS`).
            signals_per_key: Rate { burst: 128, per_second: 32 },
            // A persona dials and is dialled by a handful; eight introductions at once make eight signals each way.
            signals_per_key_and_source: Rate { burst: 32, per_second: 4 },
            // A dial takes two or three. Whoever has many networks gets in so often by each of them.
            signals_first: Rate { burst: 4, per_second: 1 },
            source_messages: Rate { burst: 8192, per_second: 512 },
            // All keys of a connection: none of them feels what others say.
            source_messages_of_keys: Rate { burst: 32 * 1024, per_second: 32 * 64 },
            source_opens: Rate { burst: 256, per_second: 4 },
            // Each key's, twice while certificates change.
            tokens: 64,
            // Four times a key's: one site doesn't use up the room of another.
            topics: 512,
            topics_per_key: 128,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy;

    #[test]
    fn what_strangers_can_have_a_connection_answer_is_within_its_rate() {
        let Config { answers, tokens, .. } = Config::default();
        let proxy::Config { told_per_listener, told_time, .. } = proxy::Config::default();
        let at_once = 2 * tokens * told_per_listener;

        assert!(at_once <= answers.burst as usize, "{at_once}");
        assert!(at_once * 1000 <= answers.per_second as usize * told_time.as_millis() as usize, "{at_once}");
    }

    #[test]
    fn what_all_keys_of_a_connection_may_say_is_within_the_rate_of_its_source() {
        let Config { keys, messages_per_key: each, source_messages_of_keys: all, .. } = Config::default();

        assert_eq!(
            (all.burst as usize, all.per_second as usize),
            (keys * each.burst as usize, keys * each.per_second as usize)
        );
    }
}
