//! What a world is like.

use std::time::Duration;

/// What a world is like. Counts out of a hundred are drawn for each node, or each death.
#[derive(Clone, Copy, Debug)]
pub struct Climate {
    /// Nodes that are there at each time.
    pub nodes: usize,
    /// Half of the nodes live longer.
    pub median_life: Duration,
    /// Of a hundred nodes, those behind NATs that can't link with each other.
    pub hard: u32,
    /// Of a hundred nodes, those that say of themselves that they can link with everybody, or that they can't, where the opposite is true.
    pub mistaken: u32,
    /// Of a hundred deaths, those of which neighbours learn 5 to 8 s later.
    pub silent: u32,
    /// Of a hundred nodes, those that acknowledge routes and drop them.
    pub holes: u32,
    /// Of a hundred nodes, those that list nodes with which they aren't linked.
    pub liars: u32,
    /// Within what time all nodes of the beginning come.
    pub beginning: Duration,
    /// How many come at once, and when.
    pub crowd: Option<(usize, Duration)>,
    /// From when to when each node hears only half of the others.
    pub split: Option<[Duration; 2]>,
    /// Whether nodes are asked by way of their introduction points, by who doesn't know them.
    pub introduced: bool,
    /// Questions that are asked in each second.
    pub questions: u32,
    /// When the first one is asked, and the last.
    pub asking: [Duration; 2],
}

/// Half of the nodes stay for ten minutes, almost half are behind hard NATs, and a third of those who go say nothing.
pub const CLIMATE: Climate = Climate {
    nodes: 160,
    median_life: Duration::from_secs(600),
    hard: 45,
    mistaken: 0,
    silent: 30,
    holes: 0,
    liars: 0,
    beginning: Duration::from_secs(60),
    crowd: None,
    split: None,
    introduced: false,
    questions: 10,
    asking: [Duration::from_secs(180), Duration::from_secs(480)],
};
