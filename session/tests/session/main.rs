//! Sessions from outside: scenes of two frames, and worlds of several.

#![allow(clippy::unwrap_used, reason = "the whole of it is tests")]

mod calls;
mod streams;
mod support;
mod world;
mod worlds;
