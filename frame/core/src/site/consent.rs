//! What the badge asks the person, and what follows.
//!
//! A frame starts in the widest island that it gets without asking. Where that is its own site's, one node for all sites takes the
//! person: a click on the badge, or the site's wish ([`Ask::Unify`](bitters_wire::rpc::Ask::Unify)), opens a question. A yes leads
//! to the browser's own prompt where there is the StorageAccessHandle, else, or when that is refused, to a page of the node's own,
//! which asks again, where no site can cover it. A no is kept by the leader, and nobody asks again. The id that is the same on
//! every site is asked for in the same way.
//!
//! Browsers ask, and open pages, within a click only: what a click brings is performed before anything is awaited. Meanwhile the
//! badge says who is to be answered; whoever leaves that has said neither yes nor no.

use std::time::Duration;

use bitters_machine::time::Instant;
use bitters_wire::{
    announce::Announcement,
    failure::{Code, Failure},
    local::ToLeader,
    permission::{Answer, Permission, Permissions},
    rpc::{Room, Tell},
    status::Scope,
};

use super::{Badge, Click, Elsewhere, Host, Means, Outcome, Output, Question, Site, requests::Pending};

/// Where no page of the node's own comes up, or none that the badge may talk with.
const UNOPENED: &str = "the browser opened no page of the node's: this site's Cross-Origin-Opener-Policy, a sandbox without allow-popups, \
                        or a popup blocker is in the way";

/// What the badge needs for a question.
const ASKING: Room = Room { width: 320, height: 172 };

/// A browser's own prompt stands beside the badge, so both may be there.
const PROMPT: Duration = Duration::from_secs(5);

/// What the site gave it.
const GIVEN: Room = Room { width: 0, height: 0 };

/// What is between the badge and the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Consent {
    /// What the leader keeps of the person's answers.
    pub permissions: Permissions,
    stage: Stage,
    /// Whether [`Output::Follow`] is under way.
    follows: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The badge asks.
    Asking(Question),
    /// The frame is on its way into another island: nothing is asked, and what is heard of the one that it left counts no longer.
    Departing,
    /// A page of the node's own asks.
    Petitioning(Permission),
    /// Nothing is asked.
    #[default]
    Quiet,
    /// The browser was asked, which may be asking the person; without an answer until then there is another way.
    Requesting(Instant),
}

impl Consent {
    /// What the badge shows instead of the node, if the person is asked.
    pub(super) const fn badge(&self) -> Option<Badge> {
        match self.stage {
            Stage::Asking(question) => Some(Badge::Asking(question)),
            Stage::Petitioning(_) => Some(Badge::Waiting(Elsewhere::Page)),
            Stage::Requesting(_) => Some(Badge::Waiting(Elsewhere::Browser)),
            Stage::Departing | Stage::Quiet => None,
        }
    }

    /// When the browser should have answered.
    pub(super) const fn due(&self) -> Option<Instant> {
        if let Stage::Requesting(due) = self.stage { Some(due) } else { None }
    }

    /// Whether the badge, or the browser, asks whether the site may share a node.
    const fn asks_to_join(&self) -> bool {
        matches!(self.stage, Stage::Asking(Question::Unify | Question::Visit) | Stage::Requesting(_))
    }

    /// Whether the frame is between two islands.
    pub(super) const fn departs(&self) -> bool {
        matches!(self.stage, Stage::Departing)
    }
}

impl Site {
    /// The site wants one node for all sites.
    pub(super) fn on_unify(&mut self, id: u32) -> Result<(), Failure> {
        if self.config.scope == Scope::Site && !self.config.means.any() {
            return Err(Failure::new(Code::Unsupported, "from here no way leads to one node for all sites"));
        }
        self.requests.insert(id, Pending::Unify);
        self.tell_scope();
        self.consider();
        Ok(())
    }

    /// The site wants it no longer: a question that nobody waits for goes.
    pub(super) fn on_unify_cancelled(&mut self) {
        if self.consent.stage == Stage::Asking(Question::Unify) && self.unifying().is_empty() {
            self.rest();
        }
    }

    /// Asks what the site waits for, or refuses it for the person.
    pub(super) fn consider(&mut self) {
        if self.consent.departs() {
            return; // The next leader's welcome leads here.
        }
        if self.is_unwanted() {
            return self.go_home();
        }
        if self.consent.permissions.join == Answer::No && self.consent.asks_to_join() {
            self.rest();
        }
        let unifying =
            self.config.scope == Scope::Site && self.requests.values().any(|it| matches!(it, Pending::Unify));
        if unifying && self.consent.permissions.join == Answer::No {
            self.refuse_unify(Code::Denied, "the person said no");
        } else if unifying && self.consent.stage == Stage::Quiet {
            self.ask(Question::Unify);
        }
        if self.wants_person() {
            self.consider_person();
        }
    }

    /// The site waits to be welcomed by an id that it wasn't granted.
    fn wants_person(&self) -> bool {
        matches!(self.host, Host::Waiting(_)) && self.identity != self.granted && self.persona.is_some()
    }

