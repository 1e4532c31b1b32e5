//! Files by host name, over a real socket.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]

mod support;

use std::time::Duration;

use bitters_revproxy::{Config, ServeError, serve};
use serde_json::{Value, json};
use support::{config, files, start, start_with};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

const NODE: &str = "node.localhost";
const ALICE: &str = "alice.localhost";

#[tokio::test]
async fn each_host_has_its_own_files() {
    let server = start().await;

    assert_eq!(server.get(NODE, "/").await.text(), "<h1>node");
    assert_eq!(server.get("NODE.localhost:1234", "/").await.text(), "<h1>node");
    assert_eq!(server.get(ALICE, "/").await.text(), "<h1>alice");
    assert_eq!(server.get(ALICE, "/assets/leader.3f2a9c1d.js").await.status, 404);
}

#[tokio::test]
async fn an_unknown_host_is_told_which_there_are() {
    let server = start().await;

    let answer = server.get("eve.localhost", "/").await;

    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.text(), "There is no such host here. There are: alice.localhost, node.localhost\n");
}

#[tokio::test]
async fn a_node_is_kept_to_itself_and_may_be_embedded() {
    let answer = start().await.get(NODE, "/").await;

    let expected = [
        ("cache-control", "no-cache"),
        ("content-type", "text/html; charset=utf-8"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("origin-agent-cluster", "?1"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "frame-ancestors *", "base-uri 'none'"] {
        assert!(policy.split("; ").any(|found| found == part), "{part} in {policy}");
    }
    let permissions = answer.header("permissions-policy").unwrap();
    for part in ["camera=()", "storage-access=(self)"] {
        assert!(permissions.split(", ").any(|found| found == part), "{part} in {permissions}");
    }
    assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some());
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn it_says_what_the_files_for_other_hosts_say() {
    let server = start().await;
    let paths = ["/", "/assets/leader.3f2a9c1d.js", "/assets/leader.3f2a9c1d.wasm", "/config.json", "/sdk/bitters.js"];
    for path in paths {
        let answer = server.get(NODE, path).await;
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in bitters_hosting::headers(path) {
            assert_eq!(answer.header(name), Some(value), "{name} of {path}");
        }
    }
}

#[tokio::test]
async fn a_site_is_left_alone() {
    let answer = start().await.get(ALICE, "/").await;

    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for name in [
        "content-security-policy",
        "cross-origin-embedder-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
    ] {
        assert_eq!(answer.header(name), None);
    }
}

#[tokio::test]
async fn assets_never_change() {
    let server = start().await;

    let script = server.get(NODE, "/assets/leader.3f2a9c1d.js").await;
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("cross-origin-embedder-policy"), Some("require-corp"));
    let wasm = server.get(NODE, "/assets/leader.3f2a9c1d.wasm").await;
    assert_eq!(wasm.header("content-type"), Some("application/wasm"));
    let missing = server.get(NODE, "/assets/gone.js").await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, Some("no-cache")));
}

