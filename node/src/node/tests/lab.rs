//! A node on its bench, and whom it meets there.

use std::{
    cell::Cell,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::LazyLock,
    time::Duration,
};

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    WIRE,
    address::Owner,
    announce::LeaderKind,
    codec,
    failure::{Code, Failure},
    id::{Boot, Epoch, FrameId, LinkId, PersonaId, SessionId, Tag, TopicId},
    keys::{NodeSecret, PersonaSecret},
    limits::MAX_LINK,
    link::{Control, LinkMessage, Signal},
    local::{Blocked, Bond, Dial, Door, Hello, Hiding, LinkCommand, LinkEvent, Membership, ToFrame, ToLeader},
    packet::{Body, Packet},
    permission::{Answer, Permission},
    rendezvous::{ToNode, ToServer},
    rpc::Identity,
    sealed::{ForMembers, Fresh, Opened, Said, SealedSignal},
    status::Scope,
    topic::{MatchKey, MessageName, Published, TAGS_AT_ONCE, TopicMessage, TopicTag, Word},
};

use crate::{
    Config, Input, Kept, KnownSite, Node, Output, Seed, SeedId, UplinkCommand, UplinkEvent, pair::Pair,
    sites::acquaintances::Acquaintance, topics::Place,
};

pub(super) const TAB: FrameId = FrameId::from_random([0xa0; 16]);
pub(super) const OTHER: FrameId = FrameId::from_random([0xb0; 16]);
pub(super) const THIRD: FrameId = FrameId::from_random([0xc0; 16]);
pub(super) const SITE: &str = "https://site.example";
pub(super) const OTHER_SITE: &str = "https://b.example";
const SITES: [&str; 3] = [SITE, OTHER_SITE, PAGE];
/// The leader's build.
pub(super) const OURS: &str = "test";
pub(super) const PAGE: &str = "https://node.example";
pub(super) const URL: &str = "wss://node.example/rendezvous";
/// The server's name.
pub(super) const SERVER: &str = "node.example";
pub(super) const NONCE: [u8; 32] = [5; 32];
pub(super) const LOBBY: TopicId = TopicId([3; 32]);
/// That of all links: tests don't carry tags from one to another.
pub(super) const BOND: Bond = Bond([0xbd; 32]);
const NO_TOPIC: TopicTag = TopicTag([0; 16]);
pub(super) const TAG: Tag = Tag([7; 8]);
pub(super) const SESSION: SessionId = SessionId(TAB.0);

