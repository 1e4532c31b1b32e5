//! The way of a connection that was opened at a proxy: from there to a direct path, or back if there is none.
//!
//! The proxy is for the beginning. As soon as both ends know each other, and are willing to show where they are, they restart ICE with
//! direct candidates only: with the proxy among them from the start Chromium flips back to it, and the channel can die. Where no
//! direct path is in use after a while, the end that was introduced has the proxy forward for the new username fragments, and both
//! add the proxy again. It looks for a direct path three times more, later: machines that were busy, or a network that was, may find one then.
//! Where an end isn't willing, the one that was introduced has the proxy go on as it began.

use std::{net::SocketAddr, time::Duration};

use bitters_machine::time::Instant;
use bitters_wire::status::Path;

use crate::{
    Candidate,
    candidate::{Address, Kind},
};

/// A path that works is found within a few round trips, or within twice the time that the connection took to open: where that is longer, the
/// machines are busy or far apart. Without any path Firefox gives up after 5 s.
const DIRECT_WITHIN: Duration = Duration::from_millis(1500);
const DIRECT_AT_LAST: Duration = Duration::from_secs(4);

/// An end that is willing when the connection is up has said so by then: its word is on its way for no longer than a slow round trip.
const WILLING_WITHIN: Duration = Duration::from_secs(2);

/// The proxy lets a connection open for 10 s (its `opening-time`), which begin no sooner than ours. It is asked so long before to go on.
const ASKED_WITHIN: Duration = Duration::from_secs(8);

/// A quarter of what the proxy forwards meanwhile (its `opening-bytes`): the rest is for the handshakes, and for what comes before the
/// proxy has heard us.
const ASKED_AFTER: usize = 64 * 1024;

/// How long after the proxies forward, and after they do again, a direct path is looked for once more.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];

/// Not every browser says when it uses another path.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The paths of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    proxies: Vec<Candidate>,
    /// `None` for a connection that was opened without a proxy: it is always direct.
    end: Option<End>,
    /// How long the connection took to open.
    opening: Duration,
    stage: Stage,
    /// How often a direct path was looked for once more since there was one, or the network changed.
    tries: usize,
    /// Nothing is told before the connection is up.
    told: Option<Path>,
}

/// Which one we are of a connection that was opened at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dialler,
    Listener,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The first path, or a direct one.
    #[default]
    Settled,
    /// The proxy, and neither end is shown where the other is. If the proxy hasn't been asked to go on: when it is, and how many bytes
    /// have passed until then.
    Hidden { ask: Option<Instant>, passed: usize },
    /// A restart is through: a direct path is looked for.
    Searching { look: Instant, until: Instant },
    /// There was none: the proxies are to forward. It is seen when to look which path is in use.
    Forwarded { look: Instant },
    /// They do. It is seen when to search once more, if this end does.
    Relayed { again: Option<Instant> },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// The proxy is to forward again.
    Forward,
    /// The proxy is to go on forwarding.
    GoOn,
    /// See which path is in use.
    Look,
    /// ICE is to be restarted.
    Restart,
}

impl Paths {
    /// We dialled an address.
    pub(crate) fn dialled(proxies: &[SocketAddr]) -> Self {
        Self::at_address(End::Dialler, proxy_candidates(proxies))
    }

    /// Somebody dialled an address of ours; the proxy told us where it can be reached itself.
    pub(crate) fn introduced(proxies: &[Candidate]) -> Self {
        Self::at_address(End::Listener, proxies.to_vec())
    }

    fn at_address(end: End, proxies: Vec<Candidate>) -> Self {
        Self { proxies, end: Some(end), stage: Stage::Hidden { ask: None, passed: 0 }, ..Self::default() }
    }

    /// Whether there is another path than the direct one.
    pub(crate) const fn is_proxied(&self) -> bool {
        self.end.is_some()
    }

    /// Whether a path that is found now is the first since a restart.
    pub(crate) const fn is_searching(&self) -> bool {
        matches!(self.stage, Stage::Forwarded { .. } | Stage::Relayed { .. } | Stage::Searching { .. })
    }

    pub(crate) fn proxies(&self) -> &[Candidate] {
        &self.proxies
    }

    /// The connection is up, through the proxy that it was opened at.
    pub(crate) fn on_up(&mut self, opening: Duration, now: Instant) -> Option<Path> {
        self.opening = opening;
        if let (Stage::Hidden { ask, .. }, Some(End::Listener)) = (&mut self.stage, self.end) {
            *ask = Some(now + WILLING_WITHIN.min(ASKED_WITHIN.saturating_sub(opening)));
        }
        self.is_proxied().then(|| self.tell(Path::Proxied)).flatten()
    }

