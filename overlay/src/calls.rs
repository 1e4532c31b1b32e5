//! What this node asks: by one route, if that comes to nothing by another, and at last by three at once.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::id::NodeId;

use crate::{
    hops::{Source, Start},
    message::{MAX_HOPS, Question, Reply, Route, Target},
};

/// How many routes each attempt takes at once.
const ATTEMPTS: [usize; 3] = [1, 1, 3];
/// How long all attempts take together, at most.
const LIMIT: Duration = Duration::from_secs(15);
/// From one attempt to the next where no outcome is heard of.
const NEXT: Duration = Duration::from_secs(4);

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// For whom it is.
    pub to: Target,
    /// What is asked.
    pub question: Question,
    /// Whether the route begins with random hops, so that nobody sees that it began here.
    pub is_hidden: bool,
    /// Whether it is for anybody but this node, though this node stand nearest.
    pub is_beyond: bool,
    /// Attempts at most, from 1 to 3.
    pub attempts: u8,
}

/// A reply, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The call.
    pub call: u64,
    /// What was replied. None: nobody did within the [limit](LIMIT).
    pub reply: Option<Reply>,
    /// At which attempt, from 1.
    pub attempt: u8,
}

#[derive(Clone, Debug)]
struct Call {
    ask: Ask,
    attempt: u8,
    /// The names of the routes under way.
    live: Vec<u64>,
    /// By whom routes went first.
    used: Vec<NodeId>,
    next: Instant,
    limit: Instant,
}

/// All questions of this node.
#[derive(Debug)]
pub struct Calls {
    calls: Map<u64, Call>,
    rng: fastrand::Rng,
    answers: VecDeque<Answer>,
}

