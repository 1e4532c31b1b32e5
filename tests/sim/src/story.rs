//! A random story: browsers whose pages open, talk and close while everything goes wrong; then peace, in which all must be settled.

use std::time::Duration;

use bitters_wire::id::FrameId;

use crate::World;

/// What happens in a story.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Browsers in it.
    pub browsers: usize,
    /// Pages that each opens at the start.
    pub pages: usize,
    /// Random acts.
    pub acts: usize,
    /// What goes wrong.
    pub harm: Harm,
}

/// What goes wrong in a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// All that can.
    All,
    /// Pages die, and nothing else: then only those streams may fail that one of them had.
    Deaths,
    /// Leaders die and restart, besides.
    DeathsAndLeaders,
    /// And people delete their browsing data, besides.
    Deletions,
}

/// The number of an act that only some stories know.
const DELETES: u8 = 99;

/// All sites.
pub const ORIGINS: [&str; 3] = ["https://a.example", "https://b.example", OBSERVER];

/// The site that may see the whole node, in worlds that are curious.
pub const OBSERVER: &str = "https://c.example";

impl Story {
    /// Tells the story of a seed up to the moment when peace has come and everything is settled.
    #[must_use]
    pub fn tell(self, mut world: World) -> World {
        for browser in 0..self.browsers {
            for _ in 0..self.pages {
                self.open(&mut world, browser);
            }
        }
        world.run_for(Duration::from_secs(2));
        for _ in 0..self.acts {
            let pause = if world.chance(8) { world.millis(1000, 20_000) } else { world.millis(1, 600) };
            world.run_for(pause);
            self.act(&mut world);
        }
        world.make_peace();
        world.run_for(Duration::from_secs(100));
        world.finish_all();
        world.run_for(Duration::from_secs(60));
        world.must_be_settled();
        world
    }

    fn open(self, world: &mut World, browser: usize) -> FrameId {
        let origin = ORIGINS[world.rng.usize(0..ORIGINS.len())];
        world.open_tab(browser, origin)
    }

    fn act(self, world: &mut World) {
        let browser = world.rng.usize(0..self.browsers);
        let Some(page) = world.some_page() else {
            self.open(world, browser);
            return;
        };
        match world.rng.u8(0..100) {
            0..15 => world.some_open(page),
            15..45 => world.some_write(),
            45..52 => world.some_call(page),
            52..56 => world.publish(page),
            56..58 => world.show(page),
            58..60 => world.some_dial(page),
            60..62 => world.status(page),
            62 => world.some_cancel(page),
            63 => world.want_address(page),
            64..66 => world.some_dial_at(page),
            66..68 => world.some_end(),
            68..74 => drop(self.open_or_not(world, browser)),
            74..86 if self.harm != Harm::All => world.some_write(),
            _ => self.harm(world, browser, page),
        }
    }

    fn open_or_not(self, world: &mut World, browser: usize) -> Option<FrameId> {
        let room = world.tabs.values().filter(|it| it.browser == browser).count() < self.pages + 2;
        room.then(|| self.open(world, browser))
    }

    pub(crate) fn harm(self, world: &mut World, browser: usize, page: FrameId) {
        let other = world.rng.usize(0..self.browsers);
        let dice = match self.harm {
            Harm::All => world.rng.u8(0..31),
            Harm::Deaths => 0,
            Harm::DeathsAndLeaders => [0, 12, 13, 14][world.rng.usize(0..4)],
            Harm::Deletions => [0, 12, 14, DELETES, DELETES][world.rng.usize(0..5)],
        };
        let long = if world.chance(10) { world.millis(20_000, 80_000) } else { world.millis(100, 12_000) };
        match dice {
            0..9 => world.kill_tab(page),
            9..12 => world.freeze(page, long),
            12..14 => world.kill_leader(browser),
            14 => world.restart_leader(browser),
            15 => {
                world.evidence.server_stops += 1;
                world.stop_server();
            }
            16..18 => world.start_server(),
            18..20 => world.with_link(World::break_link),
            20..22 => world.with_link(World::hang_link),
            22..25 => world.part(browser, other, long),
            25 => self.isolate(world, browser, other),
            28 => {
                let silence = world.millis(3000, 40_000);
                world.mute_server(silence);
            }
            29 => world.cut_socket(browser),
            DELETES => world.delete_data(browser),
            30 => {
                let full = world.chance(60);
                world.fill(browser, full);
            }
            _ => world.suspend(browser, long),
        }
    }

    /// Two browsers are apart for longer than sessions wait, while their pages go on writing.
    fn isolate(self, world: &mut World, one: usize, other: usize) {
        world.part(one, other, Duration::from_secs(75));
        for _ in 0..8 {
            world.some_write();
            world.run_for(Duration::from_secs(9));
        }
    }
}
