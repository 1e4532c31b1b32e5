//! What the badge asks, what the person answers, and the islands that this leads into.

use bitters_wire::permission::{Answer, Permission};

use super::*;
use crate::site::Outcome;

#[test]
fn nothing_is_asked_before_the_person_or_the_site_wants_it() {
    let mut frame = Asked::new(BOTH);
    let ready = Badge::Ready { id: persona(ALICE).id().to_string(), peers: 0, scope: Scope::Site, offers: true };
    assert_eq!(frame.outputs(Input::Leader(frame.leader_says(ToFrame::Peers(0)))), [Output::Badge(ready)]);

    let asking = frame.outputs(Input::Clicked(Click::Offer));
    assert_eq!(asking, asks(Question::Unify));
}

#[test]
fn a_yes_goes_to_the_browser_and_a_grant_leads_into_the_island_of_all_sites() {
    let mut frame = Asked::new(BOTH);
    let id = persona(ALICE);
    assert_eq!(frame.outputs(unify(1)), asks(Question::Unify));
    assert_eq!(frame.outputs(Input::Clicked(Click::Yes)), [Output::RequestAccess, waits(Elsewhere::Browser)]);

    let outputs = frame.outputs(Input::Access(true));
    assert_eq!(outputs[0], Output::Announce(Announcement::Granted), "the site's other frames follow");
    assert_eq!(said(&outputs), [ToLeader::Leaving { moves: true }]);
    assert_eq!(outputs.last(), Some(&Output::Enter));

    assert_eq!(tells(&frame.outputs(Input::Island { scope: Scope::Browser, remote: false })), []);
    let outputs = frame.outputs(Input::Connected);
    let [ToLeader::Hello(hello)] = &said(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!((hello.scope, hello.remote, &hello.brings), (Scope::Browser, false, &Some(id)));
    frame.welcome(welcome(ALICE));
    assert_eq!(tells(&frame.heard), [0, 1].map(|id| scope(id, Scope::Browser)), "now it can be asked for all");
}

#[test]
fn what_the_browser_refuses_the_node_s_page_may_still_give() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    frame.outputs(Input::Clicked(Click::Yes));
    assert_eq!(frame.outputs(Input::Followed(false)), [], "it was the browser that was asked");
    assert_eq!(frame.outputs(Input::Access(false)), asks(Question::Visit));
    assert_eq!(frame.outputs(Input::Clicked(Click::Open)), opens(Permission::Join));

    let outputs = frame.outputs(Input::PetitionOver(Outcome::Yes));
    assert_eq!(outputs.last(), Some(&Output::Enter));
    frame.outputs(Input::Island { scope: Scope::Browser, remote: true });
    let outputs = frame.outputs(Input::Connected);
    let [ToLeader::Hello(hello)] = &said(&outputs)[..] else { panic!("{outputs:?}") };
    assert!(hello.remote);
}

#[test]
fn a_browser_that_does_not_answer_is_not_waited_for() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    frame.outputs(Input::Clicked(Click::Yes));
    assert_eq!(frame.until_due(), 5000);
    assert_eq!(frame.outputs(Input::Timeout), asks(Question::Visit));
    assert_eq!(frame.outputs(Input::Access(false)), [], "late");
    let outputs = frame.outputs(Input::Access(true));
    assert_eq!(outputs[0], Output::Announce(Announcement::Granted), "late as well, and welcome");
}

#[test]
fn without_the_handle_the_first_yes_opens_the_node_s_page() {
    let mut frame = Asked::new(Means { bridge: true, handle: false });
    frame.outputs(Input::Clicked(Click::Offer));
    assert_eq!(frame.outputs(Input::Clicked(Click::Yes)), opens(Permission::Join));
}

