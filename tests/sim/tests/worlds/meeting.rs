//! Pages that come at once, and personas that dial at once.

use std::{collections::BTreeSet, time::Duration};

use bitters_sim::ORIGINS;

use crate::{seeds, world};

#[test]
fn eight_frames_at_once_get_one_welcome_each() {
    for seed in seeds(200) {
        let mut world = world(seed, 1);
        let pages: Vec<_> = (0..8).map(|n| world.open_tab(0, ORIGINS[n % 3])).collect();
        world.run_for(Duration::from_secs(1));
        let welcomes: Vec<usize> = pages.iter().map(|page| world.tabs[page].welcomes).collect();
        assert_eq!(welcomes, [1; 8], "seed {seed}");
        let personas: BTreeSet<&String> = world.tabs.values().filter_map(|tab| tab.host.id.as_ref()).collect();
        assert_eq!(personas.len(), 3, "seed {seed}");
    }
}

#[test]
fn two_that_dial_each_other_at_once_have_one_link() {
    for seed in seeds(100) {
        let mut world = world(seed, 2);
        world.sociable = 0;
        world.make_peace();
        let pages = [world.open_tab(0, ORIGINS[0]), world.open_tab(1, ORIGINS[1])];
        world.run_for(Duration::from_secs(3));
        let ids = pages.map(|page| world.tabs[&page].host.id.clone().expect("it is welcomed"));
        let [one, other] = ids;
        world.dial(pages[0], other);
        world.dial(pages[1], one);
        world.run_for(Duration::from_secs(3));

        let evidence = world.evidence;
        assert_eq!((evidence.answered, evidence.refused), (2, 0), "seed {seed}: both are answered well");
        let connections = evidence.dials / 2;
        assert!((1..=2).contains(&connections), "seed {seed}: strangers knock, and each may dial the other's door");
        assert_eq!(evidence.ups - evidence.downs, 2, "seed {seed}: one of the two connections is kept");
        world.must_have_one_link_each();
    }
}
