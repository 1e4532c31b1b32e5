//! Rust's test programs: built in one run of cargo, then run by us, several at once where a program has one thread.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::counts::Counts;
use super::{durations, failures};
use crate::cmd::{Cmd, Seen};
use crate::step::{at_once, step};
use crate::times::{note, timed};

/// What cargo has built.
#[derive(Debug, Default, PartialEq)]
pub struct Built {
    /// Test programs, in cargo's order.
    pub tests: Vec<Program>,
    /// Other programs, which tests run.
    pub others: Vec<PathBuf>,
}

/// A test program.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    path: PathBuf,
    /// The folder of its package, where cargo would run it, too.
    dir: PathBuf,
    /// The package, and its target where that is another.
    name: String,
}

impl Built {
    /// Builds what `cargo`, a `cargo test`, would run.
    pub fn make(cargo: Cmd, name: &str) -> Result<Self> {
        let cargo = cargo.args(["--no-run", "--message-format", "json-render-diagnostics"]);
        Self::told(&step(name, || cargo.read())?)
    }

    /// Reads cargo's messages, of which there is one a line.
    fn told(messages: &str) -> Result<Self> {
        let mut built = Self::default();
        for line in messages.lines() {
            let message: Value = serde_json::from_str(line).context("a message of cargo's isn't JSON")?;
            let Some(path) = message["executable"].as_str().map(PathBuf::from) else { continue };
            if message["profile"]["test"] == true {
                built.tests.push(
                    Program::told(&message, path)
                        .context("cargo's message of a test program is another than it was")?,
                );
            } else {
                built.others.push(path);
            }
        }
        Ok(built)
    }

    /// The program of this name.
    pub fn other(&self, name: &str) -> Result<&Path> {
        let found = self.others.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
        Ok(found.with_context(|| format!("cargo built no {name}"))?)
    }
}

impl Program {
    /// Whether it is of the package in this folder.
    pub fn is_of(&self, dir: &Path) -> bool {
        self.dir == dir
    }

    fn told(message: &Value, path: PathBuf) -> Option<Self> {
        let dir = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
        let package = dir.file_name()?.to_str()?.to_owned();
        let target = message["target"]["name"].as_str()?;
        let is_whole = message["target"]["kind"].as_array()?.iter().all(|kind| kind != "test");
        let name = if is_whole { package } else { format!("{package} {target}") };
        Some(Self { path, dir, name })
    }

    fn command(&self, run: &Run<'_>) -> Cmd {
        let command = match run.runner {
            [] => Cmd::new(&self.path),
            [program, args @ ..] => Cmd::new(program).args(args).arg(&self.path),
        };
        // How long each test took is an unstable option of libtest's, which a stable one takes with this variable.
        let command = command.args(["-Zunstable-options", "--report-time"]).env("RUSTC_BOOTSTRAP", "1");
        let command =
            command.args(run.extra).env("CARGO_MANIFEST_DIR", &self.dir).without_env(&["XTASK_"]).dir(&self.dir);
        match run.seed {
            Some(seed) => command.env("SEED", seed.to_string()),
            None => command,
        }
    }
}

/// How programs are run.
pub struct Run<'a> {
    /// What the step is called.
    pub name: &'a str,
    /// What runs them, and its arguments; nothing where this machine can.
    pub runner: &'a [String],
    /// Arguments of libtest's.
    pub extra: &'a [String],
    /// The one seed of whose worlds tests tell.
    pub seed: Option<u64>,
    /// How many programs at once.
    pub jobs: usize,
}

impl Run<'_> {
    /// Runs the programs; what one writes is shown when it has ended.
    pub fn all(&self, programs: &[Program]) -> Result<Counts> {
        let counts = timed(self.name, || at_once(self.jobs, programs, |program| self.one(program)))?;
        let mut sum = Counts::default();
        for counts in counts {
            sum += counts;
        }
        Ok(sum.checked(true))
    }

    fn one(&self, program: &Program) -> Result<Counts> {
        let mut seen = program.command(self).watch()?;
        // A runner that dies, as Node does now and then (nodejs/node#64500), says nothing of the tests: those that fail exit. It was seen to die
        // twice in a row. One that dies after the result has told it.
        for _ in 0..2 {
            if self.died(&seen) && !counted(&seen) {
                println!("\n== {}, again: its runner died\n{}", program.name, seen.text);
                seen = program.command(self).watch()?;
            }
        }
        let success = seen.success || self.died(&seen) && counted(&seen);
        print!("\n== {}\n{}", program.name, seen.text);
        Ok(told(&program.name, &seen.text, success))
    }

    /// Whether what runs the program was killed, and not the program.
    fn died(&self, seen: &Seen) -> bool {
        seen.killed && !self.runner.is_empty()
    }
}

