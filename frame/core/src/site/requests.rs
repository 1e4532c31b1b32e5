//! What the site asked and what has become of it.

use bitters_machine::time::Instant;
use bitters_session::{CallKey, StreamKey};
use bitters_wire::{
    address::{Address, BadAddress, Owner},
    data::Data,
    failure::{Code, Executed, Failure},
    id::{PersonaId, Tag, TopicId},
    limits::{MAX_SERVED_PER_FRAME, MAX_SERVICE_JSON},
    local::{ServiceReply, ToLeader},
    name::Name,
    packet::Service,
    rpc::{Ask, FIRST_FRAME_ID, Outcome, Request, Tell},
    status::Status,
    topic::{MessageName, TopicKey},
};

use super::{Output, Site, acceptance::Accepts, patience::Said};

/// Characters of a persona's id. The shortest address has more.
const PERSONA_CHARS: usize = 52;

/// A request that isn't over.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// A call of a peer's method, from when on.
    Call(CallState),
    /// An address for the site's persona.
    Address,
    /// A dial for its own sake, at an address if the site gave one.
    Dial(PersonaId, Option<Box<Address>>),
    /// A peer that is hung up on.
    HangUp(PersonaId),
    /// A call that came in; and from whom, if that peer is accepted once it is answered.
    Incoming(CallKey, Option<PersonaId>),
    /// A subscription to a topic.
    Join(TopicId),
    /// A message on its way into a topic.
    Publish { topic: TopicId, message: MessageName, body: Vec<u8> },
    /// Something served: a protocol or a method. Whether peers that use it are accepted.
    Serve { service: Service, direct: bool },
    /// A call of a node author's API.
    Service,
    /// One status.
    Status,
    /// A stream.
    Stream(StreamState),
    /// One node for all sites.
    Unify,
    /// Statuses.
    Watch,
}

#[derive(Clone, Debug)]
pub(super) enum CallState {
    /// The peer is being dialled.
    Dialling { peer: PersonaId, method: Name, data: Data, deadline: Instant },
    /// The session has it.
    Made(CallKey, PersonaId),
}

#[derive(Clone, Debug)]
pub(super) enum StreamState {
    /// The peer is being dialled; credit that the site gave meanwhile.
    Dialling { peer: PersonaId, service: Service, credit: u64 },
    /// The session has it; how many bytes the site may write in all and has written, which directions are over, and when its peer is accepted.
    Made { stream: StreamKey, credit: u64, written: u64, sent: bool, received: bool, accepts: Accepts },
}

impl Pending {
    /// What this serves.
    pub(super) const fn service(&self) -> Option<&Service> {
        if let Self::Serve { service, .. } = self { Some(service) } else { None }
    }
}

impl Site {
    pub(super) fn on_ask(&mut self, Request { id, ask }: Request, now: Instant) {
        let said = Said::from(&ask);
        let refusal = match ask {
            _ if self.persona.is_none() => Failure::new(Code::Closed, "the site hasn't been welcomed"),
            Ask::Cancel
            | Ask::Credit { .. }
            | Ask::Finish
            | Ask::Reply { .. }
            | Ask::Reset { .. }
            | Ask::Stop
            | Ask::Write { .. } => {
                if !self.on_about(id, ask) {
                    self.bear(said, now);
                }
                return;
            }
            _ if self.requests.contains_key(&id) || id == 0 || id >= FIRST_FRAME_ID => {
                bad(format!("{id} is no new request's number"))
            }
            _ if !self.affords(said, now) => Failure::new(Code::Quota, "this site asks too much of the node"),
            _ if self.too_many() => Failure::new(Code::Quota, "too many requests wait for an answer"),
            ask => {
                if let Err(failure) = self.on_new(id, ask, now) {
                    self.fail(id, failure);
                }
                return;
            }
        };
        self.fail(id, refusal);
        self.bear(said, now);
    }

    /// Frames of all sites share one process: what a site asks too often goes no further.
    fn affords(&mut self, said: Said, now: Instant) -> bool {
        let kib = u32::try_from(said.bytes / 1024).unwrap_or(u32::MAX);
        self.asks.take(now) && self.data.take_many(kib, now)
    }

    /// What the site said came to nothing. Too much of that, and it is heard no longer.
    pub(super) fn bear(&mut self, said: Said, now: Instant) {
        if !self.patience.bears(said, now) {
            self.shut_out(Failure::new(Code::Quota, "this page floods the node"));
        }
    }

