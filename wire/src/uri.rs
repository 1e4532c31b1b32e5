//! Links to what is on the network: `web+overlay:`, which a browser hands to the page that its person registered for the scheme (HTML,
//! section 8.7.1.3, custom scheme handlers).
//!
//! | URI | leads to |
//! | --- | --- |
//! | `web+overlay:connect` | the node itself: sites embed it by that |
//! | `web+overlay:topic/NAME` | a topic; the name is UTF-8, percent-encoded where it must be (RFC 3986, section 2.1) |
//! | `web+overlay:PERSONA` | a persona, by its id |
//! | `web+overlay:ADDRESS` | whoever answers at an address |
//!
//! Anybody can write one, so all of it is hostile. What follows the scheme has no authority (`//`), no query and no fragment: they are
//! no URI of ours, rather than a part that is left out, so that what is opened is what was read. Only the scheme's case is of no
//! concern (RFC 3986, section 3.1).

use std::{fmt, str::FromStr};

use crate::{
    address::{Address, BadAddress},
    id::PersonaId,
    name::{BadName, Name},
};

/// The scheme, as browsers write it.
pub const SCHEME: &str = "web+overlay";

/// Bytes of a URI: a name of 128 characters of four bytes, each percent-encoded, and the rest.
pub const MAX_URI: usize = 2048;

/// Shorter text is no address, whatever else it may be: an id has as many characters.
const MIN_ADDRESS: usize = 53;

/// What a URI leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayUri {
    /// Whoever answers there; its signature was verified.
    Address(Address),
    /// The node itself.
    Connect,
    /// A persona.
    Persona(PersonaId),
    /// A topic.
    Topic(Name),
}

/// Why text is no URI that this node understands. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    /// An address that isn't one.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// A `%` that two hexadecimal digits don't follow, or bytes that are no UTF-8.
    #[error("it is not percent-encoded UTF-8")]
    Encoding,
    /// A topic's name that isn't one.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Another scheme, or none.
    #[error("its scheme is not {SCHEME}")]
    Scheme,
    /// More than [`MAX_URI`] bytes.
    #[error("it is longer than {MAX_URI} bytes")]
    TooLong,
    /// Nothing that leads anywhere.
    #[error("it leads nowhere that this node knows")]
    Unknown,
}

impl OverlayUri {
    /// What the page was opened for that a browser hands URIs to as `/?uri=%s`; `search` is its URL's query, with its `?`. `None` if there
    /// is no such parameter. A `+` stands for itself, as browsers encode the URI for this; so links that people write work, too.
    ///
    /// # Errors
    /// As for a URI itself.
    #[must_use]
    pub fn in_query(search: &str) -> Option<Result<Self, BadUri>> {
        let parameters = search.strip_prefix('?').unwrap_or(search).split('&');
        let uri = parameters.filter_map(|parameter| parameter.strip_prefix("uri=")).next()?;
        // Each byte of a URI takes three at most.
        let uri = if uri.len() > 3 * MAX_URI { Err(BadUri::TooLong) } else { decoded(uri) };
        Some(uri.and_then(|uri| uri.parse()))
    }
}

impl FromStr for OverlayUri {
    type Err = BadUri;

    fn from_str(text: &str) -> Result<Self, BadUri> {
        if text.len() > MAX_URI {
            return Err(BadUri::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(BadUri::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(BadUri::Scheme);
        }
        if rest.starts_with("//") || rest.contains(['?', '#']) {
            return Err(BadUri::Unknown);
        }
        if rest == "connect" {
            return Ok(Self::Connect);
        }
        if let Some(name) = rest.strip_prefix("topic/") {
            return Ok(Self::Topic(decoded(name)?.try_into()?));
        }
        if let Ok(persona) = rest.parse() {
            return Ok(Self::Persona(persona));
        }
        let may_be_address = rest.len() >= MIN_ADDRESS && rest.bytes().all(is_unreserved);
        if may_be_address { Ok(Self::Address(rest.parse()?)) } else { Err(BadUri::Unknown) }
    }
}

impl fmt::Display for OverlayUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:")?;
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Connect => f.write_str("connect"),
            Self::Persona(persona) => persona.fmt(f),
            Self::Topic(name) => {
                f.write_str("topic/")?;
                name.as_str().bytes().try_for_each(|byte| match byte {
                    byte if is_unreserved(byte) => write!(f, "{}", char::from(byte)),
                    byte => write!(f, "%{byte:02X}"),
                })
            }
        }
    }
}

