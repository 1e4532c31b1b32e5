//! What sessions say before there is a link: their packets go the way of signals.
//!
//! A link takes a second to come up where machines are far apart, and a call needs two round trips. So the first packets go sealed by the
//! server, or by a common peer, while the link is being made. As there is no telling who a stranger is, only acquaintances do so, and members
//! of a topic, to whom packets are sealed under its match key, too: who is only said to be a member reads and says nothing. Nobody is shown a
//! network address by that. A few KiB for each dial, each way: the server isn't there to carry what links are for. What goes beyond that
//! waits for the link, and so does what was lost: sessions ask what arrived. So is the number of peers with whom a persona does so at a time:
//! there, members give way to whom the site accepted, and both give way to whom it dials.
//!
//! What a page says in a topic goes so, too, to members to whom a link is being made. It is said on the link once more, and heard once.

use std::time::Duration;

use bitters_machine::{map::Map, time::Instant};
use bitters_wire::{
    codec,
    id::{PersonaId, TopicId},
    limits::{DIAL_TIMEOUT, MAX_EARLY},
    link::Signal,
    packet::Packet,
    sealed::{MAX_SHOWN, Said},
    topic::Published,
};

use super::{
    Around, Links, LinksOutput,
    crossing::CROSSING,
    room::Need,
    table::{Attempt, Way},
};
use crate::{pair::Pair, topics::Place};

/// Bytes that may go so to one peer, and come from it, for each dial.
const BUDGET: usize = 8 * 1024;

/// After that time without a link there may be as many again: a dial is over, and another one under way.
const RENEWED_AFTER: Duration = Duration::from_secs(30);

/// Peers of one persona that are kept in mind. With others nothing more goes this way, unless one of less [`Rank`] gives way.
const PEERS_OF_EACH: usize = 64;

/// Packets that one signal may carry: each is answered at most once.
const MAX_PACKETS: usize = 8;

/// Messages in a topic that one signal may carry: no more fit, as each has a header.
const MAX_SAID: usize = 10;

/// What is said in topics counts as so much at least each time: servers count signals, too.
const MESSAGE: usize = 1024;

/// Where pairs without a link speak, and how much they have said.
#[derive(Debug, Default)]
pub struct Early(Map<Pair, Spent>);

/// Whether the site dialled the peer, and whether it accepted it: nobody else takes the place of those who have more of that.
type Rank = (bool, bool);

#[derive(Debug)]
struct Spent {
    rank: Rank,
    way: Way,
    /// Topics by whose match keys the peer's were sealed; none for an acquaintance.
    topics: Vec<TopicId>,
    sent: usize,
    heard: usize,
    /// How many of the persona's messages in each topic the peer was told of.
    told: Map<TopicId, u64>,
    /// One of the two hung up. The peer has no more to spend for that.
    is_over: bool,
    since: Instant,
}

impl Early {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// The peer spoke this way, for members of these topics if there are any, and is answered so. Tells whether it may.
    fn hear(
        &mut self,
        (pair, rank): (Pair, Rank),
        bytes: usize,
        (way, topics): (Way, Vec<TopicId>),
        now: Instant,
    ) -> bool {
        let Some(spent) = self.spent((pair, rank), way, now) else { return false };
        let fits = spent.heard + bytes <= BUDGET;
        if fits {
            spent.heard += bytes;
            spent.is_over = false;
            (spent.way, spent.topics) = (way, topics);
        }
        fits
    }

    /// Takes so many bytes for what goes to the peer, if there are as many left. Tells which way it goes, and for members of which topics: as
    /// the peer spoke last, else so.
    fn take(
        &mut self,
        (pair, rank): (Pair, Rank),
        bytes: usize,
        (way, topics): (Option<Way>, Vec<TopicId>),
        now: Instant,
    ) -> Option<(Way, Vec<TopicId>)> {
        let was_heard = self.0.get(&pair).filter(|spent| spent.heard > 0);
        let (way, topics) = match was_heard {
            Some(spent) => (spent.way, spent.topics.clone()),
            None => (way?, topics),
        };
        let spent = self.spent((pair, rank), way, now)?;
        let fits = spent.sent + bytes <= BUDGET;
        if fits {
            spent.sent += bytes;
            spent.is_over = false;
        }
        fits.then_some((way, topics))
    }

    fn spent(&mut self, (pair, rank): (Pair, Rank), way: Way, now: Instant) -> Option<&mut Spent> {
        self.0.retain(|_, spent| now.since(spent.since) < RENEWED_AFTER);
        if !self.0.contains_key(&pair) && !self.makes_room(pair.own, rank) {
            return None;
        }
        let (topics, told) = (Vec::new(), Map::new());
        let new = || Spent { rank, way, topics, sent: 0, heard: 0, told, is_over: false, since: now };
        let spent = self.0.entry(pair).or_insert_with(new);
        spent.rank = spent.rank.max(rank);
        Some(spent)
    }

