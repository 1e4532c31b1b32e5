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
    /// Whether the listener was told of it.
    pub(super) told: bool,
    /// By which checks of the dial pass, once the listener has answered.
    pub(super) keys: Option<Box<Keys>>,
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
    Pending { since: Instant, until: Instant, check: (Path, Vec<u8>) },
    /// No direct path was found, or looked for. Checks of the latest restart pass by these keys, if there was one.
    Relaying(Budget, Option<Box<Keys>>),
}

/// What is left to a passage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) until: Instant,
}

/// How checks and their answers pass, both ways.
#[derive(Debug)]
pub(super) struct Keys {
    from_dialler: Passing,
    from_listener: Passing,
}

/// How one end's checks come and go on.
#[derive(Debug)]
pub(super) struct Passing {
    /// The username that they come with.
    pub(super) named: Box<str>,
    /// What they are signed with, and the answers that go back.
    pub(super) key: IntegrityKey,
    /// The username that they go on with.
    pub(super) renamed: Box<str>,
    /// What they are signed with then, and the answers that come.
    pub(super) rekey: IntegrityKey,
}

impl End {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

impl Keys {
    /// Of a dial: the dialler calls the listener `packed` and knows it by the public key.
    pub(super) fn of_dial(
        packed: &str,
        (dialler, password): (&str, &str),
        listener: &Credentials,
        public: &IntegrityKey,
    ) -> Self {
        let key = stun::key(password);
        Self {
            from_dialler: Passing {
                named: name(packed, dialler),
                key: public.clone(),
                renamed: name(listener.ufrag(), dialler),
                rekey: stun::key(listener.password()),
            },
            from_listener: Passing {
                named: name(dialler, listener.ufrag()),
                key: key.clone(),
                renamed: name(dialler, packed),
                rekey: key,
            },
        }
    }

    /// Of a restart, in which both ends told each other their credentials.
    pub(super) fn of_restart(dialler: &Credentials, listener: &Credentials) -> Self {
        let passing = |to: &Credentials, from: &Credentials| {
            let (name, key) = (name(to.ufrag(), from.ufrag()), stun::key(to.password()));
            Passing { named: name.clone(), key: key.clone(), renamed: name, rekey: key }
        };
        Self { from_dialler: passing(listener, dialler), from_listener: passing(dialler, listener) }
    }

    /// How this end's checks pass.
    pub(super) const fn from(&self, end: End) -> &Passing {
        match end {
            End::Dialler => &self.from_dialler,
            End::Listener => &self.from_listener,
        }
    }

    /// The usernames of the dialler's checks and of the listener's.
    pub(super) fn names(&self) -> [Box<str>; 2] {
        [self.from_dialler.named.clone(), self.from_listener.named.clone()]
    }
}

impl Phase {
    /// By which checks of the latest restart pass, if there was one.
    pub(super) fn restart(&self) -> Option<&Keys> {
        match self {
            Self::Opening(_) | Self::Pending { .. } => None,
            Self::Relaying(_, keys) => keys.as_deref(),
        }
    }
}

/// By which checks of a restart pass, or of the dial.
fn keys_in<'a>(phase: &'a Phase, of_dial: Option<&'a Keys>, restarted: bool) -> Option<&'a Keys> {
    if restarted { phase.restart() } else { of_dial }
}

fn name(to: &str, from: &str) -> Box<str> {
    format!("{to}:{from}").into_boxed_str()
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
            phase: Phase::Pending { since: now, until, check: (path, bytes.into()) },
            told: false,
            keys: None,
            sides: [side, Side::default()],
            heard: now,
            wake: until,
        }
    }

    pub(super) const fn side(&mut self, end: End) -> &mut Side {
        &mut self.sides[end as usize]
    }

    /// This end's side, the other's, and how checks of the dial or of a restart pass, if they do.
    pub(super) fn parts(&mut self, end: End, restarted: bool) -> (&mut Side, &mut Side, Option<&Keys>) {
        let [dialler, listener] = &mut self.sides;
        let keys = keys_in(&self.phase, self.keys.as_deref(), restarted);
        match end {
            End::Dialler => (dialler, listener, keys),
            End::Listener => (listener, dialler, keys),
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
        let (here, there, _) = self.parts(end, false);
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

    /// The key of an end's checks, of the dial or of a restart. A dialler has only the public one before the listener's answer.
    pub(super) fn key_from<'a>(
        &'a self,
        end: End,
        restarted: bool,
        public: &'a IntegrityKey,
    ) -> Option<&'a IntegrityKey> {
        let keys = keys_in(&self.phase, self.keys.as_deref(), restarted);
        keys.map(|keys| &keys.from(end).key).or((end == End::Dialler && !restarted).then_some(public))
    }

    /// The usernames that it is known by.
    pub(super) fn names(&self) -> impl Iterator<Item = Box<str>> {
        let answered = self.keys.iter().map(|keys| keys.from(End::Listener).named.clone());
        let restarted = self.phase.restart().into_iter().flat_map(Keys::names);
        std::iter::once(name(&self.packed, &self.dialler)).chain(answered).chain(restarted)
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
