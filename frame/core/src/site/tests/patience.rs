//! A page that floods its port is shut out; one that races isn't.

use super::*;

/// Words that a page has at once after a rest.
const BURST: usize = 20_000;

#[test]
fn a_flood_about_what_isn_t_there_closes_the_port() {
    let floods: [(u32, Ask, usize); 7] = [
        (7, Ask::Cancel, BURST),
        (FIRST_FRAME_ID, Ask::Credit { limit: 1e9 }, BURST),
        (7, Ask::Finish, BURST),
        (7, Ask::Reset { reason: String::new() }, BURST),
        (7, Ask::Write { bytes: vec![0; 10] }, BURST),
        // A slice costs as many words as it is long.
        (7, Ask::Write { bytes: vec![0; 2 * 1024 * 1024] }, BURST / 65),
        // What is answered is a flood, too.
        (FIRST_FRAME_ID, Ask::Status, BURST),
    ];
    for (id, ask, borne) in floods {
        let mut world = World::welcomed([ALICE]);
        for _ in 0..borne {
            world.ask(0, id, ask.clone());
        }
        assert!(!world.sites[0].closed, "{ask:?}");
        world.tells(0);
        world.ask(0, id, ask.clone());
        assert!(world.sites[0].closed, "{ask:?}");
        assert_eq!(world.tells(0).pop(), Some(flooded()));
    }
}

#[test]
fn who_asks_for_ever_though_it_is_refused_is_shut_out() {
    let mut world = World::welcomed([ALICE]);
    let asked = (1..).take_while(|id| {
        world.ask(0, *id, Ask::Publish { topic: 1, data: Data::Text("hello".into()) });
        !world.sites[0].closed
    });
    assert_eq!(asked.count(), 2000 + BURST);
    assert_eq!(world.tells(0).pop(), Some(flooded()));
}

#[test]
fn what_a_page_began_that_is_shut_out_ends_and_it_is_heard_no_longer() {
    let mut world = World::welcomed([ALICE, BOB]);
    let stream = world.stream();
    world.ask(0, 6, Ask::Join { name: "lobby".into() });
    world.ask(0, 7, Ask::Serve { protocol: "file".into(), direct: None });
    world.tells(1);
    for _ in 0..=BURST {
        world.ask(0, 99, Ask::Cancel);
    }
    let machine = &world.sites[0].machine;
    assert!(machine.requests.is_empty() && machine.topics.is_empty() && machine.stream_ids.is_empty());
    let tells = world.tells(1);
    let [Event { id, tell: Tell::Failed(_) }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!(*id, stream);

    world.tells(0);
    world.ask(0, 100, Ask::Status);
    world.handle(0, Input::Nonsense(101));
    assert_eq!(world.tells(0), []);
}

#[test]
fn calm_brings_patience_back() {
    let mut world = World::welcomed([ALICE]);
    for _ in 0..4 {
        for _ in 0..BURST {
            world.ask(0, 7, Ask::Cancel);
        }
        world.pass(Duration::from_secs(20));
    }
    assert!(!world.sites[0].closed);
}

#[test]
fn slices_within_their_credit_are_never_too_many() {
    let mut world = World::welcomed([ALICE, BOB]);
    let stream = world.stream();
    let mut limit = 0.0;
    for slice in 0..BURST + BURST / 4 {
        if slice % 512 == 0 {
            limit += 512.0;
            world.ask(1, stream, Ask::Credit { limit });
        }
        world.ask(0, 5, Ask::Write { bytes: vec![0] });
    }
    assert!(world.sites.iter().all(|site| !site.closed));
}

#[test]
fn slices_that_cross_the_end_of_their_stream_are_forgiven() {
    let mut world = World::welcomed([ALICE, BOB]);
    let stream = world.stream();
    let window = 10 * BURST;
    world.ask(1, stream, Ask::Credit { limit: 200_000.0 });
    world.ask(1, stream, Ask::Reset { reason: "enough".into() });
    world.tells(0);
    let slice = |world: &mut World| world.ask(0, 5, Ask::Write { bytes: vec![0] });
    for _ in 0..window {
        slice(&mut world);
    }
    for _ in 0..BURST {
        slice(&mut world);
    }
    assert!(!world.sites[0].closed);
    slice(&mut world);
    assert!(world.sites[0].closed, "more than it had credit for");
}

#[test]
fn a_slice_that_crosses_the_peer_s_stop_costs_nothing() {
    let mut world = World::welcomed([ALICE, BOB]);
    let stream = world.stream();
    world.ask(1, stream, Ask::Credit { limit: 10.0 });
    world.ask(1, stream, Ask::Stop);
    world.ask(0, 5, Ask::Write { bytes: vec![0; 10] });
    assert_eq!(world.tells(0), [Event { id: 5, tell: Tell::Credit(10.0) }, Event { id: 5, tell: Tell::End }]);

    // The other way goes on.
    world.ask(0, 5, Ask::Credit { limit: 3.0 });
    world.ask(1, stream, Ask::Write { bytes: b"abc".to_vec() });
    assert_eq!(world.tells(0), [Event { id: 5, tell: Tell::Bytes(b"abc".to_vec()) }]);
}

#[test]
fn what_is_too_large_to_be_read_is_named_and_counts_by_its_length() {
    let mut world = World::welcomed([ALICE]);
    let large = Input::TooLarge { id: 3, bytes: 64 * 1024 * 1024 };
    world.handle(0, large.clone());
    let tells = world.tells(0);
    let [Event { id: 3, tell: Tell::Failed(failure) }] = &tells[..] else { panic!("{tells:?}") };
    assert_eq!(failure.code, Code::TooLarge);
    for _ in 0..BURST / 2049 {
        world.handle(0, large.clone());
    }
    assert!(world.sites[0].closed);
}

fn flooded() -> Event {
    Event { id: 0, tell: Tell::Failed(Failure::new(Code::Quota, "this page floods the node")) }
}

impl World {
    /// The first site opens a stream to the second; its number there. The first one's is 5.
    fn stream(&mut self) -> u32 {
        self.ask(1, 1, Ask::Serve { protocol: "file".into(), direct: None });
        self.ask(0, 5, Ask::Open { peer: persona(BOB).id().to_string(), protocol: "file".into() });
        let Some(Event { tell: Tell::IncomingStream { stream, .. }, .. }) = self.tells(1).pop() else {
            panic!("no stream came in")
        };
        self.tells(0);
        stream
    }
}
