//! Another build's worker leads next.

use bitters_machine::Machine;
use bitters_wire::{failure::Executed, id::Boot};

use super::{lab::*, *};

#[test]
fn a_leader_without_a_frame_of_its_build_hands_over_when_all_said_their_last_word() {
    let mut lab = leading([(OLD, OURS), (NEW, "b2")]);
    assert_eq!(candidate(&mut lab, "b2"), []);
    let told = lab.frame(OLD, ToLeader::Leaving { moves: false });
    assert_eq!(told, [Output::ForgetFrame(OLD), Output::Frame(NEW, ToFrame::HandingOver)]);
    assert_eq!(lab.frame(NEW, ToLeader::LastWord), [Output::HandOver]);
    assert_eq!(lab.node.poll_timeout().filter(|due| *due <= lab.now), None);
    assert_eq!(lab.frame(NEW, ToLeader::LastWord), [], "once");
}

#[test]
fn nothing_moves_for_a_candidate_of_the_same_build_or_none_or_without_frames() {
    let mut lab = leading([(NEW, "b2")]);
    assert_eq!(candidate(&mut lab, OURS), []);
    lab.frame(NEW, ToLeader::Leaving { moves: false });
    assert_eq!(candidate(&mut lab, "b2"), []);
    assert_eq!(lab.input(Input::Timeout), []);

    let mut lab = leading([(OLD, OURS), (NEW, "b2")]);
    assert_eq!(lab.frame(OLD, ToLeader::Leaving { moves: false }), [Output::ForgetFrame(OLD)]);
}

#[test]
fn a_frame_that_says_nothing_is_waited_for_a_second() {
    let mut lab = leading([(NEW, "b2")]);
    assert_eq!(candidate(&mut lab, "b2"), [Output::Frame(NEW, ToFrame::HandingOver)]);
    assert_eq!(lab.later(Duration::from_millis(999)), []);
    assert_eq!(lab.later(Duration::from_millis(1)), [Output::HandOver]);
}

#[test]
fn services_that_were_taken_end_and_new_ones_are_for_the_next_leader() {
    let mut lab = leading([(NEW, "b2")]);
    lab.frame(NEW, service(1));
    assert_eq!(candidate(&mut lab, "b2"), []);

    assert_eq!(lab.frame(NEW, service(2)), [lost(2, "the node's leader is being replaced", Executed::No)]);

    let reply = ServiceReply::Value("1".into());
    let told = lab.input(Input::ServiceReply { frame: NEW, request: 1, reply: reply.clone() });
    let answer = Output::Frame(NEW, ToFrame::Service { request: 1, reply });
    assert_eq!(told, [answer, Output::Frame(NEW, ToFrame::HandingOver)]);
}

#[test]
fn services_that_don_t_end_are_lost_in_the_end() {
    let mut lab = leading([(NEW, "b2")]);
    lab.frame(NEW, service(1));
    candidate(&mut lab, "b2");
    assert_eq!(lab.later(Duration::from_millis(4999)), []);
    assert_eq!(
        lab.later(Duration::from_millis(1)),
        [
            Output::ServiceCancel { frame: NEW, request: 1 },
            lost(1, "the node's leader was replaced", Executed::Unknown),
            Output::Frame(NEW, ToFrame::HandingOver),
        ]
    );
}

#[test]
fn a_frame_of_our_build_that_comes_in_time_keeps_us() {
    let mut lab = leading([(NEW, "b2")]);
    lab.frame(NEW, service(1));
    candidate(&mut lab, "b2");
    says_hello(&mut lab, OLD, OURS);
    assert_eq!(lab.later(Duration::from_millis(5000)), []);
    let taken = lab.frame(NEW, service(2));
    assert!(matches!(taken[..], [Output::Service { request: 2, .. }]), "{taken:?}");
}

#[test]
fn a_frame_that_comes_in_the_middle_moves_along() {
    let mut lab = leading([(NEW, "b2")]);
    candidate(&mut lab, "b2");
    assert_eq!(says_hello(&mut lab, OLD, OURS).last(), Some(&Output::Frame(OLD, ToFrame::HandingOver)));
    assert_eq!(lab.frame(NEW, ToLeader::LastWord), []);
    assert_eq!(lab.frame(OLD, ToLeader::LastWord), [Output::HandOver]);
}

#[test]
fn a_frame_that_is_gone_is_not_waited_for() {
    let mut lab = leading([(NEW, "b2"), (THIRD, "b3")]);
    candidate(&mut lab, "b2");
    lab.frame(NEW, ToLeader::LastWord);
    assert_eq!(lab.input(Input::FrameGone(THIRD)), [Output::ForgetFrame(THIRD), Output::HandOver]);
}

#[test]
fn a_leader_that_hears_of_a_later_one_hands_over_whatever_the_builds_are() {
    let mut lab = leading([(OLD, OURS)]);
    let (epoch, boot) = (lab.node.reign.leader.epoch, lab.node.reign.leader.boot);
    assert_eq!(lab.input(Input::LeaderUp(epoch, boot)), [], "it is ours");
    let (earlier, last) = (Epoch(epoch.0 - 1), Boot(FrameId::from_random([255; 16]).0));
    assert_eq!(lab.input(Input::LeaderUp(earlier, last)), [], "it will hear of us");
    assert_eq!(lab.input(Input::LeaderUp(epoch, last)), [Output::Frame(OLD, ToFrame::HandingOver)], "one of two stays");
    assert_eq!(lab.frame(OLD, ToLeader::LastWord), [Output::HandOver]);

    let mut lab = Lab::without_server();
    let later = Epoch(lab.node.reign.leader.epoch.0 + 1);
    assert_eq!(lab.input(Input::LeaderUp(later, Boot::default())), [Output::HandOver], "nobody is left");
}

const OLD: FrameId = TAB;
const NEW: FrameId = OTHER;

/// A leader with frames of these builds.
fn leading<const N: usize>(frames: [(FrameId, &str); N]) -> Lab {
    let mut lab = Lab::without_server();
    for (frame, build) in frames {
        says_hello(&mut lab, frame, build);
    }
    lab
}

fn says_hello(lab: &mut Lab, frame: FrameId, build: &str) -> Vec<Output> {
    lab.frame(frame, ToLeader::Hello(Hello { build: build.into(), ..hello(frame, SITE) }))
}

fn candidate(lab: &mut Lab, build: &str) -> Vec<Output> {
    lab.input(Input::Candidate { build: build.into() })
}

fn service(request: u32) -> ToLeader {
    let (name, method) = ("guestbook".try_into().unwrap(), "sign".try_into().unwrap());
    ToLeader::Service { request, name, method, args: "[]".into() }
}

fn lost(request: u32, text: &str, executed: Executed) -> Output {
    let failure = Failure::new(Code::LeaderLost, text).executed(executed);
    Output::Frame(NEW, ToFrame::Service { request, reply: ServiceReply::Failed(failure) })
}
