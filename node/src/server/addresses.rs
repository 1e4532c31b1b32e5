//! What the node's addresses are made of: certificates that its frames keep, and the server's word that it listens.
//!
//! An owner (the node, or a persona) has a certificate, and a second one from long before the first expires: addresses that were
//! given away are answered until their certificate is over.
//!
//! A certificate may not be to be had: the browser makes none, or has no database to keep it in, or no room there. That is remembered and
//! tried again less and less often, for each owner by itself: what keeps one site's pages from it says nothing to another site, and keeps that
//! from nothing. A page that is frozen isn't asked, and what it leaves unanswered is no failure.

use std::{net::SocketAddr, time::Duration};

use bitters_machine::{
    backoff,
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    address::{Address, Fingerprint, MAX_PROXIES, Owner, Token, is_proxy},
    id::{FrameId, PersonaId},
    keys::{Grant, Signature},
    local::Certificate,
};

use serde::{Deserialize, Serialize};

use crate::{dials::Asker, groups::share};

/// As long as browsers let a certificate live; some give less.
const YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// An address that is over sooner is of no use to anybody, and its certificate would have to be made again and again.
const MIN_LIFE_MS: u64 = 60 * 60 * 1000;

/// Certificates in all: those of as many personas as a node can have frames, and the old ones.
pub const MAX_CERTIFICATES: usize = 512;

/// Requests that wait for an address.
const MAX_ASKING: usize = 256;
const MAX_ASKING_PER_ORIGIN: usize = 16;
const MAX_ASKING_PER_GROUP: usize = share(MAX_ASKING);

/// From the wish to the address: a certificate is made in milliseconds, a server is found and asked in seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a frame may take to make a certificate before another try is due. If it is made after all, it is taken.
const CERTIFY_WITHIN: Duration = Duration::from_secs(5);

/// When what failed is tried again, at first and at last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(10 * 60);

/// How far the server is with one of our certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    Asked,
    No,
    Yes,
}

/// A certificate as it is stored: it doesn't tell itself when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
    /// When it expires, in milliseconds since 1970.
    pub expires: u64,
    /// When it was made, in milliseconds since 1970. Builds before this one didn't store that: a year before the end.
    #[serde(default)]
    pub made: Option<u64>,
}

impl Kept {
    /// Half of its life is over.
    fn renews(&self) -> u64 {
        let made = self.made.unwrap_or_else(|| self.expires.saturating_sub(YEAR_MS)).min(self.expires);
        made.midpoint(self.expires)
    }
}

#[derive(Clone, Debug)]
struct Held {
    owner: Owner,
    certificate: Kept,
    listening: Listening,
}

/// A frame that makes a certificate.
#[derive(Clone, Copy, Debug)]
struct Certifying {
    frame: FrameId,
    /// Until when it is waited for; `None` once it is late.
    until: Option<Instant>,
}

/// Why there was no certificate the last time.
#[derive(Clone, Debug)]
struct Trouble {
    /// For people; nothing if no frame said anything.
    why: Option<String>,
    /// In a row.
    failures: u32,
    /// Nothing is tried before; `None` once that is over.
    until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Asking {
    asker: Asker,
    deadline: Instant,
}

/// All of the node's.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Where the server answers STUN and dials; empty if it doesn't, or we are at none.
    proxies: Vec<SocketAddr>,
    held: Vec<Held>,
    /// Frames that make a certificate.
    certifying: Map<Owner, Certifying>,
    trouble: Map<Owner, Trouble>,
    asking: Vec<Asking>,
    /// Owners whose door somebody wanted to know.
    knocked: Set<Owner>,
    /// Personas whose door the server tells.
    published: Set<PersonaId>,
}

impl Addresses {
    /// With certificates from the store.
    pub fn new(stored: Vec<(Owner, Kept)>) -> Self {
        let mut addresses = Self::default();
        for (owner, certificate) in stored {
            addresses.add(owner, certificate);
        }
        addresses
    }

