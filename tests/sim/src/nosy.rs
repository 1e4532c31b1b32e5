//! A story of peers that are nosy. Two sites' pages are open: in one browser, or in a browser each. Two nosy browsers that work together know
//! both sites' ids. They sit in all topics, dial, call and write to both, go away and come again, while everything goes wrong.

use std::time::Duration;

use bitters_wire::id::{FrameId, PersonaId};

use crate::{Harm, ORIGINS, Story, World, story::OBSERVER};

/// What happens in a story.
#[derive(Clone, Copy, Debug)]
pub struct Nosy {
    /// In which browsers the pages of the one and of the other site are.
    pub homes: [usize; 2],
    /// Whether pages of the two sites turn to each other, and sit in one topic.
    pub acquainted: bool,
    /// Random acts.
    pub acts: usize,
}

/// The two sites.
const SITES: [&str; 2] = [ORIGINS[0], ORIGINS[1]];

/// The nosy browsers.
const NOSY: [usize; 2] = [2, 3];

/// Topics: of both sites' pages, and of the one's or the other's only.
const ROOMS: [&str; 3] = ["lobby", "first", "second"];

/// Pages of each site, and of each nosy browser.
const PAGES: usize = 3;

impl Nosy {
    /// Browsers in it.
    pub const BROWSERS: usize = 4;

    /// Tells the story of a seed. It ends in peace, in which all talk once more.
    #[must_use]
    pub fn tell(self, mut world: World) -> World {
        world.sociable = 0;
        world.notes.nosy = NOSY.into();
        self.open_all(&mut world);
        world.run_for(Duration::from_secs(2));
        for _ in 0..self.acts {
            self.act(&mut world);
        }
        world.make_peace();
        world.run_for(Duration::from_secs(40));
        for _ in 0..self.acts / 4 {
            self.talk(&mut world);
            world.run_for(Duration::from_millis(200));
        }
        world.run_for(Duration::from_secs(5));
        world
    }

    /// The two sites' personas.
    #[must_use]
    pub fn personas(self, world: &World) -> [PersonaId; 2] {
        [0, 1].map(|n| world.browsers[self.homes[n]].persona(SITES[n]))
    }

    /// Who the pages are, and in which topics they may sit.
    fn roles(self) -> [(usize, &'static str, Vec<&'static str>); 4] {
        let [one, other] = self.homes;
        let [lobby, first, second] = ROOMS;
        let shared = self.acquainted.then_some(lobby);
        [
            (one, SITES[0], shared.into_iter().chain([first]).collect()),
            (other, SITES[1], shared.into_iter().chain([second]).collect()),
            (NOSY[0], OBSERVER, ROOMS.into()),
            (NOSY[1], OBSERVER, ROOMS.into()),
        ]
    }

    /// Opens the pages that aren't there.
    fn open_all(self, world: &mut World) {
        for (browser, origin, rooms) in self.roles() {
            for n in pages_of(world, browser, origin).len()..PAGES {
                let page = world.open_tab(browser, origin);
                let room = if n < rooms.len() { n } else { world.rng.usize(0..rooms.len()) };
                world.tabs.get_mut(&page).expect("it was opened").room = rooms[room];
            }
        }
    }

    fn act(self, world: &mut World) {
        let pause = if world.chance(8) { world.millis(1000, 12_000) } else { world.millis(1, 600) };
        world.run_for(pause);
        if world.chance(12) {
            let harmed = world.rng.usize(0..Self::BROWSERS);
            if let Some(page) = world.some_page() {
                let story = Story { browsers: Self::BROWSERS, pages: PAGES, acts: 0, harm: Harm::All };
                story.harm(world, harmed, page);
            }
        } else if world.chance(15) {
            self.open_all(world);
        } else {
            self.talk(world);
        }
    }

    fn talk(self, world: &mut World) {
        let role = if world.chance(60) { world.rng.usize(2..4) } else { world.rng.usize(0..2) };
        let (browser, origin, _) = self.roles()[role].clone();
        let pages = pages_of(world, browser, origin).into_iter().filter(|page| world.runs(*page));
        let pages: Vec<FrameId> = pages.filter(|page| world.tabs[page].host.id.is_some()).collect();
        let Some(page) = world.rng.choice(pages) else { return };
        if role < 2 { self.live(world, page) } else { self.pry(world, page) }
    }

    /// A page of the two sites' does something.
    fn live(self, world: &mut World, page: FrameId) {
        let nosy = NOSY[world.rng.usize(0..2)];
        let nosy = world.browsers[nosy].persona(OBSERVER).to_string();
        let other = if self.acquainted { world.some_peer(page) } else { None };
        let peer = other.unwrap_or(nosy);
        match world.rng.u8(0..20) {
            0..5 => world.join(page),
            5 => world.leave(page),
            6..10 => world.publish(page),
            10..12 => world.want_address(page),
            12..14 => world.dial(page, peer),
            14..16 => world.call(page, peer, Duration::from_secs(5)),
            _ => drop(world.open_stream(page, peer, 100)),
        }
    }

    /// A nosy page turns to one of the two.
    fn pry(self, world: &mut World, page: FrameId) {
        let peer = self.personas(world)[world.rng.usize(0..2)].to_string();
        match world.rng.u8(0..20) {
            0..4 => world.join(page),
            4 => world.leave(page),
            5..7 => world.publish(page),
            7 => world.want_address(page),
            8..11 => world.dial(page, peer),
            11..13 => world.some_dial_at(page),
            13..16 => world.call(page, peer, Duration::from_secs(5)),
            16..19 => drop(world.open_stream(page, peer, 100)),
            _ => world.kill_tab(page),
        }
    }
}

fn pages_of(world: &World, browser: usize, origin: &str) -> Vec<FrameId> {
    let pages = world.tabs.iter().filter(|(_, it)| it.browser == browser && it.origin == origin);
    pages.map(|(page, _)| *page).collect()
}
