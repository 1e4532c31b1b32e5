//! The loop around each machine of the server: it takes a fact, its acts are performed, and it is woken at its timeout.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bitters_machine::{Machine, time::Instant};
use tokio::{sync::Notify, time};

/// A machine behind a lock, which is held until all its acts are performed, so that their order is that of the inputs.
#[derive(Debug)]
pub(crate) struct Driver<M> {
    start: time::Instant,
    machine: Mutex<M>,
    /// The machine's timeout changed.
    timeout_changed: Notify,
}

impl<M: Machine> Driver<M> {
    pub(crate) fn new(machine: M) -> Self {
        Self { start: time::Instant::now(), machine: Mutex::new(machine), timeout_changed: Notify::new() }
    }

    /// Does something with the machine and performs what follows, in order. An act that can't be performed may be answered with an input.
    pub(crate) fn run<T>(
        &self,
        act: impl FnOnce(&mut M, Instant) -> T,
        perform: impl Fn(M::Output) -> Option<M::Input>,
    ) -> T {
        let mut machine = self.lock();
        let timeout = machine.poll_timeout();
        let done = act(&mut machine, self.now());
        while let Some(output) = machine.poll_output() {
            if let Some(input) = perform(output) {
                machine.handle_input(input, self.now());
            }
        }
        if machine.poll_timeout() != timeout {
            self.timeout_changed.notify_one();
        }
        done
    }

    /// Calls `wake` when the machine's time has come, forever: to give it the input that says so.
    pub(crate) async fn keep_time(&self, wake: impl Fn()) {
        loop {
            let timeout = self.lock().poll_timeout();
            let due = async {
                match timeout {
                    Some(at) => time::sleep_until(self.start + at.since(Instant::START)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => wake(),
                () = self.timeout_changed.notified() => {}
            }
        }
    }

    /// The machine, to be asked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, M> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's time.
    pub(crate) fn now(&self) -> Instant {
        Instant::START + self.start.elapsed()
    }
}
