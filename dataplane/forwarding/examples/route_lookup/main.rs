//! Looks up destinations in a table of prefixes shaped like the Internet's, to be measured from outside:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example route_lookup
//! route_lookup v4|v6 PREFIXES LOOKUPS apart|chained
//! valgrind --tool=callgrind route_lookup v4|v6 PREFIXES LOOKUPS apart|chained
//! ```
//!
//! Every destination is a random address within a random prefix of the table. `apart`: look-ups do not
//! depend on each other, so a processor works on several at a time, as it does on packets of a burst.
//! `chained`: each needs the result of the one before, which shows the latency of one. Destinations are
//! drawn beforehand, at most 4,194,304 (2,097,152 for IPv6), and used again when there are more LOOKUPS.
//!
//! Time a look-up (least, median and 90th percentile over rounds of 20,000), time to build, and bytes the
//! table holds on the heap are printed. Instructions a
//! look-up are the difference of two runs with other numbers of LOOKUPS (within the limit above the drawing
//! of the destinations counts too; beyond it does not).

mod shapes;

use std::hint::black_box;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Instant;

use gridway_forwarding::prefix::PrefixTable;
use ipnet::IpNet;
use rand::SeedableRng;
use rand::rngs::StdRng;

const USAGE: &str = "usage: route_lookup v4|v6 PREFIXES LOOKUPS apart|chained";
const SEED: u64 = 20;
/// Look-ups timed together: short enough that most rounds are not interrupted.
const ROUND: usize = 20_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [family, prefixes, lookups, mode] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (Ok(prefixes), Ok(lookups), "apart" | "chained") =
        (prefixes.parse::<usize>(), lookups.parse::<usize>(), mode.as_str())
    else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let chained = mode == "chained";
    let mut random = StdRng::seed_from_u64(SEED);
    match family.as_str() {
        "v4" => {
            let nets = shapes::v4(prefixes, &mut random);
            let destinations = shapes::within_v4(&nets, lookups.min(1 << 22), &mut random);
            let table = build(&nets.into_iter().map(IpNet::V4).collect::<Vec<_>>());
            let address = |n: usize, turn: u32| IpAddr::V4((destinations[n] ^ turn).into());
            report(mode, lookups, run(&table, lookups, destinations.len(), chained, address))
        }
        "v6" => {
            let nets = shapes::v6(prefixes, &mut random);
            let destinations = shapes::within_v6(&nets, lookups.min(1 << 21), &mut random);
            let table = build(&nets.into_iter().map(IpNet::V6).collect::<Vec<_>>());
            let address = |n: usize, turn: u32| IpAddr::V6((destinations[n] ^ u128::from(turn)).into());
            report(mode, lookups, run(&table, lookups, destinations.len(), chained, address))
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The table, each prefix with its number in the list.
fn build(nets: &[IpNet]) -> PrefixTable<u32> {
    let mut table = None;
    let start = Instant::now();
    let allocated = allocation_counter::measure(|| table = Some((0..).zip(nets).map(flip).collect()));
    let elapsed = start.elapsed();
    println!(
        "{} prefixes: built in {:.1} ms, {} bytes, {:.1} a prefix, at most {} while building",
        nets.len(),
        elapsed.as_secs_f64() * 1e3,
        allocated.bytes_current,
        allocated.bytes_current as f64 / nets.len().max(1) as f64,
        allocated.bytes_max,
    );
    table.expect("measured once")
}

fn flip((number, net): (u32, &IpNet)) -> (IpNet, u32) {
    (*net, number)
}

/// Nanoseconds a look-up took in each round, and how many look-ups found a prefix.
fn run(
    table: &PrefixTable<u32>,
    lookups: usize,
    destinations: usize,
    chained: bool,
    address: impl Fn(usize, u32) -> IpAddr,
) -> (Vec<f64>, usize) {
    // Zero, but the compiler does not know: the next address depends on the last result.
    let nothing = black_box(0_u32);
    let (mut found, mut sum, mut turn, mut at) = (0, 0_u64, 0, 0);
    let mut rounds = Vec::with_capacity(lookups / ROUND + 1);
    let mut left = lookups;
    while left > 0 {
        let round = left.min(ROUND);
        let start = Instant::now();
        for _ in 0..round {
            if let Some(value) = table.longest(address(at, turn)) {
                found += 1;
                sum = sum.wrapping_add(u64::from(*value));
                if chained {
                    turn = value & nothing;
                }
            }
            at = if at + 1 == destinations { 0 } else { at + 1 };
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e9 / round as f64);
        left -= round;
    }
    black_box(sum);
    (rounds, found)
}

fn report(mode: &str, lookups: usize, (mut rounds, found): (Vec<f64>, usize)) -> ExitCode {
    rounds.sort_by(f64::total_cmp);
    let at = |part: usize| rounds.get(rounds.len() * part / 10).copied().unwrap_or_default();
    println!(
        "{mode}: {found} of {lookups} found, ns a look-up: least {:.1}, median {:.1}, 90 % {:.1}",
        at(0),
        at(5),
        at(9)
    );
    if found == lookups { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
