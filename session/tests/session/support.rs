//! Frames and the leaders between them, without time: whatever is sent arrives at once, unless the way is cut.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{Machine, time::Instant};
use bitters_session::{CallKey, Config, Endpoint, Input, Output, StreamKey};
use bitters_wire::{
    data::Data,
    id::{FrameId, PersonaId},
    keys::PersonaSecret,
    name::Name,
    packet::{Body, Packet, Refusal, Service},
};

pub struct Net {
    pub frames: Vec<Frame>,
    pub now: Instant,
    /// Packets vanish.
    pub cut: bool,
    /// Packets to this frame vanish.
    pub deaf: Option<usize>,
    /// Every packet that was sent.
    pub sent: Vec<Packet>,
}

pub struct Frame {
    pub endpoint: Endpoint,
    pub persona: PersonaId,
    pub id: FrameId,
    pub gone: bool,
    /// Its leader knows that it serves nothing.
    pub idle: bool,
    /// What its shell was told, but for packets.
    pub told: VecDeque<Output>,
}

impl Net {
    /// One frame for each persona's number; equal numbers are frames of one persona.
    pub fn new<const N: usize>(personas: [u8; N]) -> Self {
        let frames = personas.iter().zip(1..).map(|(&persona, frame)| Frame::new(persona, frame)).collect();
        Self { frames, now: Instant::START, cut: false, deaf: None, sent: Vec::new() }
    }

    /// Does something at a frame, and then all that follows from it.
    pub fn at<T>(&mut self, frame: usize, act: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let done = act(&mut self.frames[frame].endpoint, self.now);
        self.settle();
        done
    }

    /// Lets time pass, with every timeout in it.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for frame in self.frames.iter_mut().filter(|frame| !frame.gone) {
                frame.endpoint.handle_input(Input::Timeout, self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.frames.iter().filter(|frame| !frame.gone).filter_map(|frame| frame.endpoint.poll_timeout()).min()
    }

    pub fn told(&mut self, frame: usize) -> Vec<Output> {
        self.frames[frame].told.drain(..).collect()
    }

    pub fn inject(&mut self, frame: usize, packet: Packet) {
        self.at(frame, |endpoint, now| endpoint.handle_input(Input::Packet(packet), now));
    }

    fn settle(&mut self) {
        while let Some((from, output)) = self.next_output() {
            match output {
                Output::Packet(packet) => self.route(from, packet),
                told => self.frames[from].told.push_back(told),
            }
        }
    }

    fn next_output(&mut self) -> Option<(usize, Output)> {
        self.frames.iter_mut().enumerate().find_map(|(i, frame)| Some((i, frame.endpoint.poll_output()?)))
    }

    fn route(&mut self, from: usize, packet: Packet) {
        self.sent.push(packet.clone());
        if self.cut {
            return;
        }
        let (to, packet) = match self.receiver(&packet) {
            Ok(to) => (to, packet),
            Err(reason) => match packet.refuse(reason) {
                Some(refusal) => (from, refusal),
                None => return,
            },
        };
        if self.deaf != Some(to) {
            self.frames[to].endpoint.handle_input(Input::Packet(packet), self.now);
        }
    }

    /// As leaders do: by frame, else by what is served, here the persona's last frame that isn't idle.
    fn receiver(&self, packet: &Packet) -> Result<usize, Refusal> {
        let is_persona = |frame: &Frame| frame.persona == packet.to;
        let is_frame = |frame: &Frame| packet.to_frame.map_or(!frame.idle, |id| id == frame.id) && !frame.gone;
        if !self.frames.iter().any(is_persona) {
            return Err(Refusal::NoRoute);
        }
        let lost = if matches!(packet.body, Body::Open { .. }) { Refusal::NotServed } else { Refusal::FrameGone };
        self.frames.iter().rposition(|frame| is_persona(frame) && is_frame(frame)).ok_or(lost)
    }
}

impl Frame {
    fn new(persona: u8, frame: u8) -> Self {
        let (persona, id) = (PersonaSecret::new([persona; 32]), FrameId::from_random([frame; 16]));
        let (known, seed) = (persona.id(), [frame; 32]);
        let endpoint = Endpoint::new(Config { persona, frame: id, seed });
        Self { endpoint, persona: known, id, gone: false, idle: false, told: VecDeque::new() }
    }
}

pub fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

pub fn chat() -> Service {
    Service::Protocol(name("chat"))
}

pub fn echo() -> Service {
    Service::Method(name("echo"))
}

pub fn text(text: &str) -> Data {
    Data::Text(text.to_owned())
}

/// A stream from the first frame to the second, taken from both.
pub fn stream(net: &mut Net) -> (StreamKey, StreamKey) {
    net.frames[1].endpoint.serve(chat());
    let peer = net.frames[1].persona;
    let near = net.at(0, |endpoint, now| endpoint.open(peer, chat(), now)).unwrap();
    let Some(Output::IncomingStream { stream: far, .. }) = net.frames[1].told.pop_front() else { panic!("no stream") };
    assert_eq!(net.told(0), [Output::Opened(near)]);
    (near, far)
}

/// A call from the first frame to the second, which has it before it.
pub fn call(net: &mut Net, argument: Data) -> (CallKey, CallKey) {
    net.frames[1].endpoint.serve(echo());
    let near = start_call(net, argument);
    let Some(Output::IncomingCall { call: far, .. }) = net.frames[1].told.pop_front() else { panic!("no call") };
    (near, far)
}

pub fn start_call(net: &mut Net, argument: Data) -> CallKey {
    let peer = net.frames[1].persona;
    net.at(0, |endpoint, now| endpoint.call(peer, name("echo"), argument, Duration::from_secs(15), now)).unwrap()
}
