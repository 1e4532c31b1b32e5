//! The table of links, and what is known of each.
//!
//! A link is named by its own end alone; of two links of one pair the one that was begun later is the fresher at either end, for a
//! standby is begun when the other is up.
//!
//! Nothing here is looked up by the peer alone: two personas of this node that know the same peer have nothing in common.

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{
    map::{Map, Set},
    rate::Bucket,
    time::Instant,
};
use bitters_wire::{
    address::Address,
    id::{Epoch, FrameId, LinkId, PersonaId, TopicId},
    limits::DIAL_TIMEOUT,
    link::Signal,
    local::Bond,
    status::Path,
};

use super::{attempt::Standing, lanes::Lanes};
use crate::{
    limits::{
        LINK_AUTHORS, LINK_BEYOND, LINK_CONTROL, LINK_PUBLISHES, LINK_REPLAYS, LINK_RESUMES, LINK_SIGNALS,
        LINK_STANDBYS, LINK_WORDS, MAX_LINKS,
    },
    pair::Pair,
};

/// After a change of leader the peer's topics are on their way to us; what comes before them is believed that long.
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
    /// Over all peers that the persona is linked to: one of them may be linked to this one.
    Neighbours,
    /// Over a common peer.
    CommonPeer(PersonaId),
    /// By the rendezvous.
    Uplink,
}

/// One link.
#[derive(Debug)]
pub struct Link {
    /// The frame that holds it: one of the own persona's.
    pub frame: FrameId,
    /// The persona at this end.
    pub own: PersonaId,
    /// The persona at the other end; unknown while it opens at an address of ours.
    pub peer: Option<PersonaId>,
    /// How far it is.
    pub state: State,
    /// How the peer is reached.
    pub path: Path,
    /// The server's number for it, if the server introduced the peer.
    pub passage: Option<u64>,
    /// Whether the peer may know our network addresses.
    pub direct: bool,
    /// Why, besides that the site accepted it.
    pub because: Because,
    /// Its two ends, once they sign.
    pub bond: Option<Bond>,
}

/// Reasons for a link to go directly that nothing but the link tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Because {
    /// One end has an address of the other's with its grant.
    pub granted: bool,
    /// Topics in which both showed each other to be.
    pub topics: Vec<TopicId>,
}

impl Because {
    const NONE: Self = Self { granted: false, topics: Vec::new() };
    /// A grant.
    pub const GRANT: Self = Self { granted: true, topics: Vec::new() };
}

impl Link {
    const fn new(frame: FrameId, pair: Pair, state: State) -> Self {
        let path = match &state {
            State::Connecting(Attempt { way: Way::Address, .. }) => Path::Proxied,
            State::Connecting(_) | State::Opening(_) | State::Standby(_) | State::Up(_) => Path::Direct,
        };
        let because = Because::NONE;
        Self {
            frame,
            own: pair.own,
            peer: Some(pair.peer),
            state,
            path,
            passage: None,
            direct: true,
            because,
            bond: None,
        }
    }

    /// When it is given up, unless it is up by then.
    fn gives_up(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting(Attempt { started, .. }) | State::Opening(started) => Some(*started + DIAL_TIMEOUT),
            State::Standby(_) | State::Up(_) => None,
        }
    }

    /// The attempt came to something: by signals both showed each other these topics. At an address the peer shows none.
    fn keep_topics(&mut self) {
        if let State::Connecting(attempt) = &mut self.state
            && attempt.way != Way::Address
            && !attempt.topics.is_empty()
        {
            self.because.topics = std::mem::take(&mut attempt.topics);
        }
    }

    /// Its two ends, once both are known.
    pub fn pair(&self) -> Option<Pair> {
        self.peer.map(|peer| Pair { own: self.own, peer })
    }
}

