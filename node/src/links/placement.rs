//! Which frame carries a new link.
//!
//! The least loaded; of those a visible one before a hidden one, for browsers are harder on hidden pages; of those the oldest,
//! for an old page tends to stay. A standby goes to another frame than the link that it stands by for, where there is one. Browsers
//! don't tell which frames share a renderer, and put most of one origin into one: frames are told apart, renderers can't be.

use bitters_wire::id::FrameId;

/// A frame that could carry a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub frame: FrameId,
    /// Links that it carries.
    pub load: usize,
    /// Whether its page is visible.
    pub visible: bool,
    /// When it came, counted in frames; lower is older.
    pub age: u64,
}

/// The best of them, and `other` only if there is none but that. `None` of none.
pub fn place(candidates: impl IntoIterator<Item = Candidate>, other: Option<FrameId>) -> Option<FrameId> {
    let best = candidates.into_iter().min_by_key(|it| (Some(it.frame) == other, it.load, !it.visible, it.age))?;
    Some(best.frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_frame_is_chosen() {
        assert_eq!(place([candidate(1, 2, true, 0), candidate(2, 1, false, 9)], None), Some(frame(2)));
    }

    #[test]
    fn visible_goes_before_hidden() {
        assert_eq!(place([candidate(1, 1, false, 0), candidate(2, 1, true, 9)], None), Some(frame(2)));
    }

    #[test]
    fn older_goes_before_younger() {
        assert_eq!(place([candidate(1, 1, true, 5), candidate(2, 1, true, 4)], None), Some(frame(2)));
    }

    #[test]
    fn a_standby_goes_elsewhere_whatever_the_load() {
        assert_eq!(place([candidate(1, 0, true, 0), candidate(2, 9, false, 9)], Some(frame(1))), Some(frame(2)));
        assert_eq!(place([candidate(1, 0, true, 0)], Some(frame(1))), Some(frame(1)));
    }

    #[test]
    fn without_frames_there_is_no_place() {
        assert_eq!(place([], None), None);
    }

    fn candidate(n: u8, load: usize, visible: bool, age: u64) -> Candidate {
        Candidate { frame: frame(n), load, visible, age }
    }

    fn frame(n: u8) -> FrameId {
        FrameId::from_random([n; 16])
    }
}