#[test]
fn a_no_is_kept_and_nobody_asks_again() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    let outputs = frame.outputs(Input::Clicked(Click::No));
    assert_eq!(said(&outputs), [permit(Permission::Join, Answer::No)]);
    assert_eq!(denied(&outputs), [1]);
    assert!(outputs.iter().any(|it| matches!(it, Output::Badge(Badge::Ready { offers: false, .. }))));

    assert_eq!(denied(&frame.outputs(unify(2))), [2]);
    assert_eq!(frame.outputs(Input::Clicked(Click::Offer)), []);

    let mut next = Asked::with(BOTH, Permissions { join: Answer::No, ..Permissions::default() });
    assert_eq!(denied(&next.outputs(unify(1))), [1], "the leader remembers");
}

#[test]
fn what_is_answered_while_nobody_leads_is_told_to_the_next_leader() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    frame.outputs(Input::Connected);
    let outputs = frame.outputs(Input::Clicked(Click::No));
    assert_eq!((said(&outputs), denied(&outputs)), (vec![], vec![1]));

    frame.welcome(welcome(ALICE));
    assert_eq!(said(&frame.heard), [permit(Permission::Join, Answer::No)]);
    assert_eq!(denied(&frame.outputs(unify(2))), [2], "before the leader says so, too");
}

#[test]
fn a_page_that_is_closed_without_an_answer_is_no_no() {
    let mut frame = Asked::new(Means { bridge: true, handle: false });
    frame.outputs(unify(1));
    frame.outputs(Input::Clicked(Click::Yes));
    let outputs = frame.outputs(Input::PetitionOver(Outcome::Closed));
    assert_eq!(denied(&outputs), [1]);
    assert_eq!(said(&outputs), []);
    assert_eq!(frame.outputs(unify(2)), asks(Question::Unify));
}

#[test]
fn a_page_that_the_browser_doesn_t_open_is_no_no_and_says_what_is_in_the_way() {
    let mut frame = Asked::new(Means { bridge: true, handle: false });
    frame.outputs(unify(1));
    frame.outputs(Input::Clicked(Click::Yes));
    let outputs = frame.outputs(Input::PetitionOver(Outcome::Unopened));
    let told = outputs.iter().find_map(|output| match output {
        Output::Tell(Event { id: 1, tell: Tell::Failed(failure) }) => Some(failure),
        _ => None,
    });
    let Failure { code, message, .. } = told.expect("it is refused");
    assert_eq!(*code, Code::Unsupported);
    assert!(message.contains("Cross-Origin-Opener-Policy") && message.contains("allow-popups"), "{message}");
    assert_eq!(said(&outputs), []);
    assert_eq!(frame.outputs(unify(2)), asks(Question::Unify));
}

#[test]
fn as_long_as_the_person_is_asked_elsewhere_the_badge_says_so() {
    let peers = |frame: &Asked| Input::Leader(frame.leader_says(ToFrame::Peers(3)));
    let mut frame = Asked::new(BOTH);
    frame.outputs(Input::Clicked(Click::Offer));
    frame.outputs(Input::Clicked(Click::Yes));
    assert_eq!(frame.outputs(peers(&frame)), [waits(Elsewhere::Browser)], "the room is still there");
    frame.outputs(Input::Access(false));
    frame.outputs(Input::Clicked(Click::Open));
    assert_eq!(frame.outputs(peers(&frame)), [waits(Elsewhere::Page)]);
    assert_eq!(frame.outputs(Input::Clicked(Click::No)), [], "that was another question");
}

#[test]
fn who_leaves_a_question_has_said_no_no() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    frame.outputs(Input::Clicked(Click::Yes));
    let left = frame.outputs(Input::Clicked(Click::Cancel));
    assert_eq!((said(&left), denied(&left)), (vec![], vec![1]));
    let offers = |it: &Output| matches!(it, Output::Badge(Badge::Ready { offers: true, .. }));
    assert!(left.iter().any(offers), "{left:?}");
    assert_eq!(frame.outputs(Input::Access(false)), [], "late");

    // The page is closed, which is an answer as if the person had done it.
    frame.outputs(unify(2));
    frame.outputs(Input::Clicked(Click::Yes));
    frame.outputs(Input::Access(false));
    frame.outputs(Input::Clicked(Click::Open));
    assert_eq!(frame.outputs(Input::Clicked(Click::Cancel)), [Output::ClosePage]);
    let left = frame.outputs(Input::PetitionOver(Outcome::Closed));
    assert_eq!((said(&left), denied(&left)), (vec![], vec![2]));
    assert!(left.iter().any(offers), "{left:?}");
    assert_eq!(frame.outputs(unify(3)), asks(Question::Unify));
}

