//! The frame's machine and its leaders: dead ones, wedged ones, ones that hand over.

use bitters_machine::{Machine, time::Instant};
use bitters_wire::{
    announce::{Announcement, LeaderKind},
    failure::{Code, Failure},
    id::{Boot, Epoch, FrameId, LinkId},
    keys::{NodeSecret, PersonaSecret},
    local::{
        Blocked, Dial, Door, DownReason, Envelope, Hiding, IdentityEnd, IdentityText, LinkCommand, LinkEvent, ToFrame,
        ToLeader, Welcome,
    },
    permission::Permissions,
    rpc::{Event, Identity, RPC, Tell},
    status::Scope,
};

use crate::site::{Badge, Config, Input, Line, Means, Output, Site};

#[test]
fn a_frame_watches_each_leader_s_life_once() {
    let mut frame = Led::welcomed();
    assert_eq!(frame.input(Input::Leader(welcome(7, 1))), Led::badge(), "the same leader again");

    let outputs = frame.input(Input::Leader(welcome(8, 2)));
    assert_eq!(outputs[0], Output::WatchLeader(boot(2)));
}

#[test]
fn a_leader_that_is_gone_is_looked_for_in_our_own_build_s_worker() {
    let mut frame = Led::welcomed();
    assert_eq!(frame.input(Input::LeaderGone(boot(9))), [], "not ours");

    assert_eq!(frame.input(Input::LeaderGone(boot(1))), [Output::Connect(own())]);
    assert_eq!(frame.input(Input::LeaderGone(boot(1))), [], "we look already");
    assert!(matches!(
        frame.input(Input::Connected)[..],
        [Output::Leader(Envelope { message: ToLeader::Hello(_), .. })]
    ));
}

#[test]
fn a_frame_that_turned_to_the_next_leader_stays_there_when_the_last_is_gone() {
    let mut frame = Led::welcomed();
    let next = Line::Port { name: "bitters/2/b2".into(), worker: "/next.js".into() };
    assert_eq!(frame.input(leader_up(8, 2, "bitters/2/b2", "/next.js")), [Output::Connect(next)]);
    assert_eq!(frame.input(Input::LeaderGone(boot(1))), []);
    assert_eq!(frame.input(Input::LeaderGone(boot(2))), [Output::Connect(own())], "the next died, too");
}

#[test]
fn a_leader_whose_lock_is_free_at_once_is_asked_and_then_known_by_its_silence() {
    let mut frame = Led::welcomed();
    assert_eq!(frame.input(Input::LeaderUnseen(boot(9))), [], "not ours");
    assert_eq!(frame.input(Input::LeaderUnseen(boot(1))), [said(ToLeader::Ping)]);
    let pong = || Input::Leader(Envelope { epoch: Epoch(7), boot: boot(1), message: ToFrame::Pong });
    assert_eq!(frame.input(pong()), []);
    for _ in 0..3 {
        assert_eq!(frame.timeout(), [said(ToLeader::Ping)], "it was silent for longer than a leader is that pings");
        assert_eq!(frame.input(pong()), []);
    }
    frame.timeout();
    assert_eq!(frame.timeout(), [calls()]);
    assert!(matches!(frame.timeout()[..], [Output::Connect(Line::Port { .. })]), "it is gone");

    frame.input(Input::Connected);
    frame.input(Input::Leader(welcome(8, 2)));
    assert_eq!(frame.machine.poll_timeout(), None, "the next one's lock may tell");
}

