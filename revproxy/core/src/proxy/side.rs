//! One side of a passage: the five-tuples that it is reached at, and what it asked the other side.
//!
//! Until a leg has proven its round trip, by answering a request whose transaction id went only there, at most as many bytes go to it
//! as came from it. One packet more may wait: the latest check, or the latest of anything else where no check waits. A check comes first because
//! its answer is the proof; what is dropped for it is sent again by its sender.

use std::{collections::VecDeque, net::SocketAddr};

use bitters_machine::time::Instant;

use super::{
    counts::Dropped,
    outgoing::{Outgoing, Path},
    stun::Transaction,
};

/// Several interfaces, or a port that changed.
pub(super) const MAX_LEGS: usize = 4;

/// Requests whose answers are waited for: four legs, and what each asks again within a round trip.
const MAX_ASKED: usize = 16;

/// What one side is reached at.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// At most [`MAX_LEGS`].
    legs: Vec<Leg>,
    /// The leg that last sent something other than STUN.
    spoke: Option<Path>,
    /// What this side asked, the latest last; at most [`MAX_ASKED`].
    asked: VecDeque<Asked>,
}

/// One five-tuple.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) path: Path,
    heard: Instant,
    /// Whether it sent a check by the names in force: those of the dial, or those of the latest restart, after which browsers may
    /// leave their old ports.
    fresh: bool,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Unverified {
        /// Bytes that came from it and haven't been matched by any that went to it.
        credit: usize,
        waiting: Option<Waiting>,
    },
    Verified,
}

#[derive(Debug)]
struct Waiting {
    cargo: Cargo,
    bytes: Box<[u8]>,
}

/// A request that was passed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The asker's.
    pub(super) theirs: Transaction,
    /// The one that it went on with. Only who receives at `to` knows it.
    ours: Transaction,
    pub(super) from: Path,
    to: Path,
    /// Whether it is by the credentials of a restart.
    pub(super) restarted: bool,
    /// How often it was passed on, less the answers. Repeated answers are as many as repeated requests.
    unanswered: u8,
}

/// What is passed on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cargo {
    /// The other side's check, which is asked once it is sent.
    Check(Asked),
    Other,
}

impl Side {
    pub(super) fn paths(&self) -> impl Iterator<Item = Path> {
        self.legs.iter().map(|leg| leg.path)
    }

    /// Adds a leg. Where there are too many, the one that was silent for longest makes room and is returned.
    pub(super) fn add(&mut self, path: Path, now: Instant) -> Option<Path> {
        let quiet = (0..self.legs.len())
            .filter(|&at| self.spoke != Some(self.legs[at].path))
            .min_by_key(|&at| self.legs[at].heard)
            .filter(|_| self.legs.len() >= MAX_LEGS);
        let gone = quiet.map(|at| self.legs.remove(at).path);
        self.legs.push(Leg { path, heard: now, fresh: false, proof: Proof::Unverified { credit: 0, waiting: None } });
        gone
    }

