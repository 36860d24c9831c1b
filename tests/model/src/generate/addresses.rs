//! The addresses that packets are made of.

use std::net::IpAddr;

use gridway_config::{Config, Vnet};

use crate::nat::{inside_to_virtual, translate_prefix};
use crate::policy::{is_remote, select};

/// Addresses of the data NIC.
pub const DATA_ADDRESSES: [&str; 2] = ["10.1.0.1", "fd01::1"];

/// [`DATA_ADDRESSES`], read.
#[must_use]
pub fn data_addresses() -> Vec<IpAddr> {
    DATA_ADDRESSES.iter().map(|text| address(text)).collect()
}

/// Local hosts as the data link knows them; in vnets without NAT as the vnet does. The last of each
/// family belongs to nothing.
const LOCAL_V4: [&str; 4] = ["10.1.0.2", "10.1.0.3", "10.200.0.2", "192.0.2.9"];
const LOCAL_V6: [&str; 5] =
    ["fd01::2", "fd01::3", "fd01::ffff:ffff:ffff:ffff", "fd00:200:0:1::2", "2001:db8:9::9"];

/// Remote hosts as local hosts may know them.
const REMOTE_AT_HOME_V4: [&str; 12] = [
    "172.16.1.2",
    "172.16.2.3",
    "172.16.1.8",
    "172.16.1.9",
    "172.17.1.2",
    "172.17.1.8",
    "10.1.0.8",
    "10.200.1.2",
    "10.200.2.3",
    "10.200.3.4",
    "10.200.0.14",
    "198.51.100.1",
];
const REMOTE_AT_HOME_V6: [&str; 7] = [
    "fd02:0:0:2::2",
    "fd02:0:0:3::3",
    "fd02::8",
    "fd02::9",
    "fd00:200:0:2::2",
    "fd00:200:0:3::3",
    "2001:db8:8::8",
];

/// Remote hosts as the vnet knows them; the last of each family are a local one and the node.
const REMOTE_V4: [&str; 6] =
    ["10.200.1.2", "10.200.1.3", "10.200.2.3", "10.200.3.4", "10.200.0.2", "10.200.0.14"];
const REMOTE_V6: [&str; 6] = [
    "fd00:200:0:2::2",
    "fd00:200:0:2::3",
    "fd00:200:0:3::3",
    "fd00:200:0:2:ffff:ffff:ffff:ffff",
    "fd00:200:0:1::2",
    "fd00:200:0:1::fe",
];

/// Local hosts as the vnet knows them: two hosts (the first one twice as often), the pool addresses of a hairpin, the node's data
/// address and its own in the vnet, a remote host, a hole.
const LOCAL_IN_VNET_V4: [&str; 9] = [
    "10.200.0.2",
    "10.200.0.2",
    "10.200.0.3",
    "10.200.0.8",
    "10.200.0.9",
    "10.200.0.1",
    "10.200.0.14",
    "10.200.2.3",
    "10.200.3.77",
];
/// Translated by RFC 6296, for vnets with an inside NAT.
const MAPPED_V6: [&str; 4] = ["fd01::2", "fd01::3", "fd01::8", "fd01::1"];
const LOCAL_IN_VNET_V6: [&str; 3] = ["fd00:200:0:1::2", "fd00:200:0:1::fe", "fd00:200:0:3::3"];

/// Inside NAT of IPv6: as the data link and as the vnet knows local hosts.
pub(super) const INSIDE_V6: [&str; 2] = ["fd01::/64", "fd00:200:0:1::/64"];

pub(super) fn address(text: &str) -> IpAddr {
    text.parse().expect("the addresses of this module are addresses")
}

fn read(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|text| address(text)).collect()
}

/// One of `list`; one that is `fit` where there are any.
fn pick(list: &[IpAddr], which: usize, fit: impl Fn(IpAddr) -> bool) -> IpAddr {
    let fitting: Vec<IpAddr> = list.iter().copied().filter(|address| fit(*address)).collect();
    let list = if fitting.is_empty() { list } else { &fitting };
    list[which % list.len()]
}

/// Source and destination of a packet from a local host; `aim` at a vnet of this configuration that knows
/// both.
pub(super) fn outbound_pair(
    ipv6: bool,
    source: usize,
    destination: usize,
    aim: Option<&Config>,
) -> (IpAddr, IpAddr) {
    let (sources, destinations) = if ipv6 {
        (read(&LOCAL_V6), read(&REMOTE_AT_HOME_V6))
    } else {
        (read(&LOCAL_V4), read(&REMOTE_AT_HOME_V4))
    };
    let Some(config) = aim else {
        return (pick(&sources, source, |_| true), pick(&destinations, destination, |_| true));
    };
    let destination = pick(&destinations, destination, |address| select(config, address).is_some());
    let vnet = select(config, destination);
    let source = pick(&sources, source, |address| {
        vnet.is_some_and(|vnet| {
            inside_to_virtual(vnet, address).is_ok_and(|address| !is_remote(vnet, address))
        })
    });
    (source, destination)
}

/// Source and destination of a packet from a peer; `aim` at this vnet, whose sources must be remote.
pub(super) fn inbound_pair(
    ipv6: bool,
    source: usize,
    destination: usize,
    aim: Option<&Vnet>,
) -> (IpAddr, IpAddr) {
    let (sources, destinations) = if ipv6 {
        let [from, to] = INSIDE_V6.map(|text| text.parse().expect("a prefix"));
        let mapped = |text| translate_prefix(address(text), from, to).expect("none is all ones");
        let mapped: Vec<IpAddr> = MAPPED_V6.into_iter().map(mapped).collect();
        (read(&REMOTE_V6), [mapped, read(&LOCAL_IN_VNET_V6)].concat())
    } else {
        (read(&REMOTE_V4), read(&LOCAL_IN_VNET_V4))
    };
    let source = pick(&sources, source, |address| aim.is_none_or(|vnet| is_remote(vnet, address)));
    (source, pick(&destinations, destination, |_| true))
}

/// A peer that the longest route to a remote host leads to.
pub(super) fn usual_peer(vnet: &Vnet, host: IpAddr) -> Option<String> {
    let routes = vnet.routes.iter().filter(|route| route.to.contains(&host));
    routes.max_by_key(|route| route.to.prefix_len()).map(|route| route.via.as_str().to_owned())
}
