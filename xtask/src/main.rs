//! `cargo xtask`: builds, serves, tests, measures and checks the whole project with one tool.
//!
//! Written for Linux and macOS. It writes to `target/`, `dist/`, `node_modules/` and `host-sdk/dist/` and nowhere else. Results go to
//! stdout, progress to stderr.

#![allow(clippy::print_stdout, reason = "this is a command line tool: what it finds out belongs on stdout")]

mod bench;
mod budget;
mod build;
mod check;
mod children;
mod cmd;
mod deny;
mod hash;
mod imports;
mod serve;
mod size;
mod step;
mod test;
mod times;
mod tools;
mod tree;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::serve::Served;
use crate::test::Part;
use crate::workspace::Workspace;

/// Build, serve, test and measure bitters.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure speed in real browsers, after a release build, and what the server's forwarding costs (Linux); all of it, or one part.
    Bench {
        /// The part to measure.
        part: Option<bench::Part>,
    },
    /// Build dist/node (deployable as it is to any static host), dist/guestbook, dist/sdk and dist/sites.
    Build {
        /// Small instead of quick to build: optimised and precompressed.
        #[arg(long)]
        release: bool,
    },
    /// Format, lints and types: rustfmt, clippy with warnings denied (native and wasm32) and tsc --strict.
    Check,
    /// Licences, sources, yanked versions and known advisories of every dependency; works offline.
    Deny,
    /// Build, then serve the node and the demo sites by host name on one port, with the rendezvous.
    Serve {
        /// The port to listen on, on the loopback addresses; 0 takes a free one.
        #[arg(long, default_value_t = 8787)]
        port: u16,
        /// Serve the release build.
        #[arg(long)]
        release: bool,
        /// Serve the folder DIR as http://NAME.localhost as well; repeatable.
        #[arg(long = "site", value_name = "NAME=DIR")]
        sites: Vec<Served>,
    },
    /// Print what a first visit loads, against the goals, from a release build.
    Size {
        /// Fail where it is more than README.md promises.
        #[arg(long)]
        check: bool,
    },
    /// Install what the tests need and run them: all parts in order, or one.
    Test {
        /// The part to run.
        part: Option<Part>,
        /// The seed of the one simulated world to run again.
        #[arg(long)]
        seed: Option<u64>,
        /// Arguments for the part's own runner, after `--`; needs a part.
        #[arg(last = true, requires = "part")]
        extra: Vec<String>,
    },
    /// Print what the run took that noted it in the file of the variable `XTASK_TIMES`: its steps against their budget, and the slowest tests.
    Times,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let stops_cleanly = matches!(args.command, Command::Serve { .. });
    match children::end_on_signal(if stops_cleanly { 0 } else { 130 }).and_then(|()| run(args.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Bench { part } => bench::bench(&workspace, part),
        Command::Build { release } => {
            build::build(&workspace, release)?;
            println!("{}", workspace.dist(PathBuf::new()).display());
            Ok(())
        }
        Command::Check => check::check(&workspace),
        Command::Deny => deny::deny(&workspace),
        Command::Serve { port, release, sites } => serve::serve(&workspace, port, release, &sites),
        Command::Size { check } => size::size(&workspace, check),
        Command::Test { part, seed, extra } => test::test(&workspace, part, seed, &extra),
        Command::Times => times::times(&workspace),
    }
}
