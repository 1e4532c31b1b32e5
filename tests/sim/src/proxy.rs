//! Who dials an address is introduced to whoever listens there. The real proxy does so by what browsers send each other, which isn't
//! simulated here (its own tests have browsers' agents); what nodes, frames and the rendezvous say to each other about it is real.

use std::{collections::BTreeMap, time::Duration};

use bitters_peercon::{Credentials, signal::Signal};
use bitters_revproxy_core::{proxy, rendezvous::ConnId};
use bitters_wire::{
    address::{Owner, Token},
    codec,
    id::FrameId,
    local::{Certificate, LinkEvent},
    rendezvous::ToNode,
};

use crate::{
    World,
    connection::End,
    event::{Event, Fact, News, Pipe},
};

/// Where it is.
pub const PROXY: &str = "203.0.113.1:3478";

/// How long certificates live.
const MONTH_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// A leader has as many owners at most: its node, and a persona for each of three origins. A leader that is new asks anew.
const MAX_CERTIFYING: usize = 40;
const CERTIFYING_SPAN: Duration = Duration::from_secs(5);

/// Its listeners, and who was introduced.
#[derive(Debug, Default)]
pub struct Proxy {
    listeners: BTreeMap<Token, ConnId>,
    passages: BTreeMap<u64, Passage>,
}

#[derive(Debug)]
struct Passage {
    dialler: End,
    listener: Option<End>,
}

impl World {
    /// The rendezvous has checked this.
    pub(crate) fn on_proxy_input(&mut self, input: &proxy::Input) {
        match input {
            proxy::Input::Answer { passage, .. } => self.on_answer(*passage),
            proxy::Input::Listen { conn, token, .. } => drop(self.server.proxy.listeners.insert(*token, *conn)),
            proxy::Input::Unlisten(token) => drop(self.server.proxy.listeners.remove(token)),
            proxy::Input::Forward { .. } | proxy::Input::Timeout => {}
        }
    }

    /// A browser's first check arrives.
    pub(crate) fn on_check(&mut self, dialler: End, token: Token) {
        let Some(conn) = self.server.proxy.listeners.get(&token).copied().filter(|_| self.server.answers()) else {
            return;
        };
        let Some((browser, worker)) = self.server.sockets.get(&conn).copied() else { return };
        if self.server.cut.contains(&conn) {
            return;
        }
        let passage = u64::try_from(self.server.proxy.passages.len()).expect("few");
        self.server.proxy.passages.insert(passage, Passage { dialler, listener: None });
        self.evidence.introduced += 1;
        let news = News::SocketSays(conn, ToNode::Dialled { passage, token, signal: codec::encode(&dialler) });
        self.through(Pipe::SocketDown(conn.0), 5, 50, Event::Worker(browser, worker, news));
    }

    /// A listener's frame is given a dialler's signal.
    pub(crate) fn on_introduced(&mut self, listener: End, dialler: End) {
        let fits = |it: &&mut Passage| it.dialler == dialler && it.listener.is_none();
        if let Some(passage) = self.server.proxy.passages.values_mut().find(fits) {
            passage.listener = Some(listener);
        }
    }

    /// It tells its credentials.
    pub(crate) fn tell_credentials(&mut self, listener: End) {
        let credentials = Credentials::new("1gTT", "N6WOK8l/xhXmKbJ7712zNdfe").expect("a browser's");
        let signal = Signal { credentials, fingerprint: [7; 32], candidates: Vec::new() };
        self.report(listener, LinkEvent::Signal(signal.encode()));
    }

    fn on_answer(&mut self, passage: u64) {
        let Some(Passage { dialler, listener: Some(listener) }) = self.server.proxy.passages.get(&passage) else {
            return;
        };
        let (dialler, listener) = (*dialler, *listener);
        if let Some(connection) = self.end_mut(dialler) {
            connection.remote = Some(listener);
            self.connect(dialler, listener);
        }
    }

    /// A frame makes a certificate, if it can be kept. One that is tried in vain is tried again seldom.
    pub(crate) fn certify(&mut self, frame: FrameId, owner: Owner) {
        let now = self.now;
        let browser = &mut self.browsers[self.tabs[&frame].browser];
        browser.certifying.push_back(now);
        while browser.certifying.front().is_some_and(|at| now.since(*at) > CERTIFYING_SPAN) {
            browser.certifying.pop_front();
        }
        let (count, full) = (browser.certifying.len(), browser.full);
        self.must(count < MAX_CERTIFYING, || format!("{frame} makes certificate after certificate: {count}"));
        let outcome = if full {
            self.evidence.certificates_refused += 1;
            Err("no room".to_owned())
        } else {
            let fingerprint = std::array::from_fn(|_| self.rng.u8(..));
            Ok(Certificate { fingerprint, expires: self.unix_ms() + MONTH_MS })
        };
        self.later(5, 60, Event::Frame(frame, Fact::Certified(owner, outcome)));
    }

    /// The disk of a browser is full, or has room again.
    pub fn fill(&mut self, browser: usize, full: bool) {
        self.browsers[browser].full = full;
        self.note(|| format!("{browser}'s disk is full: {full}"));
    }
}