    /// The server took us in: it answers there.
    pub fn registered(&mut self, proxies: Vec<SocketAddr>) {
        self.proxies = proxies.into_iter().filter(|at| is_proxy(*at)).take(MAX_PROXIES).collect();
    }

    /// The server is gone, and listens no longer.
    pub fn closed(&mut self) {
        self.proxies.clear();
        self.published.clear();
        for held in &mut self.held {
            held.listening = Listening::No;
        }
    }

    /// Where the server answers.
    pub fn proxies(&self) -> &[SocketAddr] {
        &self.proxies
    }

    /// A certificate was made; tells what to store.
    ///
    /// # Errors
    /// For people: it is as good as over.
    pub fn made(&mut self, owner: Owner, made: Certificate, unix_ms: Option<u64>) -> Result<Kept, &'static str> {
        let Certificate { fingerprint, expires } = made;
        if unix_ms.is_some_and(|now| expires < now.saturating_add(MIN_LIFE_MS)) {
            return Err("this browser's certificates expire within an hour");
        }
        self.trouble.remove(&owner);
        let kept = Kept { fingerprint, expires, made: unix_ms };
        self.add(owner, kept);
        Ok(kept)
    }

    fn add(&mut self, owner: Owner, certificate: Kept) {
        // Never the one that comes: another would be made in its place at once.
        let rank = |held: &Held| (held.owner != owner, held.certificate.expires);
        if self.held.len() >= MAX_CERTIFICATES
            && let Some(first) = (0..self.held.len()).min_by_key(|at| rank(&self.held[*at]))
        {
            self.held.remove(first);
        }
        self.held.push(Held { owner, certificate, listening: Listening::No });
    }

    /// Certificates that are over are forgotten.
    pub fn expire(&mut self, unix_ms: u64) {
        self.held.retain(|held| held.certificate.expires > unix_ms);
    }

    /// Whether a certificate is to be made now: the owner has none that lasts, none is being made, and nothing tells that it would be in
    /// vain.
    pub fn needs_certificate(&self, owner: Owner, unix_ms: u64) -> bool {
        let lasts = |held: &Held| held.owner == owner && held.certificate.renews() > unix_ms;
        let is_made = self.certifying.get(&owner).is_some_and(|it| it.until.is_some());
        let waits = self.trouble.get(&owner).is_some_and(|it| it.until.is_some());
        !is_made && !waits && !self.held.iter().any(lasts)
    }

    /// A frame was told to make one.
    pub fn certify(&mut self, owner: Owner, frame: FrameId, now: Instant) {
        self.certifying.insert(owner, Certifying { frame, until: Some(now + CERTIFY_WITHIN) });
    }

    /// Whether a frame was told to make one; it may say so once.
    #[must_use]
    pub fn is_certifying(&mut self, owner: Owner, frame: FrameId) -> bool {
        self.certifying.get(&owner).is_some_and(|it| it.frame == frame) && self.certifying.remove(&owner).is_some()
    }

    /// A certificate of an owner's could not be made or kept. What is late and then fails counts once.
    pub fn failed(&mut self, owner: Owner, why: Option<String>, now: Instant, rng: &mut fastrand::Rng) {
        let new = Trouble { why: None, failures: 0, until: None };
        let trouble = self.trouble.entry(owner).or_insert_with(|| new);
        if trouble.until.is_some() {
            trouble.why = why.or(trouble.why.take());
            return;
        }
        trouble.why = why;
        trouble.until = Some(now + backoff(RETRY_FIRST, trouble.failures, RETRY_CAP, rng).min(RETRY_CAP));
        trouble.failures = trouble.failures.saturating_add(1);
    }

    /// Why an owner without a certificate gets none now.
    pub fn trouble(&self, owner: Owner) -> Option<&str> {
        let trouble = self.trouble.get(&owner).filter(|it| it.until.is_some())?;
        trouble.why.as_deref().filter(|_| !self.held.iter().any(|held| held.owner == owner))
    }

    /// Owners who have a certificate.
    pub fn owners(&self) -> Set<Owner> {
        self.held.iter().map(|held| held.owner).collect()
    }

    /// Certificates of an owner that the server is to be asked to listen for; it counts as asked.
    pub fn ask_listening(&mut self, owner: Owner) -> Vec<Fingerprint> {
        let silent = self.held.iter_mut().filter(|held| held.owner == owner && held.listening == Listening::No);
        silent
            .map(|held| {
                held.listening = Listening::Asked;
                held.certificate.fingerprint
            })
            .collect()
    }

    /// An owner is here no longer: what the server is to forget.
    pub fn leave(&mut self, owner: Owner) -> Vec<Token> {
        self.knocked.remove(&owner);
        self.certifying.remove(&owner);
        self.trouble.remove(&owner);
        if let Owner::Persona(own) = owner {
            self.published.remove(&own);
        }
        let known = self.held.iter_mut().filter(|held| held.owner == owner && held.listening != Listening::No);
        known
            .map(|held| {
                held.listening = Listening::No;
                Token::of(owner, &held.certificate.fingerprint)
            })
            .collect()
    }

    /// The server listens. Tells for whom.
    pub fn listens(&mut self, token: Token) -> Option<Owner> {
        let held = self.held.iter_mut().find(|held| Token::of(held.owner, &held.certificate.fingerprint) == token)?;
        // Else it was told to listen no longer, and what it says crossed that.
        (held.listening == Listening::Asked).then(|| {
            held.listening = Listening::Yes;
            if let Owner::Persona(own) = held.owner {
                // It may be another than before.
                self.published.remove(&own);
            }
            held.owner
        })
    }

    /// Personas whose door the server tells.
    pub const fn published(&mut self) -> &mut Set<PersonaId> {
        &mut self.published
    }

    /// Whose address has this token, and what they answer with.
    pub fn by_token(&self, token: Token) -> Option<(Owner, Fingerprint)> {
        let of = |held: &&Held| Token::of(held.owner, &held.certificate.fingerprint) == token;
        self.held.iter().find(of).map(|held| (held.owner, held.certificate.fingerprint))
    }

    /// Somebody wants to know where an owner's door is; tells whether that is news.
    #[must_use]
    pub fn knock(&mut self, owner: Owner) -> bool {
        self.knocked.insert(owner)
    }

    /// Owners on whose door somebody knocked.
    pub fn knocked(&self) -> impl Iterator<Item = Owner> {
        self.knocked.iter().copied()
    }

    /// An owner's address, as the server listens now: that of the certificate which lasts longest. Without a `grant` it is a door.
    pub fn address(
        &self,
        owner: Owner,
        grant: Option<Grant>,
        sign: impl FnOnce(&[u8]) -> Signature,
    ) -> Option<Address> {
        let Kept { fingerprint, expires, .. } = self.listening_for(owner)?;
        Some(Address::sign(owner, fingerprint, &self.proxies, expires, grant, sign))
    }

    /// Whether an owner has an address now.
    pub fn has_address(&self, owner: Owner) -> bool {
        self.listening_for(owner).is_some()
    }

    fn listening_for(&self, owner: Owner) -> Option<Kept> {
        let listening = self.held.iter().filter(|held| held.owner == owner && held.listening == Listening::Yes);
        listening.map(|held| held.certificate).max_by_key(|it| it.expires).filter(|_| !self.proxies.is_empty())
    }

    /// Whether there is room for one more request of a site, which has these frames, and whose group has those.
    pub fn has_room(&self, of_site: &Set<FrameId>, of_group: &Set<FrameId>) -> bool {
        let waits = |frames: &Set<FrameId>| self.asking.iter().filter(|it| frames.contains(&it.asker.0)).count();
        self.asking.len() < MAX_ASKING
            && waits(of_site) < MAX_ASKING_PER_ORIGIN
            && waits(of_group) < MAX_ASKING_PER_GROUP
    }

    /// Somebody waits for an address.
    pub fn ask(&mut self, asker: Asker, now: Instant) {
        self.asking.push(Asking { asker, deadline: now + PATIENCE });
    }

    /// All who wait, and whether their time is over.
    pub fn asking(&self, now: Instant) -> Vec<(Asker, bool)> {
        self.asking.iter().map(|it| (it.asker, it.deadline <= now)).collect()
    }

    /// A request is answered.
    pub fn answered(&mut self, asker: Asker) {
        self.asking.retain(|it| it.asker != asker);
    }

    /// A frame is gone.
    pub fn forget(&mut self, frame: FrameId) {
        self.asking.retain(|it| it.asker.0 != frame);
        self.certifying.retain(|_, it| it.frame != frame);
    }

    /// A frame is frozen, or says nothing: another may be told to make the certificate. If this one makes it after all, it is taken.
    pub fn excuse(&mut self, frame: FrameId) {
        self.certifying.values_mut().filter(|it| it.frame == frame).for_each(|it| it.until = None);
    }

    /// Frames that took too long to make a certificate are waited for no longer, and what failed may be tried again when its time has come.
    pub fn give_up(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        for trouble in self.trouble.values_mut() {
            trouble.until = trouble.until.filter(|until| *until > now);
        }
        let late = self.certifying.iter_mut().filter(|(_, it)| it.until.is_some_and(|until| until <= now));
        for owner in late.map(|(owner, it)| (it.until = None, *owner).1).collect::<Vec<_>>() {
            self.failed(owner, None, now, rng);
        }
    }

    /// When somebody's time is over.
    pub fn deadline(&self) -> Option<Instant> {
        let certifying = self.certifying.values().filter_map(|it| it.until);
        let trouble = self.trouble.values().filter_map(|it| it.until);
        self.asking.iter().map(|it| it.deadline).chain(certifying).chain(trouble).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_half_of_its_life_is_over() {
        for days in [1, 30, 365] {
            let (mut addresses, made) = (Addresses::default(), 1_700_000_000_000);
            let certificate = Certificate { fingerprint: [7; 32], expires: made + days * DAY_MS };
            addresses.made(OWNER, certificate, Some(made)).unwrap();
            let half = made + days * DAY_MS / 2;
            assert!(!addresses.needs_certificate(OWNER, half - 1), "{days} days");
            assert!(addresses.needs_certificate(OWNER, half), "{days} days");
        }
    }

    #[test]
    fn a_certificate_of_an_earlier_build_is_taken_for_one_of_a_year() {
        let before = Certificate { fingerprint: [7; 32], expires: YEAR_MS };
        let stored: Kept = serde_json::from_value(serde_json::to_value(before).unwrap()).unwrap();
        assert_eq!(stored, Kept { fingerprint: [7; 32], expires: YEAR_MS, made: None });
        assert_eq!(stored.renews(), YEAR_MS / 2);
        assert_eq!(Kept { made: Some(2 * YEAR_MS), ..stored }.renews(), YEAR_MS, "nonsense");
    }

    #[test]
    fn a_certificate_that_lasts_shorter_than_all_that_are_held_is_kept_all_the_same() {
        let mut addresses = Addresses::default();
        let lasting = |expires| Certificate { fingerprint: [7; 32], expires };
        for n in 0..MAX_CERTIFICATES {
            let owner = Owner::Node(bitters_wire::id::NodeId(std::array::from_fn(|at| {
                n.to_le_bytes().get(at).copied().unwrap_or(1)
            })));
            addresses.made(owner, lasting(YEAR_MS), Some(0)).unwrap();
        }
        addresses.made(OWNER, lasting(30 * DAY_MS), Some(0)).unwrap();
        assert!(!addresses.needs_certificate(OWNER, DAY_MS), "or another would be made at once");
        addresses.made(OWNER, lasting(31 * DAY_MS), Some(DAY_MS)).unwrap();
        assert_eq!(addresses.owners().len(), MAX_CERTIFICATES, "it takes the place of the owner's own");
    }

    #[test]
    fn a_certificate_that_is_as_good_as_over_is_not_taken() {
        let mut addresses = Addresses::default();
        let certificate = Certificate { fingerprint: [7; 32], expires: MIN_LIFE_MS };
        assert!(addresses.made(OWNER, certificate, Some(1)).is_err() && addresses.owners().is_empty());
        assert!(addresses.made(OWNER, certificate, Some(0)).is_ok());
    }

    #[test]
    fn what_fails_is_tried_less_and_less_often() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut addresses, mut now) = (Addresses::default(), Instant::START);
        assert!(addresses.needs_certificate(OWNER, 0));
        let mut waits = Vec::new();
        for _ in 0..12 {
            addresses.certify(OWNER, TAB, now);
            assert!(addresses.is_certifying(OWNER, TAB));
            addresses.failed(OWNER, Some("no room".into()), now, &mut rng);
            assert_eq!((addresses.trouble(OWNER), addresses.needs_certificate(OWNER, 0)), (Some("no room"), false));
            let due = addresses.deadline().unwrap();
            waits.push(due.since(now));
            now = due;
            addresses.give_up(now, &mut rng);
            assert_eq!((addresses.deadline(), addresses.trouble(OWNER)), (None, None), "no timer runs for nothing");
            assert!(addresses.needs_certificate(OWNER, 0));
        }
        assert!(
            waits[0] < Duration::from_secs(2) && waits[11] >= Duration::from_secs(5 * 60) && waits[11] <= RETRY_CAP
        );

        addresses.made(OWNER, Certificate { fingerprint: [7; 32], expires: YEAR_MS }, Some(0)).unwrap();
        addresses.failed(OWNER, None, now, &mut rng);
        assert!(addresses.deadline().unwrap().since(now) < Duration::from_secs(2), "it worked since");
    }

    #[test]
    fn what_fails_for_one_owner_is_nothing_to_another() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut addresses, now) = (Addresses::default(), Instant::START);
        for owner in [OWNER, OTHER] {
            addresses.certify(owner, TAB, now);
            assert!(addresses.is_certifying(owner, TAB));
            addresses.failed(owner, Some("no room".into()), now, &mut rng);
        }
        addresses.leave(OTHER);
        assert!(addresses.needs_certificate(OTHER, 0) && !addresses.needs_certificate(OWNER, 0));
        assert_eq!((addresses.trouble(OTHER), addresses.trouble(OWNER)), (None, Some("no room")));
        addresses.made(OTHER, Certificate { fingerprint: [7; 32], expires: YEAR_MS }, Some(0)).unwrap();
        assert!(!addresses.needs_certificate(OWNER, 0), "nor is what works for the other");
    }

    #[test]
    fn a_frame_that_is_late_counts_as_a_failure_and_may_yet_succeed() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut addresses = Addresses::default();
        addresses.certify(OWNER, TAB, Instant::START);
        let late = Instant::START + CERTIFY_WITHIN;
        addresses.give_up(late, &mut rng);
        assert!(!addresses.needs_certificate(OWNER, 0) && addresses.trouble(OWNER).is_none());

        let retry = addresses.deadline().unwrap();
        addresses.give_up(retry, &mut rng);
        assert!(addresses.needs_certificate(OWNER, 0));
        assert!(addresses.is_certifying(OWNER, TAB) && !addresses.is_certifying(OWNER, TAB));
    }

    #[test]
    fn a_frame_that_is_excused_is_not_late() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut addresses = Addresses::default();
        addresses.certify(OWNER, TAB, Instant::START);
        addresses.excuse(TAB);
        addresses.give_up(Instant::START + CERTIFY_WITHIN, &mut rng);
        assert_eq!((addresses.deadline(), addresses.needs_certificate(OWNER, 0)), (None, true));
        assert!(addresses.is_certifying(OWNER, TAB), "it may yet succeed");
    }

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    const TAB: FrameId = FrameId::from_random([1; 16]);
    const OWNER: Owner = Owner::Node(bitters_wire::id::NodeId([1; 32]));
    const OTHER: Owner = Owner::Node(bitters_wire::id::NodeId([2; 32]));
}
