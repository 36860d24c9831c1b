//! Virtual networks: address space, NAT, routes and access policy.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::duration;
use crate::name::{NodeName, ObjectName, VnetName};

/// IANA protocol number of ICMP. In a rule it stands for ICMPv6 (58) as well where the packet is IPv6.
pub const PROTOCOL_ICMP: u8 = 1;
/// IANA protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// IANA protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// `[[vnet]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vnet {
    /// Name, the same on all nodes of the vnet.
    pub name: VnetName,
    /// Address space: at least one prefix, none overlapping another.
    #[serde(serialize_with = "one_or_list")]
    pub cidr: Vec<IpNet>,
    /// Whether packets must match the NAT lists (an empty list is identity). `false`: both lists are empty.
    pub nat: bool,
    /// This node's own addresses in the vnet, within `cidr`: at most one of each family.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "one_or_list")]
    pub address: Vec<IpAddr>,
    /// Upper limit of the inner MTU in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// No diagnostic ICMP errors.
    pub dark: bool,
    /// Packets from one peer may leave to another.
    pub relay: bool,
    /// Identity of local hosts. Prefixes of a side do not overlap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inside_nat: Vec<InsideNat>,
    /// Identity of remote hosts. Prefixes of a side do not overlap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside_nat: Vec<OutsideNat>,
    /// Routes to peers.
    #[serde(rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Access policy, ordered by line; lines are unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acl: Vec<AclRule>,
}

impl Vnet {
    /// This node's own address in the vnet of the family that `other` is of.
    #[must_use]
    pub fn address_like(&self, other: IpAddr) -> Option<IpAddr> {
        self.address.iter().copied().find(|address| address.is_ipv4() == other.is_ipv4())
    }

    /// Destinations by which a local packet belongs to this vnet: the local sides of the outside
    /// NATs, or, where there are none, `cidr` and the routes' prefixes.
    pub fn selectors(&self) -> impl Iterator<Item = IpNet> {
        let outside = self.outside_nat.iter().map(|entry| entry.local);
        let own = self.outside_nat.is_empty();
        let cidr = self.cidr.iter().copied().filter(move |_| own);
        let routes = self.routes.iter().map(|route| route.to).filter(move |_| own);
        outside.chain(cidr).chain(routes)
    }
}

/// `[[vnet.inside_nat]]`: 1:1, both prefixes of one family and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct InsideNat {
    /// Addresses of local hosts on the data NIC.
    pub local: IpNet,
    /// Their addresses in the vnet.
    #[serde(rename = "virtual")]
    pub virtual_prefix: IpNet,
}

/// `[[vnet.outside_nat]]`: both sides of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutsideNat {
    /// Addresses of remote hosts in the vnet.
    #[serde(rename = "virtual")]
    pub remote: RemoteHosts,
    /// The addresses that local hosts know them by.
    pub local: IpNet,
    /// Whether the node answers ARP and neighbour solicitations for `local`.
    pub proxy_arp: bool,
}

impl OutsideNat {
    /// Whether remote hosts share the local addresses (port translation), and do not have one each.
    #[must_use]
    pub fn is_many_to_one(&self) -> bool {
        match &self.remote {
            RemoteHosts::Prefix(prefix) => prefix.prefix_len() < self.local.prefix_len(),
            RemoteHosts::Object { .. } => true,
        }
    }
}

/// Virtual side of an outside NAT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteHosts {
    /// As long as the local side: 1:1; shorter: many-to-one.
    Prefix(IpNet),
    /// Always many-to-one.
    Object {
        /// The object.
        name: ObjectName,
        /// What it was resolved to: at least one prefix, all of one family.
        prefixes: Vec<IpNet>,
    },
}

impl RemoteHosts {
    /// The prefixes of all hosts.
    #[must_use]
    pub fn prefixes(&self) -> &[IpNet] {
        match self {
            Self::Prefix(prefix) => std::slice::from_ref(prefix),
            Self::Object { prefixes, .. } => prefixes,
        }
    }
}

/// As the configuration writes it: a prefix or an object's name.
impl fmt::Display for RemoteHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(f, "{prefix}"),
            Self::Object { name, .. } => write!(f, "{name}"),
        }
    }
}

