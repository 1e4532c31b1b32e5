//! Who dials an address is introduced to whoever listens there, by the real proxy. Of what browsers send it, the checks are real by which it
//! knows both ends; what follows once the listener's has come through isn't simulated (the proxy's own tests have browsers' agents).

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use bitters_machine::{Machine, time::Instant};
use bitters_peercon::{
    Credentials,
    packed::{PASSWORD, Packed},
    signal::Signal,
};
use bitters_revproxy_core::proxy::{self, Outgoing, Path, Socket};
use bitters_wire::{
    address::{Owner, Token},
    id::FrameId,
    local::{Certificate, LinkEvent},
    rendezvous::ToNode,
};
use stun_types::{
    attribute::Username,
    message::{
        BINDING, IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWrite, MessageWriteExt,
        MessageWriteVec, ShortTermCredentials,
    },
};

use crate::{
    World,
    connection::End,
    event::{Event, Fact},
};

/// Where it is.
pub const PROXY: &str = "203.0.113.1:3478";

/// How long certificates live.
const MONTH_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// A leader has as many owners at most: its node, and a persona for each of three origins. A leader that is new asks anew.
const MAX_CERTIFYING: usize = 40;
const CERTIFYING_SPAN: Duration = Duration::from_secs(5);

/// A check that isn't answered is sent again after that time, then after twice that, so often: Firefox does so, Chromium more often.
const AGAIN: Duration = Duration::from_millis(100);
const MAX_CHECKS: u32 = 7;

/// How a listener's browser signs.
const LISTENER: (&str, &str) = ("1gTT", "N6WOK8l/xhXmKbJ7712zNdfe");

/// The proxy, and who dials there.
#[derive(Debug)]
pub struct Proxy {
    machine: proxy::Proxy,
    dials: Vec<Dial>,
    /// Which dials they are, by the machine's own numbers.
    passages: BTreeMap<u64, usize>,
}

/// A browser dials an address.
#[derive(Debug)]
struct Dial {
    dialler: End,
    from: IpAddr,
    token: Token,
    checks: u32,
    listener: Option<End>,
}

impl Proxy {
    pub fn new(seed: [u8; 32]) -> Self {
        let machine = proxy::Proxy::new(proxy::Config::default(), seed);
        Self { machine, dials: Vec::new(), passages: BTreeMap::new() }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}

impl Dial {
    /// What the dialler calls itself, and its password: no two dials have the same.
    fn names(number: usize) -> (String, String) {
        (format!("{number:08}"), format!("{number:024}"))
    }

    /// The dialler's check, as its browser writes it.
    fn check(&self, number: usize) -> Vec<u8> {
        let (ufrag, password) = Self::names(number);
        let packed = Packed { token: self.token, fingerprint: [7; 32], password };
        check(number, &format!("{}:{ufrag}", packed.to_ufrag()), PASSWORD)
    }

    /// The listener's.
    fn check_back(number: usize) -> Vec<u8> {
        let (ufrag, password) = Self::names(number);
        check(number, &format!("{ufrag}:{}", LISTENER.0), &password)
    }
}

/// A check (RFC 8445, section 7.1).
fn check(number: usize, username: &str, password: &str) -> Vec<u8> {
    let request = MessageType::from_class_method(MessageClass::Request, BINDING);
    let transaction = u128::try_from(number).expect("a dial's number is small");
    let mut message = Message::builder(request, transaction.into(), MessageWriteVec::new());
    message.add_attribute(&Username::new(username).expect("it is short")).expect("it is the first");
    let credentials = ShortTermCredentials::new(password.into()).into();
    message.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).expect("it has none");
    message.add_fingerprint().expect("it has none");
    message.finish()
}

/// Where one of the two ends of a dial sends from.
fn path(number: usize, from: IpAddr, listens: bool) -> Path {
    let port = 1024 + u16::try_from(2 * (number % 30_000)).expect("it is below the last port") + u16::from(listens);
    Path { socket: Socket { index: 0, ip: None }, peer: (from, port).into() }
}

impl World {
    /// The rendezvous has checked this.
    pub(crate) fn on_proxy_input(&mut self, input: proxy::Input) {
        let answered = match &input {
            proxy::Input::Answer { passage, .. } => self.server.proxy.passages.get(passage).copied(),
            _ => None,
        };
        self.tell_proxy(input);
        if let Some(dial) = answered {
            self.later(5, 60, Event::CheckBack(dial));
        }
    }

    pub(crate) fn tell_proxy(&mut self, input: proxy::Input) {
        self.server.proxy.machine.handle_input(input, self.now);
        self.introduce();
    }