    fn consider_person(&mut self) {
        if self.config.scope == Scope::Site {
            return self.consider_joining_first();
        }
        match self.consent.permissions.person {
            Answer::Ask if self.consent.stage == Stage::Quiet => self.ask(Question::Person),
            // With a yes the leader welcomes the frame anew.
            Answer::Ask | Answer::Yes => {}
            Answer::No => self.refuse_host(Code::Denied, "the person doesn't want one id for all sites"),
        }
    }

    /// One id for all sites needs one node for all sites.
    fn consider_joining_first(&mut self) {
        if !self.config.means.any() {
            self.refuse_host(Code::Denied, "one id needs one node for all sites, to which no way leads from here");
        } else if self.consent.permissions.join == Answer::No {
            self.refuse_host(Code::Denied, "one id needs one node for all sites, which the person doesn't want");
        } else if self.consent.stage == Stage::Quiet && !self.consent.follows {
            self.ask(Question::Unify);
        }
    }

    /// Tells the site how far its node reaches, once a leader there has welcomed it.
    pub(super) fn tell_scope(&mut self) {
        let scope = self.config.scope;
        if !self.welcomed || self.consent.departs() {
            return;
        }
        if self.host == Host::Greeted && std::mem::replace(&mut self.scope_told, scope) != scope {
            self.tell(0, Tell::Scope(scope));
        }
        if scope == Scope::Browser {
            for id in self.unifying() {
                self.requests.remove(&id);
                self.tell(id, Tell::Scope(scope));
            }
        }
    }

    /// Tells the site, if it waits to be welcomed, that it won't be.
    pub(super) fn refuse_host(&mut self, code: Code, why: &str) {
        if !matches!(self.host, Host::Waiting(_)) {
            return;
        }
        self.host = Host::Greeted;
        self.fail(0, Failure::new(code, why));
        self.outbox.push_back(Output::CloseHost);
        self.rest();
    }

    pub(super) fn on_permissions(&mut self, permissions: Permissions) {
        self.consent.permissions = permissions;
        self.show_badge();
        self.consider();
    }

    /// A click on the badge, or on the own page's card.
    pub(super) fn on_click(&mut self, click: Click, now: Instant) {
        match (self.consent.stage, click) {
            (Stage::Quiet, Click::Offer) if self.offers() => self.ask(Question::Unify),
            (Stage::Asking(Question::Unify), Click::Yes) if self.config.means.handle => {
                self.consent.stage = Stage::Requesting(now + PROMPT);
                self.outbox.push_back(Output::RequestAccess);
                self.show_badge();
            }
            (Stage::Requesting(_), Click::Cancel) => {
                self.rest();
                self.refuse_unify(Code::Denied, "the person left the browser's question");
            }
            (Stage::Petitioning(_), Click::Cancel) => self.outbox.push_back(Output::ClosePage),
            (Stage::Asking(Question::Unify), Click::Yes) | (Stage::Asking(Question::Visit), Click::Open) => {
                self.petition(Permission::Join);
            }
            (Stage::Asking(Question::Person), Click::Open) => self.petition(Permission::Person),
            (Stage::Asking(Question::Unify | Question::Visit), Click::No) => self.on_no(Permission::Join),
            (Stage::Asking(Question::Person), Click::No) => self.on_no(Permission::Person),
            (_, Click::Allow | Click::Refuse) => self.on_card_click(click),
            _ => {}
        }
    }

    /// What the browser said to [`Output::RequestAccess`].
    pub(super) fn on_access(&mut self, granted: bool) {
        if granted && self.may_enter() {
            self.outbox.push_back(Output::Announce(Announcement::Granted));
            self.depart(Output::Enter);
        } else if let (Stage::Requesting(_), false) = (self.consent.stage, granted) {
            self.ask(Question::Visit);
        }
    }

    /// Another frame of this island was let out of it: this one tries to follow. Each frame beyond a bridge calls, so several may.
    pub(super) fn on_granted_elsewhere(&mut self) {
        let settled = !matches!(self.consent.stage, Stage::Petitioning(_) | Stage::Requesting(_));
        if self.offers() && settled && !self.consent.follows {
            self.consent.follows = true;
            self.outbox.push_back(Output::Follow);
        }
    }

    /// Whether [`Output::Follow`] found a way.
    pub(super) fn on_followed(&mut self, found: bool) {
        self.consent.follows = false;
        if found && self.may_enter() {
            self.depart(Output::Enter);
        } else {
            self.consider();
        }
    }

    /// Whether a way out of the site's own island is to be taken: there may be several at once, and the person may have said no.
    fn may_enter(&self) -> bool {
        let wanted = self.consent.permissions.join != Answer::No;
        self.config.scope == Scope::Site && wanted && !self.consent.departs()
    }

    /// Whether the person took back that the site shares this node, on the node's own page. That counts where the browser lets the
    /// site in without asking, too.
    pub(super) fn is_unwanted(&self) -> bool {
        self.may_return() && self.consent.permissions.join == Answer::No
    }

