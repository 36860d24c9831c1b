//! Tables of the database, and how an older one becomes one of today.

use rusqlite::Connection;

/// Steps from one layout to the next; the database counts those it has taken (`user_version`).
const MIGRATIONS: &[&str] = &["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE texts (digest TEXT PRIMARY KEY, toml TEXT NOT NULL);
    CREATE TABLE versions (
        version INTEGER PRIMARY KEY AUTOINCREMENT,
        digest TEXT NOT NULL REFERENCES texts (digest),
        since INTEGER NOT NULL,
        by TEXT NOT NULL,
        state TEXT NOT NULL,
        added INTEGER NOT NULL,
        removed INTEGER NOT NULL
    );
    CREATE INDEX versions_digest ON versions (digest);
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        address TEXT NOT NULL,
        action TEXT NOT NULL,
        detail TEXT NOT NULL,
        outcome TEXT NOT NULL
    );
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        instance TEXT NOT NULL,
        number INTEGER NOT NULL,
        first_ms INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        count INTEGER NOT NULL,
        severity TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        message TEXT NOT NULL,
        UNIQUE (instance, kind, subject, first_ms)
    );
    CREATE INDEX events_last ON events (last_ms);
    CREATE TABLE round_trips (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        peer TEXT NOT NULL,
        up INTEGER NOT NULL,
        rtt_us INTEGER,
        p99_us INTEGER,
        queue_wait_us INTEGER,
        retransmitted INTEGER
    );
    CREATE INDEX round_trips_at ON round_trips (at);
    CREATE TABLE throughput (
        at INTEGER PRIMARY KEY,
        interval_ms INTEGER NOT NULL,
        outbound_packets INTEGER NOT NULL,
        outbound_bytes INTEGER NOT NULL,
        inbound_packets INTEGER NOT NULL,
        inbound_bytes INTEGER NOT NULL,
        dropped INTEGER NOT NULL
    );
"];

/// Brings a database up to date; true if it was, or is one of today now. False: a later program made it.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<bool> {
    let taken: usize = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    for (index, step) in MIGRATIONS.iter().enumerate().skip(taken) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(taken <= MIGRATIONS.len())
}
