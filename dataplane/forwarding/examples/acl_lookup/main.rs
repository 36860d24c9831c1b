//! Judges tuples by access policies of any length, to be measured from outside:
//!
//! ```text
//! cargo build --release -p gridway-forwarding --example acl_lookup
//! acl_lookup RULES wide|site|v6 [SEED]
//! ```
//!
//! `wide` draws networks from all of IPv4, `site` from 10.0.0.0/8, where prefixes share their first bits, and `v6` from
//! fd00::/16. For the plain scan and for the tuple space
//! are printed: time of building, bytes a rule, and ns a judgement of tuples that some rule was made for
//! and of random ones, of which few match.

mod rules;

use std::process::ExitCode;
use std::time::Instant;

use gridway_forwarding::policy::acl::scan;
use gridway_forwarding::policy::acl::tuple_space::TupleSpace;
use gridway_wire::tuple::FiveTuple;
use rules::{Drawn, Shape};

/// Tuples of each kind: more than what caches of branches remember.
const TUPLES: usize = 1 << 16;
/// Time that one figure may take.
const BUDGET_MS: u128 = 400;

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
    let Drawn { rules, aimed, random } = Drawn::new(count, TUPLES, shape, seed);
    let tuples = [aimed, random];

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
