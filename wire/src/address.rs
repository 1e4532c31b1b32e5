//! Addresses: where a browser can be reached that nobody has signalled with. Long-lived, to give to anyone.
//!
//! `version 1 | head 1 | proxies | fingerprint 32 | key 32 | expiry 4 | grant 16 | signature 64`, as base64url without padding
//! (RFC 4648, section 5): 210 characters with one IPv4 proxy. Version 1 has no grant: addresses of earlier builds, and *doors*, at which
//! strangers may knock ([`sealed`](crate::sealed)). The head's high half says whose key it is (0 a node's, 1 a persona's), its
//! low half how many proxies follow, 1 to 4; a proxy is `family 1 (4 or 6) | IP 4 or 16 | port 2`. The fingerprint is the
//! SHA-256 of the certificate that the owner answers with, the expiry counts minutes since 1970 and is the certificate's, the
//! signature is the owner's over everything before it. All numbers have their high byte first. An address has one spelling.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    id::{NodeId, PersonaId},
    keys::{BadSignature, Grant, Signature},
};

/// Proxies of one address; a server has an address of each family, and a node a few servers.
pub const MAX_PROXIES: usize = 4;

/// Characters of an address: four IPv6 proxies.
pub const MAX_ADDRESS: usize = 302;

/// Without a grant.
const BARE: u8 = 1;
/// With a grant.
const GRANTING: u8 = 2;
const DOMAIN: &[u8] = b"bitters/address/1";

/// SHA-256 of a certificate (RFC 8122, section 5).
pub type Fingerprint = [u8; 32];

/// Who answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// A node, known to nodes only.
    Node(NodeId),
    /// A persona.
    Persona(PersonaId),
}

impl Owner {
    /// Checks a signature of the owner's.
    ///
    /// # Errors
    /// [`BadSignature`] if the key or the signature is not good.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        match self {
            Self::Node(node) => node.verify(message, signature),
            Self::Persona(persona) => persona.verify(message, signature),
        }
    }

    const fn key(&self) -> &[u8; 32] {
        match self {
            Self::Node(node) => &node.0,
            Self::Persona(persona) => &persona.0,
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Node(_) => 0,
            Self::Persona(_) => 1,
        }
    }
}

/// What a proxy knows a listener by: the beginning of a hash of its key and its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub [u8; 6]);

impl Token {
    /// That of an owner who answers with a certificate.
    #[must_use]
    pub fn of(owner: Owner, fingerprint: &Fingerprint) -> Self {
        let hash = Sha256::new()
            .chain_update(b"bitters/token/1")
            .chain_update([owner.kind()])
            .chain_update(owner.key())
            .chain_update(fingerprint)
            .finalize();
        let mut token = [0; 6];
        token.copy_from_slice(&hash[..6]);
        Self(token)
    }
}

/// An address whose signature was verified, when it was read or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    owner: Owner,
    fingerprint: Fingerprint,
    proxies: Vec<SocketAddr>,
    expires: u32,
    grant: Option<Grant>,
    signature: Signature,
}

/// Why text is not an address. It says what to tell its giver, and is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// The signature isn't the owner's.
    #[error("the address is forged or damaged: its signature does not verify")]
    Forged,
    /// Not base64url, or a part that is not as it should be.
    #[error("not an address: {0}")]
    Malformed(&'static str),
    /// The end is missing.
    #[error("the address is truncated")]
    Truncated,
    /// Made by later software.
    #[error("the address is of version {0}, this node knows versions 1 and 2")]
    Version(u8),
}

impl Address {
    /// An address that `sign` signs as `owner`. Proxies beyond [`MAX_PROXIES`] are left out; `expires` is in milliseconds since
    /// 1970 and rounded down to a minute.
    #[must_use]
    pub fn sign(
        owner: Owner,
        fingerprint: Fingerprint,
        proxies: &[SocketAddr],
        expires: u64,
        grant: Option<Grant>,
        sign: impl FnOnce(&[u8]) -> Signature,
    ) -> Self {
        let proxies = proxies[..proxies.len().min(MAX_PROXIES)].to_vec();
        let expires = u32::try_from(expires / MINUTE).unwrap_or(u32::MAX);
        let mut address = Self { owner, fingerprint, proxies, expires, grant, signature: Signature([0; 64]) };
        address.signature = sign(&text(&address.body()));
        address
    }

    /// Who answers.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// The certificate that the owner answers with.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Where the owner listens, 1 to [`MAX_PROXIES`].
    #[must_use]
    pub fn proxies(&self) -> &[SocketAddr] {
        &self.proxies
    }