impl Calls {
    /// With random numbers from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { calls: Map::new(), rng: fastrand::Rng::with_seed(seed), answers: VecDeque::new() }
    }

    /// Answers, until there are no more.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// When the next call needs something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.calls.values().map(|call| call.next.min(call.limit)).min()
    }

    /// Asks. Returns the routes that begin.
    pub fn ask(&mut self, number: u64, ask: Ask, now: Instant) -> Vec<Start> {
        let call = Call { ask, attempt: 0, live: Vec::new(), used: Vec::new(), next: now, limit: now + LIMIT };
        self.calls.insert(number, call);
        self.attempt(number, now)
    }

    /// A route of a call's is over. Returns the routes that begin.
    pub fn on_done(
        &mut self,
        number: u64,
        id: u64,
        tried: Vec<NodeId>,
        reply: Option<Reply>,
        now: Instant,
    ) -> Vec<Start> {
        let Some(call) = self.calls.get_mut(&number) else { return Vec::new() };
        if reply.is_some() {
            self.finish(number, reply);
            return Vec::new();
        }
        call.live.retain(|live| *live != id);
        call.used.extend(tried);
        if call.live.is_empty() { self.attempt(number, now) } else { Vec::new() }
    }

    /// Looks after what takes long. Returns the routes that begin.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<Start> {
        let due = |call: &Call| call.next.min(call.limit) <= now;
        let numbers: Vec<_> = self.calls.iter().filter(|(_, call)| due(call)).map(|(number, _)| *number).collect();
        let mut starts = Vec::new();
        for number in numbers {
            if self.calls.get(&number).is_some_and(|call| call.limit <= now) {
                self.finish(number, None);
            } else {
                starts.extend(self.attempt(number, now));
            }
        }
        starts
    }

    fn attempt(&mut self, number: u64, now: Instant) -> Vec<Start> {
        let Some(call) = self.calls.get_mut(&number) else { return Vec::new() };
        let attempts = &ATTEMPTS[..ATTEMPTS.len().min(usize::from(call.ask.attempts))];
        let Some(&routes) = attempts.get(usize::from(call.attempt)) else {
            if call.live.is_empty() {
                self.finish(number, None);
            } else {
                call.next = call.limit;
            }
            return Vec::new();
        };
        call.attempt += 1;
        call.next = now + NEXT;
        let mut starts = Vec::new();
        for _ in 0..routes {
            let id = self.rng.u64(..);
            call.live.push(id);
            let Ask { to, question, is_hidden, is_beyond, .. } = call.ask.clone();
            // The number doesn't say how far it is from where the route began.
            let hops = if is_hidden { self.rng.u8(MAX_HOPS - 3..=MAX_HOPS) } else { MAX_HOPS };
            let route = Route { id, to, hops, walks: is_hidden, trail: Vec::new(), question };
            starts.push(Start { route, source: Source::Call(number), avoid: call.used.clone(), is_beyond });
        }
        starts
    }

    fn finish(&mut self, number: u64, reply: Option<Reply>) {
        if let Some(call) = self.calls.remove(&number) {
            self.answers.push_back(Answer { call: number, reply, attempt: call.attempt });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;

    #[test]
    fn a_reply_ends_a_call() {
        let mut calls = Calls::new(1);
        let first = &calls.ask(1, ask(3), Instant::START)[0];
        assert!(calls.on_done(1, first.route.id, vec![BOB], Some(reply()), Instant::START).is_empty());
        assert_eq!(calls.poll_answer(), Some(Answer { call: 1, reply: Some(reply()), attempt: 1 }));
        assert_eq!((calls.poll_answer(), calls.poll_timeout()), (None, None));
    }

    #[test]
    fn the_last_attempt_goes_three_ways_at_once_and_by_none_that_was_tried() {
        let mut calls = Calls::new(1);
        let mut starts = calls.ask(1, ask(3), Instant::START);
        for (routes, avoid) in [(1, 1), (3, 2)] {
            starts = calls.on_done(1, starts[0].route.id, vec![BOB], None, Instant::START);
            assert_eq!(starts.len(), routes);
            assert!(starts.iter().all(|start| start.avoid.len() == avoid));
        }
        for start in &starts[..2] {
            assert!(calls.on_done(1, start.route.id, vec![], None, Instant::START).is_empty());
            assert_eq!(calls.poll_answer(), None, "others are under way");
        }
        calls.on_done(1, starts[2].route.id, vec![], None, Instant::START);
        assert_eq!(calls.poll_answer(), Some(Answer { call: 1, reply: None, attempt: 3 }));
    }

    #[test]
    fn who_hears_nothing_tries_again_and_gives_up_in_time() {
        let mut calls = Calls::new(1);
        calls.ask(1, ask(3), Instant::START);
        let mut routes = 1;
        while let Some(due) = calls.poll_timeout() {
            assert!(due <= Instant::START + LIMIT);
            routes += calls.on_timeout(due).len();
        }
        assert_eq!((routes, calls.poll_answer()), (5, Some(Answer { call: 1, reply: None, attempt: 3 })));

        calls.ask(2, ask(1), Instant::START);
        assert!(calls.on_timeout(Instant::START + NEXT).is_empty(), "one attempt was asked for");
        calls.on_timeout(Instant::START + LIMIT);
        assert_eq!(calls.poll_answer(), Some(Answer { call: 2, reply: None, attempt: 1 }));
    }

    #[test]
    fn a_hidden_question_begins_with_random_hops_and_no_fixed_number() {
        let mut calls = Calls::new(1);
        let mut numbers = bitters_machine::map::Set::new();
        for number in 0..100 {
            let start = calls.ask(number, Ask { is_hidden: true, ..ask(1) }, Instant::START).remove(0);
            assert!(start.route.walks);
            numbers.insert(start.route.hops);
        }
        assert_eq!(numbers.len(), 4);
    }

    const BOB: NodeId = NodeId([0xb0; 32]);

    fn ask(attempts: u8) -> Ask {
        let to = Target::Nearest(Position(7));
        Ask { to, question: Question::Find, is_hidden: false, is_beyond: false, attempts }
    }

    fn reply() -> Reply {
        Reply::Word(vec![1])
    }
}
