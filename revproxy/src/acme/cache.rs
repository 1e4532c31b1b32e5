//! What outlives the process: the account with the authority, and the certificate with its key. Nobody else may read them.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use instant_acme::AccountCredentials;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use tempfile::NamedTempFile;

use crate::{config::Acme, tls::certified};

/// The files, which are tiny and rarely touched, so nothing here is asynchronous.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    account: PathBuf,
    certificate: PathBuf,
}

impl Cache {
    /// Files are named by the authority, so that a trial's are never taken for the real ones.
    pub(super) fn new(dir: PathBuf, acme: &Acme) -> Self {
        let authority = acme.directory.trim_start_matches("https://");
        let authority = authority.replace(|char: char| !char.is_ascii_alphanumeric() && char != '.', "-");
        let account = dir.join(format!("{authority}.account.json"));
        let certificate = dir.join(format!("{authority}.certificate.pem"));
        Self { dir, account, certificate }
    }

    pub(super) fn account(&self) -> Option<AccountCredentials> {
        serde_json::from_slice(&read(&self.account)?)
            .inspect_err(|error| tracing::warn!("{} is left alone: {error}", self.account.display()))
            .ok()
    }

    pub(super) fn keep_account(&self, credentials: &AccountCredentials) -> io::Result<()> {
        self.write(&self.account, &serde_json::to_vec(credentials)?)
    }

    pub(super) fn forget_account(&self) -> io::Result<()> {
        fs::remove_file(&self.account)
    }

    pub(super) fn certificate(&self) -> Option<CertifiedKey> {
        let pem = read(&self.certificate)?;
        parse(&String::from_utf8_lossy(&pem))
            .inspect_err(|error| tracing::warn!("{} is left alone: {error}", self.certificate.display()))
            .ok()
    }

    pub(super) fn keep_certificate(&self, pem: &str) -> io::Result<()> {
        self.write(&self.certificate, pem.as_bytes())
    }

    /// All or nothing, and for nobody else's eyes: a temporary file is made for its owner only.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A key and its certificates in one text.
pub(super) fn parse(pem: &str) -> Result<CertifiedKey, String> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    certified(chain.map_err(|error| error.to_string())?, key).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} can't be read: {error}", path.display());
            None
        }
        bytes => bytes.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_and_is_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().join("new"), &Acme::default());
        let own = rcgen::generate_simple_self_signed(["a.example".into()]).unwrap();
        let pem = format!("{}{}", own.signing_key.serialize_pem(), own.cert.pem());

        assert!(cache.certificate().is_none() && cache.account().is_none());
        cache.keep_certificate(&pem).unwrap();
        assert_eq!(cache.certificate().unwrap().cert, [own.cert.der().clone()]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&cache.certificate).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let trial = Acme { directory: Acme::STAGING.into(), ..Acme::default() };
        assert!(Cache::new(cache.dir.clone(), &trial).certificate().is_none());
        fs::write(&cache.certificate, "nonsense").unwrap();
        assert!(cache.certificate().is_none());
    }
}
