//! Sockets between the world's nodes and its rendezvous.

use bitters_machine::Machine;
use std::net::Ipv4Addr;

use bitters_node::{Input, UplinkEvent};
use bitters_revproxy_core::rendezvous::{self, ConnId};

use super::{Event, Pipe, SERVER, World};

/// The server's name.
const NAME: &str = "rendezvous.example";

impl World {
    pub(super) fn connect(&mut self, browser: usize, url: &str) {
        let at = self.now + self.millis(20, 200);
        if url != SERVER || !self.server_is_up {
            return self.agenda.at(at, Event::SocketRefused(browser));
        }
        self.connected += 1;
        let conn = ConnId(self.connected);
        self.browsers[browser].socket = Some(conn);
        self.agenda.at(at, Event::SocketOpens(browser, conn));
    }

    pub(super) fn on_socket_opens(&mut self, browser: usize, conn: ConnId) {
        if self.browsers[browser].socket != Some(conn) {
            return;
        }
        if !self.server_is_up {
            return self.happen(Event::SocketCloses(browser, conn));
        }
        self.sockets.insert(conn, browser);
        let nonce = std::array::from_fn(|_| self.rng.u8(..));
        let addr = Ipv4Addr::new(10, 0, 0, u8::try_from(browser).unwrap_or(u8::MAX)).into();
        self.rendezvous.handle_input(
            rendezvous::Input::Open { conn, addr, nonce, server: NAME.into(), proxies: [].into() },
            self.now,
        );
        self.inform(browser, Input::Uplink(UplinkEvent::Open { server: NAME.into() }));
        self.serve();
    }

    pub(super) fn serve(&mut self) {
        while let Some(output) = self.rendezvous.poll_output() {
            let (conn, event) = match output {
                rendezvous::Output::Close(conn) => (conn, None),
                rendezvous::Output::Proxy(_) => unreachable!("nobody has an address here"),
                rendezvous::Output::Send(conn, message) => (conn, Some(message)),
            };
            let Some(browser) = self.sockets.get(&conn).copied() else { continue };
            let event = match event {
                Some(message) => Event::SocketSays(browser, conn, message),
                None => {
                    self.sockets.remove(&conn);
                    Event::SocketCloses(browser, conn)
                }
            };
            let latency = self.millis(5, 50);
            self.agenda.through(Pipe::SocketDown(conn.0), self.now, latency, event);
        }
    }
}
