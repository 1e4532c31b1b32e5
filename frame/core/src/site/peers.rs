//! Calls and streams with peers: between the site's requests and the sessions.

use std::time::Duration;

use bitters_machine::{Machine, time::Instant};
use bitters_session::{Endpoint, OpenError, Output as Said};
use bitters_wire::{
    data::Data,
    failure::{Code, Executed, Failure},
    id::PersonaId,
    local::ToLeader,
    name::Name,
    packet::Service,
    rpc::{Outcome, Tell},
};

use super::{
    Site,
    acceptance::Accepts,
    requests::{CallState, Pending, StreamState, bad},
};

impl Site {
    pub(super) fn ask_call(
        &mut self,
        id: u32,
        peer: PersonaId,
        method: Name,
        data: Data,
        timeout: Duration,
        now: Instant,
    ) -> Result<(), Failure> {
        if !data.fits() {
            return Err(Failure::new(Code::TooLarge, "a call's argument has at most 256 KiB").executed(Executed::No));
        }
        let deadline = now + timeout;
        if self.is_reached(peer) {
            self.make_call(id, peer, method, data, deadline, now);
        } else {
            self.wait_for(id, Pending::Call(CallState::Dialling { peer, method, data, deadline }));
        }
        Ok(())
    }

    pub(super) fn make_call(
        &mut self,
        id: u32,
        peer: PersonaId,
        method: Name,
        data: Data,
        deadline: Instant,
        now: Instant,
    ) {
        self.requests.remove(&id);
        let Some(persona) = &mut self.persona else { return };
        let timeout = deadline.since(now);
        match persona.endpoint.call(peer, method, data, timeout, now) {
            Ok(call) => {
                self.call_ids.insert(call, id);
                self.requests.insert(id, Pending::Call(CallState::Made(call, peer)));
            }
            Err(error) => self.fail(id, open_failure(error).executed(Executed::No)),
        }
    }

    /// Calls that no session has yet, because their peer is being dialled, and until when they wait.
    pub(super) fn call_deadlines(&self) -> impl Iterator<Item = (u32, Instant)> {
        self.requests.iter().filter_map(|(id, pending)| match pending {
            Pending::Call(CallState::Dialling { deadline, .. }) => Some((*id, *deadline)),
            _ => None,
        })
    }

    /// However long a leader takes to answer, a call is over at its deadline.
    pub(super) fn end_late_calls(&mut self, now: Instant) {
        let late: Vec<u32> = self.call_deadlines().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
        for id in late {
            self.requests.remove(&id);
            let failure = Failure::new(Code::Timeout, "the peer wasn't reached in time");
            self.fail(id, failure.executed(Executed::No));
        }
    }

    pub(super) fn ask_open(&mut self, id: u32, peer: PersonaId, service: Service, now: Instant) {
        if self.is_reached(peer) {
            self.make_stream(id, peer, service, 0, now);
        } else {
            self.wait_for(id, Pending::Stream(StreamState::Dialling { peer, service, credit: 0 }));
        }
    }

    pub(super) fn make_stream(&mut self, id: u32, peer: PersonaId, service: Service, credit: u64, now: Instant) {
        self.requests.remove(&id);
        let Some(persona) = &mut self.persona else { return };
        match persona.endpoint.open(peer, service, now) {
            Ok(stream) => {
                persona.endpoint.credit(stream, credit);
                self.stream_ids.insert(stream, id);
                self.requests.insert(id, Pending::Stream(StreamState::made(stream, Accepts::OnceOpened(peer))));
            }
            Err(error) => self.fail(id, open_failure(error)),
        }
    }

    pub(super) fn endpoint_input(&mut self, input: bitters_session::Input, now: Instant) {
        if let Some(persona) = &mut self.persona {
            persona.endpoint.handle_input(input, now);
        }
    }

    /// The site wants nothing more of a peer.
    pub(super) fn part_from(&mut self, peer: PersonaId) {
        self.reachable.remove(&peer);
        if let Some(endpoint) = self.endpoint() {
            endpoint.hang_up(peer);
        }
    }

    /// Tells on what the sessions said.
    pub(super) fn drain_endpoint(&mut self) {
        while let Some(said) = self.endpoint().and_then(Machine::poll_output) {
            self.on_said(said);
        }
    }

