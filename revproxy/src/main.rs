//! The command. See `revproxy --help`.

mod logs;
mod options;
mod probe;
mod signals;

use std::io::Write;

use anyhow::{Context, bail};
use bitters_revproxy::{Config, Running, serve};
use clap::Parser;

use crate::{
    options::Options,
    signals::{Signals, Stage, Wish, tell_manager},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some(url) = &options.health {
        return probe::health(url).await;
    }
    let (check, print) = (options.check, options.print_config);
    let config = options.into_config()?;
    if check {
        logs::filter(&config.log)?;
        config.check()?;
    }
    if print {
        say(&[toml::to_string(&config).context("the settings can't be written as TOML")?])?;
    }
    if check || print { Ok(()) } else { run(config).await }
}

async fn run(config: Config) -> anyhow::Result<()> {
    logs::start(&config.log)?;
    // Heard from here on, so that an early signal stops it in good order too.
    let mut signals = Signals::new().context("can't listen for signals")?;
    let running = serve(config).await?;
    let mut lines = running.urls();
    lines.push("ready".into());
    say(&lines)?;
    tell_manager(Stage::Ready);
    wait_for_stop(&mut signals, Some(&running)).await;
    tracing::info!("stopping");
    tell_manager(Stage::Stopping);
    tokio::select! {
        () = running.shutdown() => Ok(()),
        () = wait_for_stop(&mut signals, None) => bail!("stopped at once, by a second signal"),
    }
}

async fn wait_for_stop(signals: &mut Signals, running: Option<&Running>) {
    while signals.next().await == Wish::Reload {
        if let Some(running) = running {
            running.reload();
        }
    }
}

fn say(lines: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    written.context("can't write to standard output")
}
