//! Every kind of index against a list that is searched from end to end.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;

use super::PrefixTable;
use super::family::{Family, Kind};

const KINDS: [Kind; 3] = [Kind::Scan, Kind::Trie, Kind::Blocks];

type Model = BTreeMap<IpNet, u32>;

fn with_kind(entries: &[(IpNet, u32)], kind: Kind) -> PrefixTable<u32> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (prefix, value) in entries {
        match prefix.trunc() {
            IpNet::V4(net) => v4.push((net.addr().to_bits(), net.prefix_len(), *value)),
            IpNet::V6(net) => v6.push((net.addr().to_bits(), net.prefix_len(), *value)),
        }
    }
    PrefixTable { v4: Family::with_index(v4, kind), v6: Family::with_index(v6, kind) }
}

fn model(entries: &[(IpNet, u32)]) -> Model {
    entries.iter().map(|(prefix, value)| (prefix.trunc(), *value)).collect()
}

fn containing(model: &Model, address: IpAddr) -> Vec<(u8, u32)> {
    let mut found: Vec<_> = model
        .iter()
        .filter(|(prefix, _)| prefix.contains(&address))
        .map(|(prefix, value)| (prefix.prefix_len(), *value))
        .collect();
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found
}

fn assert_agrees(table: &PrefixTable<u32>, model: &Model, address: IpAddr) {
    let expected = containing(model, address);
    let found: Vec<_> = table.containing(address).map(|(length, value)| (length, *value)).collect();
    assert_eq!(found, expected, "{address}");
    assert_eq!(
        table.longest_with_length(address).map(|(length, value)| (length, *value)),
        found.first().copied()
    );
    assert_eq!(table.longest(address).copied(), found.first().map(|(_, value)| *value));
}

/// First and last address of a prefix, and those just outside.
fn borders(prefix: IpNet) -> [IpAddr; 4] {
    match prefix {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)].map(|bits| IpAddr::V4(bits.into()))
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)].map(|bits| IpAddr::V6(bits.into()))
        }
    }
}

fn assert_all_agree(entries: &[(IpNet, u32)], others: &[IpNet]) {
    let model = model(entries);
    let tables =
        KINDS.map(|kind| with_kind(entries, kind)).into_iter().chain([entries.iter().copied().collect()]);
    for table in tables {
        for prefix in entries.iter().map(|(prefix, _)| prefix).chain(others) {
            borders(*prefix).into_iter().for_each(|address| assert_agrees(&table, &model, address));
            assert_eq!(table.get(*prefix), model.get(&prefix.trunc()), "{prefix}");
        }
        let listed: Vec<_> = table.iter().map(|(prefix, value)| (prefix, *value)).collect();
        assert_eq!(listed, model.iter().map(|(prefix, value)| (*prefix, *value)).collect::<Vec<_>>());
        assert_eq!((table.len(), table.is_empty()), (model.len(), model.is_empty()));
    }
}

fn v4(bits: u32, length: u8) -> IpNet {
    Ipv4Net::new(bits.into(), length).unwrap().into()
}

fn v6(bits: u128, length: u8) -> IpNet {
    Ipv6Net::new(bits.into(), length).unwrap().into()
}

/// Prefixes of both families that often lie within each other, from default routes to single addresses.
fn nested() -> impl Strategy<Value = IpNet> {
    let v4_bits = prop_oneof![any::<u32>(), (0..4_u32).prop_map(|n| 0x0a00_0000 | n << 7), Just(u32::MAX)];
    let v6_bits = prop_oneof![
        any::<u128>(),
        (0..4_u128).prop_map(|n| 0x2001_0db8 << 96 | n << 77 | n),
        Just(u128::MAX)
    ];
    prop_oneof![
        (v4_bits, prop_oneof![0..=32_u8, Just(0), Just(32)]).prop_map(|(bits, length)| v4(bits, length)),
        (v6_bits, prop_oneof![0..=128_u8, Just(0), Just(128)]).prop_map(|(bits, length)| v6(bits, length)),
    ]
}

/// Prefixes of both families within few /18, so that places are crowded.
fn crowded() -> impl Strategy<Value = IpNet> {
    let within = (0..0x5000_u32, prop_oneof![17..=24_u8, 25..=32_u8]);
    (within, any::<bool>()).prop_map(|((low, length), is_v4)| {
        if is_v4 { v4(0x0a00_0000 | low, length) } else { v6((0x2001_0000 | u128::from(low)) << 96, length) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn few_prefixes_agree_with_the_list(
        entries in vec((nested(), any::<u32>()), 0..24),
        others in vec(nested(), 4),
    ) {
        assert_all_agree(&entries, &others);
    }

    #[test]
    fn crowded_prefixes_agree_with_the_list(
        entries in vec((crowded(), any::<u32>()), 200..500),
        others in vec(crowded(), 4),
    ) {
        assert_all_agree(&entries, &others);
    }
}

#[test]
fn many_prefixes_agree_with_the_list() {
    // An odd multiplier visits all numbers, far from each other.
    let spread = |n: u32| n.wrapping_mul(0x9e37_79b1);
    let wide = |n: u32| u128::from(spread(n)) << 96 | u128::from(spread(!n)) << 64;
    let entries: Vec<_> = (0..20_000)
        .map(|n| (v4(spread(n), 12 + (n % 21) as u8), n))
        .chain((0..20_000).map(|n| (v6(wide(n), 12 + (n % 100) as u8), n)))
        .collect();
    let model = model(&entries);
    for table in KINDS.map(|kind| with_kind(&entries, kind)) {
        for (prefix, _) in entries.iter().step_by(397) {
            borders(*prefix).into_iter().for_each(|address| assert_agrees(&table, &model, address));
        }
    }
}

#[test]
fn a_later_value_replaces_an_earlier_one_and_host_bits_do_not_count() {
    let table: PrefixTable<u32> =
        [("10.1.0.7/16", 1), ("10.1.0.0/16", 2), ("fd00::1/8", 3), ("10.1.9.9/16", 4)]
            .map(|(prefix, value)| (prefix.parse().unwrap(), value))
            .into_iter()
            .collect();
    assert_eq!(table.len(), 2);
    assert_eq!(table.longest("10.1.2.3".parse().unwrap()), Some(&4));
    assert_eq!(table.get("fd00::/8".parse().unwrap()), Some(&3));
    assert_eq!(table.get("10.1.0.0/17".parse().unwrap()), None);
    assert_eq!(table.get("10.0.0.0/15".parse().unwrap()), None);
}