#[test]
fn a_wish_that_is_given_up_takes_its_question_along() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    let outputs = frame.outputs(Input::Ask(Request { id: 1, ask: Ask::Cancel }));
    assert!(tells(&outputs).contains(&Event { id: 1, tell: Tell::End }));
    assert!(outputs.iter().any(|it| matches!(it, Output::Badge(Badge::Ready { .. }))));
}

#[test]
fn where_nothing_can_be_done_the_wish_is_unsupported_and_nothing_is_offered() {
    let mut frame = Asked::new(Means::default());
    let outputs = frame.outputs(unify(1));
    let [Event { id: 1, tell: Tell::Failed(failure) }] = &tells(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!(failure.code, Code::Unsupported);
    assert_eq!(frame.outputs(Input::Clicked(Click::Offer)), []);
    assert_eq!(frame.outputs(Input::Announced(Announcement::Granted)), [], "nor is anybody followed");
}

#[test]
fn who_hears_that_the_browser_let_another_frame_out_follows_without_a_click() {
    let mut frame = Asked::new(BOTH);
    assert_eq!(frame.outputs(granted()), [Output::Follow]);
    assert_eq!(frame.outputs(Input::Followed(false)), [], "nor is anything asked if it can't");
    assert_eq!(frame.outputs(granted()), [Output::Follow]);
    let outputs = frame.outputs(Input::Followed(true));
    assert_eq!(outputs.last(), Some(&Output::Enter));
    assert!(!outputs.contains(&Output::Announce(Announcement::Granted)), "one frame calls");
}

#[test]
fn who_is_called_by_several_follows_once() {
    let mut frame = Asked::new(BOTH);
    assert_eq!([granted(), granted()].map(|it| frame.outputs(it)), [vec![Output::Follow], vec![]]);

    // The person clicks meanwhile, and the browser grants as well.
    frame.outputs(Input::Clicked(Click::Offer));
    frame.outputs(Input::Clicked(Click::Yes));
    let entered = [Input::Followed(true), Input::Access(true), Input::Followed(true)].map(|it| frame.outputs(it));
    let left = |outputs: &[Output]| (said(outputs), outputs.contains(&Output::Enter));
    assert_eq!(
        entered.map(|it| left(&it)),
        [(vec![ToLeader::Leaving { moves: true }], true), (vec![], false), (vec![], false)]
    );
}

#[test]
fn on_its_way_a_frame_hears_nothing_of_the_island_that_it_leaves() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    frame.outputs(granted());
    let room = bitters_wire::rpc::Room { width: 0, height: 0 };
    let left = frame.outputs(Input::Followed(true));
    assert!(tells(&left).contains(&Event { id: 0, tell: Tell::Badge(room) }), "what it asks is settled");

    let says = |message| Input::Leader(Envelope { epoch: Epoch(7), boot: boot(1), message });
    for heard in [says(ToFrame::Peers(1)), says(ToFrame::Ping), granted(), Input::Connected, Input::WorkerFailed] {
        assert_eq!(frame.outputs(heard), []);
    }
    assert_eq!(frame.outputs(unify(2)), [], "it is where that leads");
    assert_eq!(tells(&frame.arrives(Scope::Browser, false)), [0, 1, 2].map(|id| scope(id, Scope::Browser)));
}

#[test]
fn a_frame_beyond_a_bridge_tells_those_at_home() {
    let mut frame = Asked::new(BOTH);
    let outputs = frame.outputs(Input::Island { scope: Scope::Browser, remote: true });
    assert!(outputs.contains(&Output::AnnounceAtHome(Announcement::Granted)));
    let up = Announcement::FrameUp { frame: FrameId::from_random([1; 16]), channel: false };
    assert_eq!(frame.outputs(Input::AnnouncedAtHome(up.clone())), [Output::AnnounceAtHome(Announcement::Granted)]);
    frame.outputs(Input::BridgeClosed);
    assert_eq!(frame.outputs(Input::AnnouncedAtHome(up)), [], "there is nothing to share any longer");
}

