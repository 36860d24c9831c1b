//! `[[vnet]]`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::Leaf;
use crate::model::Vnet;
use crate::name::VnetName;
use crate::prefixes::overlaps;
use crate::read::address::{addresses, refuse_remote};
use crate::read::connector::{Listeners, port_forwards};
use crate::read::nat::{Space, inside, outside, overlap, refuse_overlaps};
use crate::read::object::Objects;
use crate::read::peer::PeerNames;
use crate::read::unique::Unique;
use crate::read::{acl, acl_warnings, route};

/// Least MTU that IPv4 (RFC 1122: what every host reassembles) and IPv6 (RFC 8200) work with.
const LEAST_MTU: u32 = 576;
const LEAST_MTU_IPV6: u32 = 1280;

/// A selector of a vnet, with its place.
struct Selector {
    vnet: usize,
    place: Place,
    prefix: IpNet,
}

pub(crate) fn vnets(
    root: &Section<'_>,
    peers: &PeerNames,
    objects: &Objects,
    listeners: &mut Listeners,
) -> Vec<Vnet> {
    let mut unique = Unique::new();
    let mut selectors = Vec::new();
    let mut vnets = Vec::new();
    for (index, section) in root.tables("vnet").iter().enumerate() {
        let name: Option<VnetName> = section.required("name");
        if let Some(name) = &name {
            unique.check(section, "name", name.clone());
        }
        let (body, places) = body(section, peers, objects, listeners);
        selectors.extend(places.into_iter().map(|(place, prefix)| Selector { vnet: index, place, prefix }));
        section.finish();
        if let Some(name) = name {
            vnets.push(Vnet { name, ..body });
        }
    }
    refuse_shared_selectors(root, &selectors);
    vnets
}

/// Everything but the name (a stand-in is set), and the selectors with their places.
fn body(
    section: &Section<'_>,
    peers: &PeerNames,
    objects: &Objects,
    listeners: &mut Listeners,
) -> (Vnet, Vec<(Place, IpNet)>) {
    let spaces = cidr(section);
    let cidr: Vec<IpNet> = spaces.iter().map(|(_, prefix)| *prefix).collect();
    let nat = section.optional("nat").unwrap_or(true);
    let places = addresses(section, &cidr);
    let address: Vec<IpAddr> = places.iter().map(|(_, address)| *address).collect();
    let mtu = mtu(section, &cidr);
    let dark = section.optional("dark").unwrap_or(false);
    let relay = section.optional("relay").unwrap_or(false);
    let space = Space { cidr: &cidr, nat };
    let inside_nat = inside(section, &space);
    let outside_nat = outside(section, &space, objects);
    if nat {
        refuse_remote(section, &places, &inside_nat, &outside_nat);
    }
    let routes = route::routes(section, peers, &address);
    let written = acl::rules(section, objects);

    // Selectors: as `Vnet::selectors`, with places. An outside NAT that is wrong still counts as one.
    let mut selectors: Vec<_> =
        outside_nat.iter().map(|outside| (outside.local.clone(), outside.entry.local)).collect();
    if section.value("outside_nat").is_none_or(|value| value.len() == 0) {
        selectors.extend(spaces);
        selectors.extend(routes.iter().map(|(place, route)| (place.clone(), route.to)));
    }
    let vnet = Vnet {
        name: VnetName::new("unnamed").expect("a plain name"),
        cidr,
        nat,
        address,
        mtu,
        dark,
        relay,
        inside_nat,
        outside_nat: outside_nat.into_iter().map(|outside| outside.entry).collect(),
        routes: routes.into_iter().map(|(_, route)| route).collect(),
        acl: Vec::new(),
        port_forwards: Vec::new(),
    };
    let port_forwards = port_forwards(section, peers, listeners);
    let acl = acl_warnings::warned(section, &vnet, written);
    (Vnet { acl, port_forwards, ..vnet }, selectors)
}

fn cidr(section: &Section<'_>) -> Vec<(Place, IpNet)> {
    let Some(value) = section.value("cidr") else {
        section.refuse_key("cidr", Problem::Missing { expected: format!("{}, or a list", IpNet::EXPECTED) });
        return Vec::new();
    };
    if value.is_list() && value.len() == 0 {
        let expected = "at least one prefix".to_owned();
        value.refuse(Problem::Invalid { found: "an empty list".to_owned(), expected });
    }
    let spaces = value.one_or_list();
    refuse_overlaps(section, &spaces);
    spaces
}

fn mtu(section: &Section<'_>, cidr: &[IpNet]) -> Option<u16> {
    let ipv6 = cidr.iter().any(|prefix| matches!(prefix, IpNet::V6(_)));
    let least = if ipv6 { LEAST_MTU_IPV6 } else { LEAST_MTU };
    section.integer("mtu", least, u16::MAX.into()).and_then(|mtu| u16::try_from(mtu).ok())
}

/// A local packet must belong to one vnet only. Reported once for two vnets, at the later one.
fn refuse_shared_selectors(root: &Section<'_>, selectors: &[Selector]) {
    let prefixes: Vec<IpNet> = selectors.iter().map(|selector| selector.prefix).collect();
    let mut reported = std::collections::BTreeSet::new();
    for (later, earlier) in overlaps(&prefixes) {
        let (later, earlier) = (&selectors[later], &selectors[earlier]);
        if later.vnet != earlier.vnet && reported.insert((later.vnet, earlier.vnet)) {
            root.refuse_at(&later.place, overlap(later.prefix, earlier.prefix, &earlier.place));
        }
    }
}
