//! The links of a node: each between one of its personas and a peer, and held by a frame of that persona.
//!
//! [`Links`] is a machine inside the node's, which alone changes the [`Table`] of links: it dials, pairs two ends' attempts, has standbys,
//! hangs up what nobody needs, and tells what became of it. What it depends on and doesn't own it is shown with each input
//! ([`Around`]).
//!
//! A pair of personas has one link that is used, at most one *standby* in another frame, and at most one attempt beside them. Nothing is
//! said on a standby until one end's other link is over: then that end uses it, its first word is [`Switch`], and the other end
//! follows. A door (an address of ours that a stranger dials) is a link in the state [`Opening`](table::State::Opening).
//!
//! | module | idea |
//! | --- | --- |
//! | `attempt` | how two attempts at one link find each other |
//! | `control` | what linked peers say of links |
//! | `crossing` | addresses that are dialled, ours and others', also at once |
//! | `dialling` | how an attempt begins |
//! | `ending` | what follows when a link or an attempt is over |
//! | `lanes` | packets that wait for a link, site by site |
//! | `pairing` | signals, and the attempts that they belong to |
//! | `placement` | which frame carries a link |
//! | `reasons` | who may know our network addresses |
//! | `redials` | when a link that broke is dialled again |
//! | `room` | how many links a persona has |
//! | `sealing` | signals are signed and sealed, and heard once |
//! | `standbys` | the second link of a pair |
//! | `table` | the links |
//!
//! [`Switch`]: bitters_wire::link::Control::Switch

mod attempt;
mod control;
mod crossing;
mod dialling;
mod early;
mod ending;
mod knocks;
mod lanes;
mod pairing;
mod placement;
mod reasons;
mod redials;
mod room;
mod sealing;
mod standbys;
mod table;
mod tags;

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use bitters_machine::{
    map::{Map, Set},
    time::Instant,
};
use bitters_wire::{
    address::{Address, Fingerprint},
    codec,
    failure::Code,
    id::{Boot, Epoch, FrameId, LinkId, PersonaId, TopicId},
    keys::NodeSecret,
    link::{Control, LinkMessage},
    local::{DownReason, HeldLink, LinkCommand, LinkEvent},
    packet::Packet,
    rendezvous::ToServer,
    sealed::SealedSignal,
    topic::{Published, TopicMessage, Word},
};

use crate::{
    backlog::Lost,
    clock::Clock,
    deadline::{Deadline, earliest},
    dials::Dials,
    frames::Frames,
    links::{early::Early, knocks::Knocks, redials::Redials, sealing::Sealing},
    pair::Pair,
    sites::{acquaintances::Acquaintances, blocks::Blocks},
    topics::Topics,
    view::warnings::Audience,
};
pub use dialling::{BLOCKED, Begun};
pub use ending::SESSION_PATIENCE;
pub use table::{Link, Table, Up, Way};

/// A link is probed again at the earliest after that time.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Sessions that begin to speak again after that time have their standby looked after.
const STANDBY_LOOK: Duration = Duration::from_secs(1);

/// What a peer did wrong.
pub type Offence = &'static str;

/// What links depend on and don't own, at the moment of an input.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The frames, which carry links, and the personas' secrets.
    pub frames: &'a Frames,
    /// The topics that links are needed for, and whom they name.
    pub topics: &'a Topics,
    /// What sites wait for.
    pub dials: &'a Dials,
    /// Peers that sites accepted.
    pub acquaintances: &'a Acquaintances,
    /// Peers that the person blocked.
    pub blocks: &'a Blocks,
    /// Whether the person lets no peer know our network addresses.
    pub hides: bool,
    /// Proxies of our server: they tell ends how they look from outside, too.
    pub proxies: &'a [SocketAddr],
    /// Whether the rendezvous has our keys.
    pub is_registered: bool,
    /// What time it is, for each persona.
    pub clock: &'a Clock,
    /// The moment.
    pub now: Instant,
}

