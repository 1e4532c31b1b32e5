//! What a page's own script does: it serves, answers, calls, and sits in the lobby.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bitters_machine::time::Instant;
use bitters_wire::{
    data::Data,
    failure::{Executed, Failure},
    id::{Epoch, FrameId},
    rpc::{Ask, Event as Told, Outcome, Request, Tell},
    status::Status,
};

use crate::{
    World,
    event::{Event, Fact, Pipe},
    hostile::{Because, Dialled},
    model::{Call, Heard, Said, Settled},
    story::OBSERVER,
};

/// A page's script.
#[derive(Debug, Default)]
pub struct Host {
    /// The site's id, once it was welcomed.
    pub id: Option<String>,
    /// The number of its subscription to the lobby.
    pub lobby: Option<u32>,
    /// Whether it is in.
    pub joined: bool,
    /// When it asked to be, last.
    pub since: Option<Instant>,
    /// What waits for an answer.
    pub asked: BTreeMap<u32, Asked>,
    /// Streams, by their numbers here.
    pub streams: BTreeMap<u32, Place>,
    /// Its address, once it was told.
    pub address: Option<String>,
    /// Who else is in the lobby, as it was told.
    pub peers: BTreeSet<String>,
    /// What those show, and its own persona.
    pub shown: BTreeMap<String, String>,
    /// What it shows there itself, last.
    pub shows: Option<(Instant, String)>,
    /// The number of its watch of the node.
    pub watch: Option<u32>,
    /// What it heard in the lobby since it joined.
    pub heard: Heard,
    /// The number of the latest message that it heard of each page since then.
    latest: BTreeMap<FrameId, usize>,
    /// What it heard and said there before it left, and under which leader it left.
    past: (BTreeSet<String>, Epoch),
    /// What it said there.
    pub said: usize,
    /// Calls that it is about to answer: which, and how.
    answers: BTreeMap<u32, Outcome>,
    /// The numbers of what it serves and answers.
    serving: Vec<u32>,
    /// Credit for streams that it hasn't recognised yet.
    pub early: BTreeMap<u32, u64>,
    /// Numbers of streams that it gave up.
    pub dropped: BTreeSet<u32>,
    next: u32,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The call of this number in the model.
    Call(usize),
    /// That call, which the page gave up.
    Cancelled(usize),
    /// The dial of this number in the model.
    Dial(usize),
    /// To be in the lobby.
    Join,
    /// To leave it.
    Leave,
    /// One answer, whichever it is.
    Once,
}

/// Which stream a number is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The model's stream, and the side.
    Known(usize, usize),
    /// It came in, and this is what was read of it.
    New(Vec<u8>),
}

/// What all pages serve.
pub const PROTOCOL: &str = "file";
/// What all pages answer.
const METHOD: &str = "echo";
/// The topic that pages join, where there is no other.
pub const LOBBY: &str = "lobby";

impl World {
    /// The page asks its node something.
    pub(crate) fn ask(&mut self, frame: FrameId, ask: Ask) -> u32 {
        let Some(tab) = self.tabs.get_mut(&frame) else { return 0 };
        tab.host.next += 1;
        let id = tab.host.next;
        self.ask_about(frame, id, ask);
        id
    }

    /// The page says something about a request, a stream or a call.
    pub(crate) fn ask_about(&mut self, frame: FrameId, id: u32, ask: Ask) {
        let fact = Fact::Asked(Request { id, ask });
        self.through(Pipe::Host(frame), 0, 1, Event::Frame(frame, fact));
    }

    pub(crate) fn ask_once(&mut self, frame: FrameId, ask: Ask) {
        let id = self.ask(frame, ask);
        self.host(frame).asked.insert(id, Asked::Once);
    }

    pub(crate) fn host(&mut self, frame: FrameId) -> &mut Host {
        &mut self.tabs.get_mut(&frame).expect("its script runs").host
    }

    /// The page wants a peer to be reachable.
    pub fn dial(&mut self, frame: FrameId, to: String) {
        self.ask_once(frame, Ask::Dial { to });
    }

