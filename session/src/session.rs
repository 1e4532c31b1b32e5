//! One session: handshake, then sealed packets that carry [`Talk`]'s messages, numbered by the [`Ledger`].

use std::{mem, time::Duration};

use bitters_machine::time::Instant;
use bitters_wire::{
    codec,
    failure::{Executed, Failure},
    id::{FrameId, PersonaId, Tag},
    packet::{Body, Packet, Refusal},
};

use crate::{
    context::{Context, Role, SessionKey},
    ledger::{Ledger, Receipt},
    message::{Act, MAX_SEALED, Message, Plain, Say},
    noise,
    over::Over,
    pipe::Pipe,
    recovery::{Due, Recovery, Stake},
    talk::Talk,
};

/// One session.
pub struct Session {
    key: SessionKey,
    peer: PersonaId,
    phase: Phase,
    ledger: Ledger,
    talk: Talk,
    since: Instant,
    /// When a message was last sent or received.
    active: Instant,
}

enum Phase {
    Opening(Opening),
    Over { over: Over, was_up: bool },
    Up(Up),
}

/// The handshake is under way, here the opener's.
struct Opening {
    noise: noise::Opener,
    /// Our message, to be sent again: the way to the peer may have broken.
    handshake: Vec<u8>,
    again: Instant,
    deadline: Instant,
}

/// Packets flow.
struct Up {
    pipe: Pipe,
    recovery: Recovery,
    /// The listener's, until the opener proves that it has the keys.
    unproven: Option<Unproven>,
}

struct Unproven {
    handshake: Vec<u8>,
    deadline: Instant,
}

/// The beginning.
impl Session {
    /// Opens a session; what is said before the peer answers waits.
    pub fn open(
        key: SessionKey,
        peer: PersonaId,
        tag: Tag,
        noise: (noise::Opener, Vec<u8>),
        ctx: &mut Context,
    ) -> Self {
        let (noise, handshake) = noise;
        let (again, deadline) = (ctx.now + OPEN_AGAIN, ctx.now + OPEN_TIMEOUT);
        let opening = Opening { noise, handshake, again, deadline };
        let mut session = Self::new(key, peer, tag, Phase::Opening(opening), ctx);
        session.send_open(ctx);
        session
    }

    /// Answers a handshake that has proven its sender.
    pub fn accept(
        key: SessionKey,
        peer: (PersonaId, FrameId),
        tag: Tag,
        noise: (noise::Transport, Vec<u8>),
        ctx: &mut Context,
    ) -> Self {
        let (transport, handshake) = noise;
        let unproven = Some(Unproven { handshake, deadline: ctx.now + OPEN_TIMEOUT });
        let pipe = Pipe::new(key, peer, transport);
        let up = Up { pipe, recovery: Recovery::new(ctx.now), unproven };
        let mut session = Self::new(key, peer.0, tag, Phase::Up(up), ctx);
        session.accept_again(peer, ctx);
        session
    }

    /// The opener sent its handshake again: so is the answer, if it may not have arrived.
    pub fn accept_again(&mut self, from: (PersonaId, FrameId), ctx: &mut Context) {
        if let Phase::Up(Up { pipe, unproven: Some(unproven), .. }) = &self.phase
            && pipe.peer() == from
        {
            let body = Body::Accept { handshake: unproven.handshake.clone() };
            pipe.send(body, ctx);
        }
    }

    fn new(key: SessionKey, peer: PersonaId, tag: Tag, phase: Phase, ctx: &Context) -> Self {
        let talk = Talk::new(key, peer, tag);
        Self { key, peer, phase, ledger: Ledger::default(), talk, since: ctx.now, active: ctx.now }
    }

    fn send_open(&mut self, ctx: &mut Context) {
        if let Phase::Opening(opening) = &mut self.phase {
            opening.again = ctx.now + OPEN_AGAIN;
            let body = Body::Open { tag: self.talk.tag(), handshake: opening.handshake.clone() };
            ctx.tell(crate::Output::Packet(Packet {
                to: self.peer,
                to_frame: None,
                from: ctx.persona,
                from_frame: ctx.frame,
                session: self.key.0,
                body,
            }));
        }
    }
}

/// What others may ask.
impl Session {
    pub const fn peer(&self) -> PersonaId {
        self.peer
    }

    pub const fn tag(&self) -> Tag {
        self.talk.tag()
    }

