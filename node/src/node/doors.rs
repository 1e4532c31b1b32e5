//! Addresses are dialled, ours by strangers and others' by us.

use std::{net::SocketAddr, time::Duration};

use bitters_wire::{
    address::{Address, Owner, Token, stun_of},
    id::{FrameId, LinkId, NodeId, PersonaId},
    limits::MAX_SIGNAL,
    local::{Dial, Door, DownReason, IdentityText, LinkCommand, LinkEvent, ToFrame},
    rendezvous::ToServer,
    time::Instant,
};

use super::{
    Node,
    linking::{is_frames_fault, why},
};
use crate::{
    dials::Stage,
    doors::{At, Opening},
    links::{Attempt, Way},
    quotas::{MAX_LINKS, MAX_PASSIVE},
    seeds::SeedId,
};

/// Two ends that dial each other's address at the same time have both links within that time.
const CROSSING: Duration = Duration::from_secs(5);

impl Node {
    /// Dials a persona's address. The text says why it can't be; sites may read it.
    pub(super) fn dial_address(&mut self, address: &Address, now: Instant) -> Result<LinkId, &'static str> {
        if self.is_expired(address, now) {
            return Err("the address has expired");
        }
        let dial = Dial { peer: None, door: door_to(address), stun: stun_at(address) };
        let at = At::Theirs(Box::new(address.clone()));
        self.open_door(at, dial, now).ok_or("no page is open to carry a connection, or it has all that it takes")
    }

    fn open_door(&mut self, at: At, dial: Dial, now: Instant) -> Option<LinkId> {
        if self.links.len() + self.doors.len() >= MAX_LINKS && !self.make_room(now) {
            return None;
        }
        let frame = if matches!(at, At::Ours { .. }) { self.keeper() } else { self.frame_for(None) }?;
        let link = self.links.name();
        self.doors.insert(link, Opening { frame, started: now, at });
        self.tell(frame, ToFrame::Link(link, LinkCommand::Dial(dial)));
        Some(link)
    }

    /// The server introduces somebody who dials one of our addresses.
    pub(super) fn on_dialled(&mut self, session: u64, token: Token, signal: Vec<u8>, now: Instant) {
        let Some((owner, fingerprint)) = self.addresses.by_token(token) else { return };
        let passive = self.links.attempts().filter(|(_, _, attempt)| !attempt.dialled).count();
        let is_full = passive + self.doors.introduced() >= MAX_PASSIVE;
        if is_full || signal.len() > MAX_SIGNAL || !self.uplink.signals.take(now) {
            return;
        }
        let dial = Dial { peer: None, door: Door::Introduced { fingerprint }, stun: self.addresses.stun() };
        if let Some(link) = self.open_door(At::Ours { owner, session }, dial, now) {
            self.tell_door(link, LinkCommand::Signal(signal));
        }
    }

    /// A connection opens, or is over before it is a link.
    pub(super) fn on_door_event(&mut self, frame: FrameId, link: LinkId, event: LinkEvent, now: Instant) {
        let Some(opening) = self.doors.get(link).filter(|it| it.frame == frame).cloned() else { return };
        match (event, &opening.at) {
            (LinkEvent::Down(reason), _) => self.close_door(link, reason, now),
            (LinkEvent::Sign(text), _) => self.on_door_sign(link, text, now),
            (LinkEvent::Signal(signal), At::Ours { session, .. }) if signal.len() <= MAX_SIGNAL => {
                self.tell_server(ToServer::Answer { session: *session, signal });
            }
            (LinkEvent::Up(node), _) => self.on_door_open(link, &opening, node, now),
            _ => {}
        }
    }

    /// Who the other end is, its frame is to find out; it can have nothing signed but that a link of ours ends here.
    fn on_door_sign(&mut self, link: LinkId, text: IdentityText, now: Instant) {
        if text.signer() != self.id || text.other() == self.id {
            self.tell_door(link, LinkCommand::HangUp);
            return self.close_door(link, DownReason::Identity, now);
        }
        let signature = self.secret.sign(&text.to_bytes());
        self.tell_door(link, LinkCommand::Signed(signature));
    }

    fn on_door_open(&mut self, link: LinkId, opening: &Opening, node: NodeId, now: Instant) {
        let Opening { frame, started, at } = opening;
        self.doors.remove(link);
        let session = if let At::Ours { session, .. } = at { Some(*session) } else { None };
        let attempt = Attempt { dialled: session.is_none(), ..Attempt::new(Way::Address, None, *started) };
        self.links.identify(link, *frame, node, attempt, session);
        if node == self.id {
            return self.refuse_identity(link, now);
        }
        self.on_up(link, node, now);
        match at {
            At::Ours { owner: Owner::Persona(persona), .. } => {
                if let Some(standby) = self.links.standby_mut(link) {
                    standby.claims = Some(*persona);
                }
                if let Some(used) = self.links.up_to(node) {
                    self.claim_on(used, *persona);
                }
            }
            At::Theirs(address) => {
                if let Owner::Persona(persona) = address.owner() {
                    self.after_dialling(link, persona, node, *started, now);
                }
            }
            At::Ours { .. } => {}
        }
    }

    /// We came to the node that answers for a persona. That it lives there the node has yet to say.
    fn after_dialling(&mut self, link: LinkId, persona: PersonaId, node: NodeId, started: Instant, now: Instant) {
        let id = SeedId::Persona(persona);
        if self.seeds.contains(&id) {
            let latency_ms = u32::try_from(now.since(started).as_millis()).unwrap_or(u32::MAX);
            let seed = self.seeds.succeeded(id, latency_ms, self.wall_clock(now));
            self.save_seed(seed);
        }
        if self.is_reachable(persona) {
            self.finish_dial(persona);
        } else if self.links.link(link).is_none()
            && let Some(kept) = self.links.up_to(node)
            && self.dials.stage(persona) == Some(Stage::Address(link))
        {
            self.dials.advance(persona, Stage::Address(kept));
        }
    }

    /// Of two links that two ends opened at once both keep the one that the lower of them dialled. Tells whether `link` is over.
    pub(super) fn resolve_crossing(&mut self, link: LinkId, peer: NodeId, now: Instant) -> bool {
        let Some(ours) = self.links.attempt_mut(link).and_then(|(attempt, _)| attempt.opens_by()) else { return false };
        let Some(used) = self.links.up_to(peer) else { return false };
        let opened = self.links.up(used).and_then(|up| up.opened);
        let crossing = opened.is_some_and(|(was_ours, at)| was_ours != ours && now.since(at) < CROSSING);
        if !crossing {
            return false;
        }
        if ours == (self.id < peer) {
            let last_packet = self.replace_used(peer, now);
            self.use_link(link, last_packet, now);
        } else {
            self.hang_up(link);
            self.links.remove(link);
        }
        true
    }

    /// Of two addresses of one node that we dialled at once we chose the link that came up first. The other end may have seen them in the
    /// other order, and speaks on the other one until it hears us on ours: were that followed, each end would hang up the other's.
    pub(super) fn chosen(&self, standby: LinkId, peer: NodeId, now: Instant) -> Option<LinkId> {
        let used = self.links.up_to(peer)?;
        // Once it spoke on ours it had chosen that, too: what it says elsewhere since is meant.
        let up = self.links.up(used).filter(|up| !up.heard)?;
        let at = up.opened.and_then(|(ours, at)| ours.then_some(at))?;
        let both = self.links.standby(standby)?.opened == Some(true) && now.since(at) < CROSSING;
        both.then_some(used)
    }

    /// One that opened is over.
    fn close_door(&mut self, link: LinkId, reason: DownReason, now: Instant) {
        let Some(Opening { at, .. }) = self.doors.remove(link) else { return };
        self.changed.plans = true;
        let At::Theirs(address) = at else { return };
        if is_frames_fault(reason)
            && let Ok(next) = self.dial_address(&address, now)
        {
            for persona in self.dials.at(Stage::Address(link)) {
                self.dials.advance(persona, Stage::Address(next));
            }
            return;
        }
        self.fail_address_dials(link, reason);
        if let Some(seed) = self.seeds.failed(&address.owner().into()) {
            self.save_seed(seed);
        }
    }

    /// Those who waited for a persona at the end of a link wait in vain.
    pub(super) fn fail_address_dials(&mut self, link: LinkId, reason: DownReason) {
        for persona in self.dials.at(Stage::Address(link)) {
            let text = match reason {
                DownReason::DialTimeout => "nobody answered at its address within 15 s",
                other => why(other),
            };
            self.fail_dial(persona, format!("{persona}: {text}"));
        }
    }

    /// Gives up what takes too long.
    pub(super) fn drive_doors(&mut self, now: Instant) {
        for link in self.doors.overdue(now) {
            self.tell_door(link, LinkCommand::HangUp);
            self.close_door(link, DownReason::DialTimeout, now);
        }
    }

    /// A frame carries nothing any longer.
    pub(super) fn close_doors_of(&mut self, frame: FrameId, reason: DownReason, now: Instant) {
        for link in self.doors.held_by(frame) {
            self.tell_door(link, LinkCommand::HangUp);
            self.close_door(link, reason, now);
        }
    }

    fn tell_door(&mut self, link: LinkId, command: LinkCommand) {
        if let Some(frame) = self.doors.get(link).map(|it| it.frame)
            && self.frames.frame(frame).is_some()
        {
            self.tell(frame, ToFrame::Link(link, command));
        }
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