    /// So many bytes were sent or received.
    pub(crate) const fn on_passed(&mut self, bytes: usize) {
        if let Stage::Hidden { ask: Some(at), passed } = &mut self.stage {
            *passed = passed.saturating_add(bytes);
            if *passed >= ASKED_AFTER {
                // It is high time.
                *at = Instant::START;
            }
        }
    }

    /// The connection is up and both ends may be shown. Tells whether they weren't before: a direct path is to be looked for.
    pub(crate) const fn show(&mut self) -> bool {
        let was_hidden = matches!(self.stage, Stage::Hidden { .. });
        if was_hidden {
            self.stage = Stage::Settled;
        }
        was_hidden
    }

    pub(crate) fn on_restarted(&mut self, now: Instant) {
        if self.is_proxied() {
            let within = (2 * self.opening).clamp(DIRECT_WITHIN, DIRECT_AT_LAST);
            self.stage = Stage::Searching { look: now, until: now + within };
        }
    }

    /// The peer told of a candidate: a proxy, because it found no direct path.
    pub(crate) fn on_candidate(&mut self, candidate: &Candidate, now: Instant) {
        if self.proxies.contains(candidate) {
            self.stage = Stage::Forwarded { look: now + LOOK_EVERY };
        }
    }

    /// The network changed: there may be other paths.
    pub(crate) const fn on_network(&mut self) {
        self.tries = 0;
    }

    /// The far end of the path in use. Tells how the peer is reached, if that is new.
    pub(crate) fn on_selected(&mut self, remote: Option<SocketAddr>, now: Instant) -> Option<Path> {
        if !self.is_proxied() || self.told.is_none() {
            return None;
        }
        let at_proxy = |at: SocketAddr| {
            self.proxies.iter().any(|it| it.address() == Address::Ip(at.ip()) && it.port() == at.port())
        };
        match (remote.is_some_and(at_proxy), self.stage) {
            // There is no other.
            (_, Stage::Hidden { .. }) => self.tell(Path::Proxied),
            (true, Stage::Forwarded { .. }) => {
                let after = AGAIN_AFTER.get(self.tries).filter(|_| self.end == Some(End::Listener));
                self.stage = Stage::Relayed { again: after.map(|after| now + *after) };
                self.tell(Path::Relayed)
            }
            // As before the search, which goes on.
            (true, Stage::Relayed { .. }) => None,
            (true, _) if self.told == Some(Path::Relayed) => None,
            (true, _) => self.tell(Path::Proxied),
            (false, _) => {
                (self.stage, self.tries) = (Stage::Settled, 0);
                self.tell(Path::Direct)
            }
        }
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Option<Search> {
        let (look, is_late) = match &mut self.stage {
            Stage::Hidden { ask, .. } => return ask.take_if(|at| *at <= now).map(|_| Search::GoOn),
            Stage::Relayed { again } => {
                let due = again.take_if(|at| *at <= now);
                self.tries += usize::from(due.is_some());
                return due.map(|_| Search::Restart);
            }
            Stage::Settled => return None,
            Stage::Forwarded { look } => (look, false),
            Stage::Searching { look, until } => (look, *until <= now),
        };
        if is_late && self.end == Some(End::Listener) {
            self.stage = Stage::Forwarded { look: now + LOOK_EVERY };
            return Some(Search::Forward);
        }
        if is_late {
            // The other end has it forwarded, and says so.
            self.stage = Stage::Settled;
            return None;
        }
        (*look <= now).then(|| {
            *look = now + LOOK_EVERY;
            Search::Look
        })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Searching { look, until } => Some(look.min(until)),
            Stage::Forwarded { look } => Some(look),
            Stage::Hidden { ask: at, .. } | Stage::Relayed { again: at } => at,
            Stage::Settled => None,
        }
    }

    fn tell(&mut self, path: Path) -> Option<Path> {
        (self.told.replace(path) != Some(path)).then_some(path)
    }
}

/// Proxies as candidates. Those that can't be one are left out.
pub(crate) fn proxy_candidates(proxies: &[SocketAddr]) -> Vec<Candidate> {
    let candidate = |at: &SocketAddr| Candidate::new(Kind::Relayed, Address::Ip(at.ip()), at.port()).ok();
    proxies.iter().filter_map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opened_slowly_has_more_time_to_find_a_direct_path() {
        for (opening, within) in [(100, 1500), (750, 1500), (1200, 2400), (9000, 4000)] {
            let mut paths = Paths::introduced(&proxy_candidates(&["192.0.2.1:3478".parse().unwrap()]));
            paths.on_up(Duration::from_millis(opening), Instant::START);
            paths.on_restarted(Instant::START);
            let found = (0..5000).find(|ms| paths.poll(Instant::from_millis(*ms)) == Some(Search::Forward));
            assert_eq!(found, Some(within), "{opening} ms to open");
        }
    }
}
