//! Where log lines go: to standard error, where a service manager or a container engine takes them.

use std::io::IsTerminal;

use anyhow::Context;
use bitters_revproxy::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Before whatever is asked for, which may say otherwise: the parser warns of every malformed packet that a stranger sends.
const QUIET: &str = "stun_types=off";

/// What to log, parsed.
pub(crate) fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(format!("{QUIET},{}", log.filter))
        .with_context(|| format!("--log (log.filter): {:?} is no filter", log.filter))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_packets_are_quiet_unless_asked_for() {
        let shown = |text: &str| filter(&Log { filter: text.into(), ..Log::default() }).unwrap().to_string();

        assert_eq!(shown("info"), "stun_types=off,info");
        assert_eq!(shown("debug,stun_types=warn"), "stun_types=warn,debug");
        assert!(filter(&Log { filter: "=[[".into(), ..Log::default() }).is_err());
    }
}
