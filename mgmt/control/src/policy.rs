//! Routes, NAT entries and access rules as they are in force.

use serde::{Deserialize, Serialize};

/// A row of `gridway routes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRow {
    /// Vnet.
    pub vnet: String,
    /// Virtual prefix.
    pub to: String,
    /// Peer.
    pub via: String,
    /// 1 (best) to 200.
    pub metric: u8,
    /// Whether the tunnel is up (and monitors pass).
    pub available: bool,
    /// Whether new flows to the prefix take this route.
    pub chosen: bool,
}

/// Which NAT list an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A row of `gridway nat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRow {
    /// Vnet.
    pub vnet: String,
    /// List.
    pub direction: NatDirection,
    /// Local prefix.
    pub local: String,
    /// Virtual prefix.
    #[serde(rename = "virtual")]
    pub virtual_prefix: String,
    /// Flows that were made by it.
    pub hits: u64,
    /// When the first one was, Unix seconds.
    pub first: Option<u64>,
    /// When the last one was, Unix seconds.
    pub last: Option<u64>,
}

/// A row of `gridway acl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