/// Counts what a program of libtest's says of its tests, and notes how long each took, and which failed.
pub fn told(name: &str, text: &str, success: bool) -> Counts {
    note(&durations::of_libtest(name, text));
    let counts = Counts::of_libtest(text).or_broken_down(success);
    if counts.failed > 0 {
        note(&failures::of_libtest(name, text));
    }
    counts
}

/// Whether the program told its result, which it does once all of its tests have ended.
fn counted(seen: &Seen) -> bool {
    Counts::of_libtest(&seen.text) != Counts::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_is_told_apart() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/w/wire/Cargo.toml","target":{"kind":["lib"],"name":"bitters_wire"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/wire/Cargo.toml","target":{"kind":["lib"],"name":"bitters_wire"},"profile":{"test":true},"executable":"/t/bitters_wire-1"}
{"reason":"compiler-artifact","manifest_path":"/w/revproxy/Cargo.toml","target":{"kind":["bin"],"name":"revproxy"},"profile":{"test":false},"executable":"/t/revproxy"}
{"reason":"compiler-artifact","manifest_path":"/w/revproxy/Cargo.toml","target":{"kind":["test"],"name":"tls"},"profile":{"test":true},"executable":"/t/tls-2"}
{"reason":"build-finished","success":true}"#;
        let built = Built::told(messages).unwrap();
        let program =
            |path: &str, dir: &str, name: &str| Program { path: path.into(), dir: dir.into(), name: name.to_owned() };
        assert_eq!(
            built.tests,
            [program("/t/bitters_wire-1", "/w/wire", "wire"), program("/t/tls-2", "/w/revproxy", "revproxy tls")]
        );
        assert_eq!(built.other("revproxy").unwrap(), Path::new("/t/revproxy"));
        assert_eq!(built.other("coturn").unwrap_err().to_string(), "cargo built no coturn");
    }

    /// What is counted of a program that is this script, where `$0` is a file that isn't there at first.
    fn counted_of(script: &str) -> Counts {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        std::fs::write(&path, script.replace("$0", &dir.path().join("mark").display().to_string())).unwrap();
        let programs = [Program { path, dir: dir.path().into(), name: "mortal".to_owned() }];
        let run = Run { name: "try", runner: &["sh".to_owned()], extra: &[], seed: None, jobs: 1 };
        run.all(&programs).unwrap()
    }

    #[test]
    fn a_program_whose_runner_died_runs_once_more() {
        let script = "[ -e $0 ] && echo 'test result: ok. 2 passed; 0 failed;' || { touch $0; kill -9 $$; }";
        assert_eq!(counted_of(script), Counts { passed: 2, ..Counts::default() });
    }

    #[test]
    fn a_runner_that_died_after_the_result_has_told_it() {
        let script = |failed| {
            format!(
                "[ -e $0 ] && exit 1; touch $0; echo 'test result: ok. 2 passed; {failed} failed; 0 ignored;'; kill -9 $$"
            )
        };
        assert_eq!(counted_of(&script(0)), Counts { passed: 2, ..Counts::default() });
        assert_eq!(counted_of(&script(1)), Counts { passed: 2, failed: 1, ..Counts::default() });
    }

    #[test]
    fn programs_run_where_their_packages_are_and_those_that_end_badly_count() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let program = |name: &str, code: &str| {
            let path = dir.join(name);
            let pwd = dir.display();
            std::fs::write(
                &path,
                format!("[ \"$PWD\" = '{pwd}' ] && echo 'test result: ok. 2 passed; 0 failed;'; exit {code}"),
            )
            .unwrap();
            Program { path, dir: dir.clone(), name: name.to_owned() }
        };
        let programs = [program("good", "0"), program("bad", "1"), program("another", "0")];
        let run = Run { name: "try", runner: &["sh".to_owned()], extra: &[], seed: None, jobs: 2 };
        assert_eq!(run.all(&programs).unwrap(), Counts { passed: 6, failed: 1, ..Counts::default() });
        assert_eq!(run.all(&[]).unwrap(), Counts { failed: 1, ..Counts::default() });
    }
}
