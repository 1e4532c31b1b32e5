//! A rendezvous with nodes that sign what they should.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    WIRE,
    address::{Owner, Token},
    codec::encode,
    failure::Code,
    id::{PersonaId, TopicId},
    keys::PersonaSecret,
    link::Signal,
    rendezvous::{ToNode, ToServer, listen_text, register_text},
    sealed::{Fresh, Said, SealedSignal},
};

use super::super::{Config, ConnId, Input, Load, Output, Rendezvous};

pub struct World {
    pub machine: Rendezvous,
    pub now: Instant,
    pub proxies: Vec<SocketAddr>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        Self { machine: Rendezvous::new(config, 7), now: Instant::START, proxies: vec![PROXY] }
    }

    /// With these keys registered, each on the connection of its number.
    pub fn of(keys: impl IntoIterator<Item = u8>) -> Self {
        let mut world = Self::new();
        keys.into_iter().for_each(|n| world.join(n));
        world
    }

    pub fn open(&mut self, conn: ConnId) -> Vec<Output> {
        // Each from a network of its own.
        self.open_from(conn, Ipv4Addr::new(10, u8::try_from(conn.0 % 256).unwrap(), 2, 1))
    }

    pub fn open_from(&mut self, conn: ConnId, addr: impl Into<IpAddr>) -> Vec<Output> {
        let (server, proxies) = (SERVER.to_owned(), self.proxies.as_slice().into());
        self.input(Input::Open { conn, addr: addr.into(), nonce: nonce(conn), server, proxies, unix_ms: NOON_MS })
    }

    /// Registers the key of this number on the connection of the same number, from this address.
    pub fn join_from(&mut self, n: u8, addr: impl Into<IpAddr>) {
        self.open_from(conn(n), addr);
        assert_eq!(self.say(conn(n), &ENTER), [entered(conn(n))]);
        self.register(conn(n), n);
    }

    /// Opens a connection and enters.
    pub fn enter(&mut self, conn: ConnId) {
        self.open(conn);
        assert_eq!(self.say(conn, &ENTER), [entered(conn)]);
    }

    /// Registers the key of this number on the connection of the same number.
    pub fn join(&mut self, n: u8) {
        self.enter(conn(n));
        self.register(conn(n), n);
    }

    /// Registers the key of this number on a connection that entered.
    pub fn register(&mut self, conn: ConnId, n: u8) {
        assert_eq!(self.say(conn, &register(n, conn)), []);
    }

    pub fn say(&mut self, conn: ConnId, message: &ToServer) -> Vec<Output> {
        self.input(Input::Received(conn, encode(message)))
    }

    /// What the key numbered `n` is told of its topic, on the connection of the same number.
    pub fn members(&mut self, n: u8, message: &ToServer) -> Vec<PersonaId> {
        self.members_at(conn(n), n, message)
    }

    /// What the key numbered `n` is told of its topic on `conn`.
    pub fn members_at(&mut self, conn: ConnId, n: u8, message: &ToServer) -> Vec<PersonaId> {
        match self.say(conn, message).as_slice() {
            [Output::Send(to, ToNode::Members { key: told, members, .. })] if (*to, *told) == (conn, key(n)) => {
                members.clone()
            }
            other => panic!("not members: {other:?}"),
        }
    }

    pub fn input(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle_input(input, self.now);
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
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
}

/// The key of this number, signed for `conn`.
pub fn register(n: u8, conn: ConnId) -> ToServer {
    let signature = secret(n).sign(&register_text(&nonce(conn), SERVER, key(n)));
    ToServer::Register { key: key(n), signature }
}

/// That the key of this number is listened for, signed for `conn`.
pub fn listen(n: u8, conn: ConnId, fingerprint: u8) -> ToServer {
    let owner = Owner::Persona(key(n));
    let signature = secret(n).sign(&listen_text(&nonce(conn), SERVER, token(n, fingerprint)));
    ToServer::Listen { owner, fingerprint: [fingerprint; 32], signature }
}

pub fn token(n: u8, fingerprint: u8) -> Token {
    Token::of(Owner::Persona(key(n)), &[fingerprint; 32])
}

pub fn advertise(n: u8) -> ToServer {
    ToServer::Advertise { topic: LOBBY, key: key(n) }
}

pub fn discover(n: u8) -> ToServer {
    ToServer::Discover { topic: LOBBY, key: key(n) }
}

pub fn withdraw(n: u8) -> ToServer {
    ToServer::Withdraw { topic: LOBBY, key: key(n) }
}

/// A signal of so many bytes between the keys of these numbers.
pub fn send(from: u8, to: u8, len: usize) -> ToServer {
    ToServer::Signal { from: key(from), to: key(to), signal: signal(len) }
}

/// What its receiver is told.
pub fn heard(conn: ConnId, from: u8, to: u8, len: usize) -> Output {
    sent(conn, ToNode::Signal { from: key(from), to: key(to), signal: signal(len) })
}

pub fn unreachable(conn: ConnId, from: u8, to: u8) -> Output {
    sent(conn, ToNode::Unreachable { from: key(from), to: key(to) })
}

pub fn signal(len: usize) -> SealedSignal {
    let fresh = Fresh { ephemeral: [1; 32].into(), nonce: [2; 16] };
    let signal = Signal { attempt: 1, answers: None, blob: vec![5; len] };
    SealedSignal::seal(&Said::Signal(signal), &PersonaSecret::new([9; 32]), key(9), 0, &fresh).expect("it is a key")
}

pub fn sent(conn: ConnId, message: ToNode) -> Output {
    Output::Send(conn, message)
}

pub fn entered(conn: ConnId) -> Output {
    sent(conn, ToNode::Entered { proxies: vec![PROXY] })
}

pub fn refused(conn: ConnId, code: Code, message: &str) -> Output {
    sent(conn, ToNode::Refused { code, message: message.into() })
}

pub fn expelled(conn: ConnId, code: Code, message: &str) -> [Output; 2] {
    [refused(conn, code, message), Output::Close(conn)]
}

pub fn not_registered(conn: ConnId) -> [Output; 1] {
    [refused(conn, Code::Denied, "the key is not registered here")]
}

pub fn secret(n: u8) -> PersonaSecret {
    PersonaSecret::new([n; 32])
}

pub fn key(n: u8) -> PersonaId {
    secret(n).id()
}

pub const fn conn(n: u8) -> ConnId {
    ConnId(n as u64)
}

pub fn nonce(conn: ConnId) -> [u8; 32] {
    std::array::from_fn(|at| conn.0.to_le_bytes()[at % 8] ^ 0x55)
}

pub const ENTER: ToServer = ToServer::Enter(WIRE);
pub const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)), 3478);
/// What time it is.
pub const NOON_MS: u64 = 1_800_000_000_000;
pub const SERVER: &str = "node.example:8787";
pub const ALICE: u8 = 1;
pub const BOB: u8 = 2;
pub const LOBBY: TopicId = TopicId([0x10; 32]);
