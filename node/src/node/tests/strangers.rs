//! The personas of one node are strangers: to each other, and to whoever knows several of them.

use bitters_machine::Machine;
use std::collections::{BTreeMap, BTreeSet};

use bitters_wire::{
    address::Token,
    id::SessionId,
    local::{Certificate, Dial},
    permission::Permission,
    sealed::Said,
};

use super::{
    addresses::{CERTIFICATE, KEPT, PROXY},
    lab::*,
    reasons::{at_door, comes_to_door},
    topics::made_up,
    *,
};
use crate::pair::Pair;

#[test]
fn what_is_said_on_one_link_names_nothing_of_another_persona() {
    let (mut lab, links) = Lab::both_linked_with_alice();
    let mut outputs = Vec::new();
    for (n, (frame, topic)) in (0..).zip([(TAB, LOBBY), (OTHER, GARDEN)]) {
        let link = links[n];
        outputs.extend(lab.frame(frame, ToLeader::Join { request: 1, topic, matching: matching(topic) }));
        outputs.extend(lab.peer_in(frame, link, &in_topic(alice(), topic)));
        outputs.extend(lab.frame(frame, page_says(2, topic, vec![7])));
        let to_bob = lab.linked_in(frame, Pair { own: personas()[n], peer: bob() });
        outputs.extend(lab.peer_in(frame, to_bob, &in_topic(bob(), topic)));
        outputs.extend(lab.peer_in(
            frame,
            link,
            &Control::PassOn { to: bob(), signal: sealed(alice(), bob(), dial(3)) },
        ));
        outputs.extend(lab.peer_in(frame, link, &left(alice(), topic)));
        outputs.extend(lab.peer_in(frame, link, &in_topic(alice(), topic)));
        let owner = Owner::Persona(personas()[n]);
        let certificate = Certificate { fingerprint: KEPT.fingerprint, expires: KEPT.expires };
        outputs.extend(lab.frame(frame, ToLeader::Certified { owner, outcome: Ok(certificate) }));
        outputs.extend(lab.server(ToNode::Listening(Token::of(owner, &KEPT.fingerprint))));
        let packet = Packet {
            to: alice(),
            to_frame: None,
            from: personas()[n],
            from_frame: frame,
            session: SESSION,
            body: open(),
        };
        outputs.extend(lab.frame(frame, ToLeader::Packet(packet)));
        outputs.extend(lab.peer_in(frame, link, &Control::Resume));
        outputs.extend(lab.frame(frame, ToLeader::Leave(topic)));
    }
    for (n, (other, topic)) in [(1, GARDEN), (0, LOBBY)].into_iter().enumerate() {
        let said = said_on(&outputs, links[n]);
        assert!(said.len() > 6, "{said:?}");
        let other = personas()[other];
        assert!(!said.iter().any(|it| names(it, other) || holds(it, &topic.0)), "{said:?}");
        let own = Owner::Persona(personas()[n]);
        assert_eq!(said.iter().filter_map(|it| address_in(it)).map(|it| it.owner()).collect::<Vec<_>>(), [own]);
    }
}

#[test]
fn attempts_of_two_personas_have_nothing_in_common() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, ANOTHER);
    let numbers = [TAB, OTHER].map(|frame| {
        lab.frame(frame, ToLeader::Dial { request: 1, peer: alice(), address: None });
        let (carrier, link) = dialled_in(&lab.server(ToNode::Here(alice()))).expect("she is there");
        assert_eq!(carrier, frame);
        let told = lab.link_in(frame, link, LinkEvent::Signal(vec![4]));
        let [(_, _, signal)] = &signalled(&told)[..] else { panic!("{told:?}") };
        (link.number, signal.attempt)
    });
    let [(first, one), (second, other)] = numbers;
    assert_eq!(second, first + 1, "for the node they are");
    let own = personas();
    let link = |number| LinkId { epoch: Epoch(3), number };
    let number = |n: usize, of| home().attempt_number(link(of), own[n], alice());
    assert_eq!([one, other], [number(0, first), number(1, second)]);
    assert!(one.abs_diff(other) > 1000 && one > 1000 && other > 1000, "{one} and {other}");
}

