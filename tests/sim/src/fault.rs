//! What goes wrong with pages and browsers; and when it did, for it excuses what fails then.

use std::time::Duration;

use bitters_frame_core::site::Input;
use bitters_machine::time::Instant;
use bitters_wire::id::{FrameId, PersonaId};

use crate::{
    World,
    browser::Worker,
    connection::{End, Phase},
    event::{Event, Fact, News, Turn},
    leader::UNSEEN,
};

/// Two browsers, or one and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair(usize, usize);

impl Pair {
    /// In either order.
    #[must_use]
    pub fn of(one: usize, other: usize) -> Self {
        Self(one.min(other), one.max(other))
    }

    /// Whether this is one of them.
    #[must_use]
    pub const fn has(self, browser: usize) -> bool {
        self.0 == browser || self.1 == browser
    }
}

/// Whom a trouble kept from talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everything in a browser.
    Browser(usize),
    /// All that has no link yet.
    Everybody,
    /// One page.
    Page(FrameId),
    /// Two browsers with each other.
    Pair(Pair),
}

/// When who could not talk.
#[derive(Debug, Default)]
pub struct Trouble {
    spans: Vec<(Whom, Instant, Instant)>,
    server_down: Option<Instant>,
}

impl Trouble {
    /// Somebody is in trouble from now on, until then.
    pub fn note(&mut self, whom: Whom, from: Instant, until: Instant) {
        self.spans.push((whom, from, until));
    }

    /// The rendezvous stops or starts.
    pub fn server(&mut self, now: Instant, down: bool) {
        match (self.server_down, down) {
            (None, true) => self.server_down = Some(now),
            (Some(since), false) => {
                self.server_down = None;
                // Nodes that waited longer and longer for it still wait: with bad luck for three times as long as they did so far.
                self.note(Whom::Everybody, since, now + (now.since(since) * 3).min(LONGEST_WAIT));
            }
            _ => {}
        }
    }

    /// All trouble ends.
    pub fn end(&mut self, now: Instant) {
        for (_, _, until) in &mut self.spans {
            *until = now.min(*until);
        }
    }

    /// Whether a page or its browser was in trouble at any time from `from` to `until`.
    #[must_use]
    pub fn touches(&self, page: FrameId, browser: usize, from: Instant, until: Instant) -> bool {
        let hits = |whom| whom == Whom::Page(page) || whom == Whom::Browser(browser);
        self.spans.iter().any(|(whom, begin, end)| hits(*whom) && *begin < until && *end > from)
    }

    /// The longest time before `now` and within `span` in which nothing kept these two pages from talking.
    #[must_use]
    pub fn calm(&self, pages: [FrameId; 2], pair: Pair, now: Instant, span: Duration) -> Duration {
        let start = now - span;
        let hits = |whom: &Whom| match whom {
            Whom::Browser(browser) => pair.has(*browser),
            Whom::Everybody => true,
            Whom::Page(page) => pages.contains(page),
            Whom::Pair(apart) => *apart == pair,
        };
        let down = self.server_down.map(|since| (Whom::Everybody, since, now));
        let mut spans: Vec<_> = (self.spans.iter().copied().chain(down))
            .filter(|(whom, from, until)| hits(whom) && *until > start && *from < now)
            .map(|(_, from, until)| (from, until))
            .collect();
        spans.sort_unstable();
        let (mut calm, mut last) = (Duration::ZERO, start);
        for (from, until) in spans {
            calm = calm.max(from.since(last));
            last = last.max(until);
        }
        calm.max(now.since(last))
    }
}

/// A minute and a half: how seldom an uplink is tried at most.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// A new leader, or a new link, is there within that time.
const SHORTLY: Duration = Duration::from_secs(3);

impl World {
    pub(crate) fn disturb_shortly(&mut self, browser: usize) {
        self.model.trouble.note(Whom::Browser(browser), self.now, self.now + SHORTLY);
    }

    /// A page closes, or crashes: then nobody hears from it.
    pub fn kill_tab(&mut self, frame: FrameId) {
        if !self.tabs[&frame].frozen && self.rng.bool() {
            self.inform(frame, Input::Leaving);
        }
        let Some(tab) = self.tabs.remove(&frame) else { return };
        self.note(|| format!("{frame} dies"));
        self.evidence.frames_died += 1;
        let used = tab.links.values().any(|it| it.phase == Phase::Up && it.sent > 0);
        self.evidence.frames_died_linked += usize::from(used);
        self.model.gone(frame, self.now);
        for (link, connection) in &tab.links {
            if connection.phase == Phase::Up {
                let peer = connection.peer.expect("it is up");
                self.evidence.frames_died_under_streams += self.streams_over(tab.browser, peer, frame);
                self.mark_broken(tab.browser, peer);
            }
            if let Some(remote) = connection.remote {
                self.later(5_000, 15_000, Event::Frame(remote.0, Fact::Bye(remote.1, (frame, *link))));
            }
        }
        let leads = |it: &Worker| it.lead.is_some() && it.space != tab.space;
        if self.browsers[tab.browser].workers.iter().any(leads) {
            self.model.trouble.note(Whom::Browser(tab.browser), self.now, self.now + UNSEEN);
        }
        let watchers = self.browsers[tab.browser].workers.iter_mut();
        let watching: Vec<_> = (watchers)
            .filter_map(|it| it.lead.as_mut().is_some_and(|lead| lead.watched.remove(&frame)).then_some(it.id))
            .collect();
        for worker in watching {
            let times = if self.chance(20) { 2 } else { 1 };
            self.evidence.deaths_told_twice += times - 1;
            for _ in 0..times {
                let worst = if self.chance(3) { 473 } else { 90 };
                self.later(30, worst, Event::Worker(tab.browser, worker, News::FrameGone(frame)));
            }
        }
    }

