//! What is held back of sites that say more than their share. Nothing of it is lost as long as their sessions keep to their credit: a packet
//! that isn't passed on would be missed only when its session asks.

use bitters_machine::map::Map;
use bitters_wire::{
    id::FrameId,
    packet::{Body, Packet},
};

use crate::backlog::{Backlog, Lost};

/// Bytes held back of one site: sixteen streams that wait for nothing else.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// What a packet costs besides the bytes in it, with room for its ids. It takes the leader's time, however small it is.
const OVERHEAD: usize = 1024;

/// All sites'.
#[derive(Debug, Default)]
pub struct Holds(Map<String, Backlog<(FrameId, Packet)>>);

impl Holds {
    /// Whether a site's packets are held back: then the next is, too.
    pub fn holds(&self, site: &str) -> bool {
        self.0.contains_key(site)
    }

    /// Whether none are.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Holds a packet of a site's frame back.
    pub fn hold(&mut self, site: &str, frame: FrameId, packet: Packet) {
        let backlog = self.0.entry(site.to_owned()).or_insert_with(|| Backlog::new(MAX_HELD));
        backlog.push(frame, packet.to, cost(&packet), (frame, packet));
    }

    /// Sites of which packets are held back.
    pub fn sites(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// What the next of a site costs, if one is held back.
    pub fn next_cost(&self, site: &str) -> Option<usize> {
        self.0.get(site).and_then(Backlog::next_bytes)
    }

    /// Lets the next of a site go, and tells who is to say something again.
    pub fn release(&mut self, site: &str) -> Option<((FrameId, Packet), Lost)> {
        let backlog = self.0.get_mut(site)?;
        let released = backlog.pop();
        if backlog.is_empty() {
            self.0.remove(site);
        }
        released
    }
}

/// What passing a packet on costs, in bytes.
pub const fn cost(packet: &Packet) -> usize {
    OVERHEAD
        + match &packet.body {
            Body::Accept { handshake } | Body::Open { handshake, .. } => handshake.len(),
            Body::Refused { .. } => 0,
            Body::Sealed { sealed, .. } => sealed.len(),
        }
}
