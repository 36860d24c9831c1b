//! Timers, table sizes, the flow log and the control socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{duration, path};
use crate::name::NodeName;

/// `[throttle]`: limits of the node in Mbit/s; 0 is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Throttle {
    /// Towards the tunnels.
    pub egress_mbps: u32,
    /// From the tunnels.
    pub ingress_mbps: u32,
}

/// `[flows]`: idle limits (RFC 5382, RFC 4787, RFC 5508).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FlowTimeouts {
    /// Whether TCP in mid-stream may make a flow.
    pub midstream: bool,
    /// TCP after the handshake.
    #[serde(serialize_with = "duration::serialize")]
    pub tcp_established: Duration,
    /// TCP before the handshake ends, or after FIN or RST.
    #[serde(serialize_with = "duration::serialize")]
    pub tcp_transitory: Duration,
    /// UDP, and every protocol not named here.
    #[serde(serialize_with = "duration::serialize")]
    pub udp: Duration,
    /// ICMP and ICMPv6 queries.
    #[serde(serialize_with = "duration::serialize")]
    pub icmp: Duration,
}

impl Default for FlowTimeouts {
    fn default() -> Self {
        Self {
            midstream: true,
            tcp_established: Duration::from_secs(7440),
            tcp_transitory: Duration::from_secs(240),
            udp: Duration::from_secs(300),
            icmp: Duration::from_secs(60),
        }
    }
}

/// `[limits]`: sizes of the node's tables. A full table evicts or refuses, counted; it never grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Flows of all vnets together.
    pub flows: u32,
    /// Tunnel record buffers (each 16 KiB and a little) of all connections together.
    pub records: u32,
    /// Packets that wait for a neighbour to be resolved.
    pub held_packets: u32,
    /// Fragmented datagrams that are followed at once, whole ones not counted.
    pub fragments: u32,
    /// TLS handshakes at once.
    pub handshakes: u32,
    /// Layer 4 sessions at once, of connectors, port forwards and services together.
    pub sessions: u32,
    /// Clients of the control socket at once.
    pub control_clients: u32,
    /// Beginnings and ends of flows that wait to be logged.
    pub flow_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 1_048_576,
            records: 2048,
            held_packets: 256,
            fragments: 4096,
            handshakes: 256,
            sessions: 16_384,
            control_clients: 32,
            flow_log: 65_536,
        }
    }
}

/// `[flow_log]`: where beginnings and ends of flows are logged; at least one of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowLog {
    /// IPFIX collector (RFC 7011), by UDP from the management NIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipfix: Option<SocketAddr>,
    /// File that JSON lines are appended to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "path::serialize_option")]
    pub json: Option<PathBuf>,
}

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Path of the Unix socket; short enough for `sockaddr_un`.
    #[serde(serialize_with = "path::serialize")]
    pub socket: PathBuf,
}

impl Control {
    /// Folder that control sockets lie in unless the configuration says otherwise.
    pub const DEFAULT_DIRECTORY: &'static str = "/run/gridway";
    /// Longest path that `sockaddr_un` holds with its terminating zero (unix(7)).
    pub const MAX_PATH: usize = 107;

    /// The socket of a node that configures none: `/run/gridway/<node>.sock`.
    #[must_use]
    pub fn default_for(node: &NodeName) -> Self {
        Self { socket: PathBuf::from(Self::DEFAULT_DIRECTORY).join(format!("{node}.sock")) }
    }
}
