//! Files by host name.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{
        Method, StatusCode, Uri,
        header::{ALLOW, HOST},
        uri::Authority,
    },
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::{
    config::{Config, HostKind},
    headers,
    observers::config_json,
};

/// All hosts, by name.
#[derive(Debug)]
pub(crate) struct Hosts(BTreeMap<String, VirtualHost>);

#[derive(Debug)]
struct VirtualHost {
    kind: HostKind,
    files: ServeDir,
    sdk: Option<ServeDir>,
    config_file: PathBuf,
    observe: Arc<[String]>,
}

impl Hosts {
    /// The hosts of a configuration that was checked.
    pub(crate) fn new(config: &Config) -> Self {
        let observe: Arc<[String]> = config.observe.clone().into();
        let site = |host: &crate::Host| VirtualHost {
            kind: host.kind,
            files: ServeDir::new(&host.dir).precompressed_br(),
            sdk: config.sdk.as_ref().map(|dir| ServeDir::new(dir).precompressed_br()),
            config_file: host.dir.join("config.json"),
            observe: Arc::clone(&observe),
        };
        Self(config.hosts.iter().map(|host| (host.name.to_ascii_lowercase(), site(host))).collect())
    }

    /// Answers a request for a file.
    pub(crate) async fn respond(&self, request: Request) -> Response {
        match host_name(&request).and_then(|name| self.0.get(&name)) {
            Some(site) => site.respond(request).await,
            None => self.unknown(),
        }
    }

    /// The host that a request is for, if it is here.
    pub(crate) fn name_of(&self, request: &Request) -> Option<&str> {
        self.0.get_key_value(&host_name(request)?).map(|(name, _)| name.as_str())
    }

    /// The answer to a request for a host that isn't here.
    pub(crate) fn unknown(&self) -> Response {
        let names: Vec<_> = self.0.keys().map(String::as_str).collect();
        let text = format!("There is no such host here. There are: {}\n", names.join(", "));
        (StatusCode::NOT_FOUND, text).into_response()
    }
}

impl VirtualHost {
    async fn respond(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let mut response = match (self.kind, &self.sdk) {
            _ if is_hidden(&path) => not_found(),
            (HostKind::Node, _) if path == "/config.json" => self.config(request.method()).await,
            (HostKind::Node, Some(sdk)) if path.starts_with("/sdk/") => match below_sdk(request) {
                Some(request) => file(sdk, request).await,
                None => not_found(),
            },
            _ => file(&self.files, request).await,
        };
        headers::set(&mut response, self.kind, &path);
        response
    }

    async fn config(&self, method: &Method) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET,HEAD")]).into_response();
        }
        match config_json(&self.config_file, &self.observe).await {
            Ok(config) => Json(config).into_response(),
            Err(error) => {
                tracing::error!(file = %self.config_file.display(), "{error}");
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
            }
        }
    }
}

async fn file(dir: &ServeDir, request: Request) -> Response {
    let Ok(response) = dir.clone().oneshot(request).await;
    if response.status() == StatusCode::NOT_FOUND { not_found() } else { response.map(Body::new) }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "There is no such file here.\n").into_response()
}

/// The name that the request is for: without its port, in lower case, and without the dot that ends a full name.
fn host_name(request: &Request) -> Option<String> {
    let from_header = || request.headers().get(HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = request.uri().authority().cloned().or_else(from_header)?;
    let name = authority.host();
    Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

/// Whether a part of the path starts with a dot: such files are the operator's own, and `..` leads out.
fn is_hidden(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.split(['/', '\\']).any(|part| part.starts_with('.'))
}

fn below_sdk(mut request: Request) -> Option<Request> {
    let rest = request.uri().path_and_query()?.as_str().strip_prefix("/sdk")?;
    *request.uri_mut() = rest.parse::<Uri>().ok()?;
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_has_no_port_case_or_last_dot() {
        let name = |host: &str| host_name(&Request::builder().header(HOST, host).body(Body::empty()).unwrap());

        assert_eq!(name("Node.localhost:8787").as_deref(), Some("node.localhost"));
        assert_eq!(name("node.localhost.").as_deref(), Some("node.localhost"));
        assert_eq!(name("[::1]:8787").as_deref(), Some("[::1]"));
        assert_eq!(name("").as_deref(), None);
        assert_eq!(name("a/b").as_deref(), None);
    }

    #[test]
    fn a_whole_uri_names_its_host() {
        let request = Request::builder().uri("http://a.localhost:80/x").header(HOST, "b.localhost");
        assert_eq!(host_name(&request.body(Body::empty()).unwrap()).as_deref(), Some("a.localhost"));
    }

    #[test]
    fn dots_hide() {
        assert!(["/.git/config", "/a/.b", "/%2egit", "/a/../b", "/a%2f.b", "/a%5c..%5cb"].into_iter().all(is_hidden));
        assert!(!["/", "/a.b", "/a/b.js", "/a%20b"].into_iter().any(is_hidden));
    }
}
