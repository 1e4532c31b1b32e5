//! Another build's worker leads next: a planned move.
//!
//! When a worker of another build waits to lead and no frame of ours is left, an update has come to all pages. The leader takes no
//! new service requests, lets those that it took end, tells all frames to be silent, hears their last words and hands over.
//! What frames have to say meanwhile they hold for the next leader.

use std::time::Duration;

use bitters_wire::{
    failure::{Code, Executed, Failure},
    id::FrameId,
    local::{ServiceReply, ToFrame},
    map::Set,
    time::Instant,
};

use super::Node;
use crate::api::Output;

/// Service calls that were taken may end in that time; sequences that last don't.
const FINISHING: Duration = Duration::from_secs(5);

/// A frame that lives has said its last word by then; one that doesn't has none.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A planned move.
#[derive(Debug, Default)]
pub(super) struct Move {
    /// Whether a worker of another build waits.
    awaited: bool,
    stage: Stage,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Services end.
    Finishing(Instant),
    /// These frames are to say their last words.
    Leaving(Instant, Set<FrameId>),
    /// We hand over.
    Over,
    /// We lead.
    #[default]
    Staying,
}

impl Node {
    /// A worker of `build` waits to lead.
    pub(super) fn on_candidate(&mut self, build: &str) {
        self.moving.awaited |= build != self.leader.build;
    }

    /// The frame's last word to us.
    pub(super) fn on_moved(&mut self, frame: FrameId) {
        if let Stage::Leaving(_, speaking) = &mut self.moving.stage {
            speaking.remove(&frame);
        }
    }

    /// Whether new service requests are for the next leader.
    pub(super) fn is_moving(&self) -> bool {
        self.moving.stage != Stage::Staying
    }

    /// When the move goes on at the latest.
    pub(super) const fn move_due(&self) -> Option<Instant> {
        match &self.moving.stage {
            Stage::Finishing(due) | Stage::Leaving(due, _) => Some(*due),
            Stage::Over | Stage::Staying => None,
        }
    }

    /// Begins a move, or goes on with it, if it is time.
    pub(super) fn move_on(&mut self, now: Instant) {
        if self.moving.stage == Stage::Staying && self.is_superseded() {
            self.moving.stage = Stage::Finishing(now + FINISHING);
        }
        if let Stage::Finishing(due) = self.moving.stage {
            if !self.is_superseded() {
                self.moving.stage = Stage::Staying;
            } else if due <= now || self.frames.iter().all(|(_, frame)| frame.services.is_empty()) {
                self.say_farewell(now);
            }
        }
        if let Stage::Leaving(due, speaking) = &mut self.moving.stage {
            speaking.retain(|frame| self.frames.frame(*frame).is_some());
            if *due <= now || speaking.is_empty() {
                self.moving.stage = Stage::Over;
                self.act(Output::HandOver);
            }
        }
    }

    /// A frame that says hello in the middle of a move is to move, too.
    pub(super) fn move_along(&mut self, id: FrameId) {
        if let Stage::Leaving(_, speaking) = &mut self.moving.stage {
            speaking.insert(id);
            self.tell(id, ToFrame::Moving);
        }
    }

    /// Whether all frames are of other builds, and a worker that isn't ours waits.
    fn is_superseded(&self) -> bool {
        self.moving.awaited
            && self.frames.len() > 0
            && self.frames.iter().all(|(_, frame)| frame.build != self.leader.build)
    }

    fn say_farewell(&mut self, now: Instant) {
        let frames: Set<FrameId> = self.frames.iter().map(|(id, _)| id).collect();
        for id in &frames {
            self.lose_services(*id);
            self.tell(*id, ToFrame::Moving);
        }
        self.moving.stage = Stage::Leaving(now + LAST_WORDS, frames);
    }

    fn lose_services(&mut self, id: FrameId) {
        let services = self.frames.frame_mut(id).map(|frame| std::mem::take(&mut frame.services));
        for request in services.into_iter().flatten() {
            let failure = Failure::new(Code::LeaderLost, "the node's leader was replaced").executed(Executed::Unknown);
            self.act(Output::ServiceCancel { frame: id, request });
            self.tell(id, ToFrame::Service { request, reply: ServiceReply::Failed(failure) });
        }
    }
}

#[cfg(test)]
mod tests {
    use bitters_wire::{
        WIRE,
        announce::LeaderKind,
        id::{Boot, Epoch},
        keys::NodeSecret,
        local::{Hello, ToLeader},
        status::Scope,
    };

    use super::*;
    use crate::{Config, Input};

    #[test]
    fn a_leader_without_a_frame_of_its_build_hands_over_when_all_said_their_last_word() {
        let mut lab = Lab::new([(OLD, "b1"), (NEW, "b2")]);
        assert_eq!(lab.candidate("b2"), []);
        let told = lab.frame(OLD, ToLeader::Leaving);
        assert_eq!(told, [Output::ForgetFrame(OLD), Output::Frame(NEW, ToFrame::Moving)]);
        assert_eq!(lab.frame(NEW, ToLeader::Moved), [Output::HandOver]);
        assert_eq!(lab.node.poll_timeout().filter(|due| *due <= lab.now), None);
        assert_eq!(lab.frame(NEW, ToLeader::Moved), [], "once");
    }

    #[test]
    fn nothing_moves_for_a_candidate_of_the_same_build_or_none_or_without_frames() {
        let mut lab = Lab::new([(NEW, "b2")]);
        assert_eq!(lab.candidate("b1"), []);
        lab.frame(NEW, ToLeader::Leaving);
        assert_eq!(lab.candidate("b2"), []);
        assert_eq!(lab.input(Input::Timeout), []);

        let mut lab = Lab::new([(OLD, "b1"), (NEW, "b2")]);
        assert_eq!(lab.frame(OLD, ToLeader::Leaving), [Output::ForgetFrame(OLD)]);
    }

