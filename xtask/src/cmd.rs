//! Running other programs: quietly with everything shown when they fail, for what they say, or in sight.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::children;
use crate::step::step;

/// A program that is about to run.
pub struct Cmd(Command);

/// How a program came out.
pub struct Seen {
    /// Whether it exited with 0.
    pub success: bool,
    /// Whether a signal ended it.
    pub killed: bool,
    /// All that it wrote, to stdout and stderr, in its order.
    pub text: String,
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self(command)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Without the variables whose names start like this.
    pub fn without_env(mut self, prefixes: &[&str]) -> Self {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))) {
                self.0.env_remove(name);
            }
        }
        self
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Runs it as the step `name`; what it writes is shown, in full, only when it fails.
    pub fn run(self, name: &str) -> Result<()> {
        let shown = self.shown();
        let (status, text) = step(name, || self.capture(|_| Ok(())))?;
        if !status.success() {
            eprintln!("{text}");
            bail!("{name}: `{shown}` failed ({status})");
        }
        Ok(())
    }

    /// Runs it out of sight, whatever comes of it; how it ended badly is the last line of what it wrote.
    pub fn watch(self) -> Result<Seen> {
        let (status, mut text) = self.capture(|_| Ok(()))?;
        if !status.success() {
            text.push_str(&format!("ended with {status}\n"));
        }
        Ok(Seen { success: status.success(), killed: status.code().is_none(), text })
    }

    /// Runs it and passes on what it writes, line by line.
    pub fn show(self) -> Result<Seen> {
        let (status, text) = self.capture(|line| io::stdout().write_all(line))?;
        Ok(Seen { success: status.success(), killed: status.code().is_none(), text })
    }

    /// Runs it for what it writes to stdout.
    pub fn read(self) -> Result<String> {
        let shown = self.shown();
        let (success, out, err) = self.pipe()?;
        if !success {
            eprintln!("{err}");
            bail!("`{shown}` failed");
        }
        String::from_utf8(out).with_context(|| format!("`{shown}` wrote something other than text"))
    }

    /// Whether it can be run at all, and exits with 0.
    pub fn works(self) -> bool {
        self.pipe().is_ok_and(|(success, ..)| success)
    }

    /// Runs it with our own stdout and stderr until it ends.
    pub fn inherit(mut self) -> Result<ExitStatus> {
        let shown = self.shown();
        let child = children::spawn(&mut self.0).with_context(|| format!("`{shown}` can't be run"))?;
        children::wait(child)
    }

    fn shown(&self) -> String {
        let program = Path::new(self.0.get_program()).file_name().unwrap_or_default();
        let words = std::iter::once(program).chain(self.0.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }

    /// One pipe for both outputs keeps their lines in order.
    fn capture(mut self, mut on_line: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(ExitStatus, String)> {
        let shown = self.shown();
        let (reader, writer) = io::pipe()?;
        self.0.stdout(writer.try_clone()?).stderr(writer);
        let child = children::spawn(&mut self.0).with_context(|| format!("`{shown}` can't be run"))?;
        drop(self); // its ends of the pipe, or reading would never end
        let mut text = Vec::new();
        let mut reader = BufReader::new(reader);
        loop {
            let start = text.len();
            if reader.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            on_line(&text[start..])?;
        }
        Ok((children::wait(child)?, String::from_utf8_lossy(&text).into_owned()))
    }

    fn pipe(mut self) -> Result<(bool, Vec<u8>, String)> {
        let shown = self.shown();
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = children::spawn(&mut self.0).with_context(|| format!("`{shown}` can't be run"))?;
        let mut stderr = child.stderr.take().expect("stderr was asked for as a pipe");
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        });
        let mut out = Vec::new();
        child.stdout.take().expect("stdout was asked for as a pipe").read_to_end(&mut out)?;
        let errors = errors.join().expect("the reader doesn't panic")?;
        Ok((children::wait(child)?.success(), out, errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_are_captured_in_order() {
        let seen = shell("echo one; echo two >&2; echo three; exit 3").show().unwrap();
        assert_eq!((seen.success, seen.text.as_str()), (false, "one\ntwo\nthree\n"));
    }

    #[test]
    fn reading_takes_stdout_alone() {
        assert_eq!(shell("echo out; echo err >&2").read().unwrap(), "out\n");
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = shell("exit 1").run("try").unwrap_err();
        assert!(error.to_string().starts_with("try: `sh -c exit 1` failed"), "{error}");
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let error = Cmd::new("no-such-program-here").read().unwrap_err();
        assert_eq!(error.to_string(), "`no-such-program-here` can't be run");
        assert!(!Cmd::new("no-such-program-here").works());
    }

    fn shell(script: &str) -> Cmd {
        Cmd::new("sh").args(["-c", script])
    }
}
