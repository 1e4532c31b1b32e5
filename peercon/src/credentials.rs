//! A username fragment and a password (RFC 8839, section 5.4), in as few bytes as their browser allows.

use bitters_wire::rendezvous::IceCredentials;

use crate::signal::{SignalError, take, take_array, take_byte};

/// Characters of a username fragment (RFC 8839, section 5.4, allows 256); browsers use 4 or 8, a dialler's has 76 or 84 (`packed`).
const MAX_UFRAG: usize = 255;

/// Characters of a password (RFC 8839, section 5.4).
const MAX_PASSWORD: usize = 256;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Text that is not a pair of ICE credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not ICE credentials")]
pub struct BadCredentials;

/// ICE credentials: 4 to 255 and 22 to 256 characters of `[A-Za-z0-9+/]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    ufrag: String,
    password: String,
}

impl From<Credentials> for IceCredentials {
    fn from(Credentials { ufrag, password }: Credentials) -> Self {
        Self { ufrag, password }
    }
}

impl TryFrom<IceCredentials> for Credentials {
    type Error = BadCredentials;

    fn try_from(IceCredentials { ufrag, password }: IceCredentials) -> Result<Self, BadCredentials> {
        Self::new(&ufrag, &password)
    }
}

/// How credentials are written; the low two bits of a signal's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Chromium: 4 and 24 characters, each worth six bits, in 21 bytes.
    Base64 = 0,
    /// Firefox: 8 and 32 lower-case hexadecimal digits, in 20 bytes.
    Hex = 1,
    /// Any other: each with its length before it.
    Long = 2,
}

impl Credentials {
    /// Checks lengths and characters.
    ///
    /// # Errors
    /// [`BadCredentials`] if one of them is not as RFC 8839 and our bounds want it.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, BadCredentials> {
        if !Self::is_ufrag(ufrag) || !Self::is_password(password) {
            return Err(BadCredentials);
        }
        Ok(Self { ufrag: ufrag.to_owned(), password: password.to_owned() })
    }

    /// Whether this may be a username fragment.
    #[must_use]
    pub fn is_ufrag(text: &str) -> bool {
        (4..=MAX_UFRAG).contains(&text.len()) && is_ice(text)
    }

    /// Whether this may be a password.
    #[must_use]
    pub fn is_password(text: &str) -> bool {
        (22..=MAX_PASSWORD).contains(&text.len()) && is_ice(text)
    }

    /// The username fragment.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The shortest form that can say these.
    pub(crate) fn form(&self) -> Form {
        let hex = |text: &str| text.bytes().all(|byte| HEX.contains(&byte));
        match (self.ufrag.len(), self.password.len()) {
            (4, 24) => Form::Base64,
            (8, 32) if hex(&self.ufrag) && hex(&self.password) => Form::Hex,
            _ => Form::Long,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let digits = self.ufrag.bytes().chain(self.password.bytes());
        match self.form() {
            Form::Base64 => pack::<6>(digits, BASE64, out),
            Form::Hex => pack::<4>(digits, HEX, out),
            Form::Long => {
                // A password has at least 22 characters, so that 256 fits a byte.
                out.push(u8::try_from(self.ufrag.len()).expect("bounded by MAX_UFRAG"));
                out.extend_from_slice(self.ufrag.as_bytes());
                out.push(u8::try_from(self.password.len() - 1).expect("bounded by MAX_PASSWORD"));
                out.extend_from_slice(self.password.as_bytes());
            }
        }
    }

    /// Reads them from the start of `bytes`. Credentials have one spelling: the long form is for those that need it.
    pub(crate) fn read(form: Form, bytes: &mut &[u8]) -> Result<Self, SignalError> {
        let credentials = match form {
            Form::Base64 => split(&unpack::<6>(&take_array::<21>(bytes)?, BASE64), 4),
            Form::Hex => split(&unpack::<4>(&take_array::<20>(bytes)?, HEX), 8),
            Form::Long => {
                let len = usize::from(take_byte(bytes)?);
                let ufrag = take(bytes, len)?;
                let len = usize::from(take_byte(bytes)?) + 1;
                let password = take(bytes, len)?;
                text(ufrag, password)
            }
        };
        credentials.ok().filter(|credentials| credentials.form() == form).ok_or(SignalError::Credentials)
    }
}

