//! Signals on their way over a server or a common peer: signed by their sender, then sealed to their receiver.
//!
//! ```text
//! key    = HKDF-SHA256(X25519(ephemeral, receiver), salt: domain, info: ephemeral's public key ‖ receiver)
//! sealed = ephemeral's public key ‖ ChaCha20-Poly1305(key, nonce: 0, inner)
//! inner  = { from, what is said, minute, 16 random bytes, signature over all of that, the domain and the receiver }
//! ```
//!
//! So whoever passes it on reads no network address in it, and can't make one up in another's name (HPKE, RFC 9180, is about the same; the keys
//! are those that personas have anyway). A key seals one signal, which is why its nonce may be zero. A receiver drops what is older than
//! [`FRESH_MINUTES`], and what it has heard already.
//!
//! Network addresses are shown to those only who have a reason to know them. Whoever has none to show its own *knocks*; whoever has none to
//! answer with its own, to a knock or to a signal, says where its *door* is: an address without a grant, which is dialled over the
//! server. Those who have a reason may send each other the first packets of their sessions so, and members of a topic what they say in it, before
//! they are connected.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::Aead, aead::Payload};
use curve25519_dalek::MontgomeryPoint;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    address::Address,
    codec,
    id::PersonaId,
    keys::{BadSignature, PersonaSecret, Signature},
    limits::{MAX_SEALED_SIGNAL, MAX_SIGNAL},
    link::Signal,
    packet::Packet,
    topic::MatchKey,
};

/// How many minutes older or younger than the receiver's clock a signal may be.
pub const FRESH_MINUTES: u32 = 2;

const DOMAIN: &[u8] = b"bitters/signal/2";

/// A signal that only its receiver can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSignal {
    /// Whether it answers one of the receiver's. Servers need to know: only one of a key's sockets waits for an answer.
    pub answers: bool,
    /// At most [`MAX_SEALED_SIGNAL`] bytes.
    #[serde(with = "serde_bytes")]
    sealed: Vec<u8>,
}

/// What is random in a signal, and never used again.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The secret of a key for this signal alone.
    pub ephemeral: Zeroizing<[u8; 32]>,
    /// The signal's name.
    pub nonce: [u8; 16],
}

/// What a signal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Dial me here, as anybody may. The answer to a [`Knock`](Self::Knock), or to a signal whose sender has no reason to know more.
    Door(Box<Address>),
    /// The sender would like a connection, and shows no network address of its own: where is the door?
    Knock,
    /// What [`Packets`](Self::Packets) says, as bytes, for members of topics alone.
    Members(Box<ForMembers>),
    /// Packets of sessions, for as long as there is no link: at most [`MAX_EARLY`](crate::limits::MAX_EARLY) bytes.
    Packets(Vec<Packet>),
    /// One of the two messages that make a connection.
    Signal(Signal),
    /// The same, for members of topics alone.
    Topics(Box<ForMembers>),
    /// What the sender's pages said in a topic lately, in order, for members of that topic alone, for as long as there is no link: at most
    /// [`MAX_EARLY`](crate::limits::MAX_EARLY) bytes of sealed messages. After those whose numbers were there before it.
    Published(Box<ForMembers>),
    /// The site wants nothing more of the receiver, to whom it spoke without a link.
    HungUp,
}

/// A signal whose blob is sealed again, for those alone who are in one of a few topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForMembers {
    signal: Signal,
    /// The blob's key, sealed under the match key of each topic. As many as there may be: what stands for no topic is random.
    shown: [Shown; MAX_SHOWN],
}

/// A key of 16 bytes, sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shown(#[serde(with = "serde_bytes")] [u8; 32]);

/// Topics whose members one signal is for.
pub const MAX_SHOWN: usize = 8;

