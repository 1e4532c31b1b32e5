//! A connection that isn't over: what it knows, and what it makes of what happens.

use std::{collections::VecDeque, net::SocketAddr};

use bitters_machine::time::Instant;
use bitters_wire::{
    WIRE,
    address::Token,
    keys::{GrantProof, Signature},
    limits::DIAL_TIMEOUT,
    local::{Door, DownReason, IdentityEnd},
    rendezvous::IceEnds,
    status::Path,
};

use crate::{
    Fingerprint,
    control::Control,
    handshake::{Handshake, Hello},
    heartbeat::PeerPings,
    local::Local,
    machine::{Config, Input, Output},
    negotiation::message::MAX_SLICE,
    packed::Packed,
    parts,
    paths::{Paths, Search, proxy_candidates},
    remote::Remote,
    restart::{Anew, Controlled, Restarts, Theirs},
    signal::Signal,
    traffic::{Opened, Traffic, is_sendable},
    willingness::Willingness,
};

/// A connection that isn't over.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    config: Config,
    deadline: Instant,
    local: Local,
    peer: PeerEnd,
    control_open: bool,
    data_open: bool,
    handshake: Handshake,
    peer_pings: PeerPings,
    restarts: Restarts,
    paths: Paths,
    telling: Telling,
    willingness: Willingness,
    traffic: Traffic,
}

/// What the peer, or the proxy for it, is told of our own description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// Everything.
    All,
    /// Credentials without candidates: for the proxy.
    Credentials,
    /// Nothing: the proxy is told by what the browser sends.
    Nothing,
}

#[derive(Clone, Debug)]
enum PeerEnd {
    Unknown,
    /// Its signal came before our own description, without which there are no roles.
    Early(Signal),
    Set(Remote),
}

