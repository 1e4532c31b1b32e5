//! An ICE candidate (RFC 8839, section 5.1): where the peer may be reached over UDP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::signal::{SignalError, take_array, take_byte};

/// Characters of a candidate's text; Chromium's longest have about 200.
const MAX_TEXT: usize = 512;

/// How an address became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are RFC 8445's")]
pub enum Kind {
    Host = 0,
    ServerReflexive = 1,
    Relayed = 2,
}

/// An IP address, or the name that hides one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address, neither unspecified nor multicast.
    Ip(IpAddr),
    /// `<uuid>.local`, as browsers hide their local addresses (draft-ietf-mmusic-mdns-ice-candidates).
    Mdns([u8; 16]),
}

/// One place where a peer may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    kind: Kind,
    address: Address,
    port: u16,
}

/// Why a candidate is of no use to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CandidateError {
    /// An address that is no unicast address, or a name other than `<uuid>.local`.
    #[error("the address is not usable")]
    Address,
    /// Not the text of a candidate.
    #[error("not a candidate")]
    Malformed,
    /// TCP, another component, or a kind that is not signalled.
    #[error("a candidate of another kind")]
    Unsupported,
}

impl Candidate {
    /// A candidate for UDP.
    ///
    /// # Errors
    /// [`CandidateError::Address`] if nobody can be reached there.
    pub fn new(kind: Kind, address: Address, port: u16) -> Result<Self, CandidateError> {
        let nowhere = match address {
            Address::Ip(ip) => ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST),
            Address::Mdns(_) => false,
        };
        if nowhere || port == 0 {
            return Err(CandidateError::Address);
        }
        Ok(Self { kind, address, port })
    }

    /// How the address became known.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The UDP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Reads the text of `RTCIceCandidate.candidate`, or an SDP line from its `candidate:` on.
    ///
    /// # Errors
    /// [`CandidateError`] for all that isn't a host, server-reflexive or relayed candidate for UDP.
    pub fn from_text(text: &str) -> Result<Self, CandidateError> {
        if text.len() > MAX_TEXT {
            return Err(CandidateError::Malformed);
        }
        let text = text.strip_prefix("candidate:").ok_or(CandidateError::Malformed)?;
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or(CandidateError::Malformed);
        let (_foundation, component, transport, _priority) = (word()?, word()?, word()?, word()?);
        let (address, port, typ, kind) = (word()?, word()?, word()?, word()?);
        if typ != "typ" {
            return Err(CandidateError::Malformed);
        }
        if component != "1" || !transport.eq_ignore_ascii_case("udp") {
            return Err(CandidateError::Unsupported);
        }
        let kind = match kind {
            "host" => Kind::Host,
            "srflx" => Kind::ServerReflexive,
            "relay" => Kind::Relayed,
            _ => return Err(CandidateError::Unsupported),
        };
        let port = port.parse().map_err(|_| CandidateError::Malformed)?;
        Self::new(kind, Address::from_text(address)?, port)
    }

    /// The text for `RTCIceCandidateInit.candidate`, as the peer's candidate number `index`, which gives it a foundation of
    /// its own and a place among those of its kind (RFC 8445, section 5.1.2.1).
    #[must_use]
    pub fn to_text(&self, index: u8) -> String {
        let mut text = String::with_capacity(96);
        text.push_str("candidate:");
        text.push_str(&(u32::from(index) + 1).to_string());
        text.push_str(" 1 udp ");
        text.push_str(&self.priority(index).to_string());
        text.push(' ');
        self.address.push_to(&mut text);
        text.push(' ');
        text.push_str(&self.port.to_string());
        text.push_str(match self.kind {
            Kind::Host => " typ host",
            Kind::ServerReflexive => " typ srflx",
            Kind::Relayed => " typ relay",
        });
        if self.kind != Kind::Host {
            // RFC 8839 wants a related address; browsers hide theirs in the same way.
            let v6 = matches!(self.address, Address::Ip(IpAddr::V6(_)));
            text.push_str(if v6 { " raddr :: rport 0" } else { " raddr 0.0.0.0 rport 0" });
        }
        text
    }

    fn priority(&self, index: u8) -> u32 {
        let kind: u32 = match self.kind {
            Kind::Host => 126,
            Kind::ServerReflexive => 100,
            Kind::Relayed => 0,
        };
        kind << 24 | (0xffff - u32::from(index)) << 8 | 0xff
    }

    /// `type 1 | address 4 or 16 | port 2`; the type's low half is the kind, its high half the address's.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let kind = self.kind as u8;
        match self.address {
            Address::Ip(IpAddr::V4(ip)) => {
                out.push(kind);
                out.extend_from_slice(&ip.octets());
            }
            Address::Ip(IpAddr::V6(ip)) => {
                out.push(kind | 0x10);
                out.extend_from_slice(&ip.octets());
            }
            Address::Mdns(uuid) => {
                out.push(kind | 0x20);
                out.extend_from_slice(&uuid);
            }
        }
        out.extend_from_slice(&self.port.to_be_bytes());
    }

    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, SignalError> {
        let typ = take_byte(bytes)?;
        let kind = match typ & 0x0f {
            0 => Kind::Host,
            1 => Kind::ServerReflexive,
            2 => Kind::Relayed,
            _ => return Err(SignalError::Candidate),
        };
        let address = match typ >> 4 {
            0 => Address::Ip(Ipv4Addr::from(take_array::<4>(bytes)?).into()),
            1 => Address::Ip(Ipv6Addr::from(take_array::<16>(bytes)?).into()),
            2 => Address::Mdns(take_array(bytes)?),
            _ => return Err(SignalError::Candidate),
        };
        let port = u16::from_be_bytes(take_array(bytes)?);
        Self::new(kind, address, port).map_err(|_| SignalError::Candidate)
    }

    /// Reads one candidate and nothing after it.
    pub(crate) fn read_whole(mut bytes: &[u8]) -> Result<Self, SignalError> {
        let candidate = Self::read(&mut bytes)?;
        if bytes.is_empty() { Ok(candidate) } else { Err(SignalError::Trailing) }
    }
}