/// A fact about links.
#[derive(Clone, Debug, PartialEq)]
pub enum LinksInput {
    /// A frame's links are over, as it is gone or carries none for now.
    Ended(FrameId, DownReason),
    /// A link reports, to the node from the frame that holds it.
    Event(FrameId, LinkId, LinkEvent),
    /// A frame says which links it holds.
    Held {
        /// The frame.
        frame: FrameId,
        /// Its links that are up or stand by.
        links: Vec<HeldLink>,
        /// Whether its sessions talk with anybody.
        talks: bool,
    },
    /// The server introduces somebody who dials an address of ours.
    Introduced {
        /// Whose address.
        own: PersonaId,
        /// Its certificate.
        fingerprint: Fingerprint,
        /// The server's number for it.
        passage: u64,
        /// What the dialler's end is like.
        signal: Vec<u8>,
    },
    /// The network changed: what was a way may be none now, and what was none a way.
    NetworkChanged,
    /// The last frame of a persona is gone.
    PersonaGone(PersonaId),
    /// Frames, topics or peers changed: what is wanted now is dialled.
    Plan,
    /// The rendezvous took our keys, or there is another way again: what waits is dialled now.
    Hurry,
    /// The server says that a peer is there.
    Seen(Pair),
    /// A signal arrived for us.
    Signal(Pair, SealedSignal, Way),
    /// The machine slept: links may be dead.
    Slept,
    /// Time has passed.
    Timeout,
    /// The rendezvous has no way to a peer that it was to pass a signal to.
    Unreachable(Pair),
}

/// An act that links ask for, or what became of them.
#[derive(Clone, Debug, PartialEq)]
pub enum LinksOutput {
    /// A link of the leader before us is used by us now.
    Adopted(LinkId, Pair),
    /// A frame is told what to do with a link.
    Command(FrameId, LinkId, LinkCommand),
    /// Who waits for the peer waits in vain.
    DialFailed {
        /// Between whom.
        pair: Pair,
        /// The code for sites.
        code: Code,
        /// The reason for sites.
        text: String,
    },
    /// An attempt at an address failed.
    AddressFailed(PersonaId),
    /// A peer that sites wait for is dialled now.
    Dials(Pair),
    /// A peer that sites wait for was dialled at its door in vain: it may have another by now.
    DoorFailed(Pair),
    /// A link that was used is over, and the peer can't be heard for now in the topics that it is in.
    Down {
        /// Between whom.
        pair: Pair,
        /// Topics that the peer is in.
        joined: Set<TopicId>,
    },
    /// Packets of sessions in one signal, from a peer to whom there may be no link.
    Early(Pair, Vec<Packet>),
    /// Those who named the peer don't lead there.
    ForgetWays(Pair),
    /// A frame of the peer's is gone.
    FrameGone(Pair, FrameId),
    /// A peer is given up until somebody names it again.
    GivenUp(Pair),
    /// A peer hung up: all sessions with it are over.
    HungUp(Pair),
    /// A peer is in a topic of ours, and wasn't, as far as we know.
    Joined {
        /// The link.
        link: LinkId,
        /// Between whom.
        pair: Pair,
        /// Which topic.
        topic: TopicId,
    },
    /// A peer wants to know where our door is, and asked in this way.
    Knocked(Pair, Way),
    /// A peer left a topic.
    Left {
        /// Between whom.
        pair: Pair,
        /// Which topic.
        topic: TopicId,
    },
    /// Packets were lost here.
    Lost(Lost),
    /// A peer names members of a topic.
    Members {
        /// Between whom.
        pair: Pair,
        /// Which topic.
        topic: TopicId,
        /// At most as many as a persona has neighbours there.
        members: Vec<PersonaId>,
    },
    /// A peer has no need of the link, nor have we: it is in no other topics than these.
    Needless {
        /// Between whom.
        pair: Pair,
        /// Topics that the peer is in.
        joined: Set<TopicId>,
    },
    /// What is planned may be other links by now.
    Plans,
    /// A session's packet came.
    Packet(LinkId, Packet),
    /// A topic's message came.
    Publish {
        /// The link, if there is one already.
        link: Option<LinkId>,
        /// Between whom.
        pair: Pair,
        /// Which topic.
        topic: TopicId,
        /// What somebody said.
        published: Published,
        /// Whether the link brings more than it may: then only who says little is heard.
        beyond: bool,
    },
    /// A peer was reached at its address, so long after the dial began.
    Reached(PersonaId, Duration),
    /// The peer has a new leader, and tells its topics anew.
    Resumed {
        /// The link.
        link: LinkId,
        /// Between whom.
        pair: Pair,
        /// Topics that it was in.
        joined: Set<TopicId>,
    },
    /// The server is told something for a persona.
    Server(PersonaId, ToServer),
    /// A status may look different.
    Status,
    /// A link is used from now on.
    Up(LinkId, Pair),
    /// Somebody is to know this.
    Warning(Audience, String),
    /// A peer passes on what members of a topic said of themselves.
    Words {
        /// The link.
        link: LinkId,
        /// Between whom.
        pair: Pair,
        /// Which topic.
        topic: TopicId,
        /// At most as many as one message may have.
        words: Vec<Word>,
    },
}