impl ForMembers {
    /// Seals a signal from the first of the ends to the second for members of topics that have these match keys, of which the first
    /// [`MAX_SHOWN`] count. The name is the sealed signal's own; `random` gives fresh bytes.
    #[must_use]
    pub fn seal(
        signal: &Signal,
        keys: &[MatchKey],
        ends: [PersonaId; 2],
        name: &[u8; 16],
        mut random: impl FnMut() -> [u8; 32],
    ) -> Self {
        let key = *random().first_chunk::<16>().expect("it is shorter");
        let shown = std::array::from_fn(|at| {
            let sealed = keys.get(at).map(|of_topic| of_topic.seal(ends, name, &key));
            Shown(sealed.and_then(|sealed| sealed.try_into().ok()).unwrap_or_else(&mut random))
        });
        let blob = MatchKey::of_blob(key).seal(ends, name, &signal.blob);
        Self { signal: Signal { blob, ..*signal }, shown }
    }

    /// Opens what was sealed between the same ends for members of the topic with this match key; nothing if it is none of theirs.
    #[must_use]
    pub fn open(&self, of_topic: &MatchKey, ends: [PersonaId; 2], name: &[u8; 16]) -> Option<Signal> {
        let key = of_topic.open_any(ends, name, self.shown.iter().map(|shown| shown.0.as_slice()))?;
        let blob = MatchKey::of_blob(key.try_into().ok()?).open(ends, name, &self.signal.blob)?;
        Some(Signal { blob, ..self.signal })
    }

    /// Whether it answers one of the receiver's.
    #[must_use]
    pub const fn answers(&self) -> Option<u32> {
        self.signal.answers
    }
}

impl Said {
    /// What is there for everybody to see of one of the two messages.
    fn signal(&self) -> Option<&Signal> {
        match self {
            Self::Signal(signal) => Some(signal),
            Self::Topics(sealed) => Some(&sealed.signal),
            Self::Door(_) | Self::HungUp | Self::Knock | Self::Members(_) | Self::Packets(_) | Self::Published(_) => {
                None
            }
        }
    }

    fn answers(&self) -> bool {
        matches!(self, Self::Door(_)) || self.signal().is_some_and(|signal| signal.answers.is_some())
    }
}

/// Bytes of a blob that is sealed again: the cipher's tag more.
const MAX_TOPIC_BLOB: usize = MAX_SIGNAL + 16;

/// A signal that was opened: who sent it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// From whom.
    pub from: PersonaId,
    /// What it says.
    pub said: Said,
    /// Minutes since 1970, by the sender's clock.
    pub minute: u32,
    /// Its name.
    pub nonce: [u8; 16],
}

/// Why a signal was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignal {
    /// Not sealed to this persona, or not a signal.
    #[error("not a signal to this persona")]
    NotForUs,
    /// The persona that it names didn't sign it.
    #[error("the signal's signature does not verify")]
    BadSignature,
}

#[derive(Serialize, Deserialize)]
struct Inner {
    from: PersonaId,
    minute: u32,
    nonce: [u8; 16],
    #[serde(with = "serde_bytes")]
    said: Vec<u8>,
    signature: Signature,
}

impl SealedSignal {
    /// Signs and seals a signal in this minute since 1970.
    ///
    /// # Errors
    /// [`BadSignature`] if the receiver's id is no key.
    pub fn seal(
        said: &Said,
        from: &PersonaSecret,
        to: PersonaId,
        minute: u32,
        fresh: &Fresh,
    ) -> Result<Self, BadSignature> {
        let (receiver, answers) = (to.noise_key()?, said.answers());
        let said = codec::encode(said);
        let mut inner = Inner { from: from.id(), minute, nonce: fresh.nonce, said, signature: Signature([0; 64]) };
        inner.signature = from.sign(&inner.text(to));
        let public = MontgomeryPoint::mul_base_clamped(*fresh.ephemeral).to_bytes();
        let shared = Zeroizing::new(MontgomeryPoint(receiver).mul_clamped(*fresh.ephemeral).to_bytes());
        let payload = Payload { msg: &codec::encode(&inner), aad: &[u8::from(answers)] };
        let sealed = cipher(&shared, &public, &receiver).encrypt(&[0; 12].into(), payload);
        let sealed = sealed.expect("a signal is far below the cipher's bound");
        Ok(Self { answers, sealed: [public.as_slice(), &sealed].concat() })
    }

