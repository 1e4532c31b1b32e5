//! Dials through the proxy, over real sockets.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::{net::SocketAddr, time::Duration};

use bitters_peercon::{
    Address, Candidate, Credentials, Kind,
    packed::{PASSWORD, Packed},
    signal::Signal,
};
use bitters_revproxy::{ServeError, core::proxy::Dropped, serve};
use bitters_wire::{
    address::{Owner, Token},
    rendezvous::{ToNode, ToServer, listen_text},
};
use support::{
    Server,
    node::{HOST, Node, id, secret},
    start, start_with,
    stun::{binding, check, check_like, data, name, reply, response},
};
use tokio::{net::UdpSocket, time::timeout};

const FINGERPRINT: [u8; 32] = [7; 32];
const DIALLER: (&str, &str) = ("9+Ab", "9D6dHIIUkqbay+yDVZGxRxWt");
const LISTENER: (&str, &str) = ("1gTT", "N6WOK8l/xhXmKbJ7712zNdfe");

#[tokio::test]
async fn two_browsers_reach_each_other_without_signalling() {
    let server = both_families().await;
    let [four, six] = server.running.udp[..] else { panic!("two sockets") };
    let mut node = listening(&server).await;
    assert_eq!(node.proxies, [four, six]);
    let (dialler, listener) = (Browser::new(four).await, Browser::new(six).await);

    let packed = packed();
    dialler.send(&check(1, &name(&packed.to_ufrag(), DIALLER.0), PASSWORD)).await;
    let ToNode::Dialled { passage, token, signal } = node.hear().await else { panic!("no dial") };
    let candidates = [four, six].map(|at| Candidate::new(Kind::Relayed, Address::Ip(at.ip()), at.port()).unwrap());
    let credentials = Credentials::new(DIALLER.0, DIALLER.1).unwrap();
    let expected = Signal { credentials, fingerprint: packed.fingerprint, candidates: candidates.to_vec() };
    assert_eq!((token, Signal::decode(&signal).unwrap()), (packed.token, expected));
    answer(&mut node, passage).await;
    let from_listener = check(2, &name(DIALLER.0, LISTENER.0), DIALLER.1);
    // The answer is on another way: the check may be there before it.
    let first = loop {
        listener.send(&from_listener).await;
        if let Some(first) = listener.hear_soon().await {
            break first;
        }
    };

    assert_eq!(first, check_like(&first, &name(LISTENER.0, DIALLER.0), LISTENER.1));
    let second = dialler.hear().await;
    assert_eq!(second, check_like(&second, &name(DIALLER.0, &packed.to_ufrag()), DIALLER.1));
    listener.send(&reply(&first, LISTENER.1)).await;
    dialler.send(&reply(&second, DIALLER.1)).await;
    assert_eq!(dialler.hear().await, response(1, PASSWORD));
    assert_eq!(listener.hear().await, response(2, DIALLER.1));
    for n in 1..=100 {
        dialler.send(&data(10 * n)).await;
        listener.send(&data(11 * n)).await;
    }
    for n in 1..=100 {
        assert_eq!(listener.hear().await, data(10 * n));
        assert_eq!(dialler.hear().await, data(11 * n));
    }
    let (load, counts) = server.running.proxy();
    assert_eq!((load.passages, load.pending, counts.dialled, counts.answered), (1, 0, 1, 1));
}

#[tokio::test]
async fn a_burst_of_equally_long_packets_arrives_whole() {
    let server = both_families().await;
    let (dialler, listener, _node) = opened(&server).await;

    // What the kernel may take and give in runs, with a shorter last one.
    let packets: Vec<_> = (0..60).map(|n| if n % 20 == 19 { data(700) } else { data(1200) }).collect();
    for packet in &packets {
        dialler.send(packet).await;
    }

    for packet in &packets {
        assert_eq!(&listener.hear().await, packet);
    }
}

#[tokio::test]
async fn a_browser_learns_its_address() {
    let server = both_families().await;
    for proxy in server.running.udp.clone() {
        let browser = Browser::new(proxy).await;
        // As browsers ask: with less than the answer, and again.
        for _ in 0..3 {
            browser.send(&binding(1, 0)).await;
        }
        let answer = browser.hear().await;
        let port = browser.0.local_addr().unwrap().port() ^ 0x2112;
        assert_eq!((&answer[..2], &answer[26..28]), (&[1, 1][..], &port.to_be_bytes()[..]));
    }
}

#[tokio::test]
async fn a_server_without_named_addresses_names_those_that_it_is_reached_at() {
    let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let server = start_with(|config| {
        config.listen = vec![any(0)];
        config.udp = Some(vec![any(0)]);
    })
    .await;
    let reached = SocketAddr::from(([127, 0, 0, 2], server.addr.port()));

    let node = Node::register(reached, 1).await;

    let proxy = SocketAddr::from(([127, 0, 0, 2], server.running.udp[0].port()));
    assert_eq!(node.proxies, [proxy]);
    // It answers from where it was asked.
    let browser = Browser::new(proxy).await;
    browser.send(&binding(1, 12)).await;
    assert_eq!(browser.hear().await.len(), 32);
}

