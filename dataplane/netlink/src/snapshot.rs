//! What the kernel knows about one interface at one moment.

use std::net::IpAddr;

use ipnet::IpNet;

/// Where a route leads, seen from the followed interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// The destination itself is a neighbour on the interface.
    OnLink,
    /// The next hop on the interface. An IPv4 route may have an IPv6 next hop (RFC 8950).
    Router(IpAddr),
    /// Not by this interface: another interface, an encapsulation, or unreachable, blackhole and prohibit
    /// routes. Reported because such a prefix shadows a shorter one that does lead here.
    Elsewhere,
}

/// What the kernel knew about the interface when [`crate::Watcher`] last looked.
///
/// A link that was deleted leaves everything empty and `up` false; its MAC address and MTU are the last known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Routes of the main table: prefix (host bits zero), metric (lower wins; 0 when the kernel names none), and
    /// where it leads. In the kernel's order: of two with the same prefix and metric the earlier one wins.
    ///
    /// Left out: routes that hold for one TOS or source prefix only, routes whose next hops are all dead, and
    /// link-local prefixes (`fe80::/10`) of other interfaces.
    pub routes: Vec<(IpNet, u32, Via)>,
    /// Resolved neighbours on this interface, ordered by address: those in a valid state (reachable, stale, delay,
    /// probe, permanent, noarp) with a unicast MAC address.
    pub neighbours: Vec<(IpAddr, [u8; 6])>,
    /// Addresses of this interface, ordered; tentative IPv6 addresses (RFC 4862) included.
    pub own: Vec<IpAddr>,
    /// MTU in bytes, without the Ethernet header.
    pub mtu: u32,
    /// The interface's MAC address.
    pub mac: [u8; 6],
    /// Switched on and with carrier (`IFF_UP` and `IFF_LOWER_UP`).
    pub up: bool,
}