    /// Whether there is room for one more peer of a persona. The oldest of the least rank may give way.
    fn makes_room(&mut self, own: PersonaId, rank: Rank) -> bool {
        let others = || self.0.iter().filter(|(pair, _)| pair.own == own);
        if others().count() < PEERS_OF_EACH {
            return true;
        }
        let least = others().map(|(pair, spent)| (spent.rank, spent.since, *pair)).min();
        least.is_some_and(|(least, _, pair)| least < rank && self.0.remove(&pair).is_some())
    }

    /// Whether the peer was told of so many messages that the persona's pages said in a topic.
    fn was_told(&self, pair: Pair, topic: TopicId, count: u64) -> bool {
        self.0.get(&pair).is_some_and(|spent| spent.told.get(&topic) == Some(&count))
    }

    fn note_told(&mut self, pair: Pair, topic: TopicId, count: u64) {
        if let Some(spent) = self.0.get_mut(&pair) {
            spent.told.insert(topic, count);
        }
    }

    /// Whether the peer spoke no longer ago than a dial takes.
    fn was_heard(&self, pair: Pair, now: Instant) -> bool {
        let is_said = |spent: &Spent| spent.heard > 0 && !spent.is_over && now.since(spent.since) < DIAL_TIMEOUT;
        self.0.get(&pair).is_some_and(is_said)
    }

    /// Which way the two speak, if they did.
    fn way(&self, pair: Pair) -> Option<Way> {
        self.0.get(&pair).filter(|spent| !spent.is_over).map(|spent| spent.way)
    }

    /// One of the two hangs up. Tells whether they spoke since one did so last.
    fn hang_up(&mut self, pair: Pair) -> bool {
        self.0.get_mut(&pair).is_some_and(|spent| !std::mem::replace(&mut spent.is_over, true))
    }

    /// There is a link.
    pub fn end(&mut self, pair: Pair) {
        self.0.remove(&pair);
    }

    /// The last frame of a persona is gone.
    pub fn leave(&mut self, own: PersonaId) {
        self.0.retain(|pair, _| pair.own != own);
    }
}

impl Around<'_> {
    /// Whether packets to a peer may go by way of others: whoever passes them on could tell who speaks with whom.
    fn may_speak_early(&self, pair: Pair) -> bool {
        let is_member = || !self.hides && self.topics.common(pair).next().is_some();
        pair.own != pair.peer && !self.blocks.includes(pair) && (self.knows(pair) || is_member())
    }

    /// Whether the site accepted the peer.
    pub(super) fn knows(&self, pair: Pair) -> bool {
        self.acquaintances.includes(pair, self.clock.unix_ms())
    }

    /// Topics for whose members what is said to a peer is sealed; none for an acquaintance.
    fn early_topics(&self, pair: Pair) -> Vec<TopicId> {
        if self.knows(pair) { Vec::new() } else { self.topics.common(pair).take(MAX_SHOWN).collect() }
    }
}

impl Links {
    /// Whether sessions can speak with a peer to whom there is no link yet.
    pub fn speaks_early(&self, pair: Pair, around: &Around<'_>) -> bool {
        around.may_speak_early(pair) && self.early_way(pair, around).is_some()
    }

    /// Whether the peer spoke with us lately and without a link, which it is making.
    pub fn was_heard(&self, pair: Pair, now: Instant) -> bool {
        self.early.was_heard(pair, now)
    }

    /// Our site wants nothing more of a peer to whom there is no link, and that spoke or was spoken with: it is told.
    pub fn hang_up_early(&mut self, pair: Pair, around: &Around<'_>) {
        if self.table.up_to(pair).is_none()
            && let Some(way) = self.early.way(pair)
        {
            self.send_said(pair, &Said::HungUp, way, around);
        }
    }

    /// A peer with which we spoke wants nothing more of our site, which may still want something of it. At the peer's end a link that is just up
    /// here may not have come up.
    pub(super) fn on_hung_up_early(&mut self, pair: Pair, around: &Around<'_>) {
        match self.table.up_to(pair).and_then(|link| Some((link, self.table.up(link)?))) {
            Some((link, up)) if around.now.since(up.wanted) < CROSSING => self.on_hung_up(link, pair, around),
            Some(_) => {}
            None if self.early.hang_up(pair) => {
                self.tell(LinksOutput::HungUp(pair));
                if around.dials.stage(pair).is_none() {
                    self.let_go_beside(pair, around);
                    self.redials.shun(pair, around.now);
                }
            }
            None => {}
        }
    }

