//! Four frames of three personas on simulated time, over a network that delays, repeats, loses and breaks, with sites that
//! write, read, stop, reset, call, cancel and answer (late, never, twice) as they please.
//!
//! The reference model is short: what a writer hands over is a function of its stream and the offset, so a reader checks each
//! byte where it arrives; a direction that finishes without a stop delivers as many bytes as were written; every stream ends by
//! both ends or one reset, every call by one outcome.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_machine::{Machine, time::Instant};
use bitters_session::{CallKey, Config, Endpoint, Input, Output, StreamKey};
use bitters_wire::{
    data::Data,
    failure::Failure,
    id::{FrameId, PersonaId},
    keys::PersonaSecret,
    limits::STREAM_WINDOW,
    packet::{Body, Packet, Refusal},
    rpc::Outcome,
};
use fastrand::Rng;

use crate::support::{chat, echo, name};

/// What happened in a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub streams: u32,
    pub bytes: u64,
    /// Directions that delivered all that was written.
    pub finished: u32,
    pub stopped: u32,
    pub resets: u32,
    pub calls: u32,
    pub answers: u32,
    pub failures: u32,
    pub cancellations: u32,
    pub repeated: u32,
    pub lost: u32,
    pub breaks: u32,
    pub pages_gone: u32,
}

/// How rough a world is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Of a thousand packets, those that arrive twice, and that vanish in silence.
    pub repeats: u32,
    pub losses: u32,
    /// Of a thousand acts, those that break a path or restore it, and that end a page.
    pub breaks: u32,
    pub deaths: u32,
}

pub struct World {
    seed: u64,
    rng: Rng,
    now: Instant,
    weather: Weather,
    sites: Vec<Party>,
    /// By arrival and order of sending.
    in_flight: BTreeMap<(Instant, u64), (usize, Packet)>,
    sent: u64,
    /// Each path's last arrival: hops keep the order.
    last: BTreeMap<(usize, usize), Instant>,
    broken: BTreeSet<(usize, usize)>,
    /// What was written to finished directions, by the seed of their bytes.
    finished: BTreeMap<u64, u64>,
    pub evidence: Evidence,
}

struct Party {
    endpoint: Endpoint,
    persona: PersonaId,
    frame: FrameId,
    gone: bool,
    streams: BTreeMap<StreamKey, Ends>,
    /// Streams that this side has ended, both ways.
    ended: BTreeSet<StreamKey>,
    /// Calls made, and calls to answer.
    made: BTreeSet<CallKey>,
    asked: BTreeMap<CallKey, Data>,
}

/// A site's two ends of a stream.
#[derive(Default)]
struct Ends {
    limit: u64,
    written: u64,
    /// The first 8 bytes of a direction say which bytes follow.
    write_seed: u64,
    write_over: bool,
    read: Vec<u8>,
    read_count: u64,
    allowed: u64,
    read_over: bool,
}

