//! What the node's addresses are made of: certificates that its frames keep, and the server's word that it listens.
//!
//! An owner (the node, or a persona) has a certificate, and a second one from long before the first expires: addresses that were
//! given away are answered until their certificate is over.

use std::{net::SocketAddr, time::Duration};

use bitters_wire::{
    address::{Address, Fingerprint, MAX_PROXIES, Owner, Token, is_proxy, stun_of},
    id::FrameId,
    keys::Signature,
    local::Certificate,
    map::{Map, Set},
    time::Instant,
};

use crate::{dials::Asker, groups::share};

/// A certificate lives for a year; half of it is left when the next is made.
const RENEW_BEFORE_MS: u64 = 180 * 24 * 60 * 60 * 1000;

/// Certificates in all: those of as many personas as a node can have frames, and the old ones.
pub const MAX_CERTIFICATES: usize = 512;

/// Requests that wait for an address.
const MAX_ASKING: usize = 256;
const MAX_ASKING_PER_ORIGIN: usize = 16;
const MAX_ASKING_PER_GROUP: usize = share(MAX_ASKING);

/// From the wish to the address: a certificate is made in milliseconds, a server is found and asked in seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a frame may take to make a certificate.
const CERTIFY_WITHIN: Duration = Duration::from_secs(5);

/// How far the server is with one of our certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listening {
    Asked,
    No,
    Yes,
}

#[derive(Clone, Debug)]
struct Held {
    owner: Owner,
    certificate: Certificate,
    listening: Listening,
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
    /// Frames that make a certificate, and until when.
    certifying: Map<Owner, (FrameId, Instant)>,
    asking: Vec<Asking>,
}

impl Addresses {
    /// With certificates from the store.
    pub fn new(stored: Vec<(Owner, Certificate)>) -> Self {
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
        for held in &mut self.held {
            held.listening = Listening::No;
        }
    }

    /// Where the server answers.
    pub fn proxies(&self) -> &[SocketAddr] {
        &self.proxies
    }

    /// Servers that tell browsers how the world sees them.
    pub fn stun(&self) -> Vec<SocketAddr> {
        self.proxies.iter().copied().map(stun_of).collect()
    }

    /// A certificate was made, or is in the store.
    pub fn add(&mut self, owner: Owner, certificate: Certificate) {
        self.certifying.remove(&owner);
        self.held.push(Held { owner, certificate, listening: Listening::No });
        if self.held.len() > MAX_CERTIFICATES
            && let Some(first) = (0..self.held.len()).min_by_key(|at| self.held[*at].certificate.expires)
        {
            self.held.remove(first);
        }
    }

    /// Certificates that are over are forgotten.
    pub fn expire(&mut self, unix_ms: u64) {
        self.held.retain(|held| held.certificate.expires > unix_ms);
    }

    /// Whether an owner has no certificate that lasts, and none is being made.
    pub fn needs_certificate(&self, owner: Owner, unix_ms: u64) -> bool {
        let lasts = |held: &Held| held.owner == owner && held.certificate.expires > unix_ms + RENEW_BEFORE_MS;
        !self.certifying.contains_key(&owner) && !self.held.iter().any(lasts)
    }

    /// A frame was told to make one.
    pub fn certify(&mut self, owner: Owner, frame: FrameId, now: Instant) {
        self.certifying.insert(owner, (frame, now + CERTIFY_WITHIN));
    }

    /// Whether a frame was told to make one; it may say so once.
    #[must_use]
    pub fn is_certifying(&mut self, owner: Owner, frame: FrameId) -> bool {
        self.certifying.get(&owner).is_some_and(|(asked, _)| *asked == frame)
            && self.certifying.remove(&owner).is_some()
    }

    /// Owners who have a certificate.
    pub fn owners(&self) -> Vec<Owner> {
        let mut owners: Vec<Owner> = self.held.iter().map(|held| held.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        owners
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
        (std::mem::replace(&mut held.listening, Listening::Yes) == Listening::Asked).then_some(held.owner)
    }

    /// Whose address has this token, and what they answer with.
    pub fn by_token(&self, token: Token) -> Option<(Owner, Fingerprint)> {
        let of = |held: &&Held| Token::of(held.owner, &held.certificate.fingerprint) == token;
        self.held.iter().find(of).map(|held| (held.owner, held.certificate.fingerprint))
    }

    /// An owner's address, as the server listens now: that of the certificate which lasts longest.
    pub fn address(&self, owner: Owner, sign: impl FnOnce(&[u8]) -> Signature) -> Option<Address> {
        let listening = self.held.iter().filter(|held| held.owner == owner && held.listening == Listening::Yes);
        let Certificate { fingerprint, expires } =
            listening.map(|held| held.certificate).max_by_key(|it| it.expires)?;
        (!self.proxies.is_empty()).then(|| Address::sign(owner, fingerprint, &self.proxies, expires, sign))
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
        self.certifying.retain(|_, (asked, _)| *asked != frame);
    }

    /// Frames that took too long to make a certificate are waited for no longer.
    pub fn give_up(&mut self, now: Instant) {
        self.certifying.retain(|_, (_, until)| *until > now);
    }

    /// When somebody's time is over.
    pub fn deadline(&self) -> Option<Instant> {
        let certifying = self.certifying.values().map(|(_, until)| *until);
        self.asking.iter().map(|it| it.deadline).chain(certifying).min()
    }
}
