//! Where log lines go: to standard error, where a service manager or a container engine takes them.

use std::io::IsTerminal;

use anyhow::Context;
use bitters_revproxy::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// What to log, parsed.
pub(crate) fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&log.filter).with_context(|| format!("--log (log.filter): {:?} is no filter", log.filter))
}

/// Logs from here on.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt().with_env_filter(filter(log)?).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok(())
}
