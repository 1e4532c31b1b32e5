//! Certificates from an authority: Debian's `pebble`, which is Let's Encrypt's own for tests.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]
#![cfg(unix)]

mod support;

use std::{fs, net::Ipv4Addr, path::Path, process::Stdio, time::Duration};

use bitters_revproxy::Config;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use support::{
    Server, ask, free_port, get, head, start_with,
    tls::{connect, connect_as},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

#[tokio::test]
async fn a_certificate_is_got_kept_and_served() {
    let Some(mut pebble) = Pebble::start().await else { return };
    let cache = tempfile::tempdir().unwrap();

    let server = pebble.server(cache.path()).await;
    let root = pebble.issuer().await;
    let first = certificate(&server, &root).await;
    assert_eq!(metric(&server, "revproxy_tls_certificate_end_seconds").await, 1);
    // The authority's challenge is nobody's request.
    assert_eq!(metric(&server, "revproxy_http_requests_total").await, 0);
    let mut kept: Vec<_> = fs::read_dir(cache.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    kept.sort();
    let kept: Vec<_> = kept.iter().map(|name| name.to_str().unwrap().rsplit_once("dir.").unwrap().1).collect();
    assert_eq!(kept, ["account.json", "certificate.pem"]);
    server.running.shutdown().await;

    // The next run needs no authority.
    pebble.stop().await;
    let again = pebble.server(cache.path()).await;
    assert_eq!(presented(&again, &root).await, Some(first));
}

#[tokio::test]
async fn an_account_that_the_authority_forgot_is_made_anew() {
    let Some(mut pebble) = Pebble::start().await else { return };
    let cache = tempfile::tempdir().unwrap();
    let server = pebble.server(cache.path()).await;
    certificate(&server, &pebble.issuer().await).await;
    server.running.shutdown().await;

    // It forgets everything when it starts again, and the certificate is lost too.
    pebble.stop().await;
    pebble.run().await;
    let file = |end: &str| {
        let all = fs::read_dir(cache.path()).unwrap().map(|file| file.unwrap().path());
        all.filter(|path| path.to_string_lossy().ends_with(end)).collect::<Vec<_>>()
    };
    fs::remove_file(&file("certificate.pem")[0]).unwrap();
    let server = pebble.server(cache.path()).await;
    let forgotten = async {
        // Files tell nobody that they are gone.
        while !file("account.json").is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), forgotten).await.expect("the account is forgotten");
    // Asked again after a minute, which passes at once here.
    tokio::time::pause();
    sleep(Duration::from_secs(61)).await;
    tokio::time::resume();

    certificate(&server, &pebble.issuer().await).await;
}

#[tokio::test]
async fn an_authority_that_is_not_there_takes_nothing_down() {
    let cache = tempfile::tempdir().unwrap();
    let nobody = free_port();
    let server = start_with(|config| {
        watch(config);
        config.redirect = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        config.acme.domains = vec!["node.localhost".into()];
        config.acme.cache = Some(cache.path().into());
        config.acme.directory = format!("https://127.0.0.1:{nobody}/dir");
    });
    let server = server.await;

    let own = rcgen::generate_simple_self_signed(["node.localhost".into()]).unwrap();
    assert!(connect(server.addr, own.cert.der()).await.is_err());
    assert_eq!(get(server.running.admin.unwrap(), "localhost", "/health").await.status, 200);
    assert_eq!(get(server.running.redirects[0], "node.localhost", "/").await.status, 308);
    assert_eq!(metric(&server, "revproxy_tls_certificate_end_seconds").await, 0);
    server.running.shutdown().await;
}

/// The authority, and a name server that says that every name is here.
struct Pebble {
    processes: Vec<Child>,
    files: TempDir,
    own: CertificateDer<'static>,
    directory: u16,
    management: u16,
    /// Where it looks for us.
    tls: u16,
}

impl Pebble {
    /// `None`, and says why, where it isn't installed.
    async fn start() -> Option<Self> {
        if Command::new("pebble").arg("-help").output().await.is_err() {
            eprintln!("skipped: pebble is not installed (Debian has it as a package)");
            return None;
        }
        // Why an order failed is told by nothing else.
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let files = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
        fs::write(files.path().join("own.pem"), own.cert.pem()).unwrap();
        fs::write(files.path().join("own.key"), own.signing_key.serialize_pem()).unwrap();
        let [directory, management, tls] = [free_port(), free_port(), free_port()];
        let own = own.cert.der().clone();
        let mut pebble = Self { processes: Vec::new(), files, own, directory, management, tls };
        pebble.run().await;
        Some(pebble)
    }

    /// It keeps nothing from one run to the next.
    async fn run(&mut self) {
        let file = |name: &str| self.files.path().join(name);
        let here = |port| format!("127.0.0.1:{port}");
        let config = json!({ "pebble": {
            "listenAddress": here(self.directory),
            "managementListenAddress": here(self.management),
            "certificate": file("own.pem"),
            "privateKey": file("own.key"),
            "httpPort": 1,
            "tlsPort": self.tls,
        }});
        fs::write(file("pebble.json"), config.to_string()).unwrap();
        let resolving = free_port();
        let names = here(resolving);
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &names]);
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", &here(free_port())]);
        let mut authority = Command::new("pebble");
        authority.arg("-config").arg(file("pebble.json")).args(["-dnsserver", &names]).env("PEBBLE_VA_NOSLEEP", "1");
        // It refuses one nonce in twenty else, to see what clients do: an order that failed is tried again after a minute.
        authority.env("PEBBLE_WFE_NONCEREJECT", "0");
        self.processes.push(started(&mut resolver, "Starting management server").await);
        self.processes.push(started(&mut authority, "ACME directory available").await);
        // They say so a moment before it is so.
        for port in [resolving, self.directory, self.management] {
            let reached = async {
                // Refused at once while nobody listens.
                while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(Duration::from_secs(20), reached).await.expect("it listens");
        }
    }

    async fn stop(&mut self) {
        for mut child in self.processes.drain(..) {
            child.kill().await.unwrap();
        }
    }

    /// A server of ours that asks it.
    async fn server(&self, cache: &Path) -> Server {
        let server = start_with(|config| {
            watch(config);
            config.listen = vec![(Ipv4Addr::LOCALHOST, self.tls).into()];
            config.acme.domains = vec!["node.localhost".into(), "alice.localhost".into()];
            config.acme.email = Some("someone@example.org".into());
            config.acme.cache = Some(cache.into());
            config.acme.directory = format!("https://localhost:{}/dir", self.directory);
            config.acme.root = Some(self.files.path().join("own.pem"));
        });
        server.await
    }

    /// The root that it signs with.
    async fn issuer(&self) -> CertificateDer<'static> {
        let addr = (Ipv4Addr::LOCALHOST, self.management).into();
        let stream = connect_as("localhost", addr, &self.own).await.unwrap();
        let answer = ask(stream, &head("GET", "localhost", "/roots/0")).await;
        CertificateDer::from_pem_slice(&answer.body).unwrap()
    }
}

