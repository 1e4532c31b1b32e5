//! Serving what was built, with the rendezvous, until Ctrl-C.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::workspace::Workspace;

/// Free ports are tried this often: one that is free on one loopback address may be taken on the other.
const TRIES: usize = 16;

/// A folder that is served as `http://NAME.localhost`.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    name: String,
    dir: PathBuf,
}

impl FromStr for Served {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, dir) = text.split_once('=').ok_or("expected NAME=DIR")?;
        let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty()
            || name.len() > 63
            || name.starts_with('-')
            || name.ends_with('-')
            || !name.bytes().all(is_label)
        {
            return Err(format!("{name:?} can't be part of a host's name: use a to z, 0 to 9 and hyphens"));
        }
        if ["alice", "bob", "guestbook", "node"].contains(&name) {
            return Err(format!("{name}.localhost is served already: choose another name"));
        }
        let dir = fs::canonicalize(dir).map_err(|error| format!("{dir}: {error}"))?;
        if !dir.is_dir() {
            return Err(format!("{} isn't a folder", dir.display()));
        }
        Ok(Self { name: name.to_owned(), dir })
    }
}

/// Builds, and serves until it is told to stop. stdout gets the server's own lines: the URLs, then `ready`.
pub fn serve(workspace: &Workspace, port: u16, release: bool, sites: &[Served]) -> Result<()> {
    build::build(workspace, release)?;
    let server = build::server(workspace, release)?;
    let addrs = loopback(port)?;
    let status = workspace.command(server).args(arguments(workspace, &addrs, sites)).inherit()?;
    if !status.success() {
        bail!("revproxy ended by itself ({status})");
    }
    Ok(())
}

fn arguments(workspace: &Workspace, addrs: &[SocketAddr], sites: &[Served]) -> Vec<String> {
    let port = addrs.first().map_or(0, SocketAddr::port);
    let demo = ["alice", "bob"].map(|name| Served { name: name.to_owned(), dir: workspace.dist("sites").join(name) });
    let nodes = ["node", "guestbook"].map(|name| ["--node".to_owned(), host(name, &workspace.dist(name))]);
    let listen = addrs.iter().map(|addr| ["--listen".to_owned(), addr.to_string()]);
    let sites = demo.iter().chain(sites).flat_map(|site| {
        let origin = format!("http://{}.localhost:{port}", site.name);
        [["--site".to_owned(), host(&site.name, &site.dir)], ["--observe".to_owned(), origin]]
    });
    listen.chain(nodes).chain(sites).flatten().collect()
}

fn host(name: &str, dir: &std::path::Path) -> String {
    format!("{name}.localhost={}", dir.display())
}

/// The loopback addresses of this machine, with a port that is free on all of them.
fn loopback(port: u16) -> Result<Vec<SocketAddr>> {
    let six_works = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    for _ in 0..TRIES {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
        let four =
            four.with_context(|| format!("port {port} of 127.0.0.1 can't be listened on: choose another with --port"))?;
        if !six_works {
            return Ok(vec![four]);
        }
        match TcpListener::bind((Ipv6Addr::LOCALHOST, four.port())).and_then(|listener| listener.local_addr()) {
            Ok(six) => return Ok(vec![four, six]),
            Err(_) if port == 0 => continue,
            Err(error) => bail!("port {port} of [::1] can't be listened on ({error}): choose another with --port"),
        }
    }
    bail!("no port is free on both loopback addresses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_a_name_and_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap();
        let site: Served = format!("my-shop={}", dir.path().display()).parse().unwrap();
        assert_eq!(site, Served { name: "my-shop".to_owned(), dir: path });
    }

    #[test]
    fn a_site_that_cannot_be_served_is_refused() {
        for text in ["shop", "=/", "Shop=/", "-shop=/", "a.b=/", "node=/", "shop=/no/such/folder", "shop=/dev/null"] {
            assert!(text.parse::<Served>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_free_port_is_the_same_on_all_addresses() {
        let addrs = loopback(0).unwrap();
        assert!(addrs.iter().all(|addr| addr.ip().is_loopback() && addr.port() == addrs[0].port() && addr.port() != 0));
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        let error = loopback(taken).unwrap_err().to_string();
        assert!(error.contains(&taken.to_string()) && error.contains("--port"), "{error}");
        drop(held);
    }
}