#[test]
fn what_the_person_takes_back_on_the_node_s_page_ends_it_and_is_told_at_home() {
    let no = Permissions { join: Answer::No, ..Permissions::default() };
    for remote in [true, false] {
        let mut frame = Asked::in_all_sites(remote);
        frame.welcome(welcome(ALICE));
        let outputs = frame.outputs(Input::Leader(frame.leader_says(ToFrame::Permissions(no))));
        assert_eq!(said(&outputs), [ToLeader::Leaving { moves: true }]);
        assert_eq!(outputs.last(), Some(&Output::Return));

        let outputs = frame.outputs(Input::Island { scope: Scope::Site, remote: false });
        assert!(!outputs.contains(&Output::Follow));
        assert_eq!(frame.outputs(granted()), [], "it doesn't follow those who are still there");
        frame.outputs(Input::Connected);
        frame.welcome(welcome(ALICE));
        assert!(tells(&frame.heard).contains(&scope(0, Scope::Site)));
        assert_eq!(said(&frame.heard), [permit(Permission::Join, Answer::No)]);
        assert!(frame.heard.iter().any(|it| matches!(it, Output::Badge(Badge::Ready { offers: false, .. }))));
        assert_eq!(denied(&frame.outputs(unify(1))), [1]);
    }
}

#[test]
fn a_no_on_the_node_s_page_counts_where_the_browser_asks_nobody() {
    let no = Permissions { join: Answer::No, ..Permissions::default() };
    let mut frame = Asked::started(Config { scope: Scope::Browser, ..config(ALICE) });
    frame.outputs(Input::Host { versions: RPC, identity: Identity::Site });
    frame.welcome(Welcome { permissions: no, ..welcome(ALICE) });
    assert_eq!(tells(&frame.heard), [], "the site isn't told of a node that it isn't to be in");
    assert_eq!(frame.heard.last(), Some(&Output::Return));

    frame.outputs(Input::Island { scope: Scope::Site, remote: false });
    let [ToLeader::Hello(hello)] = &said(&frame.outputs(Input::Connected))[..] else { panic!("no hello") };
    assert_eq!(hello.brings, Some(persona(ALICE)), "it keeps its id");
    frame.welcome(welcome(ALICE));
    let scopes = tells(&frame.heard).into_iter().filter_map(|it| match it.tell {
        Tell::Welcome(welcome) => Some(welcome.scope),
        _ => None,
    });
    assert_eq!(scopes.collect::<Vec<_>>(), [Scope::Site]);
}

#[test]
fn what_the_person_decided_of_network_addresses_goes_home_with_the_frame() {
    let decided = |hides, decided| Hiding { hides, decided };
    let mut frame = Asked::in_all_sites(true);
    frame.welcome(welcome(ALICE));
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Hides(decided(true, 7)))));
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Hides(decided(false, 6)))));
    frame.outputs(Input::BridgeClosed);
    frame.outputs(Input::Island { scope: Scope::Site, remote: false });
    let hello = |outputs: &[Output]| match &said(outputs)[..] {
        [ToLeader::Hello(hello)] => hello.hiding,
        other => panic!("{other:?}"),
    };
    assert_eq!(hello(&frame.outputs(Input::Connected)), decided(true, 7));
    frame.welcome(Welcome { hiding: decided(false, 8), ..welcome(ALICE) });
    frame.outputs(Input::IslandLost);
    frame.outputs(Input::Island { scope: Scope::Site, remote: false });
    assert_eq!(hello(&frame.outputs(Input::Connected)), decided(false, 8), "at home it was decided since");
}

