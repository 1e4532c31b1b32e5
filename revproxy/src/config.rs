//! What to serve, where and within which bounds. The TOML file of the command is this, written down.

mod error;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use axum::http::{Uri, uri::Authority};
pub use error::ServeError;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    certificates::Source,
    core::{proxy, rendezvous},
    tls,
};

/// What to serve, and where. In TOML, every key may be left out: it then has its [`Default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Addresses to listen on for HTTP, or for HTTPS where there are certificates; port 0 is any free one. `[::]` takes IPv4 too,
    /// unless `0.0.0.0` is listened on at the same port.
    pub listen: Vec<SocketAddr>,
    /// Addresses where plain HTTP is answered with the same URL in HTTPS. Needs certificates.
    pub redirect: Vec<SocketAddr>,
    /// Where metrics and health are told, in plain HTTP. Whoever reaches it may read them.
    pub admin: Option<SocketAddr>,
    /// Addresses to listen on for proxied dials, over UDP; STUN is answered at the port after each. Port 0 is any free pair. `None`:
    /// those of [`listen`](Self::listen), with the same port numbers where these are not 0. An empty list switches the proxy off.
    pub udp: Option<Vec<SocketAddr>>,
    /// Where browsers reach the UDP sockets, for a server behind an address translator or with unspecified addresses. Empty: the
    /// sockets' own addresses.
    pub public: Vec<SocketAddr>,
    /// What browsers call this server, beside the hosts, its addresses and `localhost`: a host, with its port where that isn't one that
    /// is listened on. The rendezvous answers to no other name.
    pub names: Vec<String>,
    /// Files of `/sdk/` on node hosts; without it they are the node's own `sdk/`.
    pub sdk: Option<PathBuf>,
    /// Origins that may see the whole node, added to those in a node's own `config.json`.
    pub observe: Vec<String>,
    /// HTTP proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed. From others they are ignored.
    pub trusted_proxies: Vec<IpNet>,
    /// What is under way may take this long when the server stops.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// Certificates by ACME; off without domains.
    pub acme: Acme,
    /// Host names and their files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// The bounds of HTTP connections.
    pub http: Http,
    /// What the command logs; a library's logger is its user's.
    pub log: Log,
    /// The bounds of the proxy.
    pub proxy: proxy::Config,
    /// The bounds of the rendezvous.
    pub rendezvous: rendezvous::Config,
    /// Certificates by files; off without files.
    pub tls: TlsFiles,
}

/// Certificates by ACME (RFC 8555), proven by TLS-ALPN-01 (RFC 8737): one of the addresses that are listened on must be reached at
/// port 443 of each domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Acme {
    /// The names to be certified, all in one certificate. Naming one agrees to the terms of the authority.
    pub domains: Vec<String>,
    /// Where the authority may write to.
    pub email: Option<String>,
    /// A directory of our own for the account and the certificate, kept between runs: authorities count how many they give out.
    pub cache: Option<PathBuf>,
    /// The authority's directory.
    pub directory: String,
    /// A PEM file with the one root that the directory's own certificate goes back to, for an authority of one's own. `None`: the
    /// system's roots.
    pub root: Option<PathBuf>,
}

/// Certificates by PEM files, which are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsFiles {
    /// The certificate, and those between it and a root.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// The bounds of HTTP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// At once, with those that still shake hands; further ones wait in the kernel. Sockets of the rendezvous are counted there.
    pub connections: usize,
    /// Of one source (an IPv4 address or an IPv6 /64) at once, unless it is a trusted proxy; further ones are closed.
    pub connections_per_source: usize,
    /// For the TLS handshake.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// For a request's headers, also on a connection kept alive.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// After this a connection ends, however slowly its client reads.
    #[serde(with = "humantime_serde")]
    pub lifetime: Duration,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// A level, or a filter by module such as `bitters_revproxy=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// For people.
    #[default]
    Text,
}

/// One host name and its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Host {
    /// The name, without a port.
    pub name: String,
    /// Its files.
    pub dir: PathBuf,
    /// Whose files they are.
    pub kind: HostKind,
}

