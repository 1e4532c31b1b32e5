//! Stories of many seeds, and what is true in each. `SEED=n cargo test -p bitters-sim` tells one of them, `TIMES=20` twenty times as many.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_sim::{Evidence, Page, Story, World};
use bitters_wire::{
    id::{FrameId, PersonaId, SessionId},
    limits::TOPIC_NEIGHBOURS,
    packet::Body,
};

const QUIET: Story = Story { browsers: 3, pages: 6, acts: 60, leaders_die: false };
const STORMY: Story = Story { browsers: 4, pages: 8, acts: 60, leaders_die: true };

#[test]
fn members_of_a_topic_find_each_other() {
    let mut sum = Evidence::default();
    for seed in seeds(40) {
        let mut world = QUIET.tell(World::new(seed, QUIET.browsers));
        assert_no_echo(&world);
        assert_converged(&mut world);
        add(&mut sum, world.evidence);
    }
    assert_lively(sum);
}

#[test]
fn leaders_come_and_go() {
    let mut sum = Evidence::default();
    for seed in seeds(40) {
        let mut world = STORMY.tell(World::new(seed, STORMY.browsers));
        assert_converged(&mut world);
        add(&mut sum, world.evidence);
    }
    assert_lively(sum);
}

#[test]
fn a_seed_is_a_whole_story() {
    for seed in seeds(5) {
        let trace = || STORMY.tell(World::new(seed, STORMY.browsers).traced()).trace;
        let (first, second) = (trace(), trace());
        assert!(first.len() > 100, "seed {seed}");
        assert!(first == second, "seed {seed}");
    }
}

#[test]
fn eight_frames_at_once_get_one_welcome_each() {
    for seed in seeds(200) {
        let mut world = World::new(seed, 1);
        let pages: Vec<FrameId> = (0..8).map(|n| world.open_page(0, &format!("https://{}.example", n % 3))).collect();
        world.run_until(world.now + Duration::from_secs(1));
        let welcomes: Vec<usize> = pages.iter().map(|page| world.pages[page].welcomes.len()).collect();
        assert_eq!(welcomes, [1; 8], "seed {seed}");
        let personas: BTreeSet<PersonaId> = world.pages.values().filter_map(Page::persona).collect();
        assert_eq!(personas.len(), 3, "seed {seed}");
    }
}

#[test]
fn two_that_dial_each_other_at_once_have_one_link() {
    let mut glares = 0;
    for seed in seeds(100) {
        let mut world = World::new(seed, 2);
        world.faults = bitters_sim::Faults::NONE;
        let pages = [world.open_page(0, "https://a.example"), world.open_page(1, "https://b.example")];
        world.run_until(world.now + Duration::from_secs(3));
        let personas = pages.map(|page| world.pages[&page].persona().unwrap());
        let requests = [world.dial(pages[0], personas[1]), world.dial(pages[1], personas[0])];
        world.run_until(world.now + Duration::from_secs(3));

        let answers = [0, 1].map(|n| world.pages[&pages[n]].answers.get(&requests[n].unwrap()).cloned());
        assert_eq!(answers, [Some(Ok(())), Some(Ok(()))], "seed {seed}");
        assert_eq!((world.evidence.ups, world.evidence.downs), (2, 0), "seed {seed}");
        glares += usize::from(world.evidence.dials == 2);
        assert_one_link_each(&world);
    }
    assert_eq!(glares, seeds(100).len(), "each end has one attempt");
}

/// Everybody sees and hears everybody, all requests are answered, and the world comes to rest.
fn assert_converged(world: &mut World) {
    let seed = world.seed;
    if links(world).iter().any(|((own, peer), _)| !links(world).contains_key(&(*peer, *own))) {
        // One end hangs up what neither needs, and the other hasn't heard it yet.
        world.run_until(world.now + Duration::from_millis(100));
    }
    assert_one_link_each(world);
    assert_all_answered(world);
    assert_everybody_is_seen(world);

    let said = everybody_speaks(world);
    world.run_until(world.now + Duration::from_secs(5));
    for (id, page) in members(world) {
        for (speaker, sealed) in &said {
            let heard = page.heard.get(&(Story::LOBBY, sealed.clone())).copied().unwrap_or_default();
            assert_eq!(heard, usize::from(speaker != id), "seed {seed}: {id} hears {speaker}");
        }
    }
    assert_sessions_open(world);
    assert_all_answered(world);
    assert!(Story::rest(world, Duration::from_secs(1200)).is_some(), "seed {seed}: no rest");
}

/// Each pair of personas has one link at most, both ends of it know of it, and it is carried by a page of the persona's own.
fn assert_one_link_each(world: &World) {
    let links = links(world);
    for ((own, peer), count) in &links {
        assert_eq!(*count, 1, "seed {}: {own:?} has {count} links with {peer:?}", world.seed);
        assert!(links.contains_key(&(*peer, *own)), "seed {}: a link with one end", world.seed);
    }
    for (id, page) in &world.pages {
        let linked = links.keys().filter(|(own, _)| page.persona() == Some(*own)).count();
        assert_eq!(page.linked as usize, linked, "seed {}: the badge of {id}", world.seed);
    }
}

