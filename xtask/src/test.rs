//! Runs the tests, part by part, and adds up what they say.

mod counts;
mod durations;
mod failures;
mod parts;
mod programs;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::workspace::Workspace;

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
    let parts = part.map_or_else(|| Part::value_variants().to_vec(), |part| vec![part]);
    let mut total = Counts::default();
    let mut lines = Vec::new();
    for part in parts {
        eprintln!("== {}", part.name());
        let counts = parts::run(workspace, part, seed, extra).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Counts { failed: 1, ..Counts::default() }
        });
        lines.push(format!("{:<8}{counts}", part.name()));
        total += counts;
    }
    println!();
    for line in lines {
        println!("{line}");
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("tests failed");
    }
    Ok(())
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().expect("no part is hidden").get_name().to_owned()
    }
}
