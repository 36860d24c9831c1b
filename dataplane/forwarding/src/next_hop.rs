//! Where on the data link a local packet goes: a snapshot of the kernel's routes and neighbours.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use gridway_wire::mac::MacAddr;
use ipnet::IpNet;

use crate::prefix::PrefixTable;

/// What a route of the kernel's main table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The destination is on the data link.
    OnLink,
    /// The destination is behind a router on the data link.
    Router(IpAddr),
    /// The route leaves by another interface, or refuses.
    Elsewhere,
}

/// How to reach a local destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// By this link-layer address.
    Mac(MacAddr),
    /// By this neighbour, whose link-layer address is not known yet.
    Unresolved(IpAddr),
    /// The destination is this node's own data address, or that of a port forward.
    Own,
    /// Not through the data NIC.
    NoRoute,
}

/// Routes whose output is the data NIC, neighbours on it, and its own addresses.
#[derive(Clone, Debug, Default)]
pub struct NextHops {
    routes: PrefixTable<Via>,
    neighbours: HashMap<IpAddr, MacAddr, foldhash::fast::RandomState>,
    own: Vec<IpAddr>,
    /// Addresses of port forwards: the kernel has them as its own, too.
    forwards: BTreeSet<IpAddr>,
}

impl NextHops {
    /// A snapshot. Of several routes to one prefix the lowest metric counts, as in the kernel.
    #[must_use]
    pub fn new(
        routes: impl IntoIterator<Item = (IpNet, u32, Via)>,
        neighbours: impl IntoIterator<Item = (IpAddr, MacAddr)>,
        own: Vec<IpAddr>,
    ) -> Self {
        let mut routes: Vec<_> = routes.into_iter().collect();
        // Of entries for one prefix the last stays: the lowest metric, and of equals the first.
        routes.reverse();
        routes.sort_by_key(|(_, metric, _)| Reverse(*metric));
        let routes = routes.into_iter().map(|(prefix, _, via)| (prefix, via)).collect();
        Self { routes, neighbours: neighbours.into_iter().collect(), own, forwards: BTreeSet::new() }
    }

    /// The same, with the addresses of port forwards.
    #[must_use]
    pub fn with_forwards(self, forwards: BTreeSet<IpAddr>) -> Self {
        Self { forwards, ..self }
    }

    /// The addresses of port forwards.
    #[must_use]
    pub fn forwards(&self) -> &BTreeSet<IpAddr> {
        &self.forwards
    }

    /// The way to `destination`.
    #[must_use]
    pub fn resolve(&self, destination: IpAddr) -> NextHop {
        if self.own.contains(&destination) || self.forwards.contains(&destination) {
            return NextHop::Own;
        }
        let neighbour = match self.routes.longest(destination) {
            None | Some(Via::Elsewhere) => return NextHop::NoRoute,
            Some(Via::OnLink) => destination,
            Some(Via::Router(router)) => *router,
        };
        match self.neighbours.get(&neighbour) {
            Some(mac) => NextHop::Mac(*mac),
            None => NextHop::Unresolved(neighbour),
        }
    }

    /// The address of the data NIC that speaks to `destination`: one in its network, else the first of its
    /// family.
    #[must_use]
    pub fn address_towards(&self, destination: IpAddr) -> Option<IpAddr> {
        // A link-local address is for want of another: nobody beyond the link could answer it.
        let own = || self.own.iter().copied().filter(|own| own.is_ipv4() == destination.is_ipv4());
        let global = || own().filter(|own| !is_link_local(*own));
        let network = self.routes.longest_with_length(destination);
        let network = network.and_then(|(length, _)| IpNet::new(destination, length).ok());
        let in_network = global().find(|own| network.is_some_and(|network| network.contains(own)));
        in_network.or_else(|| global().next()).or_else(|| own().next())
    }

    /// The addresses of the data NIC.
    #[must_use]
    pub fn own(&self) -> &[IpAddr] {
        &self.own
    }

    /// The link-layer address of a neighbour.
    #[must_use]
    pub fn neighbour(&self, address: IpAddr) -> Option<MacAddr> {
        self.neighbours.get(&address).copied()
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn follows_the_longest_route_then_the_lowest_metric() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let hops = NextHops::new(
            [
                ("10.1.0.0/24".parse().unwrap(), 0, Via::OnLink),
                ("0.0.0.0/0".parse().unwrap(), 0, Via::Elsewhere),
                ("10.9.0.0/16".parse().unwrap(), 20, Via::Elsewhere),
                ("10.9.0.0/16".parse().unwrap(), 10, Via::Router(address("10.1.0.9"))),
            ],
            [(address("10.1.0.9"), mac)],
            vec![address("10.1.0.1")],
        );
        assert_eq!(hops.resolve(address("10.1.0.7")), NextHop::Unresolved(address("10.1.0.7")));
        assert_eq!(hops.resolve(address("10.9.3.4")), NextHop::Mac(mac));
        assert_eq!(hops.resolve(address("10.1.0.1")), NextHop::Own);
        let hops = hops.with_forwards([address("10.1.0.80")].into());
        assert_eq!(hops.resolve(address("10.1.0.80")), NextHop::Own);
        assert_eq!(hops.resolve(address("192.0.2.1")), NextHop::NoRoute);
        assert_eq!(hops.resolve(address("fd00::1")), NextHop::NoRoute);
    }

    #[test]
    fn speaks_with_the_address_in_the_network_of_the_destination() {
        let on_link = |prefix: &str| (prefix.parse().unwrap(), 0, Via::OnLink);
        let hops = NextHops::new(
            [on_link("10.1.0.0/24"), on_link("10.3.0.0/24"), on_link("fe80::/64")],
            [],
            ["fe80::1", "10.1.0.1", "10.3.0.1"].map(address).to_vec(),
        );
        assert_eq!(hops.address_towards(address("10.3.0.9")), Some(address("10.3.0.1")));
        assert_eq!(hops.address_towards(address("192.0.2.9")), Some(address("10.1.0.1")));
        assert_eq!(hops.address_towards(address("fd00::9")), Some(address("fe80::1")));
    }

    #[test]
    fn speaks_with_a_global_address_to_whom_the_default_route_leads_to() {
        let hops = NextHops::new(
            [("::/0".parse().unwrap(), 0, Via::Router(address("fe80::99")))],
            [],
            ["fe80::1", "fd00:1::1"].map(address).to_vec(),
        );
        assert_eq!(hops.address_towards(address("fd00:9::9")), Some(address("fd00:1::1")));
    }
}
