//! The leader as one module. A crate that is a library, too, isn't optimised as a whole (rust-lang/cargo#9672).

use bitters_leader as _;
