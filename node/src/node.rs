//! The machine itself: what it is made of, who handles what, and what is due when.

mod addresses;
mod doors;
mod gossip;
mod hello;
mod linking;
pub mod liveness;
mod moving;
mod packets;
mod peer;
mod permissions;
mod rendezvous;
mod requests;
mod room;
mod spending;
mod standbys;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;

use bitters_wire::{
    announce::LeaderKind,
    codec,
    failure::{Code, Failure},
    id::{Boot, FrameId, LinkId, PersonaId},
    keys::NodeSecret,
    link::{Control, LinkMessage},
    local::{DownReason, LinkCommand, ToFrame, ToLeader},
    map::{Map, Set},
    rendezvous::ToServer,
    status::LeaderStatus,
    time::Instant,
    topic::TopicMessage,
};

use crate::{
    accounts::Accounts,
    addresses::Addresses,
    api::{Config, Input, Output, UplinkCommand},
    dials::Dials,
    frames::Frames,
    holds::Holds,
    links::Links,
    node::moving::Move,
    redials::Redials,
    seeds::{Seed, Seeds},
    sites::Sites,
    topics::{Place, Topics},
    uplink::Uplink,
    warnings::{Audience, Warnings},
};

/// One node's leader.
#[derive(Debug)]
pub struct Node {
    secret: NodeSecret,
    leader: LeaderStatus,
    sites: Sites,
    accounts: Accounts,
    frames: Frames,
    holds: Holds,
    /// When packets that are held back go on.
    holds_due: Option<Instant>,
    links: Links,
    topics: Topics,
    dials: Dials,
    addresses: Addresses,
    redials: Redials,
    uplink: Uplink,
    seeds: Seeds,
    warnings: Warnings,
    rng: fastrand::Rng,
    wall_clock: Option<(u64, Instant)>,
    /// Whether another build's worker is to lead, and how far that is.
    moving: Move,
    /// To how many peers each persona is linked, as its frames were told.
    peers_told: Map<PersonaId, u32>,
    /// Personas that have dialled the seeds which have an address, or need not.
    sown: Set<PersonaId>,
    changed: Changed,
    /// When we began to lead, and whether frames came that an earlier leader took in.
    began: Instant,
    succeeds: bool,
    /// When the last input came, and when the timer is to fire since.
    now: Instant,
    due: Option<Instant>,
    /// Topics whose peers some frame is to be told of once it settled.
    deferred: Set<(Instant, Place)>,
    outbox: VecDeque<Output>,
}

/// What an input changed, to be followed up once it is handled.
#[derive(Debug, Default)]
struct Changed {
    /// Whether addresses may be to be made, published or told.
    addresses: bool,
    /// Whether links may be wanted that weren't.
    plans: bool,
    /// Whether the list of sites may look different.
    sites: bool,
    /// Whether a status may look different.
    status: bool,
    /// Topics whose peers may be others.
    topics: Set<Place>,
}

