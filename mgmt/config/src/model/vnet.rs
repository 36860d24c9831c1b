//! Virtual networks: address space and access policy.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::layer4::Connector;
use super::nat::{InsideNat, OutsideNat};
use super::route::Route;
use crate::name::{ObjectName, VnetName};

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
    /// Addresses of the vnet at which the node itself leads local hosts to services, in a name space
    /// with the connectors.
    #[serde(rename = "port_forward", skip_serializing_if = "Vec::is_empty")]
    pub port_forwards: Vec<Connector>,
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
