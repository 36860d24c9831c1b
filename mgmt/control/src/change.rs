//! Changes of the configuration: proposed, in force until confirmed, kept.

use serde::{Deserialize, Serialize};

/// A configuration to put into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The whole configuration (TOML). Its paths are relative to the folder of the node's file.
    pub toml: String,
    /// Undo it after this many seconds unless it is confirmed; at once and for good without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_s: Option<u64>,
    /// Digest of the configuration that it was made from: refused while another one is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Who asks, for the records; whoever may use the socket may say so. Default: the user of the socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a node thinks of a configuration that is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Judgement {
    /// Every error, with line and field; none: it could be put into force.
    pub errors: Vec<String>,
    /// What is allowed in it but cannot be meant.
    pub warnings: Vec<String>,
    /// What it would change, as a unified diff of the texts; empty if nothing.
    pub diff: String,
}

/// Which configuration is in force, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigState {
    /// SHA-256 of its text, hexadecimal.
    pub digest: String,
    /// Counts the policies that were put in force, from 1.
    pub generation: u64,
    /// Since when, seconds since 1970.
    pub since: u64,
    /// Who put it into force: `start`, `reload`, or a name.
    pub by: String,
    /// Set while it awaits confirmation.
    pub pending: Option<Pending>,
    /// Whether the node's file holds it: what a restart would begin with.
    pub saved: bool,
}

/// A change that awaits confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pending {
    /// Who made it.
    pub by: String,
    /// Seconds until it is undone.
    pub left_s: u64,
    /// Digest of the configuration that comes back then.
    pub previous: String,
}

/// The text that is in force, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InForce {
    /// TOML with its comments.
    pub toml: String,
    /// Which one it is.
    pub state: ConfigState,
}
