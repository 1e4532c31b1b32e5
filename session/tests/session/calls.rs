//! Calls, from a site to another.

use std::time::Duration;

use crate::support::{Net, call, echo, name, start_call, text};
use bitters_session::{CallKey, OpenError, Output};
use bitters_wire::{
    data::Data,
    failure::{Code, Executed},
    limits::MAX_MESSAGE,
    packet::{Body, Service},
    rpc::Outcome,
};

#[test]
fn a_call_is_answered() {
    let mut net = Net::new([1, 2]);
    net.frames[1].endpoint.serve(echo());
    let near = start_call(&mut net, text("hello"));
    let caller = net.frames[0].persona;

    let Output::IncomingCall { call: far, .. } = net.frames[1].told[0] else { panic!("no call") };
    let incoming = Output::IncomingCall { call: far, from: caller, method: name("echo"), data: text("hello") };
    assert_eq!(net.told(1), [incoming]);
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(text("hello to you"))));

    assert_eq!(net.told(0), [Output::CallDone { call: near, outcome: Ok(text("hello to you")) }]);
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(text("again"))));
    net.pass(Duration::from_secs(120));
    assert_eq!((net.told(0), net.told(1), net.next_timeout()), (vec![], vec![], None));
}

#[test]
fn the_largest_call_passes_both_ways_and_a_larger_one_not() {
    let mut net = Net::new([1, 2]);
    let largest = Data::Bytes(vec![7; MAX_MESSAGE]);
    let (near, far) = call(&mut net, largest.clone());
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(largest.clone())));

    assert_eq!(net.told(0), [Output::CallDone { call: near, outcome: Ok(largest) }]);
    let (peer, larger) = (net.frames[1].persona, Data::Bytes(vec![7; MAX_MESSAGE + 1]));
    let refused = net.at(0, |endpoint, now| endpoint.call(peer, name("echo"), larger, Duration::ZERO, now));
    assert_eq!(refused, Err(OpenError::TooLarge));
}

#[test]
fn many_long_arguments_come_in_a_few_at_a_time() {
    let mut net = Net::new([1, 2]);
    net.frames[1].endpoint.serve(echo());
    net.cut = true;
    for _ in 0..100 {
        start_call(&mut net, Data::Bytes(vec![7; MAX_MESSAGE]));
    }
    net.cut = false;
    net.pass(Duration::from_secs(6));

    let incoming = net.told(1).into_iter().filter(|output| matches!(output, Output::IncomingCall { .. })).count();
    assert_eq!(incoming, 100);
}

#[test]
fn what_a_handler_throws_arrives() {
    let mut net = Net::new([1, 2]);
    let (near, far) = call(&mut net, text(""));
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Err("no".to_owned())));
    assert_eq!(failed(&mut net, near), (Code::Remote, Executed::Yes));
}

#[test]
fn a_result_too_large_says_that_it_ran() {
    let mut net = Net::new([1, 2]);
    let (near, far) = call(&mut net, text(""));
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(Data::Bytes(vec![0; MAX_MESSAGE + 1]))));
    assert_eq!(failed(&mut net, near), (Code::TooLarge, Executed::Yes));
}

#[test]
fn a_method_that_nobody_answers_did_not_run() {
    let mut net = Net::new([1, 2]);
    let near = start_call(&mut net, text(""));
    assert_eq!(failed(&mut net, near), (Code::NotFound, Executed::No));
}

#[test]
fn a_call_is_over_at_its_deadline_and_its_handler_knows() {
    let mut net = Net::new([1, 2]);
    let (near, far) = call(&mut net, text(""));

    net.pass(Duration::from_millis(14_999));
    assert_eq!(net.told(0), []);
    net.pass(Duration::from_millis(1));

    assert_eq!(failed(&mut net, near), (Code::Timeout, Executed::Unknown));
    assert_eq!(net.told(1), [Output::CallCancelled(far)]);
}

#[test]
fn a_call_that_never_left_did_not_run() {
    let mut net = Net::new([1, 2]);
    net.cut = true;
    let peer = net.frames[1].persona;
    let near =
        net.at(0, |endpoint, now| endpoint.call(peer, name("echo"), text(""), Duration::from_secs(3), now)).unwrap();
    net.pass(Duration::from_secs(3));
    assert_eq!(failed(&mut net, near), (Code::Timeout, Executed::No));
}

