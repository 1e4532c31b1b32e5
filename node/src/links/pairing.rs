//! Signals: sent on some way, judged, and given to the attempt that they belong to.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    id::{LinkId, PersonaId, TopicId},
    keys::GrantProof,
    limits::{MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::{Control, Signal},
    local::{DownReason, IdentityText, LinkCommand},
    rendezvous::ToServer,
    sealed::{ForMembers, Said, SealedSignal},
    topic::MatchKey,
};

use super::{
    Around, Links, LinksOutput,
    attempt::{Verdict, judge},
    reasons::Reason,
    room::Need,
    table::{At, Attempt, Way},
};
use crate::{
    limits::{MAX_LINKS, MAX_OPENING, MAX_PASSIVE, PASSIVE_PATIENCE, RESERVED_LINKS},
    pair::Pair,
    topics::Place,
};

/// A signal by the server or a common peer is sent again that often, by the server, until it is answered: the peer may have been full, or the
/// signal lost.
const AGAIN: Duration = Duration::from_secs(3);

impl Links {
    /// A signal arrived for us, by way of others. What isn't from whom they say, isn't fresh or was heard before is dropped.
    pub(super) fn on_sealed(&mut self, pair: Pair, sealed: &SealedSignal, way: Way, around: &Around<'_>) {
        let Some(secret) = around.frames.secret(pair.own).filter(|_| !around.blocks.includes(pair)) else { return };
        if let Ok(opened) = sealed.open(secret)
            && opened.from == pair.peer
            && self.sealing.hears(pair.own, &opened, way != Way::Uplink, around.clock.minute(pair.own))
        {
            self.on_said(pair, (opened.said, opened.nonce), way, around);
        }
    }

    /// A signal is proven to be its sender's, and there is a reason to connect: topics in which both are, or another.
    pub(super) fn on_signal(
        &mut self,
        pair: Pair,
        signal: Signal,
        topics: Vec<TopicId>,
        way: Way,
        around: &Around<'_>,
    ) {
        if pair.own == pair.peer || signal.blob.len() > MAX_SIGNAL {
            return;
        }
        let connecting = self.table.connecting_to(pair).map(|(id, _)| id);
        let standing = self.table.standing(pair, |link| self.number_of(link, pair));
        let places: Vec<Place> = topics.iter().map(|topic| Place { own: pair.own, topic: *topic }).collect();
        match (judge(standing, &signal), connecting) {
            (Verdict::Accept, at_address) => {
                // It dials us while we dial its address: one of the two is enough.
                if let Some(link) = at_address {
                    self.abandon(link, around);
                }
                self.answer(pair, signal, topics, way, around);
            }
            (Verdict::Pair, Some(link)) => self.pair(link, signal, &topics, way, around),
            (Verdict::Redial, Some(link)) => {
                self.abandon(link, around);
                if self.dial_neighbour(pair, around).is_err() {
                    self.fail_link_dials(pair, DownReason::Closed, around);
                }
            }
            (Verdict::Replace, Some(link)) => {
                self.abandon(link, around);
                self.answer(pair, signal, topics, way, around);
            }
            (Verdict::Ignore, Some(link)) => self.answer_again(link, &signal, way, around),
            (Verdict::Ignore | Verdict::Pair | Verdict::Redial | Verdict::Replace, _) => {}
        }
        for place in places {
            self.publish_early(place, around);
        }
    }

    /// A peer dials again whom we answered: the answer may be lost.
    fn answer_again(&mut self, link: LinkId, signal: &Signal, way: Way, around: &Around<'_>) {
        let Some((attempt, pair)) = self.table.attempt_mut(link) else { return };
        let is_again = attempt.paired == Some(signal.attempt) && signal.answers.is_none();
        let Some(blob) = attempt.told.clone().filter(|_| is_again && way != Way::Link) else { return };
        let topics = attempt.topics.clone();
        let answer = Signal { attempt: self.number_of(link, pair), answers: Some(signal.attempt), blob };
        self.send_signal(pair, answer, &topics, way, around);
    }

