//! Frames in another partition, whose locks can't be asked for.

use super::{lab::*, *};
use bitters_machine::Machine;

#[test]
fn a_remote_frame_is_asked_and_gone_when_it_says_nothing() {
    let mut lab = Lab::without_server();
    assert!(!comes(&mut lab).contains(&Output::WatchFrame(TAB)));
    assert_eq!(lab.node.poll_timeout(), Some(lab.now + Duration::from_secs(5)));
    let ping = [Output::Frame(TAB, ToFrame::Ping)];
    assert_eq!(lab.later(Duration::from_secs(5)), ping);
    assert_eq!(lab.later(Duration::from_secs(5)), ping);
    assert_eq!(lab.later(Duration::from_secs(5)), [Output::ForgetFrame(TAB)]);
    assert_eq!(lab.node.poll_timeout(), None, "nothing runs without one");
}

#[test]
fn a_word_keeps_it() {
    let mut lab = Lab::without_server();
    comes(&mut lab);
    for _ in 0..10 {
        assert_eq!(lab.later(Duration::from_secs(5)), [Output::Frame(TAB, ToFrame::Ping)]);
        assert_eq!(lab.later(Duration::from_secs(4)), []);
        assert_eq!(lab.frame(TAB, ToLeader::Pong), []);
    }
}

#[test]
fn a_frozen_one_has_a_minute() {
    let mut lab = Lab::without_server();
    comes(&mut lab);
    lab.frame(TAB, ToLeader::Frozen(true));
    for _ in 0..11 {
        assert_eq!(lab.later(Duration::from_secs(5)), [Output::Frame(TAB, ToFrame::Ping)]);
    }
    assert_eq!(lab.later(Duration::from_secs(5)), [Output::ForgetFrame(TAB)]);
}

#[test]
fn who_slept_asks_again_before_it_judges() {
    let mut lab = Lab::without_server();
    comes(&mut lab);
    let asked = Output::Frame(TAB, ToFrame::Ping);
    assert!(lab.later(Duration::from_secs(3600)).contains(&asked));
    assert!(lab.later(Duration::from_secs(5)).contains(&asked));
    lab.frame(TAB, ToLeader::Pong);
    assert!(lab.later(Duration::from_secs(5)).contains(&asked));
}

#[test]
fn a_frame_that_comes_over_to_us_is_watched_by_its_lock() {
    let mut lab = Lab::without_server();
    comes(&mut lab);
    let outputs = lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    assert!(outputs.contains(&Output::WatchFrame(TAB)));
    assert_eq!(lab.node.poll_timeout(), None);
}

#[test]
fn a_frame_whose_lock_is_free_at_once_is_asked_and_stays_as_long_as_it_answers() {
    let mut lab = Lab::without_server();
    lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    let ping = [Output::Frame(TAB, ToFrame::Ping)];
    assert_eq!(lab.input(Input::FrameUnseen(TAB)), ping);
    lab.frame(TAB, ToLeader::Pong);
    for _ in 0..5 {
        assert_eq!(lab.later(Duration::from_secs(5)), ping);
        assert_eq!(lab.frame(TAB, ToLeader::Pong), []);
    }
    let again = lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    assert!(again.contains(&Output::WatchFrame(TAB)), "its lock may tell of it now");
}

#[test]
fn one_that_died_before_its_lock_was_asked_for_is_gone_after_three_seconds() {
    let mut lab = Lab::without_server();
    lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    lab.input(Input::FrameUnseen(TAB));
    assert_eq!(lab.later(Duration::from_millis(2999)), []);
    assert_eq!(lab.later(Duration::from_millis(1)), [Output::ForgetFrame(TAB)]);
    assert_eq!(lab.input(Input::FrameUnseen(TAB)), [], "nobody asks who is gone");
}

#[test]
fn who_was_held_up_asks_a_frame_once_more_before_it_does_without() {
    let mut lab = Lab::without_server();
    lab.frame(TAB, ToLeader::Hello(hello(TAB, SITE)));
    lab.input(Input::FrameUnseen(TAB));
    assert_eq!(lab.later(Duration::from_secs(60)), [Output::Frame(TAB, ToFrame::Ping)], "its answer may wait");
    assert_eq!(lab.later(Duration::from_secs(5)), [Output::ForgetFrame(TAB)]);
}

fn comes(lab: &mut Lab) -> Vec<Output> {
    lab.frame(TAB, ToLeader::Hello(Hello { remote: true, ..hello(TAB, SITE) }))
}