#[test]
fn whom_the_person_blocked_goes_home_with_the_frame() {
    let blocked = |n, decided| Blocked { peers: vec![PersonaId([n; 32])], decided };
    let mut frame = Asked::in_all_sites(true);
    frame.welcome(Welcome { blocked: blocked(1, 6), ..welcome(ALICE) });
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Blocked(blocked(2, 7)))));
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Blocked(blocked(3, 5)))));
    frame.outputs(Input::BridgeClosed);
    frame.outputs(Input::Island { scope: Scope::Site, remote: false });
    let outputs = frame.outputs(Input::Connected);
    let [ToLeader::Hello(hello)] = &said(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!(hello.blocked, blocked(2, 7));
}

#[test]
fn a_no_in_another_tab_settles_what_this_one_asks() {
    let mut frame = Asked::new(BOTH);
    frame.outputs(unify(1));
    let no = Permissions { join: Answer::No, ..Permissions::default() };
    let outputs = frame.outputs(Input::Leader(frame.leader_says(ToFrame::Permissions(no))));
    assert_eq!(denied(&outputs), [1]);
    assert!(outputs.iter().any(|it| matches!(it, Output::Badge(Badge::Ready { offers: false, .. }))));
    assert_eq!(frame.outputs(granted()), []);
    assert_eq!(frame.outputs(Input::Access(true)), [], "nor does what the browser says later count");
}

#[test]
fn a_worker_that_cannot_be_loaded_makes_its_island_useless() {
    let mut frame = Asked::in_all_sites(false);
    assert_eq!(frame.outputs(Input::WorkerFailed).last(), Some(&Output::Return));

    let mut frame = Asked::in_all_sites(false);
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Welcome(welcome(ALICE)))));
    assert_eq!(frame.outputs(Input::WorkerFailed), [], "another build leads");
}

#[test]
fn a_bridge_whose_page_is_closed_is_over_if_its_leader_is() {
    let mut frame = Asked::in_all_sites(true);
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Welcome(welcome(ALICE)))));

    assert_eq!(said(&frame.outputs(Input::BridgeClosed)), [ToLeader::Ping]);
    frame.outputs(Input::Leader(frame.leader_says(ToFrame::Pong)));
    assert_eq!(frame.until_due(), 12_000, "another page keeps the leader");

    frame.outputs(Input::BridgeClosed);
    assert_eq!(frame.until_due(), 3000);
    assert_eq!(frame.outputs(Input::Timeout).last(), Some(&Output::Return));
    assert!(tells(&frame.arrives(Scope::Site, false)).contains(&scope(0, Scope::Site)));
}

#[test]
fn one_id_for_all_sites_is_asked_for_and_the_site_waits() {
    let mut frame = Asked::waiting(Scope::Browser, Permissions::default());
    assert_eq!(frame.outputs(Input::Clicked(Click::Open)), opens(Permission::Person));
    frame.outputs(Input::PetitionOver(Outcome::Yes));

    let person = Welcome { persona: persona(BOB), identity: Identity::Person, ..welcome(ALICE) };
    let outputs = frame.outputs(Input::Leader(frame.leader_says(ToFrame::Welcome(person))));
    let ids: Vec<String> = tells(&outputs)
        .into_iter()
        .filter_map(|it| if let Tell::Welcome(welcome) = it.tell { Some(welcome.id) } else { None })
        .collect();
    assert_eq!(ids, [persona(BOB).id().to_string()]);
}

#[test]
fn one_id_for_all_sites_is_refused_after_a_no_and_where_a_node_has_one_site() {
    let mut frame = Asked::waiting(Scope::Browser, Permissions::default());
    let outputs = frame.outputs(Input::Clicked(Click::No));
    assert_eq!(said(&outputs), [permit(Permission::Person, Answer::No)]);
    assert_eq!(denied(&outputs), [0]);
    assert!(outputs.contains(&Output::CloseHost));

    let no = Permissions { person: Answer::No, ..Permissions::default() };
    assert_eq!(denied(&Asked::waiting(Scope::Browser, no).heard), [0]);
    let alone = Config { means: Means::default(), ..config(ALICE) };
    assert_eq!(denied(&Asked::waiting_in(alone, Permissions::default()).heard), [0]);
}

