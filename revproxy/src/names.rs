//! What this server is called.
//!
//! A node signs the name that it knows the server by, so that what it signs for one server is worth nothing at another. That holds as long
//! as no server answers to another's name: a connection that calls us otherwise is somebody who passes on what was meant for them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use axum::http::uri::Authority;

use crate::config::Config;

/// All names, in lower case.
#[derive(Debug)]
pub(crate) struct Names {
    /// As they are written, with their port if they have one.
    given: BTreeSet<String>,
    hosts: BTreeSet<String>,
    addrs: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

impl Names {
    /// Those of a configuration whose listeners have the addresses `tcp`.
    pub(crate) fn new(config: &Config, tcp: &[SocketAddr]) -> Self {
        let hosts = config.hosts.iter().map(|host| &host.name).chain(&config.acme.domains).chain(&config.names);
        let addrs = tcp.iter().chain(&config.public);
        Self {
            given: config.names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            hosts: hosts.map(|name| name.to_ascii_lowercase()).collect(),
            addrs: addrs.clone().map(|addr| addr.ip().to_canonical()).collect(),
            ports: addrs.map(SocketAddr::port).collect(),
        }
    }

    /// Whether a client that came to our address `local` may call us so: by the value of its Host header, in lower case.
    pub(crate) fn has(&self, called: &str, local: IpAddr) -> bool {
        let authority = called.parse::<Authority>().ok().filter(|authority| !authority.as_str().contains('@'));
        let Some(authority) = authority else { return false };
        let known_port = authority.port_u16().is_none_or(|port| self.ports.contains(&port));
        self.given.contains(called) || known_port && self.has_host(authority.host(), local)
    }

    /// Names below `localhost` are this machine's for every browser (RFC 6761, 6.3).
    fn has_host(&self, host: &str, local: IpAddr) -> bool {
        let addr = host.trim_matches(['[', ']']).parse::<IpAddr>().map(|addr| addr.to_canonical());
        match addr {
            Ok(addr) => addr == local.to_canonical() || self.addrs.contains(&addr),
            Err(_) => self.hosts.contains(host) || host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Host, HostKind};

    #[test]
    fn only_what_is_ours_is_a_name() {
        let config = Config {
            names: vec!["Other.example".into(), "mapped.example:9443".into()],
            hosts: vec![Host { name: "Node.example".into(), dir: ".".into(), kind: HostKind::Node }],
            public: vec!["192.0.2.1:443".parse().unwrap()],
            ..Config::default()
        };
        let names = Names::new(&config, &["[::]:8443".parse().unwrap()]);
        let has = |called: &str| names.has(called, "::ffff:10.0.0.1".parse().unwrap());

        let ours = ["node.example", "node.example:8443", "node.example:443", "other.example", "mapped.example:9443"];
        assert!(ours.into_iter().all(has));
        let ours = ["localhost:8443", "alice.localhost", "10.0.0.1:8443", "192.0.2.1", "192.0.2.1:443"];
        assert!(ours.into_iter().all(has));
        let others =
            ["", "evil.example", "node.example:9000", "node.example.evil", "evilnode.example", "mapped.example"];
        assert!(!others.into_iter().any(has));
        let others = ["notlocalhost", "192.0.2.2", "192.0.2.1:9000", "user@node.example", "node.example/", "[::1]"];
        assert!(!others.into_iter().any(has));
    }
}