    /// The page wants another to be reachable, for a reason.
    pub(crate) fn dial_because(&mut self, frame: FrameId, other: FrameId, to: String, because: Because) {
        let number = self.model.dials.len();
        self.model.dials.push(Dialled { page: frame, to: other, because, began: self.now, answered: None });
        let id = self.ask(frame, Ask::Dial { to });
        self.host(frame).asked.insert(id, Asked::Dial(number));
    }

    /// The page wants an address.
    pub fn want_address(&mut self, frame: FrameId) {
        self.ask_once(frame, Ask::Address);
    }

    /// The page wants to see its node.
    pub fn status(&mut self, frame: FrameId) {
        self.ask_once(frame, Ask::Status);
    }

    /// The page says something in the lobby, if it is there.
    pub fn publish(&mut self, frame: FrameId) {
        let host = self.host(frame);
        let Some(topic) = host.lobby.filter(|_| host.joined) else { return };
        host.said += 1;
        let (number, text) = (host.said, said(frame, host.said));
        let from = host.id.clone().expect("it joined");
        let at = self.now;
        self.model.said.insert(text.clone(), Said { author: frame, from, number, at });
        let data = Data::Text(text);
        self.ask_once(frame, Ask::Publish { topic, data });
    }

    /// The page shows something else of itself in the lobby, if it is there.
    pub fn show(&mut self, frame: FrameId) {
        let host = self.host(frame);
        let Some(topic) = host.lobby.filter(|_| host.joined) else { return };
        let value = format!("\"{frame} {}\"", host.next);
        let now = self.now;
        self.host(frame).shows = Some((now, value.clone()));
        self.ask_once(frame, Ask::Presence { topic, value: Some(value) });
    }

    /// The page joins the lobby, if it is welcomed and not there.
    pub fn join(&mut self, frame: FrameId) {
        let (room, now) = (self.tabs[&frame].room, self.now);
        let host = self.host(frame);
        if host.id.is_some() && host.lobby.is_none() {
            let join = self.ask(frame, Ask::Join { name: room.into() });
            let host = self.host(frame);
            host.lobby = Some(join);
            host.since = Some(now);
            host.asked.insert(join, Asked::Join);
        }
    }

    /// The page leaves the lobby, or doesn't want to join it any longer.
    pub fn leave(&mut self, frame: FrameId) {
        let epoch = self.browsers[self.tabs[&frame].browser].epoch;
        let host = self.host(frame);
        let Some(lobby) = host.lobby.take() else { return };
        let heard = std::mem::take(&mut host.heard).into_keys();
        host.past.0.extend(heard.chain((1..=host.said).map(|n| said(frame, n))));
        host.past.1 = epoch;
        host.joined = false;
        host.peers.clear();
        host.shown.clear();
        host.shows = None;
        host.latest.clear();
        host.asked.insert(lobby, Asked::Leave);
        self.evidence.left += 1;
        self.ask_about(frame, lobby, Ask::Cancel);
    }

    /// The page calls a peer.
    pub fn call(&mut self, frame: FrameId, peer: String, timeout: Duration) {
        let number = self.model.calls.len();
        let data = Data::Text(number.to_string());
        let ms = u32::try_from(timeout.as_millis()).expect("short");
        let ask = Ask::Call { peer: peer.clone(), method: METHOD.into(), data, timeout: ms, idempotent: false };
        let id = self.ask(frame, ask);
        self.model.calls.push(Call { caller: frame, peer, deadline: self.now + timeout, runs: 0, outcome: None });
        self.host(frame).asked.insert(id, Asked::Call(number));
    }

    /// The page doesn't want its call any longer. An answer may be on its way.
    pub fn cancel(&mut self, frame: FrameId, id: u32, call: usize) {
        self.host(frame).asked.insert(id, Asked::Cancelled(call));
        self.evidence.calls_cancelled += 1;
        self.ask_about(frame, id, Ask::Cancel);
    }

