//! Sets agree with what sides match, address by address.

use proptest::prelude::*;

use super::*;

fn prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (0u32..64, 24u8..=32)
        .prop_map(|(low, len)| IpNet::new(IpAddr::V4((0x0a00_0000 | low).into()), len).unwrap().trunc());
    let v6 = (0u128..64, 120u8..=128)
        .prop_map(|(low, len)| IpNet::new(IpAddr::V6((0xfd << 120 | low).into()), len).unwrap().trunc());
    let edge = prop_oneof![Just("0.0.0.0/0"), Just("::/0"), Just("128.0.0.0/1"), Just("ff00::/8")];
    prop_oneof![4 => v4, 4 => v6, 1 => edge.prop_map(|text| text.parse().unwrap())]
}

fn side() -> impl Strategy<Value = AddressMatch> {
    (any::<bool>(), proptest::collection::vec(prefix(), 0..6)).prop_map(|(negated, prefixes)| AddressMatch {
        negated: negated && !prefixes.is_empty(),
        prefixes,
        object: None,
    })
}

/// Addresses around the prefixes above, and the ends of both families.
fn addresses() -> Vec<IpAddr> {
    let low = |number: u128| {
        [IpAddr::V4((0x0a00_0000 | number as u32).into()), IpAddr::V6((0xfd << 120 | number).into())]
    };
    let ends = ["0.0.0.0", "127.255.255.255", "255.255.255.255", "::", "ff00::", "fe::"];
    (0..260).flat_map(low).chain(ends.map(|text| text.parse().unwrap())).collect()
}

proptest! {
    #[test]
    fn a_set_holds_what_the_side_matches(side in side()) {
        let sets = Family::ALL.map(|family| AddressSet::of(&side, family));
        for address in addresses() {
            let (family, number) = Family::of(address);
            let set = sets.iter().find(|set| set.family() == family).unwrap();
            prop_assert_eq!(set.contains(number), side.matches(address), "{}", address);
        }
    }

    #[test]
    fn blocks_are_the_set_and_wider_sets_cover_it(side in side(), len in 0u8..=32) {
        for family in Family::ALL {
            let set = AddressSet::of(&side, family);
            let blocks = set.blocks(usize::MAX).unwrap();
            prop_assert!(blocks.is_sorted());
            prop_assert_eq!(set.first_block(), blocks.first().copied());
            prop_assert_eq!(set.blocks(blocks.len()).is_some(), true);
            prop_assert_eq!(set.blocks(blocks.len().wrapping_sub(1)).is_none(), !blocks.is_empty());
            let of = |block: &Block| (block.bits, block.bits | host_mask(family.width() - block.len));
            prop_assert_eq!(&AddressSet::merged(family, blocks.iter().map(of)), &set);
            let wide = set.widened(len);
            prop_assert!(wide.covers(&set));
            let longest = wide.blocks(usize::MAX).unwrap().iter().map(|block| block.len).max();
            prop_assert!(longest.is_none_or(|longest| longest <= len));
        }
    }

    #[test]
    fn covering_and_being_disjoint_are_what_addresses_say(a in side(), b in side()) {
        for family in Family::ALL {
            let (a, b) = (AddressSet::of(&a, family), AddressSet::of(&b, family));
            // The border addresses of both decide.
            let borders = a.ranges().iter().chain(b.ranges()).flat_map(|(first, last)| {
                [*first, *last, first.wrapping_sub(1) & family.last(), last.wrapping_add(1) & family.last()]
            });
            let borders: Vec<u128> = borders.collect();
            let covers = borders.iter().all(|address| a.contains(*address) || !b.contains(*address));
            let disjoint = borders.iter().all(|address| !a.contains(*address) || !b.contains(*address));
            prop_assert_eq!(a.covers(&b), covers);
            prop_assert_eq!(a.is_disjoint(&b), disjoint);
        }
    }
}
