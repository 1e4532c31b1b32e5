//! What a dialler tells a listener that it has no other way to: in the username fragment that it invents for the listener.
//!
//! `b | token 8 | certificate fingerprint 43 | password`, in characters that ICE allows (base64 without padding): 76 characters
//! for Chromium, 84 for Firefox; both deliver up to 255. The dialler's browser sends it with each connectivity check, in
//! `USERNAME`, before its own username fragment (RFC 8445, section 7.2.2). The password that goes with it is [`PASSWORD`]: a check
//! proves that it arrived whole, and nothing about its sender.

use base64ct::{Base64Unpadded, Encoding};
use bitters_wire::address::{Fingerprint, Token};

use crate::{Credentials, credentials::BadCredentials};

/// The password of every listener as a dialler invents it: public.
pub const PASSWORD: &str = "bitters/unsignalled/1/public";

/// Characters of a username fragment (RFC 8839, section 5.4).
const MAX_PACKED: usize = 255;

/// The kind of packing. Others are for later versions.
const KIND: u8 = b'b';

/// Characters of a token and a fingerprint.
const TOKEN: usize = 8;
const FINGERPRINT: usize = 43;

/// What the fragment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Whom the proxy is to introduce.
    pub token: Token,
    /// Of the dialler's certificate.
    pub fingerprint: Fingerprint,
    /// The dialler's ICE password.
    pub password: String,
}

/// A username fragment that is not packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a dialler's username fragment")]
pub struct NotPacked;

impl Packed {
    /// The username fragment.
    #[must_use]
    pub fn to_ufrag(&self) -> String {
        let mut text = String::with_capacity(1 + TOKEN + FINGERPRINT + self.password.len());
        text.push(char::from(KIND));
        text.push_str(&Base64Unpadded::encode_string(&self.token.0));
        text.push_str(&Base64Unpadded::encode_string(&self.fingerprint));
        text.push_str(&self.password);
        text
    }

    /// Reads a username fragment.
    ///
    /// # Errors
    /// [`NotPacked`] for anything else.
    pub fn from_ufrag(text: &str) -> Result<Self, NotPacked> {
        let bytes = text.as_bytes();
        let (&kind, rest) = bytes.split_first().ok_or(NotPacked)?;
        if kind != KIND || bytes.len() > MAX_PACKED {
            return Err(NotPacked);
        }
        let (token, rest) = part::<6>(rest, TOKEN)?;
        let (fingerprint, rest) = part::<32>(rest, FINGERPRINT)?;
        let password = std::str::from_utf8(rest).map_err(|_| NotPacked)?;
        if !Credentials::is_password(password) {
            return Err(NotPacked);
        }
        Ok(Self { token: Token(token), fingerprint, password: password.to_owned() })
    }

    /// What the dialler's browser is to believe of the listener.
    ///
    /// # Errors
    /// [`BadCredentials`] if the password is too long to be packed.
    pub fn credentials(&self) -> Result<Credentials, BadCredentials> {
        Credentials::new(&self.to_ufrag(), PASSWORD)
    }
}

fn part<const N: usize>(bytes: &[u8], len: usize) -> Result<([u8; N], &[u8]), NotPacked> {
    let (text, rest) = bytes.split_at_checked(len).ok_or(NotPacked)?;
    let mut part = [0; N];
    let decoded = Base64Unpadded::decode(text, &mut part).map_err(|_| NotPacked)?;
    if decoded.len() != N {
        return Err(NotPacked);
    }
    Ok((part, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_browsers_credentials_fit() {
        let ufrag = packed("9D6dHIIUkqbay+yDVZGxRxWt").to_ufrag();
        assert_eq!((ufrag.len(), packed("7a91c0de5b3f44e28d16a0b7c9e2f513").to_ufrag().len()), (76, 84));
        assert_eq!(packed("9D6dHIIUkqbay+yDVZGxRxWt").credentials().unwrap().ufrag(), ufrag);
    }

    #[test]
    fn what_is_not_packed_is_refused() {
        let good = packed("9D6dHIIUkqbay+yDVZGxRxWt").to_ufrag();
        let long = packed(&"a".repeat(204)).to_ufrag();
        let bad = ["", "b", &good[..73], &format!("c{}", &good[1..]), &format!("{good}\n"), &format!("{good}ä"), &long];
        for bad in bad {
            assert_eq!(Packed::from_ufrag(bad), Err(NotPacked), "{bad}");
        }
        // The last character of a fingerprint has two bits of nothing.
        let at = TOKEN + FINGERPRINT;
        assert_eq!(Packed::from_ufrag(&format!("{}B{}", &good[..at], &good[at + 1..])), Err(NotPacked));
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read(token: [u8; 6], fingerprint: [u8; 32], password in "[A-Za-z0-9+/]{22,203}") {
            let packed = Packed { token: Token(token), fingerprint, password };
            prop_assert_eq!(Packed::from_ufrag(&packed.to_ufrag()), Ok(packed));
        }

        #[test]
        fn nothing_is_too_strange(text in "b?[A-Za-z0-9+/äß ]{0,260}") {
            if let Ok(packed) = Packed::from_ufrag(&text) {
                prop_assert_eq!(packed.to_ufrag(), text);
            }
        }
    }

    fn packed(password: &str) -> Packed {
        Packed { token: Token([7; 6]), fingerprint: [0x5a; 32], password: password.to_owned() }
    }
}