/// A node on its bench.
pub(super) struct Lab {
    pub(super) node: Node,
    pub(super) now: Instant,
    /// Whether the server says that it is there when it is asked.
    pub(super) answers: bool,
    /// Whether sites accepted all peers that tests know.
    pub(super) acquainted: bool,
    /// Whether it is of interest that frames may speak before there is a link.
    pub(super) speaks_early: bool,
    /// Whether it is of interest what members of topics say of themselves.
    pub(super) tells_words: bool,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::with_seeds(vec![Seed::new(SeedId::Server(URL.into()))])
    }

    pub(super) fn without_server() -> Self {
        Self::with_seeds(Vec::new())
    }

    pub(super) fn with_seeds(seeds: Vec<Seed>) -> Self {
        Self::with(seeds, Vec::new(), Vec::new())
    }

    pub(super) fn with_sites(sites: Vec<KnownSite>) -> Self {
        Self::with(Vec::new(), sites, Vec::new())
    }

    pub(super) fn with_certificates(certificates: Vec<(Owner, Kept)>) -> Self {
        Self::with(vec![Seed::new(SeedId::Server(URL.into()))], Vec::new(), certificates)
    }

    pub(super) fn with(seeds: Vec<Seed>, sites: Vec<KnownSite>, certificates: Vec<(Owner, Kept)>) -> Self {
        let config = Config { seeds, sites, certificates, ..config() };
        // Where tests have one thread, another was here before.
        MINUTE.set(0);
        let node = Node::new(config, Instant::START);
        Self { node, now: Instant::START, answers: true, acquainted: true, speaks_early: false, tells_words: false }
    }

    /// The same, where nobody was accepted yet.
    pub(super) fn among_strangers(mut self) -> Self {
        self.acquainted = false;
        [us(), home().persona(OTHER_SITE).id()].into_iter().for_each(|own| self.node.acquaintances.forget(own));
        self
    }

    /// One frame, registered at the rendezvous.
    pub(super) fn registered() -> Self {
        let mut lab = Self::new();
        lab.admit(TAB, SITE);
        lab.register(Vec::new());
        lab
    }

    /// The rendezvous takes the node in, and answers dials there.
    pub(super) fn register(&mut self, proxies: Vec<SocketAddr>) -> Vec<Output> {
        self.input(Input::Uplink(UplinkEvent::Open { server: SERVER.into() }));
        self.server(ToNode::Challenge { nonce: NONCE, wire: WIRE, unix_ms: u64::from(MINUTE.get()) * 60_000 });
        self.server(ToNode::Entered { proxies })
    }

    /// A peer dialled.
    pub(super) fn connecting() -> (Self, LinkId) {
        let mut lab = Self::registered();
        let link = lab.dialled(dials(alice()));
        (lab, link)
    }

    /// A link to a peer.
    pub(super) fn linked() -> (Self, LinkId) {
        let (mut lab, link) = Self::connecting();
        lab.link(link, LinkEvent::Up(alice()));
        lab.frame(TAB, ToLeader::Pong);
        (lab, link)
    }

    /// What follows, but for the question whether the server is there, as long as it answers, and for what isn't of interest.
    pub(super) fn input(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = self.take(input);
        outputs.retain(|it| self.speaks_early || !matches!(it, Output::Frame(_, ToFrame::Early(_))));
        outputs.retain(|it| self.tells_words || !matches!(said_of_topics(it), Some((_, TopicMessage::Here { .. }))));
        let question = send(ToServer::ARE_YOU_THERE);
        if self.answers && outputs.contains(&question) {
            outputs.retain(|it| *it != question);
            outputs.extend(self.take(Input::Uplink(UplinkEvent::Received(ToNode::HERE_I_AM))));
        }
        outputs
    }

    fn take(&mut self, input: Input) -> Vec<Output> {
        if let Input::WallClock(ms) = input {
            MINUTE.set(u32::try_from(ms / 60_000).expect("it isn't that late"));
        }
        if let Input::Frame(_, ToLeader::Hello(Hello { origin, .. }) | ToLeader::Permit { origin, .. }) = &input
            && self.acquainted
        {
            self.meet_all(&origin.clone());
        }
        let mut own: Vec<Place> = self.node.topics.iter().collect();
        self.node.handle_input(input, self.now);
        own.extend(self.node.topics.iter());
        std::iter::from_fn(|| self.node.poll_output()).map(|output| without_padding(output, &own)).collect()
    }

    /// A site accepted all peers that tests know.
    fn meet_all(&mut self, origin: &str) {
        for own in [home().persona(origin), home().person()] {
            let peers = KNOWN.keys().map(|peer| Acquaintance { peer: *peer, at: u64::MAX });
            self.node.acquaintances.add(own.id(), peers);
        }
    }

    pub(super) fn frame(&mut self, id: FrameId, message: ToLeader) -> Vec<Output> {
        self.input(Input::Frame(id, message))
    }

    pub(super) fn server(&mut self, message: ToNode) -> Vec<Output> {
        self.input(Input::Uplink(UplinkEvent::Received(message)))
    }

    pub(super) fn link(&mut self, link: LinkId, event: LinkEvent) -> Vec<Output> {
        self.link_in(TAB, link, event)
    }

    pub(super) fn link_in(&mut self, frame: FrameId, link: LinkId, event: LinkEvent) -> Vec<Output> {
        if let LinkEvent::Up(_) = event {
            self.node.links.bind(link, BOND);
        }
        self.frame(frame, ToLeader::Link(link, event))
    }

    pub(super) fn peer(&mut self, link: LinkId, message: &impl Envelop) -> Vec<Output> {
        self.peer_in(TAB, link, message)
    }

    pub(super) fn peer_in(&mut self, frame: FrameId, link: LinkId, message: &impl Envelop) -> Vec<Output> {
        self.link_in(frame, link, LinkEvent::Received(message.encoded()))
    }

    /// What follows when so much time has passed and the timer has fired.
    pub(super) fn later(&mut self, pause: Duration) -> Vec<Output> {
        self.now = self.now + pause;
        self.input(Input::Timeout)
    }

    /// What happens within that time, with the timer fired as often as it is due.
    pub(super) fn within(&mut self, pause: Duration) -> Vec<Output> {
        let end = self.now + pause;
        let mut outputs = Vec::new();
        while let Some(due) = self.node.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            outputs.extend(self.input(Input::Timeout));
        }
        self.now = end;
        outputs
    }

    /// The same, where frames that are asked say that they are there.
    pub(super) fn within_while_frames_answer(&mut self, pause: Duration) -> Vec<Output> {
        let end = self.now + pause;
        let mut outputs = Vec::new();
        while let Some(due) = self.node.poll_timeout().filter(|due| *due <= end) {
            let within = self.within(due.since(self.now));
            for output in within {
                match output {
                    Output::Frame(frame, ToFrame::Ping) => drop(self.frame(frame, ToLeader::Pong)),
                    other => outputs.push(other),
                }
            }
        }
        self.now = end;
        outputs
    }

    /// Peers, whose clocks are right, think that it is this minute.
    pub(super) fn peers_think(&self, minute: u32) {
        MINUTE.set(minute);
    }

    /// Tells whether the frame was welcomed.
    pub(super) fn admit(&mut self, id: FrameId, origin: &str) -> bool {
        let outputs = self.frame(id, ToLeader::Hello(hello(id, origin)));
        outputs.iter().any(|it| matches!(it, Output::Frame(_, ToFrame::Welcome(_))))
    }

    /// A frame comes whose site has the person's own id.
    pub(super) fn admit_person(&mut self, id: FrameId, origin: &str) {
        let (permission, answer) = (Permission::Person, Answer::Yes);
        self.frame(id, ToLeader::Hello(Hello { identity: Identity::Person, ..hello(id, origin) }));
        self.frame(id, ToLeader::Permit { origin: origin.into(), permission, answer });
    }

    /// A peer dials by the server, and this frame has a link to it.
    pub(super) fn linked_in(&mut self, frame: FrameId, Pair { own, peer }: Pair) -> LinkId {
        let outputs = self.server(signals(peer, own, dial(7)));
        let (carrier, link) = dialled_in(&outputs).unwrap_or_else(|| panic!("{outputs:?}"));
        assert_eq!(carrier, frame);
        self.link_in(frame, link, LinkEvent::Up(peer));
        link
    }

    /// A frame comes; who has to go for it, or why it may not.
    pub(super) fn admitted(&mut self, id: FrameId, origin: &str) -> Result<Vec<FrameId>, Code> {
        let outputs = self.frame(id, ToLeader::Hello(hello(id, origin)));
        let rejected = outputs.iter().filter_map(|it| match it {
            Output::Frame(frame, ToFrame::Rejected(failure)) => Some((*frame, failure.code)),
            _ => None,
        });
        let rejected: Vec<(FrameId, Code)> = rejected.collect();
        match rejected.iter().find(|(frame, _)| *frame == id) {
            Some((_, code)) => Err(*code),
            None => Ok(rejected.into_iter().map(|(frame, _)| frame).collect()),
        }
    }

    /// The link that the tab is told to dial.
    pub(super) fn dialled(&mut self, message: ToNode) -> LinkId {
        let outputs = self.server(message);
        let dialled = dialled_in(&outputs).filter(|(frame, _)| *frame == TAB);
        dialled.unwrap_or_else(|| panic!("{outputs:?}")).1
    }
}