/// All links of a node.
#[derive(Debug)]
pub struct Links {
    secret: NodeSecret,
    table: Table,
    redials: Redials,
    /// Links of peers that were told that our site hung up: in which frame, and until when they are to hang up.
    leaving: Map<LinkId, (FrameId, Instant)>,
    sealing: Sealing,
    knocks: Knocks,
    early: Early,
    /// Personas whose pages' browser could not connect, and until when that is believed.
    unable: Map<PersonaId, Instant>,
    rng: fastrand::Rng,
    outbox: VecDeque<LinksOutput>,
}

impl Links {
    /// None yet.
    pub fn new(secret: NodeSecret, epoch: Epoch, boot: Boot, rng: fastrand::Rng) -> Self {
        let sealing = Sealing::new(secret.signal_seed(boot));
        let (table, redials) = (Table::new(epoch), Redials::new());
        let (leaving, knocks, early, unable) = (Map::new(), Knocks::new(), Early::new(), Map::new());
        Self { secret, table, redials, leaving, sealing, knocks, early, unable, rng, outbox: VecDeque::new() }
    }

    /// As if the ends of a link had signed this.
    #[cfg(test)]
    pub fn bind(&mut self, link: LinkId, bond: bitters_wire::local::Bond) {
        self.table.set_bond(link, bond);
    }

    /// The links, to look at.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Whether a link to the peer is being made, or made again.
    pub fn is_coming(&self, pair: Pair, now: Instant) -> bool {
        self.table.connecting_to(pair).is_some() || self.redials.is_wanted(pair, now)
    }

    /// Takes a fact in.
    pub fn handle_input(&mut self, input: LinksInput, around: &Around<'_>) {
        match input {
            LinksInput::Ended(frame, reason) => self.end_all_of(frame, reason, around),
            LinksInput::Event(frame, link, event) => self.on_event(frame, link, event, around),
            LinksInput::Held { frame, links, talks } => self.on_held(frame, &links, talks, around),
            LinksInput::Hurry => self.redials.hurry(around.now),
            LinksInput::Introduced { own, fingerprint, passage, signal } => {
                self.on_introduced(own, fingerprint, passage, signal, around);
            }
            LinksInput::NetworkChanged => self.doubt(&LinkCommand::Restart, around),
            LinksInput::PersonaGone(own) => {
                self.unable.remove(&own);
                self.knocks.leave(own);
                self.early.leave(own);
                self.redials.leave(own);
            }
            LinksInput::Plan => self.plan(around),
            LinksInput::Seen(pair) => self.seek_again(pair, around),
            LinksInput::Signal(pair, signal, way) => self.on_sealed(pair, &signal, way, around),
            LinksInput::Slept => self.doubt(&LinkCommand::Probe, around),
            LinksInput::Timeout => self.on_time(around),
            LinksInput::Unreachable(pair) => self.on_unreachable(pair, around),
        }
    }

    /// The next act or news, until there is none.
    pub fn poll_output(&mut self) -> Option<LinksOutput> {
        self.outbox.pop_front()
    }

    /// When [`LinksInput::Timeout`] is due, if at all, and what for.
    pub fn poll_timeout(&self, around: &Around<'_>) -> Option<Deadline> {
        earliest([
            (self.table.deadline(), "a link takes too long to come up"),
            (self.redials.next(), "a peer is dialled again"),
            (self.unanswered().map(|(_, at)| at).min(), "a signal is sent again"),
            (self.standbys_due(around), "a standby is dialled, used or hung up"),
            (self.leaving_due(), "a peer that was told so doesn't hang up"),
            (self.unneeded_due(around), "a link that nobody needs is offered to be hung up"),
        ])
    }

