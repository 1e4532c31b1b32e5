//! The messages that wait for sockets. It has a lock of its own, so that what the proxy tells a node doesn't wait for signatures that
//! the rendezvous checks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bitters_wire::rendezvous::ToNode;
use tokio::sync::mpsc;

use crate::core::rendezvous::ConnId;

/// Messages that wait for one socket. Its own answers are written before its next message is read, so these are what others signal
/// and dial, and those are bounded (bursts of 128 and 64).
const OUTGOING: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Switchboard(Mutex<HashMap<ConnId, mpsc::Sender<ToNode>>>);

/// A socket doesn't read what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deaf;

impl Switchboard {
    /// What is sent to the connection comes out of the receiver, which ends when the socket is to be closed.
    pub(crate) fn open(&self, conn: ConnId) -> mpsc::Receiver<ToNode> {
        let (sender, receiver) = mpsc::channel(OUTGOING);
        self.lock().insert(conn, sender);
        receiver
    }

    /// Nothing more is sent to the connection, but for what waits.
    pub(crate) fn close(&self, conn: ConnId) {
        self.lock().remove(&conn);
    }

    /// To nobody is no harm.
    pub(crate) fn send(&self, conn: ConnId, message: ToNode) -> Result<(), Deaf> {
        match self.lock().get(&conn) {
            Some(sender) => sender.try_send(message).map_err(|_| Deaf),
            None => Ok(()),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnId, mpsc::Sender<ToNode>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
