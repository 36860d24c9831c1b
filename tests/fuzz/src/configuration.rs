//! Any text is a configuration that keeps its promises, or errors with places in the file.

use std::collections::HashSet;
use std::path::Path;

use std::time::Duration;

use gridway_config::{Config, ConfigErrors, Detail, MonitorProtocol, Role, Route, Vnet};
use ipnet::IpNet;

/// Reads `input` as a node's file and checks what comes out against a plain model of the rules.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match parse(text) {
        Ok(config) => accepted(&config),
        Err(errors) => refused(text, &errors),
    }
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, Path::new("node.toml"))
}

fn refused(text: &str, errors: &ConfigErrors) {
    assert!(!errors.errors().is_empty());
    let lines = text.matches('\n').count() + 1;
    for error in errors.errors() {
        let line = error.line.expect("a text was given, so a line is to blame");
        assert!((1..=lines).contains(&line), "{error}");
    }
    assert!(!errors.to_string().is_empty());
}

fn accepted(config: &Config) {
    for detail in [Detail::All, Detail::Changed] {
        let shown = config.to_toml(detail);
        match parse(&shown) {
            Ok(again) => assert_eq!(&again, config, "{shown}"),
            Err(errors) => panic!("what is shown is refused:\n{errors}\n{shown}"),
        }
    }
    assert!(Config::restart_fields(config, config).is_empty());
    assert!(config.tunnel.dead_after > config.tunnel.ping_interval);
    assert!(config.throttle.egress_mbps <= 1_000_000 && config.throttle.ingress_mbps <= 1_000_000);
    assert!((1..=1 << 20).contains(&config.limits.fragments));
    assert!(config.node.role == Role::Gateway || config.tunnel.listen.is_none());
    if let Some(data) = &config.data {
        assert!(config.node.role == Role::Edge || data.interface != config.management.interface);
    }
    let peers: HashSet<_> = config.peers.iter().map(|peer| &peer.name).collect();
    assert_eq!(peers.len(), config.peers.len());
    assert!(!peers.contains(&config.node.name));
    assert!(config.tunnel.listen.is_some() || config.peers.iter().all(|peer| !peer.dial.is_empty()));
    for (index, vnet) in config.vnets.iter().enumerate() {
        policy(vnet);
        assert!(vnet.routes.iter().all(|route| peers.contains(&route.via)));
        for other in &config.vnets[..index] {
            assert_ne!(vnet.name, other.name);
            for selector in vnet.selectors() {
                for foreign in other.selectors() {
                    let overlap = selector.contains(&foreign) || foreign.contains(&selector);
                    assert!(!overlap, "{}: {selector}, {}: {foreign}", vnet.name, other.name);
                }
            }
        }
    }
}

fn policy(vnet: &Vnet) {
    assert!(!vnet.cidr.is_empty());
    let within = |prefix: &IpNet| vnet.cidr.iter().any(|cidr| cidr.contains(prefix));
    for entry in &vnet.inside_nat {
        assert!(vnet.nat && within(&entry.virtual_prefix));
        assert_eq!(entry.local.prefix_len(), entry.virtual_prefix.prefix_len());
    }
    outside(vnet);
    addresses(vnet);
    assert!(vnet.mtu.is_none_or(|mtu| mtu >= 576));
    for route in &vnet.routes {
        assert!((1..=200).contains(&route.metric));
        assert_eq!(route.to, route.to.trunc());
        monitor(vnet, route);
    }
    assert!(vnet.acl.windows(2).all(|pair| pair[0].line < pair[1].line));
    for rule in &vnet.acl {
        assert!(rule.ports.as_ref().is_none_or(|ports| !ports.is_empty()));
        assert!(rule.ports.is_none() || matches!(rule.protocol, Some(6 | 17)));
        for side in [&rule.source, &rule.destination] {
            assert!(!side.prefixes.is_empty() || !side.negated);
        }
    }
}

fn outside(vnet: &Vnet) {
    for (index, entry) in vnet.outside_nat.iter().enumerate() {
        let remote = entry.remote.prefixes();
        assert!(vnet.nat && !remote.is_empty());
        for prefix in remote {
            assert!(vnet.cidr.iter().any(|cidr| cidr.contains(prefix)));
            assert_eq!(prefix.addr().is_ipv4(), entry.local.addr().is_ipv4());
        }
        assert!(entry.is_many_to_one() || entry.local.prefix_len() == remote[0].prefix_len());
        for other in &vnet.outside_nat[..index] {
            assert!(!overlap(&[entry.local], &[other.local]));
            assert!(!overlap(remote, other.remote.prefixes()));
        }
    }
}

fn overlap(some: &[IpNet], others: &[IpNet]) -> bool {
    some.iter().any(|one| others.iter().any(|other| one.contains(other) || other.contains(one)))
}

fn addresses(vnet: &Vnet) {
    let families: HashSet<bool> = vnet.address.iter().map(|address| address.is_ipv4()).collect();
    assert_eq!(families.len(), vnet.address.len());
    for address in &vnet.address {
        assert!(vnet.cidr.iter().any(|cidr| cidr.contains(address)));
        let longest = |prefixes: &mut dyn Iterator<Item = &IpNet>| {
            prefixes.filter(|prefix| prefix.contains(address)).map(IpNet::prefix_len).max()
        };
        let own = longest(&mut vnet.inside_nat.iter().map(|entry| &entry.virtual_prefix));
        let remote = longest(&mut vnet.outside_nat.iter().flat_map(|entry| entry.remote.prefixes()));
        assert!(remote.is_none() || own > remote, "{address} is of a remote host");
    }
}

fn monitor(vnet: &Vnet, route: &Route) {
    let Some(monitor) = route.monitor else { return };
    assert!(route.to.contains(&monitor.target));
    assert!(vnet.address_like(monitor.target).is_some_and(|own| own != monitor.target));
    assert_eq!(monitor.port.is_some(), monitor.protocol == MonitorProtocol::Tcp);
    assert!(monitor.interval >= Duration::from_millis(100));
    assert!((1..=1000).contains(&monitor.count));
    assert!(!monitor.max_latency.is_zero() && monitor.max_latency <= Duration::from_secs(60));
}
