//! Routes, NAT entries and access rules as they are in force.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A row of `gridway routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RouteRow {
    /// Vnet.
    pub vnet: String,
    /// Virtual prefix.
    pub to: String,
    /// Peer.
    pub via: String,
    /// 1 (best) to 200.
    pub metric: u8,
    /// Whether the tunnel is up and the monitor, if there is one, passes.
    pub available: bool,
    /// Whether new flows to the prefix take this route.
    pub chosen: bool,
    /// Its monitor.
    pub monitor: Option<MonitorRow>,
}

/// The monitor of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MonitorRow {
    /// `icmp` or `tcp`.
    pub protocol: String,
    /// Virtual address that is probed.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub target: IpAddr,
    /// TCP port.
    pub port: Option<u16>,
    /// Whether it passes.
    pub up: bool,
    /// Failures less successes, never below 0: down at `count`, up again at 0.
    pub failures: u32,
    /// Failures that take the route down.
    pub count: u32,
    /// Time that the last reply took, microseconds; none before the first one.
    pub latency_us: Option<u64>,
}

/// Which NAT list an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NatDirection {
    /// Identity of local hosts.
    Inside,
    /// Identity of remote hosts.
    Outside,
}

impl NatDirection {
    /// The direction as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
        }
    }
}

/// How a NAT entry translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NatKind {
    /// Every IPv4 host has an address of its own.
    #[serde(rename = "1:1")]
    OneToOne,
    /// Hosts share addresses: ports are translated.
    #[serde(rename = "many-to-one")]
    ManyToOne,
    /// As 1:1, for an IPv6 prefix (RFC 6296).
    #[serde(rename = "prefix")]
    Prefix,
}

impl NatKind {
    /// The kind as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "1:1",
            Self::ManyToOne => "many-to-one",
            Self::Prefix => "prefix",
        }
    }
}

/// A row of `gridway nat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NatRow {
    /// Vnet.
    pub vnet: String,
    /// List.
    pub direction: NatDirection,
    /// How it translates.
    pub kind: NatKind,
    /// Local prefix.
    pub local: String,
    /// Virtual prefix, or the object that many-to-one hosts are of.
    #[serde(rename = "virtual")]
    pub virtual_side: String,
    /// Mappings now; many-to-one only.
    pub ports_used: Option<u64>,
    /// Mappings at most; many-to-one only.
    pub ports_limit: Option<u64>,
    /// New flows that found no free port.
    pub exhausted: u64,
    /// Flows that were made by it.
    pub hits: u64,
    /// When the first one was, Unix seconds.
    pub first: Option<u64>,
    /// When the last one was, Unix seconds.
    pub last: Option<u64>,
}

/// A row of `gridway acl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AclRow {
    /// Vnet.
    pub vnet: String,
    /// Line of the rule.
    pub line: u32,
    /// `allow`, `reject` or `drop`.
    pub action: String,
    /// `any`, `tcp`, `udp`, `icmp` or a number.
    pub protocol: String,
    /// As configured: prefix or object, `!` negates.
    pub source: String,
    /// As configured: prefix or object, `!` negates.
    pub destination: String,
    /// One port or a range.
    pub ports: Option<String>,
    /// New flows that it decided.
    pub hits: u64,
    /// When the first one was, Unix seconds.
    pub first: Option<u64>,
    /// When the last one was, Unix seconds.
    pub last: Option<u64>,
}