    /// Whether its frame serves what it is about, as far as is known: new streams are opened in such a session only.
    pub const fn is_served(&self) -> bool {
        !self.talk.is_unserved()
    }

    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over { .. })
    }

    /// Whether a peer has answered; before that nothing can have been executed.
    pub const fn was_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_) | Phase::Over { was_up: true, .. })
    }

    /// When it began.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Since when nothing is open or under way, if so.
    pub fn quiet_since(&self) -> Option<Instant> {
        (self.stake() == Stake::Nothing).then_some(self.active)
    }

    /// Messages that wait to be acknowledged.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.ledger.in_flight()
    }

    /// Whether another stream may be opened: messages of this side don't pile up.
    pub fn has_room(&self) -> bool {
        self.ledger.in_flight() < MAX_FLIGHT
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Opening(opening) => Some(opening.deadline.min(opening.again)),
            Phase::Over { .. } => None,
            Phase::Up(up) => {
                let dues = [self.ledger.ack_due(), up.recovery.poll_timeout(self.stake()), self.ends_at(up)];
                dues.into_iter().flatten().min()
            }
        }
    }

    /// When the session ends by itself as things are. The opener decides: only it opens streams.
    fn ends_at(&self, up: &Up) -> Option<Instant> {
        if let Some(unproven) = &up.unproven {
            return Some(unproven.deadline);
        }
        let patience = match self.key.1 {
            Role::Opener if !self.is_served() => Duration::ZERO,
            Role::Listener => IDLE_TIMEOUT * 2,
            Role::Opener => IDLE_TIMEOUT,
        };
        self.quiet_since().map(|since| since + patience)
    }

    fn stake(&self) -> Stake {
        match (self.ledger.in_flight(), self.talk.is_empty()) {
            (0, true) => Stake::Nothing,
            (0, false) => Stake::Alive,
            _ => Stake::InFlight,
        }
    }
}

/// What happens to it.
impl Session {
    /// This side's site does something to the session's streams.
    pub fn act<T>(&mut self, ctx: &mut Context, act: impl FnOnce(&mut Talk, &mut Context) -> T) -> T {
        let done = act(&mut self.talk, ctx);
        self.pump(ctx);
        done
    }

    /// Takes back what a call made before the peer answered has to say: its handler never runs, though the peer hears of it.
    pub fn retract(&mut self, stream: u64) {
        if matches!(self.phase, Phase::Opening(_)) {
            let says = |act: &Act| matches!(act, Act::Data(_) | Act::Finish);
            self.ledger.retract(|message| message.stream != stream || !says(&message.act));
        }
    }

    pub fn on_packet(&mut self, packet: Packet, ctx: &mut Context) {
        let from = (packet.from, packet.from_frame);
        match packet.body {
            Body::Accept { handshake } => self.on_accept(from, &handshake, ctx),
            Body::Open { .. } => {}
            Body::Refused { reason } => self.on_refused(from, reason),
            Body::Sealed { counter, sealed } => self.on_sealed(from, counter, &sealed, ctx),
        }
    }

    /// A new way to the peer: packets that were on the old one may be lost. Little is sent again at once, for the answer to the
    /// question takes a round trip; what arrived already is dropped there.
    pub fn on_path_restored(&mut self, ctx: &mut Context) {
        self.send_open(ctx);
        if matches!(&self.phase, Phase::Up(up) if up.unproven.is_none()) {
            if self.ledger.unacked().map(|(_, message)| message.carried()).sum::<usize>() <= LITTLE {
                self.send_again(ctx);
            }
            self.ask(true, ctx);
        }
    }

    /// A frame of the peer's is gone. Where the handshake was on its way there, another frame may answer it.
    pub fn on_frame_gone(&mut self, frame: FrameId, ctx: &mut Context) {
        match &self.phase {
            Phase::Opening(_) => self.send_open(ctx),
            Phase::Up(up) if up.pipe.peer().1 == frame => self.end(Over::FrameGone, ctx),
            Phase::Over { .. } | Phase::Up(_) => {}
        }
    }

    /// There is no way to the peer. A session that it has answered goes on: another way may be found.
    pub fn fail_opening(&mut self, failure: &Failure, ctx: &mut Context) {
        if matches!(self.phase, Phase::Opening(_)) {
            self.talk.fail_all(&failure.clone().executed(Executed::No), ctx);
            self.phase = Phase::Over { over: Over::NoRoute, was_up: false };
        }
    }

