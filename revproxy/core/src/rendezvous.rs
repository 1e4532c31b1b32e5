//! The rendezvous: where personas that know nobody meet. A sans-IO machine over [`bitters_wire::rendezvous`].
//!
//! A node connects once and is challenged. It enters by saying which versions it speaks, and then registers the keys of its personas, each
//! by that key's signature over the challenge. A registered key can be looked up, be introduced in topics to a random few other keys, and
//! exchange the two messages that make a connection between browsers. What is signed names the server as the node reached it, so that no
//! other server can use it.
//!
//! Two keys of one connection are strangers. A topic introduces them to each other like any two keys, and a signal between them goes
//! through the server. Nothing that is said to one key names another key of its connection. Each key has its own memory of
//! introductions and its own bounds: so the refusals that one key meets say nothing of another.
//!
//! Several connections may register one key: a browser whose sites are kept apart has several nodes, and a node that comes back may be
//! here before its broken connection has timed out. The latest registration is believed: it gets the key's signals, and the key is in the
//! topics that were said there. When that connection lets go of the key, the registration before it is believed again. What a connection
//! said is forgotten when it closes. No key is introduced twice to the same key within five minutes, unless the node asks with
//! [`Discover`](ToServer::Discover).
//!
//! A registered key may listen at addresses, each by its own signature. Of several connections that listen at one address, the latest is
//! dialled. What a node says of dials is checked here and handed on to the [proxy](crate::proxy), a machine of its own. Whoever looks a key up
//! is told its door, if it named one of these addresses as that.
//!
//! A node that looks up the key of zeros asks whether the server is still there ([`ARE_YOU_THERE`](ToServer::ARE_YOU_THERE)). Nobody can
//! register that key. The question costs a look-up, and counts against the same rates.
//!
//! Connections are strangers. What one can't decode is refused and ends it; what a node that entered merely may not do (one topic too many,
//! a key that it hasn't registered) is refused and the connection stays. So it is with messages that come too fast: those that name a
//! registered key count against this key and are refused, for strangers can make a key speak; all others end the connection. A first
//! message that can't be decoded is refused as one of another version. Memory and rates are bounded per key, per connection, per source
//! address and in all by [`Config`].

mod allowance;
mod charging;
mod config;
mod connection;
mod counts;
mod introductions;
mod keys;
mod listening;
mod members;
mod refusal;
mod senders;
mod sources;
#[cfg(test)]
mod tests;
mod topics;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    VersionRange, WIRE,
    address::Token,
    codec,
    failure::Code,
    id::{PersonaId, TopicId},
    keys::Signature,
    limits::{MAX_RENDEZVOUS, TOPIC_NEIGHBOURS},
    rendezvous::{Gone, ToNode, ToServer, register_text},
    sealed::SealedSignal,
};
pub use config::Config;
use connection::{Challenge, Connection, Entered, Registration};
pub use counts::{Counts, Load};
use fastrand::Rng;
use introductions::{Introductions, Member};
use keys::Keys;
use refusal::Refusal;
use sources::Sources;
use topics::Topics;

use super::proxy;
pub use super::{
    rate::Rate,
    source::{Net, Source},
};

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
        /// Milliseconds since 1970.
        unix_ms: u64,
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

/// The machine.
#[derive(Debug)]
pub struct Rendezvous {
    config: Config,
    rng: Rng,
    connections: BTreeMap<ConnId, Connection>,
    /// When connections whose node hasn't entered are closed.
    deadlines: BTreeSet<(Instant, ConnId)>,
    keys: Keys,
    /// Who listens at which address.
    tokens: BTreeMap<Token, Member>,
    /// Who is in which topic, as each key's latest connection says.
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
            keys: Keys::default(),
            tokens: BTreeMap::new(),
            topics: Topics::default(),
            introductions: Introductions::default(),
            sources: Sources::default(),
            counts: Counts::default(),
            outbox: VecDeque::new(),
        }
    }
}

impl Machine for Rendezvous {
    type Input = Input;
    type Output = Output;

    /// Takes in what happened. Afterwards the shell drains [`poll_output`](Self::poll_output).
    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Closed(conn) => self.forget(conn),
            Input::Open { conn, addr, nonce, server, proxies, unix_ms } => {
                self.on_open(conn, addr, Challenge { nonce, server, proxies }, unix_ms, now);
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
    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is wanted.
    fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|&(at, _)| at);
        deadline.into_iter().chain(self.sources.timeout()).min()
    }
}

