//! Room for another link, when there are as many as may be.
//!
//! Sites of one group count as one here.

use bitters_wire::{
    id::{LinkId, NodeId},
    map::{Map, Set},
    time::Instant,
};

use super::{Node, linking::SESSION_PATIENCE};
use crate::{groups::group_of, links::Up, quotas::MAX_LINKS};

/// Links that one group may have for itself when others want some.
const SHARE: usize = MAX_LINKS / 2;

impl Node {
    /// Hangs up a link that can be missed: the one that was unused for the longest time, or one of a group that has more than its share.
    pub(super) fn make_room(&mut self, now: Instant) -> bool {
        let unused = self.links.ups().filter(|(_, _, up)| !self.is_used(up, now));
        let unused = unused.min_by_key(|(_, _, up)| up.last_packet).map(|(id, _, _)| id);
        let Some(link) = unused.or_else(|| self.surplus(now)) else { return false };
        self.hang_up(link);
        self.replace_link(link, now);
        true
    }

    fn is_used(&self, up: &Up, now: Instant) -> bool {
        talks(up, now) || up.joined.keys().any(|topic| self.topics.is_open(*topic))
    }

    /// Of the links that a greedy group alone uses, the one that was quiet for the longest time.
    fn surplus(&self, now: Instant) -> Option<LinkId> {
        let mut alone: Map<&str, Vec<(Option<Instant>, LinkId)>> = Map::new();
        for (id, link, up) in self.links.ups() {
            let users = self.users(link.peer, up, now);
            if let Some(user) = users.first().filter(|_| users.len() == 1) {
                alone.entry(*user).or_default().push((up.last_packet, id));
            }
        }
        let most = alone.into_values().max_by_key(Vec::len)?;
        most.iter().min().filter(|_| most.len() > SHARE).map(|(_, link)| *link)
    }

    /// Groups that use a link: for their sites' topics, or for their sessions.
    fn users(&self, peer: NodeId, up: &Up, now: Instant) -> Set<&str> {
        let topics = up.joined.keys().flat_map(|topic| self.frames.in_topic(*topic));
        let talking = self.frames.iter().filter(|(_, frame)| {
            talks(up, now) && frame.talks.keys().any(|persona| self.routes.home(*persona) == Some(peer))
        });
        topics.chain(talking).map(|(_, frame)| group_of(&frame.origin)).collect()
    }
}

fn talks(up: &Up, now: Instant) -> bool {
    up.last_packet.is_some_and(|at| now.since(at) < SESSION_PATIENCE)
}
