//! What an authority has issued.

use std::path::Path;
use std::time::{Duration, SystemTime};

use gridway_config::Domain;
use serde::{Deserialize, Serialize};

use crate::authority::Revoked;
use crate::error::PkiError;
use crate::files::{self, Access, Existing};
use crate::request::Serial;

/// The index of a folder; written before any certificate is, so that none exists that cannot be revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    /// Domain of the installation.
    pub(crate) domain: String,
    /// Number of the last revocation list.
    pub(crate) crl_number: u64,
    /// Certificates in the order they were issued.
    pub(crate) issued: Vec<Entry>,
}

/// One certificate. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its serial number.
    pub serial: Serial,
    /// Node or operator.
    pub name: String,
    /// When it ends.
    pub not_after: u64,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

impl Index {
    pub(crate) fn new(domain: &Domain) -> Self {
        Self { domain: domain.to_string(), crl_number: 0, issued: Vec::new() }
    }

    pub(crate) fn load(path: &Path) -> Result<Self, PkiError> {
        let text = files::read(path)?;
        serde_json::from_str(&text).map_err(|source| PkiError::Index { path: path.to_owned(), source })
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), PkiError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| PkiError::Index { path: path.to_owned(), source })?;
        files::write(path, &(text + "\n"), Access::Private, Existing::Replace)
    }

    /// The revoked certificates that have not ended by themselves.
    pub(crate) fn revoked(&self, now: SystemTime) -> Vec<Revoked> {
        let now = unix(now);
        let live = self.issued.iter().filter(|entry| entry.not_after >= now);
        live.filter_map(|entry| {
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.revoked?);
            Some(Revoked { serial: entry.serial, since })
        })
        .collect()
    }

    /// Names with a certificate that is neither revoked nor over.
    pub(crate) fn in_force(&self, now: SystemTime) -> Vec<&str> {
        let now = unix(now);
        let live = self.issued.iter().filter(|entry| entry.not_after >= now && entry.revoked.is_none());
        let mut names: Vec<&str> = live.map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Unix seconds; 0 for anything before 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
