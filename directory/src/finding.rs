//! Look-ups of others' records.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
use bitters_record::{place::POSITIONS, record::Record};

use crate::{Name, word::Reply};

/// How long the second position may take after the first one had the record.
const SECOND: Duration = Duration::from_secs(2);

/// What a position has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Had {
    Unknown,
    /// Nobody was reached there.
    Unreached,
    Nothing,
    /// A good record, by its sequence number.
    Seq(u64),
}

#[derive(Debug)]
struct Finding {
    name: Name,
    best: Option<Record>,
    had: [Had; POSITIONS],
    /// When the look-up ends whatever is missing.
    due: Option<Instant>,
}

/// A look-up that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// As it was asked for.
    pub token: u64,
    /// The newest good record, if there is one.
    pub record: Option<Record>,
    /// Positions that answered, and had none or an older one.
    pub stale: Vec<usize>,
}

/// All look-ups under way.
#[derive(Debug, Default)]
pub struct Findings {
    under_way: Map<u64, Finding>,
}

impl Findings {
    /// Begins a look-up: both positions are to be asked.
    pub fn begin(&mut self, token: u64, name: Name) {
        self.under_way.insert(token, Finding { name, best: None, had: [Had::Unknown; POSITIONS], due: None });
    }

    /// What a position replied; nobody did, where there is no reply. A record of another name, or one that isn't good, is none.
    pub fn on_reply(
        &mut self,
        token: u64,
        place: usize,
        reply: Option<Reply>,
        unix: u64,
        now: Instant,
    ) -> Option<Found> {
        let finding = self.under_way.get_mut(&token)?;
        let good = match reply {
            None => Err(Had::Unreached),
            Some(Reply::Record(record)) if record.check(unix).is_ok() && finding.is_for(&record) => Ok(record),
            Some(_) => Err(Had::Nothing),
        };
        finding.had[place] = good.as_ref().map_or_else(|had| *had, |good| Had::Seq(good.seq()));
        if let Ok(good) = good {
            finding.due.get_or_insert(now + SECOND);
            if finding.best.as_ref().is_none_or(|best| best.seq() < good.seq()) {
                finding.best = Some(good);
            }
        }
        if finding.had.contains(&Had::Unknown) { None } else { self.finish(token) }
    }

    /// A look-up that takes no longer.
    pub fn on_timeout(&mut self, now: Instant) -> Option<Found> {
        let (token, _) = self.under_way.iter().find(|(_, finding)| finding.due.is_some_and(|due| due <= now))?;
        self.finish(*token)
    }

    /// When the next look-up ends.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.values().filter_map(|finding| finding.due).min()
    }

    fn finish(&mut self, token: u64) -> Option<Found> {
        let Finding { best, had, .. } = self.under_way.remove(&token)?;
        let is_stale = |place: &usize| match (had[*place], &best) {
            (Had::Nothing, Some(_)) => true,
            (Had::Seq(seq), Some(best)) => seq < best.seq(),
            _ => false,
        };
        Some(Found { token, stale: (0..POSITIONS).filter(is_stale).collect(), record: best })
    }
}

impl Finding {
    fn is_for(&self, record: &Record) -> bool {
        (record.key(), record.salt()) == self.name
    }
}
