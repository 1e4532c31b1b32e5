//! The whole machine: against a scripted peer, against a hostile one, and two of them in a simulated world.

mod address;
mod dial;
mod hidden;
mod hostile;
mod pair;
mod script;
mod vectors;
mod world;