#[test]
fn one_id_for_all_sites_needs_one_node_which_is_asked_for_first() {
    let mut frame = Asked::waiting(Scope::Site, Permissions::default());
    assert_eq!(&frame.heard[frame.heard.len() - 2..], &asks(Question::Unify));
    frame.outputs(Input::Clicked(Click::Yes));
    frame.outputs(Input::Access(true));
    let arrived = frame.arrives(Scope::Browser, false);
    assert_eq!(&arrived[arrived.len() - 2..], &asks(Question::Person));
    assert_eq!(tells(&arrived).len(), 1, "nobody was welcomed who could be told a scope: {arrived:?}");

    // Another frame leads there.
    let mut follower = Asked::waiting(Scope::Site, Permissions::default());
    follower.outputs(granted());
    follower.outputs(Input::Followed(true));
    let arrived = follower.arrives(Scope::Browser, true);
    assert_eq!(&arrived[arrived.len() - 2..], &asks(Question::Person));

    // The person doesn't want the one, and so not the other.
    let no = Permissions { join: Answer::No, ..Permissions::default() };
    assert_eq!(denied(&Asked::waiting(Scope::Site, no).heard), [0]);
    let mut frame = Asked::waiting(Scope::Site, Permissions::default());
    let outputs = frame.outputs(Input::Clicked(Click::No));
    assert_eq!((said(&outputs), denied(&outputs)), (vec![permit(Permission::Join, Answer::No)], vec![0]));
    let mut frame = Asked::waiting(Scope::Site, Permissions::default());
    frame.outputs(Input::Clicked(Click::Yes));
    let left = frame.outputs(Input::Clicked(Click::Cancel));
    assert_eq!((said(&left), denied(&left)), (vec![], vec![0]));
}

#[test]
fn the_node_s_page_answers_whoever_opened_it_once() {
    let mut page = Asked::page();
    let petition = Input::Petition { site: ALICE.into(), permission: Permission::Join };
    let card = Card::Asking { site: ALICE.into(), permission: Permission::Join };
    assert_eq!(page.outputs(petition.clone()), [Output::Card(card)]);
    assert_eq!(page.outputs(petition.clone()), []);

    let outputs = page.outputs(Input::Clicked(Click::Allow));
    assert_eq!(said(&outputs), [permit(Permission::Join, Answer::Yes)]);
    assert!(outputs.contains(&Output::Settle(true)));
    assert_eq!(page.outputs(Input::Clicked(Click::Refuse)), []);

    let mut page = Asked::page();
    page.outputs(petition.clone());
    assert!(page.outputs(Input::Clicked(Click::Refuse)).contains(&Output::Settle(false)));
}

#[test]
fn what_was_answered_before_the_node_s_page_answers_at_once() {
    for (join, settles) in [(Answer::Yes, Some(true)), (Answer::No, Some(false)), (Answer::Ask, None)] {
        let mut page = Asked::page();
        page.outputs(Input::Petition { site: ALICE.into(), permission: Permission::Join });
        let permissions = Permissions { join, ..Permissions::default() };
        let sites = vec![SiteStatus { origin: ALICE.into(), permissions, ..SiteStatus::default() }];
        let outputs = page.outputs(Input::Leader(page.leader_says(ToFrame::Sites(sites))));
        let settled = outputs.iter().find_map(|it| if let Output::Settle(yes) = it { Some(*yes) } else { None });
        assert_eq!(settled, settles);
    }
}

struct Asked {
    site: Site,
    now: Instant,
    /// What the last welcome brought.
    heard: Vec<Output>,
}

impl Asked {
    fn new(means: Means) -> Self {
        Self::with(means, Permissions::default())
    }

    fn with(means: Means, permissions: Permissions) -> Self {
        let mut asked = Self::started(Config { means, ..config(ALICE) });
        asked.outputs(Input::Host { versions: RPC, identity: Identity::Site });
        asked.welcome(Welcome { permissions, ..welcome(ALICE) });
        asked
    }

