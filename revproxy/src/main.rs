//! The command. See `revproxy --help`.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::Context;
use bitters_revproxy::{Config, Host, HostKind, serve};
use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Serves nodes and sites by host name, and introduces nodes to each other, on one port.
///
/// Each host's address is printed on its own line, then `ready`, when connections are accepted. Any host answers WebSocket upgrades at
/// /rendezvous. Interrupt or terminate it to stop: open sockets are closed, and it exits with 0.
///
/// Every option can be given by its environment variable; where an option may be repeated, the variable's values are separated by
/// commas.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Address and port to listen on; port 0 is any free one. May be repeated.
    #[arg(long, env = "REVPROXY_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8787")]
    #[arg(value_delimiter = ',')]
    listen: Vec<SocketAddr>,

    /// A node's host name and its files, as `cargo xtask build` makes them. May be repeated.
    #[arg(long, env = "REVPROXY_NODE", value_name = "HOST=DIR", value_delimiter = ',', value_parser = host_and_dir)]
    node: Vec<(String, PathBuf)>,

    /// A site's host name and its files. May be repeated.
    #[arg(long, env = "REVPROXY_SITE", value_name = "HOST=DIR", value_delimiter = ',', value_parser = host_and_dir)]
    site: Vec<(String, PathBuf)>,

    /// Files to serve below /sdk/ on node hosts, instead of the node's own.
    #[arg(long, env = "REVPROXY_SDK", value_name = "DIR")]
    sdk: Option<PathBuf>,

    /// An origin that may see the whole node, such as http://alice.localhost:8787; added to the node's config.json. May be repeated.
    #[arg(long, env = "REVPROXY_OBSERVE", value_name = "ORIGIN", value_delimiter = ',')]
    observe: Vec<String>,

    /// What to log on standard error: error, warn, info, debug or trace, or a filter such as bitters_revproxy=debug.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let filter = EnvFilter::try_new(&options.log).context("--log")?;
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    // Heard from here on, so that an early signal stops it in good order too.
    let mut signals = Signals::new().context("can't listen for signals")?;
    let running = serve(options.into()).await?;
    announce(&running.urls()).context("can't write to standard output")?;
    signals.stop().await;
    tracing::info!("stopping");
    running.shutdown().await;
    Ok(())
}

impl From<Options> for Config {
    fn from(options: Options) -> Self {
        let of = |kind| move |(name, dir)| Host { name, dir, kind };
        let nodes = options.node.into_iter().map(of(HostKind::Node));
        let hosts = nodes.chain(options.site.into_iter().map(of(HostKind::Site))).collect();
        Self { listen: options.listen, hosts, sdk: options.sdk, observe: options.observe, ..Self::default() }
    }
}

fn announce(urls: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for url in urls {
        writeln!(out, "{url}")?;
    }
    writeln!(out, "ready")?;
    out.flush()
}

fn host_and_dir(text: &str) -> Result<(String, PathBuf), &'static str> {
    match text.split_once('=') {
        Some((host, dir)) if !host.is_empty() && !dir.is_empty() => Ok((host.into(), dir.into())),
        _ => Err("expected HOST=DIR"),
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn stop(&mut self) {
        self.0.recv().await;
    }
}
