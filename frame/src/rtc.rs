//! One RTCPeerConnection and its machine.
//!
//! The browser's steps are promises and must follow one another: the local description is set before the remote one, that
//! before a candidate. So they wait in a queue.
//!
//! Browsers, their policies and extensions take parts of WebRTC away: the constructor, a method, or what it returns. So
//! every call that can throw goes through [`global`], and whatever is missing or throws ends the connection at once
//! ([`Input::PlatformError`]).

use std::{
    cell::{OnceCell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
};

use bitters_peercon::{Config, Input, Output, Peercon};
use bitters_web::{clock, driver::Driver, error::WebError, global, pipe::bytes_of, random};
use bitters_wire::{
    address::MAX_PROXIES,
    limits::DRAIN_REPORT,
    local::{Dial, LinkCommand, LinkEvent},
};
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
};
use gloo_events::EventListener;
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::{
    EventTarget, MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelInit, RtcDataChannelType,
    RtcIceCandidate, RtcIceCandidateInit, RtcIceGatheringState, RtcIceServer, RtcOfferOptions, RtcPeerConnection,
    RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};

use crate::addresses::Addresses;

/// Chromium's data channel fails when more than 16 MiB wait in it; little is enough to keep it busy (50 ms of a loopback link), and
/// whoever has something to say waits for all of it.
const MAX_BUFFERED: u32 = 512 * 1024;

/// Bytes that wait for the data channel before the link is given up. Sessions keep far below by their credit.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// One connection to one peer.
pub struct Connection {
    machine: Driver<Peercon>,
    pc: RtcPeerConnection,
    control: RtcDataChannel,
    data: RtcDataChannel,
    waiting: RefCell<Waiting>,
    steps: UnboundedSender<Step>,
    on_event: Box<dyn Fn(LinkEvent)>,
    addresses: Addresses,
    /// Calls back when another path is in use, once that matters.
    path_watch: OnceCell<Closure<dyn FnMut()>>,
    listeners: RefCell<Vec<EventListener>>,
}

/// What waits for room in the data channel.
#[derive(Default)]
struct Waiting {
    parts: VecDeque<Part>,
    bytes: usize,
    /// Of messages that have gone since the leader was told.
    drained: u32,
}

/// A part of a message, and how long that is if this is all of it, or the last.
struct Part {
    bytes: Vec<u8>,
    ends: u32,
}

/// What the browser does in its own time.
enum Step {
    /// The peer's answer.
    Accept(String),
    /// The peer's offer.
    Answer(String),
    Candidate(String),
    Offer,
    Restart {
        may_answer: bool,
    },
}

impl Connection {
    /// Makes a connection and its offer.
    ///
    /// # Errors
    /// What the browser threw, or what it lacks.
    pub fn open(
        dial: Dial,
        configuration: &RtcConfiguration,
        addresses: Addresses,
        on_event: impl Fn(LinkEvent) + 'static,
    ) -> Result<Rc<Self>, WebError> {
        let pc = connection(configuration)?;
        let (control, data) = channel(&pc, "control", 0)
            .and_then(|control| Ok((control, channel(&pc, "data", 1)?)))
            .inspect_err(|_| close(&pc))?;
        let Dial { own, peer, door, direct, stun: _ } = dial;
        let config = Config { own, peer, door, direct, nonce: random::bytes() };
        let (steps, queue) = unbounded();
        let connection = Rc::new(Self {
            machine: Driver::new(Peercon::new(config, clock::now())),
            control,
            data,
            pc,
            waiting: RefCell::default(),
            steps,
            on_event: Box::new(on_event),
            addresses,
            path_watch: OnceCell::new(),
            listeners: RefCell::default(),
        });
        connection.data.set_buffered_amount_low_threshold(MAX_BUFFERED / 2);
        let this = Rc::clone(&connection);
        connection.machine.wake_by(move || this.on_timer());
        connection.listen();
        spawn_local(Rc::clone(&connection).walk(queue));
        connection.step(Step::Offer);
        connection.machine.rearm();
        Ok(connection)
    }

