//! What a run took, step by step, against its budget; the slowest tests; and which failed, as the end of a long output is what one reads.
//!
//! A run is several commands. Each of them appends what it did to the file that the variable `XTASK_TIMES` names, a JSON value a line, and the
//! last one (`cargo xtask times`) prints the table. Without the variable nothing is noted.

mod table;

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::workspace::Workspace;

/// Shorter steps aren't worth a line, nor a budget.
pub const QUIET: Duration = Duration::from_secs(2);
/// The variable that names the file.
const FILE: &str = "XTASK_TIMES";

/// Something that took a while, in seconds, or that failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Noted {
    /// A command of the run, with all its steps, which were noted before it.
    Command { name: String, seconds: f64 },
    /// A part of a command.
    Step { name: String, seconds: f64 },
    /// A test.
    Test { name: String, seconds: f64 },
    /// A test, or a whole program of tests, that failed, and what it said.
    Failure { name: String, why: String },
}

/// Notes it. A file that can't be written to is told, and no reason to fail.
pub fn note(took: &[Noted]) {
    let Some(path) = env::var_os(FILE).map(PathBuf::from) else { return };
    let lines: String = took.iter().map(|one| serde_json::to_string(one).expect("it is plain data") + "\n").collect();
    let file = OpenOptions::new().create(true).append(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(lines.as_bytes())) {
        eprintln!("warning: {} can't be written: {error}", path.display());
    }
}

/// Does `work`, and notes what it took as a step.
pub fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    note(&[Noted::Step { name: name.to_owned(), seconds: start.elapsed().as_secs_f64() }]);
    result
}

/// Prints the table of a run that has ended.
pub fn times(workspace: &Workspace) -> Result<()> {
    let Some(path) = env::var_os(FILE).map(PathBuf::from) else { bail!("the variable {FILE} names no file") };
    let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let took: Vec<Noted> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>().context(FILE)?;
    print!("{}", table::of(&took, &Budget::read(workspace)?.seconds));
    Ok(())
}
