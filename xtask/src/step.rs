//! Telling what takes its time: a step that lasts longer than two seconds is shown, with the time that it took.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Shorter steps aren't worth a line.
const QUIET: Duration = Duration::from_secs(2);
/// How often the time on a terminal moves.
const TICK: Duration = Duration::from_secs(1);

/// Does `work`, showing `name` on stderr if it lasts.
pub fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, finished) = channel();
        let reporter = scope
            .spawn(move || report(name, &finished, QUIET, std::io::stderr().is_terminal(), &mut std::io::stderr()));
        let result = work();
        drop(done);
        reporter.join().expect("the reporter doesn't panic");
        result
    })
}

/// Reports until the other end of `finished` is dropped. A stderr that can't be written to is no reason to fail.
fn report(name: &str, finished: &Receiver<()>, quiet: Duration, terminal: bool, out: &mut impl Write) {
    let start = Instant::now();
    if finished.recv_timeout(quiet) == Err(RecvTimeoutError::Disconnected) {
        return;
    }
    let _ = if terminal { write!(out, "{name} …") } else { writeln!(out, "{name} …") };
    while finished.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        if terminal {
            let _ = write!(out, "\r{name} … {} s", start.elapsed().as_secs());
            let _ = out.flush();
        }
    }
    // A terminal's line is overwritten and cleared to its end.
    let line = if terminal { "\r\x1b[K" } else { "" };
    let _ = writeln!(out, "{line}{name}: {:.1} s", start.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_step_is_silent() {
        assert_eq!(reported(Duration::from_secs(60), false), "");
    }

    #[test]
    fn a_long_step_has_a_line_at_its_start_and_one_at_its_end() {
        assert_eq!(reported(Duration::ZERO, false), "pack …\npack: 0.0 s\n");
    }

    #[test]
    fn a_terminal_line_is_replaced() {
        assert_eq!(reported(Duration::ZERO, true), "pack …\r\x1b[Kpack: 0.0 s\n");
    }

    /// A step that ends as soon as it was announced, or at once when it is quiet.
    fn reported(quiet: Duration, terminal: bool) -> String {
        let (done, finished) = channel();
        let mut done = Some(done);
        if !quiet.is_zero() {
            done = None;
        }
        let mut out = EndAtFirstWrite { done, text: Vec::new() };
        report("pack", &finished, quiet, terminal, &mut out);
        String::from_utf8(out.text).unwrap()
    }

    struct EndAtFirstWrite {
        done: Option<std::sync::mpsc::Sender<()>>,
        text: Vec<u8>,
    }

    impl Write for EndAtFirstWrite {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.done = None;
            self.text.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
