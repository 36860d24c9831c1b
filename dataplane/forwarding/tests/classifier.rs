//! The tuple space chooses the rule that reading all of them chooses.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use gridway_config::{AclAction, AclRule, AddressMatch, Config};
use gridway_forwarding::Registry;
use gridway_forwarding::policy::acl::{scan, tuple_space::TupleSpace};
use gridway_forwarding::policy::{Policy, Ruling};
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const PORTS: [u16; 9] = [0, 1, 79, 80, 81, 443, 8000, 65_534, 65_535];
const PROTOCOLS: [u8; 9] = [0, 1, 6, 6, 17, 47, 58, 59, 255];

/// Few bits vary, so that prefixes nest, repeat and meet.
fn address(v6: bool, low: u16, high: bool) -> IpAddr {
    if v6 {
        let top: u128 = if high { 0xfd00 << 112 } else { 0xfd01 << 112 };
        IpAddr::V6((top | u128::from(low & 0xf0) << 60 | u128::from(low & 0xf)).into())
    } else {
        let top: u32 = if high { 10 << 24 } else { 192 << 24 };
        IpAddr::V4((top | u32::from(low)).into())
    }
}

fn prefix() -> impl Strategy<Value = IpNet> {
    (any::<bool>(), any::<u16>(), any::<bool>(), any::<Index>()).prop_map(|(v6, low, high, len)| {
        let lengths: &[u8] = if v6 {
            &[0, 15, 16, 48, 63, 64, 65, 127, 128]
        } else {
            &[0, 1, 7, 8, 16, 22, 24, 25, 30, 31, 32]
        };
        IpNet::new(address(v6, low, high), *len.get(lengths)).unwrap().trunc()
    })
}

fn side() -> impl Strategy<Value = AddressMatch> {
    let written = |negated, prefixes| AddressMatch { negated, prefixes, object: None };
    prop_oneof![
        2 => Just(AddressMatch::any()),
        10 => prefix().prop_map(AddressMatch::prefix),
        2 => prefix().prop_map(move |prefix| written(true, vec![prefix])),
        3 => (any::<bool>(), vec(prefix(), 2..6)).prop_map(move |(negated, list)| written(negated, list)),
        1 => (any::<bool>(), vec(prefix(), 20..120)).prop_map(move |(negated, list)| written(negated, list)),
    ]
}

fn ports() -> impl Strategy<Value = Option<RangeInclusive<u16>>> {
    let range = (select(&PORTS[..]), select(&PORTS[..])).prop_map(|(a, b)| Some(a.min(b)..=a.max(b)));
    prop_oneof![1 => Just(None), 2 => select(&PORTS[..]).prop_map(|port| Some(port..=port)), 1 => range]
}

fn protocol() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![1 => Just(None), 5 => select(&PROTOCOLS[..]).prop_map(Some)]
}

fn rule() -> impl Strategy<Value = AclRule> {
    (protocol(), side(), side(), ports()).prop_map(|(protocol, source, destination, ports)| {
        // A port with any protocol cannot be configured, and is judged all the same.
        AclRule { line: 0, action: AclAction::Allow, protocol, source, destination, ports }
    })
}

/// Rules of which some are those before them again, whole or with other ports.
fn rules(most: usize) -> impl Strategy<Value = Vec<AclRule>> {
    let again = (any::<Index>(), ports(), 0..10u8);
    vec((rule(), again), 0..most).prop_map(|drawn| {
        let mut rules: Vec<AclRule> = Vec::new();
        for (rule, (index, ports, again)) in drawn {
            let rule = match again {
                0 if !rules.is_empty() => index.get(&rules).clone(),
                1..4 if !rules.is_empty() => AclRule { ports, ..index.get(&rules).clone() },
                _ => rule,
            };
            rules.push(AclRule { line: rules.len() as u32, ..rule });
        }
        rules
    })
}

/// What a tuple is made of, given rules to be near to.
type Aim = (Index, [(Index, u8); 2], (u8, u16), (u8, u8), bool);

