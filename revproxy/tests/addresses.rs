//! Which addresses are listened on, and which are believed.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bitters_wire::{codec::decode, failure::Code, limits::MAX_RENDEZVOUS, rendezvous::ToNode};
use futures::StreamExt;
use support::{free_port, get, head, start_with};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

#[tokio::test]
async fn both_families_on_one_port_by_two_sockets() {
    let port = free_port();
    let addrs = [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()];

    let server = start_with(|config| config.listen = addrs.to_vec()).await;

    assert_eq!(server.running.addrs, addrs);
    assert_eq!(server.running.urls()[0], format!("http://node.localhost:{port}/"));
    assert_eq!(titles(port).await, ["<h1>node"; 2]);
}

#[tokio::test]
async fn both_families_by_one_socket() {
    let server = start_with(|config| config.listen = vec![(Ipv6Addr::UNSPECIFIED, 0).into()]).await;

    assert_eq!(titles(server.addr.port()).await, ["<h1>node"; 2]);
}

#[tokio::test]
async fn rates_are_counted_by_the_client_that_a_trusted_proxy_names() {
    let one_each = |config: &mut bitters_revproxy::Config| config.rendezvous.connections_per_source = 1;
    let behind = start_with(|config| {
        one_each(config);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let (behind, open) = (behind.await, start_with(one_each).await);

    let first = Socket::open(behind.addr, "192.0.2.1").await;
    let second = Socket::open(behind.addr, "192.0.2.2").await;
    let again = Socket::open(behind.addr, "192.0.2.1").await;
    assert_eq!([&first, &second, &again].map(|socket| socket.refused), [None, None, Some(Code::Quota)]);

    let first = Socket::open(open.addr, "192.0.2.1").await;
    let second = Socket::open(open.addr, "192.0.2.2").await;
    assert_eq!([&first, &second].map(|socket| socket.refused), [None, Some(Code::Quota)]);
}

#[tokio::test]
async fn the_rendezvous_answers_to_its_own_names_only() {
    let server = start_with(|config| config.names = vec!["other.example".into()]).await;
    let here = server.addr;

    for (host, expected) in [
        ("node.localhost".to_owned(), 101),
        ("other.example".to_owned(), 101),
        (here.to_string(), 101),
        ("evil.example".to_owned(), 421),
        (format!("node.localhost:{}", here.port() - 1), 421),
    ] {
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let request = format!("GET /rendezvous HTTP/1.1\r\nhost: {host}\r\n{upgrade}\r\n");
        let mut stream = TcpStream::connect(here).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&first), format!("HTTP/1.1 {expected}"), "{host}");
    }
}

#[tokio::test]
async fn nobody_takes_all_the_places() {
    let few = |config: &mut bitters_revproxy::Config| config.http.connections_per_source = 2;
    let open = start_with(few).await;
    let behind = start_with(|config| {
        few(config);
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    });
    let behind = behind.await;

    let idle = [TcpStream::connect(open.addr).await.unwrap(), TcpStream::connect(open.addr).await.unwrap()];
    let mut third = TcpStream::connect(open.addr).await.unwrap();
    assert!(matches!(third.read(&mut [0]).await, Ok(0) | Err(_)));
    drop(idle);
    // The server hears of that when it reads.
    while !answers(open.addr).await {}

    let _idle = [TcpStream::connect(behind.addr).await.unwrap(), TcpStream::connect(behind.addr).await.unwrap()];
    assert!(answers(behind.addr).await);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_host() {
    let server = start_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let forwarded = [("x-forwarded-host", "alice.localhost")];

    assert_eq!(server.request("GET", "node.localhost", "/", &forwarded).await.text(), "<h1>alice");
    let strict = start_with(|_| {}).await;
    assert_eq!(strict.request("GET", "node.localhost", "/", &forwarded).await.text(), "<h1>node");
}

/// A socket of the rendezvous that stays open, and how it was received.
struct Socket {
    refused: Option<Code>,
    _open: tokio_tungstenite::WebSocketStream<TcpStream>,
}

impl Socket {
    async fn open(addr: SocketAddr, forwarded_for: &str) -> Self {
        let mut request = "ws://node.localhost/rendezvous".into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", forwarded_for.parse().unwrap());
        let stream = TcpStream::connect(addr).await.unwrap();
        let (mut socket, _) = client_async(request, stream).await.unwrap();
        let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("no message") };
        let refused = match decode::<ToNode>(&bytes, MAX_RENDEZVOUS).unwrap() {
            ToNode::Challenge { .. } => None,
            ToNode::Refused { code, .. } => Some(code),
            other => panic!("{other:?}"),
        };
        Self { refused, _open: socket }
    }
}

/// Whether a request is answered, and not cut off.
async fn answers(addr: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let sent = stream.write_all(head("HEAD", "node.localhost", "/").as_bytes()).await;
    let mut answer = Vec::new();
    sent.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

async fn titles(port: u16) -> [String; 2] {
    let v4 = get((Ipv4Addr::LOCALHOST, port).into(), "node.localhost", "/").await;
    let v6 = get((Ipv6Addr::LOCALHOST, port).into(), "node.localhost", "/").await;
    [v4, v6].map(|answer| answer.text().to_owned())
}