impl Live {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        let (telling, paths) = match &config.door {
            Door::Address { proxies, .. } => (Telling::Nothing, Paths::dialled(proxies)),
            Door::Introduced { .. } => (Telling::Credentials, Paths::introduced(&[])),
            Door::Signals => (Telling::All, Paths::default()),
        };
        let willingness = Willingness::at(&config.door, config.direct);
        Self {
            config,
            deadline: now + DIAL_TIMEOUT,
            local: Local::default(),
            peer: PeerEnd::Unknown,
            control_open: false,
            data_open: false,
            handshake: Handshake::Waiting,
            peer_pings: PeerPings::default(),
            restarts: Restarts::default(),
            paths,
            telling,
            willingness,
            traffic: Traffic::new(),
        }
    }

    pub(crate) fn on_input(
        &mut self,
        input: Input,
        now: Instant,
        outbox: &mut VecDeque<Output>,
    ) -> Result<(), DownReason> {
        match input {
            Input::ChannelClosed | Input::ConnectionFailed => return Err(DownReason::Closed),
            Input::Control(bytes) => {
                // Proof that the channel is open, should the message overtake the event.
                self.on_control_open(outbox);
                self.on_control(&bytes, now, outbox)?;
            }
            Input::ControlOpen => self.on_control_open(outbox),
            Input::Controlled => self.on_controlled(outbox),
            Input::Data(part) => self.on_data(part, outbox)?,
            Input::DataOpen => self.data_open = true,
            Input::GatheringDone => self.described().on_gathered(now),
            Input::GoDirect => self.willingness.on_go_direct(),
            Input::HangUp => return self.on_hang_up(outbox),
            Input::LocalCandidate(text) => self.described().on_candidate(&text, now),
            Input::LocalDescription(offer) => self.on_description(&offer, now, outbox)?,
            Input::Negotiate(slice) if slice.len() <= MAX_SLICE && self.may_show() => {
                outbox.push_back(control(&Control::Negotiation(slice)));
            }
            Input::Negotiate(_) => {}
            Input::PathChanged => outbox.extend(self.finds_paths().then_some(Output::FindPath)),
            Input::PlatformError => return Err(DownReason::Platform),
            Input::Probe => self.on_probe(now, outbox),
            Input::Restart => self.on_restart(now, outbox),
            Input::Selected(remote) => self.on_selected(remote, now, outbox),
            Input::Signal(blob) => self.on_signal(&blob, outbox)?,
            Input::Signed(signature) => self.on_signed(signature, outbox),
            Input::Timeout => self.on_timeout(now, outbox)?,
        }
        self.poll_restart(now, outbox)?;
        self.tell_local(now, outbox);
        self.tell_willing(outbox);
        self.go_up(now, outbox)?;
        self.seek_direct(now, outbox);
        self.poll_paths(now, outbox);
        Ok(())
    }

    pub(crate) fn send(&mut self, message: &[u8], outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if !is_sendable(message) {
            return Err(DownReason::Protocol);
        }
        match &mut self.traffic {
            Traffic::Held { outgoing, .. } => outgoing.push(message.to_vec()),
            Traffic::Up { .. } => {
                self.paths.on_passed(message.len());
                outbox.extend(parts::split(message).map(Output::SendData));
                Ok(())
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        match &self.traffic {
            Traffic::Held { .. } => {
                let signal = self.local.poll_timeout().filter(|_| self.telling == Telling::All);
                [signal, self.local.hopeless_at()].into_iter().flatten().fold(self.deadline, Instant::min)
            }
            Traffic::Up { heartbeat, .. } => {
                let others = [self.restarts.poll_timeout(), self.paths.poll_timeout()];
                others.into_iter().flatten().fold(heartbeat.poll_timeout(), Instant::min)
            }
        }
    }

    fn on_description(&mut self, offer: &str, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        self.described().on_description(offer, now).map_err(|_| DownReason::Platform)?;
        let told = match (&self.peer, &self.config.door) {
            (PeerEnd::Early(signal), _) => Some(signal.clone()),
            (PeerEnd::Unknown, Door::Address { fingerprint, token, proxies, .. }) => {
                let own = self.local.description().ok_or(DownReason::Platform)?;
                Some(invented(own, *fingerprint, *token, proxies)?)
            }
            _ => None,
        };
        told.map_or(Ok(()), |signal| self.set_remote(signal, outbox))
    }

    fn on_signal(&mut self, blob: &[u8], outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        // At an address nobody is told anything: what comes is meant for another connection.
        let awaited = !matches!(self.config.door, Door::Address { .. });
        if awaited && matches!(self.peer, PeerEnd::Unknown) {
            let mut signal = Signal::decode(blob).map_err(|_| DownReason::Protocol)?;
            if let Door::Introduced { proxies, .. } = &self.config.door {
                let known = proxy_candidates(proxies);
                signal.candidates.retain(|candidate| known.contains(candidate));
                self.paths = Paths::introduced(&signal.candidates);
            }
            self.set_remote(signal, outbox)?;
        }
        Ok(())
    }

    fn set_remote(&mut self, signal: Signal, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let Some(ours) = self.local.fingerprint() else {
            self.peer = PeerEnd::Early(signal);
            return Ok(());
        };
        if let Door::Introduced { fingerprint, .. } = &self.config.door
            && *fingerprint != ours
        {
            return Err(DownReason::Platform);
        }
        let (remote, answer) = Remote::new(ours, signal)?;
        self.peer = PeerEnd::Set(remote);
        outbox.push_back(Output::SetRemoteDescription(answer));
        Ok(())
    }

    fn on_control_open(&mut self, outbox: &mut VecDeque<Output>) {
        if !self.control_open {
            self.control_open = true;
            let Config { own: key, nonce, .. } = self.config;
            let proof = if let Door::Address { proof, .. } = self.config.door { proof } else { None };
            outbox.push_back(control(&Control::Hello { key, nonce, wire: WIRE, proof }));
        }
    }

    fn on_control(&mut self, bytes: &[u8], now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        match Control::decode(bytes).map_err(|_| DownReason::Protocol)? {
            Control::Bye => Err(DownReason::Closed),
            // An honest peer shows nothing before both are willing.
            Control::Candidate(_) | Control::Negotiation(_) | Control::Restart(_) | Control::RestartWanted
                if !self.willingness.is_mutual() =>
            {
                Err(DownReason::Protocol)
            }
            Control::Candidate(bytes) if self.restarts.hold_candidate(&bytes)? => Ok(()),
            Control::Candidate(bytes) => self.on_peer_candidate(&bytes, now, outbox),
            Control::Hello { key, nonce, wire, proof } => self.on_hello(&Hello { key, nonce, wire }, proof, outbox),
            Control::Identity(signature) => self.handshake.on_identity(&signature),
            Control::Negotiation(_) if !self.handshake.is_verified() => Err(DownReason::Protocol),
            Control::Negotiation(slice) => {
                outbox.push_back(Output::Negotiated(slice));
                Ok(())
            }
            Control::Ping(number) => self.on_ping(number, now, outbox),
            Control::Pong(number) => {
                let Traffic::Up { heartbeat, .. } = &mut self.traffic else { return Err(DownReason::Protocol) };
                outbox.push_back(Output::RoundTrip(heartbeat.on_pong(number, now)?));
                Ok(())
            }
            Control::Restart(bytes) => self.on_peer_restart(&bytes, now, outbox),
            Control::RestartWanted => self.on_restart_wanted(now, outbox),
            Control::Willing if !self.handshake.is_verified() => Err(DownReason::Protocol),
            Control::Willing => self.willingness.on_peer(),
        }
    }

    fn on_peer_candidate(
        &mut self,
        bytes: &[u8],
        now: Instant,
        outbox: &mut VecDeque<Output>,
    ) -> Result<(), DownReason> {
        let PeerEnd::Set(remote) = &mut self.peer else { return Err(DownReason::Protocol) };
        if let Some((candidate, text)) = remote.on_candidate(bytes)? {
            self.paths.on_candidate(&candidate, now);
            outbox.push_back(Output::AddCandidate(text));
        }
        Ok(())
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
        self.paths.on_network();
        if self.may_show() {
            outbox.extend(self.restarts.begin(now).map(restart));
        }
    }

    fn on_controlled(&mut self, outbox: &mut VecDeque<Output>) {
        outbox.extend(self.restarts.on_controlled().map(|controlled| match controlled {
            Controlled::Ask => control(&Control::RestartWanted),
            Controlled::Offer => Output::Restart { may_answer: false },
        }));
    }

    /// As for its restart.
    fn on_restart_wanted(&mut self, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        if !self.handshake.is_verified() {
            return Err(DownReason::Protocol);
        }
        outbox.extend(self.restarts.on_asked(now)?.map(restart));
        Ok(())
    }

    /// An honest peer restarts once it is up, after its identity on the same channel.
    fn on_peer_restart(&mut self, bytes: &[u8], now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let PeerEnd::Set(remote) = &self.peer else { return Err(DownReason::Protocol) };
        if !self.handshake.is_verified() {
            return Err(DownReason::Protocol);
        }
        outbox.extend(self.restarts.on_signal(bytes, remote.fingerprint, now)?.map(restart));
        Ok(())
    }

    fn poll_restart(&mut self, now: Instant, outbox: &mut VecDeque<Output>) -> Result<(), DownReason> {
        let Some(ours) = self.local.fingerprint() else { return Ok(()) };
        if self.may_show() {
            outbox.extend(self.restarts.poll_again(now).map(restart));
        }
        outbox.extend(self.restarts.poll_signal(now).map(|signal| control(&Control::Restart(signal))));
        if let Some((remote, theirs)) = self.restarts.poll_theirs(ours)? {
            self.peer = PeerEnd::Set(remote);
            outbox.push_back(match theirs {
                Theirs::Answer(answer) => Output::SetRemoteDescription(answer),
                Theirs::Offer(offer) => Output::Answer(offer),
            });
        }
        if let Some(local) = self.restarts.poll_done() {
            self.local = local;
            self.telling = Telling::All;
            self.paths.on_restarted(now);
        }
        Ok(())
    }

    /// Whether we may begin to show where we are, and to try where the peer is.
    fn may_show(&self) -> bool {
        self.willingness.is_mutual() && matches!(self.traffic, Traffic::Up { .. })
    }

    /// As soon as the peer knows who we are and we know who it is.
    fn tell_willing(&mut self, outbox: &mut VecDeque<Output>) {
        if self.handshake.is_done() && self.willingness.poll_word() {
            outbox.push_back(control(&Control::Willing));
        }
    }

    /// A connection that was opened at an address leaves the proxy as soon as it may. The peer may have begun already.
    fn seek_direct(&mut self, now: Instant, outbox: &mut VecDeque<Output>) {
        if self.may_show() && self.paths.show() {
            outbox.extend(self.restarts.begin(now).map(restart));
        }
    }

    /// Before it is up nobody can be told of a path.
    const fn finds_paths(&self) -> bool {
        self.paths.is_proxied() && matches!(self.traffic, Traffic::Up { .. })
    }

    fn poll_paths(&mut self, now: Instant, outbox: &mut VecDeque<Output>) {
        match self.paths.poll(now) {
            Some(Search::Look) => outbox.push_back(Output::FindPath),
            Some(Search::Forward) => self.fall_back(outbox),
            Some(Search::GoOn) => outbox.push_back(Output::Forward(None)),
            Some(Search::Restart) => outbox.extend(self.restarts.begin(now).map(restart)),
            None => {}
        }
    }

    /// One of two Chromiums, the controlled end of ICE, leaves the proxy only when something comes on the better path.
    fn on_selected(&mut self, remote: Option<SocketAddr>, now: Instant, outbox: &mut VecDeque<Output>) {
        if !self.finds_paths() {
            return;
        }
        let was_searching = self.paths.is_searching();
        let path = self.paths.on_selected(remote, now);
        outbox.extend(path.map(Output::Path));
        if was_searching
            && path == Some(Path::Direct)
            && let Traffic::Up { heartbeat, .. } = &mut self.traffic
        {
            heartbeat.again();
        }
    }

    /// Both ends add the proxies again, which the peer is told.
    fn fall_back(&mut self, outbox: &mut VecDeque<Output>) {
        let (PeerEnd::Set(remote), Some(own)) = (&mut self.peer, self.local.description()) else { return };
        let (ours, theirs) = (own.credentials.clone().into(), remote.credentials.clone().into());
        outbox.push_back(Output::Forward(Some(IceEnds { ours, theirs })));
        for proxy in self.paths.proxies() {
            let mut bytes = Vec::with_capacity(19);
            proxy.write(&mut bytes);
            // There is no room for it when the peer told as many candidates as it may.
            let added = remote.on_candidate(&bytes).ok().flatten();
            outbox.extend(added.map(|(_, text)| Output::AddCandidate(text)));
            outbox.push_back(control(&Control::Candidate(bytes)));
        }
    }

    /// The proof of a peer that didn't dial proves nothing.
    fn on_hello(
        &mut self,
        hello: &Hello,
        proof: Option<GrantProof>,
        outbox: &mut VecDeque<Output>,
    ) -> Result<(), DownReason> {
        let (PeerEnd::Set(remote), Some(fingerprint)) = (&self.peer, self.local.fingerprint()) else {
            return Err(DownReason::Protocol);
        };
        let Config { own, peer, nonce, .. } = self.config;
        let ours = IdentityEnd { id: own, fingerprint, nonce };
        let text = self.handshake.on_hello(hello, peer, ours, remote.fingerprint, remote.role)?;
        let proof = proof.filter(|_| matches!(self.config.door, Door::Introduced { .. }));
        outbox.push_back(Output::Sign { text, proof });
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
                self.paths.on_passed(part.len());
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
            Traffic::Held { .. } if self.local.hopeless_at().is_some_and(|at| at <= now) => Err(DownReason::Platform),
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
        match self.telling {
            Telling::All => outbox.extend(self.local.poll_signal(now).map(Output::Signal)),
            Telling::Credentials => return outbox.extend(self.local.poll_credentials().map(Output::Signal)),
            Telling::Nothing => return,
        }
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
        let Some(peer) = self.handshake.peer() else { return Ok(()) };
        let Some(Opened { outgoing, incoming, ping }) = self.traffic.open(now) else { return Ok(()) };
        outbox.push_back(Output::Up(peer));
        outbox.push_back(control(&Control::Ping(ping)));
        let opening = DIAL_TIMEOUT.saturating_sub(self.deadline.since(now));
        outbox.extend(self.paths.on_up(opening, now).map(Output::Path));
        for message in outgoing {
            self.send(&message, outbox)?;
        }
        for part in incoming {
            self.on_data(part, outbox)?;
        }
        Ok(())
    }
}

/// What the listener would have told us, as far as an address says it. All that it must know of us is in its username fragment.
fn invented(
    own: &Signal,
    fingerprint: Fingerprint,
    token: Token,
    proxies: &[SocketAddr],
) -> Result<Signal, DownReason> {
    let password = own.credentials.password().to_owned();
    let packed = Packed { token, fingerprint: own.fingerprint, password };
    let credentials = packed.credentials().map_err(|_| DownReason::Platform)?;
    Ok(Signal { credentials, fingerprint, candidates: proxy_candidates(proxies) })
}

const fn restart(Anew { may_answer }: Anew) -> Output {
    Output::Restart { may_answer }
}

fn control(message: &Control) -> Output {
    Output::SendControl(message.encode())
}