    /// Back into the site's own island.
    pub(super) fn go_home(&mut self) {
        self.depart(Output::Return);
    }

    /// A frame came up in the island that this one left: it may follow.
    pub(super) fn on_announced_at_home(&mut self, announcement: &Announcement) {
        if matches!(announcement, Announcement::FrameUp { .. }) && self.vigil.is_remote() && !self.unbridged {
            self.outbox.push_back(Output::AnnounceAtHome(Announcement::Granted));
        }
    }

    /// The browser doesn't answer.
    pub(super) fn on_consent_time(&mut self, now: Instant) {
        if self.consent.due().is_some_and(|due| due <= now) {
            self.ask(Question::Visit);
        }
    }

    /// What came of [`Output::OpenPage`].
    pub(super) fn on_petition_over(&mut self, outcome: Outcome) {
        let Stage::Petitioning(permission) = self.consent.stage else { return };
        match (permission, outcome) {
            (_, Outcome::No) => self.on_no(permission),
            (Permission::Join, Outcome::Yes) => self.depart(Output::Enter),
            // The leader of the page's island welcomes this frame anew.
            (_, Outcome::Yes) => self.rest(),
            (Permission::Person, Outcome::Closed) => self.ask(Question::Person),
            (_, Outcome::Closed) => {
                self.rest();
                self.refuse_unify(Code::Denied, "the node's page was closed without an answer");
            }
            (_, Outcome::Unopened) => {
                self.rest();
                self.refuse_unify(Code::Unsupported, UNOPENED);
            }
        }
    }

    /// The frame is in another island now.
    pub(super) fn on_island(&mut self, scope: Scope, remote: bool, now: Instant) {
        self.config.scope = scope;
        self.forget_leader(remote);
        self.consent.stage = Stage::Quiet;
        if scope == Scope::Site && self.consent.permissions.join == Answer::No {
            // This leader wasn't there, and would offer it again.
            self.permit(Permission::Join, Answer::No);
        }
        self.on_started(now);
        if remote {
            self.outbox.push_back(Output::AnnounceAtHome(Announcement::Granted));
        }
    }

    /// The way into this island is over: back into the site's own.
    pub(super) fn on_island_lost(&mut self) {
        if self.may_return() {
            self.go_home();
        }
    }

    /// Whether the frame came here out of the island of its site.
    pub(super) fn may_return(&self) -> bool {
        self.config.scope == Scope::Browser && self.config.means.any()
    }

    /// The page at the bridge's other end is closed. As long as the leader lives, thanks to another page, this frame needs no bridge.
    pub(super) fn on_bridge_closed(&mut self, now: Instant) {
        if !self.vigil.is_remote() {
            return;
        }
        self.unbridged = true;
        if self.welcomed {
            self.vigil.doubt(now);
            self.post(ToLeader::Ping);
        } else {
            self.on_island_lost();
        }
    }

    /// Whether the badge offers one node for all sites.
    pub(super) fn offers(&self) -> bool {
        self.may_enter() && self.config.means.any()
    }

    fn depart(&mut self, act: Output) {
        self.send(ToLeader::Leaving { moves: true });
        // What is asked from now on is for the next leader.
        self.forget_leader(false);
        self.turn(Stage::Departing);
        self.outbox.push_back(act);
    }

    fn ask(&mut self, question: Question) {
        self.consent.stage = Stage::Asking(question);
        self.outbox.push_back(Output::Badge(Badge::Asking(question)));
        self.tell(0, Tell::Badge(ASKING));
    }

    fn rest(&mut self) {
        self.turn(Stage::Quiet);
    }

    /// Nothing is asked any longer: the room for it goes back.
    fn turn(&mut self, stage: Stage) {
        if std::mem::replace(&mut self.consent.stage, stage) != Stage::Quiet {
            self.tell(0, Tell::Badge(GIVEN));
            self.show_badge();
        }
    }

    fn petition(&mut self, permission: Permission) {
        self.consent.stage = Stage::Petitioning(permission);
        self.outbox.push_back(Output::OpenPage(permission));
        self.show_badge();
    }

    fn on_no(&mut self, permission: Permission) {
        self.permit(permission, Answer::No);
        self.consent.permissions = self.consent.permissions.with(permission, Answer::No);
        self.rest();
        self.consider();
    }

    fn permit(&mut self, permission: Permission, answer: Answer) {
        let origin = self.config.origin.clone();
        self.send(ToLeader::Permit { origin, permission, answer });
    }

    /// Refuses one node for all sites to whoever waits for it, for itself or for one id.
    fn refuse_unify(&mut self, code: Code, why: &str) {
        for id in self.unifying() {
            self.requests.remove(&id);
            self.fail(id, Failure::new(code, why));
        }
        if self.wants_person() {
            self.refuse_host(code, why);
        }
    }

    fn unifying(&self) -> Vec<u32> {
        self.requests.iter().filter(|(_, pending)| matches!(pending, Pending::Unify)).map(|(id, _)| *id).collect()
    }
}

impl Means {
    const fn any(self) -> bool {
        self.handle || self.bridge
    }
}
