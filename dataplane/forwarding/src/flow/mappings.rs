//! Port mappings of many-to-one translation (RFC 4787, 5382, 5508).
//!
//! A mapping belongs to the virtual endpoint, whoever it talks to (endpoint-independent), and lives as
//! long as a flow holds it. It is found when flows begin and end, never by packets of flows that exist.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use gridway_wire::protocol::Protocol;
use ipnet::IpNet;
use rand::Rng;

use super::ports::{Choice, Ports};
use crate::ids::VnetId;

/// Addresses of a pool that are tried for one mapping.
const TRIES: u128 = 64;

/// An address and a port in a virtual network. The port is the identifier of ICMP queries, and 0 where
/// the protocol has neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VirtualEndpoint {
    /// The vnet.
    pub vnet: VnetId,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address in the vnet.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
}

/// What stands for a virtual endpoint on the data link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalEndpoint {
    /// An address of the pool.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    local: LocalEndpoint,
    flows: u32,
}

/// The address that a virtual host has (RFC 4787, REQ-2: paired), and how many mappings it has there.
#[derive(Clone, Copy, Debug)]
struct Pairing {
    address: IpAddr,
    mappings: u32,
}

/// All mappings of the node.
#[derive(Debug, Default)]
pub struct Mappings {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_virtual: HashMap<VirtualEndpoint, Mapping, RandomState>,
    by_local: HashMap<(Protocol, LocalEndpoint), VirtualEndpoint, RandomState>,
    ports: HashMap<(Protocol, IpAddr), Ports, RandomState>,
    pairings: HashMap<(VnetId, IpAddr), Pairing, RandomState>,
    /// Where set, all that can be made, in place of what is free.
    offers: Option<HashMap<VirtualEndpoint, LocalEndpoint, RandomState>>,
}

impl Mappings {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code panics between two updates that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The local endpoint of `endpoint`, from `pool`, held for one more flow; a new mapping if it has
    /// none. `None`: no port is free.
    pub fn acquire(
        &self,
        endpoint: VirtualEndpoint,
        pool: IpNet,
        random: &mut impl Rng,
    ) -> Option<LocalEndpoint> {
        let mut inner = self.lock();
        let earlier = match inner.by_virtual.get_mut(&endpoint) {
            Some(mapping) if pool.contains(&mapping.local.address) => {
                mapping.flows += 1;
                return Some(mapping.local);
            }
            Some(mapping) => Some(*mapping),
            None => None,
        };
        let local = inner.make(&endpoint, pool, random)?;
        // One of a pool of an earlier configuration moves. The flows that hold it are about to go, each at its
        // next packet or when it was idle for too long, and give it up then like all others.
        let flows = 1 + earlier.map_or(0, |earlier| inner.forget_local(&endpoint, earlier));
        inner.by_virtual.insert(endpoint, Mapping { local, flows });
        Some(local)
    }

    /// The local endpoint that [`Self::acquire`] would give; nothing is changed that anybody sees.
    pub(crate) fn preview(
        &self,
        endpoint: VirtualEndpoint,
        pool: IpNet,
        random: &mut impl Rng,
    ) -> Option<LocalEndpoint> {
        let mut inner = self.lock();
        let known = inner.by_virtual.get(&endpoint).map(|mapping| mapping.local);
        if let Some(local) = known.filter(|local| pool.contains(&local.address)) {
            return Some(local);
        }
        let host = (endpoint.vnet, endpoint.address);
        let pairing = inner.pairings.get(&host).copied();
        let local = inner.make(&endpoint, pool, random)?;
        inner.forget_local(&endpoint, Mapping { local, flows: 0 });
        if let Some(pairing) = pairing {
            inner.pairings.insert(host, pairing);
        }
        Some(local)
    }

    /// Makes no mappings from now on but those that are offered.
    pub(crate) fn make_offered(&self, offers: impl IntoIterator<Item = (VirtualEndpoint, LocalEndpoint)>) {
        self.lock().offers.get_or_insert_default().extend(offers);
    }

    /// Takes over a mapping that was made elsewhere, unless there is one.
    pub(crate) fn adopt(&self, endpoint: VirtualEndpoint, local: LocalEndpoint) {
        let mut inner = self.lock();
        inner.by_virtual.entry(endpoint).or_insert(Mapping { local, flows: 0 });
        inner.by_local.entry((endpoint.protocol, local)).or_insert(endpoint);
    }

    /// The virtual endpoint behind a local one.
    #[must_use]
    pub fn find(&self, protocol: Protocol, local: LocalEndpoint) -> Option<VirtualEndpoint> {
        self.lock().by_local.get(&(protocol, local)).copied()
    }

    /// Holds the mapping of a local endpoint for one more flow; false if it has gone.
    pub fn hold(&self, endpoint: &VirtualEndpoint, local: LocalEndpoint) -> bool {
        let mut inner = self.lock();
        match inner.by_virtual.get_mut(endpoint) {
            Some(mapping) if mapping.local == local => {
                mapping.flows += 1;
                true
            }
            _ => false,
        }
    }