#[test]
fn a_frame_carries_links_of_its_own_persona_only() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, ANOTHER);
    for n in 0..8 {
        lab.linked_in(TAB, Pair { own: us(), peer: peer(n) });
    }
    lab.frame(TAB, ToLeader::Frozen(true));
    lab.linked_in(TAB, Pair { own: us(), peer: peer(8) });
    assert_eq!(lab.node.links.table().held_by(OTHER), [], "though it has nothing to do");
}

#[test]
fn with_its_last_frame_a_persona_s_links_end_and_others_notice_nothing() {
    let (mut lab, [_, link]) = Lab::both_linked_with_alice();
    for frame in [TAB, OTHER] {
        lab.frame(frame, joins(1, LOBBY));
    }
    let gone = [
        send(ToServer::Withdraw { topic: LOBBY, key: us() }),
        send(ToServer::Unregister(us())),
        Output::ForgetFrame(TAB),
    ];
    assert_eq!(lab.input(Input::FrameGone(TAB)), gone);
    assert_eq!(lab.node.links.table().of(us()), 0);
    assert_eq!(lab.node.links.table().up_to(Pair { own: personas()[1], peer: alice() }), Some(link));
    assert_eq!(lab.server(dials(alice())), [], "nobody is there for her");
}

#[test]
fn signals_are_passed_on_between_peers_of_one_persona_only() {
    let (mut lab, [link, _]) = Lab::both_linked_with_alice();
    let (carol, other) = (peer(1), personas()[1]);
    let to_carol = lab.linked_in(TAB, Pair { own: us(), peer: carol });
    lab.linked_in(OTHER, Pair { own: other, peer: bob() });

    let signal = sealed(alice(), carol, dial(3));
    let relay = |to| Control::PassOn { to, signal: signal.clone() };
    let passed = said(to_carol, &Control::PassedOn { from: alice(), signal: signal.clone() });
    assert_eq!(lab.peer(link, &relay(carol)), [passed]);
    for to in [bob(), other, us(), alice(), peer(9)] {
        assert_eq!(lab.peer(link, &relay(to)), [said(link, &Control::Unreachable(to))]);
    }
}

#[test]
fn two_sites_in_one_topic_hear_nothing_of_each_other_from_the_leader() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, ANOTHER);
    let done = |frame, request| Output::Frame(frame, ToFrame::Asked { request, outcome: Ok(()) });
    let key = personas();
    for (n, frame) in [TAB, OTHER].into_iter().enumerate() {
        assert_eq!(
            lab.frame(frame, joins(1, LOBBY)),
            [done(frame, 1), send(ToServer::Advertise { topic: LOBBY, key: key[n] })]
        );
    }
    let publish = page_says(2, LOBBY, vec![7]);
    assert_eq!(lab.frame(TAB, publish.clone()), [done(TAB, 2)]);
    assert_eq!(lab.frame(OTHER, publish), [done(OTHER, 2)], "for it that is new");
    assert_eq!(lab.within(Duration::from_secs(10)), []);
}

#[test]
fn packets_between_two_personas_of_one_node_need_a_link() {
    let mut lab = Lab::registered();
    lab.admit(OTHER, ANOTHER);
    lab.frame(OTHER, ToLeader::Serve(TAG));
    let [from, to] = personas();
    let packet = Packet { to, to_frame: None, from, from_frame: TAB, session: SESSION, body: open() };
    let refusal = Output::Frame(TAB, ToFrame::Packet(packet.refuse(Refusal::NoRoute).unwrap()));
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet.clone())), [refusal]);

    let [ours, theirs] = link_with_each_other(&mut lab);
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet.clone())), [said(ours, &packet)]);
    let delivered = Output::Frame(OTHER, ToFrame::Packet(packet.clone()));
    assert_eq!(lab.peer_in(OTHER, theirs, &packet), [delivered]);
}

