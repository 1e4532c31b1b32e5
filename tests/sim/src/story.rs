//! A random story: browsers whose pages open, talk, dial and close while things go wrong; then peace.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::id::{FrameId, PersonaId, TopicId};

use crate::{browser::Page, faults::Faults, world::World};

/// No timer of a node is set for longer, but the one that ends the memory of a certificate that could not be kept.
pub(crate) const REST: Duration = Duration::from_secs(5 * 60);

/// What the stories are about.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Browsers in it.
    pub browsers: usize,
    /// Pages at the start, in all.
    pub pages: usize,
    /// Random acts.
    pub acts: usize,
    /// Whether leaders die.
    pub leaders_die: bool,
}

impl Story {
    /// The topic that everybody is in.
    pub const LOBBY: TopicId = TopicId([3; 32]);

    const ORIGINS: [&'static str; 3] = ["https://a.example", "https://b.example", "https://observer.example"];

    /// Tells the story of a seed up to the moment when peace has come and everything settled.
    #[must_use]
    pub fn tell(self, mut world: World) -> World {
        for _ in 0..self.pages {
            self.open(&mut world);
        }
        for _ in 0..self.acts {
            let pause = Duration::from_millis(world.rng.u64(1..500));
            world.run_until(world.now + pause);
            self.act(&mut world);
        }
        world.faults = Faults::NONE;
        world.start_server();
        world.run_until(world.now + Duration::from_secs(240));
        world
    }

    fn open(self, world: &mut World) {
        let browser = world.rng.usize(0..self.browsers);
        let origin = Self::ORIGINS[world.rng.usize(0..Self::ORIGINS.len())];
        let page = world.open_page(browser, origin);
        world.join(page, Self::LOBBY);
    }

    fn act(self, world: &mut World) {
        let Some(page) = some_page(world) else { return self.open(world) };
        match world.rng.u8(0..20) {
            0 | 1 if world.pages.len() < self.pages * 2 => self.open(world),
            2 | 3 if world.pages.len() > self.pages / 2 => world.close_page(page),
            4 => world.stop_server(),
            5..=7 => world.start_server(),
            8 => world.leave(page, Self::LOBBY),
            9 | 10 => world.join(page, Self::LOBBY),
            11..=13 => {
                if let Some(peer) = some_persona(world) {
                    world.dial(page, peer);
                }
            }
            14 if self.leaders_die => {
                let browser = world.pages[&page].browser;
                world.change_leader(browser);
            }
            _ => {
                if world.pages[&page].wanted.contains(&Self::LOBBY) {
                    let sealed = world.rng.u64(..).to_le_bytes().to_vec();
                    world.publish(page, Self::LOBBY, sealed);
                }
            }
        }
    }

    /// Runs until nothing happens any longer by itself, but that leaders ask whether the server is there; tells since when, or `None` if it
    /// took more than `patience`.
    #[must_use]
    pub fn rest(world: &mut World, patience: Duration) -> Option<Instant> {
        let until = world.now + patience;
        while let Some(next) = world.next_timer() {
            if next.since(world.stirred) > REST {
                return Some(world.stirred);
            }
            if next > until {
                return None;
            }
            world.run_until(next);
        }
        Some(world.now)
    }
}

/// Some open page.
pub fn some_page(world: &mut World) -> Option<FrameId> {
    let pages: Vec<FrameId> = world.pages.keys().copied().collect();
    world.rng.choice(pages)
}

fn some_persona(world: &mut World) -> Option<PersonaId> {
    let personas: Vec<PersonaId> = world.pages.values().filter_map(Page::persona).collect();
    world.rng.choice(personas)
}
