//! Addresses and routes of both NICs, and how far buffers of sockets may grow.

use std::net::IpAddr;

use gridway_config::{Config, HostPort};
use gridway_netlink::{Snapshot, Via, Watcher};
use ipnet::IpNet;

use crate::finding::Finding;
use crate::system::System;

/// Bytes that a tunnel's buffers should be able to grow to: 1 Gbit/s over 64 ms.
const BUFFER: i64 = 8 << 20;

/// Limits of socket buffers, and what the package's `sysctl.conf` sets them to.
const BUFFERS: [(&str, &str, &str); 2] = [
    ("sockets.receive", "net.ipv4.tcp_rmem", "4096 131072 33554432"),
    ("sockets.send", "net.ipv4.tcp_wmem", "4096 65536 33554432"),
];

/// How far socket buffers may grow.
pub(crate) fn buffers(system: &System) -> Vec<Finding> {
    let largest =
        |name| system.sysctl(name, "").and_then(|value| value.split_whitespace().last()?.parse().ok());
    BUFFERS.iter().filter_map(|limit| Some(buffer(*limit, largest(limit.1)?))).collect()
}

fn buffer((id, name, advice): (&'static str, &str, &str), bytes: i64) -> Finding {
    if bytes >= BUFFER {
        return Finding::ok(id, "", format!("{name} lets buffers grow to {bytes} bytes"));
    }
    Finding::warning(
        id,
        "",
        format!(
            "{name} lets buffers grow to {bytes} bytes: one stream over a long line is slower than it could be"
        ),
        format!("as in /usr/lib/sysctl.d/60-gridway.conf: sysctl -w {name}=\"{advice}\""),
    )
}

/// Addresses and routes of the interfaces that the configuration names.
pub(crate) fn of_node(config: &Config) -> Vec<Finding> {
    // That an interface is missing has been said.
    let look = |name: &str| Watcher::open(name).ok().map(|watcher| watcher.snapshot());
    let management = look(config.management.interface.as_str());
    let data = config.data.as_ref().and_then(|data| Some((data, look(data.interface.as_str())?)));
    let mut findings = Vec::new();
    if let Some(management) = &management {
        findings.extend(management_side(config, management));
    }
    if let Some((data, snapshot)) = &data {
        findings.push(data_addresses(data.interface.as_str(), snapshot));
    }
    if let Some(data) = &config.data {
        findings.push(distinct(data.interface.as_str(), config.management.interface.as_str()));
    }
    if let (Some(management), Some((_, data))) = (&management, &data) {
        findings.extend(overlap(management, data));
    }
    findings
}

fn is_usable(address: &IpAddr) -> bool {
    !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn listed(addresses: &[IpAddr]) -> String {
    let names: Vec<String> = addresses.iter().filter(|own| is_usable(own)).map(IpAddr::to_string).collect();
    names.join(", ")
}

fn distinct(data: &str, management: &str) -> Finding {
    const ID: &str = "interfaces.distinct";
    if data != management {
        return Finding::ok(ID, "", format!("{data} for local hosts, {management} for tunnels"));
    }
    Finding::warning(
        ID,
        data,
        "one interface carries clear traffic and tunnels",
        "a second NIC for [management]; on a node that serves Layer 4 alone, leave [data] out",
    )
}

fn data_addresses(interface: &str, data: &Snapshot) -> Finding {
    const ID: &str = "data.address";
    if data.own.iter().any(is_usable) {
        return Finding::ok(ID, interface, listed(&data.own));
    }
    Finding::warning(
        ID,
        interface,
        "no address: hosts can use it as next hop only by a proxied address, and it cannot look for its neighbours",
        format!("ip address add ADDRESS/LENGTH dev {interface}"),
    )
}

fn management_side(config: &Config, management: &Snapshot) -> Vec<Finding> {
    let name = config.management.interface.as_str();
    let mut findings = Vec::new();
    findings.push(match management.own.iter().any(is_usable) {
        true => Finding::ok("management.address", name, listed(&management.own)),
        false => Finding::problem(
            "management.address",
            name,
            "no address: no tunnel can begin or end here",
            format!("ip address add ADDRESS/LENGTH dev {name}"),
        ),
    });
    let dialled = config.peers.iter().flat_map(|peer| &peer.dial);
    let (mut unreachable, mut by_name) = (Vec::new(), false);
    for target in dialled {
        match address_of(target) {
            Some(address) if !leads_to(management, address) => unreachable.push(target.to_string()),
            Some(_) => {}
            None => by_name = true,
        }
    }
    let has_default =
        management.routes.iter().any(|(to, _, via)| to.prefix_len() == 0 && *via != Via::Elsewhere);
    findings.push(if !unreachable.is_empty() {
        Finding::problem(
            "management.route",
            name,
            format!(
                "no route by {name} leads to {}, and tunnels leave by no other interface",
                unreachable.join(", ")
            ),
            format!("ip route add default via ROUTER dev {name}"),
        )
    } else if !has_default && (by_name || config.tunnel.listen.is_some()) {
        Finding::warning(
            "management.route",
            name,
            format!("no default route by {name}: peers beyond its own networks are not reached"),
            format!("ip route add default via ROUTER dev {name}, if there are such peers"),
        )
    } else {
        Finding::ok("management.route", name, "peers are routed by this interface")
    });
    findings
}

fn address_of(target: &HostPort) -> Option<IpAddr> {
    target.host.parse().ok()
}

/// Whether the interface has a route to the address; another interface's longer one does not matter to a socket that
/// is bound to this.
fn leads_to(snapshot: &Snapshot, address: IpAddr) -> bool {
    snapshot.routes.iter().any(|(to, _, via)| to.contains(&address) && *via != Via::Elsewhere)
}

/// Networks that lie on both sides.
fn overlap(management: &Snapshot, data: &Snapshot) -> Option<Finding> {
    let on_link = |snapshot: &Snapshot| -> Vec<IpNet> {
        let routes =
            snapshot.routes.iter().filter(|(to, _, via)| *via == Via::OnLink && is_usable(&to.addr()));
        routes.map(|(to, ..)| *to).collect()
    };
    let (ours, theirs) = (on_link(data), on_link(management));
    let both =
        ours.iter().find(|one| theirs.iter().any(|other| one.contains(other) || other.contains(*one)))?;
    Some(Finding::problem(
        "interfaces.networks",
        both,
        "the networks of the two interfaces overlap: packets of tunnels and of local hosts get mixed up",
        "give one of the two sides another network",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    fn snapshot(routes: &[(&str, Via)], own: &[&str]) -> Snapshot {
        Snapshot {
            routes: routes.iter().map(|(to, via)| (to.parse().unwrap(), 0, *via)).collect(),
            own: own.iter().map(|address| address.parse().unwrap()).collect(),
            ..Snapshot::default()
        }
    }

    fn config(dial: &str) -> Config {
        let text = format!(
            "[node]\nname = \"e\"\ndomain = \"lab.example\"\nrole = \"edge\"\n[identity]\nca = \"ca\"\n\
             certificate = \"c\"\nprivate_key = \"k\"\n[management]\ninterface = \"wan0\"\n[[peer]]\n\
             name = \"g\"\ndial = [\"{dial}\"]\n"
        );
        Config::parse(&text, std::path::Path::new("node.toml")).unwrap()
    }

    #[test]
    fn a_peer_that_no_route_of_the_management_interface_leads_to_is_a_problem() {
        let status = |dial: &str, routes: &[(&str, Via)]| {
            let findings = management_side(&config(dial), &snapshot(routes, &["192.0.2.1"]));
            findings.into_iter().find(|finding| finding.id == "management.route").unwrap().status
        };
        let on_link = [("192.0.2.0/24", Via::OnLink), ("0.0.0.0/0", Via::Elsewhere)];
        assert_eq!(status("192.0.2.7:8443", &on_link), Status::Ok);
        assert_eq!(status("198.51.100.7:8443", &on_link), Status::Problem);
        assert_eq!(status("[2001:db8::7]:8443", &on_link), Status::Problem);
        assert_eq!(status("gw.lab.example:8443", &on_link), Status::Warning);
        let with_default = [("0.0.0.0/0", Via::Router("192.0.2.254".parse().unwrap()))];
        assert_eq!(status("198.51.100.7:8443", &with_default), Status::Ok);
    }

    #[test]
    fn an_interface_with_a_link_local_address_alone_has_none() {
        let findings = management_side(&config("192.0.2.7:8443"), &snapshot(&[], &["fe80::1"]));
        assert_eq!((findings[0].id, findings[0].status), ("management.address", Status::Problem));
        assert_eq!(data_addresses("data0", &snapshot(&[], &[])).status, Status::Warning);
        assert_eq!(data_addresses("data0", &snapshot(&[], &["10.1.0.1", "fe80::1"])).found, "10.1.0.1");
    }

    #[test]
    fn networks_that_overlap_are_a_problem() {
        let management = snapshot(&[("10.0.0.0/8", Via::OnLink)], &[]);
        assert!(overlap(&management, &snapshot(&[("10.1.0.0/24", Via::OnLink)], &[])).is_some());
        assert!(overlap(&management, &snapshot(&[("192.168.0.0/24", Via::OnLink)], &[])).is_none());
    }

    #[test]
    fn small_buffers_are_warned_of() {
        for limit in BUFFERS {
            assert_eq!(buffer(limit, 4 << 20).status, Status::Warning);
            assert_eq!(buffer(limit, 16 << 20).status, Status::Ok);
            let line = format!("{} = {}", limit.1, limit.2);
            assert!(include_str!("../../../packaging/sysctl.conf").lines().any(|set| set == line), "{line}");
        }
    }
}
