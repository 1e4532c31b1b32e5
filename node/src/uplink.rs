//! The socket to a rendezvous: wanted while there are frames, made again when it breaks, never waited for.

use std::time::Duration;

use bitters_wire::time::Instant;

use crate::quotas::{Bucket, UPLINK_SIGNALS, backoff};

/// From the wish to connect to being registered.
const PATIENCE: Duration = Duration::from_secs(15);

/// From the wish to close to the report that it is closed.
const CLOSING: Duration = Duration::from_secs(5);

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(60);

/// What registrations sign besides themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The server's random bytes.
    pub nonce: [u8; 32],
    /// The server's name.
    pub server: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A close was asked for.
    Closing { until: Instant },
    /// The socket opens.
    Connecting { url: String, since: Instant },
    /// Not wanted yet.
    Idle,
    /// The socket is open: the server, by the name that we reached it by, has yet to speak.
    Open { url: String, since: Instant, server: String },
    /// The server knows us.
    Registered { url: String, challenge: Challenge },
    /// Our signature is on its way.
    Registering { url: String, since: Instant, challenge: Challenge },
    /// A retry is due some time.
    Waiting { until: Instant },
}

/// How an uplink ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The server's URL.
    pub url: String,
    /// Whether we were registered.
    pub registered: bool,
}

/// The uplink.
#[derive(Debug)]
pub struct Uplink {
    state: State,
    /// Since we were registered last.
    failures: u32,
    /// How often the server may pass on signals.
    pub signals: Bucket,
}

impl Uplink {
    /// Not wanted yet.
    pub fn new(now: Instant) -> Self {
        Self { state: State::Idle, failures: 0, signals: Bucket::new(UPLINK_SIGNALS, now) }
    }

    /// Whether to connect now.
    pub fn is_due(&self, now: Instant) -> bool {
        match self.state {
            State::Idle => true,
            State::Waiting { until } => until <= now,
            _ => false,
        }
    }

    /// The shell connects.
    pub fn connect(&mut self, url: String, now: Instant) {
        self.state = State::Connecting { url, since: now };
    }

    /// The socket is open, to a server of this name.
    pub fn open(&mut self, server: String) {
        if let State::Connecting { url, since } = &self.state {
            self.state = State::Open { url: url.clone(), since: *since, server };
        }
    }

    /// Whether the server may introduce itself now; it may once. Tells what to sign.
    #[must_use]
    pub fn challenge(&mut self, nonce: [u8; 32]) -> Option<Challenge> {
        let State::Open { url, since, server } = &self.state else { return None };
        let challenge = Challenge { nonce, server: server.clone() };
        self.state = State::Registering { url: url.clone(), since: *since, challenge: challenge.clone() };
        Some(challenge)
    }

    /// The server took us in: its URL and how long that took. `None` if we didn't ask.
    #[must_use]
    pub fn registered(&mut self, now: Instant) -> Option<(String, Duration)> {
        let State::Registering { url, since, challenge } = &self.state else { return None };
        let (url, took) = (url.clone(), now.since(*since));
        self.state = State::Registered { url: url.clone(), challenge: challenge.clone() };
        self.failures = 0;
        Some((url, took))
    }

    /// What registrations sign, if we are registered.
    pub const fn registered_by(&self) -> Option<&Challenge> {
        match &self.state {
            State::Registered { challenge, .. } => Some(challenge),
            _ => None,
        }
    }

    /// Whether we are registered.
    pub const fn is_registered(&self) -> bool {
        self.registered_by().is_some()
    }

    /// Whether we are registered or well on the way, so that waiting makes sense.
    pub const fn is_hopeful(&self) -> bool {
        !matches!(self.state, State::Closing { .. } | State::Idle | State::Waiting { .. })
    }

    /// The server that we are at or turn to.
    pub fn url(&self) -> Option<&str> {
        match &self.state {
            State::Connecting { url, .. }
            | State::Open { url, .. }
            | State::Registered { url, .. }
            | State::Registering { url, .. } => Some(url),
            State::Closing { .. } | State::Idle | State::Waiting { .. } => None,
        }
    }

    /// Whether it failed and isn't back.
    pub const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Waits no longer than that, if it waits to connect.
    pub fn wait_until(&mut self, at: Instant) {
        if let State::Waiting { until } = &mut self.state {
            *until = at.min(*until);
        }
    }

