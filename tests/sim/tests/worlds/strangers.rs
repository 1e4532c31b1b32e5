//! Peers that are nosy, work together and write down all that two sites of one browser tell them. It has no more in common than what two
//! browsers tell: in each seed's second world, the same sites are open in a browser each. As the two worlds of a seed go different ways, what
//! is compared is not values, but the fields that they stand in.

use std::collections::{BTreeMap, BTreeSet};

use bitters_sim::{ATTEMPT, COUNTER, Nosy, World};
use bitters_wire::id::PersonaId;

use crate::{is_one, seeds, world};

#[test]
fn two_sites_of_one_browser_tell_nosy_peers_no_more_in_common_than_two_browsers_do() {
    let [mut together, mut apart] = [Findings::default(), Findings::default()];
    for seed in seeds(16) {
        together.add(seed, [0, 0]);
        apart.add(seed, [0, 1]);
    }
    if is_one() {
        return;
    }
    let told: Vec<_> = together.common.iter().filter(|(fields, _)| !apart.common.contains_key(*fields)).collect();
    assert!(told.is_empty(), "two sites of one browser tell this, and two browsers never: {told:#?}");
    for findings in [together, apart] {
        findings.must_be_uncorrelated();
        findings.must_be_lively();
    }
}

/// What was found in all worlds so far.
#[derive(Debug, Default)]
struct Findings {
    /// In which fields both personas told a value that nothing explains, in the order of names, and an example.
    common: BTreeMap<(&'static str, &'static str), String>,
    /// Values that both personas told and that are explained.
    explained: usize,
    /// Fields that both personas told in the same world.
    fields: BTreeSet<&'static str>,
    /// Steps from a number that the one persona told to the other's next one.
    attempts: Steps,
    counters: Steps,
    /// How often either persona told anything.
    told: usize,
}

#[derive(Debug, Default)]
struct Steps {
    up: usize,
    all: usize,
}

/// Attempts that are closer to each other are counted, not random.
const CLOSE: u64 = 64;

impl Findings {
    /// Tells a seed's story. In every other one the two sites know each other, too.
    fn add(&mut self, seed: u64, homes: [usize; 2]) {
        let story = Nosy { homes, acquainted: seed.is_multiple_of(2), acts: 150 };
        let world = story.tell(world(seed, Nosy::BROWSERS));
        let (both, notes) = (story.personas(&world), &world.notes);
        assert_eq!(notes.unfounded.first(), None, "seed {seed}, sites in {homes:?}: how does it know?");
        self.compare(&world, both);

        let [attempts, counters] = [ATTEMPT, COUNTER].map(|field| notes.numbers(field, both));
        self.attempts.add(&attempts);
        self.counters.add(&counters);
        let sorted: Vec<u64> = BTreeSet::from_iter(attempts.iter().map(|it| it.1)).into_iter().collect();
        let close = sorted.windows(2).find(|it| it[1] - it[0] < CLOSE);
        assert_eq!(close, None, "seed {seed}, sites in {homes:?}: attempts are counted");
    }

    fn compare(&mut self, world: &World, both: [PersonaId; 2]) {
        let everybody: Vec<PersonaId> = world.browsers.iter().flat_map(|it| it.personas.values().copied()).collect();
        let explained = world.notes.explained(both, &everybody);
        let [one, other] = both.map(|persona| world.notes.windows_of(persona));
        for (value, fields) in &one {
            let Some(others) = other.get(value) else { continue };
            if explained.contains(value) {
                self.explained += 1;
                continue;
            }
            for (field, of) in fields.iter().flat_map(|field| others.iter().map(move |of| (*field, *of))) {
                let example = || format!("seed {}: {value:02x?}", world.seed);
                self.common.entry((field.min(of), field.max(of))).or_insert_with(example);
            }
        }
        let [one, other] = both.map(|by| world.notes.told.iter().filter(move |it| it.by == by).map(|it| it.field));
        self.told += one.clone().count() + other.clone().count();
        let others: BTreeSet<&str> = other.collect();
        self.fields.extend(one.filter(|field| others.contains(field)));
    }

    /// A number that the one persona tells is above the other's last one as often as below it.
    fn must_be_uncorrelated(&self) {
        for Steps { up, all } in [&self.attempts, &self.counters] {
            assert!((30..70).contains(&(100 * up / all)), "{up} of {all} steps lead up: {self:#?}");
        }
    }

    fn must_be_lively(&self) {
        let steps = self.attempts.all > 100 && self.counters.all > 500;
        let lively = self.told > 50_000 && self.explained > 2000 && self.fields.len() > 20 && self.common.len() > 2;
        assert!(steps && lively, "the worlds are too quiet to show anything: {self:#?}");
    }
}

impl Steps {
    fn add(&mut self, numbers: &[(PersonaId, u64)]) {
        for step in numbers.windows(2).filter(|it| it[0].0 != it[1].0 && it[0].1 != it[1].1) {
            self.all += 1;
            self.up += usize::from(step[1].1 > step[0].1);
        }
    }
}
