//! What a certificate shall say.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use gridway_config::{Domain, NameError, NodeName, ServiceName};
use serde::{Deserialize, Serialize};

/// When a certificate holds, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: SystemTime,
    /// Last moment.
    pub not_after: SystemTime,
}

impl Validity {
    /// Clocks of nodes may be this much behind.
    const SKEW: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);

    /// From an hour before `now` until `days` after it.
    #[must_use]
    pub fn days(now: SystemTime, days: u32) -> Self {
        Self { not_before: now - Self::SKEW, not_after: now + Self::DAY * days }
    }
}

/// What a certificate shall say. Every field may be set freely: nothing here keeps anyone from
/// asking for a certificate that nodes must refuse, and tests do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Subject's common name.
    pub common_name: String,
    /// Subject's organizational unit; the role of an operator.
    pub organizational_unit: Option<String>,
    /// DNS names of the subject, in order.
    pub dns_names: Vec<String>,
    /// When it holds.
    pub validity: Validity,
    /// Extended key usage: TLS server.
    pub server_auth: bool,
    /// Extended key usage: TLS client.
    pub client_auth: bool,
}

impl CertificateRequest {
    /// Days a node's or operator's certificate holds.
    pub const DAYS: u32 = 365;

    /// A node: one DNS SAN, both key usages, a year.
    #[must_use]
    pub fn node(node: &NodeName, domain: &Domain, now: SystemTime) -> Self {
        Self {
            common_name: node.to_string(),
            organizational_unit: None,
            dns_names: vec![node.san(domain)],
            validity: Validity::days(now, Self::DAYS),
            server_auth: true,
            client_auth: true,
        }
    }

    /// The management API of a node: the node's DNS name, server only, so that no tunnel takes it; a year.
    #[must_use]
    pub fn api(node: &NodeName, domain: &Domain, now: SystemTime) -> Self {
        Self { client_auth: false, ..Self::node(node, domain, now) }
    }

    /// An operator of the management API: no DNS name, client only, a year.
    #[must_use]
    pub fn operator(name: &ServiceName, role: OperatorRole, now: SystemTime) -> Self {
        Self {
            common_name: name.to_string(),
            organizational_unit: Some(role.as_str().to_owned()),
            dns_names: Vec::new(),
            validity: Validity::days(now, Self::DAYS),
            server_auth: false,
            client_auth: true,
        }
    }
}

/// What an operator may do; the organizational unit of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorRole {
    /// Read.
    Viewer,
    /// Read and change.
    Operator,
}

impl OperatorRole {
    /// As the certificate and the command line write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

impl FromStr for OperatorRole {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            _ => Err(NameError { found: text.to_owned(), expected: "viewer or operator" }),
        }
    }
}

/// Serial number of a certificate: 16 random bytes, positive and never zero (RFC 5280, 4.1.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial([u8; 16]);

impl Serial {
    /// A new number; 126 bits of it are random, so none comes twice.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes: [u8; 16] = rand::random();
        // The top bit would make it negative; the next one keeps its length.
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes)
    }

    /// Big-endian bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}

impl TryFrom<String> for Serial {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or(NameError { found: text, expected: "32 hexadecimal digits" })
    }
}