#[test]
fn links_of_the_persona_before_are_hung_up_when_a_leader_gives_another() {
    let mut frame = Led::welcomed();
    let peer = PersonaSecret::new([3; 32]).id();
    let dial = Dial { own: persona().id(), peer: Some(peer), door: Door::Signals, direct: true, stun: Vec::new() };
    for link in [LINK, OPENING] {
        let message = ToFrame::Link(link, LinkCommand::Dial(dial.clone()));
        frame.input(Input::Leader(Envelope { epoch: Epoch(7), boot: boot(1), message }));
    }
    let [a, b] = [persona().id(), peer].map(|id| IdentityEnd { id, fingerprint: [1; 32], nonce: [2; 16] });
    let text = IdentityText { signer_is_a: true, a, b };
    frame.input(Input::Link(LINK, LinkEvent::Sign { text, proof: None }));
    frame.input(Input::Link(LINK, LinkEvent::Up(peer)));
    let hung_up = [LINK, OPENING].map(|link| Output::Link(link, LinkCommand::HangUp));
    let same = frame.input(Input::Leader(welcome(8, 2)));
    assert!(!same.iter().any(|output| hung_up.contains(output)), "{same:?}");

    let mut other = welcome(9, 3);
    let ToFrame::Welcome(told) = &mut other.message else { unreachable!() };
    told.persona = PersonaSecret::new([4; 32]);
    let outputs = frame.input(Input::Leader(other));
    assert!(hung_up.iter().all(|output| outputs.contains(output)), "{outputs:?}");
}

#[test]
fn an_idle_frame_has_no_timer() {
    let mut frame = Led::welcomed();
    assert_eq!(frame.machine.poll_timeout(), None);
    frame.input(Input::Visible(false));
    assert!(frame.machine.poll_timeout().is_some());
    frame.input(Input::Leader(Envelope { epoch: Epoch(7), boot: boot(1), message: ToFrame::Pong }));
    assert_eq!(frame.machine.poll_timeout(), None);
    frame.input(Input::Leader(Envelope { epoch: Epoch(7), boot: boot(1), message: ToFrame::Ping }));
    assert_eq!(frame.machine.poll_timeout(), None, "an answer asks for none");
}

#[test]
fn a_wedged_leader_is_succeeded_and_what_was_said_meanwhile_is_kept() {
    let mut frame = Led::welcomed();
    frame.input(Input::Visible(false));
    assert_eq!(frame.timeout(), [said(ToLeader::Ping)]);
    assert_eq!(frame.timeout(), [calls()]);
    let successor = Line::Port { name: "bitters/2/b1/after/7".into(), worker: "/leader.js".into() };
    assert_eq!(frame.timeout(), [Output::Connect(successor)]);
    frame.input(Input::Connected);
    let down = ToLeader::Link(LINK, LinkEvent::Down(DownReason::Closed));
    assert_eq!(frame.input(Input::Link(LINK, LinkEvent::Down(DownReason::Closed))), []);

    let outputs = frame.input(Input::Leader(welcome(8, 2)));
    let kept = Output::Leader(Envelope { epoch: Epoch(8), boot: boot(2), message: down });
    assert_eq!(outputs.last(), Some(&kept));

    let late = Envelope { epoch: Epoch(7), boot: boot(1), message: ToFrame::Peers(3) };
    assert_eq!(frame.input(Input::Leader(late)), [], "the wedged one comes to");
    assert_eq!(frame.input(leader_up(7, 1, "bitters/2/b1", "/leader.js")), [], "and says that it leads");

    let outputs = frame.input(Input::LeaderGone(boot(2)));
    let successor = Line::Port { name: "bitters/2/b1/after/7".into(), worker: "/leader.js".into() };
    assert_eq!(outputs, [Output::Connect(successor)], "the worker of the plain name hangs");
}

#[test]
fn a_leader_that_answers_the_call_is_not_replaced_its_line_is_opened_again() {
    let mut frame = Led::welcomed();
    let up = || leader_up(7, 1, "bitters/2/b1", "/leader.js");
    assert_eq!(frame.input(up()), [], "nothing is outstanding");
    frame.input(Input::Visible(false));
    frame.timeout();
    assert_eq!(frame.timeout(), [calls()]);
    assert_eq!(frame.input(up()), [Output::Connect(own())]);
    frame.input(Input::Connected);

    for pause in [1, 2, 4, 8, 8] {
        while frame.timeout() != [calls()] {}
        assert_eq!(frame.input(up()), []);
        let called = frame.now;
        assert_eq!(frame.timeout(), [Output::Connect(own())]);
        assert_eq!(frame.now.since(called).as_secs(), pause);
        frame.input(Input::Connected);
    }
}

