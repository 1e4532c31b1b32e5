//! Accepting TCP connections, and one connection's life: TLS if it is asked for, requests, an upgrade, an end in bounded time.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    config::Http,
    crowd::{Crowd, Place},
    metrics::Metrics,
    socket::GOODBYE,
    stop::Stop,
    tls::{HandshakeError, Tls},
    traffic::Counted,
    trust::Trust,
};

/// Bytes of a request's headers; browsers send two or three thousand.
const MAX_HEADERS: usize = 32 * 1024;

/// Before accepting again when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What lies behind a listener.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) router: Router,
    pub(crate) tls: Option<Tls>,
    pub(crate) trust: Trust,
    pub(crate) bounds: Http,
    pub(crate) grace: Duration,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) crowd: Crowd,
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// Where the request really comes from.
    pub(crate) addr: IpAddr,
    /// Where its connection came to, of this machine's.
    pub(crate) local: IpAddr,
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
struct Ends {
    addr: SocketAddr,
    local: SocketAddr,
}

/// One connection's place among those that are open.
struct Slot {
    open: Gauge,
    /// `None` for one too many of a trusted proxy, behind which there are others.
    _place: Option<Place>,
    _permit: OwnedSemaphorePermit,
}

/// Accepts until the server stops.
pub(crate) async fn accept_all(listener: TcpListener, door: Arc<Door>) {
    let mut stop = door.stop.clone();
    loop {
        let accepted = tokio::select! {
            () = stop.wait() => return,
            accepted = accept(&listener, &door) => accepted,
        };
        match accepted {
            Ok(None) => {}
            Ok(Some((stream, ends, slot))) => drop(tokio::spawn(welcome(stream, ends, Arc::clone(&door), slot))),
            Err(error) => {
                tracing::warn!(%error, "can't accept");
                tokio::select! { () = stop.wait() => return, () = sleep(ACCEPT_PAUSE) => {} }
            }
        }
    }
}

/// The next connection, unless its source has its share already: then it is closed.
async fn accept(listener: &TcpListener, door: &Door) -> io::Result<Option<(TcpStream, Ends, Slot)>> {
    let permit = Arc::clone(&door.slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, addr) = listener.accept().await?;
    let place = door.crowd.enter(addr.ip().into());
    if place.is_none() && !door.trust.trusts(addr.ip()) {
        door.metrics.crowded.inc();
        return Ok(None);
    }
    stream.set_nodelay(true)?;
    let ends = Ends { addr, local: stream.local_addr()? };
    door.metrics.connections.inc();
    Ok(Some((stream, ends, Slot { open: door.metrics.connections.clone(), _place: place, _permit: permit })))
}

async fn welcome(stream: TcpStream, ends: Ends, door: Arc<Door>, _slot: Slot) {
    let stream = Counted::new(stream, door.metrics.received.clone(), door.metrics.sent.clone());
    let Some(tls) = &door.tls else { return converse(stream, ends, &door).await };
    let mut stop = door.stop.clone();
    let shaken = tokio::select! {
        () = stop.wait() => return,
        shaken = tls.accept(stream) => shaken,
    };
    match shaken {
        Ok(stream) => converse(stream, ends, &door).await,
        Err(HandshakeError::Challenge) => tracing::info!("an authority's challenge was answered"),
        Err(HandshakeError::Failed(error)) => {
            tracing::debug!(addr = %ends.addr, %error, "no TLS");
            door.metrics.handshake_failed("failed");
        }
        Err(HandshakeError::TimedOut) => door.metrics.handshake_failed("timed out"),
    }
}

async fn converse<S>(stream: S, ends: Ends, door: &Arc<Door>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let within = Arc::clone(door);
    let service = service_fn(move |request| answer(request, ends, Arc::clone(&within)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(door.bounds.header_timeout)
        .max_header_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut stop = door.stop.clone();
    let patience = tokio::select! {
        ended = connection.as_mut() => return tell(ends.addr, ended),
        () = stop.wait() => door.grace,
        () = sleep(door.bounds.lifetime) => GOODBYE,
    };
    connection.as_mut().graceful_shutdown();
    tell(ends.addr, timeout(patience, connection).await.unwrap_or(Ok(())));
}

async fn answer(request: hyper::Request<Incoming>, ends: Ends, door: Arc<Door>) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    let addr = door.trust.client(ends.addr.ip(), request.headers_mut());
    request.extensions_mut().insert(Client { addr, local: ends.local.ip() });
    let response = door.router.clone().oneshot(request).await?;
    door.metrics.answered(response.status());
    Ok(response)
}

fn tell(addr: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%addr, %error, "connection broke");
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.dec();
    }
}
