//! Peers that are reached first, by however many requests at once.

use super::*;

#[test]
fn all_that_wait_for_a_peer_ask_once_and_share_the_answer() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.deaf = true;
    wait_for_bob(&mut world);
    // The one that asked needs it no longer.
    world.ask(0, 1, Ask::Reset { reason: "no longer".into() });

    world.deaf = false;
    world.leader_says(0, ToFrame::Asked { request: 1, outcome: Ok(()) });
    world.pass(Duration::from_secs(2));
    let mut told = world.tells(0);
    told.sort_by_key(|event| event.id);
    assert_eq!(told.iter().map(|event| event.id).collect::<Vec<_>>(), (2..200).collect::<Vec<_>>());
    // Nobody serves it.
    assert!(told.iter().all(|event| matches!(event.tell, Tell::Failed(_))), "{told:?}");
}

#[test]
fn a_peer_that_cannot_be_reached_fails_all_that_wait_for_it() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.deaf = true;
    wait_for_bob(&mut world);
    let nowhere = Failure::new(Code::PeerUnreachable, "nobody knows it");
    world.leader_says(0, ToFrame::Asked { request: 1, outcome: Err(nowhere.clone()) });

    let executed =
        |id: u32| if id.is_multiple_of(2) { nowhere.clone().executed(Executed::No) } else { nowhere.clone() };
    let failed: Vec<_> = (1..200).map(|id| Event { id, tell: Tell::Failed(executed(id)) }).collect();
    assert_eq!(world.tells(0), failed);

    // And the next that wants it asks anew.
    assert_eq!(dials_of(&mut world, 201), [201]);
}

/// Streams and calls, for which the leader is asked once, and a dial for its own sake.
fn wait_for_bob(world: &mut World) {
    let dials: Vec<u32> = (1..=200).flat_map(|id| dials_of(world, id)).collect();
    assert_eq!(dials, [1, 200]);
}

/// One more request that needs the peer; the dials that the leader is asked for.
fn dials_of(world: &mut World, id: u32) -> Vec<u32> {
    let peer = persona(BOB).id().to_string();
    let ask = match id {
        200 => Ask::Dial { to: peer },
        id if id.is_multiple_of(2) => call(BOB, "add", 1000),
        _ => Ask::Open { peer, protocol: "file".into() },
    };
    let machine = &mut world.sites[0].machine;
    machine.handle_input(Input::Ask(Request { id, ask }), world.now);
    let said = std::iter::from_fn(|| machine.poll_output());
    said.filter_map(|output| match output {
        Output::Leader(Envelope { message: ToLeader::Dial { request, .. }, .. }) => Some(request),
        _ => None,
    })
    .collect()
}