    fn on_new(&mut self, id: u32, ask: Ask, now: Instant) -> Result<(), Failure> {
        match ask {
            Ask::Address => {
                self.requests.insert(id, Pending::Address);
                self.send(ToLeader::Address { request: id });
                Ok(())
            }
            Ask::Answer { method, direct } => self.serve(id, Service::Method(name(&method)?), direct),
            Ask::Call { peer, method, data, timeout, .. } => {
                let timeout = std::time::Duration::from_millis(timeout.into());
                self.ask_call(id, persona(&peer)?, name(&method)?, data, timeout, now)
            }
            Ask::Dial { to } => {
                let (peer, address) = somewhere(&to)?;
                self.wait_for(id, Pending::Dial(peer, address.map(Box::new)));
                Ok(())
            }
            Ask::HangUp { peer } => {
                let peer = persona(&peer)?;
                self.part_from(peer);
                self.requests.insert(id, Pending::HangUp(peer));
                self.send(ToLeader::HangUp { request: id, peer });
                Ok(())
            }
            Ask::Join { name: topic } => self.join(id, TopicKey::of(&name(&topic)?)),
            Ask::JoinSecret { name: topic, secret } => {
                let secret = secret.bytes().filter(|secret| !secret.is_empty());
                let secret = secret.ok_or_else(|| bad("a topic's secret is a text or bytes, and not empty"))?;
                self.join(id, TopicKey::with_secret(&name(&topic)?, secret))
            }
            Ask::Open { peer, protocol } => {
                self.ask_open(id, persona(&peer)?, Service::Protocol(name(&protocol)?), now);
                Ok(())
            }
            Ask::Publish { topic, data } => self.publish(id, topic, &data),
            Ask::Serve { protocol, direct } => self.serve(id, Service::Protocol(name(&protocol)?), direct),
            Ask::Service { name: service, method, args } => {
                let (name, method) = (name(&service)?, name(&method)?);
                if args.len() > MAX_SERVICE_JSON {
                    let text = format!("{name}.{method}: the arguments are {} bytes of JSON", args.len());
                    return Err(Failure::new(Code::TooLarge, text).executed(Executed::No));
                }
                self.requests.insert(id, Pending::Service);
                self.send_or_lose(id, ToLeader::Service { request: id, name, method, args });
                Ok(())
            }
            Ask::Presence { topic, value } => self.show(id, topic, value),
            Ask::Status => {
                self.requests.insert(id, Pending::Status);
                self.send(ToLeader::Status);
                Ok(())
            }
            Ask::Unify => self.on_unify(id),
            Ask::Watch => {
                self.requests.insert(id, Pending::Watch);
                self.tell(id, Tell::Done);
                self.send(ToLeader::Watch(true));
                Ok(())
            }
            _ => Err(bad("not a request of its own")),
        }
    }

    /// What is said about a request, a stream or a call that exists; about one that is over it is ignored. Whether it came to
    /// something.
    fn on_about(&mut self, id: u32, ask: Ask) -> bool {
        match (self.requests.get(&id), ask) {
            (Some(Pending::Incoming(call, from)), ask @ (Ask::Cancel | Ask::Reply { .. })) => {
                let (call, from) = (*call, *from);
                self.requests.remove(&id);
                self.call_ids.remove(&call);
                if matches!(ask, Ask::Reply { outcome: Outcome::Ok(_) }) {
                    from.into_iter().for_each(|peer| self.accept(peer));
                }
                match (&mut self.persona, ask) {
                    (Some(persona), Ask::Reply { outcome }) => persona.endpoint.reply(call, outcome),
                    (Some(persona), _) => persona.endpoint.decline(call),
                    (None, _) => {}
                }
                true
            }
            (Some(_), Ask::Cancel) => self.cancel(id),
            (Some(Pending::Stream(_)), ask) => self.on_stream_ask(id, ask),
            _ => false,
        }
    }

    pub(super) fn cancel(&mut self, id: u32) -> bool {
        let Some(pending) = self.requests.remove(&id) else { return false };
        match pending {
            Pending::Call(CallState::Made(call, _)) => {
                self.call_ids.remove(&call);
                if let Some(persona) = &mut self.persona {
                    persona.endpoint.cancel_call(call);
                }
            }
            Pending::Incoming(..) | Pending::Stream(_) => {
                // Not cancelled but declined, or reset.
                self.requests.insert(id, pending);
                return false;
            }
            Pending::Join(topic) => self.leave(id, topic),
            Pending::Serve { service, .. } => self.unserve(&service),
            Pending::Service => self.send(ToLeader::ServiceCancel { request: id }),
            Pending::Watch => {
                let watching = self.watching();
                self.send(ToLeader::Watch(watching));
            }
            Pending::Unify => self.on_unify_cancelled(),
            Pending::Address
            | Pending::Call(CallState::Dialling { .. })
            | Pending::Dial(..)
            | Pending::HangUp(_)
            | Pending::Publish { .. }
            | Pending::Status => {}
        }
        self.tell(id, Tell::End);
        true
    }

