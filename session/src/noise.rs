//! The handshake and the cipher: `Noise_IK_25519_ChaChaPoly_SHA256` (the Noise Protocol Framework, revision 34, section 7.5).
//!
//! Static keys are the personas' Ed25519 keys as X25519. The opener knows the listener's; the listener learns the opener's
//! and holds it against the packet's sender. The prologue is
//! `"bitters/session/1" ‖ opener 32 ‖ its frame 16 ‖ listener 32 ‖ session 16 ‖ tag 8`, so a handshake is good for nothing else.
//! Transport messages carry their counter, which is the cipher's nonce (section 11.4): hops may lose or repeat packets.

use bitters_machine::random::Random;
use bitters_wire::id::{FrameId, PersonaId, SessionId, Tag};
use snow::{
    Builder, Error, HandshakeState, StatelessTransportState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::{CryptoResolver, DefaultResolver},
    types,
};

/// What a session is, for both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub opener: PersonaId,
    pub opener_frame: FrameId,
    pub listener: PersonaId,
    pub session: SessionId,
    pub tag: Tag,
}

/// The opener's side of a handshake under way.
pub struct Opener(Box<HandshakeState>);

/// The cipher of an open session.
pub struct Transport(Box<StatelessTransportState>);

/// The opener's side and its message.
pub fn open(secret: &[u8; 32], peer_key: &[u8; 32], binding: &Binding, seed: [u8; 32]) -> (Opener, Vec<u8>) {
    let prologue = binding.prologue();
    let mut state = builder(secret, &prologue, seed)
        .and_then(|builder| builder.remote_public_key(peer_key)?.build_initiator())
        .expect("an initiator of IK needs no more than both keys");
    let mut message = vec![0; OPEN_LEN];
    state.write_message(&[], &mut message).expect("the buffer has the message's length");
    (Opener(Box::new(state)), message)
}

/// The listener's cipher and message, or `None` if this isn't the handshake of the binding's opener, whose key is `opener_key`.
pub fn accept(
    secret: &[u8; 32],
    opener_key: &[u8; 32],
    binding: &Binding,
    handshake: &[u8],
    seed: [u8; 32],
) -> Option<(Transport, Vec<u8>)> {
    if handshake.len() != OPEN_LEN {
        return None;
    }
    let prologue = binding.prologue();
    let mut state = builder(secret, &prologue, seed).and_then(Builder::build_responder).ok()?;
    state.read_message(handshake, &mut [0; TAG_LEN]).ok()?;
    if state.get_remote_static()? != opener_key {
        return None;
    }
    let mut message = vec![0; ACCEPT_LEN];
    state.write_message(&[], &mut message).ok()?;
    let transport = state.into_stateless_transport_mode().ok()?;
    Some((Transport(Box::new(transport)), message))
}

impl Opener {
    /// The cipher, or the opener again if this isn't the listener's message: the true one may still come.
    pub fn finish(mut self, handshake: &[u8]) -> Result<Transport, Self> {
        if handshake.len() != ACCEPT_LEN || self.0.read_message(handshake, &mut [0; TAG_LEN]).is_err() {
            return Err(self);
        }
        let transport = self.0.into_stateless_transport_mode().expect("the second message of IK is its last");
        Ok(Transport(Box::new(transport)))
    }
}

impl Transport {
    /// Seals under a counter that this side has never used.
    pub fn seal(&self, counter: u64, plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plain.len() + TAG_LEN];
        self.0
            .write_message(counter, plain, &mut sealed)
            .expect("plaintexts are bounded far below Noise's 65535 bytes");
        sealed
    }

    /// What was sealed, or `None` if the peer didn't seal it under this counter.
    pub fn open(&self, counter: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut plain = vec![0; sealed.len().checked_sub(TAG_LEN)?];
        self.0.read_message(counter, sealed, &mut plain).ok()?;
        Some(plain)
    }
}

impl Binding {
    fn prologue(&self) -> Vec<u8> {
        let domain: &[u8] = b"bitters/session/1";
        let Self { opener, opener_frame, listener, session, tag } = self;
        [domain, &opener.0, opener_frame.0.as_bytes(), &listener.0, session.0.as_bytes(), &tag.0].concat()
    }
}

fn builder<'a>(secret: &'a [u8; 32], prologue: &'a [u8], seed: [u8; 32]) -> Result<Builder<'a>, Error> {
    let params = "Noise_IK_25519_ChaChaPoly_SHA256".parse()?;
    Builder::with_resolver(params, Box::new(Seeded(seed))).local_private_key(secret)?.prologue(prologue)
}

