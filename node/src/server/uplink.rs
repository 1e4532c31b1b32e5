//! The socket to a rendezvous: wanted while there are frames, made again when it breaks, never waited for.
//!
//! A server may fall silent behind a socket that stays open: its process is stopped, or a middlebox has forgotten the connection. Scripts
//! see no pings of a WebSocket's, so the node asks the server itself, and gives up one that doesn't answer.

use std::time::Duration;

use bitters_machine::{backoff, map::Map, rate::Bucket, time::Instant};
use bitters_wire::id::PersonaId;

use super::saying::Saying;
use crate::limits::KEY_SIGNALS;

/// From the wish to connect to being registered.
const PATIENCE: Duration = Duration::from_secs(15);

/// From the wish to close to the report that it is closed.
const CLOSING: Duration = Duration::from_secs(5);

/// From the server's last answer to the next question.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// From a question to its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Whoever wakes up later than that slept, or was busy: an answer may have come meanwhile that nobody has read yet.
const LATE: Duration = Duration::from_secs(1);

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
    Registered { url: String, challenge: Challenge, word: Word },
    /// Our signature is on its way.
    Registering { url: String, since: Instant, challenge: Challenge },
    /// A retry is due some time.
    Waiting { until: Instant },
}

/// The server's word that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The server was asked for it.
    Asked(Instant),
    /// The server gave it.
    Given(Instant),
}

/// How an uplink ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The server's URL.
    pub url: String,
    /// Whether another server is the better choice: this one didn't register us, or it fell silent.
    pub failed: bool,
}

/// The uplink.
#[derive(Debug)]
pub struct Uplink {
    state: State,
    /// Since we were registered last.
    failures: u32,
    /// Registrations that ended before the server answered a question, in a row.
    brief: u32,
    /// How often the server may pass something on to each persona.
    signals: Map<PersonaId, Bucket>,
    /// What each persona may still say.
    pub saying: Saying,
}

impl Uplink {
    /// Not wanted yet.
    pub const fn new() -> Self {
        Self { state: State::Idle, failures: 0, brief: 0, signals: Map::new(), saying: Saying::new() }
    }

    /// Whether the server may pass something on to a persona now. What others are passed makes no difference.
    #[must_use]
    pub fn may_pass_on(&mut self, to: PersonaId, now: Instant) -> bool {
        self.signals.entry(to).or_insert_with(|| Bucket::new(KEY_SIGNALS, now)).take(now)
    }

    /// A persona is here no longer.
    pub fn forget(&mut self, persona: PersonaId) {
        self.signals.remove(&persona);
        self.saying.leave(persona);
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
        let word = Word::Given(now);
        self.state = State::Registered { url: url.clone(), challenge: challenge.clone(), word };
        self.failures = 0;
        self.saying = Saying::new();
        Some((url, took))
    }

    /// Whether the server is to be asked now whether it is there; it counts as asked.
    #[must_use]
    pub fn ask(&mut self, now: Instant) -> bool {
        let State::Registered { word, .. } = &mut self.state else { return false };
        let is_due = match *word {
            Word::Asked(at) => at + ANSWER_WITHIN + LATE <= now,
            Word::Given(at) => at + ASK_EVERY <= now,
        };
        if is_due {
            *word = Word::Asked(now);
        }
        is_due
    }

    /// The server answered: it is there.
    pub const fn answered(&mut self, now: Instant) {
        if let State::Registered { word, .. } = &mut self.state
            && matches!(word, Word::Asked(_))
        {
            *word = Word::Given(now);
            self.brief = 0;
        }
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
        let ended = self.end(self.is_silent(now))?;
        self.state = State::Closing { until: now + CLOSING };
        Some(ended)
    }

    /// The socket is closed. With more `servers` to turn to, the next is tried sooner.
    pub fn closed(&mut self, servers: usize, now: Instant, rng: &mut fastrand::Rng) -> Option<Ended> {
        if matches!(self.state, State::Idle | State::Waiting { .. }) {
            return None;
        }
        let ended = self.end(false);
        let rounds =
            self.failures.max(self.brief).saturating_sub(1) / u32::try_from(servers.max(1)).unwrap_or(u32::MAX);
        self.state = State::Waiting { until: now + backoff(FIRST, rounds, CAP, rng).min(CAP) };
        ended
    }

    /// Whether the socket takes too long, to register or to close, or the server to answer.
    pub fn is_overdue(&self, now: Instant) -> bool {
        match self.state {
            State::Idle | State::Waiting { .. } => false,
            State::Registered { .. } => self.is_silent(now),
            State::Closing { .. } | State::Connecting { .. } | State::Open { .. } | State::Registering { .. } => {
                self.deadline().is_some_and(|at| at <= now)
            }
        }
    }

