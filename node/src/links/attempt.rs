//! How two attempts at the same link find each other.
//!
//! A connection is made of two signals, one each way, and either may come first (`peercon`). Each end numbers its attempts; a
//! signal names the sender's and, when it answers, the receiver's. Because both ends do the same thing, two nodes that dial
//! each other at once need no tie-break: each takes the other's dial for the answer to its own. (It sends its own signal again as
//! an answer, for its dial may have been lost; without that, two ends whose dials are lost in turn could miss each other for
//! ever.) What is left to decide is
//! what to do with a signal that doesn't fit.
//!
//! An end has at most one attempt with a peer, and begins another only when the one before is over. So of two attempts
//! that pair, both ends agree which is the later, and of two links with one peer the later one stays (or stands by: `links`).

use bitters_wire::link::Signal;

/// What is going on with the sender of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Our attempt that isn't up: its number, and the peer's attempt that it was paired with.
    pub connecting: Option<(u32, Option<u32>)>,
    /// The peer's attempt that the link which stands by was paired with.
    pub standby: Option<u32>,
    /// The peer's attempt that the link which is used was paired with.
    pub up: Option<u32>,
}

/// What to do with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Begin an attempt that answers it.
    Accept,
    /// Drop it: told twice, or of an attempt that is over.
    Ignore,
    /// Give it to our attempt: the two are a pair now.
    Pair,
    /// Our attempt has a partner that is over: end it and dial anew.
    Redial,
    /// Our attempt has a partner that is over: end it and begin one that answers this signal.
    Replace,
}

/// Judges a signal.
pub fn judge(standing: Standing, signal: &Signal) -> Verdict {
    match (standing.connecting, signal.answers) {
        (Some((ours, _)), Some(answers)) if answers != ours => Verdict::Ignore,
        (Some((_, None)), _) => Verdict::Pair,
        (Some((_, Some(theirs))), _) if theirs == signal.attempt => Verdict::Ignore,
        // The peer answers this attempt with one that is not our partner: our partner was over before it had our signal.
        (Some(_), Some(_)) => Verdict::Redial,
        (Some(_), None) => Verdict::Replace,
        (None, Some(_)) => Verdict::Ignore,
        (None, None) if [standing.up, standing.standby].contains(&Some(signal.attempt)) => Verdict::Ignore,
        // A peer that dials has no link with us, or wants a standby and dials over the one there is.
        (None, None) => Verdict::Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_from_nowhere_is_accepted() {
        assert_eq!(judge(Standing::default(), &dial(7)), Verdict::Accept);
    }

    #[test]
    fn an_answer_to_nothing_is_ignored() {
        assert_eq!(judge(Standing::default(), &answer(7, 1)), Verdict::Ignore);
        assert_eq!(judge(connecting(2, None), &answer(7, 1)), Verdict::Ignore);
    }

    #[test]
    fn dials_that_cross_are_each_others_answers() {
        assert_eq!(judge(connecting(1, None), &dial(7)), Verdict::Pair);
        assert_eq!(judge(connecting(1, None), &answer(7, 1)), Verdict::Pair);
    }

    #[test]
    fn what_was_told_before_is_ignored() {
        assert_eq!(judge(connecting(1, Some(7)), &dial(7)), Verdict::Ignore);
        assert_eq!(judge(connecting(1, Some(7)), &answer(7, 1)), Verdict::Ignore);
        assert_eq!(judge(Standing { up: Some(7), ..Standing::default() }, &dial(7)), Verdict::Ignore);
        assert_eq!(judge(Standing { standby: Some(7), ..Standing::default() }, &dial(7)), Verdict::Ignore);
    }

    #[test]
    fn a_peer_that_began_again_is_followed() {
        assert_eq!(judge(connecting(1, Some(7)), &dial(8)), Verdict::Replace);
        assert_eq!(judge(connecting(1, Some(7)), &answer(8, 1)), Verdict::Redial);
        assert_eq!(judge(Standing { up: Some(7), ..Standing::default() }, &dial(8)), Verdict::Accept);
    }

    fn connecting(ours: u32, theirs: Option<u32>) -> Standing {
        Standing { connecting: Some((ours, theirs)), ..Standing::default() }
    }

    fn dial(attempt: u32) -> Signal {
        Signal { attempt, answers: None, blob: Vec::new() }
    }

    fn answer(attempt: u32, answers: u32) -> Signal {
        Signal { attempt, answers: Some(answers), blob: Vec::new() }
    }
}
