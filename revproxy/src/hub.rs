//! The rendezvous machine among its sockets.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bitters_wire::{rendezvous::ToNode, time::Instant};
use tokio::{
    sync::{Notify, mpsc},
    time,
};

use crate::core::rendezvous::{Config, ConnId, Counts, Input, Load, Output, Rendezvous};

/// Messages that wait for one socket. Its own answers are written before its next message is read, so these are what others signal,
/// and those are bounded (a burst of 64).
const OUTGOING: usize = 128;

/// The machine, and where its messages go.
#[derive(Debug)]
pub(crate) struct Hub {
    start: time::Instant,
    state: Mutex<State>,
    /// The machine's timeout changed.
    timeout_changed: Notify,
}

#[derive(Debug)]
struct State {
    machine: Rendezvous,
    outgoing: HashMap<ConnId, mpsc::Sender<ToNode>>,
    next: u64,
}

impl Hub {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        let state = State { machine: Rendezvous::new(config, seed), outgoing: HashMap::new(), next: 0 };
        Self { start: time::Instant::now(), state: Mutex::new(state), timeout_changed: Notify::new() }
    }

    /// A socket opened. Its messages come out of the receiver, which ends when the socket is to be closed.
    pub(crate) fn open(&self, addr: IpAddr, nonce: [u8; 32]) -> (ConnId, mpsc::Receiver<ToNode>) {
        let (sender, receiver) = mpsc::channel(OUTGOING);
        let mut state = self.lock();
        let conn = ConnId(state.next);
        state.next += 1;
        state.outgoing.insert(conn, sender);
        self.input(&mut state, Input::Open { conn, addr, nonce });
        (conn, receiver)
    }

    /// A socket received a message.
    pub(crate) fn received(&self, conn: ConnId, bytes: Vec<u8>) {
        self.input(&mut self.lock(), Input::Received(conn, bytes));
    }

    /// A socket closed.
    pub(crate) fn closed(&self, conn: ConnId) {
        let mut state = self.lock();
        state.outgoing.remove(&conn);
        self.input(&mut state, Input::Closed(conn));
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
            Output::Close(conn) => drop(state.outgoing.remove(&conn)),
            Output::Send(conn, message) => {
                if state.outgoing.get(&conn).is_some_and(|sender| sender.try_send(message).is_err()) {
                    // It doesn't read what it is sent.
                    state.outgoing.remove(&conn);
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
        let hub = Hub::new(Config::default(), 1);

        let all = async {
            let (_, mut messages) = hub.open(HERE, [1; 32]);
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
        let hub = Hub::new(Config::default(), 1);
        let (conn, messages) = hub.open(HERE, [1; 32]);
        drop(messages);

        hub.received(conn, vec![0xff]);
        hub.received(conn, vec![0xff]);
        hub.closed(conn);

        assert_eq!(hub.lock().machine.load().connections, 0);
        assert!(hub.lock().outgoing.is_empty());
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
}
