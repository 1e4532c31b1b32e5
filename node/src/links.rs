//! The links of a node, each held by one frame.
//!
//! A peer has one link that is used, at most one *standby* in another frame, and at most one attempt beside them. Nothing is
//! said on a standby until one end's other link is over: then that end uses it, its first word is [`Switch`], and the other end
//! follows. A link is named by its own end alone; of two links with one peer the one that was begun later is the fresher at
//! either end, for a standby is begun when the other is up.
//!
//! [`Switch`]: bitters_wire::link::LinkMessage::Switch

use std::{collections::VecDeque, time::Duration};

use bitters_wire::{
    id::{Epoch, FrameId, LinkId, NodeId, PersonaId, TopicId},
    limits::DIAL_TIMEOUT,
    map::{Map, Set},
    status::Path,
    time::Instant,
};

use crate::{
    attempt::Standing,
    lanes::Lanes,
    quotas::{Bucket, LINK_CONTROL, LINK_PUBLISHES, LINK_RESUMES, LINK_SIGNALS, LINK_STANDBYS, MAX_CLAIMS, MAX_LINKS},
};

/// After a change of leader a peer's claims are on their way to us; what comes before them is believed that long.
const LENIENCE: Duration = Duration::from_secs(10);

/// A standby without a link that it stands by for is used after that time: the leader is new, and the frame with the other
/// link hasn't come.
const LONELY: Duration = Duration::from_millis(500);

/// How a signal travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// There is none: one end dials an address of the other's.
    Address,
    /// Over the link that is up: for a standby.
    Link,
    /// Over all linked nodes: one of them may be linked to the peer.
    Neighbours,
    /// Over a common peer.
    Relay(NodeId),
    /// By the rendezvous.
    Uplink,
}

/// One link.
#[derive(Debug)]
pub struct Link {
    /// The frame that holds it.
    pub frame: FrameId,
    /// The node at the other end.
    pub peer: NodeId,
    /// How far it is.
    pub state: State,
    /// How the peer is reached.
    pub path: Path,
    /// The server's number for it, if the server introduced the peer.
    pub session: Option<u64>,
}

impl Link {
    const fn new(frame: FrameId, peer: NodeId, state: State) -> Self {
        let path = match &state {
            State::Connecting(Attempt { way: Way::Address, .. }) => Path::Proxied,
            State::Connecting(_) | State::Standby(_) | State::Up(_) => Path::Direct,
        };
        Self { frame, peer, state, path, session: None }
    }
}

/// How far a link is.
#[derive(Debug)]
pub enum State {
    /// Signals are exchanged.
    Connecting(Attempt),
    /// Nothing passes until it is needed.
    Standby(Standby),
    /// Messages pass.
    Up(Box<Up>),
}

/// A link that isn't up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub started: Instant,
    /// Whether we began, not the peer.
    pub dialled: bool,
    /// The peer's attempt that it belongs with.
    pub paired: Option<u32>,
    /// Our signal, once it is on its way.
    pub told: Option<Vec<u8>>,
    /// How our signal travels.
    pub way: Way,
    /// Whether it is to be a standby, should the other link still be there then.
    pub stands_by: bool,
    /// Neighbours that were asked to pass the signal on and haven't said that they can't.
    pub asked: usize,
}

/// A link that stands by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// The peer's attempt that it came from; unknown if the leader before us opened it.
    pub paired: Option<u32>,
    /// Since when it is there, for this leader.
    pub since: Instant,
    /// If one end dialled an address: whether that was ours.
    pub opened: Option<bool>,
    /// The persona of ours at whose address the peer dialled: that it lives here the peer is told as soon as it speaks on this.
    pub claims: Option<PersonaId>,
}

impl Attempt {
    /// One that begins now.
    pub const fn new(way: Way, paired: Option<u32>, now: Instant) -> Self {
        // Whoever dials an address may have found another way meanwhile.
        let stands_by = matches!(way, Way::Link | Way::Address);
        Self { started: now, dialled: paired.is_none(), paired, told: None, way, stands_by, asked: 0 }
    }

    /// Whether it needs the way of its signals no longer.
    pub const fn is_settled(&self) -> bool {
        self.paired.is_some() && self.told.is_some()
    }

