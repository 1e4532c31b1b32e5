//! The order of what each page says in a topic.
//!
//! Members pass messages on in the order in which they come, and links keep it. So a message comes before those that its page said later,
//! unless a hostile member passes those on and keeps it back: then it comes later, by another way. So a page says in each message which one
//! it said just before that, and who hears the later one first waits a while for the earlier.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::time::Instant;
use bitters_wire::{
    data::Data,
    id::PersonaId,
    topic::{After, MessageName},
};

/// A message has come to everybody within that time, by whichever way.
const SPREADS: Duration = Duration::from_secs(2);

/// Messages of one author that wait, and bytes. Where there are more, none of the author's waits any longer.
const MAX_OF_AUTHOR: usize = 64;
const MAX_BYTES_OF_AUTHOR: usize = 1024 * 1024;

/// Of all authors. What is beyond doesn't wait.
const MAX: usize = 1024;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A message that came.
#[derive(Debug)]
pub(super) struct Message {
    pub from: PersonaId,
    pub name: MessageName,
    pub data: Data,
}

#[derive(Debug)]
struct Early {
    message: Message,
    /// The message that its page said before.
    after: MessageName,
    bytes: usize,
    until: Instant,
}

/// Messages of one topic that came too early, in the order in which they came, and the latest of our own.
#[derive(Debug, Default)]
pub(super) struct Order {
    early: VecDeque<Early>,
    said: Option<(MessageName, Instant)>,
}

impl Order {
    /// Our page says something. Tells what it said just before, if that may be under way still.
    pub fn say(&mut self, name: MessageName, now: Instant) -> Option<After> {
        let before = self.said.replace((name, now));
        let before = before.map(|(name, at)| (name, now.since(at))).filter(|(_, ago)| *ago < SPREADS);
        before.map(|(name, ago)| After { name, ms: u16::try_from(ago.as_millis()).unwrap_or(u16::MAX) })
    }

    /// What our page says next comes after nothing.
    pub const fn forget_said(&mut self) {
        self.said = None;
    }

    /// A message was refused.
    pub fn unsay(&mut self, name: MessageName) {
        self.said.take_if(|(last, _)| *last == name);
    }

    /// Whether a message waits.
    pub fn holds(&self, from: PersonaId, name: MessageName) -> bool {
        self.place(from, name).is_some()
    }

    /// A message waits for the one before. If there is no room, all of its author are given back.
    pub fn hold(&mut self, message: Message, after: MessageName, bytes: usize, now: Instant) -> Vec<Message> {
        let of_author = || self.early.iter().filter(|it| it.message.from == message.from);
        let sum = |early: &mut dyn Iterator<Item = &Early>| early.map(|it| it.bytes).sum::<usize>() + bytes;
        let fits = of_author().count() < MAX_OF_AUTHOR && sum(&mut of_author()) <= MAX_BYTES_OF_AUTHOR;
        let fits = fits && self.early.len() < MAX && sum(&mut self.early.iter()) <= MAX_BYTES;
        let from = message.from;
        self.early.push_back(Early { message, after, bytes, until: now + SPREADS });
        let first = |order: &Self| order.early.iter().position(|it| it.message.from == from);
        let mut all = Vec::new();
        while let Some(at) = first(self).filter(|_| !fits) {
            all.extend(self.take_chain(at));
        }
        all
    }

    /// A message that waits no longer, for the one before was heard.
    pub fn next_after(&mut self, from: PersonaId, name: MessageName) -> Option<Message> {
        let at = self.early.iter().position(|it| (it.message.from, it.after) == (from, name))?;
        self.early.remove(at).map(|it| it.message)
    }

    /// A message that waits no longer, for it waited long enough, or another did that its page said after it.
    pub fn next_late(&mut self, now: Instant) -> Option<Message> {
        self.early.front().filter(|it| it.until <= now)?;
        self.take_chain(0)
    }

