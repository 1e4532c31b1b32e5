//! The programs that run now, so that Ctrl-C ends all of them and nothing stays behind.
//!
//! Each program leads a process group of its own. On the first SIGINT, SIGTERM or SIGHUP every group gets a SIGTERM; what is still there
//! after the grace period is killed; then this process exits. A thread that waits for a program meanwhile stays where it is, so
//! that a program ended by us is never reported as a failure.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Long enough for a browser to close its profile and for a server to close its sockets.
const GRACE: Duration = Duration::from_secs(5);

static RUNNING: Mutex<Running> = Mutex::new(Running { groups: BTreeSet::new(), ending: false });
static ENDED: Condvar = Condvar::new();

struct Running {
    groups: BTreeSet<u32>,
    ending: bool,
}

/// From now on, a signal to end ends the running programs first, and then this process with `code`.
pub fn end_on_signal(code: i32) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            end_all();
            std::process::exit(code);
        }
    });
    Ok(())
}

/// Starts a program in its own group.
pub fn spawn(command: &mut Command) -> Result<Child> {
    let mut running = running();
    if running.ending {
        stay(running);
    }
    let child = command.process_group(0).spawn()?;
    running.groups.insert(child.id());
    Ok(child)
}

/// Waits until a program ends.
pub fn wait(mut child: Child) -> Result<ExitStatus> {
    let status = child.wait();
    let mut running = running();
    running.groups.remove(&child.id());
    ENDED.notify_all();
    if running.ending {
        stay(running);
    }
    Ok(status?)
}

fn end_all() {
    let mut running = running();
    running.ending = true;
    signal(&running.groups, Signal::TERM);
    let waited = ENDED.wait_timeout_while(running, GRACE, |running| !running.groups.is_empty());
    let (running, _) = waited.expect("no thread panics while it holds the lock");
    signal(&running.groups, Signal::KILL);
}

fn signal(groups: &BTreeSet<u32>, signal: Signal) {
    let pids = groups.iter().filter_map(|group| Pid::from_raw(i32::try_from(*group).ok()?));
    for pid in pids {
        // A group that ended by itself in the meantime is what we want.
        let _ = kill_process_group(pid, signal);
    }
}

/// The thread that handles the signal ends this process.
fn stay(running: MutexGuard<'_, Running>) -> ! {
    drop(running);
    loop {
        std::thread::park();
    }
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().expect("no thread panics while it holds the lock")
}
