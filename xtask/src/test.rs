//! Runs the tests, part by part, and adds up what they say.

mod counts;
mod durations;
mod failures;
mod parts;
mod programs;

use std::thread::{self, ScopedJoinHandle};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::workspace::Workspace;
use crate::{build, tools};

use counts::Counts;

/// A part of the tests, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Part {
    /// Unit, property and integration tests of all crates, on this machine.
    Native,
    /// Deterministic worlds; `--seed N` runs one again.
    Sim,
    /// The pure crates' tests as WebAssembly, in Node.
    Wasm,
    /// The SDK: types, tests, size; and the service worker's decisions.
    Sdk,
    /// Real browsers, against a release build.
    E2e,
}

/// Runs one part, or all. All of them run even when an earlier one fails.
pub fn test(workspace: &Workspace, part: Option<Part>, seed: Option<u64>, extra: &[String]) -> Result<()> {
    let counted = match part {
        Some(part) => vec![(part, run(workspace, part, seed, extra))],
        None => all(workspace, seed, extra),
    };
    let mut total = Counts::default();
    println!();
    for (part, counts) in counted {
        println!("{:<8}{counts}", part.name());
        total += counts;
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

/// Runs all parts. What browser tests need is made beside earlier parts, which leave cores idle at times as it does itself; what can't be
/// made is tried, and told, again by who needs it.
fn all(workspace: &Workspace, seed: Option<u64>, extra: &[String]) -> Vec<(Part, Counts)> {
    thread::scope(|scope| {
        scope.spawn(|| tools::install_all(workspace));
        let mut modules = None;
        let parts = Part::value_variants().iter().map(|part| {
            match part {
                // Native tests, some of which watch the clock, are over.
                Part::Sim => modules = Some(scope.spawn(|| drop(build::build(workspace, true)))),
                Part::E2e => drop(modules.take().map(ScopedJoinHandle::join)),
                Part::Native | Part::Sdk | Part::Wasm => {}
            }
            (*part, run(workspace, *part, seed, extra))
        });
        parts.collect()
    })
}

fn run(workspace: &Workspace, part: Part, seed: Option<u64>, extra: &[String]) -> Counts {
    eprintln!("== {}", part.name());
    parts::run(workspace, part, seed, extra).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Counts { failed: 1, ..Counts::default() }
    })
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().expect("no part is hidden").get_name().to_owned()
    }
}
