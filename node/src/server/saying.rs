//! How much is said to the server, persona by persona.
//!
//! The server ends a connection that says too much, and with it the way to the personas of all sites. So each persona says less than the
//! server takes of one key, whatever its site does and strangers have it answer. Look-ups name no key: of these each persona has its share of
//! what the server takes of a connection. What is said for one persona makes no difference to another.

use bitters_machine::{
    map::Map,
    rate::{Bucket, Rate},
    time::Instant,
};
use bitters_wire::id::PersonaId;

use crate::limits::{KEY_ANSWERS, KEY_LOOKUPS, KEY_NEWS, KEY_SAYS, KEY_SEEKS, MAX_PERSONAS};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An answer to whoever sent a signal: such are left out first.
    Answer,
    /// What the server has to know. It is said in any case, and leaves less for others.
    Must,
    /// The persona's topics and door: what can't be told now is told later, as it is by then.
    News,
    /// An answer to packets that came early. The signal that takes it is a word besides.
    Refusal,
    /// A look-up for sessions, which strangers can open.
    SessionLookup,
    /// A look-up for a site.
    SiteLookup,
    /// Anything else. It is said again, or is no longer of use.
    Word,
}

/// What is counted of that: all but look-ups, and look-ups; of each what is bounded by itself. Each has its bucket.
const RATES: [Rate; 5] = [KEY_SAYS, KEY_ANSWERS, KEY_NEWS, KEY_LOOKUPS, KEY_SEEKS];
const ALL: usize = 0;
const ANSWERS: usize = 1;
const NEWS: usize = 2;
const LOOKUPS: usize = 3;
const SEEKS: usize = 4;

impl What {
    /// Where it is counted: it is said if there is room in all of them, of which the first comes first.
    const fn counted(self) -> &'static [usize] {
        match self {
            Self::Answer => &[ANSWERS, ALL],
            Self::Must | Self::Word => &[ALL],
            Self::News => &[NEWS, ALL],
            Self::Refusal => &[ANSWERS],
            Self::SessionLookup => &[SEEKS, LOOKUPS],
            Self::SiteLookup => &[LOOKUPS],
        }
    }
}

#[derive(Debug)]
struct Purse {
    buckets: [Bucket; RATES.len()],
    used: Instant,
    is_here: bool,
}

impl Purse {
    fn new(now: Instant) -> Self {
        Self { buckets: RATES.map(|rate| Bucket::new(rate, now)), used: now, is_here: true }
    }
}

/// What each persona may still say on this connection.
#[derive(Debug, Default)]
pub struct Saying(Map<PersonaId, Purse>);

impl Saying {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// Whether this may be said for a persona now. It counts as said.
    #[must_use]
    pub fn may_say(&mut self, own: PersonaId, what: What, now: Instant) -> bool {
        let purse = self.purse(own, now);
        purse.used = now;
        what.counted().iter().all(|at| purse.buckets[*at].take(now)) || what == What::Must
    }

    /// The last frame of a persona is gone. What it has said stays counted.
    pub fn leave(&mut self, own: PersonaId) {
        if let Some(purse) = self.0.get_mut(&own) {
            purse.is_here = false;
        }
    }

    /// There are no more than personas at a time, or a site that comes under many names would say as much as all of them. Who comes where there
    /// are as many has what somebody left who is gone.
    fn purse(&mut self, own: PersonaId, now: Instant) -> &mut Purse {
        let is_new = !self.0.contains_key(&own);
        let unused = || self.0.iter().min_by_key(|(_, purse)| (purse.is_here, purse.used)).map(|(unused, _)| *unused);
        let left = if is_new && self.0.len() >= MAX_PERSONAS { unused() } else { None };
        let left = left.and_then(|left| self.0.remove(&left));
        let purse = self.0.entry(own).or_insert_with(|| left.unwrap_or_else(|| Purse::new(now)));
        purse.is_here = true;
        purse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_says_less_than_the_server_takes_of_a_key_and_others_their_own() {
        let mut saying = Saying::new();
        let said = many(&mut saying, 1, What::Word);
        assert_eq!(said, KEY_SAYS.burst as usize);
        assert_eq!([What::Answer, What::News, What::Word].map(|what| many(&mut saying, 1, what)), [0; 3]);
        assert!(saying.may_say(persona(1), What::Must, Instant::START));
        assert_eq!(many(&mut saying, 2, What::Word), said);
    }

    #[test]
    fn answers_and_news_leave_room_for_all_else_and_sessions_for_what_a_site_looks_up() {
        let mut saying = Saying::new();
        assert_eq!(many(&mut saying, 1, What::Answer), KEY_ANSWERS.burst as usize);
        assert_eq!(many(&mut saying, 1, What::Word), (KEY_SAYS.burst - KEY_ANSWERS.burst) as usize);
        assert_eq!(many(&mut saying, 2, What::News), KEY_NEWS.burst as usize);
        assert_eq!(many(&mut saying, 2, What::Word), (KEY_SAYS.burst - KEY_NEWS.burst) as usize);
        assert_eq!(many(&mut saying, 2, What::SessionLookup), KEY_SEEKS.burst as usize);
        assert_eq!(many(&mut saying, 2, What::SiteLookup), (KEY_LOOKUPS.burst - KEY_SEEKS.burst) as usize);
    }

    #[test]
    fn who_comes_under_many_names_says_no_more_and_takes_nothing_from_who_is_here() {
        let mut saying = Saying::new();
        assert!(saying.may_say(persona(0), What::SiteLookup, Instant::START));
        let mut said = 0;
        for n in 1..=200 {
            said += many(&mut saying, n, What::SiteLookup);
            saying.leave(persona(n));
        }
        assert_eq!(said, (MAX_PERSONAS - 1) * KEY_LOOKUPS.burst as usize);
        assert_eq!(many(&mut saying, 0, What::SiteLookup), KEY_LOOKUPS.burst as usize - 1);
    }

    fn many(saying: &mut Saying, n: u8, what: What) -> usize {
        (0..1000).filter(|_| saying.may_say(persona(n), what, Instant::START)).count()
    }

    fn persona(n: u8) -> PersonaId {
        PersonaId([n; 32])
    }
}
