//! `address` of a vnet: where the node itself is in it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::document::{Place, Section};
use crate::error::Problem;
use crate::leaf::Leaf;
use crate::model::InsideNat;
use crate::prefixes::list;
use crate::read::nat::Outside;

/// The node's own addresses: one, or a list with at most one of each family.
pub(crate) fn addresses(vnet: &Section<'_>, cidr: &[IpNet]) -> Vec<(Place, IpAddr)> {
    let Some(value) = vnet.value("address") else {
        return Vec::new();
    };
    if value.is_list() && value.len() == 0 {
        let expected = format!("{}, or none at all", IpAddr::EXPECTED);
        value.refuse(Problem::Invalid { found: "an empty list".to_owned(), expected });
    }
    let found: Vec<(Place, IpAddr)> = value.one_or_list();
    for (index, (place, address)) in found.iter().enumerate() {
        if !cidr.is_empty() && !cidr.iter().any(|prefix| prefix.contains(address)) {
            let (found, cidr) = (address.to_string(), list(cidr));
            vnet.refuse_at(place, Problem::OutsideCidr { found, what: "an address", cidr });
        }
        let earlier = found[..index].iter().find(|(_, other)| other.is_ipv4() == address.is_ipv4());
        if let Some((_, other)) = earlier {
            let found = format!("{address} beside {other}");
            let expected = "at most one address of each family".to_owned();
            vnet.refuse_at(place, Problem::Invalid { found, expected });
        }
    }
    found
}

/// Refuses addresses that the NAT entries give to a remote host: those whose longest virtual prefix
/// is one of an outside NAT.
pub(crate) fn refuse_remote(
    vnet: &Section<'_>,
    addresses: &[(Place, IpAddr)],
    inside: &[InsideNat],
    outside: &[Outside],
) {
    let longest = |prefixes: &[IpNet], address: &IpAddr| {
        let holders = prefixes.iter().filter(|prefix| prefix.contains(address));
        holders.max_by_key(|prefix| prefix.prefix_len()).copied()
    };
    let own: Vec<IpNet> = inside.iter().map(|entry| entry.virtual_prefix).collect();
    for (place, address) in addresses {
        let own = longest(&own, address).map(|prefix| prefix.prefix_len());
        let remote = outside.iter().find_map(|entry| {
            let prefix = longest(entry.entry.remote.prefixes(), address)?;
            (Some(prefix.prefix_len()) >= own).then_some((entry, prefix))
        });
        if let Some((entry, prefix)) = remote {
            let Place { field, line } = &entry.remote;
            let expected = format!(
                "an address that no remote host has; those of {prefix} have, by {field} in line {line}"
            );
            vnet.refuse_at(place, Problem::Invalid { found: address.to_string(), expected });
        }
    }
}
