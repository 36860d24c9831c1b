//! Live flows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Answer to `gridway flows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Flows {
    /// Flows that matched, of which `rows` may be the first few.
    pub matched: u64,
    /// The flows.
    pub rows: Vec<FlowRow>,
}

/// A row of `gridway flows`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowRow {
    /// Vnet.
    pub vnet: String,
    /// Peer that the flow goes to or comes from.
    pub peer: String,
    /// As local hosts see it, the local host first; of a relayed flow, as that of answers.
    pub local: Tuple,
    /// As the overlay sees it.
    #[serde(rename = "virtual")]
    pub virtual_tuple: Tuple,
    /// Side that the first packet came from.
    pub started_by: Side,
    /// How the tuples differ.
    pub translation: Translation,
    /// Whether it goes from one peer on to another, and to no local host.
    pub relayed: bool,
    /// State, such as `established`.
    pub state: String,
    /// Packets of both directions.
    pub packets: u64,
    /// Bytes of both directions.
    pub bytes: u64,
    /// Local to overlay.
    pub outbound: Traffic,
    /// Overlay to local.
    pub inbound: Traffic,
    /// Seconds since the flow was made.
    pub age_s: u64,
    /// Seconds since the last packet.
    pub idle_s: u64,
    /// TCP flags seen in either direction, such as `SYN,ACK,FIN`; empty for other protocols.
    pub tcp_flags: String,
    /// TCP flags seen from local to overlay.
    pub tcp_flags_out: String,
    /// TCP flags seen from overlay to local.
    pub tcp_flags_in: String,
    /// Line of the access rule that allowed it when it was last judged.
    pub acl_line: Option<u32>,
}

/// A 5-tuple. Ports are ICMP query ids for ICMP, and 0 where the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tuple {
    /// Source address.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub src: IpAddr,
    /// Destination address.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub dst: IpAddr,
    /// IANA protocol number.
    pub proto: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

/// What passed in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of the inner packets.
    pub bytes: u64,
}

/// The two sides a packet of a flow can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The data NIC.
    Local,
    /// The tunnel.
    Overlay,
}

impl Side {
    /// The side as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Overlay => "overlay",
        }
    }
}

/// How the local and the virtual tuple of a flow differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Translation {
    /// They do not.
    #[serde(rename = "none")]
    None,
    /// Addresses, each host having one of its own.
    #[serde(rename = "1:1")]
    OneToOne,
    /// The remote host shares its local address, so its port is translated too.
    #[serde(rename = "port")]
    Port,
}

impl Translation {
    /// The translation as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OneToOne => "1:1",
            Self::Port => "port",
        }
    }
}
