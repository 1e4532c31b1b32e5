//! What public requests reach: the rendezvous and the files, or their HTTPS twins.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Request, State, WebSocketUpgrade},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{HOST, LOCATION},
    },
    response::{IntoResponse, Response},
    routing::any,
};
use bitters_wire::{limits::MAX_RENDEZVOUS, rendezvous::PATH};

use crate::{
    accept::Client,
    hosts::Hosts,
    hub::{Hub, Opened},
    names::Names,
    socket,
    stop::Stop,
};

struct Shared {
    hosts: Arc<Hosts>,
    hub: Arc<Hub>,
    names: Names,
    stop: Stop,
}

/// The rendezvous by every name, and files by host name.
pub(crate) fn public(hosts: Arc<Hosts>, hub: Arc<Hub>, names: Names, stop: Stop) -> Router {
    let shared = Arc::new(Shared { hosts, hub, names, stop });
    Router::new().route(PATH, any(rendezvous)).fallback(file).with_state(shared)
}

/// The same URLs in HTTPS, on `port`.
pub(crate) fn redirect(hosts: Arc<Hosts>, port: u16) -> Router {
    Router::new().fallback(async move |request: Request| to_https(&hosts, port, &request))
}

async fn file(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.hosts.respond(request).await
}

/// Nodes authenticate by their keys, so the page's origin isn't asked for. A message above the protocol's bound gets a refusal that
/// says so, one above twice the bound isn't read.
async fn rendezvous(
    State(shared): State<Arc<Shared>>,
    Extension(Client { addr, local }): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let server = server_name(&uri, &headers);
    if !shared.names.has(&server, local) {
        return (StatusCode::MISDIRECTED_REQUEST, "This server has another name.\n").into_response();
    }
    let mut nonce = [0; 32];
    if let Err(error) = getrandom::fill(&mut nonce) {
        tracing::error!(%error, "no random bytes");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    // Buffers of two messages: the library's own are 128 KiB each, for sockets that are mostly idle.
    let upgrade = upgrade.read_buffer_size(2 * MAX_RENDEZVOUS).write_buffer_size(0);
    upgrade.max_message_size(2 * MAX_RENDEZVOUS).max_frame_size(2 * MAX_RENDEZVOUS).on_upgrade(
        move |socket| async move {
            let stop = shared.stop.clone();
            let opened = Opened { addr, local, nonce, server };
            socket::run(socket, &shared.hub, opened, stop).await;
        },
    )
}

/// What the request calls this server: the URI's authority (HTTP/2 and absolute forms), else the Host header (RFC 9110, section 7.2).
fn server_name(uri: &Uri, headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default().to_ascii_lowercase()
}

/// Only to hosts that are here: nobody is sent elsewhere by a name of a stranger's choice.
fn to_https(hosts: &Hosts, port: u16, request: &Request) -> Response {
    let Some(name) = hosts.name_of(request) else { return hosts.unknown() };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = match port {
        443 => format!("https://{name}{path}"),
        _ => format!("https://{name}:{port}{path}"),
    };
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response()
}
