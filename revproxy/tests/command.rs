//! The command as people and scripts run it.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]
#![cfg(unix)]

mod support;

use std::{
    fs,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bitters_revproxy::{Config, Host, HostKind, core::rendezvous::Rate};
use serde_json::{Value, json};
use support::{ask, files, free_port, get, head};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};

#[tokio::test]
async fn it_prints_addresses_then_ready_and_stops_when_told() {
    for signal in ["INT", "TERM"] {
        let files = files();
        let dir = |name: &str| format!("{name}.localhost={}", files.path().join(name).display());
        let args = ["--listen", "127.0.0.1:0", "--node", &dir("node"), "--site", &dir("alice")];
        let (mut child, mut lines) = spawn(&args, &[]);

        let first = line(&mut lines).await;
        let port = first.strip_prefix("http://node.localhost:").and_then(|rest| rest.strip_suffix('/'));
        let port: u16 = port.unwrap_or_else(|| panic!("{first}")).parse().unwrap();
        assert_eq!(line(&mut lines).await, format!("http://alice.localhost:{port}/"));
        assert_eq!(line(&mut lines).await, "ready");
        TcpStream::connect(("127.0.0.1", port)).await.unwrap();

        assert_eq!(stop(&mut child, signal).await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn options_come_from_the_environment_too() {
    let files = files();
    let sites = ["alice", "node"].map(|name| format!("{name}.example={}", files.path().join(name).display()));
    let (mut child, mut lines) = spawn(&[], &[("REVPROXY_LISTEN", "127.0.0.1:0"), ("REVPROXY_SITE", &sites.join(","))]);

    assert!(line(&mut lines).await.starts_with("http://alice.example:"));
    assert!(line(&mut lines).await.starts_with("http://node.example:"));
    assert_eq!(line(&mut lines).await, "ready");
    assert_eq!(stop(&mut child, "TERM").await.code(), Some(0));
}

#[tokio::test]
async fn it_says_what_is_wrong() {
    for (args, expected) in [
        (
            &["--listen", "127.0.0.1:0", "--node", "n.localhost=/nowhere/at/all"][..],
            "/nowhere/at/all is not a directory",
        ),
        (&["--node", "n.localhost"], "expected HOST=DIR"),
        (&["--listen", "127.0.0.1:0", "--observe", "a.localhost"], "is not an origin"),
        (&["--listen", "127.0.0.1:0", "--log", "=[["], "--log"),
        (&["--tls-cert", "cert.pem"], "tls.key: it is missing, and tls.cert is there"),
        (&["--config", "/nowhere/revproxy.toml"], "/nowhere/revproxy.toml can't be read"),
        (&["--trusted-proxy", "everybody"], "invalid value 'everybody' for '--trusted-proxy <CIDR>'"),
        (&["--no-proxy", "--udp", "127.0.0.1:0"], "cannot be used with"),
        (&["--health", "https://a"], "is not a URL such as http://127.0.0.1:9090/health"),
    ] {
        let output = command(args).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn help_tells_all() {
    let output = command(&["--help"]).output().await.unwrap();
    let help = String::from_utf8_lossy(&output.stdout);
    for option in ["--listen", "--node", "--site", "--sdk", "--observe", "--log", "REVPROXY_NODE", "/rendezvous"] {
        assert!(help.contains(option), "{option}");
    }
    for option in ["--config", "--check", "--print-config", "--health", "--udp", "--public", "--no-proxy", "--tls-cert"]
    {
        assert!(help.contains(option), "{option}");
    }
    for option in ["--acme-domain", "--acme-staging", "--redirect", "--admin", "--trusted-proxy", "--grace"] {
        assert!(help.contains(option), "{option}");
    }
}

#[tokio::test]
async fn flags_lie_over_variables_over_the_file_over_the_defaults() {
    let files = files();
    let file = files.path().join("revproxy.toml");
    let text = "grace = '1s'\nobserve = ['http://file']\nlog.filter = 'warn'\n[rendezvous]\ntopics = 7\n\
                signals-first = { burst = 1, per-second = 2 }\n[[hosts]]\nname = 'a.example'\ndir = '.'\nkind = 'site'\n";
    fs::write(&file, text).unwrap();
    let mut command = command(&["--print-config", "--grace", "3s", "--node", "n.example=."]);
    command.env("REVPROXY_CONFIG", &file);
    command.env("REVPROXY_GRACE", "2s").env("REVPROXY_OBSERVE", "http://b,http://c").env("REVPROXY_NO_PROXY", "true");

    let output = command.output().await.unwrap();

    let shown: Config = toml::from_str(std::str::from_utf8(&output.stdout).unwrap()).unwrap();
    let mut expected = Config {
        grace: Duration::from_secs(3),
        observe: vec!["http://b".into(), "http://c".into()],
        udp: Some(Vec::new()),
        hosts: [("a.example", HostKind::Site), ("n.example", HostKind::Node)]
            .map(|(name, kind)| Host { name: name.into(), dir: ".".into(), kind })
            .into(),
        ..Config::default()
    };
    expected.log.filter = "warn".into();
    expected.rendezvous.topics = 7;
    expected.rendezvous.signals_first = Rate { burst: 1, per_second: 2 };
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_said_with_its_file_and_key() {
    let files = files();
    let file = files.path().join("revproxy.toml");
    for (text, expected) in [
        ("lisen = []", &["unknown field `lisen`", "expected one of", "`listen`"][..]),
        ("[rendezvous]\ntopic = 1", &["unknown field `topic`", "`topics`"]),
        ("[rendezvous]\nenter-timeout = '10 parsecs'", &["line 2", "enter-timeout", "expected a duration"]),
        ("[rendezvous]\nbytes = { burst = -1, per-second = 1 }", &["bytes = { burst = -1", "expected u32"]),
        ("listen = ['localhost']", &["listen = ['localhost']", "invalid socket address"]),
        ("log.format = 'xml'", &["unknown variant `xml`", "`json`", "`text`"]),
        ("grace = 10", &["grace = 10", "duration"]),
        ("a b", &["line 1, column 3"]),
        ("observe = ['a.localhost']", &["\"a.localhost\" is not an origin"]),
    ] {
        fs::write(&file, text).unwrap();
        let output = command(&["--check", "--config", file.to_str().unwrap()]).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{text}");
        assert!(said.contains("is not an origin") || said.contains("revproxy.toml"), "{text}: {said}");
        for part in expected {
            assert!(said.contains(part), "{text}: no {part:?} in {said}");
        }
    }
}

#[tokio::test]
async fn checking_listens_nowhere() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();

    let output = command(&["--check", "--listen", &addr]).output().await.unwrap();

    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn health_is_asked_by_the_command_itself() {
    let admin = free_port();
    let url = format!("http://127.0.0.1:{admin}/health");
    let ask = async || command(&["--health", &url]).output().await.unwrap();
    assert!(!ask().await.status.success());

    let args = ["--listen", "127.0.0.1:0", "--admin", &format!("127.0.0.1:{admin}")];
    let (mut child, mut lines) = spawn(&args, &[]);
    assert_eq!(line(&mut lines).await, "ready");
    assert!(ask().await.status.success());
    let other = command(&["--health", &url.replace("health", "none")]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&other.stderr).contains("404"), "{other:?}");

    // A hangup stops nothing.
    tell(&child, "HUP").await;
    assert!(ask().await.status.success());
    assert_eq!(stop(&mut child, "TERM").await.code(), Some(0));
    assert!(!ask().await.status.success());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let files = files();
    fs::write(files.path().join("alice/large"), vec![0; 32 * 1024 * 1024]).unwrap();
    let site = format!("alice.localhost={}", files.path().join("alice").display());
    let admin = free_port();
    let args = ["--listen", "127.0.0.1:0", "--admin", &format!("127.0.0.1:{admin}"), "--site", &site, "--grace", "1h"];
    let (mut child, mut lines) = spawn(&args, &[]);
    let url = line(&mut lines).await;
    let addr = url.trim_start_matches("http://alice.localhost:").trim_end_matches('/');
    let mut download = TcpStream::connect(("127.0.0.1", addr.parse().unwrap())).await.unwrap();
    download.write_all(head("GET", "alice.localhost", "/large").as_bytes()).await.unwrap();
    download.read_exact(&mut [0]).await.unwrap();

    tell(&child, "TERM").await;
    let admin = ([127, 0, 0, 1], admin).into();
    while get(admin, "localhost", "/health").await.status == 200 {}
    assert_eq!(child.try_wait().unwrap(), None);

    assert_eq!(stop(&mut child, "INT").await.code(), Some(1));
}

#[tokio::test]
async fn a_log_line_can_be_an_object() {
    let args = ["--listen", "127.0.0.1:0", "--log-format", "json"];
    let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();

    let line = timeout(Duration::from_secs(10), lines.next_line()).await.unwrap().unwrap().unwrap();

    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("listening")));
    assert!(line["addr"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    stop(&mut child, "TERM").await;
}

#[tokio::test]
async fn nothing_of_a_client_is_logged_unless_asked_for() {
    let files = files();
    let site = format!("alice.localhost={}", files.path().join("alice").display());
    let args = ["--listen", "127.0.0.1:0", "--site", &site, "--trusted-proxy", "127.0.0.1/32"];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = line(&mut lines).await;
    let port: u16 = url.trim_start_matches("http://alice.localhost:").trim_end_matches('/').parse().unwrap();
    let request =
        "GET /secret-path HTTP/1.1\r\nhost: alice.localhost\r\nx-forwarded-for: 192.0.2.77\r\n\r\nnonsense\r\n\r\n";
    ask(TcpStream::connect(("127.0.0.1", port)).await.unwrap(), request).await;

    stop(&mut child, "TERM").await;

    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(log.contains("listening"), "{log}");
    assert!(!log.contains("192.0.2.77") && !log.contains("secret-path"), "{log}");
}

fn spawn(args: &[&str], env: &[(&str, &str)]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command(args).envs(env.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_revproxy"));
    command.args(args).env_remove("RUST_LOG").kill_on_drop(true);
    command
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    timeout(Duration::from_secs(10), lines.next_line()).await.unwrap().unwrap().expect("another line")
}

async fn stop(child: &mut Child, signal: &str) -> ExitStatus {
    tell(child, signal).await;
    timeout(Duration::from_secs(2), child.wait()).await.expect("stopped in time").unwrap()
}

async fn tell(child: &Child, signal: &str) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
}
