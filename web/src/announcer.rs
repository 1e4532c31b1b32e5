//! What leader and frames of one island tell each other without knowing each other.

use bitters_wire::{
    announce::{Announcement, CHANNEL},
    codec,
    limits::MAX_ANNOUNCEMENT,
};

use crate::{error::WebError, island::Island, pipe::Pipe};

/// The island's channel of announcements.
#[derive(Debug)]
pub struct Announcer(Pipe);

impl Announcer {
    /// Listens. What isn't an announcement is of another version of ours, and ignored.
    ///
    /// # Errors
    /// What the channel's constructor threw.
    pub fn open(island: &Island, mut on_announcement: impl FnMut(Announcement) + 'static) -> Result<Self, WebError> {
        let on_bytes = move |bytes: Vec<u8>| {
            if let Ok(announcement) = codec::decode(&bytes, MAX_ANNOUNCEMENT) {
                on_announcement(announcement);
            }
        };
        let pipe = match island.announcements() {
            Some(port) => Pipe::over_port(port, on_bytes),
            None => Pipe::over_channel(island.channel(CHANNEL)?, on_bytes),
        };
        Ok(Self(pipe))
    }

    /// Tells all others.
    pub fn announce(&self, announcement: &Announcement) {
        // A channel of a living context takes every message of ours.
        drop(self.0.send(&codec::encode(announcement)));
    }
}
