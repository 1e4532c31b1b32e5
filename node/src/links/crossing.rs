//! Addresses that are dialled: ours by strangers; and what follows when two ends dial each other's at once.

use std::time::Duration;

use bitters_wire::{
    address::Fingerprint,
    id::{LinkId, PersonaId},
    limits::MAX_SIGNAL,
    local::{Dial, Door, DownReason, LinkCommand, LinkEvent},
    rendezvous::{IceEnds, ToServer},
};

use super::{Around, Links, LinksOutput};
use crate::pair::Pair;

/// Two ends that dial each other's address at the same time have both links within that time.
pub(super) const CROSSING: Duration = Duration::from_secs(5);

impl Links {
    /// The server introduces somebody who dials an address of ours.
    pub(super) fn on_introduced(
        &mut self,
        own: PersonaId,
        fingerprint: Fingerprint,
        passage: u64,
        signal: Vec<u8>,
        around: &Around<'_>,
    ) {
        if signal.len() > MAX_SIGNAL || !self.takes_guest(own, around) {
            return;
        }
        let Some(frame) = self.keeper(own, around.frames) else { return };
        let link = self.table.open(frame, own, passage, around.now);
        let door = Door::Introduced { fingerprint, proxies: around.proxies.to_vec() };
        let dial = Dial { own, peer: None, door, direct: false, stun: around.stun() };
        self.command(link, LinkCommand::Dial(dial), around);
        self.command(link, LinkCommand::Signal(signal), around);
    }

    /// A connection opens at an address of ours, or is over before it is known who dialled.
    pub(super) fn on_door_event(&mut self, link: LinkId, own: PersonaId, event: LinkEvent, around: &Around<'_>) {
        match event {
            LinkEvent::Down(reason) => self.end(link, reason, around),
            LinkEvent::Sign { text, proof } => self.on_sign(link, own, None, (text, proof), around),
            LinkEvent::Signal(signal) if signal.len() <= MAX_SIGNAL => self.answer_dial(link, own, signal),
            LinkEvent::Up(peer) if peer == own || around.blocks.includes(Pair { own, peer }) => {
                self.refuse_identity(link, around);
            }
            LinkEvent::Up(_) if !self.has_room_for_guest(own, around) => {
                self.hang_up(link, around);
                self.end(link, DownReason::Closed, around);
            }
            LinkEvent::Up(peer) => {
                if let Some(pair) = self.table.identify(link, peer) {
                    self.on_up(link, pair, around);
                }
            }
            _ => {}
        }
    }

    fn answer_dial(&mut self, link: LinkId, own: PersonaId, signal: Vec<u8>) {
        if let Some(passage) = self.table.link(link).and_then(|it| it.passage) {
            self.tell(LinksOutput::Server(own, ToServer::Answer { passage, signal }));
        }
    }

    /// No direct path to a peer that the server introduced, or none is looked for.
    pub(super) fn on_forward(&mut self, link: LinkId, ends: Option<IceEnds>, around: &Around<'_>) {
        if let Some((own, passage)) = self.table.link(link).and_then(|it| Some((it.own, it.passage?)))
            && around.is_registered
        {
            self.tell(LinksOutput::Server(own, ToServer::Forward { passage, ends }));
        }
    }

    /// Of two links that two ends opened at once both keep the one that the lower of them dialled. Tells whether `link` is over.
    pub(super) fn resolve_crossing(&mut self, link: LinkId, pair: Pair, around: &Around<'_>) -> bool {
        let Some(ours) = self.table.attempt_mut(link).and_then(|(attempt, _)| attempt.opens_by()) else { return false };
        let Some(used) = self.table.up_to(pair) else { return false };
        let opened = self.table.up(used).and_then(|up| up.opened);
        let crossing = opened.is_some_and(|(was_ours, at)| was_ours != ours && around.now.since(at) < CROSSING);
        if !crossing {
            return false;
        }
        if ours == (pair.own < pair.peer) {
            let last_packet = self.replace_used(pair, around);
            self.use_link(link, last_packet, around);
        } else {
            self.hang_up(link, around);
            self.table.remove(link);
        }
        true
    }
}