#[test]
fn a_call_that_was_over_before_its_peer_answered_never_runs() {
    let mut net = Net::new([1, 2]);
    net.at(1, |endpoint, _| endpoint.serve(Service::Method(name("echo"))));
    net.cut = true;
    let peer = net.frames[1].persona;
    let [late, early] = [30, 3].map(|seconds| {
        let timeout = Duration::from_secs(seconds);
        net.at(0, |endpoint, now| endpoint.call(peer, name("echo"), text(""), timeout, now)).unwrap()
    });
    net.pass(Duration::from_secs(3));
    assert_eq!(failed(&mut net, early), (Code::Timeout, Executed::No));

    net.cut = false;
    net.pass(Duration::from_secs(3));

    let told = net.told(1);
    assert!(matches!(told[..], [Output::IncomingCall { .. }]), "{told:?}");
    net.at(0, |endpoint, _| endpoint.cancel_call(late));
    assert_eq!(failed(&mut net, late), (Code::Aborted, Executed::Unknown));
}

#[test]
fn a_cancelled_call_is_done_at_once_and_its_handler_knows() {
    let mut net = Net::new([1, 2]);
    let (near, far) = call(&mut net, text(""));
    net.at(0, |endpoint, _| endpoint.cancel_call(near));

    assert_eq!(failed(&mut net, near), (Code::Aborted, Executed::Unknown));
    assert_eq!(net.told(1), [Output::CallCancelled(far)]);
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(text("late"))));
    assert_eq!(net.told(0), []);
}

#[test]
fn a_handler_cannot_cancel_and_a_caller_cannot_reply() {
    let mut net = Net::new([1, 2]);
    let (near, far) = call(&mut net, text(""));
    net.at(1, |endpoint, _| endpoint.cancel_call(far));
    net.at(0, |endpoint, _| endpoint.reply(near, Outcome::Ok(text("self-made"))));
    assert_eq!((net.told(0), net.told(1)), (vec![], vec![]));
}

#[test]
fn a_page_that_is_gone_may_have_run_it() {
    let mut net = Net::new([1, 2]);
    let (first, _) = call(&mut net, text(""));
    net.frames[1].gone = true;
    let second = start_call(&mut net, text(""));

    let lost = |output: &Output| match output {
        Output::CallDone { call, outcome: Err(failure) } => (*call, failure.code, failure.executed.unwrap()),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = net.told(0).iter().map(lost).collect();
    assert_eq!(told, [first, second].map(|call| (call, Code::PeerUnreachable, Executed::Unknown)));
}

#[test]
fn a_call_goes_to_the_tab_that_serves_now() {
    for argument in [text("small"), Data::Bytes(vec![7; 16 * 1024]), Data::Bytes(vec![7; MAX_MESSAGE])] {
        let mut net = two_tabs();
        net.at(2, |endpoint, _| endpoint.unserve(&echo()));
        net.frames[2].idle = true;

        let near = start_call(&mut net, argument.clone());

        assert_eq!(net.told(2), []);
        let Some(Output::IncomingCall { call: far, data, .. }) = net.told(1).pop() else { panic!("no call") };
        assert_eq!(data, argument);
        net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(text("here"))));
        assert_eq!(net.told(0), [Output::CallDone { call: near, outcome: Ok(text("here")) }]);

        // The next one goes there straight away, and nothing is left of the way that led nowhere.
        let opens = opens(&net);
        let (near, far) = (start_call(&mut net, text("again")), net.told(1));
        assert!(matches!(far[..], [Output::IncomingCall { .. }]), "{far:?}");
        assert_eq!(self::opens(&net), opens);
        net.at(0, |endpoint, _| endpoint.cancel_call(near));
        net.pass(Duration::from_secs(180));
        assert_eq!(net.next_timeout(), None);
    }
}

