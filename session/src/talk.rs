//! The streams of one session: what this side's site does to them, and what the peer says about them.

use std::collections::VecDeque;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{
    failure::Failure,
    id::{PersonaId, Tag},
    limits::{MAX_STREAMS, MAX_STREAMS_PER_FRAME},
    packet::Service,
    rpc::Outcome,
};

use crate::{
    Output, WriteError,
    call::{self, CALL_LIMIT, Caller, Handler, MAX_GRANTS, REQUEST_FREE},
    context::{Call, Context, Place, Role, SessionKey},
    keys::{CallKey, StreamKey},
    message::{Act, Message, Reason},
    over::Over,
    stream::{Opening, Receiver, Sender, Stream, User},
};

/// As many streams are open as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A stream or call that the session's frame doesn't serve any longer, and that another of the peer's frames may.
#[derive(Debug)]
pub struct Stray {
    pub peer: PersonaId,
    stream: Stream,
    opening: Opening,
    /// A call's.
    deadline: Option<Instant>,
}

impl Stray {
    /// By which the peer's leader finds who serves it.
    pub fn tag(&self) -> Tag {
        self.opening.service.tag()
    }

    /// It isn't opened again.
    pub fn fail(self, failure: Failure, ctx: &mut Context) {
        tell_failure(self.stream.user, failure, ctx);
    }
}

/// The streams of one session.
#[derive(Debug)]
pub struct Talk {
    session: SessionKey,
    peer: PersonaId,
    tag: Tag,
    streams: Map<u64, Stream>,
    /// The next stream to be opened, here and by the peer.
    ours: u64,
    theirs: u64,
    /// Goes out before any bytes.
    control: VecDeque<Message>,
    /// The stream that sent last.
    turn: u64,
    /// The peer's frame serves this no longer, so nothing more is opened here.
    unserved: bool,
}

/// What this side's site does.
impl Talk {
    pub const fn new(session: SessionKey, peer: PersonaId, tag: Tag) -> Self {
        let (ours, theirs) = match session.1 {
            Role::Listener => (1, 0),
            Role::Opener => (0, 1),
        };
        Self {
            session,
            peer,
            tag,
            streams: Map::new(),
            ours,
            theirs,
            control: VecDeque::new(),
            turn: 0,
            unserved: false,
        }
    }

