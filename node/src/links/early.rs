//! What sessions say before there is a link: their packets go the way of signals.
//!
//! A link takes a second to come up where machines are far apart, and a call needs two round trips. So the first packets go sealed by the
//! server, or by a common peer, while the link is being made. As there is no telling who a stranger is, only those do so who accepted each
//! other, or are in a topic. Nobody is shown a network address by that. A few KiB for each dial, each way: the server isn't there to carry
//! what links are for. What goes beyond that waits for the link, and so does what was lost: sessions ask what arrived.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{codec, id::PersonaId, limits::MAX_EARLY, packet::Packet, sealed::Said};

use super::{Around, Links, LinksOutput, table::Way};
use crate::pair::Pair;

/// Bytes that may go so to one peer for each dial.
const BUDGET: usize = 8 * 1024;

/// After that time without a link there may be as many again: a dial is over, and another one under way.
const RENEWED_AFTER: Duration = Duration::from_secs(30);

/// Pairs kept in mind. Beyond that nothing more goes this way.
const CAPACITY: usize = 256;

/// Packets that one signal may carry: each is answered at most once.
const MAX_PACKETS: usize = 8;

/// Where pairs without a link speak, and how much they have said.
#[derive(Debug, Default)]
pub struct Early(Map<Pair, Spent>);

#[derive(Debug)]
struct Spent {
    way: Way,
    bytes: usize,
    since: Instant,
}

impl Early {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// The peer spoke this way, and is answered so.
    fn hear(&mut self, pair: Pair, way: Way, now: Instant) {
        if let Some(spent) = self.spent(pair, way, now) {
            spent.way = way;
        }
    }

    /// Takes so many bytes for what goes to the peer, if there are as many left. Tells which way it goes: the one by which the peer spoke
    /// last, else this one.
    fn take(&mut self, pair: Pair, bytes: usize, way: Option<Way>, now: Instant) -> Option<Way> {
        let known = self.0.get(&pair).map(|spent| spent.way).or(way)?;
        let spent = self.spent(pair, known, now)?;
        let fits = spent.bytes + bytes <= BUDGET;
        spent.bytes += if fits { bytes } else { 0 };
        fits.then_some(spent.way)
    }

    fn spent(&mut self, pair: Pair, way: Way, now: Instant) -> Option<&mut Spent> {
        self.0.retain(|_, spent| now.since(spent.since) < RENEWED_AFTER);
        let is_full = self.0.len() >= CAPACITY;
        (!is_full || self.0.contains_key(&pair))
            .then(|| self.0.entry(pair).or_insert_with(|| Spent { way, bytes: 0, since: now }))
    }

    /// There is a link, which may be lost.
    pub fn end(&mut self, pair: Pair) {
        self.0.remove(&pair);
    }

    /// The last frame of a persona is gone.
    pub fn leave(&mut self, own: PersonaId) {
        self.0.retain(|pair, _| pair.own != own);
    }
}

impl Around<'_> {
    /// Whether packets to a peer, and from it, may go by way of others: whoever passes them on could tell who speaks with whom, and strangers
    /// could have our frames answer handshakes.
    fn may_speak_early(&self, pair: Pair) -> bool {
        pair.own != pair.peer
            && (self.acquaintances.includes(pair, self.unix_ms) || self.topics.common(pair).next().is_some())
    }
}

impl Links {
    /// Whether sessions can speak with a peer to whom there is no link yet.
    pub fn speaks_early(&self, pair: Pair, around: &Around<'_>) -> bool {
        around.may_speak_early(pair) && self.early_way(pair, around).is_some()
    }

    /// Whether the peer spoke with us, or we with it, lately and without a link.
    pub fn was_heard(&self, pair: Pair) -> bool {
        self.early.0.contains_key(&pair)
    }

    /// Nothing more is to be said to the peer.
    pub fn end_early(&mut self, pair: Pair) {
        self.early.end(pair);
    }

    fn early_way(&self, pair: Pair, around: &Around<'_>) -> Option<Way> {
        let common = self.common_peer(pair, around).map(Way::CommonPeer);
        common.or(around.is_registered.then_some(Way::Uplink))
    }

    /// Sends a packet to a peer to whom there is no link. Tells whether it is on its way.
    pub fn say_early(&mut self, pair: Pair, packet: &Packet, around: &Around<'_>) -> bool {
        let bytes = codec::encode(packet).len();
        if bytes > MAX_EARLY || !around.may_speak_early(pair) {
            return false;
        }
        let way = self.early_way(pair, around);
        let way = self.early.take(pair, bytes, way, around.now);
        way.is_some_and(|way| self.send_said(pair, &Said::Packets(vec![packet.clone()]), way, around))
    }

    /// What a peer's sessions say before there is a link.
    pub(super) fn on_early(&mut self, pair: Pair, packets: Vec<Packet>, way: Way, around: &Around<'_>) {
        if !around.may_speak_early(pair) || packets.len() > MAX_PACKETS {
            return;
        }
        if self.table.up_to(pair).is_none() {
            self.early.hear(pair, way, around.now);
        }
        let theirs = |packet: &Packet| packet.from == pair.peer && packet.to == pair.own;
        for packet in packets.into_iter().filter(theirs) {
            self.tell(LinksOutput::Early(pair, packet));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_has_its_bytes_and_the_next_one_as_many() {
        let mut early = Early::new();
        let at = |seconds| Instant::START + Duration::from_secs(seconds);
        assert_eq!(early.take(pair(1), 1, None, at(0)), None, "there is no way");
        assert_eq!(early.take(pair(1), BUDGET, Some(Way::Uplink), at(0)), Some(Way::Uplink));
        assert_eq!(early.take(pair(1), 1, Some(Way::Uplink), at(29)), None);
        assert_eq!(early.take(pair(2), BUDGET, Some(Way::Uplink), at(29)), Some(Way::Uplink), "another has its own");
        assert_eq!(early.take(pair(1), BUDGET, Some(Way::Uplink), at(30)), Some(Way::Uplink));
        early.end(pair(1));
        assert_eq!(early.take(pair(1), 1, Some(Way::Uplink), at(30)), Some(Way::Uplink));
    }

    #[test]
    fn who_spoke_is_answered_the_same_way() {
        let mut early = Early::new();
        let by = |n| Way::CommonPeer(pair(n).peer);
        early.hear(pair(1), by(7), Instant::START);
        assert_eq!(early.take(pair(1), 5, Some(Way::Uplink), Instant::START), Some(by(7)));
        early.hear(pair(1), by(8), Instant::START);
        assert_eq!(early.take(pair(1), BUDGET - 4, None, Instant::START), None, "that costs the same");
        assert_eq!(early.take(pair(1), BUDGET - 5, None, Instant::START), Some(by(8)));
    }

    #[test]
    fn many_pairs_keep_to_their_bound() {
        let mut early = Early::new();
        for n in 0..CAPACITY {
            early.hear(pair(n), Way::Uplink, Instant::START);
        }
        assert_eq!(early.take(pair(CAPACITY), 1, Some(Way::Uplink), Instant::START), None);
        assert_eq!(early.take(pair(0), 1, None, Instant::START), Some(Way::Uplink));
        early.leave(pair(0).own);
        assert_eq!(early.0.len(), 0);
    }

    fn pair(n: usize) -> Pair {
        let mut peer = [1; 32];
        peer[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Pair { own: PersonaId([7; 32]), peer: PersonaId(peer) }
    }
}
