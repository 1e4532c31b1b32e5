//! A story of one topic with many members. Most of them stay and speak now and then. Some come and go, some leaders die, some are hostile, and
//! some browsers' clocks are wrong. Whoever stays hears what all others say who stay: all of it, once, and each author's in order.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::id::FrameId;

use crate::{ORIGINS, World};

/// What happens in a story.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Members that stay.
    pub steady: usize,
    /// Members that come and go, at a time.
    pub guests: usize,
    /// Hostile members.
    pub hostile: usize,
    /// How often somebody says something.
    pub acts: usize,
}

/// All have found each other by then.
const SETTLED: Duration = Duration::from_secs(10);

/// What was said last has come to everybody by then.
const SPREAD: Duration = Duration::from_secs(5);

/// Of a hundred browsers so many have a wrong clock.
const WRONG_CLOCKS: u8 = 15;

impl Crowd {
    /// Browsers in it: guests come from twice as many as are there at a time.
    #[must_use]
    pub const fn browsers(self) -> usize {
        self.steady + self.hostile + 2 * self.guests
    }

    /// Tells the story of a seed.
    #[must_use]
    pub fn tell(self, mut world: World) -> World {
        world.sociable = 100;
        self.set_clocks(&mut world);
        let steady: Vec<FrameId> = (0..self.steady).map(|browser| self.open(&mut world, browser)).collect();
        for browser in self.steady..self.steady + self.hostile + self.guests {
            self.open(&mut world, browser);
        }
        for browser in self.steady..self.steady + self.hostile {
            let keeps_back = if world.rng.bool() { 100 } else { 50 };
            world.subvert(browser, keeps_back);
        }
        world.run_for(SETTLED);
        world.must_be_members(&steady);
        let from = world.now;
        for _ in 0..self.acts {
            let pause = world.millis(50, 450);
            world.run_for(pause);
            self.act(&mut world, &steady);
        }
        world.run_for(SPREAD);
        world.must_hear_all_since(from, &steady);
        world.must_see_what_is_shown(&steady);
        world
    }

    fn open(self, world: &mut World, browser: usize) -> FrameId {
        world.open_tab(browser, ORIGINS[browser % ORIGINS.len()])
    }

    /// Clocks that are wrong are so by minutes, hours or days, one way or the other.
    fn set_clocks(self, world: &mut World) {
        for browser in 0..self.browsers() {
            if world.chance(WRONG_CLOCKS) {
                let unit = [60, 60 * 60, 24 * 60 * 60][world.rng.usize(0..3)];
                let by = 1000 * unit * world.rng.i64(1..24);
                world.browsers[browser].ahead = if world.rng.bool() { by } else { -by };
                world.evidence.clocks_wrong += 1;
            }
        }
    }

    fn act(self, world: &mut World, steady: &[FrameId]) {
        match world.rng.u8(0..100) {
            0..50 => self.speak(world, steady),
            50..78 => self.come_or_go(world),
            _ => {
                let browser = world.rng.usize(0..self.browsers());
                if world.rng.bool() { world.kill_leader(browser) } else { world.restart_leader(browser) }
            }
        }
    }

    /// Somebody who stays says something, now and then a few things at once.
    fn speak(self, world: &mut World, steady: &[FrameId]) {
        let page = steady[world.rng.usize(0..steady.len())];
        let times = if world.chance(30) { 3 } else { 1 };
        for _ in 0..times {
            world.publish(page);
            let pause = world.millis(0, 30);
            world.run_for(pause);
        }
    }

    fn come_or_go(self, world: &mut World) {
        let browser = self.steady + self.hostile + world.rng.usize(0..2 * self.guests);
        let page = world.tabs.iter().find(|(_, tab)| tab.browser == browser).map(|(page, _)| *page);
        match page {
            Some(page) => {
                world.publish(page);
                world.kill_tab(page);
            }
            None => drop(self.open(world, browser)),
        }
    }
}

impl World {
    /// All these pages are in the lobby, and see others there.
    fn must_be_members(&self, pages: &[FrameId]) {
        let is_member = |page: &FrameId| self.tabs[page].host.joined && !self.tabs[page].host.peers.is_empty();
        let alone = pages.iter().find(|page| !is_member(page));
        self.must(alone.is_none(), || format!("{alone:?} is alone"));
    }

    /// What these pages said since then, each of them heard once.
    fn must_hear_all_since(&self, since: Instant, pages: &[FrameId]) {
        let counts = |author| pages.contains(author);
        let said = self.model.said.iter().filter(|(_, it)| it.at >= since && counts(&it.author));
        let (mut all, mut lost) = (0, Vec::new());
        for (text, said) in said {
            all += 1;
            for page in pages.iter().filter(|page| **page != said.author) {
                if self.tabs[page].host.heard.get(text) != Some(&1) {
                    lost.push((*page, text, said.at));
                }
            }
        }
        self.must(lost.is_empty(), || format!("of {all} messages these are lost: {lost:?}"));
    }
}
