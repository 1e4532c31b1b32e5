//! The connection itself: facts from the browser, the leader and the peer in, acts out.

use std::{collections::VecDeque, time::Duration};

use bitters_wire::{
    WIRE,
    id::NodeId,
    keys::Signature,
    limits::DIAL_TIMEOUT,
    local::{DownReason, IdentityEnd, IdentityText},
    time::Instant,
};

use crate::{
    control::Control,
    handshake::{Handshake, Hello},
    heartbeat::PeerPings,
    local::Local,
    parts,
    remote::Remote,
    restart::Restarts,
    signal::Signal,
    traffic::{Opened, Traffic, is_sendable},
};

/// Who is to be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Ours.
    pub node: NodeId,
    /// The peer; any other identity is refused.
    pub peer: NodeId,
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
    /// The control channel is open.
    ControlOpen,
    /// A message of the data channel.
    Data(Vec<u8>),
    /// The data channel is open.
    DataOpen,
    /// There will be no more local candidates.
    GatheringDone,
    /// The leader wants no connection any longer.
    HangUp,
    /// A local candidate: `RTCIceCandidate.candidate`.
    LocalCandidate(String),
    /// The SDP of the local offer, after `setLocalDescription`; again after [`Output::Restart`].
    LocalDescription(String),
    /// The browser refused a step.
    PlatformError,
    /// See whether the peer still answers: if not, the connection is over soon.
    Probe,
    /// The network changed: see whether the peer still answers, and look for a better path.
    Restart,
    /// The peer's compact signal. The first one counts.
    Signal(Vec<u8>),
    /// The node's signature, as [`Output::Sign`] asked for it.
    Signed(Signature),
    /// The time of [`Peercon::poll_timeout`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A candidate of the peer's for `addIceCandidate`, of the media with `sdpMid` 0. After `SetRemoteDescription`.
    AddCandidate(String),
    /// The connection is over and is to be closed. Comes exactly once and last.
    Down(DownReason),
    /// A whole link message of the peer's. After `Up`.
    Received(Vec<u8>),
    /// Make a new offer with `iceRestart`; answered with [`Input::LocalDescription`].
    Restart,
    /// How long the peer took to answer.
    RoundTrip(Duration),
    /// A message for the control channel.
    SendControl(Vec<u8>),
    /// A message for the data channel, at most 64 KiB. After `Up`.
    SendData(Vec<u8>),
    /// The SDP of an answer for `setRemoteDescription`.
    SetRemoteDescription(String),
    /// The node's key is to sign this; answered with [`Input::Signed`].
    Sign(IdentityText),
    /// Our compact signal, for the peer.
    Signal(Vec<u8>),
    /// Both ends have proven who they are: application bytes may pass.
    Up(NodeId),
}

/// One connection to one peer.
#[derive(Clone, Debug)]
pub struct Peercon {
    /// `None` when it is over.
    live: Option<Box<Live>>,
    outbox: VecDeque<Output>,
}

impl Peercon {
    /// A connection that must be up within [`DIAL_TIMEOUT`].
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let live = Live {
            config,
            deadline: now + DIAL_TIMEOUT,
            local: Local::default(),
            peer: PeerEnd::Unknown,
            control_open: false,
            data_open: false,
            handshake: Handshake::Waiting,
            peer_pings: PeerPings::default(),
            restarts: Restarts::default(),
            traffic: Traffic::new(),
        };
        Self { live: Some(Box::new(live)), outbox: VecDeque::new() }
    }

    /// Takes note of what happened. Nothing happens to a connection that is over.
    pub fn handle_input(&mut self, input: Input, now: Instant) {
        let Some(live) = &mut self.live else { return };
        if let Err(reason) = live.on_input(input, now, &mut self.outbox) {
            self.down(reason);
        }
    }

    /// Sends a whole link message of 1 to [`MAX_LINK`](bitters_wire::limits::MAX_LINK) bytes, once the connection is up.
    /// A message that can't be sent (another length, more than 1 MiB before the connection is up) ends the connection,
    /// because the others that follow it must not arrive without it.
    pub fn send(&mut self, message: &[u8]) {
        let Some(live) = &mut self.live else { return };
        if let Err(reason) = live.send(message, &mut self.outbox) {
            self.down(reason);
        }
    }

    /// The next act.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.live.as_ref().map(|live| live.poll_timeout())
    }

    fn down(&mut self, reason: DownReason) {
        self.live = None;
        self.outbox.push_back(Output::Down(reason));
    }
}

/// A connection that isn't over.
#[derive(Clone, Debug)]
struct Live {
    config: Config,
    deadline: Instant,
    local: Local,
    peer: PeerEnd,
    control_open: bool,
    data_open: bool,
    handshake: Handshake,
    peer_pings: PeerPings,
    restarts: Restarts,
    traffic: Traffic,
}

