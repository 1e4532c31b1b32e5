//! One dial, from its first packet until it is forgotten.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_peercon::Credentials;
use bitters_wire::address::Token;
use stun_types::message::IntegrityKey;

use super::{
    Config,
    counts::{Dropped, Ended},
    outgoing::{Outgoing, Path},
    side::Side,
    stun,
};
use crate::source::Source;

/// Which end of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Dialler,
    Listener,
}

#[derive(Debug)]
pub(super) struct Passage {
    pub(super) token: Token,
    /// What the dialler calls the listener.
    pub(super) packed: Box<str>,
    /// What the dialler calls itself.
    pub(super) dialler: Box<str>,
    pub(super) phase: Phase,
    pub(super) answered: Option<Box<Answered>>,
    sides: [Side; 2],
    heard: Instant,
    /// When the machine looks after it next.
    pub(super) wake: Instant,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Both ends are known.
    Opening(Budget),
    /// The listener hasn't been heard from. The dialler's latest check waits.
    Pending { source: Source, since: Instant, until: Instant, check: (Path, Vec<u8>) },
    /// Without a key, by these usernames: of the dialler's checks, and of the listener's.
    Relaying(Budget, [Box<str>; 2]),
}

/// What is left to a passage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) until: Instant,
}

/// What the listener's answer tells.
#[derive(Debug)]
pub(super) struct Answered {
    /// The username of the listener's checks.
    pub(super) from_listener: Box<str>,
    /// The usernames and keys that checks are passed on with.
    to_dialler: (Box<str>, IntegrityKey),
    to_listener: (Box<str>, IntegrityKey),
}

impl End {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

impl Answered {
    pub(super) fn new(packed: &str, password: &str, dialler: &str, listener: &Credentials) -> Self {
        let name = |to: &str, from: &str| format!("{to}:{from}").into_boxed_str();
        Self {
            from_listener: name(dialler, listener.ufrag()),
            to_dialler: (name(dialler, packed), stun::key(password)),
            to_listener: (name(listener.ufrag(), dialler), stun::key(listener.password())),
        }
    }

    /// How an end's browser is asked.
    pub(super) const fn to(&self, end: End) -> &(Box<str>, IntegrityKey) {
        match end {
            End::Dialler => &self.to_dialler,
            End::Listener => &self.to_listener,
        }
    }
}

impl Passage {
    pub(super) fn new(token: Token, name: (&str, &str), check: (Path, &[u8]), until: Instant, now: Instant) -> Self {
        let (packed, dialler) = name;
        let (path, bytes) = check;
        let mut side = Side::default();
        side.add(path, now);
        side.leg(path).expect("it was added").refresh();
        Self {
            token,
            packed: packed.into(),
            dialler: dialler.into(),
            phase: Phase::Pending { source: path.source(), since: now, until, check: (path, bytes.into()) },
            answered: None,
            sides: [side, Side::default()],
            heard: now,
            wake: until,
        }
    }

    pub(super) const fn side(&mut self, end: End) -> &mut Side {
        &mut self.sides[end as usize]
    }

    /// This end's side, the other's, and what the listener answered.
    pub(super) fn parts(&mut self, end: End) -> (&mut Side, &mut Side, Option<&Answered>) {
        let [dialler, listener] = &mut self.sides;
        let answered = self.answered.as_deref();
        match end {
            End::Dialler => (dialler, listener, answered),
            End::Listener => (listener, dialler, answered),
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = Path> {
        self.sides.iter().flat_map(Side::paths)
    }

    /// Other names are in force, and its silence begins anew.
    pub(super) fn restart(&mut self, now: Instant) {
        self.heard = now;
        self.sides.iter_mut().for_each(Side::restart);
    }

    /// Counts what came from one of its paths, and sends what waited for that.
    pub(super) fn hear(&mut self, end: End, path: Path, len: usize, now: Instant, out: &mut Outgoing) {
        self.heard = now;
        let (here, there, _) = self.parts(end);
        let asked = here.leg(path).expect("a passage's path is a leg's").hear(len, now, out);
        asked.into_iter().for_each(|asked| there.asks(asked));
    }

    /// Keeps the dialler's latest check.
    pub(super) fn keep(&mut self, from: Path, bytes: &[u8]) {
        if let Phase::Pending { check: (path, kept), .. } = &mut self.phase {
            *path = from;
            kept.clear();
            kept.extend_from_slice(bytes);
        }
    }

    /// The key of an end's own checks. The dialler has only the public one.
    pub(super) fn key_from<'a>(&'a self, end: End, public: &'a IntegrityKey) -> Option<&'a IntegrityKey> {
        match end {
            End::Dialler => Some(public),
            End::Listener => self.answered.as_ref().map(|answered| &answered.to_dialler.1),
        }
    }

    /// The usernames that it is known by.
    pub(super) fn names(&self) -> impl Iterator<Item = Box<str>> {
        let dialled = format!("{}:{}", self.packed, self.dialler).into_boxed_str();
        let answered = self.answered.iter().map(|answered| answered.from_listener.clone());
        let relaying = match &self.phase {
            Phase::Relaying(_, names) => names.as_slice(),
            Phase::Opening(_) | Phase::Pending { .. } => &[],
        };
        std::iter::once(dialled).chain(answered).chain(relaying.iter().cloned())
    }

    /// Takes from what is left of the budget.
    pub(super) fn spend(&mut self, len: usize) -> Result<(), Dropped> {
        let (Phase::Opening(budget) | Phase::Relaying(budget, _)) = &mut self.phase else {
            return Err(Dropped::Nowhere);
        };
        budget.bytes = budget.bytes.checked_sub(len as u64).ok_or(Dropped::Spent)?;
        Ok(())
    }

    /// When it is over if nothing more happens, and why.
    pub(super) fn deadline(&self, config: &Config) -> (Instant, Ended) {
        let earlier = |until: Instant, idle: Duration| match self.heard + idle {
            idle if idle < until => (idle, Ended::Idle),
            _ => (until, Ended::TimedOut),
        };
        match &self.phase {
            Phase::Opening(budget) => earlier(budget.until, config.opening_idle),
            Phase::Pending { until, .. } => (*until, Ended::Unanswered),
            Phase::Relaying(budget, _) => earlier(budget.until, config.relay_idle),
        }
    }
}
