//! Topics and links, while pages, leaders and the server come and go.

use std::time::Duration;

use bitters_sim::{Evidence, Gossip, ORIGINS};
use bitters_wire::id::FrameId;

use crate::{prove, seeds, world};

const QUIET: Gossip = Gossip { browsers: 3, pages: 6, acts: 60, leaders_die: false };
pub const STORMY: Gossip = Gossip { browsers: 4, pages: 8, acts: 60, leaders_die: true };

#[test]
fn members_of_a_topic_find_each_other() {
    let sum = tell_all(QUIET, 40);
    assert_lively(sum);
}

#[test]
fn leaders_come_and_go() {
    let sum = tell_all(STORMY, 40);
    assert_lively(sum);
    prove(|| sum.leaders_died > 20 && sum.leaders_restarted > 20, sum);
}

#[test]
fn sixteen_browsers_that_join_at_once_list_all_others_within_five_seconds_and_no_ghosts_after_thirty() {
    for seed in seeds(20) {
        let mut world = world(seed, 16);
        world.sociable = 0;
        world.make_peace();
        let pages: Vec<FrameId> = (0..16).map(|browser| world.open_tab(browser, ORIGINS[browser % 3])).collect();
        world.run_for(Duration::from_secs(5));
        pages.iter().for_each(|page| world.join(*page));
        world.run_for(Duration::from_secs(5));
        world.must_see_everybody();

        pages[..8].iter().for_each(|page| world.kill_tab(*page));
        world.run_for(Duration::from_secs(30));
        world.must_see_everybody();
        world.must_have_one_link_each();
    }
}

/// Tells the story of each seed, and shows that all came together at its end.
fn tell_all(story: Gossip, count: u64) -> Evidence {
    let mut sum = Evidence::default();
    for seed in seeds(count) {
        let mut world = story.tell(world(seed, story.browsers));
        world.must_converge();
        sum += world.evidence;
        assert!(world.rest(Duration::from_secs(1200)).is_some(), "seed {seed}: no rest");
    }
    sum
}

fn assert_lively(sum: Evidence) {
    prove(|| sum.ups > 300 && sum.downs > 50 && sum.passed_on > 20 && sum.heard > 3000, sum);
    prove(|| sum.shown > 1000, sum);
    prove(|| sum.answered > 2000 && sum.refused > 20 && sum.left > 50, sum);
    prove(|| sum.statuses > 3000 && sum.overviews > 1000, sum);
    prove(|| sum.sessions > 1000 && sum.calls_done > 1000, sum);
}
