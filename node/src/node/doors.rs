//! Addresses are dialled: ours by strangers, and others' by us.

use std::{net::SocketAddr, time::Duration};

use bitters_wire::{
    address::{Address, Owner, Token, stun_of},
    id::{LinkId, PersonaId},
    limits::MAX_SIGNAL,
    local::{Dial, Door, LinkCommand, LinkEvent},
    rendezvous::ToServer,
    time::Instant,
};

use super::Node;
use crate::{links::Pair, quotas::MAX_PASSIVE};

/// Two ends that dial each other's address at the same time have both links within that time.
const CROSSING: Duration = Duration::from_secs(5);

impl Node {
    /// The server introduces somebody who dials one of our addresses.
    pub(super) fn on_dialled(&mut self, session: u64, token: Token, signal: Vec<u8>, now: Instant) {
        let Some((Owner::Persona(own), fingerprint)) = self.addresses.by_token(token) else { return };
        let is_full = self.links.passive() >= MAX_PASSIVE;
        if is_full || signal.len() > MAX_SIGNAL || !self.uplink.signals.take(now) || !self.has_room_for_link(own, now) {
            return;
        }
        let Some(frame) = self.keeper(own) else { return };
        let link = self.links.open(frame, own, session, now);
        let door = Door::Introduced { fingerprint };
        self.command(link, LinkCommand::Dial(Dial { own, peer: None, door, stun: self.addresses.stun() }));
        self.command(link, LinkCommand::Signal(signal));
    }

    /// A connection opens at an address of ours, or is over before it is known who dialled.
    pub(super) fn on_door_event(&mut self, link: LinkId, own: PersonaId, event: LinkEvent, now: Instant) {
        match event {
            LinkEvent::Down(reason) => self.end_link(link, reason, now),
            LinkEvent::Sign(text) => self.on_sign(link, own, None, text, now),
            LinkEvent::Signal(signal) if signal.len() <= MAX_SIGNAL => self.answer_dial(link, signal),
            LinkEvent::Up(peer) if peer == own => self.refuse_identity(link, now),
            LinkEvent::Up(peer) => {
                if let Some(pair) = self.links.identify(link, peer) {
                    self.on_up(link, pair, now);
                }
            }
            _ => {}
        }
    }

    fn answer_dial(&mut self, link: LinkId, signal: Vec<u8>) {
        if let Some(session) = self.links.link(link).and_then(|it| it.session) {
            self.tell_server(ToServer::Answer { session, signal });
        }
    }

    /// Of two links that two ends opened at once both keep the one that the lower of them dialled. Tells whether `link` is over.
    pub(super) fn resolve_crossing(&mut self, link: LinkId, pair: Pair, now: Instant) -> bool {
        let Some(ours) = self.links.attempt_mut(link).and_then(|(attempt, _)| attempt.opens_by()) else { return false };
        let Some(used) = self.links.up_to(pair) else { return false };
        let opened = self.links.up(used).and_then(|up| up.opened);
        let crossing = opened.is_some_and(|(was_ours, at)| was_ours != ours && now.since(at) < CROSSING);
        if !crossing {
            return false;
        }
        if ours == (pair.own < pair.peer) {
            let last_packet = self.replace_used(pair, now);
            self.use_link(link, last_packet, now);
        } else {
            self.hang_up(link);
            self.links.remove(link);
        }
        true
    }
}

/// Servers that go with an address.
pub(super) fn stun_at(address: &Address) -> Vec<SocketAddr> {
    address.proxies().iter().copied().map(stun_of).collect()
}

/// The way in at an address.
pub(super) fn door_to(address: &Address) -> Door {
    let (fingerprint, token, proxies) = (*address.fingerprint(), address.token(), address.proxies().to_vec());
    Door::Address { fingerprint, token, proxies }
}
