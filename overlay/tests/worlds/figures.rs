//! What a world shows.

use std::{fmt, time::Duration};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Questions of nodes that were there to the end.
    pub asked: u64,
    /// Of these, answered by the first route.
    pub at_first: u64,
    /// Answered at all.
    pub answered: u64,
    /// How long answers took, in milliseconds.
    pub took: Vec<u64>,
    /// For how long nodes were settled, all together.
    pub lives: Duration,
    /// Links that came up at settled nodes.
    pub links: u64,
    /// Messages that settled nodes sent for upkeep.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Figures {
    /// A question is over.
    pub fn word(&mut self, is_answered: bool, attempt: u8, took: Duration) {
        self.asked += 1;
        self.answered += u64::from(is_answered);
        self.at_first += u64::from(is_answered && attempt == 1);
        if is_answered {
            self.took.push(u64::try_from(took.as_millis()).expect("a question takes seconds"));
        }
    }

    /// Of a hundred questions, those answered by the first route, and in the end.
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub fn percent(&self) -> [f64; 2] {
        [self.at_first, self.answered].map(|count| 100.0 * count as f64 / self.asked as f64)
    }

    /// How long 95 of a hundred answers took at most, in milliseconds.
    pub fn p95(&self) -> u64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get(took.len() * 95 / 100).copied().unwrap_or_default()
    }

    /// Links that come up at a settled node in a minute, and the bytes that it sends for upkeep.
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    pub fn upkeep(&self) -> [f64; 2] {
        [self.links, self.bytes].map(|count| count as f64 / (self.lives.as_secs_f64() / 60.0))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([first, end], [links, bytes]) = (self.percent(), self.upkeep());
        let Self { asked, .. } = self;
        write!(f, "{asked} questions, answered at first {first:.3} %, in the end {end:.3} %, p95 {} ms; ", self.p95())?;
        write!(f, "a settled node's minute: {links:.2} links, {bytes:.0} bytes")
    }
}