    /// Nothing more is to be said to the peer. Tells whether something was.
    pub fn end_early(&mut self, pair: Pair) -> bool {
        self.early.hang_up(pair)
    }

    /// A common peer has signals to pass on for others, too.
    fn early_way(&self, pair: Pair, around: &Around<'_>) -> Option<Way> {
        let common = || self.common_peer(pair, around).map(Way::CommonPeer);
        around.is_registered.then_some(Way::Uplink).or_else(common)
    }

    /// Members whom the site neither dials nor accepted, however many they are, leave room for the others.
    fn early_rank(&self, pair: Pair, around: &Around<'_>) -> Rank {
        (self.need_of(pair, around) == Need::Site, around.knows(pair))
    }

    /// Sends packets to a peer to whom there is no link, in one signal. Tells whether they are on their way.
    pub fn say_early(&mut self, pair: Pair, packets: Vec<Packet>, around: &Around<'_>) -> bool {
        let bytes = codec::encode(&packets);
        if bytes.len() > MAX_EARLY || !around.may_speak_early(pair) {
            return false;
        }
        let ours = (self.early_way(pair, around), around.early_topics(pair));
        let of = (pair, self.early_rank(pair, around));
        let Some((way, topics)) = self.early.take(of, bytes.len(), ours, around.now) else { return false };
        if topics.is_empty() {
            return self.send_said(pair, &Said::Packets(packets), way, around);
        }
        let is_ours = |topic: &TopicId| around.topics.matching(Place { own: pair.own, topic: *topic }).is_some();
        let signal = Signal { attempt: 0, answers: None, blob: bytes };
        topics.iter().any(is_ours) && self.send_for_members(pair, (Said::Members, &signal), &topics, way, around)
    }

    /// Members of a topic to whom a link is being made hear what the persona's pages said there lately: those who are said to be members, and
    /// those whose signal showed it.
    pub fn publish_early(&mut self, place: Place, around: &Around<'_>) {
        let is_said = |pair: Pair| around.topics.common(pair).any(|topic| topic == place.topic);
        let is_shown = |attempt: &Attempt| attempt.paired.is_some() && attempt.topics.contains(&place.topic);
        let connecting = self.table.attempts().filter(|(_, pair, _)| pair.own == place.own);
        let members = connecting.filter(|(_, pair, attempt)| is_shown(attempt) || is_said(*pair));
        for pair in members.map(|(_, pair, _)| pair).collect::<Vec<_>>() {
            self.catch_up_early(pair, place, around);
        }
    }

    /// All of it or nothing, so that what is heard is heard in order whatever is lost. What doesn't go so is said on the link.
    fn catch_up_early(&mut self, pair: Pair, place: Place, around: &Around<'_>) {
        let (topic, count) = (place.topic, around.topics.count_ours(place));
        let may_speak = !around.hides && !around.blocks.includes(pair) && self.table.up_to(pair).is_none();
        if count == 0 || !may_speak || self.early.was_told(pair, topic, count) {
            return;
        }
        let said: Vec<&Published> = around.topics.recently_ours(place, around.now).collect();
        let blob = codec::encode(&said);
        if said.is_empty() || blob.len() > MAX_EARLY {
            return;
        }
        let ours = (self.early_way(pair, around), vec![topic]);
        let of = (pair, self.early_rank(pair, around));
        let Some((way, _)) = self.early.take(of, blob.len().max(MESSAGE), ours, around.now) else { return };
        self.early.note_told(pair, topic, count);
        let signal = Signal { attempt: 0, answers: None, blob };
        self.send_for_members(pair, (Said::Published, &signal), &[topic], way, around);
    }

    /// What a member said in a topic, before there is a link: on that it is said again. That we take for a link what is none any longer, because
    /// its page has gone and is back, makes no difference.
    pub(super) fn on_published_early(
        &mut self,
        pair: Pair,
        topic: TopicId,
        blob: &[u8],
        way: Way,
        around: &Around<'_>,
    ) {
        let Ok(said) = codec::decode_foreign::<Vec<Published>>(blob, MAX_EARLY) else { return };
        let (of, bytes) = ((pair, self.early_rank(pair, around)), blob.len().max(MESSAGE));
        if said.len() <= MAX_SAID && self.early.hear(of, bytes, (way, vec![topic]), around.now) {
            for published in said {
                self.tell(LinksOutput::Publish { link: None, pair, topic, published, beyond: false });
            }
        }
    }