    /// What its proxies know it by.
    #[must_use]
    pub fn token(&self) -> Token {
        Token::of(self.owner, &self.fingerprint)
    }

    /// When it stops being answered, in milliseconds since 1970.
    #[must_use]
    pub fn expires(&self) -> u64 {
        u64::from(self.expires) * MINUTE
    }

    /// What its giver lets whoever has it know.
    #[must_use]
    pub const fn grant(&self) -> Option<Grant> {
        self.grant
    }

    /// All that is signed.
    fn body(&self) -> Vec<u8> {
        let count = u8::try_from(self.proxies.len()).expect("bounded by MAX_PROXIES");
        let version = if self.grant.is_some() { GRANTING } else { BARE };
        let mut out = vec![version, self.owner.kind() << 4 | count];
        for proxy in &self.proxies {
            match proxy.ip() {
                IpAddr::V4(ip) => {
                    out.push(4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(6);
                    out.extend_from_slice(&ip.octets());
                }
            }
            out.extend_from_slice(&proxy.port().to_be_bytes());
        }
        out.extend_from_slice(&self.fingerprint);
        out.extend_from_slice(self.owner.key());
        out.extend_from_slice(&self.expires.to_be_bytes());
        out.extend(self.grant.iter().flat_map(|grant| grant.0));
        out
    }

    fn read(bytes: &[u8]) -> Result<Self, BadAddress> {
        let mut rest = Rest(bytes);
        let [version, head] = rest.take()?;
        if ![BARE, GRANTING].contains(&version) {
            return Err(BadAddress::Version(version));
        }
        let proxies = (0..usize::from(head & 15)).map(|_| rest.proxy()).collect::<Result<Vec<_>, _>>()?;
        if !(1..=MAX_PROXIES).contains(&proxies.len()) {
            return Err(BadAddress::Malformed("it has no proxy, or too many"));
        }
        let fingerprint = rest.take()?;
        let owner = match head >> 4 {
            0 => Owner::Node(NodeId(rest.take()?)),
            1 => Owner::Persona(PersonaId(rest.take()?)),
            _ => return Err(BadAddress::Malformed("it belongs to nothing known")),
        };
        let expires = u32::from_be_bytes(rest.take()?);
        let grant = if version == GRANTING { Some(Grant(rest.take()?)) } else { None };
        let signature = Signature(rest.take()?);
        if !rest.0.is_empty() {
            return Err(BadAddress::Malformed("more follows its end"));
        }
        let signed = &bytes[..bytes.len() - signature.0.len()];
        owner.verify(&text(signed), &signature).map_err(|_| BadAddress::Forged)?;
        Ok(Self { owner, fingerprint, proxies, expires, grant, signature })
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.len() > MAX_ADDRESS {
            return Err(BadAddress::Malformed("it is too long"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(BadAddress::Malformed("it is not base64url"));
        }
        // What stops within a byte was cut.
        Self::read(&Base64UrlUnpadded::decode_vec(text).map_err(|_| BadAddress::Truncated)?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.body();
        bytes.extend_from_slice(&self.signature.0);
        f.write_str(&Base64UrlUnpadded::encode_string(&bytes))
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Milliseconds.
const MINUTE: u64 = 60_000;

fn text(body: &[u8]) -> Vec<u8> {
    [DOMAIN, body].concat()
}

/// Bytes that haven't been read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadAddress> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BadAddress::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn proxy(&mut self) -> Result<SocketAddr, BadAddress> {
        let ip = match self.take()? {
            [4] => IpAddr::V4(Ipv4Addr::from(self.take::<4>()?)),
            [6] => IpAddr::V6(Ipv6Addr::from(self.take::<16>()?)),
            _ => return Err(BadAddress::Malformed("a proxy of no known family")),
        };
        let proxy = SocketAddr::new(ip, u16::from_be_bytes(self.take()?));
        if is_proxy(proxy) { Ok(proxy) } else { Err(BadAddress::Malformed("a proxy that can't be one")) }
    }
}

/// Where the server of a proxy tells browsers how the world sees them (STUN, RFC 8489): at the next port. It must be another than
/// the proxy's, for Chromium takes whatever comes from a STUN server of a connection for its answer, and would pass on nothing that
/// a proxy at the same port forwards.
#[must_use]
pub const fn stun_of(proxy: SocketAddr) -> SocketAddr {
    SocketAddr::new(proxy.ip(), proxy.port().wrapping_add(1))
}

/// Whether datagrams can be sent there, and to the port after it, and reach one machine.
#[must_use]
pub fn is_proxy(at: SocketAddr) -> bool {
    let ip = at.ip();
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    let mapped = matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    at.port() != 0 && at.port() != u16::MAX && !ip.is_unspecified() && !ip.is_multicast() && !broadcast && !mapped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::{NodeSecret, PersonaSecret};

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for address in [of_persona(&[V4]), granting(&[V4, V6]), granting(&[V6; MAX_PROXIES]), of_node(&[V6])] {
            let text = address.to_string();
            assert!(text.len() <= MAX_ADDRESS, "{}", text.len());
            assert_eq!(text.parse(), Ok(address));
        }
        assert_eq!([of_persona(&[V4]), granting(&[V4])].map(|it| it.to_string().len()), [188, 210]);
        assert_eq!(granting(&[V6; MAX_PROXIES]).to_string().len(), MAX_ADDRESS);
        assert_eq!(of_persona(&[V4]).expires(), EXPIRES);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = of_persona(&[V4]).to_string();
        let bad = |text: &str| text.parse::<Address>().unwrap_err();

        assert_eq!(bad(""), BadAddress::Truncated);
        for end in 1..text.len() {
            assert_eq!(bad(&text[..end]), BadAddress::Truncated, "{end}");
        }
        assert_eq!(bad(&format!("{text}AAAA")), BadAddress::Malformed("more follows its end"));
        assert_eq!(bad(&text.replacen('A', "!", 1)), BadAddress::Malformed("it is not base64url"));
        assert_eq!(bad(&format!("B{}", &text[1..])), BadAddress::Version(5));
        assert_eq!(bad(&"A".repeat(MAX_ADDRESS + 1)), BadAddress::Malformed("it is too long"));
    }

    #[test]
    fn a_proxy_is_one_machine() {
        let bad = [
            "0.0.0.0:1",
            "192.0.2.1:0",
            "192.0.2.1:65535",
            "224.0.0.1:9",
            "255.255.255.255:9",
            "[::]:1",
            "[::ffff:1.2.3.4]:1",
        ];
        for proxy in bad {
            let text = of_persona(&[proxy.parse().unwrap()]).to_string();
            assert_eq!(text.parse::<Address>(), Err(BadAddress::Malformed("a proxy that can't be one")), "{proxy}");
        }
        assert!(matches!(of_persona(&[]).to_string().parse::<Address>(), Err(BadAddress::Malformed(_))));
    }

    #[test]
    fn a_persona_cannot_speak_for_a_node() {
        let persona = PersonaSecret::new([1; 32]);
        let same_key = Owner::Node(NodeId(persona.id().0));
        let address = Address::sign(same_key, [7; 32], &[V4], EXPIRES, None, |text| persona.sign(text));
        // It is the same key: what it signed as a node it did not sign as a persona.
        let mut bytes = Base64UrlUnpadded::decode_vec(&address.to_string()).unwrap();
        bytes[1] ^= 0x10;
        assert_eq!(Address::read(&bytes), Err(BadAddress::Forged));
        assert_ne!(Token::of(same_key, &[7; 32]), Token::of(Owner::Persona(persona.id()), &[7; 32]));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0..157_usize, to in 1..=u8::MAX) {
            let mut bytes = Base64UrlUnpadded::decode_vec(&granting(&[V4]).to_string()).unwrap();
            prop_assert_eq!(bytes.len(), 157);
            bytes[at] ^= to;
            prop_assert!(Address::read(&bytes).is_err());
        }

        #[test]
        fn nothing_is_too_strange(text in "[A-Za-z0-9_=+/ -]{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = text.parse::<Address>();
            if let Ok(address) = Address::read(&bytes) {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }

    const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);
    const V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 3478);
    const EXPIRES: u64 = 1_800_000_000_000;

    fn of_persona(proxies: &[SocketAddr]) -> Address {
        let persona = PersonaSecret::new([1; 32]);
        Address::sign(Owner::Persona(persona.id()), [7; 32], proxies, EXPIRES, None, |text| persona.sign(text))
    }

    fn granting(proxies: &[SocketAddr]) -> Address {
        let persona = PersonaSecret::new([1; 32]);
        let (owner, grant) = (Owner::Persona(persona.id()), Some(persona.grant()));
        Address::sign(owner, [7; 32], proxies, EXPIRES, grant, |text| persona.sign(text))
    }

    fn of_node(proxies: &[SocketAddr]) -> Address {
        let node = NodeSecret::new([1; 32]);
        Address::sign(Owner::Node(node.id()), [7; 32], proxies, EXPIRES, None, |text| node.sign(text))
    }
}
