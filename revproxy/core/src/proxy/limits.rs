//! What is left of the rates.

use bitters_machine::{random::Random, time::Instant};

use super::{Config, Dropped, Path, passage::Passage};
use crate::{
    meters::{Credits, Meters},
    rate::Bucket,
};

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) bindings: Meters,
    pub(super) credits: Credits,
    pub(super) dials: Meters,
    pub(super) listener_dials: Meters,
    bytes: Bucket,
    source_bytes: Meters,
}

impl Limits {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            bindings: Meters::new(random),
            credits: Credits::new(random),
            dials: Meters::new(random),
            listener_dials: Meters::new(random),
            bytes: Bucket::default(),
            source_bytes: Meters::new(random),
        }
    }

    /// Takes what passing a packet on costs: from its source, from all and from its passage.
    pub(super) fn charge(
        &mut self,
        config: &Config,
        passage: &mut Passage,
        from: Path,
        len: usize,
        now: Instant,
    ) -> Result<(), Dropped> {
        let amount = u32::try_from(len).expect("a datagram is short");
        let rates = (config.source_bytes, config.bytes);
        if !self.source_bytes.take_of((), from.source(), amount, rates, now)
            || !self.bytes.take(amount, config.bytes, now)
        {
            return Err(Dropped::Rate);
        }
        passage.spend(len)
    }
}
