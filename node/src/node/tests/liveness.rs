//! Frames that fall silent, and machines that sleep.

use bitters_machine::Machine;
use bitters_wire::local::HeldLink;

use super::{lab::*, standbys::standing_by, *};

#[test]
fn a_silent_frame_is_asked_and_then_done_without() {
    let (mut lab, used, standby) = standing_by();
    lab.peer(used, &asks());
    assert_eq!(lab.later(Duration::from_secs(2)), [Output::Frame(TAB, ToFrame::Ping)]);
    let outputs = lab.later(Duration::from_secs(3));
    assert_eq!(outputs[..2], [command(TAB, used, LinkCommand::HangUp), said_in(OTHER, standby, &Control::Switch)]);
}

#[test]
fn a_frame_that_answers_stays() {
    let (mut lab, link) = Lab::linked();
    lab.admit(OTHER, SITE);
    lab.peer(link, &asks());
    assert_eq!(lab.later(Duration::from_secs(2)), [Output::Frame(TAB, ToFrame::Ping)]);
    lab.frame(TAB, ToLeader::Pong);
    assert_eq!(lab.later(Duration::from_secs(5)), []);
    assert!(lab.node.links.table().up(link).is_some());
}

#[test]
fn who_slept_asks_again_before_judging() {
    let (mut lab, link) = Lab::linked();
    lab.admit(OTHER, SITE);
    lab.peer(link, &asks());
    lab.later(Duration::from_secs(2));
    let outputs = lab.later(Duration::from_secs(5));
    assert!(outputs.contains(&Output::Frame(TAB, ToFrame::Ping)));
    assert!(lab.node.links.table().up(link).is_some());
}

#[test]
fn a_frozen_frame_carries_no_links_if_another_can() {
    let (mut lab, link) = Lab::linked();
    assert_eq!(lab.frame(TAB, ToLeader::Frozen(true)), [], "there is no other");
    lab.frame(TAB, ToLeader::Frozen(false));
    lab.admit(OTHER, SITE);
    assert_eq!(lab.frame(TAB, ToLeader::Frozen(true))[0], command(TAB, link, LinkCommand::HangUp));
}

#[test]
fn a_frame_that_brings_a_link_and_freezes_before_we_lead_is_done_without() {
    let mut lab = Lab::without_server();
    let held = |number, used| {
        let link = LinkId { epoch: Epoch(2), number };
        HeldLink { link, own: us(), peer: alice(), used, path: Path::Direct, direct: true, bond: BOND }
    };
    let brings = |frame, link| Hello { known: true, links: vec![link], ..hello(frame, SITE) };
    lab.frame(TAB, ToLeader::Hello(brings(TAB, held(5, true))));
    let standby = held(6, false);
    lab.frame(OTHER, ToLeader::Hello(brings(OTHER, standby)));
    lab.frame(TAB, ToLeader::Pong);
    let asked = lab.later(Duration::from_secs(2));
    assert!(asked.contains(&Output::Frame(OTHER, ToFrame::Ping)), "nothing else would show it: {asked:?}");
    assert!(!asked.contains(&Output::Frame(TAB, ToFrame::Ping)), "it spoke: {asked:?}");
    let outputs = lab.later(Duration::from_secs(3));
    assert!(outputs.contains(&command(OTHER, standby.link, LinkCommand::HangUp)), "{outputs:?}");
}

#[test]
fn links_are_probed_when_the_network_is_back() {
    let (mut lab, link) = Lab::linked();
    let outputs = lab.frame(TAB, ToLeader::Online);
    let closes = Output::Uplink(UplinkCommand::Close);
    assert_eq!(outputs, [command(TAB, link, LinkCommand::Restart), closes]);
    let again = lab.frame(TAB, ToLeader::Online);
    assert_eq!(again, [], "not twice in a moment");
}

#[test]
fn links_are_probed_after_a_sleep() {
    let (mut lab, link) = Lab::linked();
    let probe = command(TAB, link, LinkCommand::Probe);
    lab.input(Input::WallClock(1_000_000));
    lab.now = lab.now + Duration::from_secs(10);
    assert_eq!(lab.input(Input::WallClock(1_010_500)), []);
    assert_eq!(lab.input(Input::WallClock(1_100_000))[0], probe);

    let (mut lab, link) = Lab::linked();
    lab.frame(TAB, joins(1, LOBBY));
    lab.peer(link, &Control::Resume);
    let due = lab.node.poll_timeout().expect("something is awaited");
    assert!(lab.later(due.since(lab.now) + Duration::from_secs(60)).contains(&command(TAB, link, LinkCommand::Probe)));
}

#[test]
fn a_clock_that_is_set_by_a_day_ends_no_link() {
    const NOON: u64 = 29_000_000 * 60_000;
    const DAY: u64 = 24 * 60 * 60 * 1000;
    for (set, is_probed) in [(NOON + DAY, true), (NOON - DAY, false)] {
        let (mut lab, link) = Lab::linked();
        lab.input(Input::WallClock(NOON));
        let probed = [command(TAB, link, LinkCommand::Probe), Output::Uplink(UplinkCommand::Close)];
        let expected = if is_probed { probed.to_vec() } else { Vec::new() };
        assert_eq!(lab.input(Input::WallClock(set)), expected, "at {set}");

        // The right time again.
        let mut outputs = lab.input(Input::Uplink(UplinkEvent::Closed));
        outputs.extend(lab.within(Duration::from_secs(10)));
        outputs.extend(lab.input(Input::WallClock(NOON + 10_000)));
        assert!(outputs.contains(&Output::Uplink(UplinkCommand::Connect(URL.into()))), "{outputs:?}");
        assert!(!outputs.contains(&command(TAB, link, LinkCommand::HangUp)), "{outputs:?}");
        assert!(lab.node.links.table().up(link).is_some(), "at {set}");
        lab.register(Vec::new());
        lab.dialled(dials(NodeSecret::new([3; 32]).persona(SITE).id()));
    }
}

/// What a peer says and our frame is to answer.
fn asks() -> Control {
    Control::PassOn { to: PersonaId([9; 32]), signal: sealed(alice(), us(), dial(1)) }
}
