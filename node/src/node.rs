//! The machine itself: what it is made of, who handles what, and what is due when.

mod addresses;
mod blocks;

mod gossip;
mod handover;
mod hello;
mod linked;
mod liveness;
mod packets;
mod permissions;
mod reign;
mod rendezvous;
mod requests;
mod spending;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::{collections::VecDeque, time::Duration};

use bitters_machine::{Machine, map::Set, time::Instant};
use bitters_wire::{
    failure::{Code, Failure},
    id::{FrameId, LinkId, PersonaId},
    local::{ToFrame, ToLeader},
    rendezvous::ToServer,
    topic::TopicMessage,
};

use self::reign::Reign;
use crate::{
    api::{Config, Input, Output, UplinkCommand},
    clock::Clock,
    deadline::{Deadline, earliest},
    dials::Dials,
    frames::{Frame, Frames},
    links::{Links, LinksInput},
    server::{
        addresses::Addresses,
        saying::What,
        seeds::{Seed, SeedId, Seeds},
        uplink::Uplink,
    },
    sites::{Sites, acquaintances::Acquaintances, blocks::Blocks, traffic::Traffic},
    topics::{Place, Topics},
    view::{View, warnings::Audience},
};

/// One node's leader.
#[derive(Debug)]
pub struct Node {
    reign: Reign,
    clock: Clock,
    sites: Sites,
    acquaintances: Acquaintances,
    blocks: Blocks,
    traffic: Traffic,
    frames: Frames,
    links: Links,
    topics: Topics,
    dials: Dials,
    addresses: Addresses,
    uplink: Uplink,
    seeds: Seeds,
    view: View,
    rng: fastrand::Rng,
    changed: Changed,
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

/// Something that is due at times.
struct Part {
    /// What is due, for people.
    what: &'static str,
    /// When, if at all.
    due: fn(&Node) -> Option<Instant>,
    /// Does what is due by now. It is called after every input, which may have changed what is.
    drive: fn(&mut Node),
}

/// All that is due at times, in the order in which it is done. Links, which come first, tell themselves what is due.
const PARTS: [Part; 13] = [
    Part { what: "packets that were held back go on", due: |it| it.traffic.due(), drive: Node::release_packets },
    Part { what: "a peer is looked up again", due: |it| it.dials.again(), drive: Node::look_again },
    Part { what: "a dial has waited for too long", due: |it| it.dials.deadline(), drive: Node::end_dials },
    Part { what: "a frame is asked, or judged", due: Node::frames_due, drive: Node::watch_frames },
    Part { what: "a clock is put", due: |it| it.clock.neighbours.due(), drive: Node::put_clocks },
    Part { what: "a topic asks for peers, or misses one", due: |it| it.topics.next(), drive: Node::drive_topics },
    Part { what: "what was said is forgotten", due: |it| it.topics.expires(), drive: Node::expire_topics },
    Part { what: "a member says that it is there, or is missed", due: Node::next_word, drive: Node::drive_words },
    Part { what: "the rendezvous is turned to, asked or left", due: Node::uplink_due, drive: Node::drive_uplink },
    Part {
        what: "an address is made, or waits in vain",
        due: |it| it.addresses.deadline(),
        drive: Node::drive_addresses,
    },
    Part { what: "seeds that have an address are dialled", due: Node::seeds_due, drive: Node::dial_seeds },
    Part { what: "a frame is told what changed", due: Node::view_due, drive: Node::follow_up },
    Part { what: "the leader hands over", due: Node::handover_due, drive: Node::hand_over },
];

impl Node {
    /// A node that leads from now on.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let Config { secret, epoch, boot, kind, build, observe, page_origin, .. } = config;
        let Config { seeds, sites, certificates, warnings, seed, .. } = config;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut node = Self {
            reign: Reign::new(epoch, boot, kind, build, now),
            clock: Clock::new(now),
            links: Links::new(secret.clone(), epoch, boot, rng.fork()),
            sites: Sites::new(secret, sites, observe, page_origin),
            acquaintances: Acquaintances::default(),
            blocks: Blocks::default(),
            traffic: Traffic::default(),
            frames: Frames::default(),
            topics: Topics::default(),
            dials: Dials::default(),
            addresses: Addresses::new(certificates),
            uplink: Uplink::new(),
            seeds: Seeds::new(seeds),
            view: View::default(),
            rng,
            changed: Changed::default(),
            outbox: VecDeque::new(),
        };
        for warning in warnings {
            node.warn(Audience::Everyone, &warning);
        }
        node.forget_surplus_seeds();
        node
    }
}

