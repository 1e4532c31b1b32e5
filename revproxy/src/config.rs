//! What to serve.

use std::{collections::BTreeSet, io, net::SocketAddr, path::PathBuf};

use axum::http::{Uri, uri::Authority};

use crate::core::rendezvous;

/// What to serve, and where.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Addresses to listen on; port 0 is any free one.
    pub listen: Vec<SocketAddr>,
    /// Host names and their files.
    pub hosts: Vec<Host>,
    /// Files of `/sdk/` on node hosts; without it they are the node's own `sdk/`.
    pub sdk: Option<PathBuf>,
    /// Origins that may see the whole node, added to those in a node's own `config.json`.
    pub observe: Vec<String>,
    /// The bounds of the rendezvous.
    pub rendezvous: rendezvous::Config,
}

/// One host name and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name, without a port.
    pub name: String,
    /// Its files.
    pub dir: PathBuf,
    /// Whose files they are.
    pub kind: HostKind,
}

/// Whose files a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// A node: pages to be embedded, workers and wasm, kept strictly to themselves.
    Node,
    /// A site that embeds a node.
    Site,
}

/// Why serving can't start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error("{addr} is in use already")]
    AddressInUse {
        /// Where.
        addr: SocketAddr,
    },
    /// Not a host name.
    #[error("{name:?} is not a host name (without a port)")]
    BadHost {
        /// What was given.
        name: String,
    },
    /// Not an origin.
    #[error("{origin:?} is not an origin (scheme://host or scheme://host:port, in lower case)")]
    BadOrigin {
        /// What was given.
        origin: String,
    },
    /// An address can't be listened on.
    #[error("can't listen on {addr}: {source}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// One host name has two sets of files.
    #[error("{name} was given twice")]
    HostTwice {
        /// Which.
        name: String,
    },
    /// Nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// Files that aren't there.
    #[error("{} is not a directory", dir.display())]
    NotADirectory {
        /// What was given.
        dir: PathBuf,
    },
}

impl Config {
    /// Checks everything that can be checked before listening.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        if self.listen.is_empty() {
            return Err(ServeError::NoAddress);
        }
        let mut names = BTreeSet::new();
        for Host { name, .. } in &self.hosts {
            if !is_host(name) {
                return Err(ServeError::BadHost { name: name.clone() });
            }
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(ServeError::HostTwice { name: name.clone() });
            }
        }
        if let Some(dir) = self.hosts.iter().map(|host| &host.dir).chain(&self.sdk).find(|dir| !dir.is_dir()) {
            return Err(ServeError::NotADirectory { dir: dir.clone() });
        }
        match self.observe.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => Err(ServeError::BadOrigin { origin: origin.clone() }),
            None => Ok(()),
        }
    }
}

fn is_host(name: &str) -> bool {
    name.parse::<Authority>().is_ok_and(|authority| authority.host() == name)
}

/// Whether this is an origin as browsers serialise it (HTML, 7.1.1): anything else would never match.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    text == format!("{scheme}://{authority}").to_ascii_lowercase() && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_without_a_port() {
        assert!(["node.localhost", "a-b.example", "127.0.0.1", "[::1]"].into_iter().all(is_host));
        assert!(!["", "a:80", "a/b", "a b", "u@a", "http://a"].into_iter().any(is_host));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(["http://a.localhost:8787", "https://a.example", "http://[::1]:80"].into_iter().all(is_origin));
        assert!(
            !["a.example", "http://a.example/", "http://A.example", "http://u@a", "*", ""].into_iter().any(is_origin)
        );
    }

    #[test]
    fn a_host_has_one_set_of_files() {
        let host = |name: &str| Host { name: name.into(), dir: ".".into(), kind: HostKind::Site };
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            hosts: vec![host("a.localhost"), host("A.localhost")],
            ..Config::default()
        };

        assert!(matches!(config.check(), Err(ServeError::HostTwice { name }) if name == "A.localhost"));
    }
}