    /// Of the messages that wait for one another up to that one, the first.
    fn take_chain(&mut self, at: usize) -> Option<Message> {
        let last = self.early.get(at)?;
        let (from, mut first, mut after) = (last.message.from, at, last.after);
        // A hostile page says of each of two messages that it came after the other.
        for _ in 0..MAX_OF_AUTHOR {
            let Some(before) = self.place(from, after) else { break };
            (first, after) = (before, self.early[before].after);
        }
        self.early.remove(first).map(|it| it.message)
    }

    fn place(&self, from: PersonaId, name: MessageName) -> Option<usize> {
        self.early.iter().position(|it| (it.message.from, it.message.name) == (from, name))
    }

    /// When the next has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        self.early.front().map(|it| it.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_said_just_before() {
        let mut order = Order::default();
        assert_eq!(order.say(name(1), Instant::START), None);
        assert_eq!(order.say(name(2), Instant::from_millis(1999)), Some(After { name: name(1), ms: 1999 }));
        assert_eq!(order.say(name(3), Instant::from_millis(3999)), None, "everybody has heard it");
    }

    #[test]
    fn a_message_waits_for_the_one_before_but_not_for_ever() {
        let mut order = Order::default();
        assert!(order.hold(message(2), name(1), 1, Instant::START).is_empty());
        assert!(order.holds(ALICE, name(2)) && !order.holds(ALICE, name(1)));
        assert!(order.next_after(BOB, name(1)).is_none(), "another's of the same name");
        assert_eq!(order.next_after(ALICE, name(1)).map(|it| it.name), Some(name(2)));
        assert_eq!(order.due(), None);

        assert!(order.hold(message(3), name(2), 1, Instant::START).is_empty());
        assert!(order.next_late(Instant::from_millis(1999)).is_none());
        assert_eq!(order.due(), Some(Instant::from_millis(2000)));
        assert_eq!(order.next_late(Instant::from_millis(2000)).map(|it| it.name), Some(name(3)));
    }

    #[test]
    fn messages_that_wait_for_each_other_do_not_wait_for_ever() {
        let mut order = Order::default();
        assert!(order.hold(message(1), name(2), 1, Instant::START).is_empty());
        assert!(order.hold(message(2), name(1), 1, Instant::START).is_empty());
        let late = Instant::from_millis(2000);
        assert!(order.next_late(late).is_some() && order.next_late(late).is_some() && order.next_late(late).is_none());
    }

    #[test]
    fn where_more_waits_than_may_all_of_its_author_goes_in_order() {
        for (bytes, room) in [(1, MAX_OF_AUTHOR), (MAX_BYTES_OF_AUTHOR / 4, 4)] {
            let mut order = Order::default();
            let mut hold = |n: usize| {
                let n = u8::try_from(n).unwrap();
                order.hold(message(n), name(n - 1), bytes, Instant::START)
            };
            // The one that comes last was said first.
            assert!((3..room + 3).rev().all(|n| hold(n).is_empty()));
            let gone: Vec<MessageName> = hold(2).into_iter().map(|it| it.name).collect();
            assert_eq!(gone, (2..room + 3).map(|n| name(u8::try_from(n).unwrap())).collect::<Vec<_>>());
            assert_eq!(order.due(), None);
        }
    }

    #[test]
    fn of_all_authors_no_more_waits_than_may() {
        let mut order = Order::default();
        let waits = |n: u64| {
            let mut from = ALICE;
            from.0[..8].copy_from_slice(&n.to_be_bytes());
            order.hold(Message { from, ..message(2) }, name(1), 1, Instant::START).is_empty()
        };
        assert_eq!((0..2000).map(waits).filter(|it| *it).count(), MAX);
    }

    const ALICE: PersonaId = PersonaId([0xa1; 32]);
    const BOB: PersonaId = PersonaId([0xb0; 32]);

    fn name(n: u8) -> MessageName {
        MessageName([n; 8])
    }

    fn message(n: u8) -> Message {
        Message { from: ALICE, name: name(n), data: Data::Text("hello".into()) }
    }
}
