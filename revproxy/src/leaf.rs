//! What a server's certificate says of itself.

use std::time::{Duration, SystemTime};

use rustls::{pki_types::CertificateDer, sign::CertifiedKey};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// Names and times of a certificate (RFC 5280, 4.1.2.5 and 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
    /// Host names, in lower case.
    pub(crate) names: Vec<String>,
}

impl Leaf {
    /// That of a key in use, whose first certificate is the server's own.
    pub(crate) fn of(key: &CertifiedKey) -> Option<Self> {
        Self::parse(key.cert.first()?)
    }

    fn parse(cert: &CertificateDer<'_>) -> Option<Self> {
        let (_, cert) = parse_x509_certificate(cert).ok()?;
        let names = cert.subject_alternative_name().ok()??.value.general_names.iter();
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let validity = cert.validity();
        Some(Self {
            from: time(validity.not_before.timestamp())?,
            until: time(validity.not_after.timestamp())?,
            names: names.collect(),
        })
    }

    /// Whether it is good for all of `domains`.
    pub(crate) fn covers(&self, domains: &[String]) -> bool {
        domains.iter().all(|domain| self.names.contains(&domain.to_ascii_lowercase()))
    }

    /// When to ask for another: after two thirds of its time, as authorities advise.
    pub(crate) fn renew_at(&self) -> SystemTime {
        let life = self.until.duration_since(self.from).unwrap_or_default();
        self.until - life / 3
    }
}

fn time(seconds: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_its_last_third() {
        let mut params = CertificateParams::new(["a.example".into(), "B.example".into(), "192.0.2.1".into()]).unwrap();
        params.not_before = date_time_ymd(2030, 1, 1);
        params.not_after = date_time_ymd(2030, 3, 2);
        let cert = params.self_signed(&KeyPair::generate().unwrap()).unwrap();

        let leaf = Leaf::parse(cert.der()).unwrap();

        assert_eq!(leaf.names, ["a.example", "b.example"]);
        assert!(leaf.covers(&["A.example".into()]) && !leaf.covers(&["a.example".into(), "c.example".into()]));
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(leaf.renew_at(), leaf.from + 40 * day);
        assert_eq!(leaf.until, leaf.from + 60 * day);
    }

    #[test]
    fn what_is_none_has_no_leaf() {
        assert_eq!(Leaf::parse(&CertificateDer::from(vec![0x30, 0x03, 0x02, 0x01, 0x01])), None);
    }
}
