//! Certificates of our own, and clients that believe them.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use bitters_revproxy::TlsFiles;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Puts a new certificate for the hosts of [`super::config`] into `dir`, and returns it.
pub fn certify(dir: &Path) -> (CertificateDer<'static>, TlsFiles) {
    let names = ["node.localhost".to_owned(), "alice.localhost".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    fs::write(&cert, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    (own.cert.der().clone(), TlsFiles { cert: Some(cert), key: Some(key) })
}

/// Shakes hands as a browser would that believes `root` alone.
pub async fn connect(addr: SocketAddr, root: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    connect_as("node.localhost", addr, root).await
}

/// The same for a host.
pub async fn connect_as(
    host: &'static str,
    addr: SocketAddr,
    root: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let stream = TcpStream::connect(addr).await?;
    connector.connect(ServerName::try_from(host).unwrap(), stream).await
}
