//! STUN as ICE uses it (RFC 8489; RFC 8445, section 7): reading, checking, and signing again.
//!
//! What is read here ends in MESSAGE-INTEGRITY by SHA-1 and FINGERPRINT, as RFC 8445 wants it and both browsers do, except for a
//! plain Binding request. `stun-types` reads, checks and writes without a copy; it takes more than we do (bytes after the end,
//! attributes after the integrity), so its result is narrowed down.

use std::net::SocketAddr;

use stun_types::{
    attribute::{
        Attribute, AttributeFromRaw, AttributeStaticType, Fingerprint, MessageIntegrity, RawAttribute, Username,
        XorMappedAddress,
    },
    message::{
        BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageHeader, MessageType, MessageWriteExt,
        MessageWriteMutSlice, ShortTermCredentials, StunWriteError, TransactionId,
    },
};

use super::counts::Dropped;

/// Bytes of a check or an answer: a username of two fragments of 255 characters, and 80 bytes for the rest of what browsers say.
pub(super) const MAX_STUN: usize = 640;

/// Length of an attribute's head, of MESSAGE-INTEGRITY and of FINGERPRINT, with their heads.
const HEAD: usize = 4;
const INTEGRITY: usize = HEAD + 20;
const FINGERPRINT: usize = HEAD + 4;

/// From here on attributes are the makers' own and optional (RFC 8489, section 18.3, and IANA's registry).
const OWN: u16 = 0xc000;

/// What an answer belongs to.
pub(super) type Transaction = [u8; 12];

/// How a message is to be written again.
pub(super) struct Again<'a> {
    pub(super) transaction: Transaction,
    /// Under another name: a check.
    pub(super) username: Option<&'a str>,
    /// What it is signed with.
    pub(super) key: &'a IntegrityKey,
    /// Without what is optional and its maker's own.
    pub(super) lean: bool,
}

/// A message that was read.
#[derive(Debug)]
pub(super) struct Stun<'a> {
    bytes: &'a [u8],
    message: Message<'a>,
    pub(super) kind: Kind<'a>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A Binding request without a name: what is my address?
    Plain,
    /// A check, with its username.
    Request(&'a str),
    /// An answer, good or bad.
    Response,
}

impl<'a> Stun<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Dropped> {
        // Checked before the library sees it, which would log what is wrong.
        if bytes.len() > MAX_STUN || !is_whole(bytes) {
            return Err(Dropped::Malformed);
        }
        let message = Message::from_bytes(bytes).map_err(|_| Dropped::Malformed)?;
        if !message.has_method(BINDING) {
            return Err(Dropped::Malformed);
        }
        let mut username = None;
        let mut integrity = None;
        let mut fingerprint = None;
        for (offset, attribute) in message.iter_attributes() {
            match attribute.get_type() {
                Username::TYPE if username.is_none() => username = Some((offset, usize::from(attribute.length()))),
                MessageIntegrity::TYPE => integrity = Some(offset),
                Fingerprint::TYPE => fingerprint = Some(offset),
                _ => {}
            }
        }
        let ends_well = integrity
            .is_some_and(|at| at + INTEGRITY + FINGERPRINT == bytes.len() && fingerprint == Some(at + INTEGRITY));
        let kind = match (message.class(), username) {
            (MessageClass::Request, None) if integrity.is_none() => Kind::Plain,
            (MessageClass::Request, Some((at, len))) if ends_well => {
                let name = &bytes[at + HEAD..at + HEAD + len];
                Kind::Request(std::str::from_utf8(name).map_err(|_| Dropped::Malformed)?)
            }
            (MessageClass::Success | MessageClass::Error, _) if ends_well => Kind::Response,
            _ => return Err(Dropped::Malformed),
        };
        Ok(Self { bytes, message, kind })
    }

    pub(super) fn transaction(&self) -> Transaction {
        let (_, transaction) = self.bytes[..MessageHeader::LENGTH].split_last_chunk().expect("a header is longer");
        *transaction
    }

    /// Whether the message was signed with this key.
    pub(super) fn is_by(&self, key: &IntegrityKey) -> bool {
        self.message.validate_integrity_with_key(key).is_ok_and(|by| by == IntegrityAlgorithm::Sha1)
    }

    /// Writes the message with another transaction id, name and key. `None` if it would be too long, or can't be read.
    pub(super) fn write_again<'b>(&self, again: &Again<'_>, out: &'b mut [u8; MAX_STUN]) -> Option<&'b [u8]> {
        let Again { transaction, username, key, lean } = *again;
        let [was, is] = [self.transaction(), transaction].map(id_of);
        let mut writer = Message::builder(self.message.get_type(), is, MessageWriteMutSlice::new(out));
        for (_, attribute) in self.message.iter_attributes() {
            let done = match attribute.get_type() {
                MessageIntegrity::TYPE => break,
                Username::TYPE if let Some(name) = username => {
                    writer.add_attribute(&RawAttribute::new(Username::TYPE, name.as_bytes()))
                }
                // An IPv6 address is hidden by the transaction id (RFC 8489, section 14.2).
                XorMappedAddress::TYPE => {
                    let mapped = XorMappedAddress::from_raw_ref(&attribute).ok()?.addr(was);
                    writer.add_attribute(&XorMappedAddress::new(mapped, is))
                }
                other if lean && other.value() >= OWN => Ok(()),
                _ => writer.add_attribute(&attribute),
            };
            done.ok()?;
        }
        finish(writer, key).ok().map(|len| &out[..len])
    }
}

/// The key of a password (RFC 8489, section 9.1.1).
pub(super) fn key(password: &str) -> IntegrityKey {
    ShortTermCredentials::new(password.to_owned()).make_key()
}

/// The answer to a plain Binding request: where it came from.
pub(super) fn binding<'b>(request: &Stun, peer: SocketAddr, out: &'b mut [u8; MAX_STUN]) -> &'b [u8] {
    let transaction = request.message.transaction_id();
    let success = MessageType::from_class_method(MessageClass::Success, BINDING);
    let mut writer = Message::builder(success, transaction, MessageWriteMutSlice::new(out));
    writer.add_attribute(&XorMappedAddress::new(peer, transaction)).expect("44 bytes fit");
    let len = stun_types::message::MessageWrite::finish(writer);
    &out[..len]
}

fn id_of(transaction: Transaction) -> TransactionId {
    let mut bytes = [0; 16];
    bytes[4..].copy_from_slice(&transaction);
    u128::from_be_bytes(bytes).into()
}

fn finish(mut writer: MessageWriteMutSlice, key: &IntegrityKey) -> Result<usize, StunWriteError> {
    writer.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)?;
    writer.add_fingerprint()?;
    Ok(stun_types::message::MessageWrite::finish(writer))
}

/// Whether lengths are right, and the cookie (RFC 8489, section 5).
fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, mut rest)) = bytes.split_first_chunk::<{ MessageHeader::LENGTH }>() else { return false };
    let [_, _, high, low, cookie @ .., _, _, _, _, _, _, _, _, _, _, _, _] = *head;
    if usize::from(u16::from_be_bytes([high, low])) != rest.len() || cookie != [0x21, 0x12, 0xa4, 0x42] {
        return false;
    }
    while let Some(([_, _, high, low], value)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).next_multiple_of(4);
        let Some((_, further)) = value.split_at_checked(len) else { return false };
        rest = further;
    }
    rest.is_empty()
}

#[cfg(test)]
pub(super) mod tests;