#[test]
fn where_a_frame_went_is_told_to_peers_of_its_persona_only() {
    let (mut lab, [link, _]) = Lab::both_linked_with_alice();
    lab.frame(OTHER, ToLeader::Leaving { moves: true });
    let packet = |to_frame| Packet { to_frame: Some(to_frame), ..World::packet(alice(), us(), THIRD) };
    for frame in [OTHER, THIRD] {
        let refusal = packet(frame).refuse(Refusal::FrameGone).unwrap();
        assert_eq!(lab.peer(link, &packet(frame)), [said(link, &refusal)]);
    }
}

#[test]
fn a_frame_that_becomes_another_persona_leaves_links_and_sessions_behind() {
    let (mut lab, used, standby) = standbys::standing_by();
    lab.frame(TAB, ToLeader::Hello(Hello { identity: Identity::Person, links: held(used), ..hello(TAB, SITE) }));
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(used, &in_topic(alice(), LOBBY));
    let person = home().person();
    let (permission, answer) = (Permission::Person, Answer::Yes);
    let outputs = lab.frame(TAB, ToLeader::Permit { origin: SITE.into(), permission, answer });

    let key = person.id();
    let signature = person.sign(&register_text(&NONCE, SERVER, key));
    let permissions = Permissions { person: Answer::Yes, ..Permissions::default() };
    let welcome = Welcome {
        wire: WIRE.max,
        persona: person,
        identity: Identity::Person,
        permissions,
        peers: 0,
        hiding: Hiding::default(),
        blocked: Blocked::default(),
    };
    assert_eq!(
        outputs,
        [
            said(used, &Control::FrameGone(TAB)),
            command(TAB, used, LinkCommand::HangUp),
            said_in(OTHER, standby, &Control::Switch),
            said_in(OTHER, standby, &in_topic(us(), LOBBY)),
            Output::Frame(OTHER, ToFrame::PathRestored(alice())),
            send(ToServer::Register { key, signature }),
            send(ToServer::Advertise { topic: LOBBY, key }),
            said_in(OTHER, standby, &left(us(), LOBBY)),
            send(ToServer::Withdraw { topic: LOBBY, key: us() }),
            Output::Frame(TAB, ToFrame::Welcome(welcome)),
            Output::Frame(OTHER, ToFrame::Permissions(permissions)),
            Output::SaveSite(KnownSite { origin: SITE.into(), permissions, visited: Some(0), ..KnownSite::default() }),
            Output::Frame(TAB, ToFrame::TopicPeers { topic: LOBBY, peers: Vec::new(), more: false }),
            Output::Frame(TAB, ToFrame::Shown { topic: LOBBY, from: key, shows: Vec::new() }),
        ]
    );
    let packet = Packet { to: alice(), to_frame: None, from: us(), from_frame: TAB, session: SESSION, body: open() };
    assert_eq!(lab.frame(TAB, ToLeader::Packet(packet)), [], "it speaks for that persona no longer");
}

#[test]
fn a_new_leader_adopts_links_of_the_frame_s_own_persona_only() {
    let [own, other] = personas();
    let [link, stray, own_end] = [5, 6, 7].map(|number| LinkId { epoch: Epoch(2), number });
    let held = |link, own, peer| HeldLink { link, own, peer, used: true, path: Path::Direct, direct: true, bond: BOND };
    let mut lab = Lab::without_server();
    lab.admit(OTHER, ANOTHER);
    let links = vec![held(link, own, alice()), held(stray, other, alice()), held(own_end, own, own)];
    let outputs = lab.frame(TAB, ToLeader::Hello(Hello { links, ..hello(TAB, SITE) }));
    let to_links = |it: &Output| matches!(it, Output::Frame(_, ToFrame::Link(..)));
    assert_eq!(
        outputs.into_iter().filter(to_links).collect::<Vec<_>>(),
        [
            said(link, &Control::Resume),
            command(TAB, stray, LinkCommand::HangUp),
            command(TAB, own_end, LinkCommand::HangUp)
        ]
    );
    assert_eq!([own, other].map(|own| lab.node.links.table().up_to(Pair { own, peer: alice() })), [Some(link), None]);
}

