//! Who listens where, and what is handed on to the proxy.

use bitters_peercon::{Credentials, signal::Signal};
use bitters_wire::{
    address::{Owner, Token},
    failure::Code,
    rendezvous::{ToNode, ToServer, listen_text, node_text},
};

use super::{
    super::{Config, Input, Load, Output, proxy},
    world::*,
};

#[test]
fn a_node_is_told_where_the_proxy_is_and_listens_for_itself_and_its_personas() {
    let mut world = World::new();
    world.open(conn(ALICE));
    assert_eq!(world.say(conn(ALICE), &register(ALICE, conn(ALICE))), [registered(conn(ALICE))]);
    world.say(conn(ALICE), &persona(ALICE, conn(ALICE), &site(ALICE)));

    for (owner, token) in [
        (Listened::Node(secret(ALICE)), Token::of(Owner::Node(node(ALICE)), &[1; 32])),
        (Listened::Persona(site(ALICE)), Token::of(Owner::Persona(site(ALICE).id()), &[1; 32])),
    ] {
        let outputs = world.say(conn(ALICE), &listen(ALICE, conn(ALICE), &owner, 1));
        assert_eq!(outputs, [handed(conn_listens(ALICE, token)), sent(conn(ALICE), ToNode::Listening(token))]);
    }
    assert_eq!(world.machine.load().tokens, 2);
}

#[test]
fn nobody_listens_for_another() {
    let mut world = World::of([ALICE, BOB]);
    let mut say = |message: &ToServer| world.say(conn(BOB), message);
    let denied = |why| [refused(conn(BOB), Code::Denied, why)];

    assert_eq!(say(&listen(BOB, conn(BOB), &Listened::Node(secret(ALICE)), 1)), denied("the address is another's"));
    assert_eq!(say(&listen(BOB, conn(BOB), &Listened::Persona(site(BOB)), 1)), denied("the address is another's"));
    assert_eq!(say(&persona(BOB, conn(BOB), &site(BOB))), []);
    let of_another_challenge = listen(BOB, conn(ALICE), &Listened::Persona(site(BOB)), 1);
    assert_eq!(say(&of_another_challenge), denied("the owner's signature does not verify"));
    let for_another_node = listen(ALICE, conn(BOB), &Listened::Persona(site(BOB)), 1);
    assert_eq!(say(&for_another_node), denied("the owner's signature does not verify"));
    let ToServer::Listen { owner, signature, .. } = listen(BOB, conn(BOB), &Listened::Persona(site(BOB)), 1) else {
        unreachable!()
    };
    let another_certificate = ToServer::Listen { owner, fingerprint: [2; 32], signature };
    assert_eq!(say(&another_certificate), denied("the owner's signature does not verify"));
    assert_eq!(world.machine.load().tokens, 0);
}

#[test]
fn what_was_signed_for_another_server_is_refused() {
    let mut world = World::new();
    world.open(conn(ALICE));
    let signature = secret(ALICE).sign(&node_text(&nonce(conn(ALICE)), "elsewhere.example", node(ALICE)));
    let ToServer::Register { node, wire, .. } = register(ALICE, conn(ALICE)) else { unreachable!() };

    let outputs = world.say(conn(ALICE), &ToServer::Register { node, signature, wire });

    assert_eq!(outputs, expelled(conn(ALICE), Code::Denied, "the node's signature does not verify"));

    let mut world = World::of([ALICE]);
    let owner = Owner::Node(node);
    let text = listen_text(&nonce(conn(ALICE)), "elsewhere.example", Token::of(owner, &[1; 32]), node);
    let signature = secret(ALICE).sign(&text);
    let outputs = world.say(conn(ALICE), &ToServer::Listen { owner, fingerprint: [1; 32], signature });
    assert_eq!(outputs, [refused(conn(ALICE), Code::Denied, "the owner's signature does not verify")]);
}