    /// The page serves and answers what all pages do.
    pub fn serve_again(&mut self, frame: FrameId) {
        let asked = [
            Ask::Serve { protocol: PROTOCOL.into(), direct: None },
            Ask::Answer { method: METHOD.into(), direct: None },
        ];
        self.host(frame).serving = asked.into_iter().map(|ask| self.ask(frame, ask)).collect();
    }

    /// The page stops serving and answering. It stays open.
    pub fn stop_serving(&mut self, frame: FrameId) {
        self.evidence.stopped_serving += 1;
        for id in std::mem::take(&mut self.host(frame).serving) {
            self.host(frame).asked.insert(id, Asked::Once);
            self.ask_about(frame, id, Ask::Cancel);
        }
    }

    /// What the page is told.
    pub(crate) fn on_tell(&mut self, frame: FrameId, Told { id, tell }: Told) {
        self.note(|| format!("{frame} {id} > {tell:?}"));
        match tell {
            Tell::Address(address) => {
                self.model.addresses.push(address.clone());
                self.host(frame).address = Some(address);
                self.on_answered(frame, id, true);
            }
            Tell::Badge(_) => {}
            Tell::Bytes(bytes) => self.on_bytes(frame, id, &bytes),
            Tell::Cancelled => drop(self.host(frame).answers.remove(&id)),
            Tell::Credit(limit) => self.on_credit(frame, id, limit),
            Tell::Done => self.on_done(frame, id),
            Tell::End => self.on_end(frame, id),
            Tell::Failed(failure) => self.on_failed(frame, id, &failure),
            Tell::Finished => self.on_finished(frame, id),
            Tell::IncomingCall { call, data, .. } => self.on_call(frame, call, &data),
            Tell::IncomingStream { stream, .. } => self.on_incoming(frame, stream),
            Tell::Message { from, data, .. } => self.on_message(frame, &from, data),
            Tell::Peer(_) => self.on_answered(frame, id, true),
            Tell::Presence { peer, value } => self.on_presence(frame, id, &peer, value.as_deref()),
            Tell::More(_) => self.must(false, || format!("{frame} is told of more members than there are")),
            Tell::PeerJoin(peer) => self.on_peer(frame, id, &peer, true),
            Tell::PeerLeave(peer) => self.on_peer(frame, id, &peer, false),
            Tell::Reply(data) => self.on_reply(frame, id, &data),
            Tell::Status(status) => self.on_status(frame, id, &status),
            Tell::Welcome(welcome) => self.on_welcome(frame, welcome.id),
            Tell::Identity(_) | Tell::Next(_) | Tell::Scope(_) | Tell::Value(_) => {
                self.must(false, || format!("{frame} is told {tell:?}"));
            }
        }
    }

    fn on_welcome(&mut self, frame: FrameId, id: String) {
        let twice = self.host(frame).id.replace(id).is_some();
        self.must(!twice, || format!("{frame} is welcomed twice"));
        self.serve_again(frame);
        if self.chance(self.sociable) {
            self.join(frame);
        }
        if self.curious {
            self.host(frame).watch = Some(self.ask(frame, Ask::Watch));
        }
    }

    fn on_done(&mut self, frame: FrameId, id: u32) {
        match self.host(frame).asked.get(&id) {
            Some(Asked::Join) => {
                let host = self.host(frame);
                host.asked.remove(&id);
                host.joined = true;
                self.show(frame);
            }
            Some(Asked::Leave) => {}
            Some(_) => self.on_answered(frame, id, true),
            None => self.on_opened(frame, id),
        }
    }

    fn on_end(&mut self, frame: FrameId, id: u32) {
        match self.host(frame).asked.get(&id).copied() {
            Some(Asked::Cancelled(call)) => self.settle_call(frame, id, call, Settled::Failed(Executed::Unknown)),
            Some(Asked::Leave) => drop(self.host(frame).asked.remove(&id)),
            Some(Asked::Once) => self.on_answered(frame, id, true),
            _ => self.on_stopped(frame, id),
        }
    }

