//! Telling what takes its time: a step that lasts longer than two seconds is shown, with the time that it took, which is noted.

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::times::{QUIET, timed};

/// How often the time on a terminal moves.
const TICK: Duration = Duration::from_secs(1);

/// Does `work`, showing `name` on stderr if it lasts.
pub fn step<T>(name: &str, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, finished) = channel();
        let reporter = scope
            .spawn(move || report(name, &finished, QUIET, std::io::stderr().is_terminal(), &mut std::io::stderr()));
        let result = timed(name, work);
        drop(done);
        reporter.join().expect("the reporter doesn't panic");
        result
    })
}

/// How many things at once keep this machine busy.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What `work` makes of each of these, in their order; so many at once.
pub fn at_once<T: Sync, R: Send>(jobs: usize, all: &[T], work: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Relaxed);
            let Some(one) = all.get(at) else { return Ok(done) };
            done.push((at, work(one)?));
        }
    };
    let done: Result<Vec<_>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("work fails by its result")).collect()
    });
    let mut done: Vec<_> = done?.into_iter().flatten().collect();
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
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
    fn results_are_in_the_order_of_what_they_were_made_of() {
        assert_eq!(at_once(2, &[3, 1, 2], |n| Ok(n * 10)).unwrap(), [30, 10, 20]);
        let failed = at_once(2, &[3, 1, 2], |n| if *n == 1 { anyhow::bail!("not one") } else { Ok(()) });
        assert_eq!(failed.unwrap_err().to_string(), "not one");
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
