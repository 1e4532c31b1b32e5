//! What the rendezvous was told of topics on this connection: in which a persona is, and which it left.
//!
//! A page may join and leave faster than the rendezvous is told. What can't be told now is told later, as it is by then.

use std::time::Duration;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::id::PersonaId;

use super::Place;
use crate::limits::MAX_TOPICS_PER_ORIGIN;

/// What couldn't be told is tried again after that time.
const LATER: Duration = Duration::from_millis(500);

/// What the rendezvous is to be told of a place. It remembers whom it introduced to us, and has to be asked for them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The persona came.
    Came,
    /// It came back, and asks who is there.
    CameBack,
    /// It asks who is there.
    Asks,
    /// It left.
    Left,
}

/// What was told.
#[derive(Debug, Default)]
pub struct Advertised {
    /// Whether the persona is in it, or was.
    told: Map<Place, bool>,
    late: Set<Place>,
    due: Option<Instant>,
}

impl Advertised {
    /// What the rendezvous is to be told of a place, if it doesn't know everything.
    pub fn news(&self, place: Place, is_open: bool) -> Option<News> {
        match (self.told.get(&place), is_open) {
            (None, true) => Some(News::Came),
            (Some(false), true) => Some(News::CameBack),
            (Some(true), true) => Some(News::Asks),
            (Some(true), false) => Some(News::Left),
            (_, false) => None,
        }
    }

    /// The rendezvous is told whether the persona is there. Of those that a persona left, as many are kept in mind as a site may be in.
    pub fn tell(&mut self, place: Place, is_open: bool) {
        self.late.remove(&place);
        self.told.insert(place, is_open);
        let is_left = |other: &Place, is_in: &bool| other.own == place.own && !*is_in;
        if self.told.iter().filter(|(other, is_in)| is_left(other, is_in)).count() > MAX_TOPICS_PER_ORIGIN {
            self.told.retain(|other, is_in| !is_left(other, is_in));
        }
    }

    /// The rendezvous can't be told now.
    pub fn postpone(&mut self, place: Place, now: Instant) {
        self.late.insert(place);
        self.due.get_or_insert(now + LATER);
    }

    /// Places that the rendezvous wasn't told of, if it is time to try again.
    pub fn take_late(&mut self, now: Instant) -> Set<Place> {
        if self.due.take_if(|at| *at <= now).is_some() { std::mem::take(&mut self.late) } else { Set::new() }
    }

    /// When it is.
    pub const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The rendezvous forgets a persona.
    pub fn leave(&mut self, own: PersonaId) {
        self.told.retain(|place, _| place.own != own);
        self.late.retain(|place| place.own != own);
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::id::TopicId;

    use super::*;

    #[test]
    fn who_comes_back_asks_for_those_whom_it_was_told_of_before() {
        let mut advertised = Advertised::default();
        let news = |advertised: &Advertised| [true, false].map(|is_open| advertised.news(LOBBY, is_open));
        assert_eq!(news(&advertised), [Some(News::Came), None]);
        advertised.tell(LOBBY, true);
        assert_eq!(news(&advertised), [Some(News::Asks), Some(News::Left)]);
        advertised.tell(LOBBY, false);
        assert_eq!(news(&advertised), [Some(News::CameBack), None]);
        advertised.leave(LOBBY.own);
        assert_eq!(news(&advertised), [Some(News::Came), None]);
    }

    #[test]
    fn what_is_late_is_told_in_its_time_unless_it_was_told_before() {
        let mut advertised = Advertised::default();
        let other = Place { own: PersonaId([8; 32]), ..LOBBY };
        [LOBBY, other].into_iter().for_each(|place| advertised.postpone(place, Instant::START));
        advertised.tell(LOBBY, true);
        assert_eq!(advertised.take_late(Instant::START), [].into());
        assert_eq!(advertised.take_late(Instant::START + LATER), [other].into());
        assert_eq!(advertised.due(), None);
    }

    #[test]
    fn what_one_persona_leaves_makes_no_difference_to_another() {
        let mut advertised = Advertised::default();
        let place = |own, n: usize| {
            let mut topic = [0; 32];
            topic[..8].copy_from_slice(&(n as u64).to_be_bytes());
            Place { own: PersonaId([own; 32]), topic: TopicId(topic) }
        };
        advertised.tell(place(1, 0), false);
        advertised.tell(place(2, 0), true);
        (0..5 * MAX_TOPICS_PER_ORIGIN).for_each(|n| advertised.tell(place(2, 1 + n), false));
        assert_eq!(advertised.news(place(1, 0), true), Some(News::CameBack));
        assert_eq!(advertised.news(place(2, 0), false), Some(News::Left));
        assert!(advertised.told.len() <= 2 + MAX_TOPICS_PER_ORIGIN);
    }

    const LOBBY: Place = Place { own: PersonaId([7; 32]), topic: TopicId([3; 32]) };
}
