//! What linked peers say of links. Whoever breaks the protocol is hung up on.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    address::{Address, Owner},
    codec,
    id::{LinkId, PersonaId, TopicId},
    limits::{MAX_LINK, MAX_SIGNAL, TOPIC_NEIGHBOURS},
    link::{Control, LinkMessage, Signal},
    sealed::SealedSignal,
    topic::{MAX_SHOWN, MAX_WORDS, Published, TopicMessage, Word},
};

use super::{Around, Links, LinksOutput, Offence, table::Way};
use crate::{limits::MAX_MEMBERSHIPS, pair::Pair};

/// A signal for a standby is kept that long for a link that goes directly in a moment: its sender gives up after a dial's time.
const PARKED: Duration = Duration::from_secs(10);

impl Links {
    pub(super) fn on_received(&mut self, link: LinkId, pair: Pair, bytes: &[u8], around: &Around<'_>) {
        if self.table.standby(link).is_some() {
            self.follow_switch(link, pair, around);
        }
        let Some(up) = self.table.up_mut(link) else { return };
        up.answer_until = None;
        let done = match codec::decode_foreign::<LinkMessage>(bytes, MAX_LINK) {
            Ok(LinkMessage::Control(message)) => self.on_control(link, pair, message, around),
            Ok(LinkMessage::Packet(packet)) => {
                if packet.from == pair.peer && packet.to == pair.own {
                    self.use_for_sessions(link, around.now);
                    self.tell(LinksOutput::Packet(link, packet));
                }
                Ok(())
            }
            Ok(LinkMessage::Topic(message)) => self.on_topic(link, pair, message, around),
            Err(_) => Err("an undecodable message"),
        };
        if let Err(offence) = done {
            self.punish(link, pair, offence, around);
        }
    }

    fn on_control(&mut self, link: LinkId, pair: Pair, message: Control, around: &Around<'_>) -> Result<(), Offence> {
        self.takes_control(link, around.now)?;
        match message {
            Control::Address(address) => return self.on_address(link, pair, address, around),
            Control::FrameGone(frame) => self.tell(LinksOutput::FrameGone(pair, frame)),
            Control::HungUp => self.on_hung_up(link, pair, around),
            Control::Idle => self.on_idle(link, pair, around),
            Control::PassOn { to, signal } => return self.on_pass_on(link, pair, to, signal, around),
            Control::PassedOn { from, signal } => return self.on_passed_on(link, pair, from, &signal, around),
            Control::Resume => return self.on_resume(link, pair, around.now),
            Control::Signal(signal) => return self.on_link_signal(link, pair, signal, around),
            Control::StandbyGone { attempt } => self.on_standby_gone(pair, attempt, around),
            Control::Switch => self.say_of_links(link, Control::Switched, around),
            // Any word is the answer that is waited for.
            Control::Switched => {}
            Control::Unreachable(peer) => self.on_not_passed_on(pair.peer, Pair { peer, ..pair }, around),
        }
        Ok(())
    }

    fn takes_control(&mut self, link: LinkId, now: Instant) -> Result<(), Offence> {
        let takes = self.table.up_mut(link).is_some_and(|up| up.budget.control.take(now));
        if takes { Ok(()) } else { Err("too many messages") }
    }

    /// What is said of topics goes on to them, within the link's bounds, once the table knows which the peer is in.
    fn on_topic(
        &mut self,
        link: LinkId,
        pair: Pair,
        message: TopicMessage,
        around: &Around<'_>,
    ) -> Result<(), Offence> {
        // These have bounds of their own.
        let is_bounded = matches!(message, TopicMessage::Here { .. } | TopicMessage::Publish { .. });
        if !is_bounded {
            self.takes_control(link, around.now)?;
        }
        match message {
            TopicMessage::Publish { topic, published } => {
                return self.on_publish(link, pair, topic, published, around.now);
            }
            TopicMessage::Tags(tags) if tags.len() > MAX_MEMBERSHIPS => {
                return Err("more topics than a persona may be in");
            }
            TopicMessage::Tags(_) | TopicMessage::Left(_) if !self.affords_tags(link, pair, around) => {
                return Err("too many messages");
            }
            TopicMessage::Tags(tags) => self.on_tags(link, pair, &tags, around),
            TopicMessage::Left(tag) => self.on_left(link, pair, tag, around),
            TopicMessage::Members { members, .. } if members.len() > TOPIC_NEIGHBOURS => {
                return Err("more members at once than allowed");
            }
            TopicMessage::Here { words, .. }
                if words.len() > MAX_WORDS || words.iter().any(|word| word.shows.len() > MAX_SHOWN) =>
            {
                return Err("more words at once than allowed, or longer ones");
            }
            TopicMessage::Here { topic, words } => self.on_here(link, pair, topic, words, around.now),
            TopicMessage::Members { topic, members } => {
                if self.table.up(link).is_some_and(|up| up.is_in(topic)) {
                    self.tell(LinksOutput::Members { pair, topic, members });
                }
            }
        }
        Ok(())
    }

