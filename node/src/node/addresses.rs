//! Addresses: a certificate that a frame keeps, the server's ear, and the owner's signature.

use bitters_machine::{map::Set, time::Instant};
use bitters_wire::{
    address::{Address, Fingerprint, Owner, Token},
    failure::{Code, Failure},
    id::{FrameId, LinkId, PersonaId},
    keys::Signature,
    local::{Certificate, ToFrame},
    rendezvous::{ToServer, listen_text},
};

use super::Node;
use crate::{
    api::Output, dials::Asker, links::Way, pair::Pair, server::saying::What, sites::accounts::Spend,
    view::warnings::Audience,
};

impl Node {
    pub(super) fn on_address(&mut self, id: FrameId, request: u32, now: Instant) {
        let (kin, clan) = self.kin_and_clan(id);
        let has_room = self.addresses.has_room(&kin, &clan);
        if !has_room || !self.spend(id, Spend::Dial, now) {
            let outcome = Err(self.quota(id, "this site asks for too many addresses", now));
            return self.tell(id, ToFrame::Address { request, outcome });
        }
        self.addresses.ask((id, request), now);
        self.changed.addresses = true;
    }

    pub(super) fn on_certified(&mut self, id: FrameId, owner: Owner, outcome: Result<Certificate, String>) {
        if !self.addresses.is_certifying(owner, id) {
            return;
        }
        let unix_ms = self.clock.unix_ms();
        let kept =
            outcome.and_then(|certificate| self.addresses.made(owner, certificate, unix_ms).map_err(str::to_owned));
        match kept {
            Ok(kept) => self.act(Output::SaveCertificate(owner, kept)),
            Err(why) => {
                self.addresses.failed(owner, Some(why.clone()), self.clock.now, &mut self.rng);
                if let Owner::Persona(persona) = owner {
                    self.warn(Audience::Persona(persona), &format!("no address can be had: {why}"));
                }
                let failure = Failure::new(Code::Unsupported, why);
                for (asker, _) in self.addresses.asking(self.clock.now) {
                    if self.owner_of(asker) == Some(owner) {
                        self.answer_address(asker, Err(failure.clone()));
                    }
                }
            }
        }
        self.changed.addresses = true;
    }

    /// The server listens at one of our addresses.
    pub(super) fn on_listening(&mut self, token: Token) {
        if let Some(Owner::Persona(own)) = self.addresses.listens(token)
            && let Some(address) = self.door_of(own)
        {
            for link in self.links.table().ups_of(own).map(|(id, _, _, _)| id).collect::<Vec<_>>() {
                let address = address.clone();
                self.with_links(|links, around| links.tell_address(link, address, around));
            }
        }
        self.changed.addresses = true;
    }

    /// The last frame of a persona is gone.
    pub(super) fn stop_listening(&mut self, persona: PersonaId) {
        for token in self.addresses.leave(Owner::Persona(persona)) {
            if self.uplink.is_registered() {
                self.tell_server(persona, What::Must, ToServer::Unlisten(token));
            }
        }
    }

    /// Makes, publishes and tells addresses, as far as each can be by now.
    pub(super) fn drive_addresses(&mut self) {
        let now = self.clock.now;
        let is_late = self.addresses.deadline().is_some_and(|at| at <= now);
        if !std::mem::take(&mut self.changed.addresses) && !is_late {
            return;
        }
        let unix_ms = self.clock.unix_ms().unwrap_or_default();
        self.addresses.expire(unix_ms);
        self.addresses.give_up(now, &mut self.rng);
        if !self.addresses.proxies().is_empty() {
            for owner in self.wanted_owners(now) {
                self.provide(owner, unix_ms, now);
            }
        }
        self.publish_doors();
        for (asker, is_over) in self.addresses.asking(now) {
            if let Some(outcome) = self.address_for(asker, is_over) {
                self.answer_address(asker, outcome);
            }
        }
    }

    /// The server tells the doors of personas that serve something, and of no others.
    fn publish_doors(&mut self) {
        if !self.uplink.is_registered() {
            return;
        }
        let mut serving = self.serving();
        serving.retain(|own| self.addresses.has_address(Owner::Persona(*own)));
        let published = self.addresses.published();
        let changed: Set<PersonaId> =
            published.difference(&serving).chain(serving.difference(published)).copied().collect();
        for key in changed {
            if !self.may_say(key, What::News) {
                // It is told when less was told lately.
                self.changed.addresses = true;
                continue;
            }
            let serves = serving.contains(&key);
            let published = self.addresses.published();
            if serves {
                published.insert(key)
            } else {
                published.remove(&key)
            };
            let door = self.door_of(key).filter(|_| serves).map(Box::new);
            self.send(ToServer::Door { key, door });
        }
    }

    /// Personas whose pages serve something.
    fn serving(&self) -> Set<PersonaId> {
        let serving = self.frames.iter().filter(|(_, frame)| !frame.serves.is_empty());
        serving.map(|(_, frame)| frame.persona()).collect()
    }