/// A member of another site's topic invents members there, while the person hides the network address.
#[test]
fn what_one_persona_knocks_on_makes_no_difference_to_another() {
    let other = home().persona(OTHER_SITE).id();
    for floods in [false, true] {
        let mut lab = at_door();
        lab.admit(OTHER, OTHER_SITE);
        lab.admit(THIRD, PAGE);
        lab.frame(THIRD, ToLeader::Hide(true));
        let garden = TopicId([4; 32]);
        lab.frame(TAB, joins(1, garden));
        let (link, _) = comes_to_door(&mut lab, peer(1));
        lab.peer(link, &in_topic(peer(1), garden));
        lab.frame(OTHER, joins(1, LOBBY));
        let knocked = lab.server(ToNode::Members { topic: LOBBY, key: other, members: vec![alice()] });
        assert_eq!(told_by_server(&knocked).len(), 1);
        for n in (0..120).filter(|_| floods) {
            let members = (0..8).map(|at| made_up(100 + 8 * n + at).id()).collect();
            lab.peer(link, &TopicMessage::Members { topic: garden, members });
        }
        let persona = secret_of(alice());
        let door = Address::sign(Owner::Persona(alice()), [7; 32], &[PROXY], CERTIFICATE.expires, None, |text| {
            persona.sign(text)
        });
        let told = lab.server(says(alice(), other, &Said::Door(Box::new(door))));
        assert!(dialled_in(&told).is_some(), "flooded: {floods}");
    }
}

#[test]
fn no_link_of_a_persona_ever_names_another_persona_of_the_node() {
    let mut sum = Evidence::default();
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..350 {
            world.act();
        }
        sum.said += world.evidence.said;
        sum.links += world.evidence.links;
        sum.changes += world.evidence.changes;
    }
    assert!(sum.said > 5000 && sum.links > 3000 && sum.changes > 150, "too quiet to show anything: {sum:?}");
}

/// What happened, in all worlds so far.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    /// Messages on links.
    said: usize,
    links: usize,
    /// Frames that got another persona.
    changes: usize,
}

