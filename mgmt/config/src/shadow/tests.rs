//! Whatever is reported is right, and of lists of prefixes all is reported.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::{AclAction, AddressMatch};

const PREFIXES: [&str; 12] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.128/25",
    "10.1.2.200/32",
    "10.1.3.0/24",
    "10.2.0.0/16",
    "::/0",
    "fd00::/8",
    "fd00:1::/32",
];
const PORTS: [u16; 5] = [0, 80, 81, 443, 65_535];

fn prefix() -> impl Strategy<Value = IpNet> {
    select(&PREFIXES[..]).prop_map(|text| text.parse().unwrap())
}

fn plain_side() -> impl Strategy<Value = AddressMatch> {
    prop_oneof![1 => Just(AddressMatch::any()), 6 => prefix().prop_map(AddressMatch::prefix)]
}

fn side() -> impl Strategy<Value = AddressMatch> {
    // Up to more prefixes than are entered one by one.
    let hosts = |count: u32| (0..count).map(|n| IpNet::from(IpAddr::V4((0x0a01_0200 + 2 * n).into())));
    let set = (any::<bool>(), vec(prefix(), 1..4), select(&[0, 40, 90][..])).prop_map(
        move |(negated, mut prefixes, more)| {
            prefixes.extend(hosts(more));
            AddressMatch { negated, prefixes, object: None }
        },
    );
    prop_oneof![2 => plain_side(), 1 => set]
}

fn rules(side: impl Strategy<Value = AddressMatch> + Clone) -> impl Strategy<Value = Vec<AclRule>> {
    let protocol = select(&[None, Some(PROTOCOL_ICMP), Some(PROTOCOL_ICMPV6), Some(6), Some(17)][..]);
    let ports = (any::<bool>(), select(&PORTS[..]), select(&PORTS[..]));
    vec((protocol, side.clone(), side, ports), 0..40).prop_map(|drawn| {
        let mut rules = Vec::new();
        for (protocol, source, destination, (all, a, b)) in drawn {
            let ports = (!all && matches!(protocol, Some(6 | 17))).then(|| u16::min(a, b)..=u16::max(a, b));
            let line = rules.len() as u32;
            rules.push(AclRule { line, action: AclAction::Allow, protocol, source, destination, ports });
        }
        rules
    })
}

/// Addresses on both sides of every border of the prefixes above.
fn addresses() -> Vec<IpAddr> {
    let around = |text: &&str| {
        let prefix: IpNet = text.parse().unwrap();
        [prefix.network(), prefix.broadcast()].into_iter().flat_map(|address| match address {
            IpAddr::V4(address) => {
                [0, 1, u32::MAX].map(|step| IpAddr::V4(address.to_bits().wrapping_add(step).into()))
            }
            IpAddr::V6(address) => {
                [0, 1, u128::MAX].map(|step| IpAddr::V6(address.to_bits().wrapping_add(step).into()))
            }
        })
    };
    let mut addresses: Vec<IpAddr> = PREFIXES.iter().flat_map(around).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn matches(rule: &AclRule, (source, destination): (IpAddr, IpAddr), protocol: u8, port: u16) -> bool {
    rule.protocol.is_none_or(|of| of == protocol || (of == PROTOCOL_ICMP && protocol == PROTOCOL_ICMPV6))
        && rule.ports.as_ref().is_none_or(|ports| ports.contains(&port))
        && rule.source.matches(source)
        && rule.destination.matches(destination)
}

proptest! {
    #[test]
    fn a_rule_that_is_reported_is_never_the_first_to_match(
        rules in rules(side().boxed()),
        packets in vec((select(addresses()), select(addresses()), select(&[1, 58, 6, 17, 99][..]), select(&PORTS[..])), 400),
    ) {
        let reported = shadowed(&rules);
        for (later, earlier) in &reported {
            prop_assert!(earlier < later);
        }
        for (source, destination, protocol, port) in packets {
            let first = rules.iter().position(|rule| {
                source.is_ipv4() == destination.is_ipv4()
                    && matches(rule, (source, destination), protocol, port)
            });
            prop_assert!(!reported.iter().any(|(later, _)| Some(*later) == first));
            // The rule named is one that matches whenever the later one does.
            for (later, earlier) in &reported {
                let matches = |index: usize| matches(&rules[index], (source, destination), protocol, port);
                prop_assert!(source.is_ipv4() != destination.is_ipv4() || !matches(*later) || matches(*earlier));
            }
        }
    }

    #[test]
    fn nothing_is_missed_where_sides_are_prefixes(rules in rules(plain_side().boxed())) {
        let reaches: Vec<Reach> = rules.iter().map(Reach::new).collect();
        let of = |index: usize| (&rules[index], &reaches[index]);
        let by_pairs: Vec<usize> =
            (0..rules.len()).filter(|later| (0..*later).any(|earlier| covers(of(earlier), of(*later)))).collect();
        let found: Vec<usize> = shadowed(&rules).into_iter().map(|(later, _)| later).collect();
        prop_assert_eq!(found, by_pairs);
    }
}

fn rule(line: u32, source: &str, destination: &str) -> AclRule {
    let side = |text: &str| match text.strip_prefix('!') {
        None if text == "any" => AddressMatch::any(),
        None => AddressMatch::prefix(text.parse().unwrap()),
        Some(rest) => AddressMatch { negated: true, ..AddressMatch::prefix(rest.parse().unwrap()) },
    };
    let (source, destination) = (side(source), side(destination));
    AclRule { line, action: AclAction::Drop, protocol: None, source, destination, ports: None }
}

#[test]
fn negation_and_families_are_seen_through() {
    for (earlier, later, covered) in [
        (("!10.0.0.0/8", "any"), ("11.0.0.0/8", "any"), true),
        (("!10.0.0.0/8", "any"), ("fd00::/8", "any"), true),
        (("!10.0.0.0/8", "any"), ("10.0.0.0/7", "any"), false),
        (("!10.1.0.0/16", "any"), ("!10.0.0.0/8", "any"), true),
        (("any", "any"), ("!10.0.0.0/8", "any"), true),
        (("0.0.0.0/0", "any"), ("any", "10.0.0.0/8"), true),
        (("0.0.0.0/0", "any"), ("any", "any"), false),
        (("any", "0.0.0.0/0"), ("0.0.0.0/0", "any"), true),
    ] {
        let rules = [rule(1, earlier.0, earlier.1), rule(2, later.0, later.1)];
        assert_eq!(shadowed(&rules), if covered { vec![(1, 0)] } else { vec![] }, "{earlier:?} {later:?}");
    }
}

#[test]
fn a_rule_that_matches_nothing_is_not_said_to_be_shadowed() {
    let rules = [rule(1, "any", "any"), rule(2, "10.0.0.0/8", "fd00::/8")];
    assert_eq!(shadowed(&rules), []);
}