/// One of many peers: the same site's persona of another node.
pub(super) fn peer(n: u8) -> PersonaId {
    NodeSecret::new([100 + n; 32]).persona(SITE).id()
}

/// The home node's, with an empty store.
pub(super) fn config() -> Config {
    Config {
        secret: home(),
        epoch: Epoch(3),
        boot: Boot::default(),
        kind: LeaderKind::Shared,
        build: OURS.into(),
        observe: vec!["https://observer.example".into()],
        page_origin: PAGE.into(),
        seeds: Vec::new(),
        sites: Vec::new(),
        certificates: Vec::new(),
        warnings: Vec::new(),
        seed: 1,
    }
}

/// Which frame is told to dial which link.
pub(super) fn dialled_in(outputs: &[Output]) -> Option<(FrameId, LinkId)> {
    outputs.iter().find_map(|it| match it {
        Output::Frame(frame, ToFrame::Link(link, LinkCommand::Dial(_))) => Some((*frame, *link)),
        _ => None,
    })
}

pub(super) fn hello(frame: FrameId, origin: &str) -> Hello {
    Hello {
        frame,
        origin: origin.into(),
        scope: Scope::Browser,
        identity: Identity::Site,
        brings: None,
        remote: false,
        wire: WIRE,
        build: "new".into(),
        ahead_ms: 0,
        known: false,
        visible: true,
        watching: false,
        serves: Vec::new(),
        joined: Vec::new(),
        talks: Vec::new(),
        links: Vec::new(),
        hiding: Hiding::default(),
        blocked: Blocked::default(),
    }
}

