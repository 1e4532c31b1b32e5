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

#[test]
fn what_can_be_said_early_does_not_wait_for_the_dial() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.slow = true;
    world.ask(1, 1, Ask::Answer { method: "add".into(), direct: None });
    world.tells(1);
    world.ask(0, 1, call(BOB, "add", 1000));
    world.leader_says(0, ToFrame::Early(persona(ALICE).id()));
    assert_eq!(world.tells(1), [], "another can be spoken with");
    world.leader_says(0, ToFrame::Early(persona(BOB).id()));
    answer(&mut world);
    // The next one goes the same way.
    world.ask(0, 2, call(BOB, "add", 1000));
    answer(&mut world);

    let replies = [1, 2].map(|id| Event { id, tell: Tell::Reply(Data::Json("3".into())) });
    assert_eq!(world.tells(0), replies);
    let nowhere = Failure::new(Code::PeerUnreachable, "no connection");
    world.leader_says(0, ToFrame::Asked { request: 1, outcome: Err(nowhere) });
    world.ask(0, 3, call(BOB, "add", 1000));
    assert_eq!((world.tells(0), world.tells(1)), (Vec::new(), Vec::new()), "it is dialled before it is called again");
}

#[test]
fn a_dial_that_fails_ends_what_was_opened_meanwhile_for_its_reason() {
    let mut world = World::welcomed([ALICE, BOB]);
    world.deaf = true;
    for id in 1..200 {
        dials_of(&mut world, id);
    }
    world.leader_says(0, ToFrame::Early(persona(BOB).id()));
    assert_eq!(world.tells(0), []);
    let nowhere = Failure::new(Code::PeerUnreachable, "nobody knows it");
    world.leader_says(0, ToFrame::Asked { request: 1, outcome: Err(nowhere.clone()) });

    let mut told = world.tells(0);
    told.sort_by_key(|event| event.id);
    let executed =
        |id: u32| if id.is_multiple_of(2) { nowhere.clone().executed(Executed::No) } else { nowhere.clone() };
    let failed: Vec<_> = (1..200).map(|id| Event { id, tell: Tell::Failed(executed(id)) }).collect();
    assert_eq!(told, failed);
}

/// Bob answers the call that came in.
fn answer(world: &mut World) {
    let tells = world.tells(1);
    let [Event { tell: Tell::IncomingCall { call: number, .. }, .. }] = &tells[..] else { panic!("{tells:?}") };
    world.ask(1, *number, Ask::Reply { outcome: Outcome::Ok(Data::Json("3".into())) });
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
