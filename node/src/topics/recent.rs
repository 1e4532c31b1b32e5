//! What was said in a topic lately.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{id::PersonaId, topic::Published};

/// A link opens within that time, most of the time.
pub const LATELY: Duration = Duration::from_secs(10);

/// What is kept longer than wanted, so that a timer doesn't follow each message.
const SLACK: Duration = Duration::from_secs(2);

/// What a busy site says in a few seconds, as long as a link takes to be made again at worst.
const MAX_MESSAGES: usize = 256;

/// Bytes of all of it.
pub const MAX_BYTES: usize = 256 * 1024;

/// Messages in order. Where there are too many, the oldest go of the author of whom there is most.
#[derive(Debug, Default)]
pub struct Recent {
    messages: VecDeque<Message>,
    /// Bytes of each author's.
    bytes: Map<PersonaId, usize>,
    /// How many the persona's own pages said, with those that aren't kept.
    ours: u64,
}

#[derive(Debug)]
struct Message {
    at: Instant,
    from: PersonaId,
    ours: bool,
    published: Published,
}

impl Message {
    /// What it takes of its author's part: many small ones are much, too.
    fn cost(&self) -> usize {
        self.published.len().max(MAX_BYTES / MAX_MESSAGES)
    }
}

impl Recent {
    /// Keeps a message, and whether a page of the persona's own said it.
    pub fn keep(&mut self, (from, ours): (PersonaId, bool), published: &Published, now: Instant) {
        self.ours += u64::from(ours);
        let message = Message { at: now, from, ours, published: published.clone() };
        *self.bytes.entry(from).or_insert(0) += message.cost();
        self.messages.push_back(message);
        self.expire(now);
        while self.bytes.values().sum::<usize>() > MAX_BYTES {
            let most = self.bytes.iter().max_by_key(|(_, bytes)| **bytes).map(|(from, _)| *from);
            let oldest = self.messages.iter().position(|message| Some(message.from) == most);
            let Some(message) = oldest.and_then(|at| self.messages.remove(at)) else { return };
            self.forget(&message);
        }
    }

    fn forget(&mut self, message: &Message) {
        let Some(bytes) = self.bytes.get_mut(&message.from) else { return };
        *bytes -= message.cost();
        if *bytes == 0 {
            self.bytes.remove(&message.from);
        }
    }

    /// All that was said lately, oldest first.
    pub fn since_lately(&self, now: Instant) -> impl Iterator<Item = &Published> {
        self.lately(now).map(|message| &message.published)
    }

    /// The same, and who said it.
    pub fn with_authors(&self, now: Instant) -> impl Iterator<Item = (PersonaId, &Published)> {
        self.lately(now).map(|message| (message.from, &message.published))
    }

    /// What the persona's own pages said of it.
    pub fn ours_lately(&self, now: Instant) -> impl Iterator<Item = &Published> {
        self.lately(now).filter(|message| message.ours).map(|message| &message.published)
    }

    fn lately(&self, now: Instant) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| now.since(message.at) <= LATELY)
    }

    /// How many messages the persona's own pages said.
    pub const fn count_ours(&self) -> u64 {
        self.ours
    }

    /// Lets go of what was said too long ago.
    pub fn expire(&mut self, now: Instant) {
        while let Some(message) = self.messages.pop_front_if(|message| now.since(message.at) > LATELY) {
            self.forget(&message);
        }
    }

    /// When [`expire`](Self::expire) is due.
    pub fn expires(&self) -> Option<Instant> {
        self.messages.front().map(|message| message.at + LATELY + SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::tests::{message, said};

    #[test]
    fn what_was_said_too_long_ago_is_let_go() {
        let mut recent = Recent::default();
        recent.keep((ALICE, false), &said(1), Instant::START);
        recent.keep((ALICE, true), &said(2), Instant::from_millis(2500));
        assert_eq!(kept(&recent, Instant::from_millis(10_000)), [said(1), said(2)]);
        assert_eq!(kept(&recent, Instant::from_millis(10_001)), [said(2)]);
        assert_eq!(recent.ours_lately(Instant::START).collect::<Vec<_>>(), [&said(2)]);
        recent.expire(recent.expires().expect("something is kept"));
        assert_eq!(recent.expires(), Some(Instant::from_millis(14_500)));
        recent.expire(Instant::from_millis(14_500));
        assert_eq!((recent.expires(), recent.count_ours()), (None, 1));
    }

    #[test]
    fn who_says_much_takes_nothing_from_who_says_little() {
        let mut recent = Recent::default();
        recent.keep((BOB, false), &said(0), Instant::START);
        for n in 1..400 {
            recent.keep((ALICE, false), &said(n), Instant::START);
        }
        let all = kept(&recent, Instant::START);
        assert_eq!((all.len(), &all[0], all.last()), (MAX_MESSAGES, &said(0), Some(&said(399))));

        let large = message(1, MAX_BYTES / 2);
        for _ in 0..3 {
            recent.keep((ALICE, false), &large, Instant::START);
        }
        assert_eq!(kept(&recent, Instant::START), [said(0), large.clone()]);
        recent.keep((ALICE, false), &message(1, MAX_BYTES), Instant::START);
        assert_eq!(kept(&recent, Instant::START), [said(0)]);
    }

    fn kept(recent: &Recent, now: Instant) -> Vec<Published> {
        recent.since_lately(now).cloned().collect()
    }

    const ALICE: PersonaId = PersonaId([0xa1; 32]);
    const BOB: PersonaId = PersonaId([0xb0; 32]);
}
