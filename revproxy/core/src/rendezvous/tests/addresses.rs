//! Who listens where, and what is handed on to the proxy.

use bitters_peercon::{Credentials, signal::Signal};
use bitters_wire::{
    address::{Owner, Token},
    failure::Code,
    id::NodeId,
    keys::NodeSecret,
    rendezvous::{IceCredentials, IceEnds, ToNode, ToServer, listen_text, register_text},
};

use super::{
    super::{Config, ConnId, Input, Load, Output, proxy},
    world::*,
};

#[test]
fn a_node_is_told_where_the_proxy_is_and_listens_for_its_keys() {
    let mut world = World::of([ALICE]);
    world.register(conn(ALICE), BOB);

    for n in [ALICE, BOB] {
        let outputs = world.say(conn(ALICE), &listen(n, conn(ALICE), 1));
        let listening = sent(conn(ALICE), ToNode::Listening(token(n, 1)));
        assert_eq!(outputs, [handed(listens(conn(ALICE), token(n, 1))), listening]);
    }
    assert_eq!(world.machine.load().tokens, 2);
}

#[test]
fn nobody_listens_for_another() {
    let mut world = World::of([ALICE]);
    world.enter(conn(BOB));
    let mut say = |message: &ToServer| world.say(conn(BOB), message);
    let denied = [refused(conn(BOB), Code::Denied, "the owner's signature does not verify")];

    assert_eq!(say(&listen(ALICE, conn(BOB), 1)), not_registered(conn(BOB)));
    assert_eq!(say(&listen(BOB, conn(BOB), 1)), not_registered(conn(BOB)));
    assert_eq!(say(&register(BOB, conn(BOB))), []);
    assert_eq!(say(&listen(BOB, conn(ALICE), 1)), denied, "it is of another challenge");
    let ToServer::Listen { owner, signature, .. } = listen(BOB, conn(BOB), 1) else { unreachable!() };
    let another_certificate = ToServer::Listen { owner, fingerprint: [2; 32], signature };
    assert_eq!(say(&another_certificate), denied);
    let ToServer::Listen { fingerprint, signature, .. } = listen(ALICE, conn(BOB), 1) else { unreachable!() };
    let of_another_key = ToServer::Listen { owner, fingerprint, signature };
    assert_eq!(say(&of_another_key), denied);
    assert_eq!(world.machine.load().tokens, 0);
}

#[test]
fn nobody_listens_as_a_node() {
    let mut world = World::of([ALICE]);
    let node = NodeSecret::new([ALICE; 32]);
    for owner in [Owner::Node(node.id()), Owner::Node(NodeId(key(ALICE).0))] {
        let text = listen_text(&nonce(conn(ALICE)), SERVER, Token::of(owner, &[1; 32]));
        for signature in [node.sign(&text), secret(ALICE).sign(&text)] {
            let outputs = world.say(conn(ALICE), &ToServer::Listen { owner, fingerprint: [1; 32], signature });
            assert_eq!(outputs, [refused(conn(ALICE), Code::Denied, "only registered keys are listened for")]);
        }
    }
    assert_eq!(world.machine.load().tokens, 0);
}

#[test]
fn what_was_signed_for_another_server_is_refused() {
    let mut world = World::new();
    world.enter(conn(ALICE));
    let (alice, elsewhere) = (key(ALICE), "elsewhere.example");
    let signature = secret(ALICE).sign(&register_text(&nonce(conn(ALICE)), elsewhere, alice));

    let outputs = world.say(conn(ALICE), &ToServer::Register { key: alice, signature });

    assert_eq!(outputs, [refused(conn(ALICE), Code::Denied, "the key's signature does not verify")]);

    world.register(conn(ALICE), ALICE);
    let signature = secret(ALICE).sign(&listen_text(&nonce(conn(ALICE)), elsewhere, token(ALICE, 1)));
    let listen = ToServer::Listen { owner: Owner::Persona(alice), fingerprint: [1; 32], signature };
    let outputs = world.say(conn(ALICE), &listen);
    assert_eq!(outputs, [refused(conn(ALICE), Code::Denied, "the owner's signature does not verify")]);
}

#[test]
fn a_node_that_comes_back_listens_anew() {
    let mut world = World::of([ALICE]);
    let token = token(ALICE, 1);
    world.say(conn(ALICE), &listen(ALICE, conn(ALICE), 1));
    let again = conn(9);
    world.enter(again);
    world.register(again, ALICE);

    assert_eq!(world.say(again, &listen(ALICE, again, 1))[0], handed(listens(again, token)));
    assert_eq!(world.input(Input::Closed(conn(ALICE))), [], "the address is another connection's now");
    assert_eq!(world.input(Input::Closed(again)), [handed(proxy::Input::Unlisten(token))]);
    assert_eq!(world.rest(), Load::default());
}

