//! What browsers are told about a file.

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::Response,
};

use crate::config::HostKind;

/// Scripts, styles, workers and connections of the node's own only; sockets go to any server that the person's seeds name; any site
/// may embed the node, that is what it is for.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self' ws: wss:; worker-src 'self'; manifest-src 'self'; frame-ancestors *; \
                      base-uri 'none'; form-action 'none'";

/// Sets the headers of the file at `path` on a host of this kind.
pub(crate) fn set(response: &mut Response, kind: HostKind, path: &str) {
    let ok = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    add_charset(headers);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match kind {
        HostKind::Node => set_for_node(headers, path, ok),
        HostKind::Site => drop(headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"))),
    }
}

fn set_for_node(headers: &mut HeaderMap, path: &str, ok: bool) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control(path, ok)));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(ORIGIN_AGENT_CLUSTER, HeaderValue::from_static("?1"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if may_run(headers) {
        headers.insert(CROSS_ORIGIN_EMBEDDER_POLICY, HeaderValue::from_static("require-corp"));
    }
    if path.starts_with("/sdk/") {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
}

/// Assets carry a hash of their content in their name. A site should see a new SDK soon, and not ask at every page.
fn cache_control(path: &str, ok: bool) -> &'static str {
    match ok {
        true if path.starts_with("/assets/") => "public, max-age=31536000, immutable",
        true if path.starts_with("/sdk/") => "public, max-age=60",
        _ => "no-cache",
    }
}

/// Whether this is a document or may be a worker's script: those carry an embedder policy.
fn may_run(headers: &HeaderMap) -> bool {
    let of_type = |name: &str| content_type(headers).is_some_and(|text| text.starts_with(name));
    // A "not modified" has no type; its headers update the stored ones, and on any other file they mean nothing.
    content_type(headers).is_none() || of_type("text/html") || of_type("text/javascript")
}

fn add_charset(headers: &mut HeaderMap) {
    let text = content_type(headers).filter(|text| text.starts_with("text/") && !text.contains("charset"));
    if let Some(value) = text.and_then(|text| HeaderValue::try_from(format!("{text}; charset=utf-8")).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

const CROSS_ORIGIN_EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const ORIGIN_AGENT_CLUSTER: HeaderName = HeaderName::from_static("origin-agent-cluster");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_cached() {
        assert_eq!(cache_control("/assets/a.js", true), "public, max-age=31536000, immutable");
        assert_eq!(cache_control("/assets/a.js", false), "no-cache");
        assert_eq!(cache_control("/sdk/bitters.js", true), "public, max-age=60");
        assert_eq!(cache_control("/", true), "no-cache");
    }

    #[test]
    fn the_policy_is_one_line() {
        assert!(!POLICY.contains("  ") && POLICY.starts_with("default-src 'none'; "));
    }
}