    fn answer(&mut self, pair: Pair, signal: Signal, topics: Vec<TopicId>, way: Way, around: &Around<'_>) {
        if !self.takes_stranger(pair, around) {
            if way != Way::Link {
                // At the door there is some room for each network.
                self.tell(LinksOutput::Knocked(pair, way));
            }
            return;
        }
        let used = self.table.up_to(pair).and_then(|used| self.table.link(used)).map(|it| it.frame);
        let other = used.filter(|_| way == Way::Link);
        let attempt = Attempt { topics, ..Attempt::new(way, Some(signal.attempt), around.now) };
        if let Some(link) = self.begin(pair, attempt, other, around) {
            self.command(link, LinkCommand::Signal(signal.blob), around);
        }
    }

    /// Whether there is room for one more connection that a peer asks for by signals. Strangers give way at once to a peer that the site
    /// accepted.
    fn takes_stranger(&mut self, pair: Pair, around: &Around<'_>) -> bool {
        let knows = around.knows(pair);
        let passive: Vec<(Instant, LinkId)> = self.table.passive(pair.own).collect();
        let stranger = (knows && passive.len() >= MAX_PASSIVE).then(|| self.strange_attempt_of(pair.own, around));
        if let Some(link) = stranger.flatten() {
            self.abandon(link, around);
        } else if !self.makes_way(passive, MAX_PASSIVE, around) {
            return false;
        }
        if knows { self.has_room_for_guest(pair.own, around) } else { self.has_room(pair.own, Need::Topics, around) }
    }

    /// Whether there is room for one more that a peer asks for at a persona's door. Whether it may stay is seen when it is up. While the personas
    /// have as many as there may be links, each has a few.
    pub(super) fn takes_guest(&mut self, own: PersonaId, around: &Around<'_>) -> bool {
        let in_all: usize = around.frames.personas().into_iter().map(|it| self.table.opening(it).count()).sum();
        let max = if in_all < MAX_LINKS { MAX_OPENING } else { RESERVED_LINKS };
        let opening = self.table.opening(own).collect();
        self.makes_way(opening, max, around)
    }

    /// Whether there are fewer than so many connections. One that had its time may give way.
    fn makes_way(&mut self, waiting: Vec<(Instant, LinkId)>, max: usize, around: &Around<'_>) -> bool {
        if waiting.len() < max {
            return true;
        }
        let oldest = waiting.into_iter().min().filter(|(at, _)| *at + PASSIVE_PATIENCE <= around.now);
        if let Some((_, oldest)) = oldest {
            self.abandon(oldest, around);
        }
        oldest.is_some()
    }

    fn pair(&mut self, link: LinkId, signal: Signal, topics: &[TopicId], way: Way, around: &Around<'_>) {
        let Some((attempt, pair)) = self.table.attempt_mut(link) else { return };
        attempt.paired = Some(signal.attempt);
        attempt.way = way;
        attempt.topics = topics.to_vec();
        // Our dial may be lost, or the peer would have answered it. If it isn't, this says nothing new.
        let again = attempt.told.clone().filter(|_| signal.answers.is_none());
        self.command(link, LinkCommand::Signal(signal.blob), around);
        if let Some(blob) = again {
            let answer = Signal { attempt: self.number_of(link, pair), answers: Some(signal.attempt), blob };
            self.send_signal(pair, answer, topics, way, around);
        }
    }

    /// The frame made our signal; a second one of the same link says nothing new.
    pub(super) fn on_local_signal(&mut self, link: LinkId, blob: Vec<u8>, around: &Around<'_>) {
        let Some((attempt, pair)) = self.table.attempt_mut(link) else { return };
        if attempt.told.is_some() || blob.len() > MAX_SIGNAL {
            return;
        }
        attempt.told = Some(blob.clone());
        let is_by_others = matches!(attempt.way, Way::CommonPeer(_) | Way::Uplink);
        attempt.again = (is_by_others && attempt.paired.is_none()).then(|| around.now + AGAIN);
        let (way, topics, answers) = (attempt.way, attempt.topics.clone(), attempt.paired);
        let signal = Signal { attempt: self.number_of(link, pair), answers, blob };
        if !self.send_signal(pair, signal, &topics, way, around) {
            self.hang_up(link, around);
            self.end(link, DownReason::Closed, around);
        }
    }

