//! A restart of ICE (RFC 8445, section 9): the connection moves to a better path, and DTLS and the channels go on.
//!
//! As at first both ends make an offer and read the other's signal as the answer; the signals go over the control channel, so
//! this helps as long as the old path still carries something. Either end may begin; the other joins in, and who began at the
//! same time is joined already. Certificates stay the same: a signal with another fingerprint ends the connection.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::local::DownReason;

use crate::{
    Candidate, Fingerprint,
    local::{Local, MAX_KNOWN},
    remote::Remote,
    signal::Signal,
};

/// A path takes a while to be found: an honest end begins no sooner after the last restart, whoever began that.
const EVERY: Duration = Duration::from_secs(10);

/// Both ends notice the same change of the network within that time: one restart is enough for both.
const ALIKE: Duration = Duration::from_secs(1);

/// What an honest peer began so long after the last one can arrive sooner after it; anything sooner is to keep us busy.
const AT_LEAST: Duration = Duration::from_secs(2);

/// The restarts of one connection, one at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarts {
    last: Option<Instant>,
    /// Another is wanted as soon as there may be one: the network changed after the last began.
    again: bool,
    under_way: Option<UnderWay>,
}

#[derive(Clone, Debug, Default)]
struct UnderWay {
    local: Local,
    /// The peer's new description, with candidates that followed it.
    theirs: Option<Signal>,
    /// It was set as the answer.
    answered: bool,
}

impl Restarts {
    /// Our leader wants one, now or as soon as there may be one. Tells whether the browser is to make a new offer.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        if self.under_way.is_some() || self.is_within(EVERY, now) {
            self.again = !self.is_within(ALIKE, now);
            return false;
        }
        self.again = false;
        self.last = Some(now);
        self.under_way = Some(UnderWay::default());
        true
    }

    /// The peer's new description. Tells whether the browser is to make a new offer.
    pub(crate) fn on_signal(&mut self, bytes: &[u8], peer: Fingerprint, now: Instant) -> Result<bool, DownReason> {
        let signal = Signal::decode(bytes).map_err(|_| DownReason::Protocol)?;
        if signal.fingerprint != peer {
            return Err(DownReason::Identity);
        }
        let too_soon = self.is_within(AT_LEAST, now);
        match &mut self.under_way {
            Some(UnderWay { theirs: Some(_), .. }) => Err(DownReason::Protocol),
            Some(under_way) => {
                under_way.theirs = Some(signal);
                Ok(false)
            }
            None if too_soon => Err(DownReason::Protocol),
            None => {
                (self.last, self.again) = (Some(now), false);
                self.under_way = Some(UnderWay { theirs: Some(signal), ..UnderWay::default() });
                Ok(true)
            }
        }
    }

    /// Where the browser's new description and its candidates belong.
    pub(crate) fn local(&mut self) -> Option<&mut Local> {
        self.under_way.as_mut().map(|it| &mut it.local)
    }

    /// A candidate that followed a description which isn't set yet. Tells whether it was one.
    pub(crate) fn hold_candidate(&mut self, bytes: &[u8]) -> Result<bool, DownReason> {
        let Some(UnderWay { theirs: Some(theirs), answered: false, .. }) = &mut self.under_way else {
            return Ok(false);
        };
        let candidate = Candidate::read_whole(bytes).map_err(|_| DownReason::Protocol)?;
        if theirs.candidates.len() >= MAX_KNOWN {
            return Err(DownReason::Protocol);
        }
        theirs.candidates.push(candidate);
        Ok(true)
    }

    /// The peer's end from now on, and the answer to be set: once both descriptions are there and the peer has ours. As soon as it is
    /// set Firefox sends nothing by the old path, and the peer would wait for our description for ever.
    pub(crate) fn poll_answer(&mut self, ours: Fingerprint) -> Result<Option<(Remote, String)>, DownReason> {
        let Some(under_way) = &mut self.under_way else { return Ok(None) };
        let (Some(fingerprint), Some(theirs), false) =
            (under_way.local.fingerprint(), &under_way.theirs, under_way.answered)
        else {
            return Ok(None);
        };
        if fingerprint != ours {
            return Err(DownReason::Platform);
        }
        if !under_way.local.is_told() {
            return Ok(None);
        }
        under_way.answered = true;
        Remote::new(ours, theirs.clone()).map(Some)
    }

    /// Our new description for the peer, when it is worth sending.
    pub(crate) fn poll_signal(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.under_way.as_mut()?.local.poll_signal(now)
    }

    /// Our end from now on, when both ends have told and heard all.
    pub(crate) fn poll_done(&mut self) -> Option<Local> {
        self.under_way.take_if(|it| it.answered && it.local.is_told()).map(|it| it.local)
    }

    /// Begins one that had to wait. Tells whether the browser is to make a new offer.
    pub(crate) fn poll_again(&mut self, now: Instant) -> bool {
        self.again_at().is_some_and(|at| at <= now) && self.begin(now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let told = self.under_way.as_ref().and_then(|it| it.local.poll_timeout());
        told.into_iter().chain(self.again_at()).min()
    }

    fn again_at(&self) -> Option<Instant> {
        let may_begin = self.again && self.under_way.is_none();
        self.last.filter(|_| may_begin).map(|last| last + EVERY)
    }

    fn is_within(&self, span: Duration, now: Instant) -> bool {
        self.last.is_some_and(|last| now.since(last) < span)
    }
}