#[derive(Clone, Debug)]
enum PeerEnd {
    Unknown,
    /// Its signal came before our own description, without which there are no roles.
    Early(Signal),
    Set(Remote),
}

impl Live {
    fn on_input(&mut self, input: Input, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match input {
            Input::ChannelClosed | Input::ConnectionFailed => return Err(DownReason::Closed),
            Input::Control(bytes) => {
                // Proof that the channel is open, should the message overtake the event.
                self.on_control_open(outbox);
                self.on_control(&bytes, now, outbox)?;
            }
            Input::ControlOpen => self.on_control_open(outbox),
            Input::Data(part) => self.on_data(part, outbox)?,
            Input::DataOpen => self.data_open = true,
            Input::GatheringDone => self.described().on_gathered(),
            Input::HangUp => return self.on_hang_up(outbox),
            Input::LocalCandidate(text) => self.described().on_candidate(&text, now),
            Input::LocalDescription(offer) => self.on_description(&offer, now, outbox)?,
            Input::PlatformError => return Err(DownReason::Platform),
            Input::Probe => self.on_probe(now, outbox),
            Input::Restart => self.on_restart(now, outbox),
            Input::Signal(blob) => self.on_signal(&blob, outbox)?,
            Input::Signed(signature) => self.on_signed(signature, outbox),
            Input::Timeout => self.on_timeout(now, outbox)?,
        }
        self.poll_restart(now, outbox)?;
        self.tell_local(now, outbox);
        self.go_up(now, outbox)
    }

    fn send(&mut self, message: &[u8], outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if !is_sendable(message) {
            return Err(DownReason::Protocol);
        }
        match &mut self.traffic {
            Traffic::Held { outgoing, .. } => outgoing.push(message.to_vec()),
            Traffic::Up { .. } => {
                outbox.extend(parts::split(message).map(Output::SendData));
                Ok(())
            }
        }
    }

    fn poll_timeout(&self) -> Instant {
        match &self.traffic {
            Traffic::Held { .. } => self.local.poll_timeout().map_or(self.deadline, |at| at.min(self.deadline)),
            Traffic::Up { heartbeat, .. } => {
                self.restarts.poll_timeout().map_or(heartbeat.poll_timeout(), |at| at.min(heartbeat.poll_timeout()))
            }
        }
    }

    fn on_description(&mut self, offer: &str, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        self.described().on_description(offer, now).map_err(|_| DownReason::Platform)?;
        if let PeerEnd::Early(signal) = &self.peer {
            let signal = signal.clone();
            self.set_remote(signal, outbox)?;
        }
        Ok(())
    }

    fn on_signal(&mut self, blob: &[u8], outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if matches!(self.peer, PeerEnd::Unknown) {
            let signal = Signal::decode(blob).map_err(|_| DownReason::Protocol)?;
            self.set_remote(signal, outbox)?;
        }
        Ok(())
    }

    fn set_remote(&mut self, signal: Signal, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let Some(ours) = self.local.fingerprint() else {
            self.peer = PeerEnd::Early(signal);
            return Ok(());
        };
        let (remote, answer) = Remote::new(ours, signal)?;
        self.peer = PeerEnd::Set(remote);
        outbox.push_back(Output::SetRemoteDescription(answer));
        Ok(())
    }

    fn on_control_open(&mut self, outbox: &mut VecDeque<Output>) {
        if !self.control_open {
            self.control_open = true;
            let Config { node, nonce, .. } = self.config;
            outbox.push_back(control(&Control::Hello { node, nonce, wire: WIRE }));
        }
    }

    fn on_control(&mut self, bytes: &[u8], now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match Control::decode(bytes).map_err(|_| DownReason::Protocol)? {
            Control::Bye => Err(DownReason::Closed),
            Control::Candidate(bytes) if self.restarts.hold_candidate(&bytes)? => Ok(()),
            Control::Candidate(bytes) => {
                let PeerEnd::Set(remote) = &mut self.peer else { return Err(DownReason::Protocol) };
                outbox.extend(remote.on_candidate(&bytes)?.map(Output::AddCandidate));
                Ok(())
            }
            Control::Hello { node, nonce, wire } => self.on_hello(&Hello { node, nonce, wire }, outbox),
            Control::Identity(signature) => self.handshake.on_identity(&signature),
            Control::Ping(number) => self.on_ping(number, now, outbox),
            Control::Pong(number) => {
                let Traffic::Up { heartbeat, .. } = &mut self.traffic else { return Err(DownReason::Protocol) };
                outbox.push_back(Output::RoundTrip(heartbeat.on_pong(number, now)?));
                Ok(())
            }
            Control::Restart(bytes) => self.on_peer_restart(&bytes, now, outbox),
        }
    }