    pub fn on_timeout(&mut self, ctx: &mut Context) {
        let (stake, now) = (self.stake(), ctx.now);
        match &mut self.phase {
            Phase::Opening(opening) if opening.deadline <= now => self.end(Over::Unanswered, ctx),
            Phase::Opening(opening) if opening.again <= now => self.send_open(ctx),
            Phase::Opening(_) | Phase::Over { .. } => {}
            Phase::Up(up) => {
                match up.recovery.on_timeout(stake, now) {
                    Some(Due::Ask { mutual }) => self.ask(mutual, ctx),
                    Some(Due::Silent) => self.end(Over::Silent, ctx),
                    None => {}
                }
                self.acknowledge_if_due(ctx);
                self.end_if_idle(ctx);
            }
        }
    }

    /// The session is over; what was open hears of it in [`Session::bury`].
    pub fn end(&mut self, over: Over, ctx: &mut Context) {
        if over.is_told() {
            self.say(&Say::Close, ctx);
        }
        if !self.is_over() {
            self.phase = Phase::Over { over, was_up: self.was_up() };
        }
    }

    /// Tells all streams and calls, once the session is over.
    pub fn bury(mut self, ctx: &mut Context) {
        if let Phase::Over { over, was_up } = self.phase {
            self.talk.fail(over, was_up, ctx);
        }
    }

    fn on_accept(&mut self, from: (PersonaId, FrameId), handshake: &[u8], ctx: &mut Context) {
        if from.0 != self.peer {
            return;
        }
        let taken = Phase::Over { over: Over::Protocol, was_up: false };
        match mem::replace(&mut self.phase, taken) {
            Phase::Opening(opening) => match opening.noise.finish(handshake) {
                Err(noise) => self.phase = Phase::Opening(Opening { noise, ..opening }),
                Ok(transport) => {
                    let pipe = Pipe::new(self.key, from, transport);
                    self.phase = Phase::Up(Up { pipe, recovery: Recovery::new(ctx.now), unproven: None });
                    self.send_again(ctx);
                }
            },
            other => self.phase = other,
        }
    }

    fn on_refused(&mut self, from: (PersonaId, FrameId), reason: Refusal) {
        let over = match (&self.phase, reason) {
            // Nobody has a frame yet; the peer's leader, or ours, speaks for it.
            (Phase::Opening(_), _) if from.0 != self.peer => return,
            (Phase::Opening(_), Refusal::NotServed) => Over::NotServed,
            (Phase::Opening(_), Refusal::NoRoute) => Over::NoRoute,
            (Phase::Opening(_), Refusal::Quota) => Over::Quota,
            (Phase::Opening(_), _) => Over::FrameGone,
            (Phase::Up(up), Refusal::FrameGone | Refusal::UnknownSession) if up.pipe.peer() == from => Over::FrameGone,
            // A way may be found again: it is asked for until a minute has passed.
            (Phase::Up(_) | Phase::Over { .. }, _) => return,
        };
        self.phase = Phase::Over { over, was_up: self.was_up() };
    }

    fn on_sealed(&mut self, from: (PersonaId, FrameId), counter: u64, sealed: &[u8], ctx: &mut Context) {
        let Phase::Up(up) = &mut self.phase else { return };
        if up.pipe.peer() != from || sealed.len() > MAX_SEALED {
            return;
        }
        let Some((plain, fresh)) = up.pipe.open(counter, sealed) else { return };
        up.unproven = None;
        if fresh {
            up.recovery.on_heard(ctx.now);
        }
        match codec::decode(&plain, MAX_SEALED) {
            Ok(plain) => self.on_plain(plain, fresh, sealed.len(), ctx),
            Err(_) => self.end(Over::Protocol, ctx),
        }
        self.pump(ctx);
        self.acknowledge_if_due(ctx);
    }

    fn on_plain(&mut self, plain: Plain<Message>, fresh: bool, bytes: usize, ctx: &mut Context) {
        let Phase::Up(up) = &mut self.phase else { return };
        let Ok(settled) = self.ledger.settle(plain.acked) else { return self.end(Over::Protocol, ctx) };
        for message in settled {
            up.recovery.on_progress(ctx.now);
            self.talk.on_acked(&message);
        }
        match plain.say {
            Say::Answer { sent } if fresh => self.on_answer(sent, ctx),
            Say::Ask { sent, mutual } if fresh => self.on_ask(sent, mutual, ctx),
            Say::Ack | Say::Answer { .. } | Say::Ask { .. } => {}
            Say::Close => self.end(Over::ClosedByPeer, ctx),
            Say::Numbered { number, message } => self.on_numbered(number, message, bytes, ctx),
        }
    }

