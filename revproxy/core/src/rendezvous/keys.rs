//! Which connections registered which key. The latest is believed, and the one before when the latest lets go.

use std::collections::BTreeMap;

use bitters_wire::id::PersonaId;

use super::ConnId;

/// Connections that are remembered of one key: a browser whose sites are kept apart has two or three nodes with the same persona, and a
/// node that comes back may be here before its broken connection is known to be broken.
const HOLDERS: usize = 4;

/// All registered keys.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<PersonaId, Vec<ConnId>>);

impl Keys {
    /// Makes a connection the latest that registered the key. If too many did, the oldest doesn't hold the key any longer, and is
    /// returned.
    #[must_use]
    pub(super) fn register(&mut self, key: PersonaId, conn: ConnId) -> Option<ConnId> {
        let holders = self.0.entry(key).or_default();
        holders.retain(|&other| other != conn);
        holders.push(conn);
        (holders.len() > HOLDERS).then(|| holders.remove(0))
    }

    /// The connection lets go of the key.
    pub(super) fn release(&mut self, key: PersonaId, conn: ConnId) {
        let Some(holders) = self.0.get_mut(&key) else { return };
        holders.retain(|&other| other != conn);
        if holders.is_empty() {
            self.0.remove(&key);
        }
    }

    /// Where the key is.
    pub(super) fn latest(&self, key: PersonaId) -> Option<ConnId> {
        self.0.get(&key).and_then(|holders| holders.last().copied())
    }

    /// All connections that it is on, the latest last.
    pub(super) fn all(&self, key: PersonaId) -> Vec<ConnId> {
        self.0.get(&key).cloned().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_is_believed_and_the_one_before_when_it_lets_go() {
        let mut keys = Keys::default();
        for conn in [1, 2, 3] {
            assert_eq!(keys.register(KEY, ConnId(conn)), None);
        }

        assert_eq!(keys.latest(KEY), Some(ConnId(3)));
        keys.release(KEY, ConnId(2));
        assert_eq!(keys.latest(KEY), Some(ConnId(3)));
        keys.release(KEY, ConnId(3));
        assert_eq!(keys.latest(KEY), Some(ConnId(1)));
        keys.release(KEY, ConnId(1));
        assert_eq!((keys.latest(KEY), keys.len()), (None, 0));
    }

    #[test]
    fn who_registers_again_is_the_latest_again() {
        let mut keys = Keys::default();
        let all = [1, 2, 1].map(|conn| keys.register(KEY, ConnId(conn)));

        assert_eq!(all, [None; 3]);
        assert_eq!(keys.latest(KEY), Some(ConnId(1)));
        keys.release(KEY, ConnId(1));
        assert_eq!(keys.latest(KEY), Some(ConnId(2)));
    }

    #[test]
    fn the_oldest_of_too_many_is_pushed_out() {
        let mut keys = Keys::default();
        let pushed: Vec<_> = (0..6).map(|conn| keys.register(KEY, ConnId(conn))).collect();

        assert_eq!(pushed, [None, None, None, None, Some(ConnId(0)), Some(ConnId(1))]);
    }

    const KEY: PersonaId = PersonaId([1; 32]);
}
