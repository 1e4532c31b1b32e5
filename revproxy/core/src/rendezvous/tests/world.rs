//! A rendezvous with nodes that sign what they should.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use bitters_wire::{
    WIRE,
    address::{Owner, Token},
    claim::Claim,
    codec::encode,
    failure::Code,
    id::{NodeId, TopicId},
    keys::{NodeSecret, PersonaSecret},
    link::Signal,
    rendezvous::{ToNode, ToServer, listen_text, node_text, persona_text},
    time::Instant,
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

    /// With these nodes registered, each on the connection of its number.
    pub fn of(nodes: impl IntoIterator<Item = u8>) -> Self {
        let mut world = Self::new();
        nodes.into_iter().for_each(|n| world.join(n));
        world
    }

    pub fn open(&mut self, conn: ConnId) -> Vec<Output> {
        self.open_from(conn, Ipv4Addr::new(192, 0, 2, u8::try_from(conn.0 % 256).unwrap()))
    }

    pub fn open_from(&mut self, conn: ConnId, addr: Ipv4Addr) -> Vec<Output> {
        let (server, proxies) = (SERVER.to_owned(), self.proxies.as_slice().into());
        self.input(Input::Open { conn, addr: addr.into(), nonce: nonce(conn), server, proxies })
    }

    pub fn join(&mut self, n: u8) {
        self.open(conn(n));
        assert_eq!(self.say(conn(n), &register(n, conn(n))), [registered(conn(n))]);
    }

    pub fn say(&mut self, conn: ConnId, message: &ToServer) -> Vec<Output> {
        self.input(Input::Received(conn, encode(message)))
    }

    /// What the node numbered `n` is told of `topic`.
    pub fn members(&mut self, n: u8, message: &ToServer) -> Vec<NodeId> {
        match self.say(conn(n), message).as_slice() {
            [Output::Send(to, ToNode::Members { nodes, .. })] if *to == conn(n) => nodes.clone(),
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

/// Whose address.
pub enum Listened {
    Node(NodeSecret),
    Persona(PersonaSecret),
}

pub fn register(n: u8, conn: ConnId) -> ToServer {
    let signature = secret(n).sign(&node_text(&nonce(conn), SERVER, node(n)));
    ToServer::Register { node: node(n), signature, wire: WIRE }
}

/// That `owner` is listened for on the node `n`, signed for `conn`.
pub fn listen(n: u8, conn: ConnId, owner: &Listened, fingerprint: u8) -> ToServer {
    let fingerprint = [fingerprint; 32];
    let text = |owner| listen_text(&nonce(conn), SERVER, Token::of(owner, &fingerprint), node(n));
    let (owner, signature) = match owner {
        Listened::Node(secret) => (Owner::Node(secret.id()), secret.sign(&text(Owner::Node(secret.id())))),
        Listened::Persona(secret) => (Owner::Persona(secret.id()), secret.sign(&text(Owner::Persona(secret.id())))),
    };
    ToServer::Listen { owner, fingerprint, signature }
}

/// The persona of `site` on the node `n`, signed for `conn`.
pub fn persona(n: u8, conn: ConnId, site: &PersonaSecret) -> ToServer {
    let signature = site.sign(&persona_text(&nonce(conn), SERVER, site.id(), node(n)));
    ToServer::Persona { claim: Claim::sign(site, node(n)), signature }
}

pub fn signal(len: usize) -> Signal {
    Signal { attempt: 1, answers: None, blob: vec![5; len] }
}

pub fn sent(conn: ConnId, message: ToNode) -> Output {
    Output::Send(conn, message)
}

pub fn registered(conn: ConnId) -> Output {
    sent(conn, ToNode::Registered { proxies: vec![PROXY] })
}

pub fn refused(conn: ConnId, code: Code, message: &str) -> Output {
    sent(conn, ToNode::Refused { code, message: message.into() })
}

pub fn expelled(conn: ConnId, code: Code, message: &str) -> [Output; 2] {
    [refused(conn, code, message), Output::Close(conn)]
}

pub fn secret(n: u8) -> NodeSecret {
    NodeSecret::new([n; 32])
}

pub fn node(n: u8) -> NodeId {
    secret(n).id()
}

pub fn site(n: u8) -> PersonaSecret {
    secret(n).persona("https://a.example")
}

pub const fn conn(n: u8) -> ConnId {
    ConnId(n as u64)
}

pub fn nonce(conn: ConnId) -> [u8; 32] {
    std::array::from_fn(|at| conn.0.to_le_bytes()[at % 8] ^ 0x55)
}

pub const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)), 3478);
pub const SERVER: &str = "node.example:8787";
pub const ALICE: u8 = 1;
pub const BOB: u8 = 2;
pub const LOBBY: TopicId = TopicId([0x10; 32]);