    fn on_said(&mut self, said: Said) {
        match said {
            Said::Packet(packet) => self.send(ToLeader::Packet(packet)),
            Said::CallCancelled(call) => {
                if let Some(id) = self.call_ids.remove(&call) {
                    self.requests.remove(&id);
                    self.tell(id, Tell::Cancelled);
                }
            }
            Said::CallDone { call, outcome } => {
                let Some(id) = self.call_ids.remove(&call) else { return };
                let pending = self.requests.remove(&id);
                match outcome {
                    Ok(data) => {
                        self.tell(id, Tell::Reply(data));
                        if let Some(Pending::Call(CallState::Made(_, peer))) = pending {
                            self.accept(peer);
                        }
                    }
                    Err(failure) => {
                        self.doubt(&failure);
                        self.fail(id, failure);
                    }
                }
            }
            Said::IncomingCall { call, from, method, data } => {
                let service = Service::Method(method);
                let Some(server) = self.server_of(&service) else {
                    // Given up while the call was on its way here.
                    self.endpoint().expect("it spoke").reply(call, Outcome::Err("not answered any longer".into()));
                    return;
                };
                let id = self.next_id();
                self.call_ids.insert(call, id);
                let accepts = self.accepts_by(&service).then_some(from);
                self.requests.insert(id, Pending::Incoming(call, accepts));
                self.tell(server, Tell::IncomingCall { call: id, from: from.to_string(), data });
            }
            Said::IncomingStream { stream, peer, protocol } => {
                let service = Service::Protocol(protocol);
                let Some(server) = self.server_of(&service) else {
                    self.endpoint().expect("it spoke").reset(stream, "not served any longer");
                    return;
                };
                let id = self.next_id();
                self.stream_ids.insert(stream, id);
                let accepts = if self.accepts_by(&service) { Accepts::OnceUsed(peer) } else { Accepts::Never };
                self.requests.insert(id, Pending::Stream(StreamState::made(stream, accepts)));
                self.tell(server, Tell::IncomingStream { stream: id, peer: peer.to_string() });
            }
            said => self.on_stream_said(said),
        }
    }

    /// Whether there was a way to a peer when we asked last, and a session has kept it since.
    fn is_reached(&self, peer: PersonaId) -> bool {
        let talks = self.persona.as_ref().is_some_and(|persona| persona.endpoint.talks_with(peer));
        talks && self.reachable.contains(&peer)
    }

    /// A peer that can't be reached is dialled again before it is used again.
    pub(super) fn doubt(&mut self, failure: &Failure) {
        if matches!(failure.code, Code::PeerUnreachable | Code::Timeout) {
            self.reachable.clear();
        }
    }

    /// The persona changed, and its sessions ended with it.
    pub(super) fn end_sessions(&mut self) {
        self.reachable.clear();
        self.accepted.clear();
        let over = Failure::new(Code::Closed, "the site's id changed");
        let streams = std::mem::take(&mut self.stream_ids).into_values();
        let calls = std::mem::take(&mut self.call_ids).into_values();
        for id in streams.chain(calls).collect::<Vec<_>>() {
            let failure = match self.requests.remove(&id) {
                Some(Pending::Call(_)) => over.clone().executed(Executed::Unknown),
                Some(Pending::Incoming(..)) => {
                    self.tell(id, Tell::Cancelled);
                    continue;
                }
                _ => over.clone(),
            };
            self.fail(id, failure);
        }
    }

    pub(super) fn endpoint(&mut self) -> Option<&mut Endpoint> {
        self.persona.as_mut().map(|persona| &mut persona.endpoint)
    }

    /// Numbers wrap after 2³¹ incoming streams and calls, long after the first are over.
    fn next_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = self.next_id.checked_add(1).unwrap_or(bitters_wire::rpc::FIRST_FRAME_ID);
        id
    }
}

fn open_failure(error: OpenError) -> Failure {
    match error {
        OpenError::BadPeer => bad("the id is no Ed25519 key"),
        OpenError::Quota => Failure::new(Code::Quota, error.to_string()),
        OpenError::TooLarge => Failure::new(Code::TooLarge, error.to_string()),
    }
}
