//! The rendezvous machine among its sockets.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bitters_wire::{rendezvous::ToNode, time::Instant};
use tokio::{
    sync::{Notify, mpsc},
    time,
};

use crate::{
    core::rendezvous::{Config, ConnId, Counts, Input, Load, Output, Rendezvous},
    switchboard::Switchboard,
    udp::Udp,
};

/// The machine, and where its messages go.
#[derive(Debug)]
pub(crate) struct Hub {
    start: time::Instant,
    state: Mutex<State>,
    switchboard: Arc<Switchboard>,
    udp: Arc<Udp>,
    /// The machine's timeout changed.
    timeout_changed: Notify,
}

#[derive(Debug)]
struct State {
    machine: Rendezvous,
    next: u64,
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

impl Hub {
    pub(crate) fn new(config: Config, seed: u64, switchboard: Arc<Switchboard>, udp: Arc<Udp>) -> Self {
        let state = Mutex::new(State { machine: Rendezvous::new(config, seed), next: 0 });
        Self { start: time::Instant::now(), state, switchboard, udp, timeout_changed: Notify::new() }
    }

    /// A socket opened. Its messages come out of the receiver, which ends when the socket is to be closed.
    pub(crate) fn open(&self, opened: Opened) -> (ConnId, mpsc::Receiver<ToNode>) {
        let Opened { addr, local, nonce, server } = opened;
        let proxies = self.udp.reached_from(local);
        let mut state = self.lock();
        let conn = ConnId(state.next);
        state.next += 1;
        let receiver = self.switchboard.open(conn);
        self.input(&mut state, Input::Open { conn, addr, nonce, server, proxies });
        (conn, receiver)
    }

    /// A socket received a message.
    pub(crate) fn received(&self, conn: ConnId, bytes: Vec<u8>) {
        self.input(&mut self.lock(), Input::Received(conn, bytes));
    }

    /// A socket closed.
    pub(crate) fn closed(&self, conn: ConnId) {
        self.switchboard.close(conn);
        self.input(&mut self.lock(), Input::Closed(conn));
    }

    /// How much there is, and what was said, for those who operate the server.
    pub(crate) fn numbers(&self) -> (Load, Counts) {
        let state = self.lock();
        (state.machine.load(), state.machine.counts().clone())
    }

    /// Tells the machine when its time has come, forever.
    pub(crate) async fn keep_time(&self) {
        loop {
            let timeout = self.lock().machine.poll_timeout();
            let due = async {
                match timeout {
                    Some(at) => time::sleep_until(self.start + at.since(Instant::START)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.input(&mut self.lock(), Input::Timeout),
                () = self.timeout_changed.notified() => {}
            }
        }
    }

    fn input(&self, state: &mut State, input: Input) {
        let timeout = state.machine.poll_timeout();
        state.machine.handle_input(input, Instant::START + self.start.elapsed());
        while let Some(output) = state.machine.poll_output() {
            self.perform(state, output);
        }
        if state.machine.poll_timeout() != timeout {
            self.timeout_changed.notify_one();
        }
    }

    fn perform(&self, state: &mut State, output: Output) {
        match output {
            Output::Close(conn) => self.switchboard.close(conn),
            Output::Proxy(input) => self.udp.handle_input(input),
            Output::Send(conn, message) => {
                if self.switchboard.send(conn, message).is_err() {
                    self.switchboard.close(conn);
                    state.machine.handle_input(Input::Closed(conn), Instant::START + self.start.elapsed());
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

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
        assert_eq!(hub.start.elapsed().as_secs(), 10);
    }

    #[tokio::test]
    async fn a_message_to_nobody_is_no_harm() {
        let hub = hub();
        let (conn, messages) = hub.open(opened());
        drop(messages);

        hub.received(conn, vec![0xff]);
        hub.received(conn, vec![0xff]);
        hub.closed(conn);

        assert_eq!(hub.lock().machine.load().connections, 0);
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
