//! What waits for a link: each site's packets in a lane of their own, and what each author says in a topic, so that whoever says much waits for
//! itself. Topics share the link with groups of sites, and their authors with sites.
//!
//! The frame that holds the link tells how much of it has gone on ([`LinkEvent::Drained`]); no more than a window is on its way
//! there. Beyond that, the lane goes next of which the fewest bytes have gone (start-time fair queueing, Goyal, Vin and Cheng 1996): that of the
//! [group](crate::groups) of which the fewest have, and of its sites that of which the fewest have. Sessions
//! bound what waits by their credit, and here it is bounded again: what doesn't fit is lost, and said to be when the lane is empty,
//! so that sessions say it again.
//!
//! [`LinkEvent::Drained`]: bitters_wire::local::LinkEvent::Drained

use bitters_machine::map::Map;
use bitters_wire::id::{FrameId, PersonaId, TopicId};

use crate::{
    backlog::{Backlog, Lost},
    groups::group_of,
};

/// Bytes on their way to the frame that holds the link: 50 ms of a loopback link (10 MiB/s), twice what its frame needs to stay busy.
const WINDOW: usize = 512 * 1024;

/// Bytes of one site that wait for one link: eight streams that wait for nothing else.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// Bytes of one author in one topic that wait for one link, and of all: what is beyond isn't passed on there. Others may do so. Of each author
/// something may wait whatever others have said.
const MAX_WAITING_OF_AUTHOR: usize = 1024 * 1024;
const MAX_WAITING_OF_TOPIC: usize = 4 * 1024 * 1024;
const SOMETHING: usize = 16 * 1024;

/// What waits for its turn beside others.
#[derive(Debug)]
struct Turn<T> {
    /// Bytes that have gone, as if it had always gone as often as others.
    gone: u64,
    what: T,
}

/// All that waits for its turn.
#[derive(Debug)]
struct Queue<T> {
    turns: Map<String, Turn<T>>,
    /// Where the one stood that went last.
    gone: u64,
}

impl<T> Queue<T> {
    fn entry(&mut self, name: &str, new: impl FnOnce() -> T) -> &mut T {
        let gone = self.gone;
        &mut self.turns.entry(name.to_owned()).or_insert_with(|| Turn { gone, what: new() }).what
    }

    /// Has the one go whose turn it is. `go` tells how many bytes went, and whether nothing of it waits any longer.
    fn next<R>(&mut self, go: impl FnOnce(&mut T) -> Option<(R, usize, bool)>) -> Option<(R, usize)> {
        let (name, turn) = self.turns.iter_mut().min_by_key(|(_, turn)| turn.gone)?;
        let (went, bytes, is_empty) = go(&mut turn.what)?;
        self.gone = turn.gone;
        turn.gone += bytes as u64;
        if is_empty {
            let name = name.clone();
            self.turns.remove(&name);
        }
        Some((went, bytes))
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { turns: Map::new(), gone: 0 }
    }
}

type Lane = Backlog<Vec<u8>>;

/// One link's.
#[derive(Debug, Default)]
pub struct Lanes {
    under_way: usize,
    groups: Queue<Queue<Lane>>,
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
        let group = self.groups.entry(group_of(site), Queue::default);
        group.entry(site, || Backlog::new(MAX_WAITING)).push(from, to, message.len(), message);
    }

    /// What an author says in a topic, as a link message, waits for its turn. Where too much of that waits already, it is dropped.
    pub fn wait_in_topic(&mut self, topic: TopicId, author: PersonaId, message: Vec<u8>) {
        // No group of sites is called so.
        let topic = self.groups.entry(&format!("topic {topic}"), Queue::default);
        let waiting: usize = topic.turns.values().map(|lane| lane.what.bytes()).sum();
        let lane = topic.entry(&author.to_string(), || Backlog::new(MAX_WAITING_OF_AUTHOR));
        let is_full = waiting + message.len() > MAX_WAITING_OF_TOPIC && lane.bytes() + message.len() > SOMETHING;
        if !is_full {
            lane.offer(message.len(), message);
        }
    }

    /// The message whose turn it is, if there is room for one; and who is to say something again.
    pub fn next(&mut self) -> Option<(Vec<u8>, Lost)> {
        if self.under_way >= WINDOW {
            return None;
        }
        let next = self.groups.next(|group| {
            let (went, bytes) = group.next(|lane| {
                let (message, lost) = lane.pop()?;
                let bytes = message.len();
                Some(((message, lost), bytes, lane.is_empty()))
            })?;
            Some((went, bytes, group.turns.is_empty()))
        });
        next.map(|(went, _)| went)
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
        assert!(lanes.groups.turns.is_empty());
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

    #[test]
    fn the_sites_of_one_group_share_what_one_site_has() {
        let mut lanes = Lanes::default();
        for n in 0..50 {
            for site in 0..4 {
                wait(&mut lanes, &format!("https://{site}.greedy.example"), n, 60 * 1024);
            }
            wait(&mut lanes, "https://quiet.example", 100 + n, 60 * 1024);
        }
        let went = (0..10).flat_map(|_| {
            lanes.drained(240 * 1024);
            sent(&mut lanes)
        });
        let (greedy, quiet): (Vec<u8>, Vec<u8>) = went.partition(|n| *n < 100);
        assert!(greedy.len().abs_diff(quiet.len()) <= 1, "{} and {}", greedy.len(), quiet.len());
        assert_eq!(greedy[..8], [0, 0, 0, 0, 1, 1, 1, 1], "each of them in its turn");
    }

    #[test]
    fn who_floods_a_topic_waits_for_itself() {
        let mut lanes = Lanes::default();
        let says = |lanes: &mut Lanes, topic, author, n, bytes: usize| {
            let mut message = vec![0; bytes];
            message[0] = n;
            lanes.wait_in_topic(TopicId([topic; 32]), PersonaId([author; 32]), message);
        };
        for n in 0..100 {
            says(&mut lanes, 1, 1, n, 60 * 1024);
        }
        assert_eq!(sent(&mut lanes).len(), 9);
        says(&mut lanes, 1, 2, 200, 100);
        says(&mut lanes, 2, 1, 201, 100);
        wait(&mut lanes, "quiet", 202, 100);
        lanes.drained(usize::MAX);
        let went = sent(&mut lanes);
        assert!(went[..4].iter().filter(|n| **n >= 200).count() == 3, "{went:?}");
        lanes.drained(usize::MAX);
        assert_eq!(went.len() + sent(&mut lanes).len(), 3 + 17 - 9, "what was too much is dropped");
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