/// How many links each pair of personas has.
fn links(world: &World) -> BTreeMap<(PersonaId, PersonaId), usize> {
    let mut links = BTreeMap::new();
    for (id, page) in &world.pages {
        for held in page.links() {
            assert_eq!(Some(held.own), page.persona(), "seed {}: {id} carries another's link", world.seed);
            *links.entry((held.own, held.peer)).or_default() += 1;
        }
    }
    links
}

fn assert_all_answered(world: &World) {
    for (id, page) in &world.pages {
        assert_eq!(page.waiting, BTreeMap::new(), "seed {}: {id}", world.seed);
        assert_eq!(page.welcomes.len(), 1, "seed {}: {id}", world.seed);
    }
}

fn assert_everybody_is_seen(world: &World) {
    let everybody: BTreeSet<PersonaId> = members(world).filter_map(|(_, page)| page.persona()).collect();
    for (id, page) in members(world) {
        let own = page.persona().expect("a member was welcomed");
        let others: Vec<PersonaId> = everybody.iter().copied().filter(|persona| *persona != own).collect();
        let seen = page.peers.get(&Story::LOBBY).cloned().unwrap_or_default();
        if others.len() <= TOPIC_NEIGHBOURS {
            assert_eq!(seen, others, "seed {}: {id}", world.seed);
        } else {
            // A page sees whom its persona is linked to, and no more are looked for.
            let enough = seen.len() >= TOPIC_NEIGHBOURS && seen.iter().all(|peer| others.contains(peer));
            assert!(enough, "seed {}: {id} sees {seen:?} of {others:?}", world.seed);
        }
    }
}

fn everybody_speaks(world: &mut World) -> Vec<(FrameId, Vec<u8>)> {
    let speakers: Vec<FrameId> = members(world).map(|(id, _)| *id).collect();
    let mut said = Vec::new();
    for speaker in speakers {
        let sealed = speaker.0.as_bytes().to_vec();
        world.publish(speaker, Story::LOBBY, sealed.clone());
        said.push((speaker, sealed));
    }
    said
}

/// Each page dials each persona and opens a session with it: one frame of the persona gets the packet.
fn assert_sessions_open(world: &mut World) {
    let seed = world.seed;
    let pages: Vec<FrameId> = world.pages.keys().copied().collect();
    let personas: BTreeSet<PersonaId> = world.pages.values().filter_map(Page::persona).collect();
    let calls: Vec<(FrameId, PersonaId)> =
        pages.iter().flat_map(|page| personas.iter().map(|persona| (*page, *persona))).collect();
    for (page, persona) in &calls {
        world.dial(*page, *persona);
    }
    world.run_until(world.now + Duration::from_secs(20));
    // As a frame does before it opens a session: what was linked may have been let go.
    for (page, persona) in &calls {
        world.dial(*page, *persona);
    }
    world.run_until(world.now + Duration::from_secs(20));
    for (n, (page, persona)) in calls.iter().enumerate() {
        world.open_session(*page, *persona, session(n));
    }
    world.run_until(world.now + Duration::from_secs(5));
    for (n, (page, persona)) in calls.iter().enumerate() {
        let got = world.pages.values().filter(|it| {
            it.packets.iter().any(|packet| packet.session == session(n) && matches!(packet.body, Body::Open { .. }))
        });
        let by: Vec<Option<PersonaId>> = got.map(Page::persona).collect();
        assert_eq!(by, [Some(*persona)], "seed {seed}: {page} opens a session");
    }
}

/// Nobody hears a message twice, nor their own.
fn assert_no_echo(world: &World) {
    for (id, page) in &world.pages {
        assert!(page.heard.values().all(|times| *times == 1), "seed {}: {id} hears an echo", world.seed);
    }
}

fn members(world: &World) -> impl Iterator<Item = (&FrameId, &Page)> {
    world.pages.iter().filter(|(_, page)| page.wanted.contains(&Story::LOBBY))
}

fn session(n: usize) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    SessionId(FrameId::from_random(bytes).0)
}

fn seeds(count: u64) -> Vec<u64> {
    let times = std::env::var("TIMES").map_or(1, |times| times.parse().expect("TIMES is a number"));
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..count * times).collect(),
    }
}

fn add(sum: &mut Evidence, one: Evidence) {
    sum.dials += one.dials;
    sum.ups += one.ups;
    sum.downs += one.downs;
    sum.heard += one.heard;
    sum.relayed += one.relayed;
    sum.done += one.done;
    sum.failed += one.failed;
    sum.statuses += one.statuses;
}

fn assert_lively(sum: Evidence) {
    if std::env::var("SEED").is_ok() {
        return;
    }
    let lively = sum.ups > 300 && sum.downs > 50 && sum.heard > 3000 && sum.relayed > 20 && sum.failed > 20;
    assert!(lively && sum.done > 2000 && sum.statuses > 1000, "the worlds are too quiet to show anything: {sum:?}");
}
