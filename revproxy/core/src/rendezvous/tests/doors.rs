//! Who is told where a key may be dialled.

use bitters_wire::{
    address::{Address, Owner},
    failure::Code,
    rendezvous::{ToNode, ToServer},
};

use super::world::*;
use crate::rendezvous::Output;

const CAROL: u8 = 3;

#[test]
fn whoever_looks_up_a_key_is_told_its_door_for_as_long_as_it_has_one() {
    let mut world = at_door();
    let told = [sent(conn(BOB), ToNode::Door(Box::new(door(ALICE, 1)))), here()];
    assert_eq!(look_up(&mut world), told);
    assert_eq!(world.say(conn(ALICE), &ToServer::Door { key: key(ALICE), door: None }), []);
    assert_eq!(look_up(&mut world), [here()]);

    world.say(conn(ALICE), &doors(ALICE, 1));
    assert_eq!(look_up(&mut world), told);
    world.say(conn(ALICE), &ToServer::Unlisten(token(ALICE, 1)));
    assert_eq!(look_up(&mut world), [here()], "nobody listens there");
}

#[test]
fn the_door_is_of_the_registration_that_is_believed() {
    let mut world = at_door();
    world.enter(conn(CAROL));
    world.register(conn(CAROL), ALICE);
    assert_eq!(look_up(&mut world), [here()]);
    world.say(conn(CAROL), &ToServer::Unregister(key(ALICE)));
    assert_eq!(look_up(&mut world).len(), 2);
    world.say(conn(ALICE), &ToServer::Unregister(key(ALICE)));
    assert_eq!(look_up(&mut world), [sent(conn(BOB), ToNode::Missing(key(ALICE)))]);
    world.register(conn(ALICE), ALICE);
    assert_eq!(look_up(&mut world), [here()], "it is forgotten");
}

#[test]
fn nobody_has_a_door_told_that_is_anothers_or_not_listened_at() {
    let mut world = at_door();
    let denied = [refused(conn(BOB), Code::Denied, "the door is not listened at here")];
    let mut say = |key_of: u8, door: Address| {
        world.say(conn(BOB), &ToServer::Door { key: key(key_of), door: Some(Box::new(door)) })
    };
    assert_eq!(say(ALICE, door(ALICE, 1)), not_registered(conn(BOB)));
    assert_eq!(say(BOB, door(ALICE, 1)), denied);
    assert_eq!(say(BOB, door(BOB, 1)), denied);
    assert_eq!(look_up(&mut world).len(), 2, "hers is as it was");
}

/// Alice has a door, and Bob is there.
fn at_door() -> World {
    let mut world = World::of([ALICE, BOB]);
    world.say(conn(ALICE), &listen(ALICE, conn(ALICE), 1));
    assert_eq!(world.say(conn(ALICE), &doors(ALICE, 1)), []);
    world
}

fn look_up(world: &mut World) -> Vec<Output> {
    world.say(conn(BOB), &ToServer::Lookup(key(ALICE)))
}

fn here() -> Output {
    sent(conn(BOB), ToNode::Here(key(ALICE)))
}

fn doors(n: u8, fingerprint: u8) -> ToServer {
    ToServer::Door { key: key(n), door: Some(Box::new(door(n, fingerprint))) }
}

fn door(n: u8, fingerprint: u8) -> Address {
    let owner = Owner::Persona(key(n));
    Address::sign(owner, [fingerprint; 32], &[PROXY], NOON_MS, None, |text| secret(n).sign(text))
}