#[test]
fn an_address_moves_by_its_owners_signature() {
    let mut world = World::of([ALICE]);
    world.enter(conn(BOB));
    world.register(conn(BOB), ALICE);
    let token = token(ALICE, 1);
    for n in [ALICE, BOB] {
        assert_eq!(world.say(conn(n), &listen(ALICE, conn(n), 1))[0], handed(listens(conn(n), token)));
    }

    assert_eq!(world.say(conn(ALICE), &ToServer::Unlisten(token)), []);
    assert_eq!(world.input(Input::Closed(conn(ALICE))), []);
    assert_eq!(world.say(conn(BOB), &ToServer::Unlisten(token)), [handed(proxy::Input::Unlisten(token))]);
    assert_eq!(world.machine.load().tokens, 0);
}

#[test]
fn nobody_listens_for_a_key_that_is_no_longer_registered() {
    let mut world = World::of([ALICE]);
    world.register(conn(ALICE), BOB);
    for n in [ALICE, BOB] {
        world.say(conn(ALICE), &listen(n, conn(ALICE), 1));
    }

    let outputs = world.say(conn(ALICE), &ToServer::Unregister(key(ALICE)));

    assert_eq!(outputs, [handed(proxy::Input::Unlisten(token(ALICE, 1)))]);
    assert_eq!(world.say(conn(ALICE), &ToServer::Unlisten(token(ALICE, 1))), []);
    assert_eq!(world.say(conn(ALICE), &listen(ALICE, conn(ALICE), 1)), not_registered(conn(ALICE)));
    assert_eq!(world.machine.load().tokens, 1, "the other key still listens");
}

#[test]
fn addresses_are_counted_and_need_a_proxy() {
    let mut world = World::with(Config { tokens: 2, ..Config::default() });
    world.join(ALICE);
    world.register(conn(ALICE), BOB);
    let mut add = |n, fingerprint| world.say(conn(ALICE), &listen(n, conn(ALICE), fingerprint)).len();
    assert_eq!([add(ALICE, 1), add(BOB, 2), add(BOB, 2)], [2, 2, 2]);
    let third = listen(ALICE, conn(ALICE), 3);
    assert_eq!(world.say(conn(ALICE), &third), [refused(conn(ALICE), Code::Quota, "too many addresses")]);

    let mut world = World::new();
    world.proxies.clear();
    world.open(conn(ALICE));
    let told = world.say(conn(ALICE), &ENTER);
    assert_eq!(told, [sent(conn(ALICE), ToNode::Entered { proxies: vec![] })]);
    world.register(conn(ALICE), ALICE);
    assert_eq!(world.say(conn(ALICE), &third), [refused(conn(ALICE), Code::Unsupported, "there is no proxy here")]);
}

#[test]
fn what_concerns_a_dial_is_read_and_handed_on() {
    let mut world = World::of([ALICE]);
    let credentials = Credentials::new("1gTT", "N6WOK8l/xhXmKbJ7712zNdfe").unwrap();
    let signal = Signal { credentials: credentials.clone(), fingerprint: [1; 32], candidates: vec![] }.encode();

    assert_eq!(
        world.say(conn(ALICE), &ToServer::Answer { passage: 7, signal }),
        [handed(proxy::Input::Answer { conn: conn(ALICE), passage: 7, credentials: credentials.clone() })]
    );
    let theirs = Credentials::new("9+Ab", "9D6dHIIUkqbay+yDVZGxRxWt").unwrap();
    let forward = |ours: IceCredentials| {
        let ends = Some(IceEnds { ours, theirs: theirs.clone().into() });
        ToServer::Forward { passage: 7, ends }
    };
    let handed_on = |restart| [handed(proxy::Input::Forward { conn: conn(ALICE), passage: 7, restart })];
    let restart = proxy::Restart { ours: credentials.clone(), theirs: theirs.clone() };
    assert_eq!(world.say(conn(ALICE), &forward(credentials.clone().into())), handed_on(Some(restart)));
    let by_dial = ToServer::Forward { passage: 7, ends: None };
    assert_eq!(world.say(conn(ALICE), &by_dial), handed_on(None));
    let bad = ToServer::Answer { passage: 7, signal: vec![9; 20] };
    assert_eq!(world.say(conn(ALICE), &bad), [refused(conn(ALICE), Code::BadArgument, "the answer is not a signal")]);
    let bad = [refused(conn(ALICE), Code::BadArgument, "not ICE credentials")];
    for (ufrag, password) in [("1g:T", credentials.password()), ("1gT", credentials.password()), ("1gTT", "too short")]
    {
        let ours = IceCredentials { ufrag: ufrag.into(), password: password.into() };
        assert_eq!(world.say(conn(ALICE), &forward(ours)), bad);
    }
}

fn handed(input: proxy::Input) -> Output {
    Output::Proxy(input)
}

fn listens(conn: ConnId, token: Token) -> proxy::Input {
    proxy::Input::Listen { conn, token, proxies: [PROXY].into() }
}