    /// Opens what [`seal`](Self::seal) made, and proves who said it. Whether it is fresh and new is for the caller to say.
    ///
    /// # Errors
    /// See [`BadSignal`].
    pub fn open(&self, to: &PersonaSecret) -> Result<Opened, BadSignal> {
        let (public, sealed) = self.sealed.split_first_chunk::<32>().ok_or(BadSignal::NotForUs)?;
        let id = to.id();
        let receiver = id.noise_key().map_err(|_| BadSignal::NotForUs)?;
        let secret = Zeroizing::new(to.noise_secret());
        let shared = Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*secret).to_bytes());
        let payload = Payload { msg: sealed, aad: &[u8::from(self.answers)] };
        let plain = cipher(&shared, public, &receiver).decrypt(&[0; 12].into(), payload);
        let plain = plain.map_err(|_| BadSignal::NotForUs)?;
        let inner: Inner = codec::decode(&plain, MAX_SEALED_SIGNAL).map_err(|_| BadSignal::NotForUs)?;
        let said: Said = codec::decode(&inner.said, MAX_SEALED_SIGNAL).map_err(|_| BadSignal::NotForUs)?;
        let is_too_long = said.signal().is_some_and(|signal| signal.blob.len() > MAX_TOPIC_BLOB);
        if is_too_long || said.answers() != self.answers {
            return Err(BadSignal::NotForUs);
        }
        inner.from.verify(&inner.text(id), &inner.signature).map_err(|_| BadSignal::BadSignature)?;
        let Inner { from, minute, nonce, .. } = inner;
        Ok(Opened { from, said, minute, nonce })
    }

    /// Whether it is longer than any signal.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        self.sealed.len() > MAX_SEALED_SIGNAL
    }
}

impl Inner {
    /// What is signed.
    fn text(&self, to: PersonaId) -> Vec<u8> {
        [DOMAIN, &self.from.0, &to.0, &self.minute.to_be_bytes(), &self.nonce, &self.said].concat()
    }
}