    /// Whether the peer's frame has said that it doesn't serve what the session is about.
    pub const fn is_unserved(&self) -> bool {
        self.unserved
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub const fn tag(&self) -> Tag {
        self.tag
    }

    pub fn open(&mut self, service: Service, ctx: &mut Context) -> Result<StreamKey, Full> {
        let stream = self.begin(&service, ctx)?;
        let key = ctx.new_stream(Place { session: self.session, stream });
        self.insert(stream, User::Site(key), (0, 0), ctx).opening = Some(Opening::new(service));
        Ok(key)
    }

    pub fn call(
        &mut self,
        method: Service,
        request: &[u8],
        deadline: Instant,
        ctx: &mut Context,
    ) -> Result<CallKey, Full> {
        let stream = self.begin(&method, ctx)?;
        let place = Place { session: self.session, stream };
        let call = ctx.new_call(Call { place, deadline: Some(deadline) });
        let caller = Caller { call, reply: Vec::new() };
        let made = self.insert(stream, User::Caller(caller), (REQUEST_FREE, CALL_LIMIT), ctx);
        made.opening = Some(Opening::new(method));
        made.sender.queue(request);
        made.sender.finish();
        Ok(call)
    }

    /// Opens a stream again that another frame of the peer's has refused. It keeps its key.
    pub fn reopen(&mut self, stray: &mut Option<Stray>, ctx: &mut Context) -> Result<(), Full> {
        let Some(service) = stray.as_ref().map(|stray| stray.opening.service.clone()) else { return Ok(()) };
        let id = self.begin(&service, ctx)?;
        let Some(Stray { stream, opening, deadline, .. }) = stray.take() else { return Ok(()) };
        let place = Place { session: self.session, stream: id };
        match &stream.user {
            User::Caller(caller) => drop(ctx.calls.insert(caller.call, Call { place, deadline })),
            User::Handler(_) => {}
            User::Site(key) => drop(ctx.streams.insert(*key, place)),
        }
        let is_stopped = stream.receiver.is_stopped();
        self.count_opened(id, ctx);
        self.streams.insert(id, Stream { opening: Some(opening), ..stream });
        self.tell_credit(id);
        if is_stopped {
            self.say(id, Act::Stop);
        }
        Ok(())
    }

    pub fn credit(&mut self, stream: u64, limit: u64) {
        if let Some(found) = self.streams.get_mut(&stream) {
            found.receiver.allow(limit);
            self.tell_credit(stream);
        }
    }

    pub fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<(), WriteError> {
        self.streams.get_mut(&stream).ok_or(WriteError::Closed)?.sender.write(bytes)
    }

    pub fn finish(&mut self, stream: u64) {
        if let Some(found) = self.streams.get_mut(&stream) {
            found.sender.finish();
        }
    }

    pub fn stop(&mut self, stream: u64) {
        if self.streams.get_mut(&stream).is_some_and(|found| found.receiver.stop()) {
            self.say(stream, Act::Stop);
        }
    }

    /// Gives a stream up, both ways, without a word to this side's site.
    pub fn give_up(&mut self, stream: u64, reason: Reason, ctx: &mut Context) {
        if self.remove(stream, ctx).is_some() {
            self.say(stream, Act::Reset(reason));
            self.grant();
        }
    }

    pub fn reply(&mut self, stream: u64, outcome: Outcome, ctx: &mut Context) {
        let Some(Stream { user: User::Handler(handler), sender, .. }) = self.streams.get_mut(&stream) else { return };
        let Handler::Told(call) = *handler else { return };
        *handler = Handler::Replied;
        ctx.calls.remove(&call);
        match call::write_outcome(outcome) {
            Ok(bytes) => {
                sender.queue(&bytes);
                sender.finish();
            }
            Err(reason) => self.give_up(stream, reason, ctx),
        }
    }

    /// Whether the call at this stream was made here.
    pub fn is_caller(&self, stream: u64) -> bool {
        self.streams.get(&stream).is_some_and(|found| matches!(found.user, User::Caller(_)))
    }

    fn begin(&mut self, service: &Service, ctx: &Context) -> Result<u64, Full> {
        let stream = self.ours;
        if self.opened_like(stream) >= MAX_STREAMS || ctx.ours >= MAX_STREAMS_PER_FRAME {
            return Err(Full);
        }
        self.ours += 2;
        self.say(stream, Act::Open(service.clone()));
        Ok(stream)
    }

    fn opened_like(&self, stream: u64) -> usize {
        self.streams.keys().filter(|other| **other % 2 == stream % 2).count()
    }

    fn count_opened(&self, stream: u64, ctx: &mut Context) {
        if self.is_ours(stream) {
            ctx.ours += 1;
        } else {
            ctx.theirs.open(self.peer);
        }
    }

    /// Whether this side opened it.
    const fn is_ours(&self, stream: u64) -> bool {
        stream % 2 == self.ours % 2
    }

    fn insert(&mut self, stream: u64, user: User, (send, receive): (u64, u64), ctx: &mut Context) -> &mut Stream {
        self.count_opened(stream, ctx);
        let new = Stream { user, sender: Sender::new(send), receiver: Receiver::new(receive), opening: None };
        self.streams.entry(stream).insert(new)
    }
}

/// What goes out.
impl Talk {
    /// The next message. Bytes and ends go in turn, and only with `room` for them.
    pub fn next(&mut self, room: bool, ctx: &mut Context) -> Option<Message> {
        if let Some(message) = self.control.pop_front() {
            return Some(message);
        }
        let after = self.streams.range(self.turn + 1..).chain(self.streams.range(..=self.turn));
        let stream = *after.filter(|(_, stream)| room && stream.sender.is_ready()).map(|(id, _)| id).next()?;
        self.turn = stream;
        let found = self.streams.get_mut(&stream)?;
        let act = found.sender.next()?;
        if let (Act::Data(bytes), Some(opening)) = (&act, &mut found.opening) {
            opening.sent.extend_from_slice(bytes);
        }
        self.remove_if_over(stream, ctx);
        Some(Message { stream, act })
    }

    /// The peer has received a message.
    pub fn on_acked(&mut self, message: &Message) {
        if let (Act::Data(bytes), Some(stream)) = (&message.act, self.streams.get_mut(&message.stream)) {
            stream.sender.on_acked(bytes.len());
        }
    }

    fn say(&mut self, stream: u64, act: Act) {
        self.control.push_back(Message { stream, act });
    }

    fn tell_credit(&mut self, stream: u64) {
        if let Some(limit) = self.streams.get_mut(&stream).and_then(|found| found.receiver.credit_due()) {
            self.say(stream, Act::Credit(limit));
        }
    }

