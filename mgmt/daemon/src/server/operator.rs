//! Who a client certificate says its holder is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates of the operators' CA.
pub(super) type Roots = Vec<CertificateDer<'static>>;

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Read.
    Viewer,
    /// Read and change, trace and capture.
    Operator,
}

/// The holder of a certificate of the operators' CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operator {
    /// Common name.
    pub(crate) name: String,
    /// Organizational unit.
    pub(crate) role: Role,
    /// The distinguished name of the issuer in DER.
    pub(super) issuer: Vec<u8>,
    /// The serial number, big endian.
    pub(super) serial: Vec<u8>,
    /// When the certificate ends.
    pub(super) not_after: SystemTime,
    /// The operators' CA that the chain was verified by.
    pub(super) roots: Arc<Roots>,
}

/// Who sent a request, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) operator: Arc<Operator>,
    pub(crate) address: SocketAddr,
}

/// Why a certificate with a valid chain is still not an operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperatorError {
    #[error("the certificate does not parse: {0}")]
    Malformed(String),
    #[error("the certificate has {found}, expected one common name of 1 to 64 printable characters")]
    Name { found: String },
    #[error("the certificate has {found}, expected one organizational unit: viewer or operator")]
    Role { found: String },
    #[error("the certificate lacks the extended key usage clientAuth")]
    KeyUsage,
}

impl Operator {
    /// Reads the operator out of an end-entity certificate in DER whose chain was verified by `roots`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub(crate) fn from_der(der: &[u8], roots: Arc<Roots>) -> Result<Self, OperatorError> {
        let malformed = |error: &dyn std::fmt::Display| OperatorError::Malformed(error.to_string());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        let subject = certificate.subject();
        let names: Vec<&str> = subject.iter_common_name().filter_map(|name| name.as_str().ok()).collect();
        let is_name =
            |name: &str| (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        let [name] = names.as_slice() else {
            return Err(OperatorError::Name { found: format!("{} common names", names.len()) });
        };
        if !is_name(name) {
            return Err(OperatorError::Name { found: format!("{name:?}") });
        }
        let units: Vec<&str> =
            subject.iter_organizational_unit().filter_map(|unit| unit.as_str().ok()).collect();
        let role = match units.as_slice() {
            ["viewer"] => Role::Viewer,
            ["operator"] => Role::Operator,
            _ => return Err(OperatorError::Role { found: format!("{units:?}") }),
        };
        let usage = certificate.extended_key_usage().map_err(|error| malformed(&error))?;
        if !usage.is_some_and(|usage| usage.value.client_auth) {
            return Err(OperatorError::KeyUsage);
        }
        let not_after = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            name: (*name).to_owned(),
            role,
            issuer: certificate.issuer().as_raw().to_vec(),
            serial: certificate.raw_serial().to_vec(),
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(not_after),
            roots,
        })
    }
}
