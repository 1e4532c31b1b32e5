//! Media on a node's own connection: perfect negotiation (WebRTC 1.0, section 10.7) over the control channel, as a machine.
//!
//! Once a connection is up, either end may add tracks and channels whenever it likes. Its browser then asks for an offer
//! (`negotiationneeded`), which goes to the peer, whose browser answers. When two offers meet, the impolite end ignores the
//! other's, and the polite end takes its own back by setting the other's (the browser does that by itself); later its browser
//! asks again. Candidates follow their description.
//!
//! The browser is given one act at a time, and what the peer says meanwhile waits. So no description is being set when the next
//! is looked at, and the state here is the browser's. Messages go in [slices](message::Slices), since a description is longer
//! than a control message may be.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::local::DownReason;

pub mod message;
#[cfg(test)]
mod tests;

use message::{IceCandidate, Message, Reassembly};

/// Messages of the peer's that may wait for the browser: a description's candidates come at once, and a machine with many
/// interfaces has dozens for each of its media sections.
const MAX_WAITING: usize = 512;

/// Bytes of those messages: several of the longest descriptions.
const MAX_WAITING_BYTES: usize = 4 * message::MAX_SDP;

/// Messages that an honest peer sends within [`WINDOW`]: dozens of negotiations, each with dozens of candidates.
const MAX_RATE: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(60);

/// What a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It ends a negotiation.
    Answer,
    /// It begins one.
    Offer,
}

/// Who gives way when two offers meet. The two ends are different: the one with the lower certificate fingerprint is impolite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manner {
    /// Its own offer stands.
    Impolite,
    /// It takes its own offer back.
    Polite,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A local candidate.
    Candidate(IceCandidate),
    /// [`Output::Describe`] is done: our description, and its kind.
    Described(Kind, String),
    /// The browser refused the last act.
    Failed,
    /// `iceConnectionState` became `failed`.
    IceFailed,
    /// `negotiationneeded`.
    Needed,
    /// A slice of the peer's.
    Received(Vec<u8>),
    /// [`Output::SetRemote`] is done.
    RemoteSet,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// `addIceCandidate`. Whether it helps doesn't matter.
    AddCandidate(IceCandidate),
    /// There is no negotiating with this peer or this browser any longer. Comes once and last.
    Broken(DownReason),
    /// `setLocalDescription` without arguments; answered with [`Input::Described`] or [`Input::Failed`].
    Describe,
    /// `restartIce`: the browser then says [`Input::Needed`].
    RestartIce,
    /// A slice for the peer, at most [`message::MAX_SLICE`] bytes.
    Send(Vec<u8>),
    /// `setRemoteDescription`; answered with [`Input::RemoteSet`] or [`Input::Failed`].
    SetRemote(Kind, String),
}

/// The negotiations of one connection, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Negotiation {
    /// `None` when it is broken.
    live: Option<Live>,
    outbox: VecDeque<Output>,
}

impl Negotiation {
    /// Of a connection whose signalling state is `stable`.
    #[must_use]
    pub fn new(manner: Manner) -> Self {
        let live = Live {
            manner,
            state: State::Stable,
            needed: false,
            ignoring: false,
            reassembly: Reassembly::default(),
            waiting: VecDeque::new(),
            rate: Rate { since: Instant::START, count: 0 },
        };
        Self { live: Some(live), outbox: VecDeque::new() }
    }
}

impl Machine for Negotiation {
    type Input = Input;
    type Output = Output;

    /// Takes note of what happened. Nothing happens once it is broken.
    fn handle_input(&mut self, input: Input, now: Instant) {
        let Some(live) = &mut self.live else { return };
        if let Err(reason) = live.on_input(input, now, &mut self.outbox).and_then(|()| live.go_on(&mut self.outbox)) {
            self.live = None;
            self.outbox.push_back(Output::Broken(reason));
        }
    }

    /// The next act.
    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// Never: it waits for the browser and the peer.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Where the browser is: in a signalling state, or on its way from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// The peer's answer is being set.
    Agreeing,
    /// The peer's offer is set, and our answer is being made.
    Answering,
    /// Our offer waits for its answer.
    HaveLocalOffer,
    /// Our offer is being made.
    Offering,
    /// The peer's offer is being set.
    SettingOffer,
    Stable,
}