impl World {
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self {
            seed,
            rng: Rng::with_seed(seed),
            now: Instant::START,
            weather,
            sites: [1, 2, 3, 2].iter().zip(1..).map(|(&persona, frame)| Party::new(persona, frame, seed)).collect(),
            in_flight: BTreeMap::new(),
            sent: 0,
            last: BTreeMap::new(),
            broken: BTreeSet::new(),
            finished: BTreeMap::new(),
            evidence: Evidence::default(),
        }
    }

    /// Lets sites act, then finish what they have begun, and returns when all is at rest.
    pub fn run(mut self, acts: usize) -> Evidence {
        for _ in 0..acts {
            self.act();
            let until = self.now + Duration::from_millis(self.rng.u64(0..60));
            self.pass(until);
        }
        for (a, b) in std::mem::take(&mut self.broken) {
            self.restore(a, b);
        }
        self.weather = Weather { losses: 0, ..self.weather };
        for _ in 0..400 {
            (0..self.sites.len()).for_each(|site| self.finish_all(site));
            let until = self.now + Duration::from_secs(1);
            self.pass(until);
        }
        self.check_rest();
        self.evidence
    }

    fn act(&mut self) {
        let dice = self.rng.u32(0..1000);
        let Weather { breaks, deaths, .. } = self.weather;
        if dice < breaks {
            self.break_or_restore();
        } else if dice < breaks + deaths {
            self.end_page();
        }
        let site = self.rng.usize(0..self.sites.len());
        if !self.sites[site].gone {
            self.act_as(site);
            self.drain(site);
        }
    }

    fn act_as(&mut self, site: usize) {
        let peer = self.sites[self.rng.usize(0..3)].persona;
        let (rng, now) = (&mut self.rng, self.now);
        let Party { endpoint, streams, made, asked, .. } = &mut self.sites[site];
        let stream = (!streams.is_empty()).then(|| *streams.keys().nth(rng.usize(0..streams.len())).unwrap());
        match (rng.u8(0..40), stream) {
            (0..4, _) => {
                let key = endpoint.open(peer, chat(), now).unwrap();
                streams.insert(key, Ends::new(rng.u64(..)));
            }
            (4..8, _) => {
                let (bytes, timeout) = (vec![rng.u8(..); call_len(rng)], Duration::from_millis(rng.u64(1..20_000)));
                made.insert(endpoint.call(peer, name("echo"), Data::Bytes(bytes), timeout, now).unwrap());
                self.evidence.calls += 1;
            }
            (8, _) => made.iter().take(1).for_each(|call| endpoint.cancel_call(*call)),
            (9..13, _) => {
                for (call, data) in asked.iter().take(rng.usize(0..3)) {
                    endpoint.reply(*call, Outcome::Ok(data.clone()));
                }
                asked.retain(|_, _| rng.u8(0..8) > 0);
            }
            (13..25, Some(key)) => streams.get_mut(&key).unwrap().write(key, endpoint, rng),
            (25..36, Some(key)) => streams.get_mut(&key).unwrap().allow(key, endpoint, rng),
            (36..38, Some(key)) => self.finish(site, key),
            (38, Some(key)) => {
                self.evidence.stopped += 1;
                endpoint.stop(key);
                streams.get_mut(&key).unwrap().read_over = true;
                self.forget_if_over(site, key);
            }
            (39, Some(key)) => {
                self.evidence.resets += 1;
                endpoint.reset(key, "enough");
                streams.remove(&key);
            }
            _ => {}
        }
    }

    fn finish(&mut self, site: usize, key: StreamKey) {
        let Party { endpoint, streams, .. } = &mut self.sites[site];
        let ends = streams.get_mut(&key).unwrap();
        if !ends.write_over {
            ends.write_over = true;
            endpoint.finish(key);
            self.finished.insert(ends.write_seed, ends.written);
        }
        self.forget_if_over(site, key);
    }

    fn finish_all(&mut self, site: usize) {
        for (call, data) in std::mem::take(&mut self.sites[site].asked) {
            self.sites[site].endpoint.reply(call, Outcome::Ok(data));
        }
        for key in self.sites[site].streams.keys().copied().collect::<Vec<_>>() {
            let Party { endpoint, streams, .. } = &mut self.sites[site];
            streams.get_mut(&key).unwrap().allow(key, endpoint, &mut self.rng);
            self.finish(site, key);
        }
        self.drain(site);
    }

    fn forget_if_over(&mut self, site: usize, key: StreamKey) {
        let Party { streams, ended, .. } = &mut self.sites[site];
        if streams.get(&key).is_some_and(|ends| ends.write_over && ends.read_over) {
            streams.remove(&key);
            ended.insert(key);
        }
    }

    fn pass(&mut self, until: Instant) {
        loop {
            let arrival = self.in_flight.keys().next().copied();
            let timeouts = self.sites.iter().enumerate().filter(|(_, site)| !site.gone);
            let timeout = timeouts.filter_map(|(i, site)| Some((site.endpoint.poll_timeout()?, i))).min();
            let next = arrival.map(|at| at.0).into_iter().chain(timeout.map(|at| at.0)).min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            match (arrival, timeout) {
                (Some(at), _) if at.0 == next => self.deliver(at),
                (_, Some((_, site))) => {
                    self.sites[site].endpoint.handle_input(Input::Timeout, self.now);
                    self.drain(site);
                }
                _ => {}
            }
        }
        self.now = self.now.max(until);
    }

    fn deliver(&mut self, at: (Instant, u64)) {
        let (site, packet) = self.in_flight.remove(&at).unwrap();
        if !self.sites[site].gone {
            self.sites[site].endpoint.handle_input(Input::Packet(packet), self.now);
            self.drain(site);
        }
    }

    fn drain(&mut self, site: usize) {
        while let Some(output) = self.sites[site].endpoint.poll_output() {
            self.on_output(site, output);
        }
    }

    fn on_output(&mut self, site: usize, output: Output) {
        let story = format!("seed {} at {:?}, frame {site}", self.seed, self.now);
        let Party { streams, ended, made, asked, .. } = &mut self.sites[site];
        match output {
            Output::CallCancelled(call) => {
                self.evidence.cancellations += 1;
                asked.remove(&call);
            }
            Output::CallDone { call, outcome } => {
                assert!(made.remove(&call), "{story}");
                self.on_outcome(outcome);
            }
            Output::Credit { stream, limit } => {
                let ends = streams.get_mut(&stream).expect(&story);
                assert!(limit > ends.limit && limit <= ends.written + STREAM_WINDOW, "{story}");
                ends.limit = limit;
            }
            Output::Data { stream, bytes } => {
                self.evidence.bytes += bytes.len() as u64;
                let ends = streams.get_mut(&stream).expect(&story);
                assert!(!ends.read_over, "{story}");
                ends.read(&bytes, &story);
            }
            Output::Finished(stream) => {
                let ends = streams.get_mut(&stream).expect(&story);
                assert!(!ends.read_over, "{story}");
                ends.read_over = true;
                if ends.read_count >= 8 {
                    let written = self.finished.get(&ends.read_seed()).copied();
                    assert_eq!(written, Some(ends.read_count), "{story}");
                    self.evidence.finished += 1;
                }
                self.forget_if_over(site, stream);
            }
            Output::IncomingCall { call, data, .. } => assert!(asked.insert(call, data).is_none(), "{story}"),
            Output::IncomingStream { stream, .. } => {
                self.evidence.streams += 1;
                let ends = Ends::new(self.rng.u64(..));
                assert!(streams.insert(stream, ends).is_none(), "{story}");
            }
            Output::Opened(stream) => assert!(streams.contains_key(&stream) || ended.contains(&stream), "{story}"),
            Output::Packet(packet) => self.send(site, packet),
            Output::Reset { stream, .. } => {
                assert!(streams.remove(&stream).is_some() || ended.remove(&stream), "{story}");
            }
            Output::Stopped(stream) => {
                let ends = streams.get_mut(&stream).expect(&story);
                assert!(!ends.write_over, "{story}");
                ends.write_over = true;
                self.finished.insert(ends.write_seed, ends.written);
                self.forget_if_over(site, stream);
            }
        }
    }

    fn on_outcome(&mut self, outcome: Result<Data, Failure>) {
        match outcome {
            Ok(_) => self.evidence.answers += 1,
            Err(failure) => {
                assert!(failure.executed.is_some(), "seed {}: {failure:?}", self.seed);
                self.evidence.failures += 1;
            }
        }
    }
}

