//! Who may know the network addresses of our browser, and how those are met who may not.
//!
//! A signal contains network addresses, and a browser that is given some tries them. So a persona shows its own, and has the browser try a
//! peer's, for a *reason* only:
//!
//! | reason | shown by |
//! | --- | --- |
//! | the site accepted the peer within 30 days | what the leader remembers ([`Acquaintances`](crate::sites::acquaintances::Acquaintances)) |
//! | both are in a topic | the signal's blob is sealed under the topic's match key, too |
//! | we gave our address away | its grant, which a dialler proves when both ends say who they are |
//!
//! Who has none *knocks*: it sends a signal without an address. Who is knocked on, or is sent the addresses of a peer for whom it has no reason,
//! answers where its *door* is: an address without a grant. That is dialled over the server of our own, whatever proxies it names: else a
//! stranger could have our browser send to where it likes. The link goes over the server until both ends have a reason.

use bitters_wire::{
    address::{Address, Owner},
    codec,
    id::{LinkId, PersonaId, TopicId},
    keys::GrantProof,
    limits::MAX_EARLY,
    link::Signal,
    local::{DownReason, LinkCommand},
    sealed::{ForMembers, MAX_SHOWN, Said},
};

use super::{
    Around, Links, LinksOutput,
    table::{At, Attempt, Because, Way},
};
use crate::pair::Pair;

/// Why a peer may know our network addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The site accepted it.
    Accepted,
    /// It is said to be in a topic of ours: what it is told is readable for those only who are in one of these.
    Topics(Vec<TopicId>),
}

impl Around<'_> {
    /// Whether a peer may know our network addresses, for what we remember of it.
    pub(super) fn may_show(&self, pair: Pair) -> bool {
        !self.hides && self.acquaintances.includes(pair, self.clock.unix_ms())
    }

    /// Why we show our network addresses to a peer that we dial, if at all.
    pub(super) fn reason(&self, pair: Pair) -> Option<Reason> {
        if self.may_show(pair) {
            return Some(Reason::Accepted);
        }
        let common: Vec<TopicId> = self.topics.common(pair).collect();
        // Since it was named in those it may have left them, and joined others of ours.
        let own = self.topics.iter().filter(|place| place.own == pair.own).map(|place| place.topic);
        let others: Vec<TopicId> = own.filter(|topic| !common.contains(topic)).collect();
        let is_said = !common.is_empty() && !self.hides;
        is_said.then(|| Reason::Topics(common.into_iter().chain(others).take(MAX_SHOWN).collect()))
    }

    /// Whether what a link went directly for holds when it is made again: a grant does, and a topic as long as both are in it.
    pub(super) fn still_holds(&self, because: &Because, pair: Pair) -> bool {
        let is_common = || self.topics.common(pair).any(|topic| because.topics.contains(&topic));
        !self.hides && (because.granted || is_common())
    }

    /// Which topic's members alone can read what a peer says, and what it says; nothing if that is none of our persona's.
    fn matched(&self, pair: Pair, name: &[u8; 16], sealed: &ForMembers) -> Option<(TopicId, Signal)> {
        let ends = [pair.peer, pair.own];
        let mut places = self.topics.iter().filter(|place| place.own == pair.own && !self.hides);
        places.find_map(|place| Some((place.topic, sealed.open(self.topics.matching(place)?, ends, name)?)))
    }
}

impl Links {
    /// Whether we show our network addresses to a peer that we dial.
    pub fn has_reason(&self, pair: Pair, around: &Around<'_>) -> bool {
        around.reason(pair).is_some()
    }

    /// What a peer said by way of others, once that is proven to be fresh and its own.
    pub(super) fn on_said(&mut self, pair: Pair, (said, name): (Said, [u8; 16]), way: Way, around: &Around<'_>) {
        match said {
            Said::Door(address) => self.on_door_told(pair, *address, around),
            Said::HungUp => self.on_hung_up_early(pair, around),
            Said::Knock => self.tell(LinksOutput::Knocked(pair, way)),
            Said::Members(sealed) => {
                if let Some((topic, Signal { blob, .. })) = around.matched(pair, &name, &sealed)
                    && let Ok(packets) = codec::decode_foreign(&blob, MAX_EARLY)
                {
                    self.on_early(pair, packets, (way, vec![topic]), around);
                }
            }
            Said::Packets(packets) => self.on_early(pair, packets, (way, Vec::new()), around),
            Said::Published(sealed) => {
                if let Some((topic, Signal { blob, .. })) = around.matched(pair, &name, &sealed) {
                    self.on_published_early(pair, topic, &blob, way, around);
                }
            }
            Said::Signal(signal) if around.may_show(pair) => self.on_signal(pair, signal, Vec::new(), way, around),
            Said::Signal(signal) => self.on_unreasoned(pair, signal.answers, way),
            Said::Topics(sealed) => match around.matched(pair, &name, &sealed) {
                Some((topic, signal)) => self.on_signal(pair, signal, vec![topic], way, around),
                None => self.on_unreasoned(pair, sealed.answers(), way),
            },
        }
    }