    /// Whether the server was asked in vain, as far as we were awake to hear it.
    fn is_silent(&self, now: Instant) -> bool {
        let State::Registered { word: Word::Asked(at), .. } = self.state else { return false };
        (at + ANSWER_WITHIN..at + ANSWER_WITHIN + LATE).contains(&now)
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
            State::Registered { word: Word::Asked(at), .. } => Some(at + ANSWER_WITHIN),
            State::Registered { word: Word::Given(at), .. } => Some(at + ASK_EVERY),
            State::Idle => None,
        }
    }

    /// Whether it waits to connect again.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    fn end(&mut self, is_silent: bool) -> Option<Ended> {
        let url = self.url()?.to_owned();
        let was_refused = !self.is_registered();
        self.failures = self.failures.saturating_add(u32::from(was_refused));
        self.brief = self.brief.saturating_add(u32::from(!was_refused));
        Some(Ended { url, failed: was_refused || is_silent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_registers_once_challenged() {
        let mut uplink = Uplink::new();
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
        assert_eq!(uplink.deadline(), Some(Instant::from_millis(30) + ASK_EVERY));
    }

    #[test]
    fn a_server_that_answers_is_asked_again_and_again() {
        let mut uplink = registered(&mut Uplink::new(), Instant::START);
        let mut now = Instant::START;
        for _ in 0..3 {
            assert!(!uplink.ask(now) && !uplink.is_overdue(now));
            now = now + ASK_EVERY;
            assert_eq!(uplink.deadline(), Some(now));
            assert!(uplink.ask(now) && !uplink.ask(now));
            assert_eq!(uplink.deadline(), Some(now + ANSWER_WITHIN));
            now = now + Duration::from_millis(4999);
            assert!(!uplink.is_overdue(now));
            uplink.answered(now);
        }
    }

    #[test]
    fn a_server_that_falls_silent_behind_its_socket_is_given_up() {
        let mut uplink = registered(&mut Uplink::new(), Instant::START);
        let asked = Instant::START + ASK_EVERY;
        assert!(uplink.ask(asked));

        let late = asked + ANSWER_WITHIN;
        assert!(uplink.is_overdue(late));
        assert_eq!(uplink.give_up(late), Some(Ended { url: URL.into(), failed: true }));
        assert_eq!(uplink.closed(1, late, &mut fastrand::Rng::with_seed(1)), None);
        assert!(uplink.is_waiting() && uplink.deadline().is_some_and(|at| at.since(late) < Duration::from_secs(2)));
    }

    #[test]
    fn a_server_that_takes_us_in_and_never_answers_is_tried_less_and_less_often() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut uplink = Uplink::new();
        let mut now = Instant::START;
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            uplink = registered(&mut uplink, now);
            now = now + ASK_EVERY;
            assert!(uplink.ask(now));
            now = now + ANSWER_WITHIN;
            uplink.give_up(now);
            uplink.closed(1, now, &mut rng);
            last = uplink.deadline().unwrap().since(now);
            now = now + last;
        }
        assert!((30.0..=60.0).contains(&last.as_secs_f64()), "{last:?}");
    }

    #[test]
    fn a_server_that_takes_us_in_and_hangs_up_is_tried_less_and_less_often_until_it_stays() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut uplink = Uplink::new();
        let mut now = Instant::START;
        let mut last = Duration::ZERO;
        for stays in [false, false, false, false, false, true] {
            uplink = registered(&mut uplink, now);
            if stays {
                assert!(last >= Duration::from_secs(8), "{last:?}");
                now = now + ASK_EVERY;
                assert!(uplink.ask(now));
                uplink.answered(now);
            }
            assert_eq!(uplink.closed(1, now, &mut rng), Some(Ended { url: URL.into(), failed: false }));
            last = uplink.deadline().unwrap().since(now);
            now = now + last;
        }
        assert!(last < Duration::from_secs(2), "{last:?}");
    }

    #[test]
    fn who_was_asleep_asks_once_more_before_it_judges() {
        let mut uplink = registered(&mut Uplink::new(), Instant::START);
        assert!(uplink.ask(Instant::START + ASK_EVERY));

        let woken = Instant::from_millis(3_600_000);
        assert!(!uplink.is_overdue(woken) && uplink.ask(woken));
        assert!(uplink.is_overdue(woken + ANSWER_WITHIN));
    }

    #[test]
    fn a_word_that_nobody_asked_for_says_nothing() {
        let mut uplink = registered(&mut Uplink::new(), Instant::START);
        uplink.answered(Instant::from_millis(9000));
        assert_eq!(uplink.deadline(), Some(Instant::START + ASK_EVERY));
    }

    #[test]
    fn it_retries_less_and_less_often() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut uplink = Uplink::new();
        let mut now = Instant::START;
        let mut waits = Vec::new();
        for _ in 0..10 {
            uplink.connect(URL.into(), now);
            assert_eq!(uplink.closed(1, now, &mut rng), Some(Ended { url: URL.into(), failed: true }));
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
        let mut uplink = Uplink::new();
        uplink.connect(URL.into(), Instant::START);
        let late = uplink.deadline().unwrap();
        assert!(uplink.is_overdue(late));

        assert_eq!(uplink.give_up(late), Some(Ended { url: URL.into(), failed: true }));
        assert!(uplink.is_closing() && !uplink.is_due(late));
        assert_eq!(uplink.closed(1, late, &mut fastrand::Rng::with_seed(1)), None);
        assert!(uplink.is_waiting());
    }

    const URL: &str = "ws://node.localhost/rendezvous";

    fn registered(uplink: &mut Uplink, now: Instant) -> Uplink {
        uplink.connect(URL.into(), now);
        uplink.open("node.localhost".into());
        assert!(uplink.challenge([7; 32]).is_some() && uplink.registered(now).is_some());
        std::mem::replace(uplink, Uplink::new())
    }

    fn challenge() -> Challenge {
        Challenge { nonce: [7; 32], server: "node.localhost".into() }
    }
}
