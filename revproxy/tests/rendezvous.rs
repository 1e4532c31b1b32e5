//! The rendezvous over real sockets.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::time::Duration;

use bitters_revproxy::core::rendezvous::Rate;
use bitters_wire::{
    codec::encode,
    failure::Code,
    id::TopicId,
    limits::MAX_RENDEZVOUS,
    link::Signal,
    rendezvous::{ToNode, ToServer},
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

    assert_eq!(alice.ask(&ToServer::Advertise(LOBBY)).await, members(&[]));
    assert_eq!(bob.ask(&ToServer::Advertise(LOBBY)).await, members(&[1]));
    let signal = Signal { attempt: 1, answers: None, blob: vec![7; 90] };
    bob.say(&ToServer::Signal { to: id(1), signal: signal.clone() }).await;

    assert_eq!(alice.hear().await, ToNode::Signal { from: id(2), signal });
    assert_eq!(alice.ask(&ToServer::Discover(LOBBY)).await, members(&[2]));
}

#[tokio::test]
async fn a_node_is_forgotten_when_its_socket_breaks() {
    let server = start().await;
    let mut alice = Node::register(server.addr, 1).await;
    let mut bob = Node::register(server.addr, 2).await;
    alice.ask(&ToServer::Advertise(LOBBY)).await;
    let signal = ToServer::Signal { to: id(1), signal: Signal { attempt: 1, answers: None, blob: vec![] } };

    drop(alice);

    // The server hears of it when the system tells it; until then signals go into the void.
    loop {
        bob.say(&signal).await;
        match timeout(Duration::from_millis(50), bob.hear()).await {
            Ok(answer) => break assert_eq!(answer, ToNode::Unreachable(id(1))),
            Err(_silence) => {}
        }
    }
    assert_eq!(bob.ask(&ToServer::Discover(LOBBY)).await, members(&[]));
}

#[tokio::test]
async fn a_node_that_comes_back_replaces_itself() {
    let server = start().await;
    let mut old = Node::register(server.addr, 1).await;
    let mut new = Node::register(server.addr, 1).await;

    assert_eq!(old.hear_refusal().await, Code::Closed);
    assert_eq!(old.end().await, Some(CloseCode::Policy));
    assert_eq!(new.ask(&ToServer::Advertise(LOBBY)).await, members(&[]));
}

#[tokio::test]
async fn garbage_is_refused_and_closed() {
    let server = start().await;
    let mut bystander = Node::register(server.addr, 1).await;

    for (bytes, code) in [(vec![0xff; 20], Code::BadArgument), (vec![0; MAX_RENDEZVOUS + 1], Code::TooLarge)] {
        let mut node = Node::connect(server.addr).await;
        node.send(Message::binary(bytes)).await;
        assert_eq!(node.hear_refusal().await, code);
        assert_eq!(node.end().await, Some(CloseCode::Policy));
    }
    for message in [Message::text("hello"), Message::binary(vec![0; 10 * MAX_RENDEZVOUS])] {
        let mut node = Node::connect(server.addr).await;
        node.send(message).await;
        assert_eq!(node.close_code().await, Some(CloseCode::Policy));
    }
    assert_eq!(bystander.ask(&ToServer::Advertise(LOBBY)).await, members(&[]));
}

#[tokio::test]
async fn a_flood_is_refused_and_closed() {
    let server = start_with(|config| config.rendezvous.messages = Rate { burst: 100, per_second: 1 }).await;
    let mut bystander = Node::register(server.addr, 1).await;
    let mut flooder = Node::register(server.addr, 2).await;

    for _ in 0..200 {
        flooder.send(Message::binary(encode(&ToServer::Advertise(LOBBY)))).await;
    }
    let mut answers = 0;
    while flooder.hear().await == members(&[]) {
        answers += 1;
    }

    assert!((99..150).contains(&answers), "{answers}");
    assert_eq!(flooder.end().await, Some(CloseCode::Policy));
    assert_eq!(bystander.ask(&ToServer::Advertise(LOBBY)).await, members(&[]));
}

#[tokio::test]
async fn who_never_reads_does_not_hold_up_others() {
    let server = start_with(|config| {
        config.rendezvous.messages = Rate { burst: 1_000_000, per_second: 1_000_000 };
        config.rendezvous.bytes = Rate { burst: u32::MAX, per_second: u32::MAX };
        config.rendezvous.source_messages = config.rendezvous.messages;
        config.rendezvous.signals = config.rendezvous.messages;
    })
    .await;
    let deaf = Node::register(server.addr, 1).await;
    let mut talker = Node::register(server.addr, 2).await;
    let signal = ToServer::Signal { to: id(1), signal: Signal { attempt: 1, answers: None, blob: vec![7; 512] } };

    // Until the system's buffers and the server's queue are full: then the deaf node is dropped.
    let dropped = async {
        loop {
            for _ in 0..1000 {
                talker.say(&signal).await;
            }
            talker.say(&ToServer::Advertise(LOBBY)).await;
            match talker.hear().await {
                ToNode::Members { .. } => {}
                other => break other,
            }
        }
    };

    assert_eq!(timeout(Duration::from_secs(20), dropped).await, Ok(ToNode::Unreachable(id(1))));
    drop(deaf);
}

#[tokio::test]
async fn who_does_not_register_is_closed() {
    let server = start_with(|config| config.rendezvous.register_timeout = Duration::from_millis(30)).await;
    let mut node = Node::connect(server.addr).await;

    assert_eq!(node.hear_refusal().await, Code::Timeout);
    assert_eq!(node.end().await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn who_falls_silent_is_asked_then_closed() {
    let server = start_with(|config| config.rendezvous.register_timeout = Duration::from_secs(1000)).await;
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
    assert_eq!(node.ask(&ToServer::Advertise(LOBBY)).await, members(&[]));
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

fn members(nodes: &[u8]) -> ToNode {
    ToNode::Members { topic: LOBBY, nodes: nodes.iter().copied().map(id).collect() }
}
