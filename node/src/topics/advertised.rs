//! What the rendezvous was told of topics on this connection: in which a persona is, and which it left.
//!
//! A page may join and leave faster than the rendezvous is told. What can't be told now is told later, as it is by then.

use std::time::Duration;

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{id::PersonaId, rendezvous::ToServer};

use super::Place;
use crate::limits::MAX_TOPICS_PER_ORIGIN;

/// What couldn't be told is tried again after that time.
const LATER: Duration = Duration::from_millis(500);

/// What was told.
#[derive(Debug, Default)]
pub struct Advertised {
    /// Whether the persona is in it, or was.
    told: Map<Place, bool>,
    late: Set<Place>,
    due: Option<Instant>,
}

impl Advertised {
    /// What the rendezvous is to be told of a place. It remembers whom it introduced to us, and has to be asked for them again.
    pub fn news(&self, Place { own: key, topic }: Place, is_open: bool) -> Vec<ToServer> {
        let told = self.told.get(&Place { own: key, topic });
        match (told, is_open) {
            (None, true) => vec![ToServer::Advertise { topic, key }],
            (Some(false), true) => vec![ToServer::Advertise { topic, key }, ToServer::Discover { topic, key }],
            (Some(true), true) => vec![ToServer::Discover { topic, key }],
            (Some(true), false) => vec![ToServer::Withdraw { topic, key }],
            (_, false) => Vec::new(),
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
        assert_eq!(advertised.news(LOBBY, false), []);
        assert_eq!(advertised.news(LOBBY, true), [ADVERTISE]);
        advertised.tell(LOBBY, true);
        assert_eq!((advertised.news(LOBBY, true), advertised.news(LOBBY, false)), (vec![DISCOVER], vec![WITHDRAW]));
        advertised.tell(LOBBY, false);
        assert_eq!((advertised.news(LOBBY, false), advertised.news(LOBBY, true)), (vec![], vec![ADVERTISE, DISCOVER]));
        advertised.leave(LOBBY.own);
        assert_eq!(advertised.news(LOBBY, true), [ADVERTISE]);
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
        assert_eq!(advertised.news(place(1, 0), true).len(), 2);
        assert_eq!(advertised.news(place(2, 0), false).len(), 1);
        assert!(advertised.told.len() <= 2 + MAX_TOPICS_PER_ORIGIN);
    }

    const LOBBY: Place = Place { own: PersonaId([7; 32]), topic: TopicId([3; 32]) };
    const ADVERTISE: ToServer = ToServer::Advertise { topic: LOBBY.topic, key: LOBBY.own };
    const DISCOVER: ToServer = ToServer::Discover { topic: LOBBY.topic, key: LOBBY.own };
    const WITHDRAW: ToServer = ToServer::Withdraw { topic: LOBBY.topic, key: LOBBY.own };
}