    /// If one end dials an address: whether it is ours.
    pub const fn opens_by(&self) -> Option<bool> {
        match self.way {
            Way::Address => Some(self.dialled),
            Way::Link | Way::Neighbours | Way::Relay(_) | Way::Uplink => None,
        }
    }

    /// When it is given up.
    pub fn deadline(&self) -> Instant {
        self.started + DIAL_TIMEOUT
    }
}

/// A link that is up.
#[derive(Debug)]
pub struct Up {
    /// The peer's attempt that it came from.
    pub paired: Option<u32>,
    /// If one end dialled an address: whether that was ours, and when the link came up.
    pub opened: Option<(bool, Instant)>,
    /// Measured round trip in microseconds.
    pub rtt_us: Option<u32>,
    /// Personas that the peer claimed, oldest first.
    pub claims: VecDeque<PersonaId>,
    /// Personas of ours that the peer was told of, oldest first.
    pub told: VecDeque<PersonaId>,
    /// The peer's personas in topics.
    pub joined: Map<TopicId, Set<PersonaId>>,
    /// Topics whose other members the peer was told of.
    pub hinted: Set<TopicId>,
    /// When a session's packet passed last.
    pub last_packet: Option<Instant>,
    /// Until then the peer may not have told us who it is.
    pub lenient_until: Option<Instant>,
    /// We switched to this link: the peer is to answer until then, or it is over.
    pub answer_until: Option<Instant>,
    /// When the peer was last asked whether it is there.
    pub probed: Option<Instant>,
    /// What waits for it.
    pub lanes: Lanes,
    /// What the peer may do.
    pub budget: Budget,
    /// Whether the peer said something on it.
    pub heard: bool,
}

/// What a peer may do, and how standbys to it went. It outlasts the link: a peer that is linked anew hasn't all of it again.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Standbys that couldn't be had, one after the other.
    pub standby_failures: u32,
    /// No standby is tried before.
    pub standby_not_before: Instant,
    /// How often a standby may be over that is then had again at once.
    pub standbys: Bucket,
    /// How often the peer may tell of claims and topics.
    pub control: Bucket,
    /// How often the peer may pass on topic messages.
    pub publishes: Bucket,
    /// How often the peer may have signals passed on, or pass them on to us.
    pub signals: Bucket,
    /// How often the peer may change its leader.
    pub resumes: Bucket,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            standby_failures: 0,
            standby_not_before: now,
            standbys: Bucket::new(LINK_STANDBYS, now),
            control: Bucket::new(LINK_CONTROL, now),
            publishes: Bucket::new(LINK_PUBLISHES, now),
            signals: Bucket::new(LINK_SIGNALS, now),
            resumes: Bucket::new(LINK_RESUMES, now),
        }
    }
}

impl Up {
    fn new(paired: Option<u32>, budget: Budget) -> Self {
        Self {
            paired,
            opened: None,
            rtt_us: None,
            claims: VecDeque::new(),
            told: VecDeque::new(),
            joined: Map::new(),
            hinted: Set::new(),
            last_packet: None,
            lenient_until: None,
            answer_until: None,
            probed: None,
            lanes: Lanes::default(),
            budget,
            heard: false,
        }
    }

    /// Whether the peer is in a topic.
    pub fn is_in(&self, topic: TopicId) -> bool {
        self.joined.contains_key(&topic)
    }

    /// The peer or we have a new leader; claims are on their way.
    pub fn be_lenient(&mut self, now: Instant) {
        self.lenient_until = Some(now + LENIENCE);
    }

    /// Whether the peer's claims may still be on their way.
    pub fn is_lenient(&self, now: Instant) -> bool {
        self.lenient_until.is_some_and(|until| now < until)
    }

    /// Topics and the peer's personas in them.
    pub fn memberships(&self) -> impl Iterator<Item = (TopicId, PersonaId)> {
        self.joined.iter().flat_map(|(topic, personas)| personas.iter().map(|persona| (*topic, *persona)))
    }

    /// Notes a persona in one of the two lists of claims, which both ends bound alike; tells whether it is new there.
    pub fn note(list: &mut VecDeque<PersonaId>, persona: PersonaId) -> bool {
        if list.contains(&persona) {
            return false;
        }
        list.push_back(persona);
        if list.len() > MAX_CLAIMS {
            list.pop_front();
        }
        true
    }
}

