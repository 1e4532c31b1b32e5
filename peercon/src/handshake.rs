//! Who is it: both ends sign both identities, bound to the certificates of this connection and to two fresh nonces.

use bitters_wire::{
    VersionRange, WIRE,
    id::PersonaId,
    keys::Signature,
    local::{DownReason, IdentityEnd, IdentityText},
};

use crate::remote::Role;

/// How far the two ends have proven themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The peer has not said hello.
    Waiting,
    /// Each end signs what both know.
    Proving {
        /// What we sign.
        text: IdentityText,
        /// Our signature was sent.
        proven: bool,
        /// The peer's signature was verified.
        verified: bool,
    },
}

/// The peer's first message.
pub(crate) struct Hello {
    pub(crate) key: PersonaId,
    pub(crate) nonce: [u8; 16],
    pub(crate) wire: VersionRange,
}

impl Handshake {
    /// Returns what is to be signed.
    pub(crate) fn on_hello(
        &mut self,
        hello: &Hello,
        peer: Option<PersonaId>,
        ours: IdentityEnd,
        theirs: [u8; 32],
        role: Role,
    ) -> Result<IdentityText, DownReason> {
        if *self != Self::Waiting {
            return Err(DownReason::Protocol);
        }
        if hello.wire.common(WIRE).is_none() {
            return Err(DownReason::VersionMismatch);
        }
        let own_echo = hello.key == ours.id || hello.nonce == ours.nonce;
        if own_echo || peer.is_some_and(|peer| hello.key != peer) {
            return Err(DownReason::Identity);
        }
        let theirs = IdentityEnd { id: hello.key, fingerprint: theirs, nonce: hello.nonce };
        let text = match role {
            Role::A => IdentityText { signer_is_a: true, a: ours, b: theirs },
            Role::B => IdentityText { signer_is_a: false, a: theirs, b: ours },
        };
        *self = Self::Proving { text, proven: false, verified: false };
        Ok(text)
    }

    /// Whether the signature is to be sent: one that nobody waits for is not.
    pub(crate) const fn on_signed(&mut self) -> bool {
        match self {
            Self::Proving { proven: proven @ false, .. } => {
                *proven = true;
                true
            }
            Self::Proving { .. } | Self::Waiting => false,
        }
    }

    /// The peer's proof.
    pub(crate) fn on_identity(&mut self, signature: &Signature) -> Result<(), DownReason> {
        let Self::Proving { text, verified: verified @ false, .. } = self else {
            return Err(DownReason::Protocol);
        };
        let signed_by_peer = IdentityText { signer_is_a: !text.signer_is_a, ..*text };
        signed_by_peer.signer().verify(&signed_by_peer.to_bytes(), signature).map_err(|_| DownReason::Identity)?;
        *verified = true;
        Ok(())
    }

    /// The peer has proven itself.
    pub(crate) const fn is_verified(&self) -> bool {
        matches!(self, Self::Proving { verified: true, .. })
    }

    /// Who the peer says it is.
    pub(crate) const fn peer(&self) -> Option<PersonaId> {
        match self {
            Self::Waiting => None,
            Self::Proving { text, .. } => Some(text.other()),
        }
    }

    /// Both have.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Proving { proven: true, verified: true, .. })
    }
}
