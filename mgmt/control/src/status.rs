//! The node at a glance, its tunnels and how full its tables are.

use serde::{Deserialize, Serialize};

use crate::change::ConfigState;

/// Answer to `gridway status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// Name of the node.
    pub node: String,
    /// Its domain.
    pub domain: String,
    /// `gateway` or `edge`.
    pub role: String,
    /// Version of the data plane.
    pub version: String,
    /// Process id of the data plane.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// The data NIC, if there is one.
    pub data: Option<DataStatus>,
    /// Interface of the tunnels.
    pub management: String,
    /// Address that tunnels are accepted at.
    pub listen: Option<String>,
    /// Worker threads.
    pub workers: Vec<WorkerStatus>,
    /// Counts the policies that were put in force, from 1.
    pub policy_generation: u64,
    /// Flows now.
    pub flows: u64,
    /// Flows at most.
    pub flows_limit: u64,
    /// Configured peers.
    pub peers: u32,
    /// Peers whose tunnel is up.
    pub peers_up: u32,
    /// Configured vnets.
    pub vnets: u32,
    /// Why the last reload was refused, until one is accepted.
    pub last_reload_error: Option<String>,
    /// The configuration in force.
    pub config: ConfigState,
}

/// The data NIC as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DataStatus {
    /// Interface.
    pub interface: String,
    /// How the steering program is attached: by XDP, `native` or `generic`; at the `tc` hook while no vnet needs XDP.
    pub attach_mode: String,
    /// AF_XDP mode in use: `zero-copy` or `copy`.
    pub ring_mode: String,
    /// Memory behind the frames, such as `2M` or `4K` pages.
    pub pages: String,
    /// MTU in bytes.
    pub mtu: u32,
    /// Receive queues served.
    pub queues: u32,
}

/// One worker thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerStatus {
    /// CPU it is pinned to.
    pub cpu: u32,
    /// What it owns: `data`, `tunnel`.
    pub roles: Vec<String>,
    /// Share of the last second that it was awake, in thousandths; with busy polling always all of it.
    pub load_permille: u32,
}

/// One peer; a row of `gridway peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeerRow {
    /// Name of the peer.
    pub name: String,
    /// State of the tunnel.
    pub state: PeerState,
    /// Why it is not up.
    pub reason: Option<String>,
    /// Smoothed round-trip time within the tunnel, microseconds.
    pub rtt_us: Option<u64>,
    /// Connections that are up and carry packets.
    pub connections: u32,
    /// Connections that are up and carry Layer 4 streams.
    pub stream_connections: u32,
    /// Bytes of packets sent to the peer.
    pub tx_bytes: u64,
    /// Bytes of packets received from the peer.
    pub rx_bytes: u64,
    /// Packets sent to the peer.
    pub tx_packets: u64,
    /// Packets received from the peer.
    pub rx_packets: u64,
    /// Random id of the peer's process, from its hello.
    pub instance: Option<String>,
    /// The peer's version, from its hello.
    pub version: Option<String>,
    /// Remote address of the first connection.
    pub address: Option<String>,
    /// Seconds in the present state.
    pub since_s: u64,
}

/// State of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// The hello was received and accepted.
    Up,
    /// Dialling, or in the handshake.
    Connecting,
    /// Neither.
    Down,
}

impl PeerState {
    /// The state as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Connecting => "connecting",
            Self::Down => "down",
        }
    }
}

/// A bounded table; a row of `gridway limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitRow {
    /// Name of the table, as in `[limits]` where it is configurable.
    pub name: String,
    /// Entries now.
    pub used: u64,
    /// Entries at most.
    pub limit: u64,
    /// Entries refused or evicted since the start.
    pub refused: u64,
}
