//! Connections of which it isn't known yet whom they lead to: one end dials an address of the other's. Who they are they prove to
//! each other when it is open; then it is a link like others.

use bitters_wire::{
    address::{Address, Owner},
    id::{FrameId, LinkId},
    limits::DIAL_TIMEOUT,
    map::Map,
    time::Instant,
};

/// One that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The frame that holds it.
    pub frame: FrameId,
    /// When it began.
    pub started: Instant,
    /// At which address.
    pub at: At,
}

/// Whose address is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Ours, by somebody whom the server introduced.
    Ours {
        /// Who answers.
        owner: Owner,
        /// The server's number for the dialler.
        session: u64,
    },
    /// Another's, by us.
    Theirs(Box<Address>),
}

/// All of them.
#[derive(Debug, Default)]
pub struct Doors(Map<LinkId, Opening>);

impl Doors {
    /// One begins to open.
    pub fn insert(&mut self, link: LinkId, opening: Opening) {
        self.0.insert(link, opening);
    }

    /// One that opens.
    pub fn get(&self, link: LinkId) -> Option<&Opening> {
        self.0.get(&link)
    }

    /// One is open, or won't be.
    pub fn remove(&mut self, link: LinkId) -> Option<Opening> {
        self.0.remove(&link)
    }

    /// Those that a frame holds.
    pub fn held_by(&self, frame: FrameId) -> Vec<LinkId> {
        self.0.iter().filter(|(_, it)| it.frame == frame).map(|(link, _)| *link).collect()
    }

    /// Those whose time is over.
    pub fn overdue(&self, now: Instant) -> Vec<LinkId> {
        self.0.iter().filter(|(_, it)| it.started + DIAL_TIMEOUT <= now).map(|(link, _)| *link).collect()
    }

    /// When the first one's time is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|it| it.started + DIAL_TIMEOUT).min()
    }

    /// How many strangers come in.
    pub fn introduced(&self) -> usize {
        self.0.values().filter(|it| matches!(it.at, At::Ours { .. })).count()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