impl Serialize for RemoteHosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

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

/// `[[vnet.acl]]`: a rule over virtual addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AclRule {
    /// Place in the order; unique within the vnet.
    pub line: u32,
    /// What happens to a new flow that matches.
    pub action: AclAction,
    /// IANA number, or any. [`PROTOCOL_ICMP`] covers ICMPv6 too.
    #[serde(serialize_with = "protocol")]
    pub protocol: Option<u8>,
    /// Virtual source.
    pub source: AddressMatch,
    /// Virtual destination.
    pub destination: AddressMatch,
    /// Destination ports; only with TCP or UDP.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "ports")]
    pub ports: Option<RangeInclusive<u16>>,
}

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AclAction {
    /// The flow is made.
    Allow,
    /// The packet is dropped and its sender told: a reset for TCP, else "administratively prohibited".
    Reject,
    /// The packet is dropped.
    Drop,
}

impl AclAction {
    /// The action as the configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Reject => "reject",
            Self::Drop => "drop",
        }
    }
}

/// Addresses that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressMatch {
    /// Match addresses outside of `prefixes`. Never set with an empty list.
    pub negated: bool,
    /// Empty: any address.
    pub prefixes: Vec<IpNet>,
    /// The object that `prefixes` were resolved from.
    pub object: Option<ObjectName>,
}

impl AddressMatch {
    /// Matches every address.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Matches the addresses of one prefix.
    #[must_use]
    pub fn prefix(prefix: IpNet) -> Self {
        Self { negated: false, prefixes: vec![prefix], object: None }
    }

    /// Whether every address matches.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Whether `address` matches.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        self.is_any() || self.prefixes.iter().any(|prefix| prefix.contains(&address)) != self.negated
    }
}

/// As the configuration writes it: `any`, a prefix or an object's name, with `!` where negated.
impl fmt::Display for AddressMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("!")?;
        }
        match (&self.object, self.prefixes.as_slice()) {
            (Some(object), _) => write!(f, "{object}"),
            (None, []) => f.write_str("any"),
            (None, [prefix]) => write!(f, "{prefix}"),
            (None, [first, rest @ ..]) => {
                write!(f, "{{{first}")?;
                rest.iter().try_for_each(|prefix| write!(f, ", {prefix}"))?;
                f.write_str("}")
            }
        }
    }
}

impl Serialize for AddressMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `[[object]]` with the objects within it resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Name that rules use.
    pub name: ObjectName,
    /// At least one, sorted, none twice.
    pub prefixes: Vec<IpNet>,
}

/// Protocol as the configuration writes it.
pub(crate) fn protocol_name(protocol: Option<u8>) -> String {
    match protocol {
        None => "any".to_owned(),
        Some(PROTOCOL_ICMP) => "icmp".to_owned(),
        Some(PROTOCOL_TCP) => "tcp".to_owned(),
        Some(PROTOCOL_UDP) => "udp".to_owned(),
        Some(number) => number.to_string(),
    }
}

/// Ports as the configuration writes them: `443` or `8000-8999`.
pub(crate) fn ports_text(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        ports.start().to_string()
    } else {
        format!("{}-{}", ports.start(), ports.end())
    }
}

impl AclRule {
    /// Protocol as the configuration writes it: `any`, `tcp`, `udp`, `icmp` or a number.
    #[must_use]
    pub fn protocol_text(&self) -> String {
        protocol_name(self.protocol)
    }

    /// Ports as the configuration writes them: `443` or `8000-8999`.
    #[must_use]
    pub fn ports_text(&self) -> Option<String> {
        self.ports.as_ref().map(ports_text)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn protocol<S: Serializer>(protocol: &Option<u8>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&protocol_name(*protocol))
}

fn ports<S: Serializer>(ports: &Option<RangeInclusive<u16>>, serializer: S) -> Result<S::Ok, S::Error> {
    match ports {
        Some(ports) => serializer.serialize_str(&ports_text(ports)),
        None => serializer.serialize_none(),
    }
}

fn one_or_list<T: Serialize, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    match values {
        [value] => value.serialize(serializer),
        values => values.serialize(serializer),
    }
}
