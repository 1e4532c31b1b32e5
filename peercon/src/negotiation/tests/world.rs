//! Two machines with a browser each, as one value that every step makes another one of.

use std::collections::{BTreeSet, VecDeque};

use super::{candidate, feed};
use crate::negotiation::{Input, Kind, Manner, Negotiation, Output};

/// Two ends, the polite one first, and what is on its way to each.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    ends: [End; 2],
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct End {
    negotiation: Negotiation,
    browser: Browser,
    /// Acts for the browser, one after another.
    acts: VecDeque<Output>,
    /// From the peer.
    arriving: VecDeque<Vec<u8>>,
    /// The event that asks for an offer was fired, and isn't told yet.
    fired: bool,
    /// Tracks that are still to be added.
    to_add: u8,
}

#[derive(Clone, Copy)]
pub(super) enum Step {
    Act(usize),
    Add(usize),
    Arrive(usize),
    Tell(usize),
}

impl Step {
    pub(super) const ALL: [Self; 8] = [
        Self::Act(0),
        Self::Act(1),
        Self::Add(0),
        Self::Add(1),
        Self::Arrive(0),
        Self::Arrive(1),
        Self::Tell(0),
        Self::Tell(1),
    ];
}

impl World {
    pub(super) fn new((polite, impolite): (u8, u8)) -> Self {
        let end = |manner, first, to_add| End {
            negotiation: Negotiation::new(manner),
            browser: Browser::new(first),
            acts: VecDeque::new(),
            arriving: VecDeque::new(),
            fired: false,
            to_add,
        };
        Self { ends: [end(Manner::Polite, 0, polite), end(Manner::Impolite, 100, impolite)] }
    }

    /// The world after this step, if it can be taken.
    pub(super) fn after(&self, step: Step) -> Option<Self> {
        let mut world = self.clone();
        let (at, input) = match step {
            Step::Act(at) => {
                let end = &mut world.ends[at];
                let act = end.acts.pop_front()?;
                (at, end.browser.perform(act))
            }
            Step::Add(at) => {
                let end = &mut world.ends[at];
                end.to_add = end.to_add.checked_sub(1)?;
                end.browser.add();
                (at, None)
            }
            Step::Arrive(at) => (at, Some(Input::Received(world.ends[at].arriving.pop_front()?))),
            Step::Tell(at) => (at, std::mem::take(&mut world.ends[at].fired).then_some(Some(Input::Needed))?),
        };
        if let Some(input) = input {
            // A description's candidates follow it.
            let candidate = match &input {
                Input::Described(_, sdp) => Some(Input::Candidate(candidate(sdp))),
                _ => None,
            };
            let outputs = feed(&mut world.ends[at].negotiation, std::iter::once(input).chain(candidate));
            for output in outputs {
                match output {
                    Output::Broken(reason) => panic!("broken: {reason:?}"),
                    Output::Send(slice) => world.ends[1 - at].arriving.push_back(slice),
                    act => world.ends[at].acts.push_back(act),
                }
            }
        }
        let end = &mut world.ends[at];
        if end.acts.is_empty() && end.browser.fires() {
            end.fired = true;
        }
        Some(world)
    }

    /// Whether an offer was taken back.
    pub(super) fn has_met(&self) -> bool {
        self.ends[0].browser.rollbacks > 0
    }

    /// Nothing can happen any longer: all is agreed on.
    pub(super) fn check(&self) {
        let [a, b] = &self.ends;
        let all: BTreeSet<_> = a.browser.tracks.union(&b.browser.tracks).copied().collect();
        for Browser { agreed, local, remote, .. } in [&a.browser, &b.browser] {
            assert!(local.is_none() && remote.is_none(), "not stable");
            assert_eq!(agreed.iter().copied().collect::<BTreeSet<_>>(), all);
        }
        assert_eq!(a.browser.agreed, b.browser.agreed);
        assert_eq!(b.browser.rollbacks, 0, "the impolite end takes nothing back");
    }
}

/// As much of a browser as negotiates: which tracks it has, and on which both ends agreed, in order.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Browser {
    tracks: BTreeSet<u8>,
    agreed: Vec<u8>,
    /// Offers that wait, each with a name of its own.
    local: Option<(u8, Vec<u8>)>,
    remote: Option<(u8, Vec<u8>)>,
    /// Whose candidates are welcome: the text of the last remote description.
    last: String,
    next: u8,
    needed: bool,
    rollbacks: u8,
}

impl Browser {
    fn new(first: u8) -> Self {
        Self {
            tracks: BTreeSet::new(),
            agreed: Vec::new(),
            local: None,
            remote: None,
            last: String::new(),
            next: first,
            needed: false,
            rollbacks: 0,
        }
    }

    fn add(&mut self) {
        self.next += 1;
        self.tracks.insert(self.next);
    }

    /// The event: once for each time that something is missing in the stable state.
    fn fires(&mut self) -> bool {
        let is_stable = self.local.is_none() && self.remote.is_none();
        let missing = self.tracks.iter().any(|track| !self.agreed.contains(track));
        is_stable && missing && !std::mem::replace(&mut self.needed, true)
    }

    fn perform(&mut self, act: Output) -> Option<Input> {
        match act {
            Output::AddCandidate(candidate) => {
                assert_eq!(candidate.candidate, self.last, "a candidate of another description");
                None
            }
            Output::Describe => Some(self.describe()),
            Output::SetRemote(kind, sdp) => Some(self.set_remote(kind, sdp)),
            act => panic!("unexpected: {act:?}"),
        }
    }

    fn describe(&mut self) -> Input {
        if let Some((name, tracks)) = self.remote.take() {
            self.agree(tracks.clone());
            return Input::Described(Kind::Answer, text(name, &tracks));
        }
        assert!(self.local.is_none(), "an offer on top of another");
        let mut tracks = self.agreed.clone();
        tracks.extend(self.tracks.iter().filter(|track| !self.agreed.contains(track)));
        self.next += 1;
        self.local = Some((self.next, tracks.clone()));
        Input::Described(Kind::Offer, text(self.next, &tracks))
    }

    fn set_remote(&mut self, kind: Kind, sdp: String) -> Input {
        let (name, tracks) = parse(&sdp);
        self.last = sdp;
        match kind {
            Kind::Answer => {
                assert_eq!(self.local.take(), Some((name, tracks.clone())), "the answer to another offer");
                self.agree(tracks);
            }
            Kind::Offer => {
                assert!(self.remote.is_none(), "an offer on top of another");
                self.rollbacks += u8::from(self.local.take().is_some());
                self.remote = Some((name, tracks));
            }
        }
        Input::RemoteSet
    }

    fn agree(&mut self, tracks: Vec<u8>) {
        self.agreed = tracks;
        self.needed = false;
    }
}

fn text(name: u8, tracks: &[u8]) -> String {
    let tracks: Vec<_> = tracks.iter().map(u8::to_string).collect();
    format!("{name}:{}", tracks.join(","))
}

fn parse(sdp: &str) -> (u8, Vec<u8>) {
    let (name, tracks) = sdp.split_once(':').expect("as `text` writes it");
    let numbers =
        |text: &str| text.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().expect("a number")).collect();
    (name.parse().expect("a number"), numbers(tracks))
}
