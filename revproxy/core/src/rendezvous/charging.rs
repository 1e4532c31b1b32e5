//! Who pays for a message. What a node says of a key is counted against that key: strangers can make a key speak, as by signals that want an
//! answer, and if that cost the other keys of its connection anything, it would say that they share one. So the excess is refused, and the
//! connection stays. For each signal that was passed on to a key, one message of that key is free.
//!
//! Answers to dials name no key. Their rate is the connection's, and higher than strangers can dial all the addresses that it may listen at.
//! Everything else a node says by itself: it is counted against the connection, and the excess ends that.

use bitters_machine::time::Instant;
use bitters_wire::{address::Owner, failure::Code, id::PersonaId, rendezvous::ToServer};

use super::{ConnId, Refusal, Rendezvous};

/// Against whose rates a message counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payer {
    Connection,
    /// The connection's, of answers to dials.
    Dials,
    /// A key that is registered there.
    Key(PersonaId),
}

impl Rendezvous {
    /// Counts a message of `len` bytes, unless too many came.
    pub(super) fn charge(&mut self, conn: ConnId, message: &ToServer, len: usize, now: Instant) -> Result<(), Refusal> {
        let config = self.config;
        let within = match self.payer(conn, message) {
            Payer::Connection => return self.charge_connection(conn, len, now),
            Payer::Dials => self.entered(conn).take_answer(&config, now),
            Payer::Key(key) => self.charge_key(conn, key, now),
        };
        // Whoever may say no more isn't kept where it no longer wants to be.
        if within || takes_back(message) { Ok(()) } else { Err(Refusal::staying(Code::Quota, "too many messages")) }
    }

    fn payer(&self, conn: ConnId, message: &ToServer) -> Payer {
        let Some(entered) = self.connections[&conn].entered() else { return Payer::Connection };
        let key = match message {
            ToServer::Advertise { key, .. }
            | ToServer::Discover { key, .. }
            | ToServer::Door { key, .. }
            | ToServer::Listen { owner: Owner::Persona(key), .. }
            | ToServer::Register { key, .. }
            | ToServer::Signal { from: key, .. }
            | ToServer::Unregister(key)
            | ToServer::Withdraw { key, .. } => Some(*key),
            ToServer::Answer { .. } | ToServer::Forward { .. } => return Payer::Dials,
            ToServer::Enter(_) | ToServer::Listen { .. } | ToServer::Lookup(_) => None,
            ToServer::Gone(gone) => Some(gone.from),
            ToServer::Unlisten(token) => {
                self.tokens.get(token).filter(|(holder, _)| *holder == conn).map(|&(_, key)| key)
            }
        };
        let registered = key.filter(|key| entered.keys.contains_key(key));
        registered.map_or(Payer::Connection, Payer::Key)
    }

    fn charge_connection(&mut self, conn: ConnId, len: usize, now: Instant) -> Result<(), Refusal> {
        let connection = self.connections.get_mut(&conn).expect("the message was looked up by its connection");
        let within = connection.take(len, &self.config, now)
            && self.sources.message(connection.source(), self.config.source_messages, now);
        if within { Ok(()) } else { Err(Refusal::ending(Code::Quota, "too many messages")) }
    }

    fn charge_key(&mut self, conn: ConnId, key: PersonaId, now: Instant) -> bool {
        let (source, config) = (self.connections[&conn].source(), self.config);
        let allowance = &mut self.registered(conn, key).allowance;
        if allowance.take_free() {
            return true;
        }
        let within = allowance.has(config.messages_per_key, now)
            && self.sources.message_of_key(source, config.source_messages_of_keys, now);
        if within {
            self.registered(conn, key).allowance.take(config.messages_per_key, now);
        }
        within
    }
}

/// Whether the node says that something is so no longer.
const fn takes_back(message: &ToServer) -> bool {
    matches!(
        message,
        ToServer::Door { door: None, .. } | ToServer::Unlisten(_) | ToServer::Unregister(_) | ToServer::Withdraw { .. }
    )
}