pub(super) fn home() -> NodeSecret {
    NodeSecret::new([1; 32])
}

pub(super) fn away() -> NodeSecret {
    NodeSecret::new([2; 32])
}

/// The site's persona here.
pub(super) fn us() -> PersonaId {
    home().persona(SITE).id()
}

/// The site's persona on the other node.
pub(super) fn alice() -> PersonaId {
    away().persona(SITE).id()
}

/// How the peer at the other end knows the attempt that our link to it comes from.
pub(super) fn number(link: LinkId) -> u32 {
    home().attempt_number(link, us(), alice())
}

/// The dial of a peer that signals lead to, without a server that helps.
pub(super) fn by_signals(peer: PersonaId) -> Dial {
    Dial { own: us(), peer: Some(peer), door: Door::Signals, direct: true, stun: Vec::new() }
}

pub(super) fn open() -> Body {
    Body::Open { tag: TAG, handshake: vec![1] }
}

pub(super) fn dial(attempt: u32) -> Signal {
    Signal { attempt, answers: None, blob: vec![9] }
}

thread_local! {
    /// What minute it is for peers, and how many signals they have sealed.
    static MINUTE: Cell<u32> = const { Cell::new(0) };
    static SEALED: Cell<u8> = const { Cell::new(0) };
}

/// A peer's signal, by the server.
pub(super) fn signals(from: PersonaId, to: PersonaId, signal: Signal) -> ToNode {
    ToNode::Signal { from, to, signal: sealed(from, to, signal) }
}

/// What a member of a topic says to another before there is a link.
pub(super) fn says_as_member(topic: TopicId, from: PersonaId, to: PersonaId, packets: &Vec<Packet>) -> ToNode {
    seals_for(topic, (from, to), codec::encode(packets), Said::Members)
}

/// The same, whatever it is.
pub(super) fn seals_for(
    topic: TopicId,
    (from, to): (PersonaId, PersonaId),
    blob: Vec<u8>,
    said: fn(Box<ForMembers>) -> Said,
) -> ToNode {
    let signal = Signal { attempt: 0, answers: None, blob };
    let sealed = ForMembers::seal(&signal, &[matching(topic)], [from, to], &[SEALED.get(); 16], || [SEALED.get(); 32]);
    says(from, to, &said(Box::new(sealed)))
}

/// What a peer says, by the server.
pub(super) fn says(from: PersonaId, to: PersonaId, said: &Said) -> ToNode {
    ToNode::Signal { from, to, signal: sealed_as(from, to, said) }
}

/// A signal of one that tests know.
pub(super) fn sealed(from: PersonaId, to: PersonaId, signal: Signal) -> SealedSignal {
    sealed_as(from, to, &Said::Signal(signal))
}

/// The same, sealed for members of a topic alone.
pub(super) fn sealed_for(topic: TopicId, from: PersonaId, to: PersonaId, signal: &Signal) -> SealedSignal {
    let sealed = ForMembers::seal(signal, &[matching(topic)], [from, to], &[SEALED.get(); 16], || [SEALED.get(); 32]);
    sealed_as(from, to, &Said::Topics(Box::new(sealed)))
}