    /// The leader wants something of this link.
    pub fn command(self: &Rc<Self>, command: LinkCommand) {
        match command {
            LinkCommand::Dial(_) => {}
            LinkCommand::GoDirect => self.handle(Input::GoDirect),
            LinkCommand::HangUp => self.handle(Input::HangUp),
            LinkCommand::Probe => self.handle(Input::Probe),
            LinkCommand::Restart => self.handle(Input::Restart),
            LinkCommand::Send(message) => {
                self.machine.change(|machine| machine.send(&message), |output| self.perform(output));
                self.note_end(&message);
            }
            LinkCommand::Signal(blob) => self.handle(Input::Signal(blob)),
            LinkCommand::Signed(signature) => self.handle(Input::Signed(signature)),
        }
    }

    fn handle(self: &Rc<Self>, input: Input) {
        self.machine.handle_input(input, |output| self.perform(output));
    }

    fn perform(self: &Rc<Self>, output: Output) {
        match output {
            Output::AddCandidate(candidate) => self.step(Step::Candidate(candidate)),
            Output::Answer(sdp) => self.step(Step::Answer(sdp)),
            Output::Down(reason) => {
                self.close();
                self.tell(LinkEvent::Down(reason));
            }
            Output::FindPath => self.find_path(),
            Output::Forward(ends) => self.tell(LinkEvent::Forward(ends)),
            // Links carry no media.
            Output::Negotiated(_) => {}
            Output::Path(path) => self.tell(LinkEvent::Path(path)),
            Output::Received(message) => self.tell(LinkEvent::Received(message)),
            Output::Restart { may_answer } => self.step(Step::Restart { may_answer }),
            Output::RoundTrip(rtt) => {
                self.tell(LinkEvent::RoundTrip(u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX)));
            }
            // A channel that is closing says so by its event.
            Output::SendControl(bytes) => drop(self.control.send_with_u8_array(&bytes)),
            Output::SendData(bytes) => self.send_data(bytes),
            Output::SetRemoteDescription(sdp) => self.step(Step::Accept(sdp)),
            Output::Sign { text, proof } => self.tell(LinkEvent::Sign { text, proof }),
            Output::Signal(blob) => self.tell(LinkEvent::Signal(blob)),
            Output::Up(peer) => self.tell(LinkEvent::Up(peer)),
        }
    }

    fn find_path(self: &Rc<Self>) {
        let this = Rc::clone(self);
        spawn_local(async move {
            if this.path_watch.get().is_none() {
                let watched = Rc::clone(&this);
                let on_change = Closure::new(move || watched.handle(Input::PathChanged));
                let on_change = this.path_watch.get_or_init(|| on_change);
                drop(this.addresses.watch(&this.pc, on_change.as_ref()).await);
            }
            // As long as no path is in use there is nothing to tell.
            if let Ok(far) = this.addresses.far_end(&this.pc).await {
                this.handle(Input::Selected(far));
            }
        });
    }

    fn tell(&self, event: LinkEvent) {
        (self.on_event)(event);
    }

    fn send_data(self: &Rc<Self>, bytes: Vec<u8>) {
        let overrun = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.bytes += bytes.len();
            waiting.parts.push_back(Part { bytes, ends: 0 });
            waiting.bytes > MAX_WAITING
        };
        if overrun { self.later(Input::PlatformError) } else { self.pump() }
    }

    /// Fills the data channel from what waits.
    fn pump(self: &Rc<Self>) {
        while self.data.buffered_amount() < MAX_BUFFERED {
            let next = self.waiting.borrow_mut().parts.pop_front();
            let Some(part) = next else { break };
            self.waiting.borrow_mut().bytes -= part.bytes.len();
            if self.data.send_with_u8_array(&part.bytes).is_err() {
                return self.later(Input::PlatformError);
            }
            self.count(part.ends);
        }
    }

    /// All parts of a message have been made: its leader is told when the last one has gone.
    fn note_end(&self, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut waiting = self.waiting.borrow_mut();
        match waiting.parts.back_mut() {
            Some(last) => last.ends = last.ends.saturating_add(length),
            None => {
                drop(waiting);
                self.count(length);
            }
        }
    }

    /// So much of whole messages has gone.
    fn count(&self, drained: u32) {
        let due = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.drained = waiting.drained.saturating_add(drained);
            if waiting.drained >= DRAIN_REPORT { std::mem::take(&mut waiting.drained) } else { 0 }
        };
        if due > 0 {
            self.tell(LinkEvent::Drained(due));
        }
    }

    fn later(self: &Rc<Self>, input: Input) {
        let this = Rc::clone(self);
        spawn_local(async move { this.handle(input) });
    }

    fn step(&self, step: Step) {
        // The walker ends with the connection.
        drop(self.steps.unbounded_send(step));
    }

    async fn walk(self: Rc<Self>, mut queue: UnboundedReceiver<Step>) {
        while let Some(step) = queue.next().await {
            if let Err(error) = self.take(step).await {
                web_sys::console::warn_1(&format!("bitters: the connection failed: {error}").into());
                self.handle(Input::PlatformError);
            }
        }
    }

    async fn take(self: &Rc<Self>, step: Step) -> Result<(), WebError> {
        match step {
            Step::Accept(sdp) => self.set_remote(RtcSdpType::Answer, &sdp).await,
            Step::Answer(sdp) => {
                self.set_remote(RtcSdpType::Offer, &sdp).await?;
                let answer = self.settle("createAnswer", &JsValue::UNDEFINED).await?;
                self.set_local(&answer).await
            }
            Step::Candidate(candidate) => {
                let init = RtcIceCandidateInit::new(&candidate);
                init.set_sdp_mid(Some("0"));
                let candidate = RtcIceCandidate::new(&init).map_err(WebError::calling("RTCIceCandidate"))?;
                // One that this browser can't use is no reason to give up the others.
                self.settle("addIceCandidate", &candidate).await.map(drop).or(Ok(()))
            }
            Step::Offer => self.offer(false).await,
            // A browser that doesn't tell offers.
            Step::Restart { may_answer: true } if self.addresses.answers(&self.pc).await.unwrap_or(false) => {
                self.handle(Input::Controlled);
                Ok(())
            }
            Step::Restart { .. } => self.offer(true).await,
        }
    }

    async fn set_remote(&self, kind: RtcSdpType, sdp: &str) -> Result<(), WebError> {
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(sdp);
        self.settle("setRemoteDescription", &description).await.map(drop)
    }

    async fn offer(self: &Rc<Self>, restarts: bool) -> Result<(), WebError> {
        let options = RtcOfferOptions::new();
        options.set_ice_restart(restarts);
        let offer = self.settle("createOffer", &options).await?;
        self.set_local(&offer).await
    }

    async fn set_local(self: &Rc<Self>, description: &JsValue) -> Result<(), WebError> {
        self.settle("setLocalDescription", description).await?;
        let sdp = self.pc.local_description().map(|description| description.sdp()).unwrap_or_default();
        self.handle(Input::LocalDescription(sdp));
        Ok(())
    }

    /// Calls a method of the connection's and waits for its promise.
    async fn settle(&self, method: &'static str, arg: &JsValue) -> Result<JsValue, WebError> {
        global::call_async(&self.pc, method, arg).await
    }

    fn on_timer(self: &Rc<Self>) {
        self.machine.fired();
        self.handle(Input::Timeout);
    }

    fn listen(self: &Rc<Self>) {
        let mut listeners = self.listeners.borrow_mut();
        let mut on = |target: &EventTarget, name: &'static str, input: fn(&web_sys::Event) -> Option<Input>| {
            let this = Rc::clone(self);
            listeners.push(EventListener::new(target, name, move |event| {
                if let Some(input) = input(event) {
                    this.handle(input);
                }
            }));
        };
        on(&self.control, "open", |_| Some(Input::ControlOpen));
        on(&self.control, "message", |event| message(event).map(Input::Control));
        on(&self.control, "close", |_| Some(Input::ChannelClosed));
        on(&self.data, "open", |_| Some(Input::DataOpen));
        on(&self.data, "message", |event| message(event).map(Input::Data));
        on(&self.data, "close", |_| Some(Input::ChannelClosed));
        on(&self.pc, "icecandidate", |event| Some(candidate(event.unchecked_ref())));
        on(&self.pc, "icegatheringstatechange", |event| {
            let pc: RtcPeerConnection = event.target()?.unchecked_into();
            (pc.ice_gathering_state() == RtcIceGatheringState::Complete).then_some(Input::GatheringDone)
        });
        on(&self.pc, "iceconnectionstatechange", |_| Some(Input::PathChanged));
        on(&self.pc, "connectionstatechange", |event| {
            let pc: RtcPeerConnection = event.target()?.unchecked_into();
            match pc.connection_state() {
                // Chromium says so after 5 s without a word of the peer's, and gives up after 15 s.
                RtcPeerConnectionState::Disconnected => Some(Input::Probe),
                RtcPeerConnectionState::Closed | RtcPeerConnectionState::Failed => Some(Input::ConnectionFailed),
                _ => None,
            }
        });
        let this = Rc::clone(self);
        listeners.push(EventListener::new(&self.data, "bufferedamountlow", move |_| this.pump()));
    }

    /// Also ends the cycles of references through listeners, timer and walker.
    fn close(&self) {
        self.machine.rest();
        self.steps.close_channel();
        self.listeners.borrow_mut().clear();
        self.waiting.replace(Waiting::default());
        close(&self.pc);
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// How a connection that asks these servers how the world sees it is made.
pub fn configuration(stun: &[SocketAddr]) -> RtcConfiguration {
    let servers = stun.iter().take(MAX_PROXIES).map(|at| {
        let server = RtcIceServer::new();
        server.set_urls(&format!("stun:{at}").into());
        server
    });
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&servers.collect::<Array>());
    configuration
}