/// The network.
impl World {
    fn send(&mut self, from: usize, packet: Packet) {
        let Some(to) = self.receiver(&packet) else {
            let reason = if packet.to_frame.is_some() { Refusal::FrameGone } else { Refusal::NotServed };
            if let Some(refusal) = packet.refuse(reason) {
                self.put(from, from, refusal);
            }
            return;
        };
        if self.broken.contains(&pair(from, to)) || self.rng.u32(0..1000) < self.weather.losses {
            self.evidence.lost += 1;
            return;
        }
        if self.rng.u32(0..1000) < self.weather.repeats {
            self.evidence.repeated += 1;
            self.put(from, to, packet.clone());
        }
        self.put(from, to, packet);
    }

    fn put(&mut self, from: usize, to: usize, packet: Packet) {
        let last = self.last.entry((from, to)).or_default();
        *last = (*last).max(self.now + Duration::from_micros(self.rng.u64(100..120_000)));
        self.sent += 1;
        self.in_flight.insert((*last, self.sent), (to, packet));
    }

    fn receiver(&self, packet: &Packet) -> Option<usize> {
        let fits = |site: &Party| {
            site.persona == packet.to && !site.gone && packet.to_frame.is_none_or(|frame| frame == site.frame)
        };
        match packet.body {
            Body::Open { .. } => self.sites.iter().rposition(fits),
            _ => self.sites.iter().position(fits),
        }
    }

