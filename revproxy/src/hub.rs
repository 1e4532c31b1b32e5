//! The rendezvous machine among its sockets.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use bitters_machine::Machine;
use bitters_wire::rendezvous::ToNode;
use tokio::sync::mpsc;

use crate::{
    core::rendezvous::{Config, ConnId, Counts, Input, Load, Output, Rendezvous},
    driver::Driver,
    switchboard::Switchboard,
    udp::Udp,
};

/// The machine, and where its messages go.
#[derive(Debug)]
pub(crate) struct Hub {
    machine: Driver<Rendezvous>,
    /// Names the connections.
    next: AtomicU64,
    switchboard: Arc<Switchboard>,
    udp: Arc<Udp>,
}

/// A socket that opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where from.
    pub(crate) addr: IpAddr,
    /// Where it came to, of this machine's.
    pub(crate) local: IpAddr,
    /// Fresh from a cryptographic generator.
    pub(crate) nonce: [u8; 32],
    /// The server's name, as the socket's request says it.
    pub(crate) server: String,
}

/// Milliseconds since 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Hub {
    pub(crate) fn new(config: Config, seed: u64, switchboard: Arc<Switchboard>, udp: Arc<Udp>) -> Self {
        Self { machine: Driver::new(Rendezvous::new(config, seed)), next: AtomicU64::new(0), switchboard, udp }
    }

    /// A socket opened. Its messages come out of the receiver, which ends when the socket is to be closed.
    pub(crate) fn open(&self, opened: Opened) -> (ConnId, mpsc::Receiver<ToNode>) {
        let Opened { addr, local, nonce, server } = opened;
        let proxies = self.udp.reached_from(local);
        let open = |machine: &mut Rendezvous, now| {
            let conn = ConnId(self.next.fetch_add(1, Ordering::Relaxed));
            let receiver = self.switchboard.open(conn);
            machine.handle_input(Input::Open { conn, addr, nonce, server, proxies, unix_ms: unix_ms() }, now);
            (conn, receiver)
        };
        self.machine.run(open, |output| self.perform(output))
    }

    /// A socket received a message.
    pub(crate) fn received(&self, conn: ConnId, bytes: Vec<u8>) {
        self.handle_input(Input::Received(conn, bytes));
    }

    /// A socket closed.
    pub(crate) fn closed(&self, conn: ConnId) {
        self.switchboard.close(conn);
        self.handle_input(Input::Closed(conn));
    }

    /// How much there is, and what was said, for those who operate the server.
    pub(crate) fn numbers(&self) -> (Load, Counts) {
        let machine = self.machine.lock();
        (machine.load(), machine.counts().clone())
    }

    /// Tells the machine when its time has come, forever.
    pub(crate) async fn keep_time(&self) {
        self.machine.keep_time(|| self.handle_input(Input::Timeout)).await;
    }

    fn handle_input(&self, input: Input) {
        self.machine.run(|machine, now| machine.handle_input(input, now), |output| self.perform(output));
    }

    fn perform(&self, output: Output) -> Option<Input> {
        match output {
            Output::Close(conn) => self.switchboard.close(conn),
            Output::Proxy(input) => self.udp.handle_input(input),
            Output::Send(conn, message) => {
                if self.switchboard.send(conn, message).is_err() {
                    self.switchboard.close(conn);
                    return Some(Input::Closed(conn));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use bitters_machine::time::Instant;
    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_is_kept() {
        let hub = hub();

        let all = async {
            let (_, mut messages) = hub.open(opened());
            let mut all = Vec::new();
            while let Some(message) = messages.recv().await {
                all.push(message);
            }
            all
        };
        // The clock is watched before there is anything to wait for.
        let all = async {
            tokio::select! { biased; () = hub.keep_time() => unreachable!(), all = all => all }
        };
        let all = time::timeout(Duration::from_secs(60), all).await.unwrap();

        assert!(matches!(all.as_slice(), [ToNode::Challenge { .. }, ToNode::Refused { .. }]), "{all:?}");
        assert_eq!(hub.machine.now().since(Instant::START).as_secs(), 10);
    }

    #[tokio::test]
    async fn a_message_to_nobody_is_no_harm() {
        let hub = hub();
        let (conn, messages) = hub.open(opened());
        drop(messages);

        hub.received(conn, vec![0xff]);
        hub.received(conn, vec![0xff]);
        hub.closed(conn);

        assert_eq!(hub.machine.lock().load().connections, 0);
        assert!(hub.switchboard.is_empty());
    }

    fn hub() -> Hub {
        let switchboard = Arc::<Switchboard>::default();
        Hub::new(Config::default(), 1, Arc::clone(&switchboard), Arc::new(Udp::none(switchboard)))
    }

    fn opened() -> Opened {
        Opened { addr: HERE, local: HERE, nonce: [1; 32], server: "node.example".into() }
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
}