#[test]
fn a_call_goes_to_a_second_tab_and_not_to_a_third() {
    let mut net = two_tabs();
    let before = opens(&net);
    // The leader hasn't heard of it, so it names the same tab again.
    net.at(2, |endpoint, _| endpoint.unserve(&echo()));

    let near = start_call(&mut net, text(""));

    assert_eq!(failed(&mut net, near), (Code::NotFound, Executed::No));
    assert_eq!(opens(&net), before + 1);

    // Nor does a peer that goes on like that make this side work for more than one handshake for each call.
    for calls in 2..20 {
        let near = start_call(&mut net, text(""));
        assert_eq!(failed(&mut net, near), (Code::NotFound, Executed::No));
        assert_eq!(opens(&net), before + calls);
    }
    net.pass(Duration::from_secs(180));
    assert_eq!(net.next_timeout(), None);
}

#[test]
fn a_call_that_no_tab_serves_any_longer_is_not_found() {
    let mut net = two_tabs();
    for tab in [1, 2] {
        net.at(tab, |endpoint, _| endpoint.unserve(&echo()));
        net.frames[tab].idle = true;
    }
    let near = start_call(&mut net, text(""));
    assert_eq!(failed(&mut net, near), (Code::NotFound, Executed::No));
}

#[test]
fn a_call_whose_argument_is_on_its_way_to_a_tab_that_stops_serving_runs_in_another() {
    let mut net = two_tabs();
    let argument = Data::Bytes(vec![7; MAX_MESSAGE]);
    // The tab has the beginning of the argument, and its grant of the rest is lost.
    net.deaf = Some(0);
    let near = start_call(&mut net, argument.clone());
    net.deaf = None;
    net.at(2, |endpoint, _| endpoint.unserve(&echo()));
    net.frames[2].idle = true;
    net.pass(Duration::from_secs(6));

    assert_eq!(net.told(2), []);
    let Some(Output::IncomingCall { call: far, data, .. }) = net.told(1).pop() else { panic!("no call") };
    assert_eq!(data, argument);
    net.at(1, |endpoint, _| endpoint.reply(far, Outcome::Ok(text("here"))));
    assert_eq!(net.told(0), [Output::CallDone { call: near, outcome: Ok(text("here")) }]);
}

#[test]
fn a_call_that_goes_to_a_second_tab_keeps_its_deadline_and_can_be_given_up() {
    let mut net = two_tabs();
    net.at(2, |endpoint, _| endpoint.unserve(&echo()));
    net.frames[2].idle = true;
    let late = start_call(&mut net, text(""));
    net.pass(Duration::from_secs(15));
    assert_eq!(failed(&mut net, late), (Code::Timeout, Executed::Unknown));

    let near = start_call(&mut net, text(""));
    net.at(0, |endpoint, _| endpoint.cancel_call(near));
    assert_eq!(failed(&mut net, near), (Code::Aborted, Executed::Unknown));
    let told = net.told(1);
    assert_eq!(told.iter().filter(|output| matches!(output, Output::CallCancelled(_))).count(), 2, "{told:?}");
}

/// A caller, and two tabs of one persona that both answer. The caller has spoken with the second.
fn two_tabs() -> Net {
    let mut net = Net::new([1, 2, 2]);
    net.frames[1].endpoint.serve(echo());
    net.frames[2].endpoint.serve(echo());
    let near = start_call(&mut net, text("first"));
    let Some(Output::IncomingCall { call: far, .. }) = net.told(2).pop() else { panic!("no call") };
    net.at(2, |endpoint, _| endpoint.reply(far, Outcome::Ok(text("hello"))));
    assert_eq!(net.told(0), [Output::CallDone { call: near, outcome: Ok(text("hello")) }]);
    net
}

/// How many sessions were opened.
fn opens(net: &Net) -> usize {
    net.sent.iter().filter(|packet| matches!(packet.body, Body::Open { .. })).count()
}

fn failed(net: &mut Net, call: CallKey) -> (Code, Executed) {
    let told = net.told(0);
    let [Output::CallDone { call: done, outcome: Err(failure) }] = &told[..] else { panic!("one failure: {told:?}") };
    assert_eq!(*done, call);
    (failure.code, failure.executed.unwrap())
}