/// All links.
#[derive(Debug)]
pub struct Links {
    epoch: Epoch,
    next: u32,
    links: Map<LinkId, Link>,
    up: Map<NodeId, LinkId>,
    standbys: Map<NodeId, LinkId>,
    /// What peers had left when their links ended; the last are the latest.
    budgets: VecDeque<(NodeId, Budget)>,
}

/// Peers whose budgets are remembered: none has as many links at once.
const MAX_BUDGETS: usize = 2 * MAX_LINKS;

impl Links {
    /// None yet. Numbers begin anywhere, so that a signal for a leader before us doesn't fit an attempt of ours.
    pub fn new(epoch: Epoch, rng: &mut fastrand::Rng) -> Self {
        let next = rng.u32(..u32::MAX / 2);
        Self { epoch, next, links: Map::new(), up: Map::new(), standbys: Map::new(), budgets: VecDeque::new() }
    }

    /// A new link that connects.
    pub fn begin(&mut self, frame: FrameId, peer: NodeId, attempt: Attempt) -> LinkId {
        let id = self.name();
        self.links.insert(id, Link::new(frame, peer, State::Connecting(attempt)));
        id
    }

    /// The name of a new link, of which only later is known whom it leads to.
    pub fn name(&mut self) -> LinkId {
        let id = LinkId { epoch: self.epoch, number: self.next };
        self.next = self.next.wrapping_add(1);
        id
    }

    /// It is known now whom a link leads to that one end dialled an address for.
    pub fn identify(&mut self, id: LinkId, frame: FrameId, peer: NodeId, attempt: Attempt, session: Option<u64>) {
        self.links.insert(id, Link { session, ..Link::new(frame, peer, State::Connecting(attempt)) });
    }

    /// Takes over a link from the leader before us. The caller saw to it that there is no other to its peer.
    pub fn adopt(&mut self, id: LinkId, frame: FrameId, peer: NodeId, now: Instant) {
        let mut up = Up::new(None, self.take_budget(peer, now));
        up.be_lenient(now);
        self.links.insert(id, Link::new(frame, peer, State::Up(Box::new(up))));
        self.up.insert(peer, id);
    }

    /// Takes over a standby from the leader before us.
    pub fn adopt_standby(&mut self, id: LinkId, frame: FrameId, peer: NodeId, now: Instant) {
        let state = State::Standby(Standby { paired: None, since: now, opened: None, claims: None });
        self.links.insert(id, Link::new(frame, peer, state));
        self.standbys.insert(peer, id);
    }

    /// A link that connected or stood by is used from now on. The caller saw to it that there is no other to its peer.
    pub fn set_up(&mut self, id: LinkId, now: Instant) {
        let Some(peer) = self.links.get(&id).map(|it| it.peer) else { return };
        let budget = self.take_budget(peer, now);
        let Some(link) = self.links.get_mut(&id) else { return };
        let (paired, opened) = match &link.state {
            State::Connecting(attempt) => (attempt.paired, attempt.opens_by().map(|ours| (ours, now))),
            State::Standby(standby) => (standby.paired, standby.opened.map(|ours| (ours, standby.since))),
            State::Up(_) => return,
        };
        link.state = State::Up(Box::new(Up { opened, ..Up::new(paired, budget) }));
        if self.standbys.get(&link.peer) == Some(&id) {
            self.standbys.remove(&link.peer);
        }
        self.up.insert(link.peer, id);
    }

