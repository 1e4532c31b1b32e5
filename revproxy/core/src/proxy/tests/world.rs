//! A proxy, and browsers' packets to send to it.

#[path = "../../../../tests/support/stun.rs"]
mod stun;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use bitters_machine::{Machine, random::Random, time::Instant};
use bitters_peercon::{
    Address, Candidate, Credentials, Kind,
    packed::{PASSWORD, Packed},
    signal::Signal,
};
use bitters_wire::{address::Token, rendezvous::ToNode};

pub use stun::{binding, check, check_like, data, lean_check, lean_check_like, name, reply, response, transaction};

use super::super::{Config, Counts, Input, Load, Outgoing, Output, Path, Proxy, Restart, Socket};
use crate::rendezvous::ConnId;

pub struct World {
    pub machine: Proxy,
    pub now: Instant,
}

/// A datagram that goes somewhere.
pub type Sent = (Path, Vec<u8>);

impl World {
    /// In which somebody listens.
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let mut world = Self { machine: Proxy::new(config, SEED), now: Instant::START };
        assert_eq!(world.listen(CONN, TOKEN), []);
        world
    }

    /// In which a dial was answered, and both ends were heard from and have proven their addresses.
    pub fn opened(config: Config) -> Self {
        let mut world = Self::with(config);
        world.datagram(DIALLER, &dialler_check(1));
        world.input(answer());
        let passed = world.datagram(LISTENER, &listener_check(1));
        assert_eq!(passed.len(), 2);
        // The first answer waits until the second has proven where its receiver is.
        assert_eq!(world.datagram(DIALLER, &reply(&passed[1].1, DIALLER_PASSWORD)), []);
        assert_eq!(world.datagram(LISTENER, &reply(&passed[0].1, LISTENER_PASSWORD)).len(), 2);
        world
    }

    pub fn listen(&mut self, conn: ConnId, token: Token) -> Vec<Output> {
        self.input(Input::Listen { conn, token, proxies: [PROXY].into() })
    }

    pub fn input(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle_input(input, self.now);
        self.outputs()
    }

    pub fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    /// What is sent when this comes.
    pub fn datagram(&mut self, path: Path, bytes: &[u8]) -> Vec<Sent> {
        let mut out = Outgoing::new();
        self.machine.handle_datagram(path, bytes, self.now, &mut out);
        out.iter().map(|(path, bytes)| (path, bytes.to_vec())).collect()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        if self.machine.poll_timeout().is_some_and(|at| at <= self.now) {
            self.input(Input::Timeout);
        }
    }

    /// Follows the machine's timeouts until it wants none.
    pub fn rest(&mut self) -> Load {
        while let Some(at) = self.machine.poll_timeout() {
            self.now = self.now.max(at);
            self.input(Input::Timeout);
            assert!(self.machine.poll_timeout().is_none_or(|next| next > at), "a timeout that does nothing");
        }
        self.machine.load()
    }

    pub fn load(&self) -> Load {
        self.machine.load()
    }

    pub fn counts(&self) -> &Counts {
        self.machine.counts()
    }
}

pub const LISTENING: Load = Load { ghosts: 0, legs: 0, listeners: 1, pending: 0, relaying: 0, passages: 0 };

pub fn path(host: u8, port: u16) -> Path {
    Path { socket: Socket { index: 0, ip: None }, peer: at(host, port) }
}

pub const fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, host)), port)
}

pub fn packed() -> Packed {
    packed_of(TOKEN, 0x5a)
}

pub fn packed_of(token: Token, fingerprint: u8) -> Packed {
    Packed { token, fingerprint: [fingerprint; 32], password: DIALLER_PASSWORD.into() }
}

/// The dialler's check number `n`, as its browser sends it.
pub fn dialler_check(n: u32) -> Vec<u8> {
    check(n, &name(&packed().to_ufrag(), DIALLER_UFRAG), PASSWORD)
}

/// The listener's; its transactions are other ones.
pub fn listener_check(n: u32) -> Vec<u8> {
    check(n + 100, &name(DIALLER_UFRAG, LISTENER_UFRAG), DIALLER_PASSWORD)
}

pub fn answer() -> Input {
    Input::Answer {
        conn: CONN,
        passage: number(0),
        credentials: Credentials::new(LISTENER_UFRAG, LISTENER_PASSWORD).unwrap(),
    }
}

pub fn forward() -> Input {
    forward_between("NEWl", "NEWd")
}

/// The listener's fragment, and the dialler's.
pub fn forward_between(ours: &str, theirs: &str) -> Input {
    let [ours, theirs] = [ours, theirs].map(|ufrag| Credentials::new(ufrag, &secret(ufrag)).unwrap());
    Input::Forward { conn: CONN, passage: number(0), restart: Some(Restart { ours, theirs }) }
}

/// Without a restart.
pub const fn forward_by_dial(passage: u64) -> Input {
    Input::Forward { conn: CONN, passage, restart: None }
}

/// The password that goes with a fragment after a restart.
pub fn secret(ufrag: &str) -> String {
    format!("the+password+of+{ufrag:x>8}")
}

/// The number of the passage that began as the `nth`, from 0.
pub fn number(nth: u8) -> u64 {
    let mut random = Random::new(SEED);
    // The first draw is the seed of transaction ids.
    let _: [u8; 32] = random.bytes();
    let mut numbers = std::iter::repeat_with(|| u64::from_le_bytes(random.bytes()));
    numbers.nth(nth.into()).expect("it goes on forever")
}

/// What the listener is told of the dial by `packed` with the dialler's usual name.
pub fn dialled(conn: ConnId, passage: u64, packed: &Packed) -> Output {
    let candidate = Candidate::new(Kind::Relayed, Address::Ip(PROXY.ip()), PROXY.port()).unwrap();
    let signal = Signal {
        credentials: Credentials::new(DIALLER_UFRAG, &packed.password).unwrap(),
        fingerprint: packed.fingerprint,
        candidates: vec![candidate],
    };
    Output::Send(conn, ToNode::Dialled { passage, token: packed.token, signal: signal.encode() })
}

const SEED: [u8; 32] = [7; 32];
pub const CONN: ConnId = ConnId(1);
pub const TOKEN: Token = Token([7; 6]);
pub const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)), 3478);
pub const DIALLER: Path = Path { socket: Socket { index: 0, ip: None }, peer: at(1, 1000) };
pub const LISTENER: Path = Path { socket: Socket { index: 1, ip: None }, peer: at(2, 2000) };
pub const DIALLER_UFRAG: &str = "9+Ab";
pub const DIALLER_PASSWORD: &str = "9D6dHIIUkqbay+yDVZGxRxWt";
pub const LISTENER_UFRAG: &str = "1gTT";
pub const LISTENER_PASSWORD: &str = "N6WOK8l/xhXmKbJ7712zNdfe";
