//! Routes of the main table, as the interface sees them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHopFlags, RouteType,
    RouteVia,
};

use crate::Via;

/// A route that counts; `None` when it does not (see [`crate::Snapshot::routes`]).
pub(crate) fn read(interface: u32, message: &RouteMessage) -> Option<(IpNet, u32, Via)> {
    let header = &message.header;
    let mut table = u32::from(header.table);
    let mut metric = 0;
    let mut destination: Option<IpAddr> = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(value) => table = *value,
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::Destination(value) => destination = Some(ip(value)?),
            _ => {}
        }
    }
    let for_some_only = header.tos != 0 || header.source_prefix_length != 0;
    let cached = header.flags.contains(RouteFlags::Cloned);
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) || for_some_only || cached {
        return None;
    }
    let unspecified = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let destination = destination.unwrap_or(unspecified);
    let prefix = IpNet::new(destination, header.destination_prefix_length).ok()?.trunc();
    let via = via(interface, message)?;
    // Every interface has this prefix; those of the others say nothing about ours.
    let link_local = matches!(destination, IpAddr::V6(address) if address.is_unicast_link_local());
    if link_local && via == Via::Elsewhere {
        return None;
    }
    Some((prefix, metric, via))
}

/// Where the route leads; `None` when all its next hops are dead, for then the kernel passes it over.
fn via(interface: u32, message: &RouteMessage) -> Option<Via> {
    if message.header.kind != RouteType::Unicast {
        return Some(Via::Elsewhere);
    }
    let next_hops = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::MultiPath(next_hops) => Some(next_hops),
        _ => None,
    });
    let Some(next_hops) = next_hops else {
        let dead = message.header.flags.contains(RouteFlags::Dead);
        return (!dead).then(|| next_hop(interface, None, &message.attributes));
    };
    let mut alive = next_hops
        .iter()
        .filter(|hop| !hop.flags.contains(RouteNextHopFlags::Dead))
        .map(|hop| next_hop(interface, Some(hop.interface_index), &hop.attributes));
    let first = alive.next()?;
    if first != Via::Elsewhere {
        return Some(first);
    }
    Some(alive.find(|via| *via != Via::Elsewhere).unwrap_or(Via::Elsewhere))
}

fn next_hop(interface: u32, mut output: Option<u32>, attributes: &[RouteAttribute]) -> Via {
    let mut via = Via::OnLink;
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(index) => output = Some(*index),
            RouteAttribute::Gateway(address) => match ip(address) {
                Some(address) => via = Via::Router(address),
                None => return Via::Elsewhere,
            },
            RouteAttribute::Via(RouteVia::Inet(address)) => via = Via::Router((*address).into()),
            RouteAttribute::Via(RouteVia::Inet6(address)) => via = Via::Router((*address).into()),
            // Light-weight tunnels (MPLS, SRv6 and so on) and next hops that are not IP.
            RouteAttribute::Via(_) | RouteAttribute::Encap(_) | RouteAttribute::EncapType(_) => {
                return Via::Elsewhere;
            }
            _ => {}
        }
    }
    if output == Some(interface) { via } else { Via::Elsewhere }
}

/// The address in an attribute of a route; none when it is not IP.
pub(crate) fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