    /// The description that the browser is making, or has made.
    fn described(&mut self) -> &mut Local {
        match self.restarts.local() {
            Some(local) => local,
            None => &mut self.local,
        }
    }

    fn on_restart(&mut self, now: Instant, outbox: &mut VecDeque<Output>) {
        self.on_probe(now, outbox);
        if matches!(self.traffic, Traffic::Up { .. }) && self.restarts.begin(now) {
            outbox.push_back(Output::Restart);
        }
    }

    /// An honest peer restarts once it is up, after its identity on the same channel.
    fn on_peer_restart(&mut self, bytes: &[u8], now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let PeerEnd::Set(remote) = &self.peer else { return Err(DownReason::Protocol) };
        if !self.handshake.is_verified() {
            return Err(DownReason::Protocol);
        }
        if self.restarts.on_signal(bytes, remote.fingerprint, now)? {
            outbox.push_back(Output::Restart);
        }
        Ok(())
    }

    fn poll_restart(&mut self, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let Some(ours) = self.local.fingerprint() else { return Ok(()) };
        outbox.extend(self.restarts.poll_signal(now).map(|signal| control(&Control::Restart(signal))));
        if let Some((remote, answer)) = self.restarts.poll_answer(ours)? {
            self.peer = PeerEnd::Set(remote);
            outbox.push_back(Output::SetRemoteDescription(answer));
        }
        if let Some(local) = self.restarts.poll_done() {
            self.local = local;
        }
        Ok(())
    }

    fn on_hello(&mut self, hello: &Hello, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let (PeerEnd::Set(remote), Some(fingerprint)) = (&self.peer, self.local.fingerprint()) else {
            return Err(DownReason::Protocol);
        };
        let Config { node, peer, nonce } = self.config;
        let ours = IdentityEnd { id: node, fingerprint, nonce };
        let text = self.handshake.on_hello(hello, peer, ours, remote.fingerprint, remote.role)?;
        outbox.push_back(Output::Sign(text));
        Ok(())
    }

    fn on_signed(&mut self, signature: Signature, outbox: &mut VecDeque<Output>) {
        if self.handshake.on_signed() {
            outbox.push_back(control(&Control::Identity(signature)));
        }
    }

    /// An honest peer pings when it is up, after its identity on the same channel.
    fn on_ping(&mut self, number: u32, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if !self.handshake.is_verified() {
            return Err(DownReason::Protocol);
        }
        self.peer_pings.on_ping(now)?;
        outbox.push_back(control(&Control::Pong(number)));
        Ok(())
    }

    fn on_data(&mut self, part: Vec<u8>, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match &mut self.traffic {
            Traffic::Held { incoming, .. } => incoming.push(part),
            Traffic::Up { reassembly, .. } => {
                let message = reassembly.add(&part).map_err(|_| DownReason::Protocol)?;
                outbox.extend(message.map(Output::Received));
                Ok(())
            }
        }
    }

    fn on_hang_up(&self, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if self.control_open {
            outbox.push_back(control(&Control::Bye));
        }
        Err(DownReason::HungUp)
    }

    fn on_timeout(&mut self, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match &mut self.traffic {
            Traffic::Held { .. } if now >= self.deadline => Err(DownReason::DialTimeout),
            Traffic::Held { .. } => Ok(()),
            Traffic::Up { heartbeat, .. } => {
                outbox.extend(heartbeat.poll(now)?.map(|number| control(&Control::Ping(number))));
                Ok(())
            }
        }
    }

    fn on_probe(&mut self, now: Instant, outbox: &mut VecDeque<Output>) {
        if let Traffic::Up { heartbeat, .. } = &mut self.traffic {
            outbox.extend(heartbeat.probe(now).map(|number| control(&Control::Ping(number))));
        }
    }

    /// The signal as soon as it is worth sending, late candidates as soon as there is a way.
    fn tell_local(&mut self, now: Instant, outbox: &mut VecDeque<Output>) {
        outbox.extend(self.local.poll_signal(now).map(Output::Signal));
        while self.control_open
            && let Some(candidate) = self.local.poll_late()
        {
            let mut bytes = Vec::with_capacity(19);
            candidate.write(&mut bytes);
            outbox.push_back(control(&Control::Candidate(bytes)));
        }
    }

    fn go_up(&mut self, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if !self.control_open || !self.data_open || !self.handshake.is_done() {
            return Ok(());
        }
        let Some(Opened { outgoing, incoming, ping }) = self.traffic.open(now) else { return Ok(()) };
        outbox.push_back(Output::Up(self.config.peer));
        outbox.push_back(control(&Control::Ping(ping)));
        for message in outgoing {
            self.send(&message, outbox)?;
        }
        for part in incoming {
            self.on_data(part, outbox)?;
        }
        Ok(())
    }
}

fn control(message: &Control) -> Output {
    Output::SendControl(message.encode())
}
