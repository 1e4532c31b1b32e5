//! The frame without a browser: [`site`] is its machine, which takes what the site asks, what the leader says and what links report,
//! and returns what is told to each. [`embedding`] judges how its document is shown.

pub mod embedding;
pub mod site;