    pub(super) fn leg(&mut self, path: Path) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.path == path)
    }

    /// Notes that a leg sent something other than STUN.
    pub(super) const fn speaks(&mut self, path: Path) {
        self.spoke = Some(path);
    }

    /// Other names are in force now.
    pub(super) fn restart(&mut self) {
        self.legs.iter_mut().for_each(|leg| leg.fresh = false);
    }

    /// Where a check goes: to a leg that checks by the same names, if there is one; among those to the one that last spoke, as its
    /// answer lets that one take anything, else to one of the asker's family of addresses, as the answer names one.
    pub(super) fn asked_at(&mut self, by: SocketAddr) -> Option<&mut Leg> {
        let spoke = self.spoke;
        self.legs.iter_mut().max_by_key(|leg| {
            let same = leg.path.peer.is_ipv4() == by.is_ipv4();
            (leg.fresh, spoke == Some(leg.path), same, leg.is_verified(), leg.heard)
        })
    }

    /// Where so many bytes of anything else go: likewise, if that leg can take them, else where they went before, else to the latest
    /// heard.
    pub(super) fn current(&mut self, len: usize) -> Option<&mut Leg> {
        let spoke = self.spoke;
        self.legs.iter_mut().max_by_key(|leg| {
            let spoke = spoke == Some(leg.path);
            let speaks = spoke && leg.takes(len);
            (leg.fresh && (speaks || leg.is_verified()), speaks, leg.is_verified(), spoke, leg.heard)
        })
    }

    /// Notes that a request of this side's was sent.
    pub(super) fn asks(&mut self, sent: Asked) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.ours == sent.ours) {
            asked.unanswered = asked.unanswered.saturating_add(1);
            return;
        }
        if self.asked.len() >= MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(sent);
    }

    /// The transaction with which a request went on to `to` that is repeated now.
    pub(super) fn repeated(&self, theirs: Transaction, from: Path, to: Path) -> Option<Transaction> {
        let same = |asked: &&Asked| asked.theirs == theirs && asked.from == from && asked.to == to;
        self.asked.iter().find(same).map(|asked| asked.ours)
    }

    /// What `by` answers with this transaction.
    pub(super) fn asked(&mut self, ours: Transaction, by: Path) -> Result<&mut Asked, Dropped> {
        let answers = |asked: &&mut Asked| asked.ours == ours && asked.to == by && asked.unanswered > 0;
        self.asked.iter_mut().find(answers).ok_or(Dropped::Unasked)
    }
}

impl Asked {
    pub(super) const fn new((theirs, ours): (Transaction, Transaction), from: Path, to: Path, restarted: bool) -> Self {
        Self { theirs, ours, from, to, restarted, unanswered: 1 }
    }

    /// Counts the answer, which proves that its sender is where it says.
    pub(super) const fn answered(&mut self) {
        self.unanswered -= 1;
    }
}

impl Leg {
    pub(super) const fn is_verified(&self) -> bool {
        matches!(self.proof, Proof::Verified)
    }

    /// Notes that it checks by the names in force.
    pub(super) const fn refresh(&mut self) {
        self.fresh = true;
    }

    /// Whether so many bytes can be sent at once.
    pub(super) fn takes(&self, len: usize) -> bool {
        match self.proof {
            Proof::Unverified { credit, .. } => len <= credit,
            Proof::Verified => true,
        }
    }

    /// Counts what came from here, and sends what waited for it: a check that was asked thereby is returned.
    pub(super) fn hear(&mut self, len: usize, now: Instant, out: &mut Outgoing) -> Option<Asked> {
        self.heard = now;
        let Proof::Unverified { credit, waiting } = &mut self.proof else { return None };
        *credit += len;
        let first = waiting.take_if(|waiting| waiting.bytes.len() <= *credit)?;
        *credit -= first.bytes.len();
        out.push(self.path, &first.bytes);
        first.cargo.asked()
    }

    /// Takes the round trip as proven, and sends what waited for that: a check that was asked thereby is returned.
    pub(super) fn verify(&mut self, out: &mut Outgoing) -> Option<Asked> {
        let Proof::Unverified { waiting, .. } = std::mem::replace(&mut self.proof, Proof::Verified) else {
            return None;
        };
        let waiting = waiting?;
        out.push(self.path, &waiting.bytes);
        waiting.cargo.asked()
    }

    /// Sends, or keeps what can't be sent yet. A check that was asked thereby is returned.
    pub(super) fn send(&mut self, bytes: &[u8], cargo: Cargo, out: &mut Outgoing) -> Result<Option<Asked>, Dropped> {
        if let Proof::Unverified { credit, waiting } = &mut self.proof {
            let checked = waiting.as_ref().is_some_and(|waiting| waiting.cargo.asked().is_some());
            if checked && cargo.asked().is_none() {
                return Err(Dropped::Unverified);
            }
            if bytes.len() > *credit {
                let displaced = waiting.replace(Waiting { cargo, bytes: bytes.into() });
                return if displaced.is_some() { Err(Dropped::Unverified) } else { Ok(None) };
            }
            *credit -= bytes.len();
        }
        out.push(self.path, bytes);
        Ok(cargo.asked())
    }
}

impl Cargo {
    const fn asked(self) -> Option<Asked> {
        match self {
            Self::Check(asked) => Some(asked),
            Self::Other => None,
        }
    }
}
