//! The compact signal: what the peer must know of our description, in 54 to 508 bytes, mostly under 100.
//!
//! `flags 1 | credentials | fingerprint 32 | count 1 | candidates`. The flags say how the credentials are written:
//! 0 Chromium's in 21 bytes, 1 Firefox's in 20, 2 any others with their lengths (length, then text; the password's length
//! less one). Other flags are for later versions and are refused. A candidate is `type 1 | address 4 or 16 | port 2`, the
//! port's high byte first; its type's low half is 0 host, 1 server-reflexive, 2 relayed, its high half 0 for IPv4, 1 for
//! IPv6, 2 for the UUID of an mDNS name. A signal has one spelling.

use bitters_wire::limits::MAX_SIGNAL;

use crate::{Candidate, Credentials, Fingerprint, credentials::Form};

/// Candidates in one signal; later ones follow over the control channel.
pub const MAX_CANDIDATES: usize = 8;

/// What one end must know of the other's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// For connectivity checks.
    pub credentials: Credentials,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// The candidates known so far. [`encode`](Self::encode) writes the first [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
}

/// Why bytes are not a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SignalError {
    #[error("a candidate of no known kind, or to nowhere")]
    Candidate,
    #[error("credentials that are none, or in the wrong form")]
    Credentials,
    #[error("flags of another version")]
    Flags,
    #[error("longer than a signal may be")]
    TooLong,
    #[error("more candidates than a signal may have")]
    TooManyCandidates,
    #[error("more follows")]
    Trailing,
    #[error("something is missing at the end")]
    Truncated,
}

impl Signal {
    /// The bytes: at most [`MAX_SIGNAL`] with a username fragment of up to 64 characters, as all browsers make them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let candidates = &self.candidates[..self.candidates.len().min(MAX_CANDIDATES)];
        let mut out = Vec::with_capacity(96);
        out.push(self.credentials.form() as u8);
        self.credentials.write(&mut out);
        out.extend_from_slice(&self.fingerprint);
        out.push(u8::try_from(candidates.len()).expect("bounded by MAX_CANDIDATES"));
        for candidate in candidates {
            candidate.write(&mut out);
        }
        out
    }

    /// Reads exactly one signal.
    ///
    /// # Errors
    /// [`SignalError`] for anything else.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, SignalError> {
        if bytes.len() > MAX_SIGNAL {
            return Err(SignalError::TooLong);
        }
        let rest = &mut bytes;
        let form = match take_byte(rest)? {
            0 => Form::Base64,
            1 => Form::Hex,
            2 => Form::Long,
            _ => return Err(SignalError::Flags),
        };
        let credentials = Credentials::read(form, rest)?;
        let fingerprint = take_array(rest)?;
        let count = usize::from(take_byte(rest)?);
        if count > MAX_CANDIDATES {
            return Err(SignalError::TooManyCandidates);
        }
        let candidates = (0..count).map(|_| Candidate::read(rest)).collect::<Result<_, _>>()?;
        if !rest.is_empty() {
            return Err(SignalError::Trailing);
        }
        Ok(Self { credentials, fingerprint, candidates })
    }
}

pub(crate) fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], SignalError> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(SignalError::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], SignalError> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(SignalError::Truncated)?;
    *bytes = rest;
    Ok(*taken)
}

pub(crate) fn take_byte(bytes: &mut &[u8]) -> Result<u8, SignalError> {
    take_array(bytes).map(|[byte]| byte)
}