impl Address {
    fn from_text(text: &str) -> Result<Self, CandidateError> {
        if let Some(name) = text.strip_suffix(".local") {
            return uuid_from_text(name).map(Self::Mdns).ok_or(CandidateError::Address);
        }
        text.parse().map(Self::Ip).map_err(|_| CandidateError::Address)
    }

    fn push_to(&self, text: &mut String) {
        match self {
            Self::Ip(ip) => text.push_str(&ip.to_string()),
            Self::Mdns(uuid) => {
                for (at, byte) in uuid.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    push_hex(*byte, b"0123456789abcdef", text);
                }
                text.push_str(".local");
            }
        }
    }
}

/// The two digits of a byte.
pub(crate) fn push_hex(byte: u8, digits: &[u8; 16], text: &mut String) {
    text.push(char::from(digits[usize::from(byte >> 4)]));
    text.push(char::from(digits[usize::from(byte & 0x0f)]));
}

/// The byte of two digits, either case.
pub(crate) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

fn uuid_from_text(text: &str) -> Option<[u8; 16]> {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    let text = text.as_bytes();
    let shape = text.len() == 36
        && text.iter().enumerate().all(|(at, &letter)| (letter == b'-') == dash(at) && !letter.is_ascii_uppercase());
    if !shape {
        return None;
    }
    let mut digits = text.iter().copied().filter(|&letter| letter != b'-');
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = hex_byte(digits.next()?, digits.next()?)?;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_candidates_are_read() {
        let host = |address| Ok(Candidate { kind: Kind::Host, address, port: 58008 });
        let uuid = [0xad, 0xae, 0x69, 0x2b, 0x84, 0xb5, 0x46, 0xc3, 0xb5, 0xed, 0xd5, 0xd8, 0xa0, 0x75, 0x40, 0xcd];
        for (text, expected) in [
            (
                "candidate:1006680899 1 udp 2113937151 adae692b-84b5-46c3-b5ed-d5d8a07540cd.local 58008 typ host generation 0 ufrag 1gTT network-cost 999",
                host(Address::Mdns(uuid)),
            ),
            (
                "candidate:0 1 UDP 2122252543 192.0.2.2 58008 typ host",
                host(Address::Ip(Ipv4Addr::new(192, 0, 2, 2).into())),
            ),
            ("candidate:0 1 UDP 2122252543 fd00::2 58008 typ host", host(Address::Ip("fd00::2".parse().unwrap()))),
            ("candidate:1 1 TCP 2105524479 192.0.2.2 9 typ host tcptype active", Err(CandidateError::Unsupported)),
            ("candidate:0 2 UDP 2122252542 192.0.2.2 58008 typ host", Err(CandidateError::Unsupported)),
            ("candidate:0 1 UDP 2122252543 192.0.2.2 58008 typ prflx", Err(CandidateError::Unsupported)),
            ("candidate:0 1 UDP 2122252543 printer.local 58008 typ host", Err(CandidateError::Address)),
            ("candidate:0 1 UDP 2122252543 fe80::1%eth0 58008 typ host", Err(CandidateError::Address)),
            ("candidate:0 1 UDP 2122252543 224.0.0.251 58008 typ host", Err(CandidateError::Address)),
            ("candidate:0 1 UDP 2122252543 192.0.2.2 0 typ host", Err(CandidateError::Address)),
            ("candidate:0 1 UDP 2122252543 192.0.2.2 65536 typ host", Err(CandidateError::Malformed)),
            ("candidate:0 1 UDP 2122252543 192.0.2.2 58008 typ", Err(CandidateError::Malformed)),
            ("", Err(CandidateError::Malformed)),
        ] {
            assert_eq!(Candidate::from_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_reflexive_candidate_is_written_with_its_related_address() {
        let candidate =
            Candidate::new(Kind::ServerReflexive, Address::Ip(Ipv4Addr::new(203, 0, 113, 9).into()), 4000).unwrap();

        let text = candidate.to_text(1);

        assert_eq!(text, "candidate:2 1 udp 1694498559 203.0.113.9 4000 typ srflx raddr 0.0.0.0 rport 0");
        assert_eq!(Candidate::from_text(&text), Ok(candidate));
    }

    #[test]
    fn one_candidate_is_read_and_nothing_after_it() {
        let candidate = Candidate::new(Kind::Host, Address::Mdns([7; 16]), 4000).unwrap();
        let mut bytes = Vec::new();
        candidate.write(&mut bytes);

        assert_eq!(Candidate::read_whole(&bytes), Ok(candidate));
        bytes.push(0);
        assert_eq!(Candidate::read_whole(&bytes), Err(SignalError::Trailing));
    }
}