#[test]
fn a_leader_that_comes_to_while_its_successor_is_asked_is_turned_back_to() {
    let mut frame = Led::welcomed();
    frame.input(Input::Visible(false));
    (0..3).for_each(|_| drop(frame.timeout()));
    frame.input(Input::Connected);
    assert_eq!(frame.input(leader_up(7, 1, "bitters/2/b1", "/leader.js")), [Output::Connect(own())]);
}

#[test]
fn a_leader_that_hands_over_hears_a_last_word_and_the_next_all_that_follows() {
    let mut frame = Led::welcomed();
    let moving = Envelope { epoch: Epoch(7), boot: boot(1), message: ToFrame::HandingOver };
    assert_eq!(frame.input(Input::Leader(moving)), [said(ToLeader::LastWord)]);

    let event = || LinkEvent::Received(vec![1, 2, 3]);
    assert_eq!(frame.input(Input::Link(LINK, event())), []);
    assert_eq!(frame.input(Input::LeaderGone(boot(1))), [Output::Connect(own())]);
    frame.input(Input::Connected);

    let kept = Envelope { epoch: Epoch(8), boot: boot(2), message: ToLeader::Link(LINK, event()) };
    assert_eq!(frame.input(Input::Leader(welcome(8, 2))).last(), Some(&Output::Leader(kept)));
}

#[test]
fn what_changes_between_hello_and_welcome_is_told_after_it() {
    let mut frame = Led::welcomed();
    frame.input(Input::LeaderGone(boot(1)));
    frame.input(Input::Visible(false));
    let outputs = frame.input(Input::Connected);
    let [Output::Leader(Envelope { message: ToLeader::Hello(hello), .. })] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert!(!hello.visible);
    frame.input(Input::Visible(true));

    let outputs = frame.input(Input::Leader(welcome(8, 2)));
    let message = |message| Output::Leader(Envelope { epoch: Epoch(8), boot: boot(2), message });
    assert_eq!(outputs.last(), Some(&message(ToLeader::Visible(true))));
    assert!(!outputs.contains(&message(ToLeader::Visible(false))), "the hello told that");
}

#[test]
fn without_a_shared_worker_a_frame_waits_its_turn_and_contends_when_nobody_answers() {
    let mut frame = Led::new(Config { worker: None, ..config() });
    let call = Output::Announce(Announcement::FrameUp { frame: config().frame, channel: true });
    assert_eq!(frame.input(Input::Started), [Output::Contend { after: None }, call.clone()]);
    assert_eq!(frame.timeout(), [call]);
    assert_eq!(frame.timeout(), [Output::Contend { after: Some(Epoch(0)) }]);
}

#[test]
fn where_no_worker_can_be_loaded_the_person_is_told_and_the_site_after_a_second_try() {
    let mut frame = Led::new(config());
    frame.input(Input::Host { versions: RPC, identity: Identity::Site });
    frame.input(Input::Started);
    frame.input(Input::Connected);
    let failed = || Output::Badge(Badge::Failed("the node's leader can't be loaded here".into()));
    assert_eq!(frame.input(Input::WorkerFailed), [failed(), calls()]);

    let called = frame.now;
    let successor = Line::Port { name: "bitters/2/b1/after/0".into(), worker: "/leader.js".into() };
    assert_eq!(frame.timeout(), [Output::Connect(successor)]);
    assert_eq!(frame.now.since(called).as_secs(), 3, "sooner than one that is silent");
    frame.input(Input::Connected);
    let failure = Failure::new(Code::NoNode, "the node's leader can't be loaded here");
    let told = Output::Tell(Event { id: 0, tell: Tell::Failed(failure) });
    assert_eq!(frame.input(Input::WorkerFailed), [failed(), told, Output::CloseHost]);

    assert_eq!(frame.timeout(), [calls()], "it is tried again all the same");
    assert!(matches!(frame.timeout()[..], [Output::Connect(_), Output::Badge(Badge::Failed(_))]));
    frame.input(Input::Connected);
    assert!(frame.input(Input::Leader(welcome(7, 1))).ends_with(&Led::badge()));
}