    /// Connects at once, if it waits to.
    pub const fn hurry(&mut self, now: Instant) {
        if let State::Waiting { until } = &mut self.state {
            *until = now;
        }
    }

    /// Gives the socket up; it is to be closed.
    pub fn give_up(&mut self, now: Instant) -> Option<Ended> {
        let ended = self.end()?;
        self.state = State::Closing { until: now + CLOSING };
        Some(ended)
    }

    /// The socket is closed. With more `servers` to turn to, the next is tried sooner.
    pub fn closed(&mut self, servers: usize, now: Instant, rng: &mut fastrand::Rng) -> Option<Ended> {
        if matches!(self.state, State::Idle | State::Waiting { .. }) {
            return None;
        }
        let ended = self.end();
        let rounds = self.failures.saturating_sub(1) / u32::try_from(servers.max(1)).unwrap_or(u32::MAX);
        self.state = State::Waiting { until: now + backoff(FIRST, rounds, CAP, rng).min(CAP) };
        ended
    }

    /// Whether the socket takes too long, to register or to close.
    pub fn is_overdue(&self, now: Instant) -> bool {
        !matches!(self.state, State::Idle | State::Waiting { .. }) && self.deadline().is_some_and(|at| at <= now)
    }

    /// Whether a close was asked for.
    pub const fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Closing { until } | State::Waiting { until } => Some(until),
            State::Connecting { since, .. } | State::Open { since, .. } | State::Registering { since, .. } => {
                Some(since + PATIENCE)
            }
            State::Idle | State::Registered { .. } => None,
        }
    }

    /// Whether it waits to connect again.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    fn end(&mut self) -> Option<Ended> {
        let url = self.url()?.to_owned();
        let registered = self.is_registered();
        if !registered {
            self.failures += 1;
        }
        Some(Ended { url, registered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_registers_once_challenged() {
        let mut uplink = Uplink::new(Instant::START);
        assert!(uplink.is_due(Instant::START));
        assert_eq!(uplink.registered(Instant::START), None);

        uplink.connect(URL.into(), Instant::START);
        assert!(uplink.is_hopeful() && !uplink.is_due(Instant::START));
        assert_eq!(uplink.challenge([7; 32]), None, "a server that speaks before its socket is open");
        uplink.open("node.localhost".into());
        assert_eq!(uplink.challenge([7; 32]), Some(challenge()));
        assert_eq!(uplink.challenge([8; 32]), None);

        let took = Duration::from_millis(30);
        assert_eq!(uplink.registered(Instant::from_millis(30)), Some((URL.into(), took)));
        assert_eq!(uplink.registered_by(), Some(&challenge()));
        assert_eq!(uplink.deadline(), None);
    }

    #[test]
    fn it_retries_less_and_less_often() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut uplink = Uplink::new(Instant::START);
        let mut now = Instant::START;
        let mut waits = Vec::new();
        for _ in 0..10 {
            uplink.connect(URL.into(), now);
            assert_eq!(uplink.closed(1, now, &mut rng), Some(Ended { url: URL.into(), registered: false }));
            assert_eq!(uplink.closed(1, now, &mut rng), None);
            let until = uplink.deadline().unwrap();
            waits.push(until.since(now).as_secs_f64());
            now = until;
            assert!(uplink.is_due(now));
        }
        assert!((0.5..1.5).contains(&waits[0]) && (2.0..6.0).contains(&waits[2]));
        assert!(waits.iter().all(|wait| *wait <= 60.0));
    }

    #[test]
    fn a_silent_server_is_given_up() {
        let mut uplink = Uplink::new(Instant::START);
        uplink.connect(URL.into(), Instant::START);
        let late = uplink.deadline().unwrap();
        assert!(uplink.is_overdue(late));

        assert_eq!(uplink.give_up(late), Some(Ended { url: URL.into(), registered: false }));
        assert!(uplink.is_closing() && !uplink.is_due(late));
        assert_eq!(uplink.closed(1, late, &mut fastrand::Rng::with_seed(1)), None);
        assert!(uplink.is_waiting());
    }

    const URL: &str = "ws://node.localhost/rendezvous";

    fn challenge() -> Challenge {
        Challenge { nonce: [7; 32], server: "node.localhost".into() }
    }
}
