//! TLS: one way to shake hands, whose certificate can be exchanged while it runs. Connections that are up go on with the old one.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::config::ServeError;

/// The protocol of TLS-ALPN-01 (RFC 8737, 6.2).
const ACME_ALPN: &[u8] = b"acme-tls/1";

/// Between looks at the files: where certificates come by a link that is turned or over a network, no system tells of changes.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate in force, and those that answer challenges.
#[derive(Debug, Default)]
pub(crate) struct Certs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<CertifiedKey>>,
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

/// Shakes hands.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    patience: Duration,
}

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// It was an authority's challenge, which is over once it is answered.
    Challenge,
    Failed(io::Error),
    TimedOut,
}

impl Certs {
    /// From now on, this one.
    pub(crate) fn set(&self, key: CertifiedKey) {
        self.lock().current = Some(Arc::new(key));
    }

    /// Answers challenges for `name` with `key`, or no longer.
    pub(crate) fn set_challenge(&self, name: &str, key: Option<CertifiedKey>) {
        let mut state = self.lock();
        match key {
            Some(key) => drop(state.challenges.insert(name.to_ascii_lowercase(), Arc::new(key))),
            None => drop(state.challenges.remove(&name.to_ascii_lowercase())),
        }
    }

    /// The certificate in force.
    pub(crate) fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.lock().current.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certs {
    /// An authority offers its protocol alone (RFC 8737, 3), and gets nothing but the answer to its challenge.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut offered| offered.any(|name| name == ACME_ALPN)) {
            return self.lock().challenges.get(&hello.server_name()?.to_ascii_lowercase()).cloned();
        }
        self.current()
    }
}

impl Tls {
    pub(crate) fn new(certs: Arc<Certs>, patience: Duration) -> Self {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has what rustls asks for by default")
            .with_no_client_auth()
            .with_cert_resolver(certs);
        config.alpn_protocols = vec![b"http/1.1".to_vec(), ACME_ALPN.to_vec()];
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), patience }
    }

    pub(crate) async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match timeout(self.patience, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(ACME_ALPN) => Err(HandshakeError::Challenge),
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(HandshakeError::Failed(error)),
            Err(_) => Err(HandshakeError::TimedOut),
        }
    }
}

/// Reads a certificate and its key, which must belong together.
pub(crate) fn load(cert: &Path, key: &Path) -> Result<CertifiedKey, ServeError> {
    let wrong = |file: &Path, reason: String| ServeError::Certificate { file: file.into(), reason };
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| wrong(cert, format!("no certificate in PEM: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(cert, "no certificate in PEM".into()));
    }
    let der =
        PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, format!("no private key in PEM: {error}")))?;
    certified(chain, der).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(key, format!("it is not the key of {}", cert.display())),
        error => wrong(cert, error.to_string()),
    })
}

/// Puts a certificate and its key together.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &provider())
}

/// Reads the files again when they change, forever.
pub(crate) async fn keep_current(certs: &Certs, cert: PathBuf, key: PathBuf) {
    let mut seen = stamps(&cert, &key).await;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = stamps(&cert, &key).await;
        if now != seen {
            seen = now;
            reload(certs, &cert, &key);
        }
    }
}

/// Reads the files again. What can't be used is told, and the old stays.
pub(crate) fn reload(certs: &Certs, cert: &Path, key: &Path) {
    match load(cert, key) {
        Ok(loaded) => {
            certs.set(loaded);
            tracing::info!(cert = %cert.display(), "certificate read again");
        }
        Err(error) => tracing::error!("the certificate stays as it is: {error}"),
    }
}

async fn stamps(cert: &Path, key: &Path) -> [Option<(SystemTime, u64)>; 2] {
    let stamp = async |path: &Path| {
        let metadata = tokio::fs::metadata(path).await.ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [stamp(cert).await, stamp(key).await]
}

/// The cryptography of all TLS here.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
