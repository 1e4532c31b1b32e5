//! A restart of ICE (RFC 8445, section 9): the connection moves to a better path, and DTLS and the channels go on.
//!
//! As at first each end makes an offer and reads the other's signal as the answer; the signals go over the control channel, so
//! this helps as long as the old path still carries something. Either end may begin; the other joins in, and who began at the
//! same time is joined already. Certificates stay the same: a signal with another fingerprint ends the connection.
//!
//! The end that ICE made the controlled one answers the other's offer, where its browser can. If it offered, its browser would take itself
//! for the controlling end until the first check tells it otherwise. Where the other is a Firefox, that check has named the path
//! already, and Firefox names it only once: Chromium was seen to send by the old path, where nobody listens, for 6 s.

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
    manner: Manner,
    /// The peer's new description, with candidates that followed it.
    theirs: Option<Signal>,
    /// It was set.
    is_set: bool,
}

/// How we make our new description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// As an offer, unless the browser says that it answers.
    #[default]
    Offer,
    /// As an offer in any case: the peer answers.
    OfferOnly,
    /// As the answer to the peer's.
    Answer,
}

/// What is to be done with the peer's new description.
#[derive(Debug)]
pub(crate) enum Theirs {
    /// To be set as the answer to ours.
    Answer(String),
    /// To be answered.
    Offer(String),
}

/// What an end does whose browser answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controlled {
    /// It asks for the peer's offer.
    Ask,
    /// It offers all the same, because the peer asked for that.
    Offer,
}

/// A new description that the browser is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anew {
    /// The browser may answer the peer's, if it is the controlled end.
    pub(crate) may_answer: bool,
}

impl Restarts {
    /// Our leader wants one, now or as soon as there may be one.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Anew> {
        if self.under_way.is_some() || self.is_within(EVERY, now) {
            self.again = !self.is_within(ALIKE, now);
            return None;
        }
        Some(self.make(UnderWay::default(), now))
    }

    /// The peer's new description.
    pub(crate) fn on_signal(
        &mut self,
        bytes: &[u8],
        peer: Fingerprint,
        now: Instant,
    ) -> Result<Option<Anew>, DownReason> {
        let signal = Signal::decode(bytes).map_err(|_| DownReason::Protocol)?;
        if signal.fingerprint != peer {
            return Err(DownReason::Identity);
        }
        match &mut self.under_way {
            Some(UnderWay { theirs: Some(_), .. }) => Err(DownReason::Protocol),
            Some(under_way) => {
                under_way.theirs = Some(signal);
                Ok(None)
            }
            None => self.join(UnderWay { theirs: Some(signal), ..UnderWay::default() }, now).map(Some),
        }
    }

    /// The peer is to answer our new description, and asks for it. An honest one does so once for each restart.
    pub(crate) fn on_asked(&mut self, now: Instant) -> Result<Option<Anew>, DownReason> {
        match &mut self.under_way {
            Some(UnderWay { manner: Manner::OfferOnly, .. } | UnderWay { theirs: Some(_), .. }) => {
                Err(DownReason::Protocol)
            }
            Some(under_way) => {
                // Neither offered yet.
                let is_crossed = under_way.manner == Manner::Answer;
                under_way.manner = Manner::OfferOnly;
                Ok(is_crossed.then_some(Anew { may_answer: false }))
            }
            None => self.join(UnderWay { manner: Manner::OfferOnly, ..UnderWay::default() }, now).map(Some),
        }
    }

    /// The browser, which was to make a new description, is the controlled end: it answers.
    pub(crate) fn on_controlled(&mut self) -> Option<Controlled> {
        let under_way = self.under_way.as_mut()?;
        if under_way.manner == Manner::OfferOnly {
            return Some(Controlled::Offer);
        }
        under_way.manner = Manner::Answer;
        under_way.theirs.is_none().then_some(Controlled::Ask)
    }

    fn join(&mut self, under_way: UnderWay, now: Instant) -> Result<Anew, DownReason> {
        if self.is_within(AT_LEAST, now) { Err(DownReason::Protocol) } else { Ok(self.make(under_way, now)) }
    }

    fn make(&mut self, under_way: UnderWay, now: Instant) -> Anew {
        (self.last, self.again) = (Some(now), false);
        let may_answer = under_way.manner == Manner::Offer;
        self.under_way = Some(under_way);
        Anew { may_answer }
    }

    /// Where the browser's new description and its candidates belong.
    pub(crate) fn local(&mut self) -> Option<&mut Local> {
        self.under_way.as_mut().map(|it| &mut it.local)
    }

    /// A candidate that followed a description which isn't set yet. Tells whether it was one.
    pub(crate) fn hold_candidate(&mut self, bytes: &[u8]) -> Result<bool, DownReason> {
        let Some(UnderWay { theirs: Some(theirs), is_set: false, .. }) = &mut self.under_way else {
            return Ok(false);
        };
        let candidate = Candidate::read_whole(bytes).map_err(|_| DownReason::Protocol)?;
        if theirs.candidates.len() >= MAX_KNOWN {
            return Err(DownReason::Protocol);
        }
        theirs.candidates.push(candidate);
        Ok(true)
    }

    /// The peer's end from now on, and what is to be done with its description. An offer is answered at once. An answer is set once both
    /// descriptions are there and the peer has ours: as soon as it is set Firefox sends nothing by the old path, and the peer would wait
    /// for our description for ever.
    pub(crate) fn poll_theirs(&mut self, ours: Fingerprint) -> Result<Option<(Remote, Theirs)>, DownReason> {
        let Some(under_way) = &mut self.under_way else { return Ok(None) };
        if under_way.local.fingerprint().is_some_and(|fingerprint| fingerprint != ours) {
            return Err(DownReason::Platform);
        }
        let is_due = under_way.manner == Manner::Answer || under_way.local.is_told();
        let (Some(theirs), true, false) = (&under_way.theirs, is_due, under_way.is_set) else { return Ok(None) };
        under_way.is_set = true;
        let (remote, theirs) = if under_way.manner == Manner::Answer {
            let (remote, offer) = Remote::offering(ours, theirs.clone())?;
            (remote, Theirs::Offer(offer))
        } else {
            let (remote, answer) = Remote::new(ours, theirs.clone())?;
            (remote, Theirs::Answer(answer))
        };
        Ok(Some((remote, theirs)))
    }

    /// Our new description for the peer, when it is worth sending.
    pub(crate) fn poll_signal(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.under_way.as_mut()?.local.poll_signal(now)
    }

    /// Our end from now on, when both ends have told and heard all.
    pub(crate) fn poll_done(&mut self) -> Option<Local> {
        self.under_way.take_if(|it| it.is_set && it.local.is_told()).map(|it| it.local)
    }

    /// Begins one that had to wait.
    pub(crate) fn poll_again(&mut self, now: Instant) -> Option<Anew> {
        self.again_at().filter(|at| *at <= now).and_then(|_| self.begin(now))
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
