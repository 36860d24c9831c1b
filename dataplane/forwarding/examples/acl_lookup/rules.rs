//! Random access rules and tuples, after the manner of ClassBench (Taylor and Turner, 2007): sources and destinations from
//! /8 to /32 out of a pool of networks that nest, seven in ten with one port, some with a range, some for any port,
//! some with an object of several prefixes.

use std::net::IpAddr;

use gridway_config::{AclAction, AclRule, AddressMatch, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP};
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;

/// An access policy, and tuples to be judged by it.
pub(crate) struct Drawn {
    /// By line.
    pub(crate) rules: Vec<AclRule>,
    /// Each made for some rule, which matches unless it is negated.
    pub(crate) aimed: Vec<FiveTuple>,
    /// Few of them match.
    pub(crate) random: Vec<FiveTuple>,
}

impl Drawn {
    /// The same rules and tuples for the same `seed`.
    pub(crate) fn new(rules: usize, tuples: usize, shape: Shape, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut pool = Vec::new();
        for _ in 0..rules.div_ceil(3) + 4 {
            pool.push(shape.network(&pool, &mut random));
        }
        let rules: Vec<AclRule> = (0..rules).map(|line| rule(line, &pool, &mut random)).collect();
        let aimed =
            (0..tuples).map(|_| tuple_for(&rules[random.below(rules.len())], shape, &mut random)).collect();
        let random = (0..tuples).map(|_| random_tuple(shape, &mut random)).collect();
        Self { rules, aimed, random }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn percent(&mut self, part: usize) -> bool {
        self.below(100) < part
    }
}

/// Where networks lie.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// In all of IPv4.
    Wide,
    /// In 10.0.0.0/8, where prefixes share their first bits.
    Site,
    /// In fd00::/16.
    V6,
}

impl Shape {
    fn address(self, random: &mut Random) -> IpAddr {
        match self {
            Self::Wide => IpAddr::V4((random.next() as u32).into()),
            Self::Site => IpAddr::V4((random.next() as u32 & 0x00ff_ffff | 0x0a00_0000).into()),
            Self::V6 => {
                let bits = u128::from(random.next()) << 64 | u128::from(random.next());
                IpAddr::V6((bits >> 16 | 0xfd00 << 112).into())
            }
        }
    }

    /// Of ten prefixes two are short, five are networks and three are hosts.
    fn prefix_len(self, random: &mut Random) -> u8 {
        let (short, network, host) = match self {
            Self::Wide => (8, 16, 32),
            Self::Site => (9, 16, 32),
            Self::V6 => (24, 48, 128),
        };
        match random.below(10) {
            0..2 => short + random.below((network - short).into()) as u8,
            2..7 => network + random.below(9) as u8,
            _ if random.percent(30) => network + 9 + random.below((host - network - 9).into()) as u8,
            _ => host,
        }
    }

    /// A network; one in two lies within an earlier one.
    fn network(self, earlier: &[IpNet], random: &mut Random) -> IpNet {
        let (address, len) = (self.address(random), self.prefix_len(random));
        let net = IpNet::new(address, len).expect("a length of the family").trunc();
        if earlier.is_empty() || random.percent(50) {
            return net;
        }
        let around = earlier[random.below(earlier.len())];
        IpNet::new(within(around, random), len.max(around.prefix_len())).expect("as above").trunc()
    }
}

/// A random address of a prefix.
fn within(prefix: IpNet, random: &mut Random) -> IpAddr {
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    match prefix {
        IpNet::V4(prefix) => {
            let host = bits as u32 & prefix.hostmask().to_bits();
            IpAddr::V4((prefix.network().to_bits() | host).into())
        }
        IpNet::V6(prefix) => {
            IpAddr::V6((prefix.network().to_bits() | bits & prefix.hostmask().to_bits()).into())
        }
    }
}

fn side(pool: &[IpNet], random: &mut Random) -> AddressMatch {
    let mut draw = || pool[random.below(pool.len())];
    let first = draw();
    let object = [first, draw(), draw(), draw()];
    match random.below(100) {
        0..8 => AddressMatch::any(),
        8..13 => AddressMatch { prefixes: object.to_vec(), ..AddressMatch::any() },
        13 => AddressMatch { negated: true, ..AddressMatch::prefix(first) },
        _ => AddressMatch::prefix(first),
    }
}

fn rule(line: usize, pool: &[IpNet], random: &mut Random) -> AclRule {
    let protocol = match random.below(20) {
        0..13 => Some(PROTOCOL_TCP),
        13..18 => Some(PROTOCOL_UDP),
        18 => Some(PROTOCOL_ICMP),
        _ => None,
    };
    let ported = matches!(protocol, Some(PROTOCOL_TCP | PROTOCOL_UDP));
    let ports = if random.percent(60) { 1024 } else { 65_536 };
    let port = random.below(ports) as u16;
    let ports = match random.below(10) {
        _ if !ported => None,
        0..7 => Some(port..=port),
        7..9 => Some(port..=port.saturating_add(random.below(2000) as u16)),
        _ => None,
    };
    let line = line as u32;
    let (source, mut destination) = (side(pool, random), side(pool, random));
    // A rule that matches nearly everything would hide those below it.
    let broad = |side: &AddressMatch| side.is_any() || side.negated;
    if broad(&source) && broad(&destination) {
        destination = AddressMatch::prefix(pool[random.below(pool.len())]);
    }
    AclRule { line, action: AclAction::Allow, protocol, source, destination, ports }
}

/// A tuple that `rule` matches, unless it is negated.
fn tuple_for(rule: &AclRule, shape: Shape, random: &mut Random) -> FiveTuple {
    let mut address = |side: &AddressMatch| match side.prefixes.as_slice() {
        [] => shape.address(random),
        prefixes => within(prefixes[random.below(prefixes.len())], random),
    };
    FiveTuple {
        source: address(&rule.source),
        destination: address(&rule.destination),
        protocol: Protocol(rule.protocol.unwrap_or(PROTOCOL_TCP)),
        source_port: 40_000,
        destination_port: rule.ports.as_ref().map_or(443, |ports| *ports.start()),
    }
}

fn random_tuple(shape: Shape, random: &mut Random) -> FiveTuple {
    FiveTuple {
        source: shape.address(random),
        destination: shape.address(random),
        protocol: if random.percent(70) { Protocol::TCP } else { Protocol::UDP },
        source_port: 40_000,
        destination_port: random.next() as u16,
    }
}
