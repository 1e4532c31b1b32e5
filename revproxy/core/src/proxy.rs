//! The proxy: browsers that hold an address reach the browser behind it, sending no signalling message. A sans-IO machine.
//!
//! ```text
//! listener  =WebSocket=> rendezvous   Listen: the address's token is the listener's
//! dialler   =STUN=>      proxy        a check named "packed:du"; it is kept, the latest only
//! proxy     =WebSocket=> listener     Dialled: du, the dialler's password and fingerprint, all out of the check's name
//! listener  =WebSocket=> proxy        Answer: lu and lpwd, the credentials that its browser made
//! listener  =STUN=>      proxy        a check named "du:lu": the listener's five-tuple; what was kept is passed on
//! dialler  <= checks written again, DTLS untouched => listener
//! ```
//!
//! A browser's check proves that it arrived whole (the password is public), not who sent it or from where. So nothing is kept of a
//! check for an address that nobody listens at, everything kept is bounded by [`Config`], and a five-tuple is sent no more bytes than
//! came from it until it has answered a request (RFC 8445, section 19.5, is about the same). Every check is passed on with a random
//! transaction id that went only there: whoever plays both ends, and writes any sender's address on its packets, doesn't know it.
//!
//! | packet | its transaction id becomes | USERNAME becomes | signed again with |
//! | --- | --- | --- | --- |
//! | check, dialler to listener | the proxy's own | `lu:du` | listener's password |
//! | check, listener to dialler | the proxy's own | `du:packed` | dialler's password |
//! | answer from the listener | the check's again | | the public password |
//! | answer from the dialler | the check's again | | dialler's password |
//!
//! Answers go to who asked, once for each time it asked. Everything that isn't STUN goes to the leg of the other side that last sent
//! such, else one that has proven itself. A passage ends when its bytes or its time are used up or when it falls silent, mostly because
//! both ends restarted ICE and found each other. Where they didn't, the listener asks to [`Forward`](Input::Forward): checks by
//! the credentials of the restart then pass, within another budget. They keep their names and what they are signed with. A
//! dialler's checks after the restart still name `packed`: these *ghosts* are known by it and dropped. Ends that look for no direct path
//! don't restart: the listener asks for that budget alone, and checks go on passing by the names of the dial.

mod config;
mod counts;
mod datagrams;
mod limits;
mod outgoing;
mod passage;
mod pending;
mod room;
mod side;
mod stun;
mod telling;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bitters_machine::{Machine, random::Random, time::Instant};
use bitters_peercon::{Address, Candidate, Credentials, Kind, packed::PASSWORD, packed::Packed, signal::Signal};
use bitters_wire::{address::Token, failure::Code, rendezvous::ToNode};
pub use config::Config;
pub use counts::{Counts, Dropped, Ended, Load, Traffic};
use limits::Limits;
pub use outgoing::{Outgoing, Path, Socket};
use passage::{Budget, End, Keys, Passage, Phase};
use pending::Pending;
use room::{Admission, Room};
use stun_types::message::IntegrityKey;
use telling::Told;

use super::{rate::Bucket, rendezvous::ConnId};

/// What happened, other than a datagram ([`Proxy::handle_datagram`]). Connections are the rendezvous's, which has checked who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A listener's answer to [`ToNode::Dialled`].
    Answer {
        /// Whose connection.
        conn: ConnId,
        /// Of which passage.
        passage: u64,
        /// The listener's.
        credentials: Credentials,
    },
    /// A passage found no direct path, or its ends look for none.
    Forward {
        /// The listener's connection.
        conn: ConnId,
        /// Which passage.
        passage: u64,
        /// By what checks pass from now on. Without a restart they go on by the credentials of the dial.
        restart: Option<Restart>,
    },
    /// Dials of this address are for this connection, from now on.
    Listen {
        /// Which connection.
        conn: ConnId,
        /// Which address.
        token: Token,
        /// Where it reaches this proxy.
        proxies: Arc<[SocketAddr]>,
    },
    /// The time that [`Proxy::poll_timeout`] named has come.
    Timeout,
    /// Nobody listens at this address any longer.
    Unlisten(Token),
}

