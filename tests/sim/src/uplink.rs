//! Sockets between the leaders and the rendezvous.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use bitters_machine::{Machine, time::Instant};
use bitters_node::{Input, UplinkCommand, UplinkEvent};
use bitters_revproxy_core::{
    proxy,
    rendezvous::{self, ConnId, Rendezvous},
};
use bitters_wire::{codec, rendezvous::ToNode};

use crate::{
    World,
    browser::WorkerId,
    event::{Event, News, Pipe, Turn},
    fault::Whom,
    proxy::{PROXY, Proxy, home},
};

/// Where it listens.
pub const SERVER: &str = "ws://rendezvous.example/rendezvous";

/// Its name.
pub const NAME: &str = "rendezvous.example";

/// Another server, that nobody reaches.
pub const GONE: &str = "ws://gone.example/rendezvous";

/// A leader asks after ten seconds, waits for five, and connects anew within a few more, but for what it waited before.
const NOTICED: Duration = Duration::from_secs(25);

/// The server pings a socket, and gives one up that stays silent for a minute.
const MISSED: Duration = Duration::from_secs(60);

/// The rendezvous.
#[derive(Debug)]
pub struct Server {
    pub rendezvous: Rendezvous,
    pub up: bool,
    /// What it will take in when its process goes on, while that stands still.
    pub stopped: Option<Vec<Waits>>,
    /// Sockets of which a middlebox has forgotten all: they stay open, and nothing comes through.
    pub cut: BTreeSet<ConnId>,
    /// Open sockets, and whose they are.
    pub sockets: BTreeMap<ConnId, (usize, WorkerId)>,
    /// Who listens at which address.
    pub proxy: Proxy,
    /// How often it was tried to connect to it.
    pub connected: u64,
}

/// What waits for the server's process.
#[derive(Clone, Debug)]
pub enum Waits {
    Closed(ConnId),
    Opens(usize, WorkerId, ConnId),
    Says(ConnId, Vec<u8>),
}

impl Server {
    pub fn new(seed: u64) -> Self {
        let rendezvous = Rendezvous::new(rendezvous::Config::default(), seed);
        let (stopped, cut, sockets) = (None, BTreeSet::new(), BTreeMap::new());
        let proxy = Proxy::new(std::array::from_fn(|at| seed.to_le_bytes()[at % 8]));
        Self { rendezvous, up: true, stopped, cut, sockets, proxy, connected: 0 }
    }

    /// Whether its process runs.
    pub const fn answers(&self) -> bool {
        self.up && self.stopped.is_none()
    }

    /// When its timer is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = [self.rendezvous.poll_timeout(), self.proxy.poll_timeout()];
        timeouts.into_iter().flatten().min().filter(|_| self.stopped.is_none())
    }
}

