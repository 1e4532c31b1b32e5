//! Sockets between the leaders and the rendezvous.

use std::{collections::BTreeMap, net::Ipv4Addr};

use bitters_node::{Input, UplinkCommand, UplinkEvent};
use bitters_revproxy_core::rendezvous::{self, ConnId, Rendezvous};
use bitters_wire::codec;

use super::{
    Event, News, Pipe, World,
    browser::WorkerId,
    proxy::{PROXY, Proxy},
};

/// Where it listens.
pub const SERVER: &str = "ws://rendezvous.example/rendezvous";

/// Its name.
const NAME: &str = "rendezvous.example";

/// The rendezvous.
#[derive(Debug)]
pub struct Server {
    pub rendezvous: Rendezvous,
    pub up: bool,
    /// Open sockets, and whose they are.
    pub sockets: BTreeMap<ConnId, (usize, WorkerId)>,
    /// Who listens at which address.
    pub proxy: Proxy,
    connected: u64,
}

impl Server {
    pub fn new(seed: u64) -> Self {
        let rendezvous = Rendezvous::new(rendezvous::Config::default(), seed);
        Self { rendezvous, up: true, sockets: BTreeMap::new(), proxy: Proxy::default(), connected: 0 }
    }
}

impl World {
    pub(super) fn on_uplink_command(&mut self, browser: usize, id: WorkerId, command: UplinkCommand) {
        let Some(lead) = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_mut()) else { return };
        let socket = lead.socket;
        match command {
            UplinkCommand::Close => {
                if let Some(conn) = socket {
                    self.drop_socket(socket);
                    self.agenda.at(self.now, Event::Worker(browser, id, News::SocketCloses(conn)));
                }
            }
            UplinkCommand::Connect(_) => {
                self.server.connected += 1;
                let conn = ConnId(self.server.connected);
                lead.socket = Some(conn);
                let news = if self.server.up { News::SocketOpens(conn) } else { News::SocketRefused };
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

    pub(super) fn on_socket_opens(&mut self, browser: usize, id: WorkerId, conn: ConnId) {
        let lead = self.browsers[browser].worker_mut(id).and_then(|it| it.lead.as_ref());
        if lead.and_then(|it| it.socket) != Some(conn) {
            return;
        }
        if !self.server.up {
            return self.on_news(browser, id, News::SocketCloses(conn));
        }
        self.server.sockets.insert(conn, (browser, id));
        let nonce = std::array::from_fn(|_| self.rng.u8(..));
        let addr = Ipv4Addr::new(10, 0, 0, u8::try_from(browser).unwrap_or(u8::MAX)).into();
        let proxies = [PROXY.parse().expect("an address")].into();
        let open = rendezvous::Input::Open { conn, addr, nonce, server: NAME.into(), proxies };
        self.server.rendezvous.handle_input(open, self.now);
        self.tell_node(browser, id, Input::Uplink(UplinkEvent::Open { server: NAME.into() }));
        self.serve();
    }

    pub(super) fn on_server_hears(&mut self, conn: ConnId, bytes: Vec<u8>) {
        if self.server.sockets.contains_key(&conn) {
            self.server.rendezvous.handle_input(rendezvous::Input::Received(conn, bytes), self.now);
            self.serve();
        }
    }

    pub(super) fn drop_socket(&mut self, socket: Option<ConnId>) {
        if let Some(conn) = socket
            && self.server.sockets.remove(&conn).is_some()
        {
            self.server.rendezvous.handle_input(rendezvous::Input::Closed(conn), self.now);
            self.serve();
        }
    }

    pub(super) fn serve(&mut self) {
        while let Some(output) = self.server.rendezvous.poll_output() {
            let (conn, message) = match output {
                rendezvous::Output::Close(conn) => (conn, None),
                rendezvous::Output::Proxy(input) => {
                    self.on_proxy_input(&input);
                    continue;
                }
                rendezvous::Output::Send(conn, message) => (conn, Some(message)),
            };
            let Some((browser, worker)) = self.server.sockets.get(&conn).copied() else { continue };
            let news = match message {
                Some(message) => News::SocketSays(conn, message),
                None => {
                    self.server.sockets.remove(&conn);
                    News::SocketCloses(conn)
                }
            };
            self.through(Pipe::SocketDown(conn.0), 5, 50, Event::Worker(browser, worker, news));
        }
    }

    /// The rendezvous stops, and forgets everybody.
    pub fn stop_server(&mut self) {
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
        self.server.up = true;
        self.model.trouble.server(self.now, false);
    }
}
