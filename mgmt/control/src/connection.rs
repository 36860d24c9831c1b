//! Why a tunnel is slow: its connections, as the node and the kernel see them.

use serde::{Deserialize, Serialize};

/// A row of `gridway connections`: one TCP connection of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionRow {
    /// Peer at the other end.
    pub peer: String,
    /// `packets` or `streams`.
    pub carries: String,
    /// Worker that owns it.
    pub worker: u32,
    /// Seconds since it is up.
    pub age_s: u64,
    /// Round trips measured within the tunnel, of the last ten minutes.
    pub round_trip: RoundTrip,
    /// Records that wait for the socket.
    pub queued_records: u64,
    /// How long the oldest of them has waited, microseconds.
    pub queue_wait_us: u64,
    /// What the kernel says of the TCP connection; none if it does not.
    pub tcp: Option<TcpInfo>,
}

/// Percentiles of round trips, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoundTrip {
    /// How many were measured.
    pub samples: u64,
    /// The last one.
    pub last_us: u64,
    /// Half of them took no longer.
    pub p50_us: u64,
    /// 90 of 100.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// TCP_INFO of Linux (tcp(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TcpInfo {
    /// Congestion control in use, such as `bbr`.
    pub congestion: String,
    /// Smoothed round trip of the path, microseconds.
    pub rtt_us: u64,
    /// Its variation, microseconds.
    pub rtt_var_us: u64,
    /// Shortest round trip seen, microseconds.
    pub min_rtt_us: u64,
    /// Congestion window, segments.
    pub congestion_window: u64,
    /// Segment size, bytes.
    pub mss: u64,
    /// Segments on their way.
    pub unacked: u64,
    /// Segments thought lost at present.
    pub lost: u64,
    /// Segments sent again since the connection began.
    pub retransmitted: u64,
    /// Bytes sent again.
    pub retransmitted_bytes: u64,
    /// Bytes handed to the socket and not sent yet.
    pub unsent_bytes: u64,
    /// Rate at which the peer received lately, bits a second.
    pub delivery_rate_bps: u64,
    /// Bits a second that the sender paces itself to; 0: not paced.
    pub pacing_rate_bps: u64,
}