/// The same, whatever it says.
pub(super) fn sealed_as(from: PersonaId, to: PersonaId, said: &Said) -> SealedSignal {
    let n = SEALED.get();
    SEALED.set(n.wrapping_add(1));
    let fresh = Fresh { ephemeral: [n; 32].into(), nonce: [n; 16] };
    SealedSignal::seal(said, &secret_of(from), to, MINUTE.get(), &fresh).expect("the receiver's id is a key")
}

/// Personas that tests know: those of a few nodes.
static KNOWN: LazyLock<BTreeMap<PersonaId, PersonaSecret>> = LazyLock::new(|| {
    let near = (1..4).flat_map(|n| SITES.map(|origin| (n, origin)));
    let personas =
        near.chain((100..=255).map(|n| (n, SITE))).map(|(n, origin)| NodeSecret::new([n; 32]).persona(origin));
    personas.map(|it| (it.id(), it)).collect()
});

pub(super) fn secret_of(id: PersonaId) -> PersonaSecret {
    KNOWN.get(&id).expect("tests know it").clone()
}

/// The signals that the server is to pass on, opened: from whom, to whom, and what they say.
pub(super) fn signalled(outputs: &[Output]) -> Vec<(PersonaId, PersonaId, Signal)> {
    let signals = outputs.iter().filter_map(|it| match it {
        Output::Uplink(UplinkCommand::Send(ToServer::Signal { from, to, signal })) => Some((*from, *to, signal)),
        _ => None,
    });
    signals.map(|(from, to, signal)| (from, to, opened(from, to, signal))).collect()
}

/// All that the server is to pass on, opened: to whom, and what it says.
pub(super) fn told_by_server(outputs: &[Output]) -> Vec<(PersonaId, Said)> {
    let signals = outputs.iter().filter_map(|it| match it {
        Output::Uplink(UplinkCommand::Send(ToServer::Signal { from, to, signal })) => Some((*from, *to, signal)),
        _ => None,
    });
    signals.map(|(from, to, signal)| (to, opened_as(from, to, signal).said)).collect()
}

/// What a signal says, which must be from whom it says.
pub(super) fn opened(from: PersonaId, to: PersonaId, signal: &SealedSignal) -> Signal {
    match opened_as(from, to, signal).said {
        Said::Signal(signal) => signal,
        other => panic!("no signal: {other:?}"),
    }
}

pub(super) fn opened_as(from: PersonaId, to: PersonaId, signal: &SealedSignal) -> Opened {
    let opened = signal.open(&secret_of(to)).expect("it is sealed to its receiver");
    assert_eq!(opened.from, from);
    opened
}

/// What members of a topic show each other.
pub(super) const fn matching(topic: TopicId) -> MatchKey {
    MatchKey::new(topic.0)
}

/// What is said of topics on a link.
pub(super) fn said_of_topics(output: &Output) -> Option<(LinkId, TopicMessage)> {
    let Output::Frame(_, ToFrame::Link(link, LinkCommand::Send(bytes))) = output else { return None };
    match codec::decode(bytes, MAX_LINK) {
        Ok(LinkMessage::Topic(message)) => Some((*link, message)),
        _ => None,
    }
}

/// The same, what stands for no topic set to zeros.
fn without_padding(output: Output, own: &[Place]) -> Output {
    let (Output::Frame(frame, _), Some((link, TopicMessage::Tags(tags)))) = (&output, said_of_topics(&output)) else {
        return output;
    };
    let is_ours = |tag: &TopicTag| own.iter().any(|place| tag_of(place.own, place.topic) == *tag);
    let mut tags: Vec<TopicTag> = tags.into_iter().map(|tag| if is_ours(&tag) { tag } else { NO_TOPIC }).collect();
    tags.sort();
    said_in(*frame, link, &TopicMessage::Tags(tags))
}

fn tag_of(from: PersonaId, topic: TopicId) -> TopicTag {
    matching(topic).tag(&BOND, from)
}

/// A persona shows on its link that it is in a topic.
pub(super) fn in_topic(from: PersonaId, topic: TopicId) -> TopicMessage {
    in_topics(from, &[topic])
}

