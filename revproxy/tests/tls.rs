//! HTTPS and secure WebSockets by certificate files.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::{fs, time::Duration};

use bitters_revproxy::{Config, TlsFiles, serve};
use bitters_wire::{WIRE, codec::decode, limits::MAX_RENDEZVOUS, rendezvous::ToNode};
use futures::StreamExt;
use rustls::pki_types::CertificateDer;
use support::{
    Server, ask, config, files, get, head, start_with,
    tls::{certify, connect},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

#[tokio::test]
async fn pages_and_sockets_come_over_tls() {
    let (server, root, _certs) = secure(|_| {}).await;

    let urls = server.running.urls();
    assert_eq!(urls[0], format!("https://node.localhost:{}/", server.addr.port()));
    let stream = connect(server.addr, &root).await.unwrap();
    assert_eq!(ask(stream, &head("GET", "node.localhost", "/")).await.text(), "<h1>node");

    let stream = connect(server.addr, &root).await.unwrap();
    let (mut socket, _) = client_async("wss://node.localhost/rendezvous", stream).await.unwrap();
    let Some(Ok(Message::Binary(bytes))) = socket.next().await else { panic!("no message") };
    let challenge = decode::<ToNode>(&bytes, MAX_RENDEZVOUS).unwrap();
    assert!(matches!(challenge, ToNode::Challenge { wire, .. } if wire == WIRE), "{challenge:?}");
}

#[tokio::test]
async fn a_new_certificate_leaves_old_connections_alone() {
    let (server, root, certs) = secure(|_| {}).await;
    let mut old = connect(server.addr, &root).await.unwrap();
    assert!(says_hello(&mut old).await);

    let (new_root, _) = certify(certs.path());
    server.running.reload();

    assert!(says_hello(&mut old).await);
    assert!(connect(server.addr, &root).await.is_err());
    assert!(says_hello(&mut connect(server.addr, &new_root).await.unwrap()).await);
}

#[tokio::test]
async fn a_changed_file_is_read_without_being_told() {
    let (server, _, certs) = secure(|_| {}).await;
    tokio::time::pause();
    // Of a clock that is paused: no time passes, here and below.
    sleep(Duration::from_secs(1)).await;

    let (new_root, _) = certify(certs.path());

    let seen = async {
        while connect(server.addr, &new_root).await.is_err() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(Duration::from_secs(60), seen).await.expect("the new certificate is seen");
}

#[tokio::test]
async fn a_certificate_that_can_not_be_used_changes_nothing() {
    let (server, root, certs) = secure(|_| {}).await;

    fs::write(certs.path().join("key.pem"), "nonsense").unwrap();
    server.running.reload();

    assert!(says_hello(&mut connect(server.addr, &root).await.unwrap()).await);
}

#[tokio::test]
async fn a_pair_that_is_none_is_told_before_anything_starts() {
    let (files, certs, others) = (files(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ((_, pair), (_, other)) = (certify(certs.path()), certify(others.path()));
    fs::write(certs.path().join("empty.pem"), "").unwrap();
    let wrong = async |cert: &Option<std::path::PathBuf>, key: &Option<std::path::PathBuf>| {
        let tls = TlsFiles { cert: cert.clone(), key: key.clone() };
        serve(Config { tls, ..config(files.path()) }).await.unwrap_err().to_string()
    };

    let (cert, key) = (pair.cert.as_ref().unwrap().display(), other.key.as_ref().unwrap().display());
    assert_eq!(wrong(&pair.cert, &other.key).await, format!("{key}: it is not the key of {cert}"));
    let text = wrong(&pair.key, &pair.key).await;
    assert!(text.contains("key.pem: no certificate in PEM"), "{text}");
    let text = wrong(&pair.cert, &pair.cert).await;
    assert!(text.contains("cert.pem: no private key in PEM"), "{text}");
    let text = wrong(&Some(certs.path().join("empty.pem")), &pair.key).await;
    assert!(text.contains("empty.pem: no certificate in PEM"), "{text}");
    let text = wrong(&Some("/nowhere.pem".into()), &pair.key).await;
    assert!(text.contains("/nowhere.pem: no certificate in PEM"), "{text}");
}

#[tokio::test]
async fn whoever_does_not_shake_hands_is_left_and_makes_room() {
    let (server, root, _certs) = secure(|config| {
        config.http.connections = 1;
        config.http.handshake_timeout = Duration::from_millis(200);
        config.admin = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    let mut silent = TcpStream::connect(server.addr).await.unwrap();

    assert!(says_hello(&mut connect(server.addr, &root).await.unwrap()).await);

    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    // Plain HTTP where TLS is spoken.
    let mut plain = TcpStream::connect(server.addr).await.unwrap();
    plain.write_all(head("GET", "node.localhost", "/").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let metrics = get(server.running.admin.unwrap(), "localhost", "/metrics").await;
    for line in ["{reason=\"timed out\"} 1", "{reason=\"failed\"} 1"] {
        let line = format!("revproxy_tls_handshake_failures_total{line}");
        assert!(metrics.text().lines().any(|found| found == line), "{line} in {}", metrics.text());
    }
    assert!(metrics.text().contains("\nrevproxy_tls_certificate_end_seconds "), "{}", metrics.text());
}

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let (server, _, _certs) = secure(|config| config.redirect = vec![([127, 0, 0, 1], 0).into()]).await;
    let plain = server.running.redirects[0];

    let sent = get(plain, "Node.localhost:80", "/a?b=c").await;
    assert_eq!(sent.status, 308);
    let url = format!("https://node.localhost:{}/a?b=c", server.addr.port());
    assert_eq!(sent.header("location"), Some(url.as_str()));
    let elsewhere = get(plain, "evil.example", "/").await;
    assert_eq!((elsewhere.status, elsewhere.header("location")), (404, None));
}

async fn secure(change: impl FnOnce(&mut Config)) -> (Server, CertificateDer<'static>, TempDir) {
    let certs = tempfile::tempdir().unwrap();
    let (root, tls) = certify(certs.path());
    let server = start_with(|config| {
        config.tls = tls;
        change(config);
    });
    (server.await, root, certs)
}

/// Whether a request on a connection that is kept is answered.
async fn says_hello(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> bool {
    stream.write_all(b"HEAD / HTTP/1.1\r\nhost: node.localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    let len = stream.read(&mut answer).await.unwrap();
    answer[..len].starts_with(b"HTTP/1.1 200")
}