fn aims() -> impl Strategy<Value = Vec<Aim>> {
    let end = || (any::<Index>(), 0..6u8);
    let aim = (
        any::<Index>(),
        [end(), end()],
        (0..6u8, select(&PORTS[..])),
        (0..4u8, select(&PROTOCOLS[..])),
        any::<bool>(),
    );
    vec(aim, 1..200)
}

/// The first or last address of a prefix of the side, or the one before or behind it.
fn border(side: &AddressMatch, (index, which): (Index, u8), v6: bool) -> IpAddr {
    let of_family: Vec<&IpNet> =
        side.prefixes.iter().filter(|prefix| matches!(prefix, IpNet::V6(_)) == v6).collect();
    if of_family.is_empty() {
        return address(v6, u16::from(which) * 0x101, which % 2 == 0);
    }
    let prefix = index.get(&of_family);
    let moved = |address: IpAddr, up: bool| match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            IpAddr::V4(if up { bits.wrapping_add(1) } else { bits.wrapping_sub(1) }.into())
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            IpAddr::V6(if up { bits.wrapping_add(1) } else { bits.wrapping_sub(1) }.into())
        }
    };
    match which {
        0 | 1 => prefix.network(),
        2 | 3 => prefix.broadcast(),
        4 => moved(prefix.network(), false),
        _ => moved(prefix.broadcast(), true),
    }
}

fn tuple(
    rules: &[AclRule],
    (rule, ends, (port_from, port), (protocol_from, protocol), v6): &Aim,
) -> FiveTuple {
    let nothing = AddressMatch::any();
    let aimed = (!rules.is_empty()).then(|| rule.get(rules));
    let [source, destination] = aimed.map_or([&nothing, &nothing], |rule| [&rule.source, &rule.destination]);
    let ports = aimed.and_then(|rule| rule.ports.as_ref());
    let destination_port = match (port_from, ports) {
        (0, Some(ports)) => *ports.start(),
        (1, Some(ports)) => *ports.end(),
        (2, Some(ports)) => ports.start().wrapping_sub(1),
        (3, Some(ports)) => ports.end().wrapping_add(1),
        _ => *port,
    };
    let protocol = aimed.and_then(|rule| rule.protocol).filter(|_| *protocol_from > 0).unwrap_or(*protocol);
    FiveTuple {
        source: border(source, ends[0], *v6),
        destination: border(destination, ends[1], *v6),
        protocol: Protocol(protocol),
        source_port: 40_000,
        destination_port,
    }
}