fn is_ice(text: &str) -> bool {
    text.bytes().all(|byte| BASE64.contains(&byte))
}

fn split(both: &[u8], at: usize) -> Result<Credentials, BadCredentials> {
    let (ufrag, password) = both.split_at(at);
    text(ufrag, password)
}

fn text(ufrag: &[u8], password: &[u8]) -> Result<Credentials, BadCredentials> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| BadCredentials);
    Credentials::new(text(ufrag)?, text(password)?)
}

/// Digits of `BITS` bits to bytes, most significant first. Their number fills whole bytes.
fn pack<const BITS: u32>(digits: impl Iterator<Item = u8>, alphabet: &[u8], out: &mut Vec<u8>) {
    let (mut buffer, mut filled) = (0_u32, 0);
    for digit in digits {
        let value = alphabet.iter().position(|&letter| letter == digit).expect("checked by new and form");
        buffer = buffer << BITS | u32::try_from(value).expect("an alphabet is short");
        filled += BITS;
        if filled >= 8 {
            filled -= 8;
            out.push((buffer >> filled).to_le_bytes()[0]);
        }
    }
}

fn unpack<const BITS: u32>(bytes: &[u8], alphabet: &[u8]) -> Vec<u8> {
    let mut digits = Vec::with_capacity(bytes.len() * 2);
    let (mut buffer, mut filled) = (0_u32, 0);
    for &byte in bytes {
        buffer = buffer << 8 | u32::from(byte);
        filled += 8;
        while filled >= BITS {
            filled -= BITS;
            digits.push(alphabet[(buffer >> filled) as usize & (alphabet.len() - 1)]);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_browser_has_its_form() {
        assert_eq!(written("1gTT", "N6WOK8l/xhXmKbJ7712zNdfe"), (Form::Base64, 21));
        assert_eq!(written("8f3e9a01", "0123456789abcdef0123456789abcdef"), (Form::Hex, 20));
        assert_eq!(written("8F3e9a01", "0123456789abcdef0123456789abcdef"), (Form::Long, 42));
    }

    #[test]
    fn what_ice_forbids_is_refused() {
        let password = "N6WOK8l/xhXmKbJ7712zNdfe";
        for ufrag in ["", "abc", "ab\r\n", "ab-d", "äb1", &"a".repeat(256)] {
            assert_eq!(Credentials::new(ufrag, password), Err(BadCredentials), "{ufrag}");
        }
        for password in ["", "N6WOK8l/xhXmKbJ7712zN", &"a".repeat(257), "N6WOK8l/xhXmKbJ7712 Ndfe"] {
            assert_eq!(Credentials::new("1gTT", password), Err(BadCredentials), "{password}");
        }
    }

    #[test]
    fn the_long_form_does_not_say_what_a_short_one_can() {
        let mut bytes = vec![4];
        bytes.extend_from_slice(b"1gTT");
        bytes.push(23);
        bytes.extend_from_slice(b"N6WOK8l/xhXmKbJ7712zNdfe");

        assert_eq!(Credentials::read(Form::Long, &mut bytes.as_slice()), Err(SignalError::Credentials));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (ufrag, password) in prop_oneof![
                ("[A-Za-z0-9+/]{4}", "[A-Za-z0-9+/]{24}"),
                ("[0-9a-f]{8}", "[0-9a-f]{32}"),
                ("[A-Za-z0-9+/]{4,255}", "[A-Za-z0-9+/]{22,256}"),
            ],
        ) {
            let credentials = Credentials::new(&ufrag, &password).unwrap();
            let mut bytes = Vec::new();
            credentials.write(&mut bytes);
            let rest = &mut bytes.as_slice();
            prop_assert_eq!(Credentials::read(credentials.form(), rest), Ok(credentials));
            prop_assert_eq!(*rest, &[] as &[u8]);
        }
    }

    fn written(ufrag: &str, password: &str) -> (Form, usize) {
        let credentials = Credentials::new(ufrag, password).unwrap();
        let mut bytes = Vec::new();
        credentials.write(&mut bytes);
        (credentials.form(), bytes.len())
    }
}