    /// Personas that are here and have addresses, ask for one, have peers to tell one, or are to have a door: they serve something, or somebody
    /// knocked.
    fn wanted_owners(&self, now: Instant) -> Set<Owner> {
        let asking = self.addresses.asking(now).into_iter().filter_map(|(asker, _)| self.owner_of(asker));
        let serving = self.serving().into_iter().map(Owner::Persona);
        let linked = self.links.table().ups().map(|(_, pair, _, _)| Owner::Persona(pair.own));
        let owners = self.addresses.owners().into_iter().chain(self.addresses.knocked());
        let is_here = |owner: &Owner| match owner {
            Owner::Node(_) => false,
            Owner::Persona(persona) => self.frames.has_persona(*persona),
        };
        owners.chain(serving).chain(asking).chain(linked).filter(is_here).collect()
    }

    /// The next step to an address: a certificate that lasts, and the server's ear. A page that is frozen is asked once it runs again.
    fn provide(&mut self, owner: Owner, unix_ms: u64, now: Instant) {
        if let Owner::Persona(own) = owner
            && self.addresses.needs_certificate(owner, unix_ms)
            && let Some(frame) = self.links.keeper(own, &self.frames).filter(|frame| self.frames.is_usable(*frame))
        {
            self.addresses.certify(owner, frame, now);
            self.tell(frame, ToFrame::Certify { owner });
        }
        for fingerprint in self.addresses.ask_listening(owner) {
            self.listen(owner, fingerprint);
        }
    }

    fn listen(&mut self, owner: Owner, fingerprint: Fingerprint) {
        let Some(challenge) = self.uplink.registered_by() else { return };
        let text = listen_text(&challenge.nonce, &challenge.server, Token::of(owner, &fingerprint));
        if let (Some(signature), Owner::Persona(own)) = (self.sign_as(owner, &text), owner) {
            self.tell_server(own, What::Must, ToServer::Listen { owner, fingerprint, signature });
        }
    }

    fn sign_as(&self, owner: Owner, text: &[u8]) -> Option<Signature> {
        match owner {
            Owner::Node(_) => None,
            Owner::Persona(persona) => self.frames.secret(persona).map(|secret| secret.sign(text)),
        }
    }

    fn owner_of(&self, (frame, _): Asker) -> Option<Owner> {
        self.frames.frame(frame).map(|frame| Owner::Persona(frame.persona()))
    }

    /// The answer to a request, if there is one by now.
    fn address_for(&self, asker: Asker, is_over: bool) -> Option<Result<String, Failure>> {
        let frame = self.frames.frame(asker.0)?;
        let owner = Owner::Persona(frame.persona());
        if let Some(address) = self.addresses.address(owner, Some(frame.secret.grant()), |text| frame.secret.sign(text))
        {
            return Some(Ok(address.to_string()));
        }
        let (code, text) = if self.seeds.servers() == 0 {
            (Code::Unsupported, "no server is known to be reached at: the node's seeds name none".to_owned())
        } else if self.uplink.is_registered() && self.addresses.proxies().is_empty() {
            let url = self.uplink.url().unwrap_or("the node's server");
            (Code::Unsupported, format!("{url} doesn't forward, so there is no address to be reached at"))
        } else if let Some(why) = self.addresses.trouble(owner) {
            (Code::Unsupported, why.to_owned())
        } else if is_over {
            (Code::Timeout, "no server that this node could be reached at answered in time".to_owned())
        } else {
            return None;
        };
        Some(Err(Failure::new(code, text)))
    }

    fn answer_address(&mut self, asker: Asker, outcome: Result<String, Failure>) {
        let (frame, request) = asker;
        self.addresses.answered(asker);
        self.tell(frame, ToFrame::Address { request, outcome });
    }

    /// Where anybody may dial a persona, over the server.
    fn door_of(&self, own: PersonaId) -> Option<Address> {
        let secret = self.frames.secret(own)?;
        self.addresses.address(Owner::Persona(own), None, |text| secret.sign(text))
    }

    /// A peer wants to know where a persona's door is. If there is none, one is made, and the peer asks again.
    pub(super) fn on_knock(&mut self, pair: Pair, way: Way) {
        if !self.frames.has_persona(pair.own) {
            return;
        }
        match self.door_of(pair.own) {
            Some(door) => self.with_links(|links, around| links.tell_door(pair, door, way, around)),
            None => self.changed.addresses |= self.addresses.knock(Owner::Persona(pair.own)),
        }
    }

    /// A peer learns where our persona can be dialled when no link to it is left.
    pub(super) fn tell_own_address(&mut self, link: LinkId, own: PersonaId) {
        match self.door_of(own) {
            Some(address) => self.with_links(|links, around| links.tell_address(link, address, around)),
            None => self.changed.addresses = true,
        }
    }
}