/// The credentials of both ends since a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The listener's.
    pub ours: Credentials,
    /// The dialler's.
    pub theirs: Credentials,
}

/// What is to be done, other than sending datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell a node something.
    Send(ConnId, ToNode),
}

/// The machine.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    random: Random,
    /// What transaction ids are drawn from.
    transactions: Random,
    /// The key of what diallers send and are sent by listeners.
    public: IntegrityKey,
    listeners: HashMap<Token, Listener>,
    /// By random numbers: a counter would tell listeners how many dials there are, and which of them are the same node's.
    passages: HashMap<u64, Passage>,
    /// Passages by the usernames of their checks.
    names: HashMap<Box<str>, Route>,
    /// What diallers call their listeners, in passages and in those that ended lately.
    known: HashSet<Box<str>>,
    /// Those that ended lately, by the time when they are forgotten.
    ghosts: VecDeque<(Instant, Box<str>)>,
    paths: HashMap<Path, (u64, End)>,
    /// When to look after which passage. It may turn out that there is more time.
    wakes: BTreeSet<(Instant, u64)>,
    pending: Pending,
    room: Room,
    /// When listeners are told of further dials that wait for that.
    turns: BTreeSet<(Instant, Token)>,
    limits: Limits,
    counts: Counts,
    outbox: VecDeque<Output>,
}

#[derive(Debug)]
struct Listener {
    conn: ConnId,
    proxies: Arc<[SocketAddr]>,
    dials: Bucket,
    told: Told,
}

/// Whose check it is.
#[derive(Clone, Copy, Debug)]
struct Route {
    passage: u64,
    end: End,
    /// Whether it is by the credentials of a restart, or by those of the dial.
    restarted: bool,
}

impl Proxy {
    /// A proxy that nobody listens at. It draws the numbers of its passages, and what it hashes sources with, from `seed`: fresh bytes from a
    /// cryptographic generator.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let mut transactions = Random::new(random.bytes());
        let limits = Limits::new(&mut transactions);
        Self {
            config,
            random,
            transactions,
            public: stun::key(PASSWORD),
            listeners: HashMap::new(),
            passages: HashMap::new(),
            names: HashMap::new(),
            known: HashSet::new(),
            ghosts: VecDeque::new(),
            paths: HashMap::new(),
            wakes: BTreeSet::new(),
            pending: Pending::default(),
            room: Room::default(),
            turns: BTreeSet::new(),
            limits,
            counts: Counts::default(),
            outbox: VecDeque::new(),
        }
    }
}

impl Machine for Proxy {
    type Input = Input;
    type Output = Output;

    /// Takes in what happened. Afterwards the shell drains [`poll_output`](Self::poll_output).
    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Answer { conn, passage, credentials } => self.on_answer(conn, passage, &credentials, now),
            Input::Forward { conn, passage, restart } => self.on_forward(conn, passage, restart.as_ref(), now),
            Input::Listen { conn, token, proxies } => self.on_listen(conn, token, proxies),
            Input::Timeout => self.on_timeout(now),
            Input::Unlisten(token) => self.on_unlisten(token, now),
        }
    }

    /// The next thing to do.
    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is wanted.
    fn poll_timeout(&self) -> Option<Instant> {
        let wake = self.wakes.first().map(|&(at, _)| at);
        let ghost = self.ghosts.front().map(|&(at, _)| at);
        let turn = self.turns.first().map(|&(at, _)| at);
        wake.into_iter().chain(ghost).chain(turn).min()
    }
}

