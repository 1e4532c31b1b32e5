//! A random story: browsers whose pages open, talk and close while everything goes wrong; then peace, in which all must be settled.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::id::{Boot, Epoch, FrameId};

use super::{
    World,
    host::{Asked, Place},
    model::Settled,
};
use crate::{
    connection::{End, Phase},
    story::REST,
};

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

pub(super) const ORIGINS: [&str; 3] = ["https://a.example", "https://b.example", "https://c.example"];

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
            52..58 => world.publish(page),
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

    fn harm(self, world: &mut World, browser: usize, page: FrameId) {
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

/// Pages of one site that serve in turn.
impl World {
    /// A page calls another site and opens streams to it, whose pages stop serving and serve again, `flips` times. As there is always one
    /// that serves, all calls are answered and all streams accepted.
    pub fn serve_in_turn(&mut self, pages: usize, flips: usize) {
        self.make_peace();
        let caller = self.open_tab(0, ORIGINS[0]);
        let servers: Vec<FrameId> = (0..pages).map(|_| self.open_tab(1, ORIGINS[1])).collect();
        self.run_for(Duration::from_secs(2));
        let Some(peer) = self.tabs[&servers[0]].host.id.clone() else {
            return self.must(false, || "a page was never welcomed".into());
        };
        let mut serving = servers.clone();
        for _ in 0..flips {
            let wait = self.millis(0, 60);
            self.open_stream(caller, peer.clone(), 900);
            self.call(caller, peer.clone(), Duration::from_secs(10));
            self.run_for(wait);
            if serving.len() > 1 {
                let one = serving.swap_remove(self.rng.usize(0..serving.len()));
                self.stop_serving(one);
            } else {
                for page in servers.iter().filter(|page| !serving.contains(page)) {
                    self.serve_again(*page);
                }
                serving.clone_from(&servers);
            }
            // What is on its way to a page may be refused once, not twice.
            let pause = self.millis(500, 3000);
            self.run_for(pause);
        }
        self.finish_all();
        self.run_for(Duration::from_secs(60));
        self.must_be_settled();
        let failed = self.model.calls.iter().find(|it| it.outcome != Some(Settled::Done));
        self.must(failed.is_none(), || format!("a call fails though a page serves: {failed:?}"));
        let failed =
            self.model.streams.iter().find(|it| !it.opened || it.sides.iter().any(|side| side.failed.is_some()));
        self.must(failed.is_none(), || format!("a stream fails though a page serves: {failed:?}"));
    }
}

/// A server that is away.
impl World {
    /// The server is away from a browser with many pages. They say and hear everything meanwhile, one leader leads them throughout, and
    /// when the server is back another browser's page finds them.
    pub fn outlast(&mut self, pages: usize, away: Duration) {
        self.make_peace();
        let ours: Vec<FrameId> = (0..pages).map(|n| self.open_tab(0, ORIGINS[n % ORIGINS.len()])).collect();
        self.run_for(Duration::from_secs(2));
        let (led, tries) = (self.led(0), self.server.connected);
        self.must(led.is_some() && self.server.rendezvous.load().nodes == 1, || "the node isn't registered".into());

        self.stop_server();
        let pause = away / u32::try_from(pages).expect("a few");
        for page in &ours {
            self.publish(*page);
            self.run_for(pause);
        }
        self.must_all_hear(&ours);
        let tries = self.server.connected - tries;
        self.must((2..8).contains(&tries), || format!("the server was tried {tries} times in {away:?}"));

        self.start_server();
        // What was tried in vain for so long is tried again within twice that time.
        self.run_for(away * 2);
        self.must(self.server.rendezvous.load().nodes == 1, || "the node isn't registered again".into());
        self.open_tab(1, ORIGINS[0]);
        self.run_for(Duration::from_secs(5));
        self.go_round();
        self.must(self.led(0) == led, || "another leads".into());
    }

    fn led(&self, browser: usize) -> Option<(Epoch, Boot)> {
        let lead = self.browsers[browser].leader().and_then(|it| it.lead.as_ref());
        lead.map(|lead| (lead.epoch, lead.boot))
    }
}

/// Something at random.
impl World {
    fn some_page(&mut self) -> Option<FrameId> {
        let pages: Vec<FrameId> = self.tabs.keys().copied().filter(|page| self.runs(*page)).collect();
        self.rng.choice(pages)
    }

    /// Whether a page's script can do anything now.
    fn runs(&self, page: FrameId) -> bool {
        self.tabs.get(&page).is_some_and(|it| !it.frozen && !self.browsers[it.browser].asleep)
    }

    /// The id of some other site's.
    fn some_peer(&mut self, of: FrameId) -> Option<String> {
        let own = self.tabs.get(&of)?.host.id.clone()?;
        let peers = self.tabs.values().filter_map(|it| it.host.id.clone()).filter(|id| *id != own);
        let peers: Vec<String> = peers.collect();
        self.rng.choice(peers)
    }

    fn some_open(&mut self, page: FrameId) {
        if let Some(peer) = self.some_peer(page) {
            let wants = if self.chance(3) { self.rng.u64(50_000..200_000) } else { self.rng.u64(8..4000) };
            self.open_stream(page, peer, wants);
        }
    }

    fn some_call(&mut self, page: FrameId) {
        if let Some(peer) = self.some_peer(page) {
            let timeout = if self.chance(20) { self.millis(20, 300) } else { self.millis(1000, 15_000) };
            self.call(page, peer, timeout);
        }
    }

    fn some_cancel(&mut self, page: FrameId) {
        let asked = self.tabs.get(&page).map(|it| it.host.asked.iter().map(|(id, it)| (*id, *it)).collect::<Vec<_>>());
        for (id, asked) in asked.unwrap_or_default() {
            if let Asked::Call(call) = asked {
                self.cancel(page, id, call);
            }
        }
    }

    fn some_dial(&mut self, page: FrameId) {
        if let Some(peer) = self.some_peer(page) {
            self.dial(page, peer);
        }
    }

    /// Somebody dials an address that somebody was given once.
    fn some_dial_at(&mut self, page: FrameId) {
        let addresses = self.model.addresses.clone();
        if let Some(address) = self.rng.choice(addresses) {
            self.dial(page, address);
        }
    }

    /// A stream that goes on, at some end.
    fn some_stream(&mut self) -> Option<(FrameId, u32)> {
        let going = (self.model.streams.iter())
            .flat_map(|it| &it.sides)
            .filter(|side| !side.finished && side.failed.is_none())
            .filter_map(|side| side.page)
            .filter(|(page, _)| self.runs(*page));
        let going: Vec<_> = going.collect();
        self.rng.choice(going)
    }

    fn some_write(&mut self) {
        for _ in 0..4 {
            let more = self.rng.u64(1..2000);
            if let Some((page, id)) = self.some_stream() {
                self.write_more(page, id, more);
            }
        }
    }

    fn some_end(&mut self) {
        let Some((page, id)) = self.some_stream() else { return };
        match self.rng.u8(0..4) {
            0 => self.give_up(page, id, true),
            1 => self.give_up(page, id, false),
            _ => self.finish(page, id),
        }
    }

    fn with_link(&mut self, harm: impl FnOnce(&mut Self, End)) {
        let ends = self.tabs.iter().flat_map(|(frame, tab)| {
            let up = tab.links.iter().filter(|(_, it)| it.phase == Phase::Up);
            up.map(|(link, _)| (*frame, *link))
        });
        let ends: Vec<End> = ends.collect();
        if let Some(end) = self.rng.choice(ends) {
            harm(self, end);
        }
    }
}

/// Peace.
impl World {
    /// Everything that can be mended is, and nothing breaks any longer.
    pub fn make_peace(&mut self) {
        self.peace = true;
        self.model.make_peace(self.now);
        self.start_server();
        for browser in 0..self.browsers.len() {
            self.fill(browser, false);
        }
        for pair in std::mem::take(&mut self.apart) {
            self.repair(pair);
        }
        for browser in 0..self.browsers.len() {
            if self.browsers[browser].asleep {
                self.wake(browser);
            }
        }
        let frozen: Vec<FrameId> = self.tabs.iter().filter(|(_, it)| it.frozen).map(|(id, _)| *id).collect();
        for frame in frozen {
            self.thaw(frame);
        }
        self.note(|| "peace".into());
    }

    /// Every page finishes what it writes.
    fn finish_all(&mut self) {
        for (page, id) in
            self.model.streams.iter().flat_map(|it| &it.sides).filter_map(|it| it.page).collect::<Vec<_>>()
        {
            if self.tabs.contains_key(&page) {
                self.finish(page, id);
            }
        }
    }

    fn must_be_settled(&mut self) {
        self.settled = true;
        let unsettled = self.model.unsettled();
        self.must(unsettled.is_none(), || unsettled.clone().unwrap_or_default());
        for (frame, tab) in &self.tabs {
            let waiting = &tab.host.asked;
            self.must(waiting.is_empty(), || format!("{frame} waits for {waiting:?}"));
            self.must(tab.host.id.is_some(), || format!("{frame} was never welcomed"));
            let new =
                tab.host.streams.iter().find(|(id, it)| matches!(it, Place::New(_)) && !tab.host.dropped.contains(id));
            self.must(new.is_none(), || format!("{frame} has a stream that nobody writes: {new:?}"));
        }
        self.evidence.streams_done += self.model.done();
    }

    /// All pages open streams, call and talk once more: now nothing fails.
    pub fn go_round(&mut self) {
        let pages: Vec<FrameId> = self.tabs.keys().copied().collect();
        let (mut fresh, calls) = (Vec::new(), self.model.calls.len());
        for page in &pages {
            if let Some(peer) = self.some_peer(*page) {
                fresh.push(self.open_stream(*page, peer.clone(), 900));
                self.call(*page, peer, Duration::from_secs(20));
            }
            self.publish(*page);
        }
        self.run_for(Duration::from_secs(25));
        self.finish_all();
        self.run_for(Duration::from_secs(15));
        self.must_be_settled();
        for stream in fresh {
            let it = &self.model.streams[stream];
            let well = it.sides.iter().all(|side| side.failed.is_none() && side.ended);
            self.must(well && it.sides[1].read == 900, || format!("stream {stream} fails in peace: {it:?}"));
        }
        let failed = self.model.calls[calls..].iter().find(|it| it.outcome != Some(Settled::Done));
        self.must(failed.is_none(), || format!("a call fails in peace: {failed:?}"));
        self.must_all_hear(&pages);
    }

    fn must_all_hear(&self, pages: &[FrameId]) {
        let members: Vec<_> =
            pages.iter().filter_map(|id| Some((id, self.tabs.get(id)?))).filter(|it| it.1.host.joined).collect();
        for (speaker, said) in &members {
            let text = format!("{speaker} {}", said.host.said);
            for (listener, heard) in members.iter().filter(|(id, _)| id != speaker) {
                let times = heard.host.heard.get(&text).copied().unwrap_or_default();
                self.must(times == 1, || format!("{listener} hears {speaker} {times} times in peace"));
            }
        }
    }
}