/// A node with several personas, of which strangers know only what they were told: they name none but the one that they speak with.
struct World {
    seed: u64,
    lab: Lab,
    rng: fastrand::Rng,
    /// Between whom each link is, and in which frame. Who dials us is known once the link is up.
    links: BTreeMap<LinkId, (FrameId, PersonaId, Option<PersonaId>)>,
    /// Which frames had which personas.
    had: BTreeSet<(FrameId, PersonaId)>,
    evidence: Evidence,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            seed,
            lab: Lab::new(),
            rng: fastrand::Rng::with_seed(seed),
            links: BTreeMap::new(),
            had: BTreeSet::new(),
            evidence: Evidence::default(),
        };
        for frame in FRAMES {
            world.come(frame);
        }
        world.lab.register(vec![PROXY]);
        world
    }

    fn act(&mut self) {
        self.lab.now = self.lab.now + Duration::from_millis(self.rng.u64(0..3000));
        let n = self.rng.usize(0..FRAMES.len());
        let (frame, peer) = (FRAMES[n].0, peer(self.rng.u8(0..5)));
        let topic = [LOBBY, GARDEN][self.rng.usize(0..2)];
        let Some(own) = self.lab.node.frames.frame(frame).map(|it| it.persona()) else { return self.come(FRAMES[n]) };
        let ask = |message| Input::Frame(frame, message);
        let (request, is_so) = (self.rng.u32(..), self.rng.bool());
        match self.rng.u8(0..30) {
            0 => self.input(ask(ToLeader::Join { request, topic, matching: matching(topic) })),
            1 => self.input(ask(ToLeader::Leave(topic))),
            2 => self.input(ask(page_says(request, topic, request.to_be_bytes().to_vec()))),
            3 => self.input(ask(ToLeader::Dial { request, peer, address: None })),
            4 => self.input(ask(ToLeader::Address { request })),
            5 => self.input(ask(ToLeader::Leaving { moves: is_so })),
            6 => self.input(ask(ToLeader::Frozen(is_so))),
            7 => self.permit(frame),
            8 => self.input(ask(ToLeader::Packet(Self::packet(own, peer, frame)))),
            9 => self.hear(signals(peer, own, dial(request))),
            10 => self.hear(ToNode::Members { topic, key: own, members: vec![peer] }),
            11 => {
                let token = Token::of(Owner::Persona(own), &KEPT.fingerprint);
                self.hear(ToNode::Dialled { passage: request.into(), token, signal: vec![1] });
            }
            _ => self.link_event(topic),
        }
    }

    fn come(&mut self, (frame, origin, identity): (FrameId, &str, Identity)) {
        let known = self.rng.bool();
        self.input(Input::Frame(frame, ToLeader::Hello(Hello { known, identity, ..hello(frame, origin) })));
    }

    /// The person answers for a site, whose frame may be another persona's from then on.
    fn permit(&mut self, frame: FrameId) {
        let Some((origin, before)) = self.lab.node.frames.frame(frame).map(|it| (it.origin.clone(), it.persona()))
        else {
            return;
        };
        let answer = if self.rng.bool() { Answer::Yes } else { Answer::No };
        self.input(Input::Frame(frame, ToLeader::Permit { origin, permission: Permission::Person, answer }));
        let after = self.lab.node.frames.frame(frame).map(|it| it.persona());
        self.evidence.changes += usize::from(after != Some(before));
    }

    /// Something happens to a link.
    fn link_event(&mut self, topic: TopicId) {
        if self.links.is_empty() {
            return;
        }
        let at = self.rng.usize(0..self.links.len());
        let (link, (frame, own, peer)) =
            self.links.iter().nth(at).map(|(link, of)| (*link, *of)).expect("there are more");
        let peer = peer.unwrap_or_else(|| self::peer(self.rng.u8(0..5)));
        let event = match self.rng.u8(0..10) {
            0 => LinkEvent::Down(DownReason::Closed),
            1..4 => LinkEvent::Up(peer),
            4 => LinkEvent::Signal(vec![4]),
            _ => LinkEvent::Received(self.word(own, peer, topic)),
        };
        match event {
            LinkEvent::Down(_) => drop(self.links.remove(&link)),
            LinkEvent::Up(_) => {
                self.links.insert(link, (frame, own, Some(peer)));
                self.lab.node.links.bind(link, BOND);
            }
            _ => {}
        }
        self.input(Input::Frame(frame, ToLeader::Link(link, event)));
    }

    /// What a peer says to a persona.
    fn word(&mut self, own: PersonaId, from: PersonaId, topic: TopicId) -> Vec<u8> {
        let other = peer(self.rng.u8(0..5));
        let signal = dial(self.rng.u32(..));
        match self.rng.u8(0..12) {
            0 | 1 => in_topic(from, topic).encoded(),
            2 => left(from, topic).encoded(),
            3 => TopicMessage::Members { topic, members: vec![other] }.encoded(),
            4 => peer_says(other, topic, vec![self.rng.u8(..)]).encoded(),
            5 => Control::PassOn { to: other, signal: sealed(from, other, signal) }.encoded(),
            6 => Control::PassedOn { from: other, signal: sealed(other, own, signal) }.encoded(),
            7 => Control::Resume.encoded(),
            8 => Control::Signal(signal).encoded(),
            9 => Control::Switch.encoded(),
            10 => Control::FrameGone(THEIRS).encoded(),
            _ => Self::packet(from, own, THEIRS).encoded(),
        }
    }

    fn packet(from: PersonaId, to: PersonaId, from_frame: FrameId) -> Packet {
        Packet { to, to_frame: None, from, from_frame, session: SessionId(THEIRS.0), body: open() }
    }

    fn hear(&mut self, message: ToNode) {
        self.input(Input::Uplink(UplinkEvent::Received(message)));
    }

    /// The world answers what it can answer at once.
    fn input(&mut self, input: Input) {
        let outputs = self.lab.input(input);
        let due = self.lab.node.poll_timeout();
        assert!(due.is_none_or(|at| at > self.lab.now), "seed {}: {due:?} at {:?}", self.seed, self.lab.now);
        self.had.extend(self.lab.node.frames.iter().map(|(id, frame)| (id, frame.persona())));
        for output in outputs {
            match output {
                Output::Frame(frame, ToFrame::Link(link, command)) => self.on_command(frame, link, command),
                Output::Frame(frame, ToFrame::Certify { owner }) => {
                    let outcome = Ok(Certificate { fingerprint: KEPT.fingerprint, expires: KEPT.expires });
                    self.input(Input::Frame(frame, ToLeader::Certified { owner, outcome }));
                }
                Output::Frame(frame, ToFrame::Ping) => self.input(Input::Frame(frame, ToLeader::Pong)),
                Output::Uplink(UplinkCommand::Send(message)) => self.on_server(message),
                _ => {}
            }
        }
    }

    fn on_command(&mut self, frame: FrameId, link: LinkId, command: LinkCommand) {
        let when = format!("seed {}, {link:?} at {:?}", self.seed, self.lab.now);
        match command {
            LinkCommand::Dial(Dial { own, peer, .. }) => {
                self.evidence.links += 1;
                assert_eq!(self.lab.node.frames.frame(frame).map(|it| it.persona()), Some(own), "{when}");
                self.links.insert(link, (frame, own, peer));
            }
            LinkCommand::HangUp => drop(self.links.remove(&link)),
            LinkCommand::Send(bytes) => {
                self.evidence.said += 1;
                let (carrier, own, _) = self.links[&link];
                assert_eq!(carrier, frame, "{when}");
                let named: Vec<&str> =
                    ids().into_iter().filter(|(_, id)| *id != own && names(&bytes, *id)).map(|it| it.0).collect();
                assert_eq!(named, [""; 0], "{when}: {bytes:?}");
                let is_named = |frame: FrameId| bytes.windows(16).any(|it| it == frame.0.as_bytes());
                let strange = FRAMES.iter().find(|it| is_named(it.0) && !self.had.contains(&(it.0, own)));
                assert_eq!(strange, None, "{when}: {bytes:?}");
            }
            _ => {}
        }
    }

    fn on_server(&mut self, message: ToServer) {
        match message {
            ToServer::Listen { owner, fingerprint, .. } => self.hear(ToNode::Listening(Token::of(owner, &fingerprint))),
            ToServer::Lookup(peer) if self.rng.bool() => self.hear(ToNode::Here(peer)),
            ToServer::Signal { from, to, .. } if self.rng.bool() => self.hear(ToNode::Unreachable { from, to }),
            ToServer::Signal { from, to, signal } => {
                // Nobody answers what is said before there is a link.
                let Said::Signal(dial) = opened_as(from, to, &signal).said else { return };
                let (attempt, answers) = (self.rng.u32(..), Some(dial.attempt));
                self.hear(signals(to, from, Signal { attempt, answers, blob: vec![1] }));
            }
            _ => {}
        }
    }
}