impl Proxy {
    /// How much there is now.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            ghosts: self.ghosts.len(),
            legs: self.paths.len(),
            listeners: self.listeners.len(),
            pending: self.pending.len(),
            relaying: self.passages.values().filter(|passage| matches!(passage.phase, Phase::Relaying(..))).count(),
            passages: self.passages.len(),
        }
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The latest wins. What waits is told again to whoever comes from another connection.
    fn on_listen(&mut self, conn: ConnId, token: Token, proxies: Arc<[SocketAddr]>) {
        let listener = self.listeners.entry(token).or_insert_with(|| Listener {
            conn,
            proxies: Arc::clone(&proxies),
            dials: Bucket::default(),
            told: Told::default(),
        });
        let moved = listener.conn != conn;
        listener.conn = conn;
        listener.proxies = proxies;
        if moved {
            let unanswered = |id: &u64| self.passages.get(id).is_some_and(|it| it.told && it.keys.is_none());
            for id in self.pending.of(token).filter(unanswered).collect::<Vec<_>>() {
                self.tell(id);
            }
        }
    }

    fn on_unlisten(&mut self, token: Token, now: Instant) {
        self.listeners.remove(&token);
        for id in self.pending.of(token).collect::<Vec<_>>() {
            self.end(id, Ended::Unlistened, now);
        }
    }

    /// Tells the listener of a dial.
    fn tell(&mut self, id: u64) {
        let Some(passage) = self.passages.get(&id) else { return };
        let Some(listener) = self.listeners.get(&passage.token) else { return };
        let Packed { token, fingerprint, password } =
            Packed::from_ufrag(&passage.packed).expect("it was read when the passage began");
        let credentials = Credentials::new(&passage.dialler, &password).expect("both were read when the passage began");
        let candidate = |at: &SocketAddr| Candidate::new(Kind::Relayed, Address::Ip(at.ip()), at.port()).ok();
        let candidates = listener.proxies.iter().filter_map(candidate).collect();
        let signal = Signal { credentials, fingerprint, candidates }.encode();
        self.outbox.push_back(Output::Send(listener.conn, ToNode::Dialled { passage: id, token, signal }));
    }

    fn on_answer(&mut self, conn: ConnId, id: u64, credentials: &Credentials, now: Instant) {
        let Some(passage) = self.owned(conn, id) else { return };
        if passage.keys.is_some() {
            return;
        }
        let Packed { password, .. } = Packed::from_ufrag(&passage.packed).expect("it was read when the passage began");
        let keys = Keys::of_dial(&passage.packed, (&passage.dialler, &password), credentials, &self.public);
        let from_listener = keys.from(End::Listener).named.clone();
        if !self.name([(&from_listener, End::Listener)], id, false) {
            return self.refuse(conn, Code::BadArgument, "the username fragment is another passage's");
        }
        self.counts.answered += 1;
        let until = now + self.config.pending_time;
        let passage = self.passages.get_mut(&id).expect("it was looked up above");
        passage.keys = Some(Box::new(keys));
        if let Phase::Pending { until: deadline, .. } = &mut passage.phase {
            *deadline = until;
        }
        self.rewake(id);
    }

    fn on_forward(&mut self, conn: ConnId, id: u64, restart: Option<&Restart>, now: Instant) {
        if self.config.relay_bytes == 0 {
            return self.refuse(conn, Code::Unsupported, "this server does not relay");
        }
        let budget = match self.owned(conn, id).map(|passage| &passage.phase) {
            Some(Phase::Opening(_)) => Budget { bytes: self.config.relay_bytes, until: now + self.config.relay_time },
            Some(Phase::Relaying(budget, _)) => *budget,
            Some(Phase::Pending { .. }) | None => {
                return self.refuse(conn, Code::PeerUnreachable, "the passage is over");
            }
        };
        match restart {
            Some(restart) => self.relay_by_restart(conn, id, restart, budget, now),
            None => self.relay_by_dial(id, budget, now),
        }
    }

    /// Checks go on passing by the names of the dial, unless those of a restart are in force already.
    fn relay_by_dial(&mut self, id: u64, budget: Budget, now: Instant) {
        let passage = self.passages.get_mut(&id).expect("it was looked up by its listener's request");
        if matches!(passage.phase, Phase::Opening(_)) {
            passage.phase = Phase::Relaying(budget, None);
            self.room.relay(id, now);
            self.rewake(id);
        }
    }

    /// Checks pass by the names of a restart, instead of those of the one before.
    fn relay_by_restart(&mut self, conn: ConnId, id: u64, restart: &Restart, budget: Budget, now: Instant) {
        let keys = Keys::of_restart(&restart.theirs, &restart.ours);
        let names = keys.names();
        if self.passages.get(&id).and_then(|passage| passage.phase.restart()).is_some_and(|old| old.names() == names) {
            return;
        }
        let routes = [(&names[0], End::Dialler), (&names[1], End::Listener)];
        if names[0] == names[1] || !self.name(routes, id, true) {
            return self.refuse(conn, Code::BadArgument, "the username fragments are another passage's");
        }
        let passage = self.passages.get_mut(&id).expect("it was looked up above");
        passage.restart(now);
        let phase = std::mem::replace(&mut passage.phase, Phase::Relaying(budget, Some(Box::new(keys))));
        if let Some(old) = phase.restart() {
            for name in old.names() {
                self.names.remove(&name);
            }
        }
        self.room.relay(id, now);
        self.rewake(id);
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.wakes.first()
            && at <= now
        {
            match self.passages[&id].deadline(&self.config) {
                (deadline, why) if deadline <= now => self.end(id, why, now),
                _ => self.rewake(id),
            }
        }
        while let Some(&(at, token)) = self.turns.first()
            && at <= now
        {
            self.turns.pop_first();
            self.tell_some(token, now);
        }
        while self.ghosts.front().is_some_and(|&(at, _)| at <= now) {
            self.forget_ghost();
        }
    }

    /// A number that no passage has.
    fn draw_number(&mut self) -> u64 {
        loop {
            let number = u64::from_le_bytes(self.random.bytes());
            if !self.passages.contains_key(&number) {
                return number;
            }
        }
    }

    /// The passage, if the connection listens at its address.
    fn owned(&self, conn: ConnId, id: u64) -> Option<&Passage> {
        let passage = self.passages.get(&id)?;
        (self.listeners.get(&passage.token)?.conn == conn).then_some(passage)
    }

    /// Gives a passage usernames, unless one of them is taken.
    #[must_use]
    fn name<'a>(
        &mut self,
        names: impl IntoIterator<Item = (&'a Box<str>, End)> + Clone,
        id: u64,
        restarted: bool,
    ) -> bool {
        let free = names.clone().into_iter().all(|(name, _)| !self.names.contains_key(name));
        if free {
            for (name, end) in names {
                self.names.insert(name.clone(), Route { passage: id, end, restarted });
            }
        }
        free
    }

    /// Looks after a passage when its deadline has come, which changed.
    fn rewake(&mut self, id: u64) {
        let Some(passage) = self.passages.get_mut(&id) else { return };
        self.wakes.remove(&(passage.wake, id));
        (passage.wake, _) = passage.deadline(&self.config);
        self.wakes.insert((passage.wake, id));
    }

    /// Forgets a passage.
    fn end(&mut self, id: u64, why: Ended, now: Instant) {
        let Some(passage) = self.passages.remove(&id) else { return };
        if let Phase::Pending { since, .. } = passage.phase {
            self.pending.remove(passage.token, (since, id));
        }
        self.room.remove(id);
        self.counts.count_ended(why);
        self.wakes.remove(&(passage.wake, id));
        for name in passage.names() {
            self.names.remove(&name);
        }
        for path in passage.paths() {
            self.paths.remove(&path);
        }
        if passage.keys.is_none() {
            // Whoever still tries is welcome to begin anew.
            self.known.remove(&passage.packed);
            return;
        }
        self.ghosts.push_back((now + self.config.ghost_time, passage.packed));
        if self.ghosts.len() > self.config.ghosts {
            self.forget_ghost();
        }
    }

    /// The listener was heard from: from now on packets pass. Returns the check that waited.
    fn open(&mut self, id: u64, now: Instant) -> (Path, Vec<u8>) {
        let passage = self.passages.get_mut(&id).expect("it was looked up by its check's name");
        let budget = Budget { bytes: self.config.opening_bytes, until: now + self.config.opening_time };
        let Phase::Pending { since, check, .. } = std::mem::replace(&mut passage.phase, Phase::Opening(budget)) else {
            unreachable!("only pending passages are opened")
        };
        self.pending.remove(passage.token, (since, id));
        self.rewake(id);
        check
    }

    fn forget_ghost(&mut self) {
        if let Some((_, packed)) = self.ghosts.pop_front() {
            self.known.remove(&packed);
        }
    }

    fn refuse(&mut self, conn: ConnId, code: Code, message: &str) {
        self.outbox.push_back(Output::Send(conn, ToNode::Refused { code, message: message.into() }));
    }
}
