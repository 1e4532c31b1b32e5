//! One node's WebSocket: frames in, frames out, pings, and an end in good order.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bitters_wire::{codec::encode, rendezvous::ToNode};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};

use crate::{
    core::rendezvous::ConnId,
    hub::{Hub, Opened},
    stop::Stop,
};

/// Often enough for the address translators on the way, which forget a quiet connection after a minute or less.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Three pings unanswered.
const SILENCE: Duration = Duration::from_secs(60);

/// How long one message may take to leave, when the other side doesn't read.
const STALL: Duration = Duration::from_secs(20);

/// For the closing handshake: a round trip on a slow line.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not what this socket takes: text, a message far too long, broken frames; or reading failed.
    BadFrame,
    /// The other side closed, or writing failed.
    Gone,
    /// The machine closes.
    Refused,
    /// The server stops.
    Stopped,
    /// Nothing came for [`SILENCE`], or nothing left for [`STALL`].
    TimedOut,
}

/// Runs a socket until it closes.
pub(crate) async fn run(mut socket: WebSocket, hub: &Hub, opened: Opened, mut stop: Stop) {
    let addr = opened.addr;
    let (conn, mut outgoing) = hub.open(opened);
    tracing::debug!(conn = conn.0, %addr, "opened");
    let end = tokio::select! {
        () = stop.wait() => End::Stopped,
        end = converse(&mut socket, hub, conn, &mut outgoing) => end,
    };
    hub.closed(conn);
    tracing::debug!(conn = conn.0, ?end, "closed");
    // Whoever doesn't take part in the handshake is left.
    let _ = timeout(GOODBYE, say_goodbye(socket, end)).await;
}

/// What is to be sent goes first, so that a socket that doesn't read isn't read either.
async fn converse(socket: &mut WebSocket, hub: &Hub, conn: ConnId, outgoing: &mut mpsc::Receiver<ToNode>) -> End {
    let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent_at = Instant::now() + SILENCE;
    loop {
        let sent = tokio::select! {
            biased;
            message = outgoing.recv() => match message {
                Some(message) => send(socket, Message::Binary(encode(&message).into())).await,
                None => Err(End::Refused),
            },
            _ = pings.tick() => send(socket, Message::Ping(Vec::new().into())).await,
            frame = socket.recv() => {
                silent_at = Instant::now() + SILENCE;
                take(frame).map(|bytes| bytes.into_iter().for_each(|bytes| hub.received(conn, bytes)))
            }
            () = sleep_until(silent_at) => Err(End::TimedOut),
        };
        if let Err(end) = sent {
            return end;
        }
    }
}

fn take(frame: Option<Result<Message, axum::Error>>) -> Result<Option<Vec<u8>>, End> {
    match frame {
        Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes.into())),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        Some(Ok(Message::Text(_)) | Err(_)) => Err(End::BadFrame),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(STALL, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::TimedOut),
    }
}

/// Closes, and reads until the other side has closed too: a connection dropped with bytes unread is reset, and the last messages on
/// it are lost.
async fn say_goodbye(mut socket: WebSocket, end: End) {
    let (code, reason) = match end {
        End::BadFrame => (close_code::POLICY, "binary messages of bounded size only"),
        End::Gone => (close_code::NORMAL, ""),
        End::Refused => (close_code::POLICY, "refused"),
        End::Stopped => (close_code::AWAY, "the server stops"),
        End::TimedOut => (close_code::POLICY, "silent"),
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    if end == End::Gone || socket.send(close).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
