//! Addresses that the kernel takes for this machine's although no interface has them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use crate::requests::{FAMILIES, Requests, family};
use crate::{LocalRouteError, NetlinkError, route};

/// Who made a route (`rtm_protocol`): this program. The kernel does not interpret numbers above `RTPROT_STATIC`; this
/// one is used neither in `include/uapi/linux/rtnetlink.h` nor by iproute2's `rt_protos`.
const PROTOCOL: u8 = 103;
/// Reading the table is tried this often.
const ATTEMPTS: usize = 16;

/// Host routes of type `local` in the table `local`, by one interface: what `ip route add local 172.16.9.1/32 dev data0
/// table local proto 103 scope host` makes.
///
/// The kernel takes packets for these addresses, so that a listener can be bound to an address that is not on the
/// interface. All routes of this protocol number on the interface belong to the one `LocalRoutes` of that interface:
/// [`Self::open`] removes those of a predecessor that was killed, dropping it removes its own. It stays with the
/// network namespace of the thread that opened it. Needs `CAP_NET_ADMIN` and nothing else.
///
/// What the route does, and what it does not:
///
/// - An IPv4 socket can be bound to the address as to any own one. For IPv6 the kernel asks for an address of an
///   interface, so the socket needs `IPV6_FREEBIND` (no privilege) or `IPV6_TRANSPARENT` (`CAP_NET_ADMIN` or
///   `CAP_NET_RAW`); either is enough together with the route, neither is without it.
/// - The kernel answers ARP requests for the address, unless `arp_ignore` is 1 or more. It does **not** answer
///   neighbour solicitations: for IPv6 hosts that take the address to be on the link somebody else has to, such as
///   the data plane. (A proxy entry would do it, but only with both `proxy_ndp` and `forwarding` of the interface on.)
/// - Packets for the address are taken from every interface. A listener bound to the interface (`SO_BINDTODEVICE`)
///   gets those of that interface only; for the others the kernel answers as for a port nobody listens on.
/// - The node itself no longer reaches another host of this address.
///
/// The kernel drops IPv6 routes when the interface is switched off, and IPv4 ones when its last IPv4 address goes; loss
/// of carrier changes nothing. [`Self::set`] compares with what is there, so calling it again brings them back.
pub struct LocalRoutes {
    name: String,
    interface: u32,
    requests: Requests,
}

impl LocalRoutes {
    /// Removes what a killed predecessor left on this interface, followed by index from then on.
    ///
    /// # Errors
    /// There is no such interface, or the kernel refused.
    pub fn open(interface: &str) -> Result<Self, LocalRouteError> {
        let mut requests = Requests::open()?;
        let index = requests.link_named(interface)?.header.index;
        let mut routes = Self { name: interface.to_owned(), interface: index, requests };
        let left = routes.clear()?;
        if left > 0 {
            tracing::warn!(interface, routes = left, "removed local routes that a killed predecessor left");
        }
        Ok(routes)
    }

    /// Makes `addresses` the ones that have a route: adds what is missing and removes what is too much.
    ///
    /// The caller must leave out addresses that the interface has itself: they need no route, and are
    /// [`LocalRouteError::Taken`] here. One that it is given later keeps both routes, and works.
    ///
    /// # Errors
    /// [`LocalRouteError::NotAHost`] and [`LocalRouteError::Taken`] name one address, and then nothing was changed.
    /// [`LocalRouteError::Refused`] when the kernel does not add or remove a route, such as an IPv6 one while the
    /// interface is switched off.
    pub fn set(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<(), LocalRouteError> {
        if let Some(&address) = addresses.iter().find(|address| !is_host(address)) {
            return Err(LocalRouteError::NotAHost { address });
        }
        let mut ours = BTreeSet::new();
        for route in self.table()? {
            if route.is_ours(self.interface) {
                ours.insert(route.address);
            } else if addresses.contains(&route.address) {
                return Err(LocalRouteError::Taken { address: route.address, protocol: route.protocol });
            }
        }
        for &address in ours.difference(addresses) {
            self.remove(address)?;
        }
        for &address in addresses.difference(&ours) {
            let added = self.requests.add_route(local_route(self.interface, address));
            added.map_err(|source| LocalRouteError::Refused { address, source })?;
        }
        Ok(())
    }

    /// Removes all routes of ours, and says how many there were.
    fn clear(&mut self) -> Result<usize, LocalRouteError> {
        let mut ours = self.table()?;
        ours.retain(|route| route.is_ours(self.interface));
        for route in &ours {
            self.remove(route.address)?;
        }
        Ok(ours.len())
    }

    fn remove(&mut self, address: IpAddr) -> Result<(), LocalRouteError> {
        let removed = self.requests.delete_route(local_route(self.interface, address));
        removed.map_err(|source| LocalRouteError::Refused { address, source })
    }

    /// The host routes of the table `local`, whoever made them.
    fn table(&mut self) -> Result<Vec<HostRoute>, NetlinkError> {
        for _ in 0..ATTEMPTS {
            let (mut routes, mut consistent) = (Vec::new(), true);
            for family in FAMILIES {
                consistent &= self.requests.routes(family, libc::RT_TABLE_LOCAL, |message| {
                    routes.extend(HostRoute::read(message));
                })?;
            }
            if consistent {
                return Ok(routes);
            }
        }
        Err(NetlinkError::Unsettled { action: "read the local routes", attempts: ATTEMPTS })
    }
}

impl Drop for LocalRoutes {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(interface = self.name, %error, "cannot remove local routes");
        }
    }
}

/// A route to a single address.
struct HostRoute {
    address: IpAddr,
    protocol: u8,
    kind: RouteType,
    output: Option<u32>,
}

impl HostRoute {
    fn read(message: &RouteMessage) -> Option<Self> {
        let (mut destination, mut output) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(value) => destination = route::ip(value),
                RouteAttribute::Oif(index) => output = Some(*index),
                _ => {}
            }
        }
        let address = destination?;
        let header = &message.header;
        (header.destination_prefix_length == length(address)).then(|| Self {
            address,
            protocol: header.protocol.into(),
            kind: header.kind,
            output,
        })
    }

    fn is_ours(&self, interface: u32) -> bool {
        self.protocol == PROTOCOL && self.kind == RouteType::Local && self.output == Some(interface)
    }
}

/// The route of ours to this address, to be added or deleted: all that is given here must match.
fn local_route(interface: u32, address: IpAddr) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: family(address),
        destination_prefix_length: length(address),
        table: libc::RT_TABLE_LOCAL,
        protocol: RouteProtocol::Other(PROTOCOL),
        scope: RouteScope::Host,
        kind: RouteType::Local,
        ..RouteHeader::default()
    };
    let destination = match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    route.attributes = vec![RouteAttribute::Destination(destination), RouteAttribute::Oif(interface)];
    route
}

/// The prefix length that stands for one address.
fn length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Whether packets that other hosts send can be for this address, whatever link they come from.
fn is_host(address: &IpAddr) -> bool {
    let of_one_link = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.to_ipv4_mapped().is_some(),
    };
    !(of_one_link || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}
