//! Translation between local and virtual addresses.

use std::fmt;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::name::ObjectName;

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