    /// Lets long arguments in, a few at a time, the oldest first.
    fn grant(&mut self) {
        let handlers = || self.streams.iter().filter(|(_, stream)| matches!(stream.user, User::Handler(_)));
        if handlers().filter(|(_, stream)| stream.receiver.is_granted(CALL_LIMIT)).count() >= MAX_GRANTS {
            return;
        }
        let waiting = handlers().find(|(_, stream)| stream.receiver.waits_at(REQUEST_FREE)).map(|(id, _)| *id);
        if let Some(stream) = waiting {
            self.credit(stream, CALL_LIMIT);
        }
    }
}

/// What the peer says.
impl Talk {
    /// The next message in order. A message about a stream that is gone is late, and not an error.
    pub fn on_message(&mut self, message: Message, ctx: &mut Context) -> Result<(), Over> {
        let Message { stream, act } = message;
        if let Act::Open(service) = act {
            return self.on_open(stream, service, ctx);
        }
        let Some(found) = self.streams.get_mut(&stream) else { return Ok(()) };
        match act {
            Act::Accept => on_accept(found, ctx),
            Act::Credit(limit) => on_credit(found, limit, ctx),
            Act::Data(bytes) => self.on_data(stream, bytes, ctx),
            Act::Finish => self.on_finish(stream, ctx),
            Act::Open(_) => {}
            Act::Reset(reason) => self.on_reset(stream, reason, ctx),
            Act::Stop => on_stop(found, ctx),
        }
        self.remove_if_over(stream, ctx);
        Ok(())
    }

    /// The session is over, and all its streams.
    pub fn fail(&mut self, over: Over, was_up: bool, ctx: &mut Context) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            let Some(Stream { user, sender, .. }) = self.remove(stream, ctx) else { continue };
            let mut failure = call::over_failure(over, was_up);
            if over == Over::Silent {
                failure.message = format!("{}; {} bytes were acknowledged", failure.message, sender.acked());
            }
            tell_failure(user, failure, ctx);
        }
    }

    /// The session never was one: all that waited for it hears why.
    pub fn fail_all(&mut self, failure: &Failure, ctx: &mut Context) {
        for stream in self.streams.keys().copied().collect::<Vec<_>>() {
            if let Some(Stream { user, .. }) = self.remove(stream, ctx) {
                tell_failure(user, failure.clone(), ctx);
            }
        }
    }

    fn on_open(&mut self, stream: u64, service: Service, ctx: &mut Context) -> Result<(), Over> {
        if stream != self.theirs {
            return Err(Over::Protocol);
        }
        self.theirs += 2;
        if self.opened_like(stream) >= MAX_STREAMS || !ctx.theirs.may_open(self.peer) {
            self.say(stream, Act::Reset(Reason::Quota));
        } else if service.tag() != self.tag || !ctx.served.contains(&service) {
            self.say(stream, Act::Reset(Reason::NotServed));
        } else {
            self.accept(stream, service, ctx);
        }
        Ok(())
    }

    fn accept(&mut self, stream: u64, service: Service, ctx: &mut Context) {
        match service {
            Service::Method(method) => {
                let handler = Handler::Collecting { method, request: Vec::new() };
                self.insert(stream, User::Handler(handler), (CALL_LIMIT, REQUEST_FREE), ctx);
            }
            Service::Protocol(protocol) => {
                let key = ctx.new_stream(Place { session: self.session, stream });
                self.insert(stream, User::Site(key), (0, 0), ctx);
                self.say(stream, Act::Accept);
                ctx.tell(Output::IncomingStream { stream: key, peer: self.peer, protocol });
            }
        }
    }

    fn on_data(&mut self, stream: u64, bytes: Vec<u8>, ctx: &mut Context) {
        let Some(found) = self.streams.get_mut(&stream) else { return };
        match found.receiver.receive(bytes) {
            Err(_) => return self.on_protocol_error(stream, ctx),
            Ok(None) => {}
            Ok(Some(bytes)) => match &mut found.user {
                User::Caller(caller) => {
                    found.opening = None;
                    caller.reply.extend(bytes);
                }
                User::Handler(Handler::Collecting { request, .. }) => request.extend(bytes),
                User::Handler(Handler::Replied | Handler::Told(_)) => {}
                User::Site(key) => ctx.tell(Output::Data { stream: *key, bytes }),
            },
        }
        if matches!(found.user, User::Site(_)) { self.tell_credit(stream) } else { self.grant() }
    }

    fn on_finish(&mut self, stream: u64, ctx: &mut Context) {
        let Some(found) = self.streams.get_mut(&stream) else { return };
        if !found.receiver.finish() {
            return;
        }
        match &mut found.user {
            User::Caller(caller) => {
                let done = Output::CallDone { call: caller.call, outcome: caller.outcome() };
                ctx.tell(done);
                if !found.is_over() {
                    self.say(stream, Act::Reset(Reason::Cancelled));
                }
                self.remove(stream, ctx);
            }
            User::Handler(_) => self.on_request(stream, ctx),
            User::Site(key) => ctx.tell(Output::Finished(*key)),
        }
    }

    fn on_request(&mut self, stream: u64, ctx: &mut Context) {
        let Some(Stream { user: User::Handler(handler), .. }) = self.streams.get_mut(&stream) else { return };
        let Handler::Collecting { method, request } = handler else { return };
        if !ctx.served.contains(&Service::Method(method.clone())) {
            // Given up while the argument was on its way. The handler never heard of it, so another frame's may run.
            self.give_up(stream, Reason::NotServed, ctx);
        } else if let Ok(data) = call::read_request(request) {
            let place = Place { session: self.session, stream };
            let call = ctx.new_call(Call { place, deadline: None });
            ctx.tell(Output::IncomingCall { call, from: self.peer, method: method.clone(), data });
            *handler = Handler::Told(call);
            self.grant();
        } else {
            self.on_protocol_error(stream, ctx);
        }
    }

    fn on_reset(&mut self, stream: u64, reason: Reason, ctx: &mut Context) {
        if reason == Reason::NotServed
            && let Some(stray) = self.take_stray(stream, ctx)
        {
            ctx.strays.push_back(stray);
        } else if let Some(Stream { user, .. }) = self.remove(stream, ctx) {
            tell_failure(user, call::reset_failure(reason), ctx);
            self.grant();
        }
    }

    /// The peer's frame doesn't serve it. The session is bound to that frame, so it is of no more use; another session leads to
    /// whoever serves now. A stream goes there once, and only as long as nothing was heard of it but the refusal.
    fn take_stray(&mut self, stream: u64, ctx: &mut Context) -> Option<Stray> {
        let found = self.streams.get_mut(&stream)?;
        let opening = found.opening.take().filter(|opening| !opening.again)?;
        self.unserved = true;
        let deadline = match &found.user {
            User::Caller(caller) => ctx.calls.get(&caller.call)?.deadline,
            User::Handler(_) | User::Site(_) => None,
        };
        let (send, receive) = match &found.user {
            User::Caller(_) => (REQUEST_FREE, CALL_LIMIT),
            User::Handler(_) | User::Site(_) => (0, 0),
        };
        let receiver = found.receiver.restarted(receive)?;
        let Stream { user, sender, .. } = self.remove(stream, ctx)?;
        let sender = sender.restart(send, &opening.sent);
        let stream = Stream { user, sender, receiver, opening: None };
        let opening = Opening { sent: Vec::new(), again: true, ..opening };
        Some(Stray { peer: self.peer, stream, opening, deadline })
    }

    fn on_protocol_error(&mut self, stream: u64, ctx: &mut Context) {
        if let Some(Stream { user, .. }) = self.remove(stream, ctx) {
            self.say(stream, Act::Reset(Reason::Protocol));
            tell_failure(user, call::over_failure(Over::Protocol, true), ctx);
            self.grant();
        }
    }

    fn remove_if_over(&mut self, stream: u64, ctx: &mut Context) {
        if self.streams.get(&stream).is_some_and(Stream::is_over) {
            self.remove(stream, ctx);
        }
    }

    fn remove(&mut self, stream: u64, ctx: &mut Context) -> Option<Stream> {
        let removed = self.streams.remove(&stream)?;
        if self.is_ours(stream) {
            ctx.ours -= 1;
        } else {
            ctx.theirs.close(self.peer);
        }
        match &removed.user {
            User::Caller(Caller { call, .. }) => drop(ctx.calls.remove(call)),
            User::Handler(Handler::Told(call)) => drop(ctx.calls.remove(call)),
            User::Handler(Handler::Collecting { .. } | Handler::Replied) => {}
            User::Site(key) => drop(ctx.streams.remove(key)),
        }
        Some(removed)
    }
}

