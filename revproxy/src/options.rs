//! The command's options, and how they lie over the file and the defaults.
//!
//! Flags lie over the environment (that is clap's part), both over the file, and that over the defaults (that is serde's). The file is a
//! [`Config`] as it stands, so whatever a machine's configuration holds can be set there without being named here.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use bitters_revproxy::{Acme, Config, Host, HostKind, LogFormat};
use clap::{Parser, ValueEnum, builder::BoolishValueParser};
use ipnet::IpNet;

/// Serves nodes and sites by host name, and introduces nodes to each other, on one port.
///
/// Each host's address is printed on its own line, then `ready`, when connections are accepted. Each answers WebSocket upgrades at
/// /rendezvous. Interrupt or terminate it to stop: open sockets are closed, what is under way may end within --grace, and it exits
/// with 0; a second signal ends it at once. On SIGHUP it reads certificates again.
///
/// Every option can be given by its environment variable; where an option may be repeated, the variable's values are separated by
/// commas. Flags count before variables, both before the file of --config, and that before the defaults. A list is replaced as a whole.
/// The file is TOML; it holds all of these and every limit: `revproxy --print-config` shows its keys and what is in force.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// A TOML file with settings.
    #[arg(long, env = "REVPROXY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check everything that can be checked without listening, and exit.
    #[arg(long)]
    pub(crate) check: bool,

    /// Print the settings in force as TOML, and exit. There are no secrets among them, only the names of the files that hold them.
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Ask another revproxy's health route, such as http://127.0.0.1:9090/health; exit with 0 if it serves.
    #[arg(long, value_name = "URL")]
    pub(crate) health: Option<String>,

    /// Address and port to listen on; port 0 is any free one. May be repeated. [default: 127.0.0.1:8787]
    #[arg(long, env = "REVPROXY_LISTEN", value_name = "ADDR:PORT", value_delimiter = ',')]
    listen: Option<Vec<SocketAddr>>,

    /// A node's host name and its files, as `cargo xtask build` makes them. May be repeated.
    #[arg(long, env = "REVPROXY_NODE", value_name = "HOST=DIR", value_delimiter = ',', value_parser = host_and_dir)]
    node: Option<Vec<(String, PathBuf)>>,

    /// A site's host name and its files. May be repeated.
    #[arg(long, env = "REVPROXY_SITE", value_name = "HOST=DIR", value_delimiter = ',', value_parser = host_and_dir)]
    site: Option<Vec<(String, PathBuf)>>,

    /// What browsers call this server, beside its hosts, its addresses and localhost; with the port where it isn't one of --listen. The
    /// rendezvous answers to no other name. May be repeated.
    #[arg(long, env = "REVPROXY_NAME", value_name = "HOST[:PORT]", value_delimiter = ',')]
    name: Option<Vec<String>>,

    /// Files to serve below /sdk/ on node hosts, instead of the node's own.
    #[arg(long, env = "REVPROXY_SDK", value_name = "DIR")]
    sdk: Option<PathBuf>,

    /// An origin that may see the whole node, such as http://alice.localhost:8787; added to the node's config.json. May be repeated.
    #[arg(long, env = "REVPROXY_OBSERVE", value_name = "ORIGIN", value_delimiter = ',')]
    observe: Option<Vec<String>>,

    /// Address and port to listen on for proxied dials, over UDP; STUN is answered at the port after it. May be repeated. [default:
    /// those of --listen]
    #[arg(long, env = "REVPROXY_UDP", value_name = "ADDR:PORT", value_delimiter = ',')]
    udp: Option<Vec<SocketAddr>>,

    /// Where browsers reach the UDP sockets, for a server behind an address translator or with unspecified addresses. May be repeated.
    /// [default: the sockets' own addresses]
    #[arg(long, env = "REVPROXY_PUBLIC", value_name = "ADDR:PORT", value_delimiter = ',')]
    public: Option<Vec<SocketAddr>>,

    /// Neither STUN nor proxied dials: no UDP.
    #[arg(long, env = "REVPROXY_NO_PROXY", value_parser = BoolishValueParser::new(), conflicts_with = "udp")]
    no_proxy: bool,

    /// Serve HTTPS with this certificate, a PEM file with those between it and a root. Read again when it changes, and on SIGHUP.
    #[arg(long, env = "REVPROXY_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, a PEM file.
    #[arg(long, env = "REVPROXY_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Serve HTTPS with a certificate for this name, which is got and renewed by ACME (TLS-ALPN-01: --listen must be reached at port
    /// 443). To name one is to agree to the authority's terms. May be repeated.
    #[arg(long, env = "REVPROXY_ACME_DOMAIN", value_name = "HOST", value_delimiter = ',')]
    acme_domain: Option<Vec<String>>,

    /// Where the authority may write to.
    #[arg(long, env = "REVPROXY_ACME_EMAIL", value_name = "ADDRESS")]
    acme_email: Option<String>,

    /// Where the ACME account and the certificate are kept between runs.
    #[arg(long, env = "REVPROXY_ACME_CACHE", value_name = "DIR")]
    acme_cache: Option<PathBuf>,

    /// The authority's directory. [default: Let's Encrypt's]
    #[arg(long, env = "REVPROXY_ACME_DIRECTORY", value_name = "URL")]
    acme_directory: Option<String>,

    /// Use Let's Encrypt's staging directory: for trials, with certificates that no browser believes.
    #[arg(long, env = "REVPROXY_ACME_STAGING", value_parser = BoolishValueParser::new(), conflicts_with = "acme_directory")]
    acme_staging: bool,

    /// A PEM file with the root of the directory's own certificate, for an authority of one's own. [default: the system's roots]
    #[arg(long, env = "REVPROXY_ACME_ROOT", value_name = "FILE")]
    acme_root: Option<PathBuf>,

    /// Address and port where plain HTTP is sent to HTTPS. May be repeated.
    #[arg(long, env = "REVPROXY_REDIRECT", value_name = "ADDR:PORT", value_delimiter = ',')]
    redirect: Option<Vec<SocketAddr>>,

    /// Address and port for GET /metrics (OpenMetrics) and GET /health, in plain HTTP. Not for the public.
    #[arg(long, env = "REVPROXY_ADMIN", value_name = "ADDR:PORT")]
    admin: Option<SocketAddr>,

    /// HTTP proxies whose X-Forwarded-For and X-Forwarded-Host are believed. May be repeated.
    #[arg(long, env = "REVPROXY_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',')]
    trusted_proxy: Option<Vec<IpNet>>,

    /// What is under way may take this long when the server stops. [default: 10s]
    #[arg(long, env = "REVPROXY_GRACE", value_name = "DURATION", value_parser = humantime::parse_duration)]
    grace: Option<Duration>,

    /// What to log on standard error: error, warn, info, debug or trace, or a filter such as bitters_revproxy=debug. [default: info]
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    log: Option<String>,

    /// How to log. [default: text]
    #[arg(long, env = "REVPROXY_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Options {
    /// The settings in force.
    pub(crate) fn into_config(self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            None => Config::default(),
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
                toml::from_str(&text).with_context(|| path.display().to_string())?
            }
        };
        self.lay_over(&mut config);
        Ok(config)
    }

    fn lay_over(self, config: &mut Config) {
        set(&mut config.listen, self.listen);
        set_hosts(&mut config.hosts, HostKind::Node, self.node);
        set_hosts(&mut config.hosts, HostKind::Site, self.site);
        set(&mut config.names, self.name);
        set_some(&mut config.sdk, self.sdk);
        set(&mut config.observe, self.observe);
        set_some(&mut config.udp, self.udp.or(self.no_proxy.then(Vec::new)));
        set(&mut config.public, self.public);
        set_some(&mut config.tls.cert, self.tls_cert);
        set_some(&mut config.tls.key, self.tls_key);
        set(&mut config.acme.domains, self.acme_domain);
        set_some(&mut config.acme.email, self.acme_email);
        set_some(&mut config.acme.cache, self.acme_cache);
        set(&mut config.acme.directory, self.acme_directory.or(self.acme_staging.then(|| Acme::STAGING.into())));
        set_some(&mut config.acme.root, self.acme_root);
        set(&mut config.redirect, self.redirect);
        set_some(&mut config.admin, self.admin);
        set(&mut config.trusted_proxies, self.trusted_proxy);
        set(&mut config.grace, self.grace);
        set(&mut config.log.filter, self.log);
        set(&mut config.log.format, self.log_format.map(Into::into));
    }
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Text => Self::Text,
        }
    }
}

fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}

fn set_some<T>(setting: &mut Option<T>, given: Option<T>) {
    if given.is_some() {
        *setting = given;
    }
}

/// Those of one kind take the place of the file's of the same kind.
fn set_hosts(hosts: &mut Vec<Host>, kind: HostKind, given: Option<Vec<(String, PathBuf)>>) {
    let Some(given) = given else { return };
    hosts.retain(|host| host.kind != kind);
    hosts.extend(given.into_iter().map(|(name, dir)| Host { name, dir, kind }));
}

fn host_and_dir(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.split_once('=') {
        Some((host, dir)) if !host.is_empty() && !dir.is_empty() => Ok((host.into(), dir.into())),
        _ => Err("expected HOST=DIR"),
    }
}