fn cipher(shared: &[u8; 32], ephemeral: &[u8; 32], receiver: &[u8; 32]) -> ChaCha20Poly1305 {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(DOMAIN), shared)
        .expand_multi_info(&[ephemeral, receiver], &mut *key)
        .expect("32 bytes are within HKDF's bound");
    ChaCha20Poly1305::new((&*key).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::{MAX_PROXIES, Owner},
        limits::MAX_EARLY,
    };

    #[test]
    fn what_was_sealed_is_opened_by_its_receiver_alone() {
        let longest = Signal { attempt: u32::MAX, answers: Some(u32::MAX), blob: vec![9; MAX_SIGNAL] };
        let ends = [alice().id(), bob().id()];
        let longest = ForMembers::seal(&longest, &[MatchKey::new([1; 32])], ends, &[4; 16], || [7; 32]);
        let packets = Signal { blob: vec![9; MAX_EARLY], ..dial() };
        let packets = ForMembers::seal(&packets, &[MatchKey::new([1; 32])], ends, &[4; 16], || [7; 32]);
        let longest = [
            Said::Topics(Box::new(longest)),
            Said::Members(Box::new(packets.clone())),
            Said::Published(Box::new(packets)),
        ];
        for said in [Said::Signal(dial()), Said::Knock, Said::HungUp, door()].into_iter().chain(longest) {
            let to_bob = sealed(&alice(), &said);
            let opened = Opened { from: alice().id(), said, minute: 77, nonce: [4; 16] };
            assert_eq!(to_bob.open(&bob()), Ok(opened));
            assert_eq!(to_bob.open(&alice()), Err(BadSignal::NotForUs));
            assert!(!to_bob.is_too_long());
        }
    }

    #[test]
    fn members_of_any_of_the_topics_read_it_and_how_many_there_are_is_not_told() {
        let (ends, keys) = ([alice().id(), bob().id()], [1, 2, 3].map(|n| MatchKey::new([n; 32])));
        let mut number = 0;
        let mut seal = |keys: &[MatchKey]| {
            ForMembers::seal(&dial(), keys, ends, &[4; 16], || {
                number += 1;
                [number; 32]
            })
        };
        let (of_two, of_none) = (seal(&keys[..2]), seal(&[]));
        let opened = keys.map(|key| of_two.open(&key, ends, &[4; 16]));
        assert_eq!(opened, [Some(dial()), Some(dial()), None]);
        assert_eq!(of_none.open(&keys[0], ends, &[4; 16]), None);
        assert_eq!(of_two.open(&keys[0], [ends[1], ends[0]], &[4; 16]), None, "carried to another link");
        assert_eq!(of_two.open(&keys[0], ends, &[5; 16]), None, "carried to another signal");
        assert_eq!(codec::encode(&of_two).len(), codec::encode(&of_none).len());
    }

    #[test]
    fn nobody_on_the_way_reads_or_changes_it() {
        let sealed = sealed(&alice(), &Said::Signal(Signal { blob: b"192.0.2.1".to_vec(), ..dial() }));
        assert!(!sealed.sealed.windows(9).any(|part| part == b"192.0.2.1"));
        assert!(!sealed.sealed.windows(32).any(|part| part == alice().id().0));
        for at in 0..sealed.sealed.len() {
            let mut changed = sealed.clone();
            changed.sealed[at] ^= 1;
            assert!(changed.open(&bob()).is_err(), "at {at}");
        }
        let answers = SealedSignal { answers: true, ..sealed };
        assert_eq!(answers.open(&bob()), Err(BadSignal::NotForUs));
    }

    /// Mallory seals what Alice didn't say, or said to somebody else.
    #[test]
    fn nobody_seals_in_anothers_name() {
        let (mallory, bob) = (PersonaSecret::new([3; 32]), bob());
        let mut inner = Inner {
            from: alice().id(),
            minute: 77,
            nonce: [4; 16],
            said: codec::encode(&Said::Knock),
            signature: Signature([0; 64]),
        };
        for signature in [mallory.sign(&inner.text(bob.id())), alice().sign(&inner.text(mallory.id()))] {
            inner.signature = signature;
            let receiver = bob.id().noise_key().unwrap();
            let public = MontgomeryPoint::mul_base_clamped([5; 32]).to_bytes();
            let shared = MontgomeryPoint(receiver).mul_clamped([5; 32]).to_bytes();
            let payload = Payload { msg: &codec::encode(&inner), aad: &[0] };
            let sealed = cipher(&shared, &public, &receiver).encrypt(&[0; 12].into(), payload).unwrap();
            let forged = SealedSignal { answers: false, sealed: [public.as_slice(), &sealed].concat() };
            assert_eq!(forged.open(&bob), Err(BadSignal::BadSignature));
        }
    }

    #[test]
    fn no_key_is_no_receiver() {
        let fresh = Fresh { ephemeral: Zeroizing::new([5; 32]), nonce: [4; 16] };
        assert_eq!(SealedSignal::seal(&Said::Knock, &alice(), PersonaId([0; 32]), 77, &fresh), Err(BadSignature));
    }

    #[test]
    fn short_bytes_are_refused() {
        for len in 0..60 {
            let sealed = SealedSignal { answers: false, sealed: vec![1; len] };
            assert_eq!(sealed.open(&bob()), Err(BadSignal::NotForUs));
        }
    }

    fn sealed(from: &PersonaSecret, said: &Said) -> SealedSignal {
        let fresh = Fresh { ephemeral: Zeroizing::new([5; 32]), nonce: [4; 16] };
        SealedSignal::seal(said, from, bob().id(), 77, &fresh).unwrap()
    }

    /// With as many proxies as there may be.
    fn door() -> Said {
        let (alice, proxies) = (alice(), ["[2001:db8::1]:3478".parse().unwrap(); MAX_PROXIES]);
        let owner = Owner::Persona(alice.id());
        Said::Door(Box::new(Address::sign(owner, [7; 32], &proxies, u64::MAX, None, |text| alice.sign(text))))
    }

    fn dial() -> Signal {
        Signal { attempt: 7, answers: None, blob: vec![9] }
    }

    fn alice() -> PersonaSecret {
        PersonaSecret::new([1; 32])
    }

    fn bob() -> PersonaSecret {
        PersonaSecret::new([2; 32])
    }
}
