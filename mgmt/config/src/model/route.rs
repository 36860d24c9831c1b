//! Routes to peers, and what watches them.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::duration;
use crate::name::NodeName;

/// `[[vnet.route]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Virtual prefix.
    pub to: IpNet,
    /// A configured peer.
    pub via: NodeName,
    /// 1 (best) to [`Route::MAX_METRIC`].
    pub metric: u8,
    /// Probes that decide whether the route can be used while the tunnel is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
}

impl Route {
    /// Metric of a route that names none.
    pub const DEFAULT_METRIC: u8 = 100;
    /// Worst metric.
    pub const MAX_METRIC: u8 = 200;
}

/// `monitor` of a route. Needs the vnet's `address`, from which it probes through the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Monitor {
    /// How the target is asked.
    pub protocol: MonitorProtocol,
    /// Virtual address within the route's prefix, of the family of the vnet's `address`.
    pub target: IpAddr,
    /// TCP port; only with [`MonitorProtocol::Tcp`], and always there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Time between two probes.
    #[serde(serialize_with = "duration::serialize")]
    pub interval: Duration,
    /// Failures, less successes, that take the route down.
    pub count: u32,
    /// A reply that takes longer is a failure.
    #[serde(serialize_with = "duration::serialize")]
    pub max_latency: Duration,
}

impl Monitor {
    /// Time between probes of a monitor that names none.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
    /// Failures of a monitor that names none.
    pub const DEFAULT_COUNT: u32 = 3;
    /// Longest reply time of a monitor that names none.
    pub const DEFAULT_MAX_LATENCY: Duration = Duration::from_secs(1);
}

/// How a monitor asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MonitorProtocol {
    /// Echo request of ICMP or ICMPv6.
    Icmp,
    /// A SYN: an acknowledgement is a success, a reset a failure.
    Tcp,
}
