//! Metrics, health, and a stop that lets what is under way end.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::{collections::BTreeMap, fs, net::SocketAddr, time::Duration};

use bitters_wire::{WIRE, codec::encode, rendezvous::ToServer};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use support::{Server, get, head, start_with};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::Instant,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

/// More than the sockets between two processes hold.
const LARGE: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn numbers_move_with_what_happens() {
    let server = watched(|_| {}).await;
    let before = scrape(&server).await;
    assert_eq!(before["revproxy_rendezvous_connections"], 0.0);
    assert_eq!(before["revproxy_http_connections"], 0.0);
    assert!(before[&format!("revproxy_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))] == 1.0);
    assert!(before["revproxy_start_time_seconds"] > 1.7e9);

    assert_eq!(server.get("node.localhost", "/").await.status, 200);
    assert_eq!(server.get("node.localhost", "/none").await.status, 404);
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut socket, _) = client_async("ws://node.localhost/rendezvous", stream).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
    let open = scrape(&server).await;
    let mut say = async |bytes: Vec<u8>| {
        socket.send(Message::Binary(bytes.into())).await.unwrap();
        assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
    };
    say(encode(&ToServer::Enter(WIRE))).await;
    let entered = scrape(&server).await;
    say(vec![0xff; 9]).await;
    let refused = scrape(&server).await;

    assert_eq!(open["revproxy_rendezvous_connections"], 1.0);
    assert_eq!((open["revproxy_rendezvous_nodes"], entered["revproxy_rendezvous_nodes"]), (0.0, 1.0));
    assert_eq!(entered["revproxy_rendezvous_personas"], 0.0);
    assert_eq!(open["revproxy_http_requests_total{status=\"2xx\"}"], 1.0);
    assert_eq!(open["revproxy_http_requests_total{status=\"4xx\"}"], 1.0);
    assert_eq!(open["revproxy_http_requests_total{status=\"1xx\"}"], 1.0);
    assert_eq!(open["revproxy_rendezvous_sent_total{kind=\"challenge\"}"], 1.0);
    assert!(open["revproxy_received_bytes_total"] > 100.0 && open["revproxy_sent_bytes_total"] > 100.0);
    assert_eq!(refused["revproxy_rendezvous_refused_total{code=\"BadArgument\"}"], 1.0);
    assert_eq!(refused["revproxy_rendezvous_connections"], 0.0);
    assert_eq!(refused["revproxy_rendezvous_sources"], 1.0);
}

#[tokio::test]
async fn the_proxys_numbers_move_too() {
    let server = watched(|_| {}).await;
    assert_eq!(scrape(&server).await["revproxy_proxy_dropped_packets_total{reason=\"strange\"}"], 0.0);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.running.udp[0]).await.unwrap();

    socket.send(b"nonsense").await.unwrap();
    // A Binding request (RFC 8489, 5), as long as its answer: with an attribute that says nothing.
    let mut request = [0; 44];
    request[1] = 1;
    request[3] = 24;
    request[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    request[20..24].copy_from_slice(&[0x80, 0x22, 0, 20]);
    socket.send(&request).await.unwrap();
    assert!(socket.recv(&mut [0; 64]).await.unwrap() > 20);

    let after = scrape(&server).await;
    assert_eq!(after["revproxy_proxy_dropped_packets_total{reason=\"strange\"}"], 1.0);
    assert_eq!(after["revproxy_proxy_bindings_total"], 1.0);
    let off = watched(|config| config.udp = Some(Vec::new())).await;
    assert!(!scrape(&off).await.keys().any(|name| name.starts_with("revproxy_proxy_")));
}

#[tokio::test]
async fn operators_ask_elsewhere_than_the_public() {
    let server = watched(|_| {}).await;

    for path in ["/metrics", "/health"] {
        assert_eq!(server.get("node.localhost", path).await.status, 404);
        assert_eq!(get(admin(&server), "localhost", path).await.status, 200);
    }
    assert_eq!(get(admin(&server), "node.localhost", "/").await.status, 404);
    let metrics = get(admin(&server), "localhost", "/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), Some(kind));
}

#[tokio::test]
async fn health_is_gone_first_and_what_is_under_way_ends_well() {
    let server = watched(|_| {}).await;
    let (admin, mut download) = (admin(&server), begin_download(&server).await);
    assert_eq!(health(admin).await, (200, "serving".into()));

    let stopping = tokio::spawn(server.running.shutdown());
    while health(admin).await.0 == 200 {}
    assert_eq!(health(admin).await, (503, "stopping".into()));
    let mut rest = Vec::new();
    download.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() >= LARGE, "{}", rest.len());

    stopping.await.unwrap();
    assert!(TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn whoever_does_not_read_is_not_waited_for() {
    let server = watched(|config| config.grace = Duration::from_millis(300)).await;
    let mut download = begin_download(&server).await;
    let begun = Instant::now();

    server.running.shutdown().await;

    assert!((300..1500).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    let _ = download.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "{}", rest.len());
}

async fn watched(change: impl FnOnce(&mut bitters_revproxy::Config)) -> Server {
    let server = start_with(|config| {
        config.admin = Some(([127, 0, 0, 1], 0).into());
        change(config);
    });
    server.await
}

fn admin(server: &Server) -> SocketAddr {
    server.running.admin.unwrap()
}

/// A download that has begun, and whose end nobody has read.
async fn begin_download(server: &Server) -> TcpStream {
    fs::write(server.files.path().join("alice/large"), vec![b'x'; LARGE]).unwrap();
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(head("GET", "alice.localhost", "/large").as_bytes()).await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    stream
}

async fn health(admin: SocketAddr) -> (u16, String) {
    let answer = get(admin, "localhost", "/health").await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, body["status"].as_str().unwrap().to_owned())
}

async fn scrape(server: &Server) -> BTreeMap<String, f64> {
    parse(get(admin(server), "localhost", "/metrics").await.text())
}

/// OpenMetrics text, read strictly: each sample belongs to the family described before it, has a number, and is there once.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.pop(), text.ends_with('\n')), (Some("# EOF"), true));
    let (mut family, mut samples) = (String::new(), BTreeMap::new());
    for line in lines {
        if let Some(described) = line.strip_prefix("# ") {
            let [word, name, rest] = described.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            assert!(matches!(word, "HELP" | "TYPE" | "UNIT") && !rest.is_empty(), "{line}");
            name.clone_into(&mut family);
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let known = ["", "_total", "_info"].iter().any(|suffix| name.strip_suffix(suffix) == Some(&*family));
        assert!(known && name.starts_with("revproxy_"), "{line} after {family}");
        assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
    }
    samples
}