    fn break_or_restore(&mut self) {
        let (a, b) = pair(self.rng.usize(0..4), self.rng.usize(0..4));
        if self.broken.remove(&(a, b)) {
            return self.restore(a, b);
        }
        self.evidence.breaks += 1;
        self.broken.insert((a, b));
        let on_path = |to: usize, packet: &Packet| {
            let from = self.sites.iter().position(|site| site.frame == packet.from_frame).unwrap();
            pair(from, to) == (a, b)
        };
        let before = self.in_flight.len();
        let kept = self.in_flight.iter().filter(|(_, (to, packet))| !on_path(*to, packet));
        let kept: BTreeMap<_, _> = kept.map(|(at, sent)| (*at, sent.clone())).collect();
        self.evidence.lost += u32::try_from(before - kept.len()).unwrap();
        self.in_flight = kept;
    }

    /// Often only one end hears of the new path, sometimes none.
    fn restore(&mut self, a: usize, b: usize) {
        for (site, peer) in [(a, b), (b, a)] {
            if !self.sites[site].gone && self.rng.u8(0..3) > 0 {
                let peer = self.sites[peer].persona;
                self.sites[site].endpoint.handle_input(Input::PathRestored(peer), self.now);
                self.drain(site);
            }
        }
    }

    fn end_page(&mut self) {
        let site = &mut self.sites[self.rng.usize(2..4)];
        self.evidence.pages_gone += u32::from(!site.gone);
        site.gone = true;
        site.streams.clear();
        site.made.clear();
    }

    fn check_rest(&self) {
        for (i, site) in self.sites.iter().enumerate().filter(|(_, site)| !site.gone) {
            let rest = (site.streams.len(), site.made.len(), site.endpoint.poll_timeout());
            assert_eq!(rest, (0, 0, None), "seed {}, frame {i}", self.seed);
        }
    }
}

impl Party {
    fn new(persona: u8, frame: u8, seed: u64) -> Self {
        let (persona, frame) = (PersonaSecret::new([persona; 32]), FrameId::from_random([frame; 16]));
        let id = persona.id();
        let mut random = [frame.0.as_bytes()[0]; 32];
        random[..8].copy_from_slice(&seed.to_le_bytes());
        let mut endpoint = Endpoint::new(Config { persona, frame, seed: random });
        endpoint.serve(chat());
        endpoint.serve(echo());
        let (streams, ended, made, asked) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { endpoint, persona: id, frame, gone: false, streams, ended, made, asked }
    }
}

impl Ends {
    fn new(write_seed: u64) -> Self {
        Self { write_seed, ..Self::default() }
    }

    fn write(&mut self, key: StreamKey, endpoint: &mut Endpoint, rng: &mut Rng) {
        let len = (self.limit - self.written).min(rng.u64(1..50_000));
        let bytes: Vec<u8> = (self.written..self.written + len).map(|at| byte(self.write_seed, at)).collect();
        if !self.write_over && len > 0 && (self.written > 0 || len >= 8) {
            endpoint.write(key, &bytes).unwrap();
            self.written += len;
        }
    }

    fn allow(&mut self, key: StreamKey, endpoint: &mut Endpoint, rng: &mut Rng) {
        self.allowed = self.allowed.max(self.read_count + rng.u64(1..2 * STREAM_WINDOW));
        endpoint.credit(key, self.allowed);
    }

    fn read(&mut self, bytes: &[u8], story: &str) {
        for &read in bytes {
            if self.read_count < 8 {
                self.read.push(read);
            } else if self.read_count.is_multiple_of(16) {
                assert_eq!(read, byte(self.read_seed(), self.read_count), "{story}");
            }
            self.read_count += 1;
        }
        assert!(self.read_count <= self.allowed, "{story}");
    }

    fn read_seed(&self) -> u64 {
        u64::from_le_bytes(self.read[..8].try_into().unwrap())
    }
}

/// A direction's byte at an offset.
fn byte(seed: u64, at: u64) -> u8 {
    match at {
        0..8 => seed.to_le_bytes()[usize::try_from(at).unwrap()],
        _ => (seed ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()[0],
    }
}

fn call_len(rng: &mut Rng) -> usize {
    if rng.u8(0..4) == 0 { rng.usize(0..250_000) } else { rng.usize(0..100) }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