/// How far a link is.
#[derive(Debug)]
pub enum State {
    /// Signals are exchanged, or an address of the peer's is dialled.
    Connecting(Attempt),
    /// A stranger dials an address of ours, since then. Who it is both ends prove when the connection is open.
    Opening(Instant),
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
    /// When it is sent again, should the peer not have answered.
    pub again: Option<Instant>,
    /// How our signal travels.
    pub way: Way,
    /// Whether it is to be a standby, should the other link still be there then.
    pub stands_by: bool,
    /// Neighbours that were asked to pass the signal on and haven't said that they can't.
    pub asked: Set<PersonaId>,
    /// The address that is dialled, if it isn't the one that the peer told on a link.
    pub at: Option<At>,
    /// Topics for whose members alone our signal is readable; for the peer, whoever it is, if there are none.
    pub topics: Vec<TopicId>,
}

/// An address that is dialled, and how we came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The peer's door, as it told us when we knocked.
    Door(Box<Address>),
    /// Somebody gave it away.
    Given(Box<Address>),
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
}

impl Attempt {
    /// One that begins now.
    pub const fn new(way: Way, paired: Option<u32>, now: Instant) -> Self {
        // Whoever dials an address may have found another way meanwhile.
        let stands_by = matches!(way, Way::Link | Way::Address);
        Self {
            started: now,
            dialled: paired.is_none(),
            paired,
            told: None,
            again: None,
            way,
            stands_by,
            asked: Set::new(),
            at: None,
            topics: Vec::new(),
        }
    }

    /// Whether it needs the way of its signals no longer.
    pub const fn is_settled(&self) -> bool {
        self.paired.is_some() && self.told.is_some()
    }

    /// If one end dials an address: whether it is ours.
    pub const fn opens_by(&self) -> Option<bool> {
        match self.way {
            Way::Address => Some(self.dialled),
            Way::Link | Way::Neighbours | Way::CommonPeer(_) | Way::Uplink => None,
        }
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
    /// Topics of our persona's that the peer is in, too.
    pub joined: Set<TopicId>,
    /// Those, and topics that one of the two left since.
    pub was_in: Set<TopicId>,
    /// Topics that the peer was shown to be ours.
    pub shown: Set<TopicId>,
    /// Topics whose other members the peer was told of.
    pub hinted: Set<TopicId>,
    /// When it came up for this leader, a site dialled the peer again, or the last topic in common was left; or when the peer was told last that
    /// we don't need it.
    pub wanted: Instant,
    /// When a session's packet passed last.
    pub last_packet: Option<Instant>,
    /// Until then the peer may not have told us which topics it is in.
    pub lenient_until: Option<Instant>,
    /// We switched to this link: the peer is to answer until then, or it is over.
    pub answer_until: Option<Instant>,
    /// When the peer was last asked whether it is there.
    pub probed: Option<Instant>,
    /// Whether the peer was told that we don't need it, and we haven't since.
    pub offered: bool,
    /// The peer's signal for a standby, and when it came: before this link went directly at our end, as it does at the peer's.
    pub parked: Option<(Signal, Instant)>,
    /// What waits for it.
    pub lanes: Lanes,
    /// What the peer may do.
    pub budget: Budget,
}

/// What a peer may do, and how standbys to it went. It outlasts the link: a peer that is linked anew hasn't all of it again.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Whether our site dialled it.
    pub dialled: bool,
    /// Whether it showed that it was in a topic of our persona's.
    pub matched: bool,
    /// Whether it was shown any.
    pub showed: bool,
    /// Standbys that couldn't be had, one after the other.
    pub standby_failures: u32,
    /// No standby is tried before.
    pub standby_not_before: Instant,
    /// How often a standby may be over that is then had again at once.
    pub standbys: Bucket,
    /// How often the peer may tell of its links and topics.
    pub control: Bucket,
    /// How often the peer may pass on topic messages.
    pub publishes: Bucket,
    /// How often beyond that, for those who say little.
    pub beyond: Bucket,
    /// How many words of members it may pass on.
    pub words: Bucket,
    /// Bytes that it may have said again when it comes.
    pub replays: Bucket,
    /// How many authors it may bring of whom nothing was heard yet.
    pub authors: Bucket,
    /// How often the peer may have signals passed on, or pass them on to us.
    pub signals: Bucket,
    /// How often the peer may change its leader.
    pub resumes: Bucket,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            dialled: false,
            matched: false,
            showed: false,
            standby_failures: 0,
            standby_not_before: now,
            standbys: Bucket::new(LINK_STANDBYS, now),
            control: Bucket::new(LINK_CONTROL, now),
            publishes: Bucket::new(LINK_PUBLISHES, now),
            beyond: Bucket::new(LINK_BEYOND, now),
            words: Bucket::new(LINK_WORDS, now),
            replays: Bucket::new(LINK_REPLAYS, now),
            authors: Bucket::new(LINK_AUTHORS, now),
            signals: Bucket::new(LINK_SIGNALS, now),
            resumes: Bucket::new(LINK_RESUMES, now),
        }
    }
}