    /// A browser dials an address; its first check will arrive.
    pub(crate) fn dial_at(&mut self, dialler: End, token: Token, from: IpAddr) {
        let dial = self.server.proxy.dials.len();
        self.server.proxy.dials.push(Dial { dialler, from, token, checks: 0, listener: None });
        self.later(20, 150, Event::Check(dial));
    }

    /// A dialler's check arrives, and is sent again until the listener's end is known.
    pub(crate) fn on_check(&mut self, number: usize) {
        let dial = &mut self.server.proxy.dials[number];
        dial.checks += 1;
        let (checks, dialler, path, bytes) =
            (dial.checks, dial.dialler, path(number, dial.from, false), dial.check(number));
        let waits = self.end(dialler).is_some_and(|it| it.remote.is_none());
        if checks == 1 || waits {
            self.datagram(path, &bytes);
        }
        if waits && checks < MAX_CHECKS {
            self.agenda.at(self.now + AGAIN * (1 << (checks - 1)), Event::Check(number));
        }
    }

    /// The check of who answered arrives: the proxy knows both ends.
    pub(crate) fn on_check_back(&mut self, number: usize) {
        let Dial { dialler, listener, .. } = self.server.proxy.dials[number];
        let Some(listener) = listener else { return };
        let Some(browser) = self.tabs.get(&listener.0).map(|it| it.browser) else { return };
        let path = path(number, home(browser), true);
        let sent = self.datagram(path, &Dial::check_back(number));
        if sent.iter().any(|(to, _)| to == path)
            && let Some(connection) = self.end_mut(dialler)
        {
            connection.remote = Some(listener);
            self.connect(dialler, listener);
        }
    }

    /// What the proxy sends when this comes.
    fn datagram(&mut self, from: Path, bytes: &[u8]) -> Outgoing {
        let mut out = Outgoing::new();
        if self.server.answers() {
            self.server.proxy.machine.handle_datagram(from, bytes, self.now, &mut out);
            self.introduce();
        }
        out
    }

    /// Listeners are told of dials.
    fn introduce(&mut self) {
        while let Some(proxy::Output::Send(conn, message)) = self.server.proxy.machine.poll_output() {
            if let ToNode::Dialled { passage, signal, .. } = &message {
                let dial = number_in(signal);
                self.server.proxy.passages.insert(*passage, dial);
                self.evidence.introduced += 1;
                let is_finished = self.end(self.server.proxy.dials[dial].dialler).is_some();
                self.evidence.doors_occupied += usize::from(!is_finished);
            }
            self.say_to_socket(conn, message);
        }
    }

    /// A listener's frame is given a dialler's signal.
    pub(crate) fn on_introduced(&mut self, listener: End, signal: &[u8]) {
        let dial = &mut self.server.proxy.dials[number_in(signal)];
        dial.listener = Some(listener);
        let dialler = dial.dialler;
        if let Some(connection) = self.end_mut(listener) {
            connection.remote = Some(dialler);
        }
    }

    /// It tells its credentials.
    pub(crate) fn tell_credentials(&mut self, listener: End) {
        let credentials = Credentials::new(LISTENER.0, LISTENER.1).expect("a browser's");
        let signal = Signal { credentials, fingerprint: [7; 32], candidates: Vec::new() };
        self.report(listener, LinkEvent::Signal(signal.encode()));
    }

    /// A frame makes a certificate, if it can be kept. One that is tried in vain is tried again seldom.
    pub(crate) fn certify(&mut self, frame: FrameId, owner: Owner) {
        let now = self.now;
        let browser = self.tabs[&frame].browser;
        let expires = self.clock_of(browser) + MONTH_MS;
        let browser = &mut self.browsers[browser];
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
            let fingerprint = self.bytes();
            Ok(Certificate { fingerprint, expires })
        };
        self.later(5, 60, Event::Frame(frame, Fact::Certified(owner, outcome)));
    }

    /// The disk of a browser is full, or has room again.
    pub fn fill(&mut self, browser: usize, full: bool) {
        self.browsers[browser].full = full;
        self.note(|| format!("{browser}'s disk is full: {full}"));
    }
}

/// Which dial a dialler's signal is of.
fn number_in(signal: &[u8]) -> usize {
    let signal = Signal::decode(signal).expect("the proxy writes it");
    signal.credentials.ufrag().parse().expect("diallers are called by numbers")
}

/// Where a browser is: each in a network of its own.
pub fn home(browser: usize) -> IpAddr {
    IpAddr::from([10, u8::try_from(browser).unwrap_or(u8::MAX), 0, 1])
}
