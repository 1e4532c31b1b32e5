//! All sessions of one frame: which packet is for which, and who may have how many.

use std::time::Duration;

use bitters_machine::{
    Machine,
    map::{Map, Set},
    random::Random,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::{
    codec,
    data::Data,
    failure::{Code, Executed, Failure},
    id::{FrameId, PersonaId, SessionId, Tag},
    limits::MAX_SESSIONS,
    name::Name,
    packet::{Body, Packet, Refusal, Service},
    rpc::Outcome,
};
use zeroize::Zeroizing;

use crate::{
    Config, Input, OpenError, Output, WriteError,
    context::{Context, Place, Role, SessionKey},
    keys::{CallKey, StreamKey},
    message::{Reason, clip},
    noise::{self, Binding},
    over::Over,
    pipe,
    session::Session,
    shares::Handshakes,
    talk::Talk,
};

/// All sessions of one frame.
pub struct Endpoint {
    secret: Zeroizing<[u8; 32]>,
    random: Random,
    sessions: Map<SessionKey, Session>,
    ctx: Context,
    handshakes: Handshakes,
    refusals: Bucket,
}

/// What the site does.
impl Endpoint {
    /// An endpoint without sessions.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a secret is not for keeping beside")]
    pub fn new(config: Config) -> Self {
        Self {
            secret: Zeroizing::new(config.persona.noise_secret()),
            random: Random::new(config.seed),
            sessions: Map::new(),
            ctx: Context::new(config.persona.id(), config.frame),
            handshakes: Handshakes::new(),
            refusals: Bucket::new(REFUSALS, Instant::START),
        }
    }

    /// Takes streams or calls of this service from now on.
    pub fn serve(&mut self, service: Service) {
        self.ctx.served.insert(service);
    }

    /// Takes no more; what is open goes on.
    pub fn unserve(&mut self, service: &Service) {
        self.ctx.served.remove(service);
    }

    /// Opens a stream. [`Output::Opened`] follows, or [`Output::Reset`].
    ///
    /// # Errors
    /// [`OpenError`] if nothing was opened.
    pub fn open(&mut self, peer: PersonaId, service: Service, now: Instant) -> Result<StreamKey, OpenError> {
        self.begin(peer, service.tag(), now, |talk, ctx| talk.open(service, ctx))
    }

    /// The local reader has room up to this total offset. Never lowers what was said before; beyond
    /// [`STREAM_WINDOW`](bitters_wire::limits::STREAM_WINDOW) after what was delivered it counts as that.
    pub fn credit(&mut self, stream: StreamKey, limit: u64) {
        self.on_stream(stream, |talk, stream, _| talk.credit(stream, limit));
    }

    /// Sends bytes, within the credit that [`Output::Credit`] told.
    ///
    /// # Errors
    /// [`WriteError`] if the bytes weren't taken.
    pub fn write(&mut self, stream: StreamKey, bytes: &[u8]) -> Result<(), WriteError> {
        self.on_stream(stream, |talk, stream, _| talk.write(stream, bytes)).unwrap_or(Err(WriteError::Closed))
    }

    /// No more bytes follow in this side's direction.
    pub fn finish(&mut self, stream: StreamKey) {
        self.on_stream(stream, |talk, stream, _| talk.finish(stream));
    }

    /// Bytes of the peer are wanted no longer. This side's direction goes on.
    pub fn stop(&mut self, stream: StreamKey) {
        self.on_stream(stream, |talk, stream, _| talk.stop(stream));
    }

    /// Gives the stream up, both ways. The peer's site gets the reason (its first 512 bytes).
    pub fn reset(&mut self, stream: StreamKey, reason: &str) {
        let reason = Reason::Aborted(clip(reason).to_owned());
        self.on_stream(stream, |talk, stream, ctx| talk.give_up(stream, reason, ctx));
    }

    /// Calls a method. [`Output::CallDone`] follows within `timeout`.
    ///
    /// # Errors
    /// [`OpenError`] if nothing was sent.
    #[expect(clippy::needless_pass_by_value, reason = "what is sent is the callee's")]
    pub fn call(
        &mut self,
        peer: PersonaId,
        method: Name,
        data: Data,
        timeout: Duration,
        now: Instant,
    ) -> Result<CallKey, OpenError> {
        if !data.fits() {
            return Err(OpenError::TooLarge);
        }
        let (method, request) = (Service::Method(method), codec::encode(&data));
        self.begin(peer, method.tag(), now, |talk, ctx| talk.call(method, &request, now + timeout, ctx))
    }

    /// The caller doesn't wait any longer: the call is done, as `Aborted`.
    pub fn cancel_call(&mut self, call: CallKey) {
        self.abandon(call, Code::Aborted, "the call was cancelled");
    }

    /// The outcome of an [`Output::IncomingCall`]. Ignored when the call is over.
    pub fn reply(&mut self, call: CallKey, outcome: Outcome) {
        if let Some(Place { session, stream }) = self.place_of(call) {
            self.on_session(session, |session, ctx| session.act(ctx, |talk, ctx| talk.reply(stream, outcome, ctx)));
        }
    }

    /// Nobody is there to handle an [`Output::IncomingCall`], and no handler ran: it is for whoever serves the method now.
    pub fn decline(&mut self, call: CallKey) {
        if let Some(Place { session, stream }) = self.place_of(call) {
            self.on_session(session, |session, ctx| {
                session.act(ctx, |talk, ctx| talk.give_up(stream, Reason::NotServed, ctx));
            });
        }
    }

    /// Ends all sessions with a peer and what is open in them. The peer learns it from its leader ([`Input::HungUp`]).
    pub fn hang_up(&mut self, peer: PersonaId) {
        self.end_all_with(peer, Over::HungUp);
    }

    /// Ends all sessions and what is open in them; their peers are told.
    pub fn close(&mut self) {
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.on_session(key, |session, ctx| session.end(Over::ClosedByUs, ctx));
        }
    }
}

