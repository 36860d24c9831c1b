//! For how long the parts of a node's credentials are good.

use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{ASN1Time, CertificateRevocationList, FromDer, X509Certificate};

/// The term of one certificate or revocation list (RFC 5280, 4.1.2.5 and 5.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// What it is.
    pub part: Part,
    /// Its DNS name, or the name of its subject or issuer.
    pub name: String,
    /// When it begins.
    pub from: SystemTime,
    /// When it ends.
    pub until: SystemTime,
}

/// A part of a node's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The node's own certificate.
    Certificate,
    /// A certificate between the node's and the CA's.
    Intermediate,
    /// A certificate of the domain's CA.
    Ca,
    /// A revocation list.
    Crl,
}

impl Part {
    /// The part as the configuration calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Intermediate => "intermediate",
            Self::Ca => "ca",
            Self::Crl => "crl",
        }
    }
}

/// The term of a certificate; `name` stands in for its subject. None of one that does not parse.
pub(crate) fn of_certificate(part: Part, der: &CertificateDer<'_>, name: Option<&str>) -> Option<Term> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = name.map_or_else(|| certificate.subject().to_string(), str::to_owned);
    let validity = certificate.validity();
    Some(Term { part, name, from: time(validity.not_before), until: time(validity.not_after) })
}

/// The term of a revocation list. None of one that does not say when the next one comes.
pub(crate) fn of_list(der: &CertificateRevocationListDer<'_>) -> Option<Term> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let until = time(list.next_update()?);
    Some(Term { part: Part::Crl, name: list.issuer().to_string(), from: time(list.last_update()), until })
}

fn time(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}
