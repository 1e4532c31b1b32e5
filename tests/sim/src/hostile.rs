//! A story of a few people who dial each other while all others are hostile: nine of ten nodes fill every pool that strangers share. Each dial
//! is answered well within a dial's time, or is one of few that aren't.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{id::FrameId, rpc::Ask};

use crate::{ORIGINS, World, connection::Phase};

/// What happens in a story.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// Hostile nodes, nine times as many as there are people.
    pub nodes: usize,
    /// Networks that they are in.
    pub networks: usize,
    /// Dials of the people, or fewer, as long as there is somebody to dial.
    pub dials: usize,
    /// Whether the hostile nodes dial only so fast that all their dials wait, or as fast as the proxy lets them.
    pub patient: bool,
}

/// Why a page may dial another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// The two have accepted each other.
    Acquainted,
    /// It was given the address.
    Address,
    /// Both are in the lobby, as everybody is.
    Members,
    /// It knows the id.
    Nothing,
}

/// One dial of a page's.
#[derive(Clone, Copy, Debug)]
pub struct Dialled {
    /// Who dials.
    pub page: FrameId,
    /// Whom: a page of the story.
    pub to: FrameId,
    /// Why it may.
    pub because: Because,
    /// When it began.
    pub began: Instant,
    /// When it was answered, and whether well: then there is a link.
    pub answered: Option<(Instant, bool)>,
}

/// Who was reached is hung up on after that time.
const HELD: Duration = Duration::from_millis(500);

/// Whom each page dials, by their numbers, and why.
const PAIRS: [(usize, usize, Because); 12] = [
    (0, 1, Because::Acquainted),
    (1, 0, Because::Acquainted),
    (2, 3, Because::Members),
    (3, 2, Because::Members),
    (0, 2, Because::Address),
    (2, 0, Because::Address),
    (3, 1, Because::Address),
    (1, 3, Because::Address),
    (0, 3, Because::Nothing),
    (3, 0, Because::Nothing),
    (1, 2, Because::Nothing),
    (2, 1, Because::Nothing),
];

impl Hostile {
    /// People, each with a browser and a page.
    pub const BROWSERS: usize = 4;

    /// Tells the story of a seed.
    #[must_use]
    pub fn tell(self, mut world: World) -> World {
        world.sociable = 0;
        world.make_peace();
        let pages: Vec<FrameId> = (0..Self::BROWSERS).map(|n| world.open_tab(n, ORIGINS[n % ORIGINS.len()])).collect();
        world.run_for(Duration::from_secs(3));
        acquaint(&mut world, &pages);
        world.beset(self.nodes, self.networks, self.patient);
        world.run_for(Duration::from_secs(5));
        for _ in 0..self.dials {
            let pause = world.millis(50, 350);
            world.run_for(pause);
            part(&mut world, &pages);
            dial(&mut world, &pages);
        }
        while world.model.dials.iter().any(|it| it.answered.is_none()) {
            world.run_for(Duration::from_secs(1));
        }
        world
    }
}

/// The first two accept each other, the last two join the lobby, and all have addresses.
fn acquaint(world: &mut World, pages: &[FrameId]) {
    for page in pages {
        world.want_address(*page);
    }
    for (one, other) in [(0, 1), (1, 0)] {
        let peer = id(world, pages[other]);
        world.call(pages[one], peer, Duration::from_secs(10));
    }
    world.join(pages[2]);
    world.join(pages[3]);
    world.run_for(Duration::from_secs(5));
    let (calls, addresses) = (world.evidence.calls_done, world.model.addresses.len());
    world.must(calls == 2 && addresses == pages.len(), || format!("{calls} calls, {addresses} addresses"));
    hang_up(world, pages[0], pages[1]);
    world.run_for(Duration::from_secs(3));
}

/// A page dials another to which there is no link.
fn dial(world: &mut World, pages: &[FrameId]) {
    let waits = |world: &World, page, to| {
        world.model.dials.iter().any(|it| it.answered.is_none() && (it.page, it.to) == (page, to))
    };
    let pairs = PAIRS.iter().map(|(one, other, because)| (pages[*one], pages[*other], *because));
    let free = pairs.filter(|(page, to, _)| !waits(world, *page, *to) && !world.are_linked(*page, *to));
    let free: Vec<_> = free.collect();
    let Some((page, to, because)) = world.rng.choice(free) else { return };
    let whom = if because == Because::Address { world.host(to).address.clone() } else { None };
    let whom = whom.unwrap_or_else(|| id(world, to));
    world.dial_because(page, to, whom, because);
}

/// Pages that were linked for a moment hang up, so that they can dial again. Members of a topic are linked without a dial.
fn part(world: &mut World, pages: &[FrameId]) {
    let now = world.now;
    for (one, other, because) in PAIRS {
        let (page, to) = (pages[one], pages[other]);
        let latest = world.model.dials.iter().rev().find(|it| (it.page, it.to) == (page, to));
        let is_over = latest.and_then(|it| it.answered).is_some_and(|(at, _)| now.since(at) > HELD);
        let parts = is_over || because == Because::Members && world.chance(20);
        if parts && world.are_linked(page, to) {
            hang_up(world, page, to);
        }
    }
}

fn hang_up(world: &mut World, page: FrameId, from: FrameId) {
    let peer = id(world, from);
    world.ask_once(page, Ask::HangUp { peer });
}

fn id(world: &mut World, page: FrameId) -> String {
    world.host(page).id.clone().expect("it is welcomed")
}

impl World {
    /// Whether a page has a link to another that is up.
    pub(crate) fn are_linked(&self, page: FrameId, other: FrameId) -> bool {
        let ups = self.tabs[&page].links.values().filter(|it| it.phase == Phase::Up);
        ups.filter_map(|it| it.remote).any(|remote| remote.0 == other)
    }
}
