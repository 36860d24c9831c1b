//! What the configuration asks of packets: an immutable snapshot that workers share.

pub mod acl;
mod compile;
mod hits;
mod nat;
mod npt;
mod routes;

use std::net::IpAddr;
use std::sync::Arc;

use gridway_config::{Config, FlowTimeouts, Monitor};
use ipnet::IpNet;

use crate::ids::{MonitorId, PeerId, VnetId};
use crate::prefix::PrefixTable;

pub use acl::{Acl, Match, Ruling};
pub use hits::Hits;
pub use nat::{Found, Nat, NatRule, Translation};
pub use routes::{Candidate, Choice, Routes};

/// Everything the packet path asks, compiled from one configuration.
#[derive(Debug)]
pub struct Policy {
    /// Counts the policies of this process, from 1.
    pub generation: u64,
    /// Idle limits of flows.
    pub timeouts: FlowTimeouts,
    config: Arc<Config>,
    vnets: Vec<Option<Arc<Vnet>>>,
    selectors: PrefixTable<VnetId>,
    pools: PrefixTable<()>,
}

/// One virtual network on this node.
#[derive(Debug)]
pub struct Vnet {
    /// Its number.
    pub id: VnetId,
    /// Its name, the same on every node.
    pub name: String,
    addresses: Vec<IpAddr>,
    /// Upper limit of the size of its packets, in bytes.
    pub mtu: u16,
    /// No diagnostic ICMP errors, no resets.
    pub dark: bool,
    /// Packets of one peer may go on to another.
    pub relay: bool,
    /// Address translation.
    pub nat: Nat,
    /// Access policy.
    pub acl: Acl,
    /// Routes to peers.
    pub routes: Routes,
    /// What route monitors ask.
    pub probes: Vec<Probe>,
    proxied: Vec<IpNet>,
}

/// What a route's monitor asks, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The monitor.
    pub id: MonitorId,
    /// The peer of the route, which probes go to whatever other routes say.
    pub peer: PeerId,
    /// This node's address in the vnet.
    pub source: IpAddr,
    /// The monitor as configured.
    pub monitor: Monitor,
}

impl Vnet {
    /// This node's own address in the vnet, of the family that `other` is of.
    #[must_use]
    pub fn address_like(&self, other: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv4() == other.is_ipv4())
    }

    /// Whether `address` is this node's own in the vnet.
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether a virtual address is behind a peer: routed there, and not by an inside NAT rule with a
    /// longer prefix that of a local host. A route for the whole vnet is no claim on local hosts, nor on this
    /// node's own address.
    #[must_use]
    pub fn is_remote(&self, address: IpAddr) -> bool {
        let behind_peer = self.routes.longest_prefix_len(address).is_some_and(|routed| {
            self.nat.inside.virtual_prefix_len(address).is_none_or(|local| routed >= local)
        });
        behind_peer && !self.is_own(address)
    }

    /// Whether packets from a peer to `destination` go on to another one.
    #[must_use]
    pub fn relays(&self, destination: IpAddr) -> bool {
        self.relay && self.is_remote(destination)
    }
}

impl Policy {
    /// The vnet of a packet from a local host: the one whose selectors match its destination.
    #[must_use]
    pub fn select(&self, destination: IpAddr) -> Option<&Vnet> {
        self.vnet(*self.selectors.longest(destination)?)
    }

    /// The vnet with this number, if it is configured.
    #[must_use]
    pub fn vnet(&self, id: VnetId) -> Option<&Vnet> {
        self.vnets.get(id.index())?.as_deref()
    }

    /// The vnet with this name, if it is configured.
    #[must_use]
    pub fn vnet_named(&self, name: &str) -> Option<&Vnet> {
        self.vnets().find(|vnet| vnet.name == name)
    }

    /// All configured vnets.
    pub fn vnets(&self) -> impl Iterator<Item = &Vnet> {
        self.vnets.iter().flatten().map(AsRef::as_ref)
    }

    /// The configuration that this policy was compiled from.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether remote hosts share `address` on the data link.
    #[must_use]
    pub fn is_shared(&self, address: IpAddr) -> bool {
        self.pools.longest(address).is_some()
    }

    /// Pools of shared addresses.
    pub fn pools(&self) -> impl Iterator<Item = IpNet> {
        self.vnets()
            .flat_map(|vnet| vnet.nat.outside.rules())
            .filter(|rule| rule.is_many_to_one())
            .map(|rule| rule.local)
    }

    /// Prefixes on the data link that this node answers ARP and neighbour solicitations for.
    #[must_use]
    pub fn proxied(&self) -> Vec<IpNet> {
        self.vnets().flat_map(|vnet| vnet.proxied.iter().copied()).collect()
    }

    /// Whether this node answers ARP and neighbour solicitations for `address`.
    #[must_use]
    pub fn is_proxied(&self, address: IpAddr) -> bool {
        self.vnets().any(|vnet| vnet.proxied.iter().any(|prefix| prefix.contains(&address)))
    }
}