    fn on_time(&mut self, around: &Around<'_>) {
        for link in self.table.overdue(around.now) {
            self.hang_up(link, around);
            self.end(link, DownReason::DialTimeout, around);
        }
        self.drive_signals(around);
        self.drive_standbys(around);
        self.leave_at_last(around.now);
        self.offer_unneeded(around);
        if self.redials.next().is_some_and(|at| at <= around.now) {
            self.tell(LinksOutput::Plans);
        }
    }

    fn on_event(&mut self, frame: FrameId, link: LinkId, event: LinkEvent, around: &Around<'_>) {
        let Some(held) = self.table.link(link).filter(|it| it.frame == frame) else {
            // We gave up on this link while the frame's report was on its way. The peer of one that we leave hangs up itself.
            if matches!(event, LinkEvent::Down(_)) {
                self.leaving.remove(&link);
            } else if !self.leaving.contains_key(&link) {
                self.tell(LinksOutput::Command(frame, link, LinkCommand::HangUp));
            }
            return;
        };
        let Some(pair) = held.pair() else { return self.on_door_event(link, held.own, event, around) };
        match event {
            LinkEvent::Down(reason) => self.end(link, reason, around),
            LinkEvent::Drained(bytes) => self.on_drained(link, bytes, around),
            LinkEvent::Forward(ends) => self.on_forward(link, ends, around),
            LinkEvent::Path(path) => {
                if self.table.set_path(link, path) {
                    self.tell(LinksOutput::Plans);
                    self.tell(LinksOutput::Status);
                }
                if self.table.shows(link) {
                    self.on_shown(link, pair, around);
                }
            }
            LinkEvent::Received(bytes) => self.on_received(link, pair, &bytes, around),
            LinkEvent::RoundTrip(us) => self.on_round_trip(link, us),
            LinkEvent::Sign { text, proof } => self.on_sign(link, pair.own, Some(pair.peer), (text, proof), around),
            LinkEvent::Signal(blob) => self.on_local_signal(link, blob, around),
            LinkEvent::Up(peer) if peer == pair.peer => self.on_up(link, pair, around),
            LinkEvent::Up(_) => self.refuse_identity(link, around),
        }
    }

    fn on_round_trip(&mut self, link: LinkId, us: u32) {
        if let Some(up) = self.table.up_mut(link)
            && up.rtt_us.replace(us) != Some(us)
        {
            self.tell(LinksOutput::Status);
        }
    }

    /// Sends a topic's message to a peer.
    pub fn say(&mut self, link: LinkId, message: TopicMessage, around: &Around<'_>) {
        self.send(link, codec::encode(&LinkMessage::Topic(message)), around);
    }

    /// Sends a packet to a peer, before those that wait.
    pub fn pass(&mut self, link: LinkId, packet: Packet, around: &Around<'_>) {
        self.use_for_sessions(link, around.now);
        self.send(link, codec::encode(&LinkMessage::Packet(packet)), around);
    }

    /// Has the packet of a site's frame wait for its turn.
    pub fn queue(&mut self, link: LinkId, id: FrameId, packet: Packet, around: &Around<'_>) {
        self.use_for_sessions(link, around.now);
        let to = packet.to;
        let message = codec::encode(&LinkMessage::Packet(packet));
        if let (Some(frame), Some(up)) = (around.frames.frame(id), self.table.up_mut(link)) {
            up.lanes.wait(&frame.origin, id, to, message);
        }
        self.drive_lanes(link, around);
    }

    /// Has what an author says in a topic wait for its turn.
    pub fn publish(
        &mut self,
        link: LinkId,
        (topic, author): (TopicId, PersonaId),
        message: Vec<u8>,
        around: &Around<'_>,
    ) {
        if let Some(up) = self.table.up_mut(link) {
            up.lanes.wait_in_topic(topic, author, message);
        }
        self.drive_lanes(link, around);
    }

    /// Says again to a peer what was said in a topic lately, in order: the latest of it, if all is too much.
    pub fn replay(
        &mut self,
        link: LinkId,
        topic: TopicId,
        mut recent: Vec<(PersonaId, Published)>,
        around: &Around<'_>,
    ) {
        let last = recent.iter().rev();
        let goes = last.take_while(|(_, published)| self.affords_replay(link, published.len(), around.now)).count();
        for (from, published) in recent.split_off(recent.len() - goes) {
            let message = TopicMessage::Publish { topic, published };
            self.publish(link, (topic, from), codec::encode(&LinkMessage::Topic(message)), around);
        }
    }

