//! Judges tuples by access policies of any length, to be measured from outside:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example acl_lookup
//! acl_lookup RULES wide|site|v6 [SEED]
//! ```
//!
//! Rules are drawn after the manner of ClassBench: sources and destinations from /8 to /32 out of a pool
//! of networks that nest, seven in ten with one port, some with a range, some for any port, some with an
//! object of several prefixes. `wide` draws networks from all of IPv4, `site` from 10.0.0.0/8, where
//! prefixes share their first bits, and `v6` from fd00::/16. For the plain scan and for the tuple space
//! are printed: time of building, bytes a rule, and ns a judgement of tuples that some rule was made for
//! and of random ones, of which few match.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Instant;

use gridway_config::{AclAction, AclRule, AddressMatch, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP};
use gridway_forwarding::policy::acl::scan;
use gridway_forwarding::policy::acl::tuple_space::TupleSpace;
use gridway_wire::protocol::Protocol;
use gridway_wire::tuple::FiveTuple;
use ipnet::IpNet;

/// Tuples of each kind: more than what caches of branches remember.
const TUPLES: usize = 1 << 16;
/// Time that one figure may take.
const BUDGET_MS: u128 = 400;

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

#[derive(Clone, Copy)]
enum Shape {
    Wide,
    Site,
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

/// Nanoseconds a call, the best of five passes, and how many tuples matched.
fn time(tuples: &[FiveTuple], first_match: impl Fn(&FiveTuple) -> Option<usize>) -> (f64, f64) {
    let begin = Instant::now();
    let (mut best, mut matched, mut asked) = (f64::MAX, 0, 0);
    for _ in 0..5 {
        let start = Instant::now();
        let mut count = 0;
        for tuples in tuples.chunks(64) {
            matched += tuples.iter().filter(|tuple| first_match(tuple).is_some()).count();
            count += tuples.len();
            // The scan of a long list would take minutes for all of them.
            if start.elapsed().as_millis() > BUDGET_MS {
                break;
            }
        }
        asked += count;
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / count as f64);
        if begin.elapsed().as_millis() > 5 * BUDGET_MS {
            break;
        }
    }
    (best, matched as f64 * 100.0 / asked as f64)
}

fn report(name: &str, tuples: &[Vec<FiveTuple>; 2], first_match: impl Fn(&FiveTuple) -> Option<usize>) {
    let [(aimed, hit), (random, matched)] = [0, 1].map(|kind| time(&tuples[kind], &first_match));
    println!(
        "  {name:<12} {aimed:9.1} ns aimed ({hit:.0} % match)  {random:9.1} ns random ({matched:.0} % match)"
    );
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let shape = match arguments.get(1).map(String::as_str) {
        Some("wide") => Some(Shape::Wide),
        Some("site") => Some(Shape::Site),
        Some("v6") => Some(Shape::V6),
        _ => None,
    };
    let count = arguments.first().and_then(|count| count.parse::<usize>().ok()).filter(|count| *count > 0);
    let seed = arguments.get(2).map_or(Some(1), |seed| seed.parse().ok());
    let (Some(shape), Some(count), Some(seed)) = (shape, count, seed) else {
        eprintln!("usage: acl_lookup RULES wide|site|v6 [SEED]");
        return ExitCode::from(2);
    };
    let mut random = Random(seed);
    let mut pool = Vec::new();
    for _ in 0..count.div_ceil(3) + 4 {
        pool.push(shape.network(&pool, &mut random));
    }
    let rules: Vec<AclRule> = (0..count).map(|line| rule(line, &pool, &mut random)).collect();
    let aimed = (0..TUPLES).map(|_| tuple_for(&rules[random.below(count)], shape, &mut random)).collect();
    let tuples = [aimed, (0..TUPLES).map(|_| random_tuple(shape, &mut random)).collect()];

    let start = Instant::now();
    let mut space = None;
    let memory = allocation_counter::measure(|| space = Some(TupleSpace::new(&rules)));
    let (built, space) = (start.elapsed(), space.expect("it was just built"));
    let copied = allocation_counter::measure(|| std::mem::forget(rules.clone()));
    println!(
        "{count} rules: {} bytes a rule as they are; tuple space: {:.1} ms to build, {:.0} bytes a rule more, {:?} tables",
        copied.bytes_total / count as u64,
        built.as_secs_f64() * 1e3,
        memory.bytes_current as f64 / count as f64,
        space.tables(),
    );
    for tuple in tuples.iter().flatten().take(1000) {
        assert_eq!(space.first_match(tuple), scan::first_match(&rules, tuple), "{tuple}");
    }
    report("scan", &tuples, |tuple| scan::first_match(&rules, tuple));
    report("tuple space", &tuples, |tuple| space.first_match(tuple));
    ExitCode::SUCCESS
}
