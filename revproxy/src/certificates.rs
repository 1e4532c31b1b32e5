//! The server's certificate, by whichever way it comes.

use std::{path::PathBuf, sync::Arc};

use crate::{
    acme,
    config::{Acme, ServeError},
    tls::{self, Certs},
};

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Acme { acme: Acme, cache: PathBuf },
    Files { cert: PathBuf, key: PathBuf },
}

/// The certificate and its source.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) certs: Arc<Certs>,
    source: Source,
}

impl Certificates {
    /// Files are read at once; an authority is asked by [`keep`](Self::keep).
    pub(crate) fn new(source: Source) -> Result<Self, ServeError> {
        let certs = Arc::new(Certs::default());
        if let Source::Files { cert, key } = &source {
            certs.set(tls::load(cert, key)?);
        }
        Ok(Self { certs, source })
    }

    /// Keeps the certificate good, forever.
    pub(crate) async fn keep(self) {
        match self.source {
            Source::Acme { acme, cache } => acme::keep_certified(acme, cache, self.certs).await,
            Source::Files { cert, key } => tls::keep_current(&self.certs, cert, key).await,
        }
    }

    /// Reads files again.
    pub(crate) fn reload(&self) {
        if let Source::Files { cert, key } = &self.source {
            tls::reload(&self.certs, cert, key);
        }
    }
}
