//! Descriptions (RFC 8866, RFC 8841): what matters of a browser's offer, and the answer that we invent for it.

use crate::{
    Candidate, Credentials, Fingerprint,
    candidate::{hex_byte, push_hex},
    signal::Signal,
};

/// Bytes of an offer; that of two data channels has about 700 and 90 for each candidate.
const MAX_SDP: usize = 16 * 1024;

/// Candidates taken from one offer.
const MAX_OFFERED: usize = 32;

/// An offer that is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// No username fragment or password, or not as ICE wants them.
    #[error("no usable ICE credentials")]
    Credentials,
    /// No SHA-256 fingerprint, or not 32 bytes of it.
    #[error("no usable SHA-256 fingerprint")]
    Fingerprint,
    /// More text than an offer may have.
    #[error("longer than an offer may be")]
    TooLong,
}

/// The remote end's part in DTLS (RFC 8842, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// It sends the first message.
    Active,
    /// It offers either, which leaves things as they are once they are settled.
    Either,
    /// It waits for the first message.
    Passive,
}

/// Reads an offer. Where an attribute comes twice (Firefox gives the fingerprint for the session, Chromium for the media)
/// the first counts. Candidates that we don't signal are left out.
///
/// # Errors
/// [`SdpError`] if what a signal needs is missing.
pub fn read_offer(sdp: &str) -> Result<Signal, SdpError> {
    if sdp.len() > MAX_SDP {
        return Err(SdpError::TooLong);
    }
    let (mut ufrag, mut password, mut fingerprint, mut candidates) = (None, None, None, Vec::new());
    for line in sdp.lines() {
        let Some(attribute) = line.strip_prefix("a=") else { continue };
        let attribute = attribute.trim_end();
        if let Some(value) = attribute.strip_prefix("ice-ufrag:") {
            ufrag.get_or_insert(value);
        } else if let Some(value) = attribute.strip_prefix("ice-pwd:") {
            password.get_or_insert(value);
        } else if let Some(value) = attribute.strip_prefix("fingerprint:") {
            fingerprint = fingerprint.or_else(|| sha256(value));
        } else if let Ok(candidate) = Candidate::from_text(attribute)
            && candidates.len() < MAX_OFFERED
        {
            candidates.push(candidate);
        }
    }
    let credentials = ufrag.zip(password).and_then(|(ufrag, password)| Credentials::new(ufrag, password).ok());
    Ok(Signal {
        credentials: credentials.ok_or(SdpError::Credentials)?,
        fingerprint: fingerprint.ok_or(SdpError::Fingerprint)?,
        candidates,
    })
}

/// The answer that the peer would have given, had it been asked, or with [`Setup::Either`] its offer: data channels only.
#[must_use]
pub fn describe(peer: &Signal, setup: Setup) -> String {
    let mut sdp = String::with_capacity(1024);
    sdp.push_str(concat!(
        "v=0\r\n",
        "o=- 1 1 IN IP4 127.0.0.1\r\n",
        "s=-\r\n",
        "t=0 0\r\n",
        "a=group:BUNDLE 0\r\n",
        "a=msid-semantic: WMS\r\n",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "c=IN IP4 0.0.0.0\r\n",
        "a=ice-ufrag:",
    ));
    sdp.push_str(peer.credentials.ufrag());
    sdp.push_str("\r\na=ice-pwd:");
    sdp.push_str(peer.credentials.password());
    sdp.push_str("\r\na=ice-options:trickle\r\na=fingerprint:sha-256 ");
    for (at, byte) in peer.fingerprint.iter().enumerate() {
        if at > 0 {
            sdp.push(':');
        }
        push_hex(*byte, b"0123456789ABCDEF", &mut sdp);
    }
    sdp.push_str(match setup {
        Setup::Active => "\r\na=setup:active",
        Setup::Either => "\r\na=setup:actpass",
        Setup::Passive => "\r\na=setup:passive",
    });
    sdp.push_str("\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n");
    for (index, candidate) in (0..=u8::MAX).zip(&peer.candidates) {
        sdp.push_str("a=");
        sdp.push_str(&candidate.to_text(index));
        sdp.push_str("\r\n");
    }
    sdp
}