    #[test]
    fn a_frame_that_says_nothing_is_waited_for_a_second() {
        let mut lab = Lab::new([(NEW, "b2")]);
        assert_eq!(lab.candidate("b2"), [Output::Frame(NEW, ToFrame::Moving)]);
        assert_eq!(lab.pass(999), []);
        assert_eq!(lab.pass(1), [Output::HandOver]);
    }

    #[test]
    fn services_that_were_taken_end_and_new_ones_are_for_the_next_leader() {
        let mut lab = Lab::new([(NEW, "b2")]);
        lab.frame(NEW, service(1));
        assert_eq!(lab.candidate("b2"), []);

        assert_eq!(lab.frame(NEW, service(2)), [lost(2, "the node's leader is being replaced", Executed::No)]);

        let reply = ServiceReply::Value("1".into());
        let told = lab.input(Input::ServiceReply { frame: NEW, request: 1, reply: reply.clone() });
        let answer = Output::Frame(NEW, ToFrame::Service { request: 1, reply });
        assert_eq!(told, [answer, Output::Frame(NEW, ToFrame::Moving)]);
    }

    #[test]
    fn services_that_don_t_end_are_lost_in_the_end() {
        let mut lab = Lab::new([(NEW, "b2")]);
        lab.frame(NEW, service(1));
        lab.candidate("b2");
        assert_eq!(lab.pass(4999), []);
        assert_eq!(
            lab.pass(1),
            [
                Output::ServiceCancel { frame: NEW, request: 1 },
                lost(1, "the node's leader was replaced", Executed::Unknown),
                Output::Frame(NEW, ToFrame::Moving),
            ]
        );
    }

    #[test]
    fn a_frame_of_our_build_that_comes_in_time_keeps_us() {
        let mut lab = Lab::new([(NEW, "b2")]);
        lab.frame(NEW, service(1));
        lab.candidate("b2");
        lab.hello(OLD, "b1");
        assert_eq!(lab.pass(5000), []);
        let taken = lab.frame(NEW, service(2));
        assert!(matches!(taken[..], [Output::Service { request: 2, .. }]), "{taken:?}");
    }

    #[test]
    fn a_frame_that_comes_in_the_middle_moves_along() {
        let mut lab = Lab::new([(NEW, "b2")]);
        lab.candidate("b2");
        assert_eq!(lab.hello(OLD, "b1").last(), Some(&Output::Frame(OLD, ToFrame::Moving)));
        assert_eq!(lab.frame(NEW, ToLeader::Moved), []);
        assert_eq!(lab.frame(OLD, ToLeader::Moved), [Output::HandOver]);
    }

    #[test]
    fn a_frame_that_is_gone_is_not_waited_for() {
        let mut lab = Lab::new([(NEW, "b2"), (OTHER, "b3")]);
        lab.candidate("b2");
        lab.frame(NEW, ToLeader::Moved);
        assert_eq!(lab.input(Input::FrameGone(OTHER)), [Output::ForgetFrame(OTHER), Output::HandOver]);
    }

    const OLD: FrameId = FrameId::from_random([1; 16]);
    const NEW: FrameId = FrameId::from_random([2; 16]);
    const OTHER: FrameId = FrameId::from_random([3; 16]);

    struct Lab {
        node: Node,
        now: Instant,
    }

    impl Lab {
        /// A leader of `b1`.
        fn new<const N: usize>(frames: [(FrameId, &str); N]) -> Self {
            let config = Config {
                secret: NodeSecret::new([1; 32]),
                epoch: Epoch(3),
                boot: Boot::default(),
                kind: LeaderKind::Shared,
                build: "b1".into(),
                observe: Vec::new(),
                page_origin: "https://node.example".into(),
                seeds: Vec::new(),
                warnings: Vec::new(),
                seed: 1,
            };
            let mut lab = Self { node: Node::new(config, Instant::START), now: Instant::START };
            for (frame, build) in frames {
                lab.hello(frame, build);
            }
            lab
        }

        fn hello(&mut self, frame: FrameId, build: &str) -> Vec<Output> {
            let hello = Hello {
                frame,
                origin: "https://site.example".into(),
                scope: Scope::Browser,
                wire: WIRE,
                build: build.into(),
                known: false,
                visible: true,
                watching: false,
                serves: Vec::new(),
                joined: Vec::new(),
                talks: Vec::new(),
                links: Vec::new(),
            };
            self.frame(frame, ToLeader::Hello(hello))
        }

        fn candidate(&mut self, build: &str) -> Vec<Output> {
            self.input(Input::Candidate { build: build.into() })
        }

        fn frame(&mut self, id: FrameId, message: ToLeader) -> Vec<Output> {
            self.input(Input::Frame(id, message))
        }

        fn pass(&mut self, ms: u64) -> Vec<Output> {
            self.now = self.now + Duration::from_millis(ms);
            self.input(Input::Timeout)
        }

        fn input(&mut self, input: Input) -> Vec<Output> {
            self.node.handle_input(input, self.now);
            std::iter::from_fn(|| self.node.poll_output()).collect()
        }
    }

    fn service(request: u32) -> ToLeader {
        let (name, method) = ("guestbook".try_into().unwrap(), "sign".try_into().unwrap());
        ToLeader::Service { request, name, method, args: "[]".into() }
    }

    fn lost(request: u32, text: &str, executed: Executed) -> Output {
        let failure = Failure::new(Code::LeaderLost, text).executed(executed);
        Output::Frame(NEW, ToFrame::Service { request, reply: ServiceReply::Failed(failure) })
    }
}
