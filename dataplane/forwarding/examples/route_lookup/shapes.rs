//! Random sets of distinct prefixes with the length distribution of the Internet's routing tables, and
//! addresses within them.

use std::collections::HashSet;

use ipnet::{Ipv4Net, Ipv6Net};
use rand::Rng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;

/// Lengths of IPv4 prefixes, in parts of 100,000: /24 60 %, /22 and /23 20 %.
const V4: [(u8, u32); 17] = [
    (24, 60_000),
    (23, 9_000),
    (22, 11_000),
    (21, 5_600),
    (20, 5_000),
    (19, 3_400),
    (18, 1_900),
    (17, 1_200),
    (16, 1_900),
    (15, 400),
    (14, 300),
    (13, 140),
    (12, 90),
    (11, 40),
    (10, 15),
    (9, 8),
    (8, 7),
];

/// Lengths of IPv6 prefixes, in parts of 1,000: /48 about a half, /32 the next frequent.
const V6: [(u8, u32); 12] = [
    (48, 470),
    (47, 30),
    (46, 40),
    (45, 20),
    (44, 110),
    (42, 30),
    (40, 90),
    (36, 60),
    (33, 20),
    (32, 110),
    (29, 15),
    (64, 5),
];

/// Blocks that registries allocate IPv6 from: leading bits and length.
const V6_BLOCKS: [(u128, u8); 6] = [
    (0x2001 << 112, 16),
    (0x2400 << 112, 12),
    (0x2600 << 112, 12),
    (0x2800 << 112, 12),
    (0x2a00 << 112, 12),
    (0x2c00 << 112, 12),
];

/// Unicast prefixes, evenly spread over 1.0.0.0 to 223.255.255.255: real tables are denser in places,
/// which is easier on caches.
pub(crate) fn v4(count: usize, random: &mut impl Rng) -> Vec<Ipv4Net> {
    let lengths = WeightedIndex::new(V4.map(|(_, weight)| weight)).expect("weights are positive");
    distinct(count, || {
        let address = random.random_range(0x0100_0000_u32..0xe000_0000);
        let length = V4[lengths.sample(random)].0;
        Ipv4Net::new(address.into(), length).expect("at most 32").trunc()
    })
}

/// Prefixes under an eighth as many /32 allocations in the blocks of the registries.
pub(crate) fn v6(count: usize, random: &mut impl Rng) -> Vec<Ipv6Net> {
    let lengths = WeightedIndex::new(V6.map(|(_, weight)| weight)).expect("weights are positive");
    let allocations: Vec<u128> = (0..count / 8 + 1)
        .map(|_| {
            let (block, length) = V6_BLOCKS[random.random_range(0..V6_BLOCKS.len())];
            block | (random.random::<u128>() >> length) & (u128::MAX << 96)
        })
        .collect();
    distinct(count, || {
        let allocation = allocations[random.random_range(0..allocations.len())];
        let address = allocation | random.random::<u128>() >> 32;
        let length = V6[lengths.sample(random)].0;
        Ipv6Net::new(address.into(), length).expect("at most 128").trunc()
    })
}

fn distinct<N: Copy + Eq + std::hash::Hash>(count: usize, mut draw: impl FnMut() -> N) -> Vec<N> {
    let mut seen = HashSet::with_capacity(count);
    let mut nets = Vec::with_capacity(count);
    while nets.len() < count {
        let net = draw();
        if seen.insert(net) {
            nets.push(net);
        }
    }
    nets
}

/// Random addresses, each within a random one of `nets`.
pub(crate) fn within_v4(nets: &[Ipv4Net], count: usize, random: &mut impl Rng) -> Vec<u32> {
    let draw = |_| {
        let net = nets[random.random_range(0..nets.len())];
        net.network().to_bits() | random.random::<u32>() & net.hostmask().to_bits()
    };
    (0..count).map(draw).collect()
}

/// Random addresses, each within a random one of `nets`.
pub(crate) fn within_v6(nets: &[Ipv6Net], count: usize, random: &mut impl Rng) -> Vec<u128> {
    let draw = |_| {
        let net = nets[random.random_range(0..nets.len())];
        net.network().to_bits() | random.random::<u128>() & net.hostmask().to_bits()
    };
    (0..count).map(draw).collect()
}
