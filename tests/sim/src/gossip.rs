//! A random story of topics: pages come and go, join and leave the lobby, speak there and dial each other, and have no sessions. So a link
//! has no standby, and is there only as long as a topic or a dial needs it.

use std::time::Duration;

use bitters_wire::id::FrameId;

use crate::{
    World,
    story::ORIGINS,
    uplink::{GONE, SERVER},
};

/// What happens in a story.
#[derive(Clone, Copy, Debug)]
pub struct Gossip {
    /// Browsers in it.
    pub browsers: usize,
    /// Pages at the start, in all.
    pub pages: usize,
    /// Random acts.
    pub acts: usize,
    /// Whether leaders die and restart.
    pub leaders_die: bool,
}

/// After that the last link that nobody needs is hung up.
const CALM: Duration = Duration::from_secs(240);

impl Gossip {
    /// Tells the story of a seed up to the moment when peace has come and everything settled.
    #[must_use]
    pub fn tell(self, mut world: World) -> World {
        world.sociable = 100;
        world.curious = true;
        world.servers = vec![SERVER, GONE];
        for _ in 0..self.pages {
            self.open(&mut world);
        }
        for _ in 0..self.acts {
            let pause = world.millis(1, 500);
            world.run_for(pause);
            self.act(&mut world);
        }
        world.make_peace();
        world.run_for(CALM);
        world
    }

    fn open(self, world: &mut World) {
        let browser = world.rng.usize(0..self.browsers);
        let origin = ORIGINS[world.rng.usize(0..ORIGINS.len())];
        world.open_tab(browser, origin);
    }

    fn act(self, world: &mut World) {
        let Some(page) = world.some_page() else { return self.open(world) };
        match world.rng.u8(0..20) {
            0 | 1 if world.tabs.len() < self.pages * 2 => self.open(world),
            2 | 3 if world.tabs.len() > self.pages / 2 => world.kill_tab(page),
            4 => world.stop_server(),
            5..=7 => world.start_server(),
            8 => world.leave(page),
            9 | 10 => world.join(page),
            11..=13 => world.some_dial(page),
            14 if self.leaders_die => self.end_leader(world, page),
            _ => {
                world.show(page);
                world.publish(page);
            }
        }
    }

    fn end_leader(self, world: &mut World, page: FrameId) {
        let browser = world.tabs[&page].browser;
        if world.rng.bool() {
            world.kill_leader(browser);
        } else {
            world.restart_leader(browser);
        }
    }
}
