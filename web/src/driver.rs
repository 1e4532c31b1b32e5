//! The loop of every shell: a machine takes a fact, its acts are performed, and it is woken at its timeout.

use std::cell::{OnceCell, Ref, RefCell};

use bitters_machine::Machine;

use crate::clock::{self, Timer};

/// A machine and its timer. The machine isn't borrowed while an act is performed: an act may cause an input at once, whose own acts are then
/// performed before the rest.
#[derive(Debug)]
pub struct Driver<M> {
    machine: RefCell<M>,
    timer: OnceCell<Timer>,
}

impl<M: Machine> Driver<M> {
    /// A machine that nothing wakes yet.
    pub const fn new(machine: M) -> Self {
        Self { machine: RefCell::new(machine), timer: OnceCell::new() }
    }

    /// Calls `wake` at the machine's timeout: to give it the input that says so, after [`fired`](Self::fired). Counts once.
    pub fn wake_by(&self, wake: impl Fn() + 'static) {
        self.timer.get_or_init(|| Timer::new(wake));
    }

    /// The timer has fired: to be called first then.
    pub fn fired(&self) {
        if let Some(timer) = self.timer.get() {
            timer.fired();
        }
    }

    /// Takes a fact and performs what follows, in order.
    pub fn handle_input(&self, input: M::Input, perform: impl Fn(M::Output)) {
        self.machine.borrow_mut().handle_input(input, clock::now());
        self.settle(perform);
    }

    /// Changes the machine by a method of its own and performs what follows, in order.
    pub fn change(&self, change: impl FnOnce(&mut M), perform: impl Fn(M::Output)) {
        change(&mut self.machine.borrow_mut());
        self.settle(perform);
    }

    fn settle(&self, perform: impl Fn(M::Output)) {
        loop {
            let output = self.machine.borrow_mut().poll_output();
            let Some(output) = output else { break };
            perform(output);
        }
        self.rearm();
    }

    /// Sets the timer to the machine's timeout.
    pub fn rearm(&self) {
        if let Some(timer) = self.timer.get() {
            timer.set(self.machine.borrow().poll_timeout());
        }
    }

    /// Puts the timer to rest.
    pub fn rest(&self) {
        if let Some(timer) = self.timer.get() {
            timer.set(None);
        }
    }

    /// The machine, to be asked. It takes no input as long as this is held.
    pub fn machine(&self) -> Ref<'_, M> {
        self.machine.borrow()
    }

    /// Whether the machine can take an input now.
    pub fn is_free(&self) -> bool {
        self.machine.try_borrow_mut().is_ok()
    }
}