/// What happens outside.
impl Machine for Endpoint {
    type Input = Input;
    type Output = Output;

    /// Something happened, at the time `now`.
    fn handle_input(&mut self, input: Input, now: Instant) {
        self.ctx.now = self.ctx.now.max(now);
        match input {
            Input::FrameGone(peer, frame) => self.on_frame_gone(peer, frame),
            Input::HungUp(peer) => self.end_all_with(peer, Over::ClosedByPeer),
            Input::Packet(packet) => self.on_packet(packet),
            Input::PathRestored(peer) => self.on_path_restored(peer),
            Input::Timeout => self.on_timeout(),
            Input::Unreachable(peer, failure) => self.on_unreachable(peer, &failure),
        }
        self.reopen_strays();
    }

    /// What is to be done next; to be asked until there is nothing, after each call of another method.
    fn poll_output(&mut self) -> Option<Output> {
        self.ctx.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is due. Changes with every call of another method.
    fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = self.ctx.calls.values().filter_map(|call| call.deadline);
        self.sessions.values().filter_map(Session::poll_timeout).chain(deadlines).min()
    }
}

impl Endpoint {
    /// Those whom the sessions talk with.
    #[must_use]
    pub fn peers(&self) -> Set<PersonaId> {
        self.sessions.values().map(Session::peer).collect()
    }

    /// Whether a session talks with `peer`.
    #[must_use]
    pub fn talks_with(&self, peer: PersonaId) -> bool {
        self.sessions.values().any(|session| session.peer() == peer)
    }

    fn on_packet(&mut self, packet: Packet) {
        let ours = packet.to == self.ctx.persona && packet.to_frame.is_none_or(|frame| frame == self.ctx.frame);
        if !ours {
            return;
        }
        let id = packet.session;
        match &packet.body {
            Body::Open { tag, handshake } => {
                self.on_open((packet.from, packet.from_frame), id, *tag, handshake);
            }
            Body::Refused { .. } => {
                self.on_session((id, Role::Listener), |session, ctx| session.on_packet(packet.clone(), ctx));
                self.on_session((id, Role::Opener), |session, ctx| session.on_packet(packet, ctx));
            }
            Body::Accept { .. } => self.on_session_packet((id, Role::Opener), packet),
            Body::Sealed { counter, .. } => self.on_session_packet((id, pipe::receiver(*counter)), packet),
        }
    }

    fn on_session_packet(&mut self, key: SessionKey, packet: Packet) {
        // Not even for its other side, which a forged packet could otherwise have refused to its peer.
        let is_unknown = [Role::Listener, Role::Opener].iter().all(|role| !self.sessions.contains_key(&(key.0, *role)));
        if !is_unknown {
            self.on_session(key, |session, ctx| session.on_packet(packet, ctx));
        } else if self.refusals.take(self.ctx.now) {
            self.ctx.outbox.extend(packet.refuse(Refusal::UnknownSession).map(Output::Packet));
        }
    }