impl State {
    /// Whether the browser is doing what it was told last.
    const fn is_busy(self) -> bool {
        !matches!(self, Self::HaveLocalOffer | Self::Stable)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Live {
    manner: Manner,
    state: State,
    /// The browser asked for an offer.
    needed: bool,
    /// The peer's last offer was ignored, and so are its candidates.
    ignoring: bool,
    reassembly: Reassembly,
    waiting: VecDeque<Message>,
    rate: Rate,
}

impl Live {
    fn on_input(&mut self, input: Input, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match input {
            Input::Candidate(candidate) => self.on_candidate(candidate, outbox),
            Input::Described(kind, sdp) => self.on_described(kind, sdp, outbox)?,
            Input::Failed => return Err(self.on_failed()),
            Input::IceFailed => self.restart(outbox),
            Input::Needed => self.needed = true,
            Input::Received(slice) => self.on_slice(&slice, now)?,
            Input::RemoteSet => self.on_remote_set(outbox)?,
        }
        Ok(())
    }

    /// Once the browser is free: what the peer said, then what we want to say.
    fn go_on(&mut self, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        while !self.state.is_busy()
            && let Some(message) = self.waiting.pop_front()
        {
            self.on_message(message, outbox)?;
        }
        if self.state == State::Stable && std::mem::take(&mut self.needed) {
            self.state = State::Offering;
            outbox.push_back(Output::Describe);
        }
        Ok(())
    }

    fn on_slice(&mut self, slice: &[u8], now: Instant) -> Result<(), DownReason> {
        let Some(message) = self.reassembly.add(slice).map_err(|_| DownReason::Protocol)? else { return Ok(()) };
        let bytes: usize = self.waiting.iter().map(Message::len).sum();
        let fits = self.waiting.len() < MAX_WAITING && bytes + message.len() <= MAX_WAITING_BYTES;
        if !fits || !self.rate.allows(now) {
            return Err(DownReason::Protocol);
        }
        self.waiting.push_back(message);
        Ok(())
    }

    /// Only what is said in a state in which an honest peer says it.
    fn on_message(&mut self, message: Message, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match message {
            Message::Answer(sdp) => {
                if self.state != State::HaveLocalOffer {
                    return Err(DownReason::Protocol);
                }
                self.ignoring = false;
                self.state = State::Agreeing;
                outbox.push_back(Output::SetRemote(Kind::Answer, sdp));
            }
            Message::Candidate(candidate) => {
                if !self.ignoring {
                    outbox.push_back(Output::AddCandidate(candidate));
                }
            }
            Message::Offer(sdp) => {
                self.ignoring = self.state == State::HaveLocalOffer && self.manner == Manner::Impolite;
                if !self.ignoring {
                    self.state = State::SettingOffer;
                    outbox.push_back(Output::SetRemote(Kind::Offer, sdp));
                }
            }
            Message::Restart => self.restart(outbox),
        }
        Ok(())
    }

    fn on_described(&mut self, kind: Kind, sdp: String, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let message = match (self.state, kind) {
            (State::Answering, Kind::Answer) => {
                self.state = State::Stable;
                Message::Answer(sdp)
            }
            (State::Offering, Kind::Offer) => {
                self.state = State::HaveLocalOffer;
                Message::Offer(sdp)
            }
            // Somebody else drives the connection, too.
            _ => return Err(DownReason::Platform),
        };
        if !message.is_sendable() {
            return Err(DownReason::Platform);
        }
        send(&message, outbox);
        Ok(())
    }

    fn on_remote_set(&mut self, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match self.state {
            State::Agreeing => self.state = State::Stable,
            State::SettingOffer => {
                self.state = State::Answering;
                outbox.push_back(Output::Describe);
            }
            _ => return Err(DownReason::Platform),
        }
        Ok(())
    }

    /// Whose description it was that the browser doesn't take.
    fn on_failed(&self) -> DownReason {
        match self.state {
            State::Agreeing | State::SettingOffer => DownReason::Protocol,
            _ => DownReason::Platform,
        }
    }

    /// One that is too long for a message is one way less.
    fn on_candidate(&self, candidate: IceCandidate, outbox: &mut VecDeque<Output>) {
        let message = Message::Candidate(candidate);
        if message.is_sendable() {
            send(&message, outbox);
        }
    }

    /// One end begins anew, for both.
    fn restart(&self, outbox: &mut VecDeque<Output>) {
        match self.manner {
            Manner::Impolite => outbox.push_back(Output::RestartIce),
            Manner::Polite => send(&Message::Restart, outbox),
        }
    }
}

fn send(message: &Message, outbox: &mut VecDeque<Output>) {
    outbox.extend(message.slices().map(Output::Send));
}

/// How many messages came since when.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rate {
    since: Instant,
    count: u32,
}

impl Rate {
    fn allows(&mut self, now: Instant) -> bool {
        if now.since(self.since) >= WINDOW {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        self.count <= MAX_RATE
    }
}