fn on_accept(stream: &mut Stream, ctx: &mut Context) {
    if let User::Site(key) = &stream.user
        && stream.opening.take().is_some()
    {
        ctx.tell(Output::Opened(*key));
    }
}

fn on_credit(stream: &mut Stream, limit: u64, ctx: &mut Context) {
    match &stream.user {
        // Whoever gives credit has accepted first. If it were taken now, the site would write to whom it may never reach.
        User::Site(_) if stream.opening.is_some() => {}
        User::Caller(_) | User::Handler(_) => drop(stream.sender.on_credit(limit)),
        User::Site(key) => {
            if let Some(limit) = stream.sender.on_credit(limit) {
                ctx.tell(Output::Credit { stream: *key, limit });
            }
        }
    }
}

fn on_stop(stream: &mut Stream, ctx: &mut Context) {
    if let (true, User::Site(key)) = (stream.sender.stop(), &stream.user) {
        ctx.tell(Output::Stopped(*key));
    }
}

fn tell_failure(user: User, failure: Failure, ctx: &mut Context) {
    match user {
        User::Caller(caller) => ctx.tell(Output::CallDone { call: caller.call, outcome: Err(failure) }),
        User::Handler(Handler::Told(call)) => ctx.tell(Output::CallCancelled(call)),
        User::Handler(Handler::Collecting { .. } | Handler::Replied) => {}
        User::Site(key) => {
            let failure = Failure { executed: None, ..failure };
            ctx.tell(Output::Reset { stream: key, failure });
        }
    }
}