    fn in_all_sites(remote: bool) -> Self {
        let mut asked = Self::new(BOTH);
        asked.outputs(Input::Island { scope: Scope::Browser, remote });
        asked.outputs(Input::Connected);
        asked
    }

    fn waiting(scope: Scope, permissions: Permissions) -> Self {
        Self::waiting_in(Config { scope, means: BOTH, ..config(ALICE) }, permissions)
    }

    fn waiting_in(config: Config, permissions: Permissions) -> Self {
        let mut asked = Self::started(config);
        asked.outputs(Input::Host { versions: RPC, identity: Identity::Person });
        asked.welcome(Welcome { permissions, ..welcome(ALICE) });
        asked
    }

    fn page() -> Self {
        let page = Config { scope: Scope::Browser, means: Means::default(), watching: true, ..config(ALICE) };
        let mut asked = Self::started(page);
        asked.welcome(welcome(ALICE));
        asked
    }

    fn started(config: Config) -> Self {
        let mut asked = Self { site: Site::new(config), now: Instant::START, heard: Vec::new() };
        asked.outputs(Input::Started);
        asked.outputs(Input::Connected);
        asked
    }

    fn welcome(&mut self, welcome: Welcome) {
        self.heard = self.outputs(Input::Leader(self.leader_says(ToFrame::Welcome(welcome))));
    }

    /// Gets into an island, whose leader welcomes the frame.
    fn arrives(&mut self, scope: Scope, remote: bool) -> Vec<Output> {
        self.outputs(Input::Island { scope, remote });
        self.outputs(Input::Connected);
        self.welcome(welcome(ALICE));
        self.heard.clone()
    }

    fn leader_says(&self, message: ToFrame) -> Envelope<ToFrame> {
        Envelope { epoch: Epoch(7), boot: boot(1), message }
    }

    fn outputs(&mut self, input: Input) -> Vec<Output> {
        self.site.handle_input(input, self.now);
        std::iter::from_fn(|| self.site.poll_output()).collect()
    }

    /// Lets the time pass until something is due, and tells how many milliseconds that took.
    fn until_due(&mut self) -> u128 {
        let began = std::mem::replace(&mut self.now, self.site.poll_timeout().expect("something is due"));
        self.now.since(began).as_millis()
    }
}

fn unify(id: u32) -> Input {
    Input::Ask(Request { id, ask: Ask::Unify })
}

fn scope(id: u32, scope: Scope) -> Event {
    Event { id, tell: Tell::Scope(scope) }
}

fn granted() -> Input {
    Input::Announced(Announcement::Granted)
}

fn permit(permission: Permission, answer: Answer) -> ToLeader {
    ToLeader::Permit { origin: ALICE.into(), permission, answer }
}

fn asks(question: Question) -> [Output; 2] {
    let room = bitters_wire::rpc::Room { width: 320, height: 172 };
    [Output::Badge(Badge::Asking(question)), Output::Tell(Event { id: 0, tell: Tell::Badge(room) })]
}

fn waits(elsewhere: Elsewhere) -> Output {
    Output::Badge(Badge::Waiting(elsewhere))
}

fn opens(permission: Permission) -> [Output; 2] {
    [Output::OpenPage(permission), waits(Elsewhere::Page)]
}

fn said(outputs: &[Output]) -> Vec<ToLeader> {
    outputs.iter().filter_map(|it| if let Output::Leader(it) = it { Some(it.message.clone()) } else { None }).collect()
}

fn tells(outputs: &[Output]) -> Vec<Event> {
    outputs.iter().filter_map(|it| if let Output::Tell(event) = it { Some(event.clone()) } else { None }).collect()
}

/// The requests that were denied.
fn denied(outputs: &[Output]) -> Vec<u32> {
    let denied = |it: &Event| matches!(&it.tell, Tell::Failed(failure) if failure.code == Code::Denied);
    tells(outputs).iter().filter(|it| denied(it)).map(|it| it.id).collect()
}

const BOTH: Means = Means { bridge: true, handle: true };