    /// A connecting link stands by now. The caller saw to it that no other does.
    pub fn set_standby(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id)
            && let State::Connecting(attempt) = &link.state
        {
            let (paired, opened) = (attempt.paired, attempt.opens_by());
            link.state = State::Standby(Standby { paired, since: now, opened, claims: None });
            self.standbys.insert(link.peer, id);
        }
    }

    fn take_budget(&mut self, peer: NodeId, now: Instant) -> Budget {
        let at = self.budgets.iter().position(|(of, _)| *of == peer);
        at.and_then(|at| self.budgets.remove(at)).map_or_else(|| Budget::new(now), |(_, budget)| budget)
    }

    fn keep_budget(&mut self, peer: NodeId, budget: Budget) {
        self.budgets.retain(|(of, _)| *of != peer);
        self.budgets.push_back((peer, budget));
        if self.budgets.len() > MAX_BUDGETS {
            self.budgets.pop_front();
        }
    }

    /// Lets a link go.
    pub fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        if let State::Up(up) = &link.state {
            self.keep_budget(link.peer, up.budget.clone());
        }
        if self.up.get(&link.peer) == Some(&id) {
            self.up.remove(&link.peer);
        }
        if self.standbys.get(&link.peer) == Some(&id) {
            self.standbys.remove(&link.peer);
        }
        Some(link)
    }

    /// The peer is reached otherwise; tells whether that is new.
    pub fn set_path(&mut self, id: LinkId, path: Path) -> bool {
        self.links.get_mut(&id).is_some_and(|link| std::mem::replace(&mut link.path, path) != path)
    }

    /// A link.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// The attempt of a link that connects, to change.
    pub fn attempt_mut(&mut self, id: LinkId) -> Option<(&mut Attempt, NodeId)> {
        let link = self.links.get_mut(&id)?;
        match &mut link.state {
            State::Connecting(attempt) => Some((attempt, link.peer)),
            State::Standby(_) | State::Up(_) => None,
        }
    }

    /// A link that is up.
    pub fn up(&self, id: LinkId) -> Option<&Up> {
        match &self.links.get(&id)?.state {
            State::Up(up) => Some(up),
            State::Connecting(_) | State::Standby(_) => None,
        }
    }

    /// A link that is up, to change.
    pub fn up_mut(&mut self, id: LinkId) -> Option<&mut Up> {
        match &mut self.links.get_mut(&id)?.state {
            State::Up(up) => Some(up),
            State::Connecting(_) | State::Standby(_) => None,
        }
    }

    /// The link to a node that is used.
    pub fn up_to(&self, node: NodeId) -> Option<LinkId> {
        self.up.get(&node).copied()
    }

    /// The link to a node that stands by.
    pub fn standby_to(&self, node: NodeId) -> Option<LinkId> {
        self.standbys.get(&node).copied()
    }

    /// A link that stands by.
    pub fn standby(&self, id: LinkId) -> Option<&Standby> {
        match &self.links.get(&id)?.state {
            State::Standby(standby) => Some(standby),
            State::Connecting(_) | State::Up(_) => None,
        }
    }

    /// A link that stands by, to change.
    pub fn standby_mut(&mut self, id: LinkId) -> Option<&mut Standby> {
        match &mut self.links.get_mut(&id)?.state {
            State::Standby(standby) => Some(standby),
            State::Connecting(_) | State::Up(_) => None,
        }
    }

    /// Links that stand by, with their peers.
    pub fn standbys(&self) -> impl Iterator<Item = (LinkId, NodeId)> {
        self.standbys.iter().map(|(peer, id)| (*id, *peer))
    }

    /// Standbys whose peer has no link that is used, and when they are to be used themselves.
    pub fn lonely(&self) -> impl Iterator<Item = (LinkId, Instant)> {
        let lonely = self.standbys.iter().filter(|(peer, _)| !self.up.contains_key(*peer));
        lonely.filter_map(|(_, id)| Some((*id, self.standby(*id)?.since + LONELY)))
    }

    /// The link to a node that connects.
    pub fn connecting_to(&self, node: NodeId) -> Option<(LinkId, &Attempt)> {
        self.attempts().find(|(_, link, _)| link.peer == node).map(|(id, _, attempt)| (id, attempt))
    }

    /// What is going on with a node.
    pub fn standing(&self, node: NodeId) -> Standing {
        Standing {
            connecting: self
                .connecting_to(node)
                .filter(|(_, attempt)| attempt.way != Way::Address)
                .map(|(id, attempt)| (id.number, attempt.paired)),
            up: self.up_to(node).and_then(|id| self.up(id)).and_then(|up| up.paired),
            standby: self.standby_to(node).and_then(|id| self.standby(id)).and_then(|it| it.paired),
        }
    }

    /// Links that connect.
    pub fn attempts(&self) -> impl Iterator<Item = (LinkId, &Link, &Attempt)> {
        self.links.iter().filter_map(|(id, link)| match &link.state {
            State::Connecting(attempt) => Some((*id, link, attempt)),
            State::Standby(_) | State::Up(_) => None,
        })
    }

    /// Links that are used.
    pub fn ups(&self) -> impl Iterator<Item = (LinkId, &Link, &Up)> {
        self.links.iter().filter_map(|(id, link)| match &link.state {
            State::Up(up) => Some((*id, link, up.as_ref())),
            State::Connecting(_) | State::Standby(_) => None,
        })
    }

    /// Links to nodes in a topic.
    pub fn in_topic(&self, topic: TopicId) -> impl Iterator<Item = (LinkId, &Link, &Up)> {
        self.ups().filter(move |(_, _, up)| up.is_in(topic))
    }

    /// All links of a frame.
    pub fn held_by(&self, frame: FrameId) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.frame == frame).map(|(id, _)| *id).collect()
    }

    /// How many links of a frame are used or stand by.
    pub fn carried_by(&self, frame: FrameId) -> usize {
        let stands = |link: &Link| !matches!(link.state, State::Connecting(_));
        self.links.values().filter(|link| link.frame == frame && stands(link)).count()
    }

    /// How many links there are.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// How many of them are up.
    pub fn up_len(&self) -> usize {
        self.up.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_by_its_peer_once_it_is_up() {
        let mut links = links();
        let id = links.begin(TAB, ALICE, Attempt::new(Way::Uplink, Some(7), Instant::START));
        assert_eq!(links.up_to(ALICE), None);
        assert_eq!(links.standing(ALICE), Standing { connecting: Some((id.number, Some(7))), ..Standing::default() });

        links.set_up(id, Instant::START);
        assert_eq!(links.up_to(ALICE), Some(id));
        assert_eq!(links.standing(ALICE), Standing { up: Some(7), ..Standing::default() });

        links.remove(id);
        assert_eq!(links.up_to(ALICE), None);
        assert_eq!(links.standing(ALICE), Standing::default());
    }

    #[test]
    fn an_attempt_that_ends_leaves_the_link_that_is_up() {
        let mut links = links();
        let up = links.begin(TAB, ALICE, Attempt::new(Way::Uplink, None, Instant::START));
        links.set_up(up, Instant::START);
        let attempt = links.begin(TAB, ALICE, Attempt::new(Way::Uplink, None, Instant::START));

        links.remove(attempt);
        assert_eq!(links.up_to(ALICE), Some(up));
        assert_eq!(links.held_by(TAB), [up]);
    }

    #[test]
    fn a_standby_is_used_once_the_other_is_gone() {
        let mut links = links();
        let (up, standby) = (link_to_alice(&mut links), link_to_alice(&mut links));
        links.set_up(up, Instant::START);
        links.set_standby(standby, Instant::START);
        assert_eq!((links.up_to(ALICE), links.standby_to(ALICE)), (Some(up), Some(standby)));
        assert_eq!((links.ups().count(), links.up_len(), links.lonely().count()), (1, 1, 0));

        links.remove(up);
        assert_eq!(links.lonely().collect::<Vec<_>>(), [(standby, Instant::START + LONELY)]);
        links.set_up(standby, Instant::START);
        assert_eq!((links.up_to(ALICE), links.standby_to(ALICE)), (Some(standby), None));
    }

    #[test]
    fn claims_are_bounded_and_the_oldest_goes() {
        let mut list = VecDeque::new();
        for n in 0..=MAX_CLAIMS {
            let mut persona = [0; 32];
            persona[..8].copy_from_slice(&(n as u64).to_le_bytes());
            assert!(Up::note(&mut list, PersonaId(persona)));
            assert!(!Up::note(&mut list, PersonaId(persona)));
        }
        assert_eq!(list.len(), MAX_CLAIMS);
        assert!(!list.contains(&PersonaId([0; 32])));
    }

    const TAB: FrameId = FrameId::from_random([1; 16]);
    const ALICE: NodeId = NodeId([0xa1; 32]);

    fn link_to_alice(links: &mut Links) -> LinkId {
        links.begin(TAB, ALICE, Attempt::new(Way::Uplink, None, Instant::START))
    }

    fn links() -> Links {
        Links::new(Epoch(3), &mut fastrand::Rng::with_seed(1))
    }
}