    fn send_signal(&mut self, pair: Pair, signal: Signal, topics: &[TopicId], way: Way, around: &Around<'_>) -> bool {
        if way == Way::Link {
            let Some(link) = self.table.up_to(pair) else { return false };
            self.say_of_links(link, Control::Signal(signal), around);
            return true;
        }
        if topics.is_empty() {
            return self.send_said(pair, &Said::Signal(signal), way, around);
        }
        self.send_for_members(pair, (Said::Topics, &signal), topics, way, around)
    }

    /// Has others pass on what only members of these topics are to read.
    pub(super) fn send_for_members(
        &mut self,
        pair: Pair,
        (said, signal): (fn(Box<ForMembers>) -> Said, &Signal),
        topics: &[TopicId],
        way: Way,
        around: &Around<'_>,
    ) -> bool {
        let own = pair.own;
        let keys = topics.iter().filter_map(|topic| around.topics.matching(Place { own, topic: *topic }).copied());
        let keys: Vec<MatchKey> = keys.collect();
        let (secret, minute) = (around.frames.secret(own), around.clock.minute(own));
        let sealed =
            secret.and_then(|secret| self.sealing.seal_for(said, (&keys, signal), (secret, pair.peer), minute));
        sealed.is_some_and(|sealed| self.have_passed_on(pair, &sealed, way, around))
    }

    /// Has others pass on what is said to a peer. Tells whether somebody was asked to.
    pub(super) fn send_said(&mut self, pair: Pair, said: &Said, way: Way, around: &Around<'_>) -> bool {
        let (secret, minute) = (around.frames.secret(pair.own), around.clock.minute(pair.own));
        let sealed = secret.and_then(|secret| self.sealing.seal(said, (secret, pair.peer), minute));
        sealed.is_some_and(|sealed| self.have_passed_on(pair, &sealed, way, around))
    }

    fn have_passed_on(&mut self, pair: Pair, signal: &SealedSignal, way: Way, around: &Around<'_>) -> bool {
        let Pair { own, peer: to } = pair;
        let over: Vec<LinkId> = match way {
            Way::Address | Way::Link => return false,
            Way::CommonPeer(common) => self.table.up_to(Pair { own, peer: common }).into_iter().collect(),
            Way::Neighbours => self.neighbours(pair),
            Way::Uplink => Vec::new(),
        };
        let by_server = over.is_empty() && way != Way::Neighbours && around.is_registered;
        for link in &over {
            self.say_of_links(*link, Control::PassOn { to, signal: signal.clone() }, around);
        }
        if by_server {
            self.tell(LinksOutput::Server(own, ToServer::Signal { from: own, to, signal: signal.clone() }));
        }
        by_server || !over.is_empty()
    }

    /// Peers that are asked to pass something on; an attempt knows them.
    fn neighbours(&mut self, pair: Pair) -> Vec<LinkId> {
        let ups = self.table.ups_of(pair.own).take(TOPIC_NEIGHBOURS);
        let (links, asked): (Vec<LinkId>, Vec<PersonaId>) = ups.map(|(id, of, _, _)| (id, of.peer)).unzip();
        let attempt = self.table.connecting_to(pair).map(|(id, _)| id);
        if let Some((attempt, _)) = attempt.and_then(|id| self.table.attempt_mut(id)) {
            attempt.asked = asked.into_iter().collect();
        }
        links
    }

    /// One of those whom we asked to pass a signal on has no link to its receiver.
    pub(super) fn on_not_passed_on(&mut self, asked: PersonaId, pair: Pair, around: &Around<'_>) {
        let Some(link) = self.table.connecting_to(pair).map(|(link, _)| link) else {
            return self.on_knock_not_passed_on(asked, pair);
        };
        let Some((attempt, _)) = self.table.attempt_mut(link) else { return };
        if attempt.paired.is_some() {
            return;
        }
        let was_asked = attempt.asked.remove(&asked);
        let is_over = match attempt.way {
            Way::Address | Way::Link | Way::Uplink => false,
            Way::Neighbours => was_asked && attempt.asked.is_empty(),
            Way::CommonPeer(common) => common == asked,
        };
        if is_over {
            self.hang_up(link, around);
            self.end(link, DownReason::Closed, around);
        }
    }