/// Frames that come and go: two of one site, another site's, and one that wants the person's own id.
const FRAMES: [(FrameId, &str, Identity); 5] = [
    (TAB, SITE, Identity::Site),
    (THIRD, SITE, Identity::Person),
    (OTHER, ANOTHER, Identity::Site),
    (FrameId::from_random([0xd0; 16]), ANOTHER, Identity::Person),
    (FrameId::from_random([0xe0; 16]), PAGE, Identity::Site),
];

/// A frame of a peer's.
const THEIRS: FrameId = FrameId::from_random([0xf0; 16]);

const ANOTHER: &str = "https://b.example";
const GARDEN: TopicId = TopicId([0x6a; 32]);

impl Lab {
    /// Two sites, and a peer that both are linked to.
    fn both_linked_with_alice() -> (Self, [LinkId; 2]) {
        let mut lab = Self::new();
        lab.admit(TAB, SITE);
        lab.admit(OTHER, ANOTHER);
        lab.register(vec![PROXY]);
        let [first, second] = personas();
        let links =
            [(TAB, first), (OTHER, second)].map(|(frame, own)| lab.linked_in(frame, Pair { own, peer: alice() }));
        (lab, links)
    }
}

/// The personas of the two sites.
fn personas() -> [PersonaId; 2] {
    [SITE, ANOTHER].map(|origin| home().persona(origin).id())
}

