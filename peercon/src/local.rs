//! Our own description: its signal goes out early, the candidates that come later follow.

use std::time::Duration;

use bitters_machine::time::Instant;

use crate::{
    Candidate, Fingerprint,
    candidate::Kind,
    sdp::{self, SdpError},
    signal::{MAX_CANDIDATES, Signal},
};

/// A browser's host candidates come within a few milliseconds of one another; waiting for the end of gathering costs
/// Chromium 125.
const CANDIDATES_TOGETHER: Duration = Duration::from_millis(30);

/// A browser that has gathered and names no candidate has no way out, mostly: UDP is blocked, or a policy or an extension
/// forbids it. Some only hide where they are, and their peer sees it when they knock: a second is enough for that.
const HIDDEN_WITHIN: Duration = Duration::from_secs(1);

/// Candidates that one end may have; a machine with many interfaces has a dozen.
pub(crate) const MAX_KNOWN: usize = 32;

/// What the browser has said of our end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    description: Option<Signal>,
    /// Every candidate once, those of the signal first as soon as it is sent.
    candidates: Vec<Candidate>,
    first_candidate: Option<Instant>,
    /// Since when the browser looks for no more.
    gathered: Option<Instant>,
    /// How many candidates the peer was told, from the moment that the signal was sent.
    told: Option<usize>,
}

impl Local {
    /// Our certificate's fingerprint, once the description is known.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.description.as_ref().map(|description| description.fingerprint)
    }

    /// The description, without candidates.
    pub(crate) const fn description(&self) -> Option<&Signal> {
        self.description.as_ref()
    }

    /// The first description counts: there is no renegotiation in this mode.
    pub(crate) fn on_description(&mut self, offer: &str, now: Instant) -> Result<(), SdpError> {
        if self.description.is_some() {
            return Ok(());
        }
        let mut description = sdp::read_offer(offer)?;
        for candidate in std::mem::take(&mut description.candidates) {
            self.add(candidate, now);
        }
        self.description = Some(description);
        Ok(())
    }

    /// Candidates that we don't signal (TCP, names of other kinds, the end of candidates) are passed over.
    pub(crate) fn on_candidate(&mut self, text: &str, now: Instant) {
        if let Ok(candidate) = Candidate::from_text(text) {
            self.add(candidate, now);
        }
    }

    pub(crate) fn on_gathered(&mut self, now: Instant) {
        self.gathered.get_or_insert(now);
    }

    /// Until when a browser that has no candidates is waited for, if it has none.
    pub(crate) fn hopeless_at(&self) -> Option<Instant> {
        self.gathered.filter(|_| self.first_candidate.is_none()).map(|at| at + HIDDEN_WITHIN)
    }

    /// The signal, once, when the description is known and no more candidates are to be waited for.
    pub(crate) fn poll_signal(&mut self, now: Instant) -> Option<Vec<u8>> {
        let due = self.gathered.is_some() || self.poll_timeout().is_some_and(|at| at <= now);
        if self.told.is_some() || !due {
            return None;
        }
        let mut signal = self.description.clone()?;
        // Where there are too many, those that reach farther are the ones that can't wait.
        let (near, mut far): (Vec<_>, Vec<_>) =
            self.candidates.drain(..).partition(|candidate| candidate.kind() == Kind::Host);
        far.extend(near);
        self.candidates = far;
        let first = self.candidates.len().min(MAX_CANDIDATES);
        signal.candidates = self.candidates[..first].to_vec();
        self.told = Some(first);
        Some(signal.encode())
    }

    /// The signal without candidates, once, as soon as the description is known.
    pub(crate) fn poll_credentials(&mut self) -> Option<Vec<u8>> {
        let signal = self.description.as_ref().filter(|_| self.told.is_none())?;
        self.told = Some(0);
        Some(signal.encode())
    }

    /// Whether the signal was sent.
    pub(crate) const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// The next candidate that came too late for the signal.
    pub(crate) fn poll_late(&mut self) -> Option<Candidate> {
        let told = self.told.as_mut()?;
        let candidate = *self.candidates.get(*told)?;
        *told += 1;
        Some(candidate)
    }

    /// When the signal goes out, gathered or not.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.told.is_none() && self.description.is_some();
        self.first_candidate.filter(|_| waiting).map(|first| first + CANDIDATES_TOGETHER)
    }

    fn add(&mut self, candidate: Candidate, now: Instant) {
        if self.candidates.len() < MAX_KNOWN && !self.candidates.contains(&candidate) {
            self.candidates.push(candidate);
            self.first_candidate.get_or_insert(now);
        }
    }
}