    pub(super) fn on_unreachable(&mut self, pair: Pair, around: &Around<'_>) {
        match self.table.connecting_to(pair).map(|(link, attempt)| (link, attempt.way, attempt.paired)) {
            // It answered before it went, and what was said since was something else.
            Some((_, _, Some(_))) => {}
            Some((link, Way::Uplink, None)) => {
                self.hang_up(link, around);
                self.end(link, DownReason::Closed, around);
            }
            Some(_) => {}
            None => self.on_knock_unreachable(pair, around),
        }
    }

    /// The server says that a peer is there. An attempt that began before that may wait in vain for 15 s: the page that had our signal is gone, and
    /// the peer is back with another, or the peer was away and is dialled at its address. Who had the signal ignores it now.
    pub(super) fn seek_again(&mut self, pair: Pair, around: &Around<'_>) {
        let Some((link, attempt)) = self.table.connecting_to(pair) else { return };
        match (attempt.way, &attempt.told, &attempt.at) {
            // Whoever answered, and is back without what it answered with, answers anew; else it was told that before.
            (Way::Uplink, Some(_), _) if attempt.paired.is_some() => self.signal_again(link, around),
            _ if attempt.paired.is_some() => {}
            (Way::Uplink, Some(_), _) => self.signal_again(link, around),
            // Its door is dialled, and it is named in a topic of ours.
            (Way::Address, _, Some(At::Door(_))) if around.reason(pair).is_none() => {}
            (Way::Address, _, None | Some(At::Door(_))) => {
                self.abandon(link, around);
                if self.dial_neighbour(pair, around).is_err() {
                    self.count_failure(pair, around.now);
                }
            }
            _ => {}
        }
    }

    /// Attempts whose signal is to be sent again, and when.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = (LinkId, Instant)> {
        let unanswered = self.table.attempts().filter(|(_, _, attempt)| attempt.paired.is_none());
        unanswered.filter_map(|(link, _, attempt)| Some((link, attempt.again?)))
    }

    /// Sends the signals again that weren't answered for a while.
    pub(super) fn drive_signals(&mut self, around: &Around<'_>) {
        let due = self.unanswered().filter(|(_, at)| *at <= around.now);
        for link in due.map(|(link, _)| link).collect::<Vec<_>>() {
            self.signal_again(link, around);
        }
    }

    fn signal_again(&mut self, link: LinkId, around: &Around<'_>) {
        let Some((attempt, pair)) = self.table.attempt_mut(link) else { return };
        attempt.again = Some(around.now + AGAIN);
        let Some(blob) = attempt.told.clone().filter(|_| around.is_registered) else { return };
        // A common peer may pass nothing on, and say nothing of that.
        attempt.way = Way::Uplink;
        let signal = Signal { attempt: self.number_of(link, pair), answers: None, blob };
        // Since it was sent last the peer may have been named in other topics.
        let topics = match around.reason(pair) {
            Some(Reason::Accepted) => Vec::new(),
            Some(Reason::Topics(topics)) => topics,
            None => return,
        };
        self.send_signal(pair, signal, &topics, Way::Uplink, around);
    }

    /// The frame can have nothing signed but that its link to `peer`, or at an address of ours to anybody else, ends here.
    pub(super) fn on_sign(
        &mut self,
        link: LinkId,
        own: PersonaId,
        peer: Option<PersonaId>,
        (text, proof): (IdentityText, Option<GrantProof>),
        around: &Around<'_>,
    ) {
        let is_meant = peer.map_or(text.other() != own, |peer| text.other() == peer);
        let is_blocked = around.blocks.includes(Pair { own, peer: text.other() });
        let Some(secret) = around.frames.secret(own).filter(|_| is_meant && text.signer() == own && !is_blocked) else {
            return self.refuse_identity(link, around);
        };
        self.table.set_bond(link, text.bond());
        self.command(link, LinkCommand::Signed(secret.sign(&text.to_bytes())), around);
        self.judge_reason(link, Pair { own, peer: text.other() }, proof, around);
    }

    pub(super) fn refuse_identity(&mut self, link: LinkId, around: &Around<'_>) {
        self.hang_up(link, around);
        self.end(link, DownReason::Identity, around);
    }
}
