//! Events, kept beyond the life of the data plane that told them.

use gridway_control::{EventRow, Severity};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::store::{Store, StoreError};

/// Which events are wanted.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventQuery {
    /// Last occurred at or after, seconds since 1970.
    pub(crate) since: u64,
    /// Last occurred before, seconds since 1970.
    pub(crate) until: u64,
    /// Most rows wanted, the newest ones.
    #[param(minimum = 1, maximum = 10000)]
    pub(crate) limit: u32,
}

impl Default for EventQuery {
    fn default() -> Self {
        Self { since: 0, until: i64::MAX as u64, limit: 1000 }
    }
}

struct Kept(Severity);

impl FromSql for Kept {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let all = [Severity::Info, Severity::Warning, Severity::Error];
        let severity = all.into_iter().find(|severity| severity.as_str() == text);
        severity.map(Self).ok_or(FromSqlError::InvalidType)
    }
}

impl Store {
    /// Keeps events that a process numbered. One that occurs again takes the place that it has.
    pub(crate) fn keep_events(&self, instance: String, rows: Vec<EventRow>) {
        self.keep("events", move |connection| {
            let transaction = connection.transaction()?;
            rows.iter().try_for_each(|row| upsert(&transaction, &instance, row))?;
            transaction.commit()
        });
    }

    /// Keeps events of the data plane, and that it was asked for them up to `last`.
    pub(crate) fn keep_events_up_to(&self, instance: String, last: u64, rows: Vec<EventRow>) {
        self.keep("events", move |connection| {
            let transaction = connection.transaction()?;
            rows.iter().try_for_each(|row| upsert(&transaction, &instance, row))?;
            transaction.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('events_up_to', ?)",
                [format!("{instance} {last}")],
            )?;
            transaction.commit()
        });
    }

    /// Process that events were last asked of, and up to which number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn events_up_to(&self) -> Result<Option<(String, u64)>, StoreError> {
        let text: Option<String> = self
            .read(|connection| {
                connection
                    .query_row("SELECT value FROM meta WHERE key = 'events_up_to'", (), |row| row.get(0))
                    .optional()
            })
            .await?;
        Ok(text.and_then(|text| {
            let (instance, last) = text.split_once(' ')?;
            Some((instance.to_owned(), last.parse().ok()?))
        }))
    }

    /// Events that were kept, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn events(&self, query: EventQuery) -> Result<Vec<EventRow>, StoreError> {
        let EventQuery { since, until, limit } = query;
        let bound = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let (since, until) = (bound(since), bound(until));
        self.read(move |connection| {
            let mut statement = connection.prepare(
                "SELECT number, first_ms, last_ms, count, severity, kind, subject, message FROM events
                 WHERE last_ms >= ? AND last_ms < ? ORDER BY last_ms DESC, id DESC LIMIT ?",
            )?;
            let rows = statement.query_map((since, until, limit), |row| {
                Ok(EventRow {
                    number: row.get(0)?,
                    first_ms: row.get(1)?,
                    last_ms: row.get(2)?,
                    count: row.get(3)?,
                    severity: row.get::<_, Kept>(4)?.0,
                    kind: row.get(5)?,
                    subject: row.get(6)?,
                    message: row.get(7)?,
                })
            })?;
            rows.collect()
        })
        .await
    }
}

fn upsert(connection: &Connection, instance: &str, row: &EventRow) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO events (instance, number, first_ms, last_ms, count, severity, kind, subject, message)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (instance, kind, subject, first_ms) DO UPDATE SET number = excluded.number,
         last_ms = excluded.last_ms, count = excluded.count, severity = excluded.severity, message = excluded.message",
        (
            instance,
            row.number,
            row.first_ms,
            row.last_ms,
            row.count,
            row.severity.as_str(),
            &row.kind,
            &row.subject,
            &row.message,
        ),
    )?;
    Ok(())
}
