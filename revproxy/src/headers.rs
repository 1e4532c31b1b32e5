//! What browsers are told about a file.

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::Response,
};
use bitters_hosting::NO_CACHE;

use crate::config::HostKind;

/// Sets the headers of the file at `path` on a host of this kind.
pub(crate) fn set(response: &mut Response, kind: HostKind, path: &str) {
    let ok = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    add_charset(headers);
    match kind {
        HostKind::Node => set_for_node(headers, path, ok),
        HostKind::Site => {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(NO_CACHE));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
    }
}

fn set_for_node(headers: &mut HeaderMap, path: &str, ok: bool) {
    for (name, value) in bitters_hosting::headers(path) {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !ok {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(NO_CACHE));
    }
}

fn add_charset(headers: &mut HeaderMap) {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = content_type.filter(|text| text.starts_with("text/") && !text.contains("charset"));
    if let Some(value) = text.and_then(|text| HeaderValue::try_from(format!("{text}; charset=utf-8")).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
}
