//! What a worker says of its connections when it is asked. Nothing is kept up to date for it.

use std::time::Duration;

use gridway_control::TcpInfo;
use gridway_tunnel::ConnectionId;
use gridway_wire::frame::ConnectionKind;

/// A connection that is up, as its worker sees it.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) id: ConnectionId,
    pub(crate) peer: String,
    pub(crate) carries: ConnectionKind,
    pub(crate) worker: usize,
    /// For how long it is up.
    pub(crate) age: Duration,
    /// Round trips of late, microseconds.
    pub(crate) round_trips: Vec<u32>,
    /// Records that wait for the socket.
    pub(crate) queued: usize,
    /// How long the oldest of them has waited.
    pub(crate) wait: Duration,
    pub(crate) tcp: Option<TcpInfo>,
}