#[tokio::test]
async fn packed_files_go_to_those_who_can_unpack() {
    let server = start().await;
    let path = "/assets/leader.3f2a9c1d.js";

    let packed = server.request("GET", NODE, path, &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(packed.text(), "packed script");
    assert_eq!(packed.header("content-encoding"), Some("br"));
    assert_eq!(packed.header("content-type"), Some("text/javascript; charset=utf-8"));
    let plain = server.get(NODE, path).await;
    assert_eq!((plain.text(), plain.header("content-encoding")), ("plain script", None));
    for answer in [&packed, &plain] {
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
    assert_ne!(packed.header("etag"), plain.header("etag"));
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let server = start().await;
    let tag = server.get(NODE, "/").await.header("etag").unwrap().to_owned();

    let again = server.request("GET", NODE, "/", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.text()), (304, ""));
    assert_eq!(again.header("cross-origin-embedder-policy"), Some("require-corp"));
    assert_eq!(server.request("GET", NODE, "/", &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn heads_and_ranges() {
    let server = start().await;

    let head = server.request("HEAD", NODE, "/", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.text()), (200, Some("8"), ""));
    let range = server.request("GET", NODE, "/", &[("range", "bytes=4-")]).await;
    assert_eq!((range.status, range.text()), (206, "node"));
    assert_eq!(server.request("POST", NODE, "/", &[]).await.status, 405);
    assert_eq!(server.request("POST", NODE, "/config.json", &[]).await.status, 405);
}

#[tokio::test]
async fn no_path_leads_out_or_to_a_hidden_file() {
    let server = start().await;

    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/a/../../secret.txt",
        "//../secret.txt",
        "/.env",
        "/%2eenv",
        "/\0",
        "/%00",
    ] {
        let answer = server.get(ALICE, path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.text().contains("not for you"), "{path}");
    }
}

#[tokio::test]
async fn the_sdk_is_for_every_site() {
    let own = start().await.get(NODE, "/sdk/bitters.js").await;
    assert_eq!(own.text(), "the node's own sdk");
    assert_eq!(own.header("access-control-allow-origin"), Some("*"));
    assert_eq!(own.header("cache-control"), Some("public, max-age=60, stale-while-revalidate=31536000"));
    assert!(own.header("etag").is_some());

    let server = start_with(|config| config.sdk = Some(config.hosts[0].dir.join("../sdk"))).await;
    assert_eq!(server.get(NODE, "/sdk/bitters.js?x=1").await.text(), "another sdk");
    assert_eq!(server.get(NODE, "/sdk/.npmrc").await.status, 404);
    assert_eq!(server.get(NODE, "/sdk/..%2fsecret.txt").await.status, 404);
    assert_eq!(server.get(ALICE, "/sdk/bitters.js").await.status, 404);
}

#[tokio::test]
async fn observers_are_added_to_the_nodes_own() {
    let server = start().await;
    let parsed = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();

    let answer = server.get(NODE, "/config.json").await;
    let observe = json!(["http://alice.localhost:8787", "https://own.example"]);
    assert_eq!(parsed(&answer.body), json!({ "observe": observe, "x": 1 }));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));

    let file = server.files.path().join("node/config.json");
    std::fs::remove_file(&file).unwrap();
    let answer = server.get(NODE, "/config.json").await;
    assert_eq!(parsed(&answer.body), json!({ "observe": ["http://alice.localhost:8787"] }));

    std::fs::write(&file, "[]").unwrap();
    assert_eq!(server.get(NODE, "/config.json").await.status, 500);
}

#[tokio::test]
async fn a_request_that_is_none_is_answered() {
    let server = start().await;

    assert_eq!(server.raw("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.status, 404);
    assert_eq!(server.raw("nonsense\r\n\r\n").await.status, 400);
    let long = "x".repeat(100_000);
    assert_eq!(server.raw(&format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n")).await.status, 431);
    assert_eq!(server.get(NODE, "/").await.status, 200);
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: node.localhost\r\nx: ").await.unwrap();
    tokio::time::pause();
    let begun = Instant::now();

    let drip = async {
        while stream.write_all(b"x").await.is_ok() {
            // Of a clock that is paused: no time passes.
            sleep(Duration::from_secs(1)).await;
        }
    };

    assert!(timeout(Duration::from_secs(60), drip).await.is_ok());
    assert!((15..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn it_says_what_is_wrong() {
    let server = start().await;
    let files = files();
    let wrong = async |change: &dyn Fn(&mut Config)| {
        let mut config = config(files.path());
        change(&mut config);
        serve(config).await.unwrap_err()
    };

    let in_use = wrong(&|config| config.listen.push(server.addr)).await;
    assert!(matches!(in_use, ServeError::AddressInUse { addr } if addr == server.addr), "{in_use}");
    let gone = wrong(&|config| config.hosts[0].dir.push("gone")).await;
    assert!(matches!(gone, ServeError::NotADirectory { ref dir } if dir.ends_with("node/gone")), "{gone}");
    let origin = wrong(&|config| config.observe.push("http://a/".into())).await;
    assert!(matches!(origin, ServeError::BadOrigin { .. }), "{origin}");
    assert!(matches!(wrong(&|config| config.listen.clear()).await, ServeError::NoAddress));
}

#[tokio::test]
async fn several_addresses_and_real_ports() {
    let server = start_with(|config| config.listen.push("[::1]:0".parse().unwrap())).await;

    let [v4, v6] = server.running.addrs[..] else { panic!("two addresses: {:?}", server.running.addrs) };
    assert!(v4.port() != 0 && v6.port() != 0 && v6.is_ipv6());
    let mut expected: Vec<_> = [NODE, ALICE]
        .into_iter()
        .flat_map(|name| [v4, v6].map(|addr| format!("http://{name}:{}/", addr.port())))
        .collect();
    expected.sort();
    let mut urls = server.running.urls();
    urls.sort();
    assert_eq!(urls, expected);
    let through_v6 = support::Server { addr: v6, ..server };
    assert_eq!(through_v6.get(NODE, "/").await.text(), "<h1>node");
}
