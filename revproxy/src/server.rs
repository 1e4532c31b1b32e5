//! Listening, accepting, stopping.

use std::{collections::BTreeSet, convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Request, State, WebSocketUpgrade},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use bitters_wire::{limits::MAX_RENDEZVOUS, rendezvous::PATH};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt;

use crate::{
    config::{Config, ServeError},
    hosts::Hosts,
    hub::Hub,
    socket::{self, GOODBYE},
};

/// HTTP connections at once; sockets of the rendezvous are counted by the rendezvous. Further ones wait in the kernel.
const CONNECTIONS: usize = 1024;

/// Bytes of a request's headers; browsers send two or three thousand.
const MAX_HEADERS: usize = 32 * 1024;

/// For a request's headers, also on a connection kept alive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// After this an HTTP connection ends, however slowly its client reads: the largest file in a tenth of it over a poor line.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Before accepting again when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that runs. It stops when this is dropped; [`shutdown`](Self::shutdown) also waits until it has.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, in the order of [`Config::listen`], with the real ports.
    pub addrs: Vec<SocketAddr>,
    names: Vec<String>,
    stop: watch::Sender<bool>,
    /// Ends when the last task has dropped its [`Shared`].
    tasks: mpsc::Receiver<Infallible>,
}

/// The order to stop, given by [`Running`].
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// What all tasks share.
#[derive(Debug)]
struct Shared {
    hosts: Hosts,
    hub: Hub,
    slots: Arc<Semaphore>,
    stop: Stop,
    _alive: mpsc::Sender<Infallible>,
}

#[derive(Clone, Copy, Debug)]
struct Client(SocketAddr);

/// Starts to serve; what is returned accepts connections.
///
/// # Errors
/// [`ServeError`] says which address, host name, directory or origin is wrong.
pub async fn serve(config: Config) -> Result<Running, ServeError> {
    config.check()?;
    let mut listeners = Vec::new();
    for &addr in &config.listen {
        listeners.push(listen(addr).await?);
    }
    let (stop, stopped) = watch::channel(false);
    let (alive, tasks) = mpsc::channel(1);
    let shared = Arc::new(Shared {
        hosts: Hosts::new(&config),
        hub: Hub::new(config.rendezvous, fastrand::u64(..)),
        slots: Arc::new(Semaphore::new(CONNECTIONS)),
        stop: Stop(stopped),
        _alive: alive,
    });
    tokio::spawn(keep_time(Arc::clone(&shared)));
    let mut addrs = Vec::new();
    for (listener, addr) in listeners {
        tracing::info!("listening on {addr}");
        addrs.push(addr);
        tokio::spawn(accept_all(listener, Arc::clone(&shared)));
    }
    let names = config.hosts.into_iter().map(|host| host.name.to_ascii_lowercase()).collect();
    Ok(Running { addrs, names, stop, tasks })
}

impl Running {
    /// The address of each host's front page, hosts in the order of [`Config::hosts`].
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let ports: BTreeSet<_> = self.addrs.iter().map(SocketAddr::port).collect();
        let url = |name: &String, port: u16| match port {
            80 => format!("http://{name}/"),
            _ => format!("http://{name}:{port}/"),
        };
        self.names.iter().flat_map(|name| ports.iter().map(move |&port| url(name, port))).collect()
    }

    /// Stops accepting, ends what is under way within about a second, and returns when all is over.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.recv().await.is_some() {}
    }
}

impl Stop {
    /// Returns when the server is to stop.
    pub(crate) async fn wait(&mut self) {
        // An error says that `Running` is gone, which means the same.
        let _ = self.0.wait_for(|&stopped| stopped).await;
    }
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { addr },
        _ => ServeError::Bind { addr, source },
    };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

async fn keep_time(shared: Arc<Shared>) {
    let mut stop = shared.stop.clone();
    tokio::select! {
        () = stop.wait() => {}
        () = shared.hub.keep_time() => {}
    }
}

async fn accept_all(listener: TcpListener, shared: Arc<Shared>) {
    let mut stop = shared.stop.clone();
    let router = Router::new().route(PATH, any(rendezvous)).fallback(file).with_state(Arc::clone(&shared));
    loop {
        let accepted = tokio::select! {
            () = stop.wait() => return,
            accepted = accept(&listener, &shared.slots) => accepted,
        };
        match accepted {
            Ok((stream, addr, slot)) => {
                tokio::spawn(serve_connection(stream, addr, router.clone(), stop.clone(), slot));
            }
            Err(error) => {
                tracing::warn!("can't accept: {error}");
                tokio::select! { () = stop.wait() => return, () = sleep(ACCEPT_PAUSE) => {} }
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, addr) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, addr, slot))
}

async fn serve_connection(
    stream: TcpStream,
    addr: SocketAddr,
    router: Router,
    mut stop: Stop,
    _slot: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Client(addr));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = stop.wait() => {}, () = sleep(LIFETIME) => {} } } => {
            connection.as_mut().graceful_shutdown();
            timeout(GOODBYE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%addr, "{error}");
    }
}

async fn file(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.hosts.respond(request).await
}

/// Nodes authenticate by their keys, so the page's origin isn't asked for. A message above the protocol's bound gets a refusal that
/// says so, one above twice the bound isn't read.
async fn rendezvous(
    State(shared): State<Arc<Shared>>,
    Extension(Client(addr)): Extension<Client>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let mut nonce = [0; 32];
    if let Err(error) = getrandom::fill(&mut nonce) {
        tracing::error!("no random bytes: {error}");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade.max_message_size(2 * MAX_RENDEZVOUS).max_frame_size(2 * MAX_RENDEZVOUS).on_upgrade(
        move |socket| async move {
            let stop = shared.stop.clone();
            socket::run(socket, &shared.hub, addr.ip(), nonce, stop).await;
        },
    )
}