    /// What is too much isn't heard: others may pass it on, too.
    fn on_here(&mut self, link: LinkId, pair: Pair, topic: TopicId, words: Vec<Word>, now: Instant) {
        let count = u32::try_from(words.len().max(1)).unwrap_or(u32::MAX);
        if let Some(up) = self.table.up_mut(link).filter(|up| up.is_in(topic))
            && up.budget.words.take_many(count, now)
        {
            self.tell(LinksOutput::Words { link, pair, topic, words });
        }
    }

    fn on_publish(
        &mut self,
        link: LinkId,
        pair: Pair,
        topic: TopicId,
        published: Published,
        now: Instant,
    ) -> Result<(), Offence> {
        let Some(up) = self.table.up_mut(link) else { return Ok(()) };
        if !up.budget.showed && !up.is_lenient(now) {
            return Err("a message of a topic, none of which it was shown");
        }
        // What it said before it left may have waited.
        if up.was_in.contains(&topic) {
            let beyond = !up.budget.publishes.take(now);
            if beyond && !up.budget.beyond.take(now) {
                return Ok(());
            }
            self.tell(LinksOutput::Publish { link: Some(link), pair, topic, published, beyond });
        }
        Ok(())
    }

    /// Whether a link may bring what an author says of whom nothing was heard yet.
    pub fn takes_author(&mut self, link: LinkId, now: Instant) -> bool {
        self.table.up_mut(link).is_some_and(|up| up.budget.authors.take(now))
    }

    /// Whether a peer wasn't told yet who else is in a topic; it is now.
    pub fn hints(&mut self, link: LinkId, topic: TopicId) -> bool {
        self.table.up_mut(link).is_some_and(|up| up.hinted.insert(topic))
    }

    /// The peer said where it can be dialled. The proxies are of its choice: our browser turns to those only if it may know our addresses.
    fn on_address(&mut self, link: LinkId, pair: Pair, address: Address, around: &Around<'_>) -> Result<(), Offence> {
        if address.owner() != Owner::Persona(pair.peer) {
            return Err("an address that isn't its own");
        }
        if !around.is_expired(&address) && self.table.is_direct(link) {
            self.table.learn_address(link, address);
        }
        Ok(())
    }

    /// A peer has a signal for another peer of the same persona of ours. Those who aren't linked to that persona get none.
    fn on_pass_on(
        &mut self,
        link: LinkId,
        pair: Pair,
        to: PersonaId,
        signal: SealedSignal,
        around: &Around<'_>,
    ) -> Result<(), Offence> {
        if !self.takes_signal(link, signal.is_too_long(), around.now)? {
            return Ok(());
        }
        match self.table.up_to(Pair { peer: to, ..pair }).filter(|onward| *onward != link) {
            Some(onward) => self.say_of_links(onward, Control::PassedOn { from: pair.peer, signal }, around),
            None => self.say_of_links(link, Control::Unreachable(to), around),
        }
        Ok(())
    }

    fn on_link_signal(&mut self, link: LinkId, pair: Pair, signal: Signal, around: &Around<'_>) -> Result<(), Offence> {
        if !self.takes_signal(link, signal.blob.len() > MAX_SIGNAL, around.now)? {
            return Ok(());
        }
        // Without a reason for the one link there is none for another.
        if self.table.shows(link) {
            self.on_signal(pair, signal, Vec::new(), Way::Link, around);
        } else if let Some(up) = self.table.up_mut(link) {
            up.parked = Some((signal, around.now));
        }
        Ok(())
    }

    /// The link goes directly. The peer may have noticed that earlier, and begun a standby.
    pub(super) fn on_shown(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) {
        let parked = self.table.up_mut(link).and_then(|up| up.parked.take());
        if let Some((signal, at)) = parked
            && around.now.since(at) < PARKED
        {
            self.on_signal(pair, signal, Vec::new(), Way::Link, around);
        }
    }

    fn on_passed_on(
        &mut self,
        link: LinkId,
        pair: Pair,
        from: PersonaId,
        signal: &SealedSignal,
        around: &Around<'_>,
    ) -> Result<(), Offence> {
        if self.takes_signal(link, signal.is_too_long(), around.now)? && from != pair.peer {
            self.on_sealed(Pair { peer: from, ..pair }, signal, Way::CommonPeer(pair.peer), around);
        }
        Ok(())
    }

    /// Whether the link may bring a signal now.
    fn takes_signal(&mut self, link: LinkId, is_too_long: bool, now: Instant) -> Result<bool, Offence> {
        if is_too_long {
            return Err("a signal that is too long");
        }
        Ok(self.table.up_mut(link).is_some_and(|up| up.budget.signals.take(now)))
    }

    /// The peer's leader is new: it tells its topics again, and so do we.
    fn on_resume(&mut self, link: LinkId, pair: Pair, now: Instant) -> Result<(), Offence> {
        let Some(up) = self.table.up_mut(link) else { return Ok(()) };
        if !up.budget.resumes.take(now) {
            return Err("more changes of leader than there can be");
        }
        let joined = std::mem::take(&mut up.joined);
        up.hinted.clear();
        up.shown.clear();
        up.was_in.clear();
        up.want(now);
        up.be_lenient(now);
        self.tell(LinksOutput::Resumed { link, pair, joined });
        Ok(())
    }
}