impl World {
    pub(crate) fn on_uplink_command(&mut self, browser: usize, id: WorkerId, command: UplinkCommand) {
        let Some(lead) = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_mut()) else { return };
        let socket = lead.socket;
        match command {
            UplinkCommand::Close => {
                if let Some(conn) = socket {
                    let is_silent = self.server.stopped.is_some() || self.server.cut.contains(&conn);
                    let noticed = is_silent && self.server.sockets.contains_key(&conn);
                    self.evidence.silences_noticed += usize::from(noticed);
                    self.drop_socket(socket);
                    self.agenda.at(self.now, Event::Worker(browser, id, News::SocketCloses(conn)));
                }
            }
            UplinkCommand::Connect(url) => {
                self.server.connected += 1;
                let conn = ConnId(self.server.connected);
                lead.socket = Some(conn);
                let news = if self.server.up && url == SERVER { News::SocketOpens(conn) } else { News::SocketRefused };
                self.later(20, 200, Event::Worker(browser, id, news));
            }
            UplinkCommand::Send(message) => {
                if let Some(conn) = socket {
                    let bytes = codec::encode(&message);
                    self.through(Pipe::SocketUp(conn.0), 5, 50, Event::Server(conn, bytes));
                }
            }
        }
    }

    pub(crate) fn on_socket_opens(&mut self, browser: usize, id: WorkerId, conn: ConnId) {
        let lead = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_ref());
        if lead.and_then(|it| it.socket) != Some(conn) {
            return;
        }
        if let Some(waiting) = &mut self.server.stopped {
            return waiting.push(Waits::Opens(browser, id, conn));
        }
        if !self.server.up {
            return self.on_news(browser, id, News::SocketCloses(conn));
        }
        self.server.sockets.insert(conn, (browser, id));
        self.tell_node(browser, id, Input::Uplink(UplinkEvent::Open { server: NAME.into() }));
        self.open_socket(conn, home(browser));
    }

    /// The server has a new socket, from there.
    pub(crate) fn open_socket(&mut self, conn: ConnId, addr: IpAddr) {
        let nonce = self.bytes();
        let proxies = [PROXY.parse().expect("an address")].into();
        let open = rendezvous::Input::Open { conn, addr, nonce, server: NAME.into(), proxies, unix_ms: self.unix_ms() };
        self.server.rendezvous.handle_input(open, self.now);
        self.serve();
    }

    pub(crate) fn on_server_hears(&mut self, conn: ConnId, bytes: Vec<u8>) {
        if self.server.cut.contains(&conn) {
            return;
        }
        if let Some(waiting) = &mut self.server.stopped {
            return waiting.push(Waits::Says(conn, bytes));
        }
        if self.server.sockets.contains_key(&conn) {
            self.server.rendezvous.handle_input(rendezvous::Input::Received(conn, bytes), self.now);
            self.serve();
        }
    }

    pub(crate) fn drop_socket(&mut self, socket: Option<ConnId>) {
        let Some(conn) = socket else { return };
        if let Some(waiting) = &mut self.server.stopped {
            return waiting.push(Waits::Closed(conn));
        }
        // The server doesn't hear of the end of a socket that is cut, until its node comes again.
        if !self.server.cut.contains(&conn) && self.server.sockets.remove(&conn).is_some() {
            self.server.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
            self.serve();
        }
    }

    pub(crate) fn serve(&mut self) {
        while let Some(output) = self.server.rendezvous.poll_output() {
            match output {
                rendezvous::Output::Close(conn) => self.close_socket(conn),
                rendezvous::Output::Proxy(input) => self.on_proxy_input(input),
                rendezvous::Output::Send(conn, message) => self.say_to_socket(conn, message),
            }
        }
    }

    /// The server's timer is due.
    pub(crate) fn tick_server(&mut self) {
        if self.server.rendezvous.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.rendezvous.handle_input(rendezvous::Input::Timeout, self.now);
            self.serve();
        }
        if self.server.proxy.poll_timeout().is_some_and(|at| at <= self.now) {
            self.tell_proxy(proxy::Input::Timeout);
        }
    }

    fn close_socket(&mut self, conn: ConnId) {
        let Some((browser, worker)) = self.server.sockets.remove(&conn) else { return self.forget_stranger(conn) };
        if !self.server.cut.contains(&conn) {
            self.through(Pipe::SocketDown(conn.0), 5, 50, Event::Worker(browser, worker, News::SocketCloses(conn)));
        }
    }

    /// The server tells a node something.
    pub(crate) fn say_to_socket(&mut self, conn: ConnId, message: ToNode) {
        let Some((browser, worker)) = self.server.sockets.get(&conn).copied() else {
            return self.on_stranger_told(conn, message);
        };
        if !self.server.cut.contains(&conn) {
            if matches!(message, ToNode::Signal { .. }) && self.strangers.is_here() {
                return self.pass_on_badly(browser, worker, News::SocketSays(conn, message));
            }
            let news = News::SocketSays(conn, message);
            self.through(Pipe::SocketDown(conn.0), 5, 50, Event::Worker(browser, worker, news));
        }
    }

    /// The server is hostile, too: of signals it drops some, and others overtake each other.
    fn pass_on_badly(&mut self, browser: usize, worker: WorkerId, news: News) {
        if !self.chance(10) {
            let worst = if self.chance(20) { 2000 } else { 50 };
            self.later(5, worst, Event::Worker(browser, worker, news));
        }
    }

    /// The rendezvous stops, and forgets everybody.
    pub fn stop_server(&mut self) {
        self.unmute_server();
        self.server.up = false;
        for (conn, (browser, worker)) in std::mem::take(&mut self.server.sockets) {
            self.server.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
            let news = News::SocketCloses(conn);
            self.through(Pipe::SocketDown(conn.0), 5, 50, Event::Worker(browser, worker, news));
        }
        self.model.trouble.server(self.now, true);
    }

    /// The rendezvous starts.
    pub fn start_server(&mut self) {
        self.unmute_server();
        self.server.up = true;
        self.model.trouble.server(self.now, false);
    }

    /// The process of the rendezvous stands still: its sockets stay open, and what is said to it waits.
    pub fn mute_server(&mut self, time: Duration) {
        if !self.server.up || self.server.stopped.is_some() {
            return;
        }
        self.server.stopped = Some(Vec::new());
        self.evidence.server_silences += 1;
        self.model.trouble.server(self.now, true);
        self.note(|| format!("the server is silent for {time:?}"));
        self.agenda.at(self.now + time, Event::Turn(Turn::Speaks(self.evidence.server_silences)));
    }

    /// It goes on.
    pub(crate) fn unmute_server(&mut self) {
        let Some(waiting) = self.server.stopped.take() else { return };
        self.note(|| "the server speaks again".into());
        self.model.trouble.server(self.now, false);
        for what in waiting {
            match what {
                Waits::Closed(conn) => self.drop_socket(Some(conn)),
                Waits::Opens(browser, id, conn) => {
                    self.later(0, 20, Event::Worker(browser, id, News::SocketOpens(conn)));
                }
                Waits::Says(conn, bytes) => self.on_server_hears(conn, bytes),
            }
        }
    }

    /// A middlebox forgets the socket of a browser's leader.
    pub fn cut_socket(&mut self, browser: usize) {
        let socket = self.browsers[browser].leader().and_then(|it| it.lead.as_ref()).and_then(|it| it.socket);
        let Some(conn) = socket.filter(|conn| self.server.sockets.contains_key(conn)) else { return };
        if self.server.cut.insert(conn) {
            self.evidence.sockets_cut += 1;
            self.note(|| format!("{browser}'s socket {conn:?} is cut"));
            self.model.trouble.note(Whom::Browser(browser), self.now, self.now + NOTICED);
            self.agenda.at(self.now + MISSED, Event::Turn(Turn::Missed(conn)));
        }
    }

    /// The server gives up a socket that is cut, if its node hasn't come again.
    pub(crate) fn miss_socket(&mut self, conn: ConnId) {
        if self.server.stopped.is_some() {
            return self.agenda.at(self.now + MISSED, Event::Turn(Turn::Missed(conn)));
        }
        if self.server.sockets.remove(&conn).is_some() {
            self.server.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
            self.serve();
        }
    }
}