fn watch(config: &mut Config) {
    config.admin = Some((Ipv4Addr::LOCALHOST, 0).into());
}

/// The certificate that the server shows, once it has one.
async fn certificate(server: &Server, root: &CertificateDer<'static>) -> CertificateDer<'static> {
    let shown = async {
        loop {
            if let Some(shown) = presented(server, root).await {
                return shown;
            }
            // The server tells nobody outside that it has got one.
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), shown).await.expect("there is a certificate")
}

async fn presented(server: &Server, root: &CertificateDer<'static>) -> Option<CertificateDer<'static>> {
    let stream = connect(server.addr, root).await.ok()?;
    let (_, connection) = stream.get_ref();
    Some(connection.peer_certificates()?.first()?.clone())
}

/// How many samples of this name there are.
async fn metric(server: &Server, name: &str) -> usize {
    let metrics = get(server.running.admin.unwrap(), "localhost", "/metrics").await;
    metrics.text().lines().filter(|line| line.starts_with(name)).count()
}

/// Starts a program, and waits until it has written `sign`. What it writes later is read and dropped.
async fn started(command: &mut Command, sign: &str) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = async { while !lines.next_line().await.unwrap().expect("it runs").contains(sign) {} };
    timeout(Duration::from_secs(60), seen).await.unwrap_or_else(|_| panic!("{sign}"));
    tokio::spawn(async move {
        let mut rest = lines.into_inner();
        let _ = rest.read_to_end(&mut Vec::new()).await;
    });
    child
}