fn agree(rules: &[AclRule], aims: &[Aim]) -> Result<(), TestCaseError> {
    let space = TupleSpace::new(rules);
    for aim in aims {
        let tuple = tuple(rules, aim);
        prop_assert_eq!(space.first_match(&tuple), scan::first_match(rules, &tuple), "{}", tuple);
    }
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_the_scan_on_short_lists(rules in rules(12), aims in aims()) {
        agree(&rules, &aims)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_scan_on_long_lists(rules in rules(500), aims in aims()) {
        agree(&rules, &aims)?;
    }

    /// Many sides that cannot be told apart by their prefixes, and more pieces than there is room for.
    #[test]
    fn agrees_with_the_scan_on_lists_of_objects(
        objects in vec(side(), 1..6),
        drawn in vec((any::<Index>(), any::<Index>(), protocol(), ports()), 200..900),
        aims in aims(),
    ) {
        let rule = |(line, (source, destination, protocol, ports)): (usize, &(Index, Index, _, _))| AclRule {
            line: line as u32,
            action: AclAction::Allow,
            protocol: *protocol,
            source: source.get(&objects).clone(),
            destination: destination.get(&objects).clone(),
            ports: Option::clone(ports),
        };
        let rules: Vec<AclRule> = drawn.iter().enumerate().map(rule).collect();
        agree(&rules, &aims)?;
    }

    #[test]
    fn a_policy_counts_the_rule_that_the_scan_finds(rules in rules(80), aims in aims()) {
        let mut config = Config::parse(NODE, Path::new("node.toml")).unwrap();
        let actions = [AclAction::Allow, AclAction::Drop, AclAction::Reject];
        let with_action = |rule: &AclRule| AclRule { action: actions[rule.line as usize % 3], ..rule.clone() };
        config.vnets[0].acl = rules.iter().map(with_action).collect();
        let mut registry = Registry::default();
        let policy = Policy::compile(&Arc::new(config.clone()), &mut registry, None).unwrap();
        let again = Policy::compile(&Arc::new(config.clone()), &mut registry, Some(&policy)).unwrap();
        for policy in [&policy, &again] {
            let acl = &policy.vnet_named("corp").unwrap().acl;
            for aim in &aims {
                let tuple = tuple(&rules, aim);
                let expected = scan::first_match(&rules, &tuple).map(|index| acl.rules().nth(index).unwrap());
                let (action, found) = match acl.judge(&tuple) {
                    Ruling::Allow(found) => (AclAction::Allow, found),
                    Ruling::Deny(found) => (AclAction::Drop, found),
                    Ruling::Reject(found) => (AclAction::Reject, found),
                    Ruling::NoMatch => {
                        prop_assert!(expected.is_none(), "{}", tuple);
                        continue;
                    }
                };
                let (rule, of_rule) = expected.unwrap();
                prop_assert_eq!((rule.action, rule.line), (action, found.line));
                prop_assert!(Arc::ptr_eq(of_rule, found.hits), "{}", tuple);
            }
        }
        // Rules that stay keep their hits.
        let hits = |policy: &Policy| {
            let acl = &policy.vnet_named("corp").unwrap().acl;
            acl.rules().map(|(_, hits)| Arc::as_ptr(hits)).collect::<Vec<_>>()
        };
        prop_assert_eq!(hits(&policy), hits(&again));
    }
}

/// Judging must not become linear where a stranger chooses the tuple: a run that is asked is short even
/// if all rules share their sides, their sources, or nothing but the first bits.
#[test]
fn few_tables_take_lists_of_one_kind() {
    let rule = |line: u32, source: String, destination: String, port: u16| AclRule {
        line,
        action: AclAction::Allow,
        protocol: Some(6),
        source: AddressMatch::prefix(source.parse().unwrap()),
        destination: AddressMatch::prefix(destination.parse().unwrap()),
        ports: Some(port..=port),
    };
    let host = |n: u32| format!("10.{}.{}.{}/32", n >> 16, (n >> 8) & 255, n & 255);
    let lists: [Vec<AclRule>; 4] = [
        (0..5000).map(|n| rule(n, "10.0.0.0/8".into(), "10.1.0.0/16".into(), n as u16)).collect(),
        (0..5000).map(|n| rule(n, "10.0.0.0/8".into(), host(n), 443)).collect(),
        (0..5000).map(|n| rule(n, host(n), "0.0.0.0/0".into(), 443)).collect(),
        (0..5000).map(|n| rule(n, host(n % 70), host(n / 70), 443)).collect(),
    ];
    for rules in lists {
        let space = TupleSpace::new(&rules);
        assert!(space.tables()[0] <= 2, "{:?}", space.tables());
        for rule in rules.iter().step_by(97) {
            let tuple = FiveTuple {
                source: rule.source.prefixes[0].network(),
                destination: rule.destination.prefixes[0].network(),
                protocol: Protocol::TCP,
                source_port: 1,
                destination_port: *rule.ports.as_ref().unwrap().start(),
            };
            assert_eq!(space.first_match(&tuple), Some(rule.line as usize));
        }
    }
}

const NODE: &str = r#"
[node]
name = "gw-a"
domain = "lab.example"
role = "gateway"
[identity]
ca = "ca.crt"
certificate = "node.crt"
private_key = "node.key"
[data]
interface = "data0"
[management]
interface = "wan0"
[tunnel]
listen = "192.0.2.1:8443"
[[vnet]]
name = "corp"
cidr = "10.200.0.0/16"
"#;
