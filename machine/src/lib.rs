//! What every machine stands on.
//!
//! | module | idea |
//! | --- | --- |
//! | [`agenda`] | what happens later, in the order of its time, in simulated worlds |
//! | [`backoff`](backoff()) | when to try again |
//! | [`map`] | ordered maps and sets that are small to load |
//! | [`random`] | a seeded generator that is fit for nonces and names |
//! | [`rate`] | how often something may happen |
//! | [`time`] | moments, as machines see them |
//!
//! A [`Machine`] takes facts and the time, and returns acts.

pub mod agenda;
mod backoff;
pub mod map;
pub mod random;
pub mod rate;
pub mod time;

pub use backoff::backoff;

use std::{fmt::Debug, iter};

use time::Instant;

/// Takes facts and the time, and returns acts. It owns no clock, port or dice, so a run can be repeated.
///
/// Whoever runs it gives it an input, performs its outputs until there are none, and wakes it at its timeout.
pub trait Machine {
    /// What happened.
    type Input: Clone + Debug + PartialEq;

    /// What is to be done.
    type Output: Clone + Debug + PartialEq;

    /// Takes a fact. Whatever it says, it can't fail. `now` is never earlier than in the call before.
    fn handle_input(&mut self, input: Self::Input, now: Instant);

    /// The next act, until there is none.
    #[must_use]
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When the machine wants to be told that its time has come, if at all. To be asked again once the outputs are performed.
    #[must_use]
    fn poll_timeout(&self) -> Option<Instant>;
}

/// All acts that are to be done now.
#[must_use]
pub fn drain<M: Machine>(machine: &mut M) -> Vec<M::Output> {
    iter::from_fn(|| machine.poll_output()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drained_machine_has_nothing_left_to_do() {
        let mut echo = Echo::default();
        echo.handle_input(1, Instant::START);
        echo.handle_input(2, Instant::START);

        assert_eq!(drain(&mut echo), [1, 2]);
        assert_eq!(echo.poll_output(), None);
    }

    #[derive(Default)]
    struct Echo(std::collections::VecDeque<u32>);

    impl Machine for Echo {
        type Input = u32;
        type Output = u32;

        fn handle_input(&mut self, input: u32, _: Instant) {
            self.0.push_back(input);
        }

        fn poll_output(&mut self) -> Option<u32> {
            self.0.pop_front()
        }

        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
    }
}