    /// Gives up what a flow held; the last one ends the mapping.
    pub fn release(&self, endpoint: &VirtualEndpoint) {
        let mut inner = self.lock();
        let Some(mapping) = inner.by_virtual.get_mut(endpoint) else { return };
        mapping.flows -= 1;
        if mapping.flows == 0 {
            let last = *mapping;
            inner.by_virtual.remove(endpoint);
            inner.forget_local(endpoint, last);
        }
    }

    /// Mappings that exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_virtual.len()
    }

    /// Whether there is no mapping.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ports of `pool` that are in use, of the protocol that uses most.
    #[must_use]
    pub fn in_use(&self, pool: IpNet) -> usize {
        let inner = self.lock();
        let mut used: HashMap<Protocol, usize> = HashMap::new();
        let of_pool = inner.ports.iter().filter(|((_, address), _)| pool.contains(address));
        of_pool.for_each(|((protocol, _), ports)| *used.entry(*protocol).or_default() += ports.len());
        used.into_values().max().unwrap_or(0)
    }
}

impl Inner {
    /// Takes a local endpoint out of `pool` for `endpoint`.
    fn make(
        &mut self,
        endpoint: &VirtualEndpoint,
        pool: IpNet,
        random: &mut impl Rng,
    ) -> Option<LocalEndpoint> {
        if let Some(offers) = &self.offers {
            let local = *offers.get(endpoint)?;
            self.by_local.insert((endpoint.protocol, local), *endpoint);
            return Some(local);
        }
        let host = (endpoint.vnet, endpoint.address);
        let pairing = self.pairings.get(&host).filter(|pairing| pool.contains(&pairing.address));
        let first = match pairing {
            Some(pairing) => position(pool, pairing.address),
            None => u128::from(self.pairings.hasher().hash_one(host)) % size(pool),
        };
        for step in 0..size(pool).min(TRIES) {
            let address = nth(pool, (first + step) % size(pool));
            let ports = self.ports.entry((endpoint.protocol, address)).or_default();
            let Some(port) = take_port(ports, endpoint, random) else { continue };
            let local = LocalEndpoint { address, port };
            self.by_local.insert((endpoint.protocol, local), *endpoint);
            let pairing = self.pairings.entry(host).or_insert(Pairing { address, mappings: 0 });
            if !pool.contains(&pairing.address) {
                pairing.address = address;
            }
            pairing.mappings += 1;
            return Some(local);
        }
        None
    }

    /// Gives the local endpoint of a mapping back. Gives how many flows hold the mapping.
    fn forget_local(&mut self, endpoint: &VirtualEndpoint, Mapping { local, flows }: Mapping) -> u32 {
        self.by_local.remove(&(endpoint.protocol, local));
        let place = (endpoint.protocol, local.address);
        if let Some(ports) = self.ports.get_mut(&place) {
            ports.remove(local.port);
            if ports.len() == 0 {
                self.ports.remove(&place);
            }
        }
        let host = (endpoint.vnet, endpoint.address);
        if let Some(pairing) = self.pairings.get_mut(&host) {
            pairing.mappings -= 1;
            if pairing.mappings == 0 {
                self.pairings.remove(&host);
            }
        }
        flows
    }
}

/// The port of a new mapping: the same one where it is free, else one like it, else any.
fn take_port(ports: &mut Ports, endpoint: &VirtualEndpoint, random: &mut impl Rng) -> Option<u16> {
    let port = endpoint.port;
    if !has_ports(endpoint.protocol) {
        return ports.insert(0).then_some(0);
    }
    // Port 0 is a legal identifier of an ICMP query, and no port of TCP or UDP.
    if (port != 0 || endpoint.protocol.is_icmp()) && ports.insert(port) {
        return Some(port);
    }
    let like = Choice::like(port, endpoint.protocol == Protocol::UDP);
    let found = ports.free(like, random).or_else(|| ports.free(Choice::ANY, random))?;
    ports.insert(found);
    Some(found)
}

/// Protocols whose port or query identifier is translated; one virtual host at a time has a local address
/// for any other.
const fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::ICMPV6)
}

/// Addresses of a pool that are used: of IPv4 all but the network's and its broadcast address, where it has
/// those.
#[must_use]
pub fn size(pool: IpNet) -> u128 {
    match pool {
        IpNet::V4(pool) => match pool.max_prefix_len() - pool.prefix_len() {
            0 => 1,
            1 => 2,
            bits => (1_u128 << bits) - 2,
        },
        IpNet::V6(pool) => 1_u128 << (pool.max_prefix_len() - pool.prefix_len()).min(127),
    }
}

/// The first address of a pool that is used.
fn base(pool: IpNet) -> u128 {
    match pool {
        IpNet::V4(pool) if pool.prefix_len() < 31 => u128::from(pool.network().to_bits()) + 1,
        IpNet::V4(pool) => u128::from(pool.network().to_bits()),
        IpNet::V6(pool) => pool.network().to_bits(),
    }
}

fn nth(pool: IpNet, index: u128) -> IpAddr {
    let bits = base(pool) + index;
    match pool {
        IpNet::V4(_) => IpAddr::V4((bits as u32).into()),
        IpNet::V6(_) => IpAddr::V6(bits.into()),
    }
}

fn position(pool: IpNet, address: IpAddr) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    bits.saturating_sub(base(pool))
}
