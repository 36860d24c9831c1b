//! What is forgotten: by age, and by number where age alone is no bound.

use std::time::Duration;

use crate::store::Store;
use crate::time::now_s;

/// Rows of the audit that are kept.
const AUDIT: u64 = 100_000;
/// Events that are kept, whatever their age.
const EVENTS: u64 = 1_000_000;
/// Round-trip samples that are kept, whatever their age: a week of a hundred peers.
const ROUND_TRIPS: u64 = 6_000_000;
/// Rows that one sweep takes from a table: the database is not held up.
const SWEPT: u32 = 100_000;

impl Store {
    /// Forgets events and samples older than `keep`, and all but the last `versions` of the configuration
    /// and the one in force.
    pub(crate) fn sweep(&self, keep: Duration, versions: u32) {
        let oldest = now_s().saturating_sub(keep.as_secs());
        self.keep("a sweep", move |connection| {
            let transaction = connection.transaction()?;
            let beyond = |table: &str, key: &str, most: u64| {
                transaction.execute(
                    &format!(
                        "DELETE FROM {table} WHERE {key} <= (SELECT max({key}) FROM {table}) - {most}
                         AND {key} < (SELECT min({key}) FROM {table}) + {SWEPT}"
                    ),
                    (),
                )
            };
            beyond("audit", "number", AUDIT)?;
            beyond("events", "id", EVENTS)?;
            beyond("round_trips", "id", ROUND_TRIPS)?;
            for (table, key, age) in [
                ("events", "id", oldest * 1000),
                ("round_trips", "id", oldest),
                ("throughput", "at", oldest),
            ] {
                let at = if table == "events" { "last_ms" } else { "at" };
                let delete = format!(
                    "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {at} < ? LIMIT {SWEPT})"
                );
                transaction.execute(&delete, [age])?;
            }
            // However many were undone since it came, what is in force is kept.
            transaction.execute(
                "DELETE FROM versions WHERE version <= (SELECT max(version) FROM versions) - ?
                 AND state NOT IN ('in_force', 'pending')",
                [versions],
            )?;
            transaction
                .execute("DELETE FROM texts WHERE digest NOT IN (SELECT digest FROM versions)", ())?;
            transaction.commit()
        });
    }
}
