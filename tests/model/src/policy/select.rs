//! Which vnet a local packet belongs to, and which virtual addresses are remote.

use std::net::IpAddr;

use gridway_config::{Config, Vnet};

/// The vnet with the longest selector that contains a local destination.
pub(crate) fn select(config: &Config, destination: IpAddr) -> Option<&Vnet> {
    config
        .vnets
        .iter()
        .flat_map(|vnet| vnet.selectors().map(move |selector| (selector, vnet)))
        .filter(|(selector, _)| selector.contains(&destination))
        .max_by_key(|(selector, _)| selector.prefix_len())
        .map(|(_, vnet)| vnet)
}

/// Whether a virtual address is routed to a peer. The inside NAT's prefixes count as routes to the data
/// link: where one of them is longer than every route the address is a local host's. So is the node's
/// own address.
pub(crate) fn is_remote(vnet: &Vnet, address: IpAddr) -> bool {
    let longest = |prefixes: Vec<ipnet::IpNet>| {
        prefixes.into_iter().filter(|prefix| prefix.contains(&address)).map(|p| p.prefix_len()).max()
    };
    let routed = longest(vnet.routes.iter().map(|route| route.to).collect());
    let local = longest(vnet.inside_nat.iter().map(|entry| entry.virtual_prefix).collect());
    routed.is_some() && routed >= local && !vnet.address.contains(&address)
}
