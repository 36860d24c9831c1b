//! Routes, NAT entries and access rules, with what they have decided.

use gridway_config::MonitorProtocol;
use gridway_control::{AclRow, MonitorRow, NatDirection, NatKind, NatRow, RouteRow};
use gridway_forwarding::MonitorId;
use gridway_forwarding::flow::mappings;
use gridway_forwarding::policy::{Candidate, Hits, NatRule, Vnet};

use super::peer_names;
use crate::node::Node;

pub(super) fn routes(node: &Node) -> Vec<RouteRow> {
    let (policy, names) = (node.policy.load(), peer_names(node));
    let available = |route: &Candidate| node.peers.is_available(route);
    let of_vnet = |vnet: &Vnet| -> Vec<RouteRow> {
        let row = |(to, candidate): (_, Candidate)| RouteRow {
            vnet: vnet.name.clone(),
            to: format!("{to}"),
            via: names.get(&candidate.peer).cloned().unwrap_or_default(),
            metric: candidate.metric,
            available: available(&candidate),
            chosen: vnet.routes.is_chosen(to, candidate, available),
            monitor: candidate.monitor.and_then(|id| monitor(node, vnet, id)),
        };
        vnet.routes.iter().map(row).collect()
    };
    policy.vnets().flat_map(of_vnet).collect()
}

fn monitor(node: &Node, vnet: &Vnet, id: MonitorId) -> Option<MonitorRow> {
    let configured = vnet.probes.iter().find(|probe| probe.id == id)?.monitor;
    let view = node.monitors.view(id)?;
    let protocol = match configured.protocol {
        MonitorProtocol::Icmp => "icmp",
        MonitorProtocol::Tcp => "tcp",
    };
    Some(MonitorRow {
        protocol: protocol.to_owned(),
        target: configured.target,
        port: configured.port,
        up: view.passes,
        failures: view.failures,
        count: configured.count,
        latency_us: view.latency.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
    })
}

fn hits(node: &Node, hits: &Hits) -> (u64, Option<u64>, Option<u64>) {
    let (count, times) = hits.read();
    let unix = times.map(|(first, last)| (node.clock.unix(first), node.clock.unix(last)));
    (count, unix.map(|(first, _)| first), unix.map(|(_, last)| last))
}

/// Ports of one protocol that a pool has.
fn ports_of(pool: ipnet::IpNet) -> u64 {
    u64::try_from(mappings::size(pool)).unwrap_or(u64::MAX).saturating_mul(u64::from(u16::MAX))
}

pub(super) fn nat(node: &Node) -> Vec<NatRow> {
    let row = |vnet: &Vnet, direction, rule: &NatRule| {
        let (count, first, last) = hits(node, &rule.hits);
        NatRow {
            vnet: vnet.name.clone(),
            direction,
            kind: match (rule.is_many_to_one(), rule.local.addr().is_ipv4()) {
                (true, _) => NatKind::ManyToOne,
                (false, true) => NatKind::OneToOne,
                (false, false) => NatKind::Prefix,
            },
            local: rule.local.to_string(),
            virtual_side: rule.remote.to_string(),
            ports_used: rule.is_many_to_one().then(|| node.flows.mappings().in_use(rule.local) as u64),
            ports_limit: rule.is_many_to_one().then(|| ports_of(rule.local)),
            exhausted: rule.exhausted.load(std::sync::atomic::Ordering::Relaxed),
            hits: count,
            first,
            last,
        }
    };
    let of_vnet = |vnet: &Vnet| -> Vec<NatRow> {
        let inside = vnet.nat.inside.rules().iter().map(|rule| row(vnet, NatDirection::Inside, rule));
        let outside = vnet.nat.outside.rules().iter().map(|rule| row(vnet, NatDirection::Outside, rule));
        inside.chain(outside).collect()
    };
    node.policy.load().vnets().flat_map(of_vnet).collect()
}

pub(super) fn acl(node: &Node) -> Vec<AclRow> {
    let of_vnet = |vnet: &Vnet| -> Vec<AclRow> {
        vnet.acl
            .rules()
            .map(|(rule, rule_hits)| {
                let (count, first, last) = hits(node, rule_hits);
                AclRow {
                    vnet: vnet.name.clone(),
                    line: rule.line,
                    action: rule.action.as_str().to_owned(),
                    protocol: rule.protocol_text(),
                    source: rule.source.to_string(),
                    destination: rule.destination.to_string(),
                    ports: rule.ports_text(),
                    hits: count,
                    first,
                    last,
                }
            })
            .collect()
    };
    node.policy.load().vnets().flat_map(of_vnet).collect()
}
