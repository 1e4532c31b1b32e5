//! What operators ask: `/metrics`, and `/health` until the very end of a stop. It listens apart, and is never on a public host.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;

use crate::stop::{Phase, Stop};

/// Connections at once: a scraper, a prober, and people who look.
pub(crate) const CONNECTIONS: usize = 32;

struct Desk {
    registry: Registry,
    start: Instant,
    stop: Stop,
}

/// Answers operators.
pub(crate) fn router(registry: Registry, stop: Stop) -> Router {
    let desk = Arc::new(Desk { registry, start: Instant::now(), stop });
    Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(desk)
}

async fn health(State(desk): State<Arc<Desk>>) -> Response {
    let (status, word) = match desk.stop.phase() {
        Phase::Serving => (StatusCode::OK, "serving"),
        Phase::Stopping | Phase::Ended => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    let uptime = desk.start.elapsed().as_secs();
    let body = json!({ "status": word, "uptime_seconds": uptime, "version": env!("CARGO_PKG_VERSION") });
    (status, Json(body)).into_response()
}

async fn metrics(State(desk): State<Arc<Desk>>) -> Response {
    let mut text = String::new();
    encode(&mut text, &desk.registry).expect("a string takes all");
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
