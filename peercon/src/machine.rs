//! The connection itself: facts from the browser, the leader and the peer in, acts out.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    id::PersonaId,
    keys::{GrantProof, Signature},
    local::{Door, DownReason, IdentityText},
    rendezvous::IceEnds,
    status::Path,
};

use crate::live::Live;

/// Who is to be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Ours.
    pub own: PersonaId,
    /// The peer; any other identity is refused. `None`: whoever comes through the door.
    pub peer: Option<PersonaId>,
    /// The way in.
    pub door: Door,
    /// Whether the peer may know our network addresses, and our browser may try the peer's. Through signals both always do.
    pub direct: bool,
    /// 16 random bytes, new for every connection.
    pub nonce: [u8; 16],
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// One of the two data channels closed.
    ChannelClosed,
    /// `connectionState` became `failed` or `closed`.
    ConnectionFailed,
    /// A message of the control channel.
    Control(Vec<u8>),
    /// ICE made this end the controlled one: the browser offers nothing, and answers in this restart.
    Controlled,
    /// The control channel is open.
    ControlOpen,
    /// A message of the data channel.
    Data(Vec<u8>),
    /// The data channel is open.
    DataOpen,
    /// There will be no more local candidates.
    GatheringDone,
    /// The peer may know our network addresses from now on. Nothing changes if it may already.
    GoDirect,
    /// The leader wants no connection any longer.
    HangUp,
    /// A local candidate: `RTCIceCandidate.candidate`.
    LocalCandidate(String),
    /// The SDP of the local offer or answer, after `setLocalDescription`; again after [`Output::Restart`] or [`Output::Answer`].
    LocalDescription(String),
    /// The browser refused a step.
    PlatformError,
    /// See whether the peer still answers: if not, the connection is over soon.
    Probe,
    /// A slice that [`Negotiation`](crate::negotiation::Negotiation) sends to its peer. Nothing is sent before the connection is up, and
    /// descriptions have candidates: at an address nothing is sent before both ends are willing to show theirs.
    Negotiate(Vec<u8>),
    /// Another path may be in use; answered with [`Output::FindPath`] where it matters.
    PathChanged,
    /// The network changed: see whether the peer still answers, and look for a better path if both ends may.
    Restart,
    /// The far end of the path in use, as [`Output::FindPath`] asked for it; `None` if the browser hides it. Nothing is said
    /// while no path is in use.
    Selected(Option<SocketAddr>),
    /// The peer's compact signal. The first one counts.
    Signal(Vec<u8>),
    /// The persona's signature, as [`Output::Sign`] asked for it.
    Signed(Signature),
    /// The time of [`Peercon::poll_timeout`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A candidate of the peer's for `addIceCandidate`, of the media with `sdpMid` 0. After `SetRemoteDescription`.
    AddCandidate(String),
    /// The SDP of an offer: set it as the remote description, and answer it; answered with [`Input::LocalDescription`].
    Answer(String),
    /// The connection is over and is to be closed. Comes exactly once and last.
    Down(DownReason),
    /// See which path is in use; answered with [`Input::Selected`].
    FindPath,
    /// The proxy that introduced us is to go on forwarding: between ends with these credentials if no direct path was found, with those of
    /// the dial if none is looked for, because one of the ends isn't willing.
    Forward(Option<IceEnds>),
    /// A slice that the peer's [`Negotiation`](crate::negotiation::Negotiation) sent. Who adds no media may drop it.
    Negotiated(Vec<u8>),
    /// How the peer is reached from now on. A connection that never says so is direct.
    Path(Path),
    /// A whole link message of the peer's. After `Up`.
    Received(Vec<u8>),
    /// Make a new offer with `iceRestart`; answered with [`Input::LocalDescription`].
    Restart {
        /// Where ICE made this end the controlled one, and the browser sends by the old path while it answers, it makes no offer:
        /// answered with [`Input::Controlled`] then.
        may_answer: bool,
    },
    /// How long the peer took to answer.
    RoundTrip(Duration),
    /// A message for the control channel.
    SendControl(Vec<u8>),
    /// A message for the data channel, at most 64 KiB. After `Up`.
    SendData(Vec<u8>),
    /// The SDP of an answer for `setRemoteDescription`.
    SetRemoteDescription(String),
    /// The persona's key is to sign `text`; answered with [`Input::Signed`].
    Sign {
        /// What is signed.
        text: IdentityText,
        /// That the peer, who dials an address of ours, has our grant: so it says, and it hasn't proven yet who it is.
        proof: Option<GrantProof>,
    },
    /// Our compact signal, for the peer; where we were introduced, for the proxy.
    Signal(Vec<u8>),
    /// Both ends have proven who they are: application bytes may pass.
    Up(PersonaId),
}

/// One connection to one peer.
#[derive(Clone, Debug)]
pub struct Peercon {
    /// `None` when it is over.
    live: Option<Box<Live>>,
    outbox: VecDeque<Output>,
}

impl Peercon {
    /// A connection that must be up within [`DIAL_TIMEOUT`](bitters_wire::limits::DIAL_TIMEOUT).
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self { live: Some(Box::new(Live::new(config, now))), outbox: VecDeque::new() }
    }
}

impl Machine for Peercon {
    type Input = Input;
    type Output = Output;

    /// Takes note of what happened. Nothing happens to a connection that is over.
    fn handle_input(&mut self, input: Input, now: Instant) {
        let Some(live) = &mut self.live else { return };
        if let Err(reason) = live.on_input(input, now, &mut self.outbox) {
            self.down(reason);
        }
    }

    /// The next act.
    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is wanted.
    fn poll_timeout(&self) -> Option<Instant> {
        self.live.as_ref().map(|live| live.poll_timeout())
    }
}

impl Peercon {
    /// Sends a whole link message of 1 to [`MAX_LINK`](bitters_wire::limits::MAX_LINK) bytes, once the connection is up.
    /// A message that can't be sent (another length, more than 1 MiB before the connection is up) ends the connection,
    /// because the others that follow it must not arrive without it.
    pub fn send(&mut self, message: &[u8]) {
        let Some(live) = &mut self.live else { return };
        if let Err(reason) = live.send(message, &mut self.outbox) {
            self.down(reason);
        }
    }

    fn down(&mut self, reason: DownReason) {
        self.live = None;
        self.outbox.push_back(Output::Down(reason));
    }
}