    /// Whether so many bytes may be said again to a peer that comes.
    pub fn affords_replay(&mut self, link: LinkId, bytes: usize, now: Instant) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.table.up_mut(link).is_some_and(|up| up.budget.replays.take_many(bytes, now))
    }

    /// Sends the bytes of a message to a peer.
    pub fn send(&mut self, link: LinkId, message: Vec<u8>, around: &Around<'_>) {
        if let Some(up) = self.table.up_mut(link) {
            up.lanes.sent(message.len());
        }
        self.command(link, LinkCommand::Send(message), around);
    }

    fn say_of_links(&mut self, link: LinkId, message: Control, around: &Around<'_>) {
        self.send(link, codec::encode(&LinkMessage::Control(message)), around);
    }

    /// Tells a peer where our persona can be dialled when no link to it is left.
    pub fn tell_address(&mut self, link: LinkId, address: Address, around: &Around<'_>) {
        self.say_of_links(link, Control::Address(address), around);
    }

    /// Tells a peer that a frame of ours is gone.
    pub fn tell_death(&mut self, link: LinkId, frame: FrameId, around: &Around<'_>) {
        self.say_of_links(link, Control::FrameGone(frame), around);
    }

    /// So much has gone into the link.
    fn on_drained(&mut self, link: LinkId, bytes: u32, around: &Around<'_>) {
        if let Some(up) = self.table.up_mut(link) {
            up.lanes.drained(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        self.drive_lanes(link, around);
    }

    fn drive_lanes(&mut self, link: LinkId, around: &Around<'_>) {
        while let Some((message, lost)) = self.table.up_mut(link).and_then(|up| up.lanes.next()) {
            self.send(link, message, around);
            if !lost.is_empty() {
                self.tell(LinksOutput::Lost(lost));
            }
        }
    }

    /// Sessions use a link: now and then it is seen whether there is a standby for them.
    pub fn use_for_sessions(&mut self, link: LinkId, now: Instant) {
        let Some(up) = self.table.up_mut(link) else { return };
        let looks = up.last_packet.is_none_or(|at| now.since(at) > STANDBY_LOOK);
        up.last_packet = Some(now);
        if looks {
            self.tell(LinksOutput::Plans);
        }
    }

    /// Links may be dead, and what could not be had may be there now.
    fn doubt(&mut self, command: &LinkCommand, around: &Around<'_>) {
        let now = around.now;
        let is_due = |probed: Option<Instant>| probed.is_none_or(|at| now.since(at) >= PROBE_EVERY);
        let used: Vec<LinkId> =
            self.table.ups().filter(|(_, _, _, up)| is_due(up.probed)).map(|(id, _, _, _)| id).collect();
        let standbys: Vec<LinkId> = self.table.standbys().map(|(id, _)| id).collect();
        for link in used.into_iter().chain(standbys) {
            if let Some(up) = self.table.up_mut(link) {
                up.probed = Some(now);
            }
            self.command(link, command.clone(), around);
        }
        self.redials.hurry(now);
        self.tell(LinksOutput::Plans);
    }

    /// Whether sessions wait for any link.
    pub fn is_any_wanted(&self, now: Instant) -> bool {
        self.redials.is_any_wanted(now)
    }

    /// How the peer knows a link's attempt: a number that tells nothing of others, and that the next leader knows, too.
    fn number_of(&self, link: LinkId, pair: Pair) -> u32 {
        self.secret.attempt_number(link, pair.own, pair.peer)
    }

    fn command(&mut self, link: LinkId, command: LinkCommand, around: &Around<'_>) {
        let holder = self.table.link(link).map(|it| it.frame);
        if let Some(frame) = holder.filter(|frame| around.frames.frame(*frame).is_some()) {
            self.tell(LinksOutput::Command(frame, link, command));
        }
    }

    fn hang_up(&mut self, link: LinkId, around: &Around<'_>) {
        self.command(link, LinkCommand::HangUp, around);
    }

    fn tell(&mut self, output: LinksOutput) {
        self.outbox.push_back(output);
    }
}
