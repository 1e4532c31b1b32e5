//! The machine.

use std::collections::VecDeque;

use bitters_machine::{
    Machine,
    map::{Map, Set},
    time::Instant,
};
use bitters_overlay::{message::Target, position::Position};
use bitters_record::{place::positions, record::Record};
use bitters_wire::id::NodeId;

use crate::{
    Name,
    finding::{Findings, Found},
    keeping::Keeping,
    publishing::Publishing,
    word::{Question, Reply},
};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// What came of a question to the overlay.
    Answered {
        /// As it was [asked](Output::Ask) with.
        token: u64,
        /// The reply, if there is one.
        word: Option<Vec<u8>>,
    },
    /// The time is another than this machine thinks, in unix seconds.
    Clock(u64),
    /// The overlay delivers a question.
    Delivered {
        /// Its name.
        id: u64,
        /// The neighbour that it came by. None: it began here.
        from: Option<NodeId>,
        /// The question.
        word: Vec<u8>,
    },
    /// Looks a record up. Ends with [`Output::Found`].
    Find {
        /// Chosen by whoever asks.
        token: u64,
        /// Which record.
        name: Name,
    },
    /// The overlay's near neighbours are these now.
    Near(Set<NodeId>),
    /// Publishes a record of this node's, in place of an older one of its name, until it is two hours old or [withdrawn](Self::Withdraw).
    Publish(Box<Record>),
    /// The time that the machine named has come.
    Timeout,
    /// Publishes a record no longer.
    Withdraw(Name),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer a question that the overlay delivered.
    Answer {
        /// Its name.
        id: u64,
        /// The reply.
        word: Vec<u8>,
    },
    /// Ask the overlay.
    Ask {
        /// The question's name here.
        token: u64,
        /// Of whom.
        to: Target,
        /// The question.
        word: Vec<u8>,
        /// Whether nobody may see that it began here.
        is_hidden: bool,
    },
    /// A look-up's outcome.
    Found {
        /// As it was asked for.
        token: u64,
        /// The record. It is good, and of the name that was asked for.
        record: Option<Box<Record>>,
    },
    /// Another of the persona's nodes has published this newer record: one that is to replace it needs a higher number.
    Outdated(Box<Record>),
}

/// What a question to the overlay is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// A look-up asks a position.
    Find { token: u64, place: usize },
    /// An own record is put at a position.
    Put { name: Name, place: usize },
    /// A copy for a neighbour, or for a position that had an older one. Nothing depends on it.
    Copy,
}

/// A node's part in keeping records.
#[derive(Debug)]
pub struct Directory {
    me: NodeId,
    /// Unix seconds at a moment.
    clock: (u64, Instant),
    keeping: Keeping,
    publishing: Publishing,
    findings: Findings,
    purposes: Map<u64, Purpose>,
    asked: u64,
    outbox: VecDeque<Output>,
}

impl Directory {
    /// Of a node, at a time in unix seconds, with random numbers from a seed.
    #[must_use]
    pub fn new(me: NodeId, unix: u64, seed: u64, now: Instant) -> Self {
        Self {
            me,
            clock: (unix, now),
            keeping: Keeping::new(me),
            publishing: Publishing::new(seed),
            findings: Findings::default(),
            purposes: Map::new(),
            asked: 0,
            outbox: VecDeque::new(),
        }
    }

    fn unix(&self, now: Instant) -> u64 {
        let (unix, at) = self.clock;
        unix + now.since(at).as_secs()
    }

    fn on_answered(&mut self, token: u64, word: Option<&[u8]>, now: Instant) {
        let reply = word.and_then(|word| Reply::decode(word).ok());
        match self.purposes.remove(&token) {
            Some(Purpose::Find { token, place }) => {
                let found = self.findings.on_reply(token, place, reply, self.unix(now), now);
                self.on_found(found);
            }
            Some(Purpose::Put { name, place }) => {
                if let Some(newer) =
                    self.publishing.on_reply(name, place, reply, now).filter(|newer| self.is_good(newer, name, now))
                {
                    self.outbox.push_back(Output::Outdated(Box::new(newer)));
                }
            }
            Some(Purpose::Copy) | None => {}
        }
    }

    fn is_good(&self, record: &Record, name: Name, now: Instant) -> bool {
        (record.key(), record.salt()) == name && record.check(self.unix(now)).is_ok()
    }

    /// What can't be read is answered with nothing at all.
    fn on_delivered(&mut self, id: u64, from: Option<NodeId>, word: &[u8], now: Instant) {
        let (from, unix) = (from.unwrap_or(self.me), self.unix(now));
        let reply = match Question::decode(word) {
            Ok(Question::Get { key, salt }) => {
                Some(self.keeping.get((key, salt), unix).map_or(Reply::Nothing, |record| Reply::Record(record.clone())))
            }
            Ok(Question::Keep(record)) => Some(self.keeping.put(record, from, false, unix, now)),
            Ok(Question::Put(record)) => Some(self.keeping.put(record, from, true, unix, now)),
            Err(_) => None,
        };
        let word = reply.map(|reply| reply.encode()).unwrap_or_default();
        self.outbox.push_back(Output::Answer { id, word });
    }

    fn find(&mut self, token: u64, name: Name) {
        self.findings.begin(token, name);
        let (key, salt) = name;
        for (place, at) in positions(key, salt).into_iter().enumerate() {
            let to = Target::Nearest(Position(at));
            self.ask(to, &Question::Get { key, salt }, true, Purpose::Find { token, place });
        }
    }

    /// A look-up is over: positions that had an older record get the newer one.
    fn on_found(&mut self, found: Option<Found>) {
        let Some(Found { token, record, stale }) = found else { return };
        for place in stale {
            if let Some(record) = &record {
                self.put(record.clone(), place, Purpose::Copy);
            }
        }
        self.outbox.push_back(Output::Found { token, record: record.map(Box::new) });
    }

    fn put(&mut self, record: Record, place: usize, purpose: Purpose) {
        let to = Target::Nearest(Position(positions(record.key(), record.salt())[place]));
        self.ask(to, &Question::Put(record), true, purpose);
    }

    fn ask(&mut self, to: Target, question: &Question, is_hidden: bool, purpose: Purpose) {
        self.asked += 1;
        self.purposes.insert(self.asked, purpose);
        self.outbox.push_back(Output::Ask { token: self.asked, to, word: question.encode(), is_hidden });
    }

    /// Does what is due.
    fn drive(&mut self, now: Instant) {
        while let Some((record, place)) = self.publishing.next_put(now) {
            let name = (record.key(), record.salt());
            self.put(record, place, Purpose::Put { name, place });
        }
        while let Some((node, record)) = self.keeping.next_copy(self.unix(now), now) {
            self.ask(Target::Node(node), &Question::Keep(record), false, Purpose::Copy);
        }
        while let found @ Some(_) = self.findings.on_timeout(now) {
            self.on_found(found);
        }
    }
}

impl Machine for Directory {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Answered { token, word } => self.on_answered(token, word.as_deref(), now),
            Input::Clock(unix) => self.clock = (unix, now),
            Input::Delivered { id, from, word } => self.on_delivered(id, from, &word, now),
            Input::Find { token, name } => self.find(token, name),
            Input::Near(near) => self.keeping.on_near(near, self.unix(now), now),
            Input::Publish(record) => self.publishing.publish(*record, now),
            Input::Timeout => {}
            Input::Withdraw(name) => self.publishing.withdraw(name),
        }
        self.drive(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.publishing.poll_timeout(), self.keeping.poll_timeout(), self.findings.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests;
