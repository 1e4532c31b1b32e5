//! Stories in which one thing is tried.

use std::time::Duration;

use bitters_wire::id::{Boot, Epoch, FrameId};

use crate::{World, model::Settled, story::ORIGINS};

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
        // Later two may find each other at both doors at once, and one of these links ends.
        let downs = self.evidence.downs;
        self.must(downs == 0, || format!("{downs} links are down"));
        self.go_round();
        self.must(self.led(0) == led, || "another leads".into());
    }

    fn led(&self, browser: usize) -> Option<(Epoch, Boot)> {
        let lead = self.browsers[browser].leader().and_then(|it| it.lead.as_ref());
        lead.map(|lead| (lead.epoch, lead.boot))
    }
}