/// What needs no encoding, as far as we use it: the characters of ids and addresses, and a few that names often have.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

/// Decodes once; bytes that aren't encoded stand for themselves.
fn decoded(text: &str) -> Result<String, BadUri> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { digit(rest.next())? << 4 | digit(rest.next())? } else { byte });
    }
    String::from_utf8(bytes).map_err(|_| BadUri::Encoding)
}

/// A hexadecimal digit's value, 0 to 15.
fn digit(byte: Option<u8>) -> Result<u8, BadUri> {
    let value = byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(BadUri::Encoding)?;
    u8::try_from(value).map_err(|_| BadUri::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{address::Owner, keys::PersonaSecret};

    #[test]
    fn each_kind_is_read() {
        let persona = secret().id();
        assert_eq!(read("web+overlay:connect"), Ok(OverlayUri::Connect));
        assert_eq!(read("web+overlay:topic/lobby"), Ok(topic("lobby")));
        assert_eq!(read(&format!("web+overlay:{persona}")), Ok(OverlayUri::Persona(persona)));
        assert_eq!(read(&format!("web+overlay:{}", address())), Ok(OverlayUri::Address(address())));
    }

    #[test]
    fn only_the_schemes_case_is_of_no_concern() {
        assert_eq!(read("WEB+Overlay:connect"), Ok(OverlayUri::Connect));
        assert_eq!(read("web+overlay:Connect"), Err(BadUri::Unknown));
        assert_eq!(read("web+overlay:Topic/lobby"), Err(BadUri::Unknown));
    }

    #[test]
    fn names_are_decoded_once() {
        assert_eq!(read("web+overlay:topic/caf%C3%A9%20%e2%98%95"), Ok(topic("café ☕")));
        assert_eq!(read("web+overlay:topic/a%252Fb"), Ok(topic("a%2Fb")));
        assert_eq!(read("web+overlay:topic/a/b%3F%23"), Ok(topic("a/b?#")));
        assert_eq!(read("web+overlay:topic/%3Cscript%3E"), Ok(topic("<script>")));
        assert_eq!(read("web+overlay:topic/+"), Ok(topic("+")));
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for encoded in ["%", "%4", "%zz", "%+1", "%C3", "%C3%28", "%ED%A0%80", "%F5%80%80%80"] {
            assert_eq!(read(&format!("web+overlay:topic/{encoded}")), Err(BadUri::Encoding), "{encoded}");
        }
        for name in ["", "%00", "a%0Ab", "%C2%85", &"x".repeat(129)] {
            assert_eq!(read(&format!("web+overlay:topic/{name}")), Err(BadUri::Name(BadName)), "{name}");
        }
        assert_eq!(read(&format!("web+overlay:topic/{}", "%F0%9F%8D%8B".repeat(128))), Ok(topic(&"🍋".repeat(128))));
    }

    #[test]
    fn what_else_a_url_may_have_is_refused() {
        for rest in [
            "",
            "//connect",
            "//evil.example/topic/lobby",
            "connect?x",
            "connect#x",
            "connect/",
            " connect",
            "connect ",
            "topic",
            "topic?lobby",
            "topic/lobby?x=1",
            "topic/lobby#x",
            "javascript:alert(1)",
            "<img src=x onerror=alert(1)>",
        ] {
            assert_eq!(read(&format!("web+overlay:{rest}")), Err(BadUri::Unknown), "{rest}");
        }
        for text in
            ["", "connect", "web+overlay", " web+overlay:connect", "javascript:alert(1)", "https://web+overlay:connect"]
        {
            assert_eq!(read(text), Err(BadUri::Scheme), "{text}");
        }
    }

    #[test]
    fn ids_and_addresses_have_one_spelling() {
        let persona = secret().id().to_string();
        assert_eq!(read(&format!("web+overlay:{}", persona.to_uppercase())), Err(BadUri::Unknown));
        assert_eq!(read(&format!("web+overlay:{}", &persona[1..])), Err(BadUri::Unknown));
        let address = address().to_string();
        assert_eq!(read(&format!("web+overlay:{}", &address[..100])), Err(BadAddress::Truncated.into()));
        let last = if address.ends_with('A') { 'E' } else { 'A' };
        let forged = format!("{}{last}{}", &address[..150], &address[151..]);
        assert_eq!(read(&format!("web+overlay:{forged}")), Err(BadAddress::Forged.into()));
    }

    #[test]
    fn length_is_looked_at_first() {
        let text = format!("web+overlay:topic/{}", "x".repeat(MAX_URI));
        assert_eq!(read(&text), Err(BadUri::TooLong));
        assert_eq!(read(&"%".repeat(1_000_000)), Err(BadUri::TooLong));
    }

    #[test]
    fn a_page_is_opened_for_the_uri_in_its_query() {
        let opened = |search: &str| OverlayUri::in_query(search);
        for search in ["", "?", "?x=web%2Boverlay%3Aconnect", "?uris=web%2Boverlay%3Aconnect"] {
            assert_eq!(opened(search), None, "{search}");
        }
        for search in [
            "?uri=web%2Boverlay%3Aconnect",
            "?uri=web+overlay:connect",
            "uri=web+overlay:connect",
            "?a=b&uri=web+overlay:connect&uri=x",
        ] {
            assert_eq!(opened(search), Some(Ok(OverlayUri::Connect)), "{search}");
        }
        // The URI is encoded once by its writer and once by the browser.
        assert_eq!(opened("?uri=web%2Boverlay%3Atopic%2Fa%2520%2525b"), Some(Ok(topic("a %b"))));
        assert_eq!(opened("?uri="), Some(Err(BadUri::Scheme)));
        assert_eq!(opened("?uri=%"), Some(Err(BadUri::Encoding)));
        assert_eq!(opened("?uri=%00"), Some(Err(BadUri::Scheme)));
        assert_eq!(opened("?uri=javascript:alert(1)"), Some(Err(BadUri::Scheme)));
        assert_eq!(opened("?uri=web+overlay:connect%23x"), Some(Err(BadUri::Unknown)));
        assert_eq!(opened(&format!("?uri={}", "A".repeat(1_000_000))), Some(Err(BadUri::TooLong)));
        assert_eq!(opened(&format!("?uri={}", "A".repeat(MAX_URI + 1))), Some(Err(BadUri::TooLong)));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in ".{0,300}", rest in "(topic/)?.{0,200}") {
            drop(read(&text));
            drop(read(&format!("web+overlay:{rest}")));
            drop(OverlayUri::in_query(&format!("?uri={text}")));
        }

        #[test]
        fn what_was_written_is_read(name in "\\PC{1,128}") {
            let uri = topic(&name);
            prop_assert_eq!(read(&uri.to_string()), Ok(uri));
        }
    }

    fn read(text: &str) -> Result<OverlayUri, BadUri> {
        text.parse()
    }

    fn topic(name: &str) -> OverlayUri {
        OverlayUri::Topic(name.try_into().expect("a name"))
    }

    fn secret() -> PersonaSecret {
        PersonaSecret::new([7; 32])
    }

    fn address() -> Address {
        let secret = secret();
        let proxies = ["192.0.2.1:443".parse().expect("a proxy")];
        Address::sign(Owner::Persona(secret.id()), [9; 32], &proxies, 1_800_000_000_000, None, |message| {
            secret.sign(message)
        })
    }
}
