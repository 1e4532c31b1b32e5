//! When a frame that watches is told of the node's status: at once, then after changes, at most ten times a second.

use std::time::Duration;

use bitters_wire::{status::Status, time::Instant};

/// Ten a second (the SDK's contract).
const PACE: Duration = Duration::from_millis(100);

/// What a frame was told, and whether there may be more to tell.
#[derive(Debug, Default)]
pub struct Watch {
    told: Option<(Instant, Status)>,
    changed: bool,
}

impl Watch {
    /// Something changed that the frame may see.
    pub const fn touch(&mut self) {
        self.changed = true;
    }

    /// When the frame is to be told next; [`Instant::START`] if it was told nothing yet.
    pub fn due(&self) -> Option<Instant> {
        match &self.told {
            None => Some(Instant::START),
            Some((at, _)) if self.changed => Some(*at + PACE),
            Some(_) => None,
        }
    }

    /// Takes the status of this moment and gives it back if it is news.
    pub fn tell(&mut self, status: Status, now: Instant) -> Option<Status> {
        self.changed = false;
        if self.told.as_ref().is_some_and(|(_, told)| *told == status) {
            return None;
        }
        self.told = Some((now, status.clone()));
        Some(status)
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::status::Scope;

    use super::*;

    #[test]
    fn the_first_status_comes_at_once_and_the_next_in_its_time() {
        let mut watch = Watch::default();
        assert_eq!(watch.due(), Some(Instant::START));
        assert_eq!(watch.tell(status(1), Instant::from_millis(500)), Some(status(1)));
        assert_eq!(watch.due(), None);

        watch.touch();
        assert_eq!(watch.due(), Some(Instant::from_millis(600)));
        assert_eq!(watch.tell(status(2), Instant::from_millis(600)), Some(status(2)));
    }

    #[test]
    fn what_looks_the_same_is_no_news() {
        let mut watch = Watch::default();
        watch.tell(status(1), Instant::START);
        watch.touch();
        assert_eq!(watch.tell(status(1), Instant::from_millis(100)), None);
        assert_eq!(watch.due(), None);
    }

    fn status(seeds: u32) -> Status {
        Status {
            scope: Scope::Browser,
            leader: None,
            frames: Vec::new(),
            peers: Vec::new(),
            seeds,
            topics: Vec::new(),
            warnings: Vec::new(),
        }
    }
}