impl Rendezvous {
    /// How much there is now.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            connections: self.connections.len(),
            introductions: self.introductions.len(),
            keys: self.keys.len(),
            // All others have a deadline.
            nodes: self.connections.len() - self.deadlines.len(),
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

    fn on_open(&mut self, conn: ConnId, addr: IpAddr, challenge: Challenge, unix_ms: u64, now: Instant) {
        let source = Source::from(addr);
        let full = Refusal::ending(Code::Quota, "the rendezvous is full");
        let is_full = self.connections.len() >= self.config.connections;
        let gives_way = if is_full { self.sources.gives_way(source) } else { None };
        if is_full && gives_way.is_none() {
            return self.refuse(conn, &full);
        }
        if !self.sources.open(source, &self.config, now) {
            return self.refuse(conn, &Refusal::ending(Code::Quota, "too many connections from this address"));
        }
        if let Some(least) = gives_way.and_then(|net| self.least_of(net)) {
            self.refuse(least, &full);
        }
        let deadline = now + self.config.enter_timeout;
        let nonce = challenge.nonce;
        self.connections.insert(conn, Connection::challenged(source, challenge, deadline));
        self.deadlines.insert((deadline, conn));
        self.send(conn, ToNode::Challenge { nonce, wire: WIRE, unix_ms });
    }

    /// A network's oldest connection that hasn't registered a key, if there is one, else its latest: who is there stays.
    fn least_of(&self, net: Net) -> Option<ConnId> {
        let is_used = |connection: &Connection| connection.entered().is_some_and(|entered| !entered.keys.is_empty());
        let of_net = || self.connections.iter().filter(|(_, connection)| connection.source().widest() == net);
        let unused = of_net().find(|(_, connection)| !is_used(connection));
        unused.or_else(|| of_net().next_back()).map(|(conn, _)| *conn)
    }

