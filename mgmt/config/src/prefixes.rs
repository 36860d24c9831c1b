//! Which prefixes of a list overlap.

use ipnet::IpNet;

/// Pairs `(later, earlier)` of indices whose prefixes overlap. Prefixes overlap only by one
/// holding the other, so each is reported with the nearest that holds it: at most one pair an index.
pub(crate) fn overlaps(prefixes: &[IpNet]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..prefixes.len()).collect();
    // By network, then by length: whatever holds a prefix comes before it.
    order.sort_by_key(|index| (prefixes[*index], *index));
    let mut holders: Vec<usize> = Vec::new();
    let mut pairs = Vec::new();
    for index in order {
        while holders.last().is_some_and(|holder| !prefixes[*holder].contains(&prefixes[index])) {
            holders.pop();
        }
        if let Some(holder) = holders.last() {
            pairs.push((index.max(*holder), index.min(*holder)));
        }
        holders.push(index);
    }
    pairs.sort_unstable();
    pairs
}

/// The prefixes that lie in no other one, each once.
pub(crate) fn outermost(prefixes: &[IpNet]) -> Vec<IpNet> {
    let mut sorted = prefixes.to_vec();
    // By network, then by length: whatever holds a prefix comes before it.
    sorted.sort_unstable();
    sorted.dedup_by(|inner, outer| outer.contains(&*inner));
    sorted
}

/// Whether a prefix lies within one of `cidr`.
pub(crate) fn within(prefix: IpNet, cidr: &[IpNet]) -> bool {
    cidr.iter().any(|space| space.contains(&prefix))
}

/// Whether both are IPv4 or both IPv6.
pub(crate) fn same_family(a: IpNet, b: IpNet) -> bool {
    matches!((a, b), (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)))
}

/// Prefixes as an error message lists them.
pub(crate) fn list(prefixes: &[IpNet]) -> String {
    names(prefixes.iter())
}

/// The first few of a list of names, and how many more there are.
pub(crate) fn names<T: ToString>(names: impl ExactSizeIterator<Item = T>) -> String {
    const SHOWN: usize = 16;
    let count = names.len();
    let mut text = names.take(SHOWN).map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
    if count == 0 {
        "none".clone_into(&mut text);
    } else if count > SHOWN {
        text.push_str(&format!(" and {} more", count - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn small_prefix() -> impl Strategy<Value = IpNet> {
        let v4 = (0u32..256, 24u8..=32).prop_map(|(low, length)| {
            Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 | low), length).unwrap().trunc().into()
        });
        let v6 = (0u128..256, 120u8..=128).prop_map(|(low, length)| {
            Ipv6Net::new((0xfd << 120 | low).into(), length).unwrap().trunc().into()
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn agrees_with_comparing_all_pairs(prefixes in proptest::collection::vec(small_prefix(), 0..12)) {
            let overlap = |a: IpNet, b: IpNet| a.contains(&b) || b.contains(&a);
            let found = overlaps(&prefixes);
            for (later, earlier) in &found {
                prop_assert!(later > earlier);
                prop_assert!(overlap(prefixes[*later], prefixes[*earlier]));
            }
            let any = (0..prefixes.len()).any(|a| (0..a).any(|b| overlap(prefixes[a], prefixes[b])));
            prop_assert_eq!(any, !found.is_empty());
        }

        #[test]
        fn outermost_prefixes_hold_all_and_are_disjoint(prefixes in proptest::collection::vec(small_prefix(), 0..12)) {
            let outer = outermost(&prefixes);
            prop_assert!(overlaps(&outer).is_empty());
            prop_assert!(prefixes.iter().all(|prefix| within(*prefix, &outer)));
            prop_assert!(outer.iter().all(|prefix| prefixes.contains(prefix)));
        }
    }
}