    pub(super) fn on_asked(&mut self, id: u32, outcome: &Result<(), Failure>, now: Instant) {
        for id in self.dial_ended(id, outcome, now) {
            self.on_answer(id, outcome.clone(), now);
        }
    }

    pub(super) fn on_answer(&mut self, id: u32, outcome: Result<(), Failure>, now: Instant) {
        let Some(pending) = self.requests.get(&id).cloned() else { return };
        match (pending, outcome) {
            (Pending::Call(CallState::Dialling { peer, method, data, deadline }), Ok(())) => {
                self.reachable.insert(peer);
                self.make_call(id, peer, method, data, deadline, now);
            }
            (Pending::Dial(peer, _), Ok(())) => {
                self.reachable.insert(peer);
                self.requests.remove(&id);
                self.tell(id, Tell::Peer(peer.to_string()));
            }
            (Pending::Join(topic), Ok(())) => self.on_joined(id, topic),
            (Pending::HangUp(_) | Pending::Publish { .. }, Ok(())) => {
                self.requests.remove(&id);
                self.tell(id, Tell::Done);
            }
            (Pending::Stream(StreamState::Dialling { peer, service, credit }), Ok(())) => {
                self.reachable.insert(peer);
                self.make_stream(id, peer, service, credit, now);
            }
            (Pending::Publish { topic, message, .. }, Err(failure)) => {
                self.unsay(topic, message);
                self.requests.remove(&id);
                self.fail(id, failure);
            }
            (Pending::Join(topic), Err(failure)) => {
                self.forget_subscription(id, topic);
                self.requests.remove(&id);
                self.fail(id, failure);
            }
            (Pending::Call(CallState::Dialling { .. }), Err(failure)) => {
                self.requests.remove(&id);
                self.fail(id, failure.executed(Executed::No));
            }
            (Pending::Dial(..) | Pending::HangUp(_) | Pending::Stream(StreamState::Dialling { .. }), Err(failure)) => {
                self.requests.remove(&id);
                self.fail(id, failure);
            }
            _ => {}
        }
    }

    pub(super) fn on_address(&mut self, id: u32, outcome: Result<String, Failure>) {
        if !matches!(self.requests.get(&id), Some(Pending::Address)) {
            return;
        }
        self.requests.remove(&id);
        match outcome {
            Ok(address) => self.tell(id, Tell::Address(address)),
            Err(failure) => self.fail(id, failure),
        }
    }

    fn serve(&mut self, id: u32, service: Service, direct: Option<bool>) -> Result<(), Failure> {
        let served = self.requests.values().filter_map(Pending::service);
        if served.clone().any(|other| *other == service) {
            return Err(bad(format!("'{}' is served already", service.name())));
        }
        if served.count() >= MAX_SERVED_PER_FRAME {
            return Err(Failure::new(Code::Quota, format!("a site serves at most {MAX_SERVED_PER_FRAME} names")));
        }
        if let Some(persona) = &mut self.persona {
            persona.endpoint.serve(service.clone());
        }
        self.send(ToLeader::Serve(service.tag()));
        self.requests.insert(id, Pending::Serve { service, direct: direct.unwrap_or(true) });
        self.tell(id, Tell::Done);
        Ok(())
    }

    fn unserve(&mut self, service: &Service) {
        if let Some(persona) = &mut self.persona {
            persona.endpoint.unserve(service);
        }
        self.send(ToLeader::Unserve(service.tag()));
    }

    pub(super) fn served(&self) -> Vec<Tag> {
        self.requests.values().filter_map(Pending::service).map(Service::tag).collect()
    }

    /// The number of the request that serves this.
    pub(super) fn server_of(&self, service: &Service) -> Option<u32> {
        self.requests.iter().find(|(_, pending)| pending.service() == Some(service)).map(|(id, _)| *id)
    }

    pub(super) fn watching(&self) -> bool {
        self.config.watching || self.requests.values().any(|pending| matches!(pending, Pending::Watch))
    }

