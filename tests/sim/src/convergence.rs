//! What is true of a world in peace whose pages have no sessions yet: everybody sees, hears and reaches everybody over one link each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_machine::time::Instant;
use bitters_wire::id::{FrameId, PersonaId};

use crate::{World, connection::Phase, model::Settled, tab::Tab};

/// How long a call may take where nothing is linked yet.
const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    /// Everybody sees and hears everybody, all requests are answered, and who is called is reached.
    pub fn must_converge(&mut self) {
        if !self.one_sided().is_empty() {
            // One end hangs up what neither needs, and the other hasn't heard it yet.
            self.run_for(Duration::from_millis(100));
        }
        self.must_have_one_link_each();
        self.must_have_answers();
        self.must_see_everybody();
        self.everybody_speaks();
        self.everybody_calls_everybody();
        self.must_have_answers();
    }

    /// Each pair of personas has one link at most. Both ends know of it, and all badges show it.
    pub fn must_have_one_link_each(&self) {
        let links = self.links();
        for ((own, peer), count) in &links {
            self.must(*count == 1, || format!("{own:?} has {count} links with {peer:?}"));
        }
        let one_sided = self.one_sided();
        self.must(one_sided.is_empty(), || format!("links with one end: {one_sided:?}"));
        for (frame, tab) in &self.tabs {
            let own = self.persona_of(tab);
            let linked = links.keys().filter(|(of, _)| *of == own).count();
            self.must(tab.peers as usize == linked, || format!("{frame} shows {} of {linked} peers", tab.peers));
        }
    }

    /// How many links each persona has with which peer.
    fn links(&self) -> BTreeMap<(PersonaId, PersonaId), usize> {
        let mut links = BTreeMap::new();
        for it in self.tabs.values().flat_map(|tab| tab.links.values()).filter(|it| it.phase == Phase::Up) {
            *links.entry((it.own, it.peer.expect("it is up"))).or_default() += 1;
        }
        links
    }

    fn one_sided(&self) -> Vec<(PersonaId, PersonaId)> {
        let links = self.links();
        links.keys().filter(|(own, peer)| !links.contains_key(&(*peer, *own))).copied().collect()
    }

    fn persona_of(&self, tab: &Tab) -> PersonaId {
        self.browsers[tab.browser].persona(tab.origin)
    }

    fn must_have_answers(&self) {
        for (frame, tab) in &self.tabs {
            let (waiting, welcomes) = (&tab.host.asked, tab.welcomes);
            self.must(waiting.is_empty(), || format!("{frame} waits for {waiting:?}"));
            self.must(welcomes == 1, || format!("{frame} was welcomed {welcomes} times by one leader"));
        }
    }

    fn members(&self) -> Vec<FrameId> {
        self.tabs.iter().filter(|(_, tab)| tab.host.joined).map(|(frame, _)| *frame).collect()
    }

    /// All members of the topic see all others, and nobody else.
    pub fn must_see_everybody(&self) {
        let members = self.members();
        let everybody: BTreeSet<String> =
            members.iter().map(|frame| self.persona_of(&self.tabs[frame]).to_string()).collect();
        for frame in &members {
            let tab = &self.tabs[frame];
            let own = self.persona_of(tab).to_string();
            let seen = &tab.host.peers;
            let well =
                everybody.iter().all(|it| seen.contains(it) != (*it == own)) && seen.len() + 1 == everybody.len();
            self.must(well, || format!("{frame} of {own} sees {seen:?} of {everybody:?}"));
        }
        self.must_see_what_is_shown(&members);
    }

    /// All of these see of each other's personas what one of their pages showed last.
    pub fn must_see_what_is_shown(&self, members: &[FrameId]) {
        let mut last: BTreeMap<String, &(Instant, String)> = BTreeMap::new();
        for frame in members {
            let tab = &self.tabs[frame];
            let Some(shows) = &tab.host.shows else { continue };
            let latest = last.entry(self.persona_of(tab).to_string()).or_insert(shows);
            *latest = (*latest).max(shows);
        }
        for (frame, (persona, (_, value))) in members.iter().flat_map(|frame| last.iter().map(move |it| (frame, it))) {
            let seen = self.tabs[frame].host.shown.get(persona);
            self.must(seen == Some(value), || format!("{frame} sees {persona} show {seen:?}, not {value}"));
        }
    }

    fn everybody_speaks(&mut self) {
        let members = self.members();
        for frame in &members {
            self.publish(*frame);
        }
        self.run_for(Duration::from_secs(5));
        self.must_all_hear(&members);
    }

    /// Each page dials each persona and calls it: one frame of the persona is handed the session, and answers.
    fn everybody_calls_everybody(&mut self) {
        let pages: Vec<FrameId> = self.tabs.keys().copied().collect();
        let peers: BTreeSet<String> = self.tabs.values().map(|tab| self.persona_of(tab).to_string()).collect();
        let calls: Vec<(FrameId, &String)> =
            pages.iter().flat_map(|page| peers.iter().map(|peer| (*page, peer))).collect();
        for (page, peer) in &calls {
            self.dial(*page, (*peer).clone());
        }
        self.run_for(PATIENCE);
        self.model.opened.clear();
        let first = self.model.calls.len();
        for (page, peer) in &calls {
            self.call(*page, (*peer).clone(), PATIENCE);
        }
        self.run_for(PATIENCE);
        let failed = self.model.calls[first..].iter().find(|it| it.outcome != Some(Settled::Done));
        self.must(failed.is_none(), || format!("a call fails in peace: {failed:?}"));
        let torn = self.model.opened.iter().find(|(_, frames)| frames.len() != 1);
        self.must(torn.is_none(), || format!("a session is opened at several frames: {torn:?}"));
    }
}