    fn on_open(&mut self, from: (PersonaId, FrameId), id: SessionId, tag: Tag, handshake: &[u8]) {
        let key = (id, Role::Listener);
        if let Some(session) = self.sessions.get_mut(&key) {
            session.accept_again(from, &mut self.ctx);
            return;
        }
        let Ok(opener_key) = from.0.noise_key() else { return };
        if !self.handshakes.take(from.0, self.ctx.now) {
            return;
        }
        let binding = Binding { opener: from.0, opener_frame: from.1, listener: self.ctx.persona, session: id, tag };
        let seed = self.draw();
        if let Some(noise) = noise::accept(&self.secret, &opener_key, &binding, handshake, seed)
            && self.make_room(from.0, Role::Listener)
        {
            let session = Session::accept(key, from, tag, noise, &mut self.ctx);
            self.sessions.insert(key, session);
        }
    }

    fn on_path_restored(&mut self, peer: PersonaId) {
        for key in self.sessions_with(peer) {
            self.on_session(key, Session::on_path_restored);
        }
    }

    fn on_frame_gone(&mut self, peer: PersonaId, frame: FrameId) {
        for key in self.sessions_with(peer) {
            self.on_session(key, |session, ctx| session.on_frame_gone(frame, ctx));
        }
    }

    fn on_unreachable(&mut self, peer: PersonaId, failure: &Failure) {
        for key in self.sessions_with(peer) {
            self.on_session(key, |session, ctx| session.fail_opening(failure, ctx));
        }
    }

    fn end_all_with(&mut self, peer: PersonaId, over: Over) {
        for key in self.sessions_with(peer) {
            self.on_session(key, |session, ctx| session.end(over, ctx));
        }
    }

    fn sessions_with(&self, peer: PersonaId) -> Vec<SessionKey> {
        self.sessions.iter().filter(|(_, session)| session.peer() == peer).map(|(key, _)| *key).collect()
    }

    fn on_timeout(&mut self) {
        let now = self.ctx.now;
        let late = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let calls: Vec<_> =
            self.ctx.calls.iter().filter(|(_, call)| late(call.deadline)).map(|(key, _)| *key).collect();
        for call in calls {
            self.abandon(call, Code::Timeout, "the call took too long");
        }
        let due: Vec<_> =
            self.sessions.iter().filter(|(_, session)| late(session.poll_timeout())).map(|(key, _)| *key).collect();
        for key in due {
            self.on_session(key, Session::on_timeout);
        }
    }
}

/// Sessions.
impl Endpoint {
    /// Does something in the session for this peer and tag, which is opened if there is none.
    fn begin<T, E>(
        &mut self,
        peer: PersonaId,
        tag: Tag,
        now: Instant,
        act: impl FnOnce(&mut Talk, &mut Context) -> Result<T, E>,
    ) -> Result<T, OpenError> {
        self.ctx.now = self.ctx.now.max(now);
        let key = self.session_for(peer, tag)?;
        let has_room = self.sessions.get(&key).is_some_and(Session::has_room);
        let begun = self.on_session(key, |session, ctx| has_room.then(|| session.act(ctx, act)));
        begun.flatten().and_then(Result::ok).ok_or(OpenError::Quota)
    }

    /// What one frame of a peer's didn't serve goes to whoever does now, as the peer's leader knows. Nothing is opened a third time, so
    /// no stray comes of this.
    fn reopen_strays(&mut self) {
        while let Some(stray) = self.ctx.strays.pop_front() {
            let (peer, tag, now) = (stray.peer, stray.tag(), self.ctx.now);
            let mut stray = Some(stray);
            let opened = self.begin(peer, tag, now, |talk, ctx| talk.reopen(&mut stray, ctx));
            if let (Err(_), Some(stray)) = (opened, stray) {
                let failure = Failure::new(Code::Quota, "too much is open with the peer").executed(Executed::No);
                stray.fail(failure, &mut self.ctx);
            }
        }
    }

    fn session_for(&mut self, peer: PersonaId, tag: Tag) -> Result<SessionKey, OpenError> {
        let known = |(key, session): (&SessionKey, &Session)| {
            let fits = key.1 == Role::Opener && session.peer() == peer && session.tag() == tag && session.is_served();
            fits.then_some(*key)
        };
        if let Some(key) = self.sessions.iter().find_map(known) {
            return Ok(key);
        }
        let peer_key = peer.noise_key().map_err(|_| OpenError::BadPeer)?;
        if !self.make_room(peer, Role::Opener) {
            return Err(OpenError::Quota);
        }
        let session = SessionId(FrameId::from_random(self.random.bytes()).0);
        let (opener, opener_frame) = (self.ctx.persona, self.ctx.frame);
        let binding = Binding { opener, opener_frame, listener: peer, session, tag };
        let seed = self.draw();
        let noise = noise::open(&self.secret, &peer_key, &binding, seed);
        let key = (session, Role::Opener);
        self.sessions.insert(key, Session::open(key, peer, tag, noise, &mut self.ctx));
        Ok(key)
    }