#[test]
fn a_node_that_comes_back_listens_anew() {
    let mut world = World::of([ALICE]);
    let own = Listened::Node(secret(ALICE));
    let token = Token::of(Owner::Node(node(ALICE)), &[1; 32]);
    world.say(conn(ALICE), &listen(ALICE, conn(ALICE), &own, 1));
    let again = conn(9);
    world.open(again);

    let outputs = world.say(again, &register(ALICE, again));

    assert!(outputs.contains(&handed(proxy::Input::Unlisten(token))), "{outputs:?}");
    assert_eq!(world.say(again, &listen(ALICE, again, &own, 1))[0], handed(conn_listens(9, token)));
    assert_eq!(world.input(Input::Closed(again)), [handed(proxy::Input::Unlisten(token))]);
    assert_eq!(world.rest(), Load::default());
}

#[test]
fn an_address_moves_by_its_owners_signature() {
    let mut world = World::of([ALICE, BOB]);
    let moving = Listened::Persona(site(ALICE));
    let token = Token::of(Owner::Persona(site(ALICE).id()), &[1; 32]);
    for n in [ALICE, BOB] {
        world.say(conn(n), &persona(n, conn(n), &site(ALICE)));
        assert_eq!(world.say(conn(n), &listen(n, conn(n), &moving, 1))[0], handed(conn_listens(n, token)));
    }

    assert_eq!(world.say(conn(ALICE), &ToServer::Unlisten(token)), []);
    assert_eq!(world.input(Input::Closed(conn(ALICE))), []);
    assert_eq!(world.say(conn(BOB), &ToServer::Unlisten(token)), [handed(proxy::Input::Unlisten(token))]);
    assert_eq!(world.machine.load().tokens, 0);
}

#[test]
fn addresses_are_counted_and_need_a_proxy() {
    let mut world = World::with(Config { tokens: 2, ..Config::default() });
    world.join(ALICE);
    let mut add = |n| world.say(conn(ALICE), &listen(ALICE, conn(ALICE), &Listened::Node(secret(ALICE)), n)).len();
    assert_eq!([add(1), add(2), add(2)], [2, 2, 2]);
    let third = listen(ALICE, conn(ALICE), &Listened::Node(secret(ALICE)), 3);
    assert_eq!(world.say(conn(ALICE), &third), [refused(conn(ALICE), Code::Quota, "too many addresses")]);

    let mut world = World::new();
    world.proxies.clear();
    world.open(conn(ALICE));
    let told = world.say(conn(ALICE), &register(ALICE, conn(ALICE)));
    assert_eq!(told, [sent(conn(ALICE), ToNode::Registered { proxies: vec![] })]);
    assert_eq!(world.say(conn(ALICE), &third), [refused(conn(ALICE), Code::Unsupported, "there is no proxy here")]);
}

#[test]
fn what_concerns_a_dial_is_read_and_handed_on() {
    let mut world = World::of([ALICE]);
    let credentials = Credentials::new("1gTT", "N6WOK8l/xhXmKbJ7712zNdfe").unwrap();
    let signal = Signal { credentials: credentials.clone(), fingerprint: [1; 32], candidates: vec![] }.encode();

    assert_eq!(
        world.say(conn(ALICE), &ToServer::Answer { session: 7, signal }),
        [handed(proxy::Input::Answer { conn: conn(ALICE), session: 7, credentials })]
    );
    let forward = |ours: &str| ToServer::Forward { session: 7, ours: ours.into(), theirs: "9+Ab".into() };
    let (conn_alice, ours, theirs) = (conn(ALICE), "1gTT".to_owned(), "9+Ab".to_owned());
    assert_eq!(
        world.say(conn(ALICE), &forward("1gTT")),
        [handed(proxy::Input::Forward { conn: conn_alice, session: 7, ours, theirs })]
    );
    let bad = ToServer::Answer { session: 7, signal: vec![9; 20] };
    assert_eq!(world.say(conn(ALICE), &bad), [refused(conn(ALICE), Code::BadArgument, "the answer is not a signal")]);
    let bad = [refused(conn(ALICE), Code::BadArgument, "not a username fragment")];
    assert_eq!(world.say(conn(ALICE), &forward("1g:T")), bad);
    assert_eq!(world.say(conn(ALICE), &forward("1gT")), bad);
}

fn handed(input: proxy::Input) -> Output {
    Output::Proxy(input)
}

fn conn_listens(n: u8, token: Token) -> proxy::Input {
    proxy::Input::Listen { conn: conn(n), token, proxies: [PROXY].into() }
}