    /// What an acquaintance's sessions say before there is a link, or a member's.
    pub(super) fn on_early(
        &mut self,
        pair: Pair,
        packets: Vec<Packet>,
        (way, topics): (Way, Vec<TopicId>),
        around: &Around<'_>,
    ) {
        let may_speak = !topics.is_empty() || around.knows(pair);
        let (of, bytes) = ((pair, self.early_rank(pair, around)), codec::encode(&packets).len());
        if !may_speak
            || packets.len() > MAX_PACKETS
            || (self.table.up_to(pair).is_none() && !self.early.hear(of, bytes, (way, topics), around.now))
        {
            return;
        }
        let theirs = |packet: &Packet| packet.from == pair.peer && packet.to == pair.own;
        self.tell(LinksOutput::Early(pair, packets.into_iter().filter(theirs).collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_has_its_bytes_and_the_next_one_as_many() {
        let mut early = Early::new();
        let at = |seconds| Instant::START + Duration::from_secs(seconds);
        let takes = |early: &mut Early, n, bytes, at| early.take(heard(n), bytes, uplink(), at).is_some();
        assert_eq!(early.take(heard(1), 1, (None, Vec::new()), at(0)), None, "there is no way");
        assert!(takes(&mut early, 1, BUDGET, at(0)) && !takes(&mut early, 1, 1, at(29)));
        assert!(takes(&mut early, 2, BUDGET, at(29)), "another has its own");
        assert!(takes(&mut early, 1, BUDGET, at(30)));
        early.end(pair(1));
        assert!(takes(&mut early, 1, 1, at(30)));
    }

    #[test]
    fn who_spoke_is_answered_the_same_way_and_says_no_more_than_it_may() {
        let mut early = Early::new();
        let (by, now) = (|n| Way::CommonPeer(pair(n).peer), Instant::START);
        let topics = vec![TopicId([4; 32])];
        assert!(early.hear(heard(1), BUDGET, (by(7), topics.clone()), now));
        assert!(!early.hear(heard(1), 1, (by(8), Vec::new()), now));
        assert_eq!(early.take(heard(1), BUDGET, uplink(), now), Some((by(7), topics)), "that is counted for itself");
        let later = now + DIAL_TIMEOUT;
        assert!(early.was_heard(pair(1), now) && !early.was_heard(pair(1), later), "it should have made a link");
    }

    #[test]
    fn the_peers_of_one_persona_take_nothing_from_another() {
        let mut early = Early::new();
        for n in 0..PEERS_OF_EACH {
            assert!(early.hear(heard(n), 1, (Way::Uplink, Vec::new()), Instant::START));
        }
        assert!(!early.hear(heard(PEERS_OF_EACH), 1, (Way::Uplink, Vec::new()), Instant::START));
        let other = Pair { own: PersonaId([8; 32]), ..pair(0) };
        assert!(early.hear((other, (false, false)), 1, (Way::Uplink, Vec::new()), Instant::START));
        early.leave(pair(0).own);
        assert_eq!(early.0.len(), 1);
    }

    #[test]
    fn who_only_speaks_leaves_room_for_whom_the_site_accepted_and_both_for_whom_it_dials() {
        let (mut early, at) = (Early::new(), |n| Instant::from_millis(n as u64));
        let by_uplink = || (Way::Uplink, Vec::new());
        for n in 0..PEERS_OF_EACH {
            assert!(early.hear(heard(n), 1, by_uplink(), at(n)));
        }
        let (accepted, dialled) = ((false, true), (true, false));
        for n in 100..100 + PEERS_OF_EACH {
            assert!(early.hear((pair(n), accepted), 1, by_uplink(), at(n)));
            assert_eq!(early.way(pair(n - 100)), None, "the oldest gave way");
        }
        assert!(!early.hear((pair(200), accepted), 1, by_uplink(), at(200)));
        assert!(early.take((pair(100), dialled), 1, uplink(), at(200)).is_some(), "it has its place");
        for n in 201..200 + PEERS_OF_EACH {
            assert!(early.take((pair(n), dialled), 1, uplink(), at(n)).is_some());
            assert_eq!(early.way(pair(n - 100)), None, "the oldest that isn't dialled gave way");
        }
        assert!(early.take((pair(300), dialled), 1, uplink(), at(300)).is_none());
    }

    fn uplink() -> (Option<Way>, Vec<TopicId>) {
        (Some(Way::Uplink), Vec::new())
    }

    fn pair(n: usize) -> Pair {
        let mut peer = [1; 32];
        peer[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Pair { own: PersonaId([7; 32]), peer: PersonaId(peer) }
    }

    fn heard(n: usize) -> (Pair, Rank) {
        (pair(n), (false, false))
    }
}