    fn streams_over(&self, browser: usize, peer: PersonaId, but: FrameId) -> usize {
        let other = self.browser_of(peer);
        other.map_or(0, |other| self.model.open_between(Pair::of(browser, other), but))
    }

    /// A page takes nothing in for a while.
    pub fn freeze(&mut self, frame: FrameId, time: Duration) {
        let now = self.now;
        let Some(tab) = self.tabs.get(&frame).filter(|it| !it.frozen) else { return };
        let browser = tab.browser;
        self.evidence.freezes += 1;
        self.model.trouble.note(Whom::Page(frame), now, now + time);
        // What other pages' streams went through it goes another way as soon as the leader has noticed.
        self.disturb_shortly(browser);
        // Not every page that stands still has been told that it would.
        if self.chance(60) {
            self.inform(frame, Input::Frozen(true));
        }
        if let Some(tab) = self.tabs.get_mut(&frame) {
            tab.frozen = true;
        }
        self.note(|| format!("{frame} freezes for {time:?}"));
        self.agenda.at(now + time, Event::Turn(Turn::Thaws(frame)));
    }

    pub(crate) fn thaw(&mut self, frame: FrameId) {
        let Some(tab) = self.tabs.get_mut(&frame).filter(|it| it.frozen) else { return };
        tab.frozen = false;
        let waiting = std::mem::take(&mut tab.waiting);
        self.note(|| format!("{frame} thaws"));
        self.inform(frame, Input::Frozen(false));
        for fact in waiting {
            self.happen(Event::Frame(frame, fact));
        }
    }

    /// A machine is suspended for a while.
    pub fn suspend(&mut self, browser: usize, time: Duration) {
        if std::mem::replace(&mut self.browsers[browser].asleep, true) {
            return;
        }
        self.evidence.suspends += 1;
        self.model.trouble.note(Whom::Browser(browser), self.now, self.now + time);
        self.note(|| format!("{browser} is suspended for {time:?}"));
        self.agenda.at(self.now + time, Event::Turn(Turn::Wakes(browser)));
        for (end, remote) in self.ends_of(|one, _| one == browser) {
            for (frame, link) in [end, remote] {
                self.later(5_000, 15_000, Event::Frame(frame, Fact::Lost(link)));
            }
        }
    }

    pub(crate) fn wake(&mut self, browser: usize) {
        if !std::mem::take(&mut self.browsers[browser].asleep) {
            return;
        }
        self.note(|| format!("{browser} wakes"));
        for event in std::mem::take(&mut self.browsers[browser].waiting) {
            self.happen(event);
        }
        let awake: Vec<FrameId> =
            self.tabs.iter().filter(|(_, it)| it.browser == browser && !it.frozen).map(|it| *it.0).collect();
        for frame in awake {
            self.inform(frame, Input::Online);
        }
        for ((frame, link), _) in self.ends_of(|one, _| one == browser) {
            self.later(500, 5_000, Event::Frame(frame, Fact::Lost(link)));
        }
    }

    /// The person deletes the browsing data: what opens from now on sees no lock that is held now.
    pub fn delete_data(&mut self, browser: usize) {
        self.note(|| format!("{browser}'s data is deleted"));
        self.evidence.data_deleted += 1;
        self.browsers[browser].space += 1;
    }

    /// Two browsers can't reach each other for a while.
    pub fn part(&mut self, one: usize, other: usize, time: Duration) {
        let pair = Pair::of(one, other);
        if one == other || self.apart.contains(&pair) {
            return;
        }
        self.apart.push(pair);
        self.evidence.partitions += 1;
        self.model.trouble.note(Whom::Pair(pair), self.now, self.now + time);
        self.note(|| format!("{pair:?} part for {time:?}"));
        self.agenda.at(self.now + time, Event::Turn(Turn::Repaired(pair)));
        for ((frame, link), _) in self.ends_of(|one, other| Pair::of(one, other) == pair) {
            self.later(5_000, 15_000, Event::Frame(frame, Fact::Lost(link)));
        }
    }

    pub(crate) fn repair(&mut self, pair: Pair) {
        self.note(|| format!("{pair:?} meet again"));
        self.apart.retain(|it| *it != pair);
        self.rejoin(pair);
    }

    fn ends_of(&self, wanted: impl Fn(usize, usize) -> bool) -> Vec<(End, End)> {
        let mut ends = Vec::new();
        for (frame, tab) in &self.tabs {
            for (link, connection) in &tab.links {
                if let Some(remote) = connection.remote
                    && let Some(other) = self.tabs.get(&remote.0)
                    && wanted(tab.browser, other.browser)
                {
                    ends.push(((*frame, *link), remote));
                }
            }
        }
        ends
    }
}
