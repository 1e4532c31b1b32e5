//! The peer's description in force: its signal, and the candidates that it tells later.

use bitters_wire::local::DownReason;

use crate::{
    Candidate, Credentials, Fingerprint,
    local::MAX_KNOWN,
    sdp::{self, Setup},
    signal::Signal,
};

/// Which end we are: the one with the lower fingerprint is A, and DTLS-passive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    A,
    B,
}

impl Role {
    /// Ours. Nobody else has our certificate: equal fingerprints are our own, sent back to us.
    pub(crate) fn of(ours: Fingerprint, theirs: Fingerprint) -> Result<Self, DownReason> {
        match ours.cmp(&theirs) {
            std::cmp::Ordering::Less => Ok(Self::A),
            std::cmp::Ordering::Equal => Err(DownReason::Identity),
            std::cmp::Ordering::Greater => Ok(Self::B),
        }
    }

    /// What our invented answer says of the peer.
    const fn peers_setup(self) -> Setup {
        match self {
            Self::A => Setup::Active,
            Self::B => Setup::Passive,
        }
    }
}

/// The peer's end of the connection, once its answer is set.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) role: Role,
    pub(crate) credentials: Credentials,
    candidates: Vec<Candidate>,
}

impl Remote {
    /// Also returns the answer to be set.
    pub(crate) fn new(ours: Fingerprint, peer: Signal) -> Result<(Self, String), DownReason> {
        Self::described(ours, peer, Role::peers_setup)
    }

    /// Also returns the offer to be answered.
    pub(crate) fn offering(ours: Fingerprint, peer: Signal) -> Result<(Self, String), DownReason> {
        Self::described(ours, peer, |_| Setup::Either)
    }

    fn described(ours: Fingerprint, peer: Signal, setup: fn(Role) -> Setup) -> Result<(Self, String), DownReason> {
        let role = Role::of(ours, peer.fingerprint)?;
        let description = sdp::describe(&peer, setup(role));
        let Signal { credentials, fingerprint, candidates } = peer;
        Ok((Self { fingerprint, role, credentials, candidates }, description))
    }

    /// A candidate that came later, and its text, unless it is known already.
    pub(crate) fn on_candidate(&mut self, bytes: &[u8]) -> Result<Option<(Candidate, String)>, DownReason> {
        let candidate = Candidate::read_whole(bytes).map_err(|_| DownReason::Protocol)?;
        if self.candidates.contains(&candidate) {
            return Ok(None);
        }
        if self.candidates.len() >= MAX_KNOWN {
            return Err(DownReason::Protocol);
        }
        let index = u8::try_from(self.candidates.len()).expect("bounded by MAX_KNOWN");
        self.candidates.push(candidate);
        Ok(Some((candidate, candidate.to_text(index))))
    }
}