fn connection(configuration: &RtcConfiguration) -> Result<RtcPeerConnection, WebError> {
    let pc =
        RtcPeerConnection::new_with_configuration(configuration).map_err(WebError::calling("RTCPeerConnection"))?;
    if pc.is_instance_of::<EventTarget>() { Ok(pc) } else { Err(WebError::missing("RTCPeerConnection")) }
}

fn channel(pc: &RtcPeerConnection, label: &str, id: u16) -> Result<RtcDataChannel, WebError> {
    let init = RtcDataChannelInit::new();
    init.set_negotiated(true);
    init.set_id(id);
    let channel = global::invoke(pc, "createDataChannel", &Array::of2(&label.into(), &init))?;
    let channel: RtcDataChannel = channel.dyn_into().map_err(|_| WebError::missing("RTCDataChannel"))?;
    channel.set_binary_type(RtcDataChannelType::Arraybuffer);
    Ok(channel)
}

/// A connection that can't even be closed is none.
fn close(pc: &RtcPeerConnection) {
    drop(global::invoke(pc, "close", &Array::new()));
}

fn message(event: &web_sys::Event) -> Option<Vec<u8>> {
    bytes_of(&event.unchecked_ref::<MessageEvent>().data())
}

fn candidate(event: &RtcPeerConnectionIceEvent) -> Input {
    match event.candidate().map(|candidate| candidate.candidate()) {
        Some(text) if !text.is_empty() => Input::LocalCandidate(text),
        _ => Input::GatheringDone,
    }
}