    fn on_answered(&mut self, frame: FrameId, id: u32, well: bool) {
        let asked = self.host(frame).asked.remove(&id);
        if let Some(Asked::Dial(dial)) = asked {
            let Dialled { page, to, .. } = self.model.dials[dial];
            self.model.dials[dial].answered = Some((self.now, well && self.are_linked(page, to)));
            return;
        }
        self.must(asked == Some(Asked::Once), || format!("{frame}'s request {id} is answered as {asked:?}"));
        let count = if well { &mut self.evidence.answered } else { &mut self.evidence.refused };
        *count += 1;
    }

    fn on_failed(&mut self, frame: FrameId, id: u32, failure: &Failure) {
        match self.host(frame).asked.get(&id).copied() {
            Some(Asked::Call(call) | Asked::Cancelled(call)) => {
                let executed = failure.executed;
                self.must(executed.is_some(), || format!("{frame}'s call {id} fails with {failure:?}"));
                let executed = executed.unwrap_or(Executed::Unknown);
                self.settle_call(frame, id, call, Settled::Failed(executed));
            }
            Some(Asked::Dial(_) | Asked::Once) => self.on_answered(frame, id, false),
            Some(Asked::Join | Asked::Leave) => self.must(false, || format!("{frame} can't join: {failure:?}")),
            None => self.on_stream_failed(frame, id, failure),
        }
    }

    fn settle_call(&mut self, frame: FrameId, id: u32, number: usize, outcome: Settled) {
        self.host(frame).asked.remove(&id);
        let call = &mut self.model.calls[number];
        let before = call.outcome.replace(outcome);
        let (deadline, runs, now) = (call.deadline, call.runs, self.now);
        self.must(before.is_none(), || format!("call {number} is settled twice"));
        // A hidden page's timers are a second late.
        let browser = self.tabs[&frame].browser;
        let late = now.since(deadline) > Duration::from_millis(1100);
        let excused = self.model.trouble.touches(frame, browser, deadline, now);
        self.must(!late || excused, || format!("call {number} is settled long after {deadline:?}"));
        match outcome {
            Settled::Done => self.evidence.calls_done += 1,
            Settled::Failed(Executed::No) => self.evidence.calls_not_run += 1,
            Settled::Failed(_) => self.evidence.calls_failed += 1,
        }
        let fits = outcome != Settled::Done || runs == 1;
        self.must(fits, || format!("call {number} is done, and its handler ran {runs} times"));
    }

    fn on_reply(&mut self, frame: FrameId, id: u32, data: &Data) {
        let Some(Asked::Call(call) | Asked::Cancelled(call)) = self.host(frame).asked.get(&id).copied() else {
            return self.must(false, || format!("{frame} gets a reply to {id}"));
        };
        self.must(*data == Data::Text(format!("re:{call}")), || format!("call {call} returns {data:?}"));
        self.settle_call(frame, id, call, Settled::Done);
    }

    /// A handler runs: it is quick or slow, throws now and then, or never answers.
    fn on_call(&mut self, frame: FrameId, id: u32, data: &Data) {
        let Data::Text(text) = data else { return self.must(false, || format!("{frame} is called with {data:?}")) };
        let call: usize = text.parse().expect("calls carry their numbers");
        self.model.calls[call].runs += 1;
        let runs = self.model.calls[call].runs;
        self.must(runs == 1, || format!("call {call} runs {runs} times"));
        let is_its = self.tabs[&frame].host.id.as_ref() == Some(&self.model.calls[call].peer);
        self.must(is_its, || format!("call {call} of another site's comes to {frame}"));
        let outcome =
            if self.mishap(10) { Outcome::Err("sorry".into()) } else { Outcome::Ok(Data::Text(format!("re:{call}"))) };
        self.host(frame).answers.insert(id, outcome);
        if !self.mishap(5) {
            self.later(0, 300, Event::Frame(frame, Fact::Replies(id)));
        }
    }

    pub(crate) fn reply(&mut self, frame: FrameId, id: u32) {
        if let Some(outcome) = self.host(frame).answers.remove(&id) {
            self.ask_about(frame, id, Ask::Reply { outcome });
        }
    }