/// All keys that the node has.
fn ids() -> Vec<(&'static str, PersonaId)> {
    let sites = [SITE, ANOTHER, PAGE].map(|origin| (origin, home().persona(origin).id()));
    let others = [("the person", home().person().id()), ("the node", PersonaId(home().id().0))];
    sites.into_iter().chain(others).collect()
}

/// Somebody else.
fn bob() -> PersonaId {
    peer(0)
}

fn held(link: LinkId) -> Vec<HeldLink> {
    vec![HeldLink { link, own: us(), peer: alice(), used: true, path: Path::Direct, direct: true, bond: BOND }]
}

/// The server leads one persona of the node to another.
fn link_with_each_other(lab: &mut Lab) -> [LinkId; 2] {
    let [from, to] = personas();
    assert_eq!(lab.frame(TAB, ToLeader::Dial { request: 9, peer: to, address: None }), [send(ToServer::Lookup(to))]);
    let ours = lab.dialled(ToNode::Here(to));
    let passed_on = |outputs: &[Output]| match outputs {
        [Output::Uplink(UplinkCommand::Send(ToServer::Signal { from, to, signal }))] => {
            ToNode::Signal { from: *from, to: *to, signal: signal.clone() }
        }
        other => panic!("{other:?}"),
    };
    let offer = passed_on(&lab.link(ours, LinkEvent::Signal(vec![1])));
    let (carrier, theirs) = dialled_in(&lab.server(offer)).expect("it answers");
    assert_eq!(carrier, OTHER);
    let answer = passed_on(&lab.link_in(OTHER, theirs, LinkEvent::Signal(vec![2])));
    assert_eq!(lab.server(answer), [command(TAB, ours, LinkCommand::Signal(vec![2]))]);
    assert!(lab.link(ours, LinkEvent::Up(to)).contains(&asked(9, Ok(()))));
    lab.link_in(OTHER, theirs, LinkEvent::Up(from));
    [ours, theirs]
}

/// What was said on a link.
fn said_on(outputs: &[Output], link: LinkId) -> Vec<&[u8]> {
    let mut said = Vec::new();
    for output in outputs {
        if let Output::Frame(_, ToFrame::Link(on, LinkCommand::Send(bytes))) = output
            && *on == link
        {
            said.push(bytes.as_slice());
        }
    }
    said
}

/// Whether a message on a link names a persona: as it is, or as the owner of an address.
fn names(message: &[u8], persona: PersonaId) -> bool {
    holds(message, &persona.0) || address_in(message).is_some_and(|it| it.owner() == Owner::Persona(persona))
}

fn holds(message: &[u8], id: &[u8; 32]) -> bool {
    message.windows(32).any(|it| it == id)
}

fn address_in(message: &[u8]) -> Option<Address> {
    match codec::decode(message, MAX_LINK) {
        Ok(LinkMessage::Control(Control::Address(address))) => Some(address),
        _ => None,
    }
}