/// `sha-256 AB:CD:…` with 32 bytes.
fn sha256(value: &str) -> Option<Fingerprint> {
    let (hash, digits) = value.split_once(' ')?;
    let digits = digits.as_bytes();
    if !hash.eq_ignore_ascii_case("sha-256") || digits.len() != 32 * 3 - 1 {
        return None;
    }
    let mut fingerprint = [0; 32];
    for (byte, pair) in fingerprint.iter_mut().zip(digits.chunks(3)) {
        *byte = match *pair {
            [high, low] | [high, low, b':'] => hex_byte(high, low)?,
            _ => return None,
        };
    }
    Some(fingerprint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chromiums_offer_is_read() {
        let offer = read_offer(CHROMIUM).unwrap();

        assert_eq!(offer.credentials, Credentials::new("gwW5", "9D6dHIIUkqbay+yDVZGxRxWt").unwrap());
        assert_eq!((offer.fingerprint[0], offer.fingerprint[31]), (0x0e, 0x45));
        assert_eq!(
            offer.candidates,
            [
                candidate("candidate:1 1 udp 1 192.0.2.2 53441 typ host"),
                candidate("candidate:1 1 udp 1 fd00::2 33808 typ host"),
            ]
        );
        assert_eq!(offer.encode().len(), 1 + 21 + 32 + 1 + 7 + 19);
    }

    #[test]
    fn chromiums_hidden_addresses_are_read() {
        let offer = read_offer(CHROMIUM_MDNS).unwrap();

        assert_eq!(offer.candidates.len(), 2);
        assert_eq!(offer.encode().len(), 1 + 21 + 32 + 1 + 19 + 19);
    }

    #[test]
    fn firefoxs_offer_is_read() {
        let offer = read_offer(FIREFOX).unwrap();

        assert_eq!(offer.credentials, Credentials::new("3c5f0b1e", "7a91c0de5b3f44e28d16a0b7c9e2f513").unwrap());
        assert_eq!((offer.fingerprint[0], offer.fingerprint[31]), (0x5d, 0x9c));
        assert_eq!(offer.candidates, [candidate("candidate:0 1 UDP 1 192.0.2.7 41234 typ host")]);
        assert_eq!(offer.encode().len(), 1 + 20 + 32 + 1 + 7);
    }

    #[test]
    fn line_ends_do_not_matter() {
        assert_eq!(read_offer(&CHROMIUM.replace("\r\n", "\n")), read_offer(CHROMIUM));
    }

    #[test]
    fn an_offer_without_the_essentials_is_refused() {
        for (without, error) in [
            ("a=ice-ufrag", SdpError::Credentials),
            ("a=ice-pwd", SdpError::Credentials),
            ("a=fingerprint", SdpError::Fingerprint),
        ] {
            assert_eq!(read_offer(&CHROMIUM.replace(without, "a=x")), Err(error), "{without}");
        }
        assert_eq!(read_offer(&CHROMIUM.replace("sha-256", "sha-1")), Err(SdpError::Fingerprint));
        assert_eq!(read_offer(&CHROMIUM.replace("0E:D1", "0E-D1")), Err(SdpError::Fingerprint));
        assert_eq!(read_offer(&CHROMIUM.repeat(30)), Err(SdpError::TooLong));
    }

    #[test]
    fn the_answer_is_the_peers_offer_seen_as_an_answer() {
        let peer = read_offer(CHROMIUM).unwrap();

        let answer = describe(&peer, Setup::Active);

        assert_eq!(answer, include_str!("../tests/sdp/answer.sdp").replace('\n', "\r\n"));
        assert_eq!(read_offer(&answer), Ok(peer));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(lines in proptest::collection::vec(
            "(a=)?(ice-ufrag:|ice-pwd:|fingerprint:sha-256 |candidate:)?[ -~äß:]{0,120}", 0..30)) {
            if let Ok(offer) = read_offer(&lines.join("\n")) {
                prop_assert_eq!(read_offer(&describe(&offer, Setup::Passive)), Ok(offer));
            }
        }

        #[test]
        fn a_damaged_offer_is_read_or_refused(at in 0..CHROMIUM.len(), with in "[ -~\r\n]{0,3}") {
            let damaged = [&CHROMIUM[..at], with.as_str(), &CHROMIUM[at + 1..]].concat();
            if let Ok(offer) = read_offer(&damaged) {
                prop_assert_eq!(read_offer(&describe(&offer, Setup::Active)), Ok(offer));
            }
        }
    }

    fn candidate(text: &str) -> Candidate {
        Candidate::from_text(text).unwrap()
    }

    const CHROMIUM: &str = include_str!("../tests/sdp/chromium.sdp");
    const CHROMIUM_MDNS: &str = include_str!("../tests/sdp/chromium-mdns.sdp");
    const FIREFOX: &str = include_str!("../tests/sdp/firefox.sdp");
}
