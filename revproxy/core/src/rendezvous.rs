//! The rendezvous: where nodes that know nobody meet. A sans-IO machine over [`bitters_wire::rendezvous`].
//!
//! A connection is challenged first. It registers as a node by signing the challenge with the node's key, then names the personas
//! that live there, each proven by the persona's own signature over the challenge and its claim. Registered nodes advertise
//! topics, are introduced to a random few who did the same, look up personas, and send each other the two messages that make a
//! connection between browsers. What is signed names the server as the node reached it, so that no other server can use it.
//!
//! A node listens at addresses, each by a signature of its owner: itself, or a persona of this connection. What it says of dials is
//! checked here and handed on to the [proxy](crate::proxy), a machine of its own.
//!
//! A node that looks up its own id, which is nobody's persona, asks whether the server is still there
//! ([`are_you_there`](ToServer::are_you_there)). This costs a look-up, and counts against the same rates as every message.
//!
//! Keys decide: a node that registers from a new connection replaces its old one, which is closed; addresses move
//! likewise. A persona is where it was last said to be, and where it was said to be before when that connection says so no longer: a
//! browser whose sites are kept apart has several nodes, and a site's tabs move between them. What
//! a connection said is forgotten when it closes. Nobody is introduced twice to the same node within five minutes unless that
//! node asks with [`Discover`](ToServer::Discover).
//!
//! Connections are strangers. What one can't decode, or sends too fast, is refused and ends it; what a registered node merely may
//! not do (one topic too many, a persona that isn't its own) is refused and the connection stays. Memory and rates are bounded per
//! connection, per source address and in all by [`Config`].

mod config;
mod connection;
mod counts;
mod introductions;
mod refusal;
mod sources;
#[cfg(test)]
mod tests;
mod topics;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bitters_peercon::{Credentials, signal};
use bitters_wire::{
    VersionRange, WIRE,
    address::{Fingerprint, Owner, Token},
    claim::Claim,
    codec,
    failure::Code,
    id::{NodeId, PersonaId, TopicId},
    keys::Signature,
    limits::{MAX_RENDEZVOUS, MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::Signal,
    rendezvous::{ToNode, ToServer, listen_text, node_text, persona_text},
    time::Instant,
};
pub use config::Config;
use connection::{Challenge, Connection, Registration};
pub use counts::{Counts, Load};
use fastrand::Rng;
use introductions::Introductions;
use refusal::Refusal;
use sources::Sources;
use topics::Topics;

use super::proxy;
pub use super::{rate::Rate, source::Source};

/// A connection, named by the shell, which never uses a name again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The connection is gone.
    Closed(ConnId),
    /// Somebody connected.
    Open {
        /// The new connection.
        conn: ConnId,
        /// Where from.
        addr: IpAddr,
        /// The challenge: fresh bytes from a cryptographic generator.
        nonce: [u8; 32],
        /// The server's name as the connection says it: the host, with its port unless that is the scheme's own, in lower case.
        server: String,
        /// Where the connection's node reaches the proxy; nowhere, if there is none.
        proxies: Arc<[SocketAddr]>,
    },
    /// A message came: the undecoded [`ToServer`].
    Received(ConnId, Vec<u8>),
    /// The time that [`Rendezvous::poll_timeout`] named has come.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Close the connection when what was sent before is out. The machine has forgotten it already.
    Close(ConnId),
    /// Tell the proxy.
    Proxy(proxy::Input),
    /// Send a message.
    Send(ConnId, ToNode),
}

/// Nodes that are known to have said of one persona that it lives there: those of one browser, and of the one before a move.
const CLAIMS: usize = 4;

/// The machine.
#[derive(Debug)]
pub struct Rendezvous {
    config: Config,
    rng: Rng,
    connections: BTreeMap<ConnId, Connection>,
    /// When connections that haven't registered are closed.
    deadlines: BTreeSet<(Instant, ConnId)>,
    nodes: BTreeMap<NodeId, ConnId>,
    /// Who says that a persona lives with them, the latest last: a browser may have several nodes, and a persona moves between them.
    personas: BTreeMap<PersonaId, Vec<(ConnId, Claim)>>,
    tokens: BTreeMap<Token, ConnId>,
    topics: Topics,
    introductions: Introductions,
    sources: Sources,
    counts: Counts,
    outbox: VecDeque<Output>,
}

