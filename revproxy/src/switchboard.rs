//! The messages that wait for sockets. It has a lock of its own, so that what the proxy tells a node doesn't wait for signatures that
//! the rendezvous checks.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bitters_wire::rendezvous::ToNode;
use tokio::sync::mpsc;

use crate::core::rendezvous::ConnId;

/// Messages that wait for one socket. Its own answers are written before its next message is read, so most are what others signal and dial.
const OUTGOING: usize = 256;

/// Of these, the last ones are for its own answers.
const FOR_ANSWERS: usize = 8;

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

    /// To nobody is no harm. What others signal or dial is lost where there is no room for it: they don't close the socket.
    pub(crate) fn send(&self, conn: ConnId, message: ToNode) -> Result<(), Deaf> {
        match self.lock().get(&conn) {
            Some(sender) if is_of_others(&message) && sender.capacity() <= FOR_ANSWERS => Ok(()),
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

const fn is_of_others(message: &ToNode) -> bool {
    matches!(message, ToNode::Dialled { .. } | ToNode::Gone(_) | ToNode::Signal { .. })
}

#[cfg(test)]
mod tests {
    use bitters_wire::{address::Token, id::PersonaId};

    use super::*;

    #[tokio::test]
    async fn what_others_say_leaves_room_for_answers_and_closes_nothing() {
        let switchboard = Switchboard::default();
        let mut messages = switchboard.open(CONN);
        let dialled = ToNode::Dialled { passage: 1, token: Token([1; 6]), signal: Vec::new() };
        let answer = ToNode::Here(PersonaId([1; 32]));

        for _ in 0..1000 {
            assert_eq!(switchboard.send(CONN, dialled.clone()), Ok(()));
        }
        assert_eq!(switchboard.send(CONN, answer.clone()), Ok(()));
        switchboard.close(CONN);

        let mut heard = Vec::new();
        while let Some(message) = messages.recv().await {
            heard.push(message);
        }
        assert_eq!((heard.len(), heard.last()), (OUTGOING - FOR_ANSWERS + 1, Some(&answer)));
    }

    #[tokio::test]
    async fn who_does_not_read_its_answers_is_deaf() {
        let switchboard = Switchboard::default();
        let messages = switchboard.open(CONN);
        let sent = (0..1000).take_while(|_| switchboard.send(CONN, ToNode::HERE_I_AM).is_ok()).count();
        assert_eq!(sent, OUTGOING);
        drop(messages);
    }

    const CONN: ConnId = ConnId(1);
}
