//! When a frame that watches is told of something: at once, then after changes, at most ten times a second.

use std::time::Duration;

use bitters_machine::time::Instant;

/// Ten a second (the SDK's contract).
const PACE: Duration = Duration::from_millis(100);

/// What a frame was told, and whether there may be more to tell.
#[derive(Debug)]
pub struct Watch<T> {
    told: Option<T>,
    changed: bool,
    not_before: Instant,
}

impl<T: Clone + PartialEq> Watch<T> {
    /// The first is told then, at the earliest.
    pub const fn from(not_before: Instant) -> Self {
        Self { told: None, changed: true, not_before }
    }

    /// Something changed that the frame may see.
    pub const fn touch(&mut self) {
        self.changed = true;
    }

    /// The frame wants to be told once more, whether anything changed or not.
    pub fn again(&mut self) {
        self.told = None;
        self.changed = true;
    }

    /// When the frame is to be told next.
    pub const fn due(&self) -> Option<Instant> {
        if self.changed { Some(self.not_before) } else { None }
    }

    /// Takes what is so at this moment and gives it back if it is news.
    pub fn tell(&mut self, news: T, now: Instant) -> Option<T> {
        self.changed = false;
        if self.told.as_ref() == Some(&news) {
            return None;
        }
        self.not_before = now + PACE;
        self.told = Some(news.clone());
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comes_at_once_and_the_next_in_its_time() {
        let mut watch = Watch::from(Instant::START);
        assert_eq!(watch.due(), Some(Instant::START));
        assert_eq!(watch.tell(1, Instant::from_millis(500)), Some(1));
        assert_eq!(watch.due(), None);

        watch.touch();
        assert_eq!(watch.due(), Some(Instant::from_millis(600)));
        assert_eq!(watch.tell(2, Instant::from_millis(600)), Some(2));
    }

    #[test]
    fn what_looks_the_same_is_no_news_unless_it_is_asked_for_again() {
        let mut watch = Watch::from(Instant::START);
        assert_eq!(watch.tell(1, Instant::START), Some(1));
        watch.touch();
        assert_eq!(watch.tell(1, Instant::from_millis(100)), None);
        assert_eq!(watch.due(), None);

        watch.again();
        assert_eq!(watch.due(), Some(Instant::from_millis(100)), "no sooner than others");
        assert_eq!(watch.tell(1, Instant::from_millis(100)), Some(1));
    }
}