/// Whose files a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// A node: pages to be embedded, workers and wasm, kept strictly to themselves.
    Node,
    /// A site that embeds a node.
    Site,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![([127, 0, 0, 1], 8787).into()],
            redirect: Vec::new(),
            admin: None,
            udp: None,
            public: Vec::new(),
            names: Vec::new(),
            sdk: None,
            observe: Vec::new(),
            trusted_proxies: Vec::new(),
            // A large file over a good line; systemd waits for 90 s.
            grace: Duration::from_secs(10),
            acme: Acme::default(),
            hosts: Vec::new(),
            http: Http::default(),
            log: Log::default(),
            proxy: proxy::Config::default(),
            rendezvous: rendezvous::Config::default(),
            tls: TlsFiles::default(),
        }
    }
}

impl Acme {
    /// Let's Encrypt.
    pub const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";
    /// Let's Encrypt's own trial: lavish limits, and certificates that no browser believes.
    pub const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
}

impl Default for Acme {
    fn default() -> Self {
        Self { domains: Vec::new(), email: None, cache: None, directory: Self::PRODUCTION.into(), root: None }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connections: 1024,
            // A browser opens six to a host; many may share an address.
            connections_per_source: 256,
            // A few round trips on a bad line.
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(15),
            // The largest file in a tenth of it over a poor line.
            lifetime: Duration::from_secs(10 * 60),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Config {
    /// Checks everything that can be checked before listening, files and certificates too.
    ///
    /// # Errors
    /// [`ServeError`] says which key is wrong.
    pub fn check(&self) -> Result<(), ServeError> {
        self.check_addresses()?;
        self.check_hosts()?;
        match self.certificates()? {
            Some(Source::Files { cert, key }) => drop(tls::load(&cert, &key)?),
            None if !self.redirect.is_empty() => {
                return Err(ServeError::Setting { key: "redirect", wrong: "there is no HTTPS to redirect to" });
            }
            Some(Source::Acme { .. }) | None => {}
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), ServeError> {
        if self.listen.is_empty() {
            return Err(ServeError::NoAddress);
        }
        if self.public.iter().any(|addr| addr.ip().is_unspecified() || addr.port() == 0) {
            return Err(ServeError::Setting { key: "public", wrong: "an address and a port that browsers reach" });
        }
        if !self.public.is_empty() && self.udp.as_ref().is_some_and(Vec::is_empty) {
            return Err(ServeError::Setting { key: "public", wrong: "the proxy is switched off" });
        }
        if self.http.connections == 0 || self.http.connections_per_source == 0 {
            return Err(ServeError::Setting { key: "http.connections", wrong: "at least 1, also of one source" });
        }
        Ok(())
    }

    fn check_hosts(&self) -> Result<(), ServeError> {
        if let Some(name) = self.names.iter().find(|name| !is_authority(name)) {
            return Err(ServeError::BadHost { name: name.clone() });
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

    /// Where certificates come from; `None` is plain HTTP.
    pub(crate) fn certificates(&self) -> Result<Option<Source>, ServeError> {
        let wrong = |key, wrong| Err(ServeError::Setting { key, wrong });
        match (&self.tls.cert, &self.tls.key, self.acme.domains.is_empty()) {
            (None, None, true) => Ok(None),
            (Some(_), None, _) => wrong("tls.key", "it is missing, and tls.cert is there"),
            (None, Some(_), _) => wrong("tls.cert", "it is missing, and tls.key is there"),
            (Some(_), Some(_), false) => wrong("acme.domains", "certificates come from files already (tls.cert)"),
            (Some(cert), Some(key), true) => Ok(Some(Source::Files { cert: cert.clone(), key: key.clone() })),
            (None, None, false) => self.acme.source().map(Some),
        }
    }
}

impl Acme {
    fn source(&self) -> Result<Source, ServeError> {
        let wrong = |key, wrong| Err(ServeError::Setting { key, wrong });
        if !self.domains.iter().all(|name| is_host(name) && name.trim_matches(['[', ']']).parse::<IpAddr>().is_err()) {
            return wrong("acme.domains", "names of hosts, without ports");
        }
        if !self.directory.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https")) {
            return wrong("acme.directory", "an https URL");
        }
        if self.root.as_ref().is_some_and(|root| !root.is_file()) {
            return wrong("acme.root", "a file that can be read");
        }
        match &self.cache {
            Some(cache) => Ok(Source::Acme { acme: self.clone(), cache: cache.clone() }),
            None => wrong("acme.cache", "a directory to keep the account and the certificate in"),
        }
    }
}

fn is_authority(name: &str) -> bool {
    name.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'))
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
mod tests;
