//! HTTPS to the authority. An order asks a dozen times, so each request has a connection of its own, bounded in time and in size.

use std::{error::Error, path::Path, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, Request, Uri, header::HOST},
};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_native_certs::load_native_certs;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::tls::provider;

/// For one request and its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer. A chain of certificates has a tenth of it.
const MAX_ANSWER: usize = 256 * 1024;

/// Why the authority's own certificate can't be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootsError {
    #[error("acme.root: no certificate in PEM: {0}")]
    File(rustls::pki_types::pem::Error),
    #[error("the system has no root certificates (a package such as ca-certificates has them)")]
    None,
    #[error("acme.root: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Asks an authority that is known by the system's roots, or by one of its own.
pub(super) struct Client(TlsConnector);

type AnyError = Box<dyn Error + Send + Sync>;

impl Client {
    pub(super) fn new(root: Option<&Path>) -> Result<Self, RootsError> {
        let mut roots = RootCertStore::empty();
        match root {
            Some(root) => roots.add(CertificateDer::from_pem_file(root).map_err(RootsError::File)?)?,
            None => drop(roots.add_parsable_certificates(load_native_certs().certs)),
        }
        if roots.is_empty() {
            return Err(RootsError::None);
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has what rustls asks for by default")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let tls = self.0.clone();
        Box::pin(async move {
            let answer = timeout(PATIENCE, ask(tls, request)).await.map_err(Into::into).flatten();
            answer.map_err(instant_acme::Error::Other)
        })
    }
}

async fn ask(tls: TlsConnector, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, AnyError> {
    let uri = request.uri().clone();
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("{uri} is not an https URL").into());
    };
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await?;
    let stream = tls.connect(ServerName::try_from(host.to_owned())?, stream).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with `sender`, and what goes wrong in it is told there too.
    tokio::spawn(connection);

    *request.uri_mut() = uri.path_and_query().map_or(Ok(Uri::from_static("/")), |path| path.as_str().parse())?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = to_bytes(Body::new(body), MAX_ANSWER).await?;
    Ok(BytesResponse { parts, body: Box::new(body) })
}
