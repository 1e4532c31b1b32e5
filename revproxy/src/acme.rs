//! Certificates by ACME (RFC 8555), proven by TLS-ALPN-01 (RFC 8737) on the sockets that are listened on anyway.
//!
//! One certificate for all names is asked for at the start, unless a good one is in the cache, and again in the last third of its time. While
//! the authority can't be reached, or doesn't believe us, the server goes on with what it has.

mod cache;
mod client;

use std::{
    error::Error,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache::Cache;
use client::{Client, RootsError};
use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Identifier, KeyAuthorization, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use tokio::time::{sleep, timeout};

use crate::{config::Acme, leaf::Leaf, tls::Certs};

/// For an order, all in all. Authorities answer within seconds.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// For the authority to look at us, and to sign.
const POLLING: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));

/// After a failure, doubled up to [`RETRY_LAST`]: Let's Encrypt bears five failures of a name an hour.
const RETRY_FIRST: Duration = Duration::from_secs(60);
const RETRY_LAST: Duration = Duration::from_secs(60 * 60);

/// Between looks at the clock: a machine that slept, or whose clock is set, is not late by more.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
enum AcmeError {
    #[error("{}", chain(.0))]
    Acme(#[from] instant_acme::Error),
    #[error("the cache: {0}")]
    Cache(#[from] io::Error),
    #[error("the certificate can't be used: {0}")]
    Certificate(String),
    #[error("{name}: the authority offers no TLS-ALPN-01")]
    NoChallenge { name: String },
    #[error(transparent)]
    Roots(#[from] RootsError),
    #[error("the authority's check failed: {0}")]
    Refused(String),
    #[error("the challenge's certificate: {0}")]
    Signing(#[from] rcgen::Error),
    #[error("no answer in time")]
    TimedOut,
}

/// Challenges that are answered until this is dropped.
struct Answers<'a> {
    certs: &'a Certs,
    names: Vec<String>,
}

/// Sees to it that there is a certificate, forever.
pub(crate) async fn keep_certified(acme: Acme, cache: std::path::PathBuf, certs: Arc<Certs>) {
    let cache = Cache::new(cache, &acme);
    if let Some(key) = cache.certificate().filter(|key| Leaf::of(key).is_some_and(|leaf| leaf.covers(&acme.domains))) {
        certs.set(key);
    }
    let mut retry = RETRY_FIRST;
    loop {
        wait_until_due(&certs).await;
        match timeout(PATIENCE, renew(&acme, &cache, &certs)).await.unwrap_or(Err(AcmeError::TimedOut)) {
            Ok(()) => {
                retry = RETRY_FIRST;
                tracing::info!(domains = ?acme.domains, "a new certificate");
            }
            Err(error) => {
                tracing::error!(directory = acme.directory, retry_in = ?retry, "no certificate: {error}");
                sleep(retry).await;
                retry = (2 * retry).min(RETRY_LAST);
            }
        }
    }
}

async fn wait_until_due(certs: &Certs) {
    while let Some(leaf) = certs.current().and_then(|key| Leaf::of(&key))
        && let Ok(left) = leaf.renew_at().duration_since(SystemTime::now())
    {
        sleep(left.min(LOOK_EVERY)).await;
    }
}

async fn renew(acme: &Acme, cache: &Cache, certs: &Certs) -> Result<(), AcmeError> {
    let account = account(acme, cache).await?;
    let pem = match order(&account, acme, certs).await {
        Err(AcmeError::Acme(instant_acme::Error::Api(problem))) if is_unknown_account(&problem) => {
            cache.forget_account()?;
            return Err(AcmeError::Acme(instant_acme::Error::Api(problem)));
        }
        pem => pem?,
    };
    let key = cache::parse(&pem).map_err(AcmeError::Certificate)?;
    if Leaf::of(&key).is_none_or(|leaf| !leaf.covers(&acme.domains) || leaf.until < SystemTime::now()) {
        return Err(AcmeError::Certificate("it is for other names, or over already".into()));
    }
    certs.set(key);
    cache.keep_certificate(&pem)?;
    Ok(())
}

async fn account(acme: &Acme, cache: &Cache) -> Result<Account, AcmeError> {
    let builder = Account::builder_with_http(Box::new(Client::new(acme.root.as_deref())?));
    if let Some(credentials) = cache.account() {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<_> = acme.email.iter().map(|email| format!("mailto:{email}")).collect();
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, acme.directory.clone(), None).await?;
    cache.keep_account(&credentials)?;
    Ok(account)
}

/// The key and the certificates, as PEM.
async fn order(account: &Account, acme: &Acme, certs: &Certs) -> Result<String, AcmeError> {
    let names: Vec<_> = acme.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut answers = Answers { certs, names: Vec::new() };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        answers.prepare(authorization?).await?;
    }
    let ready = order.poll_ready(&POLLING).await;
    drop(answers);
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        let reasons = reasons(&mut order).await;
        return Err(if reasons.is_empty() {
            ready.err().map_or(AcmeError::TimedOut, Into::into)
        } else {
            AcmeError::Refused(reasons)
        });
    }
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&POLLING).await?;
    Ok(format!("{key}\n{chain}"))
}

impl Answers<'_> {
    async fn prepare(&mut self, mut authorization: AuthorizationHandle<'_>) -> Result<(), AcmeError> {
        let name = authorization.identifier().to_string();
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(());
        }
        let mut challenge = authorization
            .challenge(ChallengeType::TlsAlpn01)
            .ok_or_else(|| AcmeError::NoChallenge { name: name.clone() })?;
        let answer = answer(&name, &challenge.key_authorization())?;
        self.certs.set_challenge(&name, Some(answer));
        self.names.push(name);
        challenge.set_ready().await?;
        Ok(())
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            self.certs.set_challenge(name, None);
        }
    }
}

/// The certificate that proves that we were told the challenge (RFC 8737, 3).
fn answer(name: &str, told: &KeyAuthorization) -> Result<CertifiedKey, AcmeError> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(told.digest().as_ref())];
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signer = any_supported_type(&der).map_err(|error| AcmeError::Certificate(error.to_string()))?;
    // Unchecked: rustls doesn't know the extension, which has to be critical.
    Ok(CertifiedKey::new(vec![cert.der().clone()], signer))
}

/// What the authority says of each name that it didn't believe.
async fn reasons(order: &mut Order) -> String {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        if let Ok(state) = authorization.refresh().await {
            let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            reasons.extend(errors.map(|error| format!("{name}: {error}")));
        }
    }
    reasons.join("; ")
}

/// An error and its causes: "client error" alone helps nobody.
fn chain(error: &instant_acme::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn is_unknown_account(problem: &instant_acme::Problem) -> bool {
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}
