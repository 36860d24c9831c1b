//! Versions of the configuration. A text is kept once, however often it comes back.

use gridway_control::{ConfigState, ConfigText, VersionRow};
use rusqlite::{Connection, OptionalExtension};

use crate::store::{Store, StoreError};
use crate::text::changed_lines;

impl Store {
    /// Keeps what is in force, unless it is the newest version already; states of versions follow.
    pub(crate) fn keep_version(&self, toml: String, state: ConfigState) {
        self.keep("a version of the configuration", move |connection| {
            let transaction = connection.transaction()?;
            follow(&transaction, &toml, &state)?;
            transaction.commit()
        });
    }

    /// Versions, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn versions(&self) -> Result<Vec<VersionRow>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT version, digest, since, by, state, added, removed FROM versions ORDER BY version DESC",
            )?;
            let rows = statement.query_map((), |row| {
                Ok(VersionRow {
                    version: row.get(0)?,
                    digest: row.get(1)?,
                    since: row.get(2)?,
                    by: row.get(3)?,
                    state: row.get(4)?,
                    added: row.get(5)?,
                    removed: row.get(6)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// The text of a version; `None` if there is no such one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn version(&self, version: u64) -> Result<Option<ConfigText>, StoreError> {
        let Ok(version) = i64::try_from(version) else { return Ok(None) };
        self.read(move |connection| {
            connection
                .query_row(
                    "SELECT toml FROM texts JOIN versions USING (digest) WHERE version = ?",
                    [version],
                    |row| Ok(ConfigText { toml: row.get(0)? }),
                )
                .optional()
        })
        .await
    }
}

/// The version that was in force when it was last looked.
struct Current {
    version: i64,
    digest: String,
    state: String,
}

fn follow(connection: &Connection, toml: &str, state: &ConfigState) -> rusqlite::Result<()> {
    let now = if state.pending.is_some() { "pending" } else { "in_force" };
    let mut old = String::new();
    if let Some(current) = current(connection)? {
        if current.digest == state.digest {
            return set_state(connection, current.version, now);
        }
        let was_pending = current.state == "pending";
        let back = before(connection, current.version, &state.digest)?;
        if let (true, None, Some(back)) = (was_pending, &state.pending, back) {
            set_state(connection, current.version, "undone")?;
            return set_state(connection, back, now);
        }
        // Another one has come meanwhile: made from this one, it was confirmed before.
        let made_from = state.pending.as_ref().is_some_and(|pending| pending.previous == current.digest);
        let left = if was_pending && !made_from { "undone" } else { "replaced" };
        set_state(connection, current.version, left)?;
        old = text(connection, &current.digest)?;
    }
    let (added, removed) = changed_lines(&old, toml);
    connection.execute("INSERT OR IGNORE INTO texts (digest, toml) VALUES (?, ?)", (&state.digest, toml))?;
    connection.execute(
        "INSERT INTO versions (digest, since, by, state, added, removed) VALUES (?, ?, ?, ?, ?, ?)",
        (&state.digest, state.since, &state.by, now, added, removed),
    )?;
    Ok(())
}

fn current(connection: &Connection) -> rusqlite::Result<Option<Current>> {
    connection
        .query_row(
            "SELECT version, digest, state FROM versions WHERE state IN ('in_force', 'pending')
             ORDER BY version DESC LIMIT 1",
            (),
            |row| Ok(Current { version: row.get(0)?, digest: row.get(1)?, state: row.get(2)? }),
        )
        .optional()
}

/// The version that was in force before `version` came, if it has that digest.
fn before(connection: &Connection, version: i64, digest: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .query_row(
            "SELECT version FROM (SELECT version, digest FROM versions WHERE version < ? AND state != 'undone'
             ORDER BY version DESC LIMIT 1) WHERE digest = ?",
            (version, digest),
            |row| row.get(0),
        )
        .optional()
}

fn set_state(connection: &Connection, version: i64, state: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE versions SET state = ? WHERE version = ?", (state, version))?;
    Ok(())
}

fn text(connection: &Connection, digest: &str) -> rusqlite::Result<String> {
    connection.query_row("SELECT toml FROM texts WHERE digest = ?", [digest], |row| row.get(0))
}
