//! What is in `deploy/`, as far as it can be tried without a service manager or a container engine.

#![allow(clippy::unwrap_used, reason = "what a test can't do fails it")]
#![cfg(unix)]

use std::{fs, os::unix::net::UnixDatagram, process::Command, process::Stdio, time::Duration};

const REVPROXY: &str = env!("CARGO_BIN_EXE_revproxy");

/// Of 100, at most: `systemd-analyze security` calls 50 and more `MEDIUM` or worse, and gives this unit 16.
const EXPOSURE: &str = "--threshold=20";

#[test]
fn systemd_knows_every_word_of_the_unit_and_finds_it_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("revproxy.service");
    let text = include_str!("../deploy/revproxy.service").replace("/usr/local/bin/revproxy", REVPROXY);
    assert!(text.contains(REVPROXY));
    fs::write(&unit, text).unwrap();

    let verified = Command::new("systemd-analyze").arg("verify").arg(&unit).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    let security = ["security", "--no-pager", "--offline=true", EXPOSURE];
    let secured = Command::new("systemd-analyze").args(security).arg(&unit).output().unwrap();
    assert!(secured.status.success(), "{}", String::from_utf8_lossy(&secured.stdout));
}

#[test]
fn a_service_manager_hears_of_the_start_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let hear = || {
        let mut word = [0; 64];
        let len = manager.recv(&mut word).unwrap();
        String::from_utf8(word[..len].to_vec()).unwrap()
    };

    let mut command = Command::new(REVPROXY);
    command.args(["--listen", "127.0.0.1:0"]).env_remove("RUST_LOG").env("NOTIFY_SOCKET", &path);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ready = hear();
    let told = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    let stopping = hear();

    assert!(told.success());
    assert_eq!((ready.trim_end(), stopping.trim_end()), ("READY=1", "STOPPING=1"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_the_container_sets_is_what_the_command_takes() {
    let text = include_str!("../deploy/Containerfile");
    let variables: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('=')).collect();

    let mut command = Command::new(REVPROXY);
    command.arg("--print-config").arg("--check").env_clear().envs(variables.iter().copied());
    let shown = command.output().unwrap();

    assert!(shown.status.success(), "{shown:?}");
    let shown: toml::Table = std::str::from_utf8(&shown.stdout).unwrap().parse().unwrap();
    assert_eq!(variables.len(), 4);
    assert_eq!(shown["listen"], vec!["[::]:8443"].into());
    assert_eq!(shown["acme"]["cache"], "/var/lib/revproxy".into());
    assert_eq!(shown["log"]["format"], "json".into());
    // What the health check asks is what listens.
    let admin = shown["admin"].as_str().unwrap();
    assert!(text.contains(&format!(r#"CMD ["/revproxy", "--health", "http://{admin}/health"]"#)));
}
