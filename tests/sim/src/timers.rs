//! Whose timer is due when: a world of hundreds of pages doesn't look at all of them at each step.

use std::collections::BTreeSet;

use bitters_machine::time::Instant;
use bitters_wire::id::FrameId;

use crate::{World, browser::WorkerId};

/// Who has a timer. Of those that are due at one time the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A worker of a browser.
    Worker(usize, WorkerId),
    /// A page's frame.
    Tab(FrameId),
}

/// All timers, and some of workers and frames that are gone.
#[derive(Debug, Default)]
pub struct Timers(BTreeSet<(Instant, Who)>);

impl Timers {
    /// A timer is due then, and no longer at the time before.
    pub fn put(&mut self, who: Who, before: Option<Instant>, at: Option<Instant>) {
        if before != at {
            before.map(|before| self.0.remove(&(before, who)));
            at.map(|at| self.0.insert((at, who)));
        }
    }
}

impl World {
    /// When the next timer is due of those who aren't asleep.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.timers.0.iter().find(|(at, who)| self.wake_of(*who) == Some(*at)).map(|(at, _)| *at)
    }

    /// Who is due now.
    pub(crate) fn due(&self) -> Option<Who> {
        let past = self.timers.0.iter().take_while(|(at, _)| *at <= self.now);
        past.filter(|(at, who)| self.wake_of(*who) == Some(*at)).map(|(_, who)| *who).min()
    }

    fn wake_of(&self, who: Who) -> Option<Instant> {
        match who {
            Who::Worker(browser, id) => {
                let browser = Some(&self.browsers[browser]).filter(|it| !it.asleep)?;
                browser.workers.iter().find(|it| it.id == id)?.wake
            }
            Who::Tab(frame) => {
                let tab = self.tabs.get(&frame).filter(|it| !it.frozen && !self.browsers[it.browser].asleep)?;
                tab.wake
            }
        }
    }
}
