//! Who a certificate says its holder is.

use std::time::{Duration, SystemTime};

use x509_parser::prelude::*;

/// What a node certificate proves, after its chain was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The one DNS name, `<node>.<domain>`, in lower case.
    pub dns_name: String,
    /// The distinguished name of the issuer in DER: serial numbers are unique for one issuer only.
    pub issuer: Vec<u8>,
    /// The serial number, big endian, as revocation lists quote it.
    pub serial: Vec<u8>,
    /// When the certificate ends; a tunnel does not outlive it.
    pub not_after: SystemTime,
}

/// Why a certificate with a valid chain is still not a node's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate does not parse.
    #[error("certificate does not parse: {0}")]
    Malformed(String),
    /// No subject alternative name at all.
    #[error("certificate has no DNS name")]
    NoName,
    /// More than one subject alternative name.
    #[error("certificate has {0} names; a node certificate has exactly one")]
    SeveralNames(usize),
    /// The one name is not a DNS name.
    #[error("certificate names something other than a DNS name")]
    NotDns,
    /// A wildcard would let its holder be any node.
    #[error("certificate name {0} is a wildcard")]
    Wildcard(String),
    /// The certificate must serve both sides of a connection.
    #[error("certificate lacks the extended key usage {0}")]
    KeyUsage(&'static str),
    /// The name is another one than that of the peer that was dialled, or of this node.
    #[error("certificate is {found}'s, not {expected}'s")]
    OtherName {
        /// Name in the certificate.
        found: String,
        /// Name that was due.
        expected: String,
    },
}

impl PeerIdentity {
    /// Reads the identity out of an end-entity certificate in DER (RFC 5280).
    ///
    /// # Errors
    /// [`IdentityError`] when it is not exactly one DNS name without wildcard, with both extended
    /// key usages.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let malformed = |error: &dyn std::fmt::Display| IdentityError::Malformed(error.to_string());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| malformed(&error))?
            .map(|extension| &extension.value.general_names[..])
            .unwrap_or_default();
        let name = match names {
            [] => return Err(IdentityError::NoName),
            [GeneralName::DNSName(name)] => name.to_ascii_lowercase(),
            [_] => return Err(IdentityError::NotDns),
            several => return Err(IdentityError::SeveralNames(several.len())),
        };
        if name.contains('*') {
            return Err(IdentityError::Wildcard(name));
        }
        let usage = certificate.extended_key_usage().map_err(|error| malformed(&error))?;
        if !usage.as_ref().is_some_and(|usage| usage.value.client_auth) {
            return Err(IdentityError::KeyUsage("clientAuth"));
        }
        if !usage.is_some_and(|usage| usage.value.server_auth) {
            return Err(IdentityError::KeyUsage("serverAuth"));
        }
        let not_after = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            dns_name: name,
            issuer: certificate.issuer().as_raw().to_vec(),
            serial: certificate.raw_serial().to_vec(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(not_after),
        })
    }

    /// The node's short name when the certificate belongs to `domain`.
    #[must_use]
    pub fn node_in(&self, domain: &str) -> Option<&str> {
        self.dns_name.strip_suffix(domain)?.strip_suffix('.').filter(|node| !node.contains('.'))
    }
}

/// The names a certificate claims, for a log line about one that was refused. Proves nothing.
#[must_use]
pub fn claimed_names(der: &[u8]) -> Vec<String> {
    const SHOWN: usize = 4;
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let printable = |name: &&str| name.len() <= 253 && name.chars().all(|c| c.is_ascii_graphic());
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })
        .filter(printable)
        .take(SHOWN)
        .map(str::to_ascii_lowercase)
        .collect()
}
