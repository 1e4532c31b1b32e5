//! The command as people and scripts run it.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]
#![cfg(unix)]

mod support;

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use support::files;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
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
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().await.unwrap().success());
    timeout(Duration::from_secs(2), child.wait()).await.expect("stopped in time").unwrap()
}