/// Snow's own primitives, with ephemeral keys drawn from a seed: a run can be repeated.
struct Seeded([u8; 32]);

impl CryptoResolver for Seeded {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Draws(Random::new(self.0))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

struct Draws(Random);

impl types::Random for Draws {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        for chunk in dest.chunks_mut(32) {
            chunk.copy_from_slice(&self.0.bytes::<32>()[..chunk.len()]);
        }
        Ok(())
    }
}

/// The cipher's authentication tag.
const TAG_LEN: usize = 16;

/// `e, es, s, ss`: an ephemeral key, a sealed static key, the tag of an empty payload.
const OPEN_LEN: usize = 32 + 48 + TAG_LEN;

/// `e, ee, se`: an ephemeral key, the tag of an empty payload.
const ACCEPT_LEN: usize = 32 + TAG_LEN;

#[cfg(test)]
mod tests {
    use bitters_wire::keys::PersonaSecret;

    use super::*;

    #[test]
    fn both_ends_have_the_same_keys() {
        let (opener, listener) = shake(&binding(), &binding(), b"").unwrap();

        assert_eq!(listener.open(0, &opener.seal(0, b"to")), Some(b"to".to_vec()));
        assert_eq!(opener.open(9, &listener.seal(9, b"fro")), Some(b"fro".to_vec()));
        assert_eq!(opener.open(8, &listener.seal(9, b"fro")), None);
        assert_eq!(opener.open(0, b"short"), None);
    }

    /// A change of any input to the handshake breaks what others have built.
    #[test]
    fn the_first_sealed_packet_is_golden() {
        let (opener, listener) = shake(&binding(), &binding(), b"").unwrap();

        assert_eq!(hex(&opener.seal(0, b"bitters")), "928626e38857d597d04681e552063db89a8c16f8f36a60");
        assert_eq!(hex(&listener.seal(1, b"bitters")), "dc6eba22bb612e8f332c7699d5dbeb6630f9c6659c892a");
    }

    #[test]
    fn a_handshake_is_good_for_one_binding() {
        let good = binding();
        for other in [
            Binding { opener: PersonaSecret::new([3; 32]).id(), ..good },
            Binding { opener_frame: FrameId::from_random([9; 16]), ..good },
            Binding { listener: PersonaSecret::new([3; 32]).id(), ..good },
            Binding { session: SessionId(FrameId::from_random([8; 16]).0), ..good },
            Binding { tag: Tag([1; 8]), ..good },
        ] {
            assert!(shake(&good, &other, b"").is_none(), "{other:?}");
        }
    }

    #[test]
    fn the_opener_is_who_the_packet_says() {
        let (mallory, listener) = (PersonaSecret::new([3; 32]), PersonaSecret::new([2; 32]));
        let alice = PersonaSecret::new([1; 32]).id().noise_key().unwrap();

        let key = listener.id().noise_key().unwrap();
        let (_, message) = open(&mallory.noise_secret(), &key, &binding(), [4; 32]);
        let accepted = accept(&listener.noise_secret(), &alice, &binding(), &message, [5; 32]);

        assert!(accepted.is_none());
    }

    #[test]
    fn a_forged_answer_does_not_spoil_the_handshake() {
        assert!(shake(&binding(), &binding(), &[7; ACCEPT_LEN]).is_some());
        assert!(shake(&binding(), &binding(), b"short").is_some());
    }

    fn shake(theirs: &Binding, ours: &Binding, forged: &[u8]) -> Option<(Transport, Transport)> {
        let (alice, bob) = (PersonaSecret::new([1; 32]), PersonaSecret::new([2; 32]));
        let (bob_key, alice_key) = (bob.id().noise_key().ok()?, alice.id().noise_key().ok()?);
        let (opener, first) = open(&alice.noise_secret(), &bob_key, theirs, [4; 32]);
        let (listener, second) = accept(&bob.noise_secret(), &alice_key, ours, &first, [5; 32])?;
        let opener = opener.finish(forged).err()?.finish(&second).ok()?;
        Some((opener, listener))
    }

    fn binding() -> Binding {
        Binding {
            opener: PersonaSecret::new([1; 32]).id(),
            opener_frame: FrameId::from_random([6; 16]),
            listener: PersonaSecret::new([2; 32]).id(),
            session: SessionId(FrameId::from_random([7; 16]).0),
            tag: Tag([0; 8]),
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
