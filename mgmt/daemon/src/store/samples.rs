//! Round trips and throughput over time.

use std::time::Duration;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::store::{Store, StoreError};
use crate::time::now_s;

/// Points of time that an answer has at most; what lies between two of them is put together.
const POINTS: u64 = 1000;
/// Rows that an answer has at most, of all peers together.
const ROWS: u32 = 50_000;
/// Time between two samples.
pub(crate) const SAMPLED_EVERY: Duration = Duration::from_secs(10);

/// A peer's tunnel at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoundTripSample {
    pub(crate) peer: String,
    pub(crate) up: bool,
    pub(crate) rtt_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
    pub(crate) queue_wait_us: Option<u64>,
    pub(crate) retransmitted: Option<u64>,
}

/// What passed since the sample before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ThroughputSample {
    pub(crate) interval_ms: u64,
    pub(crate) outbound_packets: u64,
    pub(crate) outbound_bytes: u64,
    pub(crate) inbound_packets: u64,
    pub(crate) inbound_bytes: u64,
    pub(crate) dropped: u64,
}

/// The tunnel to a peer over some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RoundTripRow {
    /// When it begins, seconds since 1970.
    pub(crate) at: u64,
    /// How long it is, seconds.
    pub(crate) seconds: u64,
    /// Peer.
    pub(crate) peer: String,
    /// Samples in which the tunnel was up, in thousandths.
    pub(crate) up_permille: u64,
    /// Smoothed round trip within the tunnel, the mean of the samples, microseconds; none while it was not up.
    pub(crate) rtt_us: Option<u64>,
    /// The worst 99th percentile of a connection, microseconds.
    pub(crate) p99_us: Option<u64>,
    /// Longest wait of a record for its socket, microseconds.
    pub(crate) queue_wait_us: Option<u64>,
    /// TCP segments sent again since the present connections began, at the end.
    pub(crate) retransmitted: Option<u64>,
}

/// What the node passed on over some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ThroughputRow {
    /// When it begins, seconds since 1970.
    pub(crate) at: u64,
    /// How long it is, seconds.
    pub(crate) seconds: u64,
    /// For how long of it there are samples, milliseconds.
    pub(crate) sampled_ms: u64,
    /// Packets that went into a tunnel.
    pub(crate) outbound_packets: u64,
    /// Bytes of those packets.
    pub(crate) outbound_bytes: u64,
    /// Packets out of tunnels sent on the data NIC, or on to another peer.
    pub(crate) inbound_packets: u64,
    /// Bytes of those packets.
    pub(crate) inbound_bytes: u64,
    /// Packets dropped, both directions.
    pub(crate) dropped: u64,
}

/// A span of time.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct Span {
    /// Begin, seconds since 1970; an hour before the end without.
    pub(crate) since: Option<u64>,
    /// End, seconds since 1970; now without.
    pub(crate) until: Option<u64>,
}

impl Span {
    /// Begin, end, and the length of one row, a multiple of the samples'.
    fn rows(self) -> (i64, i64, u64) {
        let until = self.until.unwrap_or_else(now_s);
        let since = self.since.unwrap_or_else(|| until.saturating_sub(3600));
        let sample = SAMPLED_EVERY.as_secs();
        let length = until.saturating_sub(since).div_ceil(POINTS).div_ceil(sample).max(1) * sample;
        let bound = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        (bound(since), bound(until), length.min(i64::MAX as u64))
    }
}

impl Store {
    /// Keeps samples of one time.
    pub(crate) fn keep_samples(&self, peers: Vec<RoundTripSample>, throughput: Option<ThroughputSample>) {
        let at = now_s();
        self.keep("samples", move |connection| {
            let transaction = connection.transaction()?;
            peers.iter().try_for_each(|sample| insert_round_trip(&transaction, at, sample))?;
            if let Some(sample) = &throughput {
                insert_throughput(&transaction, at, sample)?;
            }
            transaction.commit()
        });
    }

    /// Tunnels over time, the oldest first; of one peer or all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn round_trips(
        &self,
        peer: Option<String>,
        span: Span,
    ) -> Result<Vec<RoundTripRow>, StoreError> {
        let (since, until, length) = span.rows();
        self.read(move |connection| {
            let mut statement = connection.prepare(
                "SELECT at / ?1 * ?1 AS begin, peer, sum(up) * 1000 / count(*), CAST(avg(rtt_us) AS INTEGER), max(p99_us),
                 max(queue_wait_us), max(retransmitted) FROM round_trips
                 WHERE at >= ?2 AND at < ?3 AND (?4 IS NULL OR peer = ?4)
                 GROUP BY begin, peer ORDER BY begin, peer LIMIT ?5",
            )?;
            let rows = statement.query_map((length, since, until, &peer, ROWS), |row| {
                Ok(RoundTripRow {
                    at: row.get(0)?,
                    seconds: length,
                    peer: row.get(1)?,
                    up_permille: row.get(2)?,
                    rtt_us: row.get(3)?,
                    p99_us: row.get(4)?,
                    queue_wait_us: row.get(5)?,
                    retransmitted: row.get(6)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// What passed over time, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn throughput(&self, span: Span) -> Result<Vec<ThroughputRow>, StoreError> {
        let (since, until, length) = span.rows();
        self.read(move |connection| {
            let mut statement = connection.prepare(
                "SELECT at / ?1 * ?1 AS begin, sum(interval_ms), sum(outbound_packets), sum(outbound_bytes),
                 sum(inbound_packets), sum(inbound_bytes), sum(dropped) FROM throughput
                 WHERE at >= ?2 AND at < ?3 GROUP BY begin ORDER BY begin LIMIT ?4",
            )?;
            let rows = statement.query_map((length, since, until, ROWS), |row| {
                Ok(ThroughputRow {
                    at: row.get(0)?,
                    seconds: length,
                    sampled_ms: row.get(1)?,
                    outbound_packets: row.get(2)?,
                    outbound_bytes: row.get(3)?,
                    inbound_packets: row.get(4)?,
                    inbound_bytes: row.get(5)?,
                    dropped: row.get(6)?,
                })
            })?;
            rows.collect()
        })
        .await
    }
}

fn insert_round_trip(connection: &Connection, at: u64, sample: &RoundTripSample) -> rusqlite::Result<()> {
    let bound = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    connection.execute(
        "INSERT INTO round_trips (at, peer, up, rtt_us, p99_us, queue_wait_us, retransmitted)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            at,
            &sample.peer,
            sample.up,
            bound(sample.rtt_us),
            bound(sample.p99_us),
            bound(sample.queue_wait_us),
            bound(sample.retransmitted),
        ),
    )?;
    Ok(())
}

fn insert_throughput(connection: &Connection, at: u64, sample: &ThroughputSample) -> rusqlite::Result<()> {
    let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    connection.execute(
        "INSERT OR REPLACE INTO throughput VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            at,
            bound(sample.interval_ms),
            bound(sample.outbound_packets),
            bound(sample.outbound_bytes),
            bound(sample.inbound_packets),
            bound(sample.inbound_bytes),
            bound(sample.dropped),
        ),
    )?;
    Ok(())
}