    /// A peer shows us its addresses, and we have no reason to use them or to show ours. It may have none to answer what we showed it for
    /// another: it is told our door, unless that is beside the point because the two have found each other.
    fn on_unreasoned(&mut self, pair: Pair, answers: Option<u32>, way: Way) {
        let found = |it: &Attempt| it.paired.is_some() || it.way == Way::Address;
        let is_found = self.table.connecting_to(pair).is_some_and(|(_, attempt)| found(attempt));
        if !is_found && answers.is_none() {
            self.tell(LinksOutput::Knocked(pair, way));
        }
    }

    /// Whoever knocks is told where our door is.
    pub fn tell_door(&mut self, pair: Pair, door: Address, way: Way, around: &Around<'_>) {
        self.send_said(pair, &Said::Door(Box::new(door)), way, around);
    }

    /// Asks a peer, to whom we show nothing, for its door. Tells whether there is a way to ask.
    pub(super) fn knock(&mut self, pair: Pair, way: Way, around: &Around<'_>) -> bool {
        let asks = self.send_said(pair, &Said::Knock, way, around);
        if asks {
            let is_named = !self.is_wanted(pair, around);
            let by = around.topics.introducer(pair).filter(|_| is_named);
            self.knocks.note(pair, by, way, around.now);
        }
        asks
    }

    /// A common peer that we had knock for us has no link to the peer: the next knock goes another way.
    pub(super) fn on_knock_not_passed_on(&mut self, asked: PersonaId, pair: Pair) {
        if self.knocks.way(pair) == Some(Way::CommonPeer(asked)) {
            self.tell(LinksOutput::ForgetWays(pair));
        }
    }

    /// The server that was to knock doesn't know the peer. It may be where it said once, if what it said that for still holds.
    pub(super) fn on_knock_unreachable(&mut self, pair: Pair, around: &Around<'_>) {
        let holds = self.table.address(pair).is_some_and(|(_, because)| around.still_holds(because, pair));
        if holds && self.is_wanted(pair, around) && self.knocks.way(pair) == Some(Way::Uplink) {
            self.dial_told(pair, around);
        }
    }

    /// A peer says where its door is. It is dialled if we wait for that: we knocked, or showed ourselves in vain.
    pub fn on_door_told(&mut self, pair: Pair, door: Address, around: &Around<'_>) {
        if door.owner() != Owner::Persona(pair.peer) || self.table.up_to(pair).is_some() {
            return;
        }
        let wanted = self.is_wanted(pair, around);
        match self.table.connecting_to(pair) {
            Some((_, attempt)) if attempt.paired.is_some() || attempt.way == Way::Address => return,
            Some((link, _)) => self.abandon(link, around),
            None if self.knocks.answered(pair, around.now) || wanted => {}
            None => return,
        }
        match self.dial_at(pair, At::Door(Box::new(door)), self.need_of(pair, around), around) {
            Ok(()) => self.tell(LinksOutput::Dials(pair)),
            Err(_) => self.count_failure(pair, around.now),
        }
    }

    /// Whether whoever says that it is the peer of a link may know our network addresses.
    pub(super) fn judge_reason(&mut self, link: LinkId, pair: Pair, proof: Option<GrantProof>, around: &Around<'_>) {
        let Some(secret) = around.frames.secret(pair.own) else { return };
        let is_proven = |proof| secret.grant().is_proven(proof, pair.peer, pair.own);
        let is_granted = !around.hides && proof.is_some_and(is_proven);
        if is_granted {
            self.table.set_because(link, Because::GRANT);
        }
        if is_granted || around.may_show(pair) {
            self.go_direct(link, around);
        }
    }

    /// Our site accepted a peer: links to it may go directly.
    pub fn accept(&mut self, pair: Pair, around: &Around<'_>) {
        if let Some(link) = self.table.up_to(pair) {
            self.show_topics(link, around);
        }
        if around.may_show(pair) {
            self.table.of_pair(pair).into_iter().for_each(|link| self.go_direct(link, around));
        }
    }

    /// The person lets peers know our network addresses again: links to those that a site accepted may go directly.
    pub fn show(&mut self, own: PersonaId, around: &Around<'_>) {
        let pairs = self.table.of_persona(own).into_iter().filter_map(|link| self.table.link(link)?.pair());
        pairs.collect::<Vec<_>>().into_iter().for_each(|pair| self.accept(pair, around));
    }

    fn go_direct(&mut self, link: LinkId, around: &Around<'_>) {
        if self.table.set_direct(link, true) {
            self.command(link, LinkCommand::GoDirect, around);
            self.tell(LinksOutput::Plans);
        }
    }

    /// The person decided to let no peer know our network addresses: links that do are made again over servers.
    pub fn hide(&mut self, own: PersonaId, around: &Around<'_>) {
        let links = self.table.of_persona(own).into_iter().filter(|link| self.table.is_direct(*link));
        for link in links.collect::<Vec<_>>() {
            self.hang_up(link, around);
            self.end(link, DownReason::Closed, around);
        }
    }
}
