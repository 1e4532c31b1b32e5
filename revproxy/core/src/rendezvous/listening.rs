//! Addresses that keys listen at, and what is handed on to the proxy about dials.

use std::sync::Arc;

use bitters_peercon::signal;
use bitters_wire::{
    address::{Address, Fingerprint, Owner, Token},
    failure::Code,
    id::PersonaId,
    keys::Signature,
    rendezvous::{IceCredentials, IceEnds, ToNode, listen_text},
};

use super::{Challenge, ConnId, Output, Refusal, Rendezvous, proxy, proxy::Restart};

impl Rendezvous {
    pub(super) fn on_listen(
        &mut self,
        conn: ConnId,
        owner: Owner,
        fingerprint: &Fingerprint,
        signature: &Signature,
    ) -> Result<(), Refusal> {
        let token = Token::of(owner, fingerprint);
        let Challenge { nonce, server, proxies } = self.connections[&conn].challenge();
        if proxies.is_empty() {
            return Err(Refusal::staying(Code::Unsupported, "there is no proxy here"));
        }
        let (text, proxies) = (listen_text(nonce, server, token), Arc::clone(proxies));
        let Owner::Persona(key) = owner else {
            return Err(Refusal::staying(Code::Denied, "only registered keys are listened for"));
        };
        let capacity = self.config.tokens;
        let entered = self.entered(conn);
        let in_all = entered.tokens();
        let tokens = &entered.registration(key)?.tokens;
        if in_all >= capacity && !tokens.contains(&token) {
            return Err(Refusal::staying(Code::Quota, "too many addresses"));
        }
        if key.verify(&text, signature).is_err() {
            return Err(Refusal::staying(Code::Denied, "the owner's signature does not verify"));
        }
        if let Some((old, owner)) = self.tokens.insert(token, (conn, key)) {
            self.registered(old, owner).tokens.remove(&token);
        }
        self.registered(conn, key).tokens.insert(token);
        self.outbox.push_back(Output::Proxy(proxy::Input::Listen { conn, token, proxies }));
        self.send(conn, ToNode::Listening(token));
        Ok(())
    }

    pub(super) fn on_door(&mut self, conn: ConnId, key: PersonaId, door: Option<Box<Address>>) -> Result<(), Refusal> {
        let registration = self.entered(conn).registration(key)?;
        let is_own =
            |door: &Address| door.owner() == Owner::Persona(key) && registration.tokens.contains(&door.token());
        if !door.as_deref().is_none_or(is_own) {
            return Err(Refusal::staying(Code::Denied, "the door is not listened at here"));
        }
        registration.door = door;
        Ok(())
    }

    pub(super) fn on_unlisten(&mut self, conn: ConnId, token: Token) {
        if let Some(&(holder, key)) = self.tokens.get(&token)
            && holder == conn
        {
            self.registered(conn, key).tokens.remove(&token);
            self.unlisten(token);
        }
    }

    /// Nobody listens at the address any longer.
    pub(super) fn unlisten(&mut self, token: Token) {
        self.tokens.remove(&token);
        self.outbox.push_back(Output::Proxy(proxy::Input::Unlisten(token)));
    }

    pub(super) fn on_answer(&mut self, conn: ConnId, passage: u64, signal: &[u8]) -> Result<(), Refusal> {
        let signal::Signal { credentials, .. } = signal::Signal::decode(signal)
            .map_err(|_| Refusal::staying(Code::BadArgument, "the answer is not a signal"))?;
        self.outbox.push_back(Output::Proxy(proxy::Input::Answer { conn, passage, credentials }));
        Ok(())
    }

    pub(super) fn on_forward(&mut self, conn: ConnId, passage: u64, ends: Option<IceEnds>) -> Result<(), Refusal> {
        let restart = ends.map(restart).transpose()?;
        self.outbox.push_back(Output::Proxy(proxy::Input::Forward { conn, passage, restart }));
        Ok(())
    }
}

fn restart(IceEnds { ours, theirs }: IceEnds) -> Result<Restart, Refusal> {
    let read = |credentials: IceCredentials| {
        credentials.try_into().map_err(|_| Refusal::staying(Code::BadArgument, "not ICE credentials"))
    };
    Ok(Restart { ours: read(ours)?, theirs: read(theirs)? })
}
