//! Single packets: what would become of one, what becomes of the next ones, and the packets themselves.

use serde::{Deserialize, Serialize};

use crate::flow::{Side, Tuple};

/// A packet that nobody sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SimulatedPacket {
    /// Side it would come from.
    pub from: Side,
    /// Vnet that it is meant for: that of a packet from the overlay, and checked for one from a local host.
    pub vnet: String,
    /// Peer that would have sent it; for packets from the overlay. Default: the best route to the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Source and destination, in local addresses from a local host, in virtual ones from the overlay.
    pub tuple: Tuple,
    /// TCP flags such as `SYN,ACK`; without, a SYN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<String>,
    /// Length of the IP packet in bytes; the shortest there can be without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u16>,
    /// Whether it must not be fragmented (IPv4; IPv6 packets never are).
    #[serde(default)]
    pub dont_fragment: bool,
    /// TTL or hop limit it arrives with.
    #[serde(default = "default_ttl")]
    pub ttl: u8,
}

fn default_ttl() -> u8 {
    64
}

/// The way of one packet through a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PacketTrace {
    /// When, microseconds since 1970.
    pub at_us: u64,
    /// Worker that handled it.
    pub worker: u32,
    /// Side it came from.
    pub from: Side,
    /// Length of the IP packet in bytes.
    pub length: u32,
    /// As it came; none of one that could not be read.
    pub tuple: Option<Tuple>,
    /// As it went; none of one that did not.
    pub translated: Option<Tuple>,
    /// What decided, in order.
    pub steps: Vec<Step>,
    /// `forwarded`, `delivered`, `relayed`, `answered`, `held`, `consumed` or `dropped`.
    pub verdict: String,
    /// Why it was dropped.
    pub reason: Option<String>,
    /// What its sender is told, such as `ICMP host unreachable`; none if nothing.
    pub answer: Option<String>,
}

/// One decision about a packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// What was asked: `parse`, `flow`, `vnet`, `source`, `inside_nat`, `outside_nat`, `acl`, `route`, `size`,
    /// `fragment`, `neighbour`.
    pub stage: String,
    /// Whether the packet went on.
    pub passed: bool,
    /// What decided: the rule, line, translation or route, in words.
    pub detail: String,
}

/// Where packets are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CapturePoint {
    /// On the data NIC: in local addresses.
    Local,
    /// Inside the tunnel: in virtual addresses.
    Virtual,
}

/// A captured packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CapturedPacket {
    /// When, microseconds since 1970.
    pub at_us: u64,
    /// Worker that handled it.
    pub worker: u32,
    /// Side it came from.
    pub from: Side,
    /// What became of it, such as `forwarded to gw-b` or `dropped: acl_deny`.
    pub comment: String,
    /// Length of the IP packet in bytes, of which `bytes` may be the first few.
    pub length: u32,
    /// The IP packet, hexadecimal.
    pub bytes: String,
}

/// An answer to an echo request through the overlay, or its absence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ping {
    /// Counts the requests, from 1.
    pub sequence: u32,
    /// How long the reply took, microseconds; none: there was none in time.
    pub round_trip_us: Option<u64>,
    /// Peer that it was sent to; none where no route was available.
    pub peer: Option<String>,
    /// Why there is no reply, where that is known.
    pub error: Option<String>,
}

/// The end of a list that came row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct End {
    /// Rows that were sent.
    pub rows: u64,
    /// Rows that could not be taken in time, so that packets were not held up.
    pub missed: u64,
}
