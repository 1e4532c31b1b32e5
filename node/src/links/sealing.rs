//! Signals that go by way of others are signed and sealed (`wire::sealed`), and each is heard once.

use bitters_machine::{
    map::{Map, Set},
    random::Random,
};
use bitters_wire::{
    id::PersonaId,
    keys::PersonaSecret,
    link::Signal,
    sealed::{FRESH_MINUTES, ForMembers, Fresh, Opened, Said, SealedSignal},
    topic::{MatchKey, TopicTag},
};

use crate::limits::{HEARD_ON_LINKS, HEARD_SIGNALS, MAX_PERSONAS};

/// The minute in which a signal was sealed, and its name.
type Name = (u32, [u8; 16]);

/// Signals that one persona has heard. What links bring has a memory of its own: strangers who fill that leave room for what the server passes on.
#[derive(Debug, Default)]
struct Heard {
    of_server: Set<Name>,
    on_links: Set<Name>,
}

impl Heard {
    /// Whether this is heard for the first time, and there is room to remember it.
    fn hear(&mut self, name: Name, on_link: bool) -> bool {
        let is_known = self.of_server.contains(&name) || self.on_links.contains(&name);
        let (heard, most) =
            if on_link { (&mut self.on_links, HEARD_ON_LINKS) } else { (&mut self.of_server, HEARD_SIGNALS) };
        !is_known && heard.len() < most && heard.insert(name)
    }

    /// Forgets what nobody takes for fresh in this minute.
    fn forget(&mut self, now: u32) {
        for heard in [&mut self.of_server, &mut self.on_links] {
            while heard.first().is_some_and(|(minute, _)| minute.abs_diff(now) > FRESH_MINUTES) {
                heard.pop_first();
            }
        }
    }

    fn latest(&self) -> Option<u32> {
        self.of_server.last().max(self.on_links.last()).map(|(minute, _)| *minute)
    }
}

/// What a leader seals with, and which signals it has heard lately.
#[derive(Debug)]
pub struct Sealing {
    random: Random,
    /// Of each persona, so that what one is told makes no difference to another.
    heard: Map<PersonaId, Heard>,
}

impl Sealing {
    /// One that draws from a seed which no other leadership has.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { random: Random::new(seed), heard: Map::new() }
    }

    /// Seals what is said. Nothing if the receiver's id is no key.
    pub fn seal(
        &mut self,
        said: &Said,
        (from, to): (&PersonaSecret, PersonaId),
        minute: Option<u32>,
    ) -> Option<SealedSignal> {
        let fresh = self.fresh();
        SealedSignal::seal(said, from, to, minute.unwrap_or_default(), &fresh).ok()
    }

    /// Seals what is said so for members of topics alone, which have these match keys.
    pub fn seal_for(
        &mut self,
        said: fn(Box<ForMembers>) -> Said,
        (keys, signal): (&[MatchKey], &Signal),
        (from, to): (&PersonaSecret, PersonaId),
        minute: Option<u32>,
    ) -> Option<SealedSignal> {
        let fresh = self.fresh();
        let sealed = ForMembers::seal(signal, keys, [from.id(), to], &fresh.nonce, || self.random.bytes());
        SealedSignal::seal(&said(Box::new(sealed)), from, to, minute.unwrap_or_default(), &fresh).ok()
    }

    /// A tag that stands for no topic.
    pub fn padding(&mut self) -> TopicTag {
        TopicTag(self.random.bytes())
    }

    fn fresh(&mut self) -> Fresh {
        Fresh { ephemeral: self.random.bytes().into(), nonce: self.random.bytes() }
    }

    /// Whether a signal is fresh, and wasn't heard before. As many are remembered as the server may bring while one is fresh, and some more that links
    /// bring; what comes beyond that isn't heard.
    #[must_use]
    pub fn hears(&mut self, own: PersonaId, opened: &Opened, on_link: bool, minute: Option<u32>) -> bool {
        let now = minute.unwrap_or(opened.minute);
        if opened.minute.abs_diff(now) > FRESH_MINUTES {
            return false;
        }
        if !self.heard.contains_key(&own) && self.heard.len() >= MAX_PERSONAS {
            self.forget_one();
        }
        let heard = self.heard.entry(own).or_default();
        heard.forget(now);
        heard.hear((opened.minute, opened.nonce), on_link)
    }

    /// Forgets what the persona heard that has heard nothing for longest: most likely it is here no longer.
    fn forget_one(&mut self) {
        if let Some(own) = self.heard.iter().min_by_key(|(_, heard)| heard.latest()).map(|(own, _)| *own) {
            self.heard.remove(&own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_heard_once_by_each_persona() {
        let mut sealing = Sealing::new([1; 32]);
        let signal = opened(100, 1);
        assert!(sealing.hears(ALICE, &signal, false, Some(100)));
        assert!(!sealing.hears(ALICE, &signal, false, Some(100)));
        assert!(!sealing.hears(ALICE, &signal, false, Some(102)));
        assert!(sealing.hears(BOB, &signal, false, Some(100)));
        assert!(sealing.hears(ALICE, &opened(100, 2), false, Some(100)));
    }

    #[test]
    fn what_is_older_or_younger_than_two_minutes_is_not_heard() {
        let mut sealing = Sealing::new([1; 32]);
        for (minute, is_heard) in [(97, false), (98, true), (100, true), (102, true), (103, false)] {
            assert_eq!(sealing.hears(ALICE, &opened(minute, 1), false, Some(100)), is_heard, "{minute}");
        }
    }

    #[test]
    fn a_full_memory_hears_nothing_until_it_forgets() {
        let mut sealing = Sealing::new([1; 32]);
        let heard = (0..2 * HEARD_SIGNALS).filter(|n| sealing.hears(ALICE, &opened(100, *n), false, Some(100))).count();
        assert_eq!(heard, HEARD_SIGNALS);
        assert!(sealing.hears(BOB, &opened(100, 1), false, Some(100)), "another persona has its own");
        assert!(sealing.hears(ALICE, &opened(103, 1), false, Some(103)));
    }

    #[test]
    fn what_links_bring_leaves_room_for_what_the_server_passes_on_and_is_heard_once_all_the_same() {
        let mut sealing = Sealing::new([1; 32]);
        let mut hears = |n, on_link| sealing.hears(ALICE, &opened(100, n), on_link, Some(100));
        let heard = (0..2 * HEARD_SIGNALS).filter(|n| hears(*n, true)).count();
        assert_eq!(heard, HEARD_ON_LINKS);
        assert!(!hears(0, false), "a link brought it before");
        assert!(hears(2 * HEARD_SIGNALS, false));
        assert!(!hears(2 * HEARD_SIGNALS, true) && !hears(2 * HEARD_SIGNALS, false));
    }

    #[test]
    fn no_two_signals_are_sealed_with_one_key() {
        let (mut sealing, alice) = (Sealing::new([1; 32]), PersonaSecret::new([1; 32]));
        let mut seal = || sealing.seal(&Said::Knock, (&alice, alice.id()), Some(1)).unwrap();
        let (one, other) = (seal(), seal());
        assert_ne!(one, other);
        assert_ne!(one.open(&alice).unwrap().nonce, other.open(&alice).unwrap().nonce);
    }

    fn opened(minute: u32, n: usize) -> Opened {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Opened { from: BOB, said: Said::Knock, minute, nonce }
    }

    const ALICE: PersonaId = PersonaId([1; 32]);
    const BOB: PersonaId = PersonaId([2; 32]);
}
