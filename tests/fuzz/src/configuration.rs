//! Any text is a configuration that keeps its promises, or errors with places in the file.

use std::collections::HashSet;
use std::path::Path;

use gridway_config::{Config, ConfigErrors, Detail, Role, Vnet};
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
    for entry in &vnet.outside_nat {
        assert!(vnet.nat && !entry.remote.prefixes().is_empty());
        assert!(entry.remote.prefixes().iter().all(within));
        assert!(
            entry.is_many_to_one() || entry.local.prefix_len() == entry.remote.prefixes()[0].prefix_len()
        );
    }
    for address in &vnet.address {
        assert!(vnet.cidr.iter().any(|cidr| cidr.contains(address)));
    }
    assert!(vnet.address.len() <= 2);
    assert!(vnet.mtu.is_none_or(|mtu| mtu >= 576));
    for route in &vnet.routes {
        assert!((1..=200).contains(&route.metric));
        assert_eq!(route.to, route.to.trunc());
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