impl Machine for Node {
    type Input = Input;
    type Output = Output;

    /// Takes a fact in. Whatever it says, nothing panics and everything kept is bounded.
    fn handle_input(&mut self, input: Input, now: Instant) {
        self.clock.now = now;
        match input {
            Input::Candidate { build } => self.on_candidate(&build),
            Input::Frame(frame, message) => self.on_frame(frame, message, now),
            Input::FrameGone(frame) => self.drop_frame(frame),
            Input::FrameUnseen(frame) => self.on_frame_unseen(frame, now),
            Input::LeaderUp(epoch, boot) => self.on_leader_up(epoch, boot),
            Input::ServiceReply { frame, request, reply } => self.on_service_reply(frame, request, reply),
            Input::Timeout => self.notice_sleep(),
            Input::Uplink(event) => self.on_uplink(event, now),
            Input::Warning(text) => self.warn(Audience::Everyone, &text),
            Input::WallClock(ms) => self.on_wall_clock(ms),
        }
        self.link(LinksInput::Timeout);
        for part in &PARTS {
            (part.drive)(self);
        }
        self.clock.due = self.next_due();
    }

    /// The next act, until there is none.
    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::Timeout`] is due, if at all.
    fn poll_timeout(&self) -> Option<Instant> {
        self.clock.due.map(|(at, _)| at)
    }
}

impl Node {
    /// When what is due next.
    fn next_due(&self) -> Option<Deadline> {
        let parts = earliest(PARTS.iter().map(|part| ((part.due)(self), part.what)));
        self.of_links(|links, around| links.poll_timeout(around)).into_iter().chain(parts).min()
    }

    fn on_frame(&mut self, frame: FrameId, message: ToLeader, now: Instant) {
        self.hear(frame, now);
        match message {
            ToLeader::Hello(hello) => self.on_hello(frame, &hello, now),
            _ if self.frames.frame(frame).is_none() => {}
            ToLeader::Accepted { peer, ago_ms } => self.on_accepted(frame, peer, ago_ms),
            ToLeader::Address { request } => self.on_address(frame, request, now),
            ToLeader::Certified { owner, outcome } => self.on_certified(frame, owner, outcome),
            ToLeader::Dial { request, peer, address } => self.on_dial(frame, request, peer, address.as_ref(), now),
            ToLeader::HangUp { request, peer } => self.on_hang_up(frame, request, peer, now),
            ToLeader::Block { origin, peer, blocked } => self.on_block(frame, &origin, (peer, blocked), now),
            ToLeader::Hide(hides) => self.on_hide(frame, hides, now),
            ToLeader::Join { request, topic, matching } => self.on_join(frame, request, (topic, matching), now),
            ToLeader::Frozen(frozen) => self.on_frozen(frame, frozen),
            ToLeader::Leaving { moves: false } => self.drop_frame(frame),
            ToLeader::Leaving { moves: true } => self.let_move(frame),
            ToLeader::Leave(topic) => self.leave_topic(frame, topic),
            ToLeader::Link(link, event) => self.link(LinksInput::Event(frame, link, event)),
            ToLeader::LastWord => self.on_last_word(frame),
            ToLeader::Online => self.on_network_change(),
            ToLeader::Packet(packet) => self.on_frame_packet(frame, packet, now),
            ToLeader::Permit { origin, permission, answer } => {
                self.on_permit(frame, &origin, permission, answer, now);
            }
            ToLeader::Ping => self.tell(frame, ToFrame::Pong),
            ToLeader::Pong => {}
            ToLeader::Publish { request, topic, name, body } => {
                self.on_publish(frame, request, (topic, name), body, now);
            }
            ToLeader::Serve(tag) => self.on_serve(frame, tag),
            ToLeader::Service { request, name, method, args } => {
                self.on_service(frame, request, name, method, args, now);
            }
            ToLeader::ServiceCancel { request } => self.on_service_cancel(frame, request),
            ToLeader::Show { topic, since_ms, what } => self.on_show(frame, topic, (since_ms, what)),
            ToLeader::Status => self.on_status(frame, now),
            ToLeader::Unserve(tag) => self.on_unserve(frame, tag),
            ToLeader::Visible(visible) => self.on_visible(frame, visible),
            ToLeader::Watch(watching) => self.on_watch(frame, watching, now),
        }
    }

    fn end_dials(&mut self) {
        for pair in self.dials.overdue(self.clock.now) {
            let text = self.unreachable_text(pair);
            self.fail_dial(pair, Code::PeerUnreachable, text);
        }
    }

    fn drive_topics(&mut self) {
        let now = self.clock.now;
        let missed = self.topics.end_lingering(now);
        self.changed.status |= !missed.is_empty();
        self.say_here_still(&missed);
        self.changed.topics.extend(missed);
        self.search_topics(now);
        for place in self.topics.take_late(now) {
            self.advertise(place);
        }
    }

    fn expire_topics(&mut self) {
        if self.topics.expires().is_some_and(|at| at <= self.clock.now) {
            self.topics.expire(self.clock.now, |own| self.clock.common_ms(own));
        }
    }

    /// Has links, stores and frames follow what changed.
    fn follow_up(&mut self) {
        let now = self.clock.now;
        while let Some((_, topic)) = self.view.deferred.first().filter(|(at, _)| *at <= now).copied() {
            self.view.deferred.pop_first();
            self.changed.topics.insert(topic);
        }
        if std::mem::take(&mut self.changed.plans) {
            self.link(LinksInput::Plan);
        }
        self.keep_sites();
        self.tell_topic_peers(now);
        self.tell_peers();
        self.tell_statuses(now);
        self.tell_sites(now);
    }

    fn warn(&mut self, audience: Audience, text: &str) {
        self.changed.status |= self.view.warnings.add(audience, text);
    }

    fn act(&mut self, output: Output) {
        self.outbox.push_back(output);
    }

    fn tell(&mut self, id: FrameId, message: ToFrame) {
        // What has consequences in a frame that is there.
        if matches!(message, ToFrame::Link(..) | ToFrame::Packet(_))
            && let Some(frame) = self.frames.frame_mut(id).filter(|frame| !frame.frozen)
        {
            frame.presence.told(self.clock.now);
        }
        self.act(Output::Frame(id, message));
    }

    /// Tells those of a persona's frames that fit.
    fn tell_each(&mut self, own: PersonaId, fits: &dyn Fn(FrameId, &Frame) -> bool, message: &ToFrame) {
        let frames = self.frames.of_persona(own).filter(|(id, frame)| fits(*id, frame));
        for id in frames.map(|(id, _)| id).collect::<Vec<_>>() {
            self.tell(id, message.clone());
        }
    }

    fn asked(&mut self, frame: FrameId, request: u32, outcome: Result<(), Failure>) {
        self.tell(frame, ToFrame::Asked { request, outcome });
    }

    /// Tells the server something for a persona, unless that says too much. Inlined, as what it calls would be, it is some KB of a browser's module.
    #[inline(never)]
    fn tell_server(&mut self, own: PersonaId, what: What, message: ToServer) {
        if self.may_say(own, what) {
            self.send(message);
        }
    }

    #[inline(never)]
    fn may_say(&mut self, own: PersonaId, what: What) -> bool {
        self.uplink.saying.may_say(own, what, self.clock.now)
    }

    #[inline(never)]
    fn send(&mut self, message: ToServer) {
        self.act(Output::Uplink(UplinkCommand::Send(message)));
    }

    fn tell_topic(&mut self, link: LinkId, message: TopicMessage) {
        self.with_links(|links, around| links.say(link, message, around));
    }

    fn seed_succeeded(&mut self, id: SeedId, took: Duration) {
        // Peers are no seeds because they were reached.
        if matches!(id, SeedId::Server(_)) || self.seeds.contains(&id) {
            let latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
            let seed = self.seeds.succeeded(id, latency_ms, self.clock.unix_ms());
            self.save_seed(seed);
        }
    }

    fn seed_failed(&mut self, id: &SeedId) {
        if let Some(seed) = self.seeds.failed(id) {
            self.save_seed(seed);
        }
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
}