#[tokio::test]
async fn one_socket_for_both_families_takes_both() {
    let any = SocketAddr::from(([0_u16; 8], 0));
    let server = start_with(|config| config.udp = Some(vec![any])).await;
    let port = server.running.udp[0].port();

    for proxy in [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))] {
        let browser = Browser::new(proxy).await;
        browser.send(&binding(1, 40)).await;
        let expected = if proxy.is_ipv4() { 32 } else { 44 };
        assert_eq!(browser.hear().await.len(), expected, "{proxy}");
    }
}

#[tokio::test]
async fn where_the_proxy_is_can_be_said_and_it_can_be_switched_off() {
    let public = SocketAddr::from(([203, 0, 113, 9], 3478));
    let server = start_with(|config| config.public = vec![public]).await;
    assert_eq!(Node::register(server.addr, 1).await.proxies, [public]);

    let server = start_with(|config| config.udp = Some(vec![])).await;
    assert_eq!(Node::register(server.addr, 1).await.proxies, []);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let server = start().await;
    let taken = server.running.udp[0];
    let mut config = support::config(server.files.path());
    config.udp = Some(vec![taken]);

    match serve(config).await {
        Err(error @ ServeError::BindUdp { .. }) => {
            assert!(error.to_string().starts_with(&format!("can't listen on {taken} over UDP: ")), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn stopping_frees_the_ports() {
    let server = start().await;
    let addr = server.running.udp[0];

    server.running.shutdown().await;

    let again = start_with(|config| config.udp = Some(vec![addr])).await;
    assert_eq!(again.running.udp, [addr]);
}

#[tokio::test]
async fn a_flood_holds_up_no_session() {
    let server = both_families().await;
    let (dialler, listener, _node) = opened(&server).await;
    let (before, _) = server.running.proxy();
    let flooder = Browser::new(server.running.udp[0]).await;

    for round in 0..20 {
        for n in 0..50_u8 {
            flooder.send(&[n; 200]).await;
            flooder.send(&check(9, &name(&packed().to_ufrag(), DIALLER.0), "a password of somebody's")).await;
        }
        dialler.send(&data(500 + round)).await;
        assert_eq!(listener.hear().await, data(500 + round));
    }

    let (load, counts) = server.running.proxy();
    assert_eq!(load, before);
    assert!(counts.dropped(Dropped::Forged) > 500, "{counts:?}");
}

/// A socket of a browser's, to the proxy.
struct Browser(UdpSocket);

impl Browser {
    async fn new(proxy: SocketAddr) -> Self {
        let own = if proxy.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(own).await.unwrap();
        // What comes from elsewhere isn't heard.
        socket.connect(proxy).await.unwrap();
        Self(socket)
    }

    async fn send(&self, bytes: &[u8]) {
        self.0.send(bytes).await.unwrap();
    }

    async fn hear(&self) -> Vec<u8> {
        timeout(Duration::from_secs(10), self.receive()).await.expect("a datagram comes")
    }

    async fn hear_soon(&self) -> Option<Vec<u8>> {
        timeout(Duration::from_millis(50), self.receive()).await.ok()
    }

    async fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 2000];
        let len = self.0.recv(&mut bytes).await.unwrap();
        bytes.truncate(len);
        bytes
    }
}

async fn both_families() -> Server {
    start_with(|config| config.udp = Some(vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()])).await
}

/// A node that listens.
async fn listening(server: &Server) -> Node {
    let mut node = Node::register(server.addr, 1).await;
    let token = packed().token;
    let signature = secret(1).sign(&listen_text(&node.nonce, HOST, token));
    let listen = ToServer::Listen { owner: Owner::Persona(id(1)), fingerprint: FINGERPRINT, signature };
    assert_eq!(node.ask(&listen).await, ToNode::Listening(token));
    node
}

fn packed() -> Packed {
    let token = Token::of(Owner::Persona(id(1)), &FINGERPRINT);
    Packed { token, fingerprint: [0x5a; 32], password: DIALLER.1.into() }
}

async fn answer(node: &mut Node, passage: u64) {
    let credentials = Credentials::new(LISTENER.0, LISTENER.1).unwrap();
    let signal = Signal { credentials, fingerprint: FINGERPRINT, candidates: vec![] }.encode();
    node.say(&ToServer::Answer { passage, signal }).await;
}

/// Two browsers whose packets pass, and the node that listens.
async fn opened(server: &Server) -> (Browser, Browser, Node) {
    let mut node = listening(server).await;
    let proxy = server.running.udp[0];
    let (dialler, listener) = (Browser::new(proxy).await, Browser::new(proxy).await);
    dialler.send(&check(1, &name(&packed().to_ufrag(), DIALLER.0), PASSWORD)).await;
    let ToNode::Dialled { passage, .. } = node.hear().await else { panic!("no dial") };
    answer(&mut node, passage).await;
    let to_listener = loop {
        listener.send(&check(2, &name(DIALLER.0, LISTENER.0), DIALLER.1)).await;
        if let Some(check) = listener.hear_soon().await {
            break check;
        }
    };
    let to_dialler = dialler.hear().await;
    listener.send(&reply(&to_listener, LISTENER.1)).await;
    dialler.send(&reply(&to_dialler, DIALLER.1)).await;
    while listener.hear().await != response(2, DIALLER.1) {}
    while dialler.hear().await != response(1, PASSWORD) {}
    (dialler, listener, node)
}
