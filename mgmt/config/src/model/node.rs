//! The node itself: identity, interfaces, workers, tunnel and log.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::{duration, path};
use crate::name::{Domain, InterfaceName, NodeName};

/// `[node]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Name of this node; with `domain` it is the SAN of its certificate.
    pub name: NodeName,
    /// Domain shared by all nodes.
    pub domain: Domain,
    /// Whether the node accepts tunnels.
    pub role: Role,
}

/// Role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Accepts tunnels and may dial other gateways.
    Gateway,
    /// Only dials.
    Edge,
}

/// `[identity]`; every path is resolved against the folder of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Certificate of the CA of all nodes (PEM).
    #[serde(serialize_with = "path::serialize")]
    pub ca: PathBuf,
    /// Certificate of this node, with intermediates if there are any (PEM).
    #[serde(serialize_with = "path::serialize")]
    pub certificate: PathBuf,
    /// Private key of this node (PEM), see [`crate::check_private_key`].
    #[serde(serialize_with = "path::serialize")]
    pub private_key: PathBuf,
    /// Certificate revocation list (PEM).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "path::serialize_option")]
    pub crl: Option<PathBuf>,
}

/// `[data]`: the NIC of local hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Data {
    /// Interface that carries clear traffic.
    pub interface: InterfaceName,
    /// XDP mode.
    pub attach: Attach,
    /// AF_XDP mode.
    pub rings: Rings,
    /// Source prefixes dropped in XDP.
    pub deny: Vec<IpNet>,
}

/// XDP mode of the data NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attach {
    /// Native, else generic.
    #[default]
    Auto,
    /// In the driver only.
    Native,
    /// In the kernel's generic hook only.
    Generic,
}

/// AF_XDP mode of the data NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rings {
    /// Zero copy, else copy.
    #[default]
    Auto,
    /// Zero copy only.
    ZeroCopy,
    /// Copy only.
    Copy,
}

/// `[management]`: the NIC of tunnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Management {
    /// Interface that tunnel sockets are bound to.
    pub interface: InterfaceName,
}

/// `[workers]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Workers {
    /// CPUs that workers are pinned to.
    pub cpus: Cpus,
    /// Whether a worker owns queues, connections, or both.
    pub roles: Roles,
    /// What an idle worker does.
    pub polling: Polling,
}

/// CPUs of the workers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cpus {
    /// Chosen at start from the CPUs the process may use.
    #[default]
    Auto,
    /// One worker an entry; a number may repeat. Never empty, each below [`Cpus::LIMIT`].
    List(Vec<usize>),
}

impl Cpus {
    /// CPU numbers lie below this (`CPU_SETSIZE`), and so does the length of the list.
    pub const LIMIT: usize = 1024;
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::List(cpus) => cpus.serialize(serializer),
        }
    }
}

/// How work is divided between workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Roles {
    /// Combined with two CPUs or fewer, else separate.
    #[default]
    Auto,
    /// Every worker owns queues and connections.
    Combined,
    /// Data workers and tunnel workers.
    Separate,
}

/// What an idle worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Polling {
    /// Spins while there is work, then sleeps.
    #[default]
    Adaptive,
    /// Never sleeps.
    Busy,
}

/// `[tunnel]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tunnel {
    /// Address that tunnels are accepted at. Gateways only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Time between two pings on a connection.
    #[serde(serialize_with = "duration::serialize")]
    pub ping_interval: Duration,
    /// Silence after which a connection counts as dead; longer than `ping_interval`.
    #[serde(serialize_with = "duration::serialize")]
    pub dead_after: Duration,
}

impl Tunnel {
    /// Port of a tunnel address written without one.
    pub const DEFAULT_PORT: u16 = 8443;
}

impl Default for Tunnel {
    fn default() -> Self {
        Self { listen: None, ping_interval: Duration::from_secs(1), dead_after: Duration::from_secs(3) }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Log {
    /// Shape of a line.
    pub format: LogFormat,
    /// Least severe level that is written.
    pub level: LogLevel,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Least severe level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And what an operator wants to know.
    #[default]
    Info,
    /// And what a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level as the configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