impl Up {
    fn new(paired: Option<u32>, budget: Budget, now: Instant) -> Self {
        Self {
            paired,
            wanted: now,
            opened: None,
            rtt_us: None,
            joined: Set::new(),
            was_in: Set::new(),
            shown: Set::new(),
            hinted: Set::new(),
            last_packet: None,
            lenient_until: None,
            answer_until: None,
            probed: None,
            offered: false,
            parked: None,
            lanes: Lanes::default(),
            budget,
        }
    }

    /// Whether the peer is in a topic.
    pub fn is_in(&self, topic: TopicId) -> bool {
        self.joined.contains(&topic)
    }

    /// A site wants it, or it ceased to have a topic in common: it is kept for as long as if it had come up now.
    pub const fn want(&mut self, now: Instant) {
        (self.wanted, self.offered) = (now, false);
    }

    /// The peer or we have a new leader; what it tells of itself is on its way.
    pub fn be_lenient(&mut self, now: Instant) {
        self.lenient_until = Some(now + LENIENCE);
    }

    /// Whether that may still be on its way.
    pub fn is_lenient(&self, now: Instant) -> bool {
        self.lenient_until.is_some_and(|until| now < until)
    }
}

/// All links.
#[derive(Debug)]
pub struct Table {
    epoch: Epoch,
    next: u32,
    links: Map<LinkId, Link>,
    up: Map<Pair, LinkId>,
    standbys: Map<Pair, LinkId>,
    /// What peers had left when their links ended; the last are the latest.
    budgets: VecDeque<(Pair, Budget)>,
    /// Where peers said that they can be dialled, and why their links went directly; the last are the latest.
    addresses: VecDeque<(Pair, Address, Because)>,
}

/// Pairs whose budgets are remembered: there are never as many links at once.
const MAX_BUDGETS: usize = 2 * MAX_LINKS;

/// Pairs whose addresses are remembered.
const MAX_ADDRESSES: usize = 256;

