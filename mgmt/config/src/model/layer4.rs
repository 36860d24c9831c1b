//! Layer 4: services, and the listeners that lead to those of peers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::duration;
use super::host_port::HostPort;
use super::vnet::ports_text;
use crate::name::{InterfaceName, NameError, NodeName, ServiceName};

/// What a connector and a service speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer4Protocol {
    /// A byte stream.
    Tcp,
    /// Datagrams, a session for each address of a client.
    Udp,
    /// File transfer (RFC 959, RFC 2428): TCP whose data connections are followed.
    Ftp,
    /// Trivial file transfer (RFC 1350): UDP whose transfer ports are followed.
    Tftp,
}

impl Layer4Protocol {
    /// The protocol as the configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Ftp => "ftp",
            Self::Tftp => "tftp",
        }
    }

    /// Whether it runs over UDP, and not over TCP. Only then do sessions end by being idle.
    #[must_use]
    pub fn is_over_udp(self) -> bool {
        matches!(self, Self::Udp | Self::Tftp)
    }
}

impl fmt::Display for Layer4Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `[[service]]`: a target that peers may reach by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Name that peers use; unique among services.
    pub name: ServiceName,
    /// What is spoken with the target.
    pub protocol: Layer4Protocol,
    /// Where the target is. A name is resolved when a session begins.
    pub target: HostPort,
    /// Interface that the target is reached by. `None`: the data NIC, or the management NIC of a
    /// node without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_interface: Option<InterfaceName>,
    /// How long connecting to the target may take: at most [`Service::MAX_CONNECT_TIMEOUT`].
    #[serde(serialize_with = "duration::serialize")]
    pub connect_timeout: Duration,
    /// Peers that may use it, by default every configured one. Empty only where there are no peers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<NodeName>,
    /// Whether the target is told the client's address in a PROXY protocol header, version 2.
    /// Never with another protocol than [`Layer4Protocol::Tcp`].
    pub proxy_protocol: bool,
}

impl Service {
    /// Connect time-out of a service that names none.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// Longest connect time-out: the kernel gives up on a SYN about then.
    pub const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(120);
}

/// `[[service_range]]`: targets that peers may name as `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceRange {
    /// Addresses; at least one prefix.
    pub prefixes: Vec<IpNet>,
    /// Ports of TCP and UDP.
    #[serde(serialize_with = "ports")]
    pub ports: RangeInclusive<u16>,
    /// As [`Service::peers`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<NodeName>,
}

impl ServiceRange {
    /// Whether `address` and `port` lie in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr, port: u16) -> bool {
        self.ports.contains(&port) && self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }
}

/// `[[connector]]` and `[[vnet.port_forward]]`: a listener whose clients are led to a service of a
/// peer. A port forward listens in its vnet's space, a connector at an address of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connector {
    /// Unique among the connectors and port forwards of the node.
    pub name: ServiceName,
    /// What clients speak.
    pub protocol: Layer4Protocol,
    /// Where clients are accepted. No two of the node take the same address and port of TCP or UDP.
    pub listen: SocketAddr,
    /// Interface that clients come by. `None`: the data NIC, or the management NIC of a node without one. Never set for a
    /// port forward, whose clients are the data NIC's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceName>,
    /// Node beside the target.
    pub peer: NodeName,
    /// What is asked of the peer.
    pub service: ServiceRef,
    /// Prefixes that clients may come from, of the family of `listen`. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<IpNet>,
    /// Most that its clients send together, and as much again to them, in Mbit/s; 0 is unlimited.
    pub max_mbps: u32,
    /// Silence after which a session ends. Zero where the protocol runs over TCP, which has none.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "duration::serialize")]
    pub idle: Duration,
}

impl Connector {
    /// Protocol of a port forward that names none.
    pub const DEFAULT_PROTOCOL: Layer4Protocol = Layer4Protocol::Tcp;
    /// Idle limit over UDP where none is named.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(60);

    /// Whether clients may come from `address`.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|prefix| prefix.contains(&address))
    }
}

/// What a connector asks its peer for. A name holds no colon, so the two never read alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServiceRef {
    /// A service of the peer.
    Named(ServiceName),
    /// A target within one of the peer's ranges.
    Target(HostPort),
}

impl ServiceRef {
    /// What [`ServiceRef::from_str`] accepts.
    pub const EXPECTED: &'static str =
        "the name of a service of the peer, or host:port within one of its ranges";
}

impl FromStr for ServiceRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(name) = ServiceName::new(text) {
            return Ok(Self::Named(name));
        }
        let target = HostPort::parse(text, None).map(Self::Target);
        target.ok_or_else(|| NameError { found: text.to_owned(), expected: Self::EXPECTED })
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "{name}"),
            Self::Target(target) => write!(f, "{target}"),
        }
    }
}

impl Serialize for ServiceRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn ports<S: Serializer>(ports: &RangeInclusive<u16>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&ports_text(ports))
}