    /// A page sees its own site, and one that may the whole node.
    fn on_status(&mut self, frame: FrameId, id: u32, status: &Status) {
        let origin = self.tabs[&frame].origin;
        let observes = self.curious && origin == OBSERVER;
        let fits = status.frames.iter().all(|it| observes || it.origin == origin);
        self.must(fits && observes == status.leader.is_some(), || format!("{frame} of {origin} sees {status:?}"));
        if self.host(frame).watch != Some(id) {
            return self.on_answered(frame, id, true);
        }
        self.evidence.statuses += 1;
        self.evidence.overviews += usize::from(observes);
    }

    /// Somebody came into the lobby, or left it.
    fn on_peer(&mut self, frame: FrameId, id: u32, peer: &str, came: bool) {
        let host = self.host(frame);
        if host.lobby != Some(id) {
            return;
        }
        let news = if came { host.peers.insert(peer.to_owned()) } else { host.peers.remove(peer) };
        if !came {
            host.shown.remove(peer);
        }
        self.must(news, || format!("{frame} is told twice whether {peer} is in the lobby: {came}"));
    }

    fn on_presence(&mut self, frame: FrameId, id: u32, peer: &str, value: Option<&str>) {
        let host = self.host(frame);
        if host.lobby != Some(id) {
            return;
        }
        let is_there = host.peers.contains(peer) || host.id.as_deref() == Some(peer);
        let before = match value {
            Some(value) => host.shown.insert(peer.to_owned(), value.to_owned()),
            None => host.shown.remove(peer),
        };
        self.evidence.shown += 1;
        self.must(is_there, || format!("{frame} is told what {peer} shows, who isn't there"));
        self.must(before.as_deref() != value, || format!("{frame} is told twice what {peer} shows: {value:?}"));
    }

    fn on_message(&mut self, frame: FrameId, from: &str, data: Data) {
        let Data::Text(text) = data else { return self.must(false, || format!("{frame} hears {data:?}")) };
        self.must_be_said(frame, from, &text);
        self.evidence.heard += 1;
        let epoch = self.browsers[self.tabs[&frame].browser].epoch;
        let host = self.host(frame);
        let own = text.starts_with(&frame.to_string());
        let (past, left) = &host.past;
        let is_past = past.contains(&text);
        // A page that joins again knows nothing of what it heard before, and a new leader neither.
        let excused = is_past && *left != epoch;
        let times = host.heard.entry(text).or_default();
        *times += 1;
        let times = *times;
        self.must(times == 1 && (excused || !own && !is_past), || format!("{frame} hears an echo"));
    }

    /// What a page hears was said, by whom it hears it from, and not long before the page came.
    fn must_be_said(&mut self, frame: FrameId, from: &str, text: &str) {
        let Some(Said { author, from: by, number, at }) = self.model.said.get(text).cloned() else {
            let by_insider = self.insiders.may_have_said(from, text);
            return self.must(by_insider, || format!("{frame} hears of {from} what nobody said: {text}"));
        };
        let host = self.host(frame);
        let since = host.since.expect("it joined");
        let latest = host.latest.entry(author).or_default();
        let last = std::mem::replace(latest, number.max(*latest));
        self.must(from == by, || format!("{frame} hears of {from} what {by} said"));
        self.must(at + LATELY + CLOCKS_DIFFER >= since, || format!("{frame}, there since {since:?}, hears of {at:?}"));
        // What was said before it came may come in any order: hostile members say it again, too. So may what is said while a page has no links.
        let is_ordered = !self.insiders.keep_back.is_empty() && at >= since + CLOCKS_DIFFER;
        self.must(last < number || !is_ordered, || format!("{frame} hears {number} of {author} after {last}"));
    }
}

/// What was said by then is heard by who comes.
pub const LATELY: Duration = Duration::from_secs(10);

/// Clocks of nodes differ by as much as the server's time took to come.
const CLOCKS_DIFFER: Duration = Duration::from_millis(100);

/// What a page says when it speaks for the `n`th time.
pub fn said(frame: FrameId, n: usize) -> String {
    format!("{frame} {n}")
}
