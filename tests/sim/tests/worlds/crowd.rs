//! One topic with many members, of whom some come and go, some are hostile, and some have wrong clocks.

use bitters_sim::{Crowd, Evidence, World};

use crate::{prove, seeds};

/// Two hundred at a time.
const LARGE: Crowd = Crowd { steady: 160, guests: 20, hostile: 20, acts: 30 };

/// So few that many seeds can be tried, and that each says more.
pub const SMALL: Crowd = Crowd { steady: 16, guests: 4, hostile: 3, acts: 60 };

#[test]
fn who_stays_among_two_hundred_members_hears_all_that_others_say_who_stay() {
    let sum = tell_all(LARGE, 1);
    prove(|| sum.heard > 5000 && sum.clocks_wrong > 20 && sum.frames_died > 2, sum);
    prove(|| sum.leaders_died + sum.leaders_restarted > 1, sum);
    prove(|| sum.insiders_kept_back > 10_000 && sum.insiders_respelled > 30 && sum.insiders_forged > 5, sum);
    prove(|| sum.insiders_replayed > 300 && sum.insiders_invented + sum.insiders_flooded > 10, sum);
}

#[test]
fn who_stays_among_a_few_members_hears_all_that_others_say_who_stay() {
    let sum = tell_all(SMALL, 3);
    prove(|| sum.heard > 3000 && sum.frames_died > 10 && sum.leaders_died + sum.leaders_restarted > 10, sum);
    prove(|| sum.insiders_kept_back > 500 && sum.insiders_forged > 1 && sum.insiders_replayed_late > 10, sum);
}

/// Tells the story of each seed, and what happened in all of them. What leads to a failure is millions of facts: they aren't traced.
fn tell_all(story: Crowd, count: u64) -> Evidence {
    let mut sum = Evidence::default();
    for seed in seeds(count) {
        sum += story.tell(World::new(seed, story.browsers())).evidence;
    }
    sum
}
