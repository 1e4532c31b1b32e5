//! Addresses as a site has them: asked for, dialled, refused.

use bitters_wire::{
    address::{Address, Owner},
    id::NodeId,
    local::Certificate,
};

use super::*;

#[test]
fn a_site_gets_its_address_or_the_reason() {
    let mut world = World::welcomed([ALICE]);
    world.ask(0, 1, Ask::Address);
    world.ask(0, 2, Ask::Address);
    world.leader_says(0, ToFrame::Address { request: 1, outcome: Ok("AR".into()) });
    let none = Failure::new(Code::Unsupported, "no server");
    world.leader_says(0, ToFrame::Address { request: 2, outcome: Err(none.clone()) });

    let tells = [Event { id: 1, tell: Tell::Address("AR".into()) }, Event { id: 2, tell: Tell::Failed(none) }];
    assert_eq!(world.tells(0), tells);
    world.leader_says(0, ToFrame::Address { request: 1, outcome: Ok("AR".into()) });
    assert_eq!(world.tells(0), [], "it was answered");
}

#[test]
fn an_address_is_dialled_and_asked_for_again_by_the_next_leader() {
    let mut world = World::welcomed([ALICE]);
    world.deaf = true;
    world.ask(0, 1, Ask::Dial { to: address().to_string() });
    world.ask(0, 2, Ask::Address);
    let peer = persona(BOB).id();
    let dial = ToLeader::Dial { request: 1, peer, address: Some(address()) };

    world.boot = boot(2);
    let said = world.said_to_next_leader();
    assert_eq!(said, [dial, ToLeader::Address { request: 2 }]);

    world.leader_says(0, ToFrame::Asked { request: 1, outcome: Ok(()) });
    assert_eq!(world.tells(0), [Event { id: 1, tell: Tell::Peer(peer.to_string()) }]);
}

#[test]
fn what_is_no_address_of_a_persona_is_refused_with_the_reason() {
    let node = NodeSecret::new([9; 32]);
    let of_node = Address::sign(Owner::Node(NodeId(node.id().0)), [7; 32], &proxies(), 1, None, |text| node.sign(text));
    let text = address().to_string();
    let bad = [
        (String::new(), "neither a persona's id nor an address"),
        ("nobody".repeat(20), "the address is of version 158, this node knows versions 1 and 2"),
        (text[..100].into(), "the address is truncated"),
        (format!("{}A{}", &text[..90], &text[91..]), "the address is forged or damaged: its signature does not verify"),
        (of_node.to_string(), "the address is a node's, not a persona's"),
    ];
    for (to, why) in bad {
        let mut world = World::welcomed([ALICE]);
        world.ask(0, 1, Ask::Dial { to });
        assert_eq!(world.tells(0), [Event { id: 1, tell: Tell::Failed(Failure::new(Code::BadArgument, why)) }]);
    }
}

#[test]
fn a_certificate_is_made_for_the_leader() {
    let mut site = World::welcomed([ALICE]).sites.remove(0).machine;
    let owner = Owner::Persona(persona(ALICE).id());
    let (epoch, boot) = (Epoch(7), boot(1));
    let mut after = |input| {
        site.handle_input(input, Instant::START);
        std::iter::from_fn(|| site.poll_output()).collect::<Vec<_>>()
    };
    let asked = Input::Leader(Envelope { epoch, boot, message: ToFrame::Certify { owner } });
    assert_eq!(after(asked.clone()), [Output::Certify(owner)]);
    assert_eq!(after(asked.clone()), [], "it is being made");

    let outcome = Ok(Certificate { fingerprint: [7; 32], expires: 9 });
    let message = ToLeader::Certified { owner, outcome: outcome.clone() };
    assert_eq!(after(Input::Certified(owner, outcome)), [Output::Leader(Envelope { epoch, boot, message })]);
    assert_eq!(after(asked), [Output::Certify(owner)]);
}

fn proxies() -> Vec<std::net::SocketAddr> {
    vec!["203.0.113.1:3478".parse().unwrap()]
}

fn address() -> Address {
    let bob = persona(BOB);
    Address::sign(Owner::Persona(bob.id()), [7; 32], &proxies(), 1_800_000_000_000, None, |text| bob.sign(text))
}