    pub(super) fn on_status(&mut self, status: &Status) {
        if self.config.watching {
            self.outbox.push_back(Output::Status(status.clone()));
        }
        let wanting: Vec<_> = (self.requests.iter())
            .filter(|(_, pending)| matches!(pending, Pending::Status | Pending::Watch))
            .map(|(id, pending)| (*id, matches!(pending, Pending::Status)))
            .collect();
        for (id, once) in wanting {
            if once {
                self.requests.remove(&id);
            }
            self.tell(id, Tell::Status(status.clone()));
        }
    }

    pub(super) fn on_service(&mut self, id: u32, reply: ServiceReply) {
        let Some(Pending::Service) = self.requests.get(&id) else { return };
        let tell = match reply {
            ServiceReply::End => Tell::End,
            ServiceReply::Failed(failure) => Tell::Failed(failure),
            ServiceReply::Next(text) => return self.tell(id, Tell::Next(text)),
            ServiceReply::Value(text) => Tell::Value(text),
        };
        self.requests.remove(&id);
        self.tell(id, tell);
    }

    /// A call of a service runs once at most: without a leader it isn't kept.
    fn send_or_lose(&mut self, id: u32, message: ToLeader) {
        if self.welcomed {
            return self.send(message);
        }
        self.requests.remove(&id);
        let failure = Failure::new(Code::LeaderLost, "the node's leader is being replaced");
        self.fail(id, failure.executed(Executed::No));
    }

    /// The site has another persona: what the one before was saying isn't said again by this one, or peers would know that the two are one.
    pub(super) fn fail_what_is_being_said(&mut self) {
        let is_being_said = |(id, pending): (&u32, &Pending)| matches!(pending, Pending::Publish { .. }).then_some(*id);
        for id in self.requests.iter().filter_map(is_being_said).collect::<Vec<_>>() {
            self.requests.remove(&id);
            self.fail(id, Failure::new(Code::LeaderLost, "the site's id changed while this was being said"));
        }
    }

    /// A leader took us in: what an earlier one may not have heard is asked again, under the same numbers.
    pub(super) fn ask_again(&mut self) {
        let mut lost = Vec::new();
        let mut again = self.dials_again();
        for (id, pending) in &self.requests {
            let request = *id;
            match pending {
                Pending::Address => again.push(ToLeader::Address { request }),
                Pending::HangUp(peer) => again.push(ToLeader::HangUp { request, peer: *peer }),
                Pending::Join(topic) if !self.is_joined(*topic, request) => {
                    again.extend(self.joining(request, *topic));
                }
                Pending::Publish { topic, message, body } => {
                    let (topic, name, body) = (*topic, *message, body.clone());
                    again.push(ToLeader::Publish { request, topic, name, body });
                }
                Pending::Service => lost.push(request),
                Pending::Status => again.push(ToLeader::Status),
                Pending::Call(_)
                | Pending::Dial(..)
                | Pending::Incoming(..)
                | Pending::Join(_)
                | Pending::Serve { .. }
                | Pending::Stream(_)
                | Pending::Unify
                | Pending::Watch => {}
            }
        }
        again.extend(self.accepted.again(self.now));
        again.into_iter().for_each(|message| self.send(message));
        self.tell_all_showing();
        for id in lost {
            self.requests.remove(&id);
            let failure = Failure::new(Code::LeaderLost, "the node's leader was replaced");
            self.fail(id, failure.executed(Executed::Unknown));
        }
    }
}

pub(super) fn bad(message: impl Into<String>) -> Failure {
    Failure::new(Code::BadArgument, message)
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::try_from(text).map_err(|error| bad(error.to_string()))
}

/// A persona, by its id or at an address of its own.
fn somewhere(text: &str) -> Result<(PersonaId, Option<Address>), Failure> {
    if text.len() == PERSONA_CHARS {
        return persona(text).map(|peer| (peer, None));
    }
    if text.len() < PERSONA_CHARS {
        return Err(bad("neither a persona's id nor an address"));
    }
    let address: Address = text.parse().map_err(|error: BadAddress| bad(error.to_string()))?;
    match address.owner() {
        Owner::Persona(peer) => Ok((peer, Some(address))),
        Owner::Node(_) => Err(bad("the address is a node's, not a persona's")),
    }
}

fn persona(text: &str) -> Result<PersonaId, Failure> {
    let id: PersonaId = text.parse().map_err(|error| bad(format!("{error}")))?;
    id.noise_key().map_err(|_| bad("the id is no Ed25519 key"))?;
    Ok(id)
}
