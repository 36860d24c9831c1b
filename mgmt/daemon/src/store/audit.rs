//! Who did what.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{Store, StoreError};
use crate::time::now_ms;

/// What was done, as the log writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    ApplyConfig,
    ConfirmConfig,
    RollbackConfig,
    KillFlows,
    KillSession,
    Trace,
    Capture,
    /// A viewer tried one of the others.
    Refused,
}

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ApplyConfig => "apply_config",
            Self::ConfirmConfig => "confirm_config",
            Self::RollbackConfig => "rollback_config",
            Self::KillFlows => "kill_flows",
            Self::KillSession => "kill_session",
            Self::Trace => "trace",
            Self::Capture => "capture",
            Self::Refused => "refused",
        }
    }
}

/// A change, or a look at packets.
#[derive(Debug, Clone)]
pub(crate) struct NewAuditRow {
    pub(crate) by: String,
    pub(crate) address: String,
    pub(crate) action: Action,
    pub(crate) detail: String,
    pub(crate) outcome: String,
}

/// One change, or one look at packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AuditRow {
    /// Number, from 1.
    pub(crate) number: u64,
    /// When it ended, milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Operator, from the certificate.
    pub(crate) by: String,
    /// Address and port that the request came from.
    pub(crate) address: String,
    /// `apply_config`, `confirm_config`, `rollback_config`, `kill_flows`, `kill_session`, `trace` or `capture`;
    /// `refused` for a viewer's try at one of them.
    pub(crate) action: String,
    /// What exactly was asked for.
    pub(crate) detail: String,
    /// `done`, with what came of it, or why it was not.
    pub(crate) outcome: String,
}

impl NewAuditRow {
    /// Writes it to the log alone.
    pub(crate) fn log(&self) {
        let Self { by, address, action, detail, outcome } = self;
        tracing::info!(by, address, action = action.as_str(), detail, outcome, "audit");
    }
}

impl Store {
    /// Logs a row, and keeps it.
    pub(crate) fn audit(&self, row: NewAuditRow) {
        // The log has it whatever becomes of the database.
        row.log();
        let at = now_ms();
        self.keep_in(&self.audited, "a row of the audit", move |connection| insert(connection, at, &row));
    }

    /// The last rows, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn audit_rows(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare(
                "SELECT number, at_ms, by, address, action, detail, outcome FROM audit ORDER BY number DESC LIMIT ?",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(AuditRow {
                    number: row.get(0)?,
                    at_ms: row.get(1)?,
                    by: row.get(2)?,
                    address: row.get(3)?,
                    action: row.get(4)?,
                    detail: row.get(5)?,
                    outcome: row.get(6)?,
                })
            })?;
            rows.collect()
        })
        .await
    }
}

fn insert(connection: &Connection, at_ms: u64, row: &NewAuditRow) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO audit (at_ms, by, address, action, detail, outcome) VALUES (?, ?, ?, ?, ?, ?)",
        (at_ms, &row.by, &row.address, row.action.as_str(), &row.detail, &row.outcome),
    )?;
    Ok(())
}