    fn on_received(&mut self, conn: ConnId, bytes: &[u8], now: Instant) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(&conn) else {
            return Ok(()); // It crossed our close.
        };
        let has_entered = connection.entered().is_some();
        let refusal = |error| if has_entered { Refusal::from(error) } else { Refusal::of_first(error) };
        let message = codec::decode(bytes, MAX_RENDEZVOUS).map_err(refusal)?;
        self.charge(conn, &message, bytes.len(), now)?;
        self.counts.received(&message);
        match message {
            ToServer::Enter(wire) => self.on_enter(conn, wire),
            _ if !has_entered => Err(Refusal::ending(Code::Denied, "enter first")),
            message => self.on_request(conn, message, now),
        }
    }

    fn on_enter(&mut self, conn: ConnId, wire: VersionRange) -> Result<(), Refusal> {
        let connection = self.connections.get_mut(&conn).expect("the message was looked up by its connection");
        let Some(deadline) = connection.deadline() else {
            return Err(Refusal::ending(Code::BadArgument, "entered already"));
        };
        WIRE.common(wire).ok_or_else(Refusal::other_versions)?;
        connection.enter();
        let proxies = connection.challenge().proxies.to_vec();
        self.deadlines.remove(&(deadline, conn));
        self.send(conn, ToNode::Entered { proxies });
        Ok(())
    }

    fn on_request(&mut self, conn: ConnId, message: ToServer, now: Instant) -> Result<(), Refusal> {
        match message {
            ToServer::Advertise { topic, key } => self.on_advertise(conn, topic, key, now)?,
            ToServer::Answer { passage, signal } => self.on_answer(conn, passage, &signal)?,
            ToServer::Discover { topic, key } => self.on_discover(conn, topic, key, now)?,
            ToServer::Door { key, door } => self.on_door(conn, key, door)?,
            ToServer::Enter(_) => unreachable!("it was told apart when it came"),
            ToServer::Forward { passage, ends } => self.on_forward(conn, passage, ends)?,
            ToServer::Listen { owner, fingerprint, signature } => {
                self.on_listen(conn, owner, &fingerprint, &signature)?;
            }
            ToServer::Lookup(key) => self.on_lookup(conn, key),
            ToServer::Register { key, signature } => self.on_register(conn, key, &signature)?,
            ToServer::Gone(gone) => self.on_gone(conn, gone, now)?,
            ToServer::Signal { from, to, signal } => self.on_signal(conn, from, to, &signal, now)?,
            ToServer::Unlisten(token) => self.on_unlisten(conn, token),
            ToServer::Unregister(key) => self.unregister(conn, key),
            ToServer::Withdraw { topic, key } => self.on_withdraw(conn, topic, key)?,
        }
        Ok(())
    }

    fn on_register(&mut self, conn: ConnId, key: PersonaId, signature: &Signature) -> Result<(), Refusal> {
        let Challenge { nonce, server, .. } = self.connections[&conn].challenge();
        let text = register_text(nonce, server, key);
        let capacity = self.config.keys;
        let keys = &mut self.entered(conn).keys;
        let is_new = !keys.contains_key(&key);
        if is_new && keys.len() >= capacity {
            return Err(Refusal::staying(Code::Quota, "too many keys"));
        }
        if key.verify(&text, signature).is_err() {
            return Err(Refusal::staying(Code::Denied, "the key's signature does not verify"));
        }
        if is_new {
            keys.insert(key, Registration::default());
            // Whoever was told of it elsewhere may be told that it is here.
            self.introductions.forget_named(key);
        }
        self.leave_topics(key);
        let oldest = self.keys.register(key, conn);
        self.join_topics(key);
        if let Some(oldest) = oldest {
            self.unregister(oldest, key);
        }
        Ok(())
    }

    /// The connection lets go of the key, if it registered that. The registration before it is believed again.
    fn unregister(&mut self, conn: ConnId, key: PersonaId) {
        if !self.entered(conn).keys.contains_key(&key) {
            return;
        }
        self.leave_topics(key);
        self.keys.release(key, conn);
        let registration = self.entered(conn).keys.remove(&key).expect("it was looked up above");
        self.join_topics(key);
        self.introductions.forget_told((conn, key));
        self.introductions.forget_named(key);
        for token in registration.tokens {
            self.unlisten(token);
        }
    }

    /// Before it changes which registration of the key is believed.
    fn leave_topics(&mut self, key: PersonaId) {
        for topic in self.believed_topics(key) {
            self.topics.remove(topic, key);
        }
    }

    /// After it has changed which registration of the key is believed.
    fn join_topics(&mut self, key: PersonaId) {
        let Some(conn) = self.keys.latest(key) else { return };
        let source = self.connections[&conn].source();
        for topic in self.believed_topics(key) {
            self.topics.insert(topic, key, source);
        }
    }

    fn believed_topics(&self, key: PersonaId) -> Vec<TopicId> {
        let Some(conn) = self.keys.latest(key) else { return Vec::new() };
        let entered = self.connections[&conn].entered();
        entered.into_iter().flat_map(|entered| &entered.keys[&key].topics).copied().collect()
    }

    fn on_lookup(&mut self, conn: ConnId, key: PersonaId) {
        let Some(holder) = self.keys.latest(key) else { return self.send(conn, ToNode::Missing(key)) };
        let door = self.registered(holder, key).door().cloned();
        if let Some(door) = door {
            self.send(conn, ToNode::Door(Box::new(door)));
        }
        self.send(conn, ToNode::Here(key));
    }

    fn on_advertise(&mut self, conn: ConnId, topic: TopicId, key: PersonaId, now: Instant) -> Result<(), Refusal> {
        let Config { topics: capacity, topics_per_key, .. } = self.config;
        let entered = self.entered(conn);
        let in_all = entered.topics();
        let topics = &mut entered.registration(key)?.topics;
        if (in_all >= capacity || topics.len() >= topics_per_key) && !topics.contains(&topic) {
            return Err(Refusal::staying(Code::Quota, "too many topics"));
        }
        topics.insert(topic);
        if self.keys.latest(key) == Some(conn) {
            self.topics.insert(topic, key, self.connections[&conn].source());
        }
        let member = (conn, key);
        let room = self.room(member, now);
        let strangers = self
            .topics
            .draw(topic, &mut self.rng)
            .filter(|&other| other != key && !self.introductions.contains(member, other))
            .take(room.min(TOPIC_NEIGHBOURS))
            .collect();
        self.introduce(member, topic, strangers, now);
        Ok(())
    }

    /// What is asked for is told even where there is no room left to remember it.
    fn on_discover(&mut self, conn: ConnId, topic: TopicId, key: PersonaId, now: Instant) -> Result<(), Refusal> {
        self.entered(conn).registration(key)?;
        let others: Vec<_> =
            self.topics.draw(topic, &mut self.rng).filter(|&other| other != key).take(TOPIC_NEIGHBOURS).collect();
        self.introduce((conn, key), topic, others, now);
        Ok(())
    }

    fn on_withdraw(&mut self, conn: ConnId, topic: TopicId, key: PersonaId) -> Result<(), Refusal> {
        self.entered(conn).registration(key)?.topics.remove(&topic);
        if self.keys.latest(key) == Some(conn) {
            self.topics.remove(topic, key);
        }
        Ok(())
    }

    fn introduce(&mut self, to: Member, topic: TopicId, members: Vec<PersonaId>, now: Instant) {
        let room = self.room(to, now);
        for &other in members.iter().take(room) {
            self.introductions.insert(to, other, now);
        }
        let (conn, key) = to;
        self.send(conn, ToNode::Members { topic, key, members });
    }

    fn room(&mut self, to: Member, now: Instant) -> usize {
        self.introductions.room(to, self.config.introductions, self.config.introduction_memory, now)
    }

    fn on_signal(
        &mut self,
        conn: ConnId,
        from: PersonaId,
        to: PersonaId,
        signal: &SealedSignal,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.entered(conn).registration(from)?;
        if signal.is_too_long() {
            return Err(Refusal::staying(Code::TooLarge, "the signal is too long"));
        }
        if to == from {
            return Err(Refusal::staying(Code::BadArgument, "a signal to oneself"));
        }
        // Which of a key's connections dialled only that one knows. Whoever dials, dials the latest.
        let receivers = if signal.answers { self.keys.all(to) } else { self.keys.latest(to).into_iter().collect() };
        if receivers.is_empty() {
            self.send(conn, ToNode::Unreachable { from, to });
        }
        for receiver in receivers {
            self.pass_on((conn, receiver), to, ToNode::Signal { from, to, signal: signal.clone() }, now)?;
        }
        Ok(())
    }

    fn on_gone(&mut self, conn: ConnId, gone: Gone, now: Instant) -> Result<(), Refusal> {
        self.entered(conn).registration(gone.from)?;
        for receiver in self.keys.all(gone.to) {
            self.pass_on((conn, receiver), gone.to, ToNode::Gone(gone), now)?;
        }
        Ok(())
    }

    /// From one connection to another, for a key there.
    fn pass_on(
        &mut self,
        (sender, receiver): (ConnId, ConnId),
        to: PersonaId,
        message: ToNode,
        now: Instant,
    ) -> Result<(), Refusal> {
        let (source, config) = (self.connections[&sender].source(), self.config);
        if !self.entered(receiver).take_signal(source, to, &config, now) {
            return Err(Refusal::staying(Code::Quota, "the receiver has too many signals"));
        }
        self.send(receiver, message);
        Ok(())
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some(&(at, conn)) = self.deadlines.first()
            && at <= now
        {
            self.refuse(conn, &Refusal::ending(Code::Timeout, "the node did not enter"));
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
        let Some(connection) = self.connections.get(&conn) else { return };
        let keys: Vec<_> = connection.entered().into_iter().flat_map(|entered| entered.keys.keys().copied()).collect();
        for key in keys {
            self.unregister(conn, key);
        }
        let connection = self.connections.remove(&conn).expect("it was looked up above");
        self.sources.close(connection.source(), &self.config);
        if let Some(deadline) = connection.deadline() {
            self.deadlines.remove(&(deadline, conn));
        }
    }

    fn send(&mut self, conn: ConnId, message: ToNode) {
        self.counts.sent(&message);
        self.outbox.push_back(Output::Send(conn, message));
    }

    fn entered(&mut self, conn: ConnId) -> &mut Entered {
        let connection = self.connections.get_mut(&conn);
        connection
            .and_then(Connection::entered_mut)
            .expect("requests are taken, and keys and addresses listed, of connections that entered")
    }

    fn registered(&mut self, conn: ConnId, key: PersonaId) -> &mut Registration {
        self.entered(conn)
            .keys
            .get_mut(&key)
            .expect("keys and addresses are listed with the connection that registered them")
    }
}