impl Table {
    /// None yet.
    pub const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            next: 0,
            links: Map::new(),
            up: Map::new(),
            standbys: Map::new(),
            budgets: VecDeque::new(),
            addresses: VecDeque::new(),
        }
    }

    /// A new link that connects.
    pub fn begin(&mut self, frame: FrameId, pair: Pair, attempt: Attempt) -> LinkId {
        let id = self.name();
        // A standby is for the same reason as the link that it is for.
        let used = self.up.get(&pair).filter(|_| attempt.way == Way::Link);
        let because = used.and_then(|used| self.links.get(used)).map(|used| used.because.clone()).unwrap_or_default();
        self.links.insert(id, Link { because, ..Link::new(frame, pair, State::Connecting(attempt)) });
        id
    }

    /// A stranger whom the server introduced dials an address of `own`.
    pub fn open(&mut self, frame: FrameId, own: PersonaId, passage: u64, now: Instant) -> LinkId {
        let id = self.name();
        let (state, passage) = (State::Opening(now), Some(passage));
        let (path, because) = (Path::Proxied, Because::NONE);
        let (peer, direct, bond) = (None, false, None);
        self.links.insert(id, Link { frame, own, peer, state, path, passage, direct, because, bond });
        id
    }

    fn name(&mut self) -> LinkId {
        let id = LinkId { epoch: self.epoch, number: self.next };
        self.next = self.next.wrapping_add(1);
        id
    }

    /// It is known now who dialled an address of ours.
    pub fn identify(&mut self, id: LinkId, peer: PersonaId) -> Option<Pair> {
        let link = self.links.get_mut(&id)?;
        let State::Opening(started) = link.state else { return None };
        let attempt = Attempt { dialled: false, ..Attempt::new(Way::Address, None, started) };
        (link.peer, link.state) = (Some(peer), State::Connecting(attempt));
        link.pair()
    }

    /// Takes over a link from the leader before us. The caller saw to it that there is no other to its peer.
    pub fn adopt(&mut self, id: LinkId, frame: FrameId, pair: Pair, now: Instant) {
        let mut up = Up::new(None, self.take_budget(pair, now), now);
        up.be_lenient(now);
        self.links.insert(id, Link::new(frame, pair, State::Up(Box::new(up))));
        self.up.insert(pair, id);
    }

    /// Takes over a standby from the leader before us.
    pub fn adopt_standby(&mut self, id: LinkId, frame: FrameId, pair: Pair, now: Instant) {
        let state = State::Standby(Standby { paired: None, since: now, opened: None });
        self.links.insert(id, Link::new(frame, pair, state));
        self.standbys.insert(pair, id);
    }

    /// A link that connected or stood by is used from now on. The caller saw to it that there is no other to its peer.
    pub fn set_up(&mut self, id: LinkId, now: Instant) {
        let Some(pair) = self.links.get(&id).and_then(Link::pair) else { return };
        let budget = self.take_budget(pair, now);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.keep_topics();
        let (paired, opened) = match &link.state {
            State::Connecting(attempt) => (attempt.paired, attempt.opens_by().map(|ours| (ours, now))),
            State::Standby(standby) => (standby.paired, standby.opened.map(|ours| (ours, standby.since))),
            State::Opening(_) | State::Up(_) => return,
        };
        link.state = State::Up(Box::new(Up { opened, ..Up::new(paired, budget, now) }));
        if self.standbys.get(&pair) == Some(&id) {
            self.standbys.remove(&pair);
        }
        self.up.insert(pair, id);
    }

    /// A connecting link stands by now. The caller saw to it that no other does.
    pub fn set_standby(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id)
            && let Some(pair) = link.pair()
            && let State::Connecting(attempt) = &link.state
        {
            let (paired, opened) = (attempt.paired, attempt.opens_by());
            link.keep_topics();
            link.state = State::Standby(Standby { paired, since: now, opened });
            self.standbys.insert(pair, id);
        }
    }

    /// The peer said on a link where it can be dialled.
    pub fn learn_address(&mut self, link: LinkId, address: Address) {
        let Some((pair, because)) = self.links.get(&link).and_then(|it| Some((it.pair()?, it.because.clone()))) else {
            return;
        };
        self.addresses.retain(|(of, _, _)| *of != pair);
        self.addresses.push_back((pair, address, because));
        if self.addresses.len() > MAX_ADDRESSES {
            self.addresses.pop_front();
        }
    }

    /// Where the peer said last that it can be dialled, and why its link went directly.
    pub fn address(&self, pair: Pair) -> Option<(&Address, &Because)> {
        self.addresses.iter().find(|(of, _, _)| *of == pair).map(|(_, address, because)| (address, because))
    }

    /// Whether our site dialled the peer of a link that is up, or that was.
    pub fn is_dialled(&self, pair: Pair) -> bool {
        let up = self.up_to(pair).and_then(|id| self.up(id)).map(|up| &up.budget);
        let kept = || self.budgets.iter().find(|(of, _)| *of == pair).map(|(_, budget)| budget);
        up.or_else(kept).is_some_and(|budget| budget.dialled)
    }

    fn take_budget(&mut self, pair: Pair, now: Instant) -> Budget {
        let at = self.budgets.iter().position(|(of, _)| *of == pair);
        at.and_then(|at| self.budgets.remove(at)).map_or_else(|| Budget::new(now), |(_, budget)| budget)
    }

    fn keep_budget(&mut self, pair: Pair, budget: Budget) {
        self.budgets.retain(|(of, _)| *of != pair);
        self.budgets.push_back((pair, budget));
        if self.budgets.len() > MAX_BUDGETS {
            self.budgets.pop_front();
        }
    }

    /// Lets a link go.
    pub fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        let Some(pair) = link.pair() else { return Some(link) };
        if let State::Up(up) = &link.state {
            self.keep_budget(pair, up.budget.clone());
        }
        if self.up.get(&pair) == Some(&id) {
            self.up.remove(&pair);
        }
        if self.standbys.get(&pair) == Some(&id) {
            self.standbys.remove(&pair);
        }
        Some(link)
    }

    /// Whether the peer of a link may know our network addresses.
    pub fn is_direct(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.direct)
    }

    /// Whether its two ends know each other's network addresses.
    pub fn shows(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.direct && link.path != Path::Proxied)
    }

    /// Why it may, besides that the site accepted the peer.
    pub fn set_because(&mut self, id: LinkId, because: Because) {
        if let Some(link) = self.links.get_mut(&id) {
            link.because = because;
        }
    }

    /// The two ends of a link, as they are known and as they have signed.
    pub fn bond(&self, id: LinkId) -> Option<(Pair, Bond)> {
        self.links.get(&id).and_then(|link| Some((link.pair()?, link.bond?)))
    }

    /// Its two ends sign.
    pub fn set_bond(&mut self, id: LinkId, bond: Bond) {
        if let Some(link) = self.links.get_mut(&id) {
            link.bond = Some(bond);
        }
    }

    /// It may, or may not; tells whether that is new.
    pub fn set_direct(&mut self, id: LinkId, direct: bool) -> bool {
        self.links.get_mut(&id).is_some_and(|link| std::mem::replace(&mut link.direct, direct) != direct)
    }

    /// All links of a pair whose peer is known.
    pub fn of_pair(&self, pair: Pair) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.pair() == Some(pair)).map(|(id, _)| *id).collect()
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
    pub fn attempt_mut(&mut self, id: LinkId) -> Option<(&mut Attempt, Pair)> {
        let link = self.links.get_mut(&id)?;
        let pair = link.pair()?;
        match &mut link.state {
            State::Connecting(attempt) => Some((attempt, pair)),
            State::Opening(_) | State::Standby(_) | State::Up(_) => None,
        }
    }

    /// A link that is up.
    pub fn up(&self, id: LinkId) -> Option<&Up> {
        match &self.links.get(&id)?.state {
            State::Up(up) => Some(up),
            State::Connecting(_) | State::Opening(_) | State::Standby(_) => None,
        }
    }

    /// A link that is up, to change.
    pub fn up_mut(&mut self, id: LinkId) -> Option<&mut Up> {
        match &mut self.links.get_mut(&id)?.state {
            State::Up(up) => Some(up),
            State::Connecting(_) | State::Opening(_) | State::Standby(_) => None,
        }
    }

    /// The link of a pair that is used.
    pub fn up_to(&self, pair: Pair) -> Option<LinkId> {
        self.up.get(&pair).copied()
    }

    /// The link of a pair that stands by.
    pub fn standby_to(&self, pair: Pair) -> Option<LinkId> {
        self.standbys.get(&pair).copied()
    }

    /// A link that stands by.
    pub fn standby(&self, id: LinkId) -> Option<&Standby> {
        match &self.links.get(&id)?.state {
            State::Standby(standby) => Some(standby),
            State::Connecting(_) | State::Opening(_) | State::Up(_) => None,
        }
    }

    /// Links that stand by, with their ends.
    pub fn standbys(&self) -> impl Iterator<Item = (LinkId, Pair)> {
        self.standbys.iter().map(|(pair, id)| (*id, *pair))
    }

    /// Standbys whose pair has no link that is used, and when they are to be used themselves.
    pub fn lonely(&self) -> impl Iterator<Item = (LinkId, Instant)> {
        let lonely = self.standbys.iter().filter(|(pair, _)| !self.up.contains_key(*pair));
        lonely.filter_map(|(_, id)| Some((*id, self.standby(*id)?.since + LONELY)))
    }

    /// The link of a pair that connects.
    pub fn connecting_to(&self, pair: Pair) -> Option<(LinkId, &Attempt)> {
        self.attempts().find(|(_, of, _)| *of == pair).map(|(id, _, attempt)| (id, attempt))
    }

    /// Whether a link of the pair is used or connects.
    pub fn is_linking(&self, pair: Pair) -> bool {
        self.up_to(pair).is_some() || self.connecting_to(pair).is_some()
    }

    /// What is going on between a pair; `number` is how the peer knows a link's attempt.
    pub fn standing(&self, pair: Pair, number: impl Fn(LinkId) -> u32) -> Standing {
        Standing {
            connecting: self
                .connecting_to(pair)
                .filter(|(_, attempt)| attempt.way != Way::Address)
                .map(|(id, attempt)| (number(id), attempt.paired)),
            up: self.up_to(pair).and_then(|id| self.up(id)).and_then(|up| up.paired),
            standby: self.standby_to(pair).and_then(|id| self.standby(id)).and_then(|it| it.paired),
        }
    }

    /// Links that connect, with their ends.
    pub fn attempts(&self) -> impl Iterator<Item = (LinkId, Pair, &Attempt)> {
        self.links.iter().filter_map(|(id, link)| match &link.state {
            State::Connecting(attempt) => Some((*id, link.pair()?, attempt)),
            State::Opening(_) | State::Standby(_) | State::Up(_) => None,
        })
    }

    /// Connections of a persona that peers asked for by signals and that aren't up, and when they began.
    pub fn passive(&self, own: PersonaId) -> impl Iterator<Item = (Instant, LinkId)> {
        self.waiting(own, |state| match state {
            State::Connecting(attempt) => (!attempt.dialled).then_some(attempt.started),
            State::Opening(_) | State::Standby(_) | State::Up(_) => None,
        })
    }

    /// Those that peers asked for at the persona's door.
    pub fn opening(&self, own: PersonaId) -> impl Iterator<Item = (Instant, LinkId)> {
        self.waiting(own, |state| match state {
            State::Opening(since) => Some(*since),
            State::Connecting(_) | State::Standby(_) | State::Up(_) => None,
        })
    }

    fn waiting(
        &self,
        own: PersonaId,
        since: impl Fn(&State) -> Option<Instant>,
    ) -> impl Iterator<Item = (Instant, LinkId)> {
        let of_persona = self.links.iter().filter(move |(_, link)| link.own == own);
        of_persona.filter_map(move |(id, link)| Some((since(&link.state)?, *id)))
    }

    /// Links that take too long to come up.
    pub fn overdue(&self, now: Instant) -> Vec<LinkId> {
        let is_late = |link: &Link| link.gives_up().is_some_and(|at| at <= now);
        self.links.iter().filter(|(_, link)| is_late(link)).map(|(id, _)| *id).collect()
    }

    /// When the next is given up.
    pub fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::gives_up).min()
    }

    /// Links that are used, with their ends.
    pub fn ups(&self) -> impl Iterator<Item = (LinkId, Pair, &Link, &Up)> {
        self.links.iter().filter_map(|(id, link)| match &link.state {
            State::Up(up) => Some((*id, link.pair()?, link, up.as_ref())),
            State::Connecting(_) | State::Opening(_) | State::Standby(_) => None,
        })
    }

    /// Links of a persona that are used.
    pub fn ups_of(&self, own: PersonaId) -> impl Iterator<Item = (LinkId, Pair, &Link, &Up)> {
        self.ups().filter(move |(_, pair, _, _)| pair.own == own)
    }

    /// Links of a persona to peers in a topic.
    pub fn in_topic(&self, own: PersonaId, topic: TopicId) -> impl Iterator<Item = (LinkId, Pair, &Up)> {
        self.ups_of(own).filter(move |(_, _, _, up)| up.is_in(topic)).map(|(id, pair, _, up)| (id, pair, up))
    }

    /// All links of a frame.
    pub fn held_by(&self, frame: FrameId) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.frame == frame).map(|(id, _)| *id).collect()
    }

    /// How many links of a frame are used or stand by.
    pub fn carried_by(&self, frame: FrameId) -> usize {
        let stands = |link: &Link| !matches!(link.state, State::Connecting(_) | State::Opening(_));
        self.links.values().filter(|link| link.frame == frame && stands(link)).count()
    }

    /// All links of a persona.
    pub fn of_persona(&self, own: PersonaId) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.own == own).map(|(id, _)| *id).collect()
    }

    /// How many links a persona has, but for those that open at its door.
    pub fn settled(&self, own: PersonaId) -> usize {
        self.of(own) - self.opening(own).count()
    }

    /// How many links a persona has.
    pub fn of(&self, own: PersonaId) -> usize {
        self.links.values().filter(|link| link.own == own).count()
    }

    /// To how many peers a persona is linked.
    pub fn peers_of(&self, own: PersonaId) -> usize {
        self.up.keys().filter(|pair| pair.own == own).count()
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
        assert_eq!(standing(&links), Standing { connecting: Some((70 + id.number, Some(7))), ..Standing::default() });

        links.set_up(id, Instant::START);
        assert_eq!(links.up_to(ALICE), Some(id));
        assert_eq!(standing(&links), Standing { up: Some(7), ..Standing::default() });

        links.remove(id);
        assert_eq!(links.up_to(ALICE), None);
        assert_eq!(standing(&links), Standing::default());
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
        assert_eq!((links.ups().count(), links.peers_of(ALICE.own), links.lonely().count()), (1, 1, 0));

        links.remove(up);
        assert_eq!(links.lonely().collect::<Vec<_>>(), [(standby, Instant::START + LONELY)]);
        links.set_up(standby, Instant::START);
        assert_eq!((links.up_to(ALICE), links.standby_to(ALICE)), (Some(standby), None));
    }

    #[test]
    fn two_personas_that_know_the_same_peer_have_nothing_in_common() {
        let mut links = links();
        let up = link_to_alice(&mut links);
        links.set_up(up, Instant::START);
        let take = |links: &mut Table, id| links.up_mut(id).is_some_and(|up| up.budget.resumes.take(Instant::START));
        while take(&mut links, up) {}
        links.remove(up);

        let other = Pair { own: PersonaId([2; 32]), ..ALICE };
        let id = links.begin(OTHER, other, Attempt::new(Way::Uplink, None, Instant::START));
        assert_eq!((links.connecting_to(ALICE).is_some(), standing(&links)), (false, Standing::default()));
        links.set_up(id, Instant::START);
        assert_eq!((links.up_to(ALICE), links.up_to(other)), (None, Some(id)));
        assert_eq!((links.of(ALICE.own), links.of(other.own)), (0, 1));
        assert!(take(&mut links, id), "she has another budget there");

        let again = link_to_alice(&mut links);
        links.set_up(again, Instant::START);
        assert!(!take(&mut links, again), "but here none anew");
    }

    const TAB: FrameId = FrameId::from_random([1; 16]);
    const OTHER: FrameId = FrameId::from_random([2; 16]);
    const ALICE: Pair = Pair { own: PersonaId([1; 32]), peer: PersonaId([0xa1; 32]) };

    fn link_to_alice(links: &mut Table) -> LinkId {
        links.begin(TAB, ALICE, Attempt::new(Way::Uplink, None, Instant::START))
    }

    fn standing(links: &Table) -> Standing {
        links.standing(ALICE, |id| 70 + id.number)
    }

    fn links() -> Table {
        Table::new(Epoch(3))
    }
}
