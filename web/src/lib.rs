//! Thin handles on the browser, each without opinions: an error that names the call, a clock, a timer, the loop around a machine, a listener, ports and
//! channels, locks, and the [`Island`](island::Island), the only way by which frame code reaches what is partitioned.

#![cfg(target_arch = "wasm32")]

pub mod announcer;
pub mod clock;
pub mod driver;
pub mod error;
pub mod global;
pub mod island;
pub mod lock;
pub mod pipe;
pub mod random;