impl Rendezvous {
    /// An empty rendezvous that draws its introductions from `seed`.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            rng: Rng::with_seed(seed),
            connections: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            nodes: BTreeMap::new(),
            personas: BTreeMap::new(),
            tokens: BTreeMap::new(),
            topics: Topics::default(),
            introductions: Introductions::default(),
            sources: Sources::default(),
            counts: Counts::default(),
            outbox: VecDeque::new(),
        }
    }

    /// Takes in what happened. Afterwards the shell drains [`poll_output`](Self::poll_output).
    pub fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Closed(conn) => self.forget(conn),
            Input::Open { conn, addr, nonce, server, proxies } => {
                self.on_open(conn, addr, Challenge { nonce, server, proxies }, now);
            }
            Input::Received(conn, bytes) => {
                if let Err(refusal) = self.on_received(conn, &bytes, now) {
                    self.refuse(conn, &refusal);
                }
            }
            Input::Timeout => self.on_timeout(now),
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is wanted.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        deadline.into_iter().chain(self.sources.timeout()).min()
    }

    /// How much there is now.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            connections: self.connections.len(),
            introductions: self.introductions.len(),
            nodes: self.nodes.len(),
            personas: self.personas.len(),
            sources: self.sources.len(),
            tokens: self.tokens.len(),
            topics: self.topics.len(),
        }
    }

    /// What was said since the start.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    fn on_open(&mut self, conn: ConnId, addr: IpAddr, challenge: Challenge, now: Instant) {
        let source = addr.into();
        if self.connections.len() >= self.config.connections {
            return self.refuse(conn, &Refusal::ending(Code::Quota, "the rendezvous is full"));
        }
        if !self.sources.open(source, &self.config, now) {
            return self.refuse(conn, &Refusal::ending(Code::Quota, "too many connections from this address"));
        }
        let deadline = now + self.config.register_timeout;
        let nonce = challenge.nonce;
        self.connections.insert(conn, Connection::challenged(source, challenge, deadline));
        self.deadlines.insert((deadline, conn));
        self.send(conn, ToNode::Challenge { nonce, wire: WIRE });
    }

    fn on_received(&mut self, conn: ConnId, bytes: &[u8], now: Instant) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return Ok(()); // It crossed our close.
        };
        if !connection.take(bytes.len(), &self.config, now)
            || !self.sources.message(connection.source(), self.config.source_messages, now)
        {
            return Err(Refusal::ending(Code::Quota, "too many messages"));
        }
        let message = codec::decode(bytes, MAX_RENDEZVOUS)?;
        self.counts.received(&message, connection.node());
        match (message, connection.node()) {
            (ToServer::Register { node, signature, wire }, None) => self.on_register(conn, node, &signature, wire),
            (_, None) => Err(Refusal::ending(Code::Denied, "register first")),
            (message, Some(node)) => self.on_request(conn, node, message, now),
        }
    }

    fn on_register(
        &mut self,
        conn: ConnId,
        node: NodeId,
        signature: &Signature,
        wire: VersionRange,
    ) -> Result<(), Refusal> {
        if WIRE.common(wire).is_none() {
            return Err(Refusal::ending(Code::VersionMismatch, "no version in common"));
        }
        let connection = self.connections.get_mut(&conn).expect("the message was looked up by its connection");
        let Challenge { nonce, server, proxies } = connection.challenge();
        let proxies = proxies.to_vec();
        if node.verify(&node_text(nonce, server, node), signature).is_err() {
            return Err(Refusal::ending(Code::Denied, "the node's signature does not verify"));
        }
        if let Some(deadline) = connection.register(node) {
            self.deadlines.remove(&(deadline, conn));
        }
        if let Some(&old) = self.nodes.get(&node) {
            self.refuse(old, &Refusal::ending(Code::Closed, "the node registered from another connection"));
        }
        self.nodes.insert(node, conn);
        self.send(conn, ToNode::Registered { proxies });
        Ok(())
    }

    fn on_request(&mut self, conn: ConnId, node: NodeId, message: ToServer, now: Instant) -> Result<(), Refusal> {
        match message {
            ToServer::Advertise(topic) => self.on_advertise(conn, node, topic, now),
            ToServer::Answer { session, signal } => self.on_answer(conn, session, &signal),
            ToServer::Discover(topic) => {
                self.on_discover(conn, node, topic, now);
                Ok(())
            }
            ToServer::Forward { session, ours, theirs } => self.on_forward(conn, session, ours, theirs),
            ToServer::Listen { owner, fingerprint, signature } => {
                self.on_listen(conn, node, owner, &fingerprint, &signature)
            }
            ToServer::Lookup(persona) => {
                self.on_lookup(conn, persona);
                Ok(())
            }
            ToServer::Persona { claim, signature } => self.on_persona(conn, node, claim, &signature),
            ToServer::Register { .. } => Err(Refusal::ending(Code::BadArgument, "registered already")),
            ToServer::Signal { to, signal } => self.on_signal(conn, node, to, signal, now),
            ToServer::Unlisten(token) => {
                if self.registration(conn).tokens.remove(&token) {
                    self.unlisten(token);
                }
                Ok(())
            }
            ToServer::Unpersona(persona) => {
                self.on_unpersona(conn, persona);
                Ok(())
            }
            ToServer::Withdraw(topic) => {
                self.registration(conn).topics.remove(&topic);
                self.topics.remove(topic, node);
                Ok(())
            }
        }
    }

    fn on_advertise(&mut self, conn: ConnId, node: NodeId, topic: TopicId, now: Instant) -> Result<(), Refusal> {
        let capacity = self.config.topics;
        let topics = &mut self.registration(conn).topics;
        if topics.len() >= capacity && !topics.contains(&topic) {
            return Err(Refusal::staying(Code::Quota, "too many topics"));
        }
        topics.insert(topic);
        self.topics.insert(topic, node);
        let room = self.room(node, now);
        let strangers = self
            .topics
            .draw(topic, &mut self.rng)
            .filter(|&other| other != node && !self.introductions.contains(node, other))
            .take(room.min(TOPIC_NEIGHBOURS))
            .collect();
        self.introduce(conn, node, topic, strangers, now);
        Ok(())
    }

    /// What is asked for is told even where there is no room left to remember it.
    fn on_discover(&mut self, conn: ConnId, node: NodeId, topic: TopicId, now: Instant) {
        let others: Vec<_> =
            self.topics.draw(topic, &mut self.rng).filter(|&other| other != node).take(TOPIC_NEIGHBOURS).collect();
        self.introduce(conn, node, topic, others, now);
    }

    fn introduce(&mut self, conn: ConnId, node: NodeId, topic: TopicId, nodes: Vec<NodeId>, now: Instant) {
        let room = self.room(node, now);
        for &other in nodes.iter().take(room) {
            self.introductions.insert(node, other, now);
        }
        self.send(conn, ToNode::Members { topic, nodes });
    }

    fn room(&mut self, node: NodeId, now: Instant) -> usize {
        self.introductions.room(node, self.config.introductions, self.config.introduction_memory, now)
    }

    fn on_lookup(&mut self, conn: ConnId, persona: PersonaId) {
        let answer = match self.personas.get(&persona).and_then(|claims| claims.last()) {
            Some(&(_, claim)) => ToNode::Found(claim),
            None => ToNode::Missing(persona),
        };
        self.send(conn, answer);
    }

    fn on_persona(&mut self, conn: ConnId, node: NodeId, claim: Claim, signature: &Signature) -> Result<(), Refusal> {
        let Claim { persona, .. } = claim;
        if claim.node != node {
            return Err(Refusal::staying(Code::Denied, "the claim is on another node"));
        }
        let capacity = self.config.personas;
        let Challenge { nonce, server, .. } = self.connections[&conn].challenge();
        let text = persona_text(nonce, server, persona, node);
        let personas = &self.registration(conn).personas;
        if personas.len() >= capacity && !personas.contains(&persona) {
            return Err(Refusal::staying(Code::Quota, "too many personas"));
        }
        let signed = persona.verify(&text, signature);
        if signed.and_then(|()| claim.verify()).is_err() {
            return Err(Refusal::staying(Code::Denied, "the persona's signature does not verify"));
        }
        let claims = self.personas.entry(persona).or_default();
        claims.retain(|&(other, _)| other != conn);
        claims.push((conn, claim));
        if claims.len() > CLAIMS {
            let (oldest, _) = claims.remove(0);
            self.registration(oldest).personas.remove(&persona);
        }
        self.registration(conn).personas.insert(persona);
        Ok(())
    }

    fn on_unpersona(&mut self, conn: ConnId, persona: PersonaId) {
        if self.registration(conn).personas.remove(&persona) {
            self.disclaim(conn, persona);
        }
    }

    /// Whoever claimed the persona before is believed again.
    fn disclaim(&mut self, conn: ConnId, persona: PersonaId) {
        let Some(claims) = self.personas.get_mut(&persona) else { return };
        claims.retain(|&(other, _)| other != conn);
        if claims.is_empty() {
            self.personas.remove(&persona);
        }
    }

    fn on_listen(
        &mut self,
        conn: ConnId,
        node: NodeId,
        owner: Owner,
        fingerprint: &Fingerprint,
        signature: &Signature,
    ) -> Result<(), Refusal> {
        let token = Token::of(owner, fingerprint);
        let Challenge { nonce, server, proxies } = self.connections[&conn].challenge();
        if proxies.is_empty() {
            return Err(Refusal::staying(Code::Unsupported, "there is no proxy here"));
        }
        let (text, proxies) = (listen_text(nonce, server, token, node), Arc::clone(proxies));
        let capacity = self.config.tokens;
        let Registration { personas, tokens, .. } = self.registration(conn);
        let own = match owner {
            Owner::Node(owner) => owner == node,
            Owner::Persona(persona) => personas.contains(&persona),
        };
        if !own {
            return Err(Refusal::staying(Code::Denied, "the address is another's"));
        }
        if tokens.len() >= capacity && !tokens.contains(&token) {
            return Err(Refusal::staying(Code::Quota, "too many addresses"));
        }
        if owner.verify(&text, signature).is_err() {
            return Err(Refusal::staying(Code::Denied, "the owner's signature does not verify"));
        }
        if let Some(old) = self.tokens.insert(token, conn) {
            self.registration(old).tokens.remove(&token);
        }
        self.registration(conn).tokens.insert(token);
        self.outbox.push_back(Output::Proxy(proxy::Input::Listen { conn, token, proxies }));
        self.send(conn, ToNode::Listening(token));
        Ok(())
    }

    fn unlisten(&mut self, token: Token) {
        self.tokens.remove(&token);
        self.outbox.push_back(Output::Proxy(proxy::Input::Unlisten(token)));
    }

    fn on_answer(&mut self, conn: ConnId, session: u64, signal: &[u8]) -> Result<(), Refusal> {
        let signal::Signal { credentials, .. } = signal::Signal::decode(signal)
            .map_err(|_| Refusal::staying(Code::BadArgument, "the answer is not a signal"))?;
        self.outbox.push_back(Output::Proxy(proxy::Input::Answer { conn, session, credentials }));
        Ok(())
    }

    fn on_forward(&mut self, conn: ConnId, session: u64, ours: String, theirs: String) -> Result<(), Refusal> {
        if !Credentials::is_ufrag(&ours) || !Credentials::is_ufrag(&theirs) {
            return Err(Refusal::staying(Code::BadArgument, "not a username fragment"));
        }
        self.outbox.push_back(Output::Proxy(proxy::Input::Forward { conn, session, ours, theirs }));
        Ok(())
    }

    fn on_signal(
        &mut self,
        conn: ConnId,
        from: NodeId,
        to: NodeId,
        signal: Signal,
        now: Instant,
    ) -> Result<(), Refusal> {
        if signal.blob.len() > MAX_SIGNAL {
            return Err(Refusal::staying(Code::TooLarge, "the signal is too long"));
        }
        if to == from {
            return Err(Refusal::staying(Code::BadArgument, "a signal to oneself"));
        }
        let Some(&receiver) = self.nodes.get(&to) else {
            self.send(conn, ToNode::Unreachable(to));
            return Ok(());
        };
        let rate = self.config.signals;
        if !self.registration(receiver).signals.take(1, rate, now) {
            return Err(Refusal::staying(Code::Quota, "the receiver has too many signals"));
        }
        self.send(receiver, ToNode::Signal { from, signal });
        Ok(())
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some(&(at, conn)) = self.deadlines.first()
            && at <= now
        {
            self.refuse(conn, &Refusal::ending(Code::Timeout, "no registration came"));
        }
        self.sources.expire(now);
    }

    fn refuse(&mut self, conn: ConnId, refusal: &Refusal) {
        self.send(conn, refusal.message());
        if refusal.ends() {
            self.forget(conn);
            self.outbox.push_back(Output::Close(conn));
        }
    }

    fn forget(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        self.sources.close(connection.source(), &self.config);
        if let Some(deadline) = connection.deadline() {
            self.deadlines.remove(&(deadline, conn));
        }
        let Some(Registration { node, personas, tokens, topics, .. }) = connection.into_registration() else { return };
        self.nodes.remove(&node);
        self.introductions.forget(node);
        for topic in topics {
            self.topics.remove(topic, node);
        }
        for persona in personas {
            self.disclaim(conn, persona);
        }
        for token in tokens {
            self.unlisten(token);
        }
    }

    fn send(&mut self, conn: ConnId, message: ToNode) {
        let node = self.connections.get(&conn).and_then(Connection::node);
        self.counts.sent(&message, node);
        self.outbox.push_back(Output::Send(conn, message));
    }

    fn registration(&mut self, conn: ConnId) -> &mut Registration {
        let connection = self.connections.get_mut(&conn);
        connection
            .and_then(Connection::registration)
            .expect("requests are taken, and nodes and personas listed, of registered connections")
    }
}