/// The same of several.
pub(super) fn in_topics(from: PersonaId, topics: &[TopicId]) -> TopicMessage {
    let mut tags: Vec<TopicTag> = topics.iter().map(|topic| tag_of(from, *topic)).collect();
    tags.resize(tags.len().next_multiple_of(TAGS_AT_ONCE), NO_TOPIC);
    tags.sort();
    TopicMessage::Tags(tags)
}

/// A persona says on its link that it left a topic.
pub(super) fn left(from: PersonaId, topic: TopicId) -> TopicMessage {
    TopicMessage::Left(tag_of(from, topic))
}

/// Words of members that a peer is told.
pub(super) fn words_to(link: LinkId, outputs: &[Output]) -> Vec<Word> {
    let words = outputs.iter().filter_map(said_of_topics).filter_map(|(to, message)| match message {
        TopicMessage::Here { words, .. } if to == link => Some(words),
        _ => None,
    });
    words.flatten().collect()
}

/// A page joins a topic.
pub(super) fn joins(request: u32, topic: TopicId) -> ToLeader {
    ToLeader::Join { request, topic, matching: matching(topic) }
}

/// A page has been in a topic for a moment.
pub(super) fn is_in(topic: TopicId) -> Membership {
    Membership { topic, matching: matching(topic), since_ms: 0, shows: None, heard: Vec::new() }
}

/// A page says something in a topic.
pub(super) fn page_says(request: u32, topic: TopicId, body: impl Into<Vec<u8>>) -> ToLeader {
    let body = body.into();
    ToLeader::Publish { request, topic, name: name_of(&body), body }
}

/// What somebody said in a topic so many milliseconds after 1970.
pub(super) fn published_at(time: u64, from: PersonaId, topic: TopicId, body: impl Into<Vec<u8>>) -> Published {
    let body = body.into();
    Published::new((topic, &matching(topic)), &secret_of(from), (time, name_of(&body)), body)
}

/// What somebody said in a topic in this minute, on its way.
pub(super) fn peer_says(from: PersonaId, topic: TopicId, body: impl Into<Vec<u8>>) -> TopicMessage {
    let time = u64::from(MINUTE.get()) * 60_000;
    TopicMessage::Publish { topic, published: published_at(time, from, topic, body) }
}

/// A frame hears what somebody said in a topic in this minute.
pub(super) fn heard(frame: FrameId, from: PersonaId, topic: TopicId, body: impl Into<Vec<u8>>) -> Output {
    let (body, time) = (body.into(), u64::from(MINUTE.get()) * 60_000);
    Output::Frame(frame, ToFrame::Topic { topic, from, name: name_of(&body), time, ago_ms: 0, body })
}

/// One that differs for what is said.
pub(super) fn name_of(body: &[u8]) -> MessageName {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    MessageName(hasher.finish().to_be_bytes())
}

pub(super) fn send(message: ToServer) -> Output {
    Output::Uplink(UplinkCommand::Send(message))
}

/// A peer dials us by the server.
pub(super) fn dials(from: PersonaId) -> ToNode {
    signals(from, us(), dial(7))
}

/// What is said on a link, each in the envelope of its protocol.
pub(super) trait Envelop {
    fn encoded(&self) -> Vec<u8>;
}

impl Envelop for Control {
    fn encoded(&self) -> Vec<u8> {
        codec::encode(&LinkMessage::Control(self.clone()))
    }
}

impl Envelop for Packet {
    fn encoded(&self) -> Vec<u8> {
        codec::encode(&LinkMessage::Packet(self.clone()))
    }
}

impl Envelop for TopicMessage {
    fn encoded(&self) -> Vec<u8> {
        codec::encode(&LinkMessage::Topic(self.clone()))
    }
}

pub(super) fn asked(request: u32, outcome: Result<(), Failure>) -> Output {
    Output::Frame(TAB, ToFrame::Asked { request, outcome })
}

pub(super) fn said(link: LinkId, message: &impl Envelop) -> Output {
    said_in(TAB, link, message)
}

pub(super) fn said_in(frame: FrameId, link: LinkId, message: &impl Envelop) -> Output {
    command(frame, link, LinkCommand::Send(message.encoded()))
}

pub(super) fn command(frame: FrameId, link: LinkId, command: LinkCommand) -> Output {
    Output::Frame(frame, ToFrame::Link(link, command))
}
