//! One connection: challenged, then entered by a node, which registers keys.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use bitters_machine::time::Instant;
use bitters_wire::{
    address::{Address, Token},
    failure::Code,
    id::{PersonaId, TopicId},
};

use super::{Config, allowance::Allowance, refusal::Refusal, senders::Senders};
use crate::{rate::Bucket, source::Source};

#[derive(Debug)]
pub(super) struct Connection {
    source: Source,
    challenge: Challenge,
    bytes: Bucket,
    messages: Bucket,
    state: State,
}

/// What all signatures on a connection are over, and what it is told in return.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) nonce: [u8; 32],
    pub(super) server: String,
    pub(super) proxies: Arc<[SocketAddr]>,
}

#[derive(Debug)]
enum State {
    Challenged { deadline: Instant },
    Entered(Entered),
}

/// What a node that entered said.
#[derive(Debug, Default)]
pub(super) struct Entered {
    pub(super) keys: BTreeMap<PersonaId, Registration>,
    /// Its answers to dials.
    answers: Bucket,
}

/// What a node said of one key.
#[derive(Debug, Default)]
pub(super) struct Registration {
    /// What the node may say of it.
    pub(super) allowance: Allowance,
    /// What is left to each network of the signals that others send to it.
    senders: Senders,
    /// Signals that others send to it.
    signals: Bucket,
    /// Addresses of its own that are listened at.
    pub(super) tokens: BTreeSet<Token>,
    pub(super) topics: BTreeSet<TopicId>,
    /// Where it may be dialled by anybody, as long as that is listened at.
    pub(super) door: Option<Box<Address>>,
}

impl Connection {
    pub(super) fn challenged(source: Source, challenge: Challenge, deadline: Instant) -> Self {
        let state = State::Challenged { deadline };
        Self { source, challenge, bytes: Bucket::default(), messages: Bucket::default(), state }
    }

    /// Counts a message of `len` bytes that no key pays for, unless too much came.
    #[must_use]
    pub(super) fn take(&mut self, len: usize, config: &Config, now: Instant) -> bool {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.messages.take(1, config.messages, now) && self.bytes.take(len, config.bytes, now)
    }

    /// Lets the node in, which met its deadline.
    pub(super) fn enter(&mut self) {
        self.state = State::Entered(Entered::default());
    }

    pub(super) const fn source(&self) -> Source {
        self.source
    }

    pub(super) const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Until when the node has to enter, if it hasn't.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Challenged { deadline } => Some(deadline),
            State::Entered(_) => None,
        }
    }

    pub(super) const fn entered(&self) -> Option<&Entered> {
        match &self.state {
            State::Challenged { .. } => None,
            State::Entered(entered) => Some(entered),
        }
    }

    pub(super) const fn entered_mut(&mut self) -> Option<&mut Entered> {
        match &mut self.state {
            State::Challenged { .. } => None,
            State::Entered(entered) => Some(entered),
        }
    }
}

impl Registration {
    /// Its door, if that is listened at.
    pub(super) fn door(&self) -> Option<&Address> {
        let is_listened_at = |door: &&Address| self.tokens.contains(&door.token());
        self.door.as_deref().filter(is_listened_at)
    }
}

impl Entered {
    /// What the node said of a key, which it must have registered here.
    pub(super) fn registration(&mut self, key: PersonaId) -> Result<&mut Registration, Refusal> {
        self.keys.get_mut(&key).ok_or_else(|| Refusal::staying(Code::Denied, "the key is not registered here"))
    }

    /// Counts a signal to a registered key, unless too many came to this key from the source; or from all, and this isn't one of the first from
    /// its network. What comes to other keys makes no difference.
    #[must_use]
    pub(super) fn take_signal(&mut self, from: Source, to: PersonaId, config: &Config, now: Instant) -> bool {
        let Some(Registration { allowance, senders, signals, .. }) = self.keys.get_mut(&to) else { return false };
        let is_left = signals.has(1, config.signals_per_key, now);
        let passes = senders.has(from, config, now) && (is_left || senders.is_first(from, config, now));
        if passes {
            senders.take(from, config, now);
            allowance.earn();
            // What comes first may come beyond that.
            let _ = signals.take(1, config.signals_per_key, now);
        }
        passes
    }

    /// Counts an answer to a dial, or that one is to be forwarded for longer, unless too many came.
    #[must_use]
    pub(super) fn take_answer(&mut self, config: &Config, now: Instant) -> bool {
        self.answers.take(1, config.answers, now)
    }

    /// How many addresses it listens at, for all keys.
    pub(super) fn tokens(&self) -> usize {
        self.keys.values().map(|key| key.tokens.len()).sum()
    }

    /// How many topics all its keys are in, counted for each key.
    pub(super) fn topics(&self) -> usize {
        self.keys.values().map(|key| key.topics.len()).sum()
    }
}