impl Node {
    /// A node that leads from now on.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let Config { secret, epoch, boot, kind, build, observe, page_origin, .. } = config;
        let Config { seeds, sites, certificates, warnings, seed, .. } = config;
        let rng = fastrand::Rng::with_seed(seed);
        let mut node = Self {
            secret,
            leader: leader(epoch, boot, kind, build),
            sites: Sites::new(sites, observe, page_origin),
            accounts: Accounts::default(),
            frames: Frames::default(),
            holds: Holds::default(),
            holds_due: None,
            links: Links::new(epoch),
            topics: Topics::default(),
            dials: Dials::default(),
            addresses: Addresses::new(certificates),
            redials: Redials::default(),
            uplink: Uplink::new(now),
            seeds: Seeds::new(seeds),
            warnings: Warnings::default(),
            rng,
            wall_clock: None,
            moving: Move::default(),
            peers_told: Map::new(),
            sown: Set::new(),
            changed: Changed::default(),
            began: now,
            succeeds: false,
            now,
            due: None,
            deferred: Set::new(),
            outbox: VecDeque::new(),
        };
        for warning in warnings {
            node.warn(Audience::Everyone, &warning);
        }
        node.forget_surplus_seeds();
        node
    }

    /// Takes a fact in. Whatever it says, nothing panics and everything kept is bounded.
    pub fn handle_input(&mut self, input: Input, now: Instant) {
        self.now = now;
        match input {
            Input::Candidate { build } => self.on_candidate(&build),
            Input::Frame(frame, message) => self.on_frame(frame, message, now),
            Input::FrameGone(frame) => self.drop_frame(frame, now),
            Input::FrameUnseen(frame) => self.on_frame_unseen(frame, now),
            Input::LeaderUp(epoch, boot) => self.on_leader_up(epoch, boot),
            Input::ServiceReply { frame, request, reply } => self.on_service_reply(frame, request, reply),
            Input::Timeout => self.notice_sleep(now),
            Input::Uplink(event) => self.on_uplink(event, now),
            Input::Warning(text) => self.warn(Audience::Everyone, &text),
            Input::WallClock(ms) => self.on_wall_clock(ms, now),
        }
        self.on_time(now);
        self.follow_up(now);
        self.due = self.next_due(now);
    }

    /// The next act, until there is none.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is due, if at all.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn next_due(&self, now: Instant) -> Option<Instant> {
        let links = [self.links.deadline(), self.dials.deadline(), self.redials.next(), self.standbys_due(now)];
        let links =
            links.into_iter().chain([self.unneeded_due(), self.addresses.deadline(), self.seeds_due(), self.holds_due]);
        let topics = [self.topics.next(), self.topics.expires()].into_iter().flatten().min();
        let others = [self.frames_due(), topics, self.uplink_due(), self.view_due(), self.move_due()];
        links.chain(others).flatten().min()
    }

    fn on_frame(&mut self, frame: FrameId, message: ToLeader, now: Instant) {
        self.hear(frame, now);
        match message {
            ToLeader::Hello(hello) => self.on_hello(frame, &hello, now),
            _ if self.frames.frame(frame).is_none() => {}
            ToLeader::Address { request } => self.on_address(frame, request, now),
            ToLeader::Certified { owner, outcome } => self.on_certified(frame, owner, outcome),
            ToLeader::Dial { request, peer, address } => self.on_dial(frame, request, peer, address.as_ref(), now),
            ToLeader::Join { request, topic } => self.on_join(frame, request, topic, now),
            ToLeader::Frozen(frozen) => self.on_frozen(frame, frozen, now),
            ToLeader::Leaving { moves: false } => self.drop_frame(frame, now),
            ToLeader::Leaving { moves: true } => self.let_move(frame, now),
            ToLeader::Leave(topic) => self.leave_topic(frame, topic),
            ToLeader::Link(link, event) => self.on_link_event(frame, link, event, now),
            ToLeader::Moved => self.on_moved(frame),
            ToLeader::Online => self.on_network_change(now),
            ToLeader::Packet(packet) => self.on_frame_packet(frame, packet, now),
            ToLeader::Permit { origin, permission, answer } => {
                self.on_permit(frame, &origin, permission, answer, now);
            }
            ToLeader::Ping => self.tell(frame, ToFrame::Pong),
            ToLeader::Pong => {}
            ToLeader::Publish { request, topic, sealed } => self.on_publish(frame, request, topic, &sealed, now),
            ToLeader::Serve(tag) => self.on_serve(frame, tag),
            ToLeader::Service { request, name, method, args } => {
                self.on_service(frame, request, name, method, args, now);
            }
            ToLeader::ServiceCancel { request } => self.on_service_cancel(frame, request),
            ToLeader::Status => self.on_status(frame, now),
            ToLeader::Unserve(tag) => self.on_unserve(frame, tag),
            ToLeader::Visible(visible) => self.on_visible(frame, visible),
            ToLeader::Watch(watching) => self.on_watch(frame, watching, now),
        }
    }

    fn on_time(&mut self, now: Instant) {
        for link in self.links.overdue(now) {
            self.hang_up(link);
            self.end_link(link, DownReason::DialTimeout, now);
        }
        self.release_packets(now);
        for pair in self.dials.overdue(now) {
            let text = self.unreachable_text(pair);
            self.fail_dial(pair, Code::PeerUnreachable, text);
        }
        let missed = self.topics.end_lingering(now);
        self.changed.status |= !missed.is_empty();
        self.changed.topics.extend(missed);
        self.watch_frames(now);
        self.drive_standbys(now);
        self.offer_unneeded_links(now);
        while let Some((_, topic)) = self.deferred.first().filter(|(at, _)| *at <= now).copied() {
            self.deferred.pop_first();
            self.changed.topics.insert(topic);
        }
        self.drive_uplink(now);
        self.drive_addresses(now);
        self.dial_seeds(now);
        self.search_topics(now);
        if self.topics.expires().is_some_and(|at| at <= now) {
            self.topics.expire(now);
        }
        self.changed.plans |= self.redials.next().is_some_and(|at| at <= now);
    }

    fn follow_up(&mut self, now: Instant) {
        if std::mem::take(&mut self.changed.plans) {
            self.dial_wanted(now);
            self.dial_standbys(now);
        }
        self.keep_sites();
        self.tell_topic_peers(now);
        self.tell_peers();
        self.tell_statuses(now);
        self.tell_sites(now);
        self.move_on(now);
    }

    fn warn(&mut self, audience: Audience, text: &str) {
        self.changed.status |= self.warnings.add(audience, text);
    }

    fn act(&mut self, output: Output) {
        self.outbox.push_back(output);
    }

    fn tell(&mut self, id: FrameId, message: ToFrame) {
        // What has consequences in a frame that is there.
        if matches!(message, ToFrame::Link(..) | ToFrame::Packet(_))
            && let Some(frame) = self.frames.frame_mut(id).filter(|frame| !frame.frozen)
        {
            frame.presence.told(self.now);
        }
        self.act(Output::Frame(id, message));
    }

    fn asked(&mut self, frame: FrameId, request: u32, outcome: Result<(), Failure>) {
        self.tell(frame, ToFrame::Asked { request, outcome });
    }

    fn tell_server(&mut self, message: ToServer) {
        self.act(Output::Uplink(UplinkCommand::Send(message)));
    }

    fn tell_peer(&mut self, link: LinkId, message: Control) {
        self.send_on(link, codec::encode(&LinkMessage::Control(message)));
    }

    fn tell_topic(&mut self, link: LinkId, message: TopicMessage) {
        self.send_on(link, codec::encode(&LinkMessage::Topic(message)));
    }

    fn send_on(&mut self, link: LinkId, message: Vec<u8>) {
        if let Some(up) = self.links.up_mut(link) {
            up.lanes.sent(message.len());
        }
        self.command(link, LinkCommand::Send(message));
    }

    fn command(&mut self, link: LinkId, command: LinkCommand) {
        let holder = self.links.link(link).map(|it| it.frame);
        if let Some(frame) = holder.filter(|frame| self.frames.frame(*frame).is_some()) {
            self.tell(frame, ToFrame::Link(link, command));
        }
    }

    fn hang_up(&mut self, link: LinkId) {
        self.command(link, LinkCommand::HangUp);
    }

    fn save_seed(&mut self, seed: Seed) {
        self.changed.status = true;
        self.act(Output::SaveSeed(seed));
        self.forget_surplus_seeds();
    }

    fn forget_surplus_seeds(&mut self) {
        while let Some(id) = self.seeds.shrink() {
            self.act(Output::ForgetSeed(id));
        }
    }

    fn wall_clock(&self, now: Instant) -> Option<u64> {
        let (ms, told) = self.wall_clock?;
        let elapsed = u64::try_from(now.since(told).as_millis()).unwrap_or(u64::MAX);
        Some(ms.saturating_add(elapsed))
    }
}

const fn leader(epoch: bitters_wire::id::Epoch, boot: Boot, kind: LeaderKind, build: String) -> LeaderStatus {
    LeaderStatus { epoch, boot, kind, build }
}
