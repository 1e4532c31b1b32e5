//! Ways back to who registered: by them an introduction point reaches a node that it doesn't know.
//!
//! A node registers by a route that begins with random hops. Each hop keeps by which neighbour it came, and by which it went on; the last one
//! is the *introduction point*. Whoever has the point's name and the token sends a question there, and it goes the way back. A hop that loses
//! the neighbour on either side says so on the other side: who registered knows at once that it must do so again, and no hop keeps a way
//! that leads nowhere.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::id::NodeId;
use sha2::{Digest, Sha256};

use crate::message::{Secret, Token};

/// How long a way is kept that isn't renewed.
pub const LIFE: Duration = Duration::from_secs(900);
/// Ways that are kept.
const MOST: usize = 1024;
/// Of these, for one neighbour.
const MOST_FOR_ONE: usize = 64;

/// Where a way leads back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// A neighbour.
    Neighbour(NodeId),
    /// This node, which registered.
    Here,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    back: Back,
    /// The next hop towards the introduction point. None: this node is the point.
    on: Option<NodeId>,
    until: Instant,
}

/// All ways that lead by this node.
#[derive(Debug, Default)]
pub struct Ways {
    ways: Map<Token, Way>,
}

impl Token {
    /// What others know of a secret: the first 16 bytes of SHA-256 over a domain and the secret. Who knows a token can't take its way over.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        let hash = Sha256::new().chain_update(b"bitters/overlay/token/1").chain_update(secret.0).finalize();
        Self(*hash.first_chunk().expect("a hash has 32 bytes"))
    }
}

impl Ways {
    /// Keeps a way, in place of an older one of that token. Who is to be told that the older one is over; nothing if there is no room.
    pub fn keep(&mut self, token: Token, back: Back, on: Option<NodeId>, now: Instant) -> Option<Vec<Back>> {
        self.ways.retain(|_, way| way.until > now);
        let others = self.ways.iter().filter(|(other, way)| **other != token && way.back == back).count();
        let is_known = self.ways.contains_key(&token);
        if others >= MOST_FOR_ONE || (self.ways.len() >= MOST && !is_known) {
            return None;
        }
        let way = Way { back, on, until: now + LIFE };
        let older = self.ways.insert(token, way);
        let ends = older.into_iter().flat_map(Way::ends).filter(|end| !way.ends().contains(end));
        Some(ends.filter(|end| *end != Back::Here).collect())
    }

    /// Where a token's way leads back to.
    #[must_use]
    pub fn find(&self, token: Token, now: Instant) -> Option<Back> {
        self.ways.get(&token).filter(|way| way.until > now).map(|way| way.back)
    }

    /// A neighbour says that a way is over. Who is to be told, if the way went by that neighbour.
    pub fn on_lost(&mut self, from: NodeId, token: Token) -> Vec<Back> {
        let from = Back::Neighbour(from);
        if self.ways.get(&token).is_none_or(|way| !way.ends().contains(&from)) {
            return Vec::new();
        }
        let ends = self.ways.remove(&token).into_iter().flat_map(Way::ends);
        ends.filter(|end| *end != from).collect()
    }

    /// A neighbour is gone. Which ways are over, and who is to be told.
    pub fn on_gone(&mut self, node: NodeId) -> Vec<(Token, Back)> {
        let gone = Back::Neighbour(node);
        let ways = self.ways.extract(|_, way| way.ends().contains(&gone)).into_iter();
        ways.flat_map(|(token, way)| way.ends().into_iter().filter(|end| *end != gone).map(move |end| (token, end)))
            .collect()
    }
}

impl Way {
    /// The hops before and behind this one.
    fn ends(self) -> Vec<Back> {
        [self.back].into_iter().chain(self.on.map(Back::Neighbour)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_back_until_it_is_old() {
        let mut ways = Ways::default();
        assert_eq!(ways.keep(token(1), Back::Neighbour(ALICE), Some(BOB), Instant::START), Some(Vec::new()));
        assert_eq!(ways.find(token(1), Instant::START), Some(Back::Neighbour(ALICE)));
        assert_eq!((ways.find(token(2), Instant::START), ways.find(token(1), Instant::START + LIFE)), (None, None));
    }

    #[test]
    fn who_is_on_a_way_is_told_when_it_is_over_by_the_neighbours_that_it_goes_by_alone() {
        let mut ways = Ways::default();
        ways.keep(token(1), Back::Here, Some(BOB), Instant::START);
        assert_eq!(ways.on_lost(ALICE, token(1)), [], "it went by somebody else");
        assert_eq!(ways.on_lost(BOB, token(1)), [Back::Here]);
        assert_eq!(ways.on_lost(BOB, token(1)), [], "it is told once");

        ways.keep(token(2), Back::Neighbour(ALICE), Some(BOB), Instant::START);
        ways.keep(token(3), Back::Neighbour(BOB), None, Instant::START);
        ways.keep(token(4), Back::Neighbour(BOB), Some(CAROL), Instant::START);
        let told = [(token(2), Back::Neighbour(ALICE)), (token(4), Back::Neighbour(CAROL))];
        assert_eq!(ways.on_gone(BOB), told, "of the third nobody is there to be told");
        assert_eq!(ways.ways.len(), 0);
    }

    #[test]
    fn who_was_on_an_older_way_alone_is_told_that_it_is_over() {
        let mut ways = Ways::default();
        ways.keep(token(1), Back::Neighbour(ALICE), Some(BOB), Instant::START);
        let again = ways.keep(token(1), Back::Neighbour(ALICE), Some(CAROL), Instant::START);
        assert_eq!(again, Some(vec![Back::Neighbour(BOB)]));
        assert_eq!(ways.keep(token(1), Back::Neighbour(ALICE), Some(CAROL), Instant::START), Some(vec![]));
    }

    #[test]
    fn one_neighbour_takes_no_more_than_its_part_and_may_renew() {
        let mut ways = Ways::default();
        for byte in 0..200 {
            ways.keep(token(byte), Back::Neighbour(ALICE), None, Instant::START);
        }
        assert_eq!(ways.ways.len(), MOST_FOR_ONE);
        assert!(ways.keep(token(0), Back::Neighbour(ALICE), None, Instant::START).is_some());
        assert!(ways.keep(token(201), Back::Neighbour(BOB), None, Instant::START).is_some());
        let later = Instant::START + LIFE;
        assert!(ways.keep(token(200), Back::Neighbour(ALICE), None, later).is_some(), "the older ones are old");
    }

    #[test]
    fn a_token_is_the_start_of_a_hash() {
        // `(printf bitters/overlay/token/1; head -c 16 /dev/zero) | sha256sum`
        assert_eq!(Token::of(&Secret([0; 16])), Token(ZEROS));
    }

    const ALICE: NodeId = NodeId([0xa1; 32]);
    const BOB: NodeId = NodeId([0xb0; 32]);
    const CAROL: NodeId = NodeId([0xca; 32]);
    const ZEROS: [u8; 16] = 0x559a_550c_c78f_52ea_9487_a3de_481f_6236_u128.to_be_bytes();

    fn token(byte: u8) -> Token {
        Token([byte; 16])
    }
}
