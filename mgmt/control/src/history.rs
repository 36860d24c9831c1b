//! What the management process keeps: versions of the configuration.

use serde::{Deserialize, Serialize};

/// A row of `gridway config history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionRow {
    /// Number of the version, from 1.
    pub version: u64,
    /// SHA-256 of its text, hexadecimal.
    pub digest: String,
    /// When it was put into force, seconds since 1970.
    pub since: u64,
    /// Who did.
    pub by: String,
    /// `in_force`, `pending`, `replaced`, or `undone`: it was never confirmed.
    pub state: String,
    /// Lines that it adds to the version before it.
    pub added: u64,
    /// Lines that it takes from it.
    pub removed: u64,
}