    fn on_numbered(&mut self, number: u64, message: Message, bytes: usize, ctx: &mut Context) {
        let Phase::Up(up) = &mut self.phase else { return };
        match self.ledger.receive(number, bytes, ctx.now) {
            Receipt::Gap => up.recovery.plan(true, ctx.now),
            Receipt::New => {
                self.active = ctx.now;
                if let Err(over) = self.talk.on_message(message, ctx) {
                    self.end(over, ctx);
                }
            }
            Receipt::Seen => {}
        }
    }

    fn on_ask(&mut self, sent: u64, mutual: bool, ctx: &mut Context) {
        self.say(&Say::Answer { sent }, ctx);
        let in_flight = self.stake() == Stake::InFlight;
        if let Phase::Up(up) = &mut self.phase
            && mutual
            && in_flight
        {
            up.recovery.plan(false, ctx.now);
            self.ask_if_due(ctx);
        }
    }

    fn on_answer(&mut self, sent: u64, ctx: &mut Context) {
        let Phase::Up(up) = &mut self.phase else { return };
        if up.recovery.on_answer(sent) && self.ledger.acked() < sent {
            self.send_again(ctx);
        }
    }
}

/// What goes out.
impl Session {
    /// Sends what the streams have to say.
    fn pump(&mut self, ctx: &mut Context) {
        while !self.is_over()
            && let Some(message) = self.talk.next(self.ledger.in_flight() < MAX_FLIGHT, ctx)
        {
            self.active = ctx.now;
            if let Phase::Up(up) = &mut self.phase {
                if self.ledger.in_flight() == 0 {
                    up.recovery.on_progress(ctx.now);
                }
                let number = self.ledger.sent() + 1;
                let say = Say::Numbered { number, message: &message };
                up.pipe.say(self.ledger.acknowledge(), say, ctx);
            }
            self.ledger.record(message);
        }
        if self.ledger.in_flight() > MAX_UNACKED {
            self.end(Over::Protocol, ctx);
        }
    }

    /// Sends everything that isn't acknowledged, sealed anew.
    fn send_again(&mut self, ctx: &mut Context) {
        let Phase::Up(up) = &mut self.phase else { return };
        up.recovery.on_progress(ctx.now);
        let acked = self.ledger.acknowledge();
        for (number, message) in self.ledger.unacked() {
            up.pipe.say(acked, Say::Numbered { number, message }, ctx);
        }
    }

    fn ask(&mut self, mutual: bool, ctx: &mut Context) {
        let sent = self.ledger.sent();
        if let Phase::Up(up) = &mut self.phase {
            up.recovery.on_ask(sent, ctx.now);
        }
        self.say(&Say::Ask { sent, mutual }, ctx);
    }

    fn ask_if_due(&mut self, ctx: &mut Context) {
        if let Phase::Up(up) = &mut self.phase
            && let Some(mutual) = up.recovery.planned(ctx.now)
        {
            self.ask(mutual, ctx);
        }
    }

    fn acknowledge_if_due(&mut self, ctx: &mut Context) {
        self.ask_if_due(ctx);
        if self.ledger.ack_due().is_some_and(|at| at <= ctx.now) {
            self.say(&Say::Ack, ctx);
        }
    }

    fn end_if_idle(&mut self, ctx: &mut Context) {
        if let Phase::Up(up) = &self.phase
            && self.ends_at(up).is_some_and(|at| at <= ctx.now)
        {
            self.end(Over::Idle, ctx);
        }
    }

    fn say(&mut self, say: &Say<&Message>, ctx: &mut Context) {
        if let Phase::Up(up) = &mut self.phase {
            up.pipe.say(self.ledger.acknowledge(), say.clone(), ctx);
        }
    }
}

/// A handshake is one round trip; this leaves room for a path to be made.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// As [`crate::recovery`] asks.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// The opener closes a session without streams; the listener, should it not hear of that, after twice the time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of streams that are rather sent twice than waited for: a tenth of a second's at most.
const LITTLE: usize = 64 * 1024;

/// Messages under way in one direction, with bytes or ends of streams among them: 30 MiB in the largest slices.
const MAX_FLIGHT: usize = 512;

/// Beyond this the peer makes us speak and doesn't listen.
const MAX_UNACKED: usize = 4 * MAX_FLIGHT;
