//! The rendezvous over real sockets.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::time::Duration;

use bitters_revproxy::core::rendezvous::Rate;
use bitters_wire::{
    codec::encode,
    failure::Code,
    id::TopicId,
    keys::PersonaSecret,
    limits::MAX_RENDEZVOUS,
    link::Signal,
    rendezvous::{ToNode, ToServer},
    sealed::{Fresh, Said, SealedSignal},
};
use futures::StreamExt;
use support::{
    node::{Node, id},
    start, start_with,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

const LOBBY: TopicId = TopicId([3; 32]);

#[tokio::test]
async fn two_nodes_meet_in_a_topic_and_signal() {
    let server = start().await;
    let mut alice = Node::register(server.addr, 1).await;
    let mut bob = Node::register(server.addr, 2).await;

    assert_eq!(alice.ask(&advertise(1)).await, members(1, &[]));
    assert_eq!(bob.ask(&advertise(2)).await, members(2, &[1]));
    let signal = signal(vec![7; 90]);
    bob.say(&ToServer::Signal { from: id(2), to: id(1), signal: signal.clone() }).await;

    assert_eq!(alice.hear().await, ToNode::Signal { from: id(2), to: id(1), signal });
    assert_eq!(alice.ask(&discover(1)).await, members(1, &[2]));
}

#[tokio::test]
async fn a_node_is_forgotten_when_its_socket_breaks() {
    let server = start().await;
    let mut alice = Node::register(server.addr, 1).await;
    let mut bob = Node::register(server.addr, 2).await;
    alice.ask(&advertise(1)).await;
    let signal = signal(vec![]);
    let signal = ToServer::Signal { from: id(2), to: id(1), signal };

    drop(alice);

    // The server hears of it when the system tells it; until then signals go into the void.
    loop {
        bob.say(&signal).await;
        match timeout(Duration::from_millis(50), bob.hear()).await {
            Ok(answer) => break assert_eq!(answer, ToNode::Unreachable { from: id(2), to: id(1) }),
            Err(_silence) => {}
        }
    }
    assert_eq!(bob.ask(&discover(2)).await, members(2, &[]));
}

#[tokio::test]
async fn a_node_that_comes_back_is_believed_and_its_old_socket_ends_by_its_silence() {
    let server = start().await;
    let mut bob = Node::register(server.addr, 2).await;
    let old = Node::register(server.addr, 1).await;
    let mut new = Node::register(server.addr, 1).await;
    let signal = signal(vec![]);
    let to_alice = ToServer::Signal { from: id(2), to: id(1), signal: signal.clone() };

    bob.say(&to_alice).await;
    assert_eq!(new.hear().await, ToNode::Signal { from: id(2), to: id(1), signal: signal.clone() });
    // The stream beneath answers no ping, as if its network were gone.
    let mut old = old.socket.into_inner();
    tokio::time::pause();
    let mut heard = Vec::new();
    let (ended, ()) = tokio::join!(old.read_to_end(&mut heard), async {
        for _ in 0..3 {
            for node in [&mut bob, &mut new] {
                assert!(matches!(node.socket.next().await, Some(Ok(Message::Ping(_)))));
            }
        }
    });
    ended.unwrap();
    tokio::time::resume();

    assert!(heard.ends_with(b"silent"), "{heard:?}");
    bob.say(&to_alice).await;
    assert_eq!(new.hear().await, ToNode::Signal { from: id(2), to: id(1), signal });
}

#[tokio::test]
async fn two_keys_of_one_socket_are_strangers() {
    let server = start().await;
    let mut node = Node::register(server.addr, 1).await;
    node.add(2).await;
    let signal = signal(vec![7; 90]);

    assert_eq!(node.ask(&advertise(1)).await, members(1, &[]));
    assert_eq!(node.ask(&advertise(2)).await, members(2, &[1]));
    let heard = node.ask(&ToServer::Signal { from: id(2), to: id(1), signal: signal.clone() }).await;
    assert_eq!(heard, ToNode::Signal { from: id(2), to: id(1), signal });
    node.say(&ToServer::Unregister(id(1))).await;
    assert_eq!(node.ask(&discover(2)).await, members(2, &[]));
}

#[tokio::test]
async fn a_node_of_version_1_is_told_which_versions_there_are() {
    let server = start().await;
    let mut node = Node::connect(server.addr).await;

    // Its registration: a key, a signature with its length, the versions 1 to 1.
    node.send(Message::binary([[7].as_slice(), &[9; 32], &[64], &[9; 64], &[1, 1]].concat())).await;

    let message = "this server speaks version 6".into();
    assert_eq!(node.hear().await, ToNode::Refused { code: Code::VersionMismatch, message });
    assert_eq!(node.end().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn garbage_is_refused_and_closed() {
    let server = start().await;
    let mut bystander = Node::register(server.addr, 1).await;

    for (bytes, first, code) in [
        (vec![0xff; 20], Code::VersionMismatch, Code::BadArgument),
        (vec![0; MAX_RENDEZVOUS + 1], Code::TooLarge, Code::TooLarge),
    ] {
        for (mut node, code) in [(Node::connect(server.addr).await, first), (Node::enter(server.addr).await, code)] {
            node.send(Message::binary(bytes.clone())).await;
            assert_eq!(node.hear_refusal().await, code);
            assert_eq!(node.end().await, Some(CloseCode::Policy));
        }
    }
    for message in [Message::text("hello"), Message::binary(vec![0; 10 * MAX_RENDEZVOUS])] {
        let mut node = Node::connect(server.addr).await;
        node.send(message).await;
        assert_eq!(node.close_code().await, Some(CloseCode::Policy));
    }
    assert_eq!(bystander.ask(&advertise(1)).await, members(1, &[]));
}

#[tokio::test]
async fn a_flood_is_refused_and_closed() {
    let server = start_with(|config| config.rendezvous.messages = Rate { burst: 100, per_second: 1 }).await;
    let mut bystander = Node::register(server.addr, 1).await;
    let mut flooder = Node::register(server.addr, 2).await;

    for _ in 0..200 {
        flooder.send(Message::binary(encode(&ToServer::Lookup(id(3))))).await;
    }
    let mut answers = 0;
    while flooder.hear().await == ToNode::Missing(id(3)) {
        answers += 1;
    }

    // It has entered, registered and looked itself up before.
    assert!((97..150).contains(&answers), "{answers}");
    assert_eq!(flooder.end().await, Some(CloseCode::Policy));
    assert_eq!(bystander.ask(&advertise(1)).await, members(1, &[]));
}

#[tokio::test]
async fn who_never_reads_does_not_hold_up_others() {
    let server = start_with(|config| {
        let much = Rate { burst: 1_000_000, per_second: 1_000_000 };
        config.rendezvous.messages_per_key = much;
        config.rendezvous.source_messages_of_keys = much;
        config.rendezvous.signals_per_key = much;
        config.rendezvous.signals_per_key_and_source = much;
    })
    .await;
    let deaf = Node::register(server.addr, 1).await;
    let mut talker = Node::register(server.addr, 2).await;
    let signal = signal(vec![7; 512]);
    let signal = ToServer::Signal { from: id(2), to: id(1), signal };
    // A server that is kept busy never waits, and the clock of a test runs on by itself only then: it is moved.
    tokio::time::pause();

    // Until nothing has left for a while, because the system's buffers are full: then the deaf node is dropped. Signals are lost until then.
    let dropped = async {
        loop {
            for _ in 0..1000 {
                talker.say(&signal).await;
            }
            talker.say(&advertise(2)).await;
            match talker.hear().await {
                ToNode::Members { .. } => tokio::time::advance(Duration::from_secs(1)).await,
                other => break other,
            }
        }
    };

    let gone = ToNode::Unreachable { from: id(2), to: id(1) };
    // Sooner than who is silent is closed.
    assert_eq!(timeout(Duration::from_secs(50), dropped).await, Ok(gone));
    drop(deaf);
}

#[tokio::test]
async fn who_does_not_enter_is_closed() {
    let server = start_with(|config| config.rendezvous.enter_timeout = Duration::from_millis(30)).await;
    let mut node = Node::connect(server.addr).await;

    assert_eq!(node.hear_refusal().await, Code::Timeout);
    assert_eq!(node.end().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn who_falls_silent_is_asked_then_closed() {
    let server = start_with(|config| config.rendezvous.enter_timeout = Duration::from_secs(1000)).await;
    let Node { socket, .. } = Node::connect(server.addr).await;
    // The stream beneath answers no ping.
    let mut stream = socket.into_inner();
    tokio::time::pause();
    let begun = Instant::now();

    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();

    const PING: [u8; 2] = [0x89, 0];
    assert_eq!(heard[..4], [PING, PING].concat());
    assert!(heard.ends_with(b"silent"), "{heard:?}");
    assert!((60..63).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_answers_pings_may_be_silent_for_long() {
    let server = start().await;
    // The server counts from when it heard the node, which is before the node knows.
    let begun = Instant::now();
    let mut node = Node::register(server.addr, 1).await;
    tokio::time::pause();

    for _ in 0..10 {
        assert!(matches!(node.socket.next().await, Some(Ok(Message::Ping(_)))));
    }

    assert!(begun.elapsed() >= Duration::from_secs(200));
    assert_eq!(node.ask(&advertise(1)).await, members(1, &[]));
}

#[tokio::test]
async fn any_host_of_ours_may_be_asked_and_only_by_sockets() {
    let server = start().await;

    let node = Node::connect_as(server.addr, "alice.localhost").await;
    drop(node);
    assert_eq!(server.get("node.localhost", "/rendezvous").await.status, 400);
}

#[tokio::test]
async fn stopping_closes_sockets_in_good_order_and_frees_the_port() {
    let server = start().await;
    let mut node = Node::register(server.addr, 1).await;
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    idle.write_all(b"HEAD / HTTP/1.1\r\nhost: node.localhost\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
    let begun = Instant::now();

    let (end, ()) = tokio::join!(node.end(), server.running.shutdown());

    assert_eq!(end, Some(CloseCode::Away));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    let again = start_with(|config| config.listen = vec![server.addr]).await;
    Node::register(again.addr, 1).await;
}

#[tokio::test]
async fn a_socket_that_ignores_the_close_does_not_hold_up_the_stop() {
    let server = start().await;
    let node = Node::register(server.addr, 1).await;
    let begun = Instant::now();

    server.running.shutdown().await;

    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(node);
}

#[tokio::test]
async fn dropping_the_server_stops_it() {
    let server = start().await;
    let mut node = Node::register(server.addr, 1).await;

    drop(server.running);

    assert_eq!(node.end().await, Some(CloseCode::Away));
}

fn advertise(n: u8) -> ToServer {
    ToServer::Advertise { topic: LOBBY, key: id(n) }
}

fn discover(n: u8) -> ToServer {
    ToServer::Discover { topic: LOBBY, key: id(n) }
}

fn members(n: u8, members: &[u8]) -> ToNode {
    ToNode::Members { topic: LOBBY, key: id(n), members: members.iter().copied().map(id).collect() }
}

/// What only its receiver can read.
fn signal(blob: Vec<u8>) -> SealedSignal {
    let fresh = Fresh { ephemeral: [1; 32].into(), nonce: [2; 16] };
    let signal = Signal { attempt: 1, answers: None, blob };
    SealedSignal::seal(&Said::Signal(signal), &PersonaSecret::new([9; 32]), id(1), 0, &fresh).expect("it is a key")
}