#[test]
fn a_worker_that_cannot_be_loaded_is_no_matter_where_another_leads() {
    let mut frame = Led::new(config());
    frame.input(Input::Started);
    frame.input(Input::Connected);
    frame.input(Input::WorkerFailed);
    let other = Line::Port { name: "bitters/2/b2".into(), worker: "/next.js".into() };
    assert_eq!(frame.input(leader_up(8, 2, "bitters/2/b2", "/next.js")), [Output::Connect(other)]);
    assert_eq!(frame.input(Input::WorkerFailed), []);
}

#[test]
fn a_leader_that_doesn_t_start_is_told_to_the_person_after_half_a_minute() {
    let mut frame = Led::new(config());
    frame.input(Input::Started);
    frame.input(Input::Connected);
    assert_eq!(frame.timeout(), [calls()]);
    assert!(matches!(frame.timeout()[..], [Output::Connect(_)]));
    frame.input(Input::Connected);
    assert_eq!(frame.timeout(), [calls()]);
    let failed = Output::Badge(Badge::Failed("the node's leader doesn't start".into()));
    assert_eq!(frame.timeout().last(), Some(&failed));
    assert_eq!(frame.now.as_millis(), 36_000);
}

/// A frame and what it does, without a leader that answers.
struct Led {
    machine: Site,
    now: Instant,
}

impl Led {
    fn new(config: Config) -> Self {
        Self { machine: Site::new(config), now: Instant::START }
    }

    /// By its own build's worker.
    fn welcomed() -> Self {
        let mut frame = Self::new(config());
        frame.input(Input::Started);
        frame.input(Input::Connected);
        let mut outputs = vec![Output::WatchLeader(boot(1))];
        outputs.extend(Self::badge());
        assert_eq!(frame.input(Input::Leader(welcome(7, 1))), outputs);
        frame
    }

    fn badge() -> Vec<Output> {
        let id = persona().id().to_string();
        vec![Output::Badge(Badge::Ready { id, peers: 0, scope: Scope::Site, offers: false })]
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle_input(input, self.now);
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    /// What is due next, at its time.
    fn timeout(&mut self) -> Vec<Output> {
        self.now = self.machine.poll_timeout().expect("something is due");
        self.input(Input::Timeout)
    }
}

const LINK: LinkId = LinkId { epoch: Epoch(7), number: 1 };
const OPENING: LinkId = LinkId { epoch: Epoch(7), number: 2 };

fn own() -> Line {
    Line::Port { name: "bitters/2/b1".into(), worker: "/leader.js".into() }
}

fn calls() -> Output {
    Output::Announce(Announcement::FrameUp { frame: config().frame, channel: false })
}

fn said(message: ToLeader) -> Output {
    Output::Leader(Envelope { epoch: Epoch(7), boot: boot(1), message })
}

fn welcome(epoch: u64, number: u8) -> Envelope<ToFrame> {
    let (identity, permissions) = (Identity::Site, Permissions::default());
    let welcome = Welcome {
        wire: 2,
        persona: persona(),
        identity,
        permissions,
        peers: 0,
        hiding: Hiding::default(),
        blocked: Blocked::default(),
    };
    Envelope { epoch: Epoch(epoch), boot: boot(number), message: ToFrame::Welcome(welcome) }
}

fn leader_up(epoch: u64, number: u8, name: &str, worker: &str) -> Input {
    let (epoch, boot, build) = (Epoch(epoch), boot(number), "b1".into());
    let (name, worker, kind) = (name.into(), worker.into(), LeaderKind::Shared);
    Input::Announced(Announcement::LeaderUp { epoch, boot, build, worker, name, kind, heard: None })
}

fn config() -> Config {
    Config {
        frame: FrameId::from_random([1; 16]),
        origin: "https://alice.example".into(),
        scope: Scope::Site,
        means: Means::default(),
        build: "b1".into(),
        worker: Some("/leader.js".into()),
        visible: true,
        watching: false,
        seed: [1; 32],
    }
}

fn persona() -> bitters_wire::keys::PersonaSecret {
    NodeSecret::new([9; 32]).persona("https://alice.example")
}

fn boot(number: u8) -> Boot {
    Boot(FrameId::from_random([number; 16]).0)
}
