//! What waits for a link: each site's packets in a lane of their own, so that a site which says much waits for itself.
//!
//! The frame that holds the link tells how much of it has gone on ([`LinkEvent::Drained`]); no more than a window is on its way
//! there. Beyond that, the lane goes next of which the fewest bytes have gone (start-time fair queueing, Goyal, Vin and Cheng 1996). Sessions
//! bound what waits by their credit, and here it is bounded again: what doesn't fit is lost, and said to be when the lane is empty,
//! so that sessions say it again.
//!
//! [`LinkEvent::Drained`]: bitters_wire::local::LinkEvent::Drained

use bitters_wire::{
    id::{FrameId, PersonaId},
    map::Map,
};

use crate::backlog::{Backlog, Lost};

/// Bytes on their way to the frame that holds the link: 50 ms of a loopback link (10 MiB/s), twice what its frame needs to stay busy.
const WINDOW: usize = 512 * 1024;

/// Bytes of one site that wait for one link: eight streams that wait for nothing else.
const MAX_WAITING: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct Lane {
    waiting: Backlog<Vec<u8>>,
    /// Bytes that have gone, as if the lane had always gone as often as others.
    gone: u64,
}

/// One link's.
#[derive(Debug, Default)]
pub struct Lanes {
    under_way: usize,
    lanes: Map<String, Lane>,
    /// Where the lane stood that went last.
    gone: u64,
}

impl Lanes {
    /// So many bytes went to the link's frame, past the lanes or not.
    pub const fn sent(&mut self, bytes: usize) {
        self.under_way = self.under_way.saturating_add(bytes);
    }

    /// So many went on from there. A leader before us may have sent some of them.
    pub const fn drained(&mut self, bytes: usize) {
        self.under_way = self.under_way.saturating_sub(bytes);
    }

    /// A site's packet, as a link message, waits for its turn, which may be now.
    pub fn wait(&mut self, site: &str, from: FrameId, to: PersonaId, message: Vec<u8>) {
        let gone = self.gone;
        let lane = || Lane { waiting: Backlog::new(MAX_WAITING), gone };
        let lane = self.lanes.entry(site.to_owned()).or_insert_with(lane);
        lane.waiting.push(from, to, message.len(), message);
    }

    /// The message whose turn it is, if there is room for one; and who is to say something again.
    pub fn next(&mut self) -> Option<(Vec<u8>, Lost)> {
        if self.under_way >= WINDOW {
            return None;
        }
        let (site, lane) = self.lanes.iter_mut().min_by_key(|(_, lane)| lane.gone)?;
        let (message, lost) = lane.waiting.pop()?;
        self.gone = lane.gone;
        lane.gone += message.len() as u64;
        if lane.waiting.is_empty() {
            let site = site.clone();
            self.lanes.remove(&site);
        }
        Some((message, lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_site_alone_goes_in_order_as_far_as_the_window() {
        let mut lanes = Lanes::default();
        for n in 0..10 {
            wait(&mut lanes, "a", n, 100 * 1024);
        }
        assert_eq!(sent(&mut lanes), [0, 1, 2, 3, 4, 5]);
        lanes.drained(250 * 1024);
        assert_eq!(sent(&mut lanes), [6, 7]);
        lanes.drained(usize::MAX);
        assert_eq!(sent(&mut lanes), [8, 9]);
        assert!(lanes.lanes.is_empty());
    }

    #[test]
    fn who_says_little_goes_before_who_says_much() {
        let mut lanes = Lanes::default();
        for n in 0..100 {
            wait(&mut lanes, "loud", n, 60 * 1024);
        }
        assert_eq!(sent(&mut lanes).len(), 9);
        for n in 200..205 {
            wait(&mut lanes, "quiet", n, 100);
        }
        lanes.drained(100 * 1024);
        assert_eq!(sent(&mut lanes), [200, 201, 202, 203, 204, 9, 10]);
    }

    #[test]
    fn two_who_say_much_share_the_link() {
        let mut lanes = Lanes::default();
        for n in 0..100 {
            wait(&mut lanes, "a", n, 60 * 1024);
            wait(&mut lanes, "b", 100 + n, 20 * 1024);
        }
        let went = (0..10).flat_map(|_| {
            lanes.drained(240 * 1024);
            sent(&mut lanes)
        });
        let (a, b): (Vec<u8>, Vec<u8>) = went.partition(|n| *n < 100);
        assert!((3 * a.len()).abs_diff(b.len()) <= 6, "{} and {}", a.len(), b.len());
    }

    const FRAME: FrameId = FrameId::from_random([1; 16]);
    const PEER: PersonaId = PersonaId([2; 32]);

    fn wait(lanes: &mut Lanes, site: &str, n: u8, bytes: usize) {
        let mut message = vec![0; bytes];
        message[0] = n;
        lanes.wait(site, FRAME, PEER, message);
    }

    fn sent(lanes: &mut Lanes) -> Vec<u8> {
        let mut sent = Vec::new();
        while let Some((message, _)) = lanes.next() {
            lanes.sent(message.len());
            sent.push(message[0]);
        }
        sent
    }
}
