//! What happened on a node.

use serde::{Deserialize, Serialize};

/// Answer to [`crate::Request::Events`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Events {
    /// Random id of the process: numbers begin anew with another one.
    pub instance: String,
    /// Number to ask for next, as `after`.
    pub last: u64,
    /// Events that were forgotten before they were asked for.
    pub missed: u64,
    /// Events in their order.
    pub rows: Vec<EventRow>,
}

/// One event, or one that occurred several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventRow {
    /// Grows with every change: a row that occurs again gets a new number.
    pub number: u64,
    /// When it occurred first, milliseconds since 1970.
    pub first_ms: u64,
    /// When it occurred last.
    pub last_ms: u64,
    /// How often, within the time that repetitions are folded.
    pub count: u64,
    /// How bad it is.
    pub severity: Severity,
    /// Kind, such as `tunnel_up`.
    pub kind: String,
    /// What it is about: the name of a peer, table, certificate or interface.
    pub subject: String,
    /// In words.
    pub message: String,
}

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it in time.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// The severity as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