    /// Whether one more session fits, if need be by ending the one that has been quiet for longest. Either role has its own
    /// half, so that strangers can't keep this side's site from opening; and no stranger may have many. If none is quiet, the latest of
    /// the peer that has the most gives way to a peer that has fewer.
    fn make_room(&mut self, peer: PersonaId, role: Role) -> bool {
        let of_role = || self.sessions.iter().filter(|(key, _)| key.1 == role);
        let of_peer = || of_role().filter(|(_, session)| session.peer() == peer);
        let gives_way = if role == Role::Listener && of_peer().count() >= MAX_FROM_PEER {
            quietest(of_peer())
        } else if of_role().count() >= MAX_SESSIONS / 2 {
            let surplus = (role == Role::Listener).then(|| surplus(of_role(), of_peer().count())).flatten();
            quietest(of_role()).or(surplus)
        } else {
            return true;
        };
        gives_way.is_some_and(|key| self.on_session(key, |session, ctx| session.end(Over::Idle, ctx)).is_some())
    }

    fn on_session<T>(&mut self, key: SessionKey, act: impl FnOnce(&mut Session, &mut Context) -> T) -> Option<T> {
        let session = self.sessions.get_mut(&key)?;
        let done = act(session, &mut self.ctx);
        if session.is_over()
            && let Some(session) = self.sessions.remove(&key)
        {
            session.bury(&mut self.ctx);
        }
        Some(done)
    }

    fn on_stream<T>(&mut self, stream: StreamKey, act: impl FnOnce(&mut Talk, u64, &mut Context) -> T) -> Option<T> {
        let Place { session, stream } = *self.ctx.streams.get(&stream)?;
        self.on_session(session, |session, ctx| session.act(ctx, |talk, ctx| act(talk, stream, ctx)))
    }

    fn place_of(&self, call: CallKey) -> Option<Place> {
        self.ctx.calls.get(&call).map(|call| call.place)
    }

    /// Ends a call that was made here; its handler is told.
    fn abandon(&mut self, call: CallKey, code: Code, message: &str) {
        let Some(Place { session, stream }) = self.place_of(call) else { return };
        self.on_session(session, |session, ctx| {
            let executed = if session.was_up() { Executed::Unknown } else { Executed::No };
            session.retract(stream);
            session.act(ctx, |talk, ctx| {
                if talk.is_caller(stream) {
                    talk.give_up(stream, Reason::Cancelled, ctx);
                    let outcome = Err(Failure::new(code, message).executed(executed));
                    ctx.tell(Output::CallDone { call, outcome });
                }
            });
        });
    }

    /// A seed of its own for one handshake. What was drawn can't be drawn again from what remains in memory.
    fn draw(&mut self) -> [u8; 32] {
        let seed = self.random.bytes();
        self.random = Random::new(self.random.bytes());
        seed
    }
}

fn quietest<'a>(sessions: impl Iterator<Item = (&'a SessionKey, &'a Session)>) -> Option<SessionKey> {
    sessions.filter_map(|(key, session)| Some((session.quiet_since()?, *key))).min().map(|(_, key)| key)
}

/// The latest session of the peer that has the most, if those are more than one more than `fewer`.
fn surplus<'a>(sessions: impl Iterator<Item = (&'a SessionKey, &'a Session)>, fewer: usize) -> Option<SessionKey> {
    let mut of_peers: Map<PersonaId, (usize, Instant, SessionKey)> = Map::new();
    for (key, session) in sessions {
        let latest = (session.since(), *key);
        let of_peer = of_peers.entry(session.peer()).or_insert((0, latest.0, latest.1));
        let (since, key) = latest.max((of_peer.1, of_peer.2));
        *of_peer = (of_peer.0 + 1, since, key);
    }
    let most = of_peers.values().max_by_key(|(count, _, _)| *count)?;
    (most.0 > fewer + 1).then_some(most.2)
}

#[cfg(test)]
impl Endpoint {
    /// Messages that wait to be acknowledged, in all sessions.
    pub(crate) fn kept(&self) -> usize {
        self.sessions.values().map(Session::kept).sum()
    }
}

/// Refusals that strangers are told.
const REFUSALS: Rate = Rate { per_second: 32, burst: 32 };

/// Sessions that one persona may have open to this frame: one for each of its frames and each tag.
const MAX_FROM_PEER: usize = 32;
